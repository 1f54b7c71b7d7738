//! Checking what is stored again: entries page by page, and behind the last page what only the whole can show.

use std::collections::BTreeMap;

use pleach_core::{
    Id, Position, Range,
    access::{Census, Facts, Needs, ViewId},
    document::rows_of,
    entry::EntryView,
    storage::{Audit, Measure, Stamp, StorageError},
};

use crate::{
    layout::{Table, split_position},
    masks::{joined, tops},
    record::{HeaderRecord, Standing, TreeRecord, damaged, decode},
    rows,
    snapshot::Reading,
    tables::{Flow, Order, Span, View},
    tree::{Tree, entry, kept, position, read_entry},
};

/// Checks at most `limit` entries (at least one) behind `after`.
pub(crate) fn page<V: View>(
    reading: &Reading<V>,
    tree: Id,
    record: &TreeRecord,
    after: Option<Position>,
    limit: usize,
) -> Result<Audit, StorageError> {
    let mut auditing = Auditing { reading, record, audit: Audit::default() };
    let start = after.map_or(Position::MIN, |after| after.next());
    let mut naive = Measure::default();
    let mut seen = 0;
    let mut last = None;
    let span = record.tree().range(&Range { start, end: Position::END });
    reading.view.scan(Table::Entries, &span, Order::Ascending, &mut |key, value| {
        if seen >= limit.max(1) {
            auditing.audit.next = last;
            return Ok(Flow::Break(()));
        }
        seen += 1;
        if let Some((_, position)) = split_position(key) {
            naive = naive.plus(Measure::of(position.id));
            last = Some(position);
            auditing.entry(position, value)?;
        } else {
            auditing.fault(tree, "an entry's key is cut short");
        }
        Ok(Flow::Continue(()))
    })?;
    let end = auditing.audit.next.map_or(Position::END, |next| next.next());
    let measured = reading.aggregates(record.tree()).measure(&reading.view, &Range { start, end });
    if measured != Ok(naive) {
        auditing.fault(tree, "the aggregates do not fit the entries");
    }
    if auditing.audit.next.is_none() {
        auditing.whole(tree)?;
        // What does not read was reported, and nothing can be said of what stands on it.
        if record.flip.is_none() && auditing.audit.faults.is_empty() {
            auditing.rule(tree)?;
        }
    }
    Ok(auditing.audit)
}

/// Whether counts, sums and indexes fit each other; entries are not read.
pub(crate) fn is_sound<V: View>(reading: &Reading<V>, record: &TreeRecord) -> Result<bool, StorageError> {
    let mut auditing = Auditing { reading, record, audit: Audit::default() };
    auditing.whole(Id::MIN)?;
    Ok(auditing.audit.faults.is_empty())
}

struct Auditing<'a, V> {
    reading: &'a Reading<V>,
    record: &'a TreeRecord,
    audit: Audit,
}

