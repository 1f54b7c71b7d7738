//! What hostile peers try over HTTP, against both servers and both clients.
#![cfg(all(feature = "conformance", feature = "http", feature = "threads", feature = "smol"))]

mod node;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use data_encoding::HEXLOWER;
use node::{context, executed, wall};
use pleach_core::{
    canonical,
    limits::{MAX_FRAME, MAX_MESSAGE},
    wire::{NodeAnswer, RequestDigest, RequestHead, RequestTarget, ResponseHead, Transcript, body_hash},
};
use pleach_transports::{
    Address, Context, Transport, TransportError,
    conformance::{Driven, Served, key},
    http::HttpTransport,
};

const PATH: &str = "/api/v0/sync";
const TEN_YEARS: u64 = 315_576_000_000;

fn listen(context: Context) -> Served {
    Served::echo(HttpTransport::builder().bind("127.0.0.1:0").transport(context).unwrap().listen().unwrap())
}

/// Both servers, as the node 1.
fn servers() -> [Served; 2] {
    [listen(context(1)), listen(executed(1))]
}

/// Both clients, as the node 2.
fn clients() -> [HttpTransport; 2] {
    [context(2), executed(2)].map(|context| HttpTransport::builder().transport(context).unwrap())
}

fn framed(frames: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    for frame in frames {
        body.extend(u32::try_from(frame.len()).unwrap().to_le_bytes());
        body.extend(*frame);
    }
    body.extend([0; 4]);
    body
}

/// A signed head for a body, by the node 2, for the audience with this seed.
fn head(audience: u8, body: &[u8], time: u64, nonce: [u8; 16]) -> RequestHead {
    let target =
        RequestTarget { audience: key(audience).public(), method: "POST", path: PATH, body: body_hash(body) };
    RequestHead::sign(&key(2), &target, time, nonce)
}

