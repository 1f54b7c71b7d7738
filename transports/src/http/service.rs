//! What a server does with one request, whatever carries it.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::poll_fn,
    sync::Arc,
    time::{Duration, Instant},
};

use http_body_util::BodyExt;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes, Incoming},
    header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use pleach_core::wire::{
    NodeAnswer, Nonce, RequestHead, RequestHeadError, RequestTarget, SignedError, body_hash, json, nonce_of,
};
use rustls::ServerConfig;

use super::{
    NODE_PATH, SIGNATURE_HEADER, SYNC_PATH,
    form::{ErrorLine, Form, line},
    header, limits,
    pace::Pace,
    reply::Reply,
    responder::{self, HttpResponder},
};
use crate::{
    Context, Exchange, TransportError,
    budget::Budget,
    framing::{Decoder, Part},
    gate::{Gate, Held, Limits, Visitor},
    pipe::{NotSent, Sender, pipe},
};

/// A server without its sockets.
pub(super) struct Service {
    context: Context,
    queue: Sender<Box<dyn Exchange>>,
    gate: Arc<Gate>,
    tls: Option<Arc<ServerConfig>>,
}

/// Why a request gets no response of its own.
struct Refusal {
    status: StatusCode,
    text: String,
}

fn refuse(status: StatusCode, text: impl Into<String>) -> Refusal {
    Refusal { status, text: text.into() }
}

/// A body that arrives: piece by piece, at a rate that is not too low, within its limit, and as far as there is room.
struct Arriving<P> {
    body: Incoming,
    pace: P,
    held: Held,
    limit: usize,
    begun: Instant,
}

impl<P: Pace> Arriving<P> {
    /// The next bytes; nothing at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let due = limits::BODY_GRACE + Duration::from_secs(self.held.came() as u64 / limits::MIN_RATE);
            let left = due.saturating_sub(self.begun.elapsed());
            let Some(piece) = self.pace.within(left, self.body.frame()).await else {
                return Err(refuse(StatusCode::REQUEST_TIMEOUT, "the body is too slow: send faster or less"));
            };
            let Some(piece) = piece else { return Ok(None) };
            let piece = piece.map_err(|error| refuse(StatusCode::BAD_REQUEST, error.to_string()))?;
            let Ok(piece) = piece.into_data() else { continue };
            let has_room = self.held.take(piece.len());
            if self.held.came() > self.limit {
                let text = format!("a body has at most {} bytes", self.limit);
                return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, text));
            }
            return if has_room { Ok(Some(piece)) } else { Err(busy()) };
        }
    }
}

fn busy() -> Refusal {
    refuse(StatusCode::SERVICE_UNAVAILABLE, "this node is busy: try again later")
}

/// A whole body: its frames and its hash.
struct Arrived {
    frames: VecDeque<Vec<u8>>,
    hash: [u8; 32],
}

impl Service {
    pub(super) fn new(
        context: Context,
        queue: Sender<Box<dyn Exchange>>,
        limits: Limits,
        tls: Option<Arc<ServerConfig>>,
    ) -> Self {
        Self { context, queue, gate: Gate::new(limits), tls }
    }

