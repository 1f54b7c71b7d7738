//! What the operating system gives: time and entropy.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use pleach_core::{
    Entropy, Now,
    instance::{Clock, Error, Prepared},
};

use crate::Context;

/// The operating system's clocks: monotonic since this was made, and wall.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl SystemClock {
    /// A clock whose monotonic part begins now.
    #[expect(clippy::new_without_default, reason = "each one begins at another time")]
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { monotonic: millis(self.0.elapsed()), wall: millis(wall) }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// 32 bytes of the operating system's entropy.
pub fn system_entropy() -> Result<[u8; 32], Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Error::Start(format!("no entropy: {error}")))?;
    Ok(seed)
}

/// What a runtime lends to its transports, an executor aside.
pub fn lend(node: &Prepared, clock: &Arc<dyn Clock>, entropy: Entropy) -> Context {
    let clock = Arc::clone(clock);
    let entropy = Mutex::new(entropy);
    let random = move |bytes: &mut [u8]| {
        let mut entropy = entropy.lock().unwrap_or_else(PoisonError::into_inner);
        for part in bytes.chunks_mut(32) {
            let drawn: [u8; 32] = entropy.draw();
            for (byte, drawn) in part.iter_mut().zip(drawn) {
                *byte = drawn;
            }
        }
    };
    Context::new(node.key.clone(), Arc::new(move || clock.now().wall), Arc::new(random))
        .with_limits(node.limits)
}
