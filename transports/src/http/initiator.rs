//! The initiator's side: requests are signed and responses checked here, whoever carries them.

use std::{
    sync::Arc,
    task::{Context as Task, Poll, ready},
};

use data_encoding::HEXLOWER;
use hyper::body::Bytes;
use pleach_core::{
    PublicKey,
    wire::{Binding, Nonce, RequestDigest, RequestHead, RequestTarget, SignedError, body_hash},
};

use super::{
    NODE_PATH, SECURE, SYNC_PATH,
    answer::Answer,
    form::{ErrorLine, Form, request_text},
    known::{Known, Node},
    limits,
};
use crate::{
    Address, Context, Exchange, Prover, Received, TransportError,
    budget::Budget,
    framing::{self, Decoder, Part},
    pipe::Receiver,
};

/// What hides a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Nothing.
    Plain,
    /// TLS, with the node that has this key if one is expected.
    Tls { expected: Option<PublicKey> },
}

/// A request on its way to a connection.
pub(super) struct Call {
    /// `host:port`.
    pub(super) place: String,
    pub(super) way: Way,
    /// Path and query.
    pub(super) path: String,
    /// The signed head of a `POST`; a `GET` has none.
    pub(super) signature: Option<String>,
    /// The content type of the body.
    pub(super) form: Form,
    /// The content type that the response shall have.
    pub(super) accept: Form,
    pub(super) body: Bytes,
}

/// What comes back, in this order: a status, bytes, the end; or a failure at any point.
pub(super) enum Event {
    Status {
        status: u16,
        /// The content type, if it is one of ours.
        form: Option<Form>,
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
    form: Option<Form>,
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
                Some(Event::Status { status, form }) => (self.status, self.form) = (status, form),
                Some(Event::Bytes(bytes)) => self.take(&bytes),
                Some(Event::End) => return Poll::Ready(Ok(())),
                Some(Event::Failed(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Err(cut())),
            }
        }
    }

    /// The text, fit for a terminal.
    fn text(&self) -> String {
        let text = match serde_json::from_slice(&self.bytes) {
            Ok(ErrorLine { error }) => error,
            Err(_) => String::from_utf8_lossy(&self.bytes).into_owned(),
        };
        let text: String = text.chars().take(200).collect();
        text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}

/// What is to be sent, whatever it will be signed with.
#[derive(Clone, Default)]
struct Message {
    /// The frames, as postcard.
    body: Bytes,
    /// What proves further keys in front of them.
    prover: Option<Prover>,
}

/// A request that was sent, and what has come of its response.
struct Called {
    /// The message, without what proves further keys.
    message: Message,
    nonce: Nonce,
    binding: Binding,
    digest: RequestDigest,
    again: bool,
    events: Receiver<Event>,
    part: Progress,
    /// Bytes that came and are not looked at yet.
    rest: Bytes,
}

/// How far a response is.
enum Progress {
    Status,
    Answer(Box<Answer>),
    Refusal(Short),
}

enum State {
    New,
    Asking { nonce: Nonce, events: Receiver<Event>, answer: Short },
    Open(Box<Written>),
    Called(Box<Called>),
    Over,
}

/// A message in the making.
#[derive(Default)]
struct Written {
    body: Vec<u8>,
    budget: Budget,
    prover: Option<Prover>,
}

