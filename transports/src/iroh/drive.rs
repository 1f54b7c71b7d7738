//! The thread on which iroh runs. It wants tokio, which nothing else here does.

use std::{
    future::Future,
    sync::{Arc, Weak},
    thread,
};

use iroh::Endpoint;
use tokio::{
    runtime::{Builder, Handle},
    sync::OnceCell,
};

use super::limits::CLOSE_TIME;
use crate::TransportError;

/// A thread that runs an endpoint until the last of these is dropped.
#[derive(Clone)]
pub(super) struct Drive(Arc<Thread>);

/// The same without keeping it.
#[derive(Clone)]
pub(super) struct WeakDrive(Weak<Thread>);

struct Thread {
    tasks: Handle,
    /// What the thread closes in the end.
    endpoint: Arc<OnceCell<Endpoint>>,
    _running: async_channel::Sender<()>,
}

impl WeakDrive {
    pub(super) fn upgrade(&self) -> Option<Drive> {
        self.0.upgrade().map(Drive)
    }
}

impl Drive {
    pub(super) fn new() -> Result<Self, TransportError> {
        let failed = |error| TransportError::Setup(format!("cannot begin a thread for iroh: {error}"));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let tasks = runtime.handle().clone();
        let endpoint = Arc::<OnceCell<Endpoint>>::default();
        let (running, dropped) = async_channel::bounded::<()>(1);
        let closed = Arc::clone(&endpoint);
        let run = async move {
            // Nothing is ever sent: the wait ends with the sender.
            let _ = dropped.recv().await;
            if let Some(endpoint) = closed.get() {
                // Who does not hear of it in time finds out.
                let _ = tokio::time::timeout(CLOSE_TIME, endpoint.close()).await;
            }
        };
        thread::Builder::new()
            .name("pleach-iroh".into())
            .spawn(move || runtime.block_on(run))
            .map_err(failed)?;
        Ok(Self(Arc::new(Thread { tasks, endpoint, _running: running })))
    }

    pub(super) fn downgrade(&self) -> WeakDrive {
        WeakDrive(Arc::downgrade(&self.0))
    }

    /// Where the endpoint lies once it is made.
    pub(super) fn endpoint(&self) -> &OnceCell<Endpoint> {
        &self.0.endpoint
    }

    /// Runs a future on the thread, whoever waits for its output.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T, TransportError>> + Send + 'static,
    ) -> Result<T, TransportError> {
        let ended = |_| TransportError::Cut("the thread of iroh has ended".into());
        self.0.tasks.spawn(future).await.map_err(ended)?
    }

    /// Runs a future on the thread, with nobody waiting.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        drop(self.0.tasks.spawn(future));
    }
}
