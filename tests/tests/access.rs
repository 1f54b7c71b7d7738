//! The product against the rule, on random hostile histories and in several orders of arrival.
//!
//! `PLEACH_HISTORIES` says how many; a failing seed is printed, and `PLEACH_SEED` runs it alone. Of the small histories that
//! can be listed all are run with `PLEACH_EVERY=1`, else one in so many.

use pleach_core::{
    Range,
    entry::{
        Permission::{Admin, Write as Writes},
        VerifiedEntry,
    },
    storage::{OfPath, Paths, RowKind, RowQuery, Snapshot, Store},
};
use pleach_storage::{
    Memory,
    conformance::{self, Maker},
};
use pleach_tests::{
    hostile::{Chance, Scribe},
    rule::{History, Name, Said, Set},
};

/// Histories in an ordinary run.
const HISTORIES: u64 = 500;

/// Of the small histories, one in so many is run; without a common factor with the choices at any step.
const EVERY: u64 = 101;

/// Histories of four entries in an ordinary run.
const SAMPLES: u64 = 400;

/// Orders in which each history arrives beside its own.
const ORDERS: usize = 2;

#[derive(Debug, Default)]
struct Tally {
    stored: usize,
    refused: usize,
    masked: usize,
    lifted: usize,
    outside: usize,
}

/// What a store shows must be what the rule says of the set that it holds.
fn compare(snapshot: &dyn Snapshot, scribe: &Scribe, history: &History, set: &Set, what: &str) {
    let tree = scribe.maker.tree();
    let at = |set: &Set| {
        let mut positions: Vec<_> = set.iter().map(|entry| scribe.entries[*entry].position()).collect();
        positions.sort_unstable();
        positions
    };
    let shared = history.shared(set);
    assert_eq!(snapshot.positions(&tree, &Range::ALL, 999).unwrap(), at(&shared), "{what}: the shared set");
    assert_eq!(snapshot.tips(&tree, None, 999).unwrap(), at(&history.tips(&shared)), "{what}: the tips");
    let query = RowQuery {
        store: "doc".into(),
        kind: RowKind::Map,
        paths: Paths::All,
        after: None,
        of_path: OfPath::All,
        limit: 999,
    };
    let mut shown: Vec<_> =
        snapshot.rows(&tree, &query).unwrap().iter().map(|row| row.stamp.position).collect();
    shown.sort_unstable();
    let writes = |entry: &usize| history.said(*entry).settings.is_none() && history.counts(set, *entry);
    let expected: Set = set.iter().copied().filter(writes).collect();
    assert_eq!(shown, at(&expected), "{what}: what is shown");
    let audit = snapshot.audit(&tree, None, 999).unwrap();
    assert_eq!(audit.faults, [], "{what}: an audit");
}

fn put(store: &Memory, scribe: &Scribe, entry: &VerifiedEntry) -> bool {
    let put = conformance::put(store, &scribe.maker, [entry]);
    assert_eq!(put.held, [0_usize; 0], "its parents are there");
    put.refused.is_none()
}

