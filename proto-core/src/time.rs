//! Time as numbers that the caller gives: the core has no clock.

use serde::{Deserialize, Serialize};

/// What time it is, as the caller says it with every call that needs to know.
///
/// ```
/// # use pleach_core::Now;
/// let now = Now { monotonic: 1_500, wall: 1_760_000_000_000 };
/// assert_eq!((now.since(1_000), now.since(2_000)), (500, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Now {
    /// Milliseconds since some moment of the caller's choice, never running backwards by contract. A clock that
    /// does so all the same delays deadlines and breaks nothing.
    pub monotonic: u64,
    /// Milliseconds since 1970-01-01 UTC, as far as the caller knows; 0 on a board without a clock.
    pub wall: u64,
}

impl Now {
    /// Milliseconds from `earlier` to this moment, 0 if the clock ran backwards.
    pub const fn since(&self, earlier: u64) -> u64 {
        self.monotonic.saturating_sub(earlier)
    }
}
