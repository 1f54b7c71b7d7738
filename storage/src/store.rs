//! The stores themselves: one write at a time, none after a failure.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
};

use pleach_core::{
    Id,
    entry::VerifiedEntry,
    limits::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES},
    storage::{MetaChange, Put, Snapshot, StorageError, Store, Write, Written},
};

use crate::{
    changes::Changes,
    layout::Table,
    masks::Step,
    put::{put, tidy, waiting},
    record::{FORMAT, TreeRecord, damaged, decode, encode},
    repair,
    snapshot::Reading,
    tables::{Flow, MemoryTables, Order, Overlay, Span, Tables, View},
    tree::tree_record,
};

#[cfg(feature = "redb")]
mod file;
#[cfg(feature = "redb")]
pub use file::{DEFAULT_CACHE_BYTES, Options, Redb};

const FORMAT_KEY: &[u8] = b"format";
const SALT_KEY: &[u8] = b"salt";
const NEXT_TREE_KEY: &[u8] = b"next-tree";

/// A store over tables of any kind.
pub(crate) struct Kept<T> {
    tables: T,
    salt: [u8; 32],
    step: Step,
    /// Held while a write goes on; the failure after which no more are taken.
    writing: Mutex<Option<StorageError>>,
}

impl<T: Tables> Kept<T> {
    /// Takes tables that hold a store of this format, or nothing.
    pub(crate) fn open(tables: T) -> Result<Self, StorageError> {
        Self::open_salted(tables, random_salt)
    }

    /// The same; a new store has this salt.
    pub(crate) fn open_salted(tables: T, salt: impl FnOnce() -> [u8; 32]) -> Result<Self, StorageError> {
        let view = tables.view()?;
        let salt = if let Some(format) = view.get(Table::Store, FORMAT_KEY)? {
            let found = decode("the format", &format)?;
            if found != FORMAT {
                return Err(StorageError::Format { found, known: FORMAT });
            }
            let salt = view.get(Table::Store, SALT_KEY)?;
            let salt = salt.and_then(|salt| salt.try_into().ok());
            salt.ok_or_else(|| damaged("the store", "its salt is missing"))?
        } else {
            let salt = salt();
            let mut changes = Changes::default();
            changes.put(Table::Store, FORMAT_KEY, encode(&FORMAT));
            changes.put(Table::Store, SALT_KEY, salt.to_vec());
            tables.apply(changes)?;
            salt
        };
        let kept = Self { tables, salt, step: Step::ORDINARY, writing: Mutex::new(None) };
        // Where this fails, reading goes on as always; what is wrong is found by the next write.
        let _ = kept.finish_flips();
        Ok(kept)
    }

    /// Carries through what a process that ended in between has left.
    fn finish_flips(&self) -> Result<(), StorageError> {
        let mut flipping = Vec::new();
        let all = Span::prefix(&[]);
        self.tables.view()?.scan(Table::Trees, &all, Order::Ascending, &mut |key, value| {
            // A record that does not read is found when the tree is used, and keeps the others from nobody.
            let flips =
                decode("a tree's record", value).is_ok_and(|record: TreeRecord| record.flip.is_some());
            if let (true, Ok(tree)) = (flips, key.try_into()) {
                flipping.push(Id::from_bytes(tree));
            }
            Ok(Flow::Continue(()))
        })?;
        for tree in flipping {
            let write = Write::Put { tree, entries: Vec::new() };
            while let Written::Put(Put { unfinished: Some(_), .. }) = self.write(&write)? {}
        }
        Ok(())
    }

    pub(crate) fn snapshot(&self) -> Result<Reading<T::View>, StorageError> {
        Ok(Reading { view: self.tables.view()?, salt: self.salt })
    }

    /// Behind the back of all rules.
    #[cfg(any(test, feature = "conformance"))]
    pub(crate) fn tables(&self) -> &T {
        &self.tables
    }

    pub(crate) fn write(&self, write: &Write) -> Result<Written, StorageError> {
        let mut stopped = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &*stopped {
            return Err(error.clone());
        }
        let (written, changes) = self.prepare(write)?;
        if !changes.is_empty() {
            self.tables.apply(changes).inspect_err(|error| *stopped = Some(error.clone()))?;
        }
        Ok(written)
    }

