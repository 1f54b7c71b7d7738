//! A device that cannot hold the history, and nodes that can.

use pleach_core::{
    Id, SecretKey,
    document::{DocStore, Scope, StoreType},
    entry::{Permission, Value, Who},
    session::{
        Fault,
        partial::{Config, Contact, NotTaken, Outcome},
    },
    wire::{PeerLimits, Refusal},
};
use pleach_tests::{
    board::{Board, Ended, RING},
    world::{HostId, World},
};

/// Frames that are never reached.
const NEVER: usize = 1_000_000;

/// A host, its tree in which everybody may write, and a board that has been in contact.
fn met() -> (World, HostId, Id, Board) {
    let mut world = World::new(1);
    let host = world.host();
    let tree = world.create_with(host, "greenhouse", vec![(Who::Everyone, Permission::Write(0))]);
    world.write(host, tree, "a", "first").unwrap();
    let mut board = Board::new(tree, &[world.key(host)]);
    assert_eq!(board.write("t", 1), Err(NotTaken::Nothing));
    let ended = board.contact(&mut world, host, NEVER);
    assert!(ended.is_equal(), "{ended:?}");
    (world, host, tree, board)
}

fn reading(world: &World, host: HostId, tree: Id, path: &str) -> Option<Value> {
    let scope = Scope::of_snapshot(world.snapshot(host), tree, "sensors").unwrap();
    DocStore::open(scope).unwrap().get(path).unwrap()
}

fn assert_same_tips(board: &Board, world: &World, host: HostId, tree: Id) {
    let mut tips: Vec<_> = board.holding.tips().collect();
    tips.sort_unstable();
    assert_eq!(tips, world.tips(host, tree));
}

fn advanced(ended: &Ended) -> u32 {
    match ended {
        Ended::Done(Outcome::Equal(totals)) => totals.advanced,
        other => panic!("not the end of a good contact: {other:?}"),
    }
}

#[test]
fn the_first_contact_brings_a_small_tree_as_it_is() {
    let (world, host, tree, board) = met();
    assert_eq!(board.holding.base(), []);
    assert_eq!(board.holding.ring().len() as u64, world.count(host, tree));
    assert_same_tips(&board, &world, host, tree);
}

#[test]
fn the_first_contact_with_a_long_history_brings_a_base() {
    let mut world = World::new(2);
    let host = world.host();
    let tree = world.create(host, "old");
    for n in 0..100 {
        world.write(host, tree, "n", i64::from(n)).unwrap();
    }
    // Only its readers hear of it: the board is one.
    let mut board = Board::new(tree, &[world.key(host)]);
    let stranger = board.contact(&mut world, host, NEVER);
    assert_eq!(stranger, Ended::Done(Outcome::Refused(Refusal::Unknown)));
    board.key = SecretKey::from_bytes([9; 32]);
    let tree = world.create_with(host, "new", vec![(Who::Key(board.key.public()), Permission::Write(1))]);
    for n in 0..100 {
        world.write(host, tree, "n", i64::from(n)).unwrap();
    }
    let key = board.key.clone();
    board = Board::new(tree, &[world.key(host)]);
    board.key = key;
    let count = world.count(host, tree);
    assert_eq!(advanced(&board.contact(&mut world, host, NEVER)), 1);
    assert!(board.holding.ring().is_empty());
    assert_eq!(world.count(host, tree), count, "the host's own tip serves: nothing was written for it");
    assert_same_tips(&board, &world, host, tree);
}

#[test]
fn readings_go_up_and_entries_come_down() {
    let (mut world, host, tree, mut board) = met();
    for n in 0..5 {
        board.write("t", n).unwrap();
    }
    assert_eq!(advanced(&board.contact(&mut world, host, NEVER)), 0);
    assert_eq!(reading(&world, host, tree, "t"), Some(Value::from(4_i64)));
    world.write(host, tree, "a", "second").unwrap();
    board.write("t", 5).unwrap();
    assert_eq!(advanced(&board.contact(&mut world, host, NEVER)), 0);
    assert_same_tips(&board, &world, host, tree);
    board.write("t", 6).unwrap();
    assert_eq!(board.holding.tips().count(), 1);
    assert!(board.contact(&mut world, host, NEVER).is_equal());
    assert_same_tips(&board, &world, host, tree);
    assert_eq!(world.value(host, tree, "a").as_deref(), Some("second"));
}

