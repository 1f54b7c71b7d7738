//! Whom a database is opened as.

use crate::{PublicKey, SecretKey};

/// The key that signs what is written through a handle of a database.
///
/// ```
/// # use pleach_core::{SecretKey, instance::DatabaseKey};
/// let device = SecretKey::from_bytes([1; 32]);
/// let mine = SecretKey::from_bytes([2; 32]);
/// assert_eq!(DatabaseKey::Device.resolve(&device).public(), device.public());
/// assert_eq!(DatabaseKey::from(mine.clone()).resolve(&device).public(), mine.public());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one is made for each database opened, and lives for a call")]
pub enum DatabaseKey {
    /// The node's own key.
    #[default]
    Device,
    /// This key.
    Secret(SecretKey),
}

impl DatabaseKey {
    /// The secret key, given the node's.
    pub fn resolve(&self, device: &SecretKey) -> SecretKey {
        match self {
            Self::Device => device.clone(),
            Self::Secret(key) => key.clone(),
        }
    }

    /// The public key, given the node's.
    pub fn public(&self, device: &SecretKey) -> PublicKey {
        match self {
            Self::Device => device.public(),
            Self::Secret(key) => key.public(),
        }
    }
}

impl From<SecretKey> for DatabaseKey {
    fn from(key: SecretKey) -> Self {
        Self::Secret(key)
    }
}
