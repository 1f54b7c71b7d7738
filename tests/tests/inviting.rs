//! Invites between nodes: made, redeemed, counted, revoked; and what strangers may not do with them.

use std::{sync::Arc, time::Duration};

use pleach_core::{
    Id, PublicKey, SecretKey,
    document::{Draft, SettingsStore},
    entry::{Permission, SETTINGS, Value, Who},
    instance::{DEFAULT_INVITE_VALIDITY, Error, InviteOptions, RootKey, revoke_invite},
    node::{
        Command, Commit, InviteInfo, Petition, Reply, RequestStatus, decided_requests, invites,
        pending_requests, record_revocation,
    },
    storage::StorageError,
    wire::{
        Ask, AskOutcome, Frame, Invitation, Invite, Kind, MAX_INVITE_USES, MAX_INVITE_VALIDITY, Redemption,
        Refusal, Versions, write,
    },
};
use pleach_storage::Memory;
use pleach_tests::{
    spy::{Notes, Spy},
    world::{HostId, World},
};

const YEARS: i64 = 10 * 365 * 24 * 60 * 60 * 1_000;
const WRITE: Permission = Permission::Write(100);
const APPROVED: AskOutcome = AskOutcome::Approved(WRITE);

/// Alice with a tree of her own, and Bob.
fn pair(seed: u64) -> (World, HostId, HostId, Id) {
    let mut world = World::new(seed);
    let (alice, bob) = (world.host(), world.host());
    let tree = world.create(alice, "notes");
    (world, alice, bob, tree)
}

fn draft(world: &World, host: HostId, tree: Id) -> Draft {
    Draft::new(world.snapshot(host), tree, world.key(host), [0; 32])
}

fn commit(draft: &Draft, key: SecretKey) -> Command {
    let changes = draft.finish().unwrap();
    Command::Commit(Commit { tree: draft.tree(), key, stores: changes.stores, paths: changes.touched })
}

fn settings(world: &mut World, host: HostId, tree: Id, change: impl FnOnce(&SettingsStore)) {
    let draft = draft(world, host, tree);
    change(&draft.store(SETTINGS).unwrap());
    let command = commit(&draft, world.secret(host));
    world.run(host, command).unwrap();
}

/// An invite by a host, made as the runtimes do it.
fn invite(world: &mut World, host: HostId, tree: Id, options: &InviteOptions, secret: u8) -> Invitation {
    let draft = draft(world, host, tree);
    let (key, wall) = (world.secret(host), world.wall(host));
    let invitation = options.invite(&draft, &key, [secret; 32], wall).unwrap();
    world.run(host, commit(&draft, key)).unwrap();
    invitation
}

/// For one writer.
fn for_one(world: &mut World, host: HostId, tree: Id) -> Invitation {
    invite(world, host, tree, &InviteOptions::new(WRITE), 7)
}

fn revoke(world: &mut World, host: HostId, tree: Id, id: &Id) {
    let draft = draft(world, host, tree);
    assert_eq!(revoke_invite(&draft, id), Ok(true));
    let command = commit(&draft, world.secret(host));
    world.run(host, command).unwrap();
}

fn asking(world: &World, with: HostId, tree: Id, invite: &Invitation) -> Command {
    let (address, permission) = (world.address(with), invite.invite().permission);
    let (name, metadata, invite) = ("Bob".into(), Vec::new(), Some(Box::new(invite.clone())));
    Command::Ask {
        addresses: vec![address],
        tree,
        petition: Petition { permission, name, metadata, invite, hold: 0 },
    }
}

fn redeem(world: &mut World, host: HostId, with: HostId, invite: &Invitation) -> AskOutcome {
    let command = asking(world, with, invite.invite().tree, invite);
    match world.run(host, command) {
        Ok(Reply::Asked(outcome, _)) => outcome,
        other => panic!("not the reply to an access request: {other:?}"),
    }
}

/// The frame that redeems.
fn frame(tree: Id, redemption: Redemption) -> Vec<u8> {
    let (permission, name) = (Permission::Read, "Eve".try_into().unwrap());
    let ask = Ask { versions: Versions::OURS, tree, permission, name, invite: Some(redemption), hold: 0 };
    let mut room = [0; 1_024];
    let length = write(Kind::Ask, &ask, *b"please", &mut room).expect("it fits");
    room[..length].to_vec()
}

