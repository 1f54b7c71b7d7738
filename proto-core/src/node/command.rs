//! What callers ask of the node, and what they are told.

use alloc::{boxed::Box, string::String, vec::Vec};

use crate::{
    Id, Position, PublicKey, SecretKey,
    document::Doc,
    entry::{Permission, VerifiedEntry, Who},
    node::{
        Attempt, BootstrapRequest, Counts, HistoryMarks, LostSource, NodeError, PairRecord, PairStatus,
        PeerState, PeerStatus, Seen, SyncHistoryEntry, lost,
    },
    storage::{MetaChanges, Put},
    wire::{Address, Ask, AskOutcome, Invitation, MAX_REQUEST_METADATA, Versions},
};

/// Ties a command to its reply. The caller's choice; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// What a caller asks for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Command {
    /// Make a tree. Its root key is made here and kept in the node's metadata. Replies [`Reply::Created`].
    Create {
        /// Who becomes `Admin(0)`.
        creator: PublicKey,
        /// What the settings hold beside grants, such as `name`.
        settings: Doc,
        /// Grants that the root makes beside the creator's.
        grants: Vec<(Who, Permission)>,
    },
    /// Write one entry on top of all tips. Replies [`Reply::Committed`] once it is durable.
    Commit(Commit),
    /// Write one entry on top of the tips that the shared set has without an entry and all that builds on it: a
    /// revocation in it masks what the revoked key wrote from there on. Replies [`Reply::Committed`].
    Undo {
        /// The lowest entry to undo.
        entry: Id,
        /// The transaction that revokes.
        commit: Commit,
    },
    /// Take entries that were made elsewhere: an import, a restored copy. Replies [`Reply::Appended`].
    Append {
        /// The tree.
        tree: Id,
        /// The entries, parents first.
        entries: Vec<VerifiedEntry>,
    },
    /// Forget a tree. Replies [`Reply::Done`].
    Drop(Id),
    /// Make a tree the same here and at a peer. A tree that is not held yet is fetched. Replies
    /// [`Reply::Synced`].
    Sync {
        /// Where the peer is.
        address: Address,
        /// The tree.
        tree: Id,
    },
    /// The same at whichever of these addresses answers first, each with a head start before the next. One that is lost
    /// on the way gives its place to the next at once, and what it has brought stays. Replies [`Reply::Synced`] when one
    /// has come to the end; fails with [`NodeError::AllFailed`] when all have failed.
    SyncAny {
        /// Where the peer may be, or several who may have the tree; best first.
        addresses: Vec<Address>,
        /// The tree.
        tree: Id,
    },
    /// Ask who is at an address: the key is proven when the reply is there. Replies [`Reply::Connected`].
    Connect(Address),
    /// Ask a peer which trees it would let us read. Replies [`Reply::Trees`].
    Discover(Address),
    /// Ask for access to a tree, for this node's own key, at whichever of these addresses answers first; with an invite,
    /// at the first that takes it or rejects it, each with a head start before the next. Replies [`Reply::Asked`].
    Ask {
        /// Where somebody may be who administers the tree; best first.
        addresses: Vec<Address>,
        /// The tree.
        tree: Id,
        /// What to ask for.
        petition: Petition,
    },
    /// Note what was decided about an access request that a peer made here. It grants nothing: that is a commit to the
    /// tree's settings, made before. Replies [`Reply::Done`].
    Decide {
        /// The request, by its id.
        request: Id,
        /// Who decides.
        by: PublicKey,
        /// What was granted; nothing if it is rejected.
        granted: Option<Permission>,
    },
    /// Keep a tree the same with a peer from now on. Replies [`Reply::Done`].
    Track(Box<Tracking>),
    /// End that, and forget how it went. Replies [`Reply::Done`].
    Untrack {
        /// The tree.
        tree: Id,
        /// The peer.
        peer: PublicKey,
    },
    /// Say what is known of a pair of tree and peer at this moment. Replies [`Reply::Pair`].
    Status {
        /// The tree.
        tree: Id,
        /// The peer.
        peer: PublicKey,
    },
    /// Wait until a tree that is tracked has been the same here and at the peer once, before a restart or since. Replies
    /// [`Reply::Done`].
    AwaitSync {
        /// The tree.
        tree: Id,
        /// The peer.
        peer: PublicKey,
        /// Milliseconds after which to give up.
        within: Option<u64>,
    },
    /// Sync a pair that is tracked at once, as if there were news. Replies [`Reply::Done`].
    Nudge {
        /// The tree.
        tree: Id,
        /// The peer.
        peer: PublicKey,
    },
    /// Attempt at once all that is pending with the peers that trees are kept the same with: news, first syncs, what failed
    /// before. Replies [`Reply::Flushed`] when each was attempted.
    Flush,
    /// Say what is not in the metadata yet of the history of syncs. Replies [`Reply::History`].
    History,
    /// Take up where the history of syncs goes on. Before anything else about syncs. Replies [`Reply::Done`].
    RecallHistory(HistoryMarks),
    /// Forget syncs that ended before this, in wall milliseconds. Replies [`Reply::Done`].
    ForgetHistory {
        /// Wall milliseconds.
        before: u64,
    },
    /// Take up when peers were met, as the metadata have it. Before anything is accepted. Replies [`Reply::Done`].
    Recall(Vec<(PublicKey, Seen)>),
    /// What the book says of a peer from now on. Exchanges with one that is blocked end. Replies [`Reply::Done`].
    SetPeer {
        /// The peer.
        peer: PublicKey,
        /// How it stands.
        status: PeerStatus,
    },
    /// The peer is not in the book any more, and is to be as if it had never come. Replies [`Reply::Done`].
    ForgetPeer(PublicKey),
    /// Say what is known of peers at this moment. Replies [`Reply::Peers`].
    Peers,
    /// Make a tree whole again: derive all that is derived from its entries once more, leave those behind that are
    /// damaged, and fetch them from the peers that it is kept the same with. Replies [`Reply::Repaired`].
    Repair(Id),
    /// Change the node's metadata: a value for a key, or nothing to remove it. Replies [`Reply::Done`].
    Meta(MetaChanges),
}

