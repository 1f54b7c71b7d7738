//! Entries for tests, the same from the same seed.

use pleach_core::{
    Id, Position, SecretKey, canonical,
    entry::{EntryBuilder, Grant, Origin, SETTINGS, Value, VerifiedEntry, Who},
};

/// Makes the entries of one tree. What it makes depends on its seed and on what was asked alone.
///
/// ```
/// # use pleach_storage::{Memory, conformance::Maker};
/// # use pleach_core::storage::Store;
/// let maker = Maker::new(1);
/// let root = maker.root();
/// let child = maker.entry(&[root.position()], "greeting", "hello");
/// let store = Memory::new();
/// store.write(&maker.put([&root, &child]))?;
/// assert_eq!(store.snapshot()?.tips(&maker.tree(), None, 9)?, [child.position()]);
/// # Ok::<(), pleach_core::storage::StorageError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Maker {
    key: SecretKey,
    root: VerifiedEntry,
}

/// The claimed time of every entry unless another is asked for.
const TIME: u64 = 1_700_000_000_000;

impl Maker {
    /// A tree of its own for each seed. The root key signs all, so everything may be written.
    pub fn new(seed: u8) -> Self {
        let key = SecretKey::from_bytes([seed; 32]);
        let builder = EntryBuilder::new(Origin::Root { nonce: [seed; 16] }, TIME);
        let data = settings(&[("name", Some(Value::Text(format!("tree {seed}"))))], &[], &[]);
        let root = VerifiedEntry::sign(&builder, &key, &[(SETTINGS, &data)]).expect("a root");
        Self { key, root }
    }

    /// The same tree, its entries signed by another key.
    #[must_use]
    pub fn signed_by(&self, seed: u8) -> Self {
        Self { key: SecretKey::from_bytes([seed; 32]), root: self.root.clone() }
    }

    /// The key that signs.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// The root.
    pub fn root(&self) -> VerifiedEntry {
        self.root.clone()
    }

    /// The tree's id.
    pub fn tree(&self) -> Id {
        self.root.id()
    }

    /// An entry that writes a text at a path of the store `doc`.
    pub fn entry(&self, parents: &[Position], path: &str, text: &str) -> VerifiedEntry {
        self.at_time(TIME, parents, path, Some(text))
    }

    /// The same with a claimed time; nothing for a tombstone.
    pub fn at_time(&self, time: u64, parents: &[Position], path: &str, text: Option<&str>) -> VerifiedEntry {
        let value = text.map(|text| Value::Text(text.to_owned()));
        self.sign(time, parents, &[("doc", &map(&[(path, value)]))])
    }

    /// An entry that appends to the log `log`.
    pub fn log(&self, parents: &[Position], appends: &[&[u8]]) -> VerifiedEntry {
        self.sign(TIME, parents, &[("log", &[&[1][..], &canonical::to_vec(appends)].concat())])
    }

    /// An entry that writes settings. Grants and revocations ascend by whom they name.
    pub fn settings(&self, parents: &[Position], grants: &[Grant<'_>], revocations: &[Who]) -> VerifiedEntry {
        self.sign(TIME, parents, &[(SETTINGS, &settings(&[], grants, revocations))])
    }

    /// An entry with these stores, encoded and sorted by name.
    pub fn sign(&self, time: u64, parents: &[Position], stores: &[(&str, &[u8])]) -> VerifiedEntry {
        let mut builder = EntryBuilder::new(Origin::Tree(self.tree()), time);
        for parent in parents {
            builder.parent(*parent).expect("few parents");
        }
        VerifiedEntry::sign(&builder, &self.key, stores).expect("a valid entry")
    }

    /// `count` entries, each on the one before, the first on `parent`.
    pub fn chain(&self, parent: Position, count: usize) -> Vec<VerifiedEntry> {
        let mut parent = parent;
        let numbers = 0..count;
        numbers
            .map(|number| {
                let entry = self.entry(&[parent], &format!("chain.{number}"), "on and on");
                parent = entry.position();
                entry
            })
            .collect()
    }

    /// `count` entries at one height, all on `parent`.
    pub fn fan(&self, parent: Position, count: usize) -> Vec<VerifiedEntry> {
        let numbers = 0..count;
        numbers.map(|number| self.entry(&[parent], &format!("fan.{number}"), "aside")).collect()
    }

    /// The write that puts these.
    pub fn put<'a>(
        &self,
        entries: impl IntoIterator<Item = &'a VerifiedEntry>,
    ) -> pleach_core::storage::Write {
        let entries = entries.into_iter().cloned().collect();
        pleach_core::storage::Write::Put { tree: self.tree(), entries }
    }
}

/// The data of a map: values at paths, ascending.
fn map(writes: &[(&str, Option<Value>)]) -> Vec<u8> {
    [&[0][..], &encoded(writes)].concat()
}

/// The data of settings.
fn settings(writes: &[(&str, Option<Value>)], grants: &[Grant<'_>], revocations: &[Who]) -> Vec<u8> {
    let parts = [encoded(writes), canonical::to_vec(grants), canonical::to_vec(revocations)];
    [vec![2], parts.concat()].concat()
}

fn encoded(writes: &[(&str, Option<Value>)]) -> Vec<u8> {
    let encode = |value: &Value| value.encode().expect("a finite value");
    let writes: Vec<_> = writes.iter().map(|(path, value)| (path, value.as_ref().map(encode))).collect();
    canonical::to_vec(&writes)
}
