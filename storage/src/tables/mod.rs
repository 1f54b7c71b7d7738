//! Ordered maps of bytes: all that a store needs from what lies below it.
//!
//! A write gathers its [`Changes`] over an unchanging [`View`] (see [`Overlay`]) and hands them over at once, so an
//! implementation knows nothing of transactions in progress: it shows what was applied, and applies all or nothing.

use std::ops::{Bound, ControlFlow};

use pleach_core::storage::StorageError;

mod memory;
mod overlay;
#[cfg(feature = "redb")]
mod redb;

pub(crate) use memory::MemoryTables;
pub(crate) use overlay::Overlay;
#[cfg(feature = "redb")]
pub(crate) use redb::RedbTables;

pub(crate) use crate::changes::Changes;
use crate::layout::Table;

/// Whether a scan goes on behind the pair that it just showed.
pub(crate) type Flow = ControlFlow<()>;

/// A key and its value.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// Sees the pairs of a scan one by one.
pub(crate) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<Flow, StorageError> + 'a;

/// The order of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Ascending,
    Descending,
}

/// The keys from `start` (included) to `end` (excluded; nothing for no end).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Vec<u8>,
    pub(crate) end: Option<Vec<u8>>,
}

impl Span {
    pub(crate) fn new(start: impl Into<Vec<u8>>, end: impl Into<Vec<u8>>) -> Self {
        Self { start: start.into(), end: Some(end.into()) }
    }

    /// All keys that start with this prefix.
    pub(crate) fn prefix(prefix: &[u8]) -> Self {
        Self { start: prefix.to_vec(), end: successor(prefix) }
    }

    pub(crate) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let end = self.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        (Bound::Included(self.start.as_slice()), end)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| self.start >= *end)
    }

    /// The part behind this key.
    pub(crate) fn behind(mut self, key: &[u8]) -> Self {
        if key >= self.start.as_slice() {
            self.start = [key, &[0]].concat();
        }
        self
    }
}

/// The first key behind all that start with this prefix; nothing if there is none, as for the empty prefix.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut next = prefix.get(..=last)?.to_vec();
    *next.last_mut()? += 1;
    Some(next)
}

/// An unchanging state of all tables.
pub(crate) trait View: Send + Sync {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError>;

    fn scan(
        &self,
        table: Table,
        span: &Span,
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<(), StorageError>;

    /// The first pair of a scan.
    fn first(&self, table: Table, span: &Span, order: Order) -> Result<Option<Pair>, StorageError> {
        let mut first = None;
        self.scan(table, span, order, &mut |key, value| {
            first = Some((key.to_vec(), value.to_vec()));
            Ok(Flow::Break(()))
        })?;
        Ok(first)
    }
}

/// Tables that last as long as the store does.
pub(crate) trait Tables: Send + Sync + 'static {
    type View: View + 'static;

    /// The state after the last changes applied. Does not wait for a writer.
    fn view(&self) -> Result<Self::View, StorageError>;

    /// Makes the changes, all or none, durable on return. One call at a time, and none after one that
    /// failed (the store sees to it); views are to be had all the same.
    fn apply(&self, changes: Changes) -> Result<(), StorageError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_spans_exactly_the_keys_that_start_with_it() {
        let span = Span::prefix(&[1, 0xff, 0xff]);
        assert_eq!(span.end, Some(vec![2]));
        assert_eq!(Span::prefix(&[]).end, None);
        assert_eq!(Span::prefix(&[0xff]).end, None);
        assert_eq!(Span::prefix(&[1, 2]).end, Some(vec![1, 3]));
        assert_eq!(Span::prefix(b"a.").behind(b"a.b").start, b"a.b\0");
        assert_eq!(Span::prefix(b"b").behind(b"a").start, b"b");
    }
}
