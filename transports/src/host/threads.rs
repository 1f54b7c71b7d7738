//! The threads of one instance: named, kept, and waited for at its end.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use async_channel::Receiver;
use pleach_core::instance::Error;

use crate::{
    TransportError,
    host::{Spawn, Task},
    park_on,
};

/// The threads of one instance. Their names begin with `pleach-`.
///
/// ```
/// # use pleach_transports::host::Threads;
/// let (told, heard) = std::sync::mpsc::channel();
/// let threads = Threads::default();
/// threads.start("pleach-example", move || told.send(()).unwrap())?;
/// threads.join();
/// assert_eq!(heard.try_recv(), Ok(()), "it has ended");
/// # Ok::<(), pleach_core::instance::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Threads(Mutex<Vec<JoinHandle<()>>>);

impl Threads {
    fn lock(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a thread with a name.
    pub fn start(&self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let started = thread::Builder::new().name(name.to_owned()).spawn(body);
        let started = started.map_err(|error| Error::Start(format!("no thread for {name}: {error}")))?;
        let mut threads = self.lock();
        threads.retain(|thread| !thread.is_finished());
        threads.push(started);
        Ok(())
    }

    /// Adds threads that somebody else started.
    pub fn extend(&self, threads: Vec<JoinHandle<()>>) {
        self.lock().extend(threads);
    }

    /// Waits until all have ended, but for the one that waits: a callback may drop the last handle of its instance. A
    /// thread that panicked has said so already.
    pub fn join(&self) {
        let own = thread::current().id();
        let threads = std::mem::take(&mut *self.lock());
        for thread in threads.into_iter().filter(|thread| thread.thread().id() != own) {
            let _ = thread.join();
        }
    }
}

/// The end of an instance on a thread aside, for callers who wait for it no longer than they like.
///
/// ```
/// # use pleach_transports::{host::Ending, park_on};
/// let ending = Ending::default();
/// let ended = ending.begin(|| {})?;
/// assert!(park_on(ended.recv()).is_err(), "the channel closes at the end");
/// # Ok::<(), pleach_core::instance::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Ending(Mutex<Option<Receiver<()>>>);

impl Ending {
    /// Begins it, unless it has begun. Nothing is sent: the channel closes when it is over.
    pub fn begin(&self, end: impl FnOnce() + Send + 'static) -> Result<Receiver<()>, Error> {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ended) = &*begun {
            return Ok(ended.clone());
        }
        let (over, ended) = async_channel::bounded::<()>(1);
        let body = move || {
            end();
            drop(over);
        };
        let started = thread::Builder::new().name("pleach-close".to_owned()).spawn(body);
        started.map_err(|error| Error::Start(format!("no thread to close it: {error}")))?;
        Ok(begun.insert(ended).clone())
    }
}

/// Each task on a thread of its own.
impl Spawn for Threads {
    fn spawn(&self, name: &str, task: Task) -> Result<(), TransportError> {
        let started = self.start(&format!("pleach-{name}"), move || park_on(task));
        started.map_err(|error| TransportError::Setup(error.to_string()))
    }
}
