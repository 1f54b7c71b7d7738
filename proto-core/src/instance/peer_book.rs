//! The peer book: who is known, where, in what state, and which database goes to whom.
//!
//! What people decided stands in `_sync`, each fact in a row of its own, so that two changes at once lose nothing: names
//! and addresses, how a peer stands, and pairs of peer and database. Peers that came by themselves, and what changes at
//! every sync, stand in the store's metadata, in bounded room: no peer can make `_sync` grow.

use alloc::{
    boxed::Box,
    collections::BTreeMap,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use serde::{Deserialize, Serialize};

use crate::{
    Id, PublicKey,
    document::{Draft, Scope, StoreType, Table},
    instance::{
        Error, Follow, SyncPeerInfo,
        sync_tree::{add_peer, peers, remove_peer},
    },
    node::{
        Command, ConnectionState, NodeError, PairError, PairRecord, PeerState, PeerStatus, Seen, SyncReport,
        acquaintances,
    },
    storage::Snapshot,
    wire::Address,
};

/// Addresses of one peer in the book: more than a device has transports and networks.
pub const MAX_PEER_ADDRESSES: usize = 32;

/// Rows of [`Row`], by the peer's key.
const BOOK: &str = "book";

/// Rows of [`PeerStatus`], by the peer's key.
const STANDING: &str = "standing";

/// A peer, as the book has it and as it stands at this moment. Times are wall milliseconds of this node.
///
/// ```
/// # use pleach_core::{SecretKey, instance::PeerInfo, node::{ConnectionState, PeerStatus}};
/// let info = PeerInfo::unknown(SecretKey::from_bytes([1; 32]).public());
/// assert_eq!((info.status, info.connection), (PeerStatus::Active, ConnectionState::Disconnected));
/// assert!(!info.registered);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerInfo {
    /// Its node key.
    pub pubkey: PublicKey,
    /// What people here call it.
    pub display_name: Option<String>,
    /// What people here decided about it.
    pub status: PeerStatus,
    /// It stands in `_sync`. One that came by itself does not, and is forgotten when too many others come.
    pub registered: bool,
    /// Where it may be found, best first.
    pub addresses: Vec<Address>,
    /// The databases that it is known for here, ascending.
    pub databases: Vec<Id>,
    /// Whether there is a connection, by the exchanges under way.
    pub connection: ConnectionState,
    /// When it was met, if ever.
    pub seen: Option<Seen>,
    /// When a database was the same here and there last.
    pub last_sync: Option<u64>,
    /// The last failure of those that still stand.
    pub last_error: Option<PairError>,
}

impl PeerInfo {
    /// A peer of which only the key is known.
    pub const fn unknown(pubkey: PublicKey) -> Self {
        Self {
            pubkey,
            display_name: None,
            status: PeerStatus::Active,
            registered: false,
            addresses: Vec::new(),
            databases: Vec::new(),
            connection: ConnectionState::Disconnected,
            seen: None,
            last_sync: None,
            last_error: None,
        }
    }
}

/// A peer in `_sync`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<Address>,
}

/// The book, as a snapshot has it. Its methods say what a change would be; see [`Edit`].
pub struct PeerBook {
    snapshot: Arc<dyn Snapshot>,
    own: PublicKey,
    rows: BTreeMap<PublicKey, Row>,
    standing: BTreeMap<PublicKey, PeerStatus>,
    pairs: Vec<SyncPeerInfo>,
}

/// A change of the book: what is written into `_sync`, and what the node is told once that is durable.
#[derive(Debug, Default)]
#[must_use]
pub struct Edit {
    changes: Vec<Change>,
    /// For the node, in this order.
    pub commands: Vec<Command>,
}

#[derive(Debug)]
enum Change {
    Peer(PublicKey, Row),
    NoPeer(PublicKey),
    Standing(PublicKey, PeerStatus),
    NoStanding(PublicKey),
    Pair(Box<SyncPeerInfo>),
    NoPair(PublicKey, Id),
}

impl Edit {
    /// Whether `_sync` stays as it is.
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Writes it into `_sync`.
    pub fn write(&self, draft: &Draft) -> Result<(), Error> {
        for change in &self.changes {
            match change {
                Change::Peer(peer, row) => draft.store::<Table<Row>>(BOOK)?.set(&peer.to_string(), row)?,
                Change::NoPeer(peer) => {
                    draft.store::<Table<Row>>(BOOK)?.delete(&peer.to_string())?;
                }
                Change::Standing(peer, status) => {
                    draft.store::<Table<PeerStatus>>(STANDING)?.set(&peer.to_string(), status)?;
                }
                Change::NoStanding(peer) => {
                    draft.store::<Table<PeerStatus>>(STANDING)?.delete(&peer.to_string())?;
                }
                Change::Pair(info) => add_peer(draft, info)?,
                Change::NoPair(peer, tree) => remove_peer(draft, peer, tree)?,
            }
        }
        Ok(())
    }

    fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    fn then(mut self, command: Command) -> Self {
        self.commands.push(command);
        self
    }
}

fn table<T: Serialize + for<'a> Deserialize<'a>>(
    snapshot: &Arc<dyn Snapshot>,
    tree: &Id,
    name: &str,
) -> Result<BTreeMap<PublicKey, T>, Error> {
    let table = Table::<T>::open(Scope::of_snapshot(Arc::clone(snapshot), *tree, name)?)?;
    let rows = table.search(|_| true)?.into_iter();
    Ok(rows.filter_map(|(key, row)| Some((key.parse().ok()?, row))).collect())
}

/// Reading.
impl PeerBook {
    /// The book in the `_sync` tree of the node with this key.
    pub fn read(snapshot: Arc<dyn Snapshot>, tree: &Id, own: PublicKey) -> Result<Self, Error> {
        Ok(Self {
            own,
            rows: table(&snapshot, tree, BOOK)?,
            standing: table(&snapshot, tree, STANDING)?,
            pairs: peers(Arc::clone(&snapshot), tree)?,
            snapshot,
        })
    }

    /// All pairs of database and peer, ascending by database, then peer.
    pub fn pairs(&self) -> &[SyncPeerInfo] {
        &self.pairs
    }

    /// What is said of a pair.
    pub fn pair(&self, peer: &PublicKey, tree: &Id) -> Option<&SyncPeerInfo> {
        self.pairs.iter().find(|info| info.tree_id == *tree && info.peer_pubkey == *peer)
    }

    /// Those that are known for a database and that nobody has blocked.
    pub fn pairs_about(&self, tree: &Id) -> impl Iterator<Item = &SyncPeerInfo> {
        self.pairs.iter().filter(move |info| info.tree_id == *tree && !self.is_blocked(&info.peer_pubkey))
    }

    fn pairs_of(&self, peer: &PublicKey) -> impl Iterator<Item = &SyncPeerInfo> {
        self.pairs.iter().filter(move |info| info.peer_pubkey == *peer)
    }

    /// The databases that a peer is known for, ascending.
    pub fn trees_of(&self, peer: &PublicKey) -> Vec<Id> {
        self.pairs_of(peer).map(|info| info.tree_id).collect()
    }

    /// What people decided about a peer.
    pub fn status(&self, peer: &PublicKey) -> PeerStatus {
        self.standing.get(peer).copied().unwrap_or_default()
    }

    fn is_blocked(&self, peer: &PublicKey) -> bool {
        self.status(peer) == PeerStatus::Blocked
    }

    /// Where a peer may be found: what is said of it, and where it was found for some database.
    pub fn addresses(&self, peer: &PublicKey) -> Vec<Address> {
        let of_pairs = self.pairs_of(peer).flat_map(|info| &info.addresses);
        unique(of_pairs.chain(self.own_addresses(peer)))
    }

    fn own_addresses(&self, peer: &PublicKey) -> &[Address] {
        self.rows.get(peer).map(|row| row.addresses.as_slice()).unwrap_or_default()
    }

    /// Where a peer may be found for a database: those of the pair first.
    pub fn addresses_for(&self, info: &SyncPeerInfo) -> Vec<Address> {
        unique(info.addresses.iter().chain(&self.addresses(&info.peer_pubkey)))
    }

    /// Where a database may be found: at addresses that were given, and those of everybody known for it, best first.
    pub fn places_of(&self, tree: &Id, given: &[Address]) -> Vec<Address> {
        let known = self.pairs_about(tree).flat_map(|info| self.addresses_for(info)).collect::<Vec<_>>();
        unique(given.iter().chain(&known))
    }

    /// Everybody who is in the book, was met, or is in touch, ascending by key. `states` is what the node knows.
    pub fn peers(&self, states: Vec<PeerState>) -> Result<Vec<PeerInfo>, Error> {
        let mut all = BTreeMap::<PublicKey, PeerInfo>::new();
        for state in states {
            let info = all.entry(state.peer).or_insert_with(|| PeerInfo::unknown(state.peer));
            (info.connection, info.seen) = (state.connection, state.seen);
        }
        let pairs = self.pairs.iter().map(|info| info.peer_pubkey);
        for peer in self.rows.keys().copied().chain(self.standing.keys().copied()).chain(pairs) {
            let info = all.entry(peer).or_insert_with(|| PeerInfo::unknown(peer));
            info.registered = true;
        }
        for info in all.values_mut() {
            let peer = info.pubkey;
            let given = self.rows.get(&peer).and_then(|row| row.display_name.clone());
            info.display_name =
                given.or_else(|| self.pairs_of(&peer).find_map(|info| info.display_name.clone()));
            info.status = self.status(&peer);
            info.addresses = self.addresses(&peer);
            info.databases = self.trees_of(&peer);
            for tree in &info.databases {
                let record = PairRecord::read(&*self.snapshot, tree, &peer)?;
                info.last_sync = info.last_sync.max(record.last_sync);
                let latest = info.last_error.as_ref().map(|error| error.at);
                info.last_error = match record.last_error {
                    Some(error) if latest < Some(error.at) => Some(error),
                    _ => info.last_error.take(),
                };
            }
        }
        Ok(all.into_values().collect())
    }