/// An exchange that was dialled.
pub(super) struct HttpInitiator {
    context: Context,
    /// What this node prefers to speak.
    form: Form,
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
        form: Form,
        courier: Arc<dyn Courier>,
        known: Arc<Known>,
        address: Address,
    ) -> Self {
        Self { context, form, courier, known, address, node: None, state: State::New }
    }

    /// Ends the exchange with an error.
    fn fail<T>(&mut self, error: TransportError) -> Poll<Result<T, TransportError>> {
        self.known.forget(&self.address.address);
        self.state = State::Over;
        Poll::Ready(Err(error))
    }

    /// Takes a node's word about itself.
    fn learn(&mut self, answer: &Short, nonce: &Nonce) -> Result<Node, TransportError> {
        let form = answer.form.filter(|_| matches!(answer.status, 200 | 401));
        let form = form.ok_or_else(|| TransportError::NotPleach {
            address: self.address.to_string(),
            found: format!("status {} and {:?}", answer.status, answer.text()),
        })?;
        let answer = form
            .read_answer(&answer.bytes)
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

    fn way(&self) -> Way {
        let secure = self.address.transport_type == SECURE;
        if secure { Way::Tls { expected: self.address.key } } else { Way::Plain }
    }

    /// Asks who is there.
    fn ask(&mut self) {
        let nonce: Nonce = self.context.random();
        let events = self.courier.send(Call {
            place: self.address.address.clone(),
            way: self.way(),
            path: format!("{NODE_PATH}?nonce={}", HEXLOWER.encode(&nonce)),
            signature: None,
            form: self.form,
            accept: self.form,
            body: Bytes::new(),
        });
        self.state = State::Asking { nonce, events, answer: Short::default() };
    }

    /// A message as it is sent, behind what proves further keys.
    fn body(&self, message: &Message, proofs: Option<Vec<u8>>) -> (Form, Bytes) {
        let text = match self.form {
            Form::Json => {
                let frames = proofs.clone().into_iter().chain(frames(&message.body));
                request_text(frames, limits::MAX_JSON_BODY)
            }
            Form::Postcard => None,
        };
        match (text, proofs) {
            (Some(text), _) => (Form::Json, text.into()),
            (None, None) => (Form::Postcard, message.body.clone()),
            (None, Some(proofs)) => {
                let body = [&framing::prefix(&proofs)[..], &proofs, &message.body].concat();
                (Form::Postcard, body.into())
            }
        }
    }

    /// Signs and sends a message.
    fn call(&self, node: &Node, message: Message, again: bool) -> Called {
        let (time, nonce) = (node.time(self.context.wall()), self.context.random());
        let binding = RequestHead::binds(time, &nonce);
        let proofs = message.prover.as_ref().and_then(|prover| prover.frame(&binding));
        let (form, body) = self.body(&message, proofs);
        let target =
            RequestTarget { audience: node.key, method: "POST", path: SYNC_PATH, body: body_hash(&body) };
        let head = RequestHead::sign(self.context.key(), &target, time, nonce);
        let digest = head.digest(&target);
        let events = self.courier.send(Call {
            place: self.address.address.clone(),
            way: self.way(),
            path: SYNC_PATH.into(),
            signature: Some(head.to_string()),
            form,
            accept: self.form,
            body,
        });
        let (part, rest) = (Progress::Status, Bytes::new());
        Called { message, nonce, binding, digest, again, events, part, rest }
    }

    /// Goes on with a response until something is to be told.
    fn poll_called(&mut self, task: &mut Task<'_>) -> Poll<Result<Received, TransportError>> {
        let Some(node) = self.node else { return Poll::Ready(Err(not_open())) };
        loop {
            let State::Called(called) = &mut self.state else { return Poll::Ready(Err(not_open())) };
            if let Some(frame) = called.next_frame()? {
                return Poll::Ready(Ok(Received::Frame(frame)));
            }
            match ready!(called.events.poll_receive(task)) {
                Some(Event::Status { status: 200, form: Some(form) }) => {
                    called.part = Progress::Answer(Box::new(Answer::new(form, node.key, called.digest)));
                }
                Some(Event::Status { status, form }) => {
                    called.part = Progress::Refusal(Short { status, form, bytes: Vec::new() });
                }
                Some(Event::Bytes(bytes)) => called.take(bytes),
                Some(Event::End) if matches!(called.part, Progress::Refusal(_)) => self.refused()?,
                Some(Event::End) => {
                    called.check_end()?;
                    self.state = State::Open(Box::default());
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
            401 if refusal.form.is_some() && !called.again => {
                let node = self.learn(&refusal, &called.nonce)?;
                self.node = Some(node);
                self.state = State::Called(Box::new(self.call(&node, called.message, true)));
                Ok(())
            }
            401 if refusal.form.is_some() => Err(TransportError::Clock),
            408 => Err(TransportError::TimedOut("the request's body")),
            503 => Err(TransportError::Busy),
            status => Err(TransportError::Refused(format!("status {status}, {:?}", refusal.text()))),
        }
    }
}

/// The frames in a body of this side's own making.
fn frames(mut body: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut decoder = Decoder::default();
    std::iter::from_fn(move || match decoder.feed(&mut body) {
        Ok(Some(Part::Frame(frame))) => Some(frame),
        _ => None,
    })
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
    fn next_frame(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        match &mut self.part {
            Progress::Answer(answer) => answer.next(&mut self.rest),
            Progress::Status | Progress::Refusal(_) => Ok(None),
        }
    }

    fn check_end(&self) -> Result<(), TransportError> {
        match &self.part {
            Progress::Answer(answer) => answer.check_end(),
            Progress::Status | Progress::Refusal(_) => Err(cut()),
        }
    }
}

impl Exchange for HttpInitiator {
    fn peer(&self) -> Option<PublicKey> {
        self.node.map(|node| node.key)
    }

    fn binding(&self) -> Option<Binding> {
        match &self.state {
            State::Called(called) => Some(called.binding),
            _ => None,
        }
    }

    /// What a message is bound to is drawn when it is signed, and once more if the node has another time.
    fn prove(&mut self, prover: &Prover) -> Option<Vec<u8>> {
        if let State::Open(written) = &mut self.state {
            written.prover = Some(prover.clone());
        }
        None
    }

    fn poll_open(&mut self, task: &mut Task<'_>) -> Poll<Result<(), TransportError>> {
        loop {
            match &mut self.state {
                State::New => match self.known.get(&self.address.address, self.context.wall()) {
                    Some(node) if self.address.key.is_none_or(|key| key == node.key) => {
                        self.node = Some(node);
                        self.state = State::Open(Box::default());
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
                    self.state = State::Open(Box::default());
                }
                State::Over => return Poll::Ready(Err(not_open())),
                State::Open(_) | State::Called(_) => return Poll::Ready(Ok(())),
            }
        }
    }

    fn poll_send(&mut self, _task: &mut Task<'_>, frame: &[u8]) -> Poll<Result<(), TransportError>> {
        let State::Open(written) = &mut self.state else {
            return Poll::Ready(Err(not_open()));
        };
        written.budget.charge(frame.len())?;
        written.body.extend_from_slice(&framing::prefix(frame));
        written.body.extend_from_slice(frame);
        Poll::Ready(Ok(()))
    }

    fn poll_finish(&mut self, _task: &mut Task<'_>) -> Poll<Result<(), TransportError>> {
        let (State::Open(written), Some(node)) = (&mut self.state, self.node) else {
            return Poll::Ready(Err(not_open()));
        };
        let Written { mut body, prover, .. } = std::mem::take(&mut **written);
        body.extend(framing::END);
        let message = Message { body: body.into(), prover };
        self.state = State::Called(Box::new(self.call(&node, message, false)));
        Poll::Ready(Ok(()))
    }

    fn poll_receive(&mut self, task: &mut Task<'_>) -> Poll<Result<Received, TransportError>> {
        match self.poll_called(task) {
            Poll::Ready(Err(error)) => self.fail(error),
            other => other,
        }
    }
}
