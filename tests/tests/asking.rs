//! Access requests between nodes: asked, listed, decided, learnt; and what strangers may not do with them.

use std::sync::Arc;

use pleach_core::{
    Id, PublicKey, SecretKey,
    document::{Draft, SettingsStore},
    entry::{Permission, SETTINGS, Who},
    instance::{Approval, Error},
    node::{
        BootstrapRequest, Command, Commit, MAX_DECIDED, MAX_REQUESTS, MAX_REQUESTS_OF_KEY, NodeError,
        Notification, Petition, REQUEST_EXPIRY, Reply, RequestStatus, decided_requests, pending_requests,
        request,
    },
    storage::StorageError,
    wire::{Ask, AskOutcome, Frame, Kind, MAX_REQUEST_METADATA, Refusal, Versions, write},
};
use pleach_storage::Memory;
use pleach_tests::{
    spy::{Notes, Spy},
    world::{HostId, World},
};

const YEARS: i64 = 10 * 365 * 24 * 60 * 60 * 1_000;

/// Alice with a tree of her own, and Bob.
fn pair(seed: u64) -> (World, HostId, HostId, Id) {
    let mut world = World::new(seed);
    let (alice, bob) = (world.host(), world.host());
    let tree = world.create(alice, "notes");
    (world, alice, bob, tree)
}

/// One host asks another.
fn ask(world: &mut World, host: HostId, with: HostId, tree: Id, permission: Permission) -> AskOutcome {
    let (address, name) = (world.address(with), "Bob".into());
    let command = Command::Ask {
        addresses: vec![address],
        tree,
        petition: Petition { permission, name, metadata: b"let me in".to_vec(), invite: None, hold: 0 },
    };
    match world.run(host, command) {
        Ok(Reply::Asked(outcome, _)) => outcome,
        other => panic!("not the reply to an access request: {other:?}"),
    }
}

/// The frame that asks.
fn frame(tree: Id, name: &str) -> Vec<u8> {
    let name = name.try_into().expect("a short name");
    let ask =
        Ask { versions: Versions::OURS, tree, permission: Permission::Read, name, invite: None, hold: 0 };
    let mut room = [0; 1_024];
    let length = write(Kind::Ask, &ask, *b"please", &mut room).expect("it fits");
    room[..length].to_vec()
}

fn pending(world: &World, host: HostId) -> Vec<BootstrapRequest> {
    pending_requests(&*world.snapshot(host)).unwrap()
}

fn decided(world: &World, host: HostId) -> Vec<RequestStatus> {
    decided_requests(&*world.snapshot(host)).unwrap().into_iter().map(|request| request.status).collect()
}

fn approval(world: &World, host: HostId, id: Id, at_most: Option<Permission>) -> Result<Approval, Error> {
    Approval::of(&*world.snapshot(host), &id, world.key(host), at_most, world.wall(host))
}

/// The only open request is granted and noted, as the runtimes do it.
fn approve(world: &mut World, host: HostId, at_most: Option<Permission>) -> Permission {
    let [request] = &pending(world, host)[..] else { panic!("one request was expected") };
    let approval = approval(world, host, request.id, at_most).unwrap();
    settings(world, host, request.tree, |draft| approval.grant(draft).unwrap());
    assert_eq!(world.run(host, approval.command()), Ok(Reply::Done));
    approval.permission
}

fn settings(world: &mut World, host: HostId, tree: Id, change: impl FnOnce(&Draft)) {
    let draft = Draft::new(world.snapshot(host), tree, world.key(host), [0; 32]);
    change(&draft);
    let changes = draft.finish().unwrap();
    let (stores, paths) = (changes.stores, changes.touched);
    world.run(host, Command::Commit(Commit { tree, key: world.secret(host), stores, paths })).unwrap();
}

fn reject(world: &mut World, host: HostId, id: Id) -> Result<Reply, NodeError> {
    let by = world.key(host);
    world.run(host, Command::Decide { request: id, by, granted: None })
}

fn stranger(n: usize) -> PublicKey {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    SecretKey::from_bytes(bytes).public()
}

