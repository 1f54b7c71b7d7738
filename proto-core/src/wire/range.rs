//! What a side says of one range of positions.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::{
    Id, Position,
    storage::{Fingerprint, Measure},
    wire::{Salt, hex},
};

/// Ids in one list: a bit for each fits into one number. Longer lists are several ranges.
pub const LIST: usize = 64;

/// The first bytes of an id; the rest is zero. Does not end in a zero byte.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IdPrefix(#[serde(with = "hex::prefix")] pub Vec<u8, 32>);

impl IdPrefix {
    /// The shortest form of an id: without the zero bytes at its end.
    pub fn of(id: &Id) -> Self {
        let bytes = id.as_bytes();
        let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
        Self(bytes.iter().take(length).copied().collect())
    }

    /// The id, unless the form is not the shortest.
    pub fn id(&self) -> Option<Id> {
        if self.0.last() == Some(&0) {
            return None;
        }
        let mut id = [0; 32];
        for (to, from) in id.iter_mut().zip(&self.0) {
            *to = *from;
        }
        Some(Id::from_bytes(id))
    }
}

/// The position at which a request's ranges begin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Floor {
    /// Its height.
    pub height: u64,
    /// The id at that height.
    pub id: IdPrefix,
}

impl Floor {
    /// The floor at a position.
    pub fn new(position: &Position) -> Self {
        Self { height: position.height, id: IdPrefix::of(&position.id) }
    }

    /// The position, unless it is not in its shortest form or beyond all entries.
    pub fn position(&self) -> Option<Position> {
        let position = Position { height: self.height, id: self.id.id()? };
        (position <= Position::END).then_some(position)
    }
}

/// The end of a range, relative to where it starts: how much the height rises, and the shortest id that separates.
/// No rise and no id stand for [`Position::END`], in the last range alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bound {
    /// Height above that of the start.
    pub rise: u64,
    /// The id at that height.
    pub id: IdPrefix,
}

impl Bound {
    /// The bound that leads from `start` to `end`; all bytes of `end` that are not zero are kept.
    pub fn new(start: &Position, end: &Position) -> Self {
        if *end == Position::END {
            return Self::default();
        }
        Self { rise: end.height.saturating_sub(start.height), id: IdPrefix::of(&end.id) }
    }

    /// Where the range ends that begins at `start`, if the bound is a valid one.
    pub fn end(&self, start: &Position) -> Option<Position> {
        if self.rise == 0 && self.id.0.is_empty() {
            return Some(Position::END);
        }
        let end = Position { height: start.height.checked_add(self.rise)?, id: self.id.id()? };
        (end > *start && end < Position::END).then_some(end)
    }
}

/// A short form of an id: 8 bytes of a hash keyed with the run's salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Prefix(#[serde(with = "hex")] pub [u8; 8]);

impl Prefix {
    /// The short form of an id under a salt.
    pub fn new(salt: &Salt, id: &Id) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"pleach list v1").update(&salt.0).update(id.as_bytes());
        let mut bytes = [0; 8];
        hasher.finalize_xof().fill(&mut bytes);
        Self(bytes)
    }
}

impl Salt {
    /// The fingerprint of a range under this salt: 16 bytes of a hash over the salt, the count and the sum.
    pub fn fingerprint(&self, measure: &Measure) -> Fingerprint {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"pleach range v1").update(&self.0);
        hasher.update(&measure.count.to_le_bytes()).update(&measure.sum.to_bytes());
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        Fingerprint(bytes)
    }
}

/// What the sender says of a range, or wants of it.
#[expect(clippy::large_enum_variant, reason = "without a heap there is no box; items are read one at a time")]
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// Nothing: the range is settled.
    Skip,
    /// Not now: the range stays open for a later request.
    Open,
    /// I hold nothing here.
    Empty,
    /// I hold `count` entries with this fingerprint (see [`Salt::fingerprint`]).
    Fingerprint {
        /// Over salt, count and sum.
        fingerprint: Fingerprint,
        /// Entries.
        count: u64,
    },
    /// I hold exactly these, ascending by position.
    List(Vec<Prefix, LIST>),
    /// I hold exactly these, ascending by position: the last resort, by full id.
    Ids(Vec<Id, LIST>),
    /// List what you hold.
    Ask,
    /// To a list: I send what you lack, and want what the bits name.
    Answer {
        /// Which list this answers: 4 bytes of a hash over it.
        check: u32,
        /// Bit `n` is set for the `n`-th id of the list.
        wanted: u64,
    },
    /// I send what you lack or asked for, and want nothing.
    Sending,
}

/// A range, from the end of the item before it (the first: from the request's start) to its bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RangeItem {
    /// Where it ends.
    pub bound: Bound,
    /// What is said of it.
    pub mode: Mode,
}
