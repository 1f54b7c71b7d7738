//! Changes of the peer book: what is written into `_sync`, and what the node is told once that is durable.

use alloc::{
    boxed::Box,
    string::{String, ToString},
    vec::Vec,
};

use crate::{
    Id, PublicKey,
    document::{Draft, Table},
    instance::{
        Error, Follow, MAX_PEER_ADDRESSES, PeerBook, SyncPeerInfo, TrackedDatabase, UserInfo,
        peer_book::{BOOK, Row, STANDING, unique},
        sync_tree::{add_peer, remove_peer},
        user::{drop_tracked, keep_tracked, keep_user},
    },
    node::{Command, NodeError, PairRecord, PeerStatus, SyncReport},
    wire::Address,
};

/// A change of the book: what is written into `_sync`, and what the node is told once that is durable.
#[derive(Debug, Default)]
#[must_use]
pub struct Edit {
    changes: Vec<Change>,
    /// For the node, in this order.
    pub commands: Vec<Command>,
}

#[derive(Debug)]
pub(super) enum Change {
    Peer(PublicKey, Row),
    NoPeer(PublicKey),
    Standing(PublicKey, PeerStatus),
    NoStanding(PublicKey),
    Pair(Box<SyncPeerInfo>),
    NoPair(PublicKey, Id),
    User(UserInfo),
    Tracked(Box<TrackedDatabase>),
    NoTracked(Id, String),
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
                Change::User(user) => keep_user(draft, user)?,
                Change::Tracked(tracked) => keep_tracked(draft, tracked)?,
                Change::NoTracked(database, user) => drop_tracked(draft, database, user)?,
            }
        }
        Ok(())
    }

    pub(super) fn of(change: Change) -> Self {
        Self::default().with(change)
    }

    pub(super) fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    pub(super) fn then(mut self, command: Command) -> Self {
        self.commands.push(command);
        self
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
            edit = edit.then(self.tracks_at(info, unique(&addresses), PairRecord { failures: 0, ..record }));
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
            edit = edit.then(self.tracks_at(&info, addresses, PairRecord { failures: 0, ..record }));
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

/// Whether it was among them.
fn drop_place(addresses: &mut Vec<Address>, place: &Address) -> bool {
    let before = addresses.len();
    addresses.retain(|address| !address.is_same_place(place));
    addresses.len() < before
}
