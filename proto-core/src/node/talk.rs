//! A session at work: its buffers, its snapshot, its frames on their way in and out.

use alloc::{boxed::Box, collections::VecDeque, string::ToString, sync::Arc, vec, vec::Vec};

use crate::{
    Id, Position, PublicKey, Range,
    entry::{EntryError, VerifiedEntry},
    limits::MAX_ENTRY,
    node::{
        Admission, ExchangeId, FurtherKeys, Op, Progress, Read, ReadReply, SnapshotId,
        outbox::{Outbox, Waiting},
        pipeline::{Pipeline, Settled},
        read::LENGTH,
    },
    session::{
        Config, Expected, Fault, HostSession, Ingested, Input, Known, Load, Loaded,
        Outcome as SessionOutcome, Output,
    },
    storage::Put,
    wire::{EntriesWriter, Frame, ProofTarget},
};

/// Bytes of the buffer in which a session writes a control frame: the ids of as many entries as one message carries,
/// so that two long branches are told apart as fast as they move. Few exchanges touch more than its first kilobytes.
const CONTROL_FRAME: usize = 256 * 1024;

/// Bytes in a frame of entries, unless a single entry is larger: small enough that a slow line delivers one before
/// the receiver loses patience, and that checking one frame overlaps with receiving the next.
const ENTRIES_FRAME: usize = MAX_ENTRY + 64;

/// Frames of entries handed to the transport and not yet sent: while it has two, two more are read.
const MAX_UNSENT: usize = 4;

/// A session, and what it needs to talk.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    id: ExchangeId,
    tree: Id,
    /// Its tables are large: they stay where they were made.
    session: Box<HostSession>,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    snapshot: Option<SnapshotId>,
    /// What each frame that was handed to the transport is.
    sending: VecDeque<Sending>,
    loading: Option<Loading>,
    pipeline: Pipeline,
    /// The session asked for a frame that the pipeline has no room for yet.
    wants_frame: bool,
    /// The first frame of a request, until the session asks for it.
    first: Option<Vec<u8>>,
    /// Whom an initiator gives entries to. A responder was asked, and has looked before it answers.
    reader: Option<Reader>,
    proving: Proving,
    /// Something has moved since watchers were told.
    moved: bool,
    /// What watchers were told to expect.
    expected: Expected,
    pub(super) counts: Counts,
    /// Bytes received when an entry was last stored that was new.
    pub(super) useful: u64,
}

/// Whether the peer may have what it lacks. An exchange lasts as long as the peer likes, and what is held and who may read
/// it can be another with each request: it is asked in each snapshot anew, before anything is loaded from it.
#[derive(Clone, Debug, Default)]
struct Reader {
    /// The node key that the peer has proven.
    proven: Option<PublicKey>,
    /// Its further keys.
    shown: FurtherKeys,
    /// In which snapshot it may read.
    admitted: Option<SnapshotId>,
    /// What is to be loaded, while that is asked.
    load: Option<Load>,
}

/// What further keys are proven for in front of each message of this side's.
#[derive(Clone, Copy, Debug, Default)]
struct Proving {
    target: Option<ProofTarget>,
    /// A message is under way: what is proven in it stands in front.
    begun: bool,
}

/// What moved. Bytes are those of frames, as encoded.
///
/// ```
/// # use pleach_core::node::Counts;
/// assert!(!Counts::default().moved(), "nothing has");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Counts {
    /// Entries that were new here.
    pub entries_received: u64,
    /// Entries sent to the peer.
    pub entries_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Requests that were answered.
    pub round_trips: u32,
}

impl Counts {
    /// Before anything has moved.
    pub(super) const NOTHING: Self =
        Self { entries_received: 0, entries_sent: 0, bytes_received: 0, bytes_sent: 0, round_trips: 0 };

    /// Whether entries went either way.
    pub const fn moved(&self) -> bool {
        self.entries_received > 0 || self.entries_sent > 0
    }

