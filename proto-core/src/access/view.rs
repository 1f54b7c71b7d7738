//! Views: which settings entries are among an entry's ancestors.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

#[cfg(feature = "alloc")]
use crate::canonical::{self, DecodeError};

/// The number under which a store keeps a view. It means something in that store alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ViewId(pub u32);

/// A set of settings entries, each named by its ordinal: how many settings entries of the tree arrived in this store
/// before it. Kept as disjoint intervals, so that a chain of settings entries is one interval however long it is.
///
/// ```
/// # use pleach_core::access::View;
/// let mut view = View::default();
/// view.insert(0);
/// view.insert(2);
/// assert!(view.contains(2) && !view.contains(1));
/// assert_eq!(View::decode(&view.encode()), Ok(view));
/// ```
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct View {
    /// Start (included) and end (excluded) of each interval, ascending, with a gap between any two.
    intervals: Vec<(u32, u32)>,
}

#[cfg(feature = "alloc")]
impl View {
    /// Whether it is the empty set.
    pub const fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    /// Ordinals in the set.
    pub fn len(&self) -> u64 {
        self.intervals.iter().map(|(start, end)| u64::from(end.saturating_sub(*start))).sum()
    }

    /// Whether the set has this ordinal.
    pub fn contains(&self, ordinal: u32) -> bool {
        let beyond = self.intervals.partition_point(|(start, _)| *start <= ordinal);
        let before = beyond.checked_sub(1).and_then(|at| self.intervals.get(at));
        before.is_some_and(|(_, end)| ordinal < *end)
    }

    /// Adds an ordinal below `u32::MAX`.
    pub fn insert(&mut self, ordinal: u32) {
        let one = Self { intervals: Vec::from([(ordinal, ordinal.saturating_add(1))]) };
        *self = self.union(&one);
    }

    /// What either set has.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.intervals.iter().peekable(), other.intervals.iter().peekable());
        let mut intervals: Vec<(u32, u32)> = Vec::new();
        loop {
            let from_a = match (a.peek(), b.peek()) {
                (Some(x), Some(y)) => x <= y,
                (x, _) => x.is_some(),
            };
            let Some((start, end)) = (if from_a { a.next() } else { b.next() }).copied() else {
                return Self { intervals };
            };
            match intervals.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => intervals.push((start, end)),
            }
        }
    }

    /// Whether the other set has nothing that this one lacks.
    pub fn is_superset(&self, other: &Self) -> bool {
        self.union(other) == *self
    }

    /// The ordinals, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.intervals.iter().flat_map(|(start, end)| *start..*end)
    }

    /// The one encoding of the set: for each interval the gap before it and its length, as varints.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut last = 0;
        for (start, end) in &self.intervals {
            let pair = (start.saturating_sub(last), end.saturating_sub(*start));
            bytes.extend_from_slice(&canonical::to_vec(&pair));
            last = *end;
        }
        bytes
    }

    /// Reads what [`View::encode`] wrote, and nothing else.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut intervals: Vec<(u32, u32)> = Vec::new();
        while !bytes.is_empty() {
            let ((gap, length), rest) = canonical::take_from_bytes::<(u32, u32)>(bytes)?;
            let last = intervals.last().map(|(_, end)| *end);
            if length == 0 || (gap == 0 && last.is_some()) {
                return Err(DecodeError::NotCanonical);
            }
            let start = last.unwrap_or(0).checked_add(gap).ok_or(DecodeError::Malformed)?;
            intervals.push((start, start.checked_add(length).ok_or(DecodeError::Malformed)?));
            bytes = rest;
        }
        Ok(Self { intervals })
    }
}

/// The set's encoding, so that a record that holds a view has one encoding too.
#[cfg(feature = "alloc")]
impl Serialize for View {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.encode())
    }
}

#[cfg(feature = "alloc")]
impl<'de> Deserialize<'de> for View {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <&[u8]>::deserialize(deserializer)?;
        Self::decode(bytes).map_err(serde::de::Error::custom)
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn view(set: &BTreeSet<u32>) -> View {
        let mut view = View::default();
        for ordinal in set {
            view.insert(*ordinal);
        }
        view
    }

    #[test]
    fn a_chain_is_one_interval() {
        let chain = view(&(0..1_000).collect());
        assert_eq!(chain.intervals, [(0, 1_000)]);
        assert_eq!(chain.encode().len(), 3);
    }

    #[test]
    fn a_second_encoding_of_a_view_is_refused() {
        assert!(View::decode(&[0, 2]).is_ok());
        assert_eq!(View::decode(&[0, 1, 0, 1]), Err(DecodeError::NotCanonical), "touching intervals");
        assert_eq!(View::decode(&[0, 0]), Err(DecodeError::NotCanonical), "an empty interval");
        assert_eq!(View::decode(&[0x80, 0, 2]), Err(DecodeError::NotCanonical), "a padded varint");
        assert_eq!(View::decode(&[1]), Err(DecodeError::Malformed));
        let over = [canonical::to_vec(&(u32::MAX, 1_u32)), canonical::to_vec(&(1_u32, 1_u32))].concat();
        assert_eq!(View::decode(&over), Err(DecodeError::Malformed), "beyond the last ordinal");
    }

    proptest! {
        #[test]
        fn a_view_behaves_as_the_set_it_stands_for(
            a in proptest::collection::btree_set(0_u32..40, 0..30),
            b in proptest::collection::btree_set(0_u32..40, 0..30),
        ) {
            let (x, y) = (view(&a), view(&b));
            let union: BTreeSet<u32> = a.union(&b).copied().collect();
            prop_assert_eq!(x.union(&y), view(&union));
            prop_assert!(x.iter().eq(a.iter().copied()));
            prop_assert_eq!((x.len(), x.is_empty()), (a.len() as u64, a.is_empty()));
            prop_assert_eq!(x.is_superset(&y), a.is_superset(&b));
            for ordinal in 0..40 {
                prop_assert_eq!(x.contains(ordinal), a.contains(&ordinal));
            }
            prop_assert_eq!(View::decode(&x.encode()), Ok(x));
        }
    }
}
