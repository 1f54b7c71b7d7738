//! Sync: transports, servers, exchanges with peers, and what the background keeps the same.

use std::sync::Arc;

use pleach_core::{
    Id, PublicKey, SecretKey,
    document::Draft,
    instance::{AccessRequest, DatabaseKey, Error, PeerBook, sync_tree},
    node::{Command, Notification, Progress, Reply, SyncReport, TreeInfo},
    wire::{Address, DatabaseTicket},
};
use pleach_storage::open_users;
use pleach_transports::{
    Builder,
    host::{Keyring, Lent, Purpose, Watch, reachable},
};

use crate::{Database, Instance, WeakInstance};

/// The sync of an instance; see [`Instance::enable_sync`]. A cheap clone of a handle that does not keep the instance
/// alive: using it after the instance is gone is an error.
///
/// ```
/// # smol::block_on(async {
/// use pleach_smol::{Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork};
/// let network = MemoryNetwork::new();
///
/// let alice = Instance::open(Memory::new()).await?;
/// alice.enable_sync().await?;
/// let serving = alice.sync().expect("just enabled");
/// serving.register_transport("memory", network.builder().bind("alice")).await?;
/// serving.accept_connections().await?;
///
/// let bob = Instance::open(Memory::new()).await?;
/// let grants = vec![(pleach_smol::Who::Key(bob.device_key()), pleach_smol::Permission::Write(100))];
/// let db = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants).await?;
///
/// bob.enable_sync().await?;
/// let sync = bob.sync().expect("just enabled");
/// sync.register_transport("memory", network.builder()).await?;
/// let report = sync.sync_with_ticket(&serving.create_ticket(&db.root_id())?).await?;
/// assert_eq!(report.entries_received, 1);
/// # Ok::<(), pleach_smol::Error>(())
/// # }).unwrap();
/// ```
///
/// ```
/// # smol::block_on(async {
/// use pleach_smol::{Instance, Memory, Sync};
/// let instance = Instance::open(Memory::new()).await?;
/// let sync = Sync::new(&instance).await?;
/// assert_eq!(sync.get_device_pubkey()?, instance.device_key());
/// let tree = sync.sync_tree_root_id()?;
/// assert_eq!(sync.sync_tree()?.root_id(), tree);
/// assert_eq!(Sync::load(&instance, &tree).await?.instance()?.device_key(), instance.device_key());
/// # Ok::<(), pleach_smol::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Sync {
    instance: WeakInstance,
    remembers: bool,
    /// What is proven beside the node's key.
    keys: Arc<[SecretKey]>,
}

/// How a sync with each of several peers went.
pub type PeerOutcomes = Vec<(PublicKey, Result<SyncReport, Error>)>;

impl Sync {
    pub(crate) fn of(instance: &Instance) -> Self {
        Self { instance: instance.downgrade(), remembers: true, keys: [].into() }
    }

    /// Makes or takes up `_sync`, and tells the node what it says about peers. Done once: after that the node is told of
    /// each change, and what was read before it would take it back.
    pub(crate) async fn enable(instance: &Instance) -> Result<(), Error> {
        // Held to the end: whoever changes the book meanwhile would find sync off, and tell the node nothing.
        let _turn = instance.turn().await;
        if instance.is_sync_enabled() {
            return instance.context().map(drop);
        }
        Self::make_tree(instance).await?;
        let tree = Self::of(instance).sync_tree_root_id()?;
        let book = PeerBook::read(instance.snapshot()?, &tree, instance.device_key())?;
        for command in book.start()? {
            instance.ask(command).await?;
        }
        let (keyring, snapshot) = (instance.keyring()?, instance.snapshot()?);
        for user in open_users(&snapshot, &tree)? {
            keyring.log_in(user.info(), user.tracked_keys(&snapshot, &tree)?);
        }
        instance.sync_enabled(tree);
        Ok(())
    }

    /// A handle on what `_sync` says, which is made if there is none; sync is not enabled by that.
    pub(crate) async fn with_tree(instance: &Instance) -> Result<Self, Error> {
        let _turn = instance.turn().await;
        Self::make_tree(instance).await?;
        Ok(Self::of(instance))
    }

    /// Makes `_sync` if there is none. The caller has the turn.
    async fn make_tree(instance: &Instance) -> Result<(), Error> {
        if instance.sync_tree().is_none() {
            instance.sync_tree_is(Self::create_tree(instance).await?);
        }
        Ok(())
    }

