//! The responder's side of one request.

use std::{
    collections::VecDeque,
    task::{Context as Task, Poll, ready},
};

use hyper::body::Bytes;
use pleach_core::{
    PublicKey, canonical,
    wire::{Nonce, RequestDigest, ResponseHead, Transcript},
};

use super::reply::Piece;
use crate::{
    Context, Exchange, Received, TransportError,
    framing::{self, Budget},
    pipe::Sender,
};

/// A request whose frames have all come and whose signature is checked.
pub(super) struct Request {
    pub(super) peer: Option<PublicKey>,
    pub(super) nonce: Option<Nonce>,
    pub(super) digest: RequestDigest,
    pub(super) frames: VecDeque<Vec<u8>>,
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
    phase: Phase,
    transcript: Transcript,
    budget: Budget,
    begun: bool,
    pieces: Sender<Piece>,
}

impl HttpResponder {
    pub(super) fn new(context: Context, request: Request, pieces: Sender<Piece>) -> Self {
        let transcript = Transcript::new(request.digest);
        Self {
            context,
            request,
            phase: Phase::Request,
            transcript,
            budget: Budget::default(),
            begun: false,
            pieces,
        }
    }

    /// The signed head, in front of the first bytes.
    fn head(&mut self) -> Result<Vec<u8>, TransportError> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(Vec::new());
        }
        let head = ResponseHead::sign(self.context.key(), self.request.digest, self.context.wall());
        let head = canonical::to_vec(&head);
        let mut bytes = framing::prefix(&head)?.to_vec();
        bytes.extend(head);
        self.transcript.add(&bytes);
        Ok(bytes)
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

    fn nonce(&self) -> Option<[u8; 16]> {
        self.request.nonce
    }

    fn poll_open(&mut self, _task: &mut Task<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_send(&mut self, task: &mut Task<'_>, frame: &[u8]) -> Poll<Result<(), TransportError>> {
        if !matches!(self.phase, Phase::Answer) {
            return Poll::Ready(Err(TransportError::Misuse("the response follows the whole request, once")));
        }
        ready!(self.pieces.poll_room(task)).map_err(|_| cut())?;
        let prefix = framing::prefix(frame)?;
        self.budget.charge(frame.len())?;
        let mut bytes = self.head()?;
        bytes.reserve_exact(prefix.len() + frame.len());
        bytes.extend_from_slice(&prefix);
        bytes.extend_from_slice(frame);
        self.transcript.add(&prefix);
        self.transcript.add(frame);
        Poll::Ready(self.put(Piece::Bytes(Bytes::from(bytes))))
    }

    fn poll_finish(&mut self, task: &mut Task<'_>) -> Poll<Result<(), TransportError>> {
        if !matches!(self.phase, Phase::Answer) {
            return Poll::Ready(Err(TransportError::Misuse("the response follows the whole request, once")));
        }
        ready!(self.pieces.poll_room(task)).map_err(|_| cut())?;
        let mut bytes = self.head()?;
        bytes.extend(framing::END);
        self.transcript.add(&framing::END);
        bytes.extend(self.transcript.sign(self.context.key()).as_bytes());
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