fn connect(server: &Served) -> TcpStream {
    let stream = TcpStream::connect(&server.address.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// The status of the response to a request, and all that follows its head.
fn post(server: &Served, head: Option<&RequestHead>, body: &[u8]) -> (u16, Vec<u8>) {
    let signature = head.map_or(String::new(), |head| format!("pleach-signature: {head}\r\n"));
    let mut stream = connect(server);
    let request = format!(
        "POST {PATH} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/postcard\r\n\
         content-length: {}\r\n{signature}\r\n",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    // The server may refuse before it has read all.
    let _ = stream.write_all(body);
    response(stream)
}

fn response(stream: TcpStream) -> (u16, Vec<u8>) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    while line.trim_end() != "" {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    let mut body = Vec::new();
    // A connection that is reset has said its status all the same.
    let _ = reader.read_to_end(&mut body);
    (status, body)
}

#[test]
fn a_length_far_beyond_the_bytes_is_refused() {
    for server in servers() {
        let sent = |body: &[u8]| post(&server, Some(&head(1, body, wall(), [1; 16])), body).0;
        assert_eq!(sent(&framed(&[b"frame"])), 200);
        assert_eq!(sent(&[0xff; 8]), 413);
        assert_eq!(sent(&[&u32::try_from(MAX_FRAME).unwrap().to_le_bytes()[..], b"few"].concat()), 400);
        assert_eq!(sent(&framed(&[b"frame"])[..6]), 400, "a message that does not end");
        assert_eq!(sent(&[framed(&[b"frame"]), vec![1]].concat()), 400, "bytes after the end");
    }
}

#[test]
fn a_body_beyond_the_limit_is_refused_before_it_comes() {
    for server in servers() {
        let mut stream = connect(&server);
        let request = format!(
            "POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/postcard\r\n\
             content-length: 100000000\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(response(stream).0, 413);
    }
}

#[test]
fn a_message_of_very_many_frames_is_as_large_as_it_costs() {
    for server in servers() {
        // Each of them costs 64 bytes at least.
        let most = MAX_MESSAGE / 64;
        for (frames, status) in [(most, 200), (most + 1, 413)] {
            let body = framed(&vec![&b"x"[..]; frames]);
            assert_eq!(post(&server, Some(&head(1, &body, wall(), [1; 16])), &body).0, status);
        }
    }
}

#[test]
fn a_changed_body_another_audience_and_a_reflected_request_are_refused() {
    for server in servers() {
        let body = framed(&[b"frame"]);
        let good = head(1, &body, wall(), [1; 16]);
        assert_eq!(post(&server, Some(&good), &body).0, 200);
        assert_eq!(post(&server, Some(&good), &framed(&[b"other"])).0, 403);
        assert_eq!(
            post(&server, Some(&head(3, &body, wall(), [1; 16])), &body).0,
            403,
            "made for another node"
        );
        let target =
            RequestTarget { audience: key(1).public(), method: "POST", path: PATH, body: body_hash(&body) };
        let own = RequestHead::sign(&key(1), &target, wall(), [1; 16]);
        assert_eq!(post(&server, Some(&own), &body).0, 403, "the server's own key");
    }
}

#[test]
fn an_unsigned_request_proves_no_key() {
    for server in servers() {
        let body = framed(&[b"frame"]);
        let key_frame = |answer: &[u8]| answer.windows(32).any(|window| window == key(2).public().as_bytes());
        assert!(key_frame(&post(&server, Some(&head(1, &body, wall(), [1; 16])), &body).1));
        let (status, answer) = post(&server, None, &body);
        assert_eq!(status, 200);
        assert!(!key_frame(&answer));
    }
}

#[test]
fn a_stale_request_is_answered_with_the_responders_time_signed_for_it() {
    for server in servers() {
        let body = framed(&[b"frame"]);
        for time in [wall() - TEN_YEARS, wall() + TEN_YEARS, 0, u64::MAX] {
            let stale = head(1, &body, time, [7; 16]);
            let (status, answer) = post(&server, Some(&stale), &body);
            assert_eq!(status, 401);
            let answer: NodeAnswer = canonical::from_bytes(&answer).unwrap();
            assert_eq!(answer.check(key(2).public(), Some(key(1).public()), &[7; 16]), Ok(()));
            assert_eq!(post(&server, Some(&head(1, &body, answer.time, [8; 16])), &body).0, 200);
        }
    }
}

#[test]
fn a_replayed_request_says_the_same_time_to_whoever_must_refuse_it() {
    for context in [context(1), executed(1)] {
        let (told, times) = async_channel::unbounded();
        let transport = HttpTransport::builder().bind("127.0.0.1:0").transport(context).unwrap();
        let mut listener = transport.listen().unwrap();
        let address = listener.address();
        thread::spawn(move || {
            while let Ok(exchange) =
                pleach_transports::park_on(std::future::poll_fn(|task| listener.poll_accept(task)))
            {
                told.try_send(exchange.signed()).unwrap();
                let mut exchange = Driven::new(exchange);
                exchange.hear().unwrap();
                exchange.finish().unwrap();
            }
        });
        let body = framed(&[b"frame"]);
        let time = wall();
        let signed = head(1, &body, time, [9; 16]);
        for _ in 0..2 {
            let mut stream = TcpStream::connect(&address.address).unwrap();
            let request = format!(
                "POST {PATH} HTTP/1.1\r\nhost: x\r\nconnection: close\r\npleach-signature: {signed}\r\n\
                 content-type: application/postcard\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(&[request.as_bytes(), &body].concat()).unwrap();
            assert_eq!(response(stream).0, 200);
            assert_eq!(times.recv_blocking().unwrap(), Some(time));
        }
    }
}

#[test]
fn a_head_that_never_ends_is_cut_off() {
    let servers = servers();
    let slow: Vec<_> = servers
        .iter()
        .map(|server| {
            let mut stream = connect(server);
            stream.write_all(b"POST /api/v0/sync HTTP/1.1\r\nhost: x\r\nslow: ").unwrap();
            stream
        })
        .collect();
    for mut stream in slow {
        let mut rest = Vec::new();
        // A reset would be as good: what matters is that it ends.
        let ended = stream.read_to_end(&mut rest);
        assert!(
            !matches!(&ended, Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)),
            "the server still waits: {ended:?}"
        );
    }
}

#[test]
fn a_body_that_comes_too_slowly_is_cut_off_and_says_so() {
    let servers = servers();
    let slow: Vec<_> = servers
        .iter()
        .map(|server| {
            let mut stream = connect(server);
            let body = framed(&[&[1; 1_000]]);
            let request = format!(
                "POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/postcard\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(&[request.as_bytes(), &body[..body.len() - 1]].concat()).unwrap();
            stream
        })
        .collect();
    for (server, stream) in servers.iter().zip(slow) {
        // Others are served meanwhile.
        assert_eq!(post(server, None, &framed(&[b"frame"])).0, 200);
        assert_eq!(response(stream).0, 408);
    }
}

#[test]
fn a_clock_that_is_years_ahead_or_jumps_between_requests_does_no_harm() {
    let ahead = Arc::new(AtomicU64::new(TEN_YEARS));
    let clock = Arc::clone(&ahead);
    let context = Context::new(
        key(1),
        Arc::new(move || wall() + clock.load(Ordering::Relaxed)),
        Arc::new(|bytes| bytes.fill(7)),
    );
    let server = listen(context);
    for client in clients() {
        for jump in [TEN_YEARS, 0] {
            ahead.store(jump, Ordering::Relaxed);
            let mut exchange = Driven::open(&client, &server.address).unwrap();
            exchange.say(&[vec![1]]).unwrap();
            assert_eq!(exchange.hear().unwrap().unwrap().len(), 2);
        }
    }
}

/// What a false server does to its response.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lie {
    Nothing,
    Head,
    Frame,
    End,
    Cut,
    AnotherRequest,
    AnotherKey,
    MoreAfterTheEnd,
    HugeLength,
    StaleForEver,
}

/// The response to a request, with the lie in it.
fn answer(lie: Lie, request: RequestDigest) -> Vec<u8> {
    let request = match lie {
        Lie::AnotherRequest => {
            RequestTarget { audience: key(1).public(), method: "POST", path: PATH, body: [0; 32] }
                .digest(None, 0, &[0; 16])
        }
        _ => request,
    };
    let secret = key(if lie == Lie::AnotherKey { 3 } else { 1 });
    let head = canonical::to_vec(&ResponseHead::sign(&secret, request, wall()));
    let mut bytes = u32::try_from(head.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend(&head);
    if lie == Lie::HugeLength {
        bytes.extend([0xff; 4]);
    }
    bytes.extend(framed(&[b"answer"]));
    let mut transcript = Transcript::new(request);
    transcript.add(&bytes);
    bytes.extend(transcript.sign(&secret).as_bytes());
    let last = bytes.len() - 1;
    match lie {
        Lie::Head => bytes[4 + 32 + 8] ^= 1,
        Lie::Frame => bytes[4 + head.len() + 4] ^= 1,
        Lie::End => bytes[last] ^= 1,
        Lie::Cut => bytes.truncate(last),
        Lie::MoreAfterTheEnd => bytes.push(0),
        _ => {}
    }
    bytes
}

/// One connection to a false server, with one request on it.
fn lie_once(stream: &TcpStream, lie: Lie) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = Vec::new();
    loop {
        let mut text = String::new();
        reader.read_line(&mut text)?;
        if text.trim_end().is_empty() {
            break;
        }
        head.push(text.trim_end().to_string());
    }
    let header = |name: &str| {
        let mut pairs = head.iter().filter_map(|text| text.split_once(": "));
        pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_string())
    };
    let first = head[0].clone();
    let (status, body) = match header("content-length") {
        Some(length) if first.starts_with("POST") => {
            let mut body = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut body)?;
            let head: RequestHead = header("pleach-signature").unwrap().parse().unwrap();
            let target = RequestTarget {
                audience: key(1).public(),
                method: "POST",
                path: PATH,
                body: body_hash(&body),
            };
            if lie == Lie::StaleForEver {
                (401, canonical::to_vec(&NodeAnswer::sign(&key(1), TEN_YEARS, &head.nonce)))
            } else {
                (200, answer(lie, head.digest(&target)))
            }
        }
        _ => {
            let nonce = first.split_once("nonce=").unwrap().1.split(' ').next().unwrap();
            let nonce = HEXLOWER.decode(nonce.as_bytes()).unwrap().try_into().unwrap();
            (200, canonical::to_vec(&NodeAnswer::sign(&key(1), wall(), &nonce)))
        }
    };
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/postcard\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (&*stream).write_all(&[head.as_bytes(), &body].concat())
}

fn false_server(lie: Lie) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::http(&listener.local_addr().unwrap().to_string());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || lie_once(&stream, lie));
        }
    });
    address
}

