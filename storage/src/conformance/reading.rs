//! What snapshots must show.

use std::collections::BTreeSet;

use pleach_core::{
    Id, Position, Range,
    entry::{Entry, VerifiedEntry},
    storage::{Measure, Snapshot, Store},
};

use super::{Maker, put, store_all};

/// Numbers that look random and are the same each time.
fn number(seed: u64, below: usize) -> usize {
    let hash = blake3::hash(&seed.to_le_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    u32::from_le_bytes([a, b, c, d]) as usize % below
}

/// A tree of `count` entries, each on up to three of those before it.
fn random_tree(maker: &Maker, count: usize) -> Vec<VerifiedEntry> {
    let mut entries = vec![maker.root()];
    for made in 1..count {
        let seed = made as u64 * 4;
        let parents: BTreeSet<Position> = (0..=number(seed, 3) as u64)
            .map(|which| entries[made - 1 - number(seed + 1 + which, made.min(40))].position())
            .collect();
        let parents: Vec<_> = parents.into_iter().collect();
        entries.push(maker.entry(&parents, &format!("path.{made}"), "text"));
    }
    entries
}

fn sorted(entries: &[VerifiedEntry]) -> Vec<Position> {
    let mut positions: Vec<_> = entries.iter().map(|entry| entry.position()).collect();
    positions.sort_unstable();
    positions
}

fn naive(positions: &[Position]) -> Measure {
    positions.iter().fold(Measure::default(), |sum, position| sum.plus(Measure::of(position.id)))
}

/// Compares measures and n-th positions of ranges that begin and end at members, between them, and at both ends.
fn compare(snapshot: &dyn Snapshot, tree: Id, sorted: &[Position], ranges: u64) {
    let bound = |seed| {
        let at = number(seed, sorted.len() + 1);
        match (sorted.get(at), number(seed + 7, 4)) {
            (None, _) => (Position::END, sorted.len()),
            (Some(at_it), 0) => {
                // Between two members: behind the one, before the next.
                let mut id = *at_it.id.as_bytes();
                id[31] = id[31].wrapping_sub(1);
                let before = Position { id: Id::from_bytes(id), ..*at_it };
                (before, sorted.partition_point(|position| *position < before))
            }
            (Some(at_it), _) => (*at_it, at),
        }
    };
    for seed in 0..ranges {
        let ((start, from), (end, to)) = (bound(seed * 2), bound(seed * 2 + 1));
        let range = Range { start, end };
        let inside = sorted.get(from..to).unwrap_or_default();
        assert_eq!(snapshot.measure(&tree, &range).unwrap(), naive(inside), "{range:?}");
        let limit = number(seed, 50);
        let listed = snapshot.positions(&tree, &range, limit).unwrap();
        assert_eq!(listed, inside[..limit.min(inside.len())]);
        for n in [0, number(seed, inside.len() + 1), inside.len().saturating_sub(1), inside.len()] {
            let nth = snapshot.nth(&tree, &range, n as u64).unwrap();
            assert_eq!(nth, inside.get(n).copied(), "the {n}th of {range:?}");
        }
    }
    assert_eq!(snapshot.measure(&tree, &Range::ALL).unwrap(), naive(sorted));
    assert_eq!(snapshot.nth(&tree, &Range::ALL, u64::MAX).unwrap(), None);
}

/// Counts, sums and places of any range are those of the sorted set, while it grows in writes of all sizes.
pub fn measures_and_places_are_those_of_the_sorted_set(store: &dyn Store) {
    let maker = Maker::new(1);
    let entries = random_tree(&maker, 1_500);
    let mut held = 0;
    for size in [1, 1, 2, 60, 1, 300, 900, 235] {
        store_all(store, &maker, &entries[held..held + size]);
        held += size;
        compare(&*store.snapshot().unwrap(), maker.tree(), &sorted(&entries[..held]), 60);
    }
    assert_eq!(held, entries.len());
}

/// Positions of one height are told apart by id, however many there are.
pub fn ten_thousand_entries_at_one_height_are_measured(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    let fan = maker.fan(root.position(), 10_000);
    let all: Vec<_> = [root].into_iter().chain(fan).collect();
    store_all(store, &maker, &all);
    compare(&*store.snapshot().unwrap(), maker.tree(), &sorted(&all), 200);
    assert_eq!(store.snapshot().unwrap().summary(&maker.tree()).unwrap().unwrap().tips.count, 10_000);
}

/// The set decides, not how it came to be.
pub fn a_tree_grown_in_any_order_measures_the_same(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    let (left, right) = (maker.chain(root.position(), 150), maker.fan(root.position(), 150));
    // The fan, low and wide, comes after the chain, high and narrow, one by one.
    store_all(store, &maker, [&root].into_iter().chain(&left));
    for entry in right.iter().rev() {
        store_all(store, &maker, [entry]);
    }
    let all: Vec<_> = [root].into_iter().chain(left).chain(right).collect();
    compare(&*store.snapshot().unwrap(), maker.tree(), &sorted(&all), 100);
    assert_eq!(store.snapshot().unwrap().audit(&maker.tree(), None, 999).unwrap().faults, []);
}

/// Tips have no children, and their measure fits them, whatever a write holds.
pub fn tips_are_the_entries_without_children(store: &dyn Store) {
    let maker = Maker::new(1);
    let entries = random_tree(&maker, 400);
    for (number, batch) in entries.chunks(57).enumerate() {
        store_all(store, &maker, batch);
        let held = &entries[..(number * 57 + batch.len())];
        let parents: BTreeSet<Id> =
            held.iter().flat_map(|entry| entry.view().parents().iter().collect::<Vec<_>>()).collect();
        let mut expected = sorted(held);
        expected.retain(|position| !parents.contains(&position.id));
        let snapshot = store.snapshot().unwrap();
        assert_eq!(snapshot.tips(&maker.tree(), None, 999).unwrap(), expected);
        assert_eq!(snapshot.summary(&maker.tree()).unwrap().unwrap().tips, naive(&expected));
        let (first, rest) = expected.split_first().unwrap();
        assert_eq!(snapshot.tips(&maker.tree(), Some(*first), 2).unwrap(), rest[..2.min(rest.len())]);
    }
}

/// Writes do not reach a snapshot taken before them.
pub fn a_snapshot_never_changes(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    let empty = store.snapshot().unwrap();
    store_all(store, &maker, [&root]);
    let one = store.snapshot().unwrap();
    let chain = maker.chain(root.position(), 100);
    store_all(store, &maker, &chain);
    assert_eq!(empty.trees(None, 9).unwrap(), []);
    assert_eq!(one.tips(&maker.tree(), None, 9).unwrap(), [root.position()]);
    assert_eq!(one.measure(&maker.tree(), &Range::ALL).unwrap().count, 1);
    assert_eq!(one.entry(&maker.tree(), &chain[0].id()).unwrap(), None);
    store.write(&pleach_core::storage::Write::Drop { tree: maker.tree() }).unwrap();
    assert_eq!(one.entry(&maker.tree(), &root.id()).unwrap(), Some(root.into_entry()));
}

/// Entries come back byte for byte, ascending, as many as both limits allow and at least one.
pub fn entries_come_within_their_limits(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    let chain = maker.chain(root.position(), 20);
    store_all(store, &maker, [&root].into_iter().chain(&chain));
    let snapshot = store.snapshot().unwrap();
    let read = |limit, bytes| snapshot.entries(&maker.tree(), &Range::ALL, limit, bytes).unwrap();
    let all: Vec<Entry> = [&root].into_iter().chain(&chain).map(|entry| entry.entry().clone()).collect();
    assert_eq!(read(99, usize::MAX), all);
    assert_eq!(read(3, usize::MAX), all[..3]);
    assert_eq!(read(99, 0), all[..1]);
    let three: usize = all[..3].iter().map(|entry| entry.bytes().len()).sum();
    assert_eq!(read(99, three), all[..3]);
    assert_eq!(read(99, three - 1), all[..2]);
    let range = Range { start: all[5].position(), end: all[9].position() };
    assert_eq!(snapshot.entries(&maker.tree(), &range, 99, usize::MAX).unwrap(), all[5..9]);
    assert_eq!(snapshot.entry(&maker.tree(), &all[7].id()).unwrap().as_ref(), Some(&all[7]));
    let bytes: usize = all.iter().map(|entry| entry.bytes().len()).sum();
    assert_eq!(snapshot.summary(&maker.tree()).unwrap().unwrap().bytes, bytes as u64);
}

/// Headers stand at the places of their ids; an unknown id has none.
pub fn headers_are_given_in_the_order_asked(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    let chain = maker.chain(root.position(), 3);
    store_all(store, &maker, [&root].into_iter().chain(&chain));
    let unknown = Id::of(b"unknown");
    let asked = [chain[2].id(), unknown, root.id()];
    let headers = store.snapshot().unwrap().headers(&maker.tree(), &asked).unwrap();
    let read: Vec<_> =
        headers.iter().map(|header| header.map(|header| (header.position, header.bytes))).collect();
    let expected =
        |entry: &VerifiedEntry| Some((entry.position(), u32::try_from(entry.bytes().len()).unwrap()));
    assert_eq!(read, [expected(&chain[2]), None, expected(&root)]);
}

/// Numbers rise from 1 in the order in which entries came, not in that of their positions.
pub fn arrivals_are_in_order_of_arrival(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    let chain = maker.chain(root.position(), 5);
    let late = maker.entry(&[root.position()], "late", "low");
    let order: Vec<_> = [&root].into_iter().chain(&chain).chain([&late]).collect();
    store_all(store, &maker, order.iter().copied());
    let expected: Vec<_> = (1..).zip(order.iter().map(|entry| entry.position())).collect();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.arrivals(&maker.tree(), 0, 99).unwrap(), expected);
    assert_eq!(snapshot.arrivals(&maker.tree(), 2, 3).unwrap(), expected[2..5]);
    assert_eq!(snapshot.arrivals(&maker.tree(), 7, 3).unwrap(), []);
    assert_eq!(snapshot.summary(&maker.tree()).unwrap().unwrap().arrival, 7);
}

