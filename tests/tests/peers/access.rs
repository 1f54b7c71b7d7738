//! The background asks for access.

use pleach_core::{
    entry::{Permission, Who},
    instance::{Stuck, SyncPhase},
    node::{Command, NodeError, Petition, pending_requests},
};
use pleach_tests::world::World;

use super::{grant, status, track, tracking};

#[test]
fn the_background_asks_for_access_and_comes_in_when_it_is_let_in() {
    let mut world = World::new(13);
    let (alice, bob) = (world.host(), world.host());
    let tree = world.create(alice, "notes");
    let mut tracked = tracking(&world, bob, alice, tree);
    track(&mut world, bob, tracked.clone());
    world.settle();
    let refused = status(&mut world, bob, alice, tree);
    assert_eq!((refused.stuck, refused.has_local_data), (Some(Stuck::Refused), false));
    assert_eq!(pending_requests(&*world.snapshot(alice)).unwrap(), [], "nothing was asked for");

    let (permission, name, metadata) = (Permission::Write(7), "Bob".into(), b"it is me".to_vec());
    tracked.auth = Some(Petition { permission, name, metadata, invite: None, hold: 0 });
    track(&mut world, bob, tracked);
    world.settle();
    let [asked] = &pending_requests(&*world.snapshot(alice)).unwrap()[..] else { panic!("one request") };
    assert_eq!((asked.key, asked.permission, asked.name.as_str()), (world.key(bob), permission, "Bob"));
    let undecided = status(&mut world, bob, alice, tree);
    assert_eq!((undecided.phase, undecided.stuck), (SyncPhase::Retrying, Some(Stuck::Undecided)));

    let bobs = Who::Key(world.key(bob));
    grant(&mut world, alice, tree, bobs, permission);
    let by = world.key(alice);
    let decide = Command::Decide { request: asked.id, by, granted: Some(permission) };
    world.run(alice, decide).unwrap();
    while world.count(bob, tree) < 2 {
        world.pass();
        world.settle();
        assert!(world.clock() < 60_000, "it is tried again soon");
    }
    let joined = status(&mut world, bob, alice, tree);
    assert_eq!((joined.phase, joined.stuck), (SyncPhase::Waiting, None));
    assert!(joined.last_sync.is_some());

    // What cannot be asked is said at once.
    let petition = Petition { permission, name: "x".repeat(65), metadata: Vec::new(), invite: None, hold: 0 };
    let mut long = tracking(&world, bob, alice, tree);
    long.auth = Some(petition);
    assert_eq!(world.run(bob, Command::Track(Box::new(long))), Err(NodeError::RequestTooLong));
}

#[test]
fn a_rejection_shows_in_the_status_and_lifts_when_somebody_grants() {
    let mut world = World::new(14);
    let (alice, bob) = (world.host(), world.host());
    let tree = world.create(alice, "notes");
    let mut tracked = tracking(&world, bob, alice, tree);
    let permission = Permission::Read;
    tracked.auth =
        Some(Petition { permission, name: String::new(), metadata: Vec::new(), invite: None, hold: 0 });
    track(&mut world, bob, tracked);
    world.settle();
    let request = pending_requests(&*world.snapshot(alice)).unwrap()[0].id;
    let by = world.key(alice);
    world.run(alice, Command::Decide { request, by, granted: None }).unwrap();
    while status(&mut world, bob, alice, tree).stuck != Some(Stuck::Rejected) {
        world.pass();
        world.settle();
        assert!(world.clock() < 60_000);
    }
    let bobs = Who::Key(world.key(bob));
    grant(&mut world, alice, tree, bobs, permission);
    while world.count(bob, tree) < 2 {
        world.pass();
        world.settle();
        assert!(world.clock() < 600_000);
    }
    assert_eq!(status(&mut world, bob, alice, tree).stuck, None);
}
