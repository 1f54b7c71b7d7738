//! How long an exchange goes on, and what for: a peer that drags it out gets nothing by it, and keeps nobody waiting.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use pleach_core::{
    Id, PublicKey, SecretKey,
    budget::Source,
    document::{Draft, SettingsStore},
    entry::{Permission, SETTINGS, Who},
    node::{Command, CommandId, Commit, NodeError, Reply, SyncReport, Tracking},
    wire::{
        Bound, CAPABILITIES, End, Frame, KeyProof, Kind, Mode, PeerLimits, ProofTarget, RangeItem, Refusal,
        Side, Tips, TreeLine, TreesReply, VERSION,
    },
};
use pleach_tests::{
    frames::{control, end, entries, frame, hello},
    world::{HostId, Said, World},
};

/// Minutes, in milliseconds.
const MINUTE: u64 = 60_000;

/// A head that says this of everything.
fn reply_with(limits: PeerLimits, mode: Mode) -> Vec<u8> {
    let reply = pleach_core::wire::Reply {
        version: VERSION,
        capabilities: CAPABILITIES,
        limits,
        same: false,
        count: 1,
    };
    frame(Kind::Reply, &reply, [RangeItem { bound: Bound::default(), mode }])
}

fn reply(mode: Mode) -> Vec<u8> {
    reply_with(PeerLimits::HOST, mode)
}

/// The end of a response by somebody who claims tips that nobody has, and this many entries.
fn bogus_end(count: u64) -> Vec<u8> {
    let tips = Tips::Named(heapless::Vec::from_slice(&[Id::of(b"nothing")]).expect("one"));
    control(Kind::End, &End { until: None, tips: Some(tips), count, token: None })
}

