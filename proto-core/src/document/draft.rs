//! A transaction in the making.

use alloc::{collections::BTreeMap, string::String, sync::Arc, vec::Vec};
use core::fmt;

use spin::Mutex;

use crate::{
    Id, PublicKey,
    document::{
        Changes, DocumentError, Scope, StoreType,
        changes::{SettingsWrites, StoreWrites},
        reads::{Age, Newest},
    },
    entry::{SETTINGS, Value},
    storage::{RowKind, Snapshot},
};

/// A transaction in the making: gathers writes to any number of stores of one tree, over one snapshot. Reads through
/// it see what it has written. A clone is another handle of the same draft; what is shared is locked for moments
/// only, never while the snapshot is read.
///
/// Nothing is stored before the draft's [`Changes`] went into an entry, and that is the node's work.
#[derive(Clone)]
pub struct Draft(Arc<Inner>);

struct Inner {
    snapshot: Arc<dyn Snapshot>,
    tree: Id,
    author: PublicKey,
    seed: [u8; 32],
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stores: BTreeMap<String, StoreWrites>,
    derived: u64,
    finished: bool,
}

impl Draft {
    /// Begins a transaction over a snapshot. `seed` is random bytes, from which keys of new rows are derived.
    pub fn new(snapshot: Arc<dyn Snapshot>, tree: Id, author: PublicKey, seed: [u8; 32]) -> Self {
        Self(Arc::new(Inner { snapshot, tree, author, seed, state: Mutex::default() }))
    }

    /// The tree that it is about.
    pub fn tree(&self) -> Id {
        self.0.tree
    }

    /// Whose key will sign.
    pub fn author(&self) -> PublicKey {
        self.0.author
    }

    /// What it reads from, its own writes aside.
    pub fn snapshot(&self) -> &Arc<dyn Snapshot> {
        &self.0.snapshot
    }

    /// Opens a store to read and write.
    pub fn store<S: StoreType>(&self, name: &str) -> Result<S, DocumentError> {
        S::open(Scope::of_draft(self, name)?)
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.0.state.lock().stores.values().all(StoreWrites::is_empty)
    }

    /// What has been written so far, encoded. The draft can go on.
    pub fn changes(&self) -> Result<Changes, DocumentError> {
        changes(&self.0.state.lock())
    }

    /// Ends the draft and gives what it has written. From here on it takes no writes, and cannot be ended again.
    pub fn finish(&self) -> Result<Changes, DocumentError> {
        let mut state = self.0.state.lock();
        if state.finished {
            return Err(DocumentError::Finished);
        }
        let changes = changes(&state)?;
        state.finished = true;
        Ok(changes)
    }

    /// A key that no other draft derives, for a new row.
    pub(super) fn derive_key(&self, store: &str) -> String {
        let number = {
            let mut state = self.0.state.lock();
            state.derived = state.derived.wrapping_add(1);
            state.derived
        };
        let mut hasher = blake3::Hasher::new_derive_key("pleach 2026 key of a new row");
        hasher.update(&self.0.seed).update(self.0.author.as_bytes()).update(&number.to_le_bytes());
        let hash = *hasher.update(store.as_bytes()).finalize().as_bytes();
        let (short, _) = hash.split_at(16);
        let mut key = data_encoding::BASE32_NOPAD.encode(short);
        key.make_ascii_lowercase();
        key
    }

    /// Changes what is written into a store, which gets that kind if it is new here.
    pub(super) fn change<T>(
        &self,
        store: &str,
        kind: RowKind,
        change: impl FnOnce(&mut StoreWrites) -> Result<T, DocumentError>,
    ) -> Result<T, DocumentError> {
        let mut state = self.0.state.lock();
        if state.finished {
            return Err(DocumentError::Finished);
        }
        let writes = state.stores.entry(store.into()).or_insert_with(|| StoreWrites::new(kind, store));
        change(writes)
    }

    pub(super) fn set(&self, store: &str, path: &str, value: &Value) -> Result<(), DocumentError> {
        self.change(store, RowKind::Map, |writes| Ok(writes.map(store)?.set(path, value)?))
    }

    /// Writes a value whole, a map too: one row.
    pub(super) fn set_row(&self, store: &str, path: &str, value: Vec<u8>) -> Result<(), DocumentError> {
        self.change(store, RowKind::Map, |writes| {
            let writes = writes.map(store)?;
            writes.forget(path);
            writes.0.insert(path.into(), Some(value));
            Ok(())
        })
    }

    pub(super) fn settings(&self, change: impl FnOnce(&mut SettingsWrites)) -> Result<(), DocumentError> {
        self.change(SETTINGS, RowKind::Map, |writes| match writes {
            StoreWrites::Settings(settings) => {
                change(settings);
                Ok(())
            }
            _ => Err(DocumentError::SettingsPlace(SETTINGS.into())),
        })
    }

    /// Its own write at a path, if there is one.
    pub(super) fn own(&self, store: &str, path: &str) -> Option<Newest> {
        let state = self.0.state.lock();
        let value = state.stores.get(store)?.paths()?.0.get(path)?.clone();
        Some(Newest { path: path.into(), age: Age::Own, value })
    }

    /// Its own writes at paths that are wanted, in order.
    pub(super) fn own_paths(
        &self,
        store: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Vec<(String, Option<Vec<u8>>)> {
        let state = self.0.state.lock();
        let writes = state.stores.get(store).and_then(StoreWrites::paths);
        let wanted = writes.into_iter().flat_map(|writes| &writes.0).filter(|(path, _)| wanted(path));
        wanted.map(|(path, value)| (path.clone(), value.clone())).collect()
    }

    /// Its own appends to a log.
    pub(super) fn own_appends(&self, store: &str) -> Vec<Vec<u8>> {
        match self.0.state.lock().stores.get(store) {
            Some(StoreWrites::Log(appends)) => appends.clone(),
            _ => Vec::new(),
        }
    }
}

fn changes(state: &State) -> Result<Changes, DocumentError> {
    let mut changes = Changes::default();
    for (name, writes) in state.stores.iter().filter(|(_, writes)| !writes.is_empty()) {
        changes.stores.push((name.clone(), writes.encode()?));
        let paths = writes.paths().into_iter().flat_map(|writes| writes.0.keys());
        changes.touched.extend(paths.map(|path| (name.clone(), path.clone())));
    }
    Ok(changes)
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.lock();
        let stores: Vec<_> = state.stores.keys().collect();
        f.debug_struct("Draft").field("tree", &self.0.tree).field("stores", &stores).finish_non_exhaustive()
    }
}