#[test]
fn a_cut_at_any_frame_loses_nothing_and_a_restart_neither() {
    for cut in 0.. {
        let (mut world, host, tree, mut board) = met();
        for n in 0..40 {
            board.write("t", n).unwrap();
        }
        world.write(host, tree, "a", "second").unwrap();
        let first = board.contact(&mut world, host, cut);
        let before = board.holding.clone();
        board.restart();
        assert_eq!(board.holding, before, "what it knows is what is durable");
        board.write("t", 40).unwrap();
        let second = board.contact(&mut world, host, NEVER);
        assert!(second.is_equal(), "cut after {cut}: {second:?}");
        assert_eq!(reading(&world, host, tree, "t"), Some(Value::from(40_i64)));
        assert_eq!(world.value(host, tree, "a").as_deref(), Some("second"));
        if first != Ended::Cut {
            assert!(cut > 6, "the cuts were in the middle");
            return;
        }
    }
}

#[test]
fn an_entry_too_large_for_the_board_is_passed_by() {
    let (mut world, host, tree, mut board) = met();
    world.write(host, tree, "big", "x".repeat(200_000)).unwrap();
    board.write("t", 1).unwrap();
    assert_eq!(advanced(&board.contact(&mut world, host, NEVER)), 1);
    assert_same_tips(&board, &world, host, tree);
    board.write("t", 2).unwrap();
    assert!(board.contact(&mut world, host, NEVER).is_equal());
    assert_eq!(reading(&world, host, tree, "t"), Some(Value::from(2_i64)));
}

#[test]
fn many_new_entries_cost_the_board_one_advance() {
    let (mut world, host, tree, mut board) = met();
    board.write("t", 1).unwrap();
    for n in 0..500 {
        world.write(host, tree, "n", i64::from(n)).unwrap();
    }
    assert_eq!(advanced(&board.contact(&mut world, host, NEVER)), 1);
    assert_eq!(reading(&world, host, tree, "t"), Some(Value::from(1_i64)));
    assert_same_tips(&board, &world, host, tree);
}

#[test]
fn an_old_side_branch_is_passed_by() {
    let (mut world, host, tree, mut board) = met();
    let other = world.host();
    world.sync(other, host, tree).unwrap();
    for n in 0..100 {
        world.write(host, tree, "n", i64::from(n)).unwrap();
    }
    assert_eq!(advanced(&board.contact(&mut world, host, NEVER)), 1);
    // It branches off below the board's base.
    world.write(other, tree, "side", "old").unwrap();
    world.sync(other, host, tree).unwrap();
    board.write("t", 1).unwrap();
    assert_eq!(advanced(&board.contact(&mut world, host, NEVER)), 1);
    assert_same_tips(&board, &world, host, tree);
    assert_eq!(world.value(host, tree, "side").as_deref(), Some("old"));
}

#[test]
fn a_full_ring_refuses_writes_until_the_base_advances() {
    let (mut world, host, tree, mut board) = met();
    let mut written = 0;
    while board.write("t", written).is_ok() {
        written += 1;
    }
    assert_eq!(board.write("t", 0), Err(NotTaken::Full));
    assert_eq!(board.holding.ring().len(), RING);
    assert!(board.holding.wants_relief());
    assert_eq!(advanced(&board.contact(&mut world, host, NEVER)), 1);
    assert_eq!(reading(&world, host, tree, "t"), Some(Value::from(i64::from(written) - 1)));
    assert!(board.holding.ring().is_empty());
    board.write("t", written).unwrap();
}

