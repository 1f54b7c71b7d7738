//! Histories of settings and writes: which entries are valid, and in each order of arrival what counts, what is shared,
//! and which are the tips. The store's answers, and where it keeps none, those of the rule.

use pleach_core::{
    Range,
    entry::Permission::{Admin, Read, Write as Writes},
    storage::Store,
};
use pleach_storage::{
    Memory,
    conformance::{self, Maker},
};
use pleach_tests::{
    hostile::{Chance, Scribe},
    rule::{History, Name, Said, Set, Settings},
};
use serde_json::{Value, json};

use super::hex;

/// Random histories, and the entries of each behind its first two.
const RANDOM: u64 = 14;
const STEPS: usize = 11;

fn settings(author: u8, parents: &[usize], settings: Settings) -> Said {
    Said { author, parents: parents.into(), settings: Some(settings) }
}

fn grants(author: u8, parents: &[usize], grants: &[(Name, pleach_core::entry::Permission)]) -> Said {
    settings(author, parents, (grants.into(), vec![]))
}

fn revokes(author: u8, parents: &[usize], names: &[Name]) -> Said {
    settings(author, parents, (vec![], names.into()))
}

fn writes(author: u8, parents: &[usize]) -> Said {
    Said { author, parents: parents.into(), settings: None }
}

/// What is said on top of the root, which is entry 0 and grants nothing.
fn scripted() -> Vec<(&'static str, Vec<Said>)> {
    let staff = || grants(0, &[0], &[(Some(1), Admin(1)), (Some(2), Admin(2)), (Some(3), Writes(5))]);
    vec![
        ("the root key alone", vec![writes(0, &[0]), grants(0, &[0], &[(None, Read)]), writes(0, &[1, 2])]),
        ("who has no grant does not write", vec![staff(), writes(4, &[1]), writes(3, &[0]), writes(3, &[1])]),
        ("who may read does not write", vec![grants(0, &[0], &[(Some(1), Read)]), writes(1, &[1])]),
        (
            "nobody grants their own rank",
            vec![
                staff(),
                grants(1, &[1], &[(Some(4), Admin(1))]),
                grants(1, &[1], &[(Some(4), Admin(2))]),
                grants(2, &[1], &[(Some(4), Admin(2))]),
                grants(3, &[1], &[(Some(4), Writes(6))]),
                writes(4, &[3]),
            ],
        ),
        (
            "a revocation masks what was written apart and nothing before it",
            vec![staff(), writes(3, &[1]), writes(3, &[2]), revokes(1, &[2], &[Some(3)]), writes(3, &[4])],
        ),
        (
            "a mask lifts when the revoker falls to a higher rank",
            vec![staff(), writes(3, &[1]), revokes(2, &[1], &[Some(3)]), revokes(1, &[1], &[Some(2)])],
        ),
        (
            "equals cannot remove each other",
            vec![
                grants(0, &[0], &[(Some(1), Admin(1)), (Some(2), Admin(1))]),
                revokes(1, &[1], &[Some(2)]),
                revokes(2, &[1], &[Some(1)]),
                writes(1, &[2, 3]),
                writes(2, &[2, 3]),
            ],
        ),
        ("nobody revokes themselves", vec![staff(), revokes(1, &[1], &[Some(1)]), writes(1, &[2])]),
        (
            "a new grant on top of a revocation stands",
            vec![
                staff(),
                revokes(1, &[1], &[Some(3)]),
                grants(1, &[2], &[(Some(3), Writes(5))]),
                writes(3, &[3]),
                writes(3, &[1]),
            ],
        ),
        (
            "one entry revokes and grants again",
            vec![
                staff(),
                settings(1, &[1], (vec![(Some(3), Writes(9))], vec![Some(3)])),
                writes(3, &[2]),
                writes(3, &[1]),
            ],
        ),
        (
            "a revocation of a key takes its use of grants to everybody, for good",
            vec![
                grants(0, &[0], &[(None, Writes(9)), (Some(1), Admin(1))]),
                writes(4, &[1]),
                revokes(1, &[1], &[Some(4)]),
                grants(0, &[3], &[(None, Writes(9))]),
                writes(4, &[4]),
                writes(5, &[4]),
            ],
        ),
        (
            "a revocation of everybody leaves grants by name",
            vec![
                grants(0, &[0], &[(None, Writes(9)), (Some(3), Writes(9)), (Some(1), Admin(1))]),
                writes(3, &[1]),
                writes(4, &[1]),
                revokes(1, &[1], &[None]),
            ],
        ),
        (
            "what builds on a masked entry brings it back into the shared set",
            vec![staff(), writes(3, &[1]), revokes(1, &[1], &[Some(3)]), writes(2, &[2])],
        ),
        (
            "grants of a revoked administrator do not stand",
            vec![
                staff(),
                grants(2, &[1], &[(Some(4), Writes(1))]),
                writes(4, &[2]),
                revokes(0, &[1], &[Some(2)]),
                writes(4, &[3, 4]),
            ],
        ),
    ]
}

