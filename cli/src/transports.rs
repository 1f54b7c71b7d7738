//! The transports of the program, each to dial with, and to listen on where an address is given.

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

/// Over which relays iroh reaches peers that cannot be reached directly: the public ones, unless something is said.
#[derive(Debug, Default)]
pub(crate) struct Relays<'a> {
    pub(crate) these: &'a [String],
    pub(crate) off: bool,
}

/// Adds a transport under its own name, to dial with, and to listen on `place` if there is one.
async fn register(sync: &Sync, name: &str, place: Option<&str>, relays: &Relays<'_>) -> anyhow::Result<()> {
    #[cfg(not(feature = "iroh"))]
    let _ = relays;
    match name {
        #[cfg(feature = "http")]
        "http" => {
            let builder = HttpTransport::builder();
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
            let builder = match relays {
                Relays { off: true, .. } => IrohTransport::builder().relays_off(),
                Relays { these: [], .. } => IrohTransport::builder(),
                Relays { these, .. } => IrohTransport::builder().relays(*these),
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
        register(sync, name, None, &Relays::default()).await?;
    }
    Ok(())
}

/// Lets peers in over a transport, and says where.
pub(crate) async fn listen(
    sync: &Sync,
    name: &str,
    place: &str,
    relays: &Relays<'_>,
) -> anyhow::Result<Address> {
    let cannot = || format!("cannot listen on {name} {place}");
    register(sync, name, Some(place), relays).await.with_context(cannot)?;
    sync.accept_connections_on(name).await.with_context(cannot)
}
