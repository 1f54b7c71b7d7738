//! Several sources of a database: one that is lost on the way gives its place to another at once, and what it has brought
//! stays.

use std::{cell::Cell, rc::Rc};

use pleach_core::{
    Id,
    entry::{Permission, Who},
    instance::{Error, InviteOptions, SyncPhase, stats},
    limits::MAX_BATCH_BYTES,
    node::{Command, CommandId, NodeError, Notification, Petition, Reply, SyncReport, SyncRole, history},
    wire::{Address, AskOutcome, Frame},
};
use pleach_tests::world::{Fate, HostId, World};

use super::{COUNT, fill, grant, pair, silent, status, track, tracking};

/// Entries of the tree of [`three`]: those of [`fill`] and a grant.
const ALL: u64 = COUNT + 1;

/// Bytes of frames that are no entries: heads, ranges.
const BESIDE: u64 = 64 * 1024;

/// Milliseconds for which one that brings nothing keeps others waiting.
const LULL: u64 = 20_000;

/// Alice and Carol, who hold the same tree of more than a batch, and Bob, who may read it.
fn three(seed: u64) -> (World, HostId, HostId, HostId, Id) {
    let (mut world, alice, bob, tree) = pair(seed);
    let carol = world.host();
    let who = Who::Key(world.key(carol));
    grant(&mut world, alice, tree, who, Permission::Write(9));
    fill(&mut world, alice, tree);
    world.sync(carol, alice, tree).unwrap();
    (world, alice, bob, carol, tree)
}

/// Bytes of frames of entries that were sent.
type Sent = Rc<Cell<u64>>;

/// Treats the frame of entries with this number in its own way, the first being 1, and counts the bytes of all that were sent.
fn at_frame(world: &mut World, number: u64, fate: Fate) -> Sent {
    let (sent, frames) = (Sent::default(), Cell::new(0));
    let bytes = Rc::clone(&sent);
    world.fate(move |frame| {
        if !matches!(Frame::read(frame), Ok(Frame::Entries(_))) {
            return Fate::Arrive;
        }
        frames.set(frames.get() + 1);
        bytes.set(bytes.get() + frame.len() as u64);
        if frames.get() == number { fate } else { Fate::Arrive }
    });
    sent
}

/// Bytes of all entries of a tree that a host holds.
fn size(world: &World, host: HostId, tree: Id) -> u64 {
    stats(&world.snapshot(host), &tree).unwrap().bytes
}

fn from(world: &mut World, host: HostId, tree: Id, addresses: Vec<Address>) -> Result<SyncReport, NodeError> {
    match world.run(host, Command::SyncAny { addresses, tree })? {
        Reply::Synced(report) => Ok(report),
        other => panic!("not the reply to a sync: {other:?}"),
    }
}

/// Runs until a command is answered.
fn outcome(world: &mut World, host: HostId, id: CommandId) -> Result<Reply, NodeError> {
    loop {
        if let Some(outcome) = world.outcome(host, id) {
            return outcome;
        }
        if !world.step() {
            world.pass();
        }
    }
}

fn assert_little_moved_again(world: &World, host: HostId, tree: Id, sent: &Sent) {
    assert_little(world, host, tree, sent.get());
}

/// Of what arrived at a host in all syncs that it began.
fn assert_little_arrived_again(world: &World, host: HostId, tree: Id) {
    let all = history(&*world.snapshot(host)).unwrap();
    let ours = all.iter().filter(|record| record.role == SyncRole::Opened);
    assert_little(world, host, tree, ours.map(|record| record.bytes_received).sum());
}

fn assert_little(world: &World, host: HostId, tree: Id, moved: u64) {
    let again = moved.saturating_sub(size(world, host, tree));
    assert!(again <= MAX_BATCH_BYTES as u64 + BESIDE, "{again} bytes moved again");
}

