//! An answer that is kept back until there is news.

use crate::{
    Id,
    node::{exchanges::Next, outbox::Outbox},
    wire::AskOutcome,
};

use super::{Phase, Responder};

impl Responder {
    /// For how long the answer is kept back, in milliseconds, if it is.
    pub(in crate::node) const fn holds(&self) -> Option<u32> {
        match self.phase {
            Phase::Holding { hold, .. } => Some(hold),
            _ => None,
        }
    }

    /// Whether news of this tree ends a wait, or one that may be about to begin.
    pub(in crate::node) fn awaits_news(&self, of: &Id) -> bool {
        match &self.phase {
            Phase::Holding { tree, .. } => tree == of,
            Phase::Admitting { tree, hold, .. } => tree == of && *hold > 0,
            _ => false,
        }
    }

    /// There is news of the tree, or the time is over: who waits for that is answered. Whether it may still read the tree
    /// is asked again.
    pub(in crate::node) fn answer_now(&mut self, out: &mut Outbox) -> Next {
        match &mut self.phase {
            Phase::Admitting { hold, .. } => *hold = 0,
            Phase::Holding { tree, frame, .. } => {
                let (tree, frame) = (*tree, core::mem::take(frame));
                self.admit(tree, frame, None, out);
            }
            Phase::Awaiting(_) => self.tell(AskOutcome::Received, out),
            _ => {}
        }
        Next::On
    }
}
