//! Taking entries: parents first, judged one by one, with all that follows from them.

use std::collections::BTreeSet;

use pleach_core::{
    Id, Position,
    access::{
        Before, Census, Facts, Judge, Needs, SettingsRecord, Standing, Verdict, View as SettingsSet, ViewId,
    },
    entry::{Entry, EntryView, VerifiedEntry},
    limits::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES},
    storage::{Put, StorageError},
};

use crate::{
    aggregate::Aggregates,
    changes::Changes,
    layout::{Table, six, split_position},
    masks::Step,
    record::{HeaderRecord, Standing as Stands, TreeRecord, damaged, encode},
    sharing::Sharing,
    store::next_tree_number,
    tables::{Flow, Order, Overlay, Span, View},
    tree::{Kept, Tree, position, read_entry, tree_record},
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
    /// The number that the tree gets with its root, if it is given already.
    number: Option<u32>,
    judge: Judge,
    /// What counts by the settings that are stored, and the view that has them.
    census: Option<(ViewId, Census)>,
    pub(crate) sharing: Sharing,
    /// What this write may still do of flips.
    pub(crate) step: Step,
    held: BTreeSet<Id>,
    missing: BTreeSet<Id>,
    pub(crate) put: Put,
}

/// Judges the entries over a view, in order, and gathers what changes.
pub(crate) fn put<V: View>(
    view: V,
    salt: &[u8; 32],
    step: Step,
    tree: Id,
    entries: &[VerifiedEntry],
) -> Result<(Put, Changes), StorageError> {
    let record = tree_record(&view, &tree)?;
    let mut putting = Putting::new(Overlay::new(view), tree, record);
    putting.step = step;
    let carried_on = putting.carry_on_before()?;
    for (index, entry) in entries.iter().enumerate() {
        if putting.flips() {
            putting.put.unfinished = Some(index);
            break;
        }
        putting.take(index, entry.entry())?;
        if putting.put.refused.is_some() {
            break;
        }
    }
    if putting.put.refused.is_none() && !putting.put.stored.is_empty() {
        putting.take_waiting()?;
    }
    if putting.flips() {
        putting.put.unfinished.get_or_insert(entries.len());
    }
    let put = putting.outcome();
    if put.stored.is_empty() && put.masked == 0 && !carried_on {
        return Ok((put, Changes::default()));
    }
    let (record, mut changes) = putting.finish(salt)?;
    if let Some(record) = record {
        changes.put(Table::Trees, tree.as_bytes(), encode(&record));
    }
    Ok((put, changes))
}

/// Drops what has never been in the shared set, and nothing that is kept builds on.
pub(crate) fn tidy<V: View>(view: V, tree: Id) -> Result<Changes, StorageError> {
    let Some(mut record) = tree_record(&view, &tree)? else { return Ok(Changes::default()) };
    let mut putting = Putting::new(Overlay::new(view), tree, None);
    putting.drop_strangers(&mut record)?;
    putting.overlay.changes.put(Table::Trees, tree.as_bytes(), encode(&record));
    Ok(putting.overlay.changes)
}

impl<V: View> Putting<V> {
    /// Nothing yet, on top of what the record describes.
    pub(crate) fn new(overlay: Overlay<V>, tree: Id, record: Option<TreeRecord>) -> Self {
        Self {
            overlay,
            tree,
            record,
            number: None,
            judge: Judge::default(),
            census: None,
            sharing: Sharing::default(),
            step: Step::ORDINARY,
            held: BTreeSet::new(),
            missing: BTreeSet::new(),
            put: Put::default(),
        }
    }

    /// The same for a tree that is taken once more, under another number.
    pub(crate) fn anew(overlay: Overlay<V>, tree: Id, record: Option<TreeRecord>, number: u32) -> Self {
        Self { number: Some(number), ..Self::new(overlay, tree, record) }
    }

