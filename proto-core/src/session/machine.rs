//! The machine itself: its state, and the dispatch of inputs.

use heapless::Vec;

use crate::{
    Id, Position,
    limits::MAX_MESSAGE,
    storage::{Fingerprint, Measure, Token},
    wire::{Capabilities, Frame, Kind, LIST, PeerLimits, Prefix, Salt, Tips},
};

use super::{
    Answer, CLAIMS, Claim, Config, Expected, Fault, Ingested, Input, Known, Output, Summary, Totals,
    absorb::{Absorb, Density},
    compose::Compose,
    fault::rule,
    moves::Moves,
    run::Run,
    table::{State, Table},
};

/// Ids of missing parents that are remembered; others are found by ranges.
pub(super) const REPAIR: usize = 32;

/// Outputs that one input can cause: the end of something, and the beginning of the next.
const OUTPUTS: usize = 3;

/// Which side of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Initiator,
    Responder,
}

impl Role {
    /// The state of a range in which nothing is left but to send what the peer lacks: a responder says so, an
    /// initiator just does it.
    pub(super) const fn sent(self) -> State {
        match self {
            Self::Initiator => State::Settled,
            Self::Responder => State::Promised,
        }
    }
}

/// What the session waits for, and where it was.
#[expect(clippy::large_enum_variant, reason = "without a heap there is no box; a session has one")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// Initiator: the summary before a request.
    Summary,
    /// Initiator: which of the wanted ids came meanwhile.
    HeldWants,
    /// Writing the ranges of a head.
    Compose(Compose),
    /// The head is being sent.
    HeadSent,
    /// Initiator: the wants are being sent.
    WantsSent,
    /// Entries are being sent.
    Loading(Position),
    /// Responder: the ids of missing parents are being sent.
    MissingSent,
    /// Responder: the summary after storing.
    EndSummary,
    /// The end is being sent.
    EndSent,
    /// The head of the peer's message is awaited.
    Head,
    /// Responder: the summary before reading the ranges.
    HeadSummary { items: usize, start: Position },
    /// Reading ranges.
    Absorb(Absorb),
    /// Initiator: what is to be sent is being counted; how many ranges and entries were.
    Planning { ranges: usize, entries: u64 },
    /// Responder: what the initiator lacks is looked for by walking down from its tips.
    Beside,
    /// Frames behind the head are awaited.
    Rest,
    /// Responder: which of the ids asked for are held; the offset of the next ones.
    Wants(usize),
    /// Initiator: which of the ids that the peer lacks are held.
    Missing,
    /// The peer's last frame came, the end of its message is awaited.
    LastFrame,
    /// The message ended, outcomes of writes are awaited.
    Storing,
    /// Nothing comes any more.
    Done,
}

/// One exchange about one tree. `R` is the number of ranges that it remembers (at least 4), `M` of ranges to be sent
/// (at least 1): smaller tables make more round trips, and end with the same result.
///
/// See the [module](super) for how it is driven. It is made by [`Session::initiator`] or [`Session::responder`]; a
/// responder answers one request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Session<const R: usize, const M: usize> {
    pub(super) config: Config,
    pub(super) role: Role,
    pub(super) step: Step,
    outputs: Vec<Output, OUTPUTS>,
    pub(super) table: Table<R>,
    pub(super) moves: Moves<M>,
    pub(super) run: Run,
    /// What the peer can take.
    pub(super) peer: PeerLimits,
    /// Bytes of the message being written that may still be used.
    pub(super) budget: usize,
    /// Bytes of the message being read.
    received: usize,
    /// Frames of entries on their way into the store.
    pub(super) ingesting: u8,
    /// A [`Output::Receive`] is owed as soon as there is room in the pipeline.
    receive_owed: bool,
    /// The lowest entry that was dropped.
    pub(super) dropped: Option<Position>,
    /// Where the sender of entries stopped for lack of room: I, as a responder; the peer, for an initiator.
    pub(super) until: Option<Position>,
    /// Parents that I lack.
    pub(super) lacking: Vec<Id, REPAIR>,
    /// Initiator: what the peer lacked and is yet to get, and what it got.
    pub(super) repairs: Vec<Id, REPAIR>,
    pub(super) repaired: Vec<(Id, u8), REPAIR>,
    /// A table was too small for the last message: from where everything is open, and below where nothing to be
    /// sent was given up. What lies below is then sent although ranges above it are open.
    pub(super) overflow: Option<(Position, Position)>,
    /// Of the ranges read last.
    pub(super) density: Density,
    /// An entry of the peer's that breaks a rule.
    pub(super) refused: Option<(Id, crate::wire::Rule)>,
    /// The summary asked for last.
    pub(super) summary: Summary,
    /// The peer's tips and count, as it stated them last.
    pub(super) peer_tips: Option<Tips>,
    pub(super) peer_count: u64,
    /// Initiator: what the responder held before it stored what the request brought.
    pub(super) peer_count_before: u64,
    /// Initiator: what it held before the exchange.
    pub(super) count_before: u64,
    /// Initiator: entries sent with the requests before the last.
    sent_before: u64,
    /// What the initiator can do.
    pub(super) capabilities: Capabilities,
    /// The token of the request under way.
    pub(super) token: Option<Token>,
    /// Responder: only what arrived behind this is sent.
    pub(super) since: Option<u64>,
    /// Initiator: the responder's newest arrival, as it stated it last.
    pub(super) peer_token: Option<Token>,
    pub(super) known: Option<Known>,
    pub(super) expected: Expected,
    /// Responder: where the request's ranges begin.
    pub(super) request_start: Position,
    /// Responder: what the request said of the initiator's whole set, if it did.
    pub(super) claims: Vec<Claim, CLAIMS>,
    /// Responder: whether the sets were the same before the request's entries.
    pub(super) same: bool,
    /// One of the two stores may be damaged.
    pub(super) doubts: bool,
    pub(super) totals: Totals,
}

