//! Reading: an unchanging state of the store.

use pleach_core::{
    Id, Position, Range,
    access::{Facts, ViewId, members, permission_of},
    entry::{Entry, Permission, SETTINGS, Value, Who},
    storage::{
        Audit, Epoch, Header, Measure, Member, Meta, OfPath, Paths, Row, RowKind, RowQuery, Snapshot,
        StorageError, TreeSummary,
    },
};

use crate::{
    aggregate::Aggregates,
    audit,
    layout::{Table, TreeNumber, split_position},
    record::{TreeRecord, damaged},
    rows,
    tables::{Flow, Order, Span, View},
    tree::{Kept, Tree, entry, kept, read_entry, tree_record},
};

/// The path under which the settings hold a tree's name.
const NAME: &str = "name";

/// A view of the tables, read as trees.
pub(crate) struct Reading<V> {
    pub(crate) view: V,
    pub(crate) salt: [u8; 32],
}

impl<V: View> Reading<V> {
    /// Reads something of a tree; of one that is not held, what is empty of its kind.
    pub(crate) fn of<T: Default>(
        &self,
        tree: &Id,
        read: impl FnOnce(TreeRecord) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        tree_record(&self.view, tree)?.map_or(Ok(T::default()), read)
    }

    pub(crate) fn aggregates(&self, tree: TreeNumber) -> Aggregates<'_> {
        Aggregates { tree, salt: &self.salt }
    }

    /// The store's salt is made with it, and no number of a tree is used twice.
    fn epoch(&self, tree: TreeNumber) -> Epoch {
        let mut hasher = blake3::Hasher::new_derive_key("pleach 2026 storage v1 epoch of arrivals");
        hasher.update(&self.salt).update(&tree.0.to_be_bytes());
        let mut epoch = [0; 8];
        hasher.finalize_xof().fill(&mut epoch);
        Epoch(epoch)
    }

    /// The positions that end the keys of a span, at most `limit`.
    fn listed(&self, table: Table, span: &Span, limit: usize) -> Result<Vec<Position>, StorageError> {
        let mut found = Vec::new();
        self.view.scan(table, span, Order::Ascending, &mut |key, _| {
            if found.len() >= limit {
                return Ok(Flow::Break(()));
            }
            let (_, position) = split_position(key).ok_or_else(|| damaged("a key", "holds no position"))?;
            found.push(position);
            Ok(Flow::Continue(()))
        })?;
        Ok(found)
    }

    /// What the settings call the tree: the last write at its path, if it is a text.
    fn name(&self, tree: TreeNumber) -> Result<String, StorageError> {
        let query = RowQuery {
            store: SETTINGS.to_owned(),
            kind: RowKind::Map,
            paths: Paths::One(NAME.to_owned()),
            after: None,
            of_path: OfPath::Last,
            limit: 1,
        };
        let row = rows::query(&self.view, tree, &query)?.pop();
        Ok(match row.and_then(|row| row.value).map(|value| Value::decode(&value)) {
            Some(Ok(Value::Text(name))) => name,
            _ => String::new(),
        })
    }
}

impl<V: View> Snapshot for Reading<V> {
    fn trees(&self, after: Option<Id>, limit: usize) -> Result<Vec<Id>, StorageError> {
        let mut span = Span::new([0; 32], [u8::MAX; 33]);
        if let Some(after) = after {
            span = span.behind(after.as_bytes());
        }
        let mut trees = Vec::new();
        self.view.scan(Table::Trees, &span, Order::Ascending, &mut |key, _| {
            if trees.len() >= limit {
                return Ok(Flow::Break(()));
            }
            let id = key.try_into().map_err(|_| damaged("the trees", "a key is no id"))?;
            trees.push(Id::from_bytes(id));
            Ok(Flow::Continue(()))
        })?;
        Ok(trees)
    }

    fn summary(&self, tree: &Id) -> Result<Option<TreeSummary>, StorageError> {
        self.of(tree, |record| {
            Ok(Some(TreeSummary {
                measure: record.shared.into(),
                bytes: record.bytes,
                height: record.height,
                tips: record.tips.into(),
                arrival: record.arrival,
                epoch: self.epoch(record.tree()),
                name: self.name(record.tree())?,
                view: ViewId(record.view),
                flips: record.flip.is_some(),
            }))
        })
    }

    fn tips(&self, tree: &Id, after: Option<Position>, limit: usize) -> Result<Vec<Position>, StorageError> {
        self.of(tree, |record| {
            let mut span = record.tree().all();
            if let Some(after) = after {
                span = span.behind(&record.tree().bound(&[], &after));
            }
            self.listed(Table::Tips, &span, limit)
        })
    }

    fn measure(&self, tree: &Id, range: &Range) -> Result<Measure, StorageError> {
        self.of(tree, |record| {
            if *range == Range::ALL {
                return Ok(record.shared.into());
            }
            self.aggregates(record.tree()).measure(&self.view, range)
        })
    }

    fn nth(&self, tree: &Id, range: &Range, n: u64) -> Result<Option<Position>, StorageError> {
        self.of(tree, |record| self.aggregates(record.tree()).nth(&self.view, range, n))
    }

