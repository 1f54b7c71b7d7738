//! The exchanges under way: those that this node opened, and those that peers did.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet, VecDeque},
    string::String,
    vec::Vec,
};

use crate::{
    Id, Now, Position, PublicKey,
    budget::Source,
    entry::{Entry, EntryError, VerifiedEntry},
    node::{
        Admission, ExchangeEvent, ExchangeId, Limits, NodeError, Op, ReadReply,
        budgets::{Budgets, Standing},
        deciding::Asking,
        ended::Ended,
        giving::Merge,
        initiator::{Initiator, Purpose, Since},
        outbox::{Asked, Outbox},
        responder::Responder,
    },
    storage::{Put, StorageError},
    wire::{Address, AskOutcome},
};

mod accepting;
mod credit;
mod holds;
mod live;

use credit::{Credit, TOLERANCE};

pub(super) use accepting::Caller;

/// Exchanges that this node has open at once, those aside that wait for news: several trees with several peers.
pub const MAX_OPENED: usize = 64;

/// Exchanges of this node's that wait for news, beside the others: each costs about 256 KiB. Whoever keeps more trees the
/// same with more peers hears of news at the next periodic sync.
pub const MAX_STAYS: usize = 64;

/// Milliseconds without a sign of life from the peer, while it is its turn, after which an exchange ends.
const PATIENCE: u64 = 30_000;

/// Bytes a second that the slowest line carries on which an exchange still ends well: that of a poor mobile
/// connection. What is on its way to the peer adds its time to [`PATIENCE`]; a whole message 512 seconds.
pub(super) const SLOWEST_LINE: u64 = 16 * 1024;

/// Milliseconds that an accepted exchange may rest between two requests.
const REST: u64 = 120_000;

/// All exchanges.
#[derive(Clone, Debug)]
pub(super) struct Exchanges {
    own: PublicKey,
    limits: Limits,
    all: BTreeMap<ExchangeId, Exchange>,
    opened: u64,
    ended: VecDeque<(ExchangeId, Ended)>,
    /// Keys that are neither dialled nor served.
    blocked: BTreeSet<PublicKey>,
    budgets: Budgets,
    /// Bytes between arrival and disk, over all of them.
    held: usize,
    /// Those of strangers among them.
    held_by_strangers: usize,
}

#[derive(Clone, Debug)]
struct Exchange {
    role: Role,
    source: Source,
    /// The key whose places it takes: the node's, or a further one by which that is proven.
    payer: Option<PublicKey>,
    /// What the peer is; those whom this node dialled are no strangers.
    standing: Standing,
    /// Its part of [`Exchanges::held`].
    held: usize,
    /// Operations of the transport under way: only then the peer is waited for.
    operations: usize,
    /// Bytes sent since the peer was heard of last.
    on_the_way: u64,
    /// When something last happened, monotonic milliseconds.
    heard: u64,
    /// How long it is yet put up with.
    credit: Credit,
    /// The transport has let go of it.
    is_closed: bool,
}

#[derive(Clone, Debug)]
enum Role {
    Initiator(Initiator),
    Responder(Responder),
}

/// What becomes of an exchange after an event.
#[derive(Clone, Debug)]
pub(super) enum Next {
    /// It goes on.
    On,
    /// A responder's is over: let go of it.
    Close,
    /// An initiator's is over.
    End(Box<Ended>),
}

