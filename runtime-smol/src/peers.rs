//! The peer book: who is known, where, in what state, and which database goes to whom.

use std::collections::VecDeque;

use pleach_core::{
    Id, PublicKey,
    instance::{Edit, Error, PeerBook, PeerInfo, SyncPeerInfo},
    node::{Command, PeerStatus, Reply},
    wire::Address,
};

use crate::{Instance, Sync, SyncHandle};

impl Sync {
    /// What `_sync` says about peers.
    pub(crate) fn book(&self) -> Result<PeerBook, Error> {
        let tree = self.sync_tree()?;
        PeerBook::read(tree.snapshot()?, &tree.root_id(), self.get_device_pubkey()?)
    }

    /// Changes it, and then tells the node.
    pub(crate) async fn edit(
        &self,
        make: impl FnOnce(&mut PeerBook) -> Result<Edit, Error>,
    ) -> Result<(), Error> {
        let instance = self.instance()?;
        let _turn = instance.turn().await;
        let mut edit = make(&mut self.book()?)?;
        // Until sync is enabled the node knows of no pairs; then it is told of all.
        let commands =
            if instance.is_sync_enabled() { std::mem::take(&mut edit.commands) } else { Vec::new() };
        let mut owed = Owed { instance: &instance, commands: commands.into() };
        // The commit goes to the node when this is polled first, and so before anything that is owed.
        if !edit.is_empty()
            && let Err(error) = self.change(|draft| edit.write(draft)).await
        {
            owed.commands.clear();
            return Err(error);
        }
        while let Some(command) = owed.commands.pop_front() {
            self.ask(command).await?;
        }
        Ok(())
    }
}

/// What the node is to be told of a change on its way to the disk. Whoever does not wait for it leaves the rest to the node,
/// so that what it does and what is kept agree.
struct Owed<'a> {
    instance: &'a Instance,
    commands: VecDeque<Command>,
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        self.commands.drain(..).for_each(|command| self.instance.tell(command));
    }
}

/// Peers.
///
/// A peer is known because somebody registered it or synced with it, which is kept in `_sync`, or because it came by
/// itself and was let in. Of the latter the 256 that came last are remembered.
///
/// ```
/// # smol::block_on(async {
/// use pleach_smol::{Address, Instance, Memory, PeerStatus, SecretKey};
/// let instance = Instance::open(Memory::new()).await?;
/// instance.enable_sync().await?;
/// let sync = instance.sync().expect("just enabled");
///
/// let desk = SecretKey::from_bytes([7; 32]).public();
/// sync.register_peer(&desk, Some("desk")).await?;
/// sync.add_peer_address(&desk, &Address::http("192.0.2.7:8080")).await?;
/// sync.update_peer_status(&desk, PeerStatus::Blocked).await?;
/// let info = sync.get_peer_info(&desk).await?.expect("just registered");
/// assert_eq!((info.display_name.as_deref(), info.status), (Some("desk"), PeerStatus::Blocked));
/// # Ok::<(), pleach_smol::Error>(())
/// # }).unwrap();
/// ```
///
/// ```
/// # smol::block_on(async {
/// use pleach_smol::{Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork, Permission, Sync};
/// # let network = MemoryNetwork::new();
/// # let (alice, bob) = (Instance::open(Memory::new()).await?, Instance::open(Memory::new()).await?);
/// # let (serving, sync) = (Sync::new(&alice).await?, Sync::new(&bob).await?);
/// # serving.register_transport("memory", network.builder().bind("alice")).await?;
/// # sync.register_transport("memory", network.builder().bind("bob")).await?;
/// # let place = serving.accept_connections().await?.remove(0);
/// # let db = Database::create(&alice, DatabaseKey::Device, Doc::new()).await?;
/// # let tree = db.root_id();
/// let peer = sync.connect_to_peer(&place).await?;
/// assert_eq!(peer, alice.device_key());
/// assert_eq!(sync.get_peer_addresses(&peer)?, [place.clone()]);
/// assert_eq!(sync.list_peers().await?[0].pubkey, peer);
/// sync.remove_peer_address(&peer, &place).await?;
/// sync.remove_peer(&peer).await?;
/// assert!(sync.list_peers().await?.is_empty());
/// # Ok::<(), pleach_smol::Error>(())
/// # }).unwrap();
/// ```
impl Sync {
    /// Asks who is at an address and puts whoever proves to be there into the book, with the address.
    pub async fn connect_to_peer(&self, address: &Address) -> Result<PublicKey, Error> {
        match self.ask(Command::Connect(address.clone())).await? {
            Reply::Connected(peer) => {
                self.add_peer_address(&peer, address).await?;
                Ok(peer)
            }
            reply => Err(Error::unexpected(&reply)),
        }
    }

    /// Puts a peer into the book; one that is in it may get another name.
    pub async fn register_peer(&self, peer: &PublicKey, display_name: Option<&str>) -> Result<(), Error> {
        self.edit(|book| book.register(*peer, display_name)).await
    }

    /// Says how a peer stands, in the book or not. One that is blocked is neither dialled nor served, over any transport
    /// and after a restart too, until it is active again: exchanges with it end, and to it nothing is here. What it
    /// wrote is still taken from others: whether that counts is a matter of rights, see
    /// [`SettingsStore::revoke`](crate::SettingsStore::revoke).
    pub async fn update_peer_status(&self, peer: &PublicKey, status: PeerStatus) -> Result<(), Error> {
        self.edit(|book| book.set_status(*peer, status)).await
    }