#[test]
fn what_is_asked_is_listed_approved_and_learnt_at_the_next_request() {
    let (mut world, alice, bob, tree) = pair(1);
    assert_eq!(ask(&mut world, bob, alice, tree, Permission::Write(7)), AskOutcome::Received);
    let [asked] = &pending(&world, alice)[..] else { panic!("one request was expected") };
    assert_eq!((asked.tree, asked.key, asked.permission), (tree, world.key(bob), Permission::Write(7)));
    assert_eq!((asked.name.as_str(), &asked.metadata[..]), ("Bob", &b"let me in"[..]));
    assert_eq!(asked.received, world.wall(alice));
    assert_eq!(world.sync(bob, alice, tree), Err(NodeError::NotOffered(tree)));

    assert_eq!(approve(&mut world, alice, None), Permission::Write(7));
    assert_eq!(pending(&world, alice), []);
    let approved = AskOutcome::Approved(Permission::Write(7));
    assert_eq!(ask(&mut world, bob, alice, tree, Permission::Write(7)), approved);
    world.sync(bob, alice, tree).unwrap();
    world.write(bob, tree, "greeting", "hello").unwrap();
    let [RequestStatus::Approved { by, permission, .. }] = decided(&world, alice)[..] else { panic!() };
    assert_eq!((by, permission), (world.key(alice), Permission::Write(7)));
}

#[test]
fn a_grant_is_the_least_of_what_was_asked_what_is_allowed_and_one_below_the_approver() {
    for (asked, at_most, granted) in [
        (Permission::Admin(0), None, Permission::Admin(1)),
        (Permission::Admin(0), Some(Permission::Write(9)), Permission::Write(9)),
        (Permission::Read, Some(Permission::Admin(1)), Permission::Read),
    ] {
        let (mut world, alice, bob, tree) = pair(2);
        ask(&mut world, bob, alice, tree, asked);
        assert_eq!(approve(&mut world, alice, at_most), granted);
        let held = world.snapshot(alice).permission(&tree, &Who::Key(world.key(bob))).unwrap();
        assert_eq!(held, Some(granted));
        assert_eq!(ask(&mut world, bob, alice, tree, asked), AskOutcome::Approved(granted));
    }
}

#[test]
fn only_an_administrator_approves() {
    let (mut world, alice, bob, tree) = pair(3);
    ask(&mut world, bob, alice, tree, Permission::Read);
    let id = pending(&world, alice)[0].id;
    let (by, wall) = (world.key(bob), world.wall(alice));
    let refused = Approval::of(&*world.snapshot(alice), &id, by, None, wall).unwrap_err();
    assert!(refused.is_permission_denied(), "{refused:?}");
}

#[test]
fn an_approval_names_what_was_shown() {
    let (mut world, alice, bob, tree) = pair(4);
    ask(&mut world, bob, alice, tree, Permission::Read);
    let shown = pending(&world, alice)[0].id;
    ask(&mut world, bob, alice, tree, Permission::Admin(0));
    assert!(approval(&world, alice, shown, None).unwrap_err().is_not_found());
    assert_eq!(reject(&mut world, alice, shown), Err(NodeError::NoRequest(shown)));
    let [asked] = &pending(&world, alice)[..] else { panic!("the later request was expected alone") };
    assert_eq!(asked.permission, Permission::Admin(0));
}

#[test]
fn who_is_rejected_hears_it_and_may_ask_for_something_else() {
    let (mut world, alice, bob, tree) = pair(5);
    ask(&mut world, bob, alice, tree, Permission::Write(1));
    let id = pending(&world, alice)[0].id;
    assert_eq!(reject(&mut world, alice, id), Ok(Reply::Done));
    assert_eq!(reject(&mut world, alice, id), Err(NodeError::NoRequest(id)));
    assert_eq!(ask(&mut world, bob, alice, tree, Permission::Write(1)), AskOutcome::Rejected);
    assert_eq!(pending(&world, alice), [], "it is not asked again by that");
    assert_eq!(ask(&mut world, bob, alice, tree, Permission::Read), AskOutcome::Received);
    assert_eq!(pending(&world, alice).len(), 1);
    let kept = request(&*world.snapshot(alice), &id).unwrap().unwrap();
    assert_eq!(kept.metadata, b"let me in", "kept for audit");
    assert!(matches!(kept.status, RequestStatus::Rejected { by, .. } if by == world.key(alice)));
    // Another key with the same words hears nothing of it.
    let eve = world.host();
    assert_eq!(ask(&mut world, eve, alice, tree, Permission::Write(1)), AskOutcome::Received);
}

