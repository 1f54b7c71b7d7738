//! For whom a node writes a merge of its own, and what the others are told instead.

use pleach_core::{
    Id, Position, PublicKey, SecretKey,
    document::{Draft, SettingsStore},
    entry::{Permission, SETTINGS, Who},
    limits::{MAX_BATCH_BYTES, MAX_FRAME, MAX_MESSAGE},
    node::{Arrival, Command, Commit, MERGES, Reply, STRANGER_FRAME},
    session::partial::Outcome,
    wire::{Capabilities, Frame, Have, Kind, PeerLimits, Refusal, Reply as Head, Versions},
};
use pleach_tests::{
    board::{Board, Ended, RING},
    frames::{end, entries, frame},
    world::{HostId, World},
};

/// Frames that are never reached.
const NEVER: usize = 1_000_000;

fn device() -> SecretKey {
    SecretKey::from_bytes([9; 32])
}

/// A host and its tree, in which somebody else writes too, and these may do this.
fn two(grants: &[(Who, Permission)]) -> (World, HostId, HostId, Id) {
    let mut world = World::new(1);
    let (host, other) = (world.host(), world.host());
    let writes = (Who::Key(world.key(other)), Permission::Write(5));
    let tree = world.create_with(host, "shed", [&[writes][..], grants].concat());
    world.sync(other, host, tree).unwrap();
    (world, host, other, tree)
}

/// What a device says that holds this base, and room for so many entries; for none if it wants to be relieved.
fn have(tree: Id, base: &[Position], room: u32) -> Have {
    Have {
        versions: Versions::OURS,
        capabilities: Capabilities::PARTIAL,
        limits: PeerLimits::HOST,
        tree,
        entry: 4_096,
        entries: room,
        bytes: 64 * 1024,
        relieve: room == 0,
        base: base.iter().copied().collect(),
    }
}

/// The first frames of the answer, the end aside.
fn answer(
    world: &mut World,
    host: HostId,
    key: Option<PublicKey>,
    have: &Have,
    ids: &[Id],
    brings: &[Vec<u8>],
) -> Vec<Vec<u8>> {
    let mut request = vec![frame(Kind::Have, have, ids)];
    if !brings.is_empty() {
        request.push(entries(brings));
    }
    request.push(end());
    world.ask(host, key, request).expect("an answer")
}

/// The id of the base that whoever holds this one is given, or why it is given none.
fn relieved(
    world: &mut World,
    host: HostId,
    key: Option<PublicKey>,
    tree: Id,
    base: &[Position],
) -> Result<Id, Refusal> {
    let answer = answer(world, host, key, &have(tree, base, 0), &[], &[]);
    let frames: Vec<_> = answer.iter().map(|bytes| Frame::read(bytes).expect("a frame")).collect();
    match frames.as_slice() {
        [Frame::Refusal(refusal)] => Err(refusal.clone()),
        [Frame::Reply(..), Frame::Advance(entry), Frame::End(_)] => Ok(Id::of(entry)),
        other => panic!("{other:?}"),
    }
}

fn is_refused(answer: &[Vec<u8>]) -> bool {
    answer.iter().any(|frame| matches!(Frame::read(frame), Ok(Frame::Refusal(Refusal::NoAdvance))))
}

fn bytes(world: &World, host: HostId, tree: Id, id: Id) -> Vec<u8> {
    world.snapshot(host).entry(&tree, &id).unwrap().expect("it is held").bytes().to_vec()
}

fn is_shared(world: &World, host: HostId, tree: Id, id: Id) -> bool {
    world.snapshot(host).headers(&tree, &[id]).unwrap()[0].expect("it is held").shared
}

fn revoke(world: &mut World, host: HostId, tree: Id, whom: HostId) -> Position {
    let (key, secret) = (world.key(whom), world.secret(host));
    let draft = Draft::new(world.snapshot(host), tree, secret.public(), [0; 32]);
    draft.store::<SettingsStore>(SETTINGS).unwrap().revoke(Who::Key(key)).unwrap();
    let changes = draft.finish().unwrap();
    let commit = Commit { tree, key: secret, stores: changes.stores, paths: changes.touched };
    match world.run(host, Command::Commit(commit)).unwrap() {
        Reply::Committed(position) => position,
        reply => panic!("{reply:?}"),
    }
}

