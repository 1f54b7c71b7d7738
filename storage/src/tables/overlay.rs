//! A view with changes on top: what a write sees of its own work.

use pleach_core::storage::StorageError;

use crate::{
    changes::Changes,
    layout::Table,
    tables::{Flow, Order, Span, View, Visit},
};

/// An unchanging view below, changes above. (Spans cleared are not looked at: a write that clears reads nothing.)
pub(crate) struct Overlay<V> {
    pub(crate) below: V,
    pub(crate) changes: Changes,
}

impl<V: View> Overlay<V> {
    pub(crate) fn new(below: V) -> Self {
        Self { below, changes: Changes::default() }
    }
}

impl<V: View> View for Overlay<V> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        match self.changes.of(table).get(key) {
            Some(changed) => Ok(changed.clone()),
            None => self.below.get(table, key),
        }
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
        let changed = self.changes.of(table).range::<[u8], _>(span.bounds());
        match order {
            Order::Ascending => self.merge(table, span, order, changed, visit),
            Order::Descending => self.merge(table, span, order, changed.rev(), visit),
        }
    }
}

impl<V: View> Overlay<V> {
    fn merge<'a>(
        &self,
        table: Table,
        span: &Span,
        order: Order,
        changed: impl Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StorageError> {
        let mut changed = changed.peekable();
        let mut ended = false;
        let comes_first = |a: &[u8], b: &[u8]| match order {
            Order::Ascending => a < b,
            Order::Descending => a > b,
        };
        self.below.scan(table, span, order, &mut |key, value| {
            while let Some((above, new)) = changed.next_if(|(above, _)| comes_first(above, key)) {
                if let Some(new) = new
                    && visit(above, new)?.is_break()
                {
                    ended = true;
                    return Ok(Flow::Break(()));
                }
            }
            let flow = match changed.next_if(|(above, _)| above.as_slice() == key) {
                Some((_, None)) => Flow::Continue(()),
                Some((_, Some(new))) => visit(key, new)?,
                None => visit(key, value)?,
            };
            ended = flow.is_break();
            Ok(flow)
        })?;
        for (key, new) in changed {
            if ended {
                break;
            }
            if let Some(new) = new {
                ended = visit(key, new)?.is_break();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{MemoryTables, Tables};

    #[test]
    fn a_scan_merges_what_is_below_with_what_changed() -> Result<(), StorageError> {
        let tables = MemoryTables::default();
        let mut changes = Changes::default();
        for key in [b"b", b"d", b"f"] {
            changes.put(Table::Meta, key, b"old".to_vec());
        }
        tables.apply(changes)?;
        let mut overlay = Overlay::new(tables.view()?);
        overlay.changes.put(Table::Meta, b"a", b"new".to_vec());
        overlay.changes.put(Table::Meta, b"d", b"new".to_vec());
        overlay.changes.remove(Table::Meta, b"f");
        overlay.changes.put(Table::Meta, b"g", b"new".to_vec());

        let listed = |order, limit: usize| {
            let mut seen = Vec::new();
            overlay.scan(Table::Meta, &Span::new("a", "h"), order, &mut |key, value| {
                seen.push([key, value].concat());
                Ok(if seen.len() == limit { Flow::Break(()) } else { Flow::Continue(()) })
            })?;
            Ok::<_, StorageError>(String::from_utf8(seen.join(&b' ')).unwrap_or_default())
        };
        assert_eq!(listed(Order::Ascending, 9)?, "anew bold dnew gnew");
        assert_eq!(listed(Order::Descending, 9)?, "gnew dnew bold anew");
        assert_eq!(listed(Order::Ascending, 1)?, "anew");
        assert_eq!(listed(Order::Descending, 2)?, "gnew dnew");
        assert_eq!(listed(Order::Ascending, 3)?, "anew bold dnew");
        for (start, end) in [("h", "a"), ("d", "d")] {
            overlay.scan(Table::Meta, &Span::new(start, end), Order::Ascending, &mut |key, _| {
                panic!("{key:?} lies in no empty span");
            })?;
        }
        Ok(())
    }
}
