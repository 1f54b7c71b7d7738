//! Callers that wait until a pair of tree and peer has been synced.

use alloc::vec::Vec;

use crate::{Id, PublicKey, node::CommandId};

/// A caller that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) command: CommandId,
    pub(super) tree: Id,
    pub(super) peer: PublicKey,
    /// The time that it gives, in milliseconds; nothing if all there is.
    pub(super) within: Option<u64>,
    /// When it began, monotonic milliseconds.
    pub(super) began: u64,
}

impl Wait {
    fn until(&self) -> Option<u64> {
        self.within.map(|within| self.began.saturating_add(within))
    }
}

/// All callers that wait. There are as many as callers of this program.
#[derive(Clone, Debug, Default)]
pub(super) struct Waits(Vec<Wait>);

impl Waits {
    pub(super) fn push(&mut self, wait: Wait) {
        self.0.push(wait);
    }

    /// Those that need wait no longer: for pairs about which this holds, or whose time is over.
    pub(super) fn take(&mut self, now: u64, over: impl Fn(&Id, &PublicKey) -> bool) -> Vec<Wait> {
        let is_over =
            |wait: &Wait| over(&wait.tree, &wait.peer) || wait.until().is_some_and(|until| until <= now);
        let (over, waiting) = core::mem::take(&mut self.0).into_iter().partition(is_over);
        self.0 = waiting;
        over
    }

    /// When the first one's time is over.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.0.iter().filter_map(Wait::until).min()
    }
}
