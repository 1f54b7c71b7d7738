//! Histories of any shape: real entries in one tree that everybody may read.

use std::sync::Arc;

use pleach_core::{
    Id, Position,
    entry::{Grant, Permission, VerifiedEntry, Who},
    limits::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES},
    storage::{Store, Write},
};
use pleach_storage::{Memory, conformance::Maker};

use crate::Outcome;

/// Bytes of text in each entry.
const PAYLOAD: usize = 256;

/// Makes the entries of one tree.
pub(crate) struct History {
    maker: Maker,
    text: String,
    /// The root, and what lets everybody read.
    pub(crate) ground: [VerifiedEntry; 2],
}

impl History {
    pub(crate) fn new() -> Self {
        let maker = Maker::new(1);
        let root = maker.root();
        let read = Grant { who: Who::Everyone, permission: Permission::Read, name: None };
        let open = maker.settings(&[root.position()], &[read], &[]);
        Self { maker, text: "x".repeat(PAYLOAD), ground: [root, open] }
    }

    pub(crate) fn tree(&self) -> Id {
        self.maker.tree()
    }

    /// Where histories begin.
    pub(crate) fn start(&self) -> Position {
        self.ground[1].position()
    }

    /// An entry on top of these parents, writing at a path of its own.
    pub(crate) fn leaf(&self, parents: &[Position], path: &str) -> VerifiedEntry {
        self.maker.entry(parents, path, &self.text)
    }

    /// Entries that each build on the one before.
    pub(crate) fn chain(&self, below: Position, count: usize, name: &str) -> Vec<VerifiedEntry> {
        let mut parent = below;
        (0..count)
            .map(|n| {
                let leaf = self.leaf(&[parent], &format!("{name}{n}"));
                parent = leaf.position();
                leaf
            })
            .collect()
    }

    /// One entry beside each of these.
    pub(crate) fn beside<'a>(
        &self,
        below: impl IntoIterator<Item = &'a VerifiedEntry>,
        name: &str,
    ) -> Vec<VerifiedEntry> {
        let below = below.into_iter().enumerate();
        below.map(|(n, entry)| self.leaf(&[entry.position()], &format!("{name}{n}"))).collect()
    }

    /// A store in memory that holds the ground and these.
    pub(crate) fn store(&self, entries: &[VerifiedEntry]) -> Outcome<Memory> {
        let store = Memory::new();
        self.put(&store, &self.ground)?;
        self.put(&store, entries)?;
        Ok(store)
    }

    /// A store that holds what another does, and these.
    pub(crate) fn fork(&self, base: &Memory, more: &[VerifiedEntry]) -> Outcome<Arc<dyn Store>> {
        let store = base.fork()?;
        self.put(&store, more)?;
        Ok(Arc::new(store))
    }

    /// Puts entries, parents first.
    pub(crate) fn put(&self, store: &dyn Store, entries: &[VerifiedEntry]) -> Outcome<()> {
        let mut entries: Vec<VerifiedEntry> = entries.to_vec();
        entries.sort_by_key(|entry| entry.position());
        let largest = entries.iter().map(|entry| entry.bytes().len()).max().unwrap_or(1);
        for batch in entries.chunks(MAX_BATCH_ENTRIES.min(MAX_BATCH_BYTES / largest)) {
            store.write(&Write::Put { tree: self.tree(), entries: batch.to_vec() })?;
        }
        Ok(())
    }
}
