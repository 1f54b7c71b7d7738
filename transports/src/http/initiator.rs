//! The initiator's side: requests are signed and responses checked here, whoever carries them.

use std::{
    sync::Arc,
    task::{Context as Task, Poll, ready},
};

use data_encoding::{BASE64_NOPAD, HEXLOWER};
use hyper::body::Bytes;
use pleach_core::{
    PublicKey, Signature, canonical,
    wire::{
        NodeAnswer, Nonce, RequestDigest, RequestHead, RequestTarget, ResponseHead, SignedError, Transcript,
        body_hash,
    },
};

use super::{
    NODE_PATH, SYNC_PATH,
    known::{Known, Node},
    limits,
};
use crate::{
    Address, Context, Exchange, Received, TransportError,
    framing::{self, Budget, Decoder, Part},
    pipe::Receiver,
};

/// A request on its way to a connection.
pub(super) struct Call {
    /// `host:port`.
    pub(super) place: String,
    /// Path and query.
    pub(super) path: String,
    /// The signed head of a `POST`; a `GET` has none.
    pub(super) signature: Option<String>,
    pub(super) body: Bytes,
}

/// What comes back, in this order: a status, bytes, the end; or a failure at any point.
pub(super) enum Event {
    Status {
        status: u16,
        /// Whether the content type is ours.
        postcard: bool,
    },
    Bytes(Bytes),
    End,
    Failed(TransportError),
}

/// Carries requests over connections, several at once. Dropping the receiver lets go of the call.
pub(super) trait Courier: Send + Sync {
    fn send(&self, call: Call) -> Receiver<Event>;
}

/// A short response that is read as a whole.
#[derive(Default)]
struct Short {
    status: u16,
    postcard: bool,
    bytes: Vec<u8>,
}

