//! What a full node answers: entries that fit, or the next base, and what it lacks itself.

use crate::{
    Id,
    entry::EntryView,
    session::Fault,
    wire::{Entries, Frame, Items, Versions},
};

use super::{
    Contact, Holding, NotTaken, Output,
    exchange::{Step, broken},
};

impl<const N: usize> Contact<N> {
    pub(super) fn response_head(&mut self, incoming: &[u8]) -> Result<(), Fault> {
        match Frame::read(incoming)? {
            Frame::Reply(reply, items) if items.is_empty() => {
                let theirs = Versions { oldest: reply.version, newest: reply.version };
                if theirs.agree(Versions::OURS).is_none() {
                    return Err(Fault::Incompatible { theirs, ours: Versions::OURS });
                }
                self.peer = reply.limits;
                self.same = reply.same;
                self.receive_rest()
            }
            Frame::Refusal(refusal) => {
                self.refusal = Some(refusal);
                self.step = Step::LastFrame;
                self.give(Output::Receive)
            }
            _ => Err(Fault::OutOfPlace),
        }
    }

    pub(super) fn response_frame(&mut self, holding: &Holding<N>, incoming: &[u8]) -> Result<(), Fault> {
        match Frame::read(incoming)? {
            Frame::Entries(_) => self.take_next(1, holding, incoming),
            Frame::Advance(bytes) => self.check_base(holding, bytes),
            Frame::Missing(ids) => self.peer_lacks(holding, ids),
            Frame::End(end) => {
                self.more = end.until.is_some();
                self.step = Step::LastFrame;
                self.give(Output::Receive)
            }
            _ => Err(Fault::OutOfPlace),
        }
    }

    /// Checks the entry that begins at `at` in the frame; behind the last asks for the next frame.
    fn take_next(&mut self, at: usize, holding: &Holding<N>, incoming: &[u8]) -> Result<(), Fault> {
        let mut at = at;
        loop {
            let mut rest = Entries::trusted(incoming.get(at..).unwrap_or_default());
            let before = rest.byte_len();
            let Some(bytes) = rest.next() else { return self.receive_rest() };
            let next = at.saturating_add(before.saturating_sub(rest.byte_len()));
            let id = Id::of(bytes);
            let entry = EntryView::read(bytes).map_err(|error| broken(id, error))?;
            match holding.check(&entry) {
                Ok(_) => {}
                Err(NotTaken::Known) => {
                    at = next;
                    continue;
                }
                Err(error) => return Err(broken(id, error)),
            }
            entry.verify().map_err(|error| broken(id, error))?;
            self.step = Step::Taking(next);
            let at = next.saturating_sub(bytes.len());
            return self.give(Output::Take { at, bytes: bytes.len() });
        }
    }

    pub(super) fn taken(
        &mut self,
        next: usize,
        place: u32,
        holding: &mut Holding<N>,
        incoming: &[u8],
    ) -> Result<(), Fault> {
        let bytes = ends_at(next, incoming).ok_or(Fault::Misuse("the frame was changed"))?;
        let entry = EntryView::read(bytes).map_err(|_| Fault::Misuse("the frame was changed"))?;
        holding.insert(&entry, place).map_err(|_| Fault::Misuse("the holding was changed"))?;
        self.totals.taken = self.totals.taken.saturating_add(1);
        self.take_next(next, holding, incoming)
    }

    fn check_base(&mut self, holding: &Holding<N>, bytes: &[u8]) -> Result<(), Fault> {
        let id = Id::of(bytes);
        let entry = EntryView::read(bytes).map_err(|error| broken(id, error))?;
        let base = holding.check_advance(&entry).map_err(|error| broken(id, error))?;
        entry.verify().map_err(|error| broken(id, error))?;
        let time = entry.time().max(holding.newest());
        self.step = Step::Advancing(base, time);
        self.give(Output::Advance { base, time })
    }

    /// What is in the ring goes with the next request; what is not, is gone.
    fn peer_lacks(&mut self, holding: &Holding<N>, ids: Items<'_, Id>) -> Result<(), Fault> {
        for (number, slot) in holding.ring().iter().enumerate() {
            if ids.iter().any(|id| id == slot.position.id) {
                // The ring has at most as many entries as this list.
                let _ = self.lacks.push(u16::try_from(number).unwrap_or(u16::MAX));
            }
        }
        for id in ids.iter().filter(|id| holding.slot(id).is_none()) {
            if !self.gone.contains(&id) && self.gone.push(id).is_err() {
                break;
            }
        }
        self.receive_rest()
    }
}

/// The entry that ends at byte `end` of a frame.
fn ends_at(end: usize, incoming: &[u8]) -> Option<&[u8]> {
    let mut entries = Entries::trusted(incoming.get(1..)?);
    while let Some(entry) = entries.next() {
        if incoming.len().saturating_sub(entries.byte_len()) == end {
            return Some(entry);
        }
    }
    None
}
