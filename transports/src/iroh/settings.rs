//! What can be chosen, and an endpoint as it was chosen.

use iroh::{
    Endpoint, RelayMode, RelayUrl, SecretKey,
    endpoint::{BindError, IdleTimeout, QuicTransportConfig, QuicTransportConfigBuilder, presets},
};

use super::{ALPN, IrohTransport, KIND, limits, place};
use crate::{Builder, Built, Context, TransportError, place as sockets};

/// Bytes of the salt that is kept.
const SALT: usize = 32;

/// Over which relays peers are reached that cannot be reached directly.
#[derive(Clone, Debug, Default)]
enum Relays {
    /// The public ones, with the look-up service that goes with them.
    #[default]
    Public,
    These(Vec<String>),
    Off,
}

/// Settings of an [`IrohTransport`].
///
/// ```
/// # use std::sync::Arc;
/// # use pleach_core::SecretKey;
/// # use pleach_transports::{Context, Transport, iroh::IrohTransport};
/// # let context = Context::new(SecretKey::from_bytes([1; 32]), Arc::new(|| 0), Arc::new(|bytes| bytes.fill(0)));
/// let transport = IrohTransport::builder().relays_off().bind("127.0.0.1:0").transport(context)?;
/// let listener = transport.listen()?;
/// assert!(listener.address().to_string().starts_with("iroh:"));
/// # Ok::<(), pleach_transports::TransportError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct IrohBuilder {
    bind: Option<String>,
    relays: Relays,
}

impl IrohBuilder {
    /// Lets peers in, on this `host:port`; port 0 takes a free one, and `0.0.0.0` brings IPv6 along where the system has
    /// it. Without it the transport only dials, from a place that the system chooses.
    #[must_use]
    pub fn bind(self, place: &str) -> Self {
        Self { bind: Some(place.into()), ..self }
    }

    /// Uses these relays (`https://relay.example`) in place of the public ones, and tells no look-up service where this
    /// endpoint is: its address names the relays.
    #[must_use]
    pub fn relays<T: AsRef<str>>(self, relays: impl IntoIterator<Item = T>) -> Self {
        let relays = relays.into_iter().map(|relay| relay.as_ref().to_owned()).collect();
        Self { relays: Relays::These(relays), ..self }
    }

    /// Uses no relays and no look-up service: peers are reached directly, at the sockets that their addresses name.
    #[must_use]
    pub fn relays_off(self) -> Self {
        Self { relays: Relays::Off, ..self }
    }

    /// The transport itself, of an endpoint with an id of its own that nothing keeps.
    pub fn transport(self, context: Context) -> Result<IrohTransport, TransportError> {
        let salt = context.random::<SALT>();
        self.with_salt(context, &salt)
    }

    fn with_salt(self, context: Context, salt: &[u8; SALT]) -> Result<IrohTransport, TransportError> {
        self.relay_urls()?;
        IrohTransport::new(self, context, salt)
    }

    pub(super) fn place(&self) -> Option<&str> {
        self.bind.as_deref()
    }

    /// The relays that an address names.
    pub(super) fn relay_urls(&self) -> Result<Vec<RelayUrl>, TransportError> {
        let Relays::These(relays) = &self.relays else { return Ok(Vec::new()) };
        if relays.is_empty() || relays.len() > limits::MAX_WAYS {
            let most = limits::MAX_WAYS;
            return Err(TransportError::Setup(format!("expected 1 to {most} relays, got {}", relays.len())));
        }
        let bad = |relay: &str| {
            TransportError::Setup(format!("{relay} is no relay: expected a URL, as in https://relay.example"))
        };
        relays.iter().map(|relay| place::relay(relay).ok_or_else(|| bad(relay))).collect()
    }

    /// An endpoint, bound.
    pub(super) async fn endpoint(&self, key: SecretKey) -> Result<Endpoint, TransportError> {
        let relays = self.relay_urls()?;
        let builder = match &self.relays {
            Relays::Public => Endpoint::builder(presets::N0),
            Relays::These(_) => Endpoint::builder(presets::Minimal).relay_mode(RelayMode::custom(relays)),
            Relays::Off => Endpoint::builder(presets::Minimal).relay_mode(RelayMode::Disabled),
        };
        let mut builder = builder.secret_key(key).alpns(vec![ALPN.to_vec()]).transport_config(dialled());
        let asked = self.place().unwrap_or("0.0.0.0:0");
        let failed = |error: std::io::Error| sockets::cannot_bind(KIND, asked, &error);
        if let Some(place) = self.place() {
            let found = sockets::resolve(place).await.map_err(failed)?.into_iter().next();
            let found = found.ok_or_else(|| failed(std::io::ErrorKind::AddrNotAvailable.into()))?;
            if !found.ip().is_unspecified() {
                builder = builder.clear_ip_transports();
            }
            builder = builder.bind_addr(found).map_err(|error| failed(std::io::Error::other(error)))?;
        }
        builder.bind().await.map_err(|error| match error {
            BindError::Sockets { source, .. } => failed(source),
            other => failed(std::io::Error::other(other)),
        })
    }
}

impl Builder for IrohBuilder {
    fn build(self: Box<Self>, context: Context, state: Option<&[u8]>) -> Result<Built, TransportError> {
        let salt = match state {
            None => context.random::<SALT>(),
            Some(kept) => kept.try_into().map_err(|_| {
                let found = kept.len();
                TransportError::Setup(format!("the salt kept for iroh has {found} bytes, expected {SALT}"))
            })?,
        };
        let transport = self.with_salt(context, &salt)?;
        Ok(Built { transport: Box::new(transport), state: Some(salt.to_vec()) })
    }
}

/// What holds for connections of both sides. Both keep them alive, as iroh does for the sake of its paths.
fn both_sides() -> QuicTransportConfigBuilder {
    QuicTransportConfig::builder()
        .max_concurrent_uni_streams(limits::MAX_PROOFS.into())
        .stream_receive_window(limits::STREAM_WINDOW.into())
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(IdleTimeout::try_from(limits::IDLE_TIME).ok())
}

/// What holds for connections that were dialled. Their peers open no exchanges on them.
fn dialled() -> QuicTransportConfig {
    both_sides()
        .max_concurrent_bidi_streams(0_u32.into())
        .receive_window(limits::CONNECTION_WINDOW.into())
        .send_window(limits::CONNECTION_WINDOW.into())
        .build()
}

/// What holds for connections that were accepted, as long as their peers are strangers.
pub(super) fn accepted() -> QuicTransportConfig {
    both_sides()
        .max_concurrent_bidi_streams(limits::STRANGER_STREAMS.into())
        .receive_window(limits::STRANGER_WINDOW.into())
        .send_window(limits::ACCEPTED_SEND_WINDOW)
        .build()
}
