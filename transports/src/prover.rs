//! What proves further keys in front of a message.

use std::{fmt, sync::Arc};

use pleach_core::wire::Binding;

/// Makes the frame of proofs that a message begins with, once it is known what that message is bound to.
///
/// ```
/// # use pleach_core::wire::Binding;
/// # use pleach_transports::Prover;
/// let prover = Prover::new(|_binding| Some(vec![14]));
/// assert_eq!(prover.frame(&Binding::from_bytes([7; 32])), Some(vec![14]));
/// ```
#[derive(Clone)]
pub struct Prover(Arc<Make>);

type Make = dyn Fn(&Binding) -> Option<Vec<u8>> + Send + Sync;

impl Prover {
    /// One that makes the frame like this; nothing if there is nothing to prove.
    pub fn new(make: impl Fn(&Binding) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    /// The frame for a message.
    pub fn frame(&self, binding: &Binding) -> Option<Vec<u8>> {
        self.0(binding)
    }
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prover")
    }
}
