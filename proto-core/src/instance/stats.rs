//! What a database amounts to.

use alloc::{string::String, sync::Arc, vec::Vec};

use crate::{
    Id, Position,
    document::content_hash,
    instance::{Error, prepare::sync_tree_of},
    node::NodeError,
    storage::Snapshot,
};

/// Tips or trees asked for at once.
const PAGE: usize = 1_024;

/// A database in numbers.
///
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, DatabaseStats, Doc, Instance, Memory};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// let stats: DatabaseStats = db.stats()?;
/// assert_eq!((stats.id, stats.entries, stats.height), (db.root_id(), 1, 0));
/// assert_eq!(stats.tips, [db.root_id()]);
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseStats {
    /// The database.
    pub id: Id,
    /// The name that its settings give it; empty if none.
    pub name: String,
    /// Entries of the shared set.
    pub entries: u64,
    /// Canonical bytes of all entries stored.
    pub bytes: u64,
    /// Ids of the entries without children, ascending.
    pub tips: Vec<Id>,
    /// The greatest height.
    pub height: u64,
    /// BLAKE3 over the visible (store, path, value) in order, read from the rows: the same wherever the same is seen.
    pub content_hash: [u8; 32],
}

/// All tips of a tree, ascending.
pub fn tips(snapshot: &dyn Snapshot, tree: &Id) -> Result<Vec<Position>, Error> {
    let mut tips = Vec::new();
    loop {
        let page = snapshot.tips(tree, tips.last().copied(), PAGE)?;
        let full = page.len() >= PAGE;
        tips.extend(page);
        if !full {
            return Ok(tips);
        }
    }
}

/// The databases that a store holds with their names, ascending; the local `_sync` is none.
pub fn databases(snapshot: &dyn Snapshot) -> Result<Vec<(Id, String)>, Error> {
    let sync_tree = sync_tree_of(snapshot)?;
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = snapshot.trees(after, PAGE)?;
        for tree in page.iter().filter(|tree| Some(**tree) != sync_tree) {
            if let Some(summary) = snapshot.summary(tree)? {
                found.push((*tree, summary.name));
            }
        }
        if page.len() < PAGE {
            return Ok(found);
        }
        after = page.last().copied();
    }
}

/// A tree in numbers. Reads every row once.
pub fn stats(snapshot: &Arc<dyn Snapshot>, tree: &Id) -> Result<DatabaseStats, Error> {
    let summary = snapshot.summary(tree)?.ok_or(NodeError::UnknownTree(*tree))?;
    let mut tips: Vec<_> = tips(&**snapshot, tree)?.into_iter().map(|tip| tip.id).collect();
    tips.sort_unstable();
    Ok(DatabaseStats {
        id: *tree,
        name: summary.name,
        entries: summary.measure.count,
        bytes: summary.bytes,
        tips,
        height: summary.height,
        content_hash: content_hash(snapshot, tree)?,
    })
}
