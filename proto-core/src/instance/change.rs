//! What watchers of a database are told.

use alloc::vec::Vec;

use crate::{Id, Position, node::Origin};

/// Entries that are new in a database, and durable.
///
/// ```
/// # use pleach_blocking::{Change, Database, DatabaseKey, Doc, DocStore, Instance, Memory, Origin};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// let changes = db.watch();
/// let txn = db.new_transaction()?;
/// txn.get_store::<DocStore>("notes")?.set("title", "Pleaching")?;
/// let written = txn.commit()?;
/// let change = Change { tree: db.root_id(), entries: vec![written], origin: Origin::Local, missed: 0 };
/// assert_eq!(changes.next(), Some(change));
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The database.
    pub tree: Id,
    /// Where the new entries stand, ascending.
    pub entries: Vec<Position>,
    /// Where they came from.
    pub origin: Origin,
    /// Changes that this watcher has missed so far because it did not keep up: when it grows, read the database
    /// afresh.
    pub missed: u64,
}