impl<V: View> Auditing<'_, V> {
    fn fault(&mut self, id: Id, what: &str) {
        self.audit.faults.push((id, what.to_owned()));
    }

    /// Checks one entry and all that was derived from it.
    fn entry(&mut self, place: Position, bytes: &[u8]) -> Result<(), StorageError> {
        let entry = match read_entry(&place, bytes) {
            Ok(entry) => entry,
            Err(error) => {
                self.audit.faults.push((place.id, error.to_string()));
                return Ok(());
            }
        };
        let before = self.audit.faults.len();
        let view = &self.reading.view;
        let tree = self.record.tree();
        if position(view, tree, &place.id) != Ok(Some(place)) {
            self.fault(place.id, "the index by id does not lead to it");
        }
        let header = view.get(Table::Headers, &tree.at(&place))?;
        let header = header.and_then(|header| decode::<HeaderRecord>("a header", &header).ok());
        let is_tip = view.get(Table::Tips, &tree.at(&place))?.is_some();
        match header {
            Some(header) if usize::try_from(header.bytes) == Ok(bytes.len()) && !header.stranger => {
                if is_tip != (header.children == 0) {
                    self.fault(place.id, "its number of children does not fit the list of tips");
                }
                self.rows(place, &entry.view(), header.standing.counts())?;
            }
            _ => self.fault(place.id, "its header does not fit"),
        }
        self.parents(place, &entry.view())?;
        if self.audit.faults.len() == before {
            self.audit.entries.push(entry);
        }
        Ok(())
    }

    /// Parents are stored and are no tips.
    fn parents(&mut self, place: Position, entry: &EntryView<'_>) -> Result<(), StorageError> {
        let tree = self.record.tree();
        for id in entry.parents().iter() {
            match position(&self.reading.view, tree, &id) {
                Ok(Some(parent)) => {
                    if self.reading.view.get(Table::Tips, &tree.at(&parent))?.is_some() {
                        self.fault(id, "it is listed among the tips and has a child");
                    }
                }
                _ => self.fault(place.id, "a parent is missing"),
            }
        }
        Ok(())
    }

    /// Every row that the entry makes is there, if it counts; else none is.
    fn rows(&mut self, place: Position, entry: &EntryView<'_>, counts: bool) -> Result<(), StorageError> {
        let stamp = Stamp { time: entry.time(), position: place };
        for row in rows_of(entry) {
            let (key, value) = rows::pair(self.record.tree(), &row, &stamp, &entry.author());
            if self.reading.view.get(Table::Rows, &key)? != counts.then_some(value) {
                self.fault(place.id, "a row does not say what the entry wrote");
            }
        }
        Ok(())
    }

    /// What lies outside the shared set is intact too.
    fn outside(&mut self, tree: Id, all: &Span) -> Result<(), StorageError> {
        let mut faults = Vec::new();
        self.reading.view.scan(Table::Outside, all, Order::Ascending, &mut |key, value| {
            if let Some((_, position)) = split_position(key)
                && let Err(error) = read_entry(&position, value)
            {
                faults.push((position.id, error.to_string()));
            }
            Ok(Flow::Continue(()))
        })?;
        self.audit.faults.append(&mut faults);
        let (mut strangers, mut bytes) = (0, 0);
        self.reading.view.scan(Table::OutsideHeaders, all, Order::Ascending, &mut |_, value| {
            let header: HeaderRecord = decode("a header", value)?;
            strangers += u64::from(header.stranger);
            bytes += if header.stranger { u64::from(header.bytes) } else { 0 };
            Ok(Flow::Continue(()))
        })?;
        if (strangers, bytes) != (self.record.strangers, self.record.stranger_bytes) {
            self.fault(tree, "what was never shared does not fit its total");
        }
        Ok(())
    }

    /// What no single entry shows: nothing is there that should not be, and the totals fit.
    fn whole(&mut self, tree: Id) -> Result<(), StorageError> {
        let view = &self.reading.view;
        let all = self.record.tree().all();
        let (shared, outside) = (Measure::from(self.record.shared), self.record.outside);
        for (table, expected, fault) in [
            (Table::Entries, shared.count, "the number of entries does not fit the total"),
            (Table::Headers, shared.count, "the number of headers does not fit the number of entries"),
            (Table::Outside, outside, "the number of entries outside the shared set does not fit the total"),
            (Table::OutsideHeaders, outside, "the number of their headers does not fit it"),
            (
                Table::Index,
                shared.count + outside,
                "the index by id does not have as many ids as there are entries",
            ),
            (Table::Rows, self.record.rows, "the number of rows does not fit the entries"),
            (Table::Arrivals, self.record.arrival, "arrivals are missing"),
        ] {
            if count(view, table, &all)? != expected {
                self.fault(tree, fault);
            }
        }
        self.outside(tree, &all)?;
        let mut edges = 0;
        view.scan(Table::Headers, &all, Order::Ascending, &mut |_, value| {
            edges += decode::<HeaderRecord>("a header", value).map_or(0, |header| u64::from(header.children));
            Ok(Flow::Continue(()))
        })?;
        if edges != self.record.edges && self.record.flip.is_none() {
            self.fault(tree, "the numbers of children do not fit the number of parents");
        }
        let mut tips = Measure::default();
        view.scan(Table::Tips, &all, Order::Ascending, &mut |key, _| {
            let position = split_position(key).map(|(_, position)| position);
            tips = position.map_or(tips, |position| tips.plus(Measure::of(position.id)));
            Ok(Flow::Continue(()))
        })?;
        if tips != self.record.tips.into() {
            self.fault(tree, "the list of tips does not fit its total");
        }
        let aggregates = self.reading.aggregates(self.record.tree());
        if aggregates.faults(view) != Ok(0) || aggregates.measure(view, &Range::ALL) != Ok(shared) {
            self.fault(tree, "the aggregates do not fit the entries");
        }
        Ok(())
    }
}

