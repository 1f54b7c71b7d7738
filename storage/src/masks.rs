//! Masks: what a revocation that arrives takes out of what counts, and what it lets count again.
//!
//! Only entries that are no ancestors of a revocation can be masked by it, so all that may change lies beside the
//! ancestors of the revocations whose effect changes: the cost is that of the fork, not of the history.

use std::collections::{BTreeMap, BTreeSet};

use pleach_core::{
    Position,
    access::{Census, Facts, Needs, SettingsRecord, ViewId},
    entry::{EntryView, Who},
    storage::StorageError,
};

use crate::{
    layout::{Table, split_position},
    put::Putting,
    record::{Standing, TreeRecord, damaged},
    tables::{Flow, Order, View},
    tree::Tree,
};

/// What one revocation sets in motion.
struct Wave {
    census: Census,
    /// By the ordinal of a revocation, the entries that are neither it nor its ancestors.
    beside: BTreeMap<u32, BTreeSet<Position>>,
    /// New standings of entries that had another.
    flips: BTreeMap<Position, Standing>,
}

impl<V: View> Putting<V> {
    /// Draws the consequences of a revocation that counts and was just stored.
    pub(crate) fn revoked(&mut self, record: &mut TreeRecord, ordinal: u32) -> Result<(), StorageError> {
        let facts = Tree { view: &self.overlay, id: self.tree, record: Some(record) };
        let census = Census::new(&facts, facts.view(ViewId(record.view))?)?;
        let mut wave = Wave { census, beside: BTreeMap::new(), flips: BTreeMap::new() };
        let changed = self.settings_that_change(record, ordinal, &mut wave)?;
        let names: BTreeSet<Who> = changed
            .iter()
            .flat_map(|settings| {
                settings.revocations.iter().copied().chain(settings.grants.iter().map(|grant| grant.who))
            })
            .collect();
        let mut candidates = BTreeSet::new();
        for settings in changed.iter().filter(|settings| !settings.revocations.is_empty()) {
            candidates.extend(self.beside(record, &mut wave, settings)?.iter().copied());
        }
        for position in candidates {
            self.reconsider(record, &mut wave, &names, position)?;
        }
        self.flip(record, wave.flips)
    }

    /// The settings entries that stand otherwise now, and the revocation itself.
    fn settings_that_change(
        &self,
        record: &TreeRecord,
        revocation: u32,
        wave: &mut Wave,
    ) -> Result<Vec<SettingsRecord>, StorageError> {
        let facts = Tree { view: &self.overlay, id: self.tree, record: Some(record) };
        let mut changed = Vec::new();
        for ordinal in 0..record.settings {
            let settings = facts.record(ordinal)?;
            let before = self.kept(record, &settings.position.id)?.header.standing;
            let now = Standing::from(wave.census.authority_of_settings(&facts, ordinal)?);
            if now != before {
                wave.flips.insert(settings.position, now);
            }
            if now != before || ordinal == revocation {
                changed.push(settings);
            }
        }
        Ok(changed)
    }

    /// Finds out how an entry stands now.
    fn reconsider(
        &self,
        record: &TreeRecord,
        wave: &mut Wave,
        names: &BTreeSet<Who>,
        position: Position,
    ) -> Result<(), StorageError> {
        let kept = self.kept(record, &position.id)?;
        let entry = self.entry(record, kept)?;
        let view = entry.view();
        let concerned = names.contains(&Who::Everyone) || names.contains(&Who::Key(view.author()));
        // Settings entries were considered all together.
        if !concerned || view.settings().is_some() {
            return Ok(());
        }
        let spared = self.descending(record, wave, &view, position)?;
        let facts = Tree { view: &self.overlay, id: self.tree, record: Some(record) };
        let before = facts.view(ViewId(kept.header.view))?;
        let authority = wave.census.authority(&facts, view.author(), Needs::Write, &before, &spared)?;
        let now = Standing::from(authority);
        if now != kept.header.standing {
            wave.flips.insert(position, now);
        }
        Ok(())
    }

