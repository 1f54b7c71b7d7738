//! What hostile peers try over QUIC. They speak through streams of this module, on which they write what they like.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use pleach_core::{
    PublicKey, SecretKey,
    limits::{MAX_FRAME, MAX_MESSAGE},
};
use quinn::{ClientConfig, crypto::rustls::QuicClientConfig};
use rustls::client::AlwaysResolvesClientRawPublicKeys;

use super::{BUSY, Dialler, Drive, QuicTransport, halves::Stream, peer_of, tls};
use crate::{
    Address, Context, Received, Transport, TransportError, budget::LEAST, framing, park_on, park_until,
};

/// After this long something hangs.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes([seed; 32])
}

fn context(seed: u8) -> Context {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    let random = |bytes: &mut [u8]| {
        let drawn = DRAWN.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        bytes.iter_mut().zip(drawn.into_iter().cycle()).for_each(|(byte, drawn)| *byte = drawn);
    };
    Context::new(key(seed), Arc::new(|| 0), Arc::new(random))
}

pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    park_until(Instant::now() + LIMIT, future).expect("it does not hang")
}

/// What a server heard of one exchange: the bytes of its frames, and how it ended.
type Heard = (Option<PublicKey>, usize, Result<Received, TransportError>);

/// A server, the node 1, that hears each exchange to its end.
pub(super) struct Server {
    pub(super) address: Address,
    heard: async_channel::Receiver<Heard>,
}

impl Server {
    pub(super) fn new() -> Self {
        let transport = QuicTransport::builder().bind("127.0.0.1:0").transport(context(1)).unwrap();
        let mut listener = transport.listen().unwrap();
        let address = listener.address();
        let (tell, heard) = async_channel::unbounded();
        thread::spawn(move || {
            // It ends with the test's process.
            while let Ok(mut exchange) = park_on(poll_fn(|task| listener.poll_accept(task))) {
                let (peer, mut bytes) = (exchange.peer(), 0);
                exchange.vouch();
                let end = loop {
                    match park_on(poll_fn(|task| exchange.poll_receive(task))) {
                        Ok(Received::Frame(frame)) => bytes += frame.len(),
                        Ok(Received::End) => {}
                        end => break end,
                    }
                };
                // The test may have ended.
                let _ = tell.try_send((peer, bytes, end));
            }
        });
        Self { address, heard }
    }

    /// What became of the next exchange.
    pub(super) fn heard(&self) -> (usize, Result<Received, TransportError>) {
        let (peer, bytes, end) = wait(self.heard.recv()).expect("the server serves");
        assert_eq!(peer, Some(key(2).public()));
        (bytes, end)
    }
}

/// A peer, the node 2, and what keeps it running.
pub(super) struct Peer {
    pub(super) dialler: Dialler,
    _drive: Drive,
}

impl Peer {
    pub(super) fn new() -> Self {
        let context = context(2);
        let drive = Drive::of(&context).unwrap();
        Self { dialler: Dialler::new(&context, None, drive.clone()).unwrap(), _drive: drive }
    }

    fn stream(&self, server: &Server) -> Stream {
        wait(self.dialler.stream(&server.address)).unwrap()
    }

    /// Writes bytes and ends the stream. The server may let go of it before it has all.
    fn say(&self, server: &Server, bytes: &[u8]) {
        let mut stream = self.stream(server);
        let _ = wait(stream.sending.write_all(bytes));
        let _ = stream.sending.finish();
        let _ = wait(stream.sending.stopped());
    }
}

pub(super) fn framed(frames: &[&[u8]]) -> Vec<u8> {
    let frames = frames.iter().map(|frame| [&framing::prefix(frame)[..], frame].concat());
    frames.chain([framing::END.to_vec()]).collect::<Vec<_>>().concat()
}

