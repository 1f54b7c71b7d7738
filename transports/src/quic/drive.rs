//! Who polls what QUIC does in the background: the executor that a node lends, or one on a thread of its own.

use std::{
    fmt,
    future::Future,
    io,
    net::UdpSocket,
    pin::Pin,
    sync::{Arc, Weak},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use async_executor::Executor as Tasks;
use async_io::Timer;
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, SmolRuntime};

use crate::{Context, Executor, TransportError};

/// How often, and after how long each time, the end of all tasks is looked for: a second in all.
const WIND_DOWN_STEPS: u32 = 500;
const WIND_DOWN_STEP: Duration = Duration::from_millis(2);

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

/// A thread that runs an executor until this is dropped, which waits for its end.
struct Thread {
    running: async_channel::Sender<()>,
    handle: Option<JoinHandle<()>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.running.close();
        // A task of the executor may have held this last.
        if let Some(handle) =
            self.handle.take().filter(|handle| handle.thread().id() != thread::current().id())
        {
            let _ = handle.join();
        }
    }
}

/// Lets the tasks end by themselves now that nobody uses them: connections tell their peers that they are over, which these
/// would otherwise learn from silence, half a minute later. What does not end soon is dropped.
async fn wind_down(executor: &Tasks<'static>) {
    for _ in 0..WIND_DOWN_STEPS {
        if executor.is_empty() {
            return;
        }
        Timer::after(WIND_DOWN_STEP).await;
    }
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
        let handle = thread::Builder::new()
            .name("pleach-quic".into())
            .spawn(move || {
                async_io::block_on(tasks.run(async {
                    // Nothing is ever sent: the wait ends when this is closed.
                    let _ = dropped.recv().await;
                    wind_down(&tasks).await;
                }));
            })
            .map_err(|error| TransportError::Setup(format!("cannot begin a thread for QUIC: {error}")))?;
        Ok(Self { executor, thread: Some(Arc::new(Thread { running, handle: Some(handle) })) })
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
