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
    session::partial::MAX_TIPS,
    storage::{Snapshot, StorageError},
    wire::{Have, MAX_WANTS},
};

/// Entries looked at, beyond which an advance is cheaper for everybody.
const MAX_WALK: usize = 65_536;

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
    /// The same, and this node's key may not write.
    ReadOnly,
}

/// Finds the difference between the shared set and what a partial holder has.
pub(super) fn difference(
    snapshot: &Arc<dyn Snapshot>,
    have: &Have,
    ids: &[Id],
    own: &PublicKey,
) -> Result<Difference, StorageError> {
    let tree = &have.tree;
    if snapshot.summary(tree)?.is_some_and(|summary| summary.flips) {
        return Err(StorageError::Flipping);
    }
    let named: Vec<Id> = have.base.iter().map(|base| base.id).chain(ids.iter().copied()).collect();
    let mut held: Vec<Position> = Vec::new();
    let mut missing = Vec::new();
    for (id, header) in named.iter().zip(snapshot.headers(tree, &named)?) {
        match header {
            Some(header) => held.push(header.position),
            None => missing.push(*id),
        }
    }
    if !missing.is_empty() {
        missing.truncate(MAX_WANTS);
        return Ok(Difference::Missing(missing));
    }
    let named: BTreeSet<Id> = named.into_iter().collect();
    let tips = snapshot.tips(tree, None, named.len().max(MAX_TIPS).saturating_add(1))?;
    if tips.iter().all(|tip| named.contains(&tip.id)) {
        return if have.relieve {
            advance(snapshot, have, (&held, ids), &tips, own)
        } else {
            Ok(Difference::Same)
        };
    }
    if tips.len() <= MAX_TIPS
        && !have.relieve
        && let Some(entries) = (Walk { snapshot, have, named: &named }).fitting(&held, &tips)?
    {
        return Ok(Difference::Entries(entries));
    }
    advance(snapshot, have, (&held, ids), &tips, own)
}

/// An entry that names all tips of the holder's: this node's only tip, if it does, else a merge to be written.
fn advance(
    snapshot: &Arc<dyn Snapshot>,
    have: &Have,
    (held, ids): (&[Position], &[Id]),
    tips: &[Position],
    own: &PublicKey,
) -> Result<Difference, StorageError> {
    let tree = &have.tree;
    let base = held.iter().take(have.base.len());
    let mut theirs: BTreeMap<Id, Position> = base.map(|base| (base.id, *base)).collect();
    for id in ids {
        let Some(entry) = snapshot.entry(tree, id)? else { continue };
        for parent in entry.view().parents().iter() {
            theirs.remove(&parent);
        }
        theirs.insert(*id, entry.position());
    }
    if let [tip] = tips
        && let Some(entry) = snapshot.entry(tree, &tip.id)?
        && entry.view().author() == *own
        && entry.bytes().len() <= frame(have)
        && theirs.keys().all(|id| entry.view().parents().iter().any(|parent| parent == *id))
    {
        return Ok(Difference::Advance(Box::new(entry)));
    }
    let permission = [Who::Everyone, Who::Key(*own)]
        .map(|who| snapshot.permission(tree, &who))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    if !permission.into_iter().flatten().any(Permission::writes) || theirs.len() > MAX_TIPS {
        return Ok(Difference::ReadOnly);
    }
    Ok(Difference::Merge(theirs.into_values().collect()))
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
    fn fitting(&self, held: &[Position], tips: &[Position]) -> Result<Option<Vec<Entry>>, StorageError> {
        // Each position to look at, and whether the holder has it: final once nothing above it is left.
        let mut queue: BTreeMap<Position, bool> = held.iter().map(|position| (*position, true)).collect();
        for tip in tips {
            queue.entry(*tip).or_insert(false);
        }
        let mut alone = queue.values().filter(|theirs| !**theirs).count();
        let mut room = self.room();
        let mut entries = Vec::new();
        for _ in 0..MAX_WALK {
            if alone == 0 {
                entries.reverse();
                return Ok(Some(entries));
            }
            let Some((position, theirs)) = queue.pop_last() else { break };
            let Some(entry) = self.snapshot.entry(&self.have.tree, &position.id)? else { break };
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
        Ok(None)
    }

    fn room(&self) -> Room {
        let bytes = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        // A message has a head and an end beside the frames of entries.
        let message = bytes(self.have.limits.message).min(MAX_BATCH_BYTES) / 2;
        Room {
            entry: bytes(self.have.entry).min(frame(self.have)),
            entries: bytes(self.have.entries).min(crate::wire::MAX_RING),
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