fn history(seed: u64, tally: &mut Tally) {
    let mut chance = Chance::new(seed);
    let mut history = History::default();
    let maker = Maker::new(1);
    let mut scribe = Scribe { entries: vec![maker.root()], maker };
    let store = Memory::new();
    history.add(Said { settings: Some(Default::default()), ..Said::default() });
    assert!(put(&store, &scribe, &scribe.entries[0].clone()));
    let given = [(1, Admin(0)), (2, Admin(1)), (3, Admin(1)), (4, Writes(1))];
    let given = given.map(|(key, given)| (Some(key), given)).into();
    let first = Said { author: 0, parents: vec![0], settings: Some((given, vec![])) };
    let mut next = Some(first);
    let mut masked = Set::new();
    for step in 0..14 {
        let said = next.take().unwrap_or_else(|| chance.said(&history));
        let entry = scribe.write(&said);
        if scribe.entries.iter().any(|other| other.id() == entry.id()) {
            // The same settings once more are the same entry.
            continue;
        }
        let place = history.add(said);
        let valid = history.valid(place);
        assert_eq!(put(&store, &scribe, &entry), valid, "seed {seed} step {step}: may it be stored?");
        if !valid {
            history.pop();
            tally.refused += 1;
            continue;
        }
        scribe.entries.push(entry);
        let set: Set = (0..history.len()).collect();
        compare(&*store.snapshot().unwrap(), &scribe, &history, &set, &format!("seed {seed} step {step}"));
        tally.stored += 1;
        let now: Set = set.iter().copied().filter(|entry| !history.counts(&set, *entry)).collect();
        tally.masked += now.difference(&masked).count();
        tally.lifted += masked.difference(&now).count();
        tally.outside += set.len() - history.shared(&set).len();
        masked = now;
    }
    for order in 0..ORDERS {
        // A revocation is carried through in one write, or entry by entry.
        let store = if order == 0 { Memory::new() } else { Memory::new().in_steps_of(1) };
        let mut set = Set::new();
        let mut left: Vec<usize> = (0..history.len()).collect();
        while !left.is_empty() {
            let ready: Vec<usize> = (0..left.len())
                .filter(|at| history.said(left[*at]).parents.iter().all(|parent| set.contains(parent)))
                .collect();
            let entry = left.remove(ready[chance.below(ready.len())]);
            assert!(put(&store, &scribe, &scribe.entries[entry]), "seed {seed} order {order}: it was let in");
            set.insert(entry);
            let what = format!("seed {seed} order {order} after {}", set.len());
            compare(&*store.snapshot().unwrap(), &scribe, &history, &set, &what);
        }
    }
}

/// A number in the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Everything that one of three may say on top of some entries: two administrators, the second below the first, and
/// whoever writes by the grant to `*`.
fn choices(parents: &[usize]) -> impl Iterator<Item = Said> {
    let parents: Vec<usize> = parents.to_vec();
    let revoke = |name: Name| Some((vec![], vec![name]));
    let grant = |key, given| Some((vec![(Some(key), given)], vec![]));
    let settings = [revoke(Some(1)), revoke(Some(2)), revoke(None), revoke(Some(3)), grant(3, Writes(2))];
    let said = (1..=2).flat_map(move |author| settings.clone().map(|settings| (author, settings)));
    let values = (1..=3).map(|author| (author, None));
    said.chain(values).map(move |(author, settings)| Said { author, parents: parents.clone(), settings })
}

/// The subsets of places that an entry may stand on.
fn subsets(places: &[usize]) -> Vec<Vec<usize>> {
    let chosen = |bits: usize| (0..places.len()).filter(move |at| bits >> at & 1 == 1);
    (1..1 << places.len()).map(|bits| chosen(bits).map(|at| places[at]).collect()).collect()
}

