//! Access requests at work: one at a time is looked up, written and answered, so that limits hold and nothing that
//! was decided is lost.

use alloc::{boxed::Box, collections::VecDeque};

use crate::{
    Id, PublicKey,
    entry::Permission,
    node::{
        BootstrapRequest, CommandId, ExchangeId, NodeError, Read, ReadReply, RequestStatus,
        outbox::{Outbox, Waiting},
    },
    storage::{StorageError, Write},
    wire::AskOutcome,
};

/// A decision of a caller: what is granted, or nothing to reject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Decision {
    pub(super) command: CommandId,
    pub(super) request: Id,
    pub(super) by: PublicKey,
    pub(super) granted: Option<Permission>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(super) enum Settled {
    Asked(ExchangeId, Result<AskOutcome, StorageError>),
    Decided(CommandId, Result<(), NodeError>),
}

/// What is under way. Peers' requests wait in their exchanges, so that one that is gone costs nothing any more.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    decisions: VecDeque<Decision>,
    flight: Option<Flight>,
}

#[derive(Clone, Debug)]
enum Flight {
    Ask(ExchangeId),
    Answer(ExchangeId, AskOutcome),
    Decide(CommandId, Id),
    Decided(CommandId),
}

impl Requests {
    /// A caller decides; that goes before what peers ask.
    pub(super) fn decide(&mut self, decision: Decision) {
        self.decisions.push_back(decision);
    }

    /// Starts what is next, if nothing is under way. Says whether a peer's request may be started now.
    pub(super) fn is_free(&mut self, wall: u64, out: &mut Outbox) -> bool {
        if self.flight.is_some() {
            return false;
        }
        let Some(Decision { command, request, by, granted }) = self.decisions.pop_front() else {
            return true;
        };
        let status = match granted {
            Some(permission) => RequestStatus::Approved { by, at: wall, permission },
            None => RequestStatus::Rejected { by, at: wall },
        };
        out.read_once(Waiting::Requests, Read::Decide { request, status });
        self.flight = Some(Flight::Decide(command, request));
        false
    }

    /// A peer asks.
    pub(super) fn ask(
        &mut self,
        exchange: ExchangeId,
        request: Box<BootstrapRequest>,
        own: PublicKey,
        out: &mut Outbox,
    ) {
        out.read_once(Waiting::Requests, Read::Ask { request, own });
        self.flight = Some(Flight::Ask(exchange));
    }

    /// The store has looked.
    pub(super) fn found(
        &mut self,
        reply: Result<ReadReply, StorageError>,
        out: &mut Outbox,
    ) -> Option<Settled> {
        match (self.flight.take()?, reply) {
            (Flight::Ask(exchange), Ok(ReadReply::Ask(outcome, change))) => {
                out.write(Waiting::Requests, Write::Meta(change));
                self.flight = Some(Flight::Answer(exchange, outcome));
                None
            }
            (Flight::Ask(exchange), Err(error)) => Some(Settled::Asked(exchange, Err(error))),
            (Flight::Decide(command, _), Ok(ReadReply::Decide(Some(change)))) => {
                out.write(Waiting::Requests, Write::Meta(change));
                self.flight = Some(Flight::Decided(command));
                None
            }
            (Flight::Decide(command, id), Ok(ReadReply::Decide(None))) => {
                Some(Settled::Decided(command, Err(NodeError::NoRequest(id))))
            }
            (Flight::Decide(command, _), Err(error)) => Some(Settled::Decided(command, Err(error.into()))),
            (flight, _) => {
                self.flight = Some(flight);
                None
            }
        }
    }

    /// The store has written.
    pub(super) fn written(&mut self, result: Result<(), StorageError>) -> Option<Settled> {
        match self.flight.take()? {
            Flight::Answer(exchange, outcome) => Some(Settled::Asked(exchange, result.map(|()| outcome))),
            Flight::Decided(command) => Some(Settled::Decided(command, result.map_err(NodeError::from))),
            flight => {
                self.flight = Some(flight);
                None
            }
        }
    }
}
