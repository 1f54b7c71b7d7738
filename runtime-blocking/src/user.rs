//! Users of an instance: several people, each with keys and wishes of their own.

use std::sync::Arc;

use pleach_core::{
    Id, PublicKey,
    document::Doc,
    entry::Who,
    instance::{
        AccessRequest, Bootstrap, DatabaseKey, Error, SyncSettings, TrackedDatabase, UserInfo, UserKey, user,
    },
    node::{Command, NodeError},
    wire::DatabaseTicket,
};
use pleach_storage::{NewUser, OpenUser, forget_user};
use pleach_transports::host::LoggedIn;

use crate::{Database, Instance, Sync};

/// Users. They are known on this instance alone: what is said of them stands in `_sync`, which is never shared, and their
/// secret keys in the store's metadata.
///
/// ```
/// use pleach_blocking::{Instance, Memory};
/// let instance = Instance::open(Memory::new())?;
/// let id = instance.create_user("alice", None)?;
/// assert_eq!(instance.list_users()?[0].id, id);
/// let alice = instance.login_user("alice", None)?;
/// assert_eq!(alice.default_key(), id);
/// instance.delete_user("alice")?;
/// assert!(instance.list_users()?.is_empty());
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
impl Instance {
    /// Creates a user with one key, whose public part is returned. With a password the keys are under it, which takes some
    /// hundred milliseconds and needs the feature `passphrase`; without one whoever opens the store may use them.
    pub fn create_user(&self, name: &str, password: Option<&str>) -> Result<PublicKey, Error> {
        let sync = Sync::with_tree(self)?;
        let tree = sync.sync_tree()?;
        if user::users(&tree.snapshot()?, &tree.root_id())?.iter().any(|user| user.name == name) {
            return Err(Error::UserExists(name.to_owned()));
        }
        let context = self.live()?.context;
        let new = NewUser::make(name, password, context.random(), context.wall())?;
        self.ask(Command::Meta(new.secrets()))?;
        let _turn = self.turn();
        let known = user::users(&tree.snapshot()?, &tree.root_id())?;
        sync.change(|draft| new.write(draft, &known))?;
        Ok(new.user().info().id)
    }

    /// Logs a user in. While a handle is there, exchanges with peers prove the keys with which they track databases.
    pub fn login_user(&self, name: &str, password: Option<&str>) -> Result<User, Error> {
        let tree = Sync::with_tree(self)?.sync_tree()?.root_id();
        let user = OpenUser::log_in(&self.snapshot()?, &tree, name, password)?;
        let tracked = user.tracked_keys(&self.snapshot()?, &tree)?;
        let databases: Vec<Id> = tracked.iter().map(|(database, _)| *database).collect();
        let logged_in = self.keyring()?.log_in(user.info(), tracked);
        self.try_again(&databases)?;
        Ok(User { instance: self.clone(), open: Arc::new(user), _logged_in: Arc::new(logged_in) })
    }