    /// What is known of a peer at this moment.
    pub async fn get_peer_info(&self, peer: &PublicKey) -> Result<Option<PeerInfo>, Error> {
        Ok(self.list_peers().await?.into_iter().find(|info| info.pubkey == *peer))
    }

    /// Everybody who is in the book, has come by itself or is in touch, ascending by key.
    pub async fn list_peers(&self) -> Result<Vec<PeerInfo>, Error> {
        match self.ask(Command::Peers).await? {
            Reply::Peers(states) => self.book()?.peers(states),
            reply => Err(Error::unexpected(&reply)),
        }
    }

    /// Takes a peer out of the book and ends all that the background did with it. It is not kept from coming again; one
    /// that is blocked must be unblocked first.
    pub async fn remove_peer(&self, peer: &PublicKey) -> Result<(), Error> {
        self.edit(|book| book.remove(*peer)).await
    }

    /// Notes where a peer may be found, for every database: at most 32 places.
    pub async fn add_peer_address(&self, peer: &PublicKey, address: &Address) -> Result<(), Error> {
        self.edit(|book| book.add_address(*peer, address)).await
    }

    /// Notes that a peer is no longer found at a place.
    pub async fn remove_peer_address(&self, peer: &PublicKey, address: &Address) -> Result<(), Error> {
        self.edit(|book| book.remove_address(*peer, address)).await
    }

    /// Where a peer may be found, as far as is known.
    pub fn get_peer_addresses(&self, peer: &PublicKey) -> Result<Vec<Address>, Error> {
        Ok(self.book()?.addresses(peer))
    }
}

/// Which database goes to whom.
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
/// let peer = alice.device_key();
/// let info = SyncPeerInfo::new(peer, tree, vec![place.clone()]);
/// sync.register_sync_peer(info).await?.wait_for_initial_sync().await?;
/// assert!(sync.is_tree_synced_with_peer(&peer, &tree)?);
/// assert_eq!(sync.get_tree_peers(&tree)?, [peer]);
/// assert_eq!(sync.get_peer_trees(&peer)?, [tree]);
/// assert_eq!(sync.tree_peers(&tree)?, sync.sync_peers()?);
/// sync.remove_tree_sync(&peer, &tree).await?;
///
/// // A peer that the book has addresses of needs none again.
/// sync.add_peer_address(&peer, &place).await?;
/// sync.add_tree_sync(&peer, &tree).await?;
/// assert!(sync.handle(&peer, &tree).status().await?.has_local_data);
/// # Ok::<(), pleach_smol::Error>(())
/// # }).unwrap();
/// ```
impl Sync {
    /// Keeps a database the same with a peer from now on, over restarts: at once, after each commit, and from time to
    /// time. If the peer refuses and `auth` says what to ask for, the background asks, and comes in when it is let in.
    /// Replaces what was said of the same pair before.
    pub async fn register_sync_peer(&self, info: SyncPeerInfo) -> Result<SyncHandle, Error> {
        let handle = self.handle(&info.peer_pubkey, &info.tree_id);
        self.edit(|book| book.keep_pair(info)).await?;
        Ok(handle)
    }

    /// The handle of a pair of peer and database, registered or not.
    pub fn handle(&self, peer: &PublicKey, database: &Id) -> SyncHandle {
        SyncHandle::new(self.clone(), *peer, *database)
    }

    /// Keeps a database the same with a peer that the book has addresses of; see [`Sync::register_sync_peer`].
    pub async fn add_tree_sync(&self, peer: &PublicKey, database: &Id) -> Result<(), Error> {
        self.edit(|book| book.add_pair(*peer, *database)).await
    }

    /// Ends what [`Sync::register_sync_peer`] began, and forgets the pair.
    pub async fn remove_tree_sync(&self, peer: &PublicKey, database: &Id) -> Result<(), Error> {
        self.edit(|book| Ok(book.remove_pair(*peer, *database))).await
    }

    /// Everything that was registered or remembered, ascending by database, then peer.
    pub fn sync_peers(&self) -> Result<Vec<SyncPeerInfo>, Error> {
        Ok(self.book()?.pairs().to_vec())
    }

    /// Who is known for a database, and where they are: registered, or remembered from a sync.
    pub fn tree_peers(&self, database: &Id) -> Result<Vec<SyncPeerInfo>, Error> {
        let mut all = self.sync_peers()?;
        all.retain(|info| info.tree_id == *database);
        Ok(all)
    }

    /// The public keys of those who are known for a database.
    pub fn get_tree_peers(&self, database: &Id) -> Result<Vec<PublicKey>, Error> {
        Ok(self.tree_peers(database)?.into_iter().map(|info| info.peer_pubkey).collect())
    }

    /// The databases that a peer is known for.
    pub fn get_peer_trees(&self, peer: &PublicKey) -> Result<Vec<Id>, Error> {
        Ok(self.book()?.trees_of(peer))
    }

    /// Whether the background keeps a database the same with a peer.
    pub fn is_tree_synced_with_peer(&self, peer: &PublicKey, database: &Id) -> Result<bool, Error> {
        let book = self.book()?;
        Ok(book.pair(peer, database).is_some_and(|info| book.follows(info)))
    }
}