    async fn create_tree(instance: &Instance) -> Result<Id, Error> {
        let settings = sync_tree::settings();
        let database = Database::create(instance, DatabaseKey::Device, settings).await?;
        instance.ask(Command::Meta(sync_tree::remember(&database.root_id()))).await?;
        Ok(database.root_id())
    }

    /// The sync of an instance, enabled if it is not; see [`Instance::enable_sync`].
    pub async fn new(instance: &Instance) -> Result<Self, Error> {
        instance.enable_sync().await?;
        Ok(Self::of(instance))
    }

    /// The same for an instance whose `_sync` tree has this root. Another one is an error: it is the tree by which the
    /// instance knows its peers, and there is one of it.
    pub async fn load(instance: &Instance, root: &Id) -> Result<Self, Error> {
        if instance.sync_tree() != Some(*root) {
            return Err(Error::NotTheSyncTree(*root));
        }
        Self::new(instance).await
    }

    /// The instance, or an error once it is gone.
    pub fn instance(&self) -> Result<Instance, Error> {
        self.instance.upgrade().ok_or(Error::CLOSED)
    }

    /// The node's public key, by which peers know it.
    pub fn get_device_pubkey(&self) -> Result<PublicKey, Error> {
        Ok(self.instance()?.device_key())
    }

    /// The local tree in which sync keeps what must last; it is never shared.
    pub fn sync_tree(&self) -> Result<Database, Error> {
        let instance = self.instance()?;
        let tree = instance.sync_tree().ok_or(Error::CLOSED)?;
        Database::open(&instance, &tree, DatabaseKey::Device)
    }

    /// The id of [`Sync::sync_tree`].
    pub fn sync_tree_root_id(&self) -> Result<Id, Error> {
        Ok(self.sync_tree()?.root_id())
    }

    /// Changes `_sync` by one entry.
    pub(crate) async fn change(&self, change: impl FnOnce(&Draft) -> Result<(), Error>) -> Result<(), Error> {
        let txn = self.sync_tree()?.new_transaction()?;
        change(txn.draft())?;
        txn.commit().await.map(drop)
    }

    pub(crate) async fn ask(&self, command: Command) -> Result<Reply, Error> {
        self.instance()?.ask(command).await
    }
}

/// Transports and servers.
///
/// ```
/// # smol::block_on(async {
/// use pleach_smol::{Instance, Memory, MemoryNetwork, Sync};
/// # let instance = Instance::open(Memory::new()).await?;
/// # let sync = Sync::new(&instance).await?;
/// let network = MemoryNetwork::new();
/// sync.register_transport("memory", network.builder().bind("desk")).await?;
/// let place = sync.accept_connections_on("memory").await?;
/// assert_eq!(sync.get_server_address()?, place);
/// assert_eq!(sync.get_server_address_for("memory")?, place);
/// assert_eq!(sync.get_all_server_addresses()?, [("memory".to_owned(), place)]);
/// sync.stop_server().await?;
/// assert!(sync.get_server_address().is_err());
/// # Ok::<(), pleach_smol::Error>(())
/// # }).unwrap();
/// ```
impl Sync {
    /// Adds a transport under a name, in place of one that had it. The builder is given what it left to keep under
    /// this name the last time, so that an identity survives.
    pub async fn register_transport(&self, name: &str, builder: impl Builder + 'static) -> Result<(), Error> {
        let instance = self.instance()?;
        let tree = self.sync_tree()?;
        let kept = sync_tree::transport_state(tree.snapshot()?, &tree.root_id(), name)?;
        let failed = |error: pleach_transports::TransportError| Error::transport(name, &error);
        let built = Box::new(builder).build(instance.context()?, kept.as_deref()).map_err(failed)?;
        if let Some(state) = built.state.filter(|state| kept.as_ref() != Some(state)) {
            self.change(|draft| sync_tree::keep_transport_state(draft, name, &state)).await?;
        }
        instance.board().add(name, Arc::from(built.transport));
        Ok(())
    }