    /// Peers that have refused these databases may find that a key is there now.
    fn try_again(&self, databases: &[Id]) -> Result<(), Error> {
        let Some(sync) = self.sync() else { return Ok(()) };
        for info in sync.book()?.pairs().iter().filter(|info| databases.contains(&info.tree_id)) {
            match sync.ask(Command::Nudge { tree: info.tree_id, peer: info.peer_pubkey }) {
                Ok(_) | Err(Error::Node(NodeError::NotTracked(..))) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// All users, ascending by name.
    pub fn list_users(&self) -> Result<Vec<UserInfo>, Error> {
        match self.sync_tree() {
            Some(tree) => user::users(&self.snapshot()?, &tree),
            None => Ok(Vec::new()),
        }
    }

    /// Deletes a user with their keys: nobody can write with these again, unless they were kept elsewhere.
    pub fn delete_user(&self, name: &str) -> Result<(), Error> {
        let sync = Sync::with_tree(self)?;
        let tree = sync.sync_tree()?;
        let info = user::user(&tree.snapshot()?, &tree.root_id(), name)?;
        let keys = user::user_keys(tree.snapshot()?, &tree.root_id(), &info.id)?;
        sync.edit(|book| book.forget_user(name))?;
        self.keyring()?.forget(&info.id);
        sync.change(|draft| user::drop_user(draft, &info, &keys))?;
        self.ask(Command::Meta(forget_user(&info, &keys))).map(drop)
    }
}

/// A user that has logged in; see [`Instance::login_user`]. A cheap clone of a handle.
///
/// ```
/// use pleach_blocking::{Doc, DocStore, Instance, Memory, SyncSettings};
/// let instance = Instance::open(Memory::new())?;
/// instance.create_user("alice", None)?;
/// let alice = instance.login_user("alice", None)?;
///
/// let db = alice.create_database(Doc::new())?;
/// alice.track_database(&db.root_id(), &alice.default_key(), SyncSettings::on_commit())?;
/// let txn = alice.open_database(&db.root_id())?.new_transaction()?;
/// txn.get_store::<DocStore>("notes")?.set("title", "Pleaching")?;
/// txn.commit()?;
/// assert_eq!(db.key().public(), alice.default_key());
/// assert_eq!(alice.tracked_databases()?.len(), 1);
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
///
/// ```
/// use pleach_blocking::{Database, Doc, Instance, Memory, SyncSettings};
/// # let instance = Instance::open(Memory::new())?;
/// # instance.create_user("alice", None)?;
/// # let alice = instance.login_user("alice", None)?;
/// let key = alice.add_key("laptop")?;
/// assert_eq!((alice.name(), alice.list_keys()?.len()), ("alice", 2));
/// let db = Database::create(&instance, alice.key(&key)?, Doc::new())?;
/// assert_eq!(alice.find_key(&db.root_id())?, key);
/// assert_eq!(alice.share(&db.root_id())?.database(), db.root_id());
/// alice.track_database(&db.root_id(), &key, SyncSettings::enabled())?;
/// alice.untrack_database(&db.root_id())?;
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct User {
    instance: Instance,
    open: Arc<OpenUser>,
    /// Exchanges prove the keys with which they track databases.
    _logged_in: Arc<LoggedIn>,
}

impl User {
    /// The name by which they log in.
    pub fn name(&self) -> &str {
        &self.open.info().name
    }

    /// The key that they were created with.
    pub fn default_key(&self) -> PublicKey {
        self.open.info().id
    }

    /// Their keys, the first one first.
    pub fn list_keys(&self) -> Result<Vec<UserKey>, Error> {
        let tree = self.plain_sync().sync_tree_root_id()?;
        self.open.keys(self.instance.snapshot()?, &tree)
    }

    /// One more key, with a name for people, which may be empty.
    pub fn add_key(&self, name: &str) -> Result<PublicKey, Error> {
        let context = self.instance.live()?.context;
        let (key, secret) = self.open.new_key(name, context.random())?;
        self.instance.ask(Command::Meta(secret))?;
        self.plain_sync()
            .change(|draft| user::keep_user_key(draft, &self.default_key(), &key, context.wall()))?;
        Ok(key.public)
    }

    /// One of their keys, to open a database with.
    pub fn key(&self, key: &PublicKey) -> Result<DatabaseKey, Error> {
        if !self.list_keys()?.iter().any(|known| known.public == *key) {
            return Err(self.no_key(key));
        }
        Ok(self.open.secret(&*self.instance.snapshot()?, key)?.into())
    }

    fn no_key(&self, wanted: &dyn ToString) -> Error {
        Error::NoUserKey { user: self.name().to_owned(), wanted: wanted.to_string() }
    }

    /// Makes a database whose administrator is their first key.
    pub fn create_database(&self, settings: Doc) -> Result<Database, Error> {
        Database::create(&self.instance, self.key(&self.default_key())?, settings)
    }

    /// The one of their keys with which they may do most in a database: that with which they track it, if they do.
    pub fn find_key(&self, database: &Id) -> Result<PublicKey, Error> {
        if let Some(tracked) = self.tracked_databases()?.into_iter().find(|one| one.database == *database) {
            return Ok(tracked.key);
        }
        let snapshot = self.instance.snapshot()?;
        let mut best = None;
        for key in self.list_keys()? {
            let may = snapshot.permission(database, &Who::Key(key.public))?;
            best = best.max(may.map(|may| (may, key.public)));
        }
        best.map(|(_, key)| key).ok_or_else(|| self.no_key(&format!("for database {database}")))
    }

    /// Opens a database with [`User::find_key`].
    pub fn open_database(&self, database: &Id) -> Result<Database, Error> {
        Database::open(&self.instance, database, self.key(&self.find_key(database)?)?)
    }

    /// Says with which key they open a database and how they want it to be kept the same with the peers that are known for
    /// it, in place of what they said before. While they are logged in, and always if they have no password, exchanges about
    /// it prove the key as well as the node's. What several users say of one database is combined: see
    /// [`SyncSettings::combined`]. The database need not be here yet.
    pub fn track_database(
        &self,
        database: &Id,
        key: &PublicKey,
        settings: SyncSettings,
    ) -> Result<(), Error> {
        let DatabaseKey::Secret(secret) = self.key(key)? else { return Err(self.no_key(key)) };
        let tracked = TrackedDatabase::new(self.name(), *database, *key, settings);
        let keyring = self.instance.keyring()?;
        // The background may begin at once.
        let before = keyring.track(&self.default_key(), *database, Some(secret));
        let edited = self.plain_sync().edit(|book| book.track(tracked));
        if edited.is_err() {
            keyring.track(&self.default_key(), *database, before);
        }
        edited
    }

    /// Takes that back. Other users' wishes stay.
    pub fn untrack_database(&self, database: &Id) -> Result<(), Error> {
        self.plain_sync().edit(|book| book.untrack(self.name(), database))?;
        self.instance.keyring()?.track(&self.default_key(), *database, None);
        Ok(())
    }

    /// What they track, ascending by database.
    pub fn tracked_databases(&self) -> Result<Vec<TrackedDatabase>, Error> {
        Ok(self.plain_sync().book()?.tracked_by(self.name()).cloned().collect())
    }

    /// A text by which a database that they have a key for is shared; see [`Sync::create_ticket`].
    pub fn share(&self, database: &Id) -> Result<DatabaseTicket, Error> {
        self.find_key(database)?;
        self.plain_sync().create_ticket(database)
    }

    /// Sync in their name: its calls prove their keys as well as the node's, so that a peer lets this node read what any of
    /// them may. The peer learns the keys. See [`Sync::proving`].
    ///
    /// ```
    /// use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork, Permission, Sync, Who};
    /// # let network = MemoryNetwork::new();
    /// # let (alice, bob) = (Instance::open(Memory::new())?, Instance::open(Memory::new())?);
    /// # let (serving, sync) = (Sync::new(&alice)?, Sync::new(&bob)?);
    /// # serving.register_transport("memory", network.builder().bind("alice"))?;
    /// # sync.register_transport("memory", network.builder())?;
    /// # let place = serving.accept_connections()?.remove(0);
    /// bob.create_user("bob", None)?;
    /// let user = bob.login_user("bob", None)?;
    /// // It is Bob whom Alice lets read, wherever he is logged in.
    /// let grants = vec![(Who::Key(user.default_key()), Permission::Read)];
    /// let db = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants)?;
    /// assert!(sync.sync_with_peer(&place, Some(&db.root_id())).is_err());
    /// assert_eq!(user.sync()?.sync_with_peer(&place, Some(&db.root_id()))?.len(), 1);
    /// # Ok::<(), pleach_blocking::Error>(())
    /// ```
    pub fn sync(&self) -> Result<Sync, Error> {
        // Those that are named last are the first to be proven.
        self.list_keys()?
            .iter()
            .rev()
            .try_fold(self.plain_sync(), |sync, key| Ok(sync.proving(self.key(&key.public)?)))
    }

    fn plain_sync(&self) -> Sync {
        Sync::of(&self.instance)
    }

    /// Asks for access to the database of a ticket, in their name if the request gives none, and fetches it when this node
    /// is let in. The node asks for its own key, which every exchange proves; where one of theirs may do as much already, it
    /// need not ask.
    ///
    /// ```
    /// use pleach_blocking::{AccessRequest, Bootstrap, Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork, Permission, Sync};
    /// # let network = MemoryNetwork::new();
    /// # let (alice, bob) = (Instance::open(Memory::new())?, Instance::open(Memory::new())?);
    /// # let (serving, sync) = (Sync::new(&alice)?, Sync::new(&bob)?);
    /// # serving.register_transport("memory", network.builder().bind("alice"))?;
    /// # sync.register_transport("memory", network.builder().bind("bob"))?;
    /// # let place = serving.accept_connections()?.remove(0);
    /// # let db = Database::create(&alice, DatabaseKey::Device, Doc::new())?;
    /// # let tree = db.root_id();
    /// # bob.create_user("bob", None)?;
    /// # let user = bob.login_user("bob", None)?;
    /// # let ticket = serving.create_ticket(&tree)?;
    /// let asked = user.request_database_access(&ticket, &AccessRequest::new(Permission::Read))?;
    /// assert!(matches!(asked, Bootstrap::Pending(_)));
    /// assert_eq!(serving.pending_bootstrap_requests()?[0].name, "bob");
    /// # Ok::<(), pleach_blocking::Error>(())
    /// ```
    pub fn request_database_access(
        &self,
        ticket: &DatabaseTicket,
        request: &AccessRequest,
    ) -> Result<Bootstrap, Error> {
        self.sync()?.bootstrap_with_ticket(ticket, &request.clone().name_or(self.name()))
    }
}
