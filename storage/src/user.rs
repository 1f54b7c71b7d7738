//! The secret keys of users, each under the user's password or under none.
//!
//! With a password, a key made from it (Argon2id) opens a random one that seals each secret key (XChaCha20-Poly1305), as
//! for the passphrase of a whole store. Whoever has the store and not the password can sign for nobody.

use std::sync::Arc;

use pleach_core::{
    Id, PublicKey, SecretKey,
    document::Draft,
    instance::{
        Error, UserInfo, UserKey,
        user::{keep_user, keep_user_key, tracked, user, user_key_place, user_keys, user_lock_place, users},
    },
    storage::{MetaChange, MetaChanges, Snapshot, StorageError},
};

#[cfg(feature = "passphrase")]
use crate::sealed::{SealError, Sealer, lock, unlock};

/// How the secret keys of a user are kept.
#[derive(Clone)]
enum Sealing {
    /// As they are.
    Open,
    /// Under a password.
    #[cfg(feature = "passphrase")]
    Under(Arc<Sealer>),
}

/// A user that has logged in: whoever holds this can use their secret keys.
///
/// ```
/// # use pleach_storage::NewUser;
/// let new = NewUser::make("alice", None, [7; 32], 1_700_000_000_000)?;
/// assert_eq!(new.user().info().name, "alice");
/// # Ok::<(), pleach_core::instance::Error>(())
/// ```
#[derive(Clone)]
pub struct OpenUser {
    info: UserInfo,
    sealing: Sealing,
}

/// A user in the making: first the secrets go into the metadata, then the rest into `_sync`.
pub struct NewUser {
    user: OpenUser,
    secrets: MetaChanges,
}

impl NewUser {
    /// A user with one key. `seed` is random, and used for nothing else. With a password it takes some hundred
    /// milliseconds and 64 MiB of memory.
    pub fn make(name: &str, password: Option<&str>, seed: [u8; 32], wall: u64) -> Result<Self, Error> {
        let mut entropy = pleach_core::Entropy::new(seed);
        let secret = SecretKey::from_bytes(entropy.draw());
        let info = UserInfo::new(name, secret.public(), wall, password.is_some())?;
        let mut secrets = Vec::new();
        let sealing = match password {
            None => Sealing::Open,
            #[cfg(feature = "passphrase")]
            Some(password) => {
                let (lock, sealer) = lock(password, &mut entropy).map_err(|error| failed(name, error))?;
                secrets.push((user_lock_place(&info.id), Some(lock)));
                Sealing::Under(Arc::new(sealer))
            }
            #[cfg(not(feature = "passphrase"))]
            Some(_) => return Err(no_passwords()),
        };
        let user = OpenUser { info, sealing };
        secrets.push(user.keep(&secret, entropy.draw())?);
        Ok(Self { user, secrets: secrets.into() })
    }

    /// The user, logged in.
    pub fn user(&self) -> &OpenUser {
        &self.user
    }

    /// What the metadata keep. It is to be durable before the rest is written.
    pub fn secrets(&self) -> MetaChanges {
        self.secrets.clone()
    }

    /// Writes the rest into `_sync`, unless somebody has the name.
    pub fn write(&self, draft: &Draft, known: &[UserInfo]) -> Result<(), Error> {
        let info = &self.user.info;
        if known.iter().any(|user| user.name == info.name) {
            return Err(Error::UserExists(info.name.clone()));
        }
        keep_user(draft, info)?;
        keep_user_key(draft, &info.id, &UserKey::new(info.id, ""), info.created)
    }
}

impl OpenUser {
    /// Logs a user in: their first key can be opened. With a password it takes some hundred milliseconds and 64 MiB of
    /// memory.
    pub fn log_in(
        snapshot: &Arc<dyn Snapshot>,
        sync_tree: &Id,
        name: &str,
        password: Option<&str>,
    ) -> Result<Self, Error> {
        let info = user(snapshot, sync_tree, name)?;
        let sealing = match (snapshot.meta(&user_lock_place(&info.id))?, password) {
            (None, None) => Sealing::Open,
            (None, Some(_)) => return Err(Error::WrongPassword(name.to_owned())),
            (Some(_), None) => return Err(Error::PasswordNeeded(name.to_owned())),
            #[cfg(feature = "passphrase")]
            (Some(lock), Some(password)) => {
                Sealing::Under(Arc::new(unlock(&lock, password).map_err(|error| failed(name, error))?))
            }
            #[cfg(not(feature = "passphrase"))]
            (Some(_), Some(_)) => return Err(no_passwords()),
        };
        let user = Self { info, sealing };
        user.secret(&**snapshot, &user.info.id)?;
        Ok(user)
    }

    /// Who it is.
    pub fn info(&self) -> &UserInfo {
        &self.info
    }

    /// Their public keys, the first one first.
    pub fn keys(&self, snapshot: Arc<dyn Snapshot>, sync_tree: &Id) -> Result<Vec<UserKey>, Error> {
        user_keys(snapshot, sync_tree, &self.info.id)
    }

