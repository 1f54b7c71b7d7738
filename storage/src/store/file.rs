//! A store in one file.

use std::{path::Path, sync::Arc};

use pleach_core::storage::{Snapshot, StorageError, Store, Write, Written};

use crate::{store::Kept, tables::RedbTables};

/// Bytes of the file that are kept in memory unless told otherwise: the inner pages and the recent entries of a
/// million entries, little enough for a small server. A bootstrap fills it and takes about as much again for what is on
/// its way: together less than 64 MiB, whatever the length of the history.
pub const DEFAULT_CACHE_BYTES: usize = 32 * 1024 * 1024;

/// How a file is opened.
///
/// ```
/// use pleach_storage::{Options, Redb};
///
/// let folder = tempfile::tempdir()?;
/// let store = Redb::open_with(folder.path().join("store"), Options { cache_bytes: 4 * 1024 * 1024 })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// Bytes of the file kept in memory at most.
    pub cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_bytes: DEFAULT_CACHE_BYTES }
    }
}

/// A store in one file, open in one process at a time.
///
/// Every write is durable when it returns, by a commit in two phases. After a write failed, for want of space say, no
/// more are taken until the file is opened again; snapshots taken from then on show the last write that returned.
///
/// ```
/// use pleach_core::storage::{Store, Write};
/// use pleach_storage::{Options, Redb};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("store");
/// let store = Redb::open(&path)?;
/// store.write(&Write::Meta(vec![(b"colour".to_vec(), Some(b"green".to_vec()))].into()))?;
/// drop(store);
/// let again = Redb::open_with(&path, Options { cache_bytes: 4 * 1024 * 1024 })?;
/// assert_eq!(again.snapshot()?.meta(b"colour")?, Some(b"green".to_vec()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Redb(pub(crate) Kept<RedbTables>);

impl Redb {
    /// Opens the file at this path, or makes it, with [`DEFAULT_CACHE_BYTES`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StorageError> {
        Self::open_with(path, Options::default())
    }

    #[cfg(feature = "conformance")]
    pub(crate) fn kept(&self) -> &Kept<RedbTables> {
        &self.0
    }

    /// Opens the file at this path, or makes it. Only its owner may read a new file.
    pub fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Self, StorageError> {
        Kept::open(RedbTables::open(path.as_ref(), options.cache_bytes)?).map(Self)
    }
}

impl std::fmt::Debug for Redb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redb").finish_non_exhaustive()
    }
}

impl Store for Redb {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
        Ok(Arc::new(self.0.snapshot()?))
    }

    fn write(&self, write: &Write) -> Result<Written, StorageError> {
        self.0.write(write)
    }
}
