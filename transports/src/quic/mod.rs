//! QUIC: the node key is the TLS identity of both sides, and each exchange is one bidirectional stream.
//!
//! Connections are kept and shared by the exchanges with one address. Frames are framed as everywhere; a length of zero
//! ends a message, the end of the stream ends the exchange.

mod dial;
mod drive;
mod halves;
#[cfg(test)]
mod hostile;
mod limits;
#[cfg(test)]
mod shared;
mod tls;

use std::{
    net::{ToSocketAddrs, UdpSocket},
    sync::Arc,
    task::{Context as Task, Poll},
};

use dial::Dialler;
use drive::{Drive, WeakDrive};
use halves::{QuicExchange, stream};
use pleach_core::PublicKey;
use quinn::{
    Connection, Endpoint, EndpointConfig, IdleTimeout, Incoming, TransportConfig, VarInt,
    crypto::rustls::QuicServerConfig,
};

use crate::{
    Address, Builder, Built, Context, Exchange, Listener, Transport, TransportError,
    gate::{Gate, Visitor, source_of},
    pipe::{Receiver, Sender, pipe},
    place,
    race::race,
    streams::Hosting,
};
use async_io::Timer;

/// Why a connection or a stream is ended, for the peer to read.
const DONE: VarInt = VarInt::from_u32(0);
const OWN_KEY: VarInt = VarInt::from_u32(1);
const WRONG_KEY: VarInt = VarInt::from_u32(2);
const BUSY: VarInt = VarInt::from_u32(3);

/// Settings of a [`QuicTransport`].
///
/// ```
/// # use std::sync::Arc;
/// # use pleach_core::SecretKey;
/// # use pleach_transports::{Context, Transport, quic::QuicTransport};
/// # let context = Context::new(SecretKey::from_bytes([1; 32]), Arc::new(|| 0), Arc::new(|bytes| bytes.fill(0)));
/// let transport = QuicTransport::builder().bind("127.0.0.1:0").dial_from("127.0.0.1:0").transport(context)?;
/// let listener = transport.listen()?;
/// assert!(listener.address().to_string().starts_with("quic:"));
/// # Ok::<(), pleach_transports::TransportError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct QuicBuilder {
    bind: Option<String>,
    from: Option<String>,
}

impl QuicBuilder {
    /// Listens on this `host:port`; port 0 takes a free one. Without it the transport only dials.
    #[must_use]
    pub fn bind(self, place: &str) -> Self {
        Self { bind: Some(place.into()), ..self }
    }

    /// Dials from this `host:port`, on a machine with several addresses; port 0 takes a free one. Without it the system
    /// chooses.
    #[must_use]
    pub fn dial_from(self, place: &str) -> Self {
        Self { from: Some(place.into()), ..self }
    }

    /// The transport itself: on the executor that the context lends, or else on one thread of its own.
    pub fn transport(self, context: Context) -> Result<QuicTransport, TransportError> {
        let drive = Drive::of(&context)?;
        let dialler = Arc::new(Dialler::new(&context, self.from, drive.clone())?);
        Ok(QuicTransport { bind: self.bind, context, drive, dialler })
    }
}

impl Builder for QuicBuilder {
    fn build(self: Box<Self>, context: Context, _state: Option<&[u8]>) -> Result<Built, TransportError> {
        Ok(Built { transport: Box::new(self.transport(context)?), state: None })
    }
}

/// The transport `quic`.
///
/// ```
/// # use pleach_transports::quic::QuicTransport;
/// let settings = QuicTransport::builder().bind("127.0.0.1:0").dial_from("127.0.0.1:0");
/// # drop(settings);
/// ```
pub struct QuicTransport {
    bind: Option<String>,
    context: Context,
    dialler: Arc<Dialler>,
    /// Let go of last: it runs until the connections have said goodbye.
    drive: Drive,
}

