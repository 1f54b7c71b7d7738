//! Taking entries: parents first, judged one by one, with all that follows from them.

use std::collections::BTreeSet;

use pleach_core::{
    Id, Position,
    access::{Before, Facts, Judge, SettingsRecord, Standing, Verdict, View as SettingsSet, ViewId},
    document::rows_of,
    entry::{Entry, EntryView, VerifiedEntry},
    storage::{Measure, Put, Stamp, StorageError},
};

use crate::{
    aggregate::Aggregates,
    changes::Changes,
    layout::{Table, six},
    record::{HeaderRecord, TreeRecord, encode},
    rows,
    store::next_tree_number,
    tables::{Overlay, View},
    tree::{Tree, position, tree_record},
};

/// A write of entries in progress.
struct Putting<V> {
    overlay: Overlay<V>,
    tree: Id,
    /// Nothing until the root is in.
    record: Option<TreeRecord>,
    judge: Judge,
    /// Tips that this write made, so that a chain leaves one.
    tips: BTreeSet<Position>,
    held: BTreeSet<Id>,
    missing: BTreeSet<Id>,
    put: Put,
}

/// Judges the entries over a view, in order, and gathers what changes.
pub(crate) fn put<V: View>(
    view: V,
    salt: &[u8; 32],
    tree: Id,
    entries: &[VerifiedEntry],
) -> Result<(Put, Changes), StorageError> {
    let record = tree_record(&view, &tree)?;
    let mut putting = Putting {
        overlay: Overlay::new(view),
        tree,
        record,
        judge: Judge::default(),
        tips: BTreeSet::new(),
        held: BTreeSet::new(),
        missing: BTreeSet::new(),
        put: Put::default(),
    };
    for (index, entry) in entries.iter().enumerate() {
        putting.take(index, entry.entry())?;
        if putting.put.refused.is_some() {
            break;
        }
    }
    putting.finish(salt)
}

impl<V: View> Putting<V> {
    fn take(&mut self, index: usize, entry: &Entry) -> Result<(), StorageError> {
        if let Some(record) = &self.record
            && position(&self.overlay, record.tree(), &entry.id())?.is_some()
        {
            self.put.known += 1;
            return Ok(());
        }
        let view = entry.view();
        let facts = Tree { view: &self.overlay, id: self.tree, record: self.record.as_ref() };
        match self.judge.judge(&facts, &view)? {
            Verdict::Missing(parents) => {
                self.missing.extend(parents.into_iter().filter(|parent| !self.held.contains(parent)));
                self.held.insert(entry.id());
                self.put.held.push(index);
                Ok(())
            }
            Verdict::Refused(refusal) => {
                self.put.refused = Some((entry.id(), refusal));
                Ok(())
            }
            Verdict::Stands(standing) => self.insert(entry, &view, &standing),
        }
    }

    /// Stores one entry: the entry itself, its index, its rows, its settings, its place among the tips.
    fn insert(
        &mut self,
        entry: &Entry,
        view: &EntryView<'_>,
        standing: &Standing,
    ) -> Result<(), StorageError> {
        let mut record = match self.record.take() {
            Some(record) => record,
            None => TreeRecord::new(next_tree_number(&mut self.overlay)?, view.author()),
        };
        let position = entry.position();
        let tree = record.tree();
        let children = self.children_view(&mut record, position, view, standing)?;
        let bytes = entry.bytes();
        let header = HeaderRecord {
            view: children.0,
            bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            standing: standing.authority.into(),
        };
        let key = tree.at(&position);
        let changes = &mut self.overlay.changes;
        changes.put(Table::Entries, &key, bytes.to_vec());
        changes.put(Table::Headers, &key, encode(&header));
        changes.put(Table::Index, &tree.key(&[position.id.as_bytes()]), six(position.height).to_vec());
        let stamp = Stamp { time: view.time(), position };
        for row in rows_of(view) {
            rows::put(changes, tree, &row, &stamp, &view.author());
            record.rows += 1;
        }
        record.arrival += 1;
        let place = [&six(position.height)[..], position.id.as_bytes()].concat();
        changes.put(Table::Arrivals, &tree.key(&[&record.arrival.to_be_bytes()]), place);
        record.bytes += u64::from(header.bytes);
        record.height = record.height.max(position.height);
        self.move_tips(&mut record, position, view)?;
        record.shared = Measure::from(record.shared).plus(Measure::of(position.id)).into();
        self.put.stored.push(position);
        self.record = Some(record);
        Ok(())
    }

