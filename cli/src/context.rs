//! What a command works with: the node, and whoever asked for it.

use std::{
    io::{self, Read},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{bail, ensure};
use pleach_smol::{Database, DatabaseKey, Id, Instance, Sync};

use crate::{output::Output, transports};

/// The node, and whoever asked for something.
pub(crate) struct Context {
    /// The node.
    pub(crate) instance: Instance,
    /// Its folder.
    pub(crate) data: PathBuf,
    /// Whether it serves: then its transports are there already.
    pub(crate) serves: bool,
    /// Where results go.
    pub(crate) out: Output,
    /// Where `-` is read from.
    pub(crate) input: Arc<dyn Input>,
    /// Nobody waits for the outcome any more.
    pub(crate) hung_up: Arc<AtomicBool>,
}

/// The standard input of whoever asked.
pub(crate) trait Input: Send + std::marker::Sync {
    /// Begins to read it.
    fn open(&self) -> io::Result<Box<dyn Read + Send>>;
}

/// This process's standard input.
pub(crate) struct Standard;

impl Input for Standard {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(io::stdin()))
    }
}

impl Context {
    /// A command of this very process.
    pub(crate) fn new(instance: Instance, data: PathBuf, out: Output) -> Self {
        Self { instance, data, serves: false, out, input: Arc::new(Standard), hung_up: Arc::default() }
    }

    /// An error once nobody waits any more.
    pub(crate) fn still_wanted(&self) -> anyhow::Result<()> {
        ensure!(!self.hung_up.load(Ordering::Acquire), "interrupted");
        Ok(())
    }

    /// The id of a database, by its id or by its name where only one has it.
    pub(crate) fn id(&self, db: &str) -> anyhow::Result<Id> {
        let all = self.instance.databases()?;
        if let Ok(id) = db.parse::<Id>() {
            ensure!(all.iter().any(|(held, _)| *held == id), "no database {id} here: see `pleach list`");
            return Ok(id);
        }
        let named: Vec<Id> = all.into_iter().filter(|(_, name)| name == db).map(|(id, _)| id).collect();
        match named.as_slice() {
            [id] => Ok(*id),
            [] => bail!("no database is called {db:?} here: see `pleach list`"),
            many => {
                let ids: Vec<_> = many.iter().map(ToString::to_string).collect();
                bail!("{} databases are called {db:?}, name one by its id: {}", many.len(), ids.join(", "))
            }
        }
    }

    /// A database, opened as this node.
    pub(crate) fn database(&self, db: &str) -> anyhow::Result<Database> {
        Ok(Database::open(&self.instance, &self.id(db)?, DatabaseKey::Device)?)
    }

    /// Sync, with transports to dial with.
    pub(crate) async fn sync(&self) -> anyhow::Result<Sync> {
        let sync = enabled(&self.instance).await?;
        if !self.serves {
            transports::dial(&sync).await?;
        }
        Ok(sync)
    }
}

/// Sync, enabled if it was not.
pub(crate) async fn enabled(instance: &Instance) -> anyhow::Result<Sync> {
    if instance.sync().is_none() {
        instance.enable_sync().await?;
    }
    instance.sync().ok_or_else(|| anyhow::anyhow!("the instance is closed"))
}
