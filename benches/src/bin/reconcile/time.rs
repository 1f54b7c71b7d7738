//! Time of small exchanges, in memory and in a file: it must not follow the length of the history.
//!
//! Nodes, stores and wire run on one thread, one after the other, so that the fastest of many exchanges is the time of
//! the processor that they need. What waits for the disk is told apart: a write's two disk syncs would hide the rest.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use pleach_core::{
    entry::VerifiedEntry,
    storage::{Snapshot, StorageError, Store, Write, Written},
};
use pleach_storage::{Memory, Redb};
use serde_json::json;

use crate::{Outcome, duel::Duel, history::History};

/// Exchanges of which the fastest counts.
const TIMES: usize = 25;

/// Entries that are new in each.
const NEWS: usize = 100;

/// A store that tells how long its writes took.
struct Timed {
    store: Box<dyn Store>,
    writing: Mutex<Duration>,
}

impl Timed {
    fn new(store: impl Store + 'static) -> Arc<Self> {
        Arc::new(Self { store: Box::new(store), writing: Mutex::default() })
    }

    /// Seconds since the last call.
    fn take(&self) -> f64 {
        std::mem::take(&mut *self.writing.lock().unwrap_or_else(PoisonError::into_inner)).as_secs_f64()
    }
}

impl Store for Timed {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
        self.store.snapshot()
    }

    fn write(&self, write: &Write) -> Result<Written, StorageError> {
        let start = Instant::now();
        let written = self.store.write(write);
        *self.writing.lock().unwrap_or_else(PoisonError::into_inner) += start.elapsed();
        written
    }
}

/// Both cases over both stores.
pub(crate) fn measure(history: &History, main: &[VerifiedEntry], base: &Memory) -> Outcome<()> {
    let top = main.last().map_or(history.start(), |entry| entry.position());
    let news = history.chain(top, NEWS * TIMES, "timed");
    let forks = [Timed::new(base.fork()?), Timed::new(base.fork()?)];
    show("memory", main.len(), &forks, history, &news)?;

    let folder = tempfile::tempdir()?;
    let mut files = Vec::new();
    for name in ["initiator", "responder"] {
        let store = Redb::open(folder.path().join(name))?;
        history.put(&store, &history.ground)?;
        history.put(&store, main)?;
        files.push(Timed::new(store));
    }
    show("redb", main.len(), &files, history, &news)
}

fn show(
    kind: &str,
    shared: usize,
    stores: &[Arc<Timed>],
    history: &History,
    news: &[VerifiedEntry],
) -> Outcome<()> {
    // Without writes, and these.
    let exchange = |seed| -> Outcome<[f64; 2]> {
        let sides = [0, 1].map(|side| stores[side].clone() as Arc<dyn Store>);
        let mut strangers = Duel::of_strangers(seed, history.tree(), sides);
        for store in stores {
            store.take();
        }
        let all = strangers.sync()?.seconds;
        let writing = stores.iter().map(|store| store.take()).sum::<f64>();
        Ok([all - writing, writing])
    };
    let fastest = |best: [f64; 2], now: [f64; 2]| [best[0].min(now[0]), best[1].min(now[1])];
    let (mut nothing, mut behind) = ([f64::MAX; 2], [f64::MAX; 2]);
    for (seed, news) in (0..).zip(news.chunks(NEWS)) {
        nothing = fastest(nothing, exchange(2 * seed)?);
        history.put(&*stores[1], news)?;
        behind = fastest(behind, exchange(2 * seed + 1)?);
    }
    let micros = |seconds: [f64; 2]| seconds.map(|seconds| (seconds * 1e6).round());
    let line = json!({
        "time_over": kind, "shared": shared, "microseconds_without_and_of_writes": {
            "nothing_new": micros(nothing), "100_behind": micros(behind),
        },
    });
    println!("{line}");
    Ok(())
}
