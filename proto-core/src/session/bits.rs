//! Fingerprints and short forms cut to a few bits, so that tests meet the collisions that nobody else ever will.

use crate::{storage::Fingerprint, wire::Prefix};

/// How many bits of a fingerprint and of a short form are kept. Both sides of an exchange must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bits {
    /// Of 128.
    pub fingerprint: u32,
    /// Of 64.
    pub short: u32,
}

impl Bits {
    /// All of them, as everywhere outside tests.
    pub const ALL: Self = Self { fingerprint: 128, short: 64 };

    /// A fingerprint as far as it is kept.
    pub fn fingerprint(self, of: Fingerprint) -> Fingerprint {
        Fingerprint(cut(of.0, self.fingerprint))
    }

    /// A short form as far as it is kept.
    pub fn short(self, of: Prefix) -> Prefix {
        Prefix(cut(of.0, self.short))
    }
}

/// The first bits, counted from the lowest of the first byte; the rest is zero.
fn cut<const N: usize>(mut bytes: [u8; N], bits: u32) -> [u8; N] {
    let mut left = bits;
    for byte in &mut bytes {
        let here = left.min(u8::BITS);
        *byte &= u8::MAX.checked_shr(u8::BITS.saturating_sub(here)).unwrap_or(0);
        left = left.saturating_sub(here);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_bits_are_kept_and_no_more() {
        assert_eq!(cut([0xff; 2], 0), [0, 0]);
        assert_eq!(cut([0xff; 2], 4), [0x0f, 0]);
        assert_eq!(cut([0xff; 2], 8), [0xff, 0]);
        assert_eq!(cut([0xff; 2], 9), [0xff, 1]);
        assert_eq!(cut([0xff; 2], 99), [0xff, 0xff]);
    }
}
