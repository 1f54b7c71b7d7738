//! How an endpoint and the ways to it are written in an address: `ID`, `ID,192.0.2.7:4433`, `ID,https://relay.example`.

use std::{net::SocketAddr, str::FromStr};

use iroh::{EndpointAddr, EndpointId, RelayUrl, TransportAddr};

use super::{KIND, limits::MAX_WAYS};
use crate::{Address, TransportError};

/// What stands between the id and the ways.
const COMMA: char = ',';

/// An address of an endpoint, reached directly at these sockets or over these relays.
pub(super) fn write(id: EndpointId, sockets: &[SocketAddr], relays: &[RelayUrl]) -> Address {
    let mut place = id.to_string();
    let sockets = sockets.iter().map(ToString::to_string);
    for way in sockets.chain(relays.iter().map(ToString::to_string)).take(MAX_WAYS) {
        place.push(COMMA);
        place.push_str(&way);
    }
    Address::iroh(&place)
}

/// Whom to dial, and how.
pub(super) fn read(address: &Address) -> Result<EndpointAddr, TransportError> {
    let cannot = |reason: &str| TransportError::CannotDial {
        transport: KIND,
        address: address.to_string(),
        reason: reason.into(),
    };
    if address.transport_type != KIND {
        return Err(cannot("it is an address of another transport"));
    }
    let mut parts = address.address.split(COMMA);
    let id = parts.next().and_then(|id| EndpointId::from_str(id).ok());
    let id = id.ok_or_else(|| cannot("expected an endpoint id of iroh, in hexadecimal digits or base32"))?;
    let mut ways = Vec::new();
    for part in parts {
        if ways.len() == MAX_WAYS {
            return Err(cannot("it names too many ways to one endpoint"));
        }
        let way = match part.parse::<SocketAddr>() {
            Ok(socket) if socket.port() == 0 || socket.ip().is_unspecified() => {
                return Err(cannot("expected an IP address and a port that can be reached"));
            }
            Ok(socket) => TransportAddr::Ip(socket),
            Err(_) => TransportAddr::Relay(
                relay(part).ok_or_else(|| cannot("expected an IP address with a port, or a relay's URL"))?,
            ),
        };
        ways.push(way);
    }
    Ok(EndpointAddr::from_parts(id, ways))
}

/// A relay's URL.
pub(super) fn relay(text: &str) -> Option<RelayUrl> {
    let known = text.starts_with("https://") || text.starts_with("http://");
    known.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let id = iroh::SecretKey::from_bytes(&[7; 32]).public();
        let sockets = ["192.0.2.7:4433".parse().unwrap(), "[2001:db8::1]:4433".parse().unwrap()];
        let relays = [relay("https://relay.example").unwrap()];
        let address = write(id, &sockets, &relays);
        // As text too, as in a ticket.
        let address: Address = address.to_string().parse().unwrap();
        let found = read(&address).unwrap();
        assert_eq!(found.id, id);
        assert_eq!(found.ip_addrs().copied().collect::<Vec<_>>(), sockets);
        assert_eq!(found.relay_urls().cloned().collect::<Vec<_>>(), relays);
    }

    #[test]
    fn what_is_no_way_is_refused() {
        let id = iroh::SecretKey::from_bytes(&[7; 32]).public().to_string();
        let nine = ",192.0.2.7:1".repeat(MAX_WAYS + 1);
        for place in ["", "nobody", ",", "127.0.0.1:80"].map(String::from).into_iter().chain(
            ["", "0.0.0.0:4433", "[::]:1", "192.0.2.7:0", "ftp://relay.example", "host:80"]
                .map(|way| format!("{id},{way}")),
        ) {
            let refused = read(&Address::iroh(&place)).map(drop);
            assert!(matches!(refused, Err(TransportError::CannotDial { .. })), "{place}: {refused:?}");
        }
        assert!(read(&Address::iroh(&format!("{id}{nine}"))).is_err());
        assert!(read(&Address::iroh(&id)).is_ok());
    }
}
