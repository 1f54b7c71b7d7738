//! What the node knows of a pair of tree and peer at this moment, and of a peer.

use serde::{Deserialize, Serialize};

use crate::{PublicKey, node::record::PairRecord, wire::AskOutcome};

/// What people have decided about a peer.
///
/// ```
/// # use pleach_core::node::PeerStatus;
/// assert_eq!(PeerStatus::default(), PeerStatus::Active);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerStatus {
    /// It is dialled and served.
    #[default]
    Active,
    /// The background leaves it alone; it is served when it calls, and dialled when a caller says so.
    Inactive,
    /// It is neither dialled nor served: to it, nothing is here.
    Blocked,
}

/// Whether there is a connection to a peer, by the exchanges under way.
///
/// ```
/// # use pleach_blocking::{ConnectionState, Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork, Permission, Sync, Who};
/// # let network = MemoryNetwork::new();
/// # let (alice, bob) = (Instance::open(Memory::new())?, Instance::open(Memory::new())?);
/// # let (serving, sync) = (Sync::new(&alice)?, Sync::new(&bob)?);
/// # serving.register_transport("memory", network.builder().bind("alice"))?;
/// # sync.register_transport("memory", network.builder().bind("bob"))?;
/// # let place = serving.accept_connections()?.remove(0);
/// # let grants = vec![(Who::Key(bob.device_key()), Permission::Write(100))];
/// # let db = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants)?;
/// # let tree = db.root_id();
/// sync.sync_with_peer(&place, Some(&tree))?;
/// let info = sync.get_peer_info(&alice.device_key())?.expect("it was met");
/// assert_ne!(info.connection, ConnectionState::Failed);
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    /// Nothing is under way, and nothing went wrong last.
    #[default]
    Disconnected,
    /// Nothing is under way, and the last attempt of the background failed.
    Failed,
    /// It is being dialled, and has said nothing yet.
    Connecting,
    /// An exchange with it is under way in which its key is proven. Over HTTP this lasts as long as a request does.
    Connected,
}

/// What the node knows of a peer at this moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerState {
    /// Its key.
    pub peer: PublicKey,
    /// By the exchanges under way.
    pub connection: ConnectionState,
    /// When it was met, if ever: it has synced with this node, or was let in by it.
    pub seen: Option<Seen>,
}

/// When a peer was met, in wall milliseconds of this node.
///
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork, Permission, Seen, Sync, Who};
/// # let network = MemoryNetwork::new();
/// # let (alice, bob) = (Instance::open(Memory::new())?, Instance::open(Memory::new())?);
/// # let (serving, sync) = (Sync::new(&alice)?, Sync::new(&bob)?);
/// # serving.register_transport("memory", network.builder().bind("alice"))?;
/// # sync.register_transport("memory", network.builder().bind("bob"))?;
/// # let place = serving.accept_connections()?.remove(0);
/// # let grants = vec![(Who::Key(bob.device_key()), Permission::Write(100))];
/// # let db = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants)?;
/// # let tree = db.root_id();
/// sync.sync_with_peer(&place, Some(&tree))?;
/// let seen: Option<Seen> = sync.get_peer_info(&alice.device_key())?.and_then(|info| info.seen);
/// assert!(seen.is_some_and(|seen| seen.first <= seen.last && seen.times >= 1));
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Seen {
    /// The first time.
    pub first: u64,
    /// The last time.
    pub last: u64,
    /// How often: exchanges in which it was let in here, or that ended well.
    pub times: u64,
}

/// What the node knows of a pair of tree and peer at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PairStatus {
    /// The background keeps the pair the same.
    pub followed: bool,
    /// How the peer stands.
    pub peer: PeerStatus,
    /// What is kept of it over restarts.
    pub record: PairRecord,
    /// What is under way.
    pub activity: Activity,
    /// Milliseconds until the background syncs again, unless there is news before.
    pub next_try: Option<u64>,
    /// What the peer said when access was asked for, since it refused last.
    pub asked: Option<AskOutcome>,
    /// The last failure was a refusal: to try again changes nothing until somebody grants access.
    pub refused: bool,
}

/// What the background is doing about a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activity {
    /// Nothing.
    #[default]
    Idle,
    /// It dials, or waits for the first answer.
    Connecting {
        /// Milliseconds since anything was heard.
        silent: u64,
    },
    /// It asks for access.
    Asking,
    /// The two compare what they hold, or move entries.
    Syncing(Moved),
}

/// How far an exchange is. Bytes are those of frames, as encoded.
///
/// ```
/// # use pleach_core::node::Moved;
/// let moved = Moved { entries_received: 30, entries_to_receive: 70, millis: 1_500, ..Moved::default() };
/// let percent = 100 * moved.entries_received / (moved.entries_received + moved.entries_to_receive);
/// assert_eq!(percent, 30);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Moved {
    /// Entries received and stored.
    pub entries_received: u64,
    /// Entries to come, as far as is known.
    pub entries_to_receive: u64,
    /// Entries sent.
    pub entries_sent: u64,
    /// Entries to be sent yet, as far as is known.
    pub entries_to_send: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Milliseconds since it began.
    pub millis: u64,
    /// Milliseconds since anything happened on it.
    pub silent: u64,
}