/// A tree and a peer that are to be the same: at once, after each commit, and from time to time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tracking {
    /// The tree.
    pub tree: Id,
    /// The peer.
    pub peer: PublicKey,
    /// Where it may be found, best first. Without any, it is remembered how syncs go, and nothing is begun.
    pub addresses: Vec<Address>,
    /// Milliseconds between two syncs when nothing else happens.
    pub interval: u64,
    /// What is new here is not told at once: it waits for the next sync.
    pub quiet: bool,
    /// What to ask for when the peer refuses.
    pub auth: Option<Petition>,
    /// How it went before, unless the node knows; see [`PairRecord::read`].
    pub record: PairRecord,
}

impl Tracking {
    /// A pair of which nothing is known yet.
    pub fn new(tree: Id, peer: PublicKey, addresses: Vec<Address>, interval: u64) -> Self {
        Self { tree, peer, addresses, interval, quiet: false, auth: None, record: PairRecord::default() }
    }
}

/// What to ask a peer for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Petition {
    /// The permission.
    pub permission: Permission,
    /// A name by which people there may recognise this node; empty if none.
    pub name: String,
    /// What else whoever decides is to know.
    pub metadata: Vec<u8>,
    /// An invite to redeem.
    pub invite: Option<Box<Invitation>>,
    /// Milliseconds for which the peer may keep its answer back while nobody has decided.
    pub hold: u32,
}

impl Petition {
    /// The message that asks, and the metadata behind it.
    pub(super) fn ask(self, tree: Id, own: PublicKey) -> Result<Box<(Ask, Vec<u8>)>, NodeError> {
        let Self { permission, name, metadata, invite, hold } = self;
        let invite = invite.map(|invite| invite.redeem(own));
        match heapless::String::try_from(name.as_str()) {
            Ok(name) if metadata.len() <= MAX_REQUEST_METADATA => Ok(Box::new((
                Ask { versions: Versions::OURS, tree, permission, name, invite, hold },
                metadata,
            ))),
            _ => Err(NodeError::RequestTooLong),
        }
    }
}

/// One transaction of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The tree.
    pub tree: Id,
    /// Who signs.
    pub key: SecretKey,
    /// Names and encoded data of the stores written, ascending.
    pub stores: Vec<(String, Vec<u8>)>,
    /// Store and path of everything written, for the entry's time.
    pub paths: Vec<(String, String)>,
}

