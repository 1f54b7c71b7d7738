//! Random bytes from a seed that the caller gives.

/// A generator of random bytes: BLAKE3 in counter mode over a secret seed. The same seed gives the same bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Entropy {
    seed: [u8; 32],
    drawn: u64,
}

impl Entropy {
    /// A generator from 32 random bytes.
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// The next bytes.
    pub fn draw<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        blake3::Hasher::new_keyed(&self.seed)
            .update(&self.drawn.to_le_bytes())
            .finalize_xof()
            .fill(&mut bytes);
        self.drawn = self.drawn.wrapping_add(1);
        bytes
    }
}

impl core::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Entropy({} drawn)", self.drawn)
    }
}