#[test]
fn who_was_let_in_and_revoked_asks_afresh() {
    let (mut world, alice, bob, tree) = pair(6);
    ask(&mut world, bob, alice, tree, Permission::Read);
    approve(&mut world, alice, None);
    let who = Who::Key(world.key(bob));
    settings(&mut world, alice, tree, |draft| {
        draft.store::<SettingsStore>(SETTINGS).unwrap().revoke(who).unwrap();
    });
    assert_eq!(ask(&mut world, bob, alice, tree, Permission::Read), AskOutcome::Received);
    assert_eq!(pending(&world, alice).len(), 1);
}

#[test]
fn who_may_do_it_already_is_told_nothing_special_and_leaves_no_request() {
    let mut world = World::new(7);
    let (alice, bob) = (world.host(), world.host());
    let tree = world.create_with(alice, "news", vec![(Who::Everyone, Permission::Write(9))]);
    for permission in [Permission::Read, Permission::Write(9)] {
        assert_eq!(ask(&mut world, bob, alice, tree, permission), AskOutcome::Received);
        assert_eq!(pending(&world, alice), []);
    }
    assert_eq!(ask(&mut world, bob, alice, tree, Permission::Write(8)), AskOutcome::Received);
    assert_eq!(pending(&world, alice).len(), 1, "more than everybody may");
}

#[test]
fn unknown_and_forbidden_have_the_same_answer_byte_for_byte_and_cost_the_same() {
    let mut world = World::new(8);
    let notes = Notes::default();
    let (alice, bob) = (world.host_over(Arc::new(Spy::new(Memory::new(), &notes))), world.host());
    let tree = world.create(alice, "notes");
    // A tree that Alice may read and nobody can let her decide about.
    let who = Who::Key(world.key(alice));
    let theirs = world.create_with(bob, "theirs", vec![(who, Permission::Write(0))]);
    world.sync(alice, bob, theirs).unwrap();
    let unknown = Id::of(b"no such tree");
    let mut seen = Vec::new();
    for asked in [tree, theirs, unknown, tree, theirs, unknown] {
        notes.take();
        let answer = world.ask(alice, stranger(0), [frame(asked, "Eve")]).unwrap();
        seen.push((answer, notes.take()));
    }
    let Ok(Frame::Asked(asked)) = Frame::read(&seen[0].0[0]) else { panic!("no answer: {seen:?}") };
    assert_eq!(asked.outcome, AskOutcome::Received);
    assert!(seen[0].1.iter().any(|note| note == "permission"), "the store was watched");
    assert!(seen.iter().all(|request| *request == seen[0]), "{seen:#?}");
    assert_eq!(pending(&world, alice).len(), 1, "only what can be decided here is listed");
}

#[test]
fn a_request_is_durable_before_it_is_answered() {
    let (mut world, alice, _, tree) = pair(9);
    world.disk(alice, Some(StorageError::Full));
    let answer = world.ask(alice, stranger(0), [frame(tree, "Eve")]).unwrap();
    assert_eq!(Frame::read(&answer[0]), Ok(Frame::Refusal(Refusal::Failed)));
    world.disk(alice, None);
    assert_eq!(pending(&world, alice), []);
    world.ask(alice, stranger(0), [frame(tree, "Eve")]).unwrap();
    assert_eq!(pending(&world, alice).len(), 1, "the line goes on after a failure");
}

#[test]
fn what_is_not_kept_takes_no_room() {
    let (mut world, alice, _, _) = pair(17);
    let rows = |world: &World| world.snapshot(alice).metas(b"request/", None, 1_000).unwrap();
    let mut before = Vec::new();
    for n in 0..20_usize {
        world.ask(alice, stranger(n), [frame(Id::of(&n.to_le_bytes()), "Eve")]).unwrap();
        if n == 0 {
            before = rows(&world);
        }
    }
    let places = |rows: Vec<(Vec<u8>, Vec<u8>)>| rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(places(rows(&world)), places(before));
}

#[test]
fn a_request_without_a_proven_key_is_refused() {
    let (mut world, alice, _, tree) = pair(10);
    for asked in [tree, Id::of(b"no such tree")] {
        let answer = world.ask(alice, None, [frame(asked, "Eve")]).unwrap();
        let Ok(Frame::Refusal(Refusal::Malformed { rule })) = Frame::read(&answer[0]) else { panic!() };
        assert!(rule.contains("proven"), "{rule}");
    }
    assert_eq!(pending(&world, alice), []);
}

