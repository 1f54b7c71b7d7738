//! An exchange that this node opened.

use alloc::{boxed::Box, format, string::ToString, vec, vec::Vec};

use crate::{
    Id, PublicKey, Shown,
    entry::{EntryError, VerifiedEntry},
    limits::MAX_MESSAGE,
    node::{
        CommandId, Counts, ExchangeEvent, ExchangeId, FurtherKeys, NodeError, Notification, Op, Progress,
        Read, ReadReply, TreeInfo,
        ended::Ended,
        exchanges::{Next, bounded},
        fetches::Standing,
        known,
        outbox::{Outbox, Waiting},
        pipeline::MAX_FRAMES,
        read::Admission,
        talk::{self, Talk},
        writes::FLIP_DELAY,
    },
    session::{Blame, Config, Fault, Known, Outcome},
    storage::{Put, StorageError, Write},
    wire::{
        Address, Ask, AskOutcome, Capabilities, Frame, Kind, Refusal, Salt, TreesRequest, Versions, write,
    },
};

mod showing;

use showing::{FALSE_PROOF, PeerKeys};

/// Bytes of a request for trees at most.
const TREES_REQUEST: usize = 64;

/// Bytes of an access request at most, but for its metadata.
const ASK_HEAD: usize = 512;

/// Bytes in a message to or from a peer: proofs of further keys may stand in front of it.
#[expect(clippy::cast_possible_truncation, reason = "it lies far below 2^32")]
const MESSAGE: u32 = (MAX_MESSAGE - 4_096) as u32;

/// Trees that one discovery collects at most.
const MAX_TREES: usize = 65_536;

/// What a peer does whose list of trees cannot be gone through.
const NO_LIST: &str = "its list of databases does not ascend";

/// What an exchange is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A caller wants a tree to be the same.
    Sync { command: CommandId, tree: Id, salt: Salt },
    /// A tracked tree.
    Track { tree: Id, peer: PublicKey, salt: Salt },
    /// A caller wants to know what the peer offers.
    Discover { command: CommandId },
    /// A caller asks for access.
    Ask { command: CommandId, ask: Box<(Ask, Vec<u8>)> },
    /// The peer of a tracked tree has refused: the background asks for access.
    Apply { peer: PublicKey, ask: Box<(Ask, Vec<u8>)> },
    /// A caller wants to know who is there.
    Connect { command: CommandId },
    /// The background wants to hear of news of a tracked tree that is the same at both.
    Stay { tree: Id, peer: PublicKey, salt: Salt },
}

/// Milliseconds for which the answer is kept back to whoever waits for news: well below the patience of this node, and
/// the time limits of proxies.
pub(super) const HOLD: u32 = 20_000;

impl Purpose {
    pub(super) const fn command(&self) -> Option<CommandId> {
        match self {
            Self::Sync { command, .. }
            | Self::Discover { command }
            | Self::Ask { command, .. }
            | Self::Connect { command } => Some(*command),
            Self::Track { .. } | Self::Apply { .. } | Self::Stay { .. } => None,
        }
    }

    pub(super) const fn stays(&self) -> bool {
        matches!(self, Self::Stay { .. })
    }
}

/// An exchange that this node opened.
#[derive(Clone, Debug)]
pub(super) struct Initiator {
    id: ExchangeId,
    own: PublicKey,
    purpose: Purpose,
    /// Where the peer is, and who is expected there.
    address: Address,
    peer: Option<PublicKey>,
    /// The peer has said something, by which it has proven its key over any transport.
    answered: bool,
    phase: Phase,
    /// Further keys of the peer that are to be looked at.
    keys: PeerKeys,
    /// What the metadata says about the tree and this peer.
    known: Option<Known>,
    /// Nothing of the tree was held when it began.
    from_nothing: bool,
    since: Since,
    /// How it has ended, while what it brought last is being written.
    ending: Option<Box<Ended>>,
}

