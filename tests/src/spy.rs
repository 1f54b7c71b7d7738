//! A store that notes what is asked of it and how much is written, to compare what two requests cost.

use std::sync::{Arc, Mutex, PoisonError};

use pleach_core::{
    Id, Position, Range,
    access::{Header, Member, ViewId},
    entry::{Entry, Permission, Who},
    storage::{
        Audit, Measure, Meta, Row, RowKind, RowQuery, Snapshot, StorageError, Store, TreeSummary, Write,
        Written,
    },
};

/// What happened at a store, in order; clones share it.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    /// Everything since the last call.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, note: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }
}

/// A store that notes what happens at it.
pub struct Spy<S> {
    store: S,
    notes: Notes,
}

impl<S: Store> Spy<S> {
    /// Watches a store.
    pub fn new(store: S, notes: &Notes) -> Self {
        Self { store, notes: notes.clone() }
    }
}

impl<S: Store> Store for Spy<S> {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
        Ok(Arc::new(Watched { snapshot: self.store.snapshot()?, notes: self.notes.clone() }))
    }

    fn write(&self, write: &Write) -> Result<Written, StorageError> {
        self.notes.add(match write {
            Write::Meta(change) => {
                let sizes: Vec<_> = change.iter().map(|(_, value)| value.as_ref().map(Vec::len)).collect();
                format!("write {sizes:?}")
            }
            _ => "write entries".into(),
        });
        self.store.write(write)
    }
}

struct Watched {
    snapshot: Arc<dyn Snapshot>,
    notes: Notes,
}

/// Each method notes its name, and asks the snapshot.
macro_rules! watched {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        impl Snapshot for Watched {
            $(fn $name(&self, $($argument: $type),*) -> Result<$result, StorageError> {
                self.notes.add(stringify!($name).into());
                self.snapshot.$name($($argument),*)
            })*
        }
    };
}

watched! {
    trees(after: Option<Id>, limit: usize) -> Vec<Id>;
    summary(tree: &Id) -> Option<TreeSummary>;
    tips(tree: &Id, after: Option<Position>, limit: usize) -> Vec<Position>;
    measure(tree: &Id, range: &Range) -> Measure;
    nth(tree: &Id, range: &Range, n: u64) -> Option<Position>;
    positions(tree: &Id, range: &Range, limit: usize) -> Vec<Position>;
    headers(tree: &Id, ids: &[Id]) -> Vec<Option<Header>>;
    entry(tree: &Id, id: &Id) -> Option<Entry>;
    entries(tree: &Id, range: &Range, limit: usize, bytes: usize) -> Vec<Entry>;
    rows(tree: &Id, query: &RowQuery) -> Vec<Row>;
    stores(tree: &Id) -> Vec<(String, RowKind)>;
    arrivals(tree: &Id, after: u64, limit: usize) -> Vec<(u64, Position)>;
    permission(tree: &Id, who: &Who) -> Option<Permission>;
    permission_in(tree: &Id, view: ViewId, who: &Who) -> Option<Permission>;
    members(tree: &Id) -> Vec<Member>;
    meta(key: &[u8]) -> Option<Vec<u8>>;
    metas(prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Meta>;
    audit(tree: &Id, after: Option<Position>, limit: usize) -> Audit;
}
