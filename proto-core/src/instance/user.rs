//! Users of an instance: who they are, their public keys, and which databases they want to be kept the same.
//!
//! What is said here stands in `_sync`, each fact in a row of its own. Secret keys stand in the store's metadata.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use serde::{Deserialize, Serialize};

use crate::{
    Id, PublicKey,
    document::{Draft, Scope, StoreType, Table},
    instance::Error,
    storage::Snapshot,
};

/// Bytes in the name of a user.
pub const MAX_USER_NAME: usize = 64;

/// Seconds between two syncs of a database at least, whatever users say: the background must not do nothing else.
pub const MIN_INTERVAL_SECONDS: u64 = 1;

/// Where the metadata keep the secret keys of users: this prefix and the public key.
pub(super) const USER_KEY: &[u8] = b"user/key/";

/// Where the metadata keep what a user's password opens: this prefix and the user's id.
const USER_LOCK: &[u8] = b"user/lock/";

/// Rows of [`UserRow`], by name.
const USERS: &str = "users";

/// Rows of [`KeyRow`], by public key.
const KEYS: &str = "user_keys";

/// Rows of [`TrackedDatabase`], by database and user.
const TRACKED: &str = "tracked";

/// A user.
///
/// ```
/// # use pleach_core::{SecretKey, instance::UserInfo};
/// let key = SecretKey::from_bytes([1; 32]).public();
/// let info = UserInfo::new("alice", key, 1_760_000_000_000, false)?;
/// assert!(info.followed && !info.protected);
/// assert!(UserInfo::new("", key, 0, false).is_err(), "a user has a name");
/// # Ok::<(), pleach_core::instance::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserInfo {
    /// The name by which they log in.
    pub name: String,
    /// Their first key, by which they are told apart from another of the same name, earlier or later.
    pub id: PublicKey,
    /// When they were created, in wall milliseconds.
    pub created: u64,
    /// Their keys are under a password.
    pub protected: bool,
    /// Their preferences count.
    pub followed: bool,
}

impl UserInfo {
    /// A user whose preferences count. The name is not empty, and has at most 64 bytes.
    pub fn new(name: &str, id: PublicKey, created: u64, protected: bool) -> Result<Self, Error> {
        if name.is_empty() || name.len() > MAX_USER_NAME {
            return Err(Error::UserName(name.len()));
        }
        Ok(Self { name: name.to_string(), id, created, protected, followed: true })
    }
}

/// A key of a user.
///
/// ```
/// # use pleach_core::{SecretKey, instance::UserKey};
/// let key = UserKey::new(SecretKey::from_bytes([1; 32]).public(), "laptop");
/// assert_eq!(key.name, "laptop");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserKey {
    /// The key.
    pub public: PublicKey,
    /// What the user calls it; may be empty.
    pub name: String,
}