impl<V: View> Auditing<'_, V> {
    /// What counts, by which grant, and what is shared, found out once more from the entries alone: a walk down from the
    /// highest meets each after all that descends from it.
    fn rule(&mut self, tree: Id) -> Result<(), StorageError> {
        let view = &self.reading.view;
        let facts = Tree { view, id: tree, record: Some(self.record) };
        let mut census = Census::new(&facts, facts.view(ViewId(self.record.view))?)?;
        let mut settings = BTreeMap::new();
        for ordinal in 0..self.record.settings {
            let record = facts.record(ordinal)?;
            settings.insert(record.position, (ordinal, !record.revocations.is_empty()));
        }
        // By position, the revocations that descend from it, and whether a child of it is shared.
        let mut front: BTreeMap<Position, (Vec<u32>, bool)> =
            tops(view, self.record.tree())?.into_iter().map(|top| (top, Default::default())).collect();
        let mut faults = Vec::new();
        while let Some((place, (marks, has_children))) = front.pop_last() {
            let missing = || damaged("an entry", format_args!("{} is not there", place.id));
            let kept = kept(view, self.record.tree(), &place.id)?.ok_or_else(missing)?;
            let entry = entry(view, self.record.tree(), &place.id)?.ok_or_else(missing)?;
            let own = settings.get(&place).copied();
            let authority = if let Some((ordinal, _)) = own {
                census.authority_of_settings(&facts, ordinal)?
            } else {
                let before = facts.view(ViewId(kept.header.view))?;
                census.authority(&facts, entry.view().author(), Needs::Write, &before, &marks)?
            };
            let standing = Standing::from(authority);
            if standing != kept.header.standing {
                faults.push((place.id, "whether it counts is not what the rule of access says"));
            }
            let shared = standing.counts() || has_children;
            if shared != kept.shared {
                faults.push((place.id, "whether it is shared is not what the rule of access says"));
            }
            let revokes = own.filter(|(_, revokes)| *revokes).map(|(ordinal, _)| ordinal);
            for id in entry.view().parents().iter() {
                let Some(parent) = position(view, self.record.tree(), &id)? else { continue };
                let (known, children) = front.entry(parent).or_default();
                *known = joined(known, &marks, revokes);
                *children |= shared;
            }
        }
        self.audit.faults.extend(faults.into_iter().map(|(id, what)| (id, what.to_owned())));
        Ok(())
    }
}

fn count(view: &impl View, table: Table, span: &Span) -> Result<u64, StorageError> {
    let mut count = 0;
    view.scan(table, span, Order::Ascending, &mut |_, _| {
        count += 1;
        Ok(Flow::Continue(()))
    })?;
    Ok(count)
}

#[cfg(all(test, feature = "conformance"))]
mod tests {
    use pleach_core::{
        entry::{Grant, Permission, Who},
        storage::{Snapshot, Store, Write},
    };

    use super::*;
    use crate::{
        Memory,
        changes::Changes,
        conformance::{Damage, Maker, Rot, store_all},
        layout::TreeNumber,
        record::encode,
        store::Kept,
        tables::{MemoryTables, Tables},
        tree::tree_record,
    };

    /// What an audit says after one pair of a table went, or had its last byte changed.
    fn faults_after(damage: impl Fn(&mut Changes, Table, Vec<u8>, Vec<u8>), table: Table) -> usize {
        let maker = Maker::new(1);
        let kept = Kept::open(MemoryTables::default()).unwrap();
        let root = maker.root();
        let chain = maker.chain(root.position(), 300);
        let entries = [root].into_iter().chain(chain).collect();
        kept.write(&Write::Put { tree: maker.tree(), entries }).unwrap();
        assert_eq!(kept.snapshot().unwrap().audit(&maker.tree(), None, 999).unwrap().faults, []);

        let view = kept.tables().view().unwrap();
        let span = TreeNumber(0).all();
        let (key, value) = view.first(table, &span, Order::Descending).unwrap().unwrap();
        let mut changes = Changes::default();
        damage(&mut changes, table, key, value);
        kept.tables().apply(changes).unwrap();
        let audit = kept.snapshot().unwrap().audit(&maker.tree(), None, 999).unwrap();
        assert!(audit.entries.len() <= 301);
        audit.faults.len()
    }

    #[test]
    fn what_goes_missing_is_found() {
        for table in [
            Table::Entries,
            Table::Headers,
            Table::Index,
            Table::Aggregates,
            Table::Tips,
            Table::Rows,
            Table::Arrivals,
        ] {
            let found = faults_after(|changes, table, key, _| changes.remove(table, &key), table);
            assert!(found > 0, "a pair of {table:?} is gone");
        }
    }

