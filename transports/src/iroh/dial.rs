//! The one endpoint of a transport, and the connections that it made.

use iroh::{
    Endpoint, EndpointAddr, EndpointId, SecretKey,
    endpoint::{
        ConnectError, ConnectWithOptsError, ConnectingError, Connection, ConnectionError, TransportErrorCode,
    },
};
use tokio::time::timeout;

use super::{
    ALPN, IrohBuilder, OWN_KEY, WRONG_KEY,
    door::Door,
    drive::Drive,
    halves::{Stream, stream},
    limits, place, proof,
};
use crate::{
    Address, Context, TransportError,
    kept::{Connected, Kept},
};

/// What an endpoint's key follows from: the node key and a salt.
const ENDPOINT_KEY: &str = "pleach 2026 the key of an iroh endpoint";

impl Connected for Connection {
    fn is_open(&self) -> bool {
        self.close_reason().is_none()
    }
}

/// An endpoint, made when it is first used.
pub(super) struct Home {
    pub(super) settings: IrohBuilder,
    pub(super) drive: Drive,
    pub(super) door: Door,
    context: Context,
    key: SecretKey,
    kept: Kept<Connection>,
}

impl Home {
    pub(super) fn new(settings: IrohBuilder, context: Context, salt: &[u8; 32], drive: Drive) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(ENDPOINT_KEY);
        hasher.update(&context.key().to_bytes()).update(salt);
        let key = SecretKey::from_bytes(hasher.finalize().as_bytes());
        let door = Door::new(context.clone(), drive.downgrade());
        Self { settings, drive, door, context, key, kept: Kept::default() }
    }

    pub(super) fn id(&self) -> EndpointId {
        self.key.public()
    }

    /// The endpoint. To be polled on the thread of iroh.
    pub(super) async fn endpoint(&self) -> Result<Endpoint, TransportError> {
        let make = async || {
            let endpoint = self.settings.endpoint(self.key.clone()).await?;
            self.drive.spawn(self.door.clone().accept(endpoint.clone()));
            Ok(endpoint)
        };
        self.drive.endpoint().get_or_try_init(make).await.cloned()
    }

    /// Where peers find the endpoint.
    pub(super) fn address(&self, endpoint: &Endpoint) -> Address {
        // They were read once already.
        let relays = self.settings.relay_urls().unwrap_or_default();
        place::write(self.id(), &endpoint.bound_sockets(), &relays).with_key(self.context.key().public())
    }

    /// A stream to the node at an address, on a connection that is there or a new one.
    pub(super) async fn stream(&self, address: &Address, to: EndpointAddr) -> Result<Stream, TransportError> {
        if let Some((connection, peer)) = self.kept.get(address)
            && let Ok(halves) = connection.open_bi().await
        {
            return Ok(stream(&connection, peer, halves));
        }
        let late = |_| unreachable(address, "no answer in time".into());
        let (connection, peer) =
            timeout(limits::CONNECT_TIME, self.connected(address, to)).await.map_err(late)??;
        let halves = connection.open_bi().await.map_err(|error| TransportError::Cut(error.to_string()))?;
        Ok(stream(&connection, peer, halves))
    }

    /// A connection that somebody else made meanwhile, or a new one.
    async fn connected(
        &self,
        address: &Address,
        to: EndpointAddr,
    ) -> Result<(Connection, pleach_core::PublicKey), TransportError> {
        let _turn = self.kept.turn(address).await;
        if let Some(kept) = self.kept.get(address) {
            return Ok(kept);
        }
        let endpoint = self.endpoint().await?;
        let connection = endpoint.connect(to, ALPN).await.map_err(|error| not_connected(address, &error))?;
        let peer = self.proven(address, &connection).await?;
        self.kept.keep(address, connection.clone(), peer);
        Ok((connection, peer))
    }

    /// Both node keys proven.
    async fn proven(
        &self,
        address: &Address,
        connection: &Connection,
    ) -> Result<pleach_core::PublicKey, TransportError> {
        let found = proof::of_responder(connection).await?;
        if found == self.context.key().public() {
            connection.close(OWN_KEY, b"the initiator's own key");
            return Err(TransportError::OwnKey);
        }
        if let Some(expected) = address.key.filter(|expected| *expected != found) {
            connection.close(WRONG_KEY, b"another key than expected");
            return Err(TransportError::WrongKey { expected, found });
        }
        proof::as_initiator(connection, &self.context, found).await?;
        Ok(found)
    }
}

fn unreachable(address: &Address, reason: String) -> TransportError {
    TransportError::Unreachable { address: address.to_string(), reason }
}

fn not_connected(address: &Address, error: &ConnectError) -> TransportError {
    let ended = match error {
        ConnectError::Connect { source: ConnectWithOptsError::SelfConnect { .. }, .. } => {
            return TransportError::OwnKey;
        }
        ConnectError::Connecting { source: ConnectingError::ConnectionError { source, .. }, .. }
        | ConnectError::Connection { source, .. } => source,
        other => return unreachable(address, other.to_string()),
    };
    match ended {
        ConnectionError::ConnectionClosed(close)
            if close.error_code == TransportErrorCode::CONNECTION_REFUSED =>
        {
            TransportError::Busy
        }
        ConnectionError::TransportError(_)
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::VersionMismatch => {
            TransportError::NotPleach { address: address.to_string(), found: ended.to_string() }
        }
        other => unreachable(address, other.to_string()),
    }
}