#[test]
fn a_length_beyond_the_limit_or_beyond_the_bytes_ends_the_exchange_and_nothing_else() {
    let (server, peer) = (Server::new(), Peer::new());
    peer.say(&server, &[0xff; 64]);
    let (bytes, end) = server.heard();
    assert!(matches!(end, Err(TransportError::Misbehaved(_))), "{end:?}");
    assert_eq!(bytes, 0);

    let announced = u32::try_from(MAX_FRAME).unwrap().to_le_bytes();
    peer.say(&server, &[&announced[..], b"few"].concat());
    let (_, end) = server.heard();
    assert!(matches!(end, Err(TransportError::Cut(_))), "{end:?}");

    peer.say(&server, &framed(&[b"frame"]));
    assert_eq!(server.heard(), (5, Ok(Received::Closed)), "the same connection serves on");
}

#[test]
fn a_message_beyond_the_limit_is_refused_at_the_length_that_crosses_it() {
    let (server, peer) = (Server::new(), Peer::new());
    let frame = vec![7; MAX_FRAME];
    let mut largest = framed(&[&frame[..]; MAX_MESSAGE / MAX_FRAME]);
    peer.say(&server, &largest);
    assert_eq!(server.heard(), (MAX_MESSAGE, Ok(Received::Closed)));
    largest.truncate(largest.len() - framing::PREFIX);
    largest.extend([1, 0, 0, 0, 7]);
    peer.say(&server, &largest);
    let (bytes, end) = server.heard();
    assert!(matches!(end, Err(TransportError::Misbehaved(_))), "{end:?}");
    assert_eq!(bytes, MAX_MESSAGE);
}

#[test]
fn a_message_of_very_many_frames_is_as_large_as_it_costs() {
    let (server, peer) = (Server::new(), Peer::new());
    let most = MAX_MESSAGE / LEAST;
    peer.say(&server, &framed(&vec![&b"x"[..]; most]));
    assert_eq!(server.heard(), (most, Ok(Received::Closed)));
    peer.say(&server, &framed(&vec![&b"x"[..]; most + 1]));
    let (bytes, end) = server.heard();
    assert!(matches!(end, Err(TransportError::Misbehaved(_))), "{end:?}");
    assert_eq!(bytes, most);
}

#[test]
fn a_message_that_is_cut_or_reset_in_the_middle_is_an_error() {
    let (server, peer) = (Server::new(), Peer::new());
    let message = framed(&[b"one", b"two"]);
    for end in [1, 3, 4, 5, 7, 9, message.len() - 1] {
        peer.say(&server, &message[..end]);
        let (_, end) = server.heard();
        assert!(matches!(end, Err(TransportError::Cut(_))), "{end:?}");
    }
    let mut stream = peer.stream(&server);
    wait(stream.sending.write_all(&message[..9])).unwrap();
    stream.sending.reset(BUSY).unwrap();
    let (_, end) = server.heard();
    assert!(matches!(end, Err(TransportError::Cut(_))), "{end:?}");
}

#[test]
fn a_key_is_not_believed_unless_its_holder_signs() {
    let server = Server::new();
    let peer = Peer::new();
    let connects = |shown: PublicKey| {
        let mut tls = tls::client(&key(2)).unwrap();
        let forged = tls::shown_as(shown, &key(2));
        tls.client_auth_cert_resolver = Arc::new(AlwaysResolvesClientRawPublicKeys::new(forged));
        let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        let endpoint = peer.dialler.endpoint().unwrap();
        let place = server.address.address.parse().unwrap();
        wait(async {
            let connection = endpoint.connect_with(config, place, "pleach").unwrap().await?;
            assert_eq!(peer_of(&connection), Some(key(1).public()));
            let (mut sending, _receiving) = connection.open_bi().await?;
            // A client is done before its own key is judged: what it is told comes afterwards.
            let _ = sending.write_all(&framed(&[b"frame"])).await;
            let _ = sending.finish();
            match sending.stopped().await {
                Ok(_) => Ok(()),
                Err(_) => Err(connection.closed().await),
            }
        })
    };
    assert!(connects(key(2).public()).is_ok());
    assert_eq!(server.heard(), (5, Ok(Received::Closed)));
    for other in [key(3).public(), PublicKey::from_bytes([0; 32]), PublicKey::from_bytes([0xff; 32])] {
        assert!(connects(other).is_err());
    }
    peer.say(&server, &framed(&[b"frame"]));
    assert_eq!(server.heard(), (5, Ok(Received::Closed)), "nothing of theirs was heard");
}
