//! Peers: blocked on either side, found at several addresses, waited for, asked for access, met and forgotten; and what
//! is said of them at each moment.

use std::{cell::Cell, rc::Rc, sync::Arc};

use pleach_core::{
    Id, PublicKey, SecretKey,
    document::{Draft, SettingsStore},
    entry::{Permission, SETTINGS, Who},
    instance::{Stuck, SyncPhase, SyncStatus},
    node::{
        Command, Commit, ConnectionState, MAX_ACQUAINTANCES, Moved, NodeError, PairRecord, PeerState,
        PeerStatus, Petition, Reply, Tracking, acquaintances, pending_requests,
    },
    wire::{Address, Ask, Frame, Kind, TreesRequest, Versions, write},
};
use pleach_storage::Memory;
use pleach_tests::{
    spy::{Notes, Spy},
    world::{Fate, HostId, World},
};

/// Milliseconds between two syncs of a tracked pair.
const INTERVAL: u64 = 300_000;

/// Two hosts that may both write a tree of the first.
fn pair(seed: u64) -> (World, HostId, HostId, Id) {
    let mut world = World::new(seed);
    let (alice, bob) = (world.host(), world.host());
    let grants = vec![(Who::Key(world.key(bob)), Permission::Write(100))];
    let tree = world.create_with(alice, "notes", grants);
    (world, alice, bob, tree)
}

/// Entries of a tree after [`fill`], the root included.
const COUNT: u64 = 61;

/// Writes more than one batch.
fn fill(world: &mut World, host: HostId, tree: Id) {
    for n in 1..COUNT {
        world.write(host, tree, &format!("k{n}"), "x".repeat(100_000)).unwrap();
    }
}

fn set(world: &mut World, host: HostId, peer: HostId, status: PeerStatus) {
    let peer = world.key(peer);
    assert_eq!(world.run(host, Command::SetPeer { peer, status }), Ok(Reply::Done));
}

fn track(world: &mut World, host: HostId, tracking: Tracking) {
    assert_eq!(world.run(host, Command::Track(Box::new(tracking))), Ok(Reply::Done));
}

/// A pair as a runtime takes it up: with what the metadata say.
fn tracking(world: &World, host: HostId, peer: HostId, tree: Id) -> Tracking {
    let key = world.key(peer);
    let mut tracking = Tracking::new(tree, key, vec![world.address(peer)], INTERVAL);
    tracking.record = PairRecord::read(&*world.snapshot(host), &tree, &key).unwrap();
    tracking
}

fn status(world: &mut World, host: HostId, peer: HostId, tree: Id) -> SyncStatus {
    let peer = world.key(peer);
    let id = world.command(host, Command::Status { tree, peer });
    // Only this command, so that the moment stays.
    let reply = loop {
        if let Some(reply) = world.outcome(host, id) {
            break reply;
        }
        assert!(world.step());
    };
    let Ok(Reply::Pair(pair)) = reply else { panic!("not a status: {reply:?}") };
    SyncStatus::of(&*world.snapshot(host), &tree, pair.map(|pair| *pair)).unwrap()
}

fn states(world: &mut World, host: HostId) -> Vec<PeerState> {
    match world.run(host, Command::Peers) {
        Ok(Reply::Peers(states)) => states,
        other => panic!("not a list of peers: {other:?}"),
    }
}

fn connection(world: &mut World, host: HostId, peer: HostId) -> ConnectionState {
    let key = world.key(peer);
    let found = states(world, host).into_iter().find(|state| state.peer == key);
    found.map(|state| state.connection).unwrap_or_default()
}

fn stranger(n: usize) -> PublicKey {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    SecretKey::from_bytes(bytes).public()
}

fn ask_frame(tree: Id) -> Vec<u8> {
    let name = "Bob".try_into().expect("a short name");
    let ask = Ask { versions: Versions::OURS, tree, permission: Permission::Admin(1), name, invite: None };
    let mut room = [0; 1_024];
    let length = write(Kind::Ask, &ask, *b"hello", &mut room).expect("it fits");
    room[..length].to_vec()
}

fn trees_frame() -> Vec<u8> {
    let request = TreesRequest { versions: Versions::OURS, after: None };
    let mut room = [0; 64];
    let length = write(Kind::Trees, &request, [0_u8; 0], &mut room).expect("it fits");
    room[..length].to_vec()
}