    /// The entry becomes a tip, its parents are none any more.
    fn move_tips(
        &mut self,
        record: &mut TreeRecord,
        new: Position,
        view: &EntryView<'_>,
    ) -> Result<(), StorageError> {
        let mut tips = Measure::from(record.tips).plus(Measure::of(new.id));
        for id in view.parents().iter() {
            // Judging found every parent.
            let Some(parent) = position(&self.overlay, record.tree(), &id)? else { continue };
            let key = record.tree().at(&parent);
            let was_tip = self.tips.remove(&parent) || {
                let stored = self.overlay.get(Table::Tips, &key)?.is_some();
                if stored {
                    self.overlay.changes.remove(Table::Tips, &key);
                }
                stored
            };
            if was_tip {
                tips = tips.minus(Measure::of(id));
            }
        }
        self.tips.insert(new);
        record.tips = tips.into();
        Ok(())
    }

    /// The number of the view that holds for the entry's children. Keeps what the entry says about access.
    fn children_view(
        &mut self,
        record: &mut TreeRecord,
        position: Position,
        view: &EntryView<'_>,
        standing: &Standing,
    ) -> Result<ViewId, StorageError> {
        let settings = if standing.writes_settings { view.settings() } else { None };
        let Some(settings) = settings else {
            return match &standing.before {
                Before::Stored(id) => Ok(*id),
                Before::New(set) => self.number_view(record, set),
            };
        };
        let before = match &standing.before {
            Before::Stored(id) => {
                Tree { view: &self.overlay, id: self.tree, record: Some(record) }.view(*id)?
            }
            Before::New(set) => SettingsSet::clone(set),
        };
        let ordinal = record.settings;
        let tree = record.tree();
        let mut children = before.clone();
        children.insert(ordinal);
        let kept = SettingsRecord::new(ordinal, position, view, &settings, before);
        let changes = &mut self.overlay.changes;
        for grant in &kept.grants {
            let key = [tree.whom(&grant.who), ordinal.to_be_bytes().to_vec()].concat();
            changes.put(Table::Grants, &key, encode(&grant.permission));
        }
        for who in &kept.revocations {
            let key = [tree.whom(who), ordinal.to_be_bytes().to_vec()].concat();
            changes.put(Table::Revocations, &key, Vec::new());
        }
        changes.put(Table::Settings, &tree.number(ordinal), encode(&kept));
        record.settings += 1;
        // All tips together see every settings entry there is.
        let mut current = match ordinal {
            0 => SettingsSet::default(),
            _ => {
                Tree { view: &self.overlay, id: self.tree, record: Some(record) }.view(ViewId(record.view))?
            }
        };
        current.insert(ordinal);
        record.view = self.number_view(record, &current)?.0;
        self.number_view(record, &children)
    }

    /// The number of a view, given now if it has none.
    fn number_view(&mut self, record: &mut TreeRecord, set: &SettingsSet) -> Result<ViewId, StorageError> {
        let bytes = set.encode();
        let tree = record.tree();
        let by_hash = tree.key(&[blake3::hash(&bytes).as_bytes()]);
        if let Some(number) = self.overlay.get(Table::ViewNumbers, &by_hash)? {
            return crate::record::decode("a view's number", &number).map(ViewId);
        }
        let number = record.views;
        record.views += 1;
        self.overlay.changes.put(Table::ViewNumbers, &by_hash, encode(&number));
        self.overlay.changes.put(Table::Views, &tree.number(number), bytes);
        Ok(ViewId(number))
    }

    /// What all the entries change together: aggregates, tips, the tree's record.
    fn finish(mut self, salt: &[u8; 32]) -> Result<(Put, Changes), StorageError> {
        self.put.missing = self.missing.into_iter().collect();
        let Some(record) = self.record.filter(|_| !self.put.stored.is_empty()) else {
            return Ok((self.put, Changes::default()));
        };
        let tree = record.tree();
        let mut new = self.put.stored.clone();
        new.sort_unstable();
        Aggregates { tree, salt }.insert(&mut self.overlay, &new)?;
        for tip in &self.tips {
            self.overlay.changes.put(Table::Tips, &tree.at(tip), Vec::new());
        }
        self.overlay.changes.put(Table::Trees, self.tree.as_bytes(), encode(&record));
        Ok((self.put, self.overlay.changes))
    }
}
