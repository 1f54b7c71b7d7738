//! Entries on the heap, cheap to clone.

use alloc::{sync::Arc, vec};

use crate::{
    Id, Position, SecretKey,
    entry::{BuildError, EntryBuilder, EntryError, EntryView, view::Outline},
    limits::MAX_ENTRY,
};

/// An entry's canonical bytes with its position. Its structure has been checked, its signature has not.
///
/// ```
/// # use pleach_core::{Id, SecretKey, entry::{Entry, EntryBuilder, Origin, VerifiedEntry}};
/// # let key = SecretKey::from_bytes([1; 32]);
/// # let builder = EntryBuilder::new(Origin::Root { nonce: [7; 16] }, 1_760_000_000_000);
/// # let root = pleach_core::document::root_settings(&pleach_core::document::Doc::new(), [])?;
/// # let signed = VerifiedEntry::sign(&builder, &key, &[("_settings", &root)])?;
/// # let bytes = signed.bytes();
/// let entry = Entry::read(bytes)?;
/// assert_eq!((entry.id(), entry.bytes()), (Id::of(bytes), bytes));
/// assert_eq!((entry.position().height, entry.view().author()), (0, key.public()));
/// assert!(entry.verify().is_ok());
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
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
///
/// ```
/// # use pleach_core::{SecretKey, entry::{EntryBuilder, Origin, VerifiedEntry}};
/// # let key = SecretKey::from_bytes([1; 32]);
/// # let root = pleach_core::document::root_settings(&pleach_core::document::Doc::new(), [])?;
/// let builder = EntryBuilder::new(Origin::Root { nonce: [7; 16] }, 1_760_000_000_000);
/// let signed = VerifiedEntry::sign(&builder, &key, &[("_settings", &root)])?;
/// assert_eq!(signed.entry().view().author(), key.public());
/// let entry = signed.into_entry();
/// assert!(entry.verify().is_ok(), "whoever gets it checks it for themselves");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
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
