//! Answering a partial holder: its request is read and stored, then it is told what it lacks.

use alloc::{boxed::Box, vec, vec::Vec};

use crate::{
    Id, Position, PublicKey,
    entry::{Entry, EntryError, VerifiedEntry},
    limits::MAX_FRAME,
    node::{
        Difference, ExchangeId, Op, Read, Rights,
        outbox::{Outbox, Waiting},
        pipeline::Pipeline,
    },
    session::{Fault, rule},
    storage::Put,
    wire::{
        CAPABILITIES, End, EntriesWriter, Frame, Have, Kind, PeerLimits, Refusal, Reply, VERSION, Versions,
        write,
    },
};

/// A request of a partial holder's, and how far its answer is.
#[derive(Clone, Debug)]
pub(super) struct Giving {
    id: ExchangeId,
    own: PublicKey,
    have: Have,
    ids: Vec<Id>,
    /// What the holder has said to be gone: it is not asked for again.
    gone: Vec<Id>,
    pipeline: Pipeline,
    step: Step,
    wants_frame: bool,
    /// Frames of entries on their way into the store.
    ingesting: usize,
    received: usize,
    /// What the holder's keys may do.
    rights: Rights,
    /// What the holder is told that its requests may have.
    limits: PeerLimits,
    /// The tips over which a merge is to be written.
    merge: Option<Vec<Position>>,
}

/// A merge that is to be written for a partial holder.
#[derive(Clone, Debug)]
pub(super) struct Merge {
    pub(super) tree: Id,
    /// The key whose grant lets the holder read the tree, if one does.
    pub(super) by: Option<PublicKey>,
    /// What it names beside this node's tips.
    pub(super) tips: Vec<Position>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Frames behind the head are awaited.
    Rest,
    /// The end of the message is awaited.
    LastFrame,
    /// Entries are being stored.
    Storing,
    /// The store looks for the difference.
    Asking,
    /// The merge is being written.
    Merging,
}

/// What comes of a step.
pub(super) type Stepped = Result<Next, Refusal>;

/// What comes of a step that is no refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    On,
    /// The response is on its way.
    Answered,
}

impl Giving {
    /// Begins to answer a request whose head is here and whose tree the holder may read.
    pub(super) fn new(
        id: ExchangeId,
        own: PublicKey,
        (rights, limits): (Rights, PeerLimits),
        (have, ids): (Have, Vec<Id>),
        out: &mut Outbox,
    ) -> Result<Self, Refusal> {
        if have.versions.agree(Versions::OURS).is_none() {
            return Err(Fault::Incompatible { theirs: have.versions, ours: Versions::OURS }.reply());
        }
        out.exchange(id, Op::Receive);
        Ok(Self {
            id,
            own,
            have,
            ids,
            gone: Vec::new(),
            pipeline: Pipeline::new(false),
            step: Step::Rest,
            wants_frame: false,
            ingesting: 0,
            received: 0,
            rights,
            limits,
            merge: None,
        })
    }

    pub(super) const fn tree(&self) -> Id {
        self.have.tree
    }

    /// A frame behind the head.
    pub(super) fn received(&mut self, bytes: &[u8], out: &mut Outbox) -> Stepped {
        self.received = self.received.saturating_add(bytes.len());
        if self.received > usize::try_from(self.limits.message).unwrap_or(usize::MAX) {
            return Err(Fault::TooLong.reply());
        }
        match (self.step, Frame::read(bytes).map_err(|error| Fault::Frame(error).reply())?) {
            (Step::Rest, Frame::Entries(entries)) => {
                let (number, entries) = self.pipeline.take(entries).map_err(|error| malformed(&error))?;
                out.verify(self.id, number, entries);
                self.ingesting = self.ingesting.saturating_add(1);
            }
            (Step::Rest, Frame::Gone(ids)) => self.gone = ids.iter().collect(),
            (Step::Rest, Frame::End(_)) => self.step = Step::LastFrame,
            _ => return Err(Fault::OutOfPlace.reply()),
        }
        self.wants_frame = true;
        self.receive(out);
        Ok(Next::On)
    }

    /// Whether it would take a frame if there were room over all exchanges.
    pub(super) fn waits_for_room(&self) -> bool {
        self.wants_frame && self.pipeline.has_room()
    }

    /// Bytes between arrival and disk.
    pub(super) const fn held(&self) -> usize {
        self.pipeline.bytes()
    }

    /// Asks for the next frame if there is room.
    pub(super) fn receive(&mut self, out: &mut Outbox) {
        if self.wants_frame && self.pipeline.may_take(out.has_room) {
            self.wants_frame = false;
            out.exchange(self.id, Op::Receive);
        }
    }

    /// The request is over.
    pub(super) fn ended(&mut self, out: &mut Outbox) -> Stepped {
        if self.step != Step::LastFrame {
            return Err(Fault::CutShort.reply());
        }
        self.step = Step::Storing;
        self.ask(out);
        Ok(Next::On)
    }

