//! Taking entries: parents first, judged one by one, with all that follows from them.

use std::collections::BTreeSet;

use pleach_core::{
    Id, Position,
    access::{
        Before, Census, Facts, Judge, Needs, SettingsRecord, Standing, Verdict, View as SettingsSet, ViewId,
    },
    entry::{Entry, EntryView, VerifiedEntry},
    storage::{Put, StorageError},
};

use crate::{
    aggregate::Aggregates,
    changes::Changes,
    layout::{Table, six},
    record::{HeaderRecord, Standing as Stands, TreeRecord, encode},
    sharing::Sharing,
    store::next_tree_number,
    tables::{Overlay, View},
    tree::{Kept, Tree, position, tree_record},
};

/// Bytes of entries of one tree that are kept though they have never been in the shared set, unless the tree itself holds
/// more: then as many as that. Something that counts may come that builds on them. Whoever sends writes of a revoked key
/// can have this much of the disk for as long as an exchange lasts, and keeps no more than it.
const MAX_STRANGER_BYTES: u64 = if cfg!(test) { 64 * 1024 } else { 64 * 1024 * 1024 };

/// What each of them is charged beside its bytes, for the rows of its header and index.
const STRANGER_OVERHEAD: u64 = 512;

/// A write of entries in progress.
pub(crate) struct Putting<V> {
    pub(crate) overlay: Overlay<V>,
    pub(crate) tree: Id,
    /// Nothing until the root is in.
    record: Option<TreeRecord>,
    judge: Judge,
    /// What counts by the settings that are stored, and the view that has them.
    census: Option<(ViewId, Census)>,
    pub(crate) sharing: Sharing,
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
    let mut putting = Putting::new(view, tree)?;
    for (index, entry) in entries.iter().enumerate() {
        putting.take(index, entry.entry())?;
        if putting.put.refused.is_some() {
            break;
        }
    }
    putting.finish(salt)
}

/// Drops what has never been in the shared set, and nothing that is kept builds on.
pub(crate) fn tidy<V: View>(view: V, tree: Id) -> Result<Changes, StorageError> {
    let mut putting = Putting::new(view, tree)?;
    let Some(mut record) = putting.record.take() else { return Ok(Changes::default()) };
    putting.drop_strangers(&mut record)?;
    putting.overlay.changes.put(Table::Trees, tree.as_bytes(), encode(&record));
    Ok(putting.overlay.changes)
}