impl UserKey {
    /// A key, and what the user calls it.
    pub fn new(public: PublicKey, name: &str) -> Self {
        Self { public, name: name.to_string() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct UserRow {
    id: PublicKey,
    created: u64,
    followed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeyRow {
    owner: PublicKey,
    name: String,
    created: u64,
}

/// How a user wants a database to be kept the same with the peers that are known for it.
///
/// ```
/// # use pleach_core::instance::SyncSettings;
/// let often = SyncSettings::enabled().with_interval(60);
/// let at_once = SyncSettings::on_commit();
/// let both = SyncSettings::combined([&often, &at_once, &SyncSettings::disabled()]);
/// assert!(both.sync_enabled && both.sync_on_commit);
/// assert_eq!(both.interval_seconds, Some(60));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncSettings {
    /// The background keeps it the same.
    pub sync_enabled: bool,
    /// At once after each commit too; otherwise in time.
    pub sync_on_commit: bool,
    /// Seconds between two syncs when nothing else happens; that of each pair if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<u64>,
    /// What else a program wants to keep with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
}

impl SyncSettings {
    /// It is left alone.
    pub fn disabled() -> Self {
        Self::default()
    }

    /// It is kept the same from time to time.
    pub fn enabled() -> Self {
        Self { sync_enabled: true, ..Self::default() }
    }

    /// It is kept the same from time to time and after each commit.
    pub fn on_commit() -> Self {
        Self { sync_enabled: true, sync_on_commit: true, ..Self::default() }
    }

    /// Another interval, in seconds.
    #[must_use]
    pub fn with_interval(self, seconds: u64) -> Self {
        Self { interval_seconds: Some(seconds), ..self }
    }

    /// What holds when several users say something: whoever has it disabled says nothing, any on-commit wins, the shortest
    /// interval wins, and of a property what was said first.
    pub fn combined<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut combined = Self::disabled();
        for settings in all.into_iter().filter(|settings| settings.sync_enabled) {
            combined.sync_enabled = true;
            combined.sync_on_commit |= settings.sync_on_commit;
            combined.interval_seconds =
                [combined.interval_seconds, settings.interval_seconds].into_iter().flatten().min();
            for (key, value) in &settings.properties {
                combined.properties.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        combined
    }

    /// Milliseconds between two syncs, if users say so.
    pub(super) fn interval(&self) -> Option<u64> {
        let seconds = self.interval_seconds?.max(MIN_INTERVAL_SECONDS);
        Some(seconds.saturating_mul(1_000))
    }
}

/// A database that a user tracks.
///
/// ```
/// # use pleach_core::{Id, SecretKey, instance::{SyncSettings, TrackedDatabase}};
/// let key = SecretKey::from_bytes([1; 32]).public();
/// let tracked = TrackedDatabase::new("alice", Id::of(b"root"), key, SyncSettings::enabled());
/// assert_eq!((&*tracked.user, tracked.key), ("alice", key));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TrackedDatabase {
    /// The user's name.
    pub user: String,
    /// The database.
    pub database: Id,
    /// The key with which the user opens it.
    pub key: PublicKey,
    /// How it is to be kept the same.
    pub settings: SyncSettings,
}

impl TrackedDatabase {
    /// A database that a user opens with a key of theirs.
    pub fn new(user: &str, database: Id, key: PublicKey, settings: SyncSettings) -> Self {
        Self { user: user.to_string(), database, key, settings }
    }
}

fn rows<T: Serialize + for<'a> Deserialize<'a>>(
    snapshot: Arc<dyn Snapshot>,
    tree: &Id,
    name: &str,
) -> Result<Vec<(String, T)>, Error> {
    let table = Table::<T>::open(Scope::of_snapshot(snapshot, *tree, name)?)?;
    Ok(table.search(|_| true)?)
}

/// All users, ascending by name.
pub fn users(snapshot: &Arc<dyn Snapshot>, tree: &Id) -> Result<Vec<UserInfo>, Error> {
    let rows = rows::<UserRow>(Arc::clone(snapshot), tree, USERS)?.into_iter();
    rows.map(|(name, UserRow { id, created, followed })| {
        let protected = snapshot.meta(&user_lock_place(&id))?.is_some();
        Ok(UserInfo { name, id, created, protected, followed })
    })
    .collect()
}

/// The user with a name.
pub fn user(snapshot: &Arc<dyn Snapshot>, tree: &Id, name: &str) -> Result<UserInfo, Error> {
    let found = users(snapshot, tree)?.into_iter().find(|user| user.name == name);
    found.ok_or_else(|| Error::NoUser(name.to_string()))
}

/// A user's public keys, the first one first.
pub fn user_keys(snapshot: Arc<dyn Snapshot>, tree: &Id, id: &PublicKey) -> Result<Vec<UserKey>, Error> {
    let mut keys = Vec::new();
    for (key, row) in rows::<KeyRow>(snapshot, tree, KEYS)? {
        if row.owner == *id
            && let Ok(public) = key.parse::<PublicKey>()
        {
            keys.push((public != *id, row.created, UserKey { public, name: row.name }));
        }
    }
    keys.sort_by(|(a, at, _), (b, bt, _)| (a, at).cmp(&(b, bt)));
    Ok(keys.into_iter().map(|(_, _, key)| key).collect())
}

/// Writes a user, new or changed.
pub fn keep_user(draft: &Draft, user: &UserInfo) -> Result<(), Error> {
    let UserInfo { ref name, id, created, followed, .. } = *user;
    Ok(draft.store::<Table<UserRow>>(USERS)?.set(name, &UserRow { id, created, followed })?)
}

/// Writes a key of a user.
pub fn keep_user_key(draft: &Draft, owner: &PublicKey, key: &UserKey, wall: u64) -> Result<(), Error> {
    let row = KeyRow { owner: *owner, name: key.name.clone(), created: wall };
    Ok(draft.store::<Table<KeyRow>>(KEYS)?.set(&key.public.to_string(), &row)?)
}

/// Removes a user with these keys.
pub fn drop_user(draft: &Draft, user: &UserInfo, keys: &[UserKey]) -> Result<(), Error> {
    draft.store::<Table<UserRow>>(USERS)?.delete(&user.name)?;
    let table = draft.store::<Table<KeyRow>>(KEYS)?;
    for key in keys {
        table.delete(&key.public.to_string())?;
    }
    Ok(())
}

/// All that users track, ascending by database.
pub fn tracked(snapshot: Arc<dyn Snapshot>, tree: &Id) -> Result<Vec<TrackedDatabase>, Error> {
    Ok(rows(snapshot, tree, TRACKED)?.into_iter().map(|(_, row)| row).collect())
}

fn tracked_key(database: &Id, user: &str) -> String {
    format!("{database}-{user}")
}

/// Writes that a user tracks a database.
pub(super) fn keep_tracked(draft: &Draft, tracked: &TrackedDatabase) -> Result<(), Error> {
    let key = tracked_key(&tracked.database, &tracked.user);
    Ok(draft.store::<Table<TrackedDatabase>>(TRACKED)?.set(&key, tracked)?)
}

/// Writes that they do so no longer.
pub(super) fn drop_tracked(draft: &Draft, database: &Id, user: &str) -> Result<(), Error> {
    draft.store::<Table<TrackedDatabase>>(TRACKED)?.delete(&tracked_key(database, user))?;
    Ok(())
}

/// Where the metadata keep the secret key of a user, sealed or not.
pub fn user_key_place(key: &PublicKey) -> Vec<u8> {
    [USER_KEY, key.as_bytes()].concat()
}

/// Where the metadata keep what the password of a user opens.
pub fn user_lock_place(id: &PublicKey) -> Vec<u8> {
    [USER_LOCK, id.as_bytes()].concat()
}