#[test]
fn a_request_that_comes_again_is_the_same_request() {
    let (mut world, alice, bob, tree) = pair(11);
    let key = world.key(bob);
    for _ in 0..3 {
        world.ask(alice, key, [frame(tree, "Bob")]).unwrap();
    }
    let once = pending(&world, alice);
    assert_eq!(once.len(), 1);
    // Replayed after the decision, it neither opens anything again nor undoes the decision.
    approve(&mut world, alice, None);
    let before = (decided(&world, alice), world.tips(alice, tree));
    world.ask(alice, key, [frame(tree, "Bob")]).unwrap();
    assert_eq!(pending(&world, alice), []);
    assert_eq!((decided(&world, alice), world.tips(alice, tree)), before);
}

#[test]
fn requests_and_decisions_outlive_the_process() {
    let (mut world, alice, bob, tree) = pair(12);
    ask(&mut world, bob, alice, tree, Permission::Read);
    world.restart(alice);
    approve(&mut world, alice, None);
    world.restart(alice);
    let approved = AskOutcome::Approved(Permission::Read);
    assert_eq!(ask(&mut world, bob, alice, tree, Permission::Read), approved);
    world.sync(bob, alice, tree).unwrap();
}

#[test]
fn a_process_that_ends_in_the_middle_loses_no_more_than_the_answer() {
    for steps in 0..40 {
        let (mut world, alice, bob, tree) = pair(100 + steps);
        let (address, name) = (world.address(alice), "Bob".into());
        let (permission, metadata) = (Permission::Read, Vec::new());
        let command = world.command(
            bob,
            Command::Ask {
                addresses: vec![address],
                tree,
                petition: Petition { permission, name, metadata, invite: None, hold: 0 },
            },
        );
        for _ in 0..steps {
            world.step();
        }
        world.restart(alice);
        world.settle();
        match world.outcome(bob, command) {
            Some(Ok(_)) => assert_eq!(pending(&world, alice).len(), 1, "answered, so it is kept"),
            Some(Err(NodeError::Transport(_))) => {
                ask(&mut world, bob, alice, tree, Permission::Read);
                assert_eq!(pending(&world, alice).len(), 1);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn one_keys_flood_keeps_nobody_else_out() {
    let (mut world, alice, bob, _) = pair(13);
    let trees: Vec<Id> = (0..=MAX_REQUESTS_OF_KEY).map(|n| world.create(alice, &n.to_string())).collect();
    let mut answers = Vec::new();
    for tree in &trees {
        answers.push(world.ask(alice, stranger(0), [frame(*tree, "Eve")]).unwrap());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "being refused shows nowhere");
    assert_eq!(pending(&world, alice).len(), MAX_REQUESTS_OF_KEY);
    // What is asked about already may be asked otherwise.
    world.ask(alice, stranger(0), [frame(trees[0], "Eva")]).unwrap();
    assert!(pending(&world, alice).iter().any(|request| request.name == "Eva"));
    ask(&mut world, bob, alice, trees[MAX_REQUESTS_OF_KEY], Permission::Read);
    assert_eq!(pending(&world, alice).len(), MAX_REQUESTS_OF_KEY + 1);
    // One that is decided makes room for another.
    let id = pending(&world, alice).iter().find(|request| request.key == stranger(0)).unwrap().id;
    reject(&mut world, alice, id).unwrap();
    world.ask(alice, stranger(0), [frame(trees[MAX_REQUESTS_OF_KEY], "Eve")]).unwrap();
    assert_eq!(pending(&world, alice).len(), MAX_REQUESTS_OF_KEY + 1);
}

#[test]
fn a_full_table_answers_as_always_and_what_has_expired_gives_way_first() {
    let (mut world, alice, bob, tree) = pair(14);
    let mut answers = Vec::new();
    for n in 0..=MAX_REQUESTS {
        answers.push(world.ask(alice, stranger(n), [frame(tree, "Eve")]).unwrap());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(pending(&world, alice).len(), MAX_REQUESTS);
    let late = |world: &World| pending(world, alice).iter().any(|request| request.key == world.key(bob));
    // A clock that jumps makes all of them expire, but not go.
    for skew in [YEARS, -YEARS, i64::try_from(REQUEST_EXPIRY).unwrap()] {
        world.skew(alice, skew);
        let wall = world.wall(alice);
        let all = pending(&world, alice);
        assert!(all.len() == MAX_REQUESTS && all.iter().all(|request| request.is_expired(wall)));
        let id = all[0].id;
        assert_eq!(approval(&world, alice, id, None), Err(Error::RequestExpired(id)));
    }
    world.skew(alice, 0);
    assert!(approval(&world, alice, pending(&world, alice)[0].id, None).is_ok(), "as before the jump");
    // Only somebody who needs the room makes them go; the clock going back brings nothing back.
    world.skew(alice, YEARS);
    ask(&mut world, bob, alice, tree, Permission::Read);
    assert!(late(&world) && pending(&world, alice).len() == 1);
    world.skew(alice, 0);
    assert!(pending(&world, alice)[0].is_expired(world.wall(alice)), "a time from the future weighs nothing");
    ask(&mut world, bob, alice, tree, Permission::Read);
    assert!(!pending(&world, alice)[0].is_expired(world.wall(alice)), "asking again helps");
}

#[test]
fn decisions_are_kept_up_to_a_limit_the_newest_longest() {
    let (mut world, alice, _, tree) = pair(18);
    for n in 0..=MAX_DECIDED {
        world.ask(alice, stranger(n), [frame(tree, "Eve")]).unwrap();
        let [asked] = &pending(&world, alice)[..] else { panic!("one request was expected") };
        let id = asked.id;
        reject(&mut world, alice, id).unwrap();
        // So that one is older than the other.
        world.skew(alice, i64::try_from(n + 1).unwrap());
    }
    let kept = decided_requests(&*world.snapshot(alice)).unwrap();
    assert_eq!(kept.len(), MAX_DECIDED);
    assert!(kept.iter().all(|request| request.key != stranger(0)), "the oldest went");
}

#[test]
fn expired_requests_of_a_key_give_way_to_its_own_new_ones() {
    let (mut world, alice, _, _) = pair(15);
    let trees: Vec<Id> = (0..=MAX_REQUESTS_OF_KEY).map(|n| world.create(alice, &n.to_string())).collect();
    for tree in &trees[1..] {
        world.ask(alice, stranger(0), [frame(*tree, "Eve")]).unwrap();
    }
    world.ask(alice, stranger(1), [frame(trees[0], "Bob")]).unwrap();
    world.skew(alice, YEARS);
    world.ask(alice, stranger(0), [frame(trees[0], "Eve")]).unwrap();
    let left: Vec<_> = pending(&world, alice).iter().map(|request| (request.key, request.tree)).collect();
    assert_eq!(left, [(stranger(1), trees[0]), (stranger(0), trees[0])], "another key's stays");
}

#[test]
fn what_is_too_long_is_not_sent_and_not_taken() {
    let (mut world, alice, bob, tree) = pair(16);
    let (addresses, permission) = (vec![world.address(alice)], Permission::Read);
    for (name, metadata) in [(65, 0), (0, MAX_REQUEST_METADATA + 1)] {
        let (addresses, name, metadata) = (addresses.clone(), "x".repeat(name), vec![0; metadata]);
        let command = Command::Ask {
            addresses,
            tree,
            petition: Petition { permission, name, metadata, invite: None, hold: 0 },
        };
        assert_eq!(world.run(bob, command), Err(NodeError::RequestTooLong));
    }
    let (name, metadata) = ("x".repeat(64), vec![0xff; MAX_REQUEST_METADATA]);
    let command = Command::Ask {
        addresses,
        tree,
        petition: Petition { permission, name, metadata, invite: None, hold: 0 },
    };
    assert_eq!(world.run(bob, command), Ok(Reply::Asked(AskOutcome::Received, world.address(alice))));
    assert_eq!(pending(&world, alice)[0].metadata.len(), MAX_REQUEST_METADATA);
    let long = [frame(tree, "Eve"), vec![0; MAX_REQUEST_METADATA]].concat();
    let answer = world.ask(alice, stranger(0), [long]).unwrap();
    assert!(matches!(Frame::read(&answer[0]), Ok(Frame::Refusal(Refusal::Malformed { .. }))));
}

/// The command by which Bob waits for a decision.
fn waiting(world: &World, with: HostId, tree: Id, name: &str) -> Command {
    let petition = Petition {
        permission: Permission::Read,
        name: name.into(),
        metadata: Vec::new(),
        invite: None,
        hold: 20_000,
    };
    Command::Ask { addresses: vec![world.address(with)], tree, petition }
}

#[test]
fn whoever_waits_for_a_decision_hears_of_it_at_once_and_whoever_decides_of_the_request() {
    let (mut world, alice, bob, tree) = pair(40);
    world.notes(alice);
    let command = waiting(&world, alice, tree, "Bob");
    let command = world.command(bob, command);
    world.settle();
    assert_eq!(world.outcome(bob, command), None, "nobody has decided");
    let told = world.notes(alice);
    let requested: Vec<_> = told.iter().filter(|note| matches!(note, Notification::Requested(_))).collect();
    let [Notification::Requested(request)] = requested[..] else { panic!("{told:?}") };
    assert_eq!((request.key, &pending(&world, alice)[0].id), (world.key(bob), &request.id));
    let began = world.clock();
    approve(&mut world, alice, None);
    world.settle();
    let approved = Ok(Reply::Asked(AskOutcome::Approved(Permission::Read), world.address(alice)));
    assert_eq!((world.outcome(bob, command), world.clock()), (Some(approved), began));
    assert!(!world.notes(alice).iter().any(|note| matches!(note, Notification::Requested(_))), "once");
}

#[test]
fn a_decision_about_somebody_else_wakes_nobody_and_the_wait_ends_whatever_is_asked_for() {
    let (mut world, alice, bob, tree) = pair(41);
    let carol = world.host();
    let nowhere = Id::of(b"nobody has this");
    let began = world.clock();
    let bobs = waiting(&world, alice, nowhere, "Bob");
    let bobs = world.command(bob, bobs);
    world.settle();
    assert_eq!(ask(&mut world, carol, alice, tree, Permission::Read), AskOutcome::Received);
    let carols = waiting(&world, alice, tree, "Carol");
    let carols = world.command(carol, carols);
    world.settle();
    let [only] = &pending(&world, alice)[..] else { panic!("Carol's last request is open") };
    let reject = Command::Decide { request: only.id, by: world.key(alice), granted: None };
    assert_eq!(world.run(alice, reject), Ok(Reply::Done));
    world.settle();
    assert_eq!(
        world.outcome(carol, carols),
        Some(Ok(Reply::Asked(AskOutcome::Rejected, world.address(alice))))
    );
    assert_eq!(world.outcome(bob, bobs), None, "it is not about him");
    let bobs = loop {
        assert!(world.clock() < began + 25_000, "he waits for as long as he said");
        world.pass();
        world.settle();
        if let Some(outcome) = world.outcome(bob, bobs) {
            break outcome;
        }
    };
    assert_eq!(bobs, Ok(Reply::Asked(AskOutcome::Received, world.address(alice))));
    assert!(world.clock() >= began + 20_000);
}

#[test]
fn what_was_signed_before_the_last_request_of_a_key_changes_nothing_any_more() {
    let (mut world, alice, _, tree) = pair(42);
    let mallory = stranger(7);
    let asked = |world: &mut World, signed: u64, name: &str| {
        world.signed = Some(signed);
        let answer = world.ask(alice, mallory, [frame(tree, name)]).unwrap();
        assert!(matches!(Frame::read(&answer[0]), Ok(Frame::Asked(_))));
    };
    asked(&mut world, 1_000, "first");
    asked(&mut world, 2_000, "second");
    assert_eq!(pending(&world, alice)[0].name, "second");
    // Somebody has recorded the first and sends it again.
    asked(&mut world, 1_000, "first");
    assert_eq!(pending(&world, alice)[0].name, "second");
    // Decided or not.
    let [request] = &pending(&world, alice)[..] else { panic!() };
    let reject = Command::Decide { request: request.id, by: world.key(alice), granted: None };
    world.run(alice, reject).unwrap();
    asked(&mut world, 1_000, "first");
    assert_eq!(pending(&world, alice), []);
    // A wire that needs no signature does not make the old one good again.
    world.signed = None;
    world.ask(alice, mallory, [frame(tree, "third")]).unwrap();
    asked(&mut world, 1_000, "first");
    assert_eq!(pending(&world, alice)[0].name, "third");
    asked(&mut world, 3_000, "fourth");
    assert_eq!(pending(&world, alice)[0].name, "fourth");
}
