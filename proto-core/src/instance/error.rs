//! Everything that can go wrong in a runtime's interface, sorted by who is to blame.

use alloc::string::String;

use crate::{
    Id, PublicKey,
    document::DocumentError,
    entry::{EntryError, Permission},
    instance::{MAX_PEER_ADDRESSES, user::MAX_USER_NAME},
    node::{LimitError, LostSource, NodeError, Reply},
    storage::StorageError,
    wire::{AddressError, MAX_INVITE_USES, MAX_INVITE_VALIDITY, TicketError},
};

/// Why a call failed. The text says what to do; the `is_*` queries sort errors by what a program does about them.
///
/// ```
/// # use pleach_core::{Id, instance::Error, node::NodeError};
/// let error = Error::from(NodeError::NotOffered(Id::of(b"a tree")));
/// assert!(error.is_permission_denied() && !error.is_retryable());
/// ```
///
/// What a program does about each kind:
///
/// ```
/// # use pleach_core::{instance::Error, storage::StorageError};
/// fn what_to_do(error: &Error) -> &'static str {
///     match error {
///         error if error.is_closed() => "open the instance again",
///         error if error.is_retryable() => "try again",
///         error if error.is_locked() => "stop the other process",
///         error if error.is_storage() => "look after the disk",
///         error if error.is_blocked() => "unblock the peer",
///         error if error.is_permission_denied() => "ask an administrator",
///         error if error.is_not_found() => "look for it elsewhere",
///         error if error.is_timeout() || error.is_network() => "look after the network",
///         error if error.is_incompatible() => "update the older of the two",
///         error if error.is_peer_fault() => "leave that peer alone",
///         _ => "read what it says",
///     }
/// }
/// assert_eq!(what_to_do(&Error::CLOSED), "open the instance again");
/// assert_eq!(what_to_do(&Error::Storage(StorageError::Locked("notes.redb".into()))), "stop the other process");
/// ```
///
/// What runtimes make of failures below:
///
/// ```
/// # use pleach_core::{instance::Error, node::Reply};
/// assert_eq!(Error::transport("quic", &"no network").to_string(), "the transport quic failed: no network");
/// assert!(matches!(Error::unexpected(&Reply::Done), Error::Bug(_)));
/// ```
///
/// Of a call that tried several places, what became of each:
///
/// ```
/// # use pleach_blocking::{DatabaseTicket, Id, Instance, Memory, MemoryNetwork, SecretKey, Sync};
/// # let instance = Instance::open(Memory::new())?;
/// # let sync = Sync::new(&instance)?;
/// # sync.register_transport("memory", MemoryNetwork::new().builder())?;
/// # let tree = Id::of(b"a database that nobody has");
/// # let peer = SecretKey::from_bytes([1; 32]).public();
/// let text = format!("pleach:?db={tree}&pr=memory:{peer}@one&pr=memory:{peer}@other");
/// let ticket: DatabaseTicket = text.parse()?;
/// let error = sync.sync_with_ticket(&ticket).unwrap_err();
/// assert_eq!(error.sources().len(), 2);
/// assert!(error.is_network());
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The engine could not do it.
    #[error(transparent)]
    Node(NodeError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A value, a path or a store was used in a way that its kind does not allow.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The ticket cannot be made or read.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// The address cannot be read.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A transport could not be set up: a port in use, a name that does not resolve.
    #[error("the transport {name} failed: {reason}")]
    Transport {
        /// The name that it is registered under.
        name: String,
        /// What happened and what to do.
        reason: String,
    },
    /// No transport has this name.
    #[error("no transport is registered as {0}: register one first")]
    UnknownTransport(String),
    /// No transport at all, or none that may listen.
    #[error("no transport has a place to listen: register one and say where it binds")]
    NowhereToListen,
    /// Nothing listens.
    #[error("no server is running: call accept_connections first")]
    NoServer,
    /// Nobody is known to hold the database.
    #[error("no peer is known for database {0}: name an address, or use a ticket")]
    NoPeer(Id),
    /// The ticket names no address, and no peer is known for its database.
    #[error(
        "the ticket for {0} names no address and no peer is known: ask for a ticket made while a server runs"
    )]
    NoAddress(Id),
    /// The key is this node's own.
    #[error("this is the key of this node itself: give a peer's")]
    OwnKey,
    /// The address names another key than the peer's.
    #[error("the address names the key {found}, not {peer}: give one of this peer")]
    AddressOfAnother {
        /// The peer.
        peer: PublicKey,
        /// Who is named.
        found: PublicKey,
    },
    /// The book has as many addresses of the peer as it takes.
    #[error("{MAX_PEER_ADDRESSES} addresses of {0} are known: remove one first")]
    TooManyAddresses(PublicKey),
    /// A limit that was set is out of range.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// Only an administrator can let somebody in.
    #[error(
        "{key} is no administrator of database {tree}: ask one of them to approve, or open it with their key"
    )]
    NotAdministrator {
        /// The database.
        tree: Id,
        /// Who wanted to approve.
        key: PublicKey,
    },
    /// The access request has waited too long, or a clock was wrong.
    #[error("the access request {0} has expired: have it asked again, and compare what it asks for")]
    RequestExpired(Id),
    /// An invite promises no more than one below what its maker holds.
    #[error(
        "an invite by {key} can grant at most {most}, not {permission}: ask an administrator of a higher rank to make it"
    )]
    InviteRank {
        /// Who wanted to make it.
        key: PublicKey,
        /// The most that they may promise.
        most: Permission,
        /// What was to be promised.
        permission: Permission,
    },
    /// An invite is for a limited number of keys.
    #[error("an invite is for 1 to {MAX_INVITE_USES} keys, not for {0}: make several, or let everybody in")]
    InviteUses(u16),
    /// An invite is good for a limited time.
    #[error(
        "an invite is good for at most 365 days ({MAX_INVITE_VALIDITY} ms) and at least one ms, not for {0}: make a new one when it has expired"
    )]
    InviteValidity(u64),
    /// The settings know no such invite.
    #[error("no invite {0} is known here: list them, or sync with whoever made it")]
    NoInvite(Id),
    /// Nobody of this name is a user of this instance.
    #[error("there is no user {0}: list them, or create one")]
    NoUser(String),
    /// The name of a user is taken.
    #[error("there is a user {0} already: log in, or take another name")]
    UserExists(String),
    /// The name of a user is empty or too long.
    #[error("a user's name has 1 to {MAX_USER_NAME} bytes, not {0}: take another one")]
    UserName(usize),
    /// The password is not the user's, or the user has none.
    #[error("this is not the password of {0}: try again")]
    WrongPassword(String),
    /// The user's keys are under a password, and none was given.
    #[error("the keys of {0} are under a password: give it to log in")]
    PasswordNeeded(String),
    /// Passwords cannot be used.
    #[error("a password cannot be used: {0}")]
    Password(String),
    /// The user has no such key, or none that may do anything in a database.
    #[error("{user} has no key {wanted}: list their keys, or ask for access")]
    NoUserKey {
        /// The user's name.
        user: String,
        /// The key, or the database for which there is none.
        wanted: String,
    },
    /// The root that was given is not that of the local `_sync` tree.
    #[error("{0} is not the _sync tree of this instance: leave it out, or open the store that it belongs to")]
    NotTheSyncTree(Id),
    /// The entry is not held.
    #[error("the entry {entry} of database {tree} is not held here: commit or append it first")]
    NoEntry {
        /// The database.
        tree: Id,
        /// The entry.
        entry: Id,
    },
    /// The store belongs to another node key.
    #[error(
        "the store belongs to the node {held}, not to {given}: open it without a key, or use another store"
    )]
    AnotherKey {
        /// The key in the store.
        held: PublicKey,
        /// The key given.
        given: PublicKey,
    },
    /// The key is not the one that made the database.
    #[error("this is not the root key of database {0}: look for the one that was exported from it")]
    NotTheRootKey(Id),
    /// The node answered another question: our bug.
    #[error("the node answered something else than it was asked ({0}): please report this")]
    Bug(String),
    /// The instance has not ended in the time given. It goes on ending.
    #[error("the instance has not ended in {0} ms: let callbacks return, and wait again")]
    NotEnded(u64),
    /// The node itself could not be started: no entropy, no thread.
    #[error("the instance could not start: {0}")]
    Start(String),
}