    /// What is left of it without a part of it.
    pub(super) const fn less(&self, part: &Self) -> Self {
        Self {
            entries_received: self.entries_received.saturating_sub(part.entries_received),
            entries_sent: self.entries_sent.saturating_sub(part.entries_sent),
            bytes_received: self.bytes_received.saturating_sub(part.bytes_received),
            bytes_sent: self.bytes_sent.saturating_sub(part.bytes_sent),
            round_trips: self.round_trips.saturating_sub(part.round_trips),
        }
    }

    /// Both together.
    pub(super) const fn plus(&self, other: &Self) -> Self {
        Self {
            entries_received: self.entries_received.saturating_add(other.entries_received),
            entries_sent: self.entries_sent.saturating_add(other.entries_sent),
            bytes_received: self.bytes_received.saturating_add(other.bytes_received),
            bytes_sent: self.bytes_sent.saturating_add(other.bytes_sent),
            round_trips: self.round_trips.saturating_add(other.round_trips),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Sending {
    Control,
    Entries,
}

/// Entries being read and sent.
#[derive(Clone, Debug)]
struct Loading {
    ranges: VecDeque<Range>,
    budget: usize,
    frame: usize,
    since: Option<u64>,
    reading: bool,
    unsent: usize,
    entries: u64,
    bytes: u64,
    /// What was read last, if there is no more to read: all, or all that fits into the budget.
    end: Option<Rest>,
}

/// What is left when entries have been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Rest {
    Nothing,
    From(Position),
}

/// Why a talk ended.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    Session(Box<SessionOutcome>),
    Fault(Box<Fault>),
    BadEntry(EntryError),
    /// The peer lacks the permission to read what would be sent to it.
    MayNotUpload,
}

/// What a talk hands to the rest of the node.
pub(super) type Ingest = Vec<VerifiedEntry>;

impl Talk {
    pub(super) fn initiator(
        id: ExchangeId,
        config: Config,
        proven: Option<PublicKey>,
        proves: Option<ProofTarget>,
    ) -> Self {
        let session = Box::new(HostSession::initiator(config));
        let proving = Proving { target: proves, begun: false };
        let reader = Some(Reader { proven, ..Reader::default() });
        Self { reader, proving, ..Self::new(id, config.tree, session, Pipeline::new(true)) }
    }

    pub(super) fn responder(id: ExchangeId, config: Config, proves: Option<ProofTarget>) -> Self {
        let session = Box::new(HostSession::responder(config));
        let proving = Proving { target: proves, begun: false };
        Self { proving, ..Self::new(id, config.tree, session, Pipeline::new(false)) }
    }

    /// A further key of the peer may read the tree at this moment.
    pub(super) fn heed(&mut self, shown: FurtherKeys) {
        if let Some(reader) = &mut self.reader {
            reader.shown = shown;
        }
    }

    /// Whether further keys of the peer are heeded.
    pub(super) fn heeds_keys(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| reader.shown != FurtherKeys::Nothing)
    }

    fn new(id: ExchangeId, tree: Id, session: Box<HostSession>, pipeline: Pipeline) -> Self {
        Self {
            id,
            tree,
            session,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            snapshot: None,
            sending: VecDeque::new(),
            loading: None,
            pipeline,
            wants_frame: false,
            first: None,
            reader: None,
            proving: Proving::default(),
            moved: false,
            expected: Expected::default(),
            counts: Counts::default(),
            useful: 0,
        }
    }

    pub(super) const fn tree(&self) -> Id {
        self.tree
    }