fn ask(client: &HttpTransport, lie: Lie) -> Result<Vec<Vec<u8>>, TransportError> {
    let mut exchange = Driven::open(client, &false_server(lie))?;
    exchange.say(&[b"ask".to_vec()])?;
    Ok(exchange.hear()?.expect("a message"))
}

#[test]
fn a_response_that_is_changed_cut_or_made_for_another_request_is_refused() {
    for client in clients() {
        assert_eq!(ask(&client, Lie::Nothing), Ok(vec![b"answer".to_vec()]));
        for lie in
            [Lie::Head, Lie::Frame, Lie::End, Lie::AnotherRequest, Lie::MoreAfterTheEnd, Lie::HugeLength]
        {
            let refused = ask(&client, lie);
            assert!(matches!(refused, Err(TransportError::Misbehaved(_))), "{lie:?}: {refused:?}");
        }
        assert!(matches!(ask(&client, Lie::AnotherKey), Err(TransportError::WrongKey { .. })));
        assert!(matches!(ask(&client, Lie::Cut), Err(TransportError::Cut(_))));
        assert_eq!(ask(&client, Lie::StaleForEver), Err(TransportError::Clock), "asked twice, not for ever");
    }
}

#[test]
fn something_else_than_a_node_is_called_that() {
    for client in clients() {
        for reply in ["220 mail.example ready\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = Address::http(&listener.local_addr().unwrap().to_string());
            thread::spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    let mut some = [0; 1024];
                    // Read first, or the answer might be lost in a reset.
                    let _ = stream.read(&mut some).and_then(|_| stream.write_all(reply.as_bytes()));
                }
            });
            let refused = Driven::open(&client, &address).map(drop);
            assert!(matches!(refused, Err(TransportError::NotPleach { .. })), "{refused:?}");
        }
    }
}
