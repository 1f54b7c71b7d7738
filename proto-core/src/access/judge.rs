//! May this entry be stored?

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use crate::{
    Id,
    access::{
        Facts, GrantRef, Needs, Rank, Refusal, View, ViewId,
        resolve::{Memory, Resolution, Strongest},
    },
    entry::{EntryView, Origin, Who},
    limits::MAX_PARENTS,
    storage::StorageError,
};

/// Views whose resolution is remembered at most: entries of a batch mostly share a few.
const MAX_RESOLUTIONS: usize = 256;

/// Authors remembered for one view at most; in a tree that everybody may write to they are without end.
const MAX_AUTHORS: usize = 4_096;

/// The outcome of judging an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// These parents are not stored, ascending; nothing else was looked at.
    Missing(Vec<Id>),
    /// The entry breaks a rule, here and on every other node.
    Refused(Refusal),
    /// The entry may be stored.
    Stands(Standing),
}

/// What a store keeps of an entry that it lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// By what authority it stands.
    pub authority: Authority,
    /// The settings entries among its ancestors.
    pub before: Before,
    /// Whether it writes settings: then it gets the next ordinal, and the view of its children is `before` with
    /// that ordinal. Else the view of its children is `before`.
    pub writes_settings: bool,
}

/// By what an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Authority {
    /// The root key signed it.
    Root,
    /// By a grant, the strongest one that stands for it.
    Grant {
        /// The settings entry that made the grant, and what it grants.
        grant: GrantRef,
        /// Whom it names: the author, or everybody.
        who: Who,
    },
}

impl From<Option<Strongest>> for Authority {
    fn from(strongest: Option<Strongest>) -> Self {
        strongest.map_or(Self::Root, |Strongest { grant, who }| Self::Grant { grant, who })
    }
}

/// A view, by its number if it is stored already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// The view of a parent, which has all that the other parents' have.
    Stored(ViewId),
    /// The union of the parents' views; empty for a root.
    New(Arc<View>),
}

/// Judges entries of one tree, remembering what it found out. It belongs to one write transaction, or to one
/// snapshot: when a transaction is undone, drop it.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    memory: Memory,
    /// By the parents' views, ascending, each once.
    resolutions: BTreeMap<Vec<ViewId>, (Before, Resolution)>,
}

/// Judges one entry; for many of them, a [`Judge`] is faster.
pub fn judge(facts: &dyn Facts, entry: &EntryView<'_>) -> Result<Verdict, StorageError> {
    Judge::default().judge(facts, entry)
}

impl Judge {
    /// Judges an entry that is not stored yet against what is. Its structure and its signature have been checked.
    pub fn judge(&mut self, facts: &dyn Facts, entry: &EntryView<'_>) -> Result<Verdict, StorageError> {
        let claimed = entry.tree();
        if claimed != facts.tree() {
            return Ok(Verdict::Refused(Refusal::WrongTree { claimed }));
        }
        if matches!(entry.origin(), Origin::Root { .. }) {
            let before = Before::New(Arc::default());
            let authority = Authority::Root;
            return Ok(Verdict::Stands(Standing { authority, before, writes_settings: true }));
        }
        let mut missing = Vec::new();
        let mut views = heapless::Vec::<ViewId, MAX_PARENTS>::new();
        let mut highest = 0;
        for id in entry.parents().iter() {
            match facts.header(&id)? {
                None => missing.push(id),
                Some(header) => {
                    highest = header.position.height.max(highest);
                    if let Err(place) = views.binary_search(&header.view) {
                        // There are at most as many views as parents.
                        let _ = views.insert(place, header.view);
                    }
                }
            }
        }
        #[cfg(feature = "planted-faults")]
        if !missing.is_empty() && crate::planted::is_awake(crate::planted::Planted::ParentsUnchecked) {
            let before = Before::New(Arc::default());
            return Ok(Verdict::Stands(Standing {
                authority: Authority::Root,
                before,
                writes_settings: false,
            }));
        }
        if !missing.is_empty() {
            return Ok(Verdict::Missing(missing));
        }
        let expected = highest.saturating_add(1);
        #[cfg(feature = "planted-faults")]
        if crate::planted::is_awake(crate::planted::Planted::HeightsUnchecked) {
            return self.judge_author(facts, entry, &views);
        }
        if entry.height() != expected {
            let claimed = entry.height();
            return Ok(Verdict::Refused(Refusal::WrongHeight { expected, claimed }));
        }
        self.judge_author(facts, entry, &views)
    }

