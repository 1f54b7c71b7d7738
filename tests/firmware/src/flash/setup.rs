//! What a board is given before it is started for the first time.

use pleach_core::{
    Id, PublicKey, SecretKey,
    session::partial::{Charter, MAX_ALLOWED},
};

use super::{Flash, FlashError, MAX_ENTRY, ROOM, check, padded};

const KIND: [u8; 4] = *b"set1";

/// Its kind, two seeds, the tree, the allow-list behind its length, a check.
const BYTES: usize = padded(4 + 3 * 32 + 4 + MAX_ALLOWED * 32 + 4);

/// Keys and tree.
#[derive(Clone)]
pub(crate) struct Setup {
    /// The seed of its key.
    pub(crate) secret: [u8; 32],
    /// Random bytes from which its nonces are drawn.
    pub(crate) entropy: [u8; 32],
    /// The tree that it holds a part of.
    pub(crate) tree: Id,
    allowed: [PublicKey; MAX_ALLOWED],
    count: usize,
}

impl Setup {
    /// Names the keys that the board talks to, at most [`MAX_ALLOWED`] of them.
    pub(crate) fn new(secret: [u8; 32], entropy: [u8; 32], tree: Id, keys: &[PublicKey]) -> Self {
        let mut allowed = [PublicKey::from_bytes([0; 32]); MAX_ALLOWED];
        for (place, key) in allowed.iter_mut().zip(keys) {
            *place = *key;
        }
        Self { secret, entropy, tree, allowed, count: keys.len().min(MAX_ALLOWED) }
    }

    /// The board's key.
    pub(crate) fn key(&self) -> SecretKey {
        SecretKey::from_bytes(self.secret)
    }

    /// What the core is told.
    pub(crate) fn charter(&self) -> Charter {
        let allowed = self.allowed.iter().take(self.count).copied().collect();
        Charter { tree: self.tree, allowed, room: ROOM as u32, entry: MAX_ENTRY as u32 }
    }

    /// Writes page 0, as whoever sets the board up does.
    pub(crate) fn write(&self, flash: &mut impl Flash) -> Result<(), FlashError> {
        flash.erase(0)?;
        flash.program(0, &self.encode())
    }

    /// Reads page 0.
    pub(crate) fn read(flash: &mut impl Flash) -> Result<Self, FlashError> {
        let mut bytes = [0; BYTES];
        flash.read(0, &mut bytes)?;
        let mut parts = bytes[4..].chunks_exact(32).map(|part| {
            let mut taken = [0; 32];
            taken.copy_from_slice(part);
            taken
        });
        let mut part = || parts.next().unwrap_or_default();
        let (secret, entropy, tree) = (part(), part(), Id::from_bytes(part()));
        let keys: [PublicKey; MAX_ALLOWED] = core::array::from_fn(|_| PublicKey::from_bytes(part()));
        let count = usize::from(bytes[KEYS_END]).min(MAX_ALLOWED);
        let setup = Self { secret, entropy, tree, allowed: keys, count };
        if setup.encode() == bytes {
            Ok(setup)
        } else {
            Err(FlashError::Damaged("page 0 holds no setup: set the board up first"))
        }
    }

    fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..4].copy_from_slice(&KIND);
        let keys = self.allowed.iter().map(PublicKey::as_bytes);
        let parts = [&self.secret, &self.entropy, self.tree.as_bytes()].into_iter().chain(keys);
        for (room, part) in bytes[4..].chunks_exact_mut(32).zip(parts) {
            room.copy_from_slice(part);
        }
        bytes[KEYS_END] = self.count as u8;
        let check = check(&bytes[..KEYS_END + 4]);
        bytes[KEYS_END + 4..KEYS_END + 8].copy_from_slice(&check.to_le_bytes());
        bytes
    }
}

/// Where the length of the allow-list stands.
const KEYS_END: usize = 4 + (3 + MAX_ALLOWED) * 32;
