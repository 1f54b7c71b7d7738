//! Several addresses of a peer.

use pleach_core::{
    Id,
    instance::SyncPhase,
    node::{Command, NodeError, Reply},
    wire::Address,
};

use super::{pair, silent, states, status, track, tracking};

#[test]
fn an_address_that_accepts_and_never_answers_costs_its_head_start() {
    let (mut world, alice, bob, tree) = pair(6);
    let silent = silent(&mut world);
    let begin = world.clock();
    let addresses = vec![silent.clone(), world.address(alice)];
    let Ok(Reply::Synced(report)) = world.run(bob, Command::SyncAny { addresses, tree }) else { panic!() };
    assert_eq!(report.address, Some(world.address(alice)));
    assert_eq!(world.clock() - begin, 250, "the head start of the first");
    assert_eq!(states(&mut world, bob).len(), 1, "the loser was let go");

    // For the background too, and the address that worked goes first from then on.
    world.write(alice, tree, "a", "1").unwrap();
    let mut tracked = tracking(&world, bob, alice, tree);
    tracked.addresses.insert(0, silent);
    track(&mut world, bob, tracked);
    world.settle();
    world.pass();
    world.settle();
    assert_eq!(world.value(bob, tree, "a").as_deref(), Some("1"));
    world.write(bob, tree, "a", "2").unwrap();
    world.settle();
    assert_eq!(world.value(alice, tree, "a").as_deref(), Some("2"), "without waiting for anybody");
}

#[test]
fn an_address_that_is_added_meanwhile_is_tried_beside_the_one_under_way() {
    let (mut world, alice, bob, tree) = pair(17);
    let mut tracked = tracking(&world, bob, alice, tree);
    tracked.addresses = vec![silent(&mut world)];
    track(&mut world, bob, tracked.clone());
    world.settle();
    assert_eq!(status(&mut world, bob, alice, tree).phase, SyncPhase::Connecting);
    tracked.addresses.push(world.address(alice));
    track(&mut world, bob, tracked);
    world.settle();
    world.pass();
    world.settle();
    assert!(world.clock() <= 250 && status(&mut world, bob, alice, tree).last_sync.is_some());
}

#[test]
fn an_address_that_fails_gives_the_next_its_turn_at_once() {
    let (mut world, alice, bob, tree) = pair(7);
    let stranger = world.host();
    let nowhere = Address::new("world", "99");
    let begin = world.clock();
    let addresses = vec![nowhere.clone(), world.address(stranger), world.address(alice)];
    assert!(world.run(bob, Command::SyncAny { addresses, tree }).is_ok());
    assert_eq!(world.clock(), begin);
    let addresses = vec![world.address(stranger), nowhere];
    let failed = world.run(bob, Command::SyncAny { addresses, tree: Id::of(b"none") });
    let refused = NodeError::NotOffered(Id::of(b"none"));
    assert_eq!(failed.unwrap_err().telling(), &refused, "what was refused says most");
    assert_eq!(world.run(bob, Command::SyncAny { addresses: vec![], tree }), Err(NodeError::NoAddress));
}
