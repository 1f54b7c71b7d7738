//! Masks: what a revocation that arrives takes out of what counts, and what it lets count again.
//!
//! Only entries that are no ancestors of a revocation can be masked by it, so all that may change lies beside the
//! ancestors of the revocations whose effect changes: the cost is that of the fork, not of the history. A walk down from
//! the tips meets each entry after all that descends from it, and looks at it once. It goes in steps, each one durable
//! with the place where it stands, so that neither a write nor the memory that it takes grows with the fork.

use std::collections::{BTreeMap, BTreeSet};

use pleach_core::{
    Position,
    access::{Census, Facts, Needs, SettingsRecord, ViewId},
    entry::{Entry, Who},
    limits::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES},
    storage::StorageError,
};
use serde::{Deserialize, Serialize};

use crate::{
    layout::{Table, TreeNumber, split_position},
    put::Putting,
    record::{Standing, TreeRecord, damaged, decode, encode},
    tables::{Flow, Order, View},
    tree::{Kept, Tree},
};

/// A flip under way, as the tree's record keeps it. Where it stands is in [`Table::Front`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flip {
    /// The ordinals of the revocation and of all settings that stand otherwise because of it, ascending.
    settings: Vec<u32>,
    /// Places of the front that are not known to be ancestors of all revocations among these.
    others: u64,
}

/// How much of a flip goes into one write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    entries: usize,
    bytes: usize,
}

impl Step {
    /// As much as a batch of entries, so that a write with both takes about twice what one without takes.
    pub(crate) const ORDINARY: Self = Self::of(MAX_BATCH_ENTRIES);

    /// So many entries.
    pub(crate) const fn of(entries: usize) -> Self {
        Self { entries, bytes: MAX_BATCH_BYTES }
    }

    fn is_over(self) -> bool {
        self.entries == 0 || self.bytes == 0
    }

    fn charge(&mut self, entry: &Entry) {
        self.entries = self.entries.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(entry.bytes().len());
    }
}

/// What a flip is about.
struct Wave {
    census: Census,
    /// Whom the settings name that stand otherwise now.
    names: BTreeSet<Who>,
    /// The revocations among them.
    changed: Vec<u32>,
    /// Every revocation that somebody who is named could be spared by, with its ordinal.
    marking: BTreeMap<Position, u32>,
}

impl Wave {
    /// Whether something below these revocations may be masked, or shown, by what has changed.
    fn is_beside(&self, marks: &[u32]) -> bool {
        self.changed.iter().any(|ordinal| marks.binary_search(ordinal).is_err())
    }

    fn concerns(&self, author: pleach_core::PublicKey) -> bool {
        self.names.contains(&Who::Everyone) || self.names.contains(&Who::Key(author))
    }
}

impl<V: View> Putting<V> {
    /// Begins to draw the consequences of a revocation that counts and was just stored: settings are few, and stand
    /// otherwise at once.
    pub(crate) fn revoked(&mut self, record: &mut TreeRecord, revocation: u32) -> Result<(), StorageError> {
        #[cfg(feature = "planted-faults")]
        if pleach_core::planted::is_awake(pleach_core::planted::Planted::MasksIgnored) {
            return Ok(());
        }
        let facts = Tree { view: &self.overlay, id: self.tree, record: Some(record) };
        let mut census = Census::new(&facts, facts.view(ViewId(record.view))?)?;
        let (mut settings, mut restanding) = (Vec::new(), Vec::new());
        for ordinal in 0..record.settings {
            let position = facts.record(ordinal)?.position;
            let kept = self.kept(record, &position.id)?;
            let now = Standing::from(census.authority_of_settings(&facts, ordinal)?);
            if now != kept.header.standing || ordinal == revocation {
                settings.push(ordinal);
                restanding.push((kept, now));
            }
        }
        for (kept, standing) in restanding {
            let entry = self.entry(record, kept)?;
            self.stand(record, kept, &entry, standing);
        }
        let mut tops = tops(&self.overlay, record.tree())?;
        tops.extend(self.sharing.new_tips());
        for top in &tops {
            self.put_front(record, top, &[]);
        }
        let flip = Flip { settings, others: tops.len() as u64 };
        let wave = self.wave(record, &flip, census)?;
        self.walk(record, flip, wave)
    }

    /// Goes on with the flip under way, if there is one, as far as this write may.
    pub(crate) fn carry_on(&mut self, record: &mut TreeRecord) -> Result<(), StorageError> {
        let Some(flip) = record.flip.take() else { return Ok(()) };
        let facts = Tree { view: &self.overlay, id: self.tree, record: Some(record) };
        let census = Census::new(&facts, facts.view(ViewId(record.view))?)?;
        let wave = self.wave(record, &flip, census)?;
        self.walk(record, flip, wave)
    }

