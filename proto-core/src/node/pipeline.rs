//! From frames to durable entries: structure here, signatures on the runtime's cores, then the tree's writes.
//!
//! While one batch is written the next is checked and another arrives. Frames leave in the order in which they came.

use alloc::{
    collections::{BTreeSet, VecDeque},
    vec::Vec,
};

use crate::{
    Id, Position,
    entry::{Entry, EntryError, VerifiedEntry},
    limits::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_FRAME},
    storage::Put,
    wire::{Entries, MAX_WANTS},
};

/// Frames between arrival and disk at most, for each exchange. A batch of the frames that we send (see
/// `talk::ENTRIES_FRAME`) takes about four; while one is written, as many are checked on all cores and as many have been
/// checked, so that neither the store nor a core waits for the other; and the first of them is on its way to the disk
/// when a quarter of a batch has arrived.
pub(super) const MAX_FRAMES: u8 = 16;

/// Bytes of frames between arrival and disk, for each exchange, after which no other is asked for: what bounds the
/// memory of an exchange where the peer's frames are large. With the last frame, and with what a transport has read
/// ahead, it is less than a batch: what a process that is killed receives a second time.
const MAX_BYTES: usize = MAX_BATCH_BYTES - 3 * MAX_FRAME / 2;

/// Bytes of entries that wait for their parents, for each exchange that this node opened: with a frame, a batch.
const MAX_SPOOL: usize = MAX_BATCH_BYTES - MAX_FRAME;

/// Entries that wait for their parents: with the frames that we send, a batch.
const MAX_SPOOLED: usize = MAX_BATCH_ENTRIES / 2;

/// Frames of one exchange on their way to the disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipeline {
    frames: VecDeque<Frame>,
    /// Bytes of all of them.
    bytes: usize,
    /// The number of the first frame in line.
    first: u64,
    /// Entries whose parents have not come yet, ascending. They die with the exchange.
    spool: Vec<VerifiedEntry>,
    spooled: usize,
    spool_limit: usize,
    /// What the session was not told yet of the frame that stays in line for the spool.
    untold: Settled,
}

#[derive(Clone, Debug)]
struct Frame {
    bytes: usize,
    stage: Stage,
}

#[derive(Clone, Debug)]
enum Stage {
    Checking,
    Checked(Vec<VerifiedEntry>),
    Writing(Vec<VerifiedEntry>),
}

