//! The shipped store: real entries around a revocation, and what becomes of them on each disk.
//!
//! A disk of a world is a few sets. For each such disk that is met there is one [`Memory`] here, which got its entries in
//! the order in which that disk was first met. Whatever way leads to the same sets later must lead to a store that shows
//! the same: each is compared with the plain rule of access. What a store counts (arrivals, ages) is left out.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use pleach_core::{
    Id,
    access::Header,
    entry::Permission::{Admin, Write as Writes},
    storage::{Snapshot, Store, Write},
};
use pleach_storage::{
    Memory,
    conformance::{self, Maker},
};
use pleach_tests::{
    hostile::Scribe,
    rule::{self, History, Said},
};

use super::{
    dag::{Dag, Set},
    store::{Disk, Put},
};

/// Who revokes; who may revoke that one; who is revoked.
const ADMIN: u8 = 1;
const ABOVE: u8 = 2;
const HOSTILE: u8 = 3;

/// Entries that all nodes hold from the beginning: the root, and the grants.
const BASE: usize = 2;

/// Trees that are tried until the ids of entries come in the order wanted.
const TREES: u8 = 99;

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An honest node's value.
    Value,
    /// A value of the key that is revoked: good if the revocation is none of its ancestors, masked beside it.
    Hostile,
    /// The revoked key makes itself an administrator.
    Usurps,
    /// The revocation.
    Revokes,
    /// One who ranks higher revokes who revoked.
    Lifts,
}

impl Kind {
    fn said(self, parents: Vec<usize>) -> Said {
        let (author, settings) = match self {
            Self::Value => (ABOVE, None),
            Self::Hostile => (HOSTILE, None),
            Self::Usurps => (HOSTILE, Some((vec![(Some(HOSTILE), Admin(5))], vec![]))),
            Self::Revokes => (ADMIN, Some((vec![], vec![Some(HOSTILE)]))),
            Self::Lifts => (ABOVE, Some((vec![], vec![Some(ADMIN)]))),
        };
        Said { author, parents, settings }
    }

    /// Whether an honest node says it.
    pub(crate) const fn is_honest(self) -> bool {
        !matches!(self, Self::Hostile | Self::Usurps)
    }
}

/// Whether some store takes an entry: it and all its ancestors are valid.
fn stands(history: &History, place: usize) -> bool {
    history.valid(place) && history.said(place).parents.iter().all(|parent| stands(history, *parent))
}

/// Stores by what is on them.
pub(crate) struct Shelf {
    scribe: Scribe,
    history: History,
    pub(crate) kinds: Vec<Kind>,
    stores: Mutex<HashMap<Disk, Arc<Memory>>>,
    puts: Mutex<HashMap<(Disk, Set), (Put, Disk)>>,
    tidied: Mutex<HashMap<Disk, Disk>>,
}

impl Shelf {
    /// Real entries for a history in which entries say this, and the history at their positions; nothing if an honest
    /// node would have said what nobody may.
    pub(crate) fn stocked(dag: &Dag, kinds: &[Kind]) -> Option<(Dag, Self)> {
        let grants = [(Some(ADMIN), Admin(1)), (Some(ABOVE), Admin(0)), (Some(HOSTILE), Writes(1))];
        let mut history = History::default();
        history.add(Said { settings: Some(Default::default()), ..Said::default() });
        history.add(Said { author: 0, parents: vec![0], settings: Some((grants.to_vec(), vec![])) });
        for (entry, kind) in kinds.iter().enumerate() {
            let mut parents: Vec<usize> = dag.parents(entry).iter().map(|parent| BASE + parent).collect();
            if parents.is_empty() {
                parents.push(BASE - 1);
            }
            let place = history.add(kind.said(parents));
            if kind.is_honest() && !stands(&history, place) {
                return None;
            }
        }
        let (dag, scribe) = (1..=TREES).find_map(|tree| {
            let maker = Maker::new(tree);
            let mut scribe = Scribe { entries: vec![maker.root()], maker };
            for place in 1..history.len() {
                let entry = scribe.write(history.said(place));
                scribe.entries.push(entry);
            }
            let positions = scribe.entries[BASE..].iter().map(|entry| entry.position()).collect();
            Some((dag.at(positions)?, scribe))
        })?;
        let base = Memory::salted([1; 32]);
        conformance::store_all(&base, &scribe.maker, &scribe.entries[..BASE]);
        let shelf = Self {
            scribe,
            history,
            kinds: kinds.to_vec(),
            stores: Mutex::new(HashMap::from([(Disk::default(), Arc::new(base))])),
            puts: Mutex::default(),
            tidied: Mutex::default(),
        };
        Some((dag, shelf))
    }