    /// Whether a revocation has not changed yet all that it changes: then no entry is taken.
    pub(crate) fn flips(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.flip.is_some())
    }

    /// Goes on with what an earlier write left of a flip. Says whether there was something.
    pub(crate) fn carry_on_before(&mut self) -> Result<bool, StorageError> {
        if !self.flips() {
            return Ok(false);
        }
        let Some(mut record) = self.record.take() else { return Ok(false) };
        let result = self.carry_on(&mut record);
        self.record = Some(record);
        result.map(|()| true)
    }

    /// Takes an entry if its parents are here and it stands.
    pub(crate) fn take(&mut self, index: usize, entry: &Entry) -> Result<(), StorageError> {
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
            }
            Verdict::Refused(refusal) => self.put.refused = Some((entry.id(), refusal)),
            Verdict::Stands(standing) => {
                if !self.insert(entry, &view, &standing)? {
                    self.hold(index, entry.id());
                }
            }
        }
        Ok(())
    }

    fn hold(&mut self, index: usize, id: Id) {
        self.held.insert(id);
        self.put.held.push(index);
    }

    /// Takes what [`crate::repair`] put aside, as far as its ancestors are here again and one write takes it.
    fn take_waiting(&mut self) -> Result<(), StorageError> {
        let Some(record) = &self.record else { return Ok(()) };
        let tree = record.tree();
        let (mut ready, mut bytes) = (Vec::new(), 0);
        let mut coming = BTreeSet::new();
        self.overlay.scan(Table::Waiting, &waiting(&self.tree), Order::Ascending, &mut |key, value| {
            if ready.len() >= MAX_BATCH_ENTRIES || bytes >= MAX_BATCH_BYTES {
                return Ok(Flow::Break(()));
            }
            let place = split_position(key).map(|(_, place)| place);
            let entry = place.and_then(|place| read_entry(&place, value).ok());
            let here = |id: &Id| {
                Ok::<_, StorageError>(coming.contains(id) || position(&self.overlay, tree, id)?.is_some())
            };
            let is_back = entry.as_ref().map_or(Ok(true), |entry| here(&entry.id()))?;
            let Some(entry) = entry.filter(|_| !is_back) else {
                // It came back by itself, or rotted while it waited.
                ready.push((key.to_vec(), None));
                return Ok(Flow::Continue(()));
            };
            for parent in entry.view().parents().iter() {
                if !here(&parent)? {
                    return Ok(Flow::Continue(()));
                }
            }
            coming.insert(entry.id());
            bytes += value.len();
            ready.push((key.to_vec(), Some(entry)));
            Ok(Flow::Continue(()))
        })?;
        for (key, entry) in ready {
            if self.flips() {
                // The rest waits for the next entries that come.
                break;
            }
            self.overlay.changes.remove(Table::Waiting, &key);
            let Some(entry) = entry else { continue };
            let facts = Tree { view: &self.overlay, id: self.tree, record: self.record.as_ref() };
            let taken = match self.judge.judge(&facts, &entry.view())? {
                Verdict::Stands(standing) => self.insert(&entry, &entry.view(), &standing)?,
                Verdict::Missing(_) => false,
                Verdict::Refused(_) => true,
            };
            if !taken {
                self.overlay.changes.put(Table::Waiting, &key, entry.bytes().to_vec());
            }
        }
        Ok(())
    }

    /// What came of the entries so far.
    fn outcome(&self) -> Put {
        Put { missing: self.missing.iter().copied().collect(), ..self.put.clone() }
    }

    /// Stores one entry: the entry itself, its index, its rows, its settings, its place among the tips. Says whether it
    /// did: there is no room for more that does not count.
    fn insert(
        &mut self,
        entry: &Entry,
        view: &EntryView<'_>,
        standing: &Standing,
    ) -> Result<bool, StorageError> {
        let mut record = if let Some(record) = self.record.take() {
            record
        } else {
            let given = self.number.map_or_else(|| next_tree_number(&mut self.overlay), Ok);
            TreeRecord::new(given?, view.author())
        };
        let result = self.insert_into(&mut record, entry, view, standing);
        self.record = Some(record);
        result
    }

    fn insert_into(
        &mut self,
        record: &mut TreeRecord,
        entry: &Entry,
        view: &EntryView<'_>,
        standing: &Standing,
    ) -> Result<bool, StorageError> {
        let stands = self.stands(record, view, standing)?;
        let bytes = u32::try_from(entry.bytes().len()).unwrap_or(u32::MAX);
        let strange = record.stranger_bytes + record.strangers * STRANGER_OVERHEAD;
        let room = MAX_STRANGER_BYTES.max(record.bytes.saturating_sub(record.stranger_bytes));
        if !stands.counts() && strange >= room {
            return Ok(false);
        }
        let key = record.tree().at(&entry.position());
        if self.overlay.get(Table::Headers, &key)?.is_some() {
            // It would be counted twice.
            return Err(damaged("the index", format_args!("{} is stored and not in it", entry.id())));
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
        Ok(true)
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

    /// What all the entries change together: aggregates, tips, and the tree's record, which the caller keeps.
    pub(crate) fn finish(mut self, salt: &[u8; 32]) -> Result<(Option<TreeRecord>, Changes), StorageError> {
        let Some(record) = self.record else { return Ok((None, self.overlay.changes)) };
        self.sharing.finish(Aggregates { tree: record.tree(), salt }, &mut self.overlay)?;
        Ok((Some(record), self.overlay.changes))
    }
}

/// The keys of a tree's entries that wait for their ancestors.
pub(crate) fn waiting(tree: &Id) -> Span {
    Span::prefix(tree.as_bytes())
}

#[cfg(all(test, feature = "conformance"))]
mod tests {
    use pleach_core::{
        entry::{Grant, Permission, Who},
        storage::{Store, Write},
    };

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
