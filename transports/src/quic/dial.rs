//! Connections to other nodes: made when an exchange needs one, kept for the next.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex, PoisonError},
};

use async_io::Timer;
use pleach_core::PublicKey;
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, TransportErrorCode,
    crypto::rustls::QuicClientConfig,
};

use super::{
    OWN_KEY, WRONG_KEY,
    drive::Drive,
    halves::{Stream, stream},
    limits, peer_of, setup, tls, transport_config,
};
use crate::{
    Address, Context, TransportError,
    kept::{Connected, Kept},
    place,
    race::race,
};

/// The name that TLS wants; keys say who is who here.
const SERVER_NAME: &str = "pleach";

impl Connected for Connection {
    fn is_open(&self) -> bool {
        self.close_reason().is_none()
    }
}

/// Dials, and remembers connections by place.
pub(super) struct Dialler {
    own: PublicKey,
    pub(super) config: ClientConfig,
    /// Where to dial from, unless the system chooses.
    from: Option<String>,
    /// Made at the first dial.
    endpoint: Mutex<Option<Endpoint>>,
    kept: Kept<Connection>,
    /// Let go of last: it runs until the connections have said goodbye.
    drive: Drive,
}

impl Dialler {
    pub(super) fn new(context: &Context, from: Option<String>, drive: Drive) -> Result<Self, TransportError> {
        let tls = tls::client(context.key()).map_err(|error| setup(&error))?;
        let crypto = QuicClientConfig::try_from(tls).map_err(|error| setup(&error))?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        let mut transport = transport_config();
        transport.keep_alive_interval(Some(limits::KEEP_ALIVE));
        config.transport_config(Arc::new(transport));
        let own = context.key().public();
        Ok(Self { own, config, drive, from, endpoint: Mutex::default(), kept: Kept::default() })
    }

    /// A stream to the node at an address, on a connection that is there or a new one.
    pub(super) async fn stream(&self, address: &Address) -> Result<Stream, TransportError> {
        if let Some((connection, peer)) = self.kept.get(address)
            && let Ok(halves) = connection.open_bi().await
        {
            return Ok(stream(&connection, peer, halves));
        }
        let (connection, peer) = race(self.connected(address), async {
            Timer::after(limits::CONNECT_TIME).await;
            Err(unreachable(address, "no answer in time".into()))
        })
        .await?;
        let halves = connection.open_bi().await.map_err(|error| TransportError::Cut(error.to_string()))?;
        Ok(stream(&connection, peer, halves))
    }

    /// A connection that somebody else made meanwhile, or a new one.
    async fn connected(&self, address: &Address) -> Result<(Connection, PublicKey), TransportError> {
        let _turn = self.kept.turn(address).await;
        if let Some(kept) = self.kept.get(address) {
            return Ok(kept);
        }
        let (connection, peer) = self.connect(address).await?;
        self.kept.keep(address, connection.clone(), peer);
        Ok((connection, peer))
    }

    /// A new connection, with the keys checked.
    async fn connect(&self, address: &Address) -> Result<(Connection, PublicKey), TransportError> {
        let failed = |error: io::Error| unreachable(address, error.to_string());
        let endpoint = self.endpoint().map_err(failed)?;
        let mut last = unreachable(address, "the name has no address".into());
        for place in place::resolve(&address.address).await.map_err(failed)? {
            let connecting = match endpoint.connect_with(self.config.clone(), place, SERVER_NAME) {
                Ok(connecting) => connecting,
                Err(error) => {
                    last = unreachable(address, error.to_string());
                    continue;
                }
            };
            match connecting.await {
                Ok(connection) => return self.check(address, connection),
                Err(error) => last = not_connected(address, error),
            }
        }
        Err(last)
    }

    fn check(
        &self,
        address: &Address,
        connection: Connection,
    ) -> Result<(Connection, PublicKey), TransportError> {
        let Some(found) = peer_of(&connection) else {
            return Err(TransportError::Misbehaved("it showed no key".into()));
        };
        if found == self.own {
            connection.close(OWN_KEY, b"the initiator's own key");
            return Err(TransportError::OwnKey);
        }
        match address.key {
            Some(expected) if expected != found => {
                connection.close(WRONG_KEY, b"another key than expected");
                Err(TransportError::WrongKey { expected, found })
            }
            _ => Ok((connection, found)),
        }
    }

    pub(super) fn endpoint(&self) -> io::Result<Endpoint> {
        let mut endpoint = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = &*endpoint {
            return Ok(endpoint.clone());
        }
        // One socket for both families where the system has both.
        let any =
            [SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)), SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))];
        let socket = match &self.from {
            Some(place) => UdpSocket::bind(place)?,
            None => UdpSocket::bind(&any[..])?,
        };
        let made = Endpoint::new(EndpointConfig::default(), None, socket, self.drive.runtime())?;
        *endpoint = Some(made.clone());
        Ok(made)
    }
}

fn unreachable(address: &Address, reason: String) -> TransportError {
    TransportError::Unreachable { address: address.to_string(), reason }
}

fn not_connected(address: &Address, error: ConnectionError) -> TransportError {
    match error {
        ConnectionError::ConnectionClosed(close)
            if close.error_code == TransportErrorCode::CONNECTION_REFUSED =>
        {
            TransportError::Busy
        }
        ConnectionError::TimedOut => unreachable(address, "no answer in time".into()),
        ConnectionError::TransportError(_)
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::VersionMismatch => {
            TransportError::NotPleach { address: address.to_string(), found: error.to_string() }
        }
        other => unreachable(address, other.to_string()),
    }
}
