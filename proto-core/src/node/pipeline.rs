//! From frames to durable entries: structure here, signatures on the runtime's cores, then the tree's writes.
//!
//! While one batch is written the next is checked and another arrives. Frames leave in the order in which they came.

use alloc::{collections::VecDeque, vec::Vec};

use crate::{
    Id, Position,
    entry::{Entry, EntryError, VerifiedEntry},
    storage::Put,
    wire::{Entries, MAX_WANTS},
};

/// Frames between arrival and disk at most, for each exchange: one is received, one checked on all cores, one waits
/// and one is written. At most this many times [`crate::limits::MAX_FRAME`] of memory.
pub(super) const MAX_FRAMES: u8 = 4;

/// Bytes of entries that wait for their parents, for each exchange that this node opened.
const MAX_SPOOL: usize = 4 * 1024 * 1024;

/// Frames of one exchange on their way to the disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipeline {
    frames: VecDeque<Frame>,
    /// The number of the first frame in line.
    first: u64,
    /// Entries whose parents have not come yet, ascending. They die with the exchange.
    spool: Vec<VerifiedEntry>,
    spooled: usize,
    spool_limit: usize,
}

#[derive(Clone, Debug)]
enum Frame {
    Checking,
    Checked(Vec<VerifiedEntry>),
    Writing(Vec<VerifiedEntry>),
}

/// What the session is told of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) stored: u64,
    pub(super) known: u64,
    /// Parents that must come first, ascending, at most [`MAX_WANTS`].
    pub(super) missing: Vec<Id>,
    /// The lowest entry that was neither stored nor kept.
    pub(super) dropped: Option<Position>,
}

impl Pipeline {
    /// A pipeline whose entries may come before their parents, or (for a responder) may not.
    pub(super) const fn new(may_spool: bool) -> Self {
        let spool_limit = if may_spool { MAX_SPOOL } else { 0 };
        Self { frames: VecDeque::new(), first: 0, spool: Vec::new(), spooled: 0, spool_limit }
    }

    /// Whether another frame may come.
    pub(super) fn has_room(&self) -> bool {
        self.frames.len() < usize::from(MAX_FRAMES)
    }

    /// Takes a frame's entries apart and checks what their bytes alone can show. Returns the frame's number and
    /// what is to be verified.
    pub(super) fn take(&mut self, frame: Entries<'_>) -> Result<(u64, Vec<Entry>), EntryError> {
        let entries = frame.map(Entry::read).collect::<Result<_, _>>()?;
        let number = self.first.saturating_add(self.frames.len() as u64);
        self.frames.push_back(Frame::Checking);
        Ok((number, entries))
    }

    /// The signatures of a frame are good.
    pub(super) fn verified(&mut self, number: u64, entries: Vec<VerifiedEntry>) {
        let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        if let Some(frame @ Frame::Checking) = at.and_then(|at| self.frames.get_mut(at)) {
            *frame = Frame::Checked(entries);
        }
    }

    /// The next frame to write, if it is checked and all before it are on their way.
    pub(super) fn next_write(&mut self) -> Option<Vec<VerifiedEntry>> {
        let frame = self.frames.iter_mut().find(|frame| !matches!(frame, Frame::Writing(_)))?;
        let Frame::Checked(entries) = frame else { return None };
        let mut entries = core::mem::take(entries);
        if !self.spool.is_empty() {
            entries.append(&mut self.spool);
            self.spooled = 0;
            entries.sort_by_key(|entry| entry.position());
            entries.dedup_by_key(|entry| entry.id());
        }
        *frame = Frame::Writing(entries.clone());
        Some(entries)
    }

    /// The oldest `frames` have been written. What was held waits in the spool as far as there is room.
    pub(super) fn settled(&mut self, frames: usize, put: &Put) -> Settled {
        let mut written = Vec::new();
        for _ in 0..frames {
            if let Some(Frame::Writing(entries)) = self.frames.pop_front() {
                written.extend(entries);
                self.first = self.first.saturating_add(1);
            }
        }
        let mut dropped = None;
        for entry in put.held.iter().filter_map(|at| written.get(*at)) {
            let size = entry.bytes().len();
            if self.spooled.saturating_add(size) <= self.spool_limit {
                self.spooled = self.spooled.saturating_add(size);
                self.spool.push(entry.clone());
            } else {
                let lowest = dropped.unwrap_or(entry.position());
                dropped = Some(lowest.min(entry.position()));
            }
        }
        let missing = put.missing.iter().copied().take(MAX_WANTS).collect();
        Settled { stored: put.stored.len() as u64, known: put.known as u64, missing, dropped }
    }
}
