//! Writes, in the order in which the node asked for them.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use pleach_core::{
    instance::Error,
    node::{Event, Number},
    storage::{StorageError, Store, Write, Written},
};

use crate::host::{Report, Threads};

/// Carries writes out one after the other, in the order in which they are given: on a thread of its own, which ends when
/// this is dropped, or in place by whoever has a [`Claim`].
///
/// ```
/// # use std::sync::{Arc, mpsc};
/// # use pleach_core::{node::{Event, Number}, storage::{Snapshot, StorageError, Store, Write, Written}};
/// # use pleach_transports::host::{Threads, Writer};
/// struct Full;
/// impl Store for Full {
///     fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
///         Err(StorageError::Failed("no".into()))
///     }
///     fn write(&self, _: &Write) -> Result<Written, StorageError> {
///         Err(StorageError::Failed("the disk is full".into()))
///     }
/// }
/// let (told, heard) = mpsc::channel();
/// let threads = Threads::default();
/// let report = Arc::new(move |event: Event| told.send(format!("{event:?}")).unwrap());
/// let writer = Writer::start(&threads, Arc::new(Full), report)?;
/// writer.write(Number(7), Write::Meta([].into()));
/// assert!(heard.recv().unwrap().starts_with("Written(Number(7), Err"));
///
/// let claim = writer.claim().expect("nothing is left to write");
/// writer.write(Number(8), Write::Meta([].into()));
/// assert!(heard.try_recv().is_err() && writer.claim().is_none(), "this write comes first");
/// claim.write(&Write::Meta([].into())).unwrap_err();
/// assert!(heard.recv().unwrap().starts_with("Written(Number(8), Err"));
/// drop(writer);
/// threads.join();
/// # Ok::<(), pleach_core::instance::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer(Arc<Shared>);

/// The right to carry out the next write in place: until this is used or dropped nobody else writes.
#[derive(Debug)]
#[must_use]
pub struct Claim(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    line: Mutex<Line>,
    /// The thread may find something to do.
    moved: Condvar,
}

#[derive(Default)]
struct Line {
    // Without a bound, because a node has one write in flight for each tree.
    waiting: VecDeque<(Number, Write)>,
    /// Somebody has a claim.
    claimed: bool,
    closed: bool,
}

impl Writer {
    /// Starts the thread. Outcomes of what it writes are reported from it.
    pub fn start(threads: &Threads, store: Arc<dyn Store>, report: Report) -> Result<Self, Error> {
        let shared = Arc::new(Shared { store, line: Mutex::default(), moved: Condvar::new() });
        let writer = Self(Arc::clone(&shared));
        threads.start("pleach-store", move || {
            while let Some((claim, number, write)) = shared.next() {
                // Given back before the outcome is told: whoever hears of it may claim the next write.
                report(Event::Written(number, claim.write(&write)));
            }
        })?;
        Ok(writer)
    }

    /// Carries out a write behind all those before; [`Event::Written`] follows.
    pub fn write(&self, number: Number, write: Write) {
        let mut line = self.0.lock();
        if line.closed {
            // Nobody waits for the outcome.
            return;
        }
        line.waiting.push_back((number, write));
        let idle = !line.claimed;
        drop(line);
        if idle {
            self.0.moved.notify_one();
        }
    }

    /// Lets whoever asks carry out the next write without the thread; nothing while others wait or are carried out. The
    /// order of writes is that of these calls and those of [`Writer::write`].
    pub fn claim(&self) -> Option<Claim> {
        let mut line = self.0.lock();
        let free = line.waiting.is_empty() && !line.claimed;
        line.claimed |= free;
        free.then(|| Claim(Arc::clone(&self.0)))
    }