impl QuicTransport {
    /// Settings to begin with: without a place to listen.
    pub fn builder() -> QuicBuilder {
        QuicBuilder::default()
    }
}

impl std::fmt::Debug for QuicTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QuicTransport").field("bind", &self.bind).finish_non_exhaustive()
    }
}

impl Transport for QuicTransport {
    fn kind(&self) -> &'static str {
        "quic"
    }

    fn can_listen(&self) -> bool {
        self.bind.is_some()
    }

    fn dial(&self, address: &Address) -> Result<Box<dyn Exchange>, TransportError> {
        place::check(self.kind(), address)?;
        let (dialler, address) = (Arc::clone(&self.dialler), address.clone());
        let dialling = Box::pin(async move { dialler.stream(&address).await });
        Ok(Box::new(QuicExchange::dialled(dialling, self.drive.clone())))
    }

    fn listen(&self) -> Result<Box<dyn Listener>, TransportError> {
        let place = place::to_bind(self.kind(), self.bind.as_deref())?;
        let failed = |error: std::io::Error| place::cannot_bind(self.kind(), place, &error);
        let places: Vec<_> = place.to_socket_addrs().map_err(failed)?.collect();
        let socket = UdpSocket::bind(&places[..]).map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?;
        let config = server_config(&self.context)?;
        let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket, self.drive.runtime())
            .map_err(failed)?;
        let (queue, accepted) = pipe(limits::BACKLOG);
        let own = self.context.key().public();
        let gate = Gate::new(limits::CONNECTIONS.wanted(self.context.limits()));
        let door = Door { own, queue: Arc::new(queue), gate, drive: self.drive.downgrade() };
        self.drive.executor.spawn(door.accept(endpoint.clone())).detach();
        let address = Address::quic(&local.to_string()).with_key(own);
        Ok(Box::new(QuicListener { address, endpoint, accepted, _drive: self.drive.clone() }))
    }
}

/// What holds for connections of both sides.
fn transport_config() -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(limits::MAX_STREAMS.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(limits::STREAM_WINDOW.into())
        .receive_window(limits::CONNECTION_WINDOW.into())
        .send_window(limits::CONNECTION_WINDOW.into())
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(IdleTimeout::try_from(limits::IDLE_TIME).ok());
    config
}

fn setup(error: &dyn std::fmt::Display) -> TransportError {
    TransportError::Setup(format!("cannot set up TLS: {error}"))
}

fn server_config(context: &Context) -> Result<quinn::ServerConfig, TransportError> {
    let tls = tls::server(context.key()).map_err(|error| setup(&error))?;
    let crypto = QuicServerConfig::try_from(tls).map_err(|error| setup(&error))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let mut transport = transport_config();
    transport
        .max_concurrent_bidi_streams(limits::STRANGER_STREAMS.into())
        .receive_window(limits::STRANGER_WINDOW.into())
        .send_window(limits::STRANGER_SEND_WINDOW);
    config
        .transport_config(Arc::new(transport))
        .max_incoming(limits::MAX_INCOMING)
        .incoming_buffer_size(limits::INCOMING_BYTES)
        .incoming_buffer_size_total(limits::ALL_INCOMING_BYTES);
    Ok(config)
}

/// The key that the peer of a connection has proven.
fn peer_of(connection: &Connection) -> Option<PublicKey> {
    let identity = connection.peer_identity()?;
    let shown = identity.downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>().ok()?;
    tls::key_of(shown.first()?)
}

/// Takes connections in and queues their streams.
#[derive(Clone)]
struct Door {
    own: PublicKey,
    queue: Arc<Sender<Box<dyn Exchange>>>,
    gate: Arc<Gate>,
    /// The tasks lie in the executor and may not keep it; the exchanges do.
    drive: WeakDrive,
}