/// A response after so many milliseconds.
fn after(delay: u64, frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<Said> {
    let said = frames.into_iter().map(Some).chain([None]);
    said.enumerate().map(|(n, said)| (if n == 0 { delay } else { 0 }, said)).collect()
}

/// How many entries a request brings.
fn brought(request: &[Vec<u8>]) -> usize {
    let entries = request.iter().filter_map(|frame| match Frame::read(frame) {
        Ok(Frame::Entries(entries)) => Some(entries.count()),
        _ => None,
    });
    entries.sum()
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

/// Lets so many milliseconds pass.
fn wait(world: &mut World, millis: u64) {
    let until = world.clock() + millis;
    while world.clock() < until {
        world.settle();
        world.pass();
    }
    world.settle();
}

fn from(world: &mut World, host: HostId, tree: Id, addresses: &[HostId]) -> Result<SyncReport, NodeError> {
    let addresses = addresses.iter().map(|host| world.address(*host)).collect();
    match world.run(host, Command::SyncAny { addresses, tree })? {
        Reply::Synced(report) => Ok(report),
        other => panic!("not the reply to a sync: {other:?}"),
    }
}

fn begin_sync(world: &mut World, host: HostId, with: HostId, tree: Id) -> CommandId {
    let address = world.address(with);
    world.command(host, Command::Sync { address, tree })
}

fn revoke(world: &mut World, host: HostId, tree: Id, key: PublicKey) {
    let secret = world.secret(host);
    let draft = Draft::new(world.snapshot(host), tree, secret.public(), [0; 32]);
    draft.store::<SettingsStore>(SETTINGS).unwrap().revoke(Who::Key(key)).unwrap();
    let changes = draft.finish().unwrap();
    let commit = Commit { tree, key: secret, stores: changes.stores, paths: changes.touched };
    world.run(host, Command::Commit(commit)).unwrap();
}

/// What a further key of a peer is proven for in a response.
fn shown(world: &World, by: HostId, to: HostId, tree: Id) -> ProofTarget {
    ProofTarget { side: Side::Responder, by: world.key(by), to: world.key(to), tree: Some(tree) }
}

/// What the test knows of somebody who drags an exchange out, and tells it.
#[derive(Clone, Default)]
struct Strings {
    /// Requests that came.
    rounds: Rc<Cell<u64>>,
    /// Entries that were sent to it.
    got: Rc<Cell<usize>>,
    /// It says that it holds nothing, from now on.
    wants: Rc<Cell<bool>>,
    /// What it shows in front of its next response.
    shows: Rc<RefCell<Option<KeyProof>>>,
}

/// Somebody who says that all is settled, names tips that nobody has, and has one entry more each time.
fn dragging(world: &mut World, delay: u64) -> (HostId, Strings) {
    let strings = Strings::default();
    let held = strings.clone();
    let host = world.puppet(move |request| {
        held.rounds.set(held.rounds.get() + 1);
        held.got.set(held.got.get() + brought(request));
        let mode = if held.wants.get() { Mode::Empty } else { Mode::Skip };
        let keys = held.shows.take().map(|proof| frame(Kind::Keys, &(), [proof]));
        after(delay, keys.into_iter().chain([reply(mode), bogus_end(100 + held.rounds.get())]))
    });
    (host, strings)
}

#[test]
fn a_reader_that_is_revoked_in_the_middle_of_an_exchange_gets_nothing_more_in_it() {
    for revoked in [false, true] {
        let mut world = World::new(1);
        let alice = world.host();
        let (peer, strings) = dragging(&mut world, 20_000);
        let grants = vec![(Who::Key(world.key(peer)), Permission::Read)];
        let tree = world.create_with(alice, "notes", grants);
        let sync = begin_sync(&mut world, alice, peer, tree);
        world.settle();
        assert_eq!(strings.rounds.get(), 1);
        if revoked {
            let key = world.key(peer);
            revoke(&mut world, alice, tree, key);
        }
        world.write(alice, tree, "secret", "what came later").unwrap();
        strings.wants.set(true);
        let told = outcome(&mut world, alice, sync);
        if revoked {
            assert_eq!((told, strings.got.get()), (Err(NodeError::PeerMayNotRead(tree)), 0));
        } else {
            assert!(strings.got.get() > 0, "a reader gets what it lacks: {told:?}");
        }
    }
}

#[test]
fn a_further_key_that_is_revoked_in_the_middle_of_an_exchange_opens_nothing_more_in_it() {
    for revoked in [false, true] {
        let mut world = World::new(15);
        let (alice, user) = (world.host(), SecretKey::from_bytes([9; 32]));
        let (peer, strings) = dragging(&mut world, 20_000);
        let tree = world.create_with(alice, "notes", vec![(Who::Key(user.public()), Permission::Read)]);
        let proof = shown(&world, peer, alice, tree).prove(&user, &world.next_binding());
        strings.shows.replace(Some(proof));
        let sync = begin_sync(&mut world, alice, peer, tree);
        while strings.rounds.get() < 2 {
            world.settle();
            world.pass();
        }
        if revoked {
            revoke(&mut world, alice, tree, user.public());
        }
        strings.wants.set(true);
        let told = outcome(&mut world, alice, sync);
        if revoked {
            assert_eq!((told, strings.got.get()), (Err(NodeError::PeerMayNotRead(tree)), 0));
        } else {
            assert!(strings.got.get() > 0, "a reader gets what it lacks: {told:?}");
        }
    }
}

#[test]
fn who_never_had_a_grant_gets_nothing_of_a_tree_that_comes_from_somebody_else_meanwhile() {
    for granted in [true, false] {
        let mut world = World::new(2);
        let (alice, bob) = (world.host(), world.host());
        let (peer, strings) = dragging(&mut world, 20_000);
        let mut grants = vec![(Who::Key(world.key(bob)), Permission::Write(9))];
        if granted {
            grants.push((Who::Key(world.key(peer)), Permission::Read));
        }
        let tree = world.create_with(alice, "notes", grants);
        let sync = begin_sync(&mut world, bob, peer, tree);
        world.settle();
        assert_eq!(strings.rounds.get(), 1, "nothing of it is held yet");
        world.sync(bob, alice, tree).unwrap();
        strings.wants.set(true);
        let told = outcome(&mut world, bob, sync);
        if granted {
            assert!(strings.got.get() > 0, "a reader gets what it lacks: {told:?}");
        } else {
            assert_eq!((told, strings.got.get()), (Err(NodeError::PeerMayNotRead(tree)), 0));
        }
    }
}

#[test]
fn a_peer_whose_count_alone_grows_is_given_up() {
    let mut world = World::new(3);
    let alice = world.host();
    let (peer, strings) = dragging(&mut world, 1);
    let grants = vec![(Who::Key(world.key(peer)), Permission::Read)];
    let tree = world.create_with(alice, "notes", grants);
    assert_eq!(world.sync(alice, peer, tree), Err(NodeError::StillDiffers(tree)));
    assert!(strings.rounds.get() < 16, "{} rounds that brought nothing", strings.rounds.get());
}

#[test]
fn a_peer_that_takes_next_to_nothing_is_passed_over_as_one_that_does_not_fit() {
    for limits in [PeerLimits { frame: 1, ..PeerLimits::HOST }, PeerLimits { message: 1, ..PeerLimits::HOST }]
    {
        let mut world = World::new(4);
        let (alice, bob) = (world.host(), world.host());
        let peer = world.puppet(move |_| after(0, [reply_with(limits, Mode::Skip), bogus_end(9)]));
        let tree = world.create_with(alice, "notes", vec![(Who::Key(world.key(bob)), Permission::Write(9))]);
        let report = from(&mut world, bob, tree, &[peer, alice]).expect("from the honest one");
        assert_eq!(report.peer, Some(world.key(alice)));
        assert!(matches!(report.lost[0].error, NodeError::Incompatible(_)), "{:?}", report.lost);

        // And as one that asks.
        let hello = pleach_core::wire::Hello { limits, ..hello(tree) };
        let all = RangeItem { bound: Bound::default(), mode: Mode::Empty };
        let answer = world.ask(alice, world.key(bob), [frame(Kind::Sync, &hello, [all]), end()]).unwrap();
        let told = Frame::read(&answer[0]);
        assert!(matches!(told, Ok(Frame::Refusal(Refusal::Incompatible { .. }))), "{told:?}");
    }
}

fn line(n: u8) -> TreeLine {
    TreeLine { tree: Id::from_bytes([n; 32]), name: "x".try_into().unwrap(), count: 1, changed: 0 }
}

fn list(more: bool, lines: &[TreeLine]) -> Vec<u8> {
    frame(Kind::TreeList, &TreesReply { version: VERSION, more }, lines)
}

#[test]
fn a_list_that_does_not_get_on_ends_the_question() {
    let good = vec![list(true, &[line(1), line(2)]), list(false, &[line(3)])];
    let bad = [
        vec![list(true, &[line(1)]), list(true, &[])],
        vec![list(true, &[line(1)]), list(true, &[line(1)])],
        vec![list(true, &[line(2), line(1)])],
        vec![list(true, &[])],
    ];
    for (pages, expected) in bad.into_iter().map(|pages| (pages, None)).chain([(good, Some(3))]) {
        let mut world = World::new(5);
        let (alice, asked) = (world.host(), Cell::new(0));
        let peer = world.puppet(move |_| {
            asked.set(asked.get() + 1);
            let busy = control(Kind::Refusal, &Refusal::Failed);
            let page = pages.get(asked.get() - 1).or(pages.last()).filter(|_| asked.get() < 9);
            after(0, [page.unwrap_or(&busy).clone()])
        });
        let command = Command::Discover(world.address(peer));
        match (world.run(alice, command), expected) {
            (Ok(Reply::Trees(trees)), Some(count)) => assert_eq!(trees.len(), count),
            (Err(NodeError::Misbehaved(_)), None) => {}
            other => panic!("{other:?}"),
        }
    }
    // A list is one frame.
    let mut world = World::new(5);
    let alice = world.host();
    let peer = world.puppet(|_| after(0, [list(false, &[line(1)]), list(false, &[line(2)])]));
    let command = Command::Discover(world.address(peer));
    assert!(matches!(world.run(alice, command), Err(NodeError::Misbehaved(_))));
}

#[test]
fn a_first_source_that_brings_nothing_lets_the_others_have_their_turn() {
    let mut world = World::new(6);
    let (alice, bob) = (world.host(), world.host());
    let first = Cell::new(true);
    // The first answer comes at once; each later one just before patience ends.
    let peer = world.puppet(move |_| {
        let delay = if first.replace(false) { 0 } else { 29_000 };
        after(delay, [reply(Mode::Skip), bogus_end(9)])
    });
    let tree = world.create_with(alice, "notes", vec![(Who::Key(world.key(bob)), Permission::Write(9))]);
    let began = world.clock();
    let report = from(&mut world, bob, tree, &[peer, alice]).expect("from the honest one");
    assert_eq!((report.peer, world.count(bob, tree)), (Some(world.key(alice)), 1));
    let took = world.clock() - began;
    assert!((20_000..21_000).contains(&took), "{took} ms");
}

#[test]
fn two_sources_that_take_turns_at_bringing_nothing_keep_the_third_waiting_no_longer() {
    let mut world = World::new(7);
    let (alice, bob) = (world.host(), world.host());
    let mut dragging = || {
        let first = Cell::new(true);
        world.puppet(move |_| {
            let delay = if first.replace(false) { 0 } else { 29_000 };
            after(delay, [reply(Mode::Skip), bogus_end(9)])
        })
    };
    let (one, two) = (dragging(), dragging());
    let tree = world.create_with(alice, "notes", vec![(Who::Key(world.key(bob)), Permission::Write(9))]);
    let began = world.clock();
    let report = from(&mut world, bob, tree, &[one, two, alice]).expect("from the honest one");
    assert_eq!(report.peer, Some(world.key(alice)));
    let took = world.clock() - began;
    assert!((40_000..42_000).contains(&took), "{took} ms");
}

#[test]
fn a_request_of_which_next_to_nothing_comes_is_cut_off_within_minutes() {
    let mut world = World::new(8);
    let (alice, reader) = (world.host(), SecretKey::from_bytes([7; 32]).public());
    let tree = world.create_with(alice, "notes", vec![(Who::Key(reader), Permission::Read)]);
    let all = RangeItem { bound: Bound::default(), mode: Mode::Empty };
    let head = frame(Kind::Sync, &hello(tree), [all]);
    let wire = world.knock(alice, reader, Source::default(), [Some(head)]);
    let began = world.clock();
    while !world.heard(wire).1 {
        world.settle();
        assert!(world.clock() - began < 10 * MINUTE, "it is still waited for");
        world.say(wire, [Some(frame(Kind::Wants, &(), [Id::MIN; 0]))]);
        wait_until_later(&mut world, 29_000);
    }
    assert!(world.clock() - began >= 2 * MINUTE, "who is merely slow has time");
}

/// Lets at most so many milliseconds pass, by steps of what is due.
fn wait_until_later(world: &mut World, millis: u64) {
    world.settle();
    world.idle(millis);
    world.settle();
}

#[test]
fn a_response_of_which_next_to_nothing_comes_is_given_up_within_minutes() {
    let mut world = World::new(9);
    let alice = world.host();
    let peer = world.puppet(|_| {
        let missing = frame(Kind::Missing, &(), [Id::MIN; 0]);
        let trickle = std::iter::repeat_n((29_000, Some(missing)), 500);
        [(0, Some(reply(Mode::Skip)))].into_iter().chain(trickle).chain(after(0, [bogus_end(9)])).collect()
    });
    let grants = vec![(Who::Key(world.key(peer)), Permission::Read)];
    let tree = world.create_with(alice, "notes", grants);
    let began = world.clock();
    let told = world.sync(alice, peer, tree);
    assert!(matches!(told, Err(NodeError::TimedOut(_))), "{told:?}");
    assert!((2 * MINUTE..10 * MINUTE).contains(&(world.clock() - began)), "{} ms", world.clock() - began);
}

#[test]
fn rounds_that_are_dragged_out_and_bring_nothing_end_within_minutes() {
    let mut world = World::new(10);
    let alice = world.host();
    let (rounds, bounds) = (Rc::new(Cell::new(0_u64)), Rc::new(RefCell::new(Vec::new())));
    let (counted, _) = (Rc::clone(&rounds), Rc::clone(&bounds));
    bounds.borrow_mut().push(0_u64);
    // Each answer settles a little more, so that there is always something left to ask about.
    let peer = world.puppet(move |_| {
        counted.set(counted.get() + 1);
        let head = pleach_core::wire::Reply {
            version: VERSION,
            capabilities: CAPABILITIES,
            limits: PeerLimits::HOST,
            same: false,
            count: 1,
        };
        let settled = RangeItem { bound: Bound { rise: 1, ..Bound::default() }, mode: Mode::Skip };
        let rest = RangeItem { bound: Bound::default(), mode: Mode::Open };
        after(29_000, [frame(Kind::Reply, &head, [settled, rest]), bogus_end(9)])
    });
    let grants = vec![(Who::Key(world.key(peer)), Permission::Read)];
    let tree = world.create_with(alice, "notes", grants);
    let began = world.clock();
    world.sync(alice, peer, tree).unwrap_err();
    assert!(world.clock() - began < 10 * MINUTE, "{} ms, {} rounds", world.clock() - began, rounds.get());
}

#[test]
fn a_database_that_is_dropped_during_a_sync_stays_dropped() {
    let mut world = World::new(11);
    let (alice, bob) = (world.host(), world.host());
    let tree = world.create_with(alice, "notes", vec![(Who::Key(world.key(bob)), Permission::Write(9))]);
    world.sync(bob, alice, tree).unwrap();
    world.write(alice, tree, "news", "from Alice").unwrap();
    world.write(bob, tree, "news", "from Bob").unwrap();
    world.pause(alice, true);
    let sync = begin_sync(&mut world, bob, alice, tree);
    world.settle();
    world.run(bob, Command::Drop(tree)).unwrap();
    world.pause(alice, false);
    world.settle();
    assert_eq!(outcome(&mut world, bob, sync), Err(NodeError::UnknownTree(tree)));
    assert_eq!(world.count(bob, tree), 0, "it came back");
    // Whoever wants it again gets it.
    world.sync(bob, alice, tree).unwrap();
    assert!(world.count(bob, tree) >= 2);
}

#[test]
fn an_open_request_of_a_peer_does_not_bring_a_dropped_database_back() {
    for meanwhile in [false, true] {
        let mut world = World::new(12);
        let alice = world.host();
        let writer = SecretKey::from_bytes([7; 32]).public();
        let tree = world.create_with(alice, "notes", vec![(Who::Key(writer), Permission::Write(9))]);
        let root = world.tips(alice, tree)[0];
        let root = world.snapshot(alice).entry(&tree, &root.id).unwrap().unwrap();
        let nothing = RangeItem { bound: Bound::default(), mode: Mode::Skip };
        let head = frame(Kind::Sync, &hello(tree), [nothing]);
        let mut drop = None;
        if meanwhile {
            // The request is let in while the database is about to go.
            drop = Some(world.command(alice, Command::Drop(tree)));
        }
        let wire = world.knock(alice, writer, Source::default(), [Some(head)]);
        if !meanwhile {
            world.settle();
            drop = Some(world.command(alice, Command::Drop(tree)));
        }
        assert_eq!(outcome(&mut world, alice, drop.unwrap()), Ok(Reply::Done));
        world.settle();
        world.say(wire, [Some(entries(&[root.bytes().to_vec()])), Some(end()), None]);
        world.settle();
        assert_eq!(world.count(alice, tree), 0, "it came back");
    }
}

#[test]
fn waiting_for_news_keeps_no_masked_entry_on_the_disk() {
    let mut world = World::new(13);
    let [ann, eve, bob, dan] = [(); 4].map(|()| world.host());
    let given = [eve, bob, dan].map(|host| (Who::Key(world.key(host)), Permission::Write(9)));
    let tree = world.create_with(ann, "notes", given.into());
    for host in [eve, bob, dan] {
        world.sync(host, ann, tree).unwrap();
    }
    let masked = world.write(eve, tree, "masked", "x").unwrap();
    let key = world.key(eve);
    revoke(&mut world, ann, tree, key);
    world.settle();
    world.sync(ann, eve, tree).unwrap_err();
    // Two who stay in touch; their waits overlap.
    for host in [bob, dan] {
        let tracking = Tracking::new(tree, world.key(ann), vec![world.address(ann)], 1 << 40);
        world.run(host, Command::Track(Box::new(tracking))).unwrap();
        wait_until_later(&mut world, 7_000);
    }
    let held = |world: &World| world.snapshot(ann).entry(&tree, &masked.id).unwrap().is_some();
    let bytes = world.snapshot(eve).entry(&tree, &masked.id).unwrap().unwrap().bytes().to_vec();
    let nothing = RangeItem { bound: Bound::default(), mode: Mode::Skip };
    let request = [frame(Kind::Sync, &hello(tree), [nothing]), entries(&[bytes]), end()];
    world.ask(ann, world.key(bob), request).expect("an answer");
    world.settle();
    assert!(held(&world), "it is masked, and kept for a while");
    wait(&mut world, 3 * MINUTE);
    assert!(!held(&world), "it is still there");
}

#[test]
fn keys_that_come_anywhere_but_first_end_the_exchange() {
    for first in [true, false] {
        let mut world = World::new(14);
        let alice = world.host();
        let key = SecretKey::from_bytes([9; 32]);
        let tree = world.create(alice, "notes");
        let made = Rc::new(RefCell::new(None));
        let kept = Rc::clone(&made);
        let peer = world.puppet(move |_| {
            let proof: KeyProof = kept.borrow_mut().take().expect("asked once");
            let keys = frame(Kind::Keys, &(), [proof]);
            let head = reply(Mode::Skip);
            let tips = control(Kind::End, &End { until: None, tips: None, count: 1, token: None });
            after(0, if first { [keys, head, tips] } else { [head, keys, tips] })
        });
        *made.borrow_mut() = Some(shown(&world, peer, alice, tree).prove(&key, &world.next_binding()));
        let told = world.sync(alice, peer, tree);
        assert_eq!(matches!(told, Err(NodeError::Misbehaved(_))), !first, "{told:?}");
    }
}
