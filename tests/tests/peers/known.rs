//! Who is known without being registered.

use pleach_core::{
    Id,
    entry::{Permission, Who},
    node::{Command, MAX_ACQUAINTANCES, NodeError, PeerStatus, Reply, acquaintances},
    wire::Address,
};

use super::{hello, pair, set, states, stranger};

#[test]
fn who_comes_and_may_read_is_remembered_in_bounded_room() {
    let (mut world, alice, bob, tree) = pair(15);
    let public = world.create_with(alice, "public", vec![(Who::Everyone, Permission::Read)]);
    world.sync(bob, alice, tree).unwrap();
    let then = world.wall(alice);
    let _ = world.ask(alice, stranger(9_999), hello(Id::of(b"none")));
    let known = states(&mut world, alice);
    let [met] = &known[..] else { panic!("only who was let in: {known:?}") };
    let seen = met.seen.unwrap();
    assert_eq!((met.peer, seen.first, seen.last), (world.key(bob), then, then));

    set(&mut world, alice, bob, PeerStatus::Active);
    let hello = hello(public);
    for n in 0..MAX_ACQUAINTANCES + 20 {
        assert!(world.ask(alice, stranger(n), hello.clone()).is_some());
    }
    let known = states(&mut world, alice);
    assert_eq!(known.iter().filter(|state| state.seen.is_some()).count(), MAX_ACQUAINTANCES + 1);
    assert!(known.iter().any(|state| state.peer == world.key(bob)), "who is registered stays");
    for _ in 0..4 {
        world.pass();
        world.settle();
    }
    let kept = acquaintances(&*world.snapshot(alice)).unwrap();
    assert_eq!(kept.len(), MAX_ACQUAINTANCES + 1);
    world.restart(alice);
    world.run(alice, Command::Recall(kept)).unwrap();
    assert_eq!(states(&mut world, alice).len(), MAX_ACQUAINTANCES + 1);

    let forgotten = world.key(bob);
    world.run(alice, Command::ForgetPeer(forgotten)).unwrap();
    world.pass();
    world.settle();
    let kept = acquaintances(&*world.snapshot(alice)).unwrap();
    assert!(kept.iter().all(|(peer, _)| *peer != forgotten));
}

#[test]
fn whoever_answers_at_an_address_says_who_it_is() {
    let (mut world, alice, bob, _) = pair(16);
    let anonymous = Address { key: None, ..world.address(alice) };
    let connected = Reply::Connected(world.key(alice));
    assert_eq!(world.run(bob, Command::Connect(anonymous.clone())), Ok(connected));
    world.mute(alice, true);
    let begin = world.clock();
    assert_eq!(world.run(bob, Command::Connect(anonymous)), Err(NodeError::TimedOut(30)));
    assert_eq!(world.clock() - begin, 30_000);
}
