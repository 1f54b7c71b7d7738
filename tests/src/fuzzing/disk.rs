//! A store in a file on a disk that fails: what it acknowledged is there, whatever is read, written, cut and opened again.

use std::{collections::BTreeMap, sync::Arc};

use pleach_core::{
    Entropy, Id, Position,
    document::content_hash,
    entry::{EntryBuilder, Grant, Origin, Permission, VerifiedEntry, Who},
    storage::{Meta, Snapshot, StorageError, Store, TreeSummary, Write},
};
use pleach_storage::{
    Memory, Redb,
    conformance::{Cut, Disk, Maker, Slip, Trouble},
};

use super::{STEPS, script::Script};

/// The salt of every store here, so that the same writes have the same outcome.
const SALT: [u8; 32] = [5; 32];

/// Entries of two trees that may be written in any order: chains, branches, grants, revocations.
struct Pool {
    trees: [Id; 2],
    makers: [Maker; 2],
    entries: Vec<(usize, VerifiedEntry)>,
    /// An empty store, as it is in a file.
    empty: Disk,
}

thread_local! {
    static POOL: Pool = Pool::new();
}

impl Pool {
    fn new() -> Self {
        let [one, two] = [Maker::new(1), Maker::new(2)];
        let writer = one.signed_by(5);
        let who = Who::Key(writer.key().public());
        let grant = Grant { who, permission: Permission::Write(1), name: None };
        let granted = one.settings(&[one.root().position()], &[grant], &[]);
        let apart = writer.chain(granted.position(), 8);
        let honest = one.chain(granted.position(), 4);
        let revoked = one.settings(&[honest[1].position()], &[], &[who]);
        let merge = one.entry(&[apart[3].position(), honest[3].position()], "merge", "x");
        let late = writer.entry(&[merge.position(), revoked.position()], "late", "x");
        let lifted = one.settings(&[revoked.position(), apart[7].position()], &[grant], &[]);
        let large = one.entry(&[granted.position()], "large", &"x".repeat(20_000));
        let mut entries: Vec<_> = [one.root(), granted].map(|entry| (0, entry)).into();
        let first = apart.into_iter().chain(honest).chain([revoked, merge, late, lifted, large]);
        entries.extend(first.map(|entry| (0, entry)));
        let log = two.log(&[two.root().position()], &[b"a", b"b"]);
        let fan = two.fan(log.position(), 8);
        entries.extend([two.root(), log].into_iter().chain(fan).map(|entry| (1, entry)));
        let empty = Disk::new();
        drop(empty.open_salted(SALT).expect("a disk that works"));
        Self { trees: [one.tree(), two.tree()], makers: [one, two], entries, empty: whole(&empty) }
    }

    /// Entries of one tree, from a place in the pool on.
    fn put(&self, place: u8, count: usize) -> Write {
        let from = usize::from(place) % self.entries.len();
        let tree = self.entries[from].0;
        let entries = self.entries.iter().skip(from).take(count).filter(|(of, _)| *of == tree);
        Write::Put { tree: self.trees[tree], entries: entries.map(|(_, entry)| entry.clone()).collect() }
    }

    /// An entry that writes what nobody here thought of, if it can be written at all.
    fn own(&self, script: &mut Script<'_>) -> Option<Write> {
        let place = script.next();
        let (tree, parent) = &self.entries[usize::from(place) % self.entries.len()];
        let length = usize::from(script.next());
        let data = script.take(length);
        let store = if data.first() == Some(&2) { "_settings" } else { "doc" };
        let mut builder = EntryBuilder::new(Origin::Tree(self.trees[*tree]), u64::from(place));
        builder.parent(parent.position()).expect("one parent");
        let entry = VerifiedEntry::sign(&builder, self.makers[*tree].key(), &[(store, data)]).ok()?;
        Some(Write::Put { tree: self.trees[*tree], entries: vec![entry] })
    }
}

/// The same disk, as nothing but what it holds.
fn whole(disk: &Disk) -> Disk {
    disk.cut_leaving(disk.operations(), Cut::All, &mut Entropy::new([0; 32]))
}

/// What is known of a tree as a whole, its tips, and the hash of its content.
type ShownTree = (Option<TreeSummary>, Vec<Position>, [u8; 32]);

