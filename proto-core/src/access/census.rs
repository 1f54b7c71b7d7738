//! What counts in a whole set of entries.

use alloc::sync::Arc;

use crate::{
    PublicKey,
    access::{
        Authority, Facts, Rank, View,
        facts::required,
        resolve::{Memory, Resolution, Spared},
    },
    entry::{EntryView, Permission},
    storage::StorageError,
};

/// What an entry's author must rank above, or at least have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Needs {
    /// The permission to write: for values and merges.
    Write,
    /// A rank above this: for settings, see [`Needs::of`].
    Above(Permission),
}

impl Needs {
    /// What an entry needs.
    pub fn of(entry: &EntryView<'_>) -> Self {
        match entry.settings() {
            Some(settings) => Self::Above(required(settings.grants.iter().map(|grant| grant.permission))),
            None => Self::Write,
        }
    }

    /// Whether a rank suffices.
    pub(super) fn are_met_by(self, rank: Rank) -> bool {
        match self {
            Self::Write => rank.permission().writes(),
            Self::Above(bound) => rank.is_above(bound),
        }
    }
}

/// What counts in a set of entries that a store holds, given by the settings entries in it. It belongs to one write
/// transaction, or to one snapshot, and is of use as long as no settings entry joins the set.
#[derive(Clone, Debug)]
pub struct Census {
    memory: Memory,
    resolution: Resolution,
}

impl Census {
    /// Of the set with these settings entries.
    pub fn new(facts: &dyn Facts, view: View) -> Result<Self, StorageError> {
        let mut memory = Memory::default();
        memory.refresh(facts)?;
        Ok(Self { memory, resolution: Resolution::new(Arc::new(view)) })
    }

    /// By what an entry of the set counts in it, if it does: `before` are the settings entries among its ancestors,
    /// `spared` those revocations of the set that descend from it.
    pub fn authority(
        &mut self,
        facts: &dyn Facts,
        author: PublicKey,
        needs: Needs,
        before: &View,
        spared: &[u32],
    ) -> Result<Option<Authority>, StorageError> {
        self.find(facts, author, needs, before, Spared::By(spared))
    }

    /// By what a settings entry of the set counts in it, if it does.
    pub fn authority_of_settings(
        &mut self,
        facts: &dyn Facts,
        ordinal: u32,
    ) -> Result<Option<Authority>, StorageError> {
        let record = facts.record(ordinal)?;
        let needs = Needs::Above(record.required());
        self.find(facts, record.author, needs, &record.view, Spared::Below(ordinal))
    }

    fn find(
        &mut self,
        facts: &dyn Facts,
        author: PublicKey,
        needs: Needs,
        before: &View,
        spared: Spared<'_>,
    ) -> Result<Option<Authority>, StorageError> {
        let found = self.resolution.rank_of(facts, &mut self.memory, author, before, spared)?;
        let enough = found.filter(|(rank, _)| needs.are_met_by(*rank));
        Ok(enough.map(|(_, strongest)| strongest.into()))
    }
}