impl<const R: usize, const M: usize> Session<R, M> {
    const ROOMY: () = assert!(R >= 4 && M >= 1, "a session needs 4 ranges and 1 range to send at least");

    pub(super) fn new(config: Config, role: Role) -> Self {
        let () = Self::ROOMY;
        Self {
            config,
            role,
            step: match role {
                Role::Initiator => Step::Summary,
                Role::Responder => Step::Head,
            },
            outputs: Vec::new(),
            table: Table::open(),
            moves: Moves::new(),
            run: Run::first(config.salt),
            peer: config.limits,
            budget: 0,
            received: 0,
            ingesting: 0,
            receive_owed: false,
            dropped: None,
            until: None,
            lacking: Vec::new(),
            repairs: Vec::new(),
            repaired: Vec::new(),
            overflow: None,
            density: Density::default(),
            refused: None,
            summary: Summary::default(),
            peer_tips: None,
            peer_count: 0,
            peer_count_before: 0,
            count_before: 0,
            sent_before: 0,
            capabilities: Capabilities::default(),
            token: None,
            since: None,
            peer_token: None,
            known: None,
            expected: Expected::default(),
            request_start: Position::MIN,
            claims: Vec::new(),
            same: false,
            doubts: false,
            totals: Totals::default(),
        }
    }

    /// What the session wants done next; nothing if it waits for an input.
    pub fn poll(&mut self) -> Option<Output> {
        if self.outputs.is_empty() { None } else { Some(self.outputs.remove(0)) }
    }

    /// What has moved so far.
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// What an initiator expects to move in all, once the first response has told.
    pub const fn expected(&self) -> Expected {
        self.expected
    }

    /// An initiator's, after [`super::Outcome::Equal`]: what makes the next exchange with this peer cheap.
    pub const fn known(&self) -> Option<Known> {
        self.known
    }

    /// Whether this side should look at its store again: the same tips had other counts, or sets that seemed equal
    /// were compared by full ids.
    pub const fn doubts(&self) -> bool {
        self.doubts || self.totals.lost > 0
    }

    /// Takes an input. `incoming` is the peer's frame while one is being read, else empty; `outgoing` the buffer in
    /// which a control frame grows. After an error nothing more comes out of the session.
    pub fn handle(&mut self, input: Input<'_>, incoming: &[u8], outgoing: &mut [u8]) -> Result<(), Fault> {
        let result = self.dispatch(input, incoming, outgoing);
        if result.is_err() {
            self.step = Step::Done;
            self.outputs.clear();
        }
        result
    }

