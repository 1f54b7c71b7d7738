//! Reading an entry in place.

use crate::{
    Id, Position, PublicKey, Signature,
    canonical::{self, DecodeError},
    entry::{EntryError, Origin, SETTINGS, StoreData},
    limits::{HEIGHT_END, MAX_ENTRY, MAX_PARENTS, MAX_STORE_NAME, MAX_STORES, TIME_END},
    seq::{Seq, SeqError},
};

/// The only version of entries so far.
pub(super) const VERSION: u8 = 1;

/// The domain of an entry's signature: other signatures of the same key can never stand in for it.
const SIGNATURE_DOMAIN: &str = "pleach 2026 entry v1 signature";

/// Bytes of a signature, the end of every entry.
const SIGNATURE_LEN: usize = 64;

/// An entry in the bytes it came in: every structural rule that the bytes alone can show has been checked, the
/// signature has not.
///
/// ```
/// # use pleach_core::{SecretKey, entry::{EntryBuilder, EntryView, Origin}};
/// # let key = SecretKey::from_bytes([1; 32]);
/// let mut room = [0; 512];
/// let bytes = EntryBuilder::new(Origin::Root { nonce: [0; 16] }, 1_700_000_000_000)
///     .sign(&key, &[("_settings", &[2, 0, 0, 0])], &mut room)?;
/// let entry = EntryView::read(bytes)?;
/// assert_eq!(entry.height(), 0);
/// assert!(entry.verify().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryView<'a> {
    bytes: &'a [u8],
    outline: Outline,
}

/// What reading an entry has found, without borrowing its bytes: with them it is the view again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Outline {
    origin: Origin,
    height: u64,
    time: u64,
    author: PublicKey,
    /// Where the parents' ids lie.
    parents: (usize, usize),
    /// Stores, and where they lie, their count aside.
    stores: (usize, (usize, usize)),
}

/// What an entry writes into one store: its name and the encoded data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StoreView<'a> {
    /// The store's name.
    pub name: &'a str,
    /// The encoded [`StoreData`], checked when the entry was read.
    #[serde(with = "bytes")]
    pub data: &'a [u8],
}

impl<'a> StoreView<'a> {
    /// The data, read in place.
    pub fn read(&self) -> Result<StoreData<'a>, EntryError> {
        StoreData::read(self.data)
    }
}

/// Byte strings as serde's bytes, borrowed.
mod bytes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::canonical::Blob;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        Blob(bytes).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'de [u8], D::Error> {
        Blob::deserialize(deserializer).map(|Blob(bytes)| bytes)
    }
}

/// The ids of an entry's parents, ascending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParentIds<'a>(&'a [[u8; 32]]);

impl<'a> ParentIds<'a> {
    /// Parents of the entry, at most [`MAX_PARENTS`].
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none: the entry is a root.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ids in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Id> + use<'a> {
        self.0.iter().map(|bytes| Id::from_bytes(*bytes))
    }
}

impl<'a> EntryView<'a> {
    /// Reads an entry and checks every structural rule. `bytes` is one entry and nothing after it.
    pub fn read(bytes: &'a [u8]) -> Result<Self, EntryError> {
        let view = Self { bytes, outline: Outline::read(bytes)? };
        view.check_stores()?;
        Ok(view)
    }

    /// The view of bytes that passed [`EntryView::read`] before, with what was found then.
    #[cfg(feature = "alloc")]
    pub(super) const fn of_checked(bytes: &'a [u8], outline: Outline) -> Self {
        Self { bytes, outline }
    }

    #[cfg(feature = "alloc")]
    pub(super) const fn outline(&self) -> Outline {
        self.outline
    }

    fn check_stores(&self) -> Result<(), EntryError> {
        let mut settings = false;
        for store in &self.stores() {
            let is_settings = matches!(store.read()?, StoreData::Settings(_));
            if is_settings != (store.name == SETTINGS) {
                return Err(EntryError::SettingsPlace);
            }
            settings |= is_settings;
        }
        if matches!(self.outline.origin, Origin::Root { .. }) && !settings {
            return Err(EntryError::RootWithoutSettings);
        }
        Ok(())
    }

    /// Checks the signature strictly: about 55 µs, by far the dearest check of an entry.
    pub fn verify(&self) -> Result<(), EntryError> {
        #[cfg(feature = "planted-faults")]
        if crate::planted::is_awake(crate::planted::Planted::SignaturesUnchecked) {
            return Ok(());
        }
        Ok(self.outline.author.verify(&self.signed_hash(), &self.signature())?)
    }

    /// What the author signed: a domain-separated hash of everything before the signature.
    pub fn signed_hash(&self) -> [u8; 32] {
        let signed = self.bytes.len().saturating_sub(SIGNATURE_LEN);
        signed_hash(self.bytes.get(..signed).unwrap_or_default())
    }

    /// Checks the claimed height against the parents' greatest height.
    pub fn check_height(&self, highest_parent: Option<u64>) -> Result<(), EntryError> {
        let expected = highest_parent.map_or(0, |height| height.saturating_add(1));
        if self.outline.height == expected {
            Ok(())
        } else {
            Err(EntryError::WrongHeight { expected, claimed: self.outline.height })
        }
    }

    /// The hash of the bytes.
    pub fn id(&self) -> Id {
        Id::of(self.bytes)
    }

