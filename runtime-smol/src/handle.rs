//! A handle on the sync of one database with one peer.

use std::time::Duration;

use pleach_core::{
    Id, PublicKey,
    instance::{Error, SyncStatus},
    node::{Command, Progress, Reply},
    wire::Address,
};
use pleach_transports::host::{Purpose, Watch};

use crate::Sync;

/// The sync of a database with a peer; see [`Sync::register_sync_peer`]. Dropping it ends nothing.
///
/// ```
/// # smol::block_on(async {
/// use pleach_smol::{Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork, SyncPeerInfo, SyncPhase};
/// let network = MemoryNetwork::new();
/// let (alice, bob) = (Instance::open(Memory::new()).await?, Instance::open(Memory::new()).await?);
/// for (instance, place) in [(&alice, "alice"), (&bob, "bob")] {
///     instance.enable_sync().await?;
///     let sync = instance.sync().expect("just enabled");
///     sync.register_transport("memory", network.builder().bind(place)).await?;
/// }
/// let place = alice.sync().expect("enabled").accept_connections().await?.remove(0);
/// let grants = vec![(pleach_smol::Who::Key(bob.device_key()), pleach_smol::Permission::Read)];
/// let db = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants).await?;
///
/// let info = SyncPeerInfo::new(alice.device_key(), db.root_id(), vec![place]);
/// let handle = bob.sync().expect("enabled").register_sync_peer(info).await?;
/// handle.wait_for_initial_sync().await?;
/// let status = handle.status().await?;
/// assert!(status.has_local_data && status.last_sync.is_some() && status.stuck.is_none());
/// # Ok::<(), pleach_smol::Error>(())
/// # }).unwrap();
/// ```
///
/// ```
/// # smol::block_on(async {
/// use pleach_smol::{Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork, Permission, Sync, SyncPeerInfo, Who};
/// # let network = MemoryNetwork::new();
/// # let (alice, bob) = (Instance::open(Memory::new()).await?, Instance::open(Memory::new()).await?);
/// # let (serving, sync) = (Sync::new(&alice).await?, Sync::new(&bob).await?);
/// # serving.register_transport("memory", network.builder().bind("alice")).await?;
/// # sync.register_transport("memory", network.builder().bind("bob")).await?;
/// # let place = serving.accept_connections().await?.remove(0);
/// # let grants = vec![(Who::Key(bob.device_key()), Permission::Write(100))];
/// # let db = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants).await?;
/// # let tree = db.root_id();
/// let handle = sync.register_sync_peer(SyncPeerInfo::new(alice.device_key(), tree, vec![])).await?;
/// assert_eq!((handle.peer_pubkey(), handle.tree_id()), (alice.device_key(), tree));
/// let progress = handle.progress()?;
/// handle.add_address(&place).await?;
/// handle.wait_for_initial_sync_within(std::time::Duration::from_secs(60)).await?;
/// assert!(progress.next().await.is_some());
/// # Ok::<(), pleach_smol::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct SyncHandle {
    sync: Sync,
    peer: PublicKey,
    tree: Id,
}

impl SyncHandle {
    pub(crate) const fn new(sync: Sync, peer: PublicKey, tree: Id) -> Self {
        Self { sync, peer, tree }
    }

    /// The database.
    pub const fn tree_id(&self) -> Id {
        self.tree
    }

    /// The peer.
    pub const fn peer_pubkey(&self) -> PublicKey {
        self.peer
    }

    /// How it stands at this moment.
    pub async fn status(&self) -> Result<SyncStatus, Error> {
        match self.sync.ask(Command::Status { tree: self.tree, peer: self.peer }).await? {
            Reply::Pair(pair) => {
                let (instance, book) = (self.sync.instance()?, self.sync.book()?);
                let usable = instance.keyring()?.keys(&Purpose::Database(self.tree));
                let logged_out = book.logged_out(&self.tree, &usable);
                let pair = pair.map(|pair| *pair);
                Ok(SyncStatus::of(&*instance.snapshot()?, &self.tree, pair, logged_out)?)
            }
            reply => Err(Error::unexpected(&reply)),
        }
    }

    /// How its exchanges move on.
    pub fn progress(&self) -> Result<Watch<Progress>, Error> {
        Ok(self.sync.instance()?.watchers().progress(Some((self.tree, self.peer))))
    }

    /// One more place where the peer may be found for this database. The background tries it at once.
    pub async fn add_address(&self, address: &Address) -> Result<(), Error> {
        self.sync.edit(|book| book.add_pair_address(self.peer, self.tree, address)).await
    }

    /// Waits until the database has been the same here and at the peer once, now or before a restart. It wakes when that
    /// is so; that the peer cannot be reached is no error, since it may come back.
    pub async fn wait_for_initial_sync(&self) -> Result<(), Error> {
        self.wait(None).await
    }

    /// The same for a limited time. The error after that says what stands in the way.
    pub async fn wait_for_initial_sync_within(&self, time: Duration) -> Result<(), Error> {
        self.wait(Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))).await
    }

    async fn wait(&self, within: Option<u64>) -> Result<(), Error> {
        let wait = Command::AwaitSync { tree: self.tree, peer: self.peer, within };
        self.sync.ask(wait).await.map(drop)
    }
}
