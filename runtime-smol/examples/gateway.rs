//! A gateway in a greenhouse: it serves the serial line of a board, keeps the board's readings in a table for everybody, and
//! puts a task on the shared list when it gets hot. `docs/greenhouse.md` walks through it.
//!
//! ```text
//! gateway FOLDER LINE HTTP      gateway ./greenhouse /dev/ttyACM0 0.0.0.0:8080
//! ```

use std::{error::Error, path::Path};

use pleach_smol::{
    Database, DatabaseKey, Doc, DocStore, HttpTransport, Instance, InviteOptions, Permission, PublicKey,
    Redb, SerialTransport, SyncError, Table, Value,
};
use serde::{Deserialize, Serialize};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// From how many degrees on somebody has to open a window.
const HOT: i64 = 30;

/// Readings in one commit, so that a board that comes back after weeks makes no entry that is too large.
const PAGE: usize = 100;

/// A row of the table `readings`; its key is the id of the board's entry.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reading {
    /// Who measured it.
    pub(crate) board: String,
    /// When, in wall milliseconds, as far as the board knows.
    pub(crate) at: u64,
    pub(crate) celsius: i64,
}

/// A row of the table `todo`, which terminals edit as well.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Item {
    text: String,
    done: bool,
}

/// A node with two databases: the board's own, small enough for it, and the one that people share.
pub(crate) struct Gateway {
    pub(crate) instance: Instance,
    pub(crate) greenhouse: Database,
    pub(crate) house: Database,
}

impl Gateway {
    /// Opens the node in a folder, or makes it.
    pub(crate) async fn open(folder: &Path) -> Outcome<Self> {
        std::fs::create_dir_all(folder)?;
        let instance = Instance::open(Redb::open(folder.join("node.redb"))?).await?;
        instance.enable_sync().await?;
        let greenhouse = database(&instance, "greenhouse").await?;
        let house = database(&instance, "house").await?;
        Ok(Self { instance, greenhouse, house })
    }

    /// Lets a board write its readings.
    pub(crate) async fn admit(&self, board: PublicKey) -> Outcome<()> {
        let txn = self.greenhouse.new_transaction()?;
        let settings = txn.get_store::<pleach_smol::SettingsStore>("_settings")?;
        settings.grant(pleach_smol::Who::Key(board), Permission::Write(100), Some("board"))?;
        txn.commit().await?;
        Ok(())
    }

    /// Answers boards on a line, and people over HTTP. Gives a ticket that lets ten terminals in.
    pub(crate) async fn serve(&self, line: &str, http: &str) -> Outcome<String> {
        let sync = self.instance.sync().expect("enabled when it was opened");
        sync.register_transport("serial", SerialTransport::builder().bind(line)).await?;
        sync.register_transport("http", HttpTransport::builder().bind(http)).await?;
        sync.accept_connections().await?;
        let options = InviteOptions::new(Permission::Write(100)).uses(10);
        Ok(sync.create_invite(&self.house.root_id(), &options).await?.to_string())
    }

    /// Takes over what boards write, until the instance is closed.
    pub(crate) async fn run(&self) -> Outcome<()> {
        match self.follow().await {
            Err(error) if error.downcast_ref::<SyncError>().is_some_and(SyncError::is_closed) => Ok(()),
            ended => ended,
        }
    }

    async fn follow(&self) -> Outcome<()> {
        let changes = self.greenhouse.watch();
        let mut seen = None;
        loop {
            // A board's time only moves on: what is new stands behind what was there. After a start all is looked at.
            loop {
                let sensors = self.greenhouse.get_store_viewer::<DocStore>("sensors")?;
                let page = sensors.history_page("celsius", seen, PAGE)?;
                let Some(last) = page.last() else { break };
                seen = Some(last.stamp);
                let mut readings = Vec::with_capacity(page.len());
                for edit in page {
                    if let Some(Value::Int(celsius)) = edit.value {
                        let reading =
                            Reading { board: edit.author.to_string(), at: edit.stamp.time, celsius };
                        readings.push((edit.stamp.position.id.to_string(), reading));
                    }
                }
                self.keep(&readings).await?;
            }
            if changes.next().await.is_none() {
                return Ok(());
            }
        }
    }

    /// Keeps readings that are new, and what follows from them, as one entry.
    async fn keep(&self, readings: &[(String, Reading)]) -> Outcome<()> {
        let txn = self.house.new_transaction()?;
        let table = txn.get_store::<Table<Reading>>("readings")?;
        let (mut is_new, mut hot) = (false, None);
        for (key, reading) in readings {
            if !table.contains(key)? {
                table.set(key, reading)?;
                is_new = true;
                hot = hot.or(Some(reading.celsius).filter(|celsius| *celsius >= HOT));
            }
        }
        if !is_new {
            return Ok(());
        }
        let todo = txn.get_store::<Table<Item>>("todo")?;
        let is_open = todo.get("window")?.is_some_and(|item| !item.done);
        if let Some(celsius) = hot.filter(|_| !is_open) {
            todo.set("window", &Item { text: format!("open a window: {celsius} °C"), done: false })?;
        }
        txn.commit().await?;
        Ok(())
    }
}

/// The database of this name, made if it is not there.
async fn database(instance: &Instance, name: &str) -> Outcome<Database> {
    if let Some((id, _)) = instance.databases()?.into_iter().find(|(_, found)| found == name) {
        return Ok(Database::open(instance, &id, DatabaseKey::Device)?);
    }
    let mut settings = Doc::new();
    settings.set("name", name)?;
    Ok(Database::create(instance, DatabaseKey::Device, settings).await?)
}

#[allow(dead_code, reason = "a test runs the parts")]
fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    smol::block_on(async {
        match words[..] {
            [folder] => {
                let gateway = Gateway::open(folder.as_ref()).await?;
                println!("{} {}", gateway.greenhouse.root_id(), gateway.instance.device_key());
                Ok(())
            }
            [folder, "admit", board] => Gateway::open(folder.as_ref()).await?.admit(board.parse()?).await,
            [folder, line, http] => {
                let gateway = Gateway::open(folder.as_ref()).await?;
                println!("{}", gateway.serve(line, http).await?);
                gateway.run().await
            }
            _ => Err("gateway FOLDER | gateway FOLDER admit BOARD | gateway FOLDER LINE HTTP".into()),
        }
    })
}
