//! The rule, case by case.

use std::{vec, vec::Vec};

use super::world::{Says, World, key, who};
use crate::{
    Id, Position,
    access::{Authority, Refusal, Verdict, may_read, members, permission_of},
    entry::Permission::{self, Admin, Read, Write},
};

fn merge(author: u8, parents: &[Position]) -> Says {
    Says { author, parents: parents.to_vec(), settings: None }
}

fn grants(author: u8, parents: &[Position], given: &[(Option<u8>, Permission)]) -> Says {
    Says { author, parents: parents.to_vec(), settings: Some((given.to_vec(), Vec::new())) }
}

fn revokes(author: u8, parents: &[Position], names: &[Option<u8>]) -> Says {
    Says { author, parents: parents.to_vec(), settings: Some((Vec::new(), names.to_vec())) }
}

#[track_caller]
fn refused(world: &World, says: &Says, refusal: Refusal) {
    assert_eq!(world.verdict(says), Verdict::Refused(refusal));
}

#[track_caller]
fn stands(world: &World, says: &Says) {
    assert!(matches!(world.verdict(says), Verdict::Stands(_)), "{:?}", world.verdict(says));
}

fn stranger(number: u8) -> Refusal {
    Refusal::NoPermission { author: key(number).public() }
}

/// 1 administers at the top, 2 and 3 below it as equals, 4 writes, 5 reads.
fn team() -> (World, Position) {
    let named = [(1, Admin(0)), (2, Admin(5)), (3, Admin(5)), (4, Write(10)), (5, Read)];
    let (world, root) = World::new(&named.map(|(number, given)| (Some(number), given)));
    (world, root.position())
}

#[test]
fn an_entry_needs_its_parents_its_height_and_its_tree() {
    let (world, root) = team();
    let (a, b) = (Id::of(b"a"), Id::of(b"b"));
    let mut missing = vec![a, b];
    missing.sort();
    let unknown = [a, b].map(|id| Position { height: 7, id });
    assert_eq!(world.verdict(&merge(4, &[root, unknown[0], unknown[1]])), Verdict::Missing(missing));
    let lied = Position { height: 8, ..root };
    refused(&world, &merge(4, &[lied]), Refusal::WrongHeight { expected: 1, claimed: 9 });
    let elsewhere = merge(4, &[root]).sign(crate::entry::Origin::Tree(a), 1);
    let verdict = crate::access::judge(&world, &elsewhere.view()).unwrap();
    assert_eq!(verdict, Verdict::Refused(Refusal::WrongTree { claimed: a }));
}

#[test]
fn each_permission_allows_what_it_says() {
    let (world, root) = team();
    stands(&world, &merge(4, &[root]));
    refused(&world, &merge(5, &[root]), Refusal::ReadOnly { author: key(5).public() });
    refused(&world, &merge(6, &[root]), stranger(6));
    let needs_admin = Refusal::SettingsNeedAdmin { author: key(4).public(), has: Write(10) };
    refused(&world, &revokes(4, &[root], &[]), needs_admin);
    for granted in [Read, Write(10), Admin(0)] {
        refused(&world, &grants(4, &[root], &[(Some(6), granted)]), needs_admin);
    }
    stands(&world, &grants(2, &[root], &[(Some(6), Admin(6))]));
}

#[test]
fn nobody_grants_their_own_rank_or_more() {
    let (world, root) = team();
    for granted in [Admin(5), Admin(0)] {
        let refusal =
            Refusal::GrantNotBelow { author: key(2).public(), has: Admin(5), granted, who: who(Some(6)) };
        refused(&world, &grants(2, &[root], &[(Some(6), granted)]), refusal);
    }
    stands(&world, &grants(0, &[root], &[(Some(6), Admin(0))]));
}

#[test]
fn the_standing_names_the_strongest_grant() {
    let (mut world, root) = team();
    let more = world.let_in(&grants(1, &[root], &[(Some(4), Write(2)), (None, Write(500))]));
    let Verdict::Stands(standing) = world.verdict(&merge(4, &[more])) else { panic!("refused") };
    let Authority::Grant { grant, who: named } = standing.authority else { panic!("the root key") };
    assert_eq!((grant.ordinal, grant.permission, named), (1, Write(2), who(Some(4))));
    let Verdict::Stands(standing) = world.verdict(&merge(6, &[more])) else { panic!("refused") };
    assert!(matches!(standing.authority, Authority::Grant { who: crate::entry::Who::Everyone, .. }));
}

#[test]
fn a_revocation_among_the_ancestors_refuses_and_one_beside_does_not() {
    let (mut world, root) = team();
    let revoked = world.let_in(&revokes(2, &[root], &[Some(4)]));
    refused(&world, &merge(4, &[revoked]), stranger(4));
    let fork = world.let_in(&merge(4, &[root]));
    refused(&world, &merge(4, &[fork, revoked]), stranger(4));
    stands(&world, &merge(3, &[fork, revoked]));
    let again = world.let_in(&grants(3, &[revoked], &[(Some(4), Write(20))]));
    stands(&world, &merge(4, &[again]));
}