    /// What the node is told when sync is enabled, before anything is accepted.
    pub fn start(&self) -> Result<Vec<Command>, Error> {
        let mut commands = Vec::from([Command::Recall(acquaintances(&*self.snapshot)?)]);
        let named = self.rows.keys().copied().chain(self.pairs.iter().map(|info| info.peer_pubkey));
        let mut all: BTreeMap<_, _> = named.map(|peer| (peer, PeerStatus::Active)).collect();
        all.extend(self.standing.iter().map(|(peer, status)| (*peer, *status)));
        commands.extend(all.into_iter().map(|(peer, status)| Command::SetPeer { peer, status }));
        for info in &self.pairs {
            let record = PairRecord::read(&*self.snapshot, &info.tree_id, &info.peer_pubkey)?;
            commands.push(self.tracks(info, record));
        }
        Ok(commands)
    }

    /// The command that tells the node of a pair.
    fn tracks(&self, info: &SyncPeerInfo, record: PairRecord) -> Command {
        info.track(self.addresses_for(info), record)
    }

    /// The same, for a caller's change: the background tries at once.
    fn tracks_at_once(&self, info: &SyncPeerInfo) -> Result<Command, Error> {
        let record = PairRecord::read(&*self.snapshot, &info.tree_id, &info.peer_pubkey)?;
        Ok(self.tracks(info, PairRecord { failures: 0, ..record }))
    }
}

/// Changing.
impl PeerBook {
    fn check(&self, peer: &PublicKey) -> Result<(), Error> {
        if *peer == self.own { Err(Error::OwnKey) } else { Ok(()) }
    }

    fn known_as(&self, peer: PublicKey) -> Command {
        Command::SetPeer { peer, status: self.status(&peer) }
    }

    /// Puts a peer into the book, or gives it another name.
    pub fn register(&self, peer: PublicKey, display_name: Option<&str>) -> Result<Edit, Error> {
        self.check(&peer)?;
        let mut row = self.rows.get(&peer).cloned().unwrap_or_default();
        if let Some(name) = display_name {
            row.display_name = Some(name.to_string());
        }
        Ok(Edit::default().with(Change::Peer(peer, row)).then(self.known_as(peer)))
    }

    /// Says how a peer stands, in the book or not.
    pub fn set_status(&self, peer: PublicKey, status: PeerStatus) -> Result<Edit, Error> {
        self.check(&peer)?;
        let edit = Edit::default().with(match status {
            PeerStatus::Active => Change::NoStanding(peer),
            status => Change::Standing(peer, status),
        });
        // So that it stays in the book when it is active again.
        let edit =
            if self.rows.contains_key(&peer) { edit } else { edit.with(Change::Peer(peer, Row::default())) };
        Ok(edit.then(Command::SetPeer { peer, status }))
    }

    /// Takes a peer out of the book, with all that is kept the same with it. One that is blocked stays.
    pub fn remove(&self, peer: PublicKey) -> Result<Edit, Error> {
        if self.is_blocked(&peer) {
            return Err(NodeError::Blocked(peer).into());
        }
        let mut edit = Edit::default();
        for info in self.pairs_of(&peer) {
            edit = edit
                .with(Change::NoPair(peer, info.tree_id))
                .then(Command::Untrack { tree: info.tree_id, peer });
        }
        if self.rows.contains_key(&peer) {
            edit = edit.with(Change::NoPeer(peer));
        }
        if self.standing.contains_key(&peer) {
            edit = edit.with(Change::NoStanding(peer));
        }
        Ok(edit.then(Command::ForgetPeer(peer)))
    }

    /// Notes where a peer may be found.
    pub fn add_address(&self, peer: PublicKey, address: &Address) -> Result<Edit, Error> {
        self.check(&peer)?;
        let address = owned(address, peer)?;
        if self.own_addresses(&peer).iter().any(|known| known.is_same_place(&address)) {
            return Ok(Edit::default());
        }
        let mut row = self.rows.get(&peer).cloned().unwrap_or_default();
        if row.addresses.len() >= MAX_PEER_ADDRESSES {
            return Err(Error::TooManyAddresses(peer));
        }
        row.addresses.push(address.clone());
        let mut edit = Edit::default().with(Change::Peer(peer, row)).then(self.known_as(peer));
        for info in self.pairs_of(&peer) {
            let mut addresses = self.addresses_for(info);
            addresses.push(address.clone());
            let record = PairRecord::read(&*self.snapshot, &info.tree_id, &peer)?;
            edit = edit.then(info.track(unique(&addresses), PairRecord { failures: 0, ..record }));
        }
        Ok(edit)
    }