/// A history with real entries, those that break a rule included.
struct Told {
    history: History,
    scribe: Scribe,
    store: Memory,
    valid: Set,
}

impl Told {
    fn new() -> Self {
        let (mut history, maker) = (History::default(), Maker::new(1));
        history.add(Said { settings: Some(Default::default()), ..Said::default() });
        let scribe = Scribe { entries: vec![maker.root()], maker };
        let told = Self { history, scribe, store: Memory::new(), valid: Set::from([0]) };
        let put = conformance::put(&told.store, &told.scribe.maker, [&told.scribe.entries[0]]);
        assert!(put.refused.is_none());
        told
    }

    /// Adds an entry, valid or not; one that is there already is left out.
    fn say(&mut self, said: Said) {
        let entry = self.scribe.write(&said);
        if self.scribe.entries.iter().any(|other| other.id() == entry.id()) {
            return;
        }
        let held = said.parents.iter().all(|parent| self.valid.contains(parent));
        let place = self.history.add(said);
        let put = conformance::put(&self.store, &self.scribe.maker, [&entry]);
        let stored = put.refused.is_none() && put.held.is_empty();
        assert_eq!(stored, held && self.history.valid(place), "entry {place}: may it be stored?");
        if stored {
            self.valid.insert(place);
        }
        self.scribe.entries.push(entry);
    }

    /// What a store tells after each entry that arrives in this order.
    fn arrive(&self, order: &[usize]) -> Vec<Value> {
        let (store, tree) = (Memory::new(), self.scribe.maker.tree());
        let place = |id| self.scribe.entries.iter().position(|entry| entry.id() == id).expect("one of these");
        let mut set = Set::new();
        let step = |put: &usize| {
            let stored = conformance::put(&store, &self.scribe.maker, [&self.scribe.entries[*put]]);
            assert!(stored.refused.is_none() && stored.held.is_empty());
            set.insert(*put);
            let snapshot = store.snapshot().expect("a snapshot");
            let places = |positions: Vec<pleach_core::Position>| -> Set {
                positions.into_iter().map(|position| place(position.id)).collect()
            };
            let shared = places(snapshot.positions(&tree, &Range::ALL, 999).expect("the shared set"));
            let tips = places(snapshot.tips(&tree, None, 999).expect("tips"));
            let counts: Set = set.iter().copied().filter(|entry| self.history.counts(&set, *entry)).collect();
            assert!(counts.is_subset(&shared));
            json!({ "put": put, "counts": counts, "shared": shared, "tips": tips })
        };
        order.iter().map(step).collect()
    }

    fn vector(&self, name: &str, chance: &mut Chance) -> Value {
        let own: Vec<usize> = self.valid.iter().copied().collect();
        let mut orders = vec![self.arrive(&own)];
        let (mut left, mut other) = (own.clone(), Vec::new());
        while !left.is_empty() {
            let is_ready =
                |at: &usize| self.history.said(left[*at]).parents.iter().all(|parent| other.contains(parent));
            let ready: Vec<usize> = (0..left.len()).filter(is_ready).collect();
            other.push(left.remove(ready[chance.below(ready.len())]));
        }
        if other != own {
            orders.push(self.arrive(&other));
        }
        let entries: Vec<_> = self.scribe.entries.iter().map(|entry| hex(entry.bytes())).collect();
        json!({ "name": name, "entries": entries, "valid": self.valid, "orders": orders })
    }
}

pub(super) fn vectors() -> Vec<Value> {
    let mut list = Vec::new();
    for (name, script) in scripted() {
        let mut told = Told::new();
        for said in script {
            told.say(said);
        }
        list.push(told.vector(name, &mut Chance::new(1)));
    }
    for seed in 0..RANDOM {
        let (mut told, mut chance) = (Told::new(), Chance::new(seed));
        let given = [(1, Admin(0)), (2, Admin(1)), (3, Admin(1)), (4, Writes(1))];
        told.say(grants(0, &[0], &given.map(|(key, given)| (Some(key), given))));
        for _ in 0..STEPS {
            let mut said = chance.said(&told.history);
            // Nothing more is said on top of what is not valid.
            said.parents.retain(|parent| told.valid.contains(parent));
            if !said.parents.is_empty() {
                told.say(said);
            }
        }
        list.push(told.vector(&format!("by chance, seed {seed}"), &mut chance));
    }
    list
}
