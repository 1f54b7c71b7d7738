//! A power cut at any moment, and another while the first is recovered from, loses nothing that was acknowledged.
//!
//! A workload is carried out on a disk that remembers every operation. Then, by chance, a moment is chosen and what a
//! cut may leave: of all that was not synced nothing, everything, some of the writes, or some sectors of them. The store
//! is opened over that, checked, cut again while it recovers and writes on, opened again, and checked again.
//!
//! `PLEACH_IMAGES=100000` takes more of them than the ordinary run, `PLEACH_SEED=N` the one image that failed.

#![cfg(feature = "redb")]

use std::collections::BTreeMap;

use pleach_core::{
    Entropy, Position,
    entry::{Grant, Permission, VerifiedEntry, Who},
    storage::{Meta, Snapshot, Store, Write, Written},
};
use pleach_storage::{
    Memory, Redb,
    conformance::{Disk, Maker},
};

/// Images in an ordinary run.
const IMAGES: u64 = 1_000;

/// What a store shows: of each tree the shared set, its tips and its content; the metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    trees: BTreeMap<pleach_core::Id, (u64, Vec<Position>, [u8; 32])>,
    metas: Vec<Meta>,
}

impl State {
    fn of(store: &dyn Store) -> Self {
        let snapshot = store.snapshot().unwrap();
        let trees = snapshot.trees(None, 99).unwrap().into_iter().map(|tree| {
            let tips = snapshot.tips(&tree, None, 999).unwrap();
            let count = snapshot.summary(&tree).unwrap().unwrap().measure.count;
            (tree, (count, tips, pleach_core::document::content_hash(&snapshot, &tree).unwrap()))
        });
        Self { trees: trees.collect(), metas: snapshot.metas(b"", None, 999).unwrap() }
    }
}

/// Writes of all kinds, of which some change much and some little.
fn workload() -> Vec<Write> {
    let (root, other) = (Maker::new(1), Maker::new(2));
    let writer = root.signed_by(5);
    let who = Who::Key(writer.key().public());
    let grant = Grant { who, permission: Permission::Write(1), name: None };
    let granted = root.settings(&[root.root().position()], &[grant], &[]);
    let apart = writer.chain(granted.position(), 40);
    let honest = root.entry(&[apart[9].position()], "honest", "x");
    let revoked = root.settings(&[granted.position()], &[], &[who]);
    let large = root.entry(&[granted.position()], "large", &"x".repeat(100_000));
    let meta = |n: u8| Write::Meta(vec![(vec![n % 3], Some(vec![n; 40]))].into());
    let mut writes = vec![meta(0), root.put([&root.root(), &granted])];
    writes.extend(apart.chunks(8).map(|entries| root.put(entries)));
    writes.extend([meta(1), root.put([&honest]), other.put([&other.root()]), root.put([&revoked])]);
    writes.push(root.put([&writer.entry(&[granted.position()], "late", "x")]));
    writes.push(other.put(&other.fan(other.root().position(), 60)));
    writes.extend([root.put([&large]), Write::Tidy { tree: root.tree() }, meta(2)]);
    writes.push(Write::Repair { tree: other.tree(), after: None, thorough: true });
    writes.extend([Write::Drop { tree: other.tree() }, meta(3)]);
    writes.push(root.put(&root.chain(revoked.position(), 30)));
    writes
}

/// The next entry on top of what a workload leaves, for who writes on after a cut.
fn one_more(root: &Maker, number: u8) -> VerifiedEntry {
    root.entry(&[root.root().position()], "more", &number.to_string())
}

struct Recorded {
    disk: Disk,
    /// Operations before the file gets its name: a cut among them leaves no store at all.
    made: usize,
    /// After how many operations each write was acknowledged, ascending.
    acknowledged: Vec<usize>,
    /// What was shown after so many writes; the first is before any.
    states: Vec<State>,
}

