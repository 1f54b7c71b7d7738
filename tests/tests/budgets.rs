//! What strangers may use of a node, and what proven peers keep, on a clock that the test holds.

use pleach_core::{
    Id, Position, SecretKey,
    budget::Source,
    entry::{Permission, VerifiedEntry, Who},
    node::{Command, MAX_OF_SOURCE, MAX_STRANGERS, REQUESTS, REQUESTS_A_SECOND, Tracking},
    wire::{Frame, Kind, Refusal},
};
use pleach_storage::conformance::Maker;
use pleach_tests::{
    frames::{self, control, end, entries},
    world::{HostId, World},
};

/// The head of a request about a tree.
fn hello(tree: Id) -> Vec<u8> {
    control(Kind::Sync, &frames::hello(tree))
}

fn source(number: u64) -> Source {
    Source::of(&number.to_le_bytes())
}

fn key(number: u64) -> pleach_core::PublicKey {
    let mut bytes = [5; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    SecretKey::from_bytes(bytes).public()
}

/// A host with a tree of its own, one that everybody may write, and a peer that may read the first.
fn world() -> (World, HostId, HostId, Id, Id) {
    let mut world = World::new(1);
    let (host, peer) = (world.host(), world.host());
    let grant = (Who::Key(world.key(peer)), Permission::Write(5));
    let tree = world.create_with(host, "ours", vec![grant]);
    let open = world.create_with(host, "open", vec![(Who::Everyone, Permission::Write(9))]);
    (world, host, peer, tree, open)
}

fn refusal(answer: &[Vec<u8>]) -> Option<Refusal> {
    match Frame::read(answer.first()?) {
        Ok(Frame::Refusal(refusal)) => Some(refusal),
        _ => None,
    }
}

/// Asks as somebody who is no host, from a source.
fn ask(world: &mut World, host: HostId, from: Source, frames: &[Vec<u8>]) -> (Vec<Vec<u8>>, bool) {
    let said = frames.iter().cloned().map(Some).chain([None]);
    let wire = world.knock(host, key(1), from, said);
    world.settle();
    world.heard(wire)
}

#[test]
fn ten_thousand_strangers_who_knock_and_stay_keep_no_proven_peer_out() {
    let (mut world, host, peer, tree, _) = world();
    world.sync(peer, host, tree).unwrap();
    let wires: Vec<u64> =
        (0..10_000).map(|number| world.knock(host, key(number), source(number % 500), [])).collect();
    world.settle();
    let open = wires.iter().filter(|wire| !world.heard(**wire).1).count();
    assert_eq!(open, MAX_STRANGERS);
    for round in 0..10 {
        world.write(peer, tree, &format!("k{round}"), "v").unwrap();
        world.sync(peer, host, tree).unwrap();
        assert_eq!(world.value(host, tree, &format!("k{round}")).as_deref(), Some("v"));
    }
    let still = wires.iter().filter(|wire| !world.heard(**wire).1).count();
    assert_eq!(still, MAX_STRANGERS, "there was room without anybody going");
}

#[test]
fn a_peer_that_was_never_here_gets_in_among_strangers_who_stay() {
    let (mut world, host, peer, tree, _) = world();
    for number in 0..1_000 {
        world.knock(host, key(number), source(number % 20), []);
    }
    world.settle();
    world.sync(peer, host, tree).unwrap();
    assert!(world.count(peer, tree) > 0);
}

#[test]
fn one_source_holds_its_share_of_places_however_many_keys_it_makes() {
    let (mut world, host, ..) = world();
    let wires: Vec<u64> = (0..100).map(|number| world.knock(host, key(number), source(1), [])).collect();
    world.settle();
    let open: Vec<bool> = wires.iter().map(|wire| !world.heard(*wire).1).collect();
    assert_eq!(open.iter().filter(|open| **open).count(), MAX_OF_SOURCE);
    assert!(open[100 - MAX_OF_SOURCE..].iter().all(|open| *open), "the longest silent went");
}

#[test]
fn who_asks_too_often_is_put_off_without_a_look_and_served_again_later() {
    let (mut world, host, peer, tree, open) = world();
    let asks = |world: &mut World, tree, from| {
        let (answer, _) = ask(world, host, from, &[hello(tree), end()]);
        refusal(&answer)
    };
    for _ in 0..REQUESTS {
        assert_eq!(asks(&mut world, tree, source(1)), Some(Refusal::Unknown));
    }
    // Whether there is such a tree, and who may read it, shows as little.
    let delay = 1_000 / REQUESTS_A_SECOND;
    for tree in [tree, open, Id::from_bytes([9; 32])] {
        assert_eq!(asks(&mut world, tree, source(1)), Some(Refusal::Busy { delay }));
    }
    assert_eq!(asks(&mut world, open, source(2)), None, "others are served");
    world.sync(peer, host, tree).unwrap();
    let before = world.clock();
    while world.clock() < before + u64::from(delay) {
        world.pass();
        world.settle();
    }
    assert_eq!(asks(&mut world, open, source(1)), None);
}

#[test]
fn a_bad_signature_ends_the_exchange_and_costs_the_budget() {
    let (mut world, host, _, _, open) = world();
    let good = orphans(open, 1).remove(0).bytes().to_vec();
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    let end = end();
    let request = |entry: Vec<u8>| [hello(open), entries(&[entry]), end.clone()];
    for _ in 0..3 {
        let (answer, closed) = ask(&mut world, host, source(1), &request(good.clone()));
        assert_eq!(refusal(&answer), None, "what lacks its parents is no misbehaviour");
        assert!(!closed);
    }
    let (answer, closed) = ask(&mut world, host, source(1), &request(bad));
    assert!(closed);
    assert!(
        answer
            .iter()
            .any(|frame| matches!(Frame::read(frame), Ok(Frame::Refusal(Refusal::Malformed { .. }))))
    );
    let (answer, _) = ask(&mut world, host, source(1), &request(good.clone()));
    assert!(matches!(refusal(&answer), Some(Refusal::Busy { .. })), "{answer:?}");
    let (answer, _) = ask(&mut world, host, source(2), &request(good));
    assert_eq!(refusal(&answer), None, "others are served");
}

#[test]
fn a_flood_of_entries_is_checked_up_to_the_budget() {
    let (mut world, host, peer, tree, open) = world();
    let orphans: Vec<Vec<u8>> = orphans(open, 20_000).iter().map(|entry| entry.bytes().to_vec()).collect();
    let frames: Vec<Vec<u8>> =
        [hello(open)].into_iter().chain(orphans.chunks(1_000).map(entries)).chain([end()]).collect();
    let (answer, closed) = ask(&mut world, host, source(1), &frames);
    assert!(closed);
    let busy = |frame: &Vec<u8>| matches!(Frame::read(frame), Ok(Frame::Refusal(Refusal::Busy { .. })));
    assert!(answer.iter().any(busy), "twenty thousand signatures are more than one source may bring");
    world.sync(peer, host, tree).unwrap();
}

/// Entries whose parents nobody has, ascending.
fn orphans(tree: Id, count: usize) -> Vec<VerifiedEntry> {
    let maker = Maker::new(77);
    let mut made: Vec<VerifiedEntry> = (0..count)
        .map(|number| {
            let mut name = [8; 32];
            name[..8].copy_from_slice(&(number as u64).to_le_bytes());
            let parent = Position { height: 3, id: Id::from_bytes(name) };
            pleach_tests::siege::entry(maker.key(), tree, &[parent], "x").expect("an entry")
        })
        .collect();
    made.sort_by_key(|entry| entry.position());
    made
}

#[test]
fn news_of_a_tree_are_no_sign_of_life_from_a_peer_that_fell_silent_in_the_middle() {
    let mut world = World::new(90);
    let alice = world.host();
    let tree = world.create_with(alice, "busy", vec![(Who::Everyone, Permission::Read)]);
    // Two others sync every few seconds, so that time passes in small steps.
    let (carol, dave) = (world.host(), world.host());
    let other = world.create_with(carol, "other", vec![(Who::Everyone, Permission::Read)]);
    let tracking = Tracking::new(other, world.key(carol), vec![world.address(carol)], 5_000);
    world.run(dave, Command::Track(Box::new(tracking))).unwrap();
    // It says the head of a request and never its end.
    let silent = world.knock(alice, key(1), source(1), [Some(hello(tree))]);
    world.settle();
    assert!(!world.heard(silent).1, "it is waited for");
    let end = world.clock() + 40_000;
    while !world.heard(silent).1 {
        assert!(world.clock() < end, "its patience is over");
        world.write(alice, tree, "n", "news").unwrap();
        world.settle();
        world.pass();
        world.settle();
    }
}