/// What the session is told of frames.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    /// How many are settled. One that is not goes on with [`Pipeline::next_write`].
    pub(super) frames: usize,
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
        Self {
            frames: VecDeque::new(),
            bytes: 0,
            first: 0,
            spool: Vec::new(),
            spooled: 0,
            spool_limit,
            untold: Settled { frames: 0, stored: 0, known: 0, missing: Vec::new(), dropped: None },
        }
    }

    /// Whether frames are being written.
    pub(super) fn is_writing(&self) -> bool {
        self.frames.iter().any(|frame| matches!(frame.stage, Stage::Writing(_)))
    }

    /// Whether another frame may come.
    pub(super) fn has_room(&self) -> bool {
        self.frames.len() < usize::from(MAX_FRAMES) && self.bytes < MAX_BYTES
    }

    /// Whether another frame may come, where the exchange may have more than one only if there is `room` for it.
    pub(super) fn may_take(&self, room: bool) -> bool {
        self.has_room() && (room || self.frames.is_empty())
    }

    /// Bytes of all frames in it.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a frame's entries apart and checks what their bytes alone can show. Returns the frame's number and
    /// what is to be verified.
    pub(super) fn take(&mut self, frame: Entries<'_>) -> Result<(u64, Vec<Entry>), EntryError> {
        let entries: Vec<Entry> = frame.map(Entry::read).collect::<Result<_, _>>()?;
        let number = self.first.saturating_add(self.frames.len() as u64);
        let bytes = entries.iter().map(|entry| entry.bytes().len()).sum();
        self.bytes = self.bytes.saturating_add(bytes);
        self.frames.push_back(Frame { bytes, stage: Stage::Checking });
        Ok((number, entries))
    }

    /// The signatures of a frame are good.
    pub(super) fn verified(&mut self, number: u64, entries: Vec<VerifiedEntry>) {
        let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        let stage = at.and_then(|at| self.frames.get_mut(at)).map(|frame| &mut frame.stage);
        if let Some(stage @ Stage::Checking) = stage {
            *stage = Stage::Checked(entries);
        }
    }

    /// The next frame to write, if it is checked and all before it are on their way.
    pub(super) fn next_write(&mut self) -> Option<Vec<VerifiedEntry>> {
        let mut stages = self.frames.iter_mut().map(|frame| &mut frame.stage);
        let stage = stages.find(|stage| !matches!(stage, Stage::Writing(_)))?;
        let Stage::Checked(entries) = stage else { return None };
        let mut entries = core::mem::take(entries);
        if !self.spool.is_empty() {
            let (waiting, bytes) = fitting(&mut self.spool, &entries);
            self.spooled = self.spooled.saturating_sub(bytes);
            entries.extend(waiting);
            entries.sort_by_key(|entry| entry.position());
            entries.dedup_by_key(|entry| entry.id());
        }
        *stage = Stage::Writing(entries.clone());
        Some(entries)
    }

    /// The oldest `frames` have been written. What was held waits in the spool as far as there is room. Where nothing is
    /// in line behind them that the spool could be written with, and the parents of some of it have just come, the last
    /// frame stays in line for it.
    pub(super) fn settled(&mut self, frames: usize, put: &Put) -> Settled {
        let mut written = Vec::new();
        for _ in 0..frames {
            let Some(Frame { bytes, stage }) = self.frames.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(bytes);
            self.first = self.first.saturating_add(1);
            if let Stage::Writing(entries) = stage {
                written.extend(entries);
            }
        }
        let mut told = core::mem::take(&mut self.untold);
        told.frames = frames;
        told.stored = told.stored.saturating_add(put.stored.len().saturating_add(put.masked) as u64);
        told.known = told.known.saturating_add(put.known as u64);
        told.missing = put.missing.iter().copied().take(MAX_WANTS).collect();
        for entry in put.held.iter().filter_map(|at| written.get(*at)) {
            let size = entry.bytes().len();
            if self.spooled.saturating_add(size) <= self.spool_limit && self.spool.len() < MAX_SPOOLED {
                self.spooled = self.spooled.saturating_add(size);
                self.spool.push(entry.clone());
            } else {
                let lowest = told.dropped.unwrap_or(entry.position());
                told.dropped = Some(lowest.min(entry.position()));
            }
        }
        if frames > 0 && self.frames.is_empty() && put.refused.is_none() && self.can_go_on(put) {
            self.frames.push_front(Frame { bytes: 0, stage: Stage::Checked(Vec::new()) });
            self.first = self.first.saturating_sub(1);
            told.frames = frames.saturating_sub(1);
            if told.frames == 0 {
                return core::mem::replace(&mut self.untold, told);
            }
        }
        told
    }

    /// Whether something in the spool may stand on what was written.
    fn can_go_on(&self, put: &Put) -> bool {
        // What is masked is not named.
        if self.spool.is_empty() || put.masked > 0 {
            return !self.spool.is_empty();
        }
        let stored: BTreeSet<Id> = put.stored.iter().map(|position| position.id).collect();
        let mut parents = self.spool.iter().flat_map(|entry| entry.view().parents().iter());
        parents.any(|parent| stored.contains(&parent))
    }
}

