//! Questions that the node asks of a snapshot.

use alloc::{string::String, vec::Vec};

use crate::{
    Id, Position, PublicKey, Range,
    entry::Entry,
    storage::{Snapshot, StorageError},
};

/// A question, answered by [`perform`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Read {
    /// What a commit needs to know.
    Commit {
        /// The tree.
        tree: Id,
        /// Who will sign.
        authors: Vec<PublicKey>,
        /// Store and path of everything written.
        paths: Vec<(String, String)>,
    },
    /// Entries of a range, for a frame.
    Entries {
        /// The tree.
        tree: Id,
        /// Of which range.
        range: Range,
        /// At most this many.
        limit: usize,
        /// At most this many bytes, one entry aside.
        bytes: usize,
    },
    /// Entries by id, for a frame; ids not held are left out.
    Listed {
        /// The tree.
        tree: Id,
        /// The ids.
        ids: Vec<Id>,
        /// At most this many bytes, one entry aside.
        bytes: usize,
    },
}

/// The answer to a [`Read`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadReply {
    /// To [`Read::Commit`]; nothing if the tree is not held.
    Commit(Option<CommitContext>),
    /// To [`Read::Entries`] and [`Read::Listed`].
    Entries(Vec<Entry>),
}

/// What a commit needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitContext {
    /// All tips.
    pub tips: Vec<Position>,
    /// The newest stamp's time for each path asked about, 0 if it was never written.
    pub newest: Vec<u64>,
}

/// Answers a question from a snapshot. Blocks for as long as the store takes.
pub fn perform(snapshot: &dyn Snapshot, read: &Read) -> Result<ReadReply, StorageError> {
    let _ = (snapshot, read);
    Ok(ReadReply::Entries(Vec::new()))
}
