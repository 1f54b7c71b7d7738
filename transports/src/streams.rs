//! An exchange over one bidirectional stream of QUIC, whoever implements that: messages in turn, framed as everywhere.

use std::{
    pin::Pin,
    task::{Context as Task, Poll, ready},
};

use pleach_core::{PublicKey, budget::Source, limits::MAX_FRAME, node::STRANGER_FRAME, wire::Binding};

use crate::{
    Exchange, Received, TransportError,
    budget::Budget,
    framing::{self, Decoder, PREFIX, Part},
    gate::{Answering, Visitor},
};

/// The label of what a TLS session exports for one of its streams (RFC 8446 section 7.5), whose number is the context:
/// what proofs of further keys are bound to.
const KEYS_LABEL: &[u8] = b"EXPORTER pleach stream v1 keys";

/// Bytes read at once.
const READ: usize = 64 * 1024;

/// The half of a stream that is written. Dropping it in the middle of a message cuts the message.
pub(crate) trait Sending: Send {
    /// Writes some bytes, at least one.
    fn poll_write(&mut self, task: &mut Task<'_>, bytes: &[u8]) -> Poll<Result<usize, TransportError>>;
}

/// The half that is read.
pub(crate) trait Receiving: Send {
    /// Reads some bytes; 0 at the end of the stream.
    fn poll_read(&mut self, task: &mut Task<'_>, room: &mut [u8]) -> Poll<Result<usize, TransportError>>;
}

/// The connection of an accepted exchange.
pub(crate) trait Hosting: Send {
    /// Who came, as far as budgets are concerned.
    fn visitor(&self) -> &Visitor;

    /// The peer is no stranger: it gets what strangers do not.
    fn vouch(&self, peer: PublicKey);
}

/// A stream that was opened or accepted, and whose peer has proven a key.
pub(crate) struct Stream<S, R> {
    pub(crate) peer: PublicKey,
    /// What proofs of further keys on it are bound to.
    pub(crate) binding: Option<Binding>,
    pub(crate) sending: S,
    pub(crate) receiving: R,
}

/// What proofs of further keys on the stream with this number are bound to: what the TLS session of its connection exports
/// for it, into the first argument, under a label and a context. Nothing if it exports nothing.
pub(crate) fn binding<E>(
    number: u64,
    export: impl FnOnce(&mut [u8; 32], &[u8], &[u8]) -> Result<(), E>,
) -> Option<Binding> {
    let mut exported = [0; 32];
    let result = export(&mut exported, KEYS_LABEL, &number.to_le_bytes());
    result.is_ok().then_some(Binding::from_bytes(exported))
}

/// The dial, under way.
pub(crate) type Dialling<S, R> = Pin<Box<dyn Future<Output = Result<Stream<S, R>, TransportError>> + Send>>;

enum State<S, R> {
    Dialling(Dialling<S, R>),
    Open(Stream<S, R>),
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

/// An exchange over one stream, which keeps whatever runs its connection.
pub(crate) struct StreamExchange<S, R, D> {
    state: State<S, R>,
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
    host: Option<Box<dyn Hosting>>,
    /// From its first frame of an answer to the last.
    answering: Option<Answering>,
    is_vouched: bool,
    /// Keeps the connection running.
    _drive: D,
}

impl<S: Sending, R: Receiving, D> StreamExchange<S, R, D> {
    pub(crate) fn dialled(dialling: Dialling<S, R>, drive: D) -> Self {
        Self::new(State::Dialling(dialling), None, drive)
    }

    pub(crate) fn accepted(stream: Stream<S, R>, host: impl Hosting + 'static, drive: D) -> Self {
        Self::new(State::Open(stream), Some(Box::new(host)), drive)
    }

    fn new(state: State<S, R>, host: Option<Box<dyn Hosting>>, drive: D) -> Self {
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
            match stream.sending.poll_write(task, bytes)? {
                Poll::Ready(more) => written += more,
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
            let read = ready!(stream.receiving.poll_read(task, &mut self.buffer))?;
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

impl<S: Sending, R: Receiving, D: Send> Exchange for StreamExchange<S, R, D> {
    fn peer(&self) -> Option<PublicKey> {
        match &self.state {
            State::Open(stream) => Some(stream.peer),
            State::Dialling(_) | State::Over => None,
        }
    }

    fn source(&self) -> Source {
        self.host.as_ref().map_or(Source::default(), |host| host.visitor().source())
    }

    fn vouch(&mut self) {
        let (Some(host), Some(peer)) = (&self.host, self.peer()) else { return };
        if !self.is_vouched {
            host.vouch(peer);
            self.is_vouched = true;
            self.decoder.trust();
        }
    }

    fn binding(&self) -> Option<Binding> {
        match &self.state {
            State::Open(stream) => stream.binding,
            State::Dialling(_) | State::Over => None,
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
            self.answering = Some(host.visitor().answering());
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