/// All orders of these places in which each comes after its parents.
fn orders(history: &History, places: &[usize]) -> Vec<Vec<usize>> {
    if places.is_empty() {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for last in places {
        let left: Vec<usize> = places.iter().copied().filter(|place| place != last).collect();
        if left.iter().all(|other| !history.said(*other).parents.contains(last)) {
            all.extend(orders(history, &left).into_iter().map(|order| [order, vec![*last]].concat()));
        }
    }
    all
}

/// A root, and three grants of which none is an ancestor of the others' choices: `*` writes, and is granted apart from
/// the two administrators.
fn three_grants() -> (Memory, Scribe, History) {
    let maker = Maker::new(1);
    let mut scribe = Scribe { entries: vec![maker.root()], maker };
    let mut history = History::default();
    let base = Memory::new();
    history.add(Said { settings: Some(Default::default()), ..Said::default() });
    let grants = [
        (vec![0], vec![(Some(1), Admin(1))]),
        (vec![1], vec![(Some(2), Admin(2))]),
        (vec![1], vec![(None, Writes(1))]),
    ];
    for (parents, grants) in grants {
        let said = Said { author: 0, parents, settings: Some((grants, vec![])) };
        let entry = scribe.write(&said);
        scribe.entries.push(entry);
        history.add(said);
    }
    for entry in &scribe.entries {
        assert!(put(&base, &scribe, entry));
    }
    (base, scribe, history)
}

/// Puts what was added to the three grants into a store in every order, and compares. Returns how many orders there are.
fn in_every_order(base: &Memory, scribe: &Scribe, history: &History, tally: &mut Tally) -> usize {
    let set: Set = (0..history.len()).collect();
    let now: Set = set.iter().copied().filter(|entry| !history.counts(&set, *entry)).collect();
    tally.stored += 1;
    tally.masked += now.len();
    let added: Vec<usize> = (4..history.len()).collect();
    let orders = orders(history, &added);
    for order in &orders {
        let store = base.fork().unwrap();
        for entry in order {
            assert!(put(&store, scribe, &scribe.entries[*entry]), "{history:?} in the order {order:?}");
        }
        let mut before = set.clone();
        before.remove(&order[order.len() - 1]);
        tally.lifted += before.iter().filter(|e| !history.counts(&before, **e) && !now.contains(e)).count();
        compare(&*store.snapshot().unwrap(), scribe, history, &set, &format!("{history:?} as {order:?}"));
    }
    orders.len()
}

#[test]
fn every_choice_and_order_of_three_entries_on_three_grants_follows_the_rule() {
    let (base, mut scribe, mut history) = three_grants();
    let mut tally = Tally::default();
    let (mut arrivals, mut seen) = (0, 0);
    let every = number("PLEACH_EVERY").unwrap_or(EVERY);
    explore(&base, &mut scribe, &mut history, 3, &mut |base, scribe, history| {
        seen += 1;
        if seen % every != 0 {
            return;
        }
        arrivals += in_every_order(base, scribe, history, &mut tally);
    });
    println!("{} of {seen} histories, {arrivals} orders: {tally:?}", tally.stored);
    assert!(tally.masked > 99 && tally.lifted > 0, "too tame: {tally:?}");
}

#[test]
fn a_sample_of_four_entries_on_three_grants_follows_the_rule_in_every_order() {
    let (base, mut scribe, mut history) = three_grants();
    let mut chance = Chance::new(number("PLEACH_SEED").unwrap_or(4));
    let (mut tally, mut arrivals) = (Tally::default(), 0);
    for _ in 0..number("PLEACH_SAMPLES").unwrap_or(SAMPLES) {
        while history.len() < 8 {
            // Often beside all that was added, so that much happens apart.
            let added = if chance.below(2) == 0 { 4..4 } else { 4..history.len() };
            let places: Vec<usize> = [2, 3].into_iter().chain(added).collect();
            let subsets = subsets(&places);
            let mut choices: Vec<Said> = choices(&subsets[chance.below(subsets.len())]).collect();
            let said = choices.swap_remove(chance.below(choices.len()));
            let entry = scribe.write(&said);
            let place = history.add(said);
            let new = scribe.entries.iter().all(|other| other.id() != entry.id());
            if new && history.valid(place) {
                scribe.entries.push(entry);
            } else {
                history.pop();
            }
        }
        arrivals += in_every_order(&base, &scribe, &history, &mut tally);
        while history.len() > 4 {
            history.pop();
            scribe.entries.pop();
        }
    }
    println!("{} histories of four, {arrivals} orders: {tally:?}", tally.stored);
    assert!(tally.masked > 99 && tally.lifted > 0, "too tame: {tally:?}");
}

/// Every valid way to add so many entries.
fn explore(
    base: &Memory,
    scribe: &mut Scribe,
    history: &mut History,
    left: usize,
    found: &mut dyn FnMut(&Memory, &Scribe, &History),
) {
    if left == 0 {
        return found(base, scribe, history);
    }
    let places: Vec<usize> = [2, 3].into_iter().chain(4..history.len()).collect();
    for parents in subsets(&places) {
        for said in choices(&parents) {
            let entry = scribe.write(&said);
            let place = history.add(said);
            let new = scribe.entries.iter().all(|other| other.id() != entry.id());
            if new && history.valid(place) {
                scribe.entries.push(entry);
                explore(base, scribe, history, left - 1, found);
                scribe.entries.pop();
            }
            history.pop();
        }
    }
}

#[test]
fn what_a_store_shares_and_shows_follows_the_rule_in_every_order_of_arrival() {
    let mut tally = Tally::default();
    if let Some(seed) = number("PLEACH_SEED") {
        return history(seed, &mut tally);
    }
    let histories = number("PLEACH_HISTORIES").unwrap_or(HISTORIES);
    for seed in 0..histories {
        history(seed, &mut tally);
    }
    println!("{histories} histories: {tally:?}");
    assert!(
        tally.refused > 99 && tally.masked > 99 && tally.lifted > 3 && tally.outside > 99,
        "too tame: {tally:?}"
    );
}
