//! Asking for access to a tree.

use heapless::String;
use serde::{Deserialize, Serialize};

use crate::{
    Id,
    entry::Permission,
    limits::MAX_GRANT_NAME,
    wire::{Redemption, Versions},
};

/// Bytes that an access request carries for whoever decides about it: a letter, or what a program needs to recognise
/// the asker.
pub const MAX_REQUEST_METADATA: usize = 4_096;

/// Asks for a permission for the key that is proven on the exchange. The metadata follow in the same frame, up to its
/// end, at most [`MAX_REQUEST_METADATA`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ask {
    /// The versions that the asker speaks.
    pub versions: Versions,
    /// The tree.
    pub tree: Id,
    /// What the asker wants to be allowed; with an invite, if that lets nobody in.
    pub permission: Permission,
    /// A name by which people may recognise the asker; empty if none.
    pub name: String<MAX_GRANT_NAME>,
    /// An invite that the asker redeems.
    pub invite: Option<Redemption>,
    /// Milliseconds for which the responder may keep its answer back while it is `Received`; 0 to be answered at once.
    pub hold: u32,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Asked {
    /// The version chosen.
    pub version: u8,
    /// What became of it.
    pub outcome: AskOutcome,
}

/// What became of an access request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AskOutcome {
    /// It came. This is also the answer about a tree that is not there, at a node that cannot decide, when there is no
    /// room, and to an invite that is worth nothing: who asks learns nothing from it.
    Received,
    /// An administrator has approved this very request of this very key, or made the invite that it redeems; this is
    /// granted.
    Approved(Permission),
    /// An administrator has rejected this very request of this very key.
    Rejected,
}
