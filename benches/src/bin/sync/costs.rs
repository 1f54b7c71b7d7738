//! What one entry costs at least on this machine.

use std::{hint::black_box, thread::available_parallelism, time::Instant};

use pleach_core::{
    Id, SecretKey,
    entry::{EntryBuilder, Origin, VerifiedEntry},
    limits::MAX_BATCH_ENTRIES,
    storage::{Store, Write},
};
use pleach_storage::Redb;
use serde_json::{Value as Json, json};

use crate::{Outcome, entries};

/// Seconds that one core needs for each part of an entry.
pub(crate) struct Costs {
    cores: usize,
    sign: f64,
    check: f64,
    hash: f64,
    insert: f64,
}

impl Costs {
    /// Measures on one core with nothing else going on.
    pub(crate) fn measure() -> Outcome<Self> {
        let key = SecretKey::from_bytes([9; 32]);
        let builder = EntryBuilder::new(Origin::Root { nonce: [9; 16] }, 1);
        let root = VerifiedEntry::sign(&builder, &key, &[("_settings", &[2, 0, 0, 0])])?;
        let tree = root.id();

        let message = [7; 32];
        let sign = each(4_000, || {
            black_box(key.sign(black_box(&message)));
        });
        let signature = key.sign(&message);
        let public = key.public();
        let check = each(4_000, || {
            let _ = black_box(public.verify(black_box(&message), &signature));
        });
        let bytes = [7; entries::SIZE];
        let hash = each(100_000, || {
            black_box(Id::of(black_box(&bytes)));
        });

        let folder = tempfile::tempdir()?;
        let store = Redb::open(folder.path().join("costs"))?;
        store.write(&Write::Put { tree, entries: vec![root.clone()] })?;
        let mut batches = Vec::new();
        let mut parent = root.position();
        for _ in 0..4 {
            let batch = entries::chain(&key, tree, &[parent], MAX_BATCH_ENTRIES)?;
            parent = batch.last().map_or(parent, |last| last.position());
            batches.push(Write::Put { tree, entries: batch });
        }
        let start = Instant::now();
        for batch in &batches {
            store.write(batch)?;
        }
        let insert = start.elapsed().as_secs_f64() / (batches.len() * MAX_BATCH_ENTRIES) as f64;
        Ok(Self { cores: available_parallelism()?.get(), sign, check, hash, insert })
    }

    /// Entries a second that are signed, hashed and inserted, if all cores did nothing else.
    pub(crate) fn import_limit(&self) -> f64 {
        self.cores as f64 / (self.sign + self.hash + self.insert)
    }

    /// Entries a second that are checked, hashed and inserted, if all cores did nothing else.
    pub(crate) fn sync_limit(&self) -> f64 {
        self.cores as f64 / (self.check + self.hash + self.insert)
    }

    /// The parts in microseconds.
    pub(crate) fn to_json(&self) -> Json {
        let micros = |seconds: f64| (seconds * 1e8).round() / 100.0;
        json!({
            "cores": self.cores, "sign": micros(self.sign), "strict_check": micros(self.check),
            "hash": micros(self.hash), "insert": micros(self.insert),
        })
    }
}

/// Seconds that one call takes.
fn each(count: u32, mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..count {
        call();
    }
    start.elapsed().as_secs_f64() / f64::from(count)
}
