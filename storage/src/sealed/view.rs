//! A snapshot that opens what is sealed.

use std::sync::Arc;

use pleach_core::{
    Id, Position, Range,
    access::ViewId,
    entry::{Entry, Permission, Who},
    instance::is_secret,
    storage::{
        Audit, Header, Measure, Member, Meta, Row, RowKind, RowQuery, Snapshot, StorageError, TreeSummary,
    },
};

use super::lock::Sealer;

/// A snapshot of the store within; secrets in it are opened when they are read.
pub(super) struct Opened {
    within: Arc<dyn Snapshot>,
    sealer: Option<Arc<Sealer>>,
}

impl Opened {
    pub(super) fn new(within: Arc<dyn Snapshot>, sealer: Option<Arc<Sealer>>) -> Self {
        Self { within, sealer }
    }

    fn open(&self, key: &[u8], value: Vec<u8>) -> Result<Vec<u8>, StorageError> {
        match &self.sealer {
            Some(sealer) if is_secret(key) => sealer.unseal(key, &value),
            _ => Ok(value),
        }
    }
}

impl Snapshot for Opened {
    fn trees(&self, after: Option<Id>, limit: usize) -> Result<Vec<Id>, StorageError> {
        self.within.trees(after, limit)
    }

    fn summary(&self, tree: &Id) -> Result<Option<TreeSummary>, StorageError> {
        self.within.summary(tree)
    }

    fn tips(&self, tree: &Id, after: Option<Position>, limit: usize) -> Result<Vec<Position>, StorageError> {
        self.within.tips(tree, after, limit)
    }

    fn measure(&self, tree: &Id, range: &Range) -> Result<Measure, StorageError> {
        self.within.measure(tree, range)
    }

    fn nth(&self, tree: &Id, range: &Range, n: u64) -> Result<Option<Position>, StorageError> {
        self.within.nth(tree, range, n)
    }

    fn positions(&self, tree: &Id, range: &Range, limit: usize) -> Result<Vec<Position>, StorageError> {
        self.within.positions(tree, range, limit)
    }

    fn headers(&self, tree: &Id, ids: &[Id]) -> Result<Vec<Option<Header>>, StorageError> {
        self.within.headers(tree, ids)
    }

    fn entry(&self, tree: &Id, id: &Id) -> Result<Option<Entry>, StorageError> {
        self.within.entry(tree, id)
    }

    fn entries(
        &self,
        tree: &Id,
        range: &Range,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<Entry>, StorageError> {
        self.within.entries(tree, range, limit, bytes)
    }

    fn rows(&self, tree: &Id, query: &RowQuery) -> Result<Vec<Row>, StorageError> {
        self.within.rows(tree, query)
    }

    fn stores(&self, tree: &Id) -> Result<Vec<(String, RowKind)>, StorageError> {
        self.within.stores(tree)
    }

    fn arrivals(&self, tree: &Id, after: u64, limit: usize) -> Result<Vec<(u64, Position)>, StorageError> {
        self.within.arrivals(tree, after, limit)
    }

    fn permission(&self, tree: &Id, who: &Who) -> Result<Option<Permission>, StorageError> {
        self.within.permission(tree, who)
    }

    fn permission_in(&self, tree: &Id, view: ViewId, who: &Who) -> Result<Option<Permission>, StorageError> {
        self.within.permission_in(tree, view, who)
    }

    fn members(&self, tree: &Id) -> Result<Vec<Member>, StorageError> {
        self.within.members(tree)
    }

    fn meta(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.within.meta(key)?.map(|value| self.open(key, value)).transpose()
    }

    fn metas(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Meta>, StorageError> {
        let page = self.within.metas(prefix, after, limit)?;
        page.into_iter().map(|(key, value)| Ok((key.clone(), self.open(&key, value)?))).collect()
    }

    fn audit(&self, tree: &Id, after: Option<Position>, limit: usize) -> Result<Audit, StorageError> {
        self.within.audit(tree, after, limit)
    }
}