/// What was before an exchange of what it is for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Since {
    /// When that began, monotonic milliseconds.
    pub(super) began: u64,
    /// What was moved with others that were lost.
    pub(super) moved: Counts,
}

#[derive(Clone, Debug)]
enum Phase {
    /// Until the transport has reached the peer.
    Opening,
    /// Until the store has said whether the tree is held and the peer may read it.
    Admitting,
    Talking(Box<Talk>),
    /// Collecting what the peer offers.
    Listing {
        trees: Vec<TreeInfo>,
        /// Whether there are more; nothing until the answer under way has said so.
        more: Option<bool>,
    },
    /// Until the peer has said what became of the access request.
    Asking(Option<AskOutcome>),
}

impl Initiator {
    pub(super) const fn new(
        id: ExchangeId,
        purpose: Purpose,
        address: Address,
        own: PublicKey,
        since: Since,
    ) -> Self {
        Self {
            id,
            own,
            purpose,
            address,
            peer: None,
            answered: false,
            phase: Phase::Opening,
            keys: PeerKeys::NotAsked,
            known: None,
            from_nothing: false,
            since,
            ending: None,
        }
    }

    /// Whom it is with, or is to be with.
    pub(super) fn expected(&self) -> Option<PublicKey> {
        self.peer.or(self.address.key)
    }

    /// Whether the peer has said something.
    pub(super) const fn is_answered(&self) -> bool {
        self.answered
    }

    /// Its end, unless what it has brought last is being written: whoever goes on with it is to find that.
    pub(super) fn ends(&mut self, ended: Box<Ended>) -> Option<Box<Ended>> {
        if ended.error().is_none() || !self.talk().is_some_and(Talk::is_writing) {
            return Some(ended);
        }
        self.ending.get_or_insert(ended);
        None
    }

    /// Whether it has ended but for what is being written.
    pub(super) const fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// How it stands as a first sync.
    pub(super) fn standing(&self) -> Standing {
        let (bytes, moved) = self.talk().map(|talk| (talk.useful, talk.counts)).unwrap_or_default();
        let (answered, from_nothing) = (self.answered, self.from_nothing);
        Standing { answered, from_nothing, bytes, peer: self.peer, moved }
    }

    /// What was before it of what it is for.
    pub(super) const fn since(&self) -> &Since {
        &self.since
    }

    /// How far it is, with what was moved before it.
    pub(super) fn progress(&self) -> Option<Progress> {
        self.talk().map(|talk| self.in_all(talk.progress()))
    }

    fn in_all(&self, progress: Progress) -> Progress {
        let Counts { entries_received, entries_sent, .. } = self.since.moved;
        Progress {
            command: self.purpose.command(),
            peer: self.peer,
            received: progress.received.saturating_add(entries_received),
            to_receive: progress.to_receive.saturating_add(entries_received),
            sent: progress.sent.saturating_add(entries_sent),
            to_send: progress.to_send.saturating_add(entries_sent),
            ..progress
        }
    }

    /// Whether it waits for news.
    pub(super) const fn stays(&self) -> bool {
        self.purpose.stays()
    }

    /// Whether it does so at this moment: nothing has come.
    pub(super) fn waits_for_news(&self) -> bool {
        self.stays() && self.talk().is_none_or(|talk| talk.counts.bytes_received == 0)
    }

    /// Whether it is about access.
    pub(super) const fn asks(&self) -> bool {
        matches!(self.purpose, Purpose::Ask { .. } | Purpose::Apply { .. })
    }

    /// The session at work, once there is one.
    pub(super) fn talk(&self) -> Option<&Talk> {
        match &self.phase {
            Phase::Talking(talk) => Some(talk),
            _ => None,
        }
    }

    pub(super) const fn peer(&self) -> Option<PublicKey> {
        self.peer
    }

    pub(super) const fn tree(&self) -> Option<Id> {
        match self.purpose {
            Purpose::Sync { tree, .. } | Purpose::Track { tree, .. } | Purpose::Stay { tree, .. } => {
                Some(tree)
            }
            Purpose::Discover { .. }
            | Purpose::Ask { .. }
            | Purpose::Apply { .. }
            | Purpose::Connect { .. } => None,
        }
    }

