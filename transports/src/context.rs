//! What a node lends to its transports.

use std::{fmt, sync::Arc};

use pleach_core::{SecretKey, node::Limits};

/// Tells the wall time in milliseconds since 1970-01-01 UTC.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Fills a buffer with bytes that nobody can predict.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// An executor that somebody else runs.
#[cfg(feature = "executor")]
pub type Executor = Arc<async_executor::Executor<'static>>;

/// The node's key, its clock and its source of random bytes, and for asynchronous transports its executor.
///
/// ```
/// # use std::sync::Arc;
/// # use pleach_core::SecretKey;
/// # use pleach_transports::Context;
/// let key = SecretKey::from_bytes([1; 32]);
/// let context = Context::new(key.clone(), Arc::new(|| 1_760_000_000_000), Arc::new(|bytes| bytes.fill(7)));
/// assert_eq!((context.key(), context.wall()), (&key, 1_760_000_000_000));
/// assert_eq!(context.random(), [7; 16], "a node lends true entropy");
///
/// # use pleach_core::node::Limits;
/// let small = Limits::new().connections(16);
/// assert_eq!(context.with_limits(small).limits(), &small);
/// ```
#[derive(Clone)]
pub struct Context {
    key: SecretKey,
    clock: Clock,
    random: Random,
    limits: Limits,
    #[cfg(feature = "executor")]
    executor: Option<Executor>,
}

impl Context {
    /// What every transport needs.
    pub fn new(key: SecretKey, clock: Clock, random: Random) -> Self {
        Self {
            key,
            clock,
            random,
            limits: Limits::new(),
            #[cfg(feature = "executor")]
            executor: None,
        }
    }

    /// Says what the node takes on at most.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// What the node takes on at most: how many connections, where the transport makes some.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Lends an executor: asynchronous transports spawn their tasks there, and nowhere else.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use pleach_core::SecretKey;
    /// # use pleach_transports::{Context, Executor};
    /// # let context = Context::new(SecretKey::from_bytes([1; 32]), Arc::new(|| 0), Arc::new(|bytes| bytes.fill(0)));
    /// assert!(context.executor().is_none());
    /// assert!(context.with_executor(Executor::default()).executor().is_some());
    /// ```
    #[cfg(feature = "executor")]
    #[must_use]
    pub fn with_executor(self, executor: Executor) -> Self {
        Self { executor: Some(executor), ..self }
    }

    /// The executor that the node lends, if it has one.
    #[cfg(feature = "executor")]
    pub fn executor(&self) -> Option<&Executor> {
        self.executor.as_ref()
    }

    /// The node's key, with which transports prove who they are.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// The wall time in milliseconds.
    pub fn wall(&self) -> u64 {
        (self.clock)()
    }

    /// Fresh random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.random)(&mut bytes);
        bytes
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("key", &self.key).finish_non_exhaustive()
    }
}
