//! A transaction: one entry, over any number of stores.

use pleach_core::{
    Position,
    document::{Changes, Draft, StoreType},
    instance::Error,
    node::{Command, Commit, Reply},
};

use crate::Database;

/// One entry in the making. Reads through its stores see what it has written; nothing is stored before
/// [`Transaction::commit`], and dropping it forgets it.
///
/// ```
/// use pleach_blocking::{Database, DatabaseKey, Doc, DocStore, Instance, Log, Memory};
/// let instance = Instance::open(Memory::new())?;
/// let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// let txn = db.new_transaction()?;
/// txn.get_store::<DocStore>("notes")?.set("title", "Pleaching")?;
/// txn.get_store::<Log>("events")?.append(b"renamed")?;
/// txn.commit()?;
/// assert_eq!(db.stats()?.entries, 2);
/// # Ok::<(), pleach_blocking::Error>(())
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
    pub fn commit(self) -> Result<Position, Error> {
        let Changes { stores, touched } = self.draft.finish()?;
        let tree = self.database.root_id();
        let commit = Commit { tree, key: self.database.key().clone(), stores, paths: touched };
        match self.database.instance().ask(Command::Commit(commit))? {
            Reply::Committed(position) => Ok(position),
            reply => Err(Error::unexpected(&reply)),
        }
    }
}