impl Short {
    fn take(&mut self, bytes: &Bytes) {
        let room = limits::MAX_REFUSAL - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn poll(&mut self, events: &Receiver<Event>, task: &mut Task<'_>) -> Poll<Result<(), TransportError>> {
        loop {
            match ready!(events.poll_receive(task)) {
                Some(Event::Status { status, postcard }) => (self.status, self.postcard) = (status, postcard),
                Some(Event::Bytes(bytes)) => self.take(&bytes),
                Some(Event::End) => return Poll::Ready(Ok(())),
                Some(Event::Failed(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Err(cut())),
            }
        }
    }

    /// The text, fit for a terminal.
    fn text(&self) -> String {
        let text: String = String::from_utf8_lossy(&self.bytes).chars().take(200).collect();
        text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}

/// A request that was sent, and what has come of its response.
struct Called {
    body: Bytes,
    nonce: Nonce,
    digest: RequestDigest,
    again: bool,
    events: Receiver<Event>,
    part: Progress,
    /// Bytes that came and are not looked at yet.
    rest: Bytes,
    decoder: Decoder,
    transcript: Transcript,
}

/// How far a response is.
enum Progress {
    Status,
    Head,
    Frames,
    Signature(Vec<u8>),
    Refusal(Short),
}

enum State {
    New,
    Asking { nonce: Nonce, events: Receiver<Event>, answer: Short },
    Open { body: Vec<u8>, budget: Budget },
    Called(Box<Called>),
    Over,
}

/// An exchange that was dialled.
pub(super) struct HttpInitiator {
    context: Context,
    courier: Arc<dyn Courier>,
    known: Arc<Known>,
    address: Address,
    node: Option<Node>,
    state: State,
}

fn cut() -> TransportError {
    TransportError::Cut("in the middle of a response".into())
}

impl HttpInitiator {
    pub(super) fn new(
        context: Context,
        courier: Arc<dyn Courier>,
        known: Arc<Known>,
        address: Address,
    ) -> Self {
        Self { context, courier, known, address, node: None, state: State::New }
    }

    /// Ends the exchange with an error.
    fn fail<T>(&mut self, error: TransportError) -> Poll<Result<T, TransportError>> {
        self.known.forget(&self.address.address);
        self.state = State::Over;
        Poll::Ready(Err(error))
    }

    /// Takes a node's word about itself.
    fn learn(&mut self, answer: &Short, nonce: &Nonce) -> Result<Node, TransportError> {
        if answer.status != 200 && answer.status != 401 || !answer.postcard {
            return Err(TransportError::NotPleach {
                address: self.address.to_string(),
                found: format!("status {} and {:?}", answer.status, answer.text()),
            });
        }
        let answer: NodeAnswer = canonical::from_bytes(&answer.bytes)
            .map_err(|error| TransportError::Misbehaved(format!("its word about itself is {error}")))?;
        answer
            .check(self.context.key().public(), self.address.key, nonce)
            .map_err(|error| self.refused_key(error, answer.key))?;
        let node = Node::new(answer.key, answer.time, self.context.wall());
        self.known.put(&self.address.address, node);
        Ok(node)
    }

    fn refused_key(&self, error: SignedError, found: PublicKey) -> TransportError {
        match (error, self.address.key) {
            (SignedError::OwnKey, _) => TransportError::OwnKey,
            (SignedError::OtherKey, Some(expected)) => TransportError::WrongKey { expected, found },
            _ => TransportError::Misbehaved(error.to_string()),
        }
    }

    /// Asks who is there.
    fn ask(&mut self) {
        let nonce: Nonce = self.context.random();
        let events = self.courier.send(Call {
            place: self.address.address.clone(),
            path: format!("{NODE_PATH}?nonce={}", HEXLOWER.encode(&nonce)),
            signature: None,
            body: Bytes::new(),
        });
        self.state = State::Asking { nonce, events, answer: Short::default() };
    }

    /// Signs and sends a body.
    fn call(&self, node: &Node, body: Bytes, again: bool) -> Called {
        let target =
            RequestTarget { audience: node.key, method: "POST", path: SYNC_PATH, body: body_hash(&body) };
        let nonce: Nonce = self.context.random();
        let head = RequestHead::sign(self.context.key(), &target, node.time(self.context.wall()), nonce);
        let digest = head.digest(&target);
        let events = self.courier.send(Call {
            place: self.address.address.clone(),
            path: SYNC_PATH.into(),
            signature: Some(BASE64_NOPAD.encode(&canonical::to_vec(&head))),
            body: body.clone(),
        });
        Called {
            body,
            nonce,
            digest,
            again,
            events,
            part: Progress::Status,
            rest: Bytes::new(),
            decoder: Decoder::default(),
            transcript: Transcript::new(digest),
        }
    }

    /// Goes on with a response until something is to be told.
    fn poll_called(&mut self, task: &mut Task<'_>) -> Poll<Result<Received, TransportError>> {
        let Some(node) = self.node else { return Poll::Ready(Err(not_open())) };
        loop {
            let State::Called(called) = &mut self.state else { return Poll::Ready(Err(not_open())) };
            if let Some(frame) = called.next_frame(node.key)? {
                return Poll::Ready(Ok(Received::Frame(frame)));
            }
            match ready!(called.events.poll_receive(task)) {
                Some(Event::Status { status: 200, postcard: true }) => called.part = Progress::Head,
                Some(Event::Status { status, postcard }) => {
                    called.part = Progress::Refusal(Short { status, postcard, bytes: Vec::new() });
                }
                Some(Event::Bytes(bytes)) => called.take(bytes),
                Some(Event::End) if matches!(called.part, Progress::Refusal(_)) => self.refused()?,
                Some(Event::End) => {
                    called.check_end(node.key)?;
                    self.state = State::Open { body: Vec::new(), budget: Budget::default() };
                    return Poll::Ready(Ok(Received::End));
                }
                Some(Event::Failed(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Err(cut())),
            }
        }
    }

    /// Takes a refusal: the wrong time is corrected once.
    fn refused(&mut self) -> Result<(), TransportError> {
        let State::Called(called) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(not_open());
        };
        let Progress::Refusal(refusal) = called.part else { return Err(not_open()) };
        match refusal.status {
            401 if refusal.postcard && !called.again => {
                let node = self.learn(&refusal, &called.nonce)?;
                self.node = Some(node);
                self.state = State::Called(Box::new(self.call(&node, called.body, true)));
                Ok(())
            }
            401 if refusal.postcard => Err(TransportError::Clock),
            408 => Err(TransportError::TimedOut("the request's body")),
            503 => Err(TransportError::Busy),
            status => Err(TransportError::Refused(format!("status {status}, {:?}", refusal.text()))),
        }
    }
}

fn not_open() -> TransportError {
    TransportError::Misuse("the exchange is not open, or over after an error")
}

impl Called {
    fn take(&mut self, bytes: Bytes) {
        match &mut self.part {
            Progress::Refusal(refusal) => refusal.take(&bytes),
            _ => self.rest = bytes,
        }
    }

    /// The next frame in the bytes that came.
    fn next_frame(&mut self, responder: PublicKey) -> Result<Option<Vec<u8>>, TransportError> {
        while !self.rest.is_empty() {
            if let Progress::Signature(signature) = &mut self.part {
                signature.extend_from_slice(&self.rest);
                self.rest = Bytes::new();
                if signature.len() > 64 {
                    return Err(TransportError::Misbehaved("bytes after the end of its response".into()));
                }
                return Ok(None);
            }
            let mut rest = &self.rest[..];
            let part = self.decoder.feed(&mut rest).map_err(|error| match error {
                TransportError::TooLarge { .. } => TransportError::Misbehaved(error.to_string()),
                other => other,
            })?;
            let used = self.rest.len() - rest.len();
            self.transcript.add(&self.rest[..used]);
            self.rest = self.rest.slice(used..);
            match (part, &self.part) {
                (None, _) => {}
                (Some(Part::Frame(head)), Progress::Head) => self.check_head(responder, &head)?,
                (Some(Part::Frame(frame)), _) => return Ok(Some(frame)),
                (Some(Part::End), Progress::Frames) => self.part = Progress::Signature(Vec::new()),
                (Some(Part::End), _) => {
                    return Err(TransportError::Misbehaved("its response has no head".into()));
                }
            }
        }
        Ok(None)
    }

    fn check_head(&mut self, responder: PublicKey, head: &[u8]) -> Result<(), TransportError> {
        let misbehaved = |error: &dyn std::fmt::Display| {
            TransportError::Misbehaved(format!("the head of its response is refused: {error}"))
        };
        let head: ResponseHead = canonical::from_bytes(head).map_err(|error| misbehaved(&error))?;
        head.check(responder, self.digest).map_err(|error| match error {
            SignedError::OtherKey => TransportError::WrongKey { expected: responder, found: head.key },
            error => misbehaved(&error),
        })?;
        self.decoder.discount();
        self.part = Progress::Frames;
        Ok(())
    }

    fn check_end(&self, responder: PublicKey) -> Result<(), TransportError> {
        let Progress::Signature(signature) = &self.part else { return Err(cut()) };
        let signature = <[u8; 64]>::try_from(&signature[..]).map_err(|_| cut())?;
        self.transcript.check(responder, &Signature::from_bytes(signature)).map_err(|error| {
            TransportError::Misbehaved(format!("the end of its response is refused: {error}"))
        })
    }
}

impl Exchange for HttpInitiator {
    fn peer(&self) -> Option<PublicKey> {
        self.node.map(|node| node.key)
    }

    fn poll_open(&mut self, task: &mut Task<'_>) -> Poll<Result<(), TransportError>> {
        loop {
            match &mut self.state {
                State::New => match self.known.get(&self.address.address, self.context.wall()) {
                    Some(node) if self.address.key.is_none_or(|key| key == node.key) => {
                        self.node = Some(node);
                        self.state = State::Open { body: Vec::new(), budget: Budget::default() };
                    }
                    _ => self.ask(),
                },
                State::Asking { nonce, events, answer } => {
                    if let Err(error) = ready!(answer.poll(events, task)) {
                        return self.fail(error);
                    }
                    let (nonce, answer) = (*nonce, std::mem::take(answer));
                    match self.learn(&answer, &nonce) {
                        Ok(node) => self.node = Some(node),
                        Err(error) => return self.fail(error),
                    }
                    self.state = State::Open { body: Vec::new(), budget: Budget::default() };
                }
                State::Over => return Poll::Ready(Err(not_open())),
                State::Open { .. } | State::Called(_) => return Poll::Ready(Ok(())),
            }
        }
    }

    fn poll_send(&mut self, _task: &mut Task<'_>, frame: &[u8]) -> Poll<Result<(), TransportError>> {
        let State::Open { body, budget } = &mut self.state else {
            return Poll::Ready(Err(not_open()));
        };
        let prefix = framing::prefix(frame)?;
        budget.charge(frame.len())?;
        body.extend_from_slice(&prefix);
        body.extend_from_slice(frame);
        Poll::Ready(Ok(()))
    }

    fn poll_finish(&mut self, _task: &mut Task<'_>) -> Poll<Result<(), TransportError>> {
        let (State::Open { body, .. }, Some(node)) = (&mut self.state, self.node) else {
            return Poll::Ready(Err(not_open()));
        };
        let mut body = std::mem::take(body);
        body.extend(framing::END);
        self.state = State::Called(Box::new(self.call(&node, body.into(), false)));
        Poll::Ready(Ok(()))
    }

    fn poll_receive(&mut self, task: &mut Task<'_>) -> Poll<Result<Received, TransportError>> {
        match self.poll_called(task) {
            Poll::Ready(Err(error)) => self.fail(error),
            other => other,
        }
    }
}
