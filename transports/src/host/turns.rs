//! Taking turns, by awaiting them or by blocking.

use async_channel::{Receiver, Sender};

/// What is done by one at a time: reading something and writing what follows from it.
///
/// ```
/// # use pleach_transports::{host::Turns, park_on, park_until};
/// # use std::time::Instant;
/// let turns = Turns::default();
/// let first = park_on(turns.take());
/// assert!(park_until(Instant::now(), turns.take()).is_none(), "somebody else's turn");
/// drop(first);
/// let second = park_on(turns.take());
/// # drop(second);
/// ```
#[derive(Debug)]
pub struct Turns {
    begin: Sender<()>,
    end: Receiver<()>,
}

/// A turn, which ends when this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Turn(Receiver<()>);

impl Default for Turns {
    fn default() -> Self {
        let (begin, end) = async_channel::bounded(1);
        Self { begin, end }
    }
}

impl Turns {
    /// Waits for a turn.
    pub async fn take(&self) -> Turn {
        // The channel stays open: both of its ends are here.
        let _ = self.begin.send(()).await;
        Turn(self.end.clone())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let _ = self.0.try_recv();
    }
}