    /// Lets the thread end once it has written what was asked before.
    pub fn close(&self) {
        self.0.lock().closed = true;
        self.0.moved.notify_one();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

impl Claim {
    /// Carries out the write.
    pub fn write(self, write: &Write) -> Result<Written, StorageError> {
        self.0.store.write(write)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut line = self.0.lock();
        line.claimed = false;
        // A caller that writes alone has nobody to wake.
        let awaited = line.closed || !line.waiting.is_empty();
        drop(line);
        if awaited {
            self.0.moved.notify_one();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next write of the thread; nothing at the end.
    fn next(self: &Arc<Self>) -> Option<(Claim, Number, Write)> {
        let mut line = self.lock();
        loop {
            if !line.claimed {
                if let Some((number, write)) = line.waiting.pop_front() {
                    line.claimed = true;
                    return Some((Claim(Arc::clone(self)), number, write));
                }
                if line.closed {
                    return None;
                }
            }
            line = self.moved.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc::{Receiver, Sender, channel},
        thread,
    };

    use pleach_core::storage::Snapshot;

    use super::*;

    /// A store that says which write it has begun, and ends it when it is let go.
    struct Held {
        begun: Sender<String>,
        let_go: Mutex<Receiver<()>>,
    }

    impl Store for Held {
        fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
            Err(StorageError::Failed("nothing is read".into()))
        }

        fn write(&self, write: &Write) -> Result<Written, StorageError> {
            self.begun.send(name_of(write)).unwrap();
            self.let_go.lock().unwrap().recv().unwrap();
            Err(StorageError::Failed("nothing is kept".into()))
        }
    }

    fn named(name: &str) -> Write {
        Write::Meta([(name.into(), None)].into())
    }

    fn name_of(write: &Write) -> String {
        let Write::Meta(changes) = write else { panic!("{write:?}") };
        String::from_utf8(changes[0].0.clone()).unwrap()
    }

    struct World {
        writer: Writer,
        threads: Threads,
        begun: Receiver<String>,
        go: Sender<()>,
        told: Receiver<Event>,
    }

    impl World {
        fn new() -> Self {
            let ((say, begun), (go, let_go), (tell, told)) = (channel(), channel(), channel());
            let threads = Threads::default();
            let store = Arc::new(Held { begun: say, let_go: Mutex::new(let_go) });
            let report = Arc::new(move |event| tell.send(event).unwrap());
            let writer = Writer::start(&threads, store, report).unwrap();
            Self { writer, threads, begun, go, told }
        }

        fn told(&self) -> Number {
            let Ok(Event::Written(number, _)) = self.told.recv() else { panic!("a write was awaited") };
            number
        }
    }

    #[test]
    fn nobody_writes_in_place_before_what_was_asked_for_earlier() {
        let world = World::new();
        world.writer.write(Number(1), named("first"));
        assert!(world.writer.claim().is_none(), "one waits, or is carried out");
        assert_eq!(world.begun.recv().unwrap(), "first");
        assert!(world.writer.claim().is_none(), "one is carried out");
        world.writer.write(Number(2), named("second"));
        world.go.send(()).unwrap();
        assert_eq!(world.begun.recv().unwrap(), "second");
        world.go.send(()).unwrap();
        assert_eq!((world.told(), world.told()), (Number(1), Number(2)));
        assert!(world.writer.claim().is_some(), "who has heard of the last one finds nothing before");
    }

    #[test]
    fn what_is_asked_for_during_a_claim_waits_for_it_and_the_end_for_both() {
        let world = World::new();
        let claim = world.writer.claim().unwrap();
        assert!(world.writer.claim().is_none());
        world.writer.write(Number(1), named("behind"));
        let in_place = thread::spawn(move || claim.write(&named("in place")));
        assert_eq!(world.begun.recv().unwrap(), "in place");
        world.writer.close();
        world.writer.write(Number(2), named("too late"));
        world.go.send(()).unwrap();
        assert_eq!(world.begun.recv().unwrap(), "behind");
        world.go.send(()).unwrap();
        in_place.join().unwrap().unwrap_err();
        assert_eq!(world.told(), Number(1));
        world.threads.join();
        assert!(world.begun.try_recv().is_err());
    }

    #[test]
    fn a_claim_that_is_not_used_holds_nobody_up() {
        let world = World::new();
        drop(world.writer.claim().unwrap());
        let claim = world.writer.claim().unwrap();
        world.writer.write(Number(1), named("behind"));
        drop(claim);
        assert_eq!(world.begun.recv().unwrap(), "behind");
        world.go.send(()).unwrap();
        assert_eq!(world.told(), Number(1));
    }
}
