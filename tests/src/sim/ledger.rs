//! What everybody wrote, as somebody knows who sees all, and the rule of access over it.

use std::collections::{BTreeMap, BTreeSet};

use pleach_core::{
    Id, Position, PublicKey,
    entry::{Grant, SETTINGS, VerifiedEntry, Who},
};

use crate::rule::{History, Name, Said, Set};

/// Settings entries of a tree up to which the rule is asked: it is slow.
pub(super) const MAX_SETTINGS: usize = 40;

/// One entry.
pub(super) struct Known {
    pub(super) entry: VerifiedEntry,
    pub(super) tree: Id,
    pub(super) parents: Vec<Id>,
    pub(super) author: PublicKey,
    /// Whether it was looked at since the last check of what is signed.
    pub(super) checked: bool,
    /// The settings among its ancestors, by their places in the history of the tree.
    pub(super) above: Set,
    /// The settings that it is an ancestor of.
    pub(super) below: Set,
    /// Its own place, if it writes settings.
    pub(super) place: Option<usize>,
    /// Whether it may be stored.
    pub(super) valid: bool,
    pub(super) children: usize,
    pub(super) settings: bool,
}

/// What is known of one tree.
#[derive(Default)]
pub(super) struct Grown {
    /// Settings entries alone: nothing else matters to the rule.
    pub(super) history: History,
    pub(super) places: Vec<Id>,
    /// In order of their becoming known: each after its parents.
    pub(super) entries: Vec<Id>,
    pub(super) names: BTreeMap<PublicKey, u8>,
    /// Whether everybody was granted something.
    pub(super) public: bool,
    /// Whether anybody was revoked.
    pub(super) revokes: bool,
}

impl Grown {
    /// The number of a name; the root key is the first that is asked about.
    fn name(&mut self, key: PublicKey) -> u8 {
        let next = u8::try_from(self.names.len()).expect("fewer than 256 keys");
        *self.names.entry(key).or_insert(next)
    }

    fn who(&mut self, who: Who) -> Name {
        match who {
            Who::Everyone => None,
            Who::Key(key) => Some(self.name(key)),
        }
    }
}

#[derive(Default)]
pub(super) struct Ledger {
    pub(super) known: BTreeMap<Id, Known>,
    pub(super) trees: BTreeMap<Id, Grown>,
    /// What honest nodes composed.
    pub(super) made: BTreeSet<Id>,
    /// What each node has acknowledged and must hold.
    pub(super) acknowledged: BTreeMap<usize, BTreeSet<(Id, Id)>>,
    /// Requests for access, by their ids, and when their makers signed them last; nothing if one went over a line that
    /// needs no signature.
    pub(super) asked: BTreeMap<Id, Option<u64>>,
    /// What was signed last of the requests that a node has kept of a key for a tree.
    pub(super) newest: BTreeMap<(usize, PublicKey, Id), u64>,
    /// Tips and what they show, by the fingerprint of the tips.
    pub(super) shown: BTreeMap<(Id, [u8; 16]), ([u8; 32], u64)>,
}

impl Ledger {
    pub(super) fn checked(&self, id: &Id) -> Option<VerifiedEntry> {
        self.known.get(id).filter(|known| known.checked).map(|known| known.entry.clone())
    }

    pub(super) fn note_checked(&mut self, entry: &VerifiedEntry) {
        self.learn(entry);
        if let Some(known) = self.known.get_mut(&entry.id()) {
            known.checked = true;
        }
    }

