//! What an exchange moves is the difference of the sets, by two other accounts of it.

use std::{collections::BTreeSet, vec::Vec};

use negentropy::{Negentropy, NegentropyStorageVector};
use proptest::prelude::*;

use super::{
    convergence::{closed, history, picks},
    world::{Store, config, exchange_with},
};
use crate::{Id, session::Outcome};

fn ids(store: &Store) -> BTreeSet<Id> {
    store.positions().into_iter().map(|position| position.id).collect()
}

/// What the first lacks and what the second does, by the other protocol.
fn other_account(a: &Store, b: &Store) -> (BTreeSet<Id>, BTreeSet<Id>) {
    let [mut client, mut server] = [a, b].map(|store| {
        let mut items = NegentropyStorageVector::new();
        for position in store.positions() {
            items.insert(position.height, negentropy::Id::from_byte_array(*position.id.as_bytes())).unwrap();
        }
        items.seal().unwrap();
        Negentropy::owned(items, 0).unwrap()
    });
    let (mut have, mut need) = (Vec::new(), Vec::new());
    let mut message = Some(client.initiate().unwrap());
    while let Some(query) = message {
        let answer = server.reconcile(&query).unwrap();
        message = client.reconcile_with_ids(&answer, &mut have, &mut need).unwrap();
    }
    let set = |ids: Vec<negentropy::Id>| ids.iter().map(|id| Id::from_bytes(*id.as_bytes())).collect();
    (set(need), set(have))
}

fn moved<const R: usize, const M: usize>(a: &Store, b: &Store) -> Result<(), TestCaseError> {
    let (before_a, before_b) = (ids(a), ids(b));
    let (mut a, mut b) = (a.clone(), b.clone());
    let cost = exchange_with::<R, M>(&mut a, &mut b, config(), |_, _, _| {}).unwrap();
    let Some(Outcome::Equal(totals)) = cost.outcome else { panic!("{cost:?}") };
    let came: BTreeSet<Id> = ids(&a).difference(&before_a).copied().collect();
    let went: BTreeSet<Id> = ids(&b).difference(&before_b).copied().collect();
    prop_assert_eq!(&came, &before_b.difference(&before_a).copied().collect());
    prop_assert_eq!(&went, &before_a.difference(&before_b).copied().collect());
    prop_assert_eq!(totals.stored, came.len() as u64);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_moves_is_the_difference_of_the_sets(history in history(), a in picks(), b in picks()) {
        let (a, b) = (closed(&history, &a), closed(&history, &b));
        let difference = |one: &Store, other: &Store| ids(one).difference(&ids(other)).copied().collect();
        prop_assert_eq!(other_account(&a, &b), (difference(&b, &a), difference(&a, &b)));
        moved::<512, 1024>(&a, &b)?;
        moved::<4, 1>(&a, &b)?;
    }
}