#[test]
fn a_source_that_is_cut_gives_way_at_once_and_a_batch_moves_again_at_most() {
    for number in [1, 9, 20, 29] {
        let (mut world, alice, bob, carol, tree) = three(number);
        let sent = at_frame(&mut world, number, Fate::Cut);
        let began = world.clock();
        let addresses = vec![world.address(alice), world.address(carol)];
        let report = from(&mut world, bob, tree, addresses).unwrap();
        assert_eq!(world.clock(), began, "no time passes between the two");
        assert_eq!((world.count(bob, tree), report.peer), (ALL, Some(world.key(carol))));
        assert_little_moved_again(&world, bob, tree, &sent);

        // The numbers are those of both, and each entry is counted once.
        let [lost] = &report.lost[..] else { panic!("{report:?}") };
        assert_eq!((&lost.address, lost.peer), (&world.address(alice), Some(world.key(alice))));
        assert!(matches!(lost.error, NodeError::Transport(_)), "{lost:?}");
        assert_eq!(report.entries_received, ALL);
        assert!(number < 9 || lost.moved.entries_received > 0, "{lost:?}");
        assert!(report.bytes_received > size(&world, bob, tree));

        // So does the progress, which never goes back and ends with all.
        let mut told = Vec::new();
        for note in world.notes(bob) {
            if let Notification::Progress(progress) = note {
                told.push(progress);
            }
        }
        assert!(told.is_sorted_by_key(|progress| progress.received), "{told:?}");
        let last = told.last().unwrap();
        assert_eq!((last.received, last.to_receive, last.peer), (ALL, ALL, Some(world.key(carol))));
        for progress in &told {
            assert!(progress.to_receive <= ALL, "{progress:?}");
        }

        // And the history, one record for each of the two.
        let history = history(&*world.snapshot(bob)).unwrap();
        let ours = || history.iter().filter(|record| record.role == SyncRole::Opened);
        let records: Vec<_> = ours().map(|record| (record.entries_received, &record.error)).collect();
        assert_eq!(records.iter().map(|(received, _)| received).sum::<u64>(), ALL, "{records:?}");
        let failed: Vec<_> = ours().filter(|record| record.error.is_some()).collect();
        assert_eq!(failed.len(), usize::from(lost.moved.moved()));
        assert!(failed.iter().all(|record| record.peer_pubkey == Some(world.key(alice))));
    }
}

#[test]
fn a_source_that_falls_silent_in_the_middle_keeps_the_next_waiting_for_a_lull_and_no_longer() {
    let (mut world, alice, bob, carol, tree) = three(31);
    let sent = at_frame(&mut world, 0, Fate::Arrive);
    let addresses = vec![world.address(alice), world.address(carol)];
    let began = world.clock();
    let command = world.command(bob, Command::SyncAny { addresses, tree });
    while world.count(bob, tree) < ALL / 3 {
        assert!(world.step());
    }
    world.pause(alice, true);
    let Ok(Reply::Synced(report)) = outcome(&mut world, bob, command) else { panic!() };
    assert!((LULL..LULL + 100).contains(&(world.clock() - began)), "{}", world.clock() - began);
    assert!(matches!(report.lost[0].error, NodeError::TimedOut(_)), "{report:?}");
    assert_eq!((world.count(bob, tree), report.entries_received), (ALL, ALL));
    assert_eq!(report.millis, world.clock() - began, "since the first was dialled");
    assert_little_moved_again(&world, bob, tree, &sent);
}

#[test]
fn a_source_that_turns_hostile_is_left_and_nothing_that_it_sent_then_stays() {
    let (mut world, alice, bob, carol, tree) = three(32);
    let sent = at_frame(&mut world, 15, Fate::Flip);
    let began = world.clock();
    let addresses = vec![world.address(alice), world.address(carol)];
    let report = from(&mut world, bob, tree, addresses).unwrap();
    let [lost] = &report.lost[..] else { panic!("{report:?}") };
    assert!(Error::from(lost.error.clone()).is_peer_fault(), "{lost:?}");
    assert_eq!((world.clock(), world.count(bob, tree)), (began, ALL));
    assert_eq!(world.content(bob, tree), world.content(carol, tree));
    assert_little_moved_again(&world, bob, tree, &sent);
}

