//! One bidirectional stream: messages in turn, framed as everywhere.

use std::{
    pin::Pin,
    task::{Context as Task, Poll, ready},
};

use pleach_core::{PublicKey, budget::Source, limits::MAX_FRAME, node::STRANGER_FRAME};
use quinn::{RecvStream, SendStream, WriteError};

use super::{Host, drive::Drive, limits::READ};
use crate::{
    Exchange, Received, TransportError,
    budget::Budget,
    framing::{self, Decoder, PREFIX, Part},
    gate::Answering,
};

/// A stream that was opened or accepted, and whose peer has proven a key.
pub(super) struct Stream {
    pub(super) peer: PublicKey,
    pub(super) sending: SendStream,
    pub(super) receiving: RecvStream,
}

/// The dial, under way.
pub(super) type Dialling = Pin<Box<dyn Future<Output = Result<Stream, TransportError>> + Send>>;

enum State {
    Dialling(Dialling),
    Open(Stream),
    Over,
}

/// Whose message comes next, as far as a clean end is concerned.
#[derive(PartialEq, Eq)]
enum Turn {
    /// The peer may end here: it owes nothing.
    Free,
    /// The peer owes a message, or the rest of one.
    Owed,
}

/// An exchange over one stream.
pub(super) struct QuicExchange {
    state: State,
    initiator: bool,
    turn: Turn,
    /// Bytes of the frame being sent, and of its length, that are written.
    written: Option<usize>,
    budget: Budget,
    decoder: Decoder,
    buffer: Vec<u8>,
    /// The part of the buffer that is not decoded yet.
    left: std::ops::Range<usize>,
    /// Whose connection it is on, if it was accepted.
    host: Option<Host>,
    /// From its first frame of an answer to the last.
    answering: Option<Answering>,
    is_vouched: bool,
    /// Keeps the executor running.
    _drive: Drive,
}

impl QuicExchange {
    pub(super) fn dialled(dialling: Dialling, drive: Drive) -> Self {
        Self::new(State::Dialling(dialling), None, drive)
    }

    pub(super) fn accepted(stream: Stream, host: Host, drive: Drive) -> Self {
        Self::new(State::Open(stream), Some(host), drive)
    }

    fn new(state: State, host: Option<Host>, drive: Drive) -> Self {
        let initiator = host.is_none();
        let most = if initiator { MAX_FRAME } else { STRANGER_FRAME };
        Self {
            state,
            initiator,
            turn: Turn::Free,
            written: None,
            budget: Budget::default(),
            decoder: Decoder::with_frames_up_to(most),
            buffer: Vec::new(),
            left: 0..0,
            host,
            answering: None,
            is_vouched: false,
            _drive: drive,
        }
    }

    /// Writes a length and a frame from where the last call stopped.
    fn poll_write(
        &mut self,
        task: &mut Task<'_>,
        prefix: [u8; PREFIX],
        frame: &[u8],
    ) -> Poll<Result<(), TransportError>> {
        let State::Open(stream) = &mut self.state else { return Poll::Ready(Err(not_open())) };
        let mut written = self.written.unwrap_or(0);
        while written < PREFIX + frame.len() {
            let bytes = prefix.get(written..).filter(|bytes| !bytes.is_empty());
            let bytes = bytes.unwrap_or_else(|| &frame[written - PREFIX..]);
            match Pin::new(&mut stream.sending).poll_write(task, bytes) {
                Poll::Ready(Ok(more)) => written += more,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(not_written(error))),
                Poll::Pending => {
                    self.written = Some(written);
                    return Poll::Pending;
                }
            }
        }
        self.written = None;
        Poll::Ready(Ok(()))
    }

    fn poll_part(&mut self, task: &mut Task<'_>) -> Poll<Result<Received, TransportError>> {
        let State::Open(stream) = &mut self.state else { return Poll::Ready(Err(not_open())) };
        loop {
            let mut rest = &self.buffer[self.left.clone()];
            let part = self.decoder.feed(&mut rest).map_err(|error| match error {
                TransportError::TooLarge { .. } => TransportError::Misbehaved(error.to_string()),
                other => other,
            })?;
            self.left.start = self.left.end - rest.len();
            match part {
                Some(Part::Frame(frame)) => {
                    self.turn = Turn::Owed;
                    return Poll::Ready(Ok(Received::Frame(frame)));
                }
                Some(Part::End) => {
                    self.turn = Turn::Free;
                    return Poll::Ready(Ok(Received::End));
                }
                None => {}
            }
            self.buffer.resize(READ, 0);
            let read = ready!(stream.receiving.poll_read(task, &mut self.buffer))
                .map_err(|error| TransportError::Cut(error.to_string()))?;
            self.left = 0..read;
            if read == 0 {
                let clean = self.turn == Turn::Free && self.decoder.is_between_messages();
                return Poll::Ready(if clean {
                    Ok(Received::Closed)
                } else {
                    Err(TransportError::Cut("in the middle of a message".into()))
                });
            }
        }
    }
}

fn not_open() -> TransportError {
    TransportError::Misuse("the exchange is not open, or over after an error")
}

fn not_written(error: WriteError) -> TransportError {
    match error {
        WriteError::Stopped(_) => TransportError::Cut("the peer let go of the exchange".into()),
        other => TransportError::Cut(other.to_string()),
    }
}

impl Exchange for QuicExchange {
    fn peer(&self) -> Option<PublicKey> {
        match &self.state {
            State::Open(stream) => Some(stream.peer),
            State::Dialling(_) | State::Over => None,
        }
    }

    fn source(&self) -> Source {
        self.host.as_ref().map_or(Source::default(), |host| host.visitor.source())
    }

    fn vouch(&mut self) {
        let (Some(host), Some(peer)) = (&self.host, self.peer()) else { return };
        if !self.is_vouched {
            host.vouch(peer);
            self.is_vouched = true;
            self.decoder.trust();
        }
    }

    fn poll_open(&mut self, task: &mut Task<'_>) -> Poll<Result<(), TransportError>> {
        let result = match &mut self.state {
            State::Dialling(dialling) => ready!(dialling.as_mut().poll(task)),
            State::Open(_) => return Poll::Ready(Ok(())),
            State::Over => return Poll::Ready(Err(not_open())),
        };
        self.state = State::Over;
        self.state = State::Open(result?);
        Poll::Ready(Ok(()))
    }

    fn poll_send(&mut self, task: &mut Task<'_>, frame: &[u8]) -> Poll<Result<(), TransportError>> {
        if let (None, Some(host)) = (&self.answering, &self.host) {
            self.answering = Some(host.visitor.answering());
        }
        if self.written.is_none() {
            self.budget.charge(frame.len())?;
        }
        // From here on the frame is charged, whether or not a first byte of it is written.
        self.written.get_or_insert(0);
        self.poll_write(task, framing::prefix(frame), frame)
    }

    fn poll_finish(&mut self, task: &mut Task<'_>) -> Poll<Result<(), TransportError>> {
        ready!(self.poll_write(task, framing::END, &[]))?;
        self.budget = Budget::default();
        self.answering = None;
        if self.initiator {
            self.turn = Turn::Owed;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_receive(&mut self, task: &mut Task<'_>) -> Poll<Result<Received, TransportError>> {
        let result = ready!(self.poll_part(task));
        if result.is_err() {
            self.state = State::Over;
        }
        Poll::Ready(result)
    }
}
