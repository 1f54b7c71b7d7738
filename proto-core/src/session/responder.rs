//! The responder: it answers one request from one snapshot, and keeps nothing for the next.
//!
//! The ranges are read before the request's entries are stored, so that the lists that the initiator answers are still
//! the same; the response is written when all of the request is stored, and states the tips after that.

use crate::{
    Id, Position, Range,
    wire::{CAPABILITIES, End, Frame, Items, Kind, Refusal, Reply, VERSION, Versions, write},
};

use super::{
    Config, Fault, HELD, Outcome, Output, Query, Role, Session, Summary, machine::Step, table::Table,
};

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
        self.peer = hello.limits;
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
        if self.same {
            self.table = Table::settled(start);
            return self.receive_rest();
        }
        self.absorb(items, start, incoming)
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
        let reply = Reply {
            version: VERSION,
            capabilities: CAPABILITIES,
            limits: self.config.limits,
            same: self.same,
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
        let end = End { until: self.until, tips, count: summary.measure.count };
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
