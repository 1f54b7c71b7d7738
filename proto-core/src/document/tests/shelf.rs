//! A snapshot made of a list of rows.

use std::{string::String, sync::Arc, vec::Vec};

use crate::{
    Id, Position, PublicKey, Range, SecretKey,
    access::{Header, Member, ViewId},
    document::{Changes, newest_time, rows_of},
    entry::{Entry, EntryBuilder, Origin, Permission, VerifiedEntry, Who},
    storage::{
        Audit, Measure, OfPath, Paths, Row, RowKind, RowQuery, Snapshot, Stamp, StorageError, TreeSummary,
    },
};

pub(super) fn tree() -> Id {
    Id::of(b"tree")
}

pub(super) fn key() -> SecretKey {
    SecretKey::from_bytes([3; 32])
}

#[derive(Clone, Default)]
pub(super) struct Shelf(pub(super) Vec<(String, RowKind, Row)>);

impl Shelf {
    pub(super) fn snapshot(&self) -> Arc<dyn Snapshot> {
        Arc::new(self.clone())
    }

    pub(super) fn put(&mut self, store: &str, path: &str, stamp: Stamp, value: Option<Vec<u8>>) {
        let row = Row { path: path.into(), stamp, value, author: key().public() };
        self.0.push((store.into(), RowKind::Map, row));
    }

    /// Makes the entry of a draft's changes by the rule for its time, and keeps its rows.
    pub(super) fn commit(&mut self, changes: &Changes, now: u64, height: u64) -> Entry {
        let snapshot = self.snapshot();
        let newest = changes
            .touched
            .iter()
            .filter_map(|(store, path)| newest_time(&snapshot, &tree(), store, path).unwrap());
        let time = newest.map(|time| time + 1).fold(now, u64::max);
        let mut builder = EntryBuilder::new(Origin::Tree(tree()), time);
        builder.parent(Position { height: height - 1, id: tree() }).unwrap();
        let stores: Vec<_> =
            changes.stores.iter().map(|(name, data)| (name.as_str(), data.as_slice())).collect();
        let entry = VerifiedEntry::sign(&builder, &key(), &stores).unwrap().into_entry();
        let stamp = Stamp { time, position: entry.position() };
        for write in rows_of(&entry.view()) {
            let path = write.path.as_bytes().to_vec();
            let row = Row { path, stamp, value: write.value.map(Into::into), author: key().public() };
            self.0.push((write.store.into(), write.kind, row));
        }
        entry
    }
}

impl Snapshot for Shelf {
    fn rows(&self, _: &Id, query: &RowQuery) -> Result<Vec<Row>, StorageError> {
        let order = |path: &[u8], stamp: Stamp| match query.kind {
            RowKind::Map => (Some(path.to_vec()), stamp, Vec::new()),
            RowKind::Log => (None, Stamp { time: 0, ..stamp }, path.to_vec()),
        };
        let inside = |row: &Row| match &query.paths {
            Paths::All => true,
            Paths::One(path) => row.path == path.as_bytes(),
            Paths::Below(path) => row.path.starts_with(std::format!("{path}.").as_bytes()),
        };
        let mut rows: Vec<_> = self
            .0
            .iter()
            .filter(|(store, kind, row)| *store == query.store && *kind == query.kind && inside(row))
            .map(|(_, _, row)| row.clone())
            .collect();
        rows.sort_by_key(|row| order(&row.path, row.stamp));
        if query.of_path == OfPath::Last {
            rows.reverse();
            rows.dedup_by(|a, b| a.path == b.path);
            rows.reverse();
        }
        if let Some((path, stamp)) = &query.after {
            rows.retain(|row| order(&row.path, row.stamp) > order(path, *stamp));
        }
        rows.truncate(query.limit);
        Ok(rows)
    }

    fn stores(&self, _: &Id) -> Result<Vec<(String, RowKind)>, StorageError> {
        let mut stores: Vec<_> = self.0.iter().map(|(store, kind, _)| (store.clone(), *kind)).collect();
        stores.sort();
        stores.dedup();
        Ok(stores)
    }

    fn trees(&self, _: Option<Id>, _: usize) -> Result<Vec<Id>, StorageError> {
        Ok(Vec::new())
    }
    fn summary(&self, _: &Id) -> Result<Option<TreeSummary>, StorageError> {
        Ok(None)
    }
    fn tips(&self, _: &Id, _: Option<Position>, _: usize) -> Result<Vec<Position>, StorageError> {
        Ok(Vec::new())
    }
    fn measure(&self, _: &Id, _: &Range) -> Result<Measure, StorageError> {
        Ok(Measure::default())
    }
    fn nth(&self, _: &Id, _: &Range, _: u64) -> Result<Option<Position>, StorageError> {
        Ok(None)
    }
    fn positions(&self, _: &Id, _: &Range, _: usize) -> Result<Vec<Position>, StorageError> {
        Ok(Vec::new())
    }
    fn headers(&self, _: &Id, _: &[Id]) -> Result<Vec<Option<Header>>, StorageError> {
        Ok(Vec::new())
    }
    fn entry(&self, _: &Id, _: &Id) -> Result<Option<Entry>, StorageError> {
        Ok(None)
    }
    fn entries(&self, _: &Id, _: &Range, _: usize, _: usize) -> Result<Vec<Entry>, StorageError> {
        Ok(Vec::new())
    }
    fn arrivals(&self, _: &Id, _: u64, _: usize) -> Result<Vec<(u64, Position)>, StorageError> {
        Ok(Vec::new())
    }
    fn permission(&self, _: &Id, _: &Who) -> Result<Option<Permission>, StorageError> {
        Ok(None)
    }
    fn permission_in(&self, _: &Id, _: ViewId, _: &Who) -> Result<Option<Permission>, StorageError> {
        Ok(None)
    }
    fn members(&self, _: &Id) -> Result<Vec<Member>, StorageError> {
        Ok(Vec::new())
    }
    fn meta(&self, _: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(None)
    }
    fn metas(&self, _: &[u8], _: Option<&[u8]>, _: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StorageError> {
        Ok(Vec::new())
    }
    fn audit(&self, _: &Id, _: Option<Position>, _: usize) -> Result<Audit, StorageError> {
        Ok(Audit::default())
    }
}

pub(super) fn public() -> PublicKey {
    key().public()
}
