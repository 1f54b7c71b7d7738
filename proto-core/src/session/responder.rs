//! The responder: it answers one request from one snapshot, and keeps nothing for the next.
//!
//! The ranges are read before the request's entries are stored, so that the lists that the initiator answers are still
//! the same; the response is written when all of the request is stored, and states the tips after that.

use crate::{
    Id, Position, Range,
    storage::Token,
    wire::{
        CAPABILITIES, Capabilities, End, Frame, Items, Kind, Refusal, Reply, Tips, VERSION, Versions, write,
    },
};

use super::{
    ARRIVALS, Config, Fault, HELD, Outcome, Output, Query, Role, Session, Summary, claims, machine::Step,
    table::State,
};

/// Entries that are looked for by walking down: beyond it, ranges cost little in comparison.
const WALK: u64 = 16_384;

impl<const R: usize, const M: usize> Session<R, M> {
    /// A session that answers one request. Its first frame is handed in with [`super::Input::Frame`], after the
    /// [`Output::Receive`] with which the session begins.
    pub fn responder(config: Config) -> Self {
        let mut session = Self::new(config, Role::Responder);
        // The queue is empty: there is room.
        let _ = session.give(Output::Receive);
        session
    }

    pub(super) fn request_head(&mut self, incoming: &[u8]) -> Result<(), Fault> {
        let Frame::Sync(hello, items) = Frame::read(incoming)? else { return Err(Fault::OutOfPlace) };
        if hello.versions.agree(Versions::OURS).is_none() {
            return Err(Fault::Incompatible { theirs: hello.versions, ours: Versions::OURS });
        }
        if hello.tree != self.config.tree {
            return Err(Fault::OtherTree);
        }
        let start = hello.start.position().ok_or(Fault::Ranges)?;
        self.heed_limits(hello.limits)?;
        self.capabilities = hello.capabilities;
        self.token = hello.token;
        self.run = super::run::Run::first(hello.salt);
        self.peer_tips = Some(hello.tips);
        self.peer_count = hello.count;
        let items = incoming.len().saturating_sub(items.byte_len());
        self.step = Step::HeadSummary { items, start };
        self.give(Output::Query(Query::Summary))
    }

    pub(super) fn request_ranges(
        &mut self,
        items: usize,
        start: Position,
        summary: Summary,
        incoming: &[u8],
    ) -> Result<(), Fault> {
        self.summary = summary;
        self.same =
            summary.measure.count == self.peer_count && self.peer_tips.as_ref() == Some(&self.own_tips());
        self.request_start = start;
        if self.peer_tips.as_ref() == Some(&self.own_tips()) {
            self.totals.lost = self.peer_count.abs_diff(summary.measure.count);
        }
        if self.same {
            self.table.settle(start);
            return self.receive_rest();
        }
        if let Some(token) = self.token {
            self.serve_token(token, start);
            return self.receive_rest();
        }
        if start == Position::MIN {
            self.claims = claims::read(&Items::trusted(incoming.get(items..).unwrap_or_default()));
        }
        self.absorb(items, start, incoming)
    }

    /// The initiator lacks what arrived since, and nothing else.
    fn serve_token(&mut self, token: Token, start: Position) {
        self.table.settle(start);
        let newest = self.summary.arrival;
        match newest.number.checked_sub(token.number) {
            Some(0) if token.epoch == newest.epoch => {}
            Some(1..=ARRIVALS) if token.epoch == newest.epoch => {
                self.since = Some(token.number);
                self.send(Range { start, end: Position::END });
                self.table.push(Position::END, State::Promised);
            }
            _ => self.table.push(Position::END, State::Open),
        }
    }

    /// Whether the initiator may hold a part of what I hold and nothing else, though ranges could not tell yet: then
    /// the entries that it lacks, how many.
    fn may_be_behind(&self) -> Option<u64> {
        let entries = self.totals.stored.saturating_add(self.totals.known);
        let first = self.request_start == Position::MIN && entries == 0 && self.token.is_none();
        let walks = CAPABILITIES.has(Capabilities::WALKS) && self.capabilities.has(Capabilities::WALKS);
        let blocked = self.table.first_blocking().is_some();
        let lacks = self.summary.measure.count.checked_sub(self.peer_count)?;
        let other = self.peer_tips.as_ref() != Some(&self.own_tips());
        (first && walks && blocked && other && (1..=WALK).contains(&lacks)).then_some(lacks)
    }

