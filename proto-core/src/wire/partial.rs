//! What a partial holder says of itself: a base, a ring of entries above it, and the room that is left.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::{
    Id, Position,
    wire::{Capabilities, PeerLimits, Versions},
};

/// Positions in a base: as many branches as a device plausibly starts from, few enough for a first page of flash.
pub const MAX_BASE: usize = 4;

/// Ids in a [`Have`]: what its holder lists for each contact.
pub const MAX_RING: usize = 1_024;

/// The head of a partial holder's request. The ids of the ring follow in the same frame, at most [`MAX_RING`],
/// parents before children.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Have {
    /// The versions that the holder speaks.
    pub versions: Versions,
    /// What else it can do.
    pub capabilities: Capabilities,
    /// Frames and messages that it can take.
    pub limits: PeerLimits,
    /// The tree, named by its root.
    pub tree: Id,
    /// Bytes in an entry that it can take.
    pub entry: u32,
    /// Entries that it has room for.
    pub entries: u32,
    /// Bytes of entries that it has room for.
    pub bytes: u32,
    /// Whether its ring shall be emptied, however little is new.
    pub relieve: bool,
    /// Entries that stand for themselves and for all their ancestors. None: it holds nothing below the ring.
    pub base: Vec<Position, MAX_BASE>,
}