    pub(super) fn release(&mut self, out: &mut Outbox) {
        if let Phase::Talking(talk) = &mut self.phase {
            talk.end(out);
        }
    }

    /// Bytes between arrival and disk.
    pub(super) fn held(&self) -> usize {
        if let Phase::Talking(talk) = &self.phase { talk.held() } else { 0 }
    }

    /// Whether it would take a frame if there were room over all exchanges.
    pub(super) fn waits_for_room(&self) -> bool {
        matches!(&self.phase, Phase::Talking(talk) if talk.waits_for_room()) && !self.is_ending()
    }

    /// There is room for another frame.
    pub(super) fn resume(&mut self, out: &mut Outbox) -> Next {
        let Phase::Talking(talk) = &mut self.phase else { return Next::On };
        let result = talk.drive(out);
        self.conclude(result, out)
    }

    pub(super) fn fail(&self, error: NodeError) -> Next {
        let moved = self.talk().map(|talk| talk.counts).unwrap_or_default();
        Next::End(Box::new(Ended::failed(self.purpose.clone(), error).with(self.peer, moved)))
    }

    fn misbehaved(&self, how: &str) -> Next {
        self.fail(NodeError::Misbehaved(how.into()))
    }

    pub(super) fn event(&mut self, event: ExchangeEvent, out: &mut Outbox) -> Next {
        if self.is_ending() {
            return Next::On;
        }
        // Who waits for news is silent for long, and was in touch just before.
        let opened = self.stays() && matches!(event, ExchangeEvent::Opened { .. });
        self.answered |= opened || matches!(event, ExchangeEvent::Received(_));
        match event {
            ExchangeEvent::Opened { peer } => self.opened(peer, out),
            ExchangeEvent::Failed(text) => self.fail(NodeError::Transport(bounded(text))),
            ExchangeEvent::Closed => {
                self.fail(NodeError::Transport("the peer closed the connection: try again".into()))
            }
            ExchangeEvent::Received(frame) => match &mut self.phase {
                Phase::Talking(_) if self.keys.are_welcome(&frame) => self.shown(&frame, out),
                Phase::Talking(talk) => {
                    self.keys.are_late();
                    let result = talk.received(frame, out);
                    self.conclude(result, out)
                }
                Phase::Listing { .. } => self.listed(&frame, out),
                Phase::Asking(None) => self.asked(&frame, out),
                _ => self.misbehaved("it sent a frame before it was asked"),
            },
            ExchangeEvent::End => match &mut self.phase {
                Phase::Talking(talk) => {
                    self.keys.ask_again();
                    let result = talk.ended(out);
                    self.conclude(result, out)
                }
                Phase::Listing { trees, more: Some(more) } => {
                    let (trees, more) = (core::mem::take(trees), *more);
                    self.listing_ended(trees, more, out)
                }
                Phase::Asking(Some(outcome)) => {
                    let (purpose, address) = (self.purpose.clone(), self.address.clone());
                    Next::End(Box::new(Ended::asked(purpose, *outcome, address)))
                }
                _ => self.misbehaved("it ended a message before it began one"),
            },
            ExchangeEvent::Sent => match &mut self.phase {
                Phase::Talking(talk) => {
                    let result = talk.sent(out);
                    self.conclude(result, out)
                }
                _ => Next::On,
            },
            ExchangeEvent::Bound(binding) => self.bound(binding, out),
            ExchangeEvent::Finished => Next::On,
        }
    }

