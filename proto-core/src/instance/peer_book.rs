//! The peer book: who is known, where, in what state, and which database goes to whom.
//!
//! What people decided stands in `_sync`, each fact in a row of its own, so that two changes at once lose nothing: names
//! and addresses, how a peer stands, and pairs of peer and database. Peers that came by themselves, and what changes at
//! every sync, stand in the store's metadata, in bounded room: no peer can make `_sync` grow.

use alloc::{collections::BTreeMap, string::String, sync::Arc, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    Id, PublicKey,
    document::{Scope, StoreType, Table},
    instance::{
        Error, SyncPeerInfo, TrackedDatabase, UserInfo,
        preferences::{Preferences, combined},
        sync_tree::peers,
        user::{tracked, users},
    },
    node::{
        Command, ConnectionState, PairError, PairRecord, PeerState, PeerStatus, Seen, acquaintances,
        history_marks,
    },
    storage::Snapshot,
    wire::Address,
};

/// Addresses of one peer in the book: more than a device has transports and networks.
pub const MAX_PEER_ADDRESSES: usize = 32;

/// Rows of [`Row`], by the peer's key.
pub(super) const BOOK: &str = "book";

/// Rows of [`PeerStatus`], by the peer's key.
pub(super) const STANDING: &str = "standing";

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
pub(super) struct Row {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) display_name: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) addresses: Vec<Address>,
}

/// The book, as a snapshot has it. Its methods say what a change would be; see [`Edit`](crate::instance::Edit).
pub struct PeerBook {
    pub(super) snapshot: Arc<dyn Snapshot>,
    pub(super) own: PublicKey,
    pub(super) rows: BTreeMap<PublicKey, Row>,
    pub(super) standing: BTreeMap<PublicKey, PeerStatus>,
    pub(super) users: Vec<UserInfo>,
    pub(super) tracked: Vec<TrackedDatabase>,
    pub(super) preferences: Preferences,
    pairs: Vec<SyncPeerInfo>,
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
        let users = users(&snapshot, tree)?;
        let tracked = tracked(Arc::clone(&snapshot), tree)?;
        Ok(Self {
            own,
            preferences: combined(&users, &tracked),
            users,
            tracked,
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

    pub(super) fn pairs_of(&self, peer: &PublicKey) -> impl Iterator<Item = &SyncPeerInfo> {
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

    pub(super) fn is_blocked(&self, peer: &PublicKey) -> bool {
        self.status(peer) == PeerStatus::Blocked
    }

    /// Where a peer may be found: what is said of it, and where it was found for some database.
    pub fn addresses(&self, peer: &PublicKey) -> Vec<Address> {
        let of_pairs = self.pairs_of(peer).flat_map(|info| &info.addresses);
        unique(of_pairs.chain(self.own_addresses(peer)))
    }

    pub(super) fn own_addresses(&self, peer: &PublicKey) -> &[Address] {
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
        let mut commands = Vec::from([
            Command::Recall(acquaintances(&*self.snapshot)?),
            Command::RecallHistory(history_marks(&*self.snapshot)?),
        ]);
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
    pub(super) fn tracks(&self, info: &SyncPeerInfo, record: PairRecord) -> Command {
        self.tracks_at(info, self.addresses_for(info), record)
    }

    /// The same, at other addresses.
    pub(super) fn tracks_at(
        &self,
        info: &SyncPeerInfo,
        addresses: Vec<Address>,
        record: PairRecord,
    ) -> Command {
        info.track(addresses, record, self.preferences(&info.tree_id))
    }

    /// The same, for a caller's change: the background tries at once.
    pub(super) fn tracks_at_once(&self, info: &SyncPeerInfo) -> Result<Command, Error> {
        let record = PairRecord::read(&*self.snapshot, &info.tree_id, &info.peer_pubkey)?;
        Ok(self.tracks(info, PairRecord { failures: 0, ..record }))
    }
}

pub(super) fn unique<'a>(addresses: impl IntoIterator<Item = &'a Address>) -> Vec<Address> {
    let mut all = Vec::<Address>::new();
    for address in addresses {
        let same = |known: &&Address| known.is_same_place(address) && known.key == address.key;
        if !all.iter().any(|known| same(&known)) {
            all.push(address.clone());
        }
    }
    all
}