    /// The entries that some store takes.
    pub(crate) fn valid(&self) -> Set {
        (0..self.kinds.len()).filter(|entry| stands(&self.history, BASE + entry)).collect()
    }

    /// Puts entries into the store of a disk, ascending.
    pub(crate) fn put(&self, disk: &mut Disk, entries: Set) -> Put {
        let key = (disk.clone(), entries);
        let known = self.puts.lock().expect("no other test failed").get(&key).cloned();
        let (put, after) = known.unwrap_or_else(|| {
            let did = self.put_anew(disk, entries);
            self.puts.lock().expect("no other test failed").insert(key, did.clone());
            did
        });
        *disk = after;
        put
    }

    fn put_anew(&self, disk: &Disk, entries: Set) -> (Put, Disk) {
        let store = self.store(disk).fork().expect("memory does not fail");
        let given: Vec<usize> = entries.iter().collect();
        let did = conformance::put(
            &store,
            &self.scribe.maker,
            given.iter().map(|entry| &self.scribe.entries[BASE + entry]),
        );
        let put = Put {
            stored: did.stored.iter().filter_map(|position| self.entry(&position.id)).collect(),
            known: did.known as u64,
            masked: did.masked as u64,
            waits: did.held.iter().map(|at| given[*at]).collect(),
            missing: did.missing.iter().filter_map(|id| self.entry(id)).collect(),
            refused: did.refused.and_then(|(id, _)| self.entry(&id)),
        };
        let came = self.looked_at(&*store.snapshot().expect("memory does not fail"));
        let strangers = came.aside.without(disk.stored()).without(put.stored).with(disk.strangers);
        let after = Disk { strangers: strangers.without(came.held), ..came };
        self.keep(&after, store);
        (put, after)
    }

    /// Drops what never was in the shared set of a disk (settings stay), as a node does when it is at rest.
    pub(crate) fn tidy(&self, disk: &mut Disk) {
        let known = self.tidied.lock().expect("no other test failed").get(disk).cloned();
        let after = known.unwrap_or_else(|| {
            let store = self.store(disk).fork().expect("memory does not fail");
            store.write(&Write::Tidy { tree: self.scribe.maker.tree() }).expect("memory does not fail");
            let left = self.looked_at(&*store.snapshot().expect("memory does not fail"));
            let after = Disk { strangers: disk.strangers.common(left.aside), ..left };
            self.keep(&after, store);
            self.tidied.lock().expect("no other test failed").insert(disk.clone(), after.clone());
            after
        });
        *disk = after;
    }

    fn store(&self, disk: &Disk) -> Arc<Memory> {
        self.stores.lock().expect("no other test failed")[disk].clone()
    }

    fn keep(&self, disk: &Disk, store: Memory) {
        self.follows_the_rule(disk, &store);
        self.stores.lock().expect("no other test failed").entry(disk.clone()).or_insert_with(|| store.into());
    }

    fn entry(&self, id: &Id) -> Option<usize> {
        self.scribe.entries[BASE..].iter().position(|entry| entry.id() == *id)
    }

    /// What a store holds, apart from how that came.
    fn looked_at(&self, snapshot: &dyn Snapshot) -> Disk {
        let ids: Vec<Id> = self.scribe.entries[BASE..].iter().map(|entry| entry.id()).collect();
        let headers = snapshot.headers(&self.scribe.maker.tree(), &ids).expect("memory does not fail");
        let those = |shared: bool| {
            let is =
                |header: &Option<_>| header.as_ref().is_some_and(|header: &Header| header.shared == shared);
            headers.iter().enumerate().filter(|(_, header)| is(header)).map(|(entry, _)| entry).collect()
        };
        Disk { held: those(true), aside: those(false), ..Disk::default() }
    }

    /// What counts, is shared and is shown is what the rule says, and an audit finds nothing.
    fn follows_the_rule(&self, disk: &Disk, store: &Memory) {
        let stored: rule::Set = (0..BASE).chain(disk.stored().iter().map(|entry| BASE + entry)).collect();
        let shared: rule::Set = (0..BASE).chain(disk.held.iter().map(|entry| BASE + entry)).collect();
        assert_eq!(shared, self.history.shared(&stored), "{:?}: what is marked as shared", self.kinds);
        let snapshot = store.snapshot().expect("memory does not fail");
        self.scribe.compare(&*snapshot, &self.history, &stored, &format!("{:?}", self.kinds));
    }
}
