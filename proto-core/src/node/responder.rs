//! An exchange that a peer opened: requests that are answered one after the other.

use alloc::{boxed::Box, vec, vec::Vec};

use crate::{
    Id, PublicKey,
    entry::{Entry, EntryError, VerifiedEntry},
    limits::{MAX_BATCH_BYTES, MAX_FRAME},
    node::{
        Arrival, ExchangeEvent, ExchangeId, Op, Read, ReadReply, Rights,
        budgets::STRANGER_FRAME,
        deciding::Asking,
        exchanges::{Caller, Next},
        giving::{self, Giving, Merge},
        outbox::{Outbox, Waiting},
        pipeline::MAX_FRAMES,
        read::Admission,
        talk::{self, Talk},
        writes::FLIP_DELAY,
    },
    session::{Config, Fault, rule},
    storage::{Put, StorageError},
    wire::{
        Frame, KeyProof, Kind, PeerLimits, Refusal, Salt, Tips, TreeLine, TreesReply, VERSION, Versions,
        write,
    },
};

mod asking;
mod charged;
mod showing;
mod waiting;

use showing::Keys;

/// Bytes of a refusal at most.
const REFUSAL: usize = 256;

/// Milliseconds for which an answer is kept back at most: below the time after which proxies give an answer up.
const MAX_HOLD: u32 = 25_000;

/// Bytes in a request that arrives as a whole: a batch, so that a cut costs no more than that.
#[expect(clippy::cast_possible_truncation, reason = "it lies far below 2^32")]
const MAX_WHOLE: u32 = MAX_BATCH_BYTES as u32;

/// Bytes in a frame of a stranger.
#[expect(clippy::cast_possible_truncation, reason = "it lies far below 2^32")]
const STRANGER_LIMIT: u32 = STRANGER_FRAME as u32;

/// An exchange that a peer opened. Between requests it knows nothing but who the peer is.
#[derive(Clone, Debug)]
pub(super) struct Responder {
    id: ExchangeId,
    proven: Option<PublicKey>,
    arrival: Arrival,
    /// When the peer signed what it brings, by its own clock, where that matters.
    signed: Option<u64>,
    /// The key is blocked: it is answered as if nothing were here.
    blocked: bool,
    own: PublicKey,
    /// Further keys, for the request under way.
    keys: Keys,
    /// What the store said about the peer and a tree, until the node has drawn its conclusions.
    told: Option<(Id, Admission)>,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    /// No request is under way.
    Resting,
    /// A request began with proofs of further keys: until the transport has said what these should be bound to.
    Showing(Vec<KeyProof>),
    /// The request itself is to come.
    Introduced,
    /// The first frame waits until the store has said whether the peer may read the tree.
    Admitting {
        tree: Id,
        frame: Vec<u8>,
        /// Milliseconds for which the answer may be kept back; none once there was news.
        hold: u32,
    },
    /// The peer holds the same and hears when that is over.
    Holding {
        tree: Id,
        frame: Vec<u8>,
        hold: u32,
    },
    Talking(Box<Talk>),
    /// A partial holder asks.
    Giving(Box<Giving>),
    /// The store looks for what the peer may read.
    Listing,
    /// An access request waits for its turn.
    Asking(Asking),
    /// An access request is looked up and written.
    Asked(Asking),
    /// Nobody has decided about an access request, and the peer hears when somebody has.
    Awaiting(Asking),
    /// The answer is on its way.
    Finishing(Then),
    /// A request of one frame is answered; its end is still to come.
    Draining,
}

/// What follows an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// The exchange ends.
    Close,
    /// The request was read to its end: the next may come.
    Rest,
    /// The request was answered at its first frame.
    Drain,
}

impl Responder {
    pub(super) fn new(
        id: ExchangeId,
        Caller { proven, arrival, signed, .. }: Caller,
        blocked: bool,
        own: PublicKey,
        out: &mut Outbox,
    ) -> Self {
        out.exchange(id, Op::Receive);
        let keys = Keys::default();
        Self { id, proven, arrival, signed, blocked, own, keys, told: None, phase: Phase::Resting }
    }

    pub(super) const fn proven(&self) -> Option<PublicKey> {
        self.proven
    }