#[test]
fn a_board_without_a_clock_writes_over_what_it_knows_and_not_under_it() {
    let (mut world, host, tree, mut board) = met();
    for round in 0..3_i64 {
        // By an advance, then by a contact that brings entries alone, then once more after a restart.
        if round == 0 {
            for n in 0..100 {
                world.write(host, tree, "n", n).unwrap();
            }
        }
        let write = world.commit_to(host, tree, "sensors", "t", -1 - round);
        world.run(host, write).unwrap();
        assert!(board.contact(&mut world, host, NEVER).is_equal());
        board.restart();
        board.write("t", u32::try_from(round).unwrap()).unwrap();
        assert!(board.contact(&mut world, host, NEVER).is_equal());
        assert_eq!(reading(&world, host, tree, "t"), Some(Value::from(round)));
    }
}

#[test]
fn a_board_that_asks_for_relief_is_given_a_base_however_little_it_holds() {
    let (mut world, host, tree, mut board) = met();
    board.write("t", 1).unwrap();
    world.write(host, tree, "a", "second").unwrap();
    board.holding.ask_relief();
    assert_eq!(board.holding.room_for_others(), (0, 0));
    assert_eq!(advanced(&board.contact(&mut world, host, NEVER)), 1);
    assert!(board.holding.ring().is_empty() && !board.holding.wants_relief());
    assert_same_tips(&board, &world, host, tree);
    assert_eq!(advanced(&board.contact(&mut world, host, NEVER)), 0, "it was asked for once");
}

#[test]
fn a_node_that_lacks_the_base_is_told_that_it_is_gone() {
    let (mut world, host, tree, mut board) = met();
    let other = world.host();
    world.sync(other, host, tree).unwrap();
    world.write(host, tree, "big", "x".repeat(200_000)).unwrap();
    assert_eq!(advanced(&board.contact(&mut world, host, NEVER)), 1);
    board.write("t", 1).unwrap();
    let (base, key) = (board.holding.base()[0], board.key.public());
    // It is the other that answers.
    let mut requests = 0;
    let ended = board.talk(world.key(host), |request| {
        requests += 1;
        Some((world.ask(other, key, request)?, true))
    });
    assert_eq!(ended, Ended::Done(Outcome::Behind(base.id)));
    assert_eq!(requests, 2, "the node that lacks it asks for it, and is told that it is gone");
}

#[test]
fn a_node_that_may_not_write_says_so() {
    let mut world = World::new(3);
    let (host, reader) = (world.host(), world.host());
    let tree = world.create_with(host, "read only", vec![(Who::Everyone, Permission::Read)]);
    for n in 0..100 {
        world.write(host, tree, "n", i64::from(n)).unwrap();
    }
    world.sync(reader, host, tree).unwrap();
    let mut board = Board::new(tree, &[world.key(reader)]);
    let ended = board.contact(&mut world, reader, NEVER);
    assert_eq!(ended, Ended::Done(Outcome::Refused(Refusal::NoAdvance)));
}

#[test]
fn a_base_by_a_stranger_is_refused() {
    let (mut world, host, tree, _) = met();
    for n in 0..100 {
        world.write(host, tree, "n", i64::from(n)).unwrap();
    }
    let stranger = world.host();
    world.sync(stranger, host, tree).unwrap();
    world.write(stranger, tree, "n", "mine").unwrap();
    let mut board = Board::new(tree, &[world.key(host)]);
    let key = board.key.public();
    let ended = board.talk(world.key(host), |request| Some((world.ask(stranger, key, request)?, true)));
    assert!(matches!(ended, Ended::Fault(Fault::Entry { .. })), "{ended:?}");
    assert!(board.holding.base().is_empty());
}

#[test]
fn an_answer_that_is_longer_than_the_board_allows_is_a_fault_of_the_peer() {
    let (world, host, _, mut board) = met();
    let ended = board.talk(world.key(host), |_| Some((vec![vec![0; 64 * 1024 + 1]], true)));
    assert_eq!(ended, Ended::Fault(Fault::TooLong));
}

#[test]
fn a_contact_with_a_key_that_is_not_allowed_is_not_begun() {
    let (_, _, _, board) = met();
    let config = Config { limits: PeerLimits::HOST, rounds: 1 };
    let refused = Contact::new(config, &board.holding, &board.key.public());
    assert_eq!(refused.map(drop), Err(NotTaken::NotAllowed));
}