    pub(super) fn verified(
        &mut self,
        frame: u64,
        result: Result<Vec<VerifiedEntry>, (Vec<VerifiedEntry>, EntryError)>,
    ) -> Stepped {
        match result {
            Ok(entries) => self.pipeline.verified(frame, entries),
            Err((_, error)) => return Err(malformed(&error)),
        }
        Ok(Next::On)
    }

    pub(super) fn next_write(&mut self) -> Option<Vec<VerifiedEntry>> {
        self.pipeline.next_write()
    }

    /// Frames were written. What lacks a parent is named missing together with it, once the difference is looked for.
    pub(super) fn ingested(&mut self, frames: usize, put: &Put, out: &mut Outbox) -> Stepped {
        self.ingesting = self.ingesting.saturating_sub(frames);
        self.pipeline.settled(frames, put);
        if let Some((id, refusal)) = &put.refused {
            return Err(Fault::Entry { id: *id, rule: rule(refusal) }.reply());
        }
        self.receive(out);
        self.ask(out);
        Ok(Next::On)
    }

    fn ask(&mut self, out: &mut Outbox) {
        if self.step == Step::Storing && self.ingesting == 0 {
            self.step = Step::Asking;
            let (have, ids) = (Box::new(self.have.clone()), self.ids.clone());
            let read = Read::Difference { have, ids, own: self.own, rights: self.rights };
            out.read_once(Waiting::Exchange(self.id), read);
        }
    }

    /// The store has found the difference.
    pub(super) fn found(&mut self, difference: Difference, out: &mut Outbox) -> Stepped {
        match difference {
            Difference::Same => self.answer(true, &[], out),
            Difference::Missing(mut ids) => {
                ids.retain(|id| !self.gone.contains(id));
                let mut frames = Vec::new();
                if !ids.is_empty() {
                    let mut room = vec![0; ids.len().saturating_mul(32).saturating_add(1)];
                    let used = write(Kind::Missing, &(), &ids, &mut room).unwrap_or(0);
                    room.truncate(used);
                    frames.push(room);
                }
                self.answer(false, &frames, out)
            }
            Difference::Entries(entries) => {
                let frames = self.frames(&entries);
                self.answer(false, &frames, out)
            }
            Difference::Advance(entry) => self.advance(&entry, out),
            Difference::Merge(tips) => {
                self.step = Step::Merging;
                self.merge = Some(tips);
                Ok(Next::On)
            }
            Difference::NoAdvance => Err(Refusal::NoAdvance),
        }
    }

    /// The merge that is to be written, once.
    pub(super) fn take_merge(&mut self) -> Option<Merge> {
        Some(Merge { tree: self.have.tree, by: self.rights.by, tips: self.merge.take()? })
    }

    /// The merge is durable, or was refused.
    pub(super) fn merged(&mut self, merge: Option<&Entry>, out: &mut Outbox) -> Stepped {
        match merge {
            Some(entry) => self.advance(entry, out),
            None => Err(Refusal::NoAdvance),
        }
    }

    fn advance(&self, entry: &Entry, out: &mut Outbox) -> Stepped {
        let frame = [&[Kind::Advance as u8], entry.bytes()].concat();
        self.answer(false, &[frame], out)
    }

    fn frames(&self, entries: &[Entry]) -> Vec<Vec<u8>> {
        let limit = usize::try_from(self.have.limits.frame).unwrap_or(usize::MAX).min(MAX_FRAME);
        let mut frames = Vec::new();
        let mut room = vec![0; limit];
        let mut writer = EntriesWriter::new(&mut room);
        for entry in entries {
            if !writer.push(entry.bytes()) {
                frames.push(writer.finish().to_vec());
                writer = EntriesWriter::new(&mut room);
                // Each fits into a frame by itself: the difference was made so.
                writer.push(entry.bytes());
            }
        }
        if !writer.is_empty() {
            frames.push(writer.finish().to_vec());
        }
        frames
    }

    fn answer(&self, same: bool, frames: &[Vec<u8>], out: &mut Outbox) -> Stepped {
        let reply =
            Reply { version: VERSION, capabilities: CAPABILITIES, limits: self.limits, same, count: 0 };
        let mut room = [0; 128];
        let nothing = core::iter::empty::<()>;
        let used = write(Kind::Reply, &reply, nothing(), &mut room).ok_or(Refusal::Failed)?;
        out.exchange(self.id, Op::Send(room.get(..used).unwrap_or_default().into()));
        for frame in frames {
            out.exchange(self.id, Op::Send(frame.as_slice().into()));
        }
        let used = write(Kind::End, &End::default(), nothing(), &mut room).ok_or(Refusal::Failed)?;
        out.exchange(self.id, Op::Send(room.get(..used).unwrap_or_default().into()));
        Ok(Next::Answered)
    }
}

fn malformed(error: &EntryError) -> Refusal {
    Refusal::Malformed { rule: rule(error) }
}
