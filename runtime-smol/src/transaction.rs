//! A transaction: one entry, over any number of stores.

use pleach_core::{
    Id, Position,
    document::{Changes, Draft, StoreType},
    instance::Error,
    node::{Command, Commit, Reply},
};

use crate::Database;

/// One entry in the making. Reads through its stores see what it has written; nothing is stored before
/// [`Transaction::commit`], and dropping it forgets it.
///
/// ```
/// # smol::block_on(async {
/// use pleach_smol::{Database, DatabaseKey, Doc, DocStore, Instance, Log, Memory};
/// let instance = Instance::open(Memory::new()).await?;
/// let db = Database::create(&instance, DatabaseKey::Device, Doc::new()).await?;
/// let txn = db.new_transaction()?;
/// txn.get_store::<DocStore>("notes")?.set("title", "Pleaching")?;
/// txn.get_store::<Log>("events")?.append(b"renamed")?;
/// txn.commit().await?;
/// assert_eq!(db.stats()?.entries, 2);
/// # Ok::<(), pleach_smol::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Transaction {
    database: Database,
    draft: Draft,
}

impl Transaction {
    pub(crate) fn new(database: Database, draft: Draft) -> Self {
        Self { database, draft }
    }

    pub(crate) fn draft(&self) -> &Draft {
        &self.draft
    }

    /// Opens a store to read and write.
    pub fn get_store<S: StoreType>(&self, name: &str) -> Result<S, Error> {
        Ok(self.draft.store(name)?)
    }

    /// Writes everything as one entry on top of all tips, and returns where it stands once it is durable.
    pub async fn commit(self) -> Result<Position, Error> {
        let commit = self.finish()?;
        self.ask(Command::Commit(commit)).await
    }

    /// Writes everything as one entry that stands beside `entry` and all that builds on it. So a revocation in it also
    /// hides what the revoked key had written there; what others wrote on top of that stays.
    ///
    /// ```
    /// # smol::block_on(async {
    /// use pleach_smol::{Database, DatabaseKey, Doc, DocStore, Instance, Memory, Permission, SecretKey, SettingsStore, Who};
    /// let instance = Instance::open(Memory::new()).await?;
    /// let db = Database::create(&instance, DatabaseKey::Device, Doc::new()).await?;
    /// let eve = SecretKey::from_bytes([7; 32]);
    /// let txn = db.new_transaction()?;
    /// txn.get_store::<SettingsStore>("_settings")?.grant(Who::Key(eve.public()), Permission::Write(9), None)?;
    /// txn.commit().await?;
    /// let txn = Database::open(&instance, &db.root_id(), eve.clone())?.new_transaction()?;
    /// txn.get_store::<DocStore>("notes")?.set("title", "nonsense")?;
    /// let written = txn.commit().await?;
    ///
    /// let txn = db.new_transaction()?;
    /// txn.get_store::<SettingsStore>("_settings")?.revoke(Who::Key(eve.public()))?;
    /// txn.commit_beside(written.id).await?;
    /// assert_eq!(db.get_store_viewer::<DocStore>("notes")?.get("title")?, None);
    /// # Ok::<(), pleach_smol::Error>(())
    /// # }).unwrap();
    /// ```
    pub async fn commit_beside(self, entry: Id) -> Result<Position, Error> {
        let commit = self.finish()?;
        self.ask(Command::Undo { entry, commit }).await
    }

    fn finish(&self) -> Result<Commit, Error> {
        let Changes { stores, touched } = self.draft.finish()?;
        let (tree, key) = (self.database.root_id(), self.database.key().clone());
        Ok(Commit { tree, key, stores, paths: touched })
    }

    async fn ask(&self, command: Command) -> Result<Position, Error> {
        match self.database.instance().ask(command).await? {
            Reply::Committed(position) => Ok(position),
            reply => Err(Error::unexpected(&reply)),
        }
    }
}
