//! What a server does with one request, whatever carries it.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use data_encoding::{BASE64_NOPAD, HEXLOWER_PERMISSIVE};
use http_body_util::BodyExt;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Incoming},
    header::{ACCEPT, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use pleach_core::{
    canonical,
    wire::{NodeAnswer, Nonce, RequestHead, RequestTarget, SignedError},
};

use super::{
    NODE_PATH, POSTCARD, SIGNATURE_HEADER, SYNC_PATH, limits,
    pace::Pace,
    reply::Reply,
    responder::{self, HttpResponder},
};
use crate::{
    Context, Exchange, TransportError,
    framing::{Decoder, Part},
    pipe::{NotSent, Sender, pipe},
};

/// A server without its sockets.
pub(super) struct Service {
    context: Context,
    queue: Sender<Box<dyn Exchange>>,
    /// Bytes of bodies that are arriving, over all connections.
    arriving: AtomicUsize,
}

/// Why a request gets no response of its own.
struct Refusal {
    status: StatusCode,
    text: String,
}

fn refuse(status: StatusCode, text: impl Into<String>) -> Refusal {
    Refusal { status, text: text.into() }
}

/// Bytes counted as arriving until they are taken over by an exchange.
struct Arriving<'a> {
    all: &'a AtomicUsize,
    own: usize,
}

impl Arriving<'_> {
    fn charge(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.own += bytes;
        let all = self.all.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if self.own > limits::MAX_BODY {
            let text = format!("a body has at most {} bytes", limits::MAX_BODY);
            return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        if all > limits::MAX_ARRIVING { Err(busy()) } else { Ok(()) }
    }
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.own, Ordering::Relaxed);
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
    pub(super) fn new(context: Context, queue: Sender<Box<dyn Exchange>>) -> Self {
        Self { context, queue, arriving: AtomicUsize::new(0) }
    }

    /// Answers one request.
    pub(super) async fn answer<P: Pace>(
        self: Arc<Self>,
        pace: P,
        request: Request<Incoming>,
    ) -> Result<Response<Reply>, Infallible> {
        let result = match (request.method(), request.uri().path()) {
            (&Method::GET, NODE_PATH) => self.node(&request),
            (&Method::POST, SYNC_PATH) => self.sync(pace, request).await,
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
            let text = format!("{}\n", refusal.text);
            let mut response = respond(refusal.status, "text/plain; charset=utf-8", Reply::whole(text));
            // Part of the body may be unread, so that the next request cannot be found.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }))
    }

    /// Who this node is.
    fn node(&self, request: &Request<Incoming>) -> Result<Response<Reply>, Refusal> {
        let nonce = match query(request, "nonce") {
            Some(text) => HEXLOWER_PERMISSIVE
                .decode(text.as_bytes())
                .ok()
                .and_then(|bytes| Nonce::try_from(bytes).ok())
                .ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "expected nonce=32 hexadecimal digits"))?,
            None => Nonce::default(),
        };
        let answer = NodeAnswer::sign(self.context.key(), self.context.wall(), &nonce);
        if header(request.headers(), ACCEPT.as_str()) == Some(POSTCARD) {
            return Ok(respond(StatusCode::OK, POSTCARD, Reply::whole(canonical::to_vec(&answer))));
        }
        let (low, high) = answer.versions;
        let signature = BASE64_NOPAD.encode(answer.signature.as_bytes());
        let json = format!(
            "{{\"key\":\"{}\",\"versions\":[{low},{high}],\"time\":{},\"signature\":\"{signature}\"}}\n",
            answer.key, answer.time
        );
        Ok(respond(StatusCode::OK, "application/json", Reply::whole(json)))
    }

    /// A message for the node.
    async fn sync<P: Pace>(&self, pace: P, request: Request<Incoming>) -> Result<Response<Reply>, Refusal> {
        let (parts, body) = request.into_parts();
        match header(&parts.headers, CONTENT_TYPE.as_str()) {
            Some(POSTCARD) => {}
            _ => return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("send {POSTCARD}"))),
        }
        let head = read_head(&parts.headers)?;
        let announced = body.size_hint().upper().unwrap_or(limits::MAX_BODY as u64);
        if announced > limits::MAX_BODY as u64 {
            let text = format!("a body has at most {} bytes, got {announced}", limits::MAX_BODY);
            return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        let time = limits::BODY_GRACE + Duration::from_secs(announced / limits::MIN_RATE);
        let arrived = pace.within(time, self.read(body)).await.unwrap_or_else(|| {
            Err(refuse(StatusCode::REQUEST_TIMEOUT, "the body took too long: send faster or less"))
        })?;
        let target = RequestTarget {
            audience: self.context.key().public(),
            method: "POST",
            path: SYNC_PATH,
            body: arrived.hash,
        };
        let (peer, nonce, digest) = match &head {
            None => (None, None, target.digest(None, 0, &Nonce::default())),
            Some(head) => match head.check(&target, self.context.wall()) {
                Ok(digest) => (Some(head.key), Some(head.nonce), digest),
                Err(SignedError::Stale { stated, .. }) => return Ok(self.clock_refused(stated, &head.nonce)),
                Err(error) => return Err(refuse(StatusCode::FORBIDDEN, error.to_string())),
            },
        };
        let (pieces, stream) = pipe(limits::PIECES);
        let request = responder::Request { peer, nonce, digest, frames: arrived.frames };
        let exchange = HttpResponder::new(self.context.clone(), request, pieces);
        self.queue.try_send(Box::new(exchange)).map_err(|error| match error {
            NotSent::Full => busy(),
            NotSent::Closed => {
                refuse(StatusCode::SERVICE_UNAVAILABLE, "this node is stopping: try again later")
            }
        })?;
        Ok(respond(StatusCode::OK, POSTCARD, Reply::Stream(stream)))
    }

    /// States our time, signed for the request that was refused.
    fn clock_refused(&self, stated: u64, nonce: &Nonce) -> Response<Reply> {
        let answer = NodeAnswer::sign(self.context.key(), stated, nonce);
        respond(StatusCode::UNAUTHORIZED, POSTCARD, Reply::whole(canonical::to_vec(&answer)))
    }

    /// Reads a body to its end, frame by frame.
    async fn read(&self, mut body: Incoming) -> Result<Arrived, Refusal> {
        let mut arriving = Arriving { all: &self.arriving, own: 0 };
        let mut decoder = Decoder::default();
        let mut hasher = blake3::Hasher::new();
        let mut frames = VecDeque::new();
        let mut over = false;
        while let Some(piece) = body.frame().await {
            let piece = piece.map_err(|error| refuse(StatusCode::BAD_REQUEST, error.to_string()))?;
            let Ok(piece) = piece.into_data() else { continue };
            arriving.charge(piece.len())?;
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
    let head = header(headers, SIGNATURE_HEADER)
        .and_then(|text| BASE64_NOPAD.decode(text.as_bytes()).ok())
        .and_then(|bytes| canonical::from_bytes(&bytes).ok());
    head.map(Some).ok_or_else(|| {
        let text = format!("{SIGNATURE_HEADER} is no request head in base64 without padding");
        refuse(StatusCode::BAD_REQUEST, text)
    })
}

/// The one value of a header; nothing if it is there twice.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
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
