//! What is kept of a pair of tree and peer in the metadata: it changes at every sync.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use serde::{Deserialize, Serialize};

use crate::{
    Id, PublicKey, canonical,
    node::{NodeError, SyncReport},
    storage::{MetaChange, MetaChanges, Snapshot, StorageError},
};

/// Where the metadata keeps it: this prefix, the tree's id and the peer's key.
const PREFIX: &[u8] = b"pair/";

/// Characters that are kept of why a sync failed.
const MAX_REASON: usize = 512;

/// How syncs of a pair of tree and peer went. Times are wall milliseconds of this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PairRecord {
    /// When both held the same last.
    pub last_sync: Option<u64>,
    /// Why the last attempt failed; nothing if it went well.
    pub last_error: Option<PairError>,
    /// Failures of the background since the last success.
    pub failures: u32,
    /// When the background tries again after the last failure.
    pub retry_at: u64,
    /// Syncs that went well.
    pub syncs: u64,
    /// Entries that were new here, in all of them.
    pub entries_received: u64,
    /// Entries sent.
    pub entries_sent: u64,
    /// Bytes of frames received.
    pub bytes_received: u64,
    /// Bytes of frames sent.
    pub bytes_sent: u64,
    /// Attempts of the background that came to nothing, in all.
    pub failed: u64,
}

/// Why a sync failed.
///
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, Id, Instance, Memory, MemoryNetwork, PairError, Permission, Sync, SyncPeerInfo, Who};
/// # let network = MemoryNetwork::new();
/// # let (alice, bob) = (Instance::open(Memory::new())?, Instance::open(Memory::new())?);
/// # let (serving, sync) = (Sync::new(&alice)?, Sync::new(&bob)?);
/// # serving.register_transport("memory", network.builder().bind("alice"))?;
/// # sync.register_transport("memory", network.builder().bind("bob"))?;
/// # let place = serving.accept_connections()?.remove(0);
/// # let grants = vec![(Who::Key(bob.device_key()), Permission::Write(100))];
/// # let db = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants)?;
/// # let tree = db.root_id();
/// sync.register_sync_peer(SyncPeerInfo::new(alice.device_key(), Id::of(b"no such tree"), vec![place]))?;
/// sync.flush()?;
/// let status = sync.handle(&alice.device_key(), &Id::of(b"no such tree")).status()?;
/// let error: PairError = status.last_error.expect("there is no such database");
/// assert!(!error.reason.is_empty());
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PairError {
    /// When.
    pub at: u64,
    /// Why, and what to do.
    pub reason: String,
}

impl PairError {
    pub(super) fn new(at: u64, error: &NodeError) -> Self {
        Self { at, reason: reason(error) }
    }
}

/// Why it failed, as long as is kept of it.
pub(super) fn reason(error: &NodeError) -> String {
    error.to_string().chars().take(MAX_REASON).collect()
}

impl PairRecord {
    /// What is kept of a pair; nothing is said by what cannot be read.
    pub fn read(snapshot: &dyn Snapshot, tree: &Id, peer: &PublicKey) -> Result<Self, StorageError> {
        let value = snapshot.meta(&place(tree, peer))?;
        Ok(value.and_then(|value| canonical::from_bytes(&value).ok()).unwrap_or_default())
    }

    /// After the first sync.
    pub fn of_first(report: &SyncReport, wall: u64) -> Self {
        let mut record = Self::default();
        record.synced(&report.with_peer_alone(), wall);
        record
    }

    /// The change of metadata by which it is kept.
    pub fn kept(&self, tree: &Id, peer: &PublicKey) -> MetaChanges {
        [self.change(tree, peer)].into()
    }

    pub(super) fn synced(&mut self, report: &SyncReport, wall: u64) {
        self.last_sync = Some(wall);
        self.last_error = None;
        self.failures = 0;
        self.retry_at = 0;
        self.syncs = self.syncs.saturating_add(1);
        self.entries_received = self.entries_received.saturating_add(report.entries_received);
        self.entries_sent = self.entries_sent.saturating_add(report.entries_sent);
        self.bytes_received = self.bytes_received.saturating_add(report.bytes_received);
        self.bytes_sent = self.bytes_sent.saturating_add(report.bytes_sent);
    }

    pub(super) fn change(&self, tree: &Id, peer: &PublicKey) -> MetaChange {
        (place(tree, peer), Some(canonical::to_vec(self)))
    }
}

/// The change by which a pair is forgotten.
pub(super) fn forget(tree: &Id, peer: &PublicKey) -> MetaChange {
    (place(tree, peer), None)
}

fn place(tree: &Id, peer: &PublicKey) -> Vec<u8> {
    [PREFIX, tree.as_bytes(), peer.as_bytes()].concat()
}
