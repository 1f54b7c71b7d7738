//! Keys and signatures: Ed25519, checked strictly, one by one.

use core::{fmt, str::FromStr};

use data_encoding::BASE64;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::text;

/// An Ed25519 public key: the name of an author and of a node.
///
/// Holding one says nothing about its use: [`PublicKey::verify`] refuses what is not a point of the curve and
/// points of small order, and so does [`PublicKey::check`], for the moment at which a key is registered.
///
/// ```
/// # use pleach_core::{PublicKey, SecretKey};
/// let secret = SecretKey::from_bytes([7; 32]);
/// let signature = secret.sign(b"a message");
/// assert!(secret.public().verify(b"a message", &signature).is_ok());
/// assert!(secret.public().verify(b"another", &signature).is_err());
///
/// let same = PublicKey::from_bytes(*secret.public().as_bytes());
/// assert!(same.check().is_ok());
/// assert!(PublicKey::from_bytes([0; 32]).check().is_err(), "anybody could sign for it");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// Why a key or a signature is refused.
///
/// ```
/// # use pleach_core::{KeyError, SecretKey};
/// let key = SecretKey::from_bytes([7; 32]);
/// let signature = key.sign(b"a message");
/// assert_eq!(key.public().verify(b"another", &signature), Err(KeyError::BadSignature));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The bytes are not a point of the curve.
    #[error("not an Ed25519 public key: ask its owner for the key again")]
    NotAPoint,
    /// A point of small order, for which anybody can sign.
    #[error("a weak Ed25519 key of small order, for which anybody can sign: refuse it")]
    Weak,
    /// The strict check failed.
    #[error("the signature does not fit the key and the message")]
    BadSignature,
}

impl PublicKey {
    /// Takes the 32 bytes of a key as they are.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Refuses bytes that are no point of the curve, or a point of small order.
    pub fn check(&self) -> Result<(), KeyError> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| KeyError::NotAPoint)?;
        if key.is_weak() { Err(KeyError::Weak) } else { Ok(()) }
    }

    /// Checks a signature strictly (RFC 8032 section 5.1.7 without the cofactor, small orders refused).
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), KeyError> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| KeyError::NotAPoint)?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        key.verify_strict(message, &signature).map_err(|_| KeyError::BadSignature)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(&self.0, f)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write_short("PublicKey", &self.0, f)
    }
}

impl FromStr for PublicKey {
    type Err = text::TextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text::parse(text).map(Self)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        text::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer).map(Self)
    }
}

/// The 64 bytes of an Ed25519 signature.
///
/// ```
/// # use pleach_core::{SecretKey, Signature};
/// let signature = SecretKey::from_bytes([7; 32]).sign(b"a message");
/// assert_eq!(Signature::from_bytes(*signature.as_bytes()), signature);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Takes the 64 bytes of a signature as they are.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The 64 bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

/// Characters in a signature's text.
const SIGNATURE_TEXT: usize = 88;

/// Base64 with padding, as the usual tools write and read it.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; SIGNATURE_TEXT];
        BASE64.encode_mut(&self.0, &mut text);
        f.pad(core::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Signature {
    type Err = SignatureTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The decoder wants room for its own upper bound on the length.
        let mut bytes = [0; 66];
        if text.len() != SIGNATURE_TEXT {
            return Err(SignatureTextError);
        }
        match BASE64.decode_mut(text.as_bytes(), &mut bytes) {
            Ok(64) => bytes.first_chunk().copied().map(Self).ok_or(SignatureTextError),
            _ => Err(SignatureTextError),
        }
    }
}

/// A text is not that of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a signature: 64 bytes in base64 with padding, {SIGNATURE_TEXT} characters")]
pub struct SignatureTextError;

/// Text where people read (JSON); elsewhere 64 raw bytes: serde knows arrays of at most 32, and two halves have no
/// prefix either.
impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        let mut halves = [[0; 32]; 2];
        halves.as_flattened_mut().copy_from_slice(&self.0);
        halves.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Signature;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a signature in base64")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                text.parse().map_err(E::custom)
            }
        }
        if deserializer.is_human_readable() {
            return deserializer.deserialize_str(Text);
        }
        let halves = <[[u8; 32]; 2]>::deserialize(deserializer)?;
        let mut bytes = [0; 64];
        bytes.copy_from_slice(halves.as_flattened());
        Ok(Self(bytes))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut head = [0; 32];
        head.copy_from_slice(self.0.first_chunk::<32>().unwrap_or(&[0; 32]));
        text::write_short("Signature", &head, f)
    }
}

/// An Ed25519 secret key. It signs only for the public key that it derives itself, is wiped when dropped, and
/// never shows in `Debug`.
///
/// ```
/// # use pleach_core::SecretKey;
/// let key = SecretKey::from_bytes([7; 32]);
/// assert!(key.public().verify(b"a message", &key.sign(b"a message")).is_ok());
/// assert_eq!(SecretKey::from_bytes(key.to_bytes()).public(), key.public());
/// assert!(format!("{key:?}").starts_with("SecretKey(of "), "the secret is not shown");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key with this seed.
    pub fn from_bytes(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The seed, for whoever stores the key. Handle with care.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The key that checks this one's signatures.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a message. The message carries its own domain: callers sign domain-separated hashes only.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {:?})", self.public())
    }
}

impl core::hash::Hash for SecretKey {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.public().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All encodings of the points of order 1, 2, 4 and 8, those with a coordinate beyond the field's order included.
    /// Compare Chalkias, Garillot, Nikolaenko: "Taming the many `EdDSAs`" (2020).
    const SMALL_ORDER: [&str; 14] = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];

    fn bytes(hex: &str) -> [u8; 32] {
        let mut bytes = [0; 32];
        data_encoding::HEXLOWER.decode_mut(hex.as_bytes(), &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn keys_of_small_order_are_refused_and_nothing_verifies_under_them() {
        assert_eq!(SecretKey::from_bytes([7; 32]).public().check(), Ok(()));
        for hex in SMALL_ORDER {
            let key = PublicKey::from_bytes(bytes(hex));
            assert!(matches!(key.check(), Err(KeyError::Weak | KeyError::NotAPoint)), "{hex}");
            // With S = 0 and R of small order the equation with the cofactor holds for any message.
            for r in SMALL_ORDER {
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(&bytes(r));
                let signature = Signature::from_bytes(signature);
                for message in [&b"a"[..], b"b", b"c", b"d"] {
                    assert!(key.verify(message, &signature).is_err(), "{hex} {r}");
                }
            }
        }
    }

    #[test]
    fn a_signature_has_one_form() {
        /// The order of the group, little endian (RFC 8032 section 5.1).
        const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
        let secret = SecretKey::from_bytes([7; 32]);
        let signature = secret.sign(b"message");
        assert_eq!(secret.public().verify(b"message", &signature), Ok(()));
        let mut other = *signature.as_bytes();
        let mut carry = 0_u16;
        for (byte, add) in other[32..].iter_mut().zip(bytes(ORDER)) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            *byte = u8::try_from(sum & 0xff).unwrap();
            carry = sum >> 8;
        }
        let other = Signature::from_bytes(other);
        assert_eq!(secret.public().verify(b"message", &other), Err(KeyError::BadSignature));
    }
}