    /// Adds HTTP as `http`; it listens on a free port of this machine alone until [`Sync::start_server`] says where.
    ///
    /// ```
    /// # smol::block_on(async {
    /// use pleach_smol::{Instance, Memory};
    /// # let instance = Instance::open(Memory::new()).await?;
    /// # instance.enable_sync().await?;
    /// # let sync = instance.sync().expect("just enabled");
    /// sync.enable_http_transport().await?;
    /// let places = sync.accept_connections().await?;
    /// assert!(places[0].to_string().starts_with("http:") && places[0].address.starts_with("127.0.0.1:"));
    /// # Ok::<(), pleach_smol::Error>(())
    /// # }).unwrap();
    /// ```
    #[cfg(feature = "http")]
    pub async fn enable_http_transport(&self) -> Result<(), Error> {
        self.register_transport("http", crate::HttpTransport::builder().bind("127.0.0.1:0")).await
    }

    /// Adds QUIC as `quic`; it listens on a free port of this machine alone until [`Sync::start_server`] says where.
    ///
    /// ```
    /// # smol::block_on(async {
    /// use pleach_smol::{Instance, Memory};
    /// # let instance = Instance::open(Memory::new()).await?;
    /// # instance.enable_sync().await?;
    /// # let sync = instance.sync().expect("just enabled");
    /// sync.enable_quic_transport().await?;
    /// let places = sync.accept_connections().await?;
    /// assert!(places[0].to_string().starts_with("quic:") && places[0].address.starts_with("127.0.0.1:"));
    /// # Ok::<(), pleach_smol::Error>(())
    /// # }).unwrap();
    /// ```
    #[cfg(feature = "quic")]
    pub async fn enable_quic_transport(&self) -> Result<(), Error> {
        self.register_transport("quic", crate::QuicTransport::builder().bind("127.0.0.1:0")).await
    }

    /// Adds iroh as `iroh`, with its public relays, and everywhere on a free port. Its endpoint has the same id at every
    /// start; other relays, or none, are chosen by [`Sync::register_transport`].
    #[cfg(feature = "iroh")]
    pub async fn enable_iroh_transport(&self) -> Result<(), Error> {
        self.register_transport("iroh", crate::IrohTransport::builder().bind("0.0.0.0:0")).await
    }

    /// Serves on an address, `http:host:port`, `https:host:port`, `quic:host:port` or `iroh:host:port`, over a transport
    /// that is called as it begins, and says where (with port 0 resolved). Over `https` the node's key is its certificate;
    /// others are chosen by [`Sync::register_transport`].
    ///
    /// ```
    /// # smol::block_on(async {
    /// use pleach_smol::{Address, Instance, Memory};
    /// # let instance = Instance::open(Memory::new()).await?;
    /// # instance.enable_sync().await?;
    /// # let sync = instance.sync().expect("just enabled");
    /// let place = sync.start_server(&Address::http("127.0.0.1:0")).await?;
    /// assert_eq!(sync.get_all_server_addresses()?, [("http".to_owned(), place)]);
    /// # Ok::<(), pleach_smol::Error>(())
    /// # }).unwrap();
    /// ```
    #[cfg(any(feature = "http", feature = "quic", feature = "iroh"))]
    pub async fn start_server(&self, address: &Address) -> Result<Address, Error> {
        let name = address.transport_type.as_str();
        match name {
            #[cfg(feature = "http")]
            "http" => {
                self.register_transport(name, crate::HttpTransport::builder().bind(&address.address)).await?;
            }
            #[cfg(feature = "http")]
            "https" => {
                let builder = crate::HttpTransport::builder().bind(&address.address).node_certificate();
                self.register_transport(name, builder).await?;
            }
            #[cfg(feature = "quic")]
            "quic" => {
                self.register_transport(name, crate::QuicTransport::builder().bind(&address.address)).await?;
            }
            #[cfg(feature = "iroh")]
            "iroh" => {
                self.register_transport(name, crate::IrohTransport::builder().bind(&address.address)).await?;
            }
            _ => return Err(Error::UnknownTransport(name.to_owned())),
        }
        self.accept_connections_on(name).await
    }

    /// Lets peers in over every transport that has a place to listen, and says where. It is off at every start until
    /// this is called. A place that cannot be had is an error, the first of them, and keeps no other transport from
    /// letting peers in ([`Sync::get_all_server_addresses`] says which do); no place at all is an error too.
    pub async fn accept_connections(&self) -> Result<Vec<Address>, Error> {
        let (mut addresses, mut failed) = (Vec::new(), None);
        for name in self.instance()?.board().listening() {
            match self.accept_connections_on(&name).await {
                Ok(address) => addresses.push(address),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) => Err(error),
            None if addresses.is_empty() => Err(Error::NowhereToListen),
            None => Ok(addresses),
        }
    }

