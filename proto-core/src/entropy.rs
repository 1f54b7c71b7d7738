//! Random bytes from a seed that the caller gives.

/// A generator of random bytes: BLAKE3 in counter mode over a secret seed. The same seed gives the same bytes.
///
/// ```
/// # use pleach_core::Entropy;
/// let nonce = |run| Entropy::for_run(&[7; 32], run).draw::<16>();
/// assert_ne!(nonce(1), nonce(2));
/// ```
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

    /// The generator of one run of a device that has one secret seed for all its life, and durably counts its runs: no
    /// bytes come twice as long as no number does.
    pub fn for_run(seed: &[u8; 32], run: u64) -> Self {
        let run = *blake3::Hasher::new_derive_key(RUN)
            .update(seed)
            .update(&run.to_le_bytes())
            .finalize()
            .as_bytes();
        Self::new(run)
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

/// The domain of the seeds of runs.
const RUN: &str = "pleach 2026 entropy v1 run";

impl core::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Entropy({} drawn)", self.drawn)
    }
}