    /// The revocations of its author, or of everybody, that descend from an entry.
    fn descending(
        &self,
        record: &TreeRecord,
        wave: &mut Wave,
        entry: &EntryView<'_>,
        position: Position,
    ) -> Result<Vec<u32>, StorageError> {
        let facts = Tree { view: &self.overlay, id: self.tree, record: Some(record) };
        let mut descending = Vec::new();
        for who in [Who::Key(entry.author()), Who::Everyone] {
            for ordinal in facts.revocations_naming(&who)? {
                let revocation = facts.record(ordinal)?;
                if revocation.position.height > position.height
                    && !self.beside(record, wave, &revocation)?.contains(&position)
                {
                    descending.push(ordinal);
                }
            }
        }
        Ok(descending)
    }

    /// All stored entries that are neither this one nor its ancestors, found by walking down from the tips and from
    /// it until only common ancestors remain.
    fn beside<'a>(
        &self,
        record: &TreeRecord,
        wave: &'a mut Wave,
        settings: &SettingsRecord,
    ) -> Result<&'a BTreeSet<Position>, StorageError> {
        let beside = match wave.beside.entry(settings.ordinal) {
            std::collections::btree_map::Entry::Occupied(known) => return Ok(known.into_mut()),
            std::collections::btree_map::Entry::Vacant(place) => place.insert(BTreeSet::new()),
        };
        // Whether each is known to be an ancestor.
        let mut front = BTreeMap::new();
        self.tops(record, &mut front)?;
        front.insert(settings.position, true);
        let mut others = front.values().filter(|ancestor| !**ancestor).count();
        while others > 0
            && let Some((position, ancestor)) = front.pop_last()
        {
            if !ancestor {
                others -= 1;
                beside.insert(position);
            }
            let kept = self.kept(record, &position.id)?;
            for id in self.entry(record, kept)?.view().parents().iter() {
                let parent = self.kept(record, &id)?.position;
                let known = front.insert(parent, ancestor || front.get(&parent) == Some(&true));
                match known {
                    None if !ancestor => others += 1,
                    Some(false) if ancestor => others -= 1,
                    _ => {}
                }
            }
        }
        Ok(beside)
    }

    /// Where a walk over all that is stored begins: the tips, and what lies outside the shared set.
    fn tops(&self, record: &TreeRecord, front: &mut BTreeMap<Position, bool>) -> Result<(), StorageError> {
        front.extend(self.sharing.new_tips().map(|tip| (tip, false)));
        for table in [Table::Tips, Table::OutsideHeaders] {
            self.overlay.scan(table, &record.tree().all(), Order::Ascending, &mut |key, _| {
                let (_, position) =
                    split_position(key).ok_or_else(|| damaged("a key", "holds no position"))?;
                front.insert(position, false);
                Ok(Flow::Continue(()))
            })?;
        }
        Ok(())
    }

    /// Hides and shows, and moves what is or is no longer shared: first what comes back, from the lowest up, so that
    /// nothing leaves that has to come back.
    fn flip(
        &mut self,
        record: &mut TreeRecord,
        flips: BTreeMap<Position, Standing>,
    ) -> Result<(), StorageError> {
        let (counting, masked): (Vec<_>, Vec<_>) =
            flips.into_iter().partition(|(_, standing)| standing.counts());
        for (position, standing) in counting {
            let mut kept = self.kept(record, &position.id)?;
            let counted = kept.header.standing.counts();
            kept.header.standing = standing;
            self.put_header(record, kept);
            if counted {
                continue;
            }
            let entry = self.entry(record, kept)?;
            self.show(record, &entry);
            if !kept.shared {
                self.return_inside(record, kept, &entry)?;
            }
        }
        for (position, standing) in masked.into_iter().rev() {
            let mut kept = self.kept(record, &position.id)?;
            kept.header.standing = standing;
            self.put_header(record, kept);
            let entry = self.entry(record, kept)?;
            self.hide(record, &entry);
            if kept.shared && kept.header.children == 0 {
                self.leave(record, kept)?;
            }
        }
        Ok(())
    }
}
