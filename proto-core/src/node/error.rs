//! Why a command failed, sorted by who is to blame.

use alloc::string::String;

use crate::{
    Id, PublicKey,
    access::Refusal,
    entry::EntryError,
    limits::MAX_GRANT_NAME,
    node::{
        LostSource,
        lost::{self, AllLost},
    },
    storage::StorageError,
    wire::MAX_REQUEST_METADATA,
};

/// Why a command failed.
///
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, Error, Id, Instance, Memory, NodeError};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// let elsewhere = Id::of(b"another");
/// let Err(Error::Node(error)) = Database::open(&instance, &elsewhere, DatabaseKey::Device) else { panic!("it is not here") };
/// assert_eq!(error, NodeError::UnknownTree(elsewhere));
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
///
/// One of several places may say more than another:
///
/// ```
/// # use pleach_blocking::{DatabaseTicket, Error, Id, Instance, Memory, MemoryNetwork, SecretKey, Sync};
/// # let instance = Instance::open(Memory::new())?;
/// # let sync = Sync::new(&instance)?;
/// # sync.register_transport("memory", MemoryNetwork::new().builder())?;
/// # let tree = Id::of(b"a database that nobody has");
/// # let peer = SecretKey::from_bytes([1; 32]).public();
/// let text = format!("pleach:?db={tree}&pr=memory:{peer}@one&pr=memory:{peer}@other");
/// let ticket: DatabaseTicket = text.parse()?;
/// let Err(Error::Node(error)) = sync.sync_with_ticket(&ticket) else { panic!("nobody is there") };
/// assert_eq!(error.sources().len(), 2);
/// assert!(error.any(|each| each == error.telling()));
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The caller named a tree that this node does not hold.
    #[error("no database {0} here: create it, or fetch it from a peer with a ticket")]
    UnknownTree(Id),
    /// The entry could not be made.
    #[error("the commit was not made: {0}")]
    Build(#[from] crate::entry::BuildError),
    /// The settings of a new tree, or what a commit writes, could not be encoded.
    #[error(transparent)]
    Document(#[from] crate::document::DocumentError),
    /// The rules of access do not allow the entry.
    #[error("the entry {0} was refused: {1}")]
    Refused(Id, Refusal),
    /// The caller named an entry that is not in the shared set.
    #[error("no entry {0} in this database: see its log")]
    UnknownEntry(Id),
    /// The caller wanted to undo the root.
    #[error("the first entry of a database cannot be undone: everything builds on it")]
    UndoRoot,
    /// The entry is valid and does not count.
    #[error(
        "the entry {0} does not count: its author was revoked by somebody; an administrator who still is one can do it"
    )]
    Masked(Id),
    /// Entries to append lack their parents.
    #[error("the parents of {0} entries are missing: append parents first")]
    MissingParents(usize),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The peer could not be reached, or the connection broke.
    #[error("{0}")]
    Transport(String),
    /// The peer did not answer in time.
    #[error(
        "the peer did not answer within {0} seconds: check that it runs and is reachable, then try again"
    )]
    TimedOut(u64),
    /// The peer knows no such tree, or does not let this node read it: it does not say which.
    #[error(
        "the peer does not offer database {0} to this node: check the id, and ask an administrator to grant access"
    )]
    NotOffered(Id),
    /// The peer holds no permission to read the tree, so nothing is sent to it.
    #[error("the peer may not read database {0}: grant its key a permission first")]
    PeerMayNotRead(Id),
    /// No such access request is open.
    #[error("no access request {0} is open: list them again, it may have been asked anew or decided")]
    NoRequest(Id),
    /// What an access request says is too long.
    #[error(
        "an access request has a name of at most {MAX_GRANT_NAME} bytes and metadata of at most {MAX_REQUEST_METADATA}: say less"
    )]
    RequestTooLong,
    /// The peer is busy.
    #[error("the peer is busy: try again in {0} milliseconds")]
    Busy(u64),
    /// The peer speaks another version, or takes too little at a time.
    #[error("the peer speaks another version of the protocol: {0}")]
    Incompatible(String),
    /// The peer refused an entry of ours.
    #[error("the peer refused an entry: {0}")]
    PeerRefused(String),
    /// The peer broke the protocol.
    #[error("the peer misbehaved: {0}: nothing that it sent against the rules was stored")]
    Misbehaved(String),
    /// The peer sent an entry that breaks a rule.
    #[error("the peer sent an invalid entry: {0}")]
    BadEntry(#[from] EntryError),
    /// The sets changed faster than they could be made the same.
    #[error("database {0} still differs: it changed all the time, sync again")]
    StillDiffers(Id),
    /// The peer could not serve the request.
    #[error("the peer failed to serve the request: look at its log, then try again")]
    PeerFailed,
    /// The address leads to this very node.
    #[error("this address leads to this node itself: give a peer's address")]
    OwnAddress,
    /// The peer is blocked on this node.
    #[error("the peer {0} is blocked here: unblock it first")]
    Blocked(PublicKey),
    /// Nobody knows where the peer is.
    #[error("no address of the peer is known: add one, or wait until the peer calls")]
    NoAddress,
    /// Several places were tried, and none of them could do it.
    #[error("all {} sources failed: {}", .0.len(), lost::shown(.0))]
    AllFailed(AllLost),
    /// The database is not kept the same with this peer.
    #[error("database {0} is not kept the same with {1}: register that peer for it first")]
    NotTracked(Id, PublicKey),
    /// The first sync with a peer has not come to its end within the time given.
    #[error("database {tree} was not synced within {millis} ms: {why}")]
    NotSynced {
        /// The database.
        tree: Id,
        /// The time given.
        millis: u64,
        /// What stands in the way.
        why: String,
    },
    /// A defect of this program.
    #[error("a defect in pleach, please report it: {0}")]
    Bug(String),
    /// Too much is under way.
    #[error("too many exchanges at once (limit {0}): try again later")]
    TooMany(usize),
    /// The node has been closed.
    #[error("the instance is closed")]
    Closed,
}

impl NodeError {
    /// The error that says most: of several sources' that of one that was reached, best of one that refused; of a single
    /// source's it is this one.
    pub fn telling(&self) -> &Self {
        match self {
            Self::AllFailed(sources) => lost::telling(sources).unwrap_or(self),
            error => error,
        }
    }

    /// Where it was tried, and why each place came to nothing, if there were several.
    pub fn sources(&self) -> &[LostSource] {
        match self {
            Self::AllFailed(sources) => sources,
            _ => &[],
        }
    }

    /// Whether this holds for the error, or for that of one of several sources.
    pub fn any(&self, holds: impl Fn(&Self) -> bool) -> bool {
        match self {
            Self::AllFailed(sources) => sources.iter().any(|source| holds(&source.error)),
            error => holds(error),
        }
    }

    /// Whether no other source could do better: it is this node that cannot.
    pub(super) const fn is_of_this_node(&self) -> bool {
        matches!(self, Self::Storage(_) | Self::Bug(_) | Self::Closed)
    }

    /// Whether nothing is known but that the peer could not be reached, or not be heard to the end.
    pub(super) const fn is_of_the_line(&self) -> bool {
        matches!(self, Self::Transport(_) | Self::TimedOut(_) | Self::TooMany(_) | Self::NoAddress)
    }

    /// Whether the peer does not let this node do what it wants with a tree: access may be asked for.
    pub(super) fn is_refusal(&self) -> bool {
        self.any(|error| matches!(error, Self::NotOffered(_) | Self::PeerRefused(_)))
    }
}
