//! Secret keys under a passphrase, over any store.
//!
//! A random key seals each secret of the metadata, and a key made from the passphrase seals that one. Whoever has the
//! file and not the passphrase can read the databases, and sign for nobody.
//!
//! | file | holds |
//! |---|---|
//! | `lock` | [`Lock`]: from a passphrase to the key that seals |
//! | `view` | a snapshot that opens what is sealed |

mod lock;
mod view;

use std::sync::{Arc, Mutex, PoisonError};

use pleach_core::{
    Entropy,
    instance::is_secret,
    storage::{Meta, MetaChange, MetaChanges, Snapshot, StorageError, Store, Write, Written},
};

use zeroize::Zeroizing;

pub(crate) use lock::Sealer;
use lock::{LOCK, Lock};
use view::Opened;

/// Secrets read at once.
const PAGE: usize = 256;

/// Why a store cannot be opened with a passphrase.
///
/// ```
/// # use pleach_storage::{Memory, SealError, Sealed};
/// let sealed = Sealed::open(Memory::new(), None, [1; 32])?;
/// assert_eq!(sealed.change(Some("")), Err(SealError::Empty));
/// # Ok::<(), SealError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealError {
    /// The store's secret keys are under a passphrase, and none was given.
    Needed,
    /// It is another passphrase.
    Wrong,
    /// An empty passphrase protects nothing.
    Empty,
    /// The passphrase could not be made into a key: too little memory.
    Derive(String),
    /// The store failed.
    Storage(StorageError),
}

impl std::fmt::Display for SealError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Needed => f.write_str("the node's keys are under a passphrase: give it to open the node"),
            Self::Wrong => f.write_str("this is not the passphrase of the node: try again"),
            Self::Empty => f.write_str("an empty passphrase protects nothing: choose a longer one"),
            Self::Derive(reason) => {
                write!(f, "the passphrase could not be made into a key: {reason}: free some memory")
            }
            Self::Storage(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SealError {}

impl From<StorageError> for SealError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// What is stored of a password, and what it opens: for secrets beside those of the store.
pub(crate) fn lock(password: &str, entropy: &mut Entropy) -> Result<(Vec<u8>, Sealer), SealError> {
    if password.is_empty() {
        return Err(SealError::Empty);
    }
    let (lock, sealer) = Lock::new(password, entropy)?;
    Ok((lock.encode(), sealer))
}

/// What a password opens, given what is stored of it.
pub(crate) fn unlock(lock: &[u8], password: &str) -> Result<Sealer, SealError> {
    Lock::decode(lock)?.open(password)
}

/// Whether the secret keys of a store are under a passphrase.
///
/// ```
/// # use std::sync::Arc;
/// # use pleach_storage::{Memory, SealError, Sealed, passphrase_needed};
/// let within = Arc::new(Memory::new());
/// assert!(!passphrase_needed(&within)?);
/// Sealed::open(Arc::clone(&within), None, [1; 32])?.change(Some("correct horse"))?;
/// assert!(passphrase_needed(&within)?);
/// # Ok::<(), SealError>(())
/// ```
pub fn passphrase_needed(store: &dyn Store) -> Result<bool, StorageError> {
    Ok(store.snapshot()?.meta(LOCK)?.is_some())
}

/// A store whose secret keys are under a passphrase, or may be: the node's key, and the root keys of databases.
/// Everything else is stored as the store within does it.
///
/// ```
/// use std::sync::Arc;
/// use pleach_core::storage::{Store, Write};
/// use pleach_storage::{Memory, SealError, Sealed};
/// let within = Arc::new(Memory::new());
/// // Random bytes, here and below: nonces and salts come from them.
/// let sealed = Sealed::open(Arc::clone(&within), None, [1; 32])?;
/// sealed.change(Some("correct horse"))?;
/// sealed.write(&Write::Meta([(b"instance/key".to_vec(), Some(vec![7; 32]))].into()))?;
///
/// assert_ne!(within.snapshot()?.meta(b"instance/key")?, Some(vec![7; 32]));
/// let again = |passphrase| Sealed::open(Arc::clone(&within), passphrase, [2; 32]);
/// assert_eq!(again(Some("wrong")).err(), Some(SealError::Wrong));
/// assert_eq!(again(Some("correct horse"))?.snapshot()?.meta(b"instance/key")?, Some(vec![7; 32]));
/// # Ok::<(), SealError>(())
/// ```
pub struct Sealed<S> {
    within: S,
    sealer: Mutex<Option<Arc<Sealer>>>,
    entropy: Mutex<Entropy>,
}

impl<S: Store> Sealed<S> {
    /// Opens a store with the passphrase that its secret keys are under; one that is under none takes none. `seed` is
    /// random, and used for nothing else. Takes some hundred milliseconds and 64 MiB of memory.
    pub fn open(within: S, passphrase: Option<&str>, seed: [u8; 32]) -> Result<Self, SealError> {
        let sealer = match (within.snapshot()?.meta(LOCK)?, passphrase) {
            (None, _) => None,
            (Some(_), None) => return Err(SealError::Needed),
            (Some(lock), Some(passphrase)) => Some(Arc::new(Lock::decode(&lock)?.open(passphrase)?)),
        };
        Ok(Self { within, sealer: Mutex::new(sealer), entropy: Mutex::new(Entropy::new(seed)) })
    }

    /// Puts the secret keys under another passphrase, or under none, in one durable write.
    pub fn change(&self, passphrase: Option<&str>) -> Result<(), SealError> {
        let mut entropy = self.entropy.lock().unwrap_or_else(PoisonError::into_inner);
        // No snapshot is taken between the write and its effect here.
        let mut current = self.sealer.lock().unwrap_or_else(PoisonError::into_inner);
        let (lock, next) = match passphrase {
            None => (None, None),
            Some("") => return Err(SealError::Empty),
            Some(passphrase) => {
                let (lock, sealer) = Lock::new(passphrase, &mut entropy)?;
                (Some(lock.encode()), Some(Arc::new(sealer)))
            }
        };
        let snapshot = Opened::new(self.within.snapshot()?, current.clone());
        let mut changes = vec![(LOCK.to_vec(), lock)];
        for (key, value) in secrets(&snapshot)? {
            let value = Zeroizing::new(value);
            let value = sealed(next.as_deref(), &mut entropy, &key, &value)?;
            changes.push((key, Some(value)));
        }
        self.within.write(&Write::Meta(changes.into()))?;
        *current = next;
        Ok(())
    }
}

/// All secrets of a store, opened.
fn secrets(snapshot: &dyn Snapshot) -> Result<Vec<Meta>, StorageError> {
    let mut found = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = snapshot.metas(&[], after.as_deref(), PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(found) };
        after = Some(last.clone());
        found.extend(page.into_iter().filter(|(key, _)| is_secret(key)));
    }
}

