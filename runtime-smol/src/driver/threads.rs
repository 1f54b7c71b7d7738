//! The thread that reads, and what blocks at the start.

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

/// What the reading thread is asked.
pub(crate) enum ReadJob {
    Read(Number, SnapshotId, Read),
    Release(SnapshotId),
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

/// Starts the thread that reads, so that no read waits for a write.
pub(crate) fn reader(threads: &Threads, store: Arc<dyn Store>, feed: Feed) -> Result<Sender<ReadJob>, Error> {
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
