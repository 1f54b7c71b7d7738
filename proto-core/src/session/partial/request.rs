//! What a partial holder says: what it has, what is gone, and the entries that the peer lacks.

use crate::{
    canonical,
    session::Fault,
    wire::{Capabilities, End, Have, Kind, PeerLimits, Versions, append, write},
};

use super::{Contact, Holding, Output, exchange::Step};

/// Bytes of a message kept for its end.
const LAST_FRAME: usize = 64;

const SMALL: Fault = Fault::Misuse("the outgoing buffer is too small: it must take a frame");

impl<const N: usize> Contact<N> {
    /// Begins a request.
    pub(super) fn request(&mut self, holding: &Holding<N>, outgoing: &mut [u8]) -> Result<(), Fault> {
        self.totals.rounds = self.totals.rounds.saturating_add(1);
        self.same = false;
        self.more = false;
        self.pushed = 0;
        let charter = holding.charter();
        let (entries, bytes) = holding.room_for_others();
        let have = Have {
            versions: Versions::OURS,
            capabilities: Capabilities::PARTIAL,
            limits: self.config.limits,
            tree: charter.tree,
            entry: charter.entry,
            entries,
            bytes,
            relieve: holding.wants_relief(),
            base: heapless::Vec::from_slice(holding.base()).unwrap_or_default(),
        };
        let ids = holding.ring().iter().map(|slot| slot.position.id);
        let used = write(Kind::Have, &have, ids, outgoing).ok_or(SMALL)?;
        let both = usize::try_from(self.limits().message).unwrap_or(usize::MAX);
        self.budget = both.saturating_sub(used).saturating_sub(LAST_FRAME);
        self.step = Step::HeadSent;
        self.give(Output::Send(used))
    }

    fn limits(&self) -> PeerLimits {
        self.peer.both(self.config.limits)
    }

    pub(super) fn head_sent(&mut self, holding: &Holding<N>, outgoing: &mut [u8]) -> Result<(), Fault> {
        if self.gone.is_empty() {
            return self.push(holding, outgoing);
        }
        let used = write(Kind::Gone, &(), self.gone.iter(), outgoing).ok_or(SMALL)?;
        self.step = Step::GoneSent;
        self.give(Output::Send(used))
    }

    /// Begins a frame of entries, or ends the message.
    pub(super) fn push(&mut self, holding: &Holding<N>, outgoing: &mut [u8]) -> Result<(), Fault> {
        let Some(first) = outgoing.first_mut() else { return Err(SMALL) };
        *first = Kind::Entries as u8;
        self.push_next(1, holding, outgoing)
    }

    /// Adds the next entry to a frame of which `used` bytes are written, or sends it.
    pub(super) fn push_next(
        &mut self,
        used: usize,
        holding: &Holding<N>,
        outgoing: &mut [u8],
    ) -> Result<(), Fault> {
        let next = self.lacks.get(self.pushed).and_then(|number| holding.ring().get(usize::from(*number)));
        let room = usize::try_from(self.limits().frame).unwrap_or(usize::MAX).min(outgoing.len());
        if let Some(slot) = next {
            let bytes = usize::try_from(slot.bytes).unwrap_or(usize::MAX);
            let size = canonical::encoded_len(&bytes).saturating_add(bytes);
            let end = used.saturating_add(size);
            if end <= room && end <= self.budget {
                let at = append(&bytes, outgoing, used).ok_or(SMALL)?;
                self.pushed = self.pushed.saturating_add(1);
                self.totals.sent = self.totals.sent.saturating_add(1);
                self.step = Step::Loading(end);
                return self.give(Output::Load { slot: *slot, at });
            }
        }
        if used > 1 {
            self.budget = self.budget.saturating_sub(used);
            self.step = Step::EntriesSent;
            return self.give(Output::Send(used));
        }
        // What did not fit is reported missing again, and goes with the next request.
        let end = End::default();
        let used = write(Kind::End, &end, core::iter::empty::<()>(), outgoing).ok_or(SMALL)?;
        self.lacks.clear();
        self.step = Step::EndSent;
        self.give(Output::Send(used))
    }
}
