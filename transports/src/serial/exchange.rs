//! One exchange: messages in turn, in a session of a line.

use std::{
    sync::Arc,
    task::{Context as Task, Poll, ready},
};

use pleach_core::{PublicKey, wire::Binding};

use super::{Dial, End, port::Port};
use crate::{Exchange, Received, TransportError, budget::Budget};

enum State {
    /// Waits for its turn on the line.
    Dialled(Box<Dial>),
    /// The greeting is under way.
    Greeting(Arc<Port>),
    Open {
        port: Arc<Port>,
        session: u64,
        peer: PublicKey,
    },
    Over,
}

pub(super) struct SerialExchange {
    state: State,
    initiator: bool,
    /// Frames of this side's message are on their way, and its end is not.
    unfinished: bool,
    /// The peer owes a message, or the rest of one.
    owed: bool,
    /// This side's message so far.
    sent: Budget,
}

impl SerialExchange {
    pub(super) fn dialled(dial: Dial) -> Self {
        Self::new(State::Dialled(Box::new(dial)), true)
    }

    pub(super) fn accepted(port: Arc<Port>, session: u64, peer: PublicKey) -> Self {
        Self::new(State::Open { port, session, peer }, false)
    }

    fn new(state: State, initiator: bool) -> Self {
        Self { state, initiator, unfinished: false, owed: false, sent: Budget::default() }
    }

    fn poll_turn(&mut self, task: &mut Task<'_>) -> Poll<Result<(), TransportError>> {
        let State::Dialled(dial) = &self.state else { return Poll::Ready(Ok(())) };
        let place = &dial.address.address;
        let turn = ready!(dial.turns.poll_take(place, task));
        let unreachable = |error: std::io::Error| TransportError::Unreachable {
            address: dial.address.to_string(),
            reason: error.to_string(),
        };
        let line = dial.settings.lines.open(place, End::Dialler).map_err(unreachable)?;
        let (expected, frame) = (dial.address.key, dial.settings.frame);
        let port = Port::dialler(line, &dial.context, expected, frame, turn).map_err(unreachable)?;
        self.state = State::Greeting(port);
        Poll::Ready(Ok(()))
    }

    fn port(&self) -> Result<(&Arc<Port>, u64), TransportError> {
        match &self.state {
            State::Open { port, session, .. } => Ok((port, *session)),
            _ => Err(TransportError::Misuse("the exchange is not open, or over after an error")),
        }
    }

    /// Lets go of the line: its other end is told.
    fn leave(&mut self) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Greeting(port) => port.leave(0, true, true),
            State::Open { port, session, .. } => port.leave(session, self.unfinished, self.initiator),
            State::Dialled(_) | State::Over => {}
        }
    }
}

impl Exchange for SerialExchange {
    fn peer(&self) -> Option<PublicKey> {
        match &self.state {
            State::Open { peer, .. } => Some(*peer),
            _ => None,
        }
    }

    fn binding(&self) -> Option<Binding> {
        let (port, session) = self.port().ok()?;
        port.binding(session)
    }

    fn poll_open(&mut self, task: &mut Task<'_>) -> Poll<Result<(), TransportError>> {
        let turn = ready!(self.poll_turn(task));
        if let Err(error) = turn {
            self.leave();
            return Poll::Ready(Err(error));
        }
        let State::Greeting(port) = &self.state else { return Poll::Ready(self.port().map(drop)) };
        let port = Arc::clone(port);
        match ready!(port.poll_opened(task)) {
            Ok((session, peer)) => {
                self.state = State::Open { port, session, peer };
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                self.leave();
                Poll::Ready(Err(error))
            }
        }
    }

    fn poll_send(&mut self, task: &mut Task<'_>, frame: &[u8]) -> Poll<Result<(), TransportError>> {
        let (port, session) = self.port()?;
        let mut sent = self.sent;
        sent.charge(frame.len())?;
        ready!(port.poll_send(task, session, Some(frame)))?;
        self.sent = sent;
        self.unfinished = true;
        Poll::Ready(Ok(()))
    }

    fn poll_finish(&mut self, task: &mut Task<'_>) -> Poll<Result<(), TransportError>> {
        let (port, session) = self.port()?;
        ready!(port.poll_send(task, session, None))?;
        self.sent = Budget::default();
        self.unfinished = false;
        self.owed = self.initiator;
        Poll::Ready(Ok(()))
    }

    fn poll_receive(&mut self, task: &mut Task<'_>) -> Poll<Result<Received, TransportError>> {
        let (port, session) = self.port()?;
        let received = match ready!(port.poll_receive(task, session)) {
            Ok(Received::Closed) if self.owed => {
                Err(TransportError::Cut("the peer let go in the middle of a message".into()))
            }
            other => other,
        };
        match &received {
            Ok(Received::Frame(_)) => self.owed = true,
            Ok(Received::End) => self.owed = false,
            Ok(Received::Closed) => {}
            Err(_) => self.leave(),
        }
        Poll::Ready(received)
    }
}

impl Drop for SerialExchange {
    fn drop(&mut self) {
        self.leave();
    }
}
