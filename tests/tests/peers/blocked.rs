//! A peer that is blocked, or set aside.

use std::sync::Arc;

use pleach_core::{
    Id,
    entry::{Permission, Who},
    instance::{Stuck, SyncPhase},
    node::{Command, ConnectionState, NodeError, PeerStatus, pending_requests},
    wire::{Address, Frame},
};
use pleach_storage::Memory;
use pleach_tests::{
    spy::{Notes, Spy},
    world::World,
};

use super::{
    COUNT, ask_frame, connection, fill, hello, pair, set, status, stranger, track, tracking, trees_frame,
};

#[test]
fn to_a_blocked_key_every_database_is_one_that_nobody_holds() {
    let notes = Notes::default();
    let mut world = World::new(1);
    let (alice, bob) = (world.host_over(Arc::new(Spy::new(Memory::new(), &notes))), world.host());
    let bobs = world.key(bob);
    let shared = world.create_with(alice, "shared", vec![(Who::Key(bobs), Permission::Write(9))]);
    let public = world.create_with(alice, "public", vec![(Who::Everyone, Permission::Read)]);
    let unknown = Id::of(b"no such tree");
    let requests = |tree| [hello(tree), vec![ask_frame(tree)]];
    let asked = |world: &mut World, key, request: Vec<Vec<u8>>| {
        notes.take();
        (world.ask(alice, key, request), notes.take())
    };
    for tree in [shared, public] {
        let [hello, _] = requests(tree);
        let (served, _) = asked(&mut world, bobs, hello);
        let served = served.unwrap();
        let first = Frame::read(&served[0]);
        assert!(!matches!(first, Ok(Frame::Refusal(_))), "served before: {first:?}");
    }
    set(&mut world, alice, bob, PeerStatus::Blocked);
    for tree in [shared, public, unknown] {
        for (request, nobodys) in requests(tree).into_iter().zip(requests(unknown)) {
            // The stranger's own request may stand in the table of no request, of the same size.
            let expected = asked(&mut world, stranger(0), nobodys);
            assert!(expected.0.is_some());
            assert_eq!(asked(&mut world, bobs, request), expected, "same answer, same look-ups");
        }
    }
    let listed = world.ask(alice, bobs, [trees_frame()]).unwrap();
    let Ok(Frame::TreeList(_, lines)) = Frame::read(&listed[0]) else { panic!("no list: {listed:?}") };
    assert_eq!(lines.iter().count(), 0, "public ones neither");
    assert_eq!(pending_requests(&*world.snapshot(alice)).unwrap(), [], "its access requests are not stored");

    set(&mut world, alice, bob, PeerStatus::Active);
    world.sync(bob, alice, shared).unwrap();
}

#[test]
fn a_blocked_peer_is_not_dialled_even_where_only_the_handshake_tells_who_it_is() {
    let (mut world, alice, bob, tree) = pair(2);
    world.sync(bob, alice, tree).unwrap();
    let alices = world.key(alice);
    set(&mut world, bob, alice, PeerStatus::Blocked);
    let frames = world.frames;
    assert_eq!(world.sync(bob, alice, tree), Err(NodeError::Blocked(alices)));
    let anonymous = Address { key: None, ..world.address(alice) };
    for command in [
        Command::Sync { address: anonymous.clone(), tree },
        Command::SyncAny { addresses: vec![anonymous.clone(), world.address(alice)], tree },
        Command::Discover(anonymous.clone()),
        Command::Connect(anonymous),
    ] {
        let refused = world.run(bob, command).unwrap_err();
        assert_eq!(refused.telling(), &NodeError::Blocked(alices));
        assert!(refused.to_string().contains("unblock"), "{refused}");
    }
    let tracked = tracking(&world, bob, alice, tree);
    track(&mut world, bob, tracked);
    world.write(bob, tree, "a", "1").unwrap();
    world.pass();
    world.settle();
    assert_eq!(world.frames, frames, "nothing was said to it");
    let paused = status(&mut world, bob, alice, tree);
    assert_eq!((paused.phase, paused.stuck), (SyncPhase::Paused, Some(Stuck::Blocked)));
    assert_eq!((paused.next_try, paused.failures), (None, 0));

    set(&mut world, bob, alice, PeerStatus::Active);
    world.settle();
    assert_eq!(world.value(alice, tree, "a").as_deref(), Some("1"), "taken up at once");
}

#[test]
fn a_block_ends_what_is_under_way_on_both_sides() {
    for blocker_opened in [true, false] {
        let (mut world, alice, bob, tree) = pair(3);
        fill(&mut world, alice, tree);
        let address = world.address(alice);
        let sync = world.command(bob, Command::Sync { address, tree });
        while world.count(bob, tree) == 0 {
            assert!(world.step());
        }
        assert!(world.count(bob, tree) < COUNT, "it is under way");
        let (blocker, blocked) = if blocker_opened { (bob, alice) } else { (alice, bob) };
        let key = world.key(blocked);
        world.command(blocker, Command::SetPeer { peer: key, status: PeerStatus::Blocked });
        world.settle();
        let outcome = world.outcome(bob, sync).expect("it ended");
        if blocker_opened {
            assert_eq!(outcome, Err(NodeError::Blocked(key)));
        } else {
            assert!(matches!(outcome, Err(NodeError::Transport(_))), "{outcome:?}");
        }
        assert!(world.count(bob, tree) < COUNT);
        assert_eq!(connection(&mut world, blocker, blocked), ConnectionState::Disconnected);
        set(&mut world, blocker, blocked, PeerStatus::Active);
        world.sync(bob, alice, tree).unwrap();
        assert_eq!(world.count(bob, tree), COUNT, "what was durable stayed");
    }
}

#[test]
fn what_a_blocked_key_wrote_is_taken_from_others() {
    let mut world = World::new(4);
    let (alice, bob, carol) = (world.host(), world.host(), world.host());
    let grants = [bob, carol].map(|host| (Who::Key(world.key(host)), Permission::Write(9)));
    let tree = world.create_with(alice, "notes", grants.to_vec());
    world.sync(bob, alice, tree).unwrap();
    world.write(bob, tree, "from", "bob").unwrap();
    set(&mut world, alice, bob, PeerStatus::Blocked);
    assert!(world.sync(bob, alice, tree).is_err());
    world.sync(carol, bob, tree).unwrap();
    world.sync(carol, alice, tree).unwrap();
    assert_eq!(world.value(alice, tree, "from").as_deref(), Some("bob"));
}

#[test]
fn an_inactive_peer_is_left_alone_and_served() {
    let (mut world, alice, bob, tree) = pair(5);
    set(&mut world, alice, bob, PeerStatus::Inactive);
    let tracked = tracking(&world, alice, bob, tree);
    track(&mut world, alice, tracked);
    world.settle();
    assert_eq!(world.count(bob, tree), 0);
    assert_eq!(status(&mut world, alice, bob, tree).stuck, Some(Stuck::Inactive));
    world.sync(bob, alice, tree).unwrap();
    world.sync(alice, bob, tree).unwrap();
}
