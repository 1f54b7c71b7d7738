//! What a store does in a second, beside what the disk and the hash allow.
//!
//! `cargo run --release -p pleach-benches --bin storage [largest tree, default 1000000]`

// Figures for people: nobody reads the sixteenth digit.
#![allow(clippy::cast_precision_loss)]

use std::{
    error::Error,
    fs::File,
    hint::black_box,
    io::Write as _,
    os::unix::fs::FileExt,
    time::{Duration, Instant},
};

use pleach_core::{
    Id, Position, Range,
    entry::VerifiedEntry,
    limits::MAX_BATCH_ENTRIES,
    storage::{Put, Store, Write, Written},
};
use pleach_storage::{Memory, Redb, conformance::Maker};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Bytes of an entry, about.
const ENTRY: usize = 256;

/// How often a cheap reading is repeated.
const ROUNDS: usize = 2_000;

fn main() -> Outcome<()> {
    let largest: usize = std::env::args().nth(1).map_or(Ok(1_000_000), |count| count.parse())?;
    let folder = tempfile::tempdir()?;
    println!("the disk and the hash");
    let syncs = raw_syncs(folder.path())?;
    println!("  {syncs:>12.0} syncs of 4 KiB a second");
    println!("  {:>12.0} hashes of {ENTRY} bytes a second", hashes());

    let maker = Maker::new(1);
    let sizes = [10_000, 100_000, 1_000_000].into_iter().filter(|size| *size <= largest);
    for (name, store) in [
        ("memory", Box::new(Memory::new()) as Box<dyn Store>),
        ("redb", Box::new(Redb::open(folder.path().join("store"))?)),
    ] {
        println!("{name}: a chain of entries of {ENTRY} bytes, {MAX_BATCH_ENTRIES} in a write");
        let mut last = maker.root().position();
        store.write(&maker.put([&maker.root()]))?;
        let mut held = 1;
        for size in sizes.clone() {
            let (mut spent, before) = (Duration::ZERO, held);
            while held < size {
                let batch = batch(&maker, &mut last, MAX_BATCH_ENTRIES.min(size - held));
                held += batch.len();
                spent += timed(|| put(&*store, maker.tree(), batch))?;
            }
            let put = (held - before) as f64 / spent.as_secs_f64();
            println!("  {put:>12.0} entries a second up to {size}");
            queries(&*store, maker.tree(), size)?;
        }
        let count = 200;
        let mut spent = Duration::ZERO;
        for _ in 0..count {
            let batch = batch(&maker, &mut last, 1);
            spent += timed(|| put(&*store, maker.tree(), batch))?;
        }
        let single = f64::from(count) / spent.as_secs_f64();
        println!("  {single:>12.0} writes of one entry a second");
    }
    let size = std::fs::metadata(folder.path().join("store"))?.len();
    println!("redb: {:.0} bytes of file for an entry", size as f64 / largest as f64);
    Ok(())
}

/// The next entries of a chain, each appending to a log so that it has the bytes wanted.
fn batch(maker: &Maker, last: &mut Position, count: usize) -> Vec<VerifiedEntry> {
    let text = [b'x'; 80];
    let numbers = 0..count;
    numbers
        .map(|_| {
            let entry = maker.log(&[*last], &[&text]);
            *last = entry.position();
            entry
        })
        .collect()
}

fn put(store: &dyn Store, tree: Id, entries: Vec<VerifiedEntry>) -> Outcome<()> {
    let count = entries.len();
    match store.write(&Write::Put { tree, entries })? {
        Written::Put(Put { stored, .. }) if stored.len() == count => Ok(()),
        other => Err(format!("not everything was stored: {other:?}").into()),
    }
}

fn timed(work: impl FnOnce() -> Outcome<()>) -> Outcome<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// The cost of a measure and of a position by number, over ranges spread over the tree.
fn queries(store: &dyn Store, tree: Id, size: usize) -> Outcome<()> {
    let snapshot = store.snapshot()?;
    let ranges: Vec<Range> = (0..ROUNDS)
        .map(|round| {
            let at = |share: usize| Position { height: (size * share / ROUNDS) as u64, id: Id::MIN };
            Range { start: at(round / 2), end: at(ROUNDS - round / 3) }
        })
        .collect();
    let each = |spent: Duration| spent.as_secs_f64() * 1e6 / ROUNDS as f64;
    let spent = timed(|| {
        for range in &ranges {
            black_box(snapshot.measure(&tree, range)?);
        }
        Ok(())
    })?;
    println!("  {:>12.1} µs to measure a range of {size}", each(spent));
    let spent = timed(|| {
        for (n, range) in ranges.iter().enumerate() {
            black_box(snapshot.nth(&tree, range, (n * size / ROUNDS / 4) as u64)?);
        }
        Ok(())
    })?;
    println!("  {:>12.1} µs to find the n-th of {size}", each(spent));
    let ids: Vec<Id> = snapshot.positions(&tree, &Range::ALL, ROUNDS)?.iter().map(|p| p.id).collect();
    let spent = timed(|| {
        black_box(snapshot.headers(&tree, &ids)?);
        Ok(())
    })?;
    println!("  {:>12.1} µs to read a header of {size}", each(spent));
    let spent = timed(|| {
        black_box(snapshot.entries(&tree, &Range::ALL, ROUNDS, usize::MAX)?);
        Ok(())
    })?;
    println!("  {:>12.1} µs to read an entry of {size} in order", each(spent));
    Ok(())
}

/// How often a second a small write can be made durable by itself.
fn raw_syncs(folder: &std::path::Path) -> Outcome<f64> {
    let mut file = File::create(folder.join("raw"))?;
    file.write_all(&vec![0; 1 << 20])?;
    file.sync_all()?;
    let count = 200_u64;
    let start = Instant::now();
    for number in 0..count {
        file.write_all_at(&[1; 4096], number * 4096)?;
        file.sync_data()?;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

fn hashes() -> f64 {
    let count = 1_000_000;
    let start = Instant::now();
    for number in (0..=u8::MAX).cycle().take(count) {
        black_box(Id::of(&[number; ENTRY]));
    }
    count as f64 / start.elapsed().as_secs_f64()
}
