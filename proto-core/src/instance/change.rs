//! What watchers of a database are told.

use alloc::vec::Vec;

use crate::{Id, Position, node::Origin};

/// Entries that are new in a database, and durable.
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
