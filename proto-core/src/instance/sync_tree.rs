//! What the local tree `_sync` holds: with whom which database is kept the same, and what transports left to keep.
//!
//! It is an ordinary tree that is never offered to anybody: only the node's own key may read it.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use serde::{Deserialize, Serialize};

use crate::{
    Id, PublicKey,
    document::{Doc, DocStore, Draft, Scope, StoreType, Table},
    entry::Value,
    instance::{AccessRequest, Error, MAX_PEER_ADDRESSES, SyncSettings},
    node::{Command, PairRecord, Tracking},
    path,
    storage::{MetaChanges, Snapshot},
    wire::Address,
};

/// The name of the tree, by which people recognise it.
pub const NAME: &str = "_sync";

/// Milliseconds between two syncs of a pair when nothing else happens: five minutes.
pub const DEFAULT_INTERVAL: u64 = 5 * 60 * 1_000;

/// The id of the tree, in the store's metadata.
pub(super) const ID: &[u8] = b"instance/sync";

/// Rows of [`SyncPeerInfo`].
const PEERS: &str = "peers";

/// State of transports, by their names.
const TRANSPORTS: &str = "transports";

/// What to ask for when a peer refuses.
pub type AuthParams = AccessRequest;

/// A peer with whom a database is to be kept the same.
///
/// ```
/// # use pleach_core::{Id, SecretKey, entry::Permission, instance::{AccessRequest, Follow, SyncPeerInfo}, wire::Address};
/// let peer = SecretKey::from_bytes([1; 32]).public();
/// let place = Address::http("192.0.2.7:8080").with_key(peer);
/// let info = SyncPeerInfo::new(peer, Id::of(b"root"), vec![place]).interval(60_000).display_name("desk");
/// assert_eq!(info.interval, 60_000);
/// let asking = info.auth(AccessRequest::new(Permission::Read)).follow(Follow::OnRequest);
/// assert!(asking.auth.is_some());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SyncPeerInfo {
    /// The peer's node key.
    pub peer_pubkey: PublicKey,
    /// The database.
    pub tree_id: Id,
    /// Where the peer may be found, best first.
    pub addresses: Vec<Address>,
    /// What people call the peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What to ask for when the peer refuses: the background asks by itself, and learns what was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthParams>,
    /// Milliseconds between two syncs when nothing else happens.
    pub interval: u64,
    /// Who begins a sync with it.
    #[serde(default)]
    pub follow: Follow,
}

/// Who begins a sync of a pair of database and peer.
///
/// ```
/// # use pleach_core::instance::Follow;
/// assert_eq!(Follow::default(), Follow::Always);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Follow {
    /// The background: at once, after each commit, and from time to time.
    #[default]
    Always,
    /// Only a caller: the pair is remembered, so that a sync without an address finds the peer.
    OnRequest,
}

/// Addresses that are remembered of a peer without being told to, the one that worked last first: a device has a few
/// transports in a few networks.
const MAX_REMEMBERED: usize = 8;

impl SyncPeerInfo {
    /// A pair with the default interval of five minutes.
    pub fn new(peer_pubkey: PublicKey, tree_id: Id, addresses: Vec<Address>) -> Self {
        Self {
            peer_pubkey,
            tree_id,
            addresses,
            display_name: None,
            auth: None,
            interval: DEFAULT_INTERVAL,
            follow: Follow::Always,
        }
    }

    /// Another interval, in milliseconds.
    #[must_use]
    pub fn interval(self, millis: u64) -> Self {
        Self { interval: millis, ..self }
    }

    /// What people call the peer.
    #[must_use]
    pub fn display_name(self, name: &str) -> Self {
        Self { display_name: Some(name.to_string()), ..self }
    }

    /// What to ask for when the peer refuses.
    #[must_use]
    pub fn auth(self, auth: AuthParams) -> Self {
        Self { auth: Some(auth), ..self }
    }

    /// Who begins a sync with it.
    #[must_use]
    pub fn follow(self, follow: Follow) -> Self {
        Self { follow, ..self }
    }