    fn opened(&mut self, peer: Option<PublicKey>, out: &mut Outbox) -> Next {
        if peer == Some(self.own) {
            return self.fail(NodeError::OwnAddress);
        }
        self.peer = peer;
        match &self.purpose {
            Purpose::Sync { tree, .. } | Purpose::Track { tree, .. } | Purpose::Stay { tree, .. } => {
                let read = Read::Admit { tree: *tree, proven: peer, shown: FurtherKeys::Nothing, tips: None };
                out.read_once(Waiting::Exchange(self.id), read);
                self.phase = Phase::Admitting;
            }
            Purpose::Discover { .. } | Purpose::Connect { .. } => {
                self.phase = Phase::Listing { trees: Vec::new(), more: None };
                self.ask_for_trees(None, out);
            }
            Purpose::Ask { ask, .. } | Purpose::Apply { ask, .. } => {
                let (ask, metadata) = &**ask;
                let mut room = vec![0; ASK_HEAD.saturating_add(metadata.len())];
                let length = write(Kind::Ask, ask, metadata.iter().copied(), &mut room).unwrap_or(0);
                self.send(room.get(..length).unwrap_or_default(), out);
                self.phase = Phase::Asking(None);
            }
        }
        Next::On
    }

    fn admitted(&mut self, admission: Admission, known: Option<Known>, out: &mut Outbox) -> Next {
        let (Purpose::Sync { tree, salt, .. }
        | Purpose::Track { tree, salt, .. }
        | Purpose::Stay { tree, salt, .. }) = self.purpose
        else {
            return Next::On;
        };
        // Who may not read it gets nothing of it, but may give. What is not held yet is fetched.
        let mut config = Config::host(tree, salt);
        config.limits.message = MESSAGE;
        if admission == Admission::Denied {
            // A further key of the peer may be one that may.
            self.keys = PeerKeys::Awaited;
            config.capabilities = config.capabilities.with(Capabilities::ASKS_KEYS);
        }
        config.pipeline = MAX_FRAMES;
        config.known = known;
        config.hold = if self.stays() { HOLD } else { 0 };
        self.known = known;
        self.from_nothing = admission == Admission::Unknown;
        let proves = self.proves(Some(tree));
        let mut talk = Talk::initiator(self.id, config, self.peer, proves);
        let result = talk.drive(out);
        self.phase = Phase::Talking(Box::new(talk));
        self.conclude(result, out)
    }

    pub(super) fn read(&mut self, reply: Result<ReadReply, StorageError>, out: &mut Outbox) -> Next {
        if self.is_ending() {
            return Next::On;
        }
        let reply = match reply {
            Ok(reply) => reply,
            Err(StorageError::Flipping) => return self.fail(NodeError::Busy(u64::from(FLIP_DELAY))),
            Err(error) => return self.fail(error.into()),
        };
        match (&mut self.phase, reply) {
            (Phase::Admitting, ReadReply::Admit { admission, known, .. }) => {
                self.admitted(admission, known, out)
            }
            (Phase::Talking(_), ReadReply::Forged) => self.misbehaved(FALSE_PROOF),
            (Phase::Talking(talk), ReadReply::Admit { admission, .. }) if talk.asks_for_reader() => {
                let result = talk.judged(admission, out);
                self.conclude(result, out)
            }
            (Phase::Talking(talk), ReadReply::Admit { admission, .. }) => {
                let shown = self.keys.take();
                if admission.may_read() {
                    talk.heed(shown);
                }
                out.exchange(self.id, Op::Receive);
                Next::On
            }
            (Phase::Talking(talk), reply) => {
                let result = talk.answer(reply, out);
                self.conclude(result, out)
            }
            _ => Next::On,
        }
    }

    pub(super) fn verified(
        &mut self,
        frame: u64,
        result: Result<Vec<VerifiedEntry>, (Vec<VerifiedEntry>, EntryError)>,
    ) -> Next {
        match &mut self.phase {
            Phase::Talking(talk) if self.ending.is_none() => match talk.verified(frame, result) {
                Ok(()) => Next::On,
                Err(ended) => self.over(ended),
            },
            _ => Next::On,
        }
    }

    pub(super) fn next_write(&mut self) -> Option<(Id, talk::Ingest)> {
        let Phase::Talking(talk) = &mut self.phase else { return None };
        if self.ending.is_some() {
            return None;
        }
        Some((talk.tree(), talk.next_write()?))
    }

