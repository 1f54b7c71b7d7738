//! On what a revocation stands that is to undo entries.
//!
//! A revocation spares its ancestors. So it masks an entry, and what the same key wrote above it, if it takes as
//! parents the tips that the shared set would have without that entry and all that builds on it.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use crate::{
    Id, Position, Range,
    entry::Entry,
    limits::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES},
    node::NodeError,
    storage::{Snapshot, StorageError},
};

/// The tips of the shared set without an entry and its descendants, ascending; `tips` are those with them. Reads
/// what stands above the entry's parents, twice.
pub(super) fn tips_without(
    snapshot: &dyn Snapshot,
    tree: &Id,
    entry: &Id,
    tips: &[Position],
) -> Result<Vec<Position>, NodeError> {
    if entry == tree {
        return Err(NodeError::UndoRoot);
    }
    let found = snapshot.headers(tree, &[*entry])?.into_iter().flatten().find(|header| header.shared);
    let start = found.ok_or(NodeError::UnknownEntry(*entry))?.position;

    let mut gone = BTreeSet::from([*entry]);
    let mut bared = BTreeSet::new();
    ascend(snapshot, tree, start, |entry| {
        let view = entry.view();
        if gone.contains(&entry.id()) || view.parents().iter().any(|parent| gone.contains(&parent)) {
            gone.insert(entry.id());
            // Parents come first, so it is known which of them are gone.
            bared.extend(view.parents().iter().filter(|parent| !gone.contains(parent)));
        }
    })?;

    // A tip of what is left is a tip of the whole, or lost its last child.
    let bared: Vec<Id> = bared.into_iter().collect();
    let headers = snapshot.headers(tree, &bared)?.into_iter().flatten();
    let mut left: BTreeMap<Id, Position> =
        headers.map(|header| (header.position.id, header.position)).collect();
    if let Some(lowest) = left.values().min().copied() {
        ascend(snapshot, tree, lowest.next(), |entry| {
            if !gone.contains(&entry.id()) {
                for parent in entry.view().parents().iter() {
                    left.remove(&parent);
                }
            }
        })?;
    }
    left.extend(tips.iter().filter(|tip| !gone.contains(&tip.id)).map(|tip| (tip.id, *tip)));
    let mut left: Vec<Position> = left.into_values().collect();
    left.sort_unstable();
    Ok(left)
}

/// Visits the shared set from a position on, parents first.
fn ascend(
    snapshot: &dyn Snapshot,
    tree: &Id,
    start: Position,
    mut visit: impl FnMut(&Entry),
) -> Result<(), StorageError> {
    let mut range = Range { start, ..Range::ALL };
    loop {
        let page = snapshot.entries(tree, &range, MAX_BATCH_ENTRIES, MAX_BATCH_BYTES)?;
        let Some(last) = page.last() else { return Ok(()) };
        range.start = last.position().next();
        page.iter().for_each(&mut visit);
    }
}
