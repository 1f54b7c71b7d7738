//! The structural rules of an entry: what can be checked from its bytes alone, and against its parents' heights.

use crate::{
    canonical::DecodeError,
    key::KeyError,
    limits::{
        HEIGHT_END, MAX_ENTRY, MAX_GRANT_NAME, MAX_PARENTS, MAX_PATH, MAX_SETTINGS_RECORDS, MAX_STORE_NAME,
        MAX_STORES, MAX_VALUE_DEPTH, TIME_END,
    },
};

/// The rule that an entry breaks. Each is the fault of whoever made the entry; no node stores one.
///
/// ```
/// # use pleach_core::entry::{Entry, EntryError};
/// assert!(matches!(Entry::read(b"no entry"), Err(EntryError::Encoding(_) | EntryError::Version(_))));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The bytes are not the canonical encoding of an entry.
    #[error("the entry is {0}")]
    Encoding(#[from] DecodeError),
    /// More than [`MAX_ENTRY`] bytes.
    #[error("an entry has at most {MAX_ENTRY} bytes, this one {0}: split the change over several commits")]
    TooLarge(usize),
    /// A version that this program does not know.
    #[error("entry version {0} is unknown here (known: 1): update this program")]
    Version(u8),
    /// A root that has parents, or a height.
    #[error("a root has no parents and height 0")]
    RootWithPast,
    /// An entry of a tree without parents, or at height 0.
    #[error("an entry that is no root needs a parent, and a height above it")]
    NoParents,
    /// More than [`MAX_PARENTS`] parents.
    #[error("an entry has at most {MAX_PARENTS} parents, this one {0}: write merges first")]
    TooManyParents(usize),
    /// Parents that are not strictly ascending.
    #[error("parents must be sorted and unique")]
    ParentOrder,
    /// A height at or beyond [`HEIGHT_END`].
    #[error("heights lie below {HEIGHT_END}, this one is {0}")]
    Height(u64),
    /// A height other than one above the highest parent's.
    #[error("the height must be {expected}, one above the highest parent, and is {claimed}")]
    WrongHeight {
        /// 1 + the greatest height among the parents.
        expected: u64,
        /// What the entry says.
        claimed: u64,
    },
    /// A claimed time at or beyond [`TIME_END`].
    #[error("times lie below {TIME_END} milliseconds, this one is {0}")]
    Time(u64),
    /// More than [`MAX_STORES`] stores.
    #[error("an entry writes at most {MAX_STORES} stores, this one {0}")]
    TooManyStores(usize),
    /// Stores whose names are not strictly ascending.
    #[error("stores must be sorted by name, each once")]
    StoreOrder,
    /// A store's name that is empty, longer than [`MAX_STORE_NAME`] bytes, or has control characters.
    #[error("a store's name has 1 to {MAX_STORE_NAME} bytes and no control characters")]
    StoreName,
    /// Settings outside the store `_settings`, or something else inside it.
    #[error("settings belong into the store _settings, and nothing else does")]
    SettingsPlace,
    /// A root that does not write `_settings`.
    #[error("a root must write _settings")]
    RootWithoutSettings,
    /// More than [`MAX_SETTINGS_RECORDS`] grants and revocations.
    #[error("an entry holds at most {MAX_SETTINGS_RECORDS} grants and revocations, this one {0}")]
    TooManyRecords(usize),
    /// Writes, grants or revocations that are not strictly ascending.
    #[error("writes, grants and revocations must be sorted, each once")]
    RecordOrder,
    /// A grant of `Admin` to `*`.
    #[error("`*` is at most `Write`: name the keys of administrators")]
    AdminForAll,
    /// A grant's name beyond [`MAX_GRANT_NAME`] bytes, or with control characters.
    #[error("a grant's name has at most {MAX_GRANT_NAME} bytes and no control characters")]
    GrantName,
    /// A path that is empty, too long, badly escaped, or has an empty key.
    #[error("a path has 1 to {MAX_PATH} bytes of keys joined by dots, none of them empty, without NUL")]
    Path,
    /// A value that is not canonical or nests deeper than [`MAX_VALUE_DEPTH`].
    #[error(
        "a value nests at most {MAX_VALUE_DEPTH} deep, its map keys are sorted and unique, its numbers finite, whole \
         numbers within 64 signed bits"
    )]
    Value,
    /// The signature does not fit.
    #[error("{0}")]
    Signature(#[from] KeyError),
}