    /// Notes that a peer is no longer found there.
    pub fn remove_address(&self, peer: PublicKey, address: &Address) -> Result<Edit, Error> {
        let mut edit = Edit::default();
        let mut row = self.rows.get(&peer).cloned().unwrap_or_default();
        if drop_place(&mut row.addresses, address) {
            edit = edit.with(Change::Peer(peer, row.clone()));
        }
        for info in self.pairs_of(&peer) {
            let mut info = info.clone();
            if drop_place(&mut info.addresses, address) {
                edit = edit.with(Change::Pair(Box::new(info.clone())));
            }
            let mut addresses = self.addresses_for(&info);
            drop_place(&mut addresses, address);
            let record = PairRecord::read(&*self.snapshot, &info.tree_id, &peer)?;
            edit = edit.then(info.track(addresses, PairRecord { failures: 0, ..record }));
        }
        Ok(edit)
    }

    /// Says of a pair that it is to be kept the same, in place of what was said before.
    pub fn keep_pair(&self, info: SyncPeerInfo) -> Result<Edit, Error> {
        let peer = info.peer_pubkey;
        self.check(&peer)?;
        if info.addresses.len() > MAX_PEER_ADDRESSES {
            return Err(Error::TooManyAddresses(peer));
        }
        for address in &info.addresses {
            owned(address, peer)?;
        }
        let track = self.tracks_at_once(&info)?;
        Ok(Edit::default().with(Change::Pair(Box::new(info))).then(self.known_as(peer)).then(track))
    }

    /// Says of a pair that it is to be kept the same, at the addresses known.
    pub fn add_pair(&self, peer: PublicKey, tree: Id) -> Result<Edit, Error> {
        let known = self.pair(&peer, &tree).cloned();
        let info = known.unwrap_or_else(|| SyncPeerInfo::new(peer, tree, Vec::new()));
        self.keep_pair(info.follow(Follow::Always))
    }

    /// One more address for a pair, behind those that are known.
    pub fn add_pair_address(&self, peer: PublicKey, tree: Id, address: &Address) -> Result<Edit, Error> {
        let mut info = self.pair(&peer, &tree).cloned().ok_or(NodeError::NotTracked(tree, peer))?;
        if info.addresses.iter().any(|known| known.is_same_place(address)) {
            return Ok(Edit::default());
        }
        info.addresses.push(owned(address, peer)?);
        self.keep_pair(info)
    }

    /// Ends it.
    pub fn remove_pair(&self, peer: PublicKey, tree: Id) -> Edit {
        Edit::default().with(Change::NoPair(peer, tree)).then(Command::Untrack { tree, peer })
    }

    /// What is to be remembered after a sync that a caller asked for: the peer, and where it was.
    pub fn after_sync(&self, report: &SyncReport, wall: u64) -> Edit {
        let (Some(peer), Some(address)) = (report.peer, &report.address) else { return Edit::default() };
        let tree = report.tree;
        let known = self.pair(&peer, &tree);
        let Some(info) = SyncPeerInfo::after_sync(known, peer, tree, address) else {
            return Edit::default();
        };
        let mut record = PairRecord::default();
        let mut edit = Edit::default();
        if known.is_none() {
            record = PairRecord::of_first(report, wall);
            edit = edit.then(Command::Meta(record.kept(&tree, &peer)));
        }
        let track = self.tracks(&info, record);
        edit.with(Change::Pair(Box::new(info))).then(self.known_as(peer)).then(track)
    }
}

/// An address as that of a peer: one that names another key is another's.
fn owned(address: &Address, peer: PublicKey) -> Result<Address, Error> {
    match address.key {
        Some(found) if found != peer => Err(Error::AddressOfAnother { peer, found }),
        _ => Ok(address.clone().with_key(peer)),
    }
}

fn unique<'a>(addresses: impl IntoIterator<Item = &'a Address>) -> Vec<Address> {
    let mut all = Vec::<Address>::new();
    for address in addresses {
        let same = |known: &&Address| known.is_same_place(address) && known.key == address.key;
        if !all.iter().any(|known| same(&known)) {
            all.push(address.clone());
        }
    }
    all
}

/// Whether it was among them.
fn drop_place(addresses: &mut Vec<Address>, place: &Address) -> bool {
    let before = addresses.len();
    addresses.retain(|address| !address.is_same_place(place));
    addresses.len() < before
}