/// Nothing is known of what is not held, and asking is no error.
pub fn of_a_tree_that_is_not_held_all_is_empty(store: &dyn Store) {
    let tree = Maker::new(1).tree();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.summary(&tree).unwrap(), None);
    assert_eq!(snapshot.tips(&tree, None, 9).unwrap(), []);
    assert_eq!(snapshot.measure(&tree, &Range::ALL).unwrap(), Measure::default());
    assert_eq!(snapshot.nth(&tree, &Range::ALL, 0).unwrap(), None);
    assert_eq!(snapshot.headers(&tree, &[tree]).unwrap(), [None]);
    assert_eq!(snapshot.entries(&tree, &Range::ALL, 9, 9).unwrap(), []);
    assert_eq!(snapshot.stores(&tree).unwrap(), []);
    assert_eq!(snapshot.members(&tree).unwrap(), []);
    assert_eq!(snapshot.audit(&tree, None, 9).unwrap(), pleach_core::storage::Audit::default());
}

/// An audit passes over every entry once, page by page.
pub fn an_audit_of_an_intact_tree_finds_nothing(store: &dyn Store) {
    let maker = Maker::new(1);
    let entries = random_tree(&maker, 300);
    assert_eq!(put(store, &maker, &entries).stored.len(), 300);
    let snapshot = store.snapshot().unwrap();
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = snapshot.audit(&maker.tree(), after, 70).unwrap();
        assert_eq!(page.faults, []);
        assert!(page.entries.len() <= 70);
        seen.extend(page.entries.iter().map(Entry::position));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, sorted(&entries));
}
