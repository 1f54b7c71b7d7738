//! A database: a tree that this instance holds, opened as somebody.

use std::sync::Arc;

use pleach_core::{
    Id, Position, SecretKey,
    document::{Doc, Draft, Scope, StoreType},
    entry::{Permission, VerifiedEntry, Who},
    instance::{self, Change, DatabaseKey, DatabaseStats, Error, RootKey, Verification},
    node::{Command, Damage, NodeError, Reply},
    storage::{Put, Snapshot},
};

use pleach_transports::host::{Callback, Keyring, Lent, Purpose, Wanted};

use crate::{Instance, Transaction, Watch};

/// A database that an instance holds, opened with a key that signs what is written. A cheap clone of a handle.
///
/// Every call is carried out on the calling thread.
///
/// ```
/// use pleach_blocking::{Database, DatabaseKey, Doc, DocStore, Instance, Memory};
/// let instance = Instance::open(Memory::new())?;
/// let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
///
/// let txn = db.new_transaction()?;
/// txn.get_store::<DocStore>("notes")?.set("title", "Pleaching")?;
/// let position = txn.commit()?;
///
/// assert_eq!(db.tips()?, [position]);
/// let notes = db.get_store_viewer::<DocStore>("notes")?;
/// assert_eq!(notes.get("title")?, Some("Pleaching".into()));
/// assert!(db.verify()?.is_ok());
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
///
/// ```
/// use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Memory, Permission, Who};
/// # let instance = Instance::open(Memory::new())?;
/// let public = vec![(Who::Everyone, Permission::Read)];
/// let db = Database::create_with(&instance, DatabaseKey::Device, Doc::new(), public)?;
/// let same = Database::open(&instance, &db.root_id(), DatabaseKey::Device)?;
/// assert_eq!(same.key().public(), same.instance().device_key());
/// assert_eq!((same.stats()?.entries, same.stats()?.height), (1, 0));
///
/// // Entries come from an import or a copy as well. What is here already is no error.
/// let root = db.snapshot()?.entry(&db.root_id(), &db.root_id())?.expect("every database has a first entry");
/// assert_eq!(db.append(vec![root.verify()?])?.stored, []);
/// assert!(db.repair()?.entries.is_empty(), "nothing was damaged");
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Database {
    instance: Instance,
    id: Id,
    key: SecretKey,
    /// Exchanges about the database prove the key while a handle is there.
    _lent: Option<Arc<Lent>>,
}

impl Database {
    /// Makes a database. `key` becomes `Admin(0)`; `settings` may hold a `name`.
    pub fn create(instance: &Instance, key: impl Into<DatabaseKey>, settings: Doc) -> Result<Self, Error> {
        Self::create_with(instance, key, settings, Vec::new())
    }

    /// Makes a database whose root also grants these permissions.
    pub fn create_with(
        instance: &Instance,
        key: impl Into<DatabaseKey>,
        settings: Doc,
        grants: Vec<(Who, Permission)>,
    ) -> Result<Self, Error> {
        let key = key.into().resolve(instance.secret_key());
        let create = Command::Create { creator: key.public(), settings, grants };
        match instance.ask(create)? {
            Reply::Created(id) => Self::held(instance, id, key),
            reply => Err(Error::unexpected(&reply)),
        }
    }

    /// Opens a database that is held here. As long as the handle or a clone of it is there, exchanges with peers about
    /// the database prove the key as well as the node's: a peer serves it if either may read it.
    pub fn open(instance: &Instance, id: &Id, key: impl Into<DatabaseKey>) -> Result<Self, Error> {
        if instance.snapshot()?.summary(id)?.is_none() {
            return Err(NodeError::UnknownTree(*id).into());
        }
        Self::held(instance, *id, key.into().resolve(instance.secret_key()))
    }

    /// The node's own key is proven anyway.
    fn held(instance: &Instance, id: Id, key: SecretKey) -> Result<Self, Error> {
        let further = key.public() != instance.device_key();
        let lend = |keyring: Keyring| Arc::new(keyring.lend(Purpose::Database(id), [key.clone()]));
        let lent = further.then(|| instance.keyring().map(lend)).transpose()?;
        Ok(Self { instance: instance.clone(), id, key, _lent: lent })
    }

    /// The database's id: that of its first entry.
    pub fn root_id(&self) -> Id {
        self.id
    }

    /// The instance that holds it.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The key that signs what is written through this handle.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// What the store holds now, unchanging.
    pub fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Error> {
        self.instance.snapshot()
    }

    /// The entries without children, ascending.
    pub fn tips(&self) -> Result<Vec<Position>, Error> {
        instance::tips(&*self.snapshot()?, &self.id)
    }

    /// The database in numbers. Reads every row once.
    pub fn stats(&self) -> Result<DatabaseStats, Error> {
        instance::stats(&self.snapshot()?, &self.id)
    }