    /// Takes an entry up, if all its parents are known.
    pub(super) fn learn(&mut self, entry: &VerifiedEntry) {
        let id = entry.id();
        if self.known.contains_key(&id) {
            return;
        }
        let view = entry.view();
        let parents: Vec<Id> = view.parents().iter().collect();
        let tree = view.tree();
        let mut above = Set::new();
        for parent in &parents {
            match self.known.get(parent).filter(|parent| parent.tree == tree) {
                Some(parent) => {
                    above.extend(&parent.above);
                    above.extend(parent.place);
                }
                None => return,
            }
        }
        if parents.is_empty() && tree != id {
            return;
        }
        let tallest = parents.iter().map(|parent| self.known[parent].entry.position().height).max();
        let grown = self.trees.entry(tree).or_default();
        let author = grown.name(view.author());
        let settings = view.settings().filter(|_| view.stores().iter().any(|store| store.name == SETTINGS));
        let is_settings = settings.is_some();
        let said = settings.map(|settings| {
            let grants = settings.grants.iter().map(|Grant { who, permission, .. }| (who, permission));
            let grants: Vec<_> = grants.collect();
            grown.public |= grants.iter().any(|(who, _)| *who == Who::Everyone);
            let grants = grants.into_iter().map(|(who, permission)| (grown.who(who), permission)).collect();
            let revoked: Vec<Who> = settings.revocations.iter().collect();
            grown.revokes |= !revoked.is_empty();
            (grants, revoked.into_iter().map(|who| grown.who(who)).collect())
        });
        let parents_above: Vec<usize> = above.iter().copied().collect();
        let place = grown.history.add(Said { author, parents: parents_above, settings: said });
        let fits = tallest.map_or(0, |height| height + 1) == entry.position().height;
        let asked = grown.history.len() <= MAX_SETTINGS;
        let valid = fits
            && parents.iter().all(|parent| self.known[parent].valid)
            && (!asked || grown.history.valid(place));
        let keep = is_settings && valid;
        if keep {
            grown.places.push(id);
        } else {
            grown.history.pop();
        }
        grown.entries.push(id);
        for parent in &parents {
            if let Some(parent) = self.known.get_mut(parent)
                && valid
            {
                parent.children += 1;
            }
        }
        let known = Known {
            entry: entry.clone(),
            tree,
            parents,
            author: view.author(),
            checked: false,
            above,
            below: Set::new(),
            place: keep.then_some(place),
            valid,
            children: 0,
            settings: is_settings,
        };
        self.known.insert(id, known);
        if keep {
            self.mark_above(id, place);
        }
    }

    /// Tells all ancestors of a settings entry of it.
    fn mark_above(&mut self, id: Id, place: usize) {
        let mut left = self.known[&id].parents.clone();
        while let Some(id) = left.pop() {
            if let Some(known) = self.known.get_mut(&id)
                && known.below.insert(place)
            {
                left.extend(&known.parents);
            }
        }
    }

    /// Whether the rule can say what counts in a tree.
    pub(super) fn rules(&self, tree: &Id) -> bool {
        self.trees.get(tree).is_some_and(|grown| grown.history.len() < MAX_SETTINGS)
    }

    /// Of what is stored, what counts and what is shared, by the rule.
    pub(super) fn counts(&mut self, tree: &Id, stored: &[Id]) -> (BTreeSet<Id>, BTreeSet<Id>) {
        let mut counting = BTreeSet::new();
        let mut shared = BTreeSet::new();
        let Some(grown) = self.trees.get_mut(tree) else { return (counting, shared) };
        let set: Set = stored.iter().filter_map(|id| self.known[id].place).collect();
        // Entries of one author on the same settings stand alike.
        let mut alike = BTreeMap::<(PublicKey, &Set, &Set), bool>::new();
        for id in stored {
            let known = &self.known[id];
            let counts = if let Some(place) = known.place {
                grown.history.counts(&set, place)
            } else {
                let author = grown.names[&known.author];
                let history = &mut grown.history;
                *alike.entry((known.author, &known.above, &known.below)).or_insert_with(|| {
                    let parents = known.above.iter().copied().collect();
                    let place = history.add(Said { author, parents, settings: None });
                    for below in &known.below {
                        history.descends(*below, place);
                    }
                    let mut set = set.clone();
                    set.insert(place);
                    let counts = history.counts(&set, place);
                    history.pop();
                    counts
                })
            };
            if counts {
                counting.insert(*id);
            }
        }
        // Children stand behind their parents in the order of becoming known.
        for id in stored.iter().rev() {
            if counting.contains(id) {
                shared.insert(*id);
            }
            if shared.contains(id) {
                shared.extend(&self.known[id].parents);
            }
        }
        (counting, shared)
    }

    /// Entries that may be built upon: valid, without valid children.
    pub(super) fn tips(&self, tree: &Id) -> Vec<Position> {
        let Some(grown) = self.trees.get(tree) else { return Vec::new() };
        let known = grown.entries.iter().rev().take(400).map(|id| &self.known[id]);
        known.filter(|known| known.valid && known.children == 0).map(|known| known.entry.position()).collect()
    }
}