    /// Lets peers in over one transport, and says where.
    #[expect(clippy::unused_async, reason = "a transport that takes its time to listen needs it")]
    pub async fn accept_connections_on(&self, name: &str) -> Result<Address, Error> {
        let instance = self.instance()?;
        if !instance.board().names().iter().any(|known| known == name) {
            return Err(Error::UnknownTransport(name.to_owned()));
        }
        instance.board().accept(name).map_err(|error| Error::transport(name, &error))
    }

    /// Closes all doors. Exchanges under way go on to their end.
    #[expect(clippy::unused_async, reason = "a transport that takes its time to stop needs it")]
    pub async fn stop_server(&self) -> Result<(), Error> {
        self.instance()?.board().stop(None);
        Ok(())
    }

    /// Where peers are let in, over the first transport that does.
    pub fn get_server_address(&self) -> Result<Address, Error> {
        let first = self.get_all_server_addresses()?.into_iter().next();
        first.map(|(_, address)| address).ok_or(Error::NoServer)
    }

    /// Where peers are let in over the transport of this name.
    pub fn get_server_address_for(&self, name: &str) -> Result<Address, Error> {
        let mut all = self.get_all_server_addresses()?.into_iter();
        all.find(|(found, _)| found == name).map(|(_, address)| address).ok_or(Error::NoServer)
    }

    /// Where peers are let in, by the name of the transport.
    pub fn get_all_server_addresses(&self) -> Result<Vec<(String, Address)>, Error> {
        Ok(self.instance()?.board().addresses())
    }

    /// A text by which a database is shared, with the addresses of all running servers. A server that listens
    /// everywhere (`0.0.0.0`, `[::]`) is named by the addresses by which this machine reaches others; without a network
    /// it is left out, and a warning says so. The ticket grants nothing: who may read is said in the database's settings
    /// (but see [`Sync::create_invite`]).
    pub fn create_ticket(&self, database: &Id) -> Result<DatabaseTicket, Error> {
        let mut addresses = Vec::new();
        for (name, address) in self.get_all_server_addresses()? {
            let found = reachable(&address);
            if found.is_empty() {
                tracing::warn!(%name, %address, "left out of a ticket: this machine has no address that others reach");
            }
            addresses.extend(found);
        }
        Database::open(&self.instance()?, database, DatabaseKey::Device)?;
        Ok(DatabaseTicket::new(*database, addresses)?)
    }
}

/// Exchanges with peers.
///
/// After one that went well, the peer's key and the address that worked are remembered in `_sync` for that database, so
/// that a sync without an address finds the peer, after a restart too. The background begins nothing because of that:
/// see [`Sync::register_sync_peer`].
///
/// ```
/// # smol::block_on(async {
/// use pleach_smol::{Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork, Permission, Sync, Who};
/// # let network = MemoryNetwork::new();
/// # let (alice, bob) = (Instance::open(Memory::new()).await?, Instance::open(Memory::new()).await?);
/// # let (serving, sync) = (Sync::new(&alice).await?, Sync::new(&bob).await?);
/// # serving.register_transport("memory", network.builder().bind("alice")).await?;
/// # sync.register_transport("memory", network.builder().bind("bob")).await?;
/// # let place = serving.accept_connections().await?.remove(0);
/// # let grants = vec![(Who::Key(bob.device_key()), Permission::Write(100))];
/// # let db = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants).await?;
/// # let tree = db.root_id();
/// // Whoever knows an address can look, and fetch one database or all.
/// assert_eq!(sync.discover_peer_trees(&place).await?[0].id, tree);
/// let reports = sync.sync_with_peer(&place, Some(&tree)).await?;
/// assert_eq!(reports[0].entries_received, 1);
///
/// // From then on the peer is known for it.
/// sync.sync_tree_with_peer(&alice.device_key(), &tree).await?;
/// let outcomes = sync.sync_database(&tree).await?;
/// assert_eq!(outcomes[0].0, alice.device_key());
/// assert!(outcomes[0].1.is_ok());
///
/// // Whoever does not want that:
/// sync.forgetting().sync_with_peer(&place, None).await?;
/// # Ok::<(), pleach_smol::Error>(())
/// # }).unwrap();
/// ```
impl Sync {
    /// A handle whose syncs are not remembered.
    #[must_use]
    pub fn forgetting(&self) -> Self {
        Self { remembers: false, ..self.clone() }
    }

