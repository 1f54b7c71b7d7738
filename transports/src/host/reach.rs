//! Where others find a server that listens everywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::Address;

/// Where others may find a server that listens at this address, best first.
///
/// `0.0.0.0` and `[::]` say where a server listens, not where it is: in their place stand the addresses by which this
/// machine reaches others, one for each version of IP. Without a network there are none, and the result is empty.
/// Of an endpoint of iroh, which is found by its id, the same holds for each way to it.
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
    if address.transport_type == "iroh" {
        return vec![Address { address: ways(&address.address), ..address.clone() }];
    }
    let Some(everywhere) = everywhere(&address.address) else { return vec![address.clone()] };
    places(everywhere).map(|place| Address { address: place.to_string(), ..address.clone() }).collect()
}

/// The place, if it stands for all addresses of this machine.
fn everywhere(place: &str) -> Option<SocketAddr> {
    place.parse::<SocketAddr>().ok().filter(|place| place.ip().is_unspecified())
}

/// What others may find in the place of all addresses.
fn places(everywhere: SocketAddr) -> impl Iterator<Item = SocketAddr> {
    let both = [outward(Ipv4Addr::UNSPECIFIED.into()), outward(Ipv6Addr::UNSPECIFIED.into())];
    // A socket for IPv6 need not take IPv4; whoever dials tries one after the other.
    let fits = move |ip: &IpAddr| everywhere.is_ipv6() || ip.is_ipv4();
    both.into_iter().flatten().filter(fits).map(move |ip| SocketAddr::new(ip, everywhere.port()))
}

/// The ways to an endpoint of iroh, whose id they follow. It has a socket for each version of IP.
fn ways(place: &str) -> String {
    let reached = place.split(',').flat_map(|way| match everywhere(way) {
        Some(everywhere) => places(everywhere)
            .filter(|place| place.is_ipv4() == everywhere.is_ipv4())
            .map(|place| place.to_string())
            .collect(),
        None => vec![way.to_owned()],
    });
    reached.collect::<Vec<_>>().join(",")
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
    fn an_endpoint_of_iroh_stays_one_address_without_places_that_are_none() {
        let address: Address = "iroh:abc,0.0.0.0:7,[::]:8,192.0.2.7:9,https://relay.example".parse().unwrap();
        let found = reachable(&address);
        assert_eq!(found.len(), 1);
        let mut parts: Vec<_> = found[0].address.split(',').collect();
        assert_eq!((parts.remove(0), parts.pop()), ("abc", Some("https://relay.example")));
        assert_eq!(parts.pop(), Some("192.0.2.7:9"));
        for part in parts {
            let place: SocketAddr = part.parse().unwrap();
            assert!(!place.ip().is_unspecified() && !place.ip().is_loopback(), "{part}");
            assert_eq!(place.port(), if place.is_ipv4() { 7 } else { 8 });
        }
    }

    #[test]
    fn a_serial_line_is_nobody_elses() {
        assert_eq!(reachable(&"serial:/dev/ttyACM0".parse().unwrap()), []);
    }
}
