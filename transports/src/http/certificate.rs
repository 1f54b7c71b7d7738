//! A certificate that says a node key and nothing else, signed by that key (RFC 5280, RFC 8410).
//!
//! It is the same at every start: it has no serial number of its own, and is valid from 1970 to the end of 9999, since what
//! is believed of it is the key alone.

use pleach_core::SecretKey;
use rustls::pki_types::CertificateDer;

use crate::identity::spki;

/// The name in it, for tools that ask for one.
pub(super) const NAME: &str = "pleach";

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const UTF8: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const LONG_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const DNS_NAME: u8 = 0x82;

/// 1.3.101.112: Ed25519.
const ED25519: [u8; 3] = [0x2b, 0x65, 0x70];
/// 2.5.4.3: a common name.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
/// 2.5.29.17: other names of the subject.
const OTHER_NAMES: [u8; 3] = [0x55, 0x1d, 0x11];

/// One element of DER.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = vec![tag];
    match u8::try_from(length) {
        Ok(short @ ..=0x7f) => bytes.push(short),
        Ok(long) => bytes.extend([0x81, long]),
        // A certificate has a few hundred bytes.
        Err(_) => bytes.extend([0x82, u8::try_from(length >> 8).unwrap_or(u8::MAX), length.to_le_bytes()[0]]),
    }
    for part in parts {
        bytes.extend(*part);
    }
    bytes
}

/// The certificate of a node.
pub(super) fn of(key: &SecretKey) -> CertificateDer<'static> {
    let algorithm = element(SEQUENCE, &[&element(OBJECT, &[&ED25519])]);
    let common = [element(OBJECT, &[&COMMON_NAME]), element(UTF8, &[NAME.as_bytes()])].concat();
    let name = element(SEQUENCE, &[&element(SET, &[&element(SEQUENCE, &[&common])])]);
    let validity = element(
        SEQUENCE,
        &[&element(UTC_TIME, &[b"700101000000Z"]), &element(LONG_TIME, &[b"99991231235959Z"])],
    );
    let names = element(OCTETS, &[&element(SEQUENCE, &[&element(DNS_NAME, &[NAME.as_bytes()])])]);
    let extension = element(SEQUENCE, &[&element(OBJECT, &[&OTHER_NAMES]), &names]);
    let said = element(
        SEQUENCE,
        &[
            &element(VERSION, &[&element(INTEGER, &[&[2]])]),
            &element(INTEGER, &[&[1]]),
            &algorithm,
            &name,
            &validity,
            &name,
            &spki(key.public()),
            &element(EXTENSIONS, &[&element(SEQUENCE, &[&extension])]),
        ],
    );
    // What else a node signs is a hash of 32 bytes, or begins with a text of TLS.
    let signature = key.sign(&said);
    element(SEQUENCE, &[&said, &algorithm, &element(BITS, &[&[0], signature.as_bytes()])]).into()
}

#[cfg(test)]
mod tests {
    use rustls::server::ParsedCertificate;

    use super::*;
    use crate::identity::key_of;

    #[test]
    fn the_certificate_of_a_node_says_its_key_and_is_the_same_each_time() {
        let key = SecretKey::from_bytes([7; 32]);
        let certificate = of(&key);
        let parsed = ParsedCertificate::try_from(&certificate).unwrap();
        assert_eq!(key_of(&parsed.subject_public_key_info()), Some(key.public()));
        assert_eq!(of(&key), certificate);
    }
}