    /// The secret part of one of their keys.
    pub fn secret(&self, snapshot: &dyn Snapshot, key: &PublicKey) -> Result<SecretKey, Error> {
        let place = user_key_place(key);
        let none = || Error::NoUserKey { user: self.info.name.clone(), wanted: key.to_string() };
        let kept = snapshot.meta(&place)?.ok_or_else(none)?;
        let bytes = match &self.sealing {
            Sealing::Open => kept,
            // Another user's is sealed by another key.
            #[cfg(feature = "passphrase")]
            Sealing::Under(sealer) => sealer.unseal(&place, &kept).map_err(|_| none())?,
        };
        let damaged = || StorageError::Damaged("the key of a user does not read as one".into());
        let secret = SecretKey::from_bytes(bytes.try_into().map_err(|_| damaged())?);
        if secret.public() == *key { Ok(secret) } else { Err(damaged().into()) }
    }

    /// The keys with which they track databases.
    pub fn tracked_keys(
        &self,
        snapshot: &Arc<dyn Snapshot>,
        sync_tree: &Id,
    ) -> Result<Vec<(Id, SecretKey)>, Error> {
        let all = tracked(Arc::clone(snapshot), sync_tree)?;
        let own = all.into_iter().filter(|tracked| tracked.user == self.info.name);
        own.map(|tracked| Ok((tracked.database, self.secret(&**snapshot, &tracked.key)?))).collect()
    }

    /// One more key: what the metadata keep of it, which is to be durable before the key is written into `_sync`.
    pub fn new_key(&self, name: &str, seed: [u8; 32]) -> Result<(UserKey, MetaChanges), Error> {
        let mut entropy = pleach_core::Entropy::new(seed);
        let secret = SecretKey::from_bytes(entropy.draw());
        let kept = self.keep(&secret, entropy.draw())?;
        Ok((UserKey::new(secret.public(), name), [kept].into()))
    }

    #[cfg_attr(not(feature = "passphrase"), expect(unused_variables, clippy::unnecessary_wraps))]
    fn keep(&self, secret: &SecretKey, nonce: [u8; 24]) -> Result<MetaChange, Error> {
        let place = user_key_place(&secret.public());
        let kept = match &self.sealing {
            Sealing::Open => secret.to_bytes().to_vec(),
            #[cfg(feature = "passphrase")]
            Sealing::Under(sealer) => sealer.seal(&place, &secret.to_bytes(), nonce)?,
        };
        Ok((place, Some(kept)))
    }
}

/// Users whose keys are under no password: whoever opens the store may use them. One whose key is damaged is left out.
pub fn open_users(snapshot: &Arc<dyn Snapshot>, sync_tree: &Id) -> Result<Vec<OpenUser>, Error> {
    let open = users(snapshot, sync_tree)?.into_iter().filter(|user| !user.protected);
    Ok(open.filter_map(|user| OpenUser::log_in(snapshot, sync_tree, &user.name, None).ok()).collect())
}

/// What the metadata forget of a user with these keys.
pub fn forget_user(user: &UserInfo, keys: &[UserKey]) -> MetaChanges {
    let keys = keys.iter().map(|key| (user_key_place(&key.public), None));
    keys.chain([(user_lock_place(&user.id), None)]).collect()
}

#[cfg(feature = "passphrase")]
fn failed(name: &str, error: SealError) -> Error {
    match error {
        SealError::Wrong => Error::WrongPassword(name.to_owned()),
        SealError::Storage(error) => error.into(),
        SealError::Empty => Error::Password("an empty one protects nothing: choose a longer one".into()),
        other => Error::Password(other.to_string()),
    }
}

#[cfg(not(feature = "passphrase"))]
fn no_passwords() -> Error {
    Error::Password("this program is built without the feature passphrase: build it with that".into())
}

impl std::fmt::Debug for OpenUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenUser").field("name", &self.info.name).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for NewUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewUser").field("name", &self.user.info.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;
    use pleach_core::storage::{Store, Write};

    #[test]
    #[cfg(feature = "passphrase")]
    fn a_secret_key_of_a_user_is_nowhere_in_what_is_stored_under_a_password() {
        let store = Memory::new();
        let new = NewUser::make("alice", Some("correct horse"), [7; 32], 9).unwrap();
        store.write(&Write::Meta(new.secrets())).unwrap();
        let snapshot = store.snapshot().unwrap();
        let secret = new.user().secret(&*snapshot, &new.user().info().id).unwrap().to_bytes();
        for (_, value) in snapshot.metas(&[], None, 100).unwrap() {
            assert!(!value.windows(secret.len()).any(|part| part == secret));
        }
        let empty = NewUser::make("alice", Some(""), [7; 32], 9).unwrap_err();
        assert!(matches!(empty, Error::Password(_)), "{empty}");
    }

    #[test]
    fn the_name_of_a_user_is_bounded() {
        for name in ["", &"x".repeat(65)] {
            let refused = NewUser::make(name, None, [7; 32], 9).unwrap_err();
            assert_eq!(refused, Error::UserName(name.len()));
        }
        let store = Memory::new();
        let new = NewUser::make("alice", None, [7; 32], 9).unwrap();
        store.write(&Write::Meta(new.secrets())).unwrap();
        let other = SecretKey::from_bytes([1; 32]).public();
        let none = new.user().secret(&*store.snapshot().unwrap(), &other).unwrap_err();
        assert!(none.is_not_found(), "{none}");
    }
}
