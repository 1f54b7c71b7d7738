//! Where a peer can be reached, and who is expected there.

use alloc::string::{String, ToString};
use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::PublicKey;

/// Bytes in an address's text: a key, a host name of 253 bytes, a port, and as much again for transports to come.
pub const MAX_ADDRESS: usize = 512;

/// One way to reach a node: the kind of transport, the place as that transport writes it, and the key that is
/// expected there, if it is known.
///
/// The text is `kind:place` or `kind:KEY@place`; a node with another key at a place that names one is an error.
///
/// ```
/// # use pleach_core::{SecretKey, wire::Address};
/// let place = Address::http("192.0.2.7:8080");
/// assert_eq!(place.to_string(), "http:192.0.2.7:8080");
///
/// let key = SecretKey::from_bytes([7; 32]).public();
/// let sure = place.clone().with_key(key);
/// assert_eq!(sure.to_string(), format!("http:{key}@192.0.2.7:8080"));
/// assert_eq!(sure.to_string().parse(), Ok(sure.clone()));
/// assert!(sure.is_same_place(&place));
///
/// assert_eq!(Address::https("desk.example").to_string(), "https:desk.example");
/// assert_eq!(Address::quic("192.0.2.7:8081").to_string(), "quic:192.0.2.7:8081");
/// assert_eq!(Address::new("serial", "/dev/ttyACM0").to_string(), "serial:/dev/ttyACM0");
/// assert_eq!(Address::iroh("192.0.2.7:8082").transport_type, "iroh");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The kind of transport that can dial it: `http`, `quic`, `memory`, a stranger's own.
    pub transport_type: String,
    /// The place, as that transport writes it: `host:port` for `http` and `quic`.
    pub address: String,
    /// The key of the node that is expected there.
    pub key: Option<PublicKey>,
}

impl Address {
    /// An address of any kind of transport; `place` may name the key (`KEY@host:port`).
    pub fn new(transport_type: &str, place: &str) -> Self {
        let (key, address) = match place.split_once('@') {
            Some((key, rest)) => match key.parse() {
                Ok(key) => (Some(key), rest),
                Err(_) => (None, place),
            },
            None => (None, place),
        };
        Self { transport_type: transport_type.to_string(), address: address.to_string(), key }
    }

    /// An address of the transport `http`: `host:port` or `KEY@host:port`.
    pub fn http(place: &str) -> Self {
        Self::new("http", place)
    }

    /// An address of the transport `http`, over TLS: `host:port` or `KEY@host:port`.
    pub fn https(place: &str) -> Self {
        Self::new("https", place)
    }

    /// An address of the transport `quic`: `host:port` or `KEY@host:port`.
    pub fn quic(place: &str) -> Self {
        Self::new("quic", place)
    }

    /// An address of the transport `iroh`: an endpoint's id, and after commas the sockets and relays by which it is
    /// reached, if it is not found by its id alone.
    pub fn iroh(place: &str) -> Self {
        Self::new("iroh", place)
    }

    /// Whether both are the same place over the same transport, whoever is expected there.
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.transport_type == other.transport_type && self.address == other.address
    }

    /// The same place with this key expected there.
    #[must_use]
    pub fn with_key(self, key: PublicKey) -> Self {
        Self { key: Some(key), ..self }
    }
}

/// Why a text is not an address.
///
/// ```
/// # use pleach_core::wire::{Address, AddressError};
/// assert_eq!("192.0.2.7".parse::<Address>(), Err(AddressError::NoTransport));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// No kind of transport in front.
    #[error("expected transport:place, as in http:192.0.2.7:8080: name the transport")]
    NoTransport,
    /// Nothing after the kind, or characters that stand in no address.
    #[error("expected a place after the transport, without spaces, as in http:192.0.2.7:8080")]
    NoPlace,
    /// What stands before the `@` is not a key.
    #[error("what stands before the @ is not a public key: {0}")]
    Key(crate::TextError),
    /// Longer than [`MAX_ADDRESS`].
    #[error("an address has at most {MAX_ADDRESS} bytes, got {0}")]
    Long(usize),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() > MAX_ADDRESS {
            return Err(AddressError::Long(text.len()));
        }
        let (kind, place) = text.split_once(':').ok_or(AddressError::NoTransport)?;
        if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        {
            return Err(AddressError::NoTransport);
        }
        let (key, place) = match place.split_once('@') {
            Some((key, rest)) => (Some(key.parse().map_err(AddressError::Key)?), rest),
            None => (None, place),
        };
        if place.is_empty() || place.chars().any(|c| c.is_whitespace() || c.is_control() || c == '@') {
            return Err(AddressError::NoPlace);
        }
        Ok(Self { transport_type: kind.to_string(), address: place.to_string(), key })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{}:{key}@{}", self.transport_type, self.address),
            None => write!(f, "{}:{}", self.transport_type, self.address),
        }
    }
}

/// Its text, in postcard as in JSON.
impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A string of known length, which postcard wants.
        serializer.serialize_str(&self.to_string())
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Address;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address, transport:place")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Address, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;
    use std::format;

    #[test]
    fn every_printed_address_is_read_back() {
        let key = SecretKey::from_bytes([1; 32]).public();
        for address in [
            Address::http("localhost:1"),
            Address::quic("[::1]:443").with_key(key),
            Address::new("memory", "a"),
        ] {
            assert_eq!(address.to_string().parse(), Ok(address.clone()));
            let bytes = crate::canonical::to_vec(&address);
            assert_eq!(crate::canonical::from_bytes(&bytes), Ok(address));
        }
        assert_eq!(Address::http(&format!("{key}@h:1")), Address::http("h:1").with_key(key));
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_reason() {
        let parse = |text: &str| text.parse::<Address>();
        assert_eq!(parse("localhost"), Err(AddressError::NoTransport));
        assert_eq!(parse(":8080"), Err(AddressError::NoTransport));
        assert_eq!(parse("HTTP:h:1"), Err(AddressError::NoTransport));
        assert_eq!(parse("http:"), Err(AddressError::NoPlace));
        assert_eq!(parse("http:a b:1"), Err(AddressError::NoPlace));
        assert!(matches!(parse("http:short@h:1"), Err(AddressError::Key(_))));
        assert_eq!(parse(&"x".repeat(513)), Err(AddressError::Long(513)));
    }
}