impl From<NodeError> for Error {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Storage(error) => Self::Storage(error),
            error => Self::Node(error),
        }
    }
}

impl From<EntryError> for Error {
    fn from(error: EntryError) -> Self {
        Self::Document(DocumentError::Rule(error))
    }
}

impl Error {
    /// The instance is gone.
    pub const CLOSED: Self = Self::Node(NodeError::Closed);

    /// A transport that failed under a name.
    pub fn transport(name: &str, reason: &dyn core::fmt::Display) -> Self {
        Self::Transport { name: name.into(), reason: alloc::format!("{reason}") }
    }

    /// For a reply of another kind than the command's.
    pub fn unexpected(reply: &Reply) -> Self {
        Self::Bug(alloc::format!("{reply:?}"))
    }

    /// The instance is gone: open it again.
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Node(NodeError::Closed))
    }

    /// The database, the access request, the invite, or the pair of database and peer is not here.
    pub const fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::NoInvite(_)
                | Self::NoUser(_)
                | Self::NoUserKey { .. }
                | Self::NoEntry { .. }
                | Self::Node(NodeError::UnknownTree(_) | NodeError::NoRequest(_) | NodeError::NotTracked(..))
        )
    }

    /// The rules of access are in the way: here, or at the peer, which does not say whether it holds the database.
    pub fn is_permission_denied(&self) -> bool {
        matches!(
            self,
            Self::NotAdministrator { .. }
                | Self::WrongPassword(_)
                | Self::PasswordNeeded(_)
                | Self::InviteRank { .. }
        ) || self.tells(|error| {
            matches!(
                error,
                NodeError::Refused(..)
                    | NodeError::NotOffered(_)
                    | NodeError::PeerMayNotRead(_)
                    | NodeError::PeerRefused(_)
            )
        })
    }

    /// Somebody here blocked the peer.
    pub fn is_blocked(&self) -> bool {
        self.tells(|error| matches!(error, NodeError::Blocked(_)))
    }

    /// The peer could not be reached, or the connection broke.
    pub fn is_network(&self) -> bool {
        matches!(self, Self::Transport { .. })
            || self.tells(|error| matches!(error, NodeError::Transport(_) | NodeError::TimedOut(_)))
    }

    /// Time ran out.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::NotEnded(_))
            || self.tells(|error| matches!(error, NodeError::TimedOut(_) | NodeError::NotSynced { .. }))
    }

    /// The peer did what no honest peer does.
    pub fn is_peer_fault(&self) -> bool {
        self.tells(|error| matches!(error, NodeError::Misbehaved(_) | NodeError::BadEntry(_)))
    }

    /// The peer speaks another version.
    pub fn is_incompatible(&self) -> bool {
        self.tells(|error| matches!(error, NodeError::Incompatible(_)))
    }

    /// The store failed: its disk is full, it is damaged or open elsewhere.
    pub const fn is_storage(&self) -> bool {
        matches!(self, Self::Storage(_))
    }

    /// The store is open in another process.
    pub const fn is_locked(&self) -> bool {
        matches!(self, Self::Storage(StorageError::Locked(_)))
    }

    /// The same call may succeed later without anything being changed: with one of the sources, if several failed.
    pub fn is_retryable(&self) -> bool {
        let passes = |error: &NodeError| {
            matches!(
                error,
                NodeError::Transport(_) | NodeError::TimedOut(_) | NodeError::Busy(_) | NodeError::TooMany(_)
            )
        };
        matches!(self, Self::Node(error) if error.any(passes))
    }

    /// Where it was tried, and why each place came to nothing, if there were several.
    pub fn sources(&self) -> &[LostSource] {
        match self {
            Self::Node(error) => error.sources(),
            _ => &[],
        }
    }

    /// Whether the engine could not do it for such a reason; of several sources, by the one that says most.
    fn tells(&self, holds: impl Fn(&NodeError) -> bool) -> bool {
        matches!(self, Self::Node(error) if holds(error.telling()))
    }
}
