//! Any two sets end equal, in tables of any size, whatever collides and whatever changes meanwhile.

use std::{cell::Cell, println, rc::Rc, vec::Vec};

use proptest::{prelude::*, test_runner::TestRunner};

use super::world::{Cost, Host, Leaf, Store, config, exchange_with};
use crate::{
    Position,
    session::{Bits, Config, Outcome},
    wire::PeerLimits,
};

/// A random history: for each entry up to three parents among those before it, near the end or anywhere.
pub(super) fn history() -> impl Strategy<Value = Vec<Rc<Leaf>>> {
    let parents = prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..4);
    prop::collection::vec(parents, 1..200).prop_map(|shape| {
        let mut leaves: Vec<Rc<Leaf>> = std::vec![Rc::new(Leaf::new(&[], 0, 16))];
        for (name, parents) in shape.into_iter().enumerate() {
            let mut at: Vec<Position> = parents
                .iter()
                .map(|(index, near)| {
                    let from = if *near { leaves.len().saturating_sub(8) } else { 0 };
                    leaves[from + index.index(leaves.len() - from)].position
                })
                .collect();
            at.sort_unstable();
            at.dedup();
            leaves.push(Rc::new(Leaf::new(&at, name as u64 + 1, 16)));
        }
        leaves
    })
}

/// The entries named by `picks`, and all their ancestors.
pub(super) fn closed(history: &[Rc<Leaf>], picks: &[prop::sample::Index]) -> Store {
    let mut wanted: std::collections::BTreeSet<_> =
        picks.iter().map(|pick| history[pick.index(history.len())].position.id).collect();
    let mut sorted = history.to_vec();
    sorted.sort_by_key(|leaf| core::cmp::Reverse(leaf.position));
    let mut taken = Vec::new();
    for leaf in sorted {
        if wanted.contains(&leaf.position.id) {
            wanted.extend(leaf.parents.iter().copied());
            taken.push(leaf);
        }
    }
    Store::from(&taken)
}

pub(super) fn picks() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..60)
}

fn settle<const R: usize, const M: usize>(
    mut a: Store,
    mut b: Store,
    config: Config,
) -> Result<Cost, TestCaseError> {
    let mut union: Vec<Position> = a.positions();
    union.extend(b.positions());
    union.sort_unstable();
    union.dedup();
    let cost = exchange_with::<R, M>(&mut a, &mut b, config, |_, _, _| {});
    let cost = cost.map_err(|fault| TestCaseError::fail(std::format!("{fault}")))?;
    prop_assert!(matches!(cost.outcome, Some(Outcome::Equal(_))), "{:?}", cost);
    prop_assert_eq!(&a.positions(), &union);
    prop_assert_eq!(&b.positions(), &union);
    let certain = config.bits == Bits::ALL;
    prop_assert!(!certain || cost.orphans == 0, "an initiator pushes parents first: {:?}", cost);
    Ok(cost)
}

/// Any two subsets of a history end equal although collisions are met on the way; some must be.
fn collide<const R: usize, const M: usize>(bits: Bits) {
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() });
    let (met, stores) = (Cell::new(0), (history(), picks(), picks()));
    let run = runner.run(&stores, |(history, a, b)| {
        let cost = settle::<R, M>(closed(&history, &a), closed(&history, &b), Config { bits, ..config() })?;
        met.set(met.get() + cost.collisions);
        Ok(())
    });
    run.unwrap_or_else(|failure| panic!("{failure}"));
    println!("{bits:?}: {} collisions met", met.get());
    assert!(met.get() > 0, "none was met");
}

#[test]
fn fingerprints_of_8_bits_and_short_forms_of_4_collide_and_settle() {
    collide::<512, 1024>(Bits { fingerprint: 8, short: 4 });
    collide::<4, 1>(Bits { fingerprint: 8, short: 4 });
}

#[test]
fn fingerprints_and_short_forms_that_say_nothing_settle_by_full_ids() {
    collide::<512, 1024>(Bits { fingerprint: 0, short: 0 });
    collide::<4, 1>(Bits { fingerprint: 0, short: 0 });
}

#[test]
fn more_entries_than_a_window_settle_window_by_window() {
    let mut shared: Vec<Rc<Leaf>> = Vec::new();
    for name in 0..3_000 {
        let below: Vec<Position> = shared.last().map(|leaf| leaf.position).into_iter().collect();
        shared.push(Rc::new(Leaf::new(&below, name, 16)));
    }
    let beside = |at: usize| Rc::new(Leaf::new(&[shared[at].position], 10_000 + at as u64, 16));
    let side = |first: usize| (first..3_000).step_by(400).map(beside).collect();
    let (mine, theirs): (Vec<_>, Vec<_>) = (side(0), side(200));
    let config = Config { bits: Bits { fingerprint: 0, short: 0 }, ..config() };
    let (a, b) = (Store::from(&[&shared[..], &mine].concat()), Store::from(&[&shared[..], &theirs].concat()));
    let cost = settle::<512, 1024>(a, b, config).unwrap();
    assert!(cost.collisions > 0 && cost.rounds > 3, "{cost:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_two_subsets_of_a_history_end_equal(history in history(), a in picks(), b in picks()) {
        settle::<512, 1024>(closed(&history, &a), closed(&history, &b), config())?;
    }

    #[test]
    fn the_smallest_tables_do_too(history in history(), a in picks(), b in picks()) {
        settle::<4, 1>(closed(&history, &a), closed(&history, &b), config())?;
    }

    #[test]
    fn small_messages_do_too(history in history(), a in picks(), b in picks()) {
        let limits = PeerLimits { frame: 2_048, message: 8_192 };
        let config = Config { limits, page: 1, pipeline: 1, ..config() };
        settle::<16, 8>(closed(&history, &a), closed(&history, &b), config)?;
    }

    #[test]
    fn sets_that_change_in_the_middle_are_no_fault(history in history(), a in picks(), b in picks(), news in picks()) {
        let mut a = closed(&history, &a);
        let mut b = closed(&history, &b);
        let mut news = closed(&history, &news).leaves.into_values();
        let change = |round: u32, host: &mut Host<'_, 8, 4>, b: &mut Store| {
            for leaf in news.by_ref().take(3) {
                if round.is_multiple_of(2) { host.happen(&leaf) } else { let _ = b.put(&leaf); }
            }
        };
        let cost = exchange_with::<8, 4>(&mut a, &mut b, config(), change);
        prop_assert!(cost.is_ok(), "{:?}", cost);
        let cost = exchange_with::<8, 4>(&mut a, &mut b, config(), |_, _, _| {}).unwrap();
        prop_assert!(matches!(cost.outcome, Some(Outcome::Equal(_))), "{:?}", cost);
        prop_assert_eq!(a.positions(), b.positions());
    }
}