/// The good outcome of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// The tree's id.
    Created(Id),
    /// Where the new entry stands.
    Committed(Position),
    /// What became of the entries.
    Appended(Put),
    /// What an exchange did.
    Synced(SyncReport),
    /// What a peer lets us read.
    Trees(Vec<TreeInfo>),
    /// What was damaged.
    Repaired(Damage),
    /// What a peer says to an access request, and where it was asked.
    Asked(AskOutcome, Address),
    /// Who answers at an address.
    Connected(PublicKey),
    /// What is known of a pair; nothing if it is unknown.
    Pair(Option<Box<PairStatus>>),
    /// Whoever was met, is in touch, or cannot be reached, ascending by key.
    Peers(Vec<PeerState>),
    /// What became of all that was pending.
    Flushed(Vec<Attempt>),
    /// Syncs that no snapshot taken before may hold.
    History(Vec<SyncHistoryEntry>),
    /// It is done.
    Done,
}

/// What was damaged in a tree that was made whole again. A sync with a peer brings it back.
///
/// ```
/// # use pleach_blocking::{Damage, Database, DatabaseKey, Doc, Instance, Memory};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// assert_eq!(db.repair()?, Damage::default(), "nothing was damaged");
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Damage {
    /// Entries that do not read as what was stored; at most the first 256. One that has gone altogether is not named.
    pub entries: Vec<Id>,
    /// How many there are.
    pub count: u64,
    /// Intact entries that wait until the damaged ones below them are back.
    pub waiting: u64,
}

/// What one sync moved, with all whom it went to. Frames are counted where they enter and leave the session, as encoded.
///
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork, Permission, Sync, SyncReport, Who};
/// # let network = MemoryNetwork::new();
/// # let (alice, bob) = (Instance::open(Memory::new())?, Instance::open(Memory::new())?);
/// # let (serving, sync) = (Sync::new(&alice)?, Sync::new(&bob)?);
/// # serving.register_transport("memory", network.builder().bind("alice"))?;
/// # sync.register_transport("memory", network.builder().bind("bob"))?;
/// # let place = serving.accept_connections()?.remove(0);
/// # let grants = vec![(Who::Key(bob.device_key()), Permission::Write(100))];
/// # let db = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants)?;
/// # let tree = db.root_id();
/// let reports: Vec<SyncReport> = sync.sync_with_peer(&place, Some(&tree))?;
/// assert_eq!((reports[0].peer, reports[0].entries_received), (Some(alice.device_key()), 1));
/// assert!(reports[0].moved());
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncReport {
    /// The tree.
    pub tree: Id,
    /// With whom it came to the end.
    pub peer: Option<PublicKey>,
    /// Where that peer was found.
    pub address: Option<Address>,
    /// Entries that were new here.
    pub entries_received: u64,
    /// Entries sent to the peer.
    pub entries_sent: u64,
    /// Bytes of frames received.
    pub bytes_received: u64,
    /// Bytes of frames sent.
    pub bytes_sent: u64,
    /// Requests that were answered.
    pub round_trips: u32,
    /// Milliseconds from the first dial to equal tips.
    pub millis: u64,
    /// Places that came to nothing before, in this order. What they moved is part of the numbers above.
    pub lost: Vec<LostSource>,
}

impl SyncReport {
    /// Whether entries went either way.
    pub const fn moved(&self) -> bool {
        self.entries_received > 0 || self.entries_sent > 0
    }

    /// What was moved.
    const fn counts(&self) -> Counts {
        Counts {
            entries_received: self.entries_received,
            entries_sent: self.entries_sent,
            bytes_received: self.bytes_received,
            bytes_sent: self.bytes_sent,
            round_trips: self.round_trips,
        }
    }

    /// After others that came to nothing.
    pub(super) fn after(self, others: Vec<LostSource>) -> Self {
        let all = self.counts().plus(&lost::moved(&others));
        Self { lost: others, ..self }.with(&all)
    }

    /// Without what was moved with others before.
    pub(super) fn with_peer_alone(&self) -> Self {
        let own = self.counts().less(&lost::moved(&self.lost));
        Self { lost: Vec::new(), ..self.clone() }.with(&own)
    }

    /// The same with what was moved.
    pub(super) fn with(self, counts: &Counts) -> Self {
        Self {
            entries_received: counts.entries_received,
            entries_sent: counts.entries_sent,
            bytes_received: counts.bytes_received,
            bytes_sent: counts.bytes_sent,
            round_trips: counts.round_trips,
            ..self
        }
    }

    /// That nothing was moved yet.
    pub(crate) const fn nothing(tree: Id) -> Self {
        Self {
            tree,
            peer: None,
            address: None,
            entries_received: 0,
            entries_sent: 0,
            bytes_received: 0,
            bytes_sent: 0,
            round_trips: 0,
            millis: 0,
            lost: Vec::new(),
        }
    }
}

