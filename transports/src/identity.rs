//! The node key in TLS: how it is written there, and how it signs handshakes.

use pleach_core::{PublicKey, SecretKey};
use rustls::{
    Error, SignatureAlgorithm, SignatureScheme,
    pki_types::SubjectPublicKeyInfoDer,
    sign::{Signer, SigningKey},
};

/// What stands before the 32 bytes of an Ed25519 key in its DER form (RFC 8410 section 4).
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A key as TLS and certificates write it.
pub(crate) fn spki(key: PublicKey) -> Vec<u8> {
    [&SPKI_HEAD[..], key.as_bytes()].concat()
}

/// The key in this form, if it is one of Ed25519.
pub(crate) fn key_of(shown: &[u8]) -> Option<PublicKey> {
    let bytes = shown.strip_prefix(&SPKI_HEAD)?;
    Some(PublicKey::from_bytes(bytes.try_into().ok()?))
}

/// The node key, signing handshakes. What TLS 1.3 signs has a context string of its own in front (RFC 8446 section
/// 4.4.3), so that it is no other signature of this key.
#[derive(Clone, Debug)]
pub(crate) struct NodeKey(pub(crate) SecretKey);

impl SigningKey for NodeKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(spki(self.0.public()).into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for NodeKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.0.sign(message).as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}
