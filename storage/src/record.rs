//! The values of the tables, and how damage in them is reported.

use std::fmt::Display;

use crate::{layout::TreeNumber, masks::Flip};
use pleach_core::{
    PublicKey,
    access::Authority,
    canonical,
    entry::Who,
    storage::{Measure, StorageError, Sum},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The format of everything in [`crate::layout`]. A store of another format is refused.
pub(crate) const FORMAT: u32 = 3;

/// What is kept of a tree as a whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TreeRecord {
    pub(crate) number: u32,
    /// Who signed the root.
    pub(crate) author: PublicKey,
    /// Entries of the shared set.
    pub(crate) shared: Measured,
    /// Its tips.
    pub(crate) tips: Measured,
    /// Canonical bytes of all entries stored.
    pub(crate) bytes: u64,
    pub(crate) height: u64,
    /// The number of the newest arrival.
    pub(crate) arrival: u64,
    /// How many settings entries there are.
    pub(crate) settings: u32,
    /// How many views are numbered.
    pub(crate) views: u32,
    /// The number of the view that has all settings entries.
    pub(crate) view: u32,
    /// How many rows there are.
    pub(crate) rows: u64,
    /// Entries outside the shared set.
    pub(crate) outside: u64,
    /// Those of them that have never been in it, and their bytes.
    pub(crate) strangers: u64,
    pub(crate) stranger_bytes: u64,
    /// Parents of all entries in the shared set, each as often as it is one.
    pub(crate) edges: u64,
    /// What a revocation changes and has not changed yet.
    pub(crate) flip: Option<Flip>,
}

/// What is kept of an entry beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeaderRecord {
    /// The view that holds for its children.
    pub(crate) view: u32,
    pub(crate) bytes: u32,
    /// What stands for it, in all that is stored.
    pub(crate) standing: Standing,
    /// Its children in the shared set.
    pub(crate) children: u32,
    /// Whether it has never been in the shared set.
    pub(crate) stranger: bool,
}

/// By what an entry stands: see [`Authority`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Standing {
    /// Its author is the root key.
    Root,
    /// The strongest grant to the author that stands, by the ordinal of the settings entry that made it.
    Key(u32),
    /// The strongest grant to `*` that stands.
    Everyone(u32),
    /// Nothing that would suffice: it does not count.
    Masked,
}

impl Standing {
    /// Whether the entry counts.
    pub(crate) fn counts(self) -> bool {
        self != Self::Masked
    }
}

impl From<Option<Authority>> for Standing {
    fn from(authority: Option<Authority>) -> Self {
        authority.map_or(Self::Masked, Self::from)
    }
}

impl From<Authority> for Standing {
    fn from(authority: Authority) -> Self {
        match authority {
            Authority::Root => Self::Root,
            Authority::Grant { grant, who: Who::Key(_) } => Self::Key(grant.ordinal),
            Authority::Grant { grant, who: Who::Everyone } => Self::Everyone(grant.ordinal),
        }
    }
}

/// A [`Measure`] as it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Measured {
    count: u64,
    sum: [u8; 32],
}

impl TreeRecord {
    /// A tree that holds nothing yet.
    pub(crate) fn new(number: u32, author: PublicKey) -> Self {
        Self {
            number,
            author,
            shared: Measured::default(),
            tips: Measured::default(),
            bytes: 0,
            height: 0,
            arrival: 0,
            settings: 0,
            views: 0,
            view: 0,
            rows: 0,
            outside: 0,
            strangers: 0,
            stranger_bytes: 0,
            edges: 0,
            flip: None,
        }
    }

    pub(crate) const fn tree(&self) -> TreeNumber {
        TreeNumber(self.number)
    }
}

impl From<Measure> for Measured {
    fn from(measure: Measure) -> Self {
        Self { count: measure.count, sum: measure.sum.to_bytes() }
    }
}

impl From<Measured> for Measure {
    fn from(measured: Measured) -> Self {
        Self { count: measured.count, sum: Sum::from_bytes(&measured.sum) }
    }
}

/// Encodes a value of a table.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    canonical::to_vec(value)
}

/// Decodes a value of a table; what does not decode was not written by this program.
pub(crate) fn decode<T: DeserializeOwned + Serialize>(what: &str, bytes: &[u8]) -> Result<T, StorageError> {
    canonical::from_bytes(bytes).map_err(|error| damaged(what, error))
}

/// A report of damage: what is wrong with what.
pub(crate) fn damaged(what: &str, how: impl Display) -> StorageError {
    StorageError::Damaged(format!("{what}: {how}"))
}
