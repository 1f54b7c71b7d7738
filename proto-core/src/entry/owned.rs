//! Entries on the heap, cheap to clone.

use alloc::{sync::Arc, vec};

use crate::{
    Id, Position, SecretKey,
    entry::{BuildError, EntryBuilder, EntryError, EntryView, view::Outline},
    limits::MAX_ENTRY,
};

/// An entry's canonical bytes with its position. Its structure has been checked, its signature has not.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    position: Position,
    outline: Outline,
    bytes: Arc<[u8]>,
}

impl Entry {
    /// Reads an entry from outside: checks every structural rule, and hashes it.
    pub fn read(bytes: &[u8]) -> Result<Self, EntryError> {
        let view = EntryView::read(bytes)?;
        Ok(Self { position: view.position(), outline: view.outline(), bytes: bytes.into() })
    }

    /// The entry in place.
    pub fn view(&self) -> EntryView<'_> {
        EntryView::of_checked(&self.bytes, self.outline)
    }

    /// The hash of the bytes.
    pub const fn id(&self) -> Id {
        self.position.id
    }

    /// Where it stands in its tree.
    pub const fn position(&self) -> Position {
        self.position
    }

    /// The canonical bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks the signature.
    pub fn verify(self) -> Result<VerifiedEntry, EntryError> {
        self.view().verify()?;
        Ok(VerifiedEntry(self))
    }
}

impl core::fmt::Debug for Entry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Entry({} bytes, {:?})", self.bytes.len(), self.position)
    }
}

/// An entry whose signature has been checked: the only kind that a store takes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct VerifiedEntry(Entry);

impl VerifiedEntry {
    /// Makes and signs an entry; what one signs oneself needs no check.
    pub fn sign(
        builder: &EntryBuilder,
        key: &SecretKey,
        stores: &[(&str, &[u8])],
    ) -> Result<Self, BuildError> {
        let data: usize = stores.iter().map(|(name, data)| name.len().saturating_add(data.len())).sum();
        // Above the data: the fixed fields, at most 32 parents, and a length of at most 3 bytes for each string.
        let room = data.saturating_add(2048).min(MAX_ENTRY.saturating_add(1));
        let mut room = vec![0; room];
        let bytes = builder.sign(key, stores, &mut room).map_err(|error| match error {
            BuildError::Room(_) => EntryError::TooLarge(data).into(),
            error => error,
        })?;
        Ok(Self(Entry::read(bytes)?))
    }

    /// The entry.
    pub const fn entry(&self) -> &Entry {
        &self.0
    }

    /// The entry, by itself.
    pub fn into_entry(self) -> Entry {
        self.0
    }
}

impl core::ops::Deref for VerifiedEntry {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.0
    }
}