impl Exchanges {
    pub(super) fn new(own: PublicKey, limits: Limits) -> Self {
        Self {
            own,
            limits,
            all: BTreeMap::new(),
            opened: 0,
            ended: VecDeque::new(),
            blocked: BTreeSet::new(),
            budgets: Budgets::new(),
            held: 0,
            held_by_strangers: 0,
        }
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ExchangeId> {
        self.all.keys().copied()
    }

    /// Whether entries of a tree may be under way. Where news are waited for, there are none yet: somebody always waits,
    /// where several peers stay in touch.
    pub(super) fn are_about(&self, tree: &Id) -> bool {
        let at_work = self.all.iter().filter(|(_, exchange)| !exchange.role.waits_for_news());
        at_work.into_iter().any(|(id, _)| self.tree(*id) == Some(*tree))
    }

    /// The key that the peer of an exchange has proven.
    pub(super) fn peer(&self, id: ExchangeId) -> Option<PublicKey> {
        match &self.all.get(&id)?.role {
            Role::Initiator(initiator) => initiator.peer(),
            Role::Responder(responder) => responder.proven(),
        }
    }

    /// The tree that an exchange is about.
    pub(super) fn tree(&self, id: ExchangeId) -> Option<Id> {
        match &self.all.get(&id)?.role {
            Role::Initiator(initiator) => initiator.tree(),
            Role::Responder(responder) => responder.tree(),
        }
    }

    /// Opens an exchange.
    pub(super) fn open(
        &mut self,
        purpose: Purpose,
        address: Address,
        since: Since,
        now: Now,
        out: &mut Outbox,
    ) -> Result<ExchangeId, NodeError> {
        if let Some(key) = address.key.filter(|key| self.blocked.contains(key)) {
            return Err(NodeError::Blocked(key));
        }
        let limit = if purpose.stays() { self.limits.stays() } else { self.limits.opened() };
        let alike = |exchange: &&Exchange| match &exchange.role {
            Role::Initiator(initiator) => initiator.stays() == purpose.stays(),
            Role::Responder(_) => false,
        };
        if self.all.values().filter(alike).count() >= limit {
            return Err(NodeError::TooMany(limit));
        }
        self.opened = self.opened.wrapping_add(1);
        let id = ExchangeId::opened(self.opened);
        out.exchange(id, Op::Open(address.clone()));
        let initiator = Initiator::new(id, purpose, address, self.own, since);
        self.insert(id, Role::Initiator(initiator), now, out);
        Ok(id)
    }

    fn insert(&mut self, id: ExchangeId, role: Role, now: Now, out: &mut Outbox) {
        let mut exchange = Exchange {
            role,
            source: Source::default(),
            payer: None,
            standing: Standing::Proven,
            held: 0,
            operations: 0,
            on_the_way: 0,
            heard: now.monotonic,
            credit: Credit::new(now.monotonic),
            is_closed: false,
        };
        exchange.count(&out.take_asked(id));
        self.all.insert(id, exchange);
    }

    /// The transport answers.
    pub(super) fn event(&mut self, id: ExchangeId, event: ExchangeEvent, now: Now, out: &mut Outbox) {
        let put_off = self.charge(id, &event, now);
        let blocked = core::mem::take(&mut self.blocked);
        self.with(id, now, out, |exchange, out| {
            exchange.operations = exchange.operations.saturating_sub(1);
            if matches!(event, ExchangeEvent::Received(_) | ExchangeEvent::End) {
                exchange.on_the_way = 0;
            }
            if let ExchangeEvent::Received(frame) = &event {
                exchange.credit.earn(frame.len() as u64);
            }
            match (&mut exchange.role, put_off) {
                (Role::Initiator(initiator), _) => match &event {
                    ExchangeEvent::Opened { peer: Some(peer) } if blocked.contains(peer) => {
                        initiator.fail(NodeError::Blocked(*peer))
                    }
                    _ => initiator.event(event, out),
                },
                (Role::Responder(responder), None) => responder.event(event, out),
                (Role::Responder(responder), Some(delay)) => responder.put_off(delay, out),
            }
        });
        self.blocked = blocked;
    }

    /// The store answers.
    pub(super) fn read(
        &mut self,
        id: ExchangeId,
        reply: Result<ReadReply, StorageError>,
        now: Now,
        out: &mut Outbox,
    ) {
        match &reply {
            Ok(ReadReply::Admit { admission: Admission::Granted, by, .. }) => {
                out.is_welcome = self.welcome(id, *by, now);
            }
            Ok(ReadReply::Forged) => self.disgrace(id, now),
            _ => {}
        }
        self.with(id, now, out, |exchange, out| match &mut exchange.role {
            Role::Initiator(initiator) => initiator.read(reply, out),
            Role::Responder(responder) => responder.read(reply, out),
        });
        self.judge(id);
        self.bound_holds(id, now, out);
    }

    /// Signatures were checked.
    pub(super) fn verified(
        &mut self,
        id: ExchangeId,
        frame: u64,
        result: Result<Vec<VerifiedEntry>, (Vec<VerifiedEntry>, EntryError)>,
        now: Now,
        out: &mut Outbox,
    ) {
        if result.is_err() {
            self.disgrace(id, now);
        }
        self.with(id, now, out, |exchange, out| match &mut exchange.role {
            Role::Initiator(initiator) => initiator.verified(frame, result),
            Role::Responder(responder) => responder.verified(frame, result, out),
        });
    }

    /// Frames of an exchange were written.
    pub(super) fn ingested(
        &mut self,
        id: ExchangeId,
        frames: usize,
        result: Result<Put, StorageError>,
        now: Now,
        out: &mut Outbox,
    ) {
        self.with(id, now, out, |exchange, out| match &mut exchange.role {
            Role::Initiator(initiator) => initiator.ingested(frames, result, out),
            Role::Responder(responder) => responder.ingested(frames, result, out),
        });
    }

    /// Runs a step of an exchange and draws the conclusions.
    fn with(
        &mut self,
        id: ExchangeId,
        now: Now,
        out: &mut Outbox,
        step: impl FnOnce(&mut Exchange, &mut Outbox) -> Next,
    ) {
        let Some(exchange) = self.all.get_mut(&id) else { return };
        exchange.credit.pass(exchange.is_waited_for(), now.monotonic);
        exchange.heard = now.monotonic;
        let is_stranger = exchange.standing == Standing::Stranger;
        out.has_room = self.held < self.limits.held()
            && !(is_stranger && self.held_by_strangers >= self.limits.held_by_strangers());
        let next = step(exchange, out);
        let asked = out.take_asked(id);
        exchange.count(&asked);
        if exchange.rests() {
            // The next request is another.
            exchange.credit.renew();
        }
        if is_stranger && asked.checks > 0 {
            self.budgets.check(exchange.source, asked.checks, now.monotonic);
        }
        let before = core::mem::replace(&mut exchange.held, exchange.role.held());
        self.held = self.held.saturating_sub(before).saturating_add(exchange.held);
        if is_stranger {
            self.held_by_strangers =
                self.held_by_strangers.saturating_sub(before).saturating_add(exchange.held);
        }
        match next {
            Next::On => {}
            Next::Close => self.close(id, out),
            Next::End(ended) => self.end(id, ended, now, out),
        }
    }

    /// The end of an exchange of this node's, once what it has brought is durable.
    fn end(&mut self, id: ExchangeId, ended: Box<Ended>, now: Now, out: &mut Outbox) {
        let Some(exchange) = self.all.get_mut(&id) else { return };
        let Role::Initiator(initiator) = &mut exchange.role else { return };
        if let Some(ended) = initiator.ends(ended) {
            self.close(id, out);
            self.ended.push_back((id, ended.at(now)));
        } else {
            exchange.let_go(id, out);
        }
    }

    /// Lets go of an exchange, whatever is under way.
    pub(super) fn close(&mut self, id: ExchangeId, out: &mut Outbox) {
        let Some(mut exchange) = self.all.remove(&id) else { return };
        self.held = self.held.saturating_sub(exchange.held);
        if exchange.standing == Standing::Stranger {
            self.held_by_strangers = self.held_by_strangers.saturating_sub(exchange.held);
        }
        exchange.let_go(id, out);
    }

    /// Entries of an exchange that are ready to be written.
    pub(super) fn take_ingest(&mut self) -> Option<(ExchangeId, Id, Vec<VerifiedEntry>)> {
        self.all.iter_mut().find_map(|(id, exchange)| {
            let (tree, entries) = match &mut exchange.role {
                Role::Initiator(initiator) => initiator.next_write(),
                Role::Responder(responder) => responder.next_write(),
            }?;
            Some((*id, tree, entries))
        })
    }

    /// A merge that is to be written for a partial holder: over all of these tips, and this node's. Who has had too many
    /// is told to come again later.
    pub(super) fn take_merge(
        &mut self,
        now: Now,
        out: &mut Outbox,
    ) -> Option<(ExchangeId, Id, Vec<Position>)> {
        loop {
            let (id, Merge { tree, by, tips }) = self.all.iter_mut().find_map(|(id, exchange)| {
                let Role::Responder(responder) = &mut exchange.role else { return None };
                Some((*id, responder.take_merge()?))
            })?;
            match self.budgets.merge(&tree, by.as_ref(), now.monotonic) {
                Ok(()) => return Some((id, tree, tips)),
                Err(delay) => self.with(id, now, out, |exchange, out| match &mut exchange.role {
                    Role::Responder(responder) => responder.put_off(delay, out),
                    Role::Initiator(_) => Next::On,
                }),
            }
        }
    }

    /// The merge is durable, or nothing came of it.
    pub(super) fn merged(&mut self, id: ExchangeId, merge: Option<&Entry>, now: Now, out: &mut Outbox) {
        self.with(id, now, out, |exchange, out| match &mut exchange.role {
            Role::Responder(responder) => responder.merged(merge, out),
            Role::Initiator(_) => Next::On,
        });
    }

    /// A peer's access request whose turn it is, as received now.
    pub(super) fn take_request(&mut self, now: Now) -> Option<(ExchangeId, Asking)> {
        self.all.iter_mut().find_map(|(id, exchange)| match &mut exchange.role {
            Role::Responder(responder) => Some((*id, responder.take_request(now)?)),
            Role::Initiator(_) => None,
        })
    }

    /// What became of a peer's access request is durable, or could not be made so.
    pub(super) fn asked(
        &mut self,
        id: ExchangeId,
        outcome: &Result<AskOutcome, StorageError>,
        now: Now,
        out: &mut Outbox,
    ) {
        self.with(id, now, out, |exchange, out| match &mut exchange.role {
            Role::Responder(responder) => responder.asked(outcome, now.monotonic, out),
            Role::Initiator(_) => Next::On,
        });
        self.bound_holds(id, now, out);
    }

    /// An exchange of this node's that has ended.
    pub(super) fn take_ended(&mut self) -> Option<(ExchangeId, Ended)> {
        self.ended.pop_front()
    }

    /// When the first exchange runs out of patience.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.all.values().filter_map(Exchange::deadline).min()
    }