    /// A handle whose exchanges prove this key as well as the node's, and those that this one proves: a peer lets read
    /// whatever any of them may. No more than 16 are proven, those that were named last first. It is for the time of each
    /// call; what the background does proves the keys of users who track the database ([`crate::User::track_database`])
    /// and those with which it is open ([`Database::open`]).
    ///
    /// The peer learns the keys.
    ///
    /// ```
    /// # smol::block_on(async {
    /// use pleach_smol::{Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork, Permission, Sync, Who};
    /// # let network = MemoryNetwork::new();
    /// # let (alice, bob) = (Instance::open(Memory::new()).await?, Instance::open(Memory::new()).await?);
    /// # let (serving, sync) = (Sync::new(&alice).await?, Sync::new(&bob).await?);
    /// # serving.register_transport("memory", network.builder().bind("alice")).await?;
    /// # sync.register_transport("memory", network.builder()).await?;
    /// # let place = serving.accept_connections().await?.remove(0);
    /// bob.create_user("bob", None).await?;
    /// let user = bob.login_user("bob", None).await?;
    /// // It is Bob whom Alice lets read, wherever he is logged in.
    /// let grants = vec![(Who::Key(user.default_key()), Permission::Read)];
    /// let db = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants).await?;
    /// assert!(sync.sync_with_peer(&place, Some(&db.root_id())).await.is_err());
    /// let key = user.key(&user.default_key())?;
    /// assert_eq!(sync.proving(key).sync_with_peer(&place, Some(&db.root_id())).await?.len(), 1);
    /// # Ok::<(), pleach_smol::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn proving(&self, key: impl Into<DatabaseKey>) -> Self {
        let mut keys = self.keys.to_vec();
        if let DatabaseKey::Secret(key) = key.into() {
            keys.insert(0, key);
        }
        Self { keys: keys.into(), ..self.clone() }
    }

    /// The further keys that its exchanges prove.
    pub(crate) fn public_keys(&self) -> impl Iterator<Item = PublicKey> {
        self.keys.iter().map(SecretKey::public)
    }

    /// Lends the keys for a purpose while a call lasts.
    pub(crate) fn lend(&self, purpose: Purpose) -> Result<Option<Lent>, Error> {
        let lend = |keyring: Keyring| keyring.lend(purpose, self.keys.iter().cloned());
        (!self.keys.is_empty()).then(|| self.instance()?.keyring().map(lend)).transpose()
    }

    /// Makes a database the same here and at a peer, fetching it if it is not held; without one, every database that
    /// the peer offers. A refusal is an error.
    pub async fn sync_with_peer(
        &self,
        address: &Address,
        database: Option<&Id>,
    ) -> Result<Vec<SyncReport>, Error> {
        let databases = match database {
            Some(database) => vec![*database],
            None => self.discover_peer_trees(address).await?.into_iter().map(|tree| tree.id).collect(),
        };
        let mut reports = Vec::with_capacity(databases.len());
        for database in databases {
            reports.push(self.sync_one(address, database).await?);
        }
        Ok(reports)
    }

    /// Fetches what a ticket names, or brings it up to date, at its addresses and at those of peers that are known for the
    /// database. Each has a head start of a quarter of a second before the next is tried beside it; the first that
    /// answers well is taken. One that is lost on the way gives its place to the next at once: what has come from it stays,
    /// and only the rest is asked for. When all have failed, the error says where and why (see [`Error::sources`]). An
    /// invite in the ticket is redeemed first.
    pub async fn sync_with_ticket(&self, ticket: &DatabaseTicket) -> Result<SyncReport, Error> {
        if let Some(request) = AccessRequest::of_ticket(ticket) {
            return self.bootstrap_with_ticket(ticket, &request).await?.into_report(&ticket.database());
        }
        let addresses = self.addresses_of(ticket)?;
        self.sync_any(addresses, ticket.database(), Error::NoAddress(ticket.database())).await
    }

    /// Where to look for a ticket's database: at its own addresses first, then at those of known peers.
    pub(crate) fn addresses_of(&self, ticket: &DatabaseTicket) -> Result<Vec<Address>, Error> {
        Ok(self.book()?.places_of(&ticket.database(), ticket.addresses()))
    }

    /// Makes a database the same here and at every peer that is known for it, one after the other. A peer that fails
    /// is reported in its place and keeps nobody else from being asked.
    pub async fn sync_database(&self, database: &Id) -> Result<PeerOutcomes, Error> {
        let peers = self.get_tree_peers(database)?;
        if peers.is_empty() {
            return Err(Error::NoPeer(*database));
        }
        let mut outcomes = Vec::with_capacity(peers.len());
        for peer in peers {
            outcomes.push((peer, self.sync_tree_with_peer(&peer, database).await));
        }
        Ok(outcomes)
    }

    /// Makes a database the same here and at a peer, wherever that is found first; see [`Sync::sync_with_ticket`].
    pub async fn sync_tree_with_peer(&self, peer: &PublicKey, database: &Id) -> Result<SyncReport, Error> {
        let book = self.book()?;
        let addresses = match book.pair(peer, database) {
            Some(info) => book.addresses_for(info),
            None => book.addresses(peer),
        };
        let addresses = addresses.into_iter().map(|address| address.with_key(*peer)).collect();
        self.sync_any(addresses, *database, Error::NoPeer(*database)).await
    }

    /// What we may read at a peer.
    pub async fn discover_peer_trees(&self, address: &Address) -> Result<Vec<TreeInfo>, Error> {
        let _lent = self.lend(Purpose::Lists(address.clone()))?;
        match self.ask(Command::Discover(address.clone())).await? {
            Reply::Trees(trees) => Ok(trees),
            reply => Err(Error::unexpected(&reply)),
        }
    }

    pub(crate) async fn sync_one(&self, address: &Address, tree: Id) -> Result<SyncReport, Error> {
        let _lent = self.lend(Purpose::Database(tree))?;
        self.synced(self.ask(Command::Sync { address: address.clone(), tree }).await?).await
    }

    async fn sync_any(&self, addresses: Vec<Address>, tree: Id, none: Error) -> Result<SyncReport, Error> {
        if addresses.is_empty() {
            return Err(none);
        }
        let _lent = self.lend(Purpose::Database(tree))?;
        self.synced(self.ask(Command::SyncAny { addresses, tree }).await?).await
    }

    async fn synced(&self, reply: Reply) -> Result<SyncReport, Error> {
        let Reply::Synced(report) = reply else { return Err(Error::unexpected(&reply)) };
        self.remember(&report).await?;
        Ok(report)
    }

    /// Remembers with whom a sync went well, and where.
    pub(crate) async fn remember(&self, report: &SyncReport) -> Result<(), Error> {
        if self.remembers {
            let wall = self.instance()?.context()?.wall();
            self.edit(|book| Ok(book.after_sync(report, wall))).await?;
        }
        Ok(())
    }
}