    /// What hides its connections, if anything does.
    pub(super) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.tls.clone()
    }

    /// Where connections come in.
    pub(super) const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Answers one request.
    pub(super) async fn answer<P: Pace>(
        self: Arc<Self>,
        pace: P,
        visitor: Arc<Visitor>,
        request: Request<Incoming>,
    ) -> Result<Response<Reply>, Infallible> {
        let form = Form::accepted(request.headers()).or(Form::of(request.headers()));
        let result = match (request.method(), request.uri().path()) {
            _ if !visitor.request() => Err(busy()),
            (&Method::GET, NODE_PATH) => self.node(&request),
            (&Method::POST, SYNC_PATH) => self.sync(pace, &visitor, request).await,
            (_, NODE_PATH | SYNC_PATH) => Err(refuse(
                StatusCode::METHOD_NOT_ALLOWED,
                format!("use GET {NODE_PATH} or POST {SYNC_PATH}"),
            )),
            _ => {
                let text = format!("a Pleach node has only GET {NODE_PATH} and POST {SYNC_PATH}");
                Err(refuse(StatusCode::NOT_FOUND, text))
            }
        };
        Ok(result.unwrap_or_else(|refusal| {
            let is_misbehaviour =
                [StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::FORBIDDEN];
            if is_misbehaviour.contains(&refusal.status) {
                visitor.misbehaved();
            }
            let (kind, text) = match form {
                Some(Form::Json) => {
                    (Form::Json.content_type(), line(&ErrorLine { error: refusal.text }, "\n"))
                }
                _ => ("text/plain; charset=utf-8", format!("{}\n", refusal.text).into_bytes()),
            };
            let mut response = respond(refusal.status, kind, Reply::whole(text));
            // Part of the body may be unread, so that the next request cannot be found.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }))
    }

    /// Who this node is.
    fn node(&self, request: &Request<Incoming>) -> Result<Response<Reply>, Refusal> {
        let nonce = match query(request, "nonce") {
            Some(text) => nonce_of(text)
                .ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "expected nonce=32 hexadecimal digits"))?,
            None => Nonce::default(),
        };
        let answer = NodeAnswer::sign(self.context.key(), self.context.wall(), &nonce);
        let form = Form::accepted(request.headers()).unwrap_or(Form::Json);
        Ok(respond(StatusCode::OK, form.content_type(), Reply::whole(form.answer(&answer))))
    }

    /// A message for the node.
    async fn sync<P: Pace>(
        &self,
        pace: P,
        visitor: &Arc<Visitor>,
        request: Request<Incoming>,
    ) -> Result<Response<Reply>, Refusal> {
        let (parts, body) = request.into_parts();
        let Some(form) = Form::of(&parts.headers) else {
            let text = format!("expected a body with the content type {}", Form::NAMES);
            return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
        };
        let answered_in = Form::accepted(&parts.headers).unwrap_or(form);
        let head = read_head(&parts.headers)?;
        let limit = match form {
            Form::Postcard => limits::MAX_BODY,
            Form::Json => limits::MAX_JSON_BODY,
        };
        let announced = body.size_hint().upper().unwrap_or(limit as u64);
        if announced > limit as u64 {
            let text = format!("a body has at most {limit} bytes, got {announced}");
            return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        let mut held = visitor.room();
        let announced = usize::try_from(announced).unwrap_or(limit);
        poll_fn(|task| held.poll_reserve(task, announced)).await;
        let mut arriving = Arriving { body, pace, held, limit, begun: Instant::now() };
        let arrived = match form {
            Form::Postcard => read(&mut arriving).await,
            Form::Json => read_json(&mut arriving).await,
        }?;
        let target = RequestTarget {
            audience: self.context.key().public(),
            method: "POST",
            path: SYNC_PATH,
            body: arrived.hash,
        };
        let (peer, signed, digest) = match &head {
            None => (None, None, target.digest(None, 0, &Nonce::default())),
            Some(head) => match head.check(&target, self.context.wall()) {
                Ok(digest) => {
                    visitor.shows(&head.key);
                    (Some(head.key), Some(head.time), digest)
                }
                Err(SignedError::Stale { stated, .. }) => {
                    return Ok(self.clock_refused(answered_in, stated, &head.nonce));
                }
                Err(error) => return Err(refuse(StatusCode::FORBIDDEN, error.to_string())),
            },
        };
        let (pieces, stream) = pipe(limits::PIECES);
        let request = responder::Request {
            peer,
            signed,
            digest,
            binding: head.as_ref().map(RequestHead::binding),
            form: answered_in,
            frames: arrived.frames,
            held: Some(arriving.held),
        };
        let guest = responder::Guest { visitor: Arc::clone(visitor), _answering: visitor.answering() };
        let exchange = HttpResponder::new(self.context.clone(), request, guest, pieces);
        self.queue.try_send(Box::new(exchange)).map_err(|error| match error {
            NotSent::Full => busy(),
            NotSent::Closed => {
                refuse(StatusCode::SERVICE_UNAVAILABLE, "this node is stopping: try again later")
            }
        })?;
        Ok(respond(StatusCode::OK, answered_in.content_type(), Reply::Stream(stream)))
    }

    /// States our time, signed for the request that was refused.
    fn clock_refused(&self, form: Form, stated: u64, nonce: &Nonce) -> Response<Reply> {
        let answer = NodeAnswer::sign(self.context.key(), stated, nonce);
        respond(StatusCode::UNAUTHORIZED, form.content_type(), Reply::whole(form.answer(&answer)))
    }
}

/// Reads a body to its end, frame by frame.
async fn read<P: Pace>(arriving: &mut Arriving<P>) -> Result<Arrived, Refusal> {
    let mut decoder = Decoder::default();
    let mut hasher = blake3::Hasher::new();
    let mut frames = VecDeque::new();
    let mut over = false;
    while let Some(piece) = arriving.next().await? {
        hasher.update(&piece);
        let mut rest = &piece[..];
        while let Some(part) = decoder.feed(&mut rest).map_err(|error| malformed(&error))? {
            match part {
                _ if over => {
                    return Err(refuse(StatusCode::BAD_REQUEST, "bytes after the end of the message"));
                }
                Part::Frame(frame) => frames.push_back(frame),
                Part::End => over = true,
            }
        }
    }
    if !over || !decoder.is_between_messages() {
        return Err(refuse(StatusCode::BAD_REQUEST, "the body does not end with the end of one message"));
    }
    Ok(Arrived { frames, hash: *hasher.finalize().as_bytes() })
}

/// Reads a body of JSON to its end, and turns it into frames.
async fn read_json<P: Pace>(arriving: &mut Arriving<P>) -> Result<Arrived, Refusal> {
    let mut text = Vec::new();
    while let Some(piece) = arriving.next().await? {
        text.extend_from_slice(&piece);
    }
    let frames = json::message(&text).map_err(|error| refuse(StatusCode::BAD_REQUEST, error.to_string()))?;
    let mut budget = Budget::default();
    for frame in &frames {
        budget.charge(frame.len()).map_err(|error| malformed(&error))?;
    }
    Ok(Arrived { frames: frames.into(), hash: body_hash(&text) })
}

fn malformed(error: &TransportError) -> Refusal {
    let status = match error {
        TransportError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    refuse(status, error.to_string())
}

/// The signed head of a request, if it has one.
fn read_head(headers: &HeaderMap) -> Result<Option<RequestHead>, Refusal> {
    if !headers.contains_key(SIGNATURE_HEADER) {
        return Ok(None);
    }
    let read = header(headers, SIGNATURE_HEADER).ok_or_else(|| "it is there twice".to_owned());
    let read = read.and_then(|text| text.parse().map_err(|error: RequestHeadError| error.to_string()));
    read.map(Some).map_err(|reason| {
        refuse(StatusCode::BAD_REQUEST, format!("the header {SIGNATURE_HEADER} is refused: {reason}"))
    })
}

fn query<'a>(request: &'a Request<Incoming>, name: &str) -> Option<&'a str> {
    let pairs = request.uri().query()?.split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn respond(status: StatusCode, content_type: &'static str, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
