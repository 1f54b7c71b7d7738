//! The initiator: it remembers what is open, asks until nothing is, pushes, and compares the tips.
//!
//! # Why it ends
//!
//! A request speaks of all open ranges, the lowest first. For each the response says one of three things: it is
//! settled (the floor rises, or the range is closed), it is split into at least two parts of which those that agree
//! close, or what differs comes along (up to a bound, which then is where the rest begins). So each round trip raises
//! the floor, shrinks the lowest open range, or moves entries; [`super::run::Run::gets_on`] ends an exchange with a peer
//! that does none of it, run by run. What moves is finite unless the sets grow, and then the bound on requests ends it.

use crate::{
    Id, Position, Range,
    storage::Measure,
    wire::{Floor, Frame, Hello, Items, Kind, Refusal, Tips, Versions, write},
};

use super::{
    BATCH, Config, Expected, Fault, HELD, Known, Outcome, Output, Query, Role, Session, Summary,
    machine::Step, run::Pace,
};

/// How often an id may be reported as missing after it was sent: it may lack parents itself, and these again.
const REPEATS: u8 = 8;

impl<const R: usize, const M: usize> Session<R, M> {
    /// A session that opens an exchange.
    pub fn initiator(config: Config) -> Self {
        let mut session = Self::new(config, Role::Initiator);
        // The queue is empty: there is room.
        let _ = session.give(Output::Query(Query::Summary));
        session
    }

    /// With a fresh summary: are we done, and if not, what is the next request?
    pub(super) fn decide(&mut self, summary: Summary, outgoing: &mut [u8]) -> Result<(), Fault> {
        self.summary = summary;
        if self.totals.rounds == 0 {
            self.count_before = summary.measure.count;
            // While nothing has arrived here since both sides held the same, only the peer can have news.
            self.token =
                self.config.known.filter(|known| known.mine == summary.arrival).map(|known| known.theirs);
        } else if self.peer_tips == Some(self.own_tips()) {
            let lost = self.peer_count.abs_diff(summary.measure.count);
            if lost == 0 {
                self.known = self.peer_token.map(|theirs| Known { theirs, mine: summary.arrival });
                self.step = Step::Done;
                return self.give(Output::Done(Outcome::Equal(self.totals)));
            }
            self.totals.lost = self.totals.lost.max(lost);
        }
        if self.totals.rounds >= self.config.rounds {
            self.step = Step::Done;
            return self.give(Output::Done(Outcome::Unequal(self.totals)));
        }
        if self.table.is_settled() && self.moves.is_empty() && self.totals.rounds > 0 {
            return self.next_run(outgoing);
        }
        self.request_wants(outgoing)
    }

    /// All ranges agree, the tips do not.
    fn next_run(&mut self, outgoing: &mut [u8]) -> Result<(), Fault> {
        if self.run.begins() {
            // There was a token, and no range was compared yet.
            self.table.open_all();
            return self.request(outgoing);
        }
        let Some(run) = self.run.next() else {
            self.step = Step::Done;
            return self.give(Output::Done(Outcome::Unequal(self.totals)));
        };
        self.doubts |= run.is_exact();
        self.run = run;
        self.table.open_all();
        self.request_wants(outgoing)
    }

    /// A request that asks for parents by name, where ranges did not find them: those that are still missing.
    fn request_wants(&mut self, outgoing: &mut [u8]) -> Result<(), Fault> {
        if self.lacking.is_empty() || !self.asks_for_parents() {
            return self.request(outgoing);
        }
        self.step = Step::HeldWants;
        self.give(Output::Query(Query::Held(self.lacking.iter().copied().take(HELD).collect())))
    }

    /// Parents usually come by themselves, with lower ranges.
    const fn asks_for_parents(&self) -> bool {
        self.token.is_none() && (self.run.begins() || self.run.idles())
    }

    pub(super) fn still_lacking(&mut self, held: &[Position], outgoing: &mut [u8]) -> Result<(), Fault> {
        self.lacking.retain(|id| !held.iter().any(|position| position.id == *id));
        self.request(outgoing)
    }

    fn request(&mut self, outgoing: &mut [u8]) -> Result<(), Fault> {
        self.begin_message();
        self.totals.rounds = self.totals.rounds.saturating_add(1);
        let begins = self.run.begins() && self.token.is_none();
        let start = if begins { Position::MIN } else { self.table.start };
        let hello = Hello {
            versions: Versions::OURS,
            capabilities: self.config.capabilities,
            limits: self.config.limits,
            tree: self.config.tree,
            salt: self.salt(),
            tips: self.own_tips(),
            count: self.summary.measure.count,
            token: self.token,
            start: Floor::new(&start),
            hold: if self.totals.rounds == 1 { self.config.hold } else { 0 },
        };
        self.peer_tips = Some(hello.tips.clone());
        let room = self.room(outgoing);
        let room = outgoing.get_mut(..room).unwrap_or_default();
        let used = write(Kind::Sync, &hello, core::iter::empty::<()>(), room);
        let used = used.ok_or(Fault::Misuse("the outgoing buffer is too small for a head"))?;
        if self.token.is_some() {
            return self.send_head(used);
        }
        self.compose(used, start, outgoing)
    }

