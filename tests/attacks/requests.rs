//! Very many requests for access, by keys that somebody made for it.

use std::sync::Arc;

use pleach_core::{
    Id, PublicKey, SecretKey,
    entry::Permission,
    node::{MAX_REQUESTS, MAX_REQUESTS_OF_KEY, pending_requests},
};
use pleach_storage::Memory;
use pleach_tests::{
    spy::{Notes, Spy},
    world::{HostId, World},
};

use crate::{
    peer::{Peer, ask},
    stage::{BEGIN, Carrier, Hands, SERVER, STRANGER, Stage, public},
};

/// Requests that come when the table is full.
const MORE: usize = 30;

/// One of as many keys as somebody cares to make.
fn fresh(n: usize) -> PublicKey {
    let mut seed = [0x77; 32];
    seed[..8].copy_from_slice(&n.to_le_bytes());
    SecretKey::from_bytes(seed).public()
}

fn request(tree: Id) -> Vec<Vec<u8>> {
    ask(tree, Permission::Write(3), "Eve")
}

fn listed(world: &World, host: HostId) -> Vec<(PublicKey, Id)> {
    let pending = pending_requests(&*world.snapshot(host)).expect("requests");
    pending.into_iter().map(|request| (request.key, request.tree)).collect()
}

/// A node with as many databases as one key may ask about, and its table full: by keys that ask about all of them.
fn full(seed: u64, store: Arc<Memory>) -> (World, HostId, Vec<Id>) {
    let mut world = World::new(seed);
    let alice = world.host_over(store);
    let trees: Vec<Id> = (0..MAX_REQUESTS_OF_KEY).map(|n| world.create(alice, &n.to_string())).collect();
    for n in 0..MAX_REQUESTS / MAX_REQUESTS_OF_KEY {
        for tree in &trees {
            world.ask(alice, fresh(n), request(*tree)).expect("an answer");
        }
    }
    assert_eq!(listed(&world, alice).len(), MAX_REQUESTS);
    (world, alice, trees)
}

/// Row 27.
#[test]
fn keys_that_fill_the_table_between_them_keep_nobody_out_over_any_transport() {
    let store = Arc::new(Memory::new());
    let (world, alice, trees) = full(1, store.clone());
    for carrier in Carrier::ALL {
        let (stage, clock) = (Stage::new(carrier), Hands::at(BEGIN));
        let store = Arc::new(store.fork().expect("a copy"));
        let server = stage.node_of(store, world.secret(alice), SERVER, &clock);
        let peer = Peer::new(&stage, STRANGER, &clock);
        let unknown = peer.accepted(&server.address, &request(Id::of(b"no such tree")));
        let kept = peer.accepted(&server.address, &request(trees[3]));
        assert_eq!(kept, unknown, "{carrier:?}: whether it was full shows nowhere");
        let pending = server.pending();
        assert_eq!(pending.len(), MAX_REQUESTS, "{carrier:?}");
        assert!(pending.iter().any(|request| request.key == public(STRANGER) && request.tree == trees[3]));
        server.close();
    }
}

/// Row 27.
#[test]
fn a_flood_about_a_database_that_all_know_takes_no_place_from_another() {
    let mut world = World::new(2);
    let alice = world.host();
    let [known, told] = ["known", "told"].map(|name| world.create(alice, name));
    for n in 0..MAX_REQUESTS {
        world.ask(alice, fresh(n), request(known)).expect("an answer");
    }
    let honest = [fresh(1_000_000), fresh(1_000_001)];
    for key in honest {
        world.ask(alice, key, request(told)).expect("an answer");
    }
    world.restart(alice);
    for n in MAX_REQUESTS..MAX_REQUESTS + MORE {
        world.ask(alice, fresh(n), request(known)).expect("an answer");
    }
    let listed = listed(&world, alice);
    assert_eq!(listed.len(), MAX_REQUESTS);
    assert!(honest.iter().all(|key| listed.contains(&(*key, told))));
}

/// Row 27.
#[test]
fn of_requests_about_one_database_the_first_half_stays_and_the_other_goes_round() {
    let mut world = World::new(3);
    let alice = world.host();
    let tree = world.create(alice, "known");
    let before = fresh(1_000_000);
    world.ask(alice, before, request(tree)).expect("an answer");
    for n in 0..MAX_REQUESTS + MORE {
        // So that each comes later than the one before.
        world.skew(alice, i64::try_from(n + 1).expect("few"));
        world.ask(alice, fresh(n), request(tree)).expect("an answer");
    }
    let during = fresh(1_000_001);
    for n in 0..MORE {
        world.skew(alice, i64::try_from(2 * MAX_REQUESTS + n).expect("few"));
        let key = if n == 0 { during } else { fresh(2 * MAX_REQUESTS + n) };
        world.ask(alice, key, request(tree)).expect("an answer");
    }
    let kept = listed(&world, alice);
    assert_eq!(kept.len(), MAX_REQUESTS);
    assert!(kept.contains(&(before, tree)), "it was there before the flood");
    assert!(kept.contains(&(during, tree)), "it came in the middle of it");
    assert!(!kept.contains(&(fresh(MAX_REQUESTS / 2 + 1), tree)), "somebody gave way");
}

/// Rows 19 and 27.
#[test]
fn at_a_full_table_it_takes_the_same_work_whether_a_request_is_kept() {
    let notes = Notes::default();
    let store = Arc::new(Memory::new());
    let (full, alice, trees) = full(4, store.clone());
    let mut world = World::new(4);
    // The same key comes of the same seed.
    let again = world.host_over(Arc::new(Spy::new(store, &notes)));
    assert_eq!(world.key(again), full.key(alice));
    let mut seen = Vec::new();
    for (n, asked) in [Id::of(b"unknown"), trees[0], Id::of(b"nothing"), trees[1]].into_iter().enumerate() {
        notes.take();
        let answer = world.ask(again, fresh(9_000 + n), request(asked)).expect("an answer");
        seen.push((answer, notes.take()));
    }
    assert!(seen[0].1.iter().any(|note| note.starts_with("write")), "the store was watched: {:?}", seen[0]);
    assert!(seen.iter().all(|other| *other == seen[0]), "{seen:#?}");
    let kept = listed(&world, again);
    assert!([1, 3].iter().all(|n| kept.iter().any(|(key, _)| *key == fresh(9_000 + n))));
}