    /// Where the entry stands in its tree. Hashes the bytes.
    pub fn position(&self) -> Position {
        Position { height: self.outline.height, id: self.id() }
    }

    /// The canonical bytes.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The tree it belongs to, or the nonce that makes it a root.
    pub const fn origin(&self) -> Origin {
        self.outline.origin
    }

    /// The tree's id: its own for a root. Hashes the bytes of a root.
    pub fn tree(&self) -> Id {
        match self.outline.origin {
            Origin::Root { .. } => self.id(),
            Origin::Tree(id) => id,
        }
    }

    /// 1 + the highest parent's height as claimed, 0 for a root.
    pub const fn height(&self) -> u64 {
        self.outline.height
    }

    /// Wall milliseconds as the author claims.
    pub const fn time(&self) -> u64 {
        self.outline.time
    }

    /// The parents.
    pub fn parents(&self) -> ParentIds<'a> {
        let (start, end) = self.outline.parents;
        ParentIds(self.bytes.get(start..end).unwrap_or_default().as_chunks().0)
    }

    /// Who signed it.
    pub const fn author(&self) -> PublicKey {
        self.outline.author
    }

    /// What it writes, by store, in order of name.
    pub fn stores(&self) -> Seq<'a, StoreView<'a>> {
        let (count, (start, end)) = self.outline.stores;
        Seq::of_checked(count, self.bytes.get(start..end).unwrap_or_default())
    }

    /// The signature.
    pub fn signature(&self) -> Signature {
        Signature::from_bytes(self.bytes.last_chunk().copied().unwrap_or([0; SIGNATURE_LEN]))
    }

    /// The settings that it writes, if it does.
    pub fn settings(&self) -> Option<super::SettingsView<'a>> {
        let store = self.stores().iter().find(|store| store.name == SETTINGS)?;
        match store.read() {
            Ok(StoreData::Settings(settings)) => Some(settings),
            _ => None,
        }
    }
}

impl Outline {
    fn read(bytes: &[u8]) -> Result<Self, EntryError> {
        // Where `length` bytes lie that end where `rest` begins.
        let span = |rest: &[u8], length: usize| {
            let end = bytes.len().saturating_sub(rest.len());
            (end.saturating_sub(length), end)
        };
        if bytes.len() > MAX_ENTRY {
            return Err(EntryError::TooLarge(bytes.len()));
        }
        let version = *bytes.first().ok_or(DecodeError::Malformed)?;
        if version != VERSION {
            return Err(EntryError::Version(version));
        }
        let (_, rest) = canonical::take_from_bytes::<u8>(bytes)?;
        let (origin, rest) = canonical::take_from_bytes::<Origin>(rest)?;
        let (height, rest) = canonical::take_from_bytes::<u64>(rest)?;
        let (time, rest) = canonical::take_from_bytes::<u64>(rest)?;
        if height >= HEIGHT_END {
            return Err(EntryError::Height(height));
        }
        if time >= TIME_END {
            return Err(EntryError::Time(time));
        }
        let (ids, rest) = take_parents(rest)?;
        let before_author = rest;
        match origin {
            Origin::Root { .. } if height != 0 || !ids.is_empty() => {
                return Err(EntryError::RootWithPast);
            }
            Origin::Tree(_) if height == 0 || ids.is_empty() => return Err(EntryError::NoParents),
            _ => {}
        }
        let (author, rest) = canonical::take_from_bytes::<PublicKey>(rest)?;
        let (stores, rest) = Seq::take(rest, MAX_STORES, check_store_name).map_err(|error| match error {
            SeqError::TooMany(count) => EntryError::TooManyStores(count),
            SeqError::Element(error) => error,
        })?;
        canonical::from_bytes::<Signature>(rest)?;
        let parents = span(before_author, ids.as_flattened().len());
        let stores = (stores.len(), span(rest, stores.elements().len()));
        Ok(Self { origin, height, time, author, parents, stores })
    }
}

pub(super) fn signed_hash(signed: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new_derive_key(SIGNATURE_DOMAIN).update(signed).finalize().as_bytes()
}

/// The count is one byte: [`MAX_PARENTS`] is below 128.
fn take_parents(bytes: &[u8]) -> Result<(&[[u8; 32]], &[u8]), EntryError> {
    let (count, rest) = canonical::take_from_bytes::<usize>(bytes)?;
    if count > MAX_PARENTS {
        return Err(EntryError::TooManyParents(count));
    }
    let (ids, rest) = rest.split_at_checked(count.saturating_mul(32)).ok_or(DecodeError::Malformed)?;
    let (ids, _) = ids.as_chunks::<32>();
    #[cfg(feature = "planted-faults")]
    if crate::planted::is_awake(crate::planted::Planted::ParentsUnordered) {
        return Ok((ids, rest));
    }
    if ids.is_sorted_by(|a, b| a < b) { Ok((ids, rest)) } else { Err(EntryError::ParentOrder) }
}

fn check_store_name(before: Option<&StoreView<'_>>, store: &StoreView<'_>) -> Result<(), EntryError> {
    if before.is_some_and(|before| before.name >= store.name) {
        return Err(EntryError::StoreOrder);
    }
    check_name(store.name)
}

pub(crate) fn check_name(name: &str) -> Result<(), EntryError> {
    let well_formed = (1..=MAX_STORE_NAME).contains(&name.len()) && !name.chars().any(char::is_control);
    if well_formed { Ok(()) } else { Err(EntryError::StoreName) }
}
