//! Sending entries, and the end of a message: the same for both sides.

use heapless::Vec;

use crate::{
    Position, Range,
    limits::MAX_BATCH_ENTRIES,
    wire::{End, Kind, append},
};

use super::{BATCH, Fault, Load, Loaded, Output, Role, Session, machine::Step};

/// Bytes of a message kept for its last frames.
const LAST_FRAMES: usize = 4_096;

/// Bytes of a frame that an entry's length takes at most, and its share of the frame's own.
const ENTRY_OVERHEAD: u64 = 4;

/// Entries found below the lowest open range that an initiator sends at once: waiting for the ranges above would leave
/// the line idle in one direction.
const MANY: u64 = MAX_BATCH_ENTRIES as u64;

impl<const R: usize, const M: usize> Session<R, M> {
    /// Sends the next ranges, or the end. An initiator holds its pushes until nothing is open, or until nothing
    /// below them is and they are [`MANY`], so that the responder never gets an entry before its parents; a responder sends what it promised.
    pub(super) fn load(&mut self, outgoing: &mut [u8]) -> Result<(), Fault> {
        let limit = match self.role {
            Role::Responder => Position::END,
            Role::Initiator => self.pushes_below(),
        };
        let budget = self.budget.saturating_sub(LAST_FRAMES);
        let ranges: Vec<Range, BATCH> = self
            .moves
            .iter()
            .map(|range| Range { start: range.start, end: range.end.min(limit) })
            .filter(|range| !range.is_empty())
            .take(BATCH)
            .collect();
        match ranges.last() {
            Some(last) if self.until.is_none() => {
                self.step = Step::Loading(last.end);
                let frame = self.peer.both(self.config.limits).frame;
                let frame = usize::try_from(frame).unwrap_or(usize::MAX);
                self.give(Output::Load(Load { ranges, budget, frame, since: self.since }))
            }
            _ => self.end(outgoing),
        }
    }

    fn pushes_below(&self) -> Position {
        match (self.table.first_blocking(), self.overflow) {
            (None, _) => Position::END,
            // A list of moves that overflowed would otherwise never drain.
            (Some(open), Some((from, lost))) if open == from => lost,
            (Some(open), Some(_)) => open,
            (Some(open), None) if self.expected.send >= self.totals.sent.saturating_add(MANY) => open,
            (Some(_), None) => Position::MIN,
        }
    }

    pub(super) fn loaded(&mut self, end: Position, loaded: Loaded, outgoing: &mut [u8]) -> Result<(), Fault> {
        self.totals.sent = self.totals.sent.saturating_add(loaded.entries);
        self.totals.sent_bytes = self.totals.sent_bytes.saturating_add(loaded.bytes);
        let bytes = loaded.bytes.saturating_add(ENTRY_OVERHEAD.saturating_mul(loaded.entries));
        self.charge(usize::try_from(bytes).unwrap_or(usize::MAX));
        self.until = loaded.next;
        self.moves.sent(loaded.next.unwrap_or(end));
        self.load(outgoing)
    }

    fn end(&mut self, outgoing: &mut [u8]) -> Result<(), Fault> {
        if self.role == Role::Responder {
            return self.send_missing(outgoing);
        }
        // What did not fit is pushed in the next request; the responder need not know.
        self.send_end(&End::default(), outgoing)
    }

    pub(super) fn send_end(&mut self, end: &End, outgoing: &mut [u8]) -> Result<(), Fault> {
        let Some(first) = outgoing.first_mut() else {
            return Err(Fault::Misuse("the outgoing buffer is too small for an end"));
        };
        *first = Kind::End as u8;
        let used =
            append(end, outgoing, 1).ok_or(Fault::Misuse("the outgoing buffer is too small for an end"))?;
        self.step = Step::EndSent;
        self.give(Output::Send(used))
    }

    pub(super) fn end_sent(&mut self) -> Result<(), Fault> {
        self.give(Output::Finish)?;
        match self.role {
            Role::Initiator => {
                if self.moves.is_empty() {
                    self.note_repairs();
                }
                self.until = None;
                self.dropped = None;
                self.receive_head()
            }
            Role::Responder => {
                self.step = Step::Done;
                let outcome = self.answered();
                self.give(Output::Done(outcome))
            }
        }
    }

    /// What the peer lacked is all on its way. Of many such ids the oldest are forgotten.
    fn note_repairs(&mut self) {
        for id in core::mem::take(&mut self.repairs) {
            if let Some((_, times)) = self.repaired.iter_mut().find(|(repaired, _)| *repaired == id) {
                *times = times.saturating_add(1);
                continue;
            }
            if self.repaired.is_full() {
                self.repaired.remove(0);
            }
            let _ = self.repaired.push((id, 1));
        }
    }
}