/// A tree that a peer offers.
///
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork, Permission, Sync, TreeInfo, Who};
/// # let network = MemoryNetwork::new();
/// # let (alice, bob) = (Instance::open(Memory::new())?, Instance::open(Memory::new())?);
/// # let (serving, sync) = (Sync::new(&alice)?, Sync::new(&bob)?);
/// # serving.register_transport("memory", network.builder().bind("alice"))?;
/// # sync.register_transport("memory", network.builder().bind("bob"))?;
/// # let place = serving.accept_connections()?.remove(0);
/// # let grants = vec![(Who::Key(bob.device_key()), Permission::Write(100))];
/// # let db = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants)?;
/// # let tree = db.root_id();
/// let offered: Vec<TreeInfo> = sync.discover_peer_trees(&place)?;
/// assert_eq!((offered[0].id, offered[0].entries), (tree, 1));
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TreeInfo {
    /// The tree.
    pub id: Id,
    /// Its name, as the peer's settings have it.
    pub name: String,
    /// Entries that the peer holds.
    pub entries: u64,
    /// The newest time that the first two of its tips claim, in wall milliseconds; 0 if not known.
    pub changed: u64,
}

/// What watchers are told.
///
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, DocStore, Instance, Memory, Notification, Origin, Sync};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// let happens = Sync::new(&instance)?.watch()?;
/// let txn = db.new_transaction()?;
/// txn.get_store::<DocStore>("notes")?.set("title", "Pleaching")?;
/// txn.commit()?;
/// let Some(Notification::Wrote { tree, origin, .. }) = happens.next() else { panic!("it was written") };
/// assert_eq!((tree, origin), (db.root_id(), Origin::Local));
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notification {
    /// Entries are new and durable.
    Wrote {
        /// The tree.
        tree: Id,
        /// Where they stand.
        entries: Vec<Position>,
        /// Where they came from.
        origin: Origin,
    },
    /// An exchange moved on.
    Progress(Progress),
    /// A store was found damaged, and the tree made whole again as far as its entries are intact.
    Repaired {
        /// The tree.
        tree: Id,
        /// What was damaged.
        damage: Damage,
    },
    /// A peer has asked for access to a tree that this node administers; nobody has decided yet.
    Requested(Box<BootstrapRequest>),
    /// A background sync of a tracked tree ended.
    Tracked {
        /// The tree.
        tree: Id,
        /// The peer.
        peer: PublicKey,
        /// How it went.
        outcome: Result<SyncReport, NodeError>,
    },
}

/// Where new entries came from.
///
/// ```
/// # use pleach_core::{SecretKey, node::Origin};
/// let peer = SecretKey::from_bytes([1; 32]).public();
/// let shown = |origin| match origin {
///     Origin::Local => "written here".to_owned(),
///     Origin::Remote(Some(peer)) => format!("from {peer}"),
///     Origin::Remote(None) => "from somebody".to_owned(),
/// };
/// assert_eq!(shown(Origin::Remote(Some(peer))), format!("from {peer}"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A commit or an append on this node.
    Local,
    /// A peer; its key if it has proven one.
    Remote(Option<PublicKey>),
}

/// How far an exchange that this node opened has come.
///
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork, Permission, Progress, Sync, Who};
/// # let network = MemoryNetwork::new();
/// # let (alice, bob) = (Instance::open(Memory::new())?, Instance::open(Memory::new())?);
/// # let (serving, sync) = (Sync::new(&alice)?, Sync::new(&bob)?);
/// # serving.register_transport("memory", network.builder().bind("alice"))?;
/// # sync.register_transport("memory", network.builder().bind("bob"))?;
/// # let place = serving.accept_connections()?.remove(0);
/// # let grants = vec![(Who::Key(bob.device_key()), Permission::Write(100))];
/// # let db = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants)?;
/// # let tree = db.root_id();
/// let moves = sync.progress()?;
/// sync.sync_with_peer(&place, Some(&tree))?;
/// let moved: Progress = moves.next().expect("one exchange was opened");
/// assert!(moved.tree == tree && moved.received <= moved.to_receive);
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Progress {
    /// The command that asked for it, unless the background did.
    pub command: Option<CommandId>,
    /// The tree.
    pub tree: Id,
    /// Whom with.
    pub peer: Option<PublicKey>,
    /// Entries received and stored.
    pub received: u64,
    /// Entries that will have been received at the end, as far as is known.
    pub to_receive: u64,
    /// Entries sent.
    pub sent: u64,
    /// Entries that will have been sent at the end, as far as is known.
    pub to_send: u64,
}