#[test]
fn a_source_whose_process_dies_is_left_for_the_next_and_is_not_dialled_again() {
    let (mut world, alice, bob, carol, tree) = three(33);
    let addresses = vec![world.address(alice), world.address(carol)];
    let command = world.command(bob, Command::SyncAny { addresses, tree });
    while world.count(bob, tree) < ALL / 2 {
        assert!(world.step());
    }
    world.restart(alice);
    world.mute(alice, true);
    let (began, Ok(Reply::Synced(report))) = (world.clock(), outcome(&mut world, bob, command)) else {
        panic!()
    };
    assert_eq!((world.clock(), report.lost.len(), world.count(bob, tree)), (began, 1, ALL));
}

#[test]
fn the_same_source_goes_on_at_its_other_address() {
    let (mut world, alice, bob, _, tree) = three(34);
    let sent = at_frame(&mut world, 12, Fate::Cut);
    let other = world.address(alice);
    let first = Address { key: None, ..other.clone() };
    let report = from(&mut world, bob, tree, vec![first.clone(), other.clone()]).unwrap();
    let lost: Vec<_> = report.lost.iter().map(|lost| &lost.address).collect();
    assert_eq!((lost, &report.address), (vec![&first], &Some(other)));
    assert_eq!((report.peer, report.lost[0].peer), (Some(world.key(alice)), Some(world.key(alice))));
    assert_little_moved_again(&world, bob, tree, &sent);
}

#[test]
fn where_all_fail_the_error_names_each_and_why_and_what_came_stays() {
    let (mut world, alice, bob, _, tree) = three(35);
    let stranger = world.host();
    let nowhere = Address::new("world", "99");
    at_frame(&mut world, 20, Fate::Cut);
    let addresses = vec![world.address(alice), nowhere, world.address(stranger)];
    let failed = from(&mut world, bob, tree, addresses.clone()).unwrap_err();
    let tried: Vec<_> = failed.sources().iter().map(|source| source.address.clone()).collect();
    assert_eq!(tried, addresses);
    assert_eq!(failed.telling(), &NodeError::NotOffered(tree));
    let text = failed.to_string();
    for source in failed.sources() {
        assert!(text.contains(&source.address.to_string()), "{text}");
        assert!(text.contains(&source.error.to_string()), "{text}");
    }
    assert!(world.count(bob, tree) > 0);
    let error = Error::from(failed);
    assert!(error.is_permission_denied() && error.is_retryable(), "one refuses, the others may be back");

    // The next attempt asks for the rest alone.
    let held = world.count(bob, tree);
    let rest = from(&mut world, bob, tree, addresses).unwrap();
    assert_eq!(rest.entries_received, ALL - held);
}

#[test]
fn what_a_source_lacks_comes_from_the_other() {
    let (mut world, alice, bob, carol, tree) = three(36);
    for n in 0..10 {
        world.write(alice, tree, &format!("late{n}"), "x".repeat(100_000)).unwrap();
    }
    world.write(carol, tree, "hers", "alone").unwrap();
    let sent = at_frame(&mut world, 25, Fate::Cut);
    let addresses = vec![world.address(carol), world.address(alice)];
    let report = from(&mut world, bob, tree, addresses).unwrap();
    assert_eq!((report.lost.len(), report.peer), (1, Some(world.key(alice))));
    assert_eq!(world.count(bob, tree), ALL + 10);
    assert_little_moved_again(&world, bob, tree, &sent);
}

/// Keeps the tree the same with both, who are found at their addresses.
fn follow(world: &mut World, bob: HostId, peers: [HostId; 2], tree: Id) {
    for peer in peers {
        let tracked = tracking(world, bob, peer, tree);
        track(world, bob, tracked);
    }
}

#[test]
fn of_two_peers_that_the_background_fetches_from_one_sends_the_tree() {
    for seed in 40..48 {
        let (mut world, alice, bob, carol, tree) = three(seed);
        follow(&mut world, bob, [alice, carol], tree);
        while world.count(bob, tree) < ALL / 2 {
            assert!(world.step());
        }
        let phases = [alice, carol].map(|peer| status(&mut world, bob, peer, tree).phase);
        assert!(phases.contains(&SyncPhase::Syncing) && phases.contains(&SyncPhase::Waiting), "{phases:?}");
        world.settle();
        assert_little_arrived_again(&world, bob, tree);
        let both = [alice, carol].map(|peer| status(&mut world, bob, peer, tree).last_sync.is_some());
        assert_eq!((world.clock(), both), (0, [true, true]), "the other has its turn at once");
    }
}