    /// Ends what has been silent for too long.
    pub(super) fn tick(&mut self, now: Now, out: &mut Outbox) {
        let late = |exchange: &Exchange| exchange.deadline().is_some_and(|at| at <= now.monotonic);
        let silent: Vec<ExchangeId> =
            self.all.iter().filter(|(_, exchange)| late(exchange)).map(|(id, _)| *id).collect();
        for id in silent {
            self.with(id, now, out, |exchange, out| {
                let lasts = exchange.credit.until() > now.monotonic;
                let seconds = if lasts { exchange.patience() } else { TOLERANCE } / 1_000;
                match &mut exchange.role {
                    Role::Initiator(initiator) => initiator.fail(NodeError::TimedOut(seconds)),
                    Role::Responder(responder)
                        if responder.holds().is_some() || responder.awaits().is_some() =>
                    {
                        responder.answer_now(out)
                    }
                    Role::Responder(_) => Next::Close,
                }
            });
        }
    }
}

impl Role {
    fn held(&self) -> usize {
        match self {
            Self::Initiator(initiator) => initiator.held(),
            Self::Responder(responder) => responder.held(),
        }
    }

    /// Whether one side waits until there is news at the other.
    fn waits_for_news(&self) -> bool {
        match self {
            Self::Initiator(initiator) => initiator.waits_for_news(),
            Self::Responder(responder) => responder.holds().is_some(),
        }
    }

