//! Who polls what QUIC does in the background: the executor that a node lends, or one on a thread of its own.

use std::{
    fmt,
    future::Future,
    io,
    net::UdpSocket,
    pin::Pin,
    sync::{Arc, Weak},
    thread,
    time::Instant,
};

use async_executor::Executor as Tasks;
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, SmolRuntime};

use crate::{Context, Executor, TransportError};

/// An executor, kept running by somebody.
#[derive(Clone)]
pub(super) struct Drive {
    pub(super) executor: Executor,
    /// The thread that runs it, if it is not the node's.
    thread: Option<Arc<Thread>>,
}

/// The same without keeping it.
#[derive(Clone)]
pub(super) struct WeakDrive {
    executor: Weak<Tasks<'static>>,
    thread: Option<Weak<Thread>>,
}

impl WeakDrive {
    pub(super) fn upgrade(&self) -> Option<Drive> {
        let thread = match &self.thread {
            Some(thread) => Some(thread.upgrade()?),
            None => None,
        };
        Some(Drive { executor: self.executor.upgrade()?, thread })
    }
}

/// A thread that runs an executor until this is dropped.
struct Thread {
    _running: async_channel::Sender<()>,
}

impl Drive {
    /// The node's executor, or a thread's.
    pub(super) fn of(context: &Context) -> Result<Self, TransportError> {
        if let Some(executor) = context.executor() {
            return Ok(Self { executor: Arc::clone(executor), thread: None });
        }
        let executor = Executor::default();
        let (running, dropped) = async_channel::bounded::<()>(1);
        let tasks = Arc::clone(&executor);
        thread::Builder::new()
            .name("pleach-quic".into())
            .spawn(move || {
                // Nothing is ever sent: the wait ends with the sender.
                let _ = async_io::block_on(tasks.run(dropped.recv()));
            })
            .map_err(|error| TransportError::Setup(format!("cannot begin a thread for QUIC: {error}")))?;
        Ok(Self { executor, thread: Some(Arc::new(Thread { _running: running })) })
    }

    pub(super) fn downgrade(&self) -> WeakDrive {
        WeakDrive {
            executor: Arc::downgrade(&self.executor),
            thread: self.thread.as_ref().map(Arc::downgrade),
        }
    }

    /// What quinn runs on.
    pub(super) fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::new(Lent(Arc::downgrade(&self.executor)))
    }
}

/// Timers and sockets as on smol, tasks on an executor of ours. Its own tasks hold it, so that it may not hold the
/// executor.
struct Lent(Weak<Tasks<'static>>);

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lent")
    }
}

impl Runtime for Lent {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        SmolRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        if let Some(executor) = self.0.upgrade() {
            executor.spawn(future).detach();
        }
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        SmolRuntime.wrap_udp_socket(socket)
    }
}