#[test]
fn whoever_may_only_read_makes_no_node_sign_anything() {
    let key = device().public();
    for (who, asks) in [(Who::Everyone, None), (Who::Everyone, Some(key)), (Who::Key(key), Some(key))] {
        let (mut world, host, other, tree) = two(&[(who, Permission::Read)]);
        let first = world.write(host, tree, "a", "1").unwrap();
        let second = world.write(host, tree, "a", "2").unwrap();
        let third = world.write(host, tree, "a", "3").unwrap();
        world.sync(other, host, tree).unwrap();
        let theirs = world.write(other, tree, "b", "1").unwrap();
        world.sync(other, host, tree).unwrap();
        let last = world.write(host, tree, "a", "4").unwrap();
        let before = (world.count(host, tree), world.tips(host, tree));
        for _ in 0..10 {
            // What the node has signed long ago serves as far as it can.
            assert_eq!(relieved(&mut world, host, asks, tree, &[]), Ok(last.id));
            assert_eq!(relieved(&mut world, host, asks, tree, &[first]), Ok(second.id));
            assert_eq!(relieved(&mut world, host, asks, tree, &[second]), Ok(third.id));
            assert_eq!(relieved(&mut world, host, asks, tree, &[theirs]), Ok(last.id));
            for base in [&[third][..], &[last], &[first, third]] {
                assert_eq!(relieved(&mut world, host, asks, tree, base), Err(Refusal::NoAdvance));
            }
        }
        assert_eq!((world.count(host, tree), world.tips(host, tree)), before, "{who:?}");
    }
}

#[test]
fn whoever_may_write_is_given_so_many_merges_and_then_told_to_wait() {
    let key = device().public();
    let (mut world, host, _, tree) =
        two(&[(Who::Key(key), Permission::Write(7)), (Who::Everyone, Permission::Write(8))]);
    let bases = [world.write(host, tree, "a", "1").unwrap(), world.write(host, tree, "a", "2").unwrap()];
    world.write(host, tree, "a", "3").unwrap();
    let before = world.count(host, tree);
    let mut merges = 0;
    let busy = loop {
        match relieved(&mut world, host, Some(key), tree, &[bases[merges % 2]]) {
            Ok(_) => merges += 1,
            Err(refusal) => break refusal,
        }
        assert!(merges < 1_000, "without end");
    };
    let Refusal::Busy { delay } = busy else { panic!("{busy:?}") };
    assert!(delay > 0 && merges >= usize::try_from(MERGES).unwrap(), "{merges}");
    assert!(world.count(host, tree) <= before + u64::from(MERGES) + 1);
    // Somebody else is not kept waiting for that.
    let other = Some(SecretKey::from_bytes([8; 32]).public());
    assert!(relieved(&mut world, host, other, tree, &bases[..1]).is_ok());
}