    /// Checks the whole history again from its bytes: hashes, signatures, permissions, aggregates. Faults are listed.
    /// Takes as long as it takes, on the calling thread.
    pub fn verify(&self) -> Result<Verification, Error> {
        instance::verify(&*self.snapshot()?, &self.id, instance::check)
    }

    /// Makes the database whole again after [`Database::verify`] found faults: all that is derived from its entries is
    /// derived once more, and damaged entries are left behind, to come back with the next sync. Tells which.
    pub fn repair(&self) -> Result<Damage, Error> {
        match self.instance.ask(Command::Repair(self.id))? {
            Reply::Repaired(damage) => Ok(damage),
            reply => Err(Error::unexpected(&reply)),
        }
    }

    /// Begins a transaction over what is stored now.
    pub fn new_transaction(&self) -> Result<Transaction, Error> {
        let seed = self.instance.live()?.context.random();
        let draft = Draft::new(self.snapshot()?, self.id, self.key.public(), seed);
        Ok(Transaction::new(self.clone(), draft))
    }

    /// Opens a store to read, as it is now.
    pub fn get_store_viewer<S: StoreType>(&self, name: &str) -> Result<S, Error> {
        Ok(S::open(Scope::of_snapshot(self.snapshot()?, self.id, name)?)?)
    }

    /// Takes entries that were made elsewhere: an import, a restored copy. Parents come first; returns once they are
    /// durable, with what was new. What is here already is no error, so that it can be repeated.
    pub fn append(&self, entries: Vec<VerifiedEntry>) -> Result<Put, Error> {
        match self.instance.ask(Command::Append { tree: self.id, entries })? {
            Reply::Appended(put) => Ok(put),
            reply => Err(Error::unexpected(&reply)),
        }
    }

    /// The database's root key, if this node has it: it ranks above everybody. Open the database with it
    /// ([`RootKey::key`]) to replace an administrator's key that was lost or stolen.
    ///
    /// ```
    /// use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Memory};
    /// let instance = Instance::open(Memory::new())?;
    /// let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
    /// let root = db.root_key()?.expect("made with the database");
    /// db.forget_root_key()?;
    /// assert_eq!(db.root_key()?, None);
    /// db.keep_root_key(&root)?;
    /// assert_eq!(db.root_key()?, Some(root));
    /// # Ok::<(), pleach_blocking::Error>(())
    /// ```
    pub fn root_key(&self) -> Result<Option<RootKey>, Error> {
        Ok(RootKey::held(&*self.snapshot()?, &self.id)?)
    }

    /// Keeps the root key in this node, if it is the one that made this database. Returns once that is durable.
    pub fn keep_root_key(&self, key: &RootKey) -> Result<(), Error> {
        if key.tree() != self.id {
            return Err(Error::NotTheRootKey(self.id));
        }
        let keep = key.keep(&*self.snapshot()?)?;
        self.instance.ask(keep).map(drop)
    }

    /// Removes the root key from this node; returns once that is durable. Whoever has no copy then has lost it.
    pub fn forget_root_key(&self) -> Result<(), Error> {
        self.instance.ask(RootKey::forget(&self.id)).map(drop)
    }

    /// Calls `f` after each write on this node, in order, on a thread of its own.
    ///
    /// ```
    /// use pleach_blocking::{Database, DatabaseKey, Doc, DocStore, Instance, Memory};
    /// # let instance = Instance::open(Memory::new())?;
    /// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
    /// let (tell, told) = std::sync::mpsc::channel();
    /// let written = db.on_local_write(move |change| tell.send(change.entries.clone()).unwrap_or_default())?;
    /// let fetched = db.on_remote_write(|change| println!("{} entries came", change.entries.len()))?;
    /// let changes = db.watch();
    ///
    /// let txn = db.new_transaction()?;
    /// txn.get_store::<DocStore>("notes")?.set("title", "Pleaching")?;
    /// txn.commit()?;
    /// assert_eq!(told.recv()?, db.tips()?);
    /// assert_eq!(changes.next().map(|change| change.entries), Some(db.tips()?));
    /// written.cancel();
    /// fetched.cancel();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_local_write(&self, f: impl FnMut(&Change) + Send + 'static) -> Result<Callback, Error> {
        self.instance.watchers().call(self.id, Wanted::Local, f)
    }

    /// Calls `f` after entries came from a peer, in order, on a thread of its own.
    pub fn on_remote_write(&self, f: impl FnMut(&Change) + Send + 'static) -> Result<Callback, Error> {
        self.instance.watchers().call(self.id, Wanted::Remote, f)
    }

    /// A stream of all that is new here from now on.
    pub fn watch(&self) -> Watch<Change> {
        Watch::of(self.instance.watchers().changes(self.id, Wanted::All))
    }
}
