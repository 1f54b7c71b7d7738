//! From a passphrase to the key that seals: Argon2id (RFC 9106), then XChaCha20-Poly1305.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use pleach_core::{Entropy, storage::StorageError};
use zeroize::Zeroizing;

use super::SealError;
use crate::record::damaged;

/// Where the metadata keeps the lock. Nothing is sealed in a store that has none.
pub(super) const LOCK: &[u8] = b"instance/lock";

/// What is bound to the sealed key beside its parameters.
const KEY_DOMAIN: &[u8] = b"pleach 2026 passphrase lock v1";

/// What is bound to a sealed secret beside its place in the metadata.
const SECRET_DOMAIN: &[u8] = b"pleach 2026 sealed secret v1";

/// KiB of memory, passes and lanes of a new lock: the second choice of RFC 9106 section 4.
const COST: [u32; 3] = [64 * 1_024, 3, 4];

/// What a lock may ask for at most, so that a file from elsewhere cannot exhaust the machine.
const MAX_COST: [u32; 3] = [1_024 * 1_024, 64, 16];

const SALT: usize = 16;
const NONCE: usize = 24;
const KEY: usize = 32;
const TAG: usize = 16;

/// The form of the record.
const VERSION: u8 = 1;

/// Bytes of version, cost and salt: what is bound to the sealed key.
const HEAD: usize = 1 + 3 * 4 + SALT;

/// What is stored of a passphrase: how a key is made from it, and the key that seals, sealed by that one.
pub(super) struct Lock {
    cost: [u32; 3],
    salt: [u8; SALT],
    sealed: Vec<u8>,
}

/// Seals secrets and opens them. The cipher wipes its key when it is dropped.
pub(crate) struct Sealer(XChaCha20Poly1305);

impl Lock {
    /// A lock with a fresh key behind it.
    pub(super) fn new(passphrase: &str, entropy: &mut Entropy) -> Result<(Self, Sealer), SealError> {
        let mut lock = Self { cost: COST, salt: entropy.draw(), sealed: Vec::new() };
        let key: Zeroizing<[u8; KEY]> = Zeroizing::new(entropy.draw());
        lock.sealed = lock.sealer(passphrase)?.with(KEY_DOMAIN, &lock.head(), &*key, entropy.draw())?;
        Ok((lock, Sealer::new(&key)))
    }

    /// What the passphrase opens.
    pub(super) fn open(&self, passphrase: &str) -> Result<Sealer, SealError> {
        let opened = self.sealer(passphrase)?.without(KEY_DOMAIN, &self.head(), &self.sealed);
        let key = Zeroizing::new(opened.ok_or(SealError::Wrong)?);
        let key = Zeroizing::new(<[u8; KEY]>::try_from(key.as_slice()).map_err(|_| SealError::Wrong)?);
        Ok(Sealer::new(&key))
    }

    fn sealer(&self, passphrase: &str) -> Result<Sealer, SealError> {
        let failed = |error: argon2::Error| SealError::Derive(error.to_string());
        let params = params(self.cost).map_err(failed)?;
        let mut key = Zeroizing::new([0; KEY]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &self.salt, &mut *key)
            .map_err(failed)?;
        Ok(Sealer::new(&key))
    }

    fn head(&self) -> Vec<u8> {
        let cost = self.cost.iter().flat_map(|number| number.to_be_bytes());
        [VERSION].into_iter().chain(cost).chain(self.salt).collect()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        [self.head(), self.sealed.clone()].concat()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StorageError> {
        let wrong = || damaged("the lock of the secret keys", "it does not decode");
        let (head, sealed) = bytes.split_at_checked(HEAD).ok_or_else(wrong)?;
        let (version, rest) = head.split_at_checked(1).ok_or_else(wrong)?;
        let (cost, salt) = rest.split_at_checked(3 * 4).ok_or_else(wrong)?;
        let (cost, _) = cost.as_chunks::<4>();
        let cost: [u32; 3] = <[[u8; 4]; 3]>::try_from(cost).map_err(|_| wrong())?.map(u32::from_be_bytes);
        let bounded = cost.iter().zip(MAX_COST).all(|(cost, max)| *cost <= max) && params(cost).is_ok();
        if version != [VERSION] || !bounded || sealed.len() != NONCE + KEY + TAG {
            return Err(wrong());
        }
        Ok(Self { cost, salt: salt.try_into().map_err(|_| wrong())?, sealed: sealed.to_vec() })
    }
}

fn params([memory, passes, lanes]: [u32; 3]) -> Result<Params, argon2::Error> {
    Params::new(memory, passes, lanes, Some(KEY))
}

impl Sealer {
    fn new(key: &[u8; KEY]) -> Self {
        Self(XChaCha20Poly1305::new(key.into()))
    }

    /// Seals the secret at a place of the metadata. A nonce is used once.
    pub(crate) fn seal(
        &self,
        place: &[u8],
        secret: &[u8],
        nonce: [u8; NONCE],
    ) -> Result<Vec<u8>, StorageError> {
        self.with(SECRET_DOMAIN, place, secret, nonce)
    }

    /// Opens what was sealed at the same place.
    pub(crate) fn unseal(&self, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, StorageError> {
        let opened = self.without(SECRET_DOMAIN, place, sealed);
        opened.ok_or_else(|| damaged("a secret key", "it was not sealed with this passphrase at this place"))
    }

    fn with(
        &self,
        domain: &[u8],
        bound: &[u8],
        plain: &[u8],
        nonce: [u8; NONCE],
    ) -> Result<Vec<u8>, StorageError> {
        let aad = &[domain, bound].concat();
        let sealed = self.0.encrypt(&XNonce::from(nonce), Payload { msg: plain, aad });
        let sealed = sealed.map_err(|_| StorageError::Failed("a secret key cannot be sealed".into()))?;
        Ok([&nonce[..], &sealed].concat())
    }

    fn without(&self, domain: &[u8], bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, msg) = sealed.split_first_chunk::<NONCE>()?;
        let aad = &[domain, bound].concat();
        self.0.decrypt(&XNonce::from(*nonce), Payload { msg, aad }).ok()
    }
}
