//! What a partial holder lacks of a tree: exact, and only as much of the history read as that takes.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

use crate::{
    Id, Position, PublicKey,
    entry::{Entry, Permission, Who},
    limits::{MAX_BATCH_BYTES, MAX_FRAME},
    node::{Admission, Rights},
    session::partial::MAX_TIPS,
    storage::{Snapshot, StorageError},
    wire::{Have, MAX_RING, MAX_WANTS},
};

/// Entries looked at for one request, beyond which an advance is cheaper for everybody.
const MAX_WALK: usize = 65_536;

/// Bytes of entries read for one request, beyond which the same holds: entries can be long.
const MAX_WALK_BYTES: usize = 16 * 1024 * 1024;

/// Entries looked at for somebody whom nobody granted anything, since asking costs them nothing: four rings.
const MAX_PUBLIC_WALK: usize = 4 * MAX_RING;

/// Bytes of entries read for somebody whom nobody granted anything: a sixteenth of what others get.
const MAX_PUBLIC_WALK_BYTES: usize = 1024 * 1024;

/// Bytes of a frame beside one entry.
const FRAME_OVERHEAD: usize = 8;

/// What a partial holder is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It lacks nothing.
    Same,
    /// This node lacks these first, in no order, at most [`MAX_WANTS`].
    Missing(Vec<Id>),
    /// It lacks these, ascending, and they fit.
    Entries(Vec<Entry>),
    /// It lacks more than fits, or wants to be relieved; this entry names all of its tips.
    Advance(Box<Entry>),
    /// The same, and no entry names all of its tips, which are these.
    Merge(Vec<Position>),
    /// The same, and none may be written for it: one of the two may not write, or what it holds is not shared.
    NoAdvance,
}

/// Finds the difference between the shared set and what a partial holder has.
pub(super) fn difference(
    snapshot: &Arc<dyn Snapshot>,
    have: &Have,
    ids: &[Id],
    own: &PublicKey,
    rights: Rights,
) -> Result<Difference, StorageError> {
    let tree = &have.tree;
    if snapshot.summary(tree)?.is_some_and(|summary| summary.flips) {
        return Err(StorageError::Flipping);
    }
    let named: Vec<Id> = have.base.iter().map(|base| base.id).chain(ids.iter().copied()).collect();
    let mut held: Vec<Position> = Vec::new();
    let mut missing = Vec::new();
    let mut shared = true;
    for (id, header) in named.iter().zip(snapshot.headers(tree, &named)?) {
        match header {
            Some(header) => {
                shared &= header.shared;
                held.push(header.position);
            }
            None => missing.push(*id),
        }
    }
    if !missing.is_empty() {
        missing.truncate(MAX_WANTS);
        return Ok(Difference::Missing(missing));
    }
    let named: BTreeSet<Id> = named.into_iter().collect();
    let tips = snapshot.tips(tree, None, named.len().max(MAX_TIPS).saturating_add(1))?;
    if tips.iter().all(|tip| named.contains(&tip.id)) && !have.relieve {
        return Ok(Difference::Same);
    }
    let mut reach = Reach::of(rights.admission);
    if tips.len() <= MAX_TIPS
        && !have.relieve
        && let Some(entries) = (Walk { snapshot, have, named: &named }).fitting(&held, &tips, &mut reach)?
    {
        return Ok(Difference::Entries(entries));
    }
    if !shared {
        // Whoever signs over it takes it into the shared set: that is left to the holder's own next entry.
        return Ok(Difference::NoAdvance);
    }
    let theirs = tips_of(snapshot, have, &held, ids)?;
    (Above { snapshot, have, theirs, own }).advance(&tips, rights.may_write, &mut reach)
}

/// What nothing that the holder has builds on.
fn tips_of(
    snapshot: &Arc<dyn Snapshot>,
    have: &Have,
    held: &[Position],
    ids: &[Id],
) -> Result<BTreeMap<Id, Position>, StorageError> {
    let base = held.iter().take(have.base.len());
    let mut theirs: BTreeMap<Id, Position> = base.map(|base| (base.id, *base)).collect();
    for id in ids {
        let Some(entry) = snapshot.entry(&have.tree, id)? else { continue };
        for parent in entry.view().parents().iter() {
            theirs.remove(&parent);
        }
        theirs.insert(*id, entry.position());
    }
    Ok(theirs)
}

/// An entry by this node's key that names all tips of the holder's.
struct Above<'a> {
    snapshot: &'a Arc<dyn Snapshot>,
    have: &'a Have,
    theirs: BTreeMap<Id, Position>,
    own: &'a PublicKey,
}

