//! The shared set: the entries that count, and their ancestors. What enters and leaves it, and what follows for tips,
//! rows and aggregates.

use std::collections::BTreeSet;

use pleach_core::{
    Position,
    document::rows_of,
    entry::Entry,
    storage::{Measure, Stamp, StorageError},
};

use crate::{
    aggregate::Aggregates,
    layout::{Table, six, split_position},
    put::Putting,
    record::{TreeRecord, damaged, encode},
    rows,
    tables::{Flow, Order, Overlay, View},
    tree::{self, Kept},
};

/// What one write changes in the shared set.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    entered: BTreeSet<Position>,
    left: BTreeSet<Position>,
    /// Tips that this write made, so that a chain leaves one.
    tips: BTreeSet<Position>,
}

impl Sharing {
    fn enter(&mut self, position: Position) {
        if !self.left.remove(&position) {
            self.entered.insert(position);
        }
    }

    fn leave(&mut self, position: Position) {
        if !self.entered.remove(&position) {
            self.left.insert(position);
        }
    }

    pub(crate) fn new_tips(&self) -> impl Iterator<Item = Position> {
        self.tips.iter().copied()
    }

    /// Carries it over to the tips and the aggregates.
    pub(crate) fn finish<V: View>(
        &self,
        aggregates: Aggregates<'_>,
        overlay: &mut Overlay<V>,
    ) -> Result<(), StorageError> {
        for tip in &self.tips {
            overlay.changes.put(Table::Tips, &aggregates.tree.at(tip), Vec::new());
        }
        if self.left.is_empty() {
            let entered: Vec<Position> = self.entered.iter().copied().collect();
            return aggregates.insert(overlay, &entered);
        }
        let changed: Vec<Position> = self.entered.union(&self.left).copied().collect();
        aggregates.renew(overlay, &changed)
    }
}

impl<V: View> Putting<V> {
    /// Takes an entry that is stored nowhere into the shared set, and with it those ancestors that are outside.
    pub(crate) fn enter(
        &mut self,
        record: &mut TreeRecord,
        kept: Kept,
        entry: &Entry,
    ) -> Result<(), StorageError> {
        self.enter_alone(record, kept, entry);
        let mut entering = self.adopt(record, entry)?;
        while let Some(position) = entering.pop() {
            let kept = self.kept(record, &position.id)?;
            if kept.shared {
                continue;
            }
            let entry = self.entry(record, kept)?;
            self.drop_outside(record, kept);
            self.enter_alone(record, kept, &entry);
            entering.extend(self.adopt(record, &entry)?);
        }
        Ok(())
    }

    /// Tells the parents of an entry that it is in the shared set; returns those that are not.
    fn adopt(&mut self, record: &mut TreeRecord, entry: &Entry) -> Result<Vec<Position>, StorageError> {
        let mut outside = Vec::new();
        for id in entry.view().parents().iter() {
            #[cfg(feature = "planted-faults")]
            if pleach_core::planted::is_awake(pleach_core::planted::Planted::ParentsUnchecked)
                && tree::kept(&self.overlay, record.tree(), &id)?.is_none()
            {
                continue;
            }
            let mut parent = self.kept(record, &id)?;
            if !parent.shared {
                outside.push(parent.position);
            } else if parent.header.children == 0 {
                self.tip_no_more(record, parent.position);
            }
            parent.header.children += 1;
            record.edges += 1;
            self.put_header(record, parent);
        }
        Ok(outside)
    }

    fn enter_alone(&mut self, record: &mut TreeRecord, kept: Kept, entry: &Entry) {
        let position = kept.position;
        let mut kept = Kept { shared: true, ..kept };
        kept.header.stranger = false;
        self.overlay.changes.put(Table::Entries, &record.tree().at(&position), entry.bytes().to_vec());
        self.put_header(record, kept);
        record.arrival += 1;
        let place = [&six(position.height)[..], position.id.as_bytes()].concat();
        self.overlay.changes.put(
            Table::Arrivals,
            &record.tree().key(&[&record.arrival.to_be_bytes()]),
            place,
        );
        record.shared = Measure::from(record.shared).plus(Measure::of(position.id)).into();
        self.sharing.enter(position);
        if kept.header.children == 0 {
            self.tip_now(record, position);
        }
    }

    /// Takes an entry that does not count and has no shared children out of the shared set.
    pub(crate) fn leave(
        &mut self,
        record: &mut TreeRecord,
        kept: Kept,
        entry: &Entry,
    ) -> Result<(), StorageError> {
        self.tip_no_more(record, kept.position);
        let key = record.tree().at(&kept.position);
        self.overlay.changes.remove(Table::Entries, &key);
        self.overlay.changes.remove(Table::Headers, &key);
        self.keep_outside(record, Kept { shared: false, ..kept }, entry);
        record.shared = Measure::from(record.shared).minus(Measure::of(kept.position.id)).into();
        self.sharing.leave(kept.position);
        for id in entry.view().parents().iter() {
            let mut parent = self.kept(record, &id)?;
            parent.header.children = parent.header.children.saturating_sub(1);
            record.edges = record.edges.saturating_sub(1);
            self.put_header(record, parent);
            if parent.shared && parent.header.children == 0 {
                self.tip_now(record, parent.position);
            }
        }
        Ok(())
    }