    pub(super) fn ingested(
        &mut self,
        frames: usize,
        result: Result<Put, StorageError>,
        out: &mut Outbox,
    ) -> Next {
        let Phase::Talking(talk) = &mut self.phase else { return Next::On };
        match result {
            Ok(put) if self.ending.is_some() => {
                talk.settled(frames, &put);
                self.end_now()
            }
            Ok(put) => {
                let result = talk.ingested(frames, &put, out);
                self.conclude(result, out)
            }
            Err(error) => {
                talk.settled(frames, &Put::default());
                if self.ending.is_some() { self.end_now() } else { self.fail(error.into()) }
            }
        }
    }

    /// The end that waited for what was being written, unless more of it is.
    fn end_now(&mut self) -> Next {
        let Phase::Talking(talk) = &self.phase else { return Next::On };
        if talk.is_writing() {
            return Next::On;
        }
        let (peer, moved) = (self.peer, talk.counts);
        self.ending.take().map_or(Next::On, |ended| Next::End(Box::new(ended.with(peer, moved))))
    }

    fn conclude(&mut self, result: Result<(), talk::Ended>, out: &mut Outbox) -> Next {
        if let Phase::Talking(talk) = &mut self.phase
            && let Some(progress) = talk.take_progress()
        {
            out.notify(Notification::Progress(self.in_all(progress)));
        }
        match result {
            Ok(()) => Next::On,
            Err(ended) => {
                self.remember(out);
                self.over(ended)
            }
        }
    }

    /// Both sides hold the same: the next exchange needs no ranges if only the peer has news.
    fn remember(&mut self, out: &mut Outbox) {
        let (Phase::Talking(talk), Some(peer)) = (&self.phase, self.peer) else { return };
        if let Some(known) = talk.known()
            && self.known.replace(known) != Some(known)
        {
            let change = (known::place(&talk.tree(), &peer), Some(known::write(&known)));
            out.write(Waiting::Nobody, Write::Meta([change].into()));
        }
    }

    fn over(&mut self, ended: talk::Ended) -> Next {
        let (tree, counts) = match &self.phase {
            Phase::Talking(talk) => (talk.tree(), talk.counts),
            _ => (Id::MIN, Counts::default()),
        };
        let error = match ended {
            talk::Ended::Session(outcome) => match *outcome {
                Outcome::Equal(_) => {
                    let purpose = self.purpose.clone();
                    let with = (self.peer, self.address.clone());
                    return Next::End(Box::new(Ended::synced(purpose, tree, with, counts, self.since.began)));
                }
                Outcome::Refused(refusal) => refused(tree, refusal),
                _ => NodeError::StillDiffers(tree),
            },
            talk::Ended::Fault(fault) => faulted(&fault),
            talk::Ended::BadEntry(error) => NodeError::BadEntry(error),
            talk::Ended::MayNotUpload => NodeError::PeerMayNotRead(tree),
        };
        self.fail(error)
    }

    fn ask_for_trees(&self, after: Option<Id>, out: &mut Outbox) {
        let mut room = [0; TREES_REQUEST];
        let request = TreesRequest { versions: Versions::OURS, after };
        let length = write(Kind::Trees, &request, core::iter::empty::<()>(), &mut room).unwrap_or(0);
        // Whoever only wants to know who is there shows no key.
        if let (Purpose::Discover { .. }, Some(target)) = (&self.purpose, self.proves(None)) {
            out.prove(self.id, target);
        }
        self.send(room.get(..length).unwrap_or_default(), out);
    }

    /// Sends a request of one frame, and waits for the answer.
    fn send(&self, frame: &[u8], out: &mut Outbox) {
        out.exchange(self.id, Op::Send(frame.into()));
        out.exchange(self.id, Op::Finish);
        out.exchange(self.id, Op::Receive);
    }

