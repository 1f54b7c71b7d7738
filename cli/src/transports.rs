//! The transports of the program, each to dial with, and to listen on where an address is given.

use std::path::Path;

use anyhow::{Context, bail};
#[cfg(feature = "http")]
use pleach_smol::HttpTransport;
#[cfg(feature = "iroh")]
use pleach_smol::IrohTransport;
#[cfg(feature = "quic")]
use pleach_smol::QuicTransport;
#[cfg(feature = "serial")]
use pleach_smol::SerialTransport;
use pleach_smol::{Address, Sync};

/// The transports that this program was built with.
pub(crate) const ALL: &[&str] = &[
    #[cfg(feature = "http")]
    "http",
    #[cfg(feature = "quic")]
    "quic",
    #[cfg(feature = "serial")]
    "serial",
    #[cfg(feature = "iroh")]
    "iroh",
];

/// What can be said about transports besides where they listen.
#[derive(Debug, Default)]
#[cfg_attr(not(feature = "iroh"), expect(dead_code, reason = "some are about iroh alone"))]
pub(crate) struct Choices<'a> {
    /// Over which relays iroh reaches peers that cannot be reached directly: the public ones, unless something is said.
    pub(crate) relays: &'a [String],
    pub(crate) no_relays: bool,
    /// Files of the certificate and the secret key for TLS, in place of the node key.
    pub(crate) certificate: Option<(&'a Path, &'a Path)>,
}

/// Adds a transport under its own name, to dial with, and to listen on `place` if there is one.
async fn register(sync: &Sync, name: &str, place: Option<&str>, choices: &Choices<'_>) -> anyhow::Result<()> {
    #[cfg(not(any(feature = "http", feature = "iroh")))]
    let _ = choices;
    match name {
        #[cfg(feature = "http")]
        "http" => {
            let builder = HttpTransport::builder();
            let builder = if let Some(place) = place { builder.bind(place) } else { builder };
            sync.register_transport(name, builder).await?;
        }
        // The transport above dials such addresses too.
        #[cfg(feature = "http")]
        "https" => {
            let builder = match choices.certificate {
                Some((chain, key)) => HttpTransport::builder().certificate(chain, key),
                None => HttpTransport::builder().node_certificate(),
            };
            let builder = if let Some(place) = place { builder.bind(place) } else { builder };
            sync.register_transport(name, builder).await?;
        }
        #[cfg(feature = "quic")]
        "quic" => {
            let builder = QuicTransport::builder();
            let builder = if let Some(place) = place { builder.bind(place) } else { builder };
            sync.register_transport(name, builder).await?;
        }
        #[cfg(feature = "serial")]
        "serial" => {
            let builder = SerialTransport::builder();
            let builder = if let Some(place) = place { builder.bind(place) } else { builder };
            sync.register_transport(name, builder).await?;
        }
        #[cfg(feature = "iroh")]
        "iroh" => {
            let builder = match choices {
                Choices { no_relays: true, .. } => IrohTransport::builder().relays_off(),
                Choices { relays: [], .. } => IrohTransport::builder(),
                Choices { relays, .. } => IrohTransport::builder().relays(*relays),
            };
            let builder = if let Some(place) = place { builder.bind(place) } else { builder };
            sync.register_transport(name, builder).await?;
        }
        _ => bail!("this program was built without the transport {name}: it has {}", ALL.join(", ")),
    }
    Ok(())
}

/// Adds every transport, to dial with.
pub(crate) async fn dial(sync: &Sync) -> anyhow::Result<()> {
    for name in ALL {
        register(sync, name, None, &Choices::default()).await?;
    }
    Ok(())
}

/// Lets peers in over a transport, and says where.
pub(crate) async fn listen(
    sync: &Sync,
    name: &str,
    place: &str,
    choices: &Choices<'_>,
) -> anyhow::Result<Address> {
    let cannot = || format!("cannot listen on {name} {place}");
    register(sync, name, Some(place), choices).await.with_context(cannot)?;
    sync.accept_connections_on(name).await.with_context(cannot)
}