    pub(super) fn tree(&self) -> Option<Id> {
        match &self.phase {
            Phase::Admitting { tree, .. } | Phase::Holding { tree, .. } => Some(*tree),
            Phase::Talking(talk) => Some(talk.tree()),
            Phase::Giving(giving) => Some(giving.tree()),
            _ => None,
        }
    }

    /// Whether the peer owes nothing.
    pub(super) const fn rests(&self) -> bool {
        matches!(self.phase, Phase::Resting | Phase::Holding { .. } | Phase::Awaiting(_))
    }

    pub(super) fn release(&mut self, out: &mut Outbox) {
        if let Phase::Talking(talk) = &mut self.phase {
            talk.end(out);
            let counts = core::mem::take(&mut talk.counts);
            if counts.moved() {
                out.served((talk.tree(), self.proven, counts));
            }
        }
    }

    pub(super) fn event(&mut self, event: ExchangeEvent, out: &mut Outbox) -> Next {
        match (event, &mut self.phase) {
            (ExchangeEvent::Received(frame), Phase::Resting | Phase::Introduced) => self.request(frame, out),
            (ExchangeEvent::Bound(binding), Phase::Showing(_)) => self.bound(binding, out),
            (ExchangeEvent::Received(frame), Phase::Talking(talk)) => {
                let result = talk.received(frame, out);
                self.conclude(result, out)
            }
            (ExchangeEvent::Received(frame), Phase::Giving(giving)) => {
                let result = giving.received(&frame, out);
                self.given(result, out)
            }
            (ExchangeEvent::End, Phase::Giving(giving)) => {
                let result = giving.ended(out);
                self.given(result, out)
            }
            (ExchangeEvent::End, Phase::Talking(talk)) => {
                let result = talk.ended(out);
                self.conclude(result, out)
            }
            (ExchangeEvent::Sent, Phase::Talking(talk)) => {
                let result = talk.sent(out);
                self.conclude(result, out)
            }
            (ExchangeEvent::Finished, Phase::Finishing(Then::Rest))
            | (ExchangeEvent::End, Phase::Draining) => {
                (self.phase, self.keys) = (Phase::Resting, Keys::default());
                out.exchange(self.id, Op::Receive);
                Next::On
            }
            (ExchangeEvent::Finished, Phase::Finishing(Then::Drain)) => {
                self.phase = Phase::Draining;
                out.exchange(self.id, Op::Receive);
                Next::On
            }
            // An empty request is the end as well, and what follows a request of one frame is none of it.
            (ExchangeEvent::End, Phase::Resting | Phase::Introduced)
            | (ExchangeEvent::Received(_), Phase::Draining)
            | (ExchangeEvent::Finished, Phase::Finishing(Then::Close))
            | (ExchangeEvent::Closed | ExchangeEvent::Failed(_), _) => Next::Close,
            _ => Next::On,
        }
    }

    /// The first frame of a request.
    fn request(&mut self, bytes: Vec<u8>, out: &mut Outbox) -> Next {
        match Frame::read(&bytes) {
            Ok(Frame::Sync(hello, _)) => {
                self.hear_of_keys(&hello);
                let (tree, hold) = (hello.tree, hello.hold.min(MAX_HOLD));
                // Who is nobody keeps no place.
                let tips = (hold > 0 && self.proven.is_some()).then_some((hello.tips, hold));
                self.admit(tree, bytes, tips, out);
            }
            Ok(Frame::Have(have, _)) => {
                let tree = have.tree;
                self.admit(tree, bytes, None, out);
            }
            Ok(Frame::Trees(request)) if request.versions.agree(Versions::OURS).is_some() => {
                let shown = self.showing(None);
                let read = Read::Trees { proven: self.proven, shown, after: request.after };
                out.read_once(Waiting::Exchange(self.id), read);
                self.phase = Phase::Listing;
            }
            Ok(Frame::Trees(request)) => {
                let fault = Fault::Incompatible { theirs: request.versions, ours: Versions::OURS };
                self.refuse(&fault.reply(), out);
            }
            Ok(Frame::Keys(proofs)) if !self.keys.are_claimed() => {
                return self.show(proofs.iter().collect(), out);
            }
            // Access is asked for by the node key.
            Ok(Frame::Ask(ask, metadata)) if !self.keys.are_claimed() => self.ask(&ask, metadata, out),
            Ok(_) => self.refuse(&Fault::OutOfPlace.reply(), out),
            Err(error) => self.refuse(&Fault::Frame(error).reply(), out),
        }
        Next::On
    }