impl Above<'_> {
    /// This node's only tip, if it is such an entry; else a merge to be written, for a holder that may write: it could as
    /// well add entries itself. For any other the highest such entry that there is.
    fn advance(
        self,
        tips: &[Position],
        may_write: bool,
        reach: &mut Reach,
    ) -> Result<Difference, StorageError> {
        if let [tip] = tips
            && let Some(entry) = self.snapshot.entry(&self.have.tree, &tip.id)?
            && self.is_met_by(&entry)
        {
            return Ok(Difference::Advance(Box::new(entry)));
        }
        if may_write && self.theirs.len() <= MAX_TIPS && self.node_may_write()? {
            return Ok(Difference::Merge(self.theirs.into_values().collect()));
        }
        let entry = self.highest(tips, reach)?;
        Ok(entry.map_or(Difference::NoAdvance, |entry| Difference::Advance(Box::new(entry))))
    }

    fn is_met_by(&self, entry: &Entry) -> bool {
        let names = |id: &Id| entry.view().parents().iter().any(|parent| parent == *id);
        entry.view().author() == *self.own
            && entry.bytes().len() <= frame(self.have)
            && self.theirs.keys().all(names)
    }

    fn node_may_write(&self) -> Result<bool, StorageError> {
        for who in [Who::Everyone, Who::Key(*self.own)] {
            if self.snapshot.permission(&self.have.tree, &who)?.is_some_and(Permission::writes) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Walks down from the tips as far as an entry can stand on the holder's.
    fn highest(&self, tips: &[Position], reach: &mut Reach) -> Result<Option<Entry>, StorageError> {
        let floor = self.theirs.values().map(|position| position.height).max();
        let mut front: BTreeSet<Position> = tips.iter().copied().collect();
        while let Some(position) = front.pop_last().filter(|position| Some(position.height) > floor) {
            let Some(entry) = self.snapshot.entry(&self.have.tree, &position.id)? else { break };
            if !reach.take(entry.bytes().len()) {
                break;
            }
            if self.is_met_by(&entry) {
                return Ok(Some(entry));
            }
            let parents: Vec<Id> = entry.view().parents().iter().collect();
            let headers = self.snapshot.headers(&self.have.tree, &parents)?;
            front.extend(headers.into_iter().flatten().map(|header| header.position));
        }
        Ok(None)
    }
}

/// How far this node still reads for a request.
struct Reach {
    entries: usize,
    bytes: usize,
}

impl Reach {
    const fn of(admission: Admission) -> Self {
        match admission {
            Admission::Granted => Self { entries: MAX_WALK, bytes: MAX_WALK_BYTES },
            _ => Self { entries: MAX_PUBLIC_WALK, bytes: MAX_PUBLIC_WALK_BYTES },
        }
    }

    /// Takes an entry that was read; says whether that was within reach.
    fn take(&mut self, bytes: usize) -> bool {
        match (self.entries.checked_sub(1), self.bytes.checked_sub(bytes)) {
            (Some(entries), Some(left)) => {
                (self.entries, self.bytes) = (entries, left);
                true
            }
            _ => false,
        }
    }
}

struct Walk<'a> {
    snapshot: &'a Arc<dyn Snapshot>,
    have: &'a Have,
    named: &'a BTreeSet<Id>,
}

impl Walk<'_> {
    /// Walks down from the tips of both sides, highest first, until nothing is left that this node alone holds. Gives
    /// the entries of this node's alone, ascending; nothing if they do not fit, or if one builds on what the holder
    /// knows only through its base.
    fn fitting(
        &self,
        held: &[Position],
        tips: &[Position],
        reach: &mut Reach,
    ) -> Result<Option<Vec<Entry>>, StorageError> {
        // Each position to look at, and whether the holder has it: final once nothing above it is left.
        let mut queue: BTreeMap<Position, bool> = held.iter().map(|position| (*position, true)).collect();
        for tip in tips {
            queue.entry(*tip).or_insert(false);
        }
        let mut alone = queue.values().filter(|theirs| !**theirs).count();
        let mut room = self.room();
        let mut entries = Vec::new();
        while alone > 0 {
            let Some((position, theirs)) = queue.pop_last() else { return Ok(None) };
            let Some(entry) = self.snapshot.entry(&self.have.tree, &position.id)? else { return Ok(None) };
            if !reach.take(entry.bytes().len()) {
                return Ok(None);
            }
            let parents: Vec<Id> = entry.view().parents().iter().collect();
            if !theirs {
                alone = alone.saturating_sub(1);
                if !room.take(entry.bytes().len()) {
                    return Ok(None);
                }
                entries.push(entry);
            }
            for header in self.snapshot.headers(&self.have.tree, &parents)?.into_iter().flatten() {
                let parent = header.position;
                let before = queue.get(&parent).copied();
                let known_below = theirs || before == Some(true);
                let built_upon = !theirs || before == Some(false);
                if known_below && built_upon && !self.named.contains(&parent.id) {
                    return Ok(None);
                }
                if before.is_none() {
                    queue.insert(parent, theirs);
                    alone = alone.saturating_add(usize::from(!theirs));
                }
            }
        }
        entries.reverse();
        Ok(Some(entries))
    }

    fn room(&self) -> Room {
        let bytes = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        // A message has a head and an end beside the frames of entries.
        let message = bytes(self.have.limits.message).min(MAX_BATCH_BYTES) / 2;
        Room {
            entry: bytes(self.have.entry).min(frame(self.have)),
            entries: bytes(self.have.entries).min(MAX_RING),
            bytes: bytes(self.have.bytes).min(message),
        }
    }
}

/// Bytes of an entry that a frame to the holder takes.
fn frame(have: &Have) -> usize {
    let limit = usize::try_from(have.limits.frame).unwrap_or(usize::MAX);
    limit.min(MAX_FRAME).saturating_sub(FRAME_OVERHEAD)
}

/// What the holder can still take.
struct Room {
    entry: usize,
    entries: usize,
    bytes: usize,
}

impl Room {
    fn take(&mut self, bytes: usize) -> bool {
        match (self.entries.checked_sub(1), self.bytes.checked_sub(bytes)) {
            (Some(entries), Some(left)) if bytes <= self.entry => {
                (self.entries, self.bytes) = (entries, left);
                true
            }
            _ => false,
        }
    }
}