    /// The command that tells the node of it, with all addresses that are known and how it went before.
    /// What users say goes before what is said here.
    pub(super) fn track(
        &self,
        addresses: Vec<Address>,
        record: PairRecord,
        users: Option<&SyncSettings>,
    ) -> Command {
        let addresses = if self.is_followed(users) { addresses } else { Vec::new() };
        let interval = users.and_then(SyncSettings::interval).unwrap_or(self.interval);
        let mut tracking = Tracking::new(self.tree_id, self.peer_pubkey, addresses, interval);
        tracking.quiet = users.is_some_and(|users| !users.sync_on_commit);
        tracking.auth = self.auth.as_ref().map(AccessRequest::petition);
        tracking.record = record;
        Command::Track(Box::new(tracking))
    }

    /// Whether the background begins syncs, given what users say of the database.
    pub(super) fn is_followed(&self, users: Option<&SyncSettings>) -> bool {
        users.map_or(self.follow == Follow::Always, |users| users.sync_enabled)
    }

    /// The pair after a sync that went well at an address, given what was known of it; nothing if that stays the same.
    /// The address moves to the front; of too many the last goes. A pair that was unknown is remembered and not followed.
    pub(super) fn after_sync(
        known: Option<&Self>,
        peer: PublicKey,
        tree: Id,
        address: &Address,
    ) -> Option<Self> {
        let worked = address.clone().with_key(peer);
        let mut info = match known {
            Some(known) if known.addresses.first().is_some_and(|first| first.is_same_place(&worked)) => {
                return None;
            }
            Some(known) => known.clone(),
            None => Self::new(peer, tree, Vec::new()).follow(Follow::OnRequest),
        };
        info.addresses.retain(|address| !address.is_same_place(&worked));
        let most = match info.follow {
            Follow::OnRequest => MAX_REMEMBERED,
            Follow::Always => MAX_PEER_ADDRESSES,
        };
        info.addresses.truncate(most.saturating_sub(1));
        info.addresses.insert(0, worked);
        Some(info)
    }
}

fn row_key(peer: &PublicKey, tree: &Id) -> String {
    format!("{tree}-{peer}")
}

/// The settings of a new `_sync`.
pub fn settings() -> Doc {
    Doc::from(alloc::collections::BTreeMap::from([(String::from("name"), Value::from(NAME))]))
}

/// The change of metadata by which a store remembers its `_sync`.
pub fn remember(tree: &Id) -> MetaChanges {
    MetaChanges::from([(ID.to_vec(), Some(tree.as_bytes().to_vec()))])
}

/// All that is kept the same with somebody, ascending by database, then peer.
pub fn peers(snapshot: Arc<dyn Snapshot>, tree: &Id) -> Result<Vec<SyncPeerInfo>, Error> {
    let table = Table::<SyncPeerInfo>::open(Scope::of_snapshot(snapshot, *tree, PEERS)?)?;
    Ok(table.search(|_| true)?.into_iter().map(|(_, info)| info).collect())
}

/// Writes a pair, in place of what was said of the same before.
pub fn add_peer(draft: &Draft, info: &SyncPeerInfo) -> Result<(), Error> {
    let table = draft.store::<Table<SyncPeerInfo>>(PEERS)?;
    Ok(table.set(&row_key(&info.peer_pubkey, &info.tree_id), info)?)
}

/// Removes a pair.
pub fn remove_peer(draft: &Draft, peer: &PublicKey, tree: &Id) -> Result<(), Error> {
    draft.store::<Table<SyncPeerInfo>>(PEERS)?.delete(&row_key(peer, tree))?;
    Ok(())
}

/// What the transport of this name left to keep.
pub fn transport_state(snapshot: Arc<dyn Snapshot>, tree: &Id, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let store = DocStore::open(Scope::of_snapshot(snapshot, *tree, TRANSPORTS)?)?;
    Ok(match store.get(&transport_path(name)?)? {
        Some(Value::Bytes(state)) => Some(state),
        _ => None,
    })
}

/// Keeps the state of a transport.
pub fn keep_transport_state(draft: &Draft, name: &str, state: &[u8]) -> Result<(), Error> {
    let store = draft.store::<DocStore>(TRANSPORTS)?;
    Ok(store.set(&transport_path(name)?, Value::Bytes(state.to_vec()))?)
}

fn transport_path(name: &str) -> Result<String, Error> {
    Ok(path::from_keys([name]).map_err(crate::document::DocumentError::from)?)
}
