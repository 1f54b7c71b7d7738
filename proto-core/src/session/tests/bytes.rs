//! What an exchange costs beyond the entries, at 10,000 shared ones.

use std::{println, rc::Rc, vec, vec::Vec};

use super::world::{Cost, Leaf, Store, exchange, exchange_knowing};
use crate::{Position, session::Outcome};

const SHARED: u64 = 10_000;

/// Entries that each build on the one before, on top of `below`.
fn chain(below: &[Position], length: u64, name: u64) -> Vec<Rc<Leaf>> {
    let mut tips = below.to_vec();
    (0..length)
        .map(|n| {
            let leaf = Rc::new(Leaf::new(&tips, name << 32 | n, 256));
            tips = vec![leaf.position];
            leaf
        })
        .collect()
}

fn stores(shared: &[Rc<Leaf>], a: &[Rc<Leaf>], b: &[Rc<Leaf>]) -> (Store, Store) {
    (Store::from(&[shared, a].concat()), Store::from(&[shared, b].concat()))
}

fn measured(what: &str, (mut a, mut b): (Store, Store)) -> Cost {
    let cost = exchange(&mut a, &mut b);
    println!(
        "{what}: {} round trips, {} + {} bytes beyond the {} of entries",
        cost.rounds, cost.requests, cost.responses, cost.moved
    );
    cost
}

fn top(chain: &[Rc<Leaf>]) -> [Position; 1] {
    [chain.last().unwrap().position]
}

#[test]
fn nothing_new_costs_one_short_round_trip() {
    let shared = chain(&[], SHARED, 0);
    let cost = measured("nothing new", stores(&shared, &[], &[]));
    assert_eq!(cost.rounds, 1);
    assert!(cost.requests <= 320 && cost.responses <= 96, "{cost:?}");
}

#[test]
fn an_initiator_that_is_behind_is_served_at_once() {
    let shared = chain(&[], SHARED, 0);
    for behind in [1, 100, 10_000] {
        let news = chain(&top(&shared), behind, 1);
        let cost = measured("initiator behind", stores(&shared, &[], &news));
        assert_eq!(cost.rounds, 1);
        assert!(cost.requests + cost.responses <= 512, "{cost:?}");
    }
}

#[test]
fn a_responder_that_is_behind_gets_what_it_lacks_with_the_second_request() {
    let shared = chain(&[], SHARED, 0);
    for behind in [1, 20, 50, 64, 100, 10_000] {
        let news = chain(&top(&shared), behind, 1);
        let cost = measured("responder behind", stores(&shared, &news, &[]));
        assert_eq!(cost.rounds, 2);
        assert!(cost.requests + cost.responses <= 1_024, "{cost:?}");
    }
}

#[test]
fn a_fork_costs_its_ids_once() {
    let shared = chain(&[], SHARED, 0);
    let (mine, theirs) = (chain(&top(&shared), 500, 1), chain(&top(&shared), 500, 2));
    let cost = measured("fork", stores(&shared, &mine, &theirs));
    assert_eq!(cost.rounds, 2);
    assert!((cost.requests + cost.responses) * 50 <= cost.moved, "{cost:?}");
}

#[test]
fn one_old_entry_is_found_by_halving_on_either_side() {
    let shared = chain(&[], SHARED, 0);
    let old = chain(&[shared[9].position], 1, 1);
    for pair in [stores(&shared, &old, &[]), stores(&shared, &[], &old)] {
        let cost = measured("one old entry", pair);
        assert!(cost.rounds <= 3 && cost.requests + cost.responses <= 6 * 1024, "{cost:?}");
    }
}

#[test]
fn old_entries_spread_over_the_history_cost_their_neighbourhoods() {
    let shared = chain(&[], SHARED, 0);
    let old: Vec<_> = (0..100).flat_map(|n| chain(&[shared[n * 99 + 3].position], 1, n as u64 + 1)).collect();
    let (half, other) = old.split_at(50);
    let pairs = [stores(&shared, &old, &[]), stores(&shared, &[], &old), stores(&shared, half, other)];
    for pair in pairs {
        let cost = measured("100 old entries", pair);
        assert!(cost.rounds <= 4 && cost.requests + cost.responses <= 112 * 1024, "{cost:?}");
    }
}

#[test]
fn an_old_side_branch_moves_in_few_round_trips() {
    let shared = chain(&[], SHARED, 0);
    let branch = chain(&[shared[10].position], 2_000, 1);
    for pair in [stores(&shared, &branch, &[]), stores(&shared, &[], &branch)] {
        let cost = measured("an old side branch of 2,000", pair);
        assert!(cost.rounds <= 4 && cost.requests + cost.responses <= 64 * 1024, "{cost:?}");
    }
}

#[test]
fn ten_thousand_tips_at_one_height_are_split_by_id() {
    let root = chain(&[], 1, 0);
    let flat: Vec<_> = (0..SHARED).map(|n| Rc::new(Leaf::new(&top(&root), n + 1, 256))).collect();
    let shared = [root.as_slice(), &flat[100..]].concat();
    let (a, b) = flat[..100].split_at(50);
    let cost = measured("100 of 10,000 at one height", stores(&shared, a, b));
    assert!(cost.rounds <= 4 && cost.requests + cost.responses <= 96 * 1024, "{cost:?}");
}

#[test]
fn a_bootstrap_is_the_case_of_an_empty_set() {
    let shared = chain(&[], SHARED, 0);
    for pair in [(Store::default(), Store::from(&shared)), (Store::from(&shared), Store::default())] {
        let cost = measured("bootstrap", pair);
        assert!(cost.rounds <= 2 && cost.requests + cost.responses <= 1_024, "{cost:?}");
    }
}

