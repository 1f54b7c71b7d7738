//! What syncs there were and how far pairs are, as people ask for it.

use alloc::vec::Vec;

use crate::{
    Id, PublicKey,
    instance::PeerBook,
    node::{PairRecord, SyncHistoryEntry, known_marks},
    storage::{Snapshot, StorageError},
};

/// Which part of the history of syncs is asked for.
///
/// ```
/// # use pleach_core::{Id, SecretKey, instance::HistoryFilter};
/// let peer = SecretKey::from_bytes([1; 32]).public();
/// let last_ten = HistoryFilter::new().tree(Id::of(b"root")).peer(peer).limit(10);
/// assert_eq!(last_ten.select(vec![], vec![]), [], "of no syncs");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    tree: Option<Id>,
    peer: Option<PublicKey>,
    limit: Option<usize>,
}

impl HistoryFilter {
    /// All of it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only syncs of this database.
    #[must_use]
    pub fn tree(self, tree: Id) -> Self {
        Self { tree: Some(tree), ..self }
    }

    /// Only syncs with this peer.
    #[must_use]
    pub fn peer(self, peer: PublicKey) -> Self {
        Self { peer: Some(peer), ..self }
    }

    /// Only the newest.
    #[must_use]
    pub fn limit(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// The part, oldest first, of what the metadata keep and what is on its way there.
    pub fn select(
        &self,
        kept: Vec<SyncHistoryEntry>,
        pending: Vec<SyncHistoryEntry>,
    ) -> Vec<SyncHistoryEntry> {
        let mut all = kept;
        for entry in pending {
            if !all.contains(&entry) {
                all.push(entry);
            }
        }
        all.retain(|entry| {
            self.tree.is_none_or(|tree| entry.tree_id == tree)
                && self.peer.is_none_or(|peer| entry.peer_pubkey == Some(peer))
        });
        all.sort_by_key(|entry| entry.at);
        let surplus = all.len().saturating_sub(self.limit.unwrap_or(usize::MAX));
        all.split_off(surplus)
    }
}

/// How far a pair of database and peer is.
///
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork, Permission, Sync, SyncCursor, Who};
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
/// let cursor: SyncCursor = loop {
///     // It is written when the sync is over, which nobody waits for.
///     if let Some(cursor) = sync.get_sync_cursor(&alice.device_key(), &tree)? {
///         break cursor;
///     }
/// };
/// assert_eq!((cursor.tree_id, cursor.peer_pubkey), (tree, alice.device_key()));
/// assert!(SyncCursor::read(&*bob.snapshot()?, &tree, &alice.device_key())?.is_some(), "as the store has it");
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SyncCursor {
    /// The database.
    pub tree_id: Id,
    /// The peer.
    pub peer_pubkey: PublicKey,
    /// When both held the same last, in wall milliseconds of this node.
    pub last_sync: Option<u64>,
    /// How many entries had arrived here then, since this store began to count them. The next sync goes on from there;
    /// nothing if it compares everything.
    pub arrived_here: Option<u64>,
    /// How many had arrived at the peer.
    pub arrived_there: Option<u64>,
}

impl SyncCursor {
    /// How far it is, as the store has it; nothing if the pair was never the same.
    pub fn read(snapshot: &dyn Snapshot, tree: &Id, peer: &PublicKey) -> Result<Option<Self>, StorageError> {
        let record = PairRecord::read(snapshot, tree, peer)?;
        let known = known_marks(snapshot, tree, peer)?;
        Ok((record.last_sync.is_some() || known.is_some()).then_some(Self {
            tree_id: *tree,
            peer_pubkey: *peer,
            last_sync: record.last_sync,
            arrived_here: known.map(|(here, _)| here),
            arrived_there: known.map(|(_, there)| there),
        }))
    }
}

/// How syncs with a peer went, over all databases that it is known for.
///
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork, Permission, Sync, SyncMetadata, Who};
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
/// let sums: SyncMetadata = sync.get_sync_metadata(&alice.device_key())?.expect("it is known");
/// assert_eq!((sums.databases, sums.successful_syncs, sums.entries_received), (1, 1, 1));
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SyncMetadata {
    /// The peer.
    pub peer_pubkey: PublicKey,
    /// Databases that it is known for.
    pub databases: usize,
    /// Syncs that went well.
    pub successful_syncs: u64,
    /// Attempts of the background that came to nothing.
    pub failed_syncs: u64,
    /// Entries that were new here.
    pub entries_received: u64,
    /// Entries sent.
    pub entries_sent: u64,
    /// Bytes of frames received.
    pub bytes_received: u64,
    /// Bytes of frames sent.
    pub bytes_sent: u64,
    /// When one went well last, in wall milliseconds of this node.
    pub last_sync: Option<u64>,
}

impl PeerBook {
    /// How syncs with a peer went; nothing if it is known for no database.
    pub fn metadata(&self, peer: &PublicKey) -> Result<Option<SyncMetadata>, StorageError> {
        let trees = self.trees_of(peer);
        let mut all = SyncMetadata {
            peer_pubkey: *peer,
            databases: trees.len(),
            successful_syncs: 0,
            failed_syncs: 0,
            entries_received: 0,
            entries_sent: 0,
            bytes_received: 0,
            bytes_sent: 0,
            last_sync: None,
        };
        for tree in &trees {
            let record = PairRecord::read(&*self.snapshot, tree, peer)?;
            all.successful_syncs = all.successful_syncs.saturating_add(record.syncs);
            all.failed_syncs = all.failed_syncs.saturating_add(record.failed);
            all.entries_received = all.entries_received.saturating_add(record.entries_received);
            all.entries_sent = all.entries_sent.saturating_add(record.entries_sent);
            all.bytes_received = all.bytes_received.saturating_add(record.bytes_received);
            all.bytes_sent = all.bytes_sent.saturating_add(record.bytes_sent);
            all.last_sync = all.last_sync.max(record.last_sync);
        }
        Ok((!trees.is_empty()).then_some(all))
    }
}