/// What a host answers to a frame of somebody who is no host.
fn answer(world: &mut World, host: HostId, key: PublicKey, frame: Vec<u8>) -> AskOutcome {
    let answer = world.ask(host, key, [frame]).unwrap();
    match Frame::read(&answer[0]) {
        Ok(Frame::Asked(asked)) => asked.outcome,
        other => panic!("not the answer to an access request: {other:?}"),
    }
}

fn held(world: &World, host: HostId, tree: Id, key: PublicKey) -> Option<Permission> {
    world.snapshot(host).permission(&tree, &Who::Key(key)).unwrap()
}

fn listed(world: &World, host: HostId, tree: Id) -> InviteInfo {
    let mut all = invites(&*world.snapshot(host), &tree).unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn pending(world: &World, host: HostId) -> usize {
    pending_requests(&*world.snapshot(host)).unwrap().len()
}

fn decided(world: &World, host: HostId) -> Vec<(PublicKey, RequestStatus)> {
    let decided = decided_requests(&*world.snapshot(host)).unwrap();
    decided.into_iter().map(|request| (request.key, request.status)).collect()
}

fn stranger(n: u8) -> SecretKey {
    SecretKey::from_bytes([n; 32])
}

#[test]
fn whoever_redeems_an_invite_is_in_at_once() {
    let (mut world, alice, bob, tree) = pair(1);
    let invite = for_one(&mut world, alice, tree);
    assert!(listed(&world, alice, tree).is_open(world.wall(alice)));
    assert_eq!(redeem(&mut world, bob, alice, &invite), APPROVED);
    world.sync(bob, alice, tree).unwrap();
    world.write(bob, tree, "greeting", "hello").unwrap();

    let info = listed(&world, alice, tree);
    assert_eq!((&info.invite, info.revoked), (invite.invite(), None));
    let [used] = info.used[..] else { panic!("{info:?}") };
    assert_eq!((used.key, used.by), (world.key(bob), world.key(alice)));
    assert_eq!(listed(&world, bob, tree), info, "all who read the settings count the same");
    let [(key, RequestStatus::Approved { by, permission, .. })] = decided(&world, alice)[..] else {
        panic!()
    };
    assert_eq!((key, by, permission), (world.key(bob), world.key(alice), WRITE));
    let members = world.snapshot(alice).members(&tree).unwrap();
    assert!(members.iter().any(|member| member.name.as_deref() == Some("Bob")), "{members:?}");
}

#[test]
fn the_same_key_redeems_as_often_as_it_likes_and_gets_one_grant() {
    let (mut world, alice, bob, tree) = pair(2);
    let invite = for_one(&mut world, alice, tree);
    redeem(&mut world, bob, alice, &invite);
    let count = world.count(alice, tree);
    for skew in [0, YEARS] {
        world.skew(alice, skew);
        assert_eq!(redeem(&mut world, bob, alice, &invite), APPROVED, "even when it has expired");
    }
    world.skew(alice, 0);
    revoke(&mut world, alice, tree, &invite.invite().id());
    assert_eq!(redeem(&mut world, bob, alice, &invite), APPROVED, "who is in stays in");
    assert_eq!(world.count(alice, tree), count + 1, "nothing was granted again");
    assert_eq!(listed(&world, alice, tree).used.len(), 1);
}

#[test]
fn an_invite_for_one_key_lets_no_second_one_in_and_leaves_its_request_to_people() {
    let (mut world, alice, bob, tree) = pair(3);
    let invite = for_one(&mut world, alice, tree);
    redeem(&mut world, bob, alice, &invite);
    world.restart(alice);
    let eve = world.host();
    assert_eq!(redeem(&mut world, eve, alice, &invite), AskOutcome::Received);
    assert_eq!(held(&world, alice, tree, world.key(eve)), None);
    assert_eq!((pending(&world, alice), listed(&world, alice, tree).used.len()), (1, 1));
}

#[test]
fn an_invite_for_several_keys_is_counted_over_restarts() {
    let (mut world, alice, _, tree) = pair(4);
    let invite = invite(&mut world, alice, tree, &InviteOptions::new(Permission::Read).uses(3), 7);
    let outcomes: Vec<_> = (10..15)
        .map(|n| {
            world.restart(alice);
            let key = stranger(n).public();
            answer(&mut world, alice, key, frame(tree, invite.redeem(key)))
        })
        .collect();
    let read = AskOutcome::Approved(Permission::Read);
    assert_eq!(outcomes, [read, read, read, AskOutcome::Received, AskOutcome::Received]);
    assert_eq!((listed(&world, alice, tree).used.len(), pending(&world, alice)), (3, 2));
}

#[test]
fn two_who_redeem_the_last_use_at_the_same_moment_are_not_both_let_in() {
    for seed in 0..20 {
        let (mut world, alice, bob, tree) = pair(seed);
        let invite = for_one(&mut world, alice, tree);
        let eve = world.host();
        let asking = asking(&world, alice, tree, &invite);
        let commands = [(bob, world.command(bob, asking.clone())), (eve, world.command(eve, asking))];
        world.settle();
        let mut outcomes = commands.map(|(host, id)| match world.outcome(host, id) {
            Some(Ok(Reply::Asked(outcome, _))) => outcome,
            other => panic!("{other:?}"),
        });
        outcomes.sort_by_key(|outcome| *outcome == APPROVED);
        assert_eq!(outcomes, [AskOutcome::Received, APPROVED]);
        assert_eq!(listed(&world, alice, tree).used.len(), 1);
    }
}

#[test]
fn no_use_is_written_on_top_of_the_revocation_that_forbids_it() {
    let mut orders = [0, 0];
    for seed in 0..40 {
        let (mut world, alice, bob, tree) = pair(100 + seed);
        let invite = for_one(&mut world, alice, tree);
        let draft = draft(&world, alice, tree);
        record_revocation(&draft, &invite.invite().id()).unwrap();
        let (revoking, key) = (draft, world.secret(alice));
        let asking = asking(&world, alice, tree, &invite);
        let asked = world.command(bob, asking);
        for _ in 0..seed % 20 {
            world.step();
        }
        let Ok(Reply::Committed(revoked)) = world.run(alice, commit(&revoking, key)) else { panic!() };
        world.settle();
        let Some(Ok(Reply::Asked(outcome, _))) = world.outcome(bob, asked) else { panic!() };
        let used = !listed(&world, alice, tree).used.is_empty();
        assert_eq!(outcome == APPROVED, used);
        // Alone in its tree, the revocation is the third entry unless the use came before it.
        assert_eq!(used, revoked.height == 3, "{revoked:?}");
        orders[usize::from(used)] += 1;
    }
    assert!(orders.iter().all(|times| *times > 0), "both orders were seen: {orders:?}");
}

#[test]
fn an_invite_expires_by_the_clock_of_whoever_takes_it_whichever_way_that_is_wrong() {
    let (mut world, alice, _, tree) = pair(5);
    let longest = Duration::from_millis(MAX_INVITE_VALIDITY);
    let options = InviteOptions::new(WRITE).uses(9).valid_for(longest);
    let invite = invite(&mut world, alice, tree, &options, 7);
    let week = i64::try_from(DEFAULT_INVITE_VALIDITY).unwrap();
    let year = i64::try_from(MAX_INVITE_VALIDITY).unwrap();
    for (n, skew) in [(10, -YEARS), (11, -week), (12, year), (13, YEARS)] {
        world.skew(alice, skew);
        let key = stranger(n).public();
        let outcome = answer(&mut world, alice, key, frame(tree, invite.redeem(key)));
        assert_eq!((outcome, held(&world, alice, tree, key)), (AskOutcome::Received, None), "{skew}");
    }
    // A clock that was wrong has broken nothing, and the asker's own plays no part.
    world.skew(alice, 0);
    let bob = world.host();
    world.skew(bob, -YEARS);
    assert_eq!(redeem(&mut world, bob, alice, &invite), APPROVED);
}

#[test]
fn a_revoked_invite_lets_nobody_in() {
    let (mut world, alice, bob, tree) = pair(6);
    let invite = for_one(&mut world, alice, tree);
    revoke(&mut world, alice, tree, &invite.invite().id());
    assert_eq!(redeem(&mut world, bob, alice, &invite), AskOutcome::Received);
    assert_eq!(held(&world, alice, tree, world.key(bob)), None);
    let info = listed(&world, alice, tree);
    assert_eq!(info.revoked, Some(world.key(alice)));
    assert!(!info.is_open(world.wall(alice)));
    let draft = draft(&world, alice, tree);
    assert_eq!(revoke_invite(&draft, &invite.invite().id()), Ok(false), "it is revoked already");
    let unknown = Id::of(b"no invite");
    assert_eq!(revoke_invite(&draft, &unknown), Err(Error::NoInvite(unknown)));
}

/// Alice made the tree; Carol is an administrator below her, and holds it.
fn with_carol(seed: u64) -> (World, HostId, HostId, HostId, Id) {
    let mut world = World::new(seed);
    let (alice, bob, carol) = (world.host(), world.host(), world.host());
    let grant = (Who::Key(world.key(carol)), Permission::Admin(5));
    let tree = world.create_with(alice, "notes", vec![grant]);
    world.sync(carol, alice, tree).unwrap();
    (world, alice, bob, carol, tree)
}

#[test]
fn an_invite_is_worth_nothing_once_its_maker_administers_no_more() {
    let (mut world, alice, bob, carol, tree) = with_carol(7);
    let invite = for_one(&mut world, carol, tree);
    world.sync(carol, alice, tree).unwrap();
    let who = Who::Key(world.key(carol));
    settings(&mut world, alice, tree, |settings| settings.revoke(who).unwrap());
    assert_eq!(redeem(&mut world, bob, alice, &invite), AskOutcome::Received);
    // Not even if a rank is left that could never have made it.
    settings(&mut world, alice, tree, |settings| settings.grant(who, WRITE, None).unwrap());
    assert_eq!(redeem(&mut world, bob, alice, &invite), AskOutcome::Received);
    assert_eq!(held(&world, alice, tree, world.key(bob)), None);
    // The rank comes back, and the promise with it.
    settings(&mut world, alice, tree, |settings| settings.grant(who, Permission::Admin(9), None).unwrap());
    assert_eq!(redeem(&mut world, bob, alice, &invite), APPROVED);
}

#[test]
fn nobody_promises_as_much_as_they_hold() {
    let (mut world, alice, bob, carol, tree) = with_carol(8);
    let options = InviteOptions::new(Permission::Admin(5));
    let refused = options.invite(&draft(&world, carol, tree), &world.secret(carol), [7; 32], 0).unwrap_err();
    assert!(matches!(refused, Error::InviteRank { most: Permission::Admin(6), .. }), "{refused:?}");
    assert!(refused.is_permission_denied());
    let key = world.secret(bob);
    let refused = options.invite(&draft(&world, alice, tree), &key, [7; 32], 0).unwrap_err();
    assert_eq!(refused, Error::NotAdministrator { tree, key: key.public() });
    // Made past all of that, it is worth nothing.
    for by in [world.secret(carol), world.secret(bob)] {
        let forged = Invitation::sign(&by, tree, stranger(7), Permission::Admin(5), 1, world.wall(alice) + 9);
        assert_eq!(redeem(&mut world, bob, alice, &forged.unwrap()), AskOutcome::Received);
    }
    assert_eq!(held(&world, alice, tree, world.key(bob)), None);
    let draft = draft(&world, alice, tree);
    let make = |options: InviteOptions| options.invite(&draft, &world.secret(alice), [7; 32], 0);
    for uses in [0, MAX_INVITE_USES + 1] {
        assert_eq!(make(InviteOptions::new(WRITE).uses(uses)), Err(Error::InviteUses(uses)));
    }
    for validity in [0, MAX_INVITE_VALIDITY + 1] {
        let options = InviteOptions::new(WRITE).valid_for(Duration::from_millis(validity));
        assert_eq!(make(options), Err(Error::InviteValidity(validity)));
    }
}

#[test]
fn who_takes_an_invite_must_be_above_what_it_grants() {
    let (mut world, alice, bob, carol, tree) = with_carol(9);
    let high = invite(&mut world, alice, tree, &InviteOptions::new(Permission::Admin(4)), 7);
    world.sync(carol, alice, tree).unwrap();
    assert_eq!(redeem(&mut world, bob, carol, &high), AskOutcome::Received, "not hers to grant");
    assert_eq!(redeem(&mut world, bob, alice, &high), AskOutcome::Approved(Permission::Admin(4)));
}

#[test]
fn a_node_that_keeps_the_root_key_grants_with_it_what_its_own_key_may_not() {
    let (mut world, alice, bob, tree) = pair(10);
    let root = RootKey::held(&*world.snapshot(alice), &tree).unwrap().unwrap();
    let expires = world.wall(alice) + 1_000;
    let top = Invitation::sign(root.key(), tree, stranger(7), Permission::Admin(0), 1, expires).unwrap();
    assert_eq!(redeem(&mut world, bob, alice, &top), AskOutcome::Approved(Permission::Admin(0)));
    let [used] = listed(&world, alice, tree).used[..] else { panic!() };
    assert_eq!(used.by, root.key().public());
    // Without the root key it grants what its own may.
    world.run(alice, RootKey::forget(&tree)).unwrap();
    let (eve, dave) = (world.host(), world.host());
    let top = Invitation::sign(root.key(), tree, stranger(8), Permission::Admin(0), 1, expires).unwrap();
    assert_eq!(redeem(&mut world, eve, alice, &top), AskOutcome::Received);
    let lower = Invitation::sign(root.key(), tree, stranger(9), Permission::Admin(1), 1, expires).unwrap();
    assert_eq!(redeem(&mut world, dave, alice, &lower), AskOutcome::Approved(Permission::Admin(1)));
}

#[test]
fn what_was_changed_stolen_or_made_for_another_tree_lets_nobody_in() {
    let (mut world, alice, _, tree) = pair(11);
    let other = world.create(alice, "diary");
    let invite = for_one(&mut world, alice, tree);
    let (bob, eve) = (stranger(20).public(), stranger(21).public());
    let good = invite.redeem(bob);
    let raised = Invite { permission: Permission::Admin(1), ..good.invite };
    let moved = Invite { tree: other, ..good.invite };
    let attacks = [
        ("a raised permission", bob, tree, Redemption { invite: raised, ..good }),
        ("a raised permission, redeemed anew", bob, tree, Redemption::sign(raised, &stranger(7), bob)),
        ("another key than the one that redeemed", eve, tree, good),
        ("another invite's secret", eve, tree, Redemption::sign(good.invite, &stranger(8), eve)),
        ("another tree", bob, other, good),
        ("moved to another tree", bob, other, Redemption::sign(moved, &stranger(7), bob)),
    ];
    for (attack, key, tree, redemption) in attacks {
        assert_eq!(answer(&mut world, alice, key, frame(tree, redemption)), AskOutcome::Received, "{attack}");
        assert_eq!(held(&world, alice, tree, key), None, "{attack}");
    }
    assert_eq!(answer(&mut world, alice, bob, frame(tree, good)), APPROVED, "unharmed by the attempts");
    // Seen on the way by Eve, it is still Bob's alone.
    assert_eq!(answer(&mut world, alice, eve, frame(tree, good)), AskOutcome::Received);
}

#[test]
fn invites_that_are_worth_nothing_are_answered_alike_and_cost_the_same() {
    let mut world = World::new(12);
    let notes = Notes::default();
    let (alice, bob) = (world.host_over(Arc::new(Spy::new(Memory::new(), &notes))), world.host());
    let tree = world.create(alice, "notes");
    // A tree that Alice may write and not administer; the invite to it is good elsewhere.
    let who = Who::Key(world.key(alice));
    let theirs = world.create_with(bob, "theirs", vec![(who, Permission::Write(0))]);
    world.sync(alice, bob, theirs).unwrap();
    let (alices, bobs, wall) = (world.secret(alice), world.secret(bob), world.wall(alice));
    let revoked = invite(&mut world, alice, tree, &InviteOptions::new(WRITE), 8);
    revoke(&mut world, alice, tree, &revoked.invite().id());
    let spent = invite(&mut world, alice, tree, &InviteOptions::new(WRITE), 9);
    let first = stranger(22).public();
    assert_eq!(answer(&mut world, alice, first, frame(tree, spent.redeem(first))), APPROVED);

    let key = stranger(20).public();
    let sign = |by: &SecretKey, tree, expires| {
        Invitation::sign(by, tree, stranger(7), WRITE, 1, expires).unwrap().redeem(key)
    };
    let unknown = Id::of(b"no such tree");
    let stolen = Invitation::sign(&alices, tree, stranger(7), WRITE, 1, wall + 9).unwrap().redeem(first);
    let worthless = [
        ("unknown", unknown, sign(&alices, unknown, wall + 9_999)),
        ("not administered here", theirs, sign(&bobs, theirs, wall + 9_999)),
        ("expired", tree, sign(&alices, tree, wall)),
        ("revoked", tree, revoked.redeem(key)),
        ("used up", tree, spent.redeem(key)),
        ("by nobody", tree, sign(&bobs, tree, wall + 9_999)),
        ("stolen", tree, stolen),
    ];
    let mut seen = Vec::new();
    for (_, tree, redemption) in worthless.iter().chain(&worthless) {
        notes.take();
        let answer = world.ask(alice, key, [frame(*tree, *redemption)]).unwrap();
        seen.push((answer, notes.take()));
    }
    assert!(seen[0].1.iter().any(|note| note == "rows"), "the store was watched: {:?}", seen[0]);
    for (request, (what, ..)) in seen.iter().zip(worthless.iter().chain(&worthless)) {
        assert_eq!(request, &seen[0], "{what}");
    }
}

#[test]
fn a_disk_that_fails_leaves_neither_the_grant_nor_the_note() {
    let (mut world, alice, bob, tree) = pair(13);
    let invite = for_one(&mut world, alice, tree);
    let before = world.tips(alice, tree);
    world.disk(alice, Some(StorageError::Full));
    let key = world.key(bob);
    let answer = world.ask(alice, key, [frame(tree, invite.redeem(key))]).unwrap();
    assert_eq!(Frame::read(&answer[0]), Ok(Frame::Refusal(Refusal::Failed)));
    world.disk(alice, None);
    assert_eq!((world.tips(alice, tree), decided(&world, alice)), (before, vec![]));
    assert_eq!(redeem(&mut world, bob, alice, &invite), APPROVED, "the line goes on after a failure");
}

#[test]
fn a_process_that_ends_in_the_middle_leaves_both_or_nothing() {
    let mut seen = [0, 0];
    for steps in 0..40 {
        let (mut world, alice, bob, tree) = pair(200 + steps);
        let invite = for_one(&mut world, alice, tree);
        let asking = asking(&world, alice, tree, &invite);
        let command = world.command(bob, asking);
        for _ in 0..steps {
            world.step();
        }
        world.restart(alice);
        world.settle();
        let granted = held(&world, alice, tree, world.key(bob)).is_some();
        assert_eq!(listed(&world, alice, tree).used.len(), usize::from(granted));
        assert_eq!(decided(&world, alice).len(), usize::from(granted));
        let answered = matches!(world.outcome(bob, command), Some(Ok(Reply::Asked(APPROVED, _))));
        assert!(granted || !answered, "answered, so it is durable");
        seen[usize::from(granted)] += 1;
        assert_eq!(redeem(&mut world, bob, alice, &invite), APPROVED);
        assert_eq!(listed(&world, alice, tree).used.len(), 1);
    }
    assert!(seen.iter().all(|times| *times > 0), "{seen:?}");
}

#[test]
fn administrators_who_are_apart_may_let_in_too_many_and_it_shows() {
    let (mut world, alice, bob, carol, tree) = with_carol(14);
    let invite = for_one(&mut world, alice, tree);
    let dave = world.host();
    // Carol has not even heard of the invite: its maker's signature is enough, and she notes it.
    assert_eq!(redeem(&mut world, dave, carol, &invite), APPROVED);
    assert_eq!(redeem(&mut world, bob, alice, &invite), APPROVED);
    assert!(!listed(&world, alice, tree).is_overused() && !listed(&world, carol, tree).is_overused());
    world.sync(carol, alice, tree).unwrap();
    for host in [alice, carol] {
        let info = listed(&world, host, tree);
        assert!(info.is_overused() && info.used.len() == 2, "{info:?}");
        for guest in [bob, dave] {
            assert_eq!(held(&world, host, tree, world.key(guest)), Some(WRITE), "what was granted stands");
        }
        let late = world.host();
        assert_eq!(redeem(&mut world, late, host, &invite), AskOutcome::Received);
    }
}

#[test]
fn what_one_administrator_revoked_another_learns_by_sync() {
    let (mut world, alice, bob, carol, tree) = with_carol(15);
    let invite = for_one(&mut world, alice, tree);
    world.sync(carol, alice, tree).unwrap();
    revoke(&mut world, carol, tree, &invite.invite().id());
    world.sync(carol, alice, tree).unwrap();
    assert_eq!(listed(&world, alice, tree).revoked, Some(world.key(carol)));
    assert_eq!(redeem(&mut world, bob, alice, &invite), AskOutcome::Received);
}

#[test]
fn nobody_takes_back_a_use_or_a_revocation_by_writing_over_it() {
    let (mut world, alice, bob, carol, tree) = with_carol(16);
    let spent = for_one(&mut world, alice, tree);
    redeem(&mut world, bob, alice, &spent);
    let revoked = invite(&mut world, alice, tree, &InviteOptions::new(Permission::Admin(1)), 8);
    revoke(&mut world, alice, tree, &revoked.invite().id());
    world.sync(carol, alice, tree).unwrap();
    let before = invites(&*world.snapshot(alice), &tree).unwrap();
    // Carol, who could never be made more than she is, wants the high invite back.
    settings(&mut world, carol, tree, |settings| {
        assert!(settings.delete("invites").unwrap());
    });
    settings(&mut world, carol, tree, |settings| {
        let id = revoked.invite().id();
        settings.set(&format!("invites.{id}.revoked"), false).unwrap();
        settings.set(&format!("invites.{id}.made"), Value::Bytes(vec![1, 2, 3])).unwrap();
        settings.set("invites.nonsense", 7).unwrap();
    });
    world.sync(carol, alice, tree).unwrap();
    assert_eq!(invites(&*world.snapshot(alice), &tree).unwrap(), before);
    let eve = world.host();
    for invite in [&spent, &revoked] {
        assert_eq!(redeem(&mut world, eve, alice, invite), AskOutcome::Received);
    }
}

#[test]
fn what_a_revoked_administrator_says_of_invites_apart_does_not_count() {
    let (mut world, alice, bob, carol, tree) = with_carol(22);
    let invite = for_one(&mut world, alice, tree);
    world.sync(carol, alice, tree).unwrap();
    let eve = world.host();
    assert_eq!(redeem(&mut world, eve, carol, &invite), APPROVED);
    revoke(&mut world, carol, tree, &invite.invite().id());
    let who = Who::Key(world.key(carol));
    settings(&mut world, alice, tree, |settings| settings.revoke(who).unwrap());
    // Carol has yet to hear that she is out; what she wrote comes, and is masked.
    let _ = world.sync(alice, carol, tree);
    let info = listed(&world, alice, tree);
    assert_eq!((info.revoked, info.used.len()), (None, 0), "{info:?}");
    assert_eq!(held(&world, alice, tree, world.key(eve)), None);
    assert_eq!(redeem(&mut world, bob, alice, &invite), APPROVED);
}

#[test]
fn only_administrators_revoke() {
    let (mut world, alice, bob, tree) = pair(17);
    let two = invite(&mut world, alice, tree, &InviteOptions::new(WRITE).uses(2), 7);
    redeem(&mut world, bob, alice, &two);
    world.sync(bob, alice, tree).unwrap();
    let id = two.invite().id();
    let refused = revoke_invite(&draft(&world, bob, tree), &id).unwrap_err();
    assert_eq!(refused, Error::NotAdministrator { tree, key: world.key(bob) });
    // Past that, the settings do not take it.
    let draft = draft(&world, bob, tree);
    record_revocation(&draft, &id).unwrap();
    let command = commit(&draft, world.secret(bob));
    assert!(world.run(bob, command).is_err());
    assert!(listed(&world, bob, tree).is_open(world.wall(bob)));
}

#[test]
fn who_was_let_in_and_revoked_does_not_come_back_by_the_same_invite() {
    let (mut world, alice, bob, tree) = pair(18);
    let two = invite(&mut world, alice, tree, &InviteOptions::new(WRITE).uses(2), 7);
    redeem(&mut world, bob, alice, &two);
    let who = Who::Key(world.key(bob));
    settings(&mut world, alice, tree, |settings| settings.revoke(who).unwrap());
    assert_eq!(redeem(&mut world, bob, alice, &two), AskOutcome::Received);
    assert_eq!(held(&world, alice, tree, world.key(bob)), None);
    assert_eq!(pending(&world, alice), 1, "they may ask people");
}

#[test]
fn who_holds_as_much_already_uses_nothing_up() {
    let mut world = World::new(19);
    let (alice, bob) = (world.host(), world.host());
    let tree = world.create_with(alice, "notes", vec![(Who::Key(world.key(bob)), Permission::Write(5))]);
    let invite = for_one(&mut world, alice, tree);
    assert_eq!(redeem(&mut world, bob, alice, &invite), APPROVED);
    assert_eq!(listed(&world, alice, tree).used, []);
    assert_eq!(held(&world, alice, tree, world.key(bob)), Some(Permission::Write(5)), "nor is it lowered");
}

#[test]
fn an_invite_goes_before_what_was_decided_about_the_same_words() {
    let (mut world, alice, bob, tree) = pair(20);
    let spent = for_one(&mut world, alice, tree);
    let first = world.host();
    redeem(&mut world, first, alice, &spent);
    redeem(&mut world, bob, alice, &spent);
    let id = pending_requests(&*world.snapshot(alice)).unwrap()[0].id;
    let by = world.key(alice);
    world.run(alice, Command::Decide { request: id, by, granted: None }).unwrap();
    assert_eq!(redeem(&mut world, bob, alice, &spent), AskOutcome::Rejected);
    let fresh = invite(&mut world, alice, tree, &InviteOptions::new(WRITE), 8);
    assert_eq!(redeem(&mut world, bob, alice, &fresh), APPROVED);
    let about_bob = decided(&world, alice).into_iter().find(|(key, _)| *key == world.key(bob));
    assert!(matches!(about_bob, Some((_, RequestStatus::Approved { .. }))), "{about_bob:?}");
}

#[test]
fn a_grant_comes_on_top_of_more_tips_than_an_entry_has_parents() {
    let mut world = World::new(21);
    let (alice, bob) = (world.host(), world.host());
    let tree = world.create_with(alice, "notes", vec![(Who::Everyone, Permission::Write(900))]);
    let invite = for_one(&mut world, alice, tree);
    let copies: Vec<HostId> = (0..40).map(|_| world.host()).collect();
    for copy in &copies {
        world.sync(*copy, alice, tree).unwrap();
        world.write(*copy, tree, "n", "apart").unwrap();
    }
    for copy in &copies {
        world.sync(*copy, alice, tree).unwrap();
    }
    assert!(world.tips(alice, tree).len() > 32);
    assert_eq!(redeem(&mut world, bob, alice, &invite), APPROVED);
    assert_eq!(world.tips(alice, tree).len(), 1);
    assert_eq!(held(&world, alice, tree, world.key(bob)), Some(WRITE));
}

#[test]
fn the_invite_that_the_protocol_shows_reads_as_it_says() {
    let tree = Id::from_bytes([1; 32]);
    let seed = |byte| SecretKey::from_bytes([byte; 32]);
    let invitation = Invitation::sign(&seed(2), tree, seed(3), WRITE, 1, 86_400_000).unwrap();
    let page = include_str!("../../docs/protocol.md");
    let shown = format!("```text\n{}\n{}\n```", invitation.invite().id(), invitation.to_text());
    assert!(page.contains(&shown), "docs/protocol.md should show\n{shown}");
}