#[test]
fn equals_cannot_remove_each_other_and_the_lower_not_the_higher() {
    let (mut world, root) = team();
    let tried = world.let_in(&revokes(2, &[root], &[Some(3), Some(1), Some(0)]));
    for author in [0, 1, 3] {
        stands(&world, &revokes(author, &[tried], &[]));
    }
    let done = world.let_in(&revokes(1, &[root], &[Some(3)]));
    refused(&world, &revokes(3, &[done], &[]), stranger(3));
}

#[test]
fn nobody_revokes_itself() {
    let (mut world, root) = team();
    let tried = world.let_in(&revokes(2, &[root], &[Some(2)]));
    stands(&world, &revokes(2, &[tried], &[]));
}

#[test]
fn a_grant_in_the_revoking_entry_stands() {
    let (mut world, root) = team();
    let settings = Some((vec![(Some(4), Write(30))], vec![Some(4)]));
    let lowered = world.let_in(&Says { author: 2, parents: vec![root], settings });
    let permission = permission_of(&world, &world.view_of(lowered), &who(Some(4))).unwrap();
    assert_eq!(permission, Some(Write(30)));
}

#[test]
fn what_a_revoked_administrator_granted_falls_unless_it_was_seen() {
    let (mut world, root) = team();
    let given = world.let_in(&grants(2, &[root], &[(Some(6), Write(40))]));
    let beside = world.let_in(&revokes(1, &[root], &[Some(2)]));
    refused(&world, &merge(6, &[given, beside]), stranger(6));
    let after = world.let_in(&revokes(1, &[given], &[Some(2)]));
    stands(&world, &merge(6, &[after]));
}

#[test]
fn closing_the_tree_to_everybody_leaves_named_members() {
    let (mut world, root) = World::new(&[(Some(1), Admin(0)), (Some(4), Write(9)), (None, Write(100))]);
    let root = root.position();
    stands(&world, &merge(6, &[root]));
    let closed = world.let_in(&revokes(1, &[root], &[None]));
    refused(&world, &merge(6, &[closed]), stranger(6));
    stands(&world, &merge(4, &[closed]));
    let open = world.let_in(&grants(1, &[closed], &[(None, Write(100))]));
    stands(&world, &merge(6, &[open]));
}

#[test]
fn a_banned_key_is_let_in_again_by_name_alone() {
    let (mut world, root) = World::new(&[(Some(1), Admin(0)), (None, Write(100))]);
    let banned = world.let_in(&revokes(1, &[root.position()], &[Some(6)]));
    refused(&world, &merge(6, &[banned]), stranger(6));
    stands(&world, &merge(7, &[banned]));
    let open = world.let_in(&grants(1, &[banned], &[(None, Write(50))]));
    refused(&world, &merge(6, &[open]), stranger(6));
    let named = world.let_in(&grants(1, &[open], &[(Some(6), Write(100))]));
    stands(&world, &merge(6, &[named]));
}

#[test]
fn a_weaker_grant_by_an_inferior_takes_nothing_away() {
    let (mut world, root) = team();
    let weaker = world.let_in(&grants(3, &[root], &[(Some(4), Write(60_000))]));
    let gone = world.let_in(&revokes(1, &[weaker], &[Some(3)]));
    let permission = permission_of(&world, &world.view_of(gone), &who(Some(4))).unwrap();
    assert_eq!(permission, Some(Write(10)));
}

#[test]
fn readers_and_members_are_who_holds_a_permission_now() {
    let (mut world, root) = team();
    let now = world.let_in(&revokes(1, &[root], &[Some(5), Some(3)]));
    let view = world.view_of(now);
    assert!(may_read(&world, &view, &[key(6).public(), key(4).public()]).unwrap());
    assert!(!may_read(&world, &view, &[key(5).public()]).unwrap());
    assert!(!may_read(&world, &view, &[]).unwrap());
    let mut held: Vec<_> = members(&world, &view).unwrap().iter().map(|member| member.permission).collect();
    held.sort();
    assert_eq!(held, [Write(10), Admin(5), Admin(0)]);
    let open = world.let_in(&grants(1, &[now], &[(None, Read)]));
    assert!(may_read(&world, &world.view_of(open), &[]).unwrap());
}

#[test]
fn a_thousand_administrators_deep_nothing_overflows() {
    let (mut world, root) = World::new(&[(Some(1), Admin(0))]);
    let mut tip = root.position();
    // Two keys lift each other down the ranks, each grant resting on the one before.
    for rank in 1..=1_000_u16 {
        let (from, to) = if rank % 2 == 1 { (1, 2) } else { (2, 1) };
        tip = world.let_in(&grants(from, &[tip], &[(Some(to), Admin(rank))]));
    }
    // Without the first grant, all that rests on it falls.
    let fallen = world.let_in(&revokes(0, &[root.position()], &[Some(1)]));
    assert!(matches!(world.verdict(&merge(2, &[tip, fallen])), Verdict::Refused(_)));
    stands(&world, &merge(2, &[tip]));
}