    /// Walks down from where the flip stands, until only common ancestors are left or this write has done enough.
    fn walk(&mut self, record: &mut TreeRecord, mut flip: Flip, mut wave: Wave) -> Result<(), StorageError> {
        while flip.others > 0 {
            if self.step.is_over() {
                record.flip = Some(flip);
                return Ok(());
            }
            let Some((position, marks)) = self.pop_front(record)? else { break };
            let kept = self.kept(record, &position.id)?;
            let entry = self.entry(record, kept)?;
            self.step.charge(&entry);
            if wave.is_beside(&marks) {
                flip.others = flip.others.saturating_sub(1);
                self.reconsider(record, &mut wave, kept, &entry, &marks)?;
            }
            let own = wave.marking.get(&position).copied();
            for id in entry.view().parents().iter() {
                let parent = self.kept(record, &id)?.position;
                let before = self.front(record, &parent)?;
                let after = joined(before.as_deref().unwrap_or_default(), &marks, own);
                let was_beside = before.is_some_and(|before| wave.is_beside(&before));
                match (was_beside, wave.is_beside(&after)) {
                    (false, true) => flip.others += 1,
                    (true, false) => flip.others = flip.others.saturating_sub(1),
                    _ => {}
                }
                self.put_front(record, &parent, &after);
            }
        }
        while let Some(_common) = self.pop_front(record)? {}
        Ok(())
    }

    fn wave(&self, record: &TreeRecord, flip: &Flip, census: Census) -> Result<Wave, StorageError> {
        let facts = Tree { view: &self.overlay, id: self.tree, record: Some(record) };
        let (mut names, mut changed, mut marking) = (BTreeSet::new(), Vec::new(), BTreeMap::new());
        for ordinal in &flip.settings {
            let SettingsRecord { position, grants, revocations, .. } = facts.record(*ordinal)?;
            if !revocations.is_empty() {
                changed.push(*ordinal);
                marking.insert(position, *ordinal);
            }
            names.extend(grants.iter().map(|grant| grant.who).chain(revocations));
        }
        let everybody = names.contains(&Who::Everyone);
        for ordinal in 0..record.settings {
            let SettingsRecord { position, revocations, .. } = facts.record(ordinal)?;
            let named = |who: &Who| *who == Who::Everyone || names.contains(who);
            if !revocations.is_empty() && (everybody || revocations.iter().any(named)) {
                marking.insert(position, ordinal);
            }
        }
        Ok(Wave { census, names, changed, marking })
    }

    /// Finds out how an entry stands now, and whether it is shared: all that descends from it is known.
    fn reconsider(
        &mut self,
        record: &mut TreeRecord,
        wave: &mut Wave,
        kept: Kept,
        entry: &Entry,
        marks: &[u32],
    ) -> Result<(), StorageError> {
        let view = entry.view();
        let mut kept = kept;
        // Settings were considered all together.
        if wave.concerns(view.author()) && view.settings().is_none() {
            let facts = Tree { view: &self.overlay, id: self.tree, record: Some(record) };
            let before = facts.view(ViewId(kept.header.view))?;
            let authority = wave.census.authority(&facts, view.author(), Needs::Write, &before, marks)?;
            kept = self.stand(record, kept, entry, Standing::from(authority));
        }
        match (kept.shared, kept.header.standing.counts() || kept.header.children > 0) {
            (true, false) => self.leave(record, kept, entry),
            (false, true) => self.return_alone(record, kept, entry),
            _ => Ok(()),
        }
    }

    /// Notes by what an entry stands; hides or shows what it writes.
    fn stand(&mut self, record: &mut TreeRecord, kept: Kept, entry: &Entry, standing: Standing) -> Kept {
        let before = kept.header.standing;
        if standing == before {
            return kept;
        }
        let mut kept = kept;
        kept.header.standing = standing;
        self.put_header(record, kept);
        match (before.counts(), standing.counts()) {
            (true, false) => self.hide(record, entry),
            (false, true) => self.show(record, entry),
            _ => {}
        }
        kept
    }

    /// Takes the highest place of the front, with the revocations that descend from it.
    fn pop_front(&mut self, record: &TreeRecord) -> Result<Option<(Position, Vec<u32>)>, StorageError> {
        let highest = self.overlay.first(Table::Front, &record.tree().all(), Order::Descending)?;
        let Some((key, marks)) = highest else { return Ok(None) };
        self.overlay.changes.remove(Table::Front, &key);
        Ok(Some((place(&key)?, decode("the front of a flip", &marks)?)))
    }

    fn front(&self, record: &TreeRecord, position: &Position) -> Result<Option<Vec<u32>>, StorageError> {
        let marks = self.overlay.get(Table::Front, &record.tree().at(position))?;
        marks.map(|marks| decode("the front of a flip", &marks)).transpose()
    }

    fn put_front(&mut self, record: &TreeRecord, position: &Position, marks: &[u32]) {
        self.overlay.changes.put(Table::Front, &record.tree().at(position), encode(&marks));
    }
}

/// Where a walk over all that is stored begins: the tips, and what lies outside the shared set.
pub(crate) fn tops(view: &impl View, tree: TreeNumber) -> Result<BTreeSet<Position>, StorageError> {
    let mut tops = BTreeSet::new();
    for table in [Table::Tips, Table::OutsideHeaders] {
        view.scan(table, &tree.all(), Order::Ascending, &mut |key, _| {
            tops.insert(place(key)?);
            Ok(Flow::Continue(()))
        })?;
    }
    Ok(tops)
}

fn place(key: &[u8]) -> Result<Position, StorageError> {
    let (_, position) = split_position(key).ok_or_else(|| damaged("a key", "holds no position"))?;
    Ok(position)
}

/// The revocations that descend from an entry, given those known so far, those that descend from a child, and the child
/// if it is one itself; ascending.
pub(crate) fn joined(known: &[u32], of_child: &[u32], child: Option<u32>) -> Vec<u32> {
    let mut all: Vec<u32> = known.iter().chain(of_child).copied().chain(child).collect();
    all.sort_unstable();
    all.dedup();
    all
}