    fn judge_author(
        &mut self,
        facts: &dyn Facts,
        entry: &EntryView<'_>,
        views: &[ViewId],
    ) -> Result<Verdict, StorageError> {
        self.memory.refresh(facts)?;
        if !self.resolutions.contains_key(views) {
            if self.resolutions.len() >= MAX_RESOLUTIONS {
                self.resolutions.clear();
            }
            let made = resolution(facts, views)?;
            self.resolutions.insert(views.to_vec(), made);
        }
        let Some((before, resolution)) = self.resolutions.get_mut(views) else {
            return Err(StorageError::Damaged("a view was lost".into()));
        };
        if resolution.strongest.len() >= MAX_AUTHORS {
            resolution.strongest.clear();
        }
        let author = entry.author();
        let Some((rank, strongest)) = resolution.rank(facts, &mut self.memory, &Who::Key(author))? else {
            return Ok(Verdict::Refused(Refusal::NoPermission { author }));
        };
        let refusal = insufficient(rank, entry);
        #[cfg(feature = "planted-faults")]
        let refusal = refusal.filter(|_| !crate::planted::is_awake(crate::planted::Planted::AuthorsUnjudged));
        if let Some(refusal) = refusal {
            return Ok(Verdict::Refused(refusal));
        }
        let authority = Authority::from(strongest);
        let writes_settings = entry.settings().is_some();
        Ok(Verdict::Stands(Standing { authority, before: before.clone(), writes_settings }))
    }
}

/// The union of views; one of them by its number if it is that union.
fn resolution(facts: &dyn Facts, ids: &[ViewId]) -> Result<(Before, Resolution), StorageError> {
    let mut views = Vec::with_capacity(ids.len());
    let mut union = View::default();
    for id in ids {
        let view = facts.view(*id)?;
        union = union.union(&view);
        views.push((*id, view));
    }
    let stored = views.iter().find(|(_, view)| *view == union).map(|(id, _)| *id);
    let union = Arc::new(union);
    let before = stored.map_or_else(|| Before::New(union.clone()), Before::Stored);
    Ok((before, Resolution::new(union)))
}

/// Why the rank does not suffice for what the entry writes, if it does not.
fn insufficient(rank: Rank, entry: &EntryView<'_>) -> Option<Refusal> {
    if Needs::of(entry).are_met_by(rank) {
        return None;
    }
    let (author, has) = (entry.author(), rank.permission());
    let Some(settings) = entry.settings() else { return Some(Refusal::ReadOnly { author }) };
    let too_high = settings.grants.iter().find(|grant| !rank.is_above(grant.permission));
    match too_high {
        Some(grant) if has.administers() => {
            Some(Refusal::GrantNotBelow { author, has, granted: grant.permission, who: grant.who })
        }
        _ => Some(Refusal::SettingsNeedAdmin { author, has }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        SecretKey,
        access::{
            facts::required,
            tests::world::{Says, World},
        },
        entry::{EntryBuilder, Permission, VerifiedEntry},
    };

    #[test]
    fn a_judge_remembers_views_and_authors_up_to_a_bound() {
        let (mut world, root) = World::new(&[(None, Permission::Write(0))]);
        let (mut judge, mut tip) = (Judge::default(), root.position());
        let mut most = (0, 0);
        let mut judged = |world: &World, tip, seed: usize| {
            let mut builder = EntryBuilder::new(world.origin(), 1);
            let mut key = [0; 32];
            key.iter_mut().zip(seed.to_le_bytes()).for_each(|(room, byte)| *room = byte);
            let entry = VerifiedEntry::sign(builder.parent(tip).unwrap(), &SecretKey::from_bytes(key), &[]);
            judge.judge(world, &entry.unwrap().view()).unwrap();
            let authors = judge.resolutions.values().map(|(_, resolution)| resolution.strongest.len());
            most = (judge.resolutions.len().max(most.0), authors.max().unwrap_or(0).max(most.1));
        };
        (0..=MAX_AUTHORS).for_each(|seed| judged(&world, tip, seed));
        for _ in 0..=MAX_RESOLUTIONS {
            let settings = Some(Default::default());
            tip = world.let_in(&Says { author: 0, parents: Vec::from([tip]), settings });
            judged(&world, tip, 1);
        }
        assert_eq!(most, (MAX_RESOLUTIONS, MAX_AUTHORS));
    }

    #[test]
    fn whoever_ranks_above_what_is_required_administers() {
        // `required` stands for "Admin, and above every grant": no `Write` ranks above the strongest `Write`.
        let required = required(core::iter::empty());
        assert!(Rank::Granted(Permission::Admin(u16::MAX)).is_above(required));
        assert!(!Rank::Granted(Permission::Write(0)).is_above(required));
    }
}