#[test]
fn a_peer_that_the_background_loses_gets_its_delay_and_the_other_goes_on_without_one() {
    for seed in 50..58 {
        let (mut world, alice, bob, carol, tree) = three(seed);
        follow(&mut world, bob, [alice, carol], tree);
        while world.count(bob, tree) < ALL / 3 {
            assert!(world.step());
        }
        let is_at_it = status(&mut world, bob, alice, tree).phase == SyncPhase::Syncing;
        let (lost, other) = if is_at_it { (alice, carol) } else { (carol, alice) };
        world.mute(lost, true);
        world.restart(lost);
        world.settle();
        assert_eq!((world.clock(), world.count(bob, tree)), (0, ALL));
        assert_little_arrived_again(&world, bob, tree);
        let [lost, through] = [lost, other].map(|peer| status(&mut world, bob, peer, tree));
        assert_eq!((lost.failures, lost.phase, lost.last_sync), (1, SyncPhase::Retrying, None));
        assert!(lost.next_try > Some(0) && lost.last_error.is_some());
        assert_eq!((through.failures, through.phase), (0, SyncPhase::Waiting));
        assert!(through.last_sync.is_some());
    }
}

#[test]
fn a_peer_that_brings_nothing_for_long_keeps_the_other_waiting_no_longer_than_a_lull() {
    let (mut world, alice, bob, carol, tree) = three(60);
    let tracked = tracking(&world, bob, alice, tree);
    track(&mut world, bob, tracked);
    while world.count(bob, tree) < ALL / 3 {
        assert!(world.step());
    }
    world.pause(alice, true);
    let tracked = tracking(&world, bob, carol, tree);
    track(&mut world, bob, tracked);
    world.settle();
    let waits = status(&mut world, bob, carol, tree);
    assert_eq!((waits.phase, waits.next_try), (SyncPhase::Waiting, Some(20_000)));
    while world.clock() < 20_000 {
        assert!(world.count(bob, tree) < ALL);
        world.pass();
        world.settle();
    }
    assert_eq!((world.clock(), world.count(bob, tree)), (20_000, ALL));
}

#[test]
fn an_invite_is_brought_to_the_next_where_nobody_can_take_it_and_who_is_silent_costs_a_head_start() {
    let (mut world, alice, _, carol, tree) = three(61);
    let dan = world.host();
    let draft = super::Draft::new(world.snapshot(alice), tree, world.key(alice), [0; 32]);
    let options = InviteOptions::new(Permission::Read);
    let invite = options.invite(&draft, &world.secret(alice), [7; 32], world.wall(alice)).unwrap();
    let changes = draft.finish().unwrap();
    let (stores, paths, key) = (changes.stores, changes.touched, world.secret(alice));
    world.run(alice, Command::Commit(super::Commit { tree, key, stores, paths })).unwrap();
    let asking = |addresses| {
        let petition = Petition {
            permission: Permission::Read,
            name: String::new(),
            metadata: Vec::new(),
            invite: Some(Box::new(invite.clone())),
            hold: 0,
        };
        Command::Ask { addresses, tree, petition }
    };
    let (silent, began) = (silent(&mut world), world.clock());
    let places = [world.address(carol), world.address(alice)];
    // Carol is no administrator, and alone she is the answer.
    let received = Ok(Reply::Asked(AskOutcome::Received, places[0].clone()));
    assert_eq!(world.run(dan, asking(vec![places[0].clone()])), received);
    let dead = Address::new("world", "99");
    assert_eq!(world.run(dan, asking(vec![places[0].clone(), dead])), received);
    assert_eq!(world.clock(), began);
    let approved = Ok(Reply::Asked(AskOutcome::Approved(Permission::Read), places[1].clone()));
    let [first, second] = places;
    assert_eq!(world.run(dan, asking(vec![silent, first, second])), approved);
    assert_eq!(world.clock(), began + 250);
    assert_eq!(world.sync(dan, alice, tree).unwrap().entries_received, world.count(alice, tree));
}
