//! The responder's side of one request.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context as Task, Poll, ready},
};

use hyper::body::Bytes;
use pleach_core::{
    PublicKey,
    budget::Source,
    node::Arrival,
    wire::{Binding, RequestDigest, ResponseHead, Transcript},
};

use super::{form::Form, reply::Piece};
use crate::{
    Context, Exchange, Received, TransportError,
    budget::Budget,
    gate::{Answering, Held, Visitor},
    pipe::Sender,
};

/// A request whose frames have all come and whose signature is checked.
pub(super) struct Request {
    pub(super) peer: Option<PublicKey>,
    pub(super) signed: Option<u64>,
    pub(super) digest: RequestDigest,
    /// What proofs of further keys are bound to, if it is signed.
    pub(super) binding: Option<Binding>,
    /// In which to answer.
    pub(super) form: Form,
    pub(super) frames: VecDeque<Vec<u8>>,
    /// The room that those take.
    pub(super) held: Option<Held>,
}

/// Whose request it is.
pub(super) struct Guest {
    pub(super) visitor: Arc<Visitor>,
    pub(super) _answering: Answering,
}

/// What comes next.
enum Phase {
    Request,
    Answer,
    Done,
}

/// An accepted exchange: this request, its response, nothing more.
pub(super) struct HttpResponder {
    context: Context,
    request: Request,
    guest: Guest,
    phase: Phase,
    transcript: Transcript,
    budget: Budget,
    begun: bool,
    pieces: Sender<Piece>,
}

impl HttpResponder {
    pub(super) fn new(context: Context, request: Request, guest: Guest, pieces: Sender<Piece>) -> Self {
        let transcript = Transcript::new(request.digest);
        Self {
            context,
            request,
            guest,
            phase: Phase::Request,
            transcript,
            budget: Budget::default(),
            begun: false,
            pieces,
        }
    }

    /// Turns to the response. Whoever knows it early need not hear the rest of the request, which is here as a whole.
    fn begin_answer(&mut self) -> Result<(), TransportError> {
        if matches!(self.phase, Phase::Done) {
            return Err(TransportError::Misuse("a request has one response"));
        }
        self.request.frames = VecDeque::new();
        self.request.held = None;
        self.phase = Phase::Answer;
        Ok(())
    }

    /// The signed head, in front of the first bytes.
    fn head(&mut self) -> Vec<u8> {
        if std::mem::replace(&mut self.begun, true) {
            return Vec::new();
        }
        let head = ResponseHead::sign(self.context.key(), self.request.digest, self.context.wall());
        let bytes = self.request.form.head(&head);
        self.transcript.add(&bytes);
        bytes
    }

    fn put(&self, piece: Piece) -> Result<(), TransportError> {
        self.pieces.try_send(piece).map_err(|_| cut())
    }
}

fn cut() -> TransportError {
    TransportError::Cut("the peer no longer waits for the response".into())
}

impl Exchange for HttpResponder {
    fn peer(&self) -> Option<PublicKey> {
        self.request.peer
    }

    fn source(&self) -> Source {
        self.guest.visitor.source()
    }

    fn vouch(&mut self) {
        if let Some(key) = self.request.peer {
            self.guest.visitor.vouch(key);
        }
    }

    fn signed(&self) -> Option<u64> {
        self.request.signed
    }

    fn binding(&self) -> Option<Binding> {
        self.request.binding
    }

    fn arrival(&self) -> Arrival {
        Arrival::Whole
    }

    fn poll_open(&mut self, _task: &mut Task<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_send(&mut self, task: &mut Task<'_>, frame: &[u8]) -> Poll<Result<(), TransportError>> {
        self.begin_answer()?;
        ready!(self.pieces.poll_room(task)).map_err(|_| cut())?;
        self.budget.charge(frame.len())?;
        let framed = self.request.form.frame(frame);
        let mut bytes = self.head();
        self.transcript.add(&framed);
        if bytes.is_empty() {
            bytes = framed;
        } else {
            bytes.extend(framed);
        }
        Poll::Ready(self.put(Piece::Bytes(Bytes::from(bytes))))
    }

    fn poll_finish(&mut self, task: &mut Task<'_>) -> Poll<Result<(), TransportError>> {
        self.begin_answer()?;
        ready!(self.pieces.poll_room(task)).map_err(|_| cut())?;
        let mut bytes = self.head();
        let form = self.request.form;
        bytes.extend(form.end());
        self.transcript.add(form.end());
        bytes.extend(form.signature(self.transcript.sign(self.context.key())));
        self.put(Piece::Bytes(Bytes::from(bytes)))?;
        self.pieces.send_last(Piece::Last).map_err(|_| cut())?;
        self.phase = Phase::Done;
        Poll::Ready(Ok(()))
    }

    fn poll_receive(&mut self, _task: &mut Task<'_>) -> Poll<Result<Received, TransportError>> {
        Poll::Ready(match self.phase {
            Phase::Request => Ok(self.request.frames.pop_front().map_or_else(
                || {
                    self.phase = Phase::Answer;
                    Received::End
                },
                Received::Frame,
            )),
            Phase::Answer => Err(TransportError::Misuse("the response is due")),
            Phase::Done => Ok(Received::Closed),
        })
    }
}