    /// Lets the session say what it wants, until it waits for something.
    pub(super) fn drive(&mut self, out: &mut Outbox) -> Result<(), Ended> {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Query(query) => {
                    self.read(Read::Session { tree: self.tree, query: Box::new(query) }, out);
                }
                Output::Renew => self.release(out),
                Output::Send(length) => {
                    let frame = self.outgoing.get(..length).unwrap_or_default().into();
                    self.send(Sending::Control, frame, out);
                }
                Output::Load(load) => self.start_load(load, out)?,
                Output::Finish => {
                    self.proving.begun = false;
                    out.exchange(self.id, Op::Finish);
                }
                Output::Receive => {
                    self.incoming = Vec::new();
                    self.wants_frame = true;
                }
                Output::Ingest => self.ingest(out)?,
                Output::Done(outcome) => {
                    // One of the two stores is damaged: each side looks at its own.
                    if matches!(outcome, SessionOutcome::Unequal(_)) || self.session.doubts() {
                        out.suspect(self.tree, false);
                    }
                    return Err(Ended::Session(Box::new(outcome)));
                }
            }
        }
        if self.wants_frame && self.pipeline.may_take(out.has_room) {
            self.wants_frame = false;
            match self.first.take() {
                Some(frame) => return self.received(frame, out),
                None => out.exchange(self.id, Op::Receive),
            }
        }
        Ok(())
    }

    fn handle(&mut self, input: Input<'_>, out: &mut Outbox) -> Result<(), Ended> {
        if self.outgoing.is_empty() {
            self.outgoing = out.lend(CONTROL_FRAME);
        }
        if let Err(fault) = self.session.handle(input, &self.incoming, &mut self.outgoing) {
            if matches!(fault, Fault::Stalled | Fault::MissingAgain(_)) {
                out.suspect(self.tree, false);
            }
            return Err(Ended::Fault(Box::new(fault)));
        }
        self.drive(out)
    }

    /// Begins with the first frame of a request, which was read before the session was made.
    pub(super) fn begin(&mut self, frame: Vec<u8>, out: &mut Outbox) -> Result<(), Ended> {
        self.first = Some(frame);
        self.drive(out)
    }

    /// A frame of the peer's message.
    pub(super) fn received(&mut self, frame: Vec<u8>, out: &mut Outbox) -> Result<(), Ended> {
        self.counts.bytes_received = self.counts.bytes_received.saturating_add(frame.len() as u64);
        self.incoming = frame;
        self.handle(Input::Frame, out)
    }

    /// The peer's message is over.
    pub(super) fn ended(&mut self, out: &mut Outbox) -> Result<(), Ended> {
        self.counts.round_trips = self.counts.round_trips.saturating_add(1);
        self.handle(Input::End, out)
    }

    /// The oldest frame has left.
    pub(super) fn sent(&mut self, out: &mut Outbox) -> Result<(), Ended> {
        match self.sending.pop_front() {
            Some(Sending::Control) => self.handle(Input::Sent, out),
            Some(Sending::Entries) => {
                if let Some(loading) = &mut self.loading {
                    loading.unsent = loading.unsent.saturating_sub(1);
                }
                self.load_on(out)
            }
            None => Ok(()),
        }
    }

    fn send(&mut self, what: Sending, frame: Arc<[u8]>, out: &mut Outbox) {
        self.counts.bytes_sent = self.counts.bytes_sent.saturating_add(frame.len() as u64);
        if !core::mem::replace(&mut self.proving.begun, true)
            && let Some(target) = self.proving.target
        {
            out.prove(self.id, target);
        }
        self.sending.push_back(what);
        out.exchange(self.id, Op::Send(frame));
    }

    fn read(&mut self, read: Read, out: &mut Outbox) {
        let snapshot = *self.snapshot.get_or_insert_with(|| out.snapshot());
        out.read(Waiting::Exchange(self.id), snapshot, read);
    }

    /// Drops the snapshot: the next read opens another.
    fn release(&mut self, out: &mut Outbox) {
        if let Some(snapshot) = self.snapshot.take() {
            #[cfg(feature = "planted-faults")]
            if crate::planted::is_awake(crate::planted::Planted::SnapshotsKept) {
                return;
            }
            out.release(snapshot);
        }
    }

    /// It is over: what it was lent goes back.
    pub(super) fn end(&mut self, out: &mut Outbox) {
        self.release(out);
        out.give_back(core::mem::take(&mut self.outgoing));
    }

    /// What the snapshot holds.
    pub(super) fn answer(&mut self, reply: ReadReply, out: &mut Outbox) -> Result<(), Ended> {
        match reply {
            ReadReply::Session(answer) => self.handle(Input::Answer(answer.lend()), out),
            ReadReply::Load { entries, next } => self.loaded(&entries, next, out),
            _ => Ok(()),
        }
    }

    /// Asks whether the peer may read what is about to be loaded, unless that is known of this snapshot.
    fn start_load(&mut self, load: Load, out: &mut Outbox) -> Result<(), Ended> {
        let snapshot = *self.snapshot.get_or_insert_with(|| out.snapshot());
        let Some(reader) = self.reader.as_mut().filter(|reader| reader.admitted != Some(snapshot)) else {
            return self.load(load, out);
        };
        reader.load = Some(load);
        let (proven, shown) = (reader.proven, reader.shown.clone());
        self.read(Read::Admit { tree: self.tree, proven, shown, tips: None }, out);
        Ok(())
    }

    /// Whether it waits to be told whether the peer may read.
    pub(super) fn asks_for_reader(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| reader.load.is_some())
    }

    /// Whether the peer may read the tree, as it is in the snapshot from which is loaded. Of a tree that is not held in it
    /// there is nothing to load.
    pub(super) fn judged(&mut self, admission: Admission, out: &mut Outbox) -> Result<(), Ended> {
        let Some(reader) = &mut self.reader else { return Ok(()) };
        let Some(load) = reader.load.take() else { return Ok(()) };
        if !admission.may_read() {
            return Err(Ended::MayNotUpload);
        }
        reader.admitted = self.snapshot;
        self.load(load, out)
    }

    fn load(&mut self, load: Load, out: &mut Outbox) -> Result<(), Ended> {
        self.loading = Some(Loading {
            ranges: load.ranges.into_iter().collect(),
            budget: load.budget,
            frame: load.frame.min(ENTRIES_FRAME),
            since: load.since,
            reading: false,
            unsent: 0,
            entries: 0,
            bytes: 0,
            end: None,
        });
        self.load_on(out)
    }

    /// Reads the next entries while what was read before is on its way.
    fn load_on(&mut self, out: &mut Outbox) -> Result<(), Ended> {
        let Some(loading) = &mut self.loading else { return Ok(()) };
        if let Some(next) = loading.end {
            if loading.unsent > 0 {
                return Ok(());
            }
            let next = match next {
                Rest::Nothing => None,
                Rest::From(next) => Some(next),
            };
            let loaded = Loaded { entries: loading.entries, bytes: loading.bytes, next };
            self.loading = None;
            return self.handle(Input::Loaded(loaded), out);
        }
        if loading.reading || loading.unsent >= MAX_UNSENT {
            return Ok(());
        }
        loading.reading = true;
        // One byte of a frame is its kind.
        let bytes = loading.budget.min(loading.frame).saturating_sub(1);
        let ranges = loading.ranges.iter().copied().collect();
        let since = loading.since;
        self.read(Read::Load { tree: self.tree, ranges, bytes, since }, out);
        Ok(())
    }

    fn loaded(
        &mut self,
        entries: &[crate::entry::Entry],
        next: Option<Position>,
        out: &mut Outbox,
    ) -> Result<(), Ended> {
        let Some(loading) = &mut self.loading else { return Ok(()) };
        loading.reading = false;
        match next {
            Some(next) if !entries.is_empty() => {
                while loading.ranges.front().is_some_and(|range| range.end <= next) {
                    loading.ranges.pop_front();
                }
                if let Some(range) = loading.ranges.front_mut() {
                    range.start = range.start.max(next);
                }
            }
            // Nothing fits any more, or everything was read.
            next => loading.end = Some(next.map_or(Rest::Nothing, Rest::From)),
        }
        if !entries.is_empty() {
            // Mostly far less than a frame may have.
            let needed =
                entries.iter().map(|entry| entry.bytes().len().saturating_add(LENGTH)).sum::<usize>();
            let mut room = vec![0; loading.frame.min(needed.saturating_add(1))];
            let mut writer = EntriesWriter::new(&mut room);
            for entry in entries {
                if writer.push(entry.bytes()) {
                    loading.entries = loading.entries.saturating_add(1);
                    loading.bytes = loading.bytes.saturating_add(entry.bytes().len() as u64);
                }
            }
            let frame: Arc<[u8]> = writer.finish().into();
            loading.budget = loading.budget.saturating_sub(frame.len());
            loading.unsent = loading.unsent.saturating_add(1);
            self.counts.entries_sent = self.counts.entries_sent.saturating_add(entries.len() as u64);
            self.moved = true;
            self.send(Sending::Entries, frame, out);
        }
        self.load_on(out)
    }

    /// The frame that came holds entries: on with them.
    fn ingest(&mut self, out: &mut Outbox) -> Result<(), Ended> {
        let frame = core::mem::take(&mut self.incoming);
        let Ok(Frame::Entries(entries)) = Frame::read(&frame) else { return Ok(()) };
        let (number, entries) = self.pipeline.take(entries).map_err(Ended::BadEntry)?;
        out.verify(self.id, number, entries);
        Ok(())
    }

    /// The signatures of a frame were checked.
    pub(super) fn verified(
        &mut self,
        number: u64,
        result: Result<Vec<VerifiedEntry>, (Vec<VerifiedEntry>, EntryError)>,
    ) -> Result<(), Ended> {
        let entries = result.map_err(|(_, error)| Ended::BadEntry(error))?;
        self.pipeline.verified(number, entries);
        Ok(())
    }

    /// How far it has come, if that has changed since the last call.
    pub(super) fn take_progress(&mut self) -> Option<Progress> {
        let expected = self.session.expected();
        self.moved |= core::mem::replace(&mut self.expected, expected) != expected;
        core::mem::take(&mut self.moved).then(|| self.progress())
    }

    /// How far it has come.
    pub(super) fn progress(&self) -> Progress {
        let expected = self.session.expected();
        Progress {
            command: None,
            tree: self.tree,
            peer: None,
            received: self.counts.entries_received,
            to_receive: self.counts.entries_received.max(expected.receive),
            sent: self.counts.entries_sent,
            to_send: self.counts.entries_sent.max(expected.send),
        }
    }

    /// Whether it would take a frame if there were room over all exchanges.
    pub(super) fn waits_for_room(&self) -> bool {
        self.wants_frame && self.pipeline.has_room()
    }

    /// Bytes between arrival and disk.
    pub(super) const fn held(&self) -> usize {
        self.pipeline.bytes()
    }

    /// What makes the next exchange with this peer cheap, once both sides hold the same.
    pub(super) const fn known(&self) -> Option<Known> {
        self.session.known()
    }

    /// The next entries to write.
    pub(super) fn next_write(&mut self) -> Option<Ingest> {
        self.pipeline.next_write()
    }

    /// Whether frames are being written.
    pub(super) fn is_writing(&self) -> bool {
        self.pipeline.is_writing()
    }

    /// The oldest frames are durable, as far as they were let in; nothing else becomes of them.
    pub(super) fn settled(&mut self, frames: usize, put: &Put) -> Settled {
        let settled = self.pipeline.settled(frames, put);
        if settled.frames > 0 {
            self.counts.entries_received = self.counts.entries_received.saturating_add(settled.stored);
            if settled.stored > 0 {
                self.useful = self.counts.bytes_received;
            }
            self.moved = true;
        }
        settled
    }

    /// The same, and the session goes on.
    pub(super) fn ingested(&mut self, frames: usize, put: &Put, out: &mut Outbox) -> Result<(), Ended> {
        let settled = self.settled(frames, put);
        if settled.frames == 0 {
            return Ok(());
        }
        let refused = put.refused.as_ref().map(|(id, refusal)| (*id, refusal.to_string()));
        let ingested = Ingested {
            stored: settled.stored,
            known: settled.known,
            missing: &settled.missing,
            dropped: settled.dropped,
            refused: refused.as_ref().map(|(id, text)| (*id, text.as_str())),
        };
        self.handle(Input::Ingested(ingested), out)?;
        for _ in 1..settled.frames {
            self.handle(Input::Ingested(Ingested::default()), out)?;
        }
        Ok(())
    }
}