impl Door {
    async fn accept(self, endpoint: Endpoint) {
        while let Some(incoming) = endpoint.accept().await {
            let Some(drive) = self.drive.upgrade() else { return };
            if !incoming.remote_address_validated() && incoming.may_retry() && !self.gate.begin() {
                // A retry fails only for an address that is validated.
                let _ = incoming.retry();
                continue;
            }
            let (staying, leaving) = async_channel::bounded::<()>(1);
            match self.gate.enter(source_of(incoming.remote_address().ip()), Box::new(move || drop(staying)))
            {
                Some(visitor) => {
                    drive.executor.spawn(self.clone().connection(incoming, visitor, leaving)).detach();
                }
                // To say so would cost more than it is worth: who is in earnest tries again.
                None => incoming.ignore(),
            }
        }
    }

    /// A connection, until it ends or has to make room.
    async fn connection(self, incoming: Incoming, visitor: Visitor, leaving: async_channel::Receiver<()>) {
        let coming = async {
            // The other side of a connection that fails is told by QUIC.
            incoming.await.ok()
        };
        let late = async {
            Timer::after(limits::CONNECT_TIME).await;
            None
        };
        let left = async {
            // Nothing is ever sent: another connection that takes the place ends the wait.
            let _ = leaving.recv().await;
            None
        };
        let Some(connection) = race(race(coming, late), left).await else { return };
        let Some(peer) = peer_of(&connection) else { return };
        if peer == self.own {
            connection.close(OWN_KEY, b"the responder's own key");
            return;
        }
        visitor.shows(&peer);
        let host = Host { connection: connection.clone(), visitor: Arc::new(visitor) };
        let left = async {
            let _ = leaving.recv().await;
            connection.close(BUSY, b"others wait");
        };
        race(self.streams(peer, &host), left).await;
    }

    async fn streams(&self, peer: PublicKey, host: &Host) {
        while let Ok((mut sending, mut receiving)) = host.connection.accept_bi().await {
            if !host.visitor.request() {
                host.connection.close(BUSY, b"too many requests: try again later");
                return;
            }
            if !self.queue.has_room() {
                // The stream may be gone already.
                let _ = (sending.reset(BUSY), receiving.stop(BUSY));
                continue;
            }
            let stream = stream(&host.connection, peer, (sending, receiving));
            let Some(drive) = self.drive.upgrade() else { return };
            let exchange = QuicExchange::accepted(stream, host.clone(), drive);
            // A queue that filled up meanwhile drops the exchange, which the peer sees as a cut.
            let _ = self.queue.try_send(Box::new(exchange));
        }
    }
}

/// The connection of an accepted exchange.
#[derive(Clone)]
struct Host {
    connection: Connection,
    visitor: Arc<Visitor>,
}

impl Hosting for Host {
    fn visitor(&self) -> &Visitor {
        &self.visitor
    }

    fn vouch(&self, peer: PublicKey) {
        self.visitor.vouch(peer);
        self.connection.set_max_concurrent_bi_streams(limits::MAX_STREAMS.into());
        self.connection.set_receive_window(limits::CONNECTION_WINDOW.into());
        self.connection.set_send_window(limits::CONNECTION_WINDOW.into());
    }
}

struct QuicListener {
    address: Address,
    endpoint: Endpoint,
    accepted: Receiver<Box<dyn Exchange>>,
    /// Keeps the executor running.
    _drive: Drive,
}

impl Listener for QuicListener {
    fn address(&self) -> Address {
        self.address.clone()
    }

    fn poll_accept(&mut self, task: &mut Task<'_>) -> Poll<Result<Box<dyn Exchange>, TransportError>> {
        self.accepted.poll_receive(task).map(|exchange| {
            exchange.ok_or_else(|| TransportError::CannotListen {
                address: self.address.to_string(),
                reason: "the endpoint has ended".into(),
            })
        })
    }
}

impl Drop for QuicListener {
    fn drop(&mut self) {
        self.endpoint.close(DONE, b"the listener is gone");
    }
}