impl<V: View> Putting<V> {
    fn new(view: V, tree: Id) -> Result<Self, StorageError> {
        let record = tree_record(&view, &tree)?;
        Ok(Self {
            overlay: Overlay::new(view),
            tree,
            record,
            judge: Judge::default(),
            census: None,
            sharing: Sharing::default(),
            held: BTreeSet::new(),
            missing: BTreeSet::new(),
            put: Put::default(),
        })
    }

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
                self.hold(index, entry.id());
                Ok(())
            }
            Verdict::Refused(refusal) => {
                self.put.refused = Some((entry.id(), refusal));
                Ok(())
            }
            Verdict::Stands(standing) => self.insert(index, entry, &view, &standing),
        }
    }

    fn hold(&mut self, index: usize, id: Id) {
        self.held.insert(id);
        self.put.held.push(index);
    }

    /// Stores one entry: the entry itself, its index, its rows, its settings, its place among the tips.
    fn insert(
        &mut self,
        index: usize,
        entry: &Entry,
        view: &EntryView<'_>,
        standing: &Standing,
    ) -> Result<(), StorageError> {
        let mut record = match self.record.take() {
            Some(record) => record,
            None => TreeRecord::new(next_tree_number(&mut self.overlay)?, view.author()),
        };
        let result = self.insert_into(&mut record, index, entry, view, standing);
        self.record = Some(record);
        result
    }

    fn insert_into(
        &mut self,
        record: &mut TreeRecord,
        index: usize,
        entry: &Entry,
        view: &EntryView<'_>,
        standing: &Standing,
    ) -> Result<(), StorageError> {
        let stands = self.stands(record, view, standing)?;
        let bytes = u32::try_from(entry.bytes().len()).unwrap_or(u32::MAX);
        let strange = record.stranger_bytes + record.strangers * STRANGER_OVERHEAD;
        let room = MAX_STRANGER_BYTES.max(record.bytes.saturating_sub(record.stranger_bytes));
        if !stands.counts() && strange >= room {
            self.hold(index, entry.id());
            return Ok(());
        }
        let position = entry.position();
        let tree = record.tree();
        let children = self.children_view(record, position, view, standing)?;
        let stranger = !stands.counts();
        let header = HeaderRecord { view: children.0, bytes, standing: stands, children: 0, stranger };
        self.overlay.changes.put(
            Table::Index,
            &tree.key(&[position.id.as_bytes()]),
            six(position.height).to_vec(),
        );
        record.bytes += u64::from(bytes);
        record.height = record.height.max(position.height);
        let kept = Kept { position, header, shared: false };
        if stands.counts() {
            self.show(record, entry);
            self.enter(record, kept, entry)?;
            self.put.stored.push(position);
        } else {
            self.keep_outside(record, kept, entry);
            record.strangers += 1;
            record.stranger_bytes += u64::from(bytes);
            self.put.masked += 1;
        }
        let revokes = view.settings().is_some_and(|settings| !settings.revocations.is_empty());
        if standing.writes_settings && revokes && stands.counts() && position.height > 0 {
            self.revoked(record, record.settings - 1)?;
        }
        Ok(())
    }

    /// By what the entry stands in all that is stored. Whoever has all stored settings among its ancestors counts as it
    /// did among these.
    fn stands(
        &mut self,
        record: &TreeRecord,
        entry: &EntryView<'_>,
        standing: &Standing,
    ) -> Result<Stands, StorageError> {
        let among_ancestors = Stands::from(standing.authority);
        let sees_all = match &standing.before {
            Before::Stored(view) => view.0 == record.view,
            Before::New(_) => record.settings == 0,
        };
        if sees_all || among_ancestors == Stands::Root {
            return Ok(among_ancestors);
        }
        let facts = Tree { view: &self.overlay, id: self.tree, record: Some(record) };
        let current = ViewId(record.view);
        let (_, census) = match &mut self.census {
            Some((view, census)) if *view == current => (view, census),
            census => {
                let fresh = Census::new(&facts, facts.view(current)?)?;
                let (view, census) = census.insert((current, fresh));
                (view, census)
            }
        };
        let before = match &standing.before {
            Before::Stored(view) => &facts.view(*view)?,
            Before::New(view) => &**view,
        };
        // Nothing that is stored descends from it.
        census.authority(&facts, entry.author(), Needs::of(entry), before, &[]).map(Stands::from)
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
        let Some(record) = self.record.filter(|_| !self.put.stored.is_empty() || self.put.masked > 0) else {
            return Ok((self.put, Changes::default()));
        };
        self.sharing.finish(Aggregates { tree: record.tree(), salt }, &mut self.overlay)?;
        self.overlay.changes.put(Table::Trees, self.tree.as_bytes(), encode(&record));
        Ok((self.put, self.overlay.changes))
    }
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
        conformance::{Maker, put, store_all},
    };

    #[test]
    fn masked_entries_take_so_much_of_the_disk_and_no_more() {
        let (store, root) = (Memory::new(), Maker::new(1));
        let writer = root.signed_by(5);
        let who = Who::Key(writer.key().public());
        let grant = Grant { who, permission: Permission::Write(1), name: None };
        let granted = root.settings(&[root.root().position()], &[grant], &[]);
        let revoked = root.settings(&[granted.position()], &[], &[who]);
        store_all(&store, &root, [&root.root(), &granted, &revoked]);
        let flood = writer.chain(granted.position(), 500);
        let outcome = put(&store, &root, &flood);
        assert!(outcome.masked > 50 && outcome.masked < 200, "{outcome:?}");
        assert_eq!(outcome.masked + outcome.held.len(), 500);
        assert_eq!(outcome.missing, [], "nothing is lacking that could be asked for");
        // Others write on, and once tidied there is room again.
        store_all(&store, &root, [&root.entry(&[revoked.position()], "a", "b")]);
        store.write(&Write::Tidy { tree: root.tree() }).unwrap();
        assert_eq!(store.snapshot().unwrap().audit(&root.tree(), None, 999).unwrap().faults, []);
        assert!(put(&store, &root, &flood).masked > 50);
    }
}