    #[test]
    fn what_changes_is_found() {
        for table in [Table::Entries, Table::Headers, Table::Index, Table::Aggregates, Table::Rows] {
            let found = faults_after(
                |changes, table, key, mut value| {
                    *value.last_mut().unwrap() ^= 1;
                    changes.put(table, &key, value);
                },
                table,
            );
            assert!(found > 0, "a value of {table:?} is another");
        }
    }

    #[test]
    fn what_changes_beside_the_shared_set_is_found() {
        let root = Maker::new(1);
        let writer = root.signed_by(5);
        let who = Who::Key(writer.key().public());
        let grant = Grant { who, permission: Permission::Write(1), name: None };
        let granted = root.settings(&[root.root().position()], &[grant], &[]);
        let revoked = root.settings(&[granted.position()], &[], &[who]);
        let (store, tree) = (Memory::new(), root.tree());
        store_all(&store, &root, [&root.root(), &granted]);
        store_all(&store, &root, &writer.chain(granted.position(), 3));
        store_all(&store, &root, [&revoked]);
        let faults = || store.snapshot().unwrap().audit(&tree, None, 999).unwrap().faults.len();
        assert_eq!(faults(), 0);
        let mut rot = |_: &[u8], value: &[u8]| Rot::Value([&value[..value.len() - 1], &[0xee]].concat());
        assert_eq!(store.damage("outside", &mut rot), Ok(3));
        assert_eq!(faults(), 3);
    }

    #[test]
    fn what_is_too_much_is_found() {
        for table in [Table::Index, Table::Aggregates, Table::Tips, Table::Rows, Table::Headers] {
            let found = faults_after(
                |changes, table, mut key, value| {
                    *key.last_mut().unwrap() ^= 1;
                    changes.put(table, &key, value);
                },
                table,
            );
            assert!(found > 0, "a pair of {table:?} belongs to nothing");
        }
    }

    #[test]
    fn what_counts_and_is_shared_is_found_out_from_the_entries_alone() {
        let maker = Maker::new(1);
        let kept = Kept::open(MemoryTables::default()).unwrap();
        let root = maker.root();
        let chain = maker.chain(root.position(), 9);
        let middle = chain[4].position();
        kept.write(&maker.put([&root].into_iter().chain(&chain))).unwrap();
        let key = TreeNumber(0).at(&middle);
        let view = kept.tables().view().unwrap();
        let header = view.get(Table::Headers, &key).unwrap().unwrap();
        let header: HeaderRecord = decode("a header", &header).unwrap();
        // Masked without a reason, rows and total and all.
        let mut changes = Changes::default();
        changes.put(Table::Headers, &key, encode(&HeaderRecord { standing: Standing::Masked, ..header }));
        let entry = read_entry(&middle, &view.get(Table::Entries, &key).unwrap().unwrap()).unwrap();
        let stamp = Stamp { time: entry.view().time(), position: middle };
        let mut record = tree_record(&view, &maker.tree()).unwrap().unwrap();
        for row in rows_of(&entry.view()) {
            let (key, _) = rows::pair(TreeNumber(0), &row, &stamp, &entry.view().author());
            changes.remove(Table::Rows, &key);
            record.rows -= 1;
        }
        changes.put(Table::Trees, maker.tree().as_bytes(), encode(&record));
        kept.tables().apply(changes).unwrap();
        let audit = kept.snapshot().unwrap().audit(&maker.tree(), None, 999).unwrap();
        assert_eq!(audit.faults.len(), 1, "{:?}", audit.faults);
        assert_eq!(audit.faults[0].0, middle.id);
    }

    #[test]
    fn the_bytes_of_an_entry_are_checked_when_they_are_read() {
        let maker = Maker::new(1);
        let kept = Kept::open(MemoryTables::default()).unwrap();
        let root = maker.root();
        kept.write(&maker.put([&root])).unwrap();
        let key = TreeNumber(0).at(&root.position());
        let mut changes = Changes::default();
        let mut bytes = root.bytes().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        changes.put(Table::Entries, &key, bytes);
        kept.tables().apply(changes).unwrap();
        let snapshot = kept.snapshot().unwrap();
        let read = snapshot.entry(&maker.tree(), &root.id());
        assert!(matches!(read, Err(StorageError::Damaged(_))), "{read:?}");
        let read = snapshot.entries(&maker.tree(), &Range::ALL, 9, 999);
        assert!(matches!(read, Err(StorageError::Damaged(_))), "{read:?}");
    }
}