/// What a store shows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    trees: BTreeMap<Id, ShownTree>,
    metas: Vec<Meta>,
}

impl Shown {
    fn of(snapshot: &Arc<dyn Snapshot>) -> Result<Self, StorageError> {
        let mut trees = BTreeMap::new();
        for tree in snapshot.trees(None, 9)? {
            let hash = match content_hash(snapshot, &tree) {
                Ok(hash) => hash,
                Err(error) => return Err(StorageError::Failed(error.to_string())),
            };
            trees.insert(tree, (snapshot.summary(&tree)?, snapshot.tips(&tree, None, 99)?, hash));
        }
        Ok(Self { trees, metas: snapshot.metas(b"", None, 99)? })
    }

    fn of_memory(store: &Memory) -> Self {
        let snapshot = store.snapshot().expect("memory does not fail");
        Self::of(&snapshot).expect("memory does not fail")
    }
}

/// What a store may show: behind so many operations of the disk, and whether that was acknowledged.
struct State {
    operations: usize,
    acknowledged: bool,
    store: Memory,
}

struct Run<'a> {
    pool: &'a Pool,
    disk: Disk,
    store: Option<Redb>,
    /// What was acknowledged, and what failed and may have been done all the same, in order.
    states: Vec<State>,
    /// Which of these the store shows; if something failed since, it may be a later one.
    at: usize,
    /// Something was made to fail since the store was opened.
    faulty: bool,
}

fn fork(store: &Memory) -> Memory {
    store.fork().expect("memory does not fail")
}

impl<'a> Run<'a> {
    fn new(pool: &'a Pool) -> Self {
        let disk = whole(&pool.empty);
        let store = disk.open_salted(SALT).expect("a disk that works");
        let begin = State { operations: 0, acknowledged: true, store: Memory::salted(SALT) };
        Self { pool, disk, store: Some(store), states: vec![begin], at: 0, faulty: false }
    }

    fn write(&mut self, write: &Write) {
        let Some(store) = &self.store else { return };
        let after = fork(&self.states[self.at].store);
        let expected = after.write(write);
        let before = self.disk.operations();
        let result = store.write(write);
        let operations = self.disk.operations();
        match (&result, &expected) {
            (Ok(written), _) => {
                assert_eq!(Some(written), expected.as_ref().ok(), "both stores do the same");
                self.states.push(State { operations, acknowledged: true, store: after });
                self.at = self.states.len() - 1;
            }
            // What did not touch the disk was not done.
            (Err(_), _) if self.faulty && operations == before => {}
            (Err(_), _) if self.faulty => {
                self.states.push(State { operations, acknowledged: false, store: after });
            }
            (Err(error), Err(expected)) => assert_eq!(error, expected),
            (Err(error), Ok(_)) => panic!("a write failed, and nothing was made to fail: {error}"),
        }
    }

    /// What the store shows is what it acknowledged, or what failed and was done all the same.
    fn look(&mut self) {
        let Some(store) = &self.store else { return };
        match store.snapshot().and_then(|snapshot| Shown::of(&snapshot)) {
            Ok(shown) => drop(self.expect(&shown, self.at)),
            Err(error) => assert!(self.faulty, "a read failed, and nothing was made to fail: {error}"),
        }
    }

    /// The last state from this one on that looks like this.
    fn expect(&self, shown: &Shown, from: usize) -> usize {
        let found = self.states[from..].iter().rposition(|state| Shown::of_memory(&state.store) == *shown);
        let found =
            found.unwrap_or_else(|| panic!("what is shown was never acknowledged, or is lost: {shown:?}"));
        from + found
    }

    /// The process ends and begins; nothing fails any more.
    fn open(&mut self) {
        drop(self.store.take());
        self.opened(self.at);
    }

    /// A store that is opened shows one of the states from this one on, and is whole.
    fn opened(&mut self, from: usize) {
        self.disk.trouble(None);
        self.disk.slip(None);
        self.faulty = false;
        let store = self.disk.open_salted(SALT).expect("a disk that works");
        let snapshot = store.snapshot().expect("a disk that works");
        let shown = Shown::of(&snapshot).expect("a disk that works");
        for tree in snapshot.trees(None, 9).expect("a disk that works") {
            let audit = snapshot.audit(&tree, None, usize::MAX).expect("a disk that works");
            assert_eq!(audit.faults, [], "what is stored is whole");
        }
        self.at = self.expect(&shown, from);
        self.store = Some(store);
    }

