//! Stores that lose what they were given: noticed, reported, and made whole again with what a peer holds.

use std::sync::Arc;

use pleach_core::{
    Id, Range,
    entry::{Permission, Who},
    instance::{check, verify},
    node::{Command, Damage as Report, NodeError, Notification, Reply, Tracking},
    storage::Store,
};
use pleach_storage::{
    Memory, Redb,
    conformance::{Damage, Rot},
};
use pleach_tests::world::{HostId, World};

/// What happens to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plant {
    /// The pair of an entry in a table goes.
    Gone(&'static str),
    /// A bit of its value flips.
    Flipped(&'static str),
    /// Every pair of the table is another.
    AllFlipped(&'static str),
    /// The tree's count is one too many.
    Count,
}

/// Which entry it happens to, by position: in the middle, with many on top.
const HURT: usize = 20;

impl Plant {
    /// Which entry it happens to: one in the middle, or the newest, on which others are yet to build.
    fn hurts(self) -> usize {
        if matches!(self, Self::Gone("index" | "tips")) { 41 } else { HURT }
    }
}

/// What becomes of a pair.
type Harm<'a> = dyn FnMut(&[u8], &[u8]) -> Rot + 'a;

fn plant<S: Damage>(store: &S, what: Plant, entry: Id) {
    let flipped = |value: &[u8]| {
        let mut value = value.to_vec();
        *value.last_mut().expect("a value") ^= 1;
        Rot::Value(value)
    };
    let of_entry = |key: &[u8]| key.ends_with(entry.as_bytes());
    let (table, mut rot): (_, Box<Harm<'_>>) = match what {
        Plant::Gone(table) => {
            (table, Box::new(move |key, _| if of_entry(key) { Rot::Gone } else { Rot::Spare }))
        }
        Plant::Flipped(table) => {
            (table, Box::new(move |key, value| if of_entry(key) { flipped(value) } else { Rot::Spare }))
        }
        Plant::AllFlipped(table) => (table, Box::new(move |_, value| flipped(value))),
        // The number of the tree (a byte), its author, then the count, which is below 128.
        Plant::Count => (
            "trees",
            Box::new(|_, value| {
                let mut value = value.to_vec();
                value[33] += 1;
                Rot::Value(value)
            }),
        ),
    };
    assert!(store.damage(table, &mut *rot).expect("a store") > 0, "{what:?} hit nothing");
}

/// Alice, Bob over a store, Carol, and a tree that Alice and Bob both hold.
fn three(seed: u64, store: Arc<dyn Store>) -> (World, [HostId; 3], Id) {
    let mut world = World::new(seed);
    let hosts = [world.host(), world.host_over(store), world.host()];
    let grants = hosts[1..].iter().map(|host| (Who::Key(world.key(*host)), Permission::Write(9))).collect();
    let tree = world.create_with(hosts[0], "notes", grants);
    for n in 0..40 {
        world.write(hosts[0], tree, &format!("a{n}"), "x").expect("a commit");
    }
    world.sync(hosts[1], hosts[0], tree).expect("a sync");
    (world, hosts, tree)
}

fn is_whole(world: &World, host: HostId, tree: Id) -> bool {
    verify(&*world.snapshot(host), &tree, check).expect("the tree is there").is_ok()
}

fn same(world: &World, one: HostId, two: HostId, tree: Id) -> bool {
    world.tips(one, tree) == world.tips(two, tree)
        && world.content(one, tree) == world.content(two, tree)
        && world.count(one, tree) == world.count(two, tree)
}

fn reports(world: &mut World, host: HostId) -> Vec<Report> {
    let notes = world.notes(host).into_iter();
    notes
        .filter_map(|note| match note {
            Notification::Repaired { damage, .. } => Some(damage),
            _ => None,
        })
        .collect()
}

/// Bob's store is damaged. Syncs go on, whoever begins them, and in a few of them all is well again.
fn is_mended<S: Store + Damage + 'static>(seed: u64, store: S, what: Plant, bob_begins: bool) {
    let store = Arc::new(store);
    let (mut world, [alice, bob, carol], tree) = three(seed, store.clone());
    // What only Bob has, on top of all.
    world.write(bob, tree, "only", "bob's").expect("a commit");
    let hurt = world.snapshot(bob).positions(&tree, &Range::ALL, 99).expect("positions")[what.hurts()].id;
    plant(&*store, what, hurt);
    let mut errors = Vec::new();
    let mut seen = Vec::new();
    for round in 0..5 {
        world.write(alice, tree, &format!("round{round}"), "more").expect("a commit");
        let (from, to) = if bob_begins { (bob, alice) } else { (alice, bob) };
        // Carol reads what Bob has before Alice can help him.
        for (from, to) in [(carol, bob), (from, to), (carol, bob)] {
            errors.extend(world.sync(from, to, tree).err());
            world.settle();
        }
        seen.extend(reports(&mut world, bob));
    }
    let context = format!("{what:?}, Bob begins: {bob_begins}: {seen:?}, {errors:?}");
    assert_eq!(seen.len(), 1, "it is reported once: {context}");
    let blamed = |error: &NodeError| matches!(error, NodeError::Misbehaved(_));
    assert!(!errors.iter().any(blamed), "a damaged disk is no misbehaviour: {context}");
    assert!(is_whole(&world, bob, tree), "{context}");
    assert!(same(&world, alice, bob, tree) && same(&world, bob, carol, tree), "{context}");
    assert_eq!(world.count(alice, tree), 47, "{context}");
    assert_eq!(world.value(alice, tree, "only").as_deref(), Some("bob's"), "{context}");
}

/// What an exchange comes across.
const NOTICED: [Plant; 5] = [
    Plant::Gone("entries"),
    Plant::Flipped("entries"),
    Plant::Gone("index"),
    Plant::Gone("tips"),
    Plant::Count,
];

/// What an exchange may get along with.
const SILENT: [Plant; 3] = [Plant::Gone("headers"), Plant::AllFlipped("aggregates"), Plant::Gone("rows")];

#[test]
fn what_a_store_in_memory_lost_is_noticed_and_comes_back_from_a_peer() {
    for what in NOTICED {
        for bob_begins in [false, true] {
            is_mended(1, Memory::new(), what, bob_begins);
        }
    }
}

#[test]
fn what_a_file_lost_is_noticed_and_comes_back_from_a_peer() {
    let folder = tempfile::tempdir().expect("a folder");
    for (n, what) in NOTICED.into_iter().enumerate() {
        for bob_begins in [false, true] {
            let store = Redb::open(folder.path().join(format!("{n}{bob_begins}"))).expect("a file");
            is_mended(2, store, what, bob_begins);
        }
    }
}

#[test]
fn an_entry_that_is_gone_is_not_passed_over_in_silence() {
    let store = Arc::new(Memory::new());
    let (mut world, [alice, bob, carol], tree) = three(5, store.clone());
    let hurt = world.snapshot(bob).positions(&tree, &Range::ALL, 99).expect("positions")[HURT].id;
    plant(&*store, Plant::Gone("entries"), hurt);
    assert_eq!(world.sync(carol, bob, tree), Err(NodeError::PeerFailed));
    world.settle();
    assert_eq!(reports(&mut world, bob).len(), 1);
    world.sync(carol, bob, tree).expect("a sync");
    assert_eq!(world.count(carol, tree), 20, "what stands on it waits");
    world.sync(bob, alice, tree).expect("a sync");
    world.sync(carol, bob, tree).expect("a sync");
    assert!(same(&world, alice, bob, tree) && same(&world, bob, carol, tree));
}

#[test]
fn what_no_exchange_needs_stops_none_and_is_mended_by_the_command() {
    for what in SILENT {
        let store = Arc::new(Memory::new());
        let (mut world, [alice, bob, _], tree) = three(3, store.clone());
        let hurt = world.snapshot(bob).positions(&tree, &Range::ALL, 99).expect("positions")[HURT].id;
        plant(&*store, what, hurt);
        assert!(!is_whole(&world, bob, tree), "{what:?}");
        world.write(alice, tree, "more", "to come").expect("a commit");
        // Some see the damage and mend it, others do not.
        let _ = world.sync(bob, alice, tree);
        world.settle();
        world.sync(bob, alice, tree).expect("a sync");
        let reply = world.run(bob, Command::Repair(tree));
        assert_eq!(reply, Ok(Reply::Repaired(Report::default())), "no entry was damaged");
        assert!(is_whole(&world, bob, tree) && same(&world, alice, bob, tree), "{what:?}");
    }
}

#[test]
fn an_entry_lost_here_is_fetched_from_the_peer_that_the_tree_is_kept_the_same_with() {
    let store = Arc::new(Memory::new());
    let (mut world, [alice, bob, _], tree) = three(4, store.clone());
    let tracking = Tracking::new(tree, world.key(alice), vec![world.address(alice)], 300_000);
    assert_eq!(world.run(bob, Command::Track(Box::new(tracking))), Ok(Reply::Done));
    world.settle();
    let hurt = world.snapshot(bob).positions(&tree, &Range::ALL, 99).expect("positions")[HURT].id;
    plant(&*store, Plant::Flipped("entries"), hurt);
    let Ok(Reply::Repaired(report)) = world.run(bob, Command::Repair(tree)) else { panic!("it is repaired") };
    assert_eq!((report.entries, report.count), (vec![hurt], 1));
    assert_eq!(report.waiting, 20, "those on top of it");
    world.settle();
    assert!(is_whole(&world, bob, tree) && same(&world, alice, bob, tree), "without being asked");
}
