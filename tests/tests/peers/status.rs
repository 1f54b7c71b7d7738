//! What is said of a pair at each moment, and waiting for it.

use pleach_core::{
    Id,
    instance::{Stuck, SyncPhase},
    node::{Command, ConnectionState, Moved, NodeError, PairRecord, Reply, Tracking},
};

use super::{COUNT, INTERVAL, connection, fill, pair, status, track, tracking};

#[test]
fn a_status_is_true_before_during_and_after() {
    let (mut world, alice, bob, tree) = pair(9);
    fill(&mut world, alice, tree);
    let unknown = status(&mut world, bob, alice, tree);
    assert_eq!((unknown.phase, unknown.stuck), (SyncPhase::Off, Some(Stuck::NoAddress)));
    assert!(!unknown.has_local_data && unknown.last_sync.is_none());

    let key = world.key(alice);
    let tracked = tracking(&world, bob, alice, tree);
    let id = world.command(bob, Command::Track(Box::new(tracked)));
    while world.outcome(bob, id).is_none() {
        world.step();
    }
    assert_eq!(status(&mut world, bob, alice, tree).phase, SyncPhase::Connecting);
    assert_eq!(status(&mut world, bob, alice, tree).next_try, None);
    let during = loop {
        assert!(world.step());
        let status = status(&mut world, bob, alice, tree);
        if status.moved.entries_received > 0 {
            break status;
        }
    };
    assert_eq!((during.phase, during.stuck), (SyncPhase::Syncing, None));
    assert!(during.has_local_data && during.last_sync.is_none());
    assert_eq!(during.moved.entries_received + during.moved.entries_to_receive, COUNT);
    assert!(during.moved.entries_to_receive > 0, "in the middle");
    assert!(during.bytes_to_come > Some(0) && during.moved.bytes_received > 90_000);
    assert_eq!(connection(&mut world, alice, bob), ConnectionState::Connected);
    world.settle();
    let after = status(&mut world, bob, alice, tree);
    assert_eq!((after.phase, after.stuck, after.failures), (SyncPhase::Waiting, None, 0));
    assert_eq!(after.last_sync, Some(world.wall(bob)));
    assert_eq!((after.last_error, after.next_try), (None, Some(INTERVAL)));
    assert_eq!(after.moved, Moved::default(), "nothing is under way");
    let record = PairRecord::read(&*world.snapshot(bob), &tree, &key).unwrap();
    assert_eq!((record.syncs, record.entries_received, record.entries_sent), (1, COUNT, 0));
}

#[test]
fn a_peer_that_goes_and_comes_back_shows_in_the_status() {
    let (mut world, alice, bob, tree) = pair(10);
    let tracked = tracking(&world, bob, alice, tree);
    track(&mut world, bob, tracked);
    world.settle();
    let synced = status(&mut world, bob, alice, tree).last_sync;
    assert_eq!(connection(&mut world, bob, alice), ConnectionState::Connected, "news are waited for");
    world.pause(alice, true);
    world.write(bob, tree, "a", "1").unwrap();
    world.settle();
    let mut failures = 0;
    while failures < 3 {
        world.pass();
        world.settle();
        let status = status(&mut world, bob, alice, tree);
        assert_eq!(status.last_sync, synced);
        assert!(status.failures >= failures && (status.failures == 0) == status.last_error.is_none());
        failures = status.failures;
    }
    let failing = status(&mut world, bob, alice, tree);
    assert_eq!(failing.phase, SyncPhase::Retrying);
    assert!(failing.next_try.is_some_and(|left| (2_000..=4_000).contains(&left)), "{failing:?}");
    assert!(failing.last_error.unwrap().reason.contains("did not answer"));
    assert!(matches!(failing.stuck, Some(Stuck::Failing { failures: 3, .. })));
    assert_eq!(connection(&mut world, bob, alice), ConnectionState::Failed);

    world.pause(alice, false);
    while status(&mut world, bob, alice, tree).failures > 0 {
        assert!(world.clock() < 10 * INTERVAL, "it never came back");
        world.pass();
        world.settle();
    }
    let back = status(&mut world, bob, alice, tree);
    assert_eq!((back.phase, back.last_error, back.failures), (SyncPhase::Waiting, None, 0));
    assert!(back.last_sync > synced);
    assert_eq!(connection(&mut world, bob, alice), ConnectionState::Connected);
}

#[test]
fn the_delay_of_a_retry_outlives_the_process() {
    let (mut world, alice, bob, tree) = pair(11);
    world.mute(alice, true);
    let tracked = tracking(&world, bob, alice, tree);
    track(&mut world, bob, tracked);
    while status(&mut world, bob, alice, tree).failures < 6 {
        world.settle();
        world.pass();
        world.settle();
    }
    let before = status(&mut world, bob, alice, tree);
    world.restart(bob);
    world.mute(alice, false);
    let tracked = tracking(&world, bob, alice, tree);
    track(&mut world, bob, tracked);
    world.settle();
    let after = status(&mut world, bob, alice, tree);
    assert_eq!((after.failures, after.next_try), (before.failures, before.next_try));
    assert_eq!(after.last_error, before.last_error);
    assert!(after.next_try > Some(15_000));
    // A caller who says so need not wait.
    let tracked = Tracking::new(tree, world.key(alice), vec![world.address(alice)], INTERVAL);
    track(&mut world, bob, tracked);
    world.settle();
    assert_eq!(status(&mut world, bob, alice, tree).failures, 0);
}

#[test]
fn whoever_waits_for_the_first_sync_wakes_with_it_or_when_the_time_is_over() {
    let (mut world, alice, bob, tree) = pair(12);
    let peer = world.key(alice);
    let wait = |within| Command::AwaitSync { tree, peer, within };
    assert_eq!(world.run(bob, wait(None)), Err(NodeError::NotTracked(tree, peer)));
    world.mute(alice, true);
    let tracked = tracking(&world, bob, alice, tree);
    track(&mut world, bob, tracked.clone());
    let begin = world.clock();
    let late = world.run(bob, wait(Some(700))).unwrap_err();
    assert_eq!(world.clock() - begin, 700);
    assert!(matches!(&late, NodeError::NotSynced { millis: 700, .. }), "{late:?}");
    assert!(late.to_string().contains("under way"), "{late}");

    let (forever, some) = (world.command(bob, wait(None)), world.command(bob, wait(Some(120_000))));
    world.settle();
    assert!(world.outcome(bob, forever).is_none());
    world.mute(alice, false);
    world.pass();
    world.settle();
    while status(&mut world, bob, alice, tree).last_sync.is_none() {
        assert!(world.outcome(bob, some).is_none());
        world.pass();
        world.settle();
    }
    assert_eq!(world.outcome(bob, forever), Some(Ok(Reply::Done)));
    assert_eq!(world.outcome(bob, some), Some(Ok(Reply::Done)));
    assert_eq!(world.run(bob, wait(Some(0))), Ok(Reply::Done), "at once from then on");
    world.restart(bob);
    let again = tracking(&world, bob, alice, tree);
    track(&mut world, bob, again);
    assert_eq!(world.run(bob, wait(Some(0))), Ok(Reply::Done), "after a restart too");

    let waiting = Tracking::new(Id::of(b"other"), peer, vec![], INTERVAL);
    track(&mut world, bob, waiting);
    let other = Id::of(b"other");
    let waits = world.command(bob, Command::AwaitSync { tree: other, peer, within: None });
    world.settle();
    world.run(bob, Command::Untrack { tree: other, peer }).unwrap();
    assert_eq!(world.outcome(bob, waits), Some(Err(NodeError::NotTracked(other, peer))));
}