    pub(super) fn beside(&mut self, ranges: &[Range], outgoing: &mut [u8]) -> Result<(), Fault> {
        if !ranges.is_empty() && ranges.len() <= M {
            self.moves.clear();
            self.table.settle(self.request_start);
            self.table.push(Position::END, State::Promised);
            for range in ranges {
                self.send(*range);
            }
            self.reopen_lost();
        }
        self.reply(outgoing)
    }

    /// Looks up the next ids that the initiator asks for.
    pub(super) fn ask_wants(&mut self, offset: usize, incoming: &[u8]) -> Result<(), Fault> {
        let items = Items::<Id>::trusted(incoming.get(1..).unwrap_or_default());
        let ids: heapless::Vec<Id, HELD> = items.iter_from(offset).take(HELD).collect();
        if ids.is_empty() {
            return self.receive_rest();
        }
        self.step = Step::Wants(offset.saturating_add(ids.len().saturating_mul(32)));
        self.give(Output::Query(Query::Held(ids)))
    }

    pub(super) fn wants_held(
        &mut self,
        offset: usize,
        held: &[Position],
        incoming: &[u8],
    ) -> Result<(), Fault> {
        for position in held {
            self.send(Range { start: *position, end: position.next() });
        }
        self.reopen_lost();
        self.ask_wants(offset, incoming)
    }

    /// The request is read and stored: the head of the response.
    pub(super) fn request_done(&mut self, outgoing: &mut [u8]) -> Result<(), Fault> {
        self.begin_message();
        let room = self.room(outgoing);
        let room = outgoing.get_mut(..room).unwrap_or_default();
        if let Some((id, rule)) = self.refused.take() {
            let refusal = Refusal::Refused { id, rule: rule.clone() };
            let used = write(Kind::Refusal, &refusal, core::iter::empty::<()>(), room);
            let used = used.ok_or(Fault::Misuse("the outgoing buffer is too small for a refusal"))?;
            self.refused = Some((id, rule));
            self.step = Step::EndSent;
            return self.give(Output::Send(used));
        }
        match (self.may_be_behind(), &self.peer_tips) {
            (Some(count), Some(Tips::Named(tips))) if !tips.is_empty() => {
                let (tips, claims) = (tips.clone(), self.claims.clone());
                self.step = Step::Beside;
                self.give(Output::Query(Query::Beside { tips, claims, salt: self.salt(), count, limit: M }))
            }
            _ => self.reply(outgoing),
        }
    }

    fn reply(&mut self, outgoing: &mut [u8]) -> Result<(), Fault> {
        let room = self.room(outgoing);
        let room = outgoing.get_mut(..room).unwrap_or_default();
        let reply = Reply {
            version: VERSION,
            capabilities: CAPABILITIES,
            limits: self.config.limits,
            same: self.same,
            count: self.summary.measure.count,
        };
        let used = write(Kind::Reply, &reply, core::iter::empty::<()>(), room);
        let used = used.ok_or(Fault::Misuse("the outgoing buffer is too small for a head"))?;
        self.compose(used, self.request_start, outgoing)
    }

    pub(super) fn send_missing(&mut self, outgoing: &mut [u8]) -> Result<(), Fault> {
        if self.lacking.is_empty() {
            return self.state_tips();
        }
        let room = self.room(outgoing);
        let room = outgoing.get_mut(..room).unwrap_or_default();
        match write(Kind::Missing, &(), self.lacking.iter(), room) {
            Some(used) => {
                self.step = Step::MissingSent;
                self.give(Output::Send(used))
            }
            None => self.state_tips(),
        }
    }

    /// The tips are those after storing.
    pub(super) fn state_tips(&mut self) -> Result<(), Fault> {
        self.step = Step::EndSummary;
        self.give(Output::Renew)?;
        self.give(Output::Query(Query::Summary))
    }

    pub(super) fn write_response_end(&mut self, summary: Summary, outgoing: &mut [u8]) -> Result<(), Fault> {
        self.summary = summary;
        let tips = Some(self.own_tips()).filter(|tips| self.peer_tips.as_ref() != Some(tips));
        let token = self.capabilities.has(Capabilities::TOKENS).then_some(summary.arrival);
        let end = End { until: self.until, tips, count: summary.measure.count, token };
        self.send_end(&end, outgoing)
    }

    /// What ends a responder's session.
    pub(super) fn answered(&mut self) -> Outcome {
        match self.refused.take() {
            Some((id, rule)) => Outcome::RefusedEntry { id, rule },
            None => Outcome::Answered(self.totals),
        }
    }
}