/// Takes the lowest entries of a spool that fit into one batch beside others, and says how many bytes these have.
fn fitting(spool: &mut Vec<VerifiedEntry>, beside: &[VerifiedEntry]) -> (Vec<VerifiedEntry>, usize) {
    spool.sort_by_key(|entry| entry.position());
    let beside_bytes: usize = beside.iter().map(|entry| entry.bytes().len()).sum();
    let room = MAX_BATCH_BYTES.saturating_sub(beside_bytes);
    let (mut count, mut bytes) = (0_usize, 0_usize);
    for entry in spool.iter().take(MAX_BATCH_ENTRIES.saturating_sub(beside.len())) {
        let with = bytes.saturating_add(entry.bytes().len());
        if with > room {
            break;
        }
        bytes = with;
        count = count.saturating_add(1);
    }
    let rest = spool.split_off(count);
    (core::mem::replace(spool, rest), bytes)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::{
        SecretKey, canonical,
        entry::{EntryBuilder, Origin, Value},
        wire::{EntriesWriter, Frame as WireFrame},
    };

    /// Entries with texts of a size, none of which stands on another of them.
    fn entries(count: u64, size: usize) -> Vec<VerifiedEntry> {
        let key = SecretKey::from_bytes([1; 32]);
        let root = Position { height: 0, id: Id::of(b"root") };
        let make = |n| {
            let mut builder = EntryBuilder::new(Origin::Tree(root.id), n);
            builder.parent(root).unwrap();
            let value = Value::Text("x".repeat(size)).encode().unwrap();
            let data = [&[0][..], &canonical::to_vec(&[("path", Some(value))][..])].concat();
            VerifiedEntry::sign(&builder, &key, &[("main", &data)]).unwrap()
        };
        (0..count).map(make).collect()
    }

    /// An entry that stands on this one.
    fn on_top(parent: &VerifiedEntry) -> Vec<VerifiedEntry> {
        let tree = parent.view().tree();
        let mut builder = EntryBuilder::new(Origin::Tree(tree), 9);
        builder.parent(parent.position()).unwrap();
        vec![VerifiedEntry::sign(&builder, &SecretKey::from_bytes([1; 32]), &[]).unwrap()]
    }

    fn take(pipeline: &mut Pipeline, entries: &[VerifiedEntry]) -> u64 {
        let mut room = vec![0; MAX_FRAME];
        let mut writer = EntriesWriter::new(&mut room);
        assert!(entries.iter().all(|entry| writer.push(entry.bytes())));
        let Ok(WireFrame::Entries(frame)) = WireFrame::read(writer.finish()) else { panic!() };
        pipeline.take(frame).unwrap().0
    }

    #[test]
    fn small_frames_fill_the_line_by_number_and_large_ones_by_bytes() {
        for (frame, expected) in [(entries(1, 10), usize::from(MAX_FRAMES)), (entries(4, 250_000), 3)] {
            let mut pipeline = Pipeline::new(true);
            let mut taken = 0;
            while pipeline.has_room() {
                let number = take(&mut pipeline, &frame);
                pipeline.verified(number, frame.clone());
                taken += 1;
            }
            assert_eq!(taken, expected);
            assert_eq!(pipeline.next_write().as_ref(), Some(&frame));
            pipeline.settled(1, &Put::default());
            assert!(pipeline.has_room(), "what is written makes room");
        }
    }

    #[test]
    fn what_waits_is_written_as_soon_as_its_parents_are_there_though_nothing_follows() {
        let mut pipeline = Pipeline::new(true);
        let parents = entries(1, 10);
        let children = on_top(&parents[0]);
        for frame in [&children, &parents] {
            let number = take(&mut pipeline, frame);
            pipeline.verified(number, frame.clone());
        }
        // Both are on their way before the first is known to have come too early.
        assert_eq!(pipeline.next_write().as_ref(), Some(&children));
        assert_eq!(pipeline.next_write().as_ref(), Some(&parents));
        let put = Put { held: vec![0], missing: vec![parents[0].id()], ..Put::default() };
        assert_eq!(pipeline.settled(1, &put).frames, 1);
        let put = Put { stored: vec![parents[0].position()], ..Put::default() };
        assert_eq!(pipeline.settled(1, &put), Settled::default(), "the frame stays in line");
        assert_eq!(pipeline.next_write().as_ref(), Some(&children));
        let put = Put { stored: vec![children[0].position()], ..Put::default() };
        assert_eq!(pipeline.settled(1, &put), Settled { frames: 1, stored: 2, ..Settled::default() });
        assert_eq!(pipeline.next_write(), None);
    }

    #[test]
    fn what_waits_for_parents_never_makes_a_write_larger_than_a_batch() {
        let mut pipeline = Pipeline::new(true);
        let all = entries(8, 250_000);
        let (mut spooled, mut dropped) = (0, 0);
        for _ in 0..6 {
            // Whatever is written waits for parents that nobody has.
            let number = take(&mut pipeline, &all[..4]);
            pipeline.verified(number, all[..4].to_vec());
            let written = pipeline.next_write().unwrap();
            assert!(written.iter().map(|entry| entry.bytes().len()).sum::<usize>() <= MAX_BATCH_BYTES);
            let put = Put { held: (0..written.len()).collect(), ..Put::default() };
            let settled = pipeline.settled(1, &put);
            dropped += usize::from(settled.dropped.is_some());
            spooled = pipeline.spool.len();
        }
        assert!(spooled >= 4 && dropped == 0, "{spooled} wait, {dropped} were dropped");
        let small = entries(3_000, 1);
        let number = take(&mut pipeline, &small);
        pipeline.verified(number, small);
        let written = pipeline.next_write().unwrap();
        assert!(written.len() > 3_000 && written.len() <= MAX_BATCH_ENTRIES);
        let put = Put { held: (0..written.len()).collect(), ..Put::default() };
        assert!(pipeline.settled(1, &put).dropped.is_some(), "not all of them can wait");
        assert_eq!(pipeline.spool.len(), MAX_SPOOLED);
    }
}