/// The shared chain, and on the other side a branch beside its middle with a merge of both on top.
fn interleaved(length: u64) -> (Store, Store) {
    let shared = chain(&[], SHARED, 0);
    let branch = chain(&[shared[4_000].position], length, 1);
    let merge = chain(&[top(&shared)[0], top(&branch)[0]], 1, 2);
    (Store::from(&shared), Store::from(&[shared, branch, merge].concat()))
}

#[test]
fn a_branch_missing_in_the_middle_comes_at_once() {
    let (mut a, mut b) = interleaved(900);
    let cost = measured("a branch of 900 in the middle", (a.clone(), b.clone()));
    assert_eq!(cost.rounds, 1);
    assert!(cost.requests + cost.responses <= 512, "{cost:?}");
    assert_eq!(cost.expected.receive, 901);
    let cost = exchange(&mut b, &mut a);
    assert!(cost.rounds <= 4, "the other way: {cost:?}");
}

#[test]
fn branches_missing_far_below_come_at_once() {
    let shared = chain(&[], 60_000, 0);
    // Far apart, so that each lies in a range of its own.
    let branches = [chain(&[shared[50].position], 300, 1), chain(&[shared[50_000].position], 200, 2)];
    let merge = chain(&[top(&shared)[0], top(&branches[0])[0], top(&branches[1])[0]], 20, 3);
    let all = [&branches[0][..], &branches[1], &merge].concat();
    let cost = measured("two branches far below", stores(&shared, &[], &all));
    assert_eq!((cost.rounds, cost.expected.receive), (1, 520));
    assert!(cost.requests + cost.responses <= 512, "{cost:?}");

    // Two in one range, so that the first guess is wrong and ranges are compared.
    let branches = [chain(&[shared[50].position], 300, 1), chain(&[shared[900].position], 200, 2)];
    let merge = chain(&[top(&shared)[0], top(&branches[0])[0], top(&branches[1])[0]], 20, 3);
    let all = [&branches[0][..], &branches[1], &merge].concat();
    let cost = measured("two branches in one range", stores(&shared, &[], &all));
    assert!(cost.rounds <= 3 && cost.expected.receive == 520, "{cost:?}");
}

#[test]
fn a_token_names_what_only_the_responder_has() {
    let shared = chain(&[], SHARED, 0);
    let spread = (0..2_000).flat_map(|n| chain(&[shared[n * 4 + 3].position], 1, n as u64 + 1));
    let (mut a, mut b) = stores(&shared, &[], &[]);
    let known = exchange(&mut a, &mut b).known;
    assert!(known.is_some());
    for leaf in spread {
        b.put(&leaf).unwrap();
    }
    let cost = exchange_knowing(&mut a.clone(), &mut b.clone(), known);
    assert_eq!((cost.rounds, cost.expected.receive), (1, 2_000));
    assert!(cost.requests + cost.responses <= 256, "{cost:?}");

    // A store that was rebuilt counts from another beginning: ranges are compared.
    let mut rebuilt = b.clone();
    rebuilt.epoch = 9;
    let cost = exchange_knowing(&mut a.clone(), &mut rebuilt, known);
    assert!(cost.rounds > 1);
    assert_eq!(cost.known.unwrap().theirs.epoch.0, [9; 8]);

    // News here: the token is left aside.
    a.put(&chain(&top(&shared), 1, 9_999)[0]).unwrap();
    exchange_knowing(&mut a, &mut b, known);
}

#[test]
fn totals_are_known_before_entries_move() {
    let shared = chain(&[], SHARED, 0);
    let (mine, theirs) = (chain(&top(&shared), 300, 1), chain(&top(&shared), 500, 2));
    let (mut a, mut b) = stores(&shared, &mine, &theirs);
    let cost = exchange(&mut a, &mut b);
    assert!(cost.expected.receive >= 200, "at least the difference of the counts: {cost:?}");
    let (mut a, mut b) = (Store::default(), Store::from(&shared));
    assert_eq!(exchange(&mut a, &mut b).expected.receive, SHARED);
    let (mut a, mut b) = (Store::from(&shared), Store::default());
    assert_eq!(exchange(&mut a, &mut b).expected.send, SHARED);
}

#[test]
fn a_store_that_lost_a_row_has_it_again_and_says_so() {
    let shared = chain(&[], 500, 0);
    for side in [0, 1] {
        let (mut a, mut b) = stores(&shared, &[], &[]);
        [&mut a, &mut b][side].lose(&shared[123].position);
        let cost = exchange(&mut a, &mut b);
        let Some(Outcome::Equal(totals)) = cost.outcome else { panic!("{cost:?}") };
        assert_eq!(totals.lost, 1);
        assert_eq!(a.positions().len(), 500);
    }
}

#[test]
fn an_uneven_fork_moves_each_entry_once() {
    let shared = chain(&[], 301, 0);
    for (mine, theirs) in [(61, 51), (51, 61), (200, 40), (40, 200)] {
        let pair = stores(&shared, &chain(&top(&shared), mine, 1), &chain(&top(&shared), theirs, 2));
        let one = pair.0.leaves.last_key_value().unwrap().1.bytes.len();
        let cost = measured("an uneven fork", pair);
        assert!(cost.moved.abs_diff(one * usize::try_from(mine + theirs).unwrap()) < 600, "{cost:?}");
        assert!(cost.rounds <= 3, "{cost:?}");
    }
}
