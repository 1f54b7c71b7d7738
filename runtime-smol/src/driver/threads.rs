//! The threads that read, and what blocks at the start.

use std::{
    collections::{BTreeMap, btree_map},
    sync::Arc,
};

use async_channel::Sender;
use pleach_core::{
    instance::Error,
    node::{Event, Number, Read, ReadReply, SnapshotId, perform},
    storage::{Snapshot, StorageError, Store},
};
use pleach_transports::host::Threads;

use super::Feed;

/// The threads that read, so that no read waits for a write: one for what is read before a write, which may be a caller's,
/// and one for exchanges, so that no caller waits for what a stranger asks.
pub(crate) struct Readers {
    for_writes: Sender<ReadJob>,
    for_exchanges: Sender<ReadJob>,
    /// Which of them has each snapshot: the one that was first asked something of it.
    open: BTreeMap<SnapshotId, Sender<ReadJob>>,
}

/// What a reading thread is asked.
enum ReadJob {
    Read(Number, SnapshotId, Read),
    Release(SnapshotId),
}

impl Readers {
    pub(crate) fn start(threads: &Threads, store: &Arc<dyn Store>, feed: &Feed) -> Result<Self, Error> {
        let start = || reader(threads, Arc::clone(store), feed.clone());
        Ok(Self { for_writes: start()?, for_exchanges: start()?, open: BTreeMap::new() })
    }

    /// Answers a question. Sending fails only when the threads have ended, which they do after the loop.
    pub(crate) fn read(&mut self, number: Number, snapshot: SnapshotId, read: Read) {
        let first = if is_for_exchange(&read) { &self.for_exchanges } else { &self.for_writes };
        let reader = self.open.entry(snapshot).or_insert_with(|| first.clone());
        let _ = reader.try_send(ReadJob::Read(number, snapshot, read));
    }

    /// Drops a snapshot, if it was ever opened.
    pub(crate) fn release(&mut self, snapshot: SnapshotId) {
        if let Some(reader) = self.open.remove(&snapshot) {
            let _ = reader.try_send(ReadJob::Release(snapshot));
        }
    }
}

/// Whether an exchange waits for it, and no write.
const fn is_for_exchange(read: &Read) -> bool {
    matches!(
        read,
        Read::Admit { .. }
            | Read::Session { .. }
            | Read::Load { .. }
            | Read::Difference { .. }
            | Read::Trees { .. }
    )
}

/// Carries out something that blocks on a thread of its own, and waits for what it returns.
pub(crate) async fn call<T: Send + 'static>(
    threads: &Threads,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let (sender, receiver) = async_channel::bounded(1);
    threads.start("pleach-open", move || {
        let _ = sender.try_send(body());
    })?;
    receiver.recv().await.map_err(|_| Error::CLOSED)
}

fn reader(threads: &Threads, store: Arc<dyn Store>, feed: Feed) -> Result<Sender<ReadJob>, Error> {
    let (sender, jobs) = async_channel::unbounded();
    threads.start("pleach-reader", move || {
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
