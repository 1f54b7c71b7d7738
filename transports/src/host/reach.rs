//! Where others find a server that listens everywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::Address;

/// Where others may find a server that listens at this address, best first.
///
/// `0.0.0.0` and `[::]` say where a server listens, not where it is: in their place stand the addresses by which this
/// machine reaches others, one for each version of IP. Without a network there are none, and the result is empty.
/// What a serial line is called here means nothing elsewhere. Everything else is given back as it is.
///
/// ```
/// # use pleach_transports::{Address, host::reachable};
/// let place = Address::http("192.0.2.7:8080");
/// assert_eq!(reachable(&place), [place]);
/// for everywhere in ["0.0.0.0:8080", "[::]:8080"] {
///     assert!(!reachable(&Address::quic(everywhere)).contains(&Address::quic(everywhere)));
/// }
/// ```
pub fn reachable(address: &Address) -> Vec<Address> {
    if address.transport_type == "serial" {
        return Vec::new();
    }
    let everywhere = address.address.parse::<SocketAddr>().ok().filter(|place| place.ip().is_unspecified());
    let Some(everywhere) = everywhere else { return vec![address.clone()] };
    let both = [outward(Ipv4Addr::UNSPECIFIED.into()), outward(Ipv6Addr::UNSPECIFIED.into())];
    // A socket for IPv6 need not take IPv4; whoever dials tries one after the other.
    let fits = |ip: &IpAddr| everywhere.is_ipv6() || ip.is_ipv4();
    let places = both.into_iter().flatten().filter(fits).map(|ip| SocketAddr::new(ip, everywhere.port()));
    places.map(|place| Address { address: place.to_string(), ..address.clone() }).collect()
}

/// The address that this machine would use towards the rest of the world. Nothing is sent: the system looks into its
/// routes when a datagram socket is told its peer.
fn outward(any: IpAddr) -> Option<IpAddr> {
    // Addresses for documentation (RFC 5737, RFC 3849): nobody's, and routed like anybody's.
    let far: SocketAddr = match any {
        IpAddr::V4(_) => (Ipv4Addr::new(192, 0, 2, 1), 9).into(),
        IpAddr::V6(_) => (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(far).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified() && !ip.is_loopback()).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_listens_everywhere_is_not_found_there() {
        for everywhere in ["0.0.0.0:80", "[::]:80"] {
            for found in reachable(&Address::http(everywhere)) {
                let place: SocketAddr = found.address.parse().unwrap();
                assert!(!place.ip().is_unspecified() && !place.ip().is_loopback(), "{found}");
                assert_eq!((place.port(), found.transport_type.as_str()), (80, "http"));
            }
        }
    }

    #[test]
    fn names_and_other_places_stay_as_they_are() {
        for place in ["http:localhost:80", "http:127.0.0.1:80", "memory:here", "quic:[::1]:9"] {
            let address: Address = place.parse().unwrap();
            assert_eq!(reachable(&address), [address]);
        }
    }

    #[test]
    fn a_serial_line_is_nobody_elses() {
        assert_eq!(reachable(&"serial:/dev/ttyACM0".parse().unwrap()), []);
    }
}