    fn asked(&mut self, frame: &[u8], out: &mut Outbox) -> Next {
        let (Purpose::Ask { ask, .. } | Purpose::Apply { ask, .. }) = &self.purpose else { return Next::On };
        match Frame::read(frame) {
            Ok(Frame::Asked(asked)) => {
                self.phase = Phase::Asking(Some(asked.outcome));
                out.exchange(self.id, Op::Receive);
                Next::On
            }
            Ok(Frame::Refusal(refusal)) => self.fail(refused(ask.0.tree, refusal)),
            Ok(_) => self.misbehaved("it answered something else than was asked"),
            Err(error) => self.misbehaved(&error.to_string()),
        }
    }

    fn listed(&mut self, frame: &[u8], out: &mut Outbox) -> Next {
        let Phase::Listing { trees, more } = &mut self.phase else { return Next::On };
        match Frame::read(frame) {
            Ok(Frame::TreeList(reply, lines)) if more.is_none() => {
                *more = Some(reply.more);
                // Whatever does not ascend, or promises more and brings nothing, would be asked for without end.
                if lines.is_empty() && reply.more {
                    return self.misbehaved(NO_LIST);
                }
                for line in &lines {
                    if trees.last().is_some_and(|last| last.id >= line.tree) {
                        return self.misbehaved(NO_LIST);
                    }
                    let (name, entries) = (line.name.as_str().into(), line.count);
                    trees.push(TreeInfo { id: line.tree, name, entries, changed: line.changed });
                }
                if trees.len() > MAX_TREES {
                    return self.misbehaved("it offers more databases than anybody holds");
                }
                out.exchange(self.id, Op::Receive);
                Next::On
            }
            Ok(Frame::Refusal(refusal)) => self.fail(refused(Id::MIN, refusal)),
            Ok(_) => self.misbehaved("it answered something else than was asked"),
            Err(error) => self.misbehaved(&error.to_string()),
        }
    }

    fn listing_ended(&mut self, trees: Vec<TreeInfo>, more: bool, out: &mut Outbox) -> Next {
        if let (Purpose::Connect { .. }, Some(peer)) = (&self.purpose, self.peer) {
            return Next::End(Box::new(Ended::connected(self.purpose.clone(), peer)));
        }
        match trees.last() {
            Some(last) if more => {
                self.ask_for_trees(Some(last.id), out);
                self.phase = Phase::Listing { trees, more: None };
                Next::On
            }
            _ => Next::End(Box::new(Ended::trees(self.purpose.clone(), trees))),
        }
    }
}

/// What a refusal means for the caller.
fn refused(tree: Id, refusal: Refusal) -> NodeError {
    match refusal {
        Refusal::Unknown => NodeError::NotOffered(tree),
        Refusal::Busy { delay } => NodeError::Busy(u64::from(delay)),
        Refusal::Incompatible { versions, .. } if versions.agree(Versions::OURS).is_some() => {
            NodeError::Incompatible("it needs larger frames or messages than this program takes".into())
        }
        Refusal::Incompatible { versions, .. } => NodeError::Incompatible(format!(
            "it speaks versions {} to {}, this program {} to {}: update the older of the two",
            versions.oldest,
            versions.newest,
            Versions::OURS.oldest,
            Versions::OURS.newest
        )),
        Refusal::Refused { id, rule } => NodeError::PeerRefused(format!("{id}: {}", Shown(&rule))),
        Refusal::Malformed { rule } => NodeError::PeerRefused(Shown(&rule).to_string()),
        Refusal::Failed => NodeError::PeerFailed,
        Refusal::Partial => NodeError::PeerRefused("it is a partial holder: ask a full node".into()),
        Refusal::NoAdvance => NodeError::PeerRefused("it answered as if to a partial holder".into()),
    }
}

fn faulted(fault: &Fault) -> NodeError {
    match fault.blame() {
        Blame::Peer => NodeError::Misbehaved(fault.to_string()),
        Blame::Line => NodeError::Transport(fault.to_string()),
        Blame::Incompatible => NodeError::Incompatible(fault.to_string()),
        Blame::Caller => NodeError::Bug(fault.to_string()),
    }
}
