//! Rows of a snapshot, and of a draft on top of it: the newest write of each path, in order of path.

use alloc::{collections::VecDeque, string::String, sync::Arc, vec::Vec};
use core::fmt;

use crate::{
    Id, Position,
    document::{DocumentError, Draft},
    limits::{HEIGHT_END, TIME_END},
    path,
    storage::{OfPath, Paths, Row, RowKind, RowQuery, Snapshot, Stamp, StorageError},
};

/// Rows asked for at a time.
pub(super) const PAGE: usize = if cfg!(test) { 3 } else { 256 };

/// The greatest stamp that an entry can have.
const LAST_STAMP: Stamp =
    Stamp { time: TIME_END - 1, position: Position { height: HEIGHT_END - 1, id: Id::MAX } };

/// When a write was made, as far as it matters for hiding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Age {
    Stored(Stamp),
    /// By the draft: after all that is stored, and all at once.
    Own,
}

/// The newest write of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Newest {
    pub(super) path: String,
    pub(super) age: Age,
    pub(super) value: Option<Vec<u8>>,
}

/// What is read from: a tree in a snapshot, and the draft's own writes if there is a draft.
#[derive(Clone)]
pub(super) struct Reads {
    pub(super) snapshot: Arc<dyn Snapshot>,
    pub(super) tree: Id,
    pub(super) draft: Option<Draft>,
}

impl fmt::Debug for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reads").field("tree", &self.tree).field("draft", &self.draft).finish_non_exhaustive()
    }
}

impl Reads {
    /// The newest write of one path.
    pub(super) fn newest(&self, store: &str, path: &str) -> Result<Option<Newest>, DocumentError> {
        if let Some(own) = self.draft.as_ref().and_then(|draft| draft.own(store, path)) {
            return Ok(Some(own));
        }
        let mut rows = self.snapshot.rows(&self.tree, &newest_query(store, Paths::One(path.into()), 1))?;
        rows.pop().map(stored).transpose()
    }

    /// The newest write of each path, in order of path, after a path if one is given.
    pub(super) fn scan(&self, store: &str, paths: Paths, after: Option<&str>) -> Scan {
        let wanted = |path: &str| {
            let inside = match &paths {
                Paths::All => true,
                Paths::One(one) => path == one,
                Paths::Below(above) => path::is_below(path, above),
            };
            inside && after.is_none_or(|after| path > after)
        };
        let own = self.draft.as_ref().map_or_else(Vec::new, |draft| draft.own_paths(store, wanted));
        let mut query = newest_query(store, paths, PAGE);
        query.after = after.map(|path| (path.into(), LAST_STAMP));
        Scan {
            snapshot: self.snapshot.clone(),
            tree: self.tree,
            query,
            page: VecDeque::new(),
            at_end: false,
            own: own.into(),
        }
    }
}

fn newest_query(store: &str, paths: Paths, limit: usize) -> RowQuery {
    RowQuery { store: store.into(), kind: RowKind::Map, paths, after: None, of_path: OfPath::Last, limit }
}

fn stored(row: Row) -> Result<Newest, DocumentError> {
    let path = String::from_utf8(row.path)
        .map_err(|_| StorageError::Damaged("the path of a row is not text".into()))?;
    Ok(Newest { path, age: Age::Stored(row.stamp), value: row.value })
}

/// The newest write of each path, in order.
pub(super) struct Scan {
    snapshot: Arc<dyn Snapshot>,
    tree: Id,
    query: RowQuery,
    page: VecDeque<Newest>,
    at_end: bool,
    own: VecDeque<(String, Option<Vec<u8>>)>,
}

impl Scan {
    /// The path that comes next.
    pub(super) fn peek(&mut self) -> Result<Option<&str>, DocumentError> {
        self.fill()?;
        let (page, own) = (self.page.front(), self.own.front());
        let page = page.map(|row| row.path.as_str());
        let own = own.map(|(path, _)| path.as_str());
        Ok(match (page, own) {
            (Some(page), Some(own)) => Some(page.min(own)),
            (page, own) => page.or(own),
        })
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Result<Option<Newest>, DocumentError> {
        self.fill()?;
        let Some((path, _)) = self.own.front() else { return Ok(self.page.pop_front()) };
        match self.page.front() {
            Some(row) if row.path < *path => return Ok(self.page.pop_front()),
            // The draft's own write replaces the stored one.
            Some(row) if row.path == *path => {
                self.page.pop_front();
            }
            _ => {}
        }
        let own = self.own.pop_front();
        Ok(own.map(|(path, value)| Newest { path, age: Age::Own, value }))
    }

    fn fill(&mut self) -> Result<(), DocumentError> {
        if self.at_end || !self.page.is_empty() {
            return Ok(());
        }
        let rows = self.snapshot.rows(&self.tree, &self.query)?;
        self.at_end = rows.len() < self.query.limit;
        if let Some(last) = rows.last() {
            self.query.after = Some((last.path.clone(), last.stamp));
        }
        for row in rows {
            self.page.push_back(stored(row)?);
        }
        Ok(())
    }
}
