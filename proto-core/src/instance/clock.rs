//! Where a runtime asks what time it is.

use crate::Now;

/// A clock. Runtimes bring the operating system's; tests bring one that they set.
///
/// ```
/// # use pleach_core::{Now, instance::Clock};
/// struct Stopped;
/// impl Clock for Stopped {
///     fn now(&self) -> Now {
///         Now { monotonic: 0, wall: 1_700_000_000_000 }
///     }
/// }
/// assert_eq!(Stopped.now().wall, 1_700_000_000_000);
/// ```
pub trait Clock: Send + Sync {
    /// What time it is.
    fn now(&self) -> Now;
}
