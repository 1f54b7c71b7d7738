//! A store around another that counts what is written: the example of `docs/writing-a-store.md`, which shows these lines.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use pleach_core::storage::{Snapshot, StorageError, Store, Write, Written};

/// Counts what is written to the store within.
#[derive(Default)]
struct Counting<S> {
    within: S,
    writes: AtomicU64,
    entries: AtomicU64,
}

impl<S: Store> Store for Counting<S> {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
        self.within.snapshot()
    }

    fn write(&self, write: &Write) -> Result<Written, StorageError> {
        let written = self.within.write(write)?;
        // Only what is durable counts.
        self.writes.fetch_add(1, Ordering::Relaxed);
        if let Written::Put(put) = &written {
            self.entries.fetch_add(put.stored.len() as u64, Ordering::Relaxed);
        }
        Ok(written)
    }
}

pleach_storage::conformance!(|| (Counting::<pleach_storage::Memory>::default(), ()));

use pleach_core::{Id, entry::VerifiedEntry, storage::Put};

/// Puts entries, in as many writes as a revocation among them takes.
fn put(store: &dyn Store, tree: Id, entries: &[VerifiedEntry]) -> Result<Put, StorageError> {
    let (mut outcome, mut from) = (Put::default(), Some(0));
    while let Some(at) = from {
        let write = Write::Put { tree, entries: entries[at..].to_vec() };
        let Written::Put(next) = store.write(&write)? else { unreachable!("a put is answered as a put") };
        outcome = outcome.joined(next, entries, at);
        from = outcome.unfinished;
    }
    Ok(outcome)
}

#[test]
fn a_write_counts_once_and_an_entry_when_it_is_new() -> Result<(), StorageError> {
    let store = Counting::<pleach_storage::Memory>::default();
    let maker = pleach_storage::conformance::Maker::new(1);
    let mut entries = vec![maker.root()];
    entries.extend(maker.chain(entries[0].position(), 9));
    for known in [0, 10] {
        let outcome = put(&store, maker.tree(), &entries)?;
        assert_eq!((outcome.stored.len(), outcome.known), (10 - known, known));
    }
    assert_eq!(store.writes.load(Ordering::Relaxed), 2);
    assert_eq!(store.entries.load(Ordering::Relaxed), 10);
    Ok(())
}

#[test]
fn a_revocation_that_changes_much_takes_several_writes() -> Result<(), StorageError> {
    use pleach_core::{
        entry::{Grant, Permission, Who},
        limits::MAX_BATCH_ENTRIES,
    };
    let store = Counting::<pleach_storage::Memory>::default();
    let maker = pleach_storage::conformance::Maker::new(1);
    let eve = maker.signed_by(2);
    let who = Who::Key(eve.key().public());
    let root = maker.root();
    let grant = Grant { who, permission: Permission::Write(9), name: None };
    let granted = maker.settings(&[root.position()], &[grant], &[]);
    put(&store, maker.tree(), &[root, granted.clone()])?;
    for part in eve.fan(granted.position(), MAX_BATCH_ENTRIES + 400).chunks(1_500) {
        put(&store, maker.tree(), part)?;
    }
    let before = store.writes.load(Ordering::Relaxed);
    let revoked = maker.settings(&[granted.position()], &[], &[who]);
    let outcome = put(&store, maker.tree(), &[revoked])?;
    assert!(outcome.counts(), "{outcome:?}");
    assert!(store.writes.load(Ordering::Relaxed) > before + 1, "one write takes only so much");
    let summary = store.snapshot()?.summary(&maker.tree())?.expect("the tree is held");
    assert_eq!((summary.measure.count, summary.flips), (3, false), "what was written apart is hidden");
    Ok(())
}
