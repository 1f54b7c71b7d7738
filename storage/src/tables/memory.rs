//! Tables in memory: persistent maps, so that a view costs nothing and never changes.

use std::sync::{Arc, Mutex, PoisonError};

use imbl::OrdMap;
use pleach_core::storage::StorageError;

use crate::{
    changes::Changes,
    layout::Table,
    tables::{Order, Span, Tables, View, Visit},
};

type Map = OrdMap<Arc<[u8]>, Arc<[u8]>>;

/// All tables, cheap to clone: what changes later is copied node by node.
#[derive(Clone, Default)]
pub(crate) struct MemoryView([Map; Table::ALL.len()]);

/// Tables that last as long as the process.
#[derive(Default)]
pub(crate) struct MemoryTables(Mutex<MemoryView>);

impl MemoryTables {
    /// Tables that hold the same.
    pub(crate) fn fork(&self) -> Result<Self, StorageError> {
        Ok(Self(Mutex::new(self.view()?)))
    }
}

impl Tables for MemoryTables {
    type View = MemoryView;

    fn view(&self) -> Result<MemoryView, StorageError> {
        // The state is replaced as a whole, so a panic elsewhere cannot have left half of it.
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn apply(&self, changes: Changes) -> Result<(), StorageError> {
        let mut next = self.view()?;
        for (table, span) in changes.cleared() {
            let map = &mut next.0[*table as usize];
            let (before, _, rest) = map.split_lookup(span.start.as_slice());
            *map = before;
            if let Some(end) = &span.end {
                let (_, at_end, behind) = rest.split_lookup(end.as_slice());
                *map = std::mem::take(map).union(behind);
                if let Some(value) = at_end {
                    map.insert(end.as_slice().into(), value);
                }
            }
        }
        for (table, changes) in changes.into_tables() {
            let map = &mut next.0[table as usize];
            for (key, value) in changes {
                match value {
                    Some(value) => drop(map.insert(key.into(), value.into())),
                    None => drop(map.remove(key.as_slice())),
                }
            }
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }
}

impl View for MemoryView {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.0[table as usize].get(key).map(|value| value.to_vec()))
    }

    fn scan(
        &self,
        table: Table,
        span: &Span,
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<(), StorageError> {
        if span.is_empty() {
            return Ok(());
        }
        let mut pairs = self.0[table as usize].range::<_, [u8]>(span.bounds());
        loop {
            let pair = match order {
                Order::Ascending => pairs.next(),
                Order::Descending => pairs.next_back(),
            };
            let Some((key, value)) = pair else { return Ok(()) };
            if visit(key, value)?.is_break() {
                return Ok(());
            }
        }
    }
}
