//! The threads that block: one that writes, one that reads, as many that check signatures as there are cores.

use std::{
    collections::{BTreeMap, btree_map},
    num::NonZero,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use async_channel::{Receiver, Sender};
use pleach_core::{
    entry::Entry,
    instance::{Checked, Error, check, join_checked},
    node::{Event, Number, Read, ReadReply, SnapshotId, perform},
    storage::{Snapshot, StorageError, Store, Write},
};

use super::Feed;

/// Fewer signatures than this are checked in one part: handing over costs about as much as two checks.
const MIN_PART: usize = 16;

/// What the reading thread is asked.
pub(crate) enum ReadJob {
    Read(Number, SnapshotId, Read),
    Release(SnapshotId),
}

/// A part of a batch whose signatures are to be checked.
struct Part {
    batch: Arc<Batch>,
    index: usize,
    entries: Vec<Entry>,
}

/// A batch whose parts several workers check.
struct Batch {
    number: Number,
    left: AtomicUsize,
    checked: Mutex<Vec<Option<Checked>>>,
}

/// The threads of one instance; ended by dropping what feeds them, then joined.
#[derive(Default)]
pub(crate) struct Threads(Vec<JoinHandle<()>>);

impl Threads {
    /// Starts a thread with a name.
    pub(crate) fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let spawned = thread::Builder::new().name(name.to_owned()).spawn(body);
        self.0.push(spawned.map_err(|error| Error::Start(error.to_string()))?);
        Ok(())
    }

    /// Carries out something that blocks on a thread of its own, and waits for what it returns.
    pub(crate) async fn call<T: Send + 'static>(
        &mut self,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (sender, receiver) = async_channel::bounded(1);
        self.spawn("pleach-open", move || {
            let _ = sender.try_send(body());
        })?;
        receiver.recv().await.map_err(|_| Error::CLOSED)
    }

    /// Adds threads that somebody else started.
    pub(crate) fn extend(&mut self, threads: Vec<JoinHandle<()>>) {
        self.0.extend(threads);
    }

    /// Waits until all have ended, but for the one that waits: a callback may drop the last handle. A thread that
    /// panicked has said so already.
    pub(crate) fn join(self) {
        let own = thread::current().id();
        for thread in self.0.into_iter().filter(|thread| thread.thread().id() != own) {
            let _ = thread.join();
        }
    }

    /// Starts the thread that writes.
    pub(crate) fn writer(
        &mut self,
        store: Arc<dyn Store>,
        feed: Feed,
    ) -> Result<Sender<(Number, Write)>, Error> {
        let (sender, jobs) = async_channel::unbounded::<(Number, Write)>();
        self.spawn("pleach-store", move || {
            while let Ok((number, write)) = jobs.recv_blocking() {
                feed.event(Event::Written(number, store.write(&write)));
            }
        })?;
        Ok(sender)
    }

    /// Starts the thread that reads, so that no read waits for a write.
    pub(crate) fn reader(&mut self, store: Arc<dyn Store>, feed: Feed) -> Result<Sender<ReadJob>, Error> {
        let (sender, jobs) = async_channel::unbounded();
        self.spawn("pleach-reader", move || {
            let mut snapshots = BTreeMap::new();
            while let Ok(job) = jobs.recv_blocking() {
                match job {
                    ReadJob::Read(number, snapshot, read) => {
                        feed.event(Event::Read(number, answer(&*store, &mut snapshots, snapshot, &read)));
                    }
                    ReadJob::Release(snapshot) => {
                        snapshots.remove(&snapshot);
                    }
                }
            }
        })?;
        Ok(sender)
    }

    /// Starts the threads that check signatures.
    pub(crate) fn verifier(&mut self, feed: &Feed) -> Result<Verifier, Error> {
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let (sender, parts) = async_channel::unbounded();
        for _ in 0..workers {
            let (parts, feed) = (parts.clone(), feed.clone());
            self.spawn("pleach-verify", move || work(&parts, &feed))?;
        }
        Ok(Verifier { workers, parts: sender })
    }
}

fn answer(
    store: &dyn Store,
    snapshots: &mut BTreeMap<SnapshotId, Arc<dyn Snapshot>>,
    name: SnapshotId,
    read: &Read,
) -> Result<ReadReply, StorageError> {
    let snapshot = match snapshots.entry(name) {
        btree_map::Entry::Occupied(open) => open.into_mut(),
        btree_map::Entry::Vacant(new) => new.insert(store.snapshot()?),
    };
    perform(snapshot, read)
}

/// Spreads signature checks over the cores.
pub(crate) struct Verifier {
    workers: usize,
    parts: Sender<Part>,
}

impl Verifier {
    /// Checks a batch; [`Event::Verified`] follows.
    pub(crate) fn verify(&self, number: Number, mut entries: Vec<Entry>) {
        let size = entries.len().div_ceil(self.workers).max(MIN_PART);
        let count = entries.len().div_ceil(size).max(1);
        let batch = Arc::new(Batch {
            number,
            left: AtomicUsize::new(count),
            checked: Mutex::new((0..count).map(|_| None).collect()),
        });
        for index in 0..count {
            let rest = entries.split_off(size.min(entries.len()));
            let part = Part { batch: Arc::clone(&batch), index, entries };
            entries = rest;
            // The workers end after the loop that calls this.
            let _ = self.parts.try_send(part);
        }
    }
}

fn work(parts: &Receiver<Part>, feed: &Feed) {
    while let Ok(Part { batch, index, entries }) = parts.recv_blocking() {
        let checked = check(entries);
        let mut all = batch.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = all.get_mut(index) {
            *place = Some(checked);
        }
        if batch.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let all = std::mem::take(&mut *all);
            feed.event(Event::Verified(batch.number, join_checked(all.into_iter().flatten())));
        }
    }
}
