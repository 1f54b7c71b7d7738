//! What the owner of a node bounds on it, on a clock that the test holds: each limit bounds, and more is taken where it is
//! higher.

use std::sync::Arc;

use pleach_core::{
    Id, Now, PublicKey, SecretKey,
    budget::Source,
    entry::{Permission, Who},
    node::{
        Action, Arrival, Command, CommandId, Event, ExchangeEvent, ExchangeId, Limits, Node, NodeError, Op,
        Tracking, acquaintances, history, pending_requests, perform,
    },
    storage::{Store, Write},
    wire::{Ask, EntriesWriter, Kind, Versions},
};
use pleach_storage::{Memory, conformance::Maker};
use pleach_tests::{
    frames::{self, control, end},
    world::{HostId, World},
};

/// The head of a request about a tree.
fn hello(tree: Id) -> Vec<u8> {
    control(Kind::Sync, &frames::hello(tree))
}

/// Milliseconds between periodic syncs: longer than any of these tests.
const INTERVAL: u64 = 24 * 60 * 60 * 1_000;

fn key(number: u64) -> PublicKey {
    let mut bytes = [5; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    SecretKey::from_bytes(bytes).public()
}

/// A host with these limits and a tree that everybody may read.
fn world(limits: Limits) -> (World, HostId, Id) {
    let mut world = World::new(1);
    let host = world.host_with(Arc::new(Memory::new()), limits);
    let tree = world.create_with(host, "open", vec![(Who::Everyone, Permission::Read)]);
    (world, host, tree)
}

fn follow(world: &mut World, host: HostId, peer: HostId, tree: Id) {
    let tracking = Tracking::new(tree, world.key(peer), vec![world.address(peer)], INTERVAL);
    world.run(host, Command::Track(Box::new(tracking))).unwrap();
    world.settle();
}

#[test]
fn limits_out_of_their_range_are_refused_by_their_names() {
    let low: [(Limits, &str); 9] = [
        (Limits::new().connections(15), "connections"),
        (Limits::new().connections_of_source(0), "connections_of_source"),
        (Limits::new().exchanges(63), "exchanges"),
        (Limits::new().dialled(7), "dialled"),
        (Limits::new().waits(0), "waits"),
        (Limits::new().held_bytes((4 << 20) - 1), "held_bytes"),
        (Limits::new().history(15), "history"),
        (Limits::new().requests(7), "requests"),
        (Limits::new().acquaintances(15), "acquaintances"),
    ];
    let most = usize::MAX;
    let high = [
        (Limits::new().connections(most), "connections"),
        (Limits::new().connections_of_source(most), "connections_of_source"),
        (Limits::new().exchanges(most), "exchanges"),
        (Limits::new().dialled(most), "dialled"),
        (Limits::new().waits(most), "waits"),
        (Limits::new().held_bytes(most), "held_bytes"),
        (Limits::new().history(most), "history"),
        (Limits::new().requests(most), "requests"),
        (Limits::new().acquaintances(most), "acquaintances"),
    ];
    for (limits, name) in low.into_iter().chain(high) {
        let error = limits.check().unwrap_err();
        assert_eq!(error.name, name);
        assert!(error.given < error.least || error.given > error.most);
        let range = format!("between {} and {}", error.least, error.most);
        assert!(error.to_string().contains(&range), "{error}");
    }
    Limits::new().check().unwrap();
}

#[test]
fn a_quarter_of_the_exchanges_is_what_strangers_have() {
    for most in [64, 100, 1_024] {
        let (mut world, host, _) = world(Limits::new().exchanges(most));
        let source = |number: u64| Source::of(&number.to_le_bytes());
        let knock = |number| world.knock(host, key(number), source(number), []);
        let wires: Vec<u64> = (0..500).map(knock).collect();
        world.settle();
        let open = wires.iter().filter(|wire| !world.heard(**wire).1).count();
        assert_eq!(open, most / 4);
    }
}

#[test]
fn half_of_the_exchanges_may_wait_for_news() {
    for (most, expected) in [(64, 32), (256, 36)] {
        let (mut world, host, _) = world(Limits::new().exchanges(most));
        let peers: Vec<HostId> = (0..36).map(|_| world.host()).collect();
        // Who is granted something is no stranger.
        let grants = peers.iter().map(|peer| (Who::Key(world.key(*peer)), Permission::Read)).collect();
        let tree = world.create_with(host, "ours", grants);
        for peer in &peers {
            follow(&mut world, *peer, host, tree);
        }
        world.write(host, tree, "n", "news").unwrap();
        world.settle();
        let heard = peers.iter().filter(|peer| world.value(**peer, tree, "n").is_some()).count();
        assert_eq!(heard, expected, "of {most} exchanges");
    }
}

#[test]
fn news_are_waited_for_as_often_as_is_wanted() {
    for (most, expected) in [(2, 2), (64, 5)] {
        let mut world = World::new(2);
        let host = world.host();
        let bob = world.host_with(Arc::new(Memory::new()), Limits::new().waits(most));
        let grant = (Who::Key(world.key(bob)), Permission::Read);
        let trees: Vec<Id> = (0..5).map(|n| world.create_with(host, &n.to_string(), vec![grant])).collect();
        for tree in &trees {
            follow(&mut world, bob, host, *tree);
        }
        for tree in &trees {
            world.write(host, *tree, "n", "news").unwrap();
        }
        world.settle();
        let heard = trees.iter().filter(|tree| world.value(bob, **tree, "n").is_some()).count();
        assert_eq!(heard, expected, "of {most} waits");
    }
}

#[test]
fn as_many_exchanges_are_dialled_at_once_as_is_wanted() {
    let (mut world, host, tree) = world(Limits::new().dialled(10));
    let silent = world.host();
    world.mute(silent, true);
    let address = world.address(silent);
    let begun: Vec<_> =
        (0..12).map(|_| world.command(host, Command::Sync { address: address.clone(), tree })).collect();
    world.settle();
    let ends = begun.into_iter().filter_map(|command| world.outcome(host, command));
    let refused: Vec<_> = ends.filter(|end| matches!(end, Err(NodeError::TooMany(10)))).collect();
    assert_eq!(refused.len(), 2);
}

#[test]
fn as_much_history_is_kept_as_is_wanted() {
    let (mut world, host, _) = world(Limits::new().history(20));
    for _ in 0..50 {
        let address = pleach_core::wire::Address::new("world", "99");
        world.run(host, Command::Sync { address, tree: Id::of(b"none") }).unwrap_err();
    }
    assert_eq!(history(&*world.snapshot(host)).unwrap().len(), 20);
}

#[test]
fn as_many_requests_wait_for_a_decision_as_is_wanted() {
    let (mut world, host, tree) = world(Limits::new().requests(30));
    for number in 0..50 {
        let ask = Ask {
            versions: Versions::OURS,
            tree,
            permission: Permission::Write(9),
            name: "Eve".try_into().expect("a short name"),
            invite: None,
            hold: 0,
        };
        world.ask(host, key(number), [control(Kind::Ask, &ask)]).unwrap();
    }
    assert_eq!(pending_requests(&*world.snapshot(host)).unwrap().len(), 30);
}

#[test]
fn as_many_guests_are_remembered_as_is_wanted() {
    let (mut world, host, tree) = world(Limits::new().acquaintances(40));
    let end = end();
    for number in 0..60 {
        world.ask(host, key(number), [hello(tree), end.clone()]).unwrap();
    }
    for _ in 0..4 {
        world.pass();
        world.settle();
    }
    assert_eq!(acquaintances(&*world.snapshot(host)).unwrap().len(), 40);
}

/// Bytes that a node takes in from twelve peers, each of whom sends more and more, while nothing is checked or written.
fn taken_while_the_disk_is_silent(limits: Limits) -> usize {
    let store = Memory::new();
    let maker = Maker::new(77);
    let root = maker.root();
    let tree = root.position().id;
    store.write(&Write::Put { tree, entries: vec![root] }).expect("it is stored");
    let mut node = Node::new(SecretKey::from_bytes([9; 32]), [2; 32], limits);
    let frame = {
        let value = "x".repeat(200_000);
        let entry = pleach_tests::siege::entry(maker.key(), tree, &[maker.root().position()], &value);
        let mut room = vec![0; 1 << 20];
        let mut writer = EntriesWriter::new(&mut room);
        assert!(writer.push(entry.expect("an entry").entry().bytes()));
        writer.finish().to_vec()
    };
    let now = Now { monotonic: 0, wall: 1_700_000_000_000 };
    // Who is known is no stranger.
    let tracking = Tracking::new(tree, maker.key().public(), Vec::new(), INTERVAL);
    node.handle(now, Event::Command(CommandId(1), Command::Track(Box::new(tracking))));
    for number in 0..12 {
        let exchange = ExchangeId::accepted(number);
        let (proven, source) = (Some(maker.key().public()), Source::default());
        let accepted = Event::Accepted { exchange, proven, source, arrival: Arrival::Streamed, signed: None };
        node.handle(now, accepted);
    }
    let snapshot = store.snapshot().expect("a snapshot");
    let (mut taken, mut greeted) = (0, std::collections::BTreeSet::new());
    while let Some(action) = node.poll_action() {
        let event = match action {
            Action::Exchange(id, Op::Receive) if greeted.insert(id) => {
                Event::Exchange(id, ExchangeEvent::Received(hello(tree)))
            }
            Action::Exchange(id, Op::Receive) => {
                taken += frame.len();
                Event::Exchange(id, ExchangeEvent::Received(frame.clone()))
            }
            Action::Exchange(id, Op::Send(_)) => Event::Exchange(id, ExchangeEvent::Sent),
            Action::Read { number, read, .. } => Event::Read(number, perform(&snapshot, &read)),
            _ => continue,
        };
        node.handle(now, event);
    }
    taken
}

#[test]
fn no_more_bytes_wait_for_the_disk_than_is_wanted() {
    let little = taken_while_the_disk_is_silent(Limits::new().held_bytes(4 << 20));
    let more = taken_while_the_disk_is_silent(Limits::new().held_bytes(16 << 20));
    // Each exchange has one frame under way beyond it.
    let frames = 13 * 210_000;
    assert!((4 << 20..(4 << 20) + frames).contains(&little), "{little}");
    assert!((16 << 20..(16 << 20) + frames).contains(&more), "{more}");
}