    /// What a write changes. Nothing has happened if this fails.
    fn prepare(&self, write: &Write) -> Result<(Written, Changes), StorageError> {
        match write {
            Write::Put { tree, entries } => {
                let (put, changes) = self.prepare_put(*tree, entries)?;
                Ok((Written::Put(put), changes))
            }
            Write::PutWithMeta { tree, entries, meta } => {
                let (put, mut changes) = self.prepare_put(*tree, entries)?;
                if put.counts() {
                    change_meta(&mut changes, meta);
                }
                Ok((Written::Put(put), changes))
            }
            Write::Drop { tree } => {
                let mut changes = Changes::default();
                changes.clear(Table::Waiting, waiting(tree));
                if let Some(record) = tree_record(&self.tables.view()?, tree)? {
                    changes.remove(Table::Trees, tree.as_bytes());
                    for table in Table::of_trees() {
                        changes.clear(table, record.tree().all());
                    }
                }
                Ok((Written::Done, changes))
            }
            Write::Tidy { tree } => Ok((Written::Done, tidy(self.tables.view()?, *tree)?)),
            Write::Repair { tree, after, thorough } => {
                let (repaired, changes) = repair::step(self.snapshot()?, *tree, *after, *thorough)?;
                Ok((Written::Repaired(repaired), changes))
            }
            Write::Meta(pairs) => {
                let mut changes = Changes::default();
                change_meta(&mut changes, pairs);
                Ok((Written::Done, changes))
            }
            // Kinds of writes that this version does not know cannot be asked of it.
            _ => Err(StorageError::Failed("this store does not know that kind of write".into())),
        }
    }

    fn prepare_put(&self, tree: Id, entries: &[VerifiedEntry]) -> Result<(Put, Changes), StorageError> {
        let bytes = entries.iter().map(|entry| entry.bytes().len()).sum::<usize>();
        if entries.len() > MAX_BATCH_ENTRIES || bytes > MAX_BATCH_BYTES {
            return Err(StorageError::Batch { entries: entries.len(), bytes });
        }
        put(self.tables.view()?, &self.salt, self.step, tree, entries)
    }
}

fn change_meta(changes: &mut Changes, pairs: &[MetaChange]) {
    for (key, value) in pairs {
        match value {
            Some(value) => changes.put(Table::Meta, key, value.clone()),
            None => changes.remove(Table::Meta, key),
        }
    }
}

/// Takes the next number for a tree. Numbers are not used again, so that what a dropped tree may have left behind can
/// never belong to another.
pub(crate) fn next_tree_number<V: View>(overlay: &mut Overlay<V>) -> Result<u32, StorageError> {
    let next = overlay.get(Table::Store, NEXT_TREE_KEY)?;
    let next: u32 = next.map_or(Ok(0), |next| decode("the next tree's number", &next))?;
    overlay.changes.put(Table::Store, NEXT_TREE_KEY, encode(&next.saturating_add(1)));
    Ok(next)
}

/// Randomness of the standard library's hash maps: enough that nobody elsewhere can guess it.
fn random_salt() -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("pleach 2026 storage v1 salt of the aggregates");
    for number in 0..4_u64 {
        hasher.update(&RandomState::new().hash_one(number).to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// A store in memory, gone with the process.
///
/// ```
/// use pleach_core::storage::{Store, Write};
/// use pleach_storage::Memory;
///
/// let store = Memory::new();
/// store.write(&Write::Meta(vec![(b"colour".to_vec(), Some(b"green".to_vec()))].into()))?;
/// assert_eq!(store.snapshot()?.meta(b"colour")?, Some(b"green".to_vec()));
///
/// let other = store.fork()?;
/// other.write(&Write::Meta(vec![(b"colour".to_vec(), None)].into()))?;
/// assert!(store.snapshot()?.meta(b"colour")?.is_some(), "each goes its own way");
/// # Ok::<(), pleach_core::storage::StorageError>(())
/// ```
pub struct Memory(Kept<MemoryTables>);

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        // Only tables that can fail, or hold something, give an error here.
        match Kept::open(MemoryTables::default()) {
            Ok(kept) => Self(kept),
            Err(_) => unreachable!(),
        }
    }

    #[cfg(feature = "conformance")]
    pub(crate) fn kept(&self) -> &Kept<MemoryTables> {
        &self.0
    }

    /// A store that holds the same and then goes its own way, at the cost of what changes.
    pub fn fork(&self) -> Result<Self, StorageError> {
        let tables = self.0.tables.fork()?;
        let Kept { salt, step, .. } = &self.0;
        Ok(Self(Kept { tables, salt: *salt, step: *step, writing: Mutex::new(None) }))
    }

    /// An empty store whose shape depends on this salt and on what is written alone: for tests that run twice.
    #[cfg(feature = "conformance")]
    #[must_use]
    pub fn salted(salt: [u8; 32]) -> Self {
        Self(Kept::open_salted(MemoryTables::default(), || salt).expect("tables in memory"))
    }

    /// The same store, which changes so few entries in one write when a revocation comes: for tests of what lies
    /// between.
    #[cfg(feature = "conformance")]
    #[must_use]
    pub fn in_steps_of(mut self, entries: usize) -> Self {
        self.0.step = Step::of(entries);
        self
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl Store for Memory {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
        Ok(Arc::new(self.0.snapshot()?))
    }

    fn write(&self, write: &Write) -> Result<Written, StorageError> {
        self.0.write(write)
    }
}
