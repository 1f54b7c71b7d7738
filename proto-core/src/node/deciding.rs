//! Access requests at work: one at a time is looked up, written and answered, so that limits hold and nothing that
//! was decided is lost.

use alloc::{boxed::Box, collections::VecDeque};

use crate::{
    Id, PublicKey,
    entry::Permission,
    node::{
        BootstrapRequest, CommandId, ExchangeId, Limits, NodeError, Read, ReadReply, RequestStatus,
        outbox::{Outbox, Waiting},
    },
    storage::{StorageError, Write},
    wire::{AskOutcome, Redemption},
};

/// A decision of a caller: what is granted, or nothing to reject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Decision {
    pub(super) command: CommandId,
    pub(super) request: Id,
    pub(super) by: PublicKey,
    pub(super) granted: Option<Permission>,
}

/// What a peer asks, with the invite that it brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asking {
    pub(super) request: Box<BootstrapRequest>,
    pub(super) invite: Option<Box<Redemption>>,
    /// Milliseconds for which the answer may be kept back while nobody has decided.
    pub(super) hold: u32,
    /// Until when that is, monotonic milliseconds, once its turn has come.
    pub(super) until: Option<u64>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(super) enum Settled {
    Asked(ExchangeId, Result<AskOutcome, StorageError>),
    /// The same, and whoever decides may want to know of the request.
    Requested(ExchangeId, AskOutcome, Box<BootstrapRequest>),
    /// A grant is to be written in the turn of its tree.
    Invited(Box<BootstrapRequest>, Box<Redemption>),
    Decided(CommandId, Result<(), NodeError>),
}

/// What is under way. Peers' requests wait in their exchanges, so that one that is gone costs nothing any more.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    limits: Limits,
    decisions: VecDeque<Decision>,
    flight: Option<Flight>,
}

#[derive(Clone, Debug)]
enum Flight {
    Ask(ExchangeId, Asking),
    /// The grant for the bearer of an invite is read and written.
    Redeem(ExchangeId, Box<BootstrapRequest>),
    /// With the request, if it is a new one.
    Answer(ExchangeId, AskOutcome, Option<Box<BootstrapRequest>>),
    Decide(CommandId, Id),
    Decided(CommandId),
}

impl Requests {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

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
    pub(super) fn ask(&mut self, exchange: ExchangeId, asking: Asking, own: PublicKey, out: &mut Outbox) {
        let Asking { request, invite, .. } = asking.clone();
        out.read_once(
            Waiting::Requests,
            Read::Ask { request, invite, own, most: self.limits.open_requests() },
        );
        self.flight = Some(Flight::Ask(exchange, asking));
    }

    /// The bearer of an invite holds the grant now, or the invite has let nobody in after all: then the request is one
    /// as any other.
    pub(super) fn redeemed(
        &mut self,
        result: Result<Option<Permission>, StorageError>,
        own: PublicKey,
        out: &mut Outbox,
    ) -> Option<Settled> {
        match (self.flight.take()?, result) {
            (Flight::Redeem(exchange, request), Ok(None)) => {
                self.ask(exchange, Asking { request, invite: None, hold: 0, until: None }, own, out);
                None
            }
            (Flight::Redeem(exchange, _), Ok(Some(granted))) => {
                Some(Settled::Asked(exchange, Ok(AskOutcome::Approved(granted))))
            }
            (Flight::Redeem(exchange, _), Err(error)) => Some(Settled::Asked(exchange, Err(error))),
            (flight, _) => {
                self.flight = Some(flight);
                None
            }
        }
    }

    /// The store has looked.
    pub(super) fn found(
        &mut self,
        reply: Result<ReadReply, StorageError>,
        out: &mut Outbox,
    ) -> Option<Settled> {
        match (self.flight.take()?, reply) {
            (Flight::Ask(exchange, asking), Ok(ReadReply::Ask { outcome, change, is_new })) => {
                out.write(Waiting::Requests, Write::Meta(change));
                self.flight = Some(Flight::Answer(exchange, outcome, is_new.then_some(asking.request)));
                None
            }
            (Flight::Ask(exchange, Asking { request, invite: Some(invite), .. }), Ok(ReadReply::Invited)) => {
                self.flight = Some(Flight::Redeem(exchange, request.clone()));
                Some(Settled::Invited(request, invite))
            }
            (Flight::Ask(exchange, _), Err(error)) => Some(Settled::Asked(exchange, Err(error))),
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
            Flight::Answer(exchange, outcome, request) => Some(match (result, request) {
                (Ok(()), Some(request)) => Settled::Requested(exchange, outcome, request),
                (result, _) => Settled::Asked(exchange, result.map(|()| outcome)),
            }),
            Flight::Decided(command) => Some(Settled::Decided(command, result.map_err(NodeError::from))),
            flight => {
                self.flight = Some(flight);
                None
            }
        }
    }
}
