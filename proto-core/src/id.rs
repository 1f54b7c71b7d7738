//! The name of an entry: the hash of its bytes.

use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text;

/// The BLAKE3 hash of an entry's canonical bytes, signature included. A tree is named by its root's id.
///
/// Its text is lower-case base32 without padding, 52 characters.
///
/// ```
/// # use pleach_core::Id;
/// let id = Id::of(b"an entry's bytes");
/// assert_eq!(id.to_string().parse(), Ok(id));
/// assert_eq!(Id::from_bytes(*id.as_bytes()), id);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; 32]);

impl Id {
    /// The smallest id, the lower end of every range of ids.
    pub const MIN: Self = Self([0; 32]);
    /// The greatest id, the upper end of every range of ids.
    pub const MAX: Self = Self([0xff; 32]);

    /// Hashes an entry's canonical bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Takes the 32 bytes of an id as they are.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(&self.0, f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write_short("Id", &self.0, f)
    }
}

impl FromStr for Id {
    type Err = text::TextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text::parse(text).map(Self)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        text::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer).map(Self)
    }
}
