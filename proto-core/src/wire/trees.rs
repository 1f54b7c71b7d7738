//! Asking which trees one may read.

use heapless::String;
use serde::{Deserialize, Serialize};

use crate::{Id, wire::Versions};

/// Lines in one reply.
pub const TREES_PAGE: usize = 256;

/// Bytes of a tree's name in a reply; a longer one is cut at a character.
pub const MAX_TREE_NAME: usize = 128;

/// Asks for the trees that the asker may read, ascending by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TreesRequest {
    /// The versions that the asker speaks.
    pub versions: Versions,
    /// Continue behind this tree.
    pub after: Option<Id>,
}

/// The head of the answer. Lines follow in the same frame, at most [`TREES_PAGE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TreesReply {
    /// The version chosen.
    pub version: u8,
    /// Whether there are more behind the last line.
    pub more: bool,
}

/// One tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TreeLine {
    /// The tree, named by its root.
    pub tree: Id,
    /// The name that its settings give it.
    pub name: String<MAX_TREE_NAME>,
    /// Entries.
    pub count: u64,
    /// The newest time that the first two of its tips claim, in wall milliseconds; 0 if not known.
    pub changed: u64,
}