    pub(super) fn own_tips(&self) -> Tips {
        let first = self.summary.first_tips;
        let held: heapless::Vec<Position, { crate::wire::NAMED_TIPS }> =
            first.iter().flatten().copied().collect();
        Tips::of(&self.summary.tips, &held)
    }

    /// The head is on its way: wants follow, then entries.
    pub(super) fn head_sent(&mut self, outgoing: &mut [u8]) -> Result<(), Fault> {
        if self.role == Role::Initiator {
            let asks = self.asks_for_parents();
            if self.token.is_none() {
                self.run.request();
            }
            if asks && !self.lacking.is_empty() {
                let room = self.room(outgoing);
                let room = outgoing.get_mut(..room).unwrap_or_default();
                let used = write(Kind::Wants, &(), self.lacking.iter(), room);
                self.lacking.clear();
                if let Some(used) = used {
                    self.charge(used);
                    self.step = Step::WantsSent;
                    return self.give(Output::Send(used));
                }
            }
        }
        self.load(outgoing)
    }

    pub(super) fn refused_by_peer(&mut self, refusal: Refusal) -> Result<(), Fault> {
        self.step = Step::Done;
        self.give(Output::Done(Outcome::Refused(refusal)))
    }

    pub(super) fn reply_head(&mut self, incoming: &[u8]) -> Result<(), Fault> {
        match Frame::read(incoming)? {
            Frame::Refusal(refusal) => self.refused_by_peer(refusal),
            Frame::Reply(reply, items) => {
                if reply.version != crate::wire::VERSION {
                    let theirs = Versions { oldest: reply.version, newest: reply.version };
                    return Err(Fault::Incompatible { theirs, ours: Versions::OURS });
                }
                self.heed_limits(reply.limits)?;
                self.overflow = None;
                let offset = incoming.len().saturating_sub(items.byte_len());
                let began = self.run.began() && self.token.is_none();
                let start = if began { Position::MIN } else { self.table.start };
                self.peer_count_before = reply.count;
                self.absorb(offset, start, incoming)
            }
            _ => Err(Fault::OutOfPlace),
        }
    }

    /// Counts what is to be sent, some ranges at a time.
    pub(super) fn plan(&mut self, ranges: usize, entries: u64) -> Result<(), Fault> {
        let next: heapless::Vec<Range, BATCH> = self.moves.iter().skip(ranges).take(BATCH).copied().collect();
        if next.is_empty() {
            // What both will hold: what the responder did, and what it gets. It lacks all that is to be sent.
            let all = self.peer_count_before.saturating_add(entries);
            self.expected = Expected {
                receive: all.saturating_sub(self.count_before),
                send: self.totals.sent.saturating_add(entries),
            };
            return self.receive_rest();
        }
        self.step = Step::Planning { ranges: ranges.saturating_add(next.len()), entries };
        self.give(Output::Query(Query::Measure(next)))
    }

    pub(super) fn planned(&mut self, ranges: usize, entries: u64, measures: &[Measure]) -> Result<(), Fault> {
        let more = measures.iter().fold(entries, |sum, measure| sum.saturating_add(measure.count));
        self.plan(ranges, more)
    }

    /// The responder lacks parents of what it got: it gets them.
    pub(super) fn peer_lacks(&mut self, ids: Items<'_, Id>) -> Result<(), Fault> {
        let mut wanted = heapless::Vec::new();
        for id in ids.iter().take(self.repairs.capacity()) {
            if self.repaired.iter().any(|(repaired, times)| *repaired == id && *times >= REPEATS) {
                return Err(Fault::MissingAgain(id));
            }
            let _ = wanted.push(id);
        }
        if wanted.is_empty() {
            return self.receive_rest();
        }
        self.step = Step::Missing;
        self.give(Output::Query(Query::Held(wanted)))
    }

    pub(super) fn missing_held(&mut self, held: &[Position]) -> Result<(), Fault> {
        for position in held {
            let range = Range { start: *position, end: position.next() };
            if self.moves.add(range).is_some() {
                // What found no room is found by the next run.
                break;
            }
            if !self.repairs.contains(&position.id) {
                let _ = self.repairs.push(position.id);
            }
        }
        self.receive_rest()
    }

    /// The response is read and stored.
    pub(super) fn response_done(&mut self) -> Result<(), Fault> {
        let bound = [self.until, self.dropped].into_iter().flatten().min();
        self.table.promises_kept(bound);
        if bound.is_none() {
            // What the token stood for has come, or the responder does not know it.
            self.token = None;
        }
        let lowest = self.table.lowest().map(|(start, row)| (start, row.end));
        match self.run.gets_on(lowest) {
            Pace::On => {}
            Pace::GiveUp => {
                self.table.settle(self.table.start);
                self.token = None;
            }
            Pace::Stalled => return Err(Fault::Stalled),
        }
        self.until = None;
        self.step = Step::Summary;
        // What is to be sent was found in this snapshot: in a newer one, what just came lies between.
        if self.moves.is_empty() || self.run.idles() {
            self.give(Output::Renew)?;
        }
        self.give(Output::Query(Query::Summary))
    }
}