#[test]
fn a_board_that_may_only_read_goes_on_as_far_as_the_node_writes_itself() {
    let key = device();
    let (mut world, host, other, tree) = two(&[(Who::Key(key.public()), Permission::Read)]);
    let mut board = Board::new(tree, &[world.key(host)]);
    board.key = key;
    let (mut bases, mut refused) = (0, 0);
    for n in 0..100 {
        world.write(host, tree, "a", i64::from(n)).unwrap();
        if n % 3 > 0 {
            continue;
        }
        let before = board.holding.clone();
        match board.contact(&mut world, host, NEVER) {
            Ended::Done(Outcome::Equal(totals)) => bases += totals.advanced,
            Ended::Done(Outcome::Refused(Refusal::NoAdvance)) => {
                assert_eq!(board.holding, before, "it keeps what it has");
                refused += 1;
            }
            ended => panic!("{ended:?}"),
        }
    }
    assert!(bases >= 2 && refused <= bases, "{bases} bases, refused {refused} times");
    // The root, a grant and what was written: nothing was signed for the board.
    let written = world.count(host, tree);
    assert!(written <= 102, "{written}");
    world.write(host, tree, "a", "last").unwrap();
    while board.holding.tips().collect::<Vec<_>>() != world.tips(host, tree) {
        assert!(board.contact(&mut world, host, NEVER).is_equal());
    }
    // More than fits by others alone: no entry of the node's stands on what the board holds.
    world.sync(other, host, tree).unwrap();
    for n in 0..RING {
        world.write(other, tree, "b", i64::try_from(n).unwrap()).unwrap();
    }
    world.sync(other, host, tree).unwrap();
    let stuck = board.contact(&mut world, host, NEVER);
    assert_eq!(stuck, Ended::Done(Outcome::Refused(Refusal::NoAdvance)));
    // A board that begins anew is given the newest that the node has signed.
    let last = world.write(host, tree, "a", "really last").unwrap();
    let mut anew = Board::new(tree, &[world.key(host)]);
    anew.key = board.key.clone();
    assert!(anew.contact(&mut world, host, NEVER).is_equal());
    assert_eq!(anew.holding.base(), [last]);
}

#[test]
fn no_merge_is_written_over_what_does_not_count() {
    let key = device().public();
    for permission in [Permission::Write(7), Permission::Read] {
        let (mut world, host, other, tree) = two(&[(Who::Key(key), permission)]);
        let first = world.write(host, tree, "a", "1").unwrap();
        world.sync(other, host, tree).unwrap();
        world.write(host, tree, "a", "2").unwrap();
        let backdated = world.write(other, tree, "b", "1").unwrap();
        let brings = [bytes(&world, other, tree, backdated.id)];
        revoke(&mut world, host, tree, other);
        let held = (world.count(host, tree), world.tips(host, tree));
        for room in [0, 1] {
            // As a part of the ring, and then as the base.
            let whole = have(tree, &[first], room);
            let told = answer(&mut world, host, Some(key), &whole, &[backdated.id], &brings);
            assert!(is_refused(&told), "{told:?}");
            assert_eq!(relieved(&mut world, host, Some(key), tree, &[backdated]), Err(Refusal::NoAdvance));
        }
        assert!(!is_shared(&world, host, tree, backdated.id));
        assert_eq!((world.count(host, tree), world.tips(host, tree)), held);
        // On what counts the same device is given what it asks for.
        let merged = relieved(&mut world, host, Some(key), tree, &[first]);
        assert!(merged.is_ok());
        assert_eq!(world.count(host, tree) > held.0, permission.writes());
    }
}

#[test]
fn a_board_whose_ring_holds_what_was_masked_hears_of_the_revocation_and_goes_on() {
    let key = device();
    let mut world = World::new(1);
    let [ann, dan, bob] = [(); 3].map(|()| world.host());
    let writes = [Who::Key(world.key(bob)), Who::Key(world.key(dan)), Who::Key(key.public())];
    let tree = world.create_with(ann, "shed", writes.map(|who| (who, Permission::Write(5))).to_vec());
    for host in [dan, bob] {
        world.sync(host, ann, tree).unwrap();
    }
    let mut board = Board::new(tree, &[world.key(ann), world.key(dan)]);
    board.key = key;
    let masked = world.write(bob, tree, "b", "1").unwrap();
    world.sync(bob, dan, tree).unwrap();
    assert!(board.contact(&mut world, dan, NEVER).is_equal());
    assert!(board.holding.holds(&masked.id));
    let revocation = revoke(&mut world, ann, tree, bob);
    // It brings what it has, and hears of the revocation, although what it brought does not count.
    assert!(board.contact(&mut world, ann, NEVER).is_equal());
    assert!(board.holding.holds(&revocation.id));
    assert!(!is_shared(&world, ann, tree, masked.id));
    // Nobody signs over it for the board, which is told so; what the board signs itself stands on it and counts.
    board.holding.ask_relief();
    let told = board.contact(&mut world, ann, NEVER);
    assert_eq!(told, Ended::Done(Outcome::Refused(Refusal::NoAdvance)));
    assert!(!is_shared(&world, ann, tree, masked.id));
    board.write("t", 1).unwrap();
    assert!(board.contact(&mut world, ann, NEVER).is_equal());
    assert!(board.holding.ring().is_empty(), "it was relieved");
    assert_eq!(world.value(ann, tree, "b"), None, "and what is masked is hidden");
}

