//! Fingerprints of sets: additive sums of ids, so that a range's sum comes from an aggregate tree.

use serde::{Deserialize, Serialize};

use crate::Id;

/// The sum of ids as 256-bit little-endian integers, modulo 2^256. Adding is commutative and can be undone, so the
/// sum of a set depends on the set alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sum([u64; 4]);

impl Sum {
    /// The sum of no ids.
    pub const ZERO: Self = Self([0; 4]);

    /// The sum as 32 bytes, little endian.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let (chunks, _) = bytes.as_chunks_mut::<8>();
        for (chunk, limb) in chunks.iter_mut().zip(self.0) {
            *chunk = limb.to_le_bytes();
        }
        bytes
    }

    /// The sum that [`Sum::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut limbs = [0; 4];
        let (chunks, _) = bytes.as_chunks::<8>();
        for (limb, chunk) in limbs.iter_mut().zip(chunks) {
            *limb = u64::from_le_bytes(*chunk);
        }
        Self(limbs)
    }

    /// Adds another sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let mut limbs = self.0;
        let mut carry = false;
        for (limb, other) in limbs.iter_mut().zip(other.0) {
            let (first, over) = limb.overflowing_add(other);
            let (second, again) = first.overflowing_add(u64::from(carry));
            (*limb, carry) = (second, over || again);
        }
        Self(limbs)
    }

    /// Takes another sum away.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        let mut limbs = self.0;
        let mut borrow = false;
        for (limb, other) in limbs.iter_mut().zip(other.0) {
            let (first, under) = limb.overflowing_sub(other);
            let (second, again) = first.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (second, under || again);
        }
        Self(limbs)
    }
}

impl From<Id> for Sum {
    fn from(id: Id) -> Self {
        Self::from_bytes(id.as_bytes())
    }
}

/// How many entries a range holds, and the sum of their ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Measure {
    /// Entries.
    pub count: u64,
    /// The sum of their ids.
    pub sum: Sum,
}

impl Measure {
    /// The measure of one entry.
    pub fn of(id: Id) -> Self {
        Self { count: 1, sum: id.into() }
    }

    /// The measure of two disjoint sets together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { count: self.count.saturating_add(other.count), sum: self.sum.plus(other.sum) }
    }

    /// The measure of a set without a part of it.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { count: self.count.saturating_sub(other.count), sum: self.sum.minus(other.sum) }
    }

    /// What goes over the wire.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hasher = blake3::Hasher::new_derive_key("pleach 2026 range v1 fingerprint");
        hasher.update(&self.count.to_le_bytes()).update(&self.sum.to_bytes());
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        Fingerprint(bytes)
    }
}

/// 16 bytes of BLAKE3 over the count and the sum of a range. Equal fingerprints are a strong hint that two ranges
/// are equal and never the last word: equal tips are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint(pub [u8; 16]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_do_not_depend_on_order_and_can_be_undone() {
        let [a, b, c] = [Id::of(b"a"), Id::MAX, Id::of(b"c")].map(Measure::of);
        assert_eq!(a.plus(b).plus(c), c.plus(a).plus(b));
        assert_eq!(a.plus(b).plus(c).minus(b), a.plus(c));
        assert_eq!(b.minus(b), Measure::default());
        assert_ne!(a.fingerprint(), a.plus(b).fingerprint());
    }
}