/// What a host that holds nothing says first when it wants a tree.
fn hello(tree: Id) -> Vec<Vec<u8>> {
    let mut world = World::new(77);
    let (asker, asked) = (world.host(), world.host());
    let seen = Rc::new(std::cell::RefCell::new(Vec::new()));
    let kept = Rc::clone(&seen);
    world.fate(move |frame| {
        kept.borrow_mut().push(frame.to_vec());
        Fate::Arrive
    });
    let _ = world.sync(asker, asked, tree);
    let mut frames = seen.take();
    assert!(matches!(Frame::read(&frames[0]), Ok(Frame::Sync(..))));
    assert!(matches!(Frame::read(&frames.pop().unwrap()), Ok(Frame::Refusal(_))), "its answer");
    frames
}

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
        assert_eq!(refused, NodeError::Blocked(alices));
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

/// A host that never answers, and its place.
fn silent(world: &mut World) -> Address {
    let host = world.host();
    world.mute(host, true);
    Address { key: None, ..world.address(host) }
}

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
    assert_eq!(failed, Err(NodeError::NotOffered(Id::of(b"none"))), "what was refused is told");
    assert_eq!(world.run(bob, Command::SyncAny { addresses: vec![], tree }), Err(NodeError::NoAddress));
}

#[test]
fn a_winner_that_is_cut_gives_way_to_the_others() {
    let (mut world, alice, bob, tree) = pair(8);
    let carol = world.host();
    let who = Who::Key(world.key(carol));
    fill(&mut world, alice, tree);
    grant(&mut world, alice, tree, who, Permission::Write(9));
    world.sync(carol, alice, tree).unwrap();
    let cut = Rc::new(Cell::new(false));
    let once = Rc::clone(&cut);
    world.fate(move |frame| match Frame::read(frame) {
        Ok(Frame::Entries(_)) if !once.replace(true) => Fate::Cut,
        _ => Fate::Arrive,
    });
    let addresses = vec![world.address(alice), world.address(carol)];
    let Ok(Reply::Synced(report)) = world.run(bob, Command::SyncAny { addresses, tree }) else { panic!() };
    assert!(cut.get());
    assert_eq!(report.address, Some(world.address(carol)));
    assert_eq!(world.count(bob, tree), world.count(alice, tree));
}

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

fn grant(world: &mut World, host: HostId, tree: Id, who: Who, permission: Permission) {
    let draft = Draft::new(world.snapshot(host), tree, world.key(host), [0; 32]);
    draft.store::<SettingsStore>(SETTINGS).unwrap().grant(who, permission, None).unwrap();
    let changes = draft.finish().unwrap();
    let (stores, paths) = (changes.stores, changes.touched);
    world.run(host, Command::Commit(Commit { tree, key: world.secret(host), stores, paths })).unwrap();
}

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
    tracked.auth = Some(Petition { permission, name, metadata, invite: None });
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
    let petition = Petition { permission, name: "x".repeat(65), metadata: Vec::new(), invite: None };
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
    tracked.auth = Some(Petition { permission, name: String::new(), metadata: Vec::new(), invite: None });
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

#[test]
fn who_comes_and_may_read_is_remembered_in_bounded_room() {
    let (mut world, alice, bob, tree) = pair(15);
    let public = world.create_with(alice, "public", vec![(Who::Everyone, Permission::Read)]);
    world.sync(bob, alice, tree).unwrap();
    let _ = world.ask(alice, stranger(9_999), hello(Id::of(b"none")));
    let known = states(&mut world, alice);
    let [met] = &known[..] else { panic!("only who was let in: {known:?}") };
    let seen = met.seen.unwrap();
    assert_eq!((met.peer, seen.first, seen.last), (world.key(bob), world.wall(alice), world.wall(alice)));

    set(&mut world, alice, bob, PeerStatus::Active);
    let hello = hello(public);
    for n in 0..MAX_ACQUAINTANCES + 20 {
        assert!(world.ask(alice, stranger(n), hello.clone()).is_some());
    }
    let known = states(&mut world, alice);
    assert_eq!(known.iter().filter(|state| state.seen.is_some()).count(), MAX_ACQUAINTANCES + 1);
    assert!(known.iter().any(|state| state.peer == world.key(bob)), "who is registered stays");
    world.pass();
    world.settle();
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