    fn dispatch(&mut self, input: Input<'_>, incoming: &[u8], outgoing: &mut [u8]) -> Result<(), Fault> {
        if let Input::Ingested(outcome) = input {
            return self.ingested(&outcome, outgoing);
        }
        match (core::mem::replace(&mut self.step, Step::Done), input) {
            (Step::Compose(state), Input::Answer(answer)) => self.compose_on(state, answer, outgoing),
            (Step::Absorb(state), Input::Answer(answer)) => self.absorb_on(state, Some(answer), incoming),
            (Step::Head, Input::Frame) => {
                self.account(incoming)?;
                match self.role {
                    Role::Initiator => self.reply_head(incoming),
                    Role::Responder => self.request_head(incoming),
                }
            }
            (Step::Rest, Input::Frame) => {
                self.account(incoming)?;
                self.rest_frame(incoming)
            }
            (Step::LastFrame, Input::End) => {
                self.step = Step::Storing;
                self.stored_all(outgoing)
            }
            (Step::Head | Step::Rest, Input::End) => Err(Fault::CutShort),
            (Step::LastFrame, Input::Frame) => Err(Fault::OutOfPlace),
            (Step::HeadSent, Input::Sent) => self.head_sent(outgoing),
            (Step::WantsSent, Input::Sent) => self.load(outgoing),
            (Step::Loading(end), Input::Loaded(loaded)) => self.loaded(end, loaded, outgoing),
            (Step::EndSent, Input::Sent) => self.end_sent(),
            (Step::MissingSent, Input::Sent) => self.state_tips(),
            (step, Input::Answer(answer)) => self.role_answer(step, answer, incoming, outgoing),
            _ => Err(Fault::Misuse("the input is not one that was asked for")),
        }
    }

    fn role_answer(
        &mut self,
        step: Step,
        answer: Answer<'_>,
        incoming: &[u8],
        outgoing: &mut [u8],
    ) -> Result<(), Fault> {
        match (step, answer) {
            (Step::Summary, Answer::Summary(summary)) => self.decide(summary, outgoing),
            (Step::HeldWants, Answer::Positions(held)) => self.still_lacking(held, outgoing),
            (Step::HeadSummary { items, start }, Answer::Summary(summary)) => {
                self.request_ranges(items, start, summary, incoming)
            }
            (Step::EndSummary, Answer::Summary(summary)) => self.write_response_end(summary, outgoing),
            (Step::Wants(offset), Answer::Positions(held)) => self.wants_held(offset, held, incoming),
            (Step::Missing, Answer::Positions(held)) => self.missing_held(held),
            (Step::Planning { ranges, entries }, Answer::Measures(measures)) => {
                self.planned(ranges, entries, measures)
            }
            (Step::Beside, Answer::Ranges(ranges)) => self.beside(ranges, outgoing),
            _ => Err(Fault::Misuse("the answer is not to the query asked")),
        }
    }

    /// Frames of both directions behind the head.
    fn rest_frame(&mut self, incoming: &[u8]) -> Result<(), Fault> {
        if Kind::of(incoming)? == Kind::Entries {
            // The entries are read once, by the caller; here only their lengths are checked.
            Frame::read(incoming)?;
            self.ingesting = self.ingesting.saturating_add(1);
            self.give(Output::Ingest)?;
            return self.receive_rest();
        }
        match (Frame::read(incoming)?, self.role) {
            (Frame::Wants(ids), Role::Responder) => {
                if ids.is_empty() {
                    self.receive_rest()
                } else {
                    self.ask_wants(0, incoming)
                }
            }
            (Frame::Missing(ids), Role::Initiator) => self.peer_lacks(ids),
            // The responder cannot go on: its disk failed, say. What came before is on its way into the store.
            (Frame::Refusal(refusal), Role::Initiator) => self.refused_by_peer(refusal),
            (Frame::End(end), role) => {
                if role == Role::Initiator {
                    self.until = end.until;
                    self.note_peer_count(end.count);
                    self.peer_token = end.token;
                    if end.tips.is_some() {
                        self.peer_tips = end.tips;
                    }
                }
                self.step = Step::LastFrame;
                self.give(Output::Receive)
            }
            _ => Err(Fault::OutOfPlace),
        }
    }

    /// Initiator: what the responder holds after storing. What was sent has moved only if it was stored; where nothing was
    /// sent, a count that grows says nothing of this side's doing, and whoever claims it could go on for ever.
    fn note_peer_count(&mut self, count: u64) {
        let sent = core::mem::replace(&mut self.sent_before, self.totals.sent) < self.totals.sent;
        let grew = sent && self.totals.rounds > 1 && count > self.peer_count;
        self.run.note(grew);
        if grew {
            self.repaired.clear();
        }
        self.peer_count = count;
    }

    /// Asks for the next frame behind the head, as soon as the pipeline has room.
    pub(super) fn receive_rest(&mut self) -> Result<(), Fault> {
        self.step = Step::Rest;
        if self.ingesting >= self.config.pipeline.max(1) {
            self.receive_owed = true;
            return Ok(());
        }
        self.give(Output::Receive)
    }

