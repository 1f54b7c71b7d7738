//! A to-do list that several terminals edit, each with a folder of its own, whether or not they are in touch.
//! `docs/greenhouse.md` walks through it.
//!
//! ```text
//! todo FOLDER join TICKET | add WORDS… | done KEY | list | watch
//! ```

use std::{error::Error, path::Path};

use pleach_blocking::{Database, DatabaseKey, DatabaseTicket, HttpTransport, Instance, Redb, Sync, Table};
use serde::{Deserialize, Serialize};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A row of the table `todo`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Item {
    text: String,
    done: bool,
}

/// One terminal: a node that holds the whole list.
pub(crate) struct Terminal {
    pub(crate) instance: Instance,
    sync: Sync,
}

impl Terminal {
    /// Opens the node in a folder, or makes it.
    pub(crate) fn open(folder: &Path) -> Outcome<Self> {
        std::fs::create_dir_all(folder)?;
        let instance = Instance::open(Redb::open(folder.join("todo.redb"))?)?;
        instance.enable_sync()?;
        let sync = instance.sync().expect("just enabled");
        sync.register_transport("http", HttpTransport::builder())?;
        Ok(Self { instance, sync })
    }

    /// Does what the words say, and shows lines until `show` has seen enough.
    pub(crate) fn run(&self, words: &[&str], show: &mut dyn FnMut(&str) -> bool) -> Outcome<()> {
        match words {
            ["join", ticket] => self.join(&ticket.parse()?),
            ["add", words @ ..] if !words.is_empty() => {
                let item = Item { text: words.join(" "), done: false };
                self.change(|todo| todo.insert(&item).map(drop).map_err(Into::into))
            }
            ["done", begin] => self.change(|todo| {
                let mut found = todo.rows(None, usize::MAX)?.into_iter();
                let (key, item) =
                    found.find(|(key, _)| key.starts_with(begin)).ok_or("no item begins like this")?;
                Ok(todo.set(&key, &Item { done: true, ..item })?)
            }),
            ["list"] => {
                self.exchange(&self.list_database()?)?;
                self.list(show).map(drop)
            }
            ["watch"] => {
                let changes = self.list_database()?.watch();
                while self.list(show)? && changes.next().is_some() {}
                Ok(())
            }
            _ => Err("todo FOLDER join TICKET | add WORDS… | done KEY | list | watch".into()),
        }
    }

    /// Fetches the list, and follows whoever had it from now on.
    fn join(&self, ticket: &DatabaseTicket) -> Outcome<()> {
        let report = self.sync.sync_with_ticket(ticket)?;
        let peer = report.peer.ok_or("whoever answered showed no key")?;
        Ok(self.sync.add_tree_sync(&peer, &ticket.database())?)
    }

    /// The database that the list is in: the one of this name.
    fn list_database(&self) -> Outcome<Database> {
        let mut all = self.instance.databases()?.into_iter();
        let (id, _) = all.find(|(_, name)| name == "house").ok_or("no list here: join one first")?;
        Ok(Database::open(&self.instance, &id, DatabaseKey::Device)?)
    }

    /// Writes one entry, and brings it to the others.
    fn change(&self, change: impl FnOnce(&Table<Item>) -> Outcome<()>) -> Outcome<()> {
        let list = self.list_database()?;
        let txn = list.new_transaction()?;
        change(&txn.get_store("todo")?)?;
        txn.commit()?;
        self.exchange(&list)
    }

    /// Takes and gives what is new. If nobody can be reached, it waits here.
    fn exchange(&self, list: &Database) -> Outcome<()> {
        for (peer, outcome) in self.sync.sync_database(&list.root_id())? {
            match outcome {
                Err(error) if error.is_retryable() => {
                    eprintln!("{peer} is away, what is new here waits: {error}");
                }
                outcome => drop(outcome?),
            }
        }
        Ok(())
    }

    /// Shows all items; says whether more are wanted.
    fn list(&self, show: &mut dyn FnMut(&str) -> bool) -> Outcome<bool> {
        let todo = self.list_database()?.get_store_viewer::<Table<Item>>("todo")?;
        let rows = todo.rows(None, usize::MAX)?;
        Ok(rows.into_iter().all(|(key, Item { text, done })| {
            let begin: String = key.chars().take(6).collect();
            show(&format!("{} {begin}  {text}", if done { "[x]" } else { "[ ]" }))
        }))
    }
}

#[allow(dead_code, reason = "a test runs the parts")]
fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (folder, words) = words.split_first().ok_or("todo FOLDER join|add|done|list|watch")?;
    Terminal::open(folder.as_ref())?.run(words, &mut |line| {
        println!("{line}");
        true
    })
}