#[test]
fn how_far_a_node_reads_for_a_device_is_bounded_in_bytes() {
    let key = device().public();
    // Bytes of the history that lies beside what is lacking, and whether who is granted something, and everybody, is
    // told what is lacking.
    for (entries, granted) in [(1, true), (10, true), (10, false), (80, true)] {
        let who = if granted { Who::Key(key) } else { Who::Everyone };
        let (mut world, host, other, tree) = two(&[(who, Permission::Read)]);
        let base = world.tips(host, tree)[0];
        let lacking = world.write(other, tree, "side", "1").unwrap();
        let large = "x".repeat(240 * 1024);
        let mut high = base;
        for _ in 0..entries {
            high = world.write(host, tree, "large", large.as_str()).unwrap();
        }
        world.sync(other, host, tree).unwrap();
        let told = answer(&mut world, host, Some(key), &have(tree, &[base, high], 8), &[], &[]);
        let told: Vec<_> = told.iter().map(|bytes| Frame::read(bytes).expect("a frame")).collect();
        let is_told = match told.as_slice() {
            [Frame::Reply(..), Frame::Entries(sent), Frame::End(_)] => {
                assert_eq!((*sent).map(Id::of).collect::<Vec<_>>(), [lacking.id]);
                true
            }
            [Frame::Refusal(Refusal::NoAdvance)] => false,
            other => panic!("{other:?}"),
        };
        assert_eq!(is_told, entries == 1 || entries == 10 && granted, "{entries} {granted}");
    }
}

#[test]
fn a_request_of_a_partial_holder_has_the_limits_of_any_other() {
    let key = device().public();
    for (who, arrival, message, frame_limit) in [
        (Who::Key(key), Arrival::Streamed, MAX_MESSAGE, MAX_FRAME),
        (Who::Key(key), Arrival::Whole, MAX_BATCH_BYTES, MAX_FRAME),
        (Who::Everyone, Arrival::Streamed, MAX_MESSAGE, STRANGER_FRAME),
    ] {
        let (mut world, host, other, tree) = two(&[(who, Permission::Read)]);
        world.arrival = arrival;
        let told = answer(&mut world, host, Some(key), &have(tree, &[], 8), &[], &[]);
        let Ok(Frame::Reply(Head { limits, .. }, _)) = Frame::read(&told[0]) else { panic!("{told:?}") };
        let size = |bytes: usize| u32::try_from(bytes).unwrap();
        assert_eq!(limits, PeerLimits { frame: size(frame_limit), message: size(message) });
        // So much, and no more, is taken.
        let large = "x".repeat(240 * 1024);
        let all: Vec<_> = (0..=message / large.len())
            .map(|_| {
                let position = world.write(other, tree, "large", large.as_str()).unwrap();
                entries(&[bytes(&world, other, tree, position.id)])
            })
            .collect();
        for count in [all.len() - 2, all.len()] {
            let head = frame(Kind::Have, &have(tree, &[], 8), [(); 0]);
            let brought = all[..count].iter().cloned();
            let request = core::iter::once(head).chain(brought).chain([end()]);
            let told = world.ask(host, key, request).expect("an answer");
            let refused = matches!(Frame::read(&told[0]), Ok(Frame::Refusal(Refusal::Malformed { .. })));
            assert_eq!(refused, count == all.len(), "{count} entries: {limits:?}");
        }
    }
}