    fn waits_for_room(&self) -> bool {
        match self {
            Self::Initiator(initiator) => initiator.waits_for_room(),
            Self::Responder(responder) => responder.waits_for_room(),
        }
    }
}

impl Exchange {
    /// Tells the transport, once, that nothing is wanted of it any more.
    fn let_go(&mut self, id: ExchangeId, out: &mut Outbox) {
        if core::mem::replace(&mut self.is_closed, true) {
            return;
        }
        match &mut self.role {
            Role::Initiator(initiator) => initiator.release(out),
            Role::Responder(responder) => responder.release(out),
        }
        out.exchange(id, Op::Close);
        out.take_asked(id);
        self.operations = 0;
    }

    /// Whether it is a peer's that owes nothing.
    const fn rests(&self) -> bool {
        matches!(&self.role, Role::Responder(responder) if responder.rests())
    }

    /// Whether it is the peer's turn.
    const fn is_waited_for(&self) -> bool {
        self.operations > 0 && !self.rests()
    }

    fn count(&mut self, asked: &Asked) {
        self.credit.earn(asked.bytes);
        self.operations = self.operations.saturating_add(asked.operations);
        self.on_the_way = self.on_the_way.saturating_add(asked.bytes);
    }

    /// Milliseconds after the last event at which the peer is given up.
    const fn patience(&self) -> u64 {
        PATIENCE.saturating_add(self.on_the_way.saturating_mul(1_000) / SLOWEST_LINE)
    }

    fn deadline(&self) -> Option<u64> {
        if let Role::Responder(responder) = &self.role
            && let Some(until) = responder.awaits()
        {
            return Some(until);
        }
        let patience = match &self.role {
            Role::Responder(responder) if responder.rests() => responder.holds().map_or(REST, u64::from),
            _ if self.operations > 0 => {
                let silent = self.heard.saturating_add(self.patience());
                return Some(silent.min(self.credit.until()));
            }
            _ => return None,
        };
        Some(self.heard.saturating_add(patience))
    }
}

/// The text of an error of the transport, bounded.
pub(super) fn bounded(text: String) -> String {
    const MAX: usize = 1_024;
    match text.char_indices().nth(MAX) {
        Some((at, _)) => text.get(..at).unwrap_or_default().into(),
        None => text,
    }
}
