//! What a write changes in the tables.

use std::collections::BTreeMap;

use crate::{layout::Table, tables::Span};

/// New values for keys of one table, in order of the keys; nothing for a key that goes.
pub(crate) type TableChanges = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Spans that go, then single keys that change.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    cleared: Vec<(Table, Span)>,
    tables: [TableChanges; Table::ALL.len()],
}

impl Changes {
    pub(crate) fn put(&mut self, table: Table, key: &[u8], value: Vec<u8>) {
        self.of_mut(table).insert(key.to_vec(), Some(value));
    }

    pub(crate) fn remove(&mut self, table: Table, key: &[u8]) {
        self.of_mut(table).insert(key.to_vec(), None);
    }

    /// Removes all keys of a span. A write that clears changes no key of the span besides.
    pub(crate) fn clear(&mut self, table: Table, span: Span) {
        self.cleared.push((table, span));
    }

    pub(crate) fn cleared(&self) -> &[(Table, Span)] {
        &self.cleared
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.cleared.is_empty() && self.tables.iter().all(BTreeMap::is_empty)
    }

    pub(crate) fn of(&self, table: Table) -> &TableChanges {
        // The array has a place for every table.
        &self.tables[table as usize]
    }

    fn of_mut(&mut self, table: Table) -> &mut TableChanges {
        &mut self.tables[table as usize]
    }

    /// The tables that change, each with its changes.
    pub(crate) fn into_tables(self) -> impl Iterator<Item = (Table, TableChanges)> {
        Table::ALL.into_iter().zip(self.tables).filter(|(_, changes)| !changes.is_empty())
    }
}