    fn ingested(&mut self, outcome: &Ingested<'_>, outgoing: &mut [u8]) -> Result<(), Fault> {
        self.ingesting =
            self.ingesting.checked_sub(1).ok_or(Fault::Misuse("an outcome without a frame of entries"))?;
        self.totals.stored = self.totals.stored.saturating_add(outcome.stored);
        self.totals.known = self.totals.known.saturating_add(outcome.known);
        self.run.note(outcome.stored > 0);
        if let Some(dropped) = outcome.dropped {
            self.dropped = Some(self.dropped.map_or(dropped, |before| before.min(dropped)));
        }
        for id in outcome.missing {
            if !self.lacking.contains(id) && self.lacking.push(*id).is_err() {
                break;
            }
        }
        if let Some((id, broken)) = outcome.refused {
            let broken = rule(broken);
            if self.role == Role::Initiator {
                return Err(Fault::Entry { id, rule: broken });
            }
            self.refused.get_or_insert((id, broken));
        }
        if core::mem::take(&mut self.receive_owed) {
            return self.give(Output::Receive);
        }
        self.stored_all(outgoing)
    }

    /// When the message has ended and all of it is stored, the session goes on.
    fn stored_all(&mut self, outgoing: &mut [u8]) -> Result<(), Fault> {
        if self.step != Step::Storing || self.ingesting > 0 {
            return Ok(());
        }
        match self.role {
            Role::Initiator => self.response_done(),
            Role::Responder => self.request_done(outgoing),
        }
    }

    fn account(&mut self, frame: &[u8]) -> Result<(), Fault> {
        self.received = self.received.saturating_add(frame.len());
        let allowed = usize::try_from(self.config.limits.message).unwrap_or(usize::MAX);
        if self.received > allowed { Err(Fault::TooLong) } else { Ok(()) }
    }

    /// What the peer takes, as it has said in its head.
    pub(super) fn heed_limits(&mut self, limits: PeerLimits) -> Result<(), Fault> {
        self.peer = limits;
        if limits.are_enough() { Ok(()) } else { Err(Fault::Narrow(limits)) }
    }

    /// Begins to read a message.
    pub(super) fn receive_head(&mut self) -> Result<(), Fault> {
        self.received = 0;
        self.step = Step::Head;
        self.give(Output::Receive)
    }

    /// Begins to write a message.
    pub(super) fn begin_message(&mut self) {
        let message = usize::try_from(self.peer.message).unwrap_or(usize::MAX);
        self.budget = message.min(MAX_MESSAGE);
        self.until = None;
    }

    /// Counts bytes of the message being written.
    pub(super) fn charge(&mut self, bytes: usize) {
        self.budget = self.budget.saturating_sub(bytes);
    }

    /// Bytes that a control frame may have.
    pub(super) fn room(&self, outgoing: &[u8]) -> usize {
        let frame = self.peer.both(self.config.limits).frame;
        outgoing.len().min(usize::try_from(frame).unwrap_or(usize::MAX))
    }

    pub(super) fn give(&mut self, output: Output) -> Result<(), Fault> {
        self.outputs.push(output).map_err(|_| Fault::Misuse("outputs were left unpolled"))
    }

    pub(super) fn salt(&self) -> Salt {
        self.run.salt
    }

    pub(super) fn fingerprint(&self, measure: &Measure) -> Fingerprint {
        let fingerprint = self.salt().fingerprint(measure);
        #[cfg(any(test, feature = "fuzzing"))]
        let fingerprint = self.config.bits.fingerprint(fingerprint);
        fingerprint
    }

    pub(super) fn prefix(&self, id: &Id) -> Prefix {
        let prefix = Prefix::new(&self.salt(), id);
        #[cfg(any(test, feature = "fuzzing"))]
        let prefix = self.config.bits.short(prefix);
        prefix
    }

    pub(super) fn prefixes(&self, mine: &[Position]) -> Vec<Prefix, LIST> {
        mine.iter().map(|position| self.prefix(&position.id)).take(LIST).collect()
    }

    /// Which list an answer is to.
    pub(super) fn check(list: impl Iterator<Item = Prefix>) -> u32 {
        let mut hasher = blake3::Hasher::new();
        list.for_each(|prefix| {
            hasher.update(&prefix.0);
        });
        let mut check = [0; 4];
        hasher.finalize_xof().fill(&mut check);
        u32::from_le_bytes(check)
    }
}