    fn admit(&mut self, tree: Id, frame: Vec<u8>, hold: Option<(Tips, u32)>, out: &mut Outbox) {
        let (tips, hold) = hold.map_or((None, 0), |(tips, hold)| (Some(Box::new(tips)), hold));
        let shown = self.showing(Some(tree));
        let read = Read::Admit { tree: self.seen_as(tree), proven: self.proven, shown, tips };
        out.read_once(Waiting::Exchange(self.id), read);
        self.phase = Phase::Admitting { tree, frame, hold };
    }

    /// To a key that is blocked every tree is one that nobody holds, with the look-ups of such a tree.
    const fn seen_as(&self, tree: Id) -> Id {
        if self.blocked { Id::MIN } else { tree }
    }

    /// Answers with a refusal; nothing more is read of the request.
    fn refuse(&mut self, refusal: &Refusal, out: &mut Outbox) {
        self.release(out);
        let mut room = [0; REFUSAL];
        let length = write(Kind::Refusal, refusal, core::iter::empty::<()>(), &mut room).unwrap_or(0);
        out.exchange(self.id, Op::Send(room.get(..length).unwrap_or_default().into()));
        self.finish(Then::Close, out);
    }

    fn finish(&mut self, then: Then, out: &mut Outbox) {
        out.exchange(self.id, Op::Finish);
        self.phase = Phase::Finishing(then);
    }