    /// Keeps an entry beside the shared set.
    pub(crate) fn keep_outside(&mut self, record: &mut TreeRecord, kept: Kept, entry: &Entry) {
        let key = record.tree().at(&kept.position);
        self.overlay.changes.put(Table::Outside, &key, entry.bytes().to_vec());
        self.put_header(record, kept);
        record.outside += 1;
    }

    /// Takes an entry back that was kept outside, and tells its parents. Those that are outside follow in their turn.
    pub(crate) fn return_alone(
        &mut self,
        record: &mut TreeRecord,
        kept: Kept,
        entry: &Entry,
    ) -> Result<(), StorageError> {
        self.drop_outside(record, kept);
        self.enter_alone(record, kept, entry);
        self.adopt(record, entry).map(drop)
    }

    fn drop_outside(&mut self, record: &mut TreeRecord, kept: Kept) {
        let key = record.tree().at(&kept.position);
        self.overlay.changes.remove(Table::Outside, &key);
        self.overlay.changes.remove(Table::OutsideHeaders, &key);
        record.outside = record.outside.saturating_sub(1);
        if kept.header.stranger {
            record.strangers = record.strangers.saturating_sub(1);
            record.stranger_bytes = record.stranger_bytes.saturating_sub(kept.header.bytes.into());
        }
    }

    /// Drops what has never been in the shared set, the highest first, unless something that is kept builds on it.
    /// Settings stay: their place among all settings is known to others.
    pub(crate) fn drop_strangers(&mut self, record: &mut TreeRecord) -> Result<(), StorageError> {
        let mut outside = Vec::new();
        let all = record.tree().all();
        self.overlay.scan(Table::OutsideHeaders, &all, Order::Descending, &mut |key, _| {
            let (_, position) = split_position(key).ok_or_else(|| damaged("a key", "holds no position"))?;
            outside.push(position);
            Ok(Flow::Continue(()))
        })?;
        let mut needed = BTreeSet::new();
        for position in outside {
            let kept = self.kept(record, &position.id)?;
            let entry = self.entry(record, kept)?;
            let view = entry.view();
            if kept.header.stranger && view.settings().is_none() && !needed.contains(&position.id) {
                self.drop_outside(record, kept);
                self.overlay.changes.remove(Table::Index, &record.tree().key(&[position.id.as_bytes()]));
                record.bytes = record.bytes.saturating_sub(kept.header.bytes.into());
            } else {
                needed.extend(view.parents().iter());
            }
        }
        Ok(())
    }

    /// Shows what an entry writes.
    pub(crate) fn show(&mut self, record: &mut TreeRecord, entry: &Entry) {
        let view = entry.view();
        let stamp = Stamp { time: view.time(), position: entry.position() };
        for row in rows_of(&view) {
            #[cfg(feature = "planted-faults")]
            if pleach_core::planted::is_awake(pleach_core::planted::Planted::RowsDropped)
                && view.stores().iter().next().is_some_and(|first| first.name != row.store)
            {
                continue;
            }
            rows::put(&mut self.overlay.changes, record.tree(), &row, &stamp, &view.author());
            record.rows += 1;
        }
    }

    /// Hides what an entry writes.
    pub(crate) fn hide(&mut self, record: &mut TreeRecord, entry: &Entry) {
        #[cfg(feature = "planted-faults")]
        if pleach_core::planted::is_awake(pleach_core::planted::Planted::MaskedShown) {
            return;
        }
        let view = entry.view();
        let stamp = Stamp { time: view.time(), position: entry.position() };
        for row in rows_of(&view) {
            let (key, _) = rows::pair(record.tree(), &row, &stamp, &view.author());
            self.overlay.changes.remove(Table::Rows, &key);
            record.rows = record.rows.saturating_sub(1);
        }
    }

    pub(crate) fn put_header(&mut self, record: &TreeRecord, kept: Kept) {
        let (_, headers) = kept.tables();
        self.overlay.changes.put(headers, &record.tree().at(&kept.position), encode(&kept.header));
    }

    /// What is kept of an entry that is known to be stored.
    pub(crate) fn kept(&self, record: &TreeRecord, id: &pleach_core::Id) -> Result<Kept, StorageError> {
        let kept = tree::kept(&self.overlay, record.tree(), id)?;
        kept.ok_or_else(|| damaged("the index", format_args!("{id} is not there")))
    }

    pub(crate) fn entry(&self, record: &TreeRecord, kept: Kept) -> Result<Entry, StorageError> {
        let id = kept.position.id;
        let entry = tree::entry(&self.overlay, record.tree(), &id)?;
        entry.ok_or_else(|| damaged("an entry", format_args!("{id} is not there")))
    }

    fn tip_now(&mut self, record: &mut TreeRecord, position: Position) {
        self.sharing.tips.insert(position);
        record.tips = Measure::from(record.tips).plus(Measure::of(position.id)).into();
    }

    fn tip_no_more(&mut self, record: &mut TreeRecord, position: Position) {
        #[cfg(feature = "planted-faults")]
        if pleach_core::planted::is_awake(pleach_core::planted::Planted::TipsKept) {
            return;
        }
        if !self.sharing.tips.remove(&position) {
            self.overlay.changes.remove(Table::Tips, &record.tree().at(&position));
        }
        record.tips = Measure::from(record.tips).minus(Measure::of(position.id)).into();
    }
}