/// What happens.
///
/// ```
/// # smol::block_on(async {
/// use pleach_smol::{Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork, Notification, Permission, Sync, Who};
/// # let network = MemoryNetwork::new();
/// # let (alice, bob) = (Instance::open(Memory::new()).await?, Instance::open(Memory::new()).await?);
/// # let (serving, sync) = (Sync::new(&alice).await?, Sync::new(&bob).await?);
/// # serving.register_transport("memory", network.builder().bind("alice")).await?;
/// # sync.register_transport("memory", network.builder().bind("bob")).await?;
/// # let place = serving.accept_connections().await?.remove(0);
/// # let grants = vec![(Who::Key(bob.device_key()), Permission::Write(100))];
/// # let db = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants).await?;
/// # let tree = db.root_id();
/// let (progress, all) = (sync.progress()?, sync.watch()?);
/// sync.sync_with_peer(&place, Some(&tree)).await?;
/// assert_eq!(progress.next().await.map(|progress| progress.tree), Some(tree));
/// while let Some(happened) = all.try_next() {
///     if let Notification::Wrote { tree, entries, .. } = happened {
///         println!("{} entries are new in {tree}", entries.len());
///     }
/// }
/// # Ok::<(), pleach_smol::Error>(())
/// # }).unwrap();
/// ```
impl Sync {
    /// How exchanges that this node opened move on.
    pub fn progress(&self) -> Result<Watch<Progress>, Error> {
        Ok(self.instance()?.watchers().progress(None))
    }

    /// Everything that happens: writes, progress, the ends of background syncs.
    pub fn watch(&self) -> Result<Watch<Notification>, Error> {
        Ok(self.instance()?.watchers().all())
    }
}