    pub(super) fn read(&mut self, reply: Result<ReadReply, StorageError>, out: &mut Outbox) -> Next {
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                let flips = error == StorageError::Flipping;
                let busy = Refusal::Busy { delay: FLIP_DELAY };
                self.refuse(if flips { &busy } else { &Refusal::Failed }, out);
                return Next::On;
            }
        };
        match (&mut self.phase, reply) {
            // Whoever cannot prove what it says learns nothing.
            (Phase::Admitting { .. } | Phase::Listing, ReadReply::Forged) => {
                self.refuse(&Refusal::Unknown, out);
                Next::On
            }
            (
                Phase::Admitting { tree, frame, hold },
                ReadReply::Admit { admission, by, may_write, same, .. },
            ) => {
                self.keys.shown = core::mem::take(&mut self.keys.shown).checked();
                let (tree, frame, hold) = (*tree, core::mem::take(frame), *hold);
                if matches!(admission, Admission::Granted | Admission::Public) && same && hold > 0 {
                    self.told = Some((tree, admission));
                    self.phase = Phase::Holding { tree, frame, hold };
                    return Next::On;
                }
                self.admitted(Rights { admission, may_write, by }, tree, frame, out)
            }
            (Phase::Listing, ReadReply::Trees { lines, more }) => {
                if self.blocked {
                    self.list(&[], false, out);
                } else {
                    self.list(&lines, more, out);
                }
                Next::On
            }
            (Phase::Giving(giving), ReadReply::Difference(difference)) => {
                let result = giving.found(difference, out);
                self.given(result, out)
            }
            (Phase::Talking(talk), reply) => {
                let result = talk.answer(reply, out);
                self.conclude(result, out)
            }
            _ => Next::On,
        }
    }

    fn admitted(&mut self, rights: Rights, tree: Id, frame: Vec<u8>, out: &mut Outbox) -> Next {
        let admission = rights.admission;
        self.told = Some((tree, admission));
        if admission == Admission::Granted && out.is_welcome {
            // Before anything else is received.
            out.vouch(self.id);
        }
        if !admission.may_read() {
            self.refuse(&Refusal::Unknown, out);
            return Next::On;
        }
        if let Some(key) = self.proven {
            out.met(key);
        }
        let limits = self.limits(admission);
        if let Ok(Frame::Have(have, ids)) = Frame::read(&frame) {
            let said = (have, ids.iter().collect());
            return match Giving::new(self.id, self.own, (rights, limits), said, out) {
                Ok(giving) => {
                    self.phase = Phase::Giving(Box::new(giving));
                    Next::On
                }
                Err(refusal) => self.given(Err(refusal), out),
            };
        }
        // The salt is the initiator's; a responder takes it from the request.
        let mut config = Config::host(tree, Salt::default());
        config.pipeline = MAX_FRAMES;
        config.limits = limits;
        let mut talk = Talk::responder(self.id, config, self.proves(tree));
        // The session asks for the frame that is here already.
        let result = talk.begin(frame, out);
        self.phase = Phase::Talking(Box::new(talk));
        self.conclude(result, out)
    }

    /// What a request may have of somebody who is admitted so, whichever kind of request it is.
    const fn limits(&self, admission: Admission) -> PeerLimits {
        let mut limits = PeerLimits::HOST;
        if matches!(self.arrival, Arrival::Whole) {
            limits.message = MAX_WHOLE;
        }
        if matches!(admission, Admission::Public) {
            // What else it sends is looked at by the transport before the node can say that it may.
            limits.frame = STRANGER_LIMIT;
        }
        limits
    }

    fn list(&mut self, lines: &[TreeLine], more: bool, out: &mut Outbox) {
        let mut room = vec![0; MAX_FRAME];
        let reply = TreesReply { version: VERSION, more };
        let length = write(Kind::TreeList, &reply, lines, &mut room).unwrap_or(0);
        out.exchange(self.id, Op::Send(room.get(..length).unwrap_or_default().into()));
        self.finish(Then::Drain, out);
    }

    pub(super) fn verified(
        &mut self,
        frame: u64,
        result: Result<Vec<VerifiedEntry>, (Vec<VerifiedEntry>, EntryError)>,
        out: &mut Outbox,
    ) -> Next {
        match &mut self.phase {
            Phase::Talking(talk) => {
                let result = talk.verified(frame, result);
                self.conclude(result, out)
            }
            Phase::Giving(giving) => {
                let result = giving.verified(frame, result);
                self.given(result, out)
            }
            _ => Next::On,
        }
    }

    pub(super) fn next_write(&mut self) -> Option<(Id, talk::Ingest)> {
        match &mut self.phase {
            Phase::Talking(talk) => Some((talk.tree(), talk.next_write()?)),
            Phase::Giving(giving) => Some((giving.tree(), giving.next_write()?)),
            _ => None,
        }
    }

    pub(super) fn ingested(
        &mut self,
        frames: usize,
        result: Result<Put, StorageError>,
        out: &mut Outbox,
    ) -> Next {
        if !matches!(self.phase, Phase::Talking(_) | Phase::Giving(_)) {
            return Next::On;
        }
        let Ok(put) = result else {
            self.refuse(&Refusal::Failed, out);
            return Next::On;
        };
        match &mut self.phase {
            Phase::Talking(talk) => {
                let result = talk.ingested(frames, &put, out);
                self.conclude(result, out)
            }
            Phase::Giving(giving) => {
                let result = giving.ingested(frames, &put, out);
                self.given(result, out)
            }
            _ => Next::On,
        }
    }

    /// A merge that is to be written for a partial holder.
    pub(super) fn take_merge(&mut self) -> Option<Merge> {
        let Phase::Giving(giving) = &mut self.phase else { return None };
        giving.take_merge()
    }

    /// The merge is durable, or nothing came of it.
    pub(super) fn merged(&mut self, merge: Option<&Entry>, out: &mut Outbox) -> Next {
        let Phase::Giving(giving) = &mut self.phase else { return Next::On };
        let result = giving.merged(merge, out);
        self.given(result, out)
    }

    fn given(&mut self, result: giving::Stepped, out: &mut Outbox) -> Next {
        match result {
            Ok(giving::Next::On) => {}
            Ok(giving::Next::Answered) => self.finish(Then::Rest, out),
            Err(refusal) => self.refuse(&refusal, out),
        }
        Next::On
    }

    fn conclude(&mut self, result: Result<(), talk::Ended>, out: &mut Outbox) -> Next {
        match result {
            Ok(()) => {}
            Err(talk::Ended::Session(_)) => {
                // The session has finished its message itself.
                self.release(out);
                self.phase = Phase::Finishing(Then::Rest);
            }
            Err(talk::Ended::Fault(fault)) => self.refuse(&fault.reply(), out),
            Err(talk::Ended::BadEntry(error)) => {
                self.refuse(&Refusal::Malformed { rule: rule(error) }, out);
            }
            Err(talk::Ended::MayNotUpload) => self.refuse(&Refusal::Unknown, out),
        }
        Next::On
    }
}