impl Recorded {
    fn on(disk: Disk) -> Self {
        let store = disk.open().unwrap();
        let made = disk.operations();
        let (mut acknowledged, mut states) = (Vec::new(), vec![State::of(&store)]);
        for write in workload() {
            let written = store.write(&write).unwrap();
            assert!(!matches!(&written, Written::Put(put) if put.unfinished.is_some()), "in one write");
            acknowledged.push(disk.operations());
            states.push(State::of(&store));
        }
        std::mem::forget(store);
        Self { disk, made, acknowledged, states }
    }

    /// Cuts by chance, twice in a row, and says what was wrong.
    fn image(&self, seed: u64) -> Result<(), String> {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut chance = Entropy::new(bytes);
        let at = self.made + below(&mut chance, self.disk.operations() + 1 - self.made);
        let done = self.acknowledged.iter().filter(|end| **end <= at).count();
        let disk = self.disk.cut(at, &mut chance);
        let what = format!("cut after {at} operations, {done} writes");
        let store = disk.open().map_err(|error| format!("{what}: {error}"))?;
        let found = self.check(&store, done, &what)?;

        // It is written on, and cut again, while it is opened or later.
        let root = Maker::new(1);
        let held = self.states[found].trees.contains_key(&root.tree());
        let more = one_more(&root, 1);
        if held {
            store.write(&root.put([&more])).map_err(|error| format!("{what}, written on: {error}"))?;
        }
        // What closing does to the disk comes later.
        let whole = disk.operations();
        drop(store);
        let at = below(&mut chance, whole + 1);
        let what = format!("{what}, then after {at} of {whole}");
        let store = disk.cut(at, &mut chance).open().map_err(|error| format!("{what}: {error}"))?;
        let snapshot = store.snapshot().map_err(|error| format!("{what}: {error}"))?;
        let is_there = held && snapshot.entry(&root.tree(), &more.id()).unwrap().is_some();
        if held && at == whole && !is_there {
            return Err(format!("{what}: what was written on is lost"));
        }
        if is_there { audited(&*snapshot, &what) } else { self.check(&store, found, &what).map(drop) }
    }

    /// After so many writes were acknowledged, these are there, and of the next everything or nothing.
    fn check(&self, store: &Redb, done: usize, what: &str) -> Result<usize, String> {
        audited(&*store.snapshot().map_err(|error| format!("{what}: {error}"))?, what)?;
        let now = State::of(store);
        let expected = [done, done + 1].into_iter().find(|writes| self.states.get(*writes) == Some(&now));
        expected.ok_or_else(|| format!("{what}: what is shown was never acknowledged, or is lost: {now:?}"))
    }
}

fn audited(snapshot: &dyn Snapshot, what: &str) -> Result<(), String> {
    for tree in snapshot.trees(None, 99).map_err(|error| format!("{what}: {error}"))? {
        let audit = snapshot.audit(&tree, None, 9_999).map_err(|error| format!("{what}: {error}"))?;
        if !audit.faults.is_empty() {
            return Err(format!("{what}: {:?}", audit.faults));
        }
    }
    Ok(())
}

fn below(chance: &mut Entropy, end: usize) -> usize {
    usize::try_from(u32::from_le_bytes(chance.draw())).unwrap() % end
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn a_cut_at_any_moment_and_another_during_recovery_lose_nothing_acknowledged() {
    let recorded = Recorded::on(Disk::new());
    let memory = Memory::new();
    for write in workload() {
        memory.write(&write).unwrap();
    }
    assert_eq!(Some(&State::of(&memory)), recorded.states.last(), "what is compared with is right");
    let seeds = match number("PLEACH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PLEACH_IMAGES").unwrap_or(IMAGES),
    };
    println!("{} operations, images {seeds:?}", recorded.disk.operations());
    for seed in seeds {
        if let Err(error) = recorded.image(seed) {
            panic!(
                "{error}\nfor this image alone: PLEACH_SEED={seed} cargo test -p pleach-storage --test crashes"
            );
        }
    }
}

#[test]
fn a_disk_that_only_says_that_it_synced_is_found_out() {
    let recorded = Recorded::on(Disk::lying());
    let found = (0..100).filter(|seed| recorded.image(*seed).is_err()).count();
    assert!(found > 20, "{found} of 100");
}