fn sealed(
    sealer: Option<&Sealer>,
    entropy: &mut Entropy,
    key: &[u8],
    value: &[u8],
) -> Result<Vec<u8>, StorageError> {
    sealer.map_or_else(|| Ok(value.to_vec()), |sealer| sealer.seal(key, value, entropy.draw()))
}

impl<S: Store> Store for Sealed<S> {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
        let sealer = self.sealer.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::new(Opened::new(self.within.snapshot()?, sealer.clone())))
    }

    fn write(&self, write: &Write) -> Result<Written, StorageError> {
        let (Write::Meta(changes) | Write::PutWithMeta { meta: changes, .. }) = write else {
            return self.within.write(write);
        };
        // Held until the write is durable, so that none falls between a change of the passphrase and its effect.
        let mut entropy = self.entropy.lock().unwrap_or_else(PoisonError::into_inner);
        let sealer = self.sealer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let seal = |(key, value): &MetaChange| {
            let value = match value {
                Some(value) if is_secret(key) => Some(sealed(sealer.as_deref(), &mut entropy, key, value)?),
                value => value.clone(),
            };
            Ok((key.clone(), value))
        };
        let sealed: MetaChanges = changes.iter().map(seal).collect::<Result<_, StorageError>>()?;
        self.within.write(&match write {
            Write::PutWithMeta { tree, entries, .. } => {
                Write::PutWithMeta { tree: *tree, entries: entries.clone(), meta: sealed }
            }
            _ => Write::Meta(sealed),
        })
    }
}

impl<S> std::fmt::Debug for Sealed<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealed").finish_non_exhaustive()
    }
}