    fn positions(&self, tree: &Id, range: &Range, limit: usize) -> Result<Vec<Position>, StorageError> {
        self.of(tree, |record| self.listed(Table::Headers, &record.tree().range(range), limit))
    }

    fn headers(&self, tree: &Id, ids: &[Id]) -> Result<Vec<Option<Header>>, StorageError> {
        let Some(record) = tree_record(&self.view, tree)? else { return Ok(vec![None; ids.len()]) };
        ids.iter().map(|id| Ok(kept(&self.view, record.tree(), id)?.map(Kept::shown))).collect()
    }

    fn entry(&self, tree: &Id, id: &Id) -> Result<Option<Entry>, StorageError> {
        self.of(tree, |record| entry(&self.view, record.tree(), id))
    }

    fn entries(
        &self,
        tree: &Id,
        range: &Range,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<Entry>, StorageError> {
        self.of(tree, |record| {
            let mut entries: Vec<Entry> = Vec::new();
            let mut left = bytes;
            let mut looked_at = *range;
            self.view.scan(
                Table::Entries,
                &record.tree().range(range),
                Order::Ascending,
                &mut |key, value| {
                    let rest = left.checked_sub(value.len());
                    if entries.len() >= limit || (rest.is_none() && !entries.is_empty()) {
                        looked_at.end = entries.last().map_or(range.start, |last| last.position().next());
                        return Ok(Flow::Break(()));
                    }
                    left = rest.unwrap_or(0);
                    let (_, position) =
                        split_position(key).ok_or_else(|| damaged("the entries", "a key is cut short"))?;
                    entries.push(read_entry(&position, value)?);
                    Ok(Flow::Continue(()))
                },
            )?;
            // An entry that is gone leaves no trace here: a peer would be promised it and never get it.
            let counted = self.aggregates(record.tree()).measure(&self.view, &looked_at)?.count;
            if counted != entries.len() as u64 {
                let what = format_args!("{} of {counted} in a range are there", entries.len());
                return Err(damaged("the entries", what));
            }
            Ok(entries)
        })
    }

    fn rows(&self, tree: &Id, query: &RowQuery) -> Result<Vec<Row>, StorageError> {
        self.of(tree, |record| rows::query(&self.view, record.tree(), query))
    }

    fn stores(&self, tree: &Id) -> Result<Vec<(String, RowKind)>, StorageError> {
        self.of(tree, |record| rows::stores(&self.view, record.tree()))
    }

    fn arrivals(&self, tree: &Id, after: u64, limit: usize) -> Result<Vec<(u64, Position)>, StorageError> {
        self.of(tree, |record| {
            let span = record.tree().all().behind(&record.tree().key(&[&after.to_be_bytes()]));
            let mut arrivals = Vec::new();
            self.view.scan(Table::Arrivals, &span, Order::Ascending, &mut |key, value| {
                if arrivals.len() >= limit {
                    return Ok(Flow::Break(()));
                }
                let number = key.last_chunk::<8>().map(|number| u64::from_be_bytes(*number));
                let position = split_position(value).map(|(_, position)| position);
                let arrival = number.zip(position);
                arrivals.push(arrival.ok_or_else(|| damaged("the arrivals", "one does not decode"))?);
                Ok(Flow::Continue(()))
            })?;
            Ok(arrivals)
        })
    }

    fn permission(&self, tree: &Id, who: &Who) -> Result<Option<Permission>, StorageError> {
        self.of(tree, |record| {
            let facts = Tree { view: &self.view, id: *tree, record: Some(&record) };
            permission_of(&facts, &facts.view(ViewId(record.view))?, who)
        })
    }

    fn permission_in(&self, tree: &Id, view: ViewId, who: &Who) -> Result<Option<Permission>, StorageError> {
        self.of(tree, |record| {
            let facts = Tree { view: &self.view, id: *tree, record: Some(&record) };
            permission_of(&facts, &facts.view(view)?, who)
        })
    }

    fn members(&self, tree: &Id) -> Result<Vec<Member>, StorageError> {
        self.of(tree, |record| {
            let facts = Tree { view: &self.view, id: *tree, record: Some(&record) };
            members(&facts, &facts.view(ViewId(record.view))?)
        })
    }

    fn meta(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.view.get(Table::Meta, key)
    }

    fn metas(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Meta>, StorageError> {
        let mut span = Span::prefix(prefix);
        if let Some(after) = after {
            span = span.behind(after);
        }
        let mut found = Vec::new();
        self.view.scan(Table::Meta, &span, Order::Ascending, &mut |key, value| {
            if found.len() >= limit {
                return Ok(Flow::Break(()));
            }
            found.push((key.to_vec(), value.to_vec()));
            Ok(Flow::Continue(()))
        })?;
        Ok(found)
    }

    fn audit(&self, tree: &Id, after: Option<Position>, limit: usize) -> Result<Audit, StorageError> {
        self.of(tree, |record| audit::page(self, *tree, &record, after, limit))
    }
}
