//! What is pending, what waits for its time, and what is recorded of it.

use pleach_core::{
    Id,
    node::{Attempt, Command, MAX_HISTORY, NodeError, PeerStatus, Reply, SyncRole, history, history_marks},
    wire::Address,
};
use pleach_tests::world::{HostId, World};

use super::{INTERVAL, pair, set, status, track, tracking};

fn flush(world: &mut World, host: HostId) -> Vec<Attempt> {
    match world.run(host, Command::Flush) {
        Ok(Reply::Flushed(attempts)) => attempts,
        other => panic!("not a flush: {other:?}"),
    }
}

/// Lets time pass until something is so, at most for some intervals.
fn until(world: &mut World, what: &str, so: impl Fn(&World) -> bool) {
    let begin = world.clock();
    while !so(world) {
        assert!(world.clock() - begin < 5 * INTERVAL, "{what}");
        world.pass();
        world.settle();
    }
}

#[test]
fn a_quiet_pair_waits_for_its_time_or_for_a_flush() {
    let (mut world, alice, bob, tree) = pair(71);
    let mut quiet = tracking(&world, bob, alice, tree);
    quiet.quiet = true;
    track(&mut world, bob, quiet);
    world.settle();
    assert_eq!(world.count(bob, tree), 1);
    world.write(bob, tree, "a", "1").unwrap();
    world.settle();
    let waits = status(&mut world, bob, alice, tree).next_try.expect("it is followed");
    assert!(waits > INTERVAL / 2, "{waits}");
    assert_eq!(world.value(alice, tree, "a"), None, "nothing is told at a commit");
    let before = world.clock();
    assert_eq!(flush(&mut world, bob).len(), 1);
    assert_eq!((world.value(alice, tree, "a").as_deref(), world.clock()), (Some("1"), before));
    assert_eq!(flush(&mut world, bob), [], "nothing is pending any more");

    world.write(bob, tree, "b", "2").unwrap();
    until(&mut world, "the time never came", |world| world.value(alice, tree, "b").is_some());
    let loud = tracking(&world, bob, alice, tree);
    track(&mut world, bob, loud);
    world.settle();
    world.write(bob, tree, "c", "3").unwrap();
    world.settle();
    assert_eq!(world.value(alice, tree, "c").as_deref(), Some("3"), "at once");
}

#[test]
fn a_flush_ends_with_the_patience_for_the_slowest_and_what_failed_is_attempted_by_the_next() {
    let (mut world, alice, bob, tree) = pair(72);
    let carol = world.host();
    world.sync(bob, alice, tree).unwrap();
    world.mute(carol, true);
    for peer in [alice, carol] {
        let tracked = tracking(&world, bob, peer, tree);
        track(&mut world, bob, tracked);
    }
    let begin = world.clock();
    let attempts = flush(&mut world, bob);
    let waited = world.clock() - begin;
    assert!((30_000..31_000).contains(&waited), "{waited}");
    let silent = world.key(carol);
    let failed: Vec<_> = attempts.iter().filter(|attempt| attempt.outcome.is_err()).collect();
    let [Attempt { peer, outcome: Err(NodeError::TimedOut(30)), .. }] = failed[..] else {
        panic!("{attempts:?}")
    };
    assert_eq!(*peer, silent);
    // It waits for its time; the next flush does not.
    assert!(status(&mut world, bob, carol, tree).next_try > Some(0));
    let again = flush(&mut world, bob);
    assert_eq!(again.iter().map(|attempt| attempt.peer).collect::<Vec<_>>(), [silent]);
    set(&mut world, bob, carol, PeerStatus::Inactive);
    assert_eq!(flush(&mut world, bob), [], "who is left alone is not waited for");
}

#[test]
fn the_history_is_a_ring_that_goes_on_after_a_restart() {
    let (mut world, alice, bob, tree) = pair(73);
    world.sync(bob, alice, tree).unwrap();
    let nowhere = Address { address: "99".into(), key: None, ..world.address(alice) };
    let fail = |world: &mut World| {
        let sync = Command::Sync { address: nowhere.clone(), tree: Id::of(b"none") };
        world.run(bob, sync).unwrap_err();
    };
    for _ in 0..MAX_HISTORY - 1 {
        fail(&mut world);
    }
    let kept = history(&*world.snapshot(bob)).unwrap();
    assert_eq!(kept.len(), MAX_HISTORY);
    assert!(kept.iter().any(|entry| entry.error.is_none()), "the first is there still");
    world.restart(bob);
    let marks = history_marks(&*world.snapshot(bob)).unwrap();
    world.run(bob, Command::RecallHistory(marks)).unwrap();
    fail(&mut world);
    let kept = history(&*world.snapshot(bob)).unwrap();
    assert_eq!(kept.len(), MAX_HISTORY);
    assert!(kept.iter().all(|entry| entry.error.is_some() && entry.role == SyncRole::Opened), "it is gone");

    // What a peer did is in a ring of its own, and written after a while.
    assert_eq!(history(&*world.snapshot(alice)).unwrap(), []);
    let pending = world.run(alice, Command::History);
    assert!(matches!(&pending, Ok(Reply::History(entries)) if entries.len() == 1), "{pending:?}");
    until(&mut world, "it was never written", |world| !history(&*world.snapshot(alice)).unwrap().is_empty());
    let served = history(&*world.snapshot(alice)).unwrap();
    assert_eq!((served[0].role, served[0].entries_sent), (SyncRole::Served, 1));
    assert_eq!(served[0].peer_pubkey, Some(world.key(bob)));
    assert_eq!(world.run(alice, Command::History), Ok(Reply::History(Vec::new())));
}

#[test]
fn only_a_pair_that_is_followed_is_nudged() {
    let (mut world, alice, bob, tree) = pair(74);
    let peer = world.key(alice);
    let nudge = Command::Nudge { tree, peer };
    assert_eq!(world.run(bob, nudge.clone()), Err(NodeError::NotTracked(tree, peer)));
    let mut quiet = tracking(&world, bob, alice, tree);
    quiet.quiet = true;
    track(&mut world, bob, quiet);
    world.settle();
    world.write(bob, tree, "a", "1").unwrap();
    assert_eq!(world.run(bob, nudge), Ok(Reply::Done));
    world.settle();
    assert_eq!(world.value(alice, tree, "a").as_deref(), Some("1"));
}
