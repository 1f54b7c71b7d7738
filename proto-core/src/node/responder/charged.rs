//! What the peer is charged for, and what waits for room.

use crate::{
    Id,
    node::{Admission, exchanges::Next, outbox::Outbox},
    wire::Refusal,
};

use super::{Phase, Responder};

impl Responder {
    /// Whether a frame that comes now is looked at.
    pub(in crate::node) const fn listens(&self) -> bool {
        matches!(self.phase, Phase::Resting | Phase::Introduced | Phase::Talking(_) | Phase::Giving(_))
    }

    /// What the store said about the peer and a tree, once.
    pub(in crate::node) fn take_told(&mut self) -> Option<(Id, Admission)> {
        self.told.take()
    }

    /// Bytes between arrival and disk.
    pub(in crate::node) fn held(&self) -> usize {
        match &self.phase {
            Phase::Talking(talk) => talk.held(),
            Phase::Giving(giving) => giving.held(),
            _ => 0,
        }
    }

    /// Whether it would take a frame if there were room over all exchanges.
    pub(in crate::node) fn waits_for_room(&self) -> bool {
        match &self.phase {
            Phase::Talking(talk) => talk.waits_for_room(),
            Phase::Giving(giving) => giving.waits_for_room(),
            _ => false,
        }
    }

    /// There is room for another frame.
    pub(in crate::node) fn resume(&mut self, out: &mut Outbox) -> Next {
        match &mut self.phase {
            Phase::Talking(talk) => {
                let result = talk.drive(out);
                self.conclude(result, out)
            }
            Phase::Giving(giving) => {
                giving.receive(out);
                Next::On
            }
            _ => Next::On,
        }
    }

    /// The peer has used what it may: it is told when to come again, and nothing is looked up.
    pub(in crate::node) fn put_off(&mut self, delay: u64, out: &mut Outbox) -> Next {
        self.refuse(&Refusal::Busy { delay: u32::try_from(delay).unwrap_or(u32::MAX) }, out);
        Next::On
    }
}