    /// The power goes behind so many operations, which leaves this of what was not synced.
    fn cut(&mut self, after: usize, cut: Cut, chance: &mut Entropy) {
        let left = self.disk.cut_leaving(after, cut, chance);
        drop(self.store.take());
        // What was acknowledged by then is there; of what came later the next may be.
        let sure = self.states.iter().rposition(|state| state.acknowledged && state.operations <= after);
        let sure = sure.unwrap_or(0);
        let next = self.states.iter().skip(sure + 1).position(|state| state.acknowledged);
        self.states.truncate(next.map_or(self.states.len(), |next| sure + next + 2));
        self.disk = left;
        self.opened(sure);
        // It was read from a disk with nothing on its way.
        let now = self.states.swap_remove(self.at).store;
        self.states = vec![State { operations: 0, acknowledged: true, store: now }];
        self.at = 0;
    }
}

/// The bytes as writes, faults of the disk, power cuts and looks.
pub fn disk(bytes: &[u8]) {
    POOL.with(|pool| {
        let mut script = Script::new(bytes);
        let mut run = Run::new(pool);
        for _ in 0..STEPS {
            if script.is_over() {
                break;
            }
            step(&mut run, &mut script);
        }
        run.open();
    });
}

fn step(run: &mut Run<'_>, script: &mut Script<'_>) {
    let choice = script.next();
    let number = choice >> 4;
    match choice & 15 {
        0..=4 => {
            let write = run.pool.put(script.next(), usize::from(number) + 1);
            run.write(&write);
        }
        5 | 6 => {
            if let Some(write) = run.pool.own(script) {
                run.write(&write);
            }
        }
        7 => run
            .write(&Write::Meta(vec![(vec![number & 3], (number & 4 == 0).then(|| vec![number; 9]))].into())),
        8 => {
            let tree = run.pool.trees[usize::from(number & 1)];
            run.write(&match number >> 1 & 3 {
                0 => Write::Drop { tree },
                1 => Write::Tidy { tree },
                _ => Write::Repair { tree, after: None, thorough: number & 8 != 0 },
            });
        }
        9 | 10 => {
            let kinds = [Slip::Read, Slip::Write, Slip::HalfWrite, Slip::Resize, Slip::Sync];
            run.disk.slip(Some((kinds[usize::from(number) % kinds.len()], script.next().into())));
            run.faulty = true;
        }
        11 => {
            let troubles = [Trouble::Full, Trouble::NoWrites, Trouble::NoReads];
            let trouble = troubles.get(usize::from(number & 3)).copied();
            run.disk.trouble(trouble);
            run.faulty |= trouble.is_some();
        }
        12 => run.open(),
        13 | 14 => {
            let after = run.disk.operations().saturating_sub(script.next().into());
            let cut = [Cut::Nothing, Cut::All, Cut::Some, Cut::Torn][usize::from(number & 3)];
            run.cut(after, cut, &mut Entropy::new([number; 32]));
        }
        _ => run.look(),
    }
}

/// Inputs that reach deep, by name.
pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let all = [0xf0, 0, 0xf0, 16, 0x70, 21];
    let whole = [&all[..], &[0x07, 0x48, 0x07, 0x28, 0x0c, 0x0f, 0x05, 3, 6, 0, 1, 1, b'k', 0]].concat();
    let fails =
        [&[0x90, 0, 0x19, 3, 0x90, 8, 0x0f, 0x0c, 0x49, 0, 0x90, 8, 0x0c, 0x90, 8][..], &all].concat();
    let full = [&[0x30, 0, 0x0b, 0x70, 4, 0x0f, 0x3b, 0x0f, 0x0c, 0x70, 4][..], &all].concat();
    let cuts =
        [&[0x30, 0, 0x30, 4, 0x3d, 5, 0x70, 8, 0x0d, 2, 0x2d, 9, 0x70, 4, 0x1e, 30][..], &all].concat();
    vec![("whole", whole), ("fails", fails), ("full", full), ("cuts", cuts)]
}
