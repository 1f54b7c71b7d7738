//! `host:port` in addresses.

use std::io;
#[cfg(feature = "executor")]
use std::net::SocketAddr;

#[cfg(any(all(feature = "http", any(feature = "smol", feature = "threads")), feature = "quic"))]
use crate::Address;
use crate::TransportError;

/// Refuses addresses of other transports and what is no `host:port`.
#[cfg(any(all(feature = "http", any(feature = "smol", feature = "threads")), feature = "quic"))]
pub(crate) fn check(transport: &'static str, address: &Address) -> Result<(), TransportError> {
    let cannot = |reason: &str| TransportError::CannotDial {
        transport,
        address: address.to_string(),
        reason: reason.into(),
    };
    if address.transport_type != transport {
        return Err(cannot("it is an address of another transport"));
    }
    let (host, port) = address.address.rsplit_once(':').ok_or_else(|| cannot("expected host:port"))?;
    if !matches!(port.parse::<u16>(), Ok(1..)) {
        return Err(cannot("expected a port from 1 to 65535 after the colon"));
    }
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let good = match inner {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
    };
    if good { Ok(()) } else { Err(cannot("expected a host name, an IPv4 address or [an IPv6 address]")) }
}

/// Where to listen.
pub(crate) fn to_bind<'a>(kind: &str, bind: Option<&'a str>) -> Result<&'a str, TransportError> {
    bind.ok_or_else(|| TransportError::CannotListen {
        address: kind.into(),
        reason: "the transport was built without bind, so it only dials".into(),
    })
}

/// Why a place cannot be listened on.
pub(crate) fn cannot_bind(kind: &str, place: &str, error: &io::Error) -> TransportError {
    let address = format!("{kind}:{place}");
    if error.kind() == io::ErrorKind::AddrInUse {
        TransportError::InUse { address }
    } else {
        TransportError::CannotListen { address, reason: error.to_string() }
    }
}

/// The socket addresses of a place, without blocking: names are looked up on a thread of their own.
#[cfg(feature = "executor")]
pub(crate) async fn resolve(place: &str) -> io::Result<Vec<SocketAddr>> {
    use std::{net::ToSocketAddrs, thread};
    if let Ok(address) = place.parse() {
        return Ok(vec![address]);
    }
    let (sender, receiver) = async_channel::bounded(1);
    let place = place.to_string();
    thread::Builder::new().name("pleach-resolve".into()).spawn(move || {
        let found = place.to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        // Nobody waits any more: fine.
        let _ = sender.try_send(found);
    })?;
    receiver.recv().await.map_err(io::Error::other)?
}
