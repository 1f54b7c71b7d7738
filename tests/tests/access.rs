//! The product against the rule, on random hostile histories and in several orders of arrival.
//!
//! `PLEACH_HISTORIES` says how many; a failing seed is printed, and `PLEACH_SEED` runs it alone. A model checker explores
//! what three entries do on a root and three grants: all of it with `PLEACH_EVERY=1`, else one end in so many.

use std::sync::Mutex;

use pleach_core::{
    entry::{
        Permission::{Admin, Write as Writes},
        VerifiedEntry,
    },
    storage::Store,
};
use pleach_storage::{
    Memory,
    conformance::{self, Maker},
};
use pleach_tests::{
    hostile::{Chance, Scribe},
    rule::{History, Name, Said, Set},
};
use stateright::{Checker, Model, Property};

/// Histories in an ordinary run.
const HISTORIES: u64 = 500;

/// Of the small histories, one in so many is run; without a common factor with the choices at any step.
const EVERY: usize = 101;

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

impl Tally {
    /// Counts what the last entry to arrive in a set did to it.
    fn count(&mut self, history: &History, set: &Set, last: usize) {
        let masked =
            |set: &Set| set.iter().copied().filter(|entry| !history.counts(set, *entry)).collect::<Set>();
        let mut before = set.clone();
        before.remove(&last);
        let now = masked(set);
        self.stored += 1;
        self.masked += now.len();
        self.lifted += masked(&before).difference(&now).count();
    }
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
        scribe.compare(&*store.snapshot().unwrap(), &history, &set, &format!("seed {seed} step {step}"));
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
            scribe.compare(&*store.snapshot().unwrap(), &history, &set, &what);
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

/// How many those are.
const CHOICES: usize = 13;

/// The entries that another may stand on after the three grants: the last two of these, and all that was added.
fn places(history: &History) -> Vec<usize> {
    (2..history.len()).collect()
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

/// An entry that arrives on top of some that are there: a set of its parents among them, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Arrival {
    parents: usize,
    choice: usize,
}

/// What can arrive after the three grants, in each order in which it can: a state is what arrived so far.
///
/// Nothing is said of a history and an order apart, since an order of a history is a way to arrive at it.
struct Arrivals {
    base: Memory,
    scribe: Scribe,
    history: History,
    /// How many entries arrive.
    entries: usize,
    /// Of the states with all of them, one in so many is looked at.
    every: usize,
    tally: Mutex<Tally>,
}

impl Arrivals {
    /// The entries of a state and what they say; nothing if one of them may not be stored, or is there twice.
    fn written(&self, arrived: &[Arrival]) -> Option<(Scribe, History)> {
        let (mut scribe, mut history) = (self.scribe.clone(), self.history.clone());
        for arrival in arrived {
            let parents = &subsets(&places(&history))[arrival.parents];
            let said = choices(parents).nth(arrival.choice).expect("a choice");
            let entry = scribe.write(&said);
            let place = history.add(said);
            let new = scribe.entries.iter().all(|other| other.id() != entry.id());
            if !new || !history.valid(place) {
                return None;
            }
            scribe.entries.push(entry);
        }
        Some((scribe, history))
    }

    /// Puts the entries into a store as they arrive, and compares what it shows in the end with the rule.
    fn follows_the_rule(&self, arrived: &[Arrival]) -> bool {
        let (scribe, history) = self.written(arrived).expect("it was written before");
        let store = self.base.fork().unwrap();
        for entry in &scribe.entries[self.history.len()..] {
            assert!(put(&store, &scribe, entry), "{history:?}");
        }
        let set: Set = (0..history.len()).collect();
        scribe.compare(&*store.snapshot().unwrap(), &history, &set, &format!("{history:?}"));
        self.tally.lock().unwrap().count(&history, &set, history.len() - 1);
        true
    }
}

impl Model for Arrivals {
    type State = Vec<Arrival>;
    type Action = Arrival;

    fn init_states(&self) -> Vec<Self::State> {
        vec![vec![]]
    }

    fn actions(&self, arrived: &Self::State, actions: &mut Vec<Arrival>) {
        if arrived.len() == self.entries {
            return;
        }
        let subsets = (1 << (2 + arrived.len())) - 1;
        actions.extend(
            (0..subsets).flat_map(|parents| (0..CHOICES).map(move |choice| Arrival { parents, choice })),
        );
        if arrived.len() + 1 == self.entries {
            let number = |arrival: &Arrival| arrival.parents * CHOICES + arrival.choice;
            let before = arrived.iter().fold(0, |before, arrival| before * 401 + number(arrival));
            actions.retain(|last| (before * 401 + number(last)).is_multiple_of(self.every));
        }
    }

    fn next_state(&self, arrived: &Self::State, arrival: Arrival) -> Option<Self::State> {
        let next = [&arrived[..], &[arrival]].concat();
        self.written(&next).map(|_| next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(
            "what a store shows follows the rule",
            |model: &Self, arrived: &Self::State| model.follows_the_rule(arrived),
        )]
    }
}

/// Puts what was added to the three grants into a store in every order, and compares.
fn in_every_order(base: &Memory, scribe: &Scribe, history: &History, tally: &mut Tally) {
    let set: Set = (0..history.len()).collect();
    let added: Vec<usize> = (4..history.len()).collect();
    for order in orders(history, &added) {
        let store = base.fork().unwrap();
        for entry in &order {
            assert!(put(&store, scribe, &scribe.entries[*entry]), "{history:?} in the order {order:?}");
        }
        tally.count(history, &set, order[order.len() - 1]);
        scribe.compare(&*store.snapshot().unwrap(), history, &set, &format!("{history:?} as {order:?}"));
    }
}

#[test]
fn every_choice_and_order_of_three_entries_on_three_grants_follows_the_rule() {
    let (base, scribe, history) = three_grants();
    let every = number("PLEACH_EVERY").map_or(EVERY, |every| usize::try_from(every).unwrap());
    let model = Arrivals { base, scribe, history, entries: 3, every, tally: Mutex::default() };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let checker = model.checker().threads(threads).spawn_bfs().join();
    checker.assert_properties();
    assert!(checker.is_done());
    let tally = checker.model().tally.lock().unwrap();
    println!("{} states, one in {every} of those with three: {tally:?}", checker.unique_state_count());
    assert!(tally.masked > 99 && tally.lifted > 0, "too tame: {tally:?}");
}

#[test]
fn a_sample_of_four_entries_on_three_grants_follows_the_rule_in_every_order() {
    let (base, mut scribe, mut history) = three_grants();
    let mut chance = Chance::new(number("PLEACH_SEED").unwrap_or(4));
    let mut tally = Tally::default();
    let samples = number("PLEACH_SAMPLES").unwrap_or(SAMPLES);
    for _ in 0..samples {
        while history.len() < 8 {
            // Often beside all that was added, so that much happens apart.
            let all = places(&history);
            let subsets = subsets(if chance.below(2) == 0 { &all[..2] } else { &all });
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
        in_every_order(&base, &scribe, &history, &mut tally);
        while history.len() > 4 {
            history.pop();
            scribe.entries.pop();
        }
    }
    println!("{samples} histories of four, {} orders: {tally:?}", tally.stored);
    assert!(tally.masked > 99 && tally.lifted > 0, "too tame: {tally:?}");
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
