//! How an instance is opened.

use alloc::{string::String, sync::Arc};
use core::fmt;

use crate::{SecretKey, instance::Clock, node::Limits};

/// What an instance takes from its caller instead of from the operating system or the store.
///
/// ```
/// # use pleach_core::{SecretKey, instance::Options};
/// let options = Options::new().key(SecretKey::from_bytes([1; 32])).seed([2; 32]).display_name("laptop");
/// assert_eq!((options.given_seed(), options.given_name()), (Some([2; 32]), Some("laptop")));
/// assert_eq!(options.given_key(), Some(&SecretKey::from_bytes([1; 32])));
/// ```
///
/// ```
/// # use pleach_core::{instance::Options, node::Limits};
/// let board = Limits::new().exchanges(64);
/// assert_eq!(Options::new().limits(board).given_limits(), board);
/// ```
///
/// ```
/// # use std::sync::Arc;
/// # use pleach_core::{Now, instance::{Clock, Options}};
/// struct Stopped;
/// impl Clock for Stopped {
///     fn now(&self) -> Now {
///         Now { monotonic: 0, wall: 7 }
///     }
/// }
/// let options = Options::new().clock(Arc::new(Stopped));
/// assert_eq!(options.clock_or(|| unreachable!("one was given")).now().wall, 7);
/// ```
#[derive(Clone, Default)]
pub struct Options {
    clock: Option<Arc<dyn Clock>>,
    seed: Option<[u8; 32]>,
    key: Option<SecretKey>,
    display_name: Option<String>,
    limits: Limits,
}

impl Options {
    /// The operating system's clock and entropy, the store's key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another clock than the operating system's.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// The seed of everything random, in place of the operating system's entropy: the same seed twice makes the same
    /// nonces and keys, which only a test may want.
    #[must_use]
    pub fn seed(self, seed: [u8; 32]) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// The node's key, for a store that has none yet. A store that has another one is refused.
    #[must_use]
    pub fn key(self, key: SecretKey) -> Self {
        Self { key: Some(key), ..self }
    }

    /// What people on this machine call the node. The store keeps it until another is given; it is sent nowhere.
    #[must_use]
    pub fn display_name(self, name: &str) -> Self {
        Self { display_name: Some(name.into()), ..self }
    }

    /// What the node takes on at most. Limits that no node can keep to are refused when the store is opened.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The clock to use, or the runtime's own.
    pub fn clock_or(&self, own: impl FnOnce() -> Arc<dyn Clock>) -> Arc<dyn Clock> {
        self.clock.clone().unwrap_or_else(own)
    }

    /// The seed that was given.
    pub fn given_seed(&self) -> Option<[u8; 32]> {
        self.seed
    }

    /// The key that was given.
    pub fn given_key(&self) -> Option<&SecretKey> {
        self.key.as_ref()
    }

    /// The limits that were given, or what holds without.
    pub fn given_limits(&self) -> Limits {
        self.limits
    }

    /// The name that was given.
    pub fn given_name(&self) -> Option<&str> {
        self.display_name.as_deref()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("key", &self.key)
            .field("display_name", &self.display_name)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
