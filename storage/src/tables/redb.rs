//! Tables in one file.
//!
//! The file is locked here and not by redb, so that after a failed write the same file can be opened a second time
//! for reading: redb answers nothing more once a write failed.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use pleach_core::storage::StorageError;
use redb::{
    Database, DatabaseError, Error, ReadOnlyTable, ReadableDatabase, StorageBackend, TableDefinition,
    TableError, TableHandle, backends::FileBackend,
};

use crate::{
    changes::Changes,
    layout::Table,
    tables::{Order, Span, Tables, View, Visit},
};

type Bytes = &'static [u8];

const fn definition(table: Table) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(table.name())
}

/// Tables in one file, which no other process may open meanwhile.
pub(crate) struct RedbTables {
    file: Arc<dyn StorageBackend>,
    cache_bytes: usize,
    path: String,
    database: Mutex<Arc<Opened>>,
    /// Whether a write failed since the database was opened.
    failed: AtomicBool,
}

/// The state of the file after some write.
pub(crate) struct RedbView {
    /// Nothing for a table that was never written to.
    tables: [Option<ReadOnlyTable<Bytes, Bytes>>; Table::ALL.len()],
    /// The transactions of a database end when it is dropped.
    _database: Arc<Opened>,
}

/// A database that is closed without a panic. After one in its own code, over bytes that rotted, redb finds its locks
/// poisoned when it closes, and panics once more.
struct Opened(Option<Database>);

impl Opened {
    const fn new(database: Database) -> Self {
        Self(Some(database))
    }
}

impl std::ops::Deref for Opened {
    type Target = Database;

    fn deref(&self) -> &Database {
        // It is taken when this is dropped, and then nobody asks.
        self.0.as_ref().unwrap_or_else(|| unreachable!())
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let database = self.0.take();
        // Nothing is lost: what was committed is in the file.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }
}

impl RedbTables {
    /// Opens the file, or makes it, for its owner alone to read.
    pub(crate) fn open(path: &Path, cache_bytes: usize) -> Result<Self, StorageError> {
        let shown = path.display().to_string();
        match locked(path, &shown, false)? {
            Some(file) => Self::over(backend(file, &shown)?, cache_bytes, shown),
            None => Self::make(path, cache_bytes, shown),
        }
    }

    /// Makes the file under another name first: a power cut in between leaves nothing that looks like a damaged store.
    fn make(path: &Path, cache_bytes: usize, shown: String) -> Result<Self, StorageError> {
        let failed = |error| failure(&shown, &error);
        let mut making = path.as_os_str().to_owned();
        making.push(".new");
        let Some(file) = locked(Path::new(&making), &shown, true)? else {
            return Err(StorageError::Locked(shown));
        };
        // Whoever made it before this lock was to be had has given it its name.
        if let Some(made) = locked(path, &shown, false)? {
            fs::remove_file(&making).map_err(failed)?;
            return Self::over(backend(made, &shown)?, cache_bytes, shown);
        }
        file.set_len(0).map_err(failed)?;
        let tables = Self::over(backend(file, &shown)?, cache_bytes, shown.clone())?;
        fs::rename(&making, path).and_then(|()| sync_folder(path)).map_err(failed)?;
        Ok(tables)
    }

    pub(crate) fn over(
        file: Arc<dyn StorageBackend>,
        cache_bytes: usize,
        path: String,
    ) -> Result<Self, StorageError> {
        let database = Mutex::new(Arc::new(Opened::new(database(&file, cache_bytes, &path)?)));
        let tables = Self { file, cache_bytes, path, database, failed: AtomicBool::new(false) };
        tables.check_owner()?;
        Ok(tables)
    }

    /// A database that some other program made is left alone.
    fn check_owner(&self) -> Result<(), StorageError> {
        self.guarded(|| {
            let transaction = self.current().begin_read()?;
            let mut names = transaction.list_tables()?.map(|table| table.name().to_owned()).peekable();
            let is_empty = names.peek().is_none();
            Ok(is_empty || names.any(|name| name == Table::Store.name()))
        })?
        .then_some(())
        .ok_or_else(|| StorageError::NotAStore(self.path.clone()))
    }

    fn current(&self) -> Arc<Opened> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// After a failed write: what redb has in memory answers no more, the file does.
    fn reopen(&self) -> Result<(), StorageError> {
        let mut current = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        if self.failed.load(Ordering::Acquire) {
            *current = Arc::new(Opened::new(database(&self.file, self.cache_bytes, &self.path)?));
            self.failed.store(false, Ordering::Release);
        }
        Ok(())
    }

    fn begin_view(&self) -> Result<RedbView, StorageError> {
        self.guarded(|| {
            let database = self.current();
            let transaction = database.begin_read()?;
            let mut tables = [const { None }; Table::ALL.len()];
            for (place, table) in tables.iter_mut().zip(Table::ALL) {
                *place = match transaction.open_table(definition(table)) {
                    Ok(table) => Some(table),
                    Err(TableError::TableDoesNotExist(_)) => None,
                    Err(error) => return Err(error.into()),
                };
            }
            Ok(RedbView { tables, _database: database })
        })
    }

    fn guarded<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, StorageError> {
        guarded(&self.path, work)
    }
}

impl Tables for RedbTables {
    type View = RedbView;

    fn view(&self) -> Result<RedbView, StorageError> {
        if self.failed.load(Ordering::Acquire) {
            self.reopen()?;
        }
        self.begin_view()
    }

    fn apply(&self, changes: Changes) -> Result<(), StorageError> {
        self.guarded(|| {
            let mut transaction = self.current().begin_write()?;
            // The data come from strangers, who could otherwise choose bytes whose checksums fit a torn write.
            transaction.set_two_phase_commit(true);
            #[cfg(feature = "planted-faults")]
            if pleach_core::planted::is_awake(pleach_core::planted::Planted::WritesUnsynced) {
                // Such a durability cannot fail.
                let _ = transaction.set_durability(redb::Durability::None);
            }
            for (table, span) in changes.cleared() {
                transaction
                    .open_table(definition(*table))?
                    .retain_in::<&[u8], _>(span.bounds(), |_, _| false)?;
            }
            for (table, changes) in changes.into_tables() {
                let mut table = transaction.open_table(definition(table))?;
                for (key, value) in changes {
                    match value {
                        Some(value) => drop(table.insert(key.as_slice(), value.as_slice())?),
                        None => drop(table.remove(key.as_slice())?),
                    }
                }
            }
            transaction.commit()?;
            Ok(())
        })
        .inspect_err(|_| self.failed.store(true, Ordering::Release))
    }
}

impl View for RedbView {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let Some(table) = &self.tables[table as usize] else { return Ok(None) };
        guarded("the file", || Ok(table.get(key)?.map(|value| value.value().to_vec())))
    }

    fn scan(
        &self,
        table: Table,
        span: &Span,
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<(), StorageError> {
        let Some(table) = &self.tables[table as usize] else { return Ok(()) };
        if span.is_empty() {
            return Ok(());
        }
        guarded("the file", || {
            let mut pairs = table.range::<&[u8]>(span.bounds())?;
            loop {
                let pair = match order {
                    Order::Ascending => pairs.next(),
                    Order::Descending => pairs.next_back(),
                };
                let Some(pair) = pair else { return Ok(Ok(())) };
                let (key, value) = pair?;
                match visit(key.value(), value.value()) {
                    Ok(flow) if flow.is_break() => return Ok(Ok(())),
                    Ok(_) => {}
                    Err(error) => return Ok(Err(error)),
                }
            }
        })?
    }
}

/// Runs something of redb's. It promises no panic only for files that nobody altered.
fn guarded<T>(path: &str, work: impl FnOnce() -> Result<T, Error>) -> Result<T, StorageError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|error| explained(path, error)),
        Err(_) => Err(StorageError::Damaged(format!("{path}: its structure makes no sense"))),
    }
}

/// Opens a file and takes the lock, which lasts as long as the file is open; nothing if there is none, or an empty one,
/// and it is not to be made.
fn locked(path: &Path, shown: &str, make: bool) -> Result<Option<File>, StorageError> {
    let failed = |error| failure(shown, &error);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(make).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = match options.open(path) {
        Err(error) if !make && error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    if !make && file.metadata().map_err(failed)?.len() == 0 {
        return Ok(None);
    }
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(StorageError::Locked(shown.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn backend(file: File, shown: &str) -> Result<Arc<dyn StorageBackend>, StorageError> {
    Ok(Arc::new(FileBackend::new(file).map_err(|error| opening(shown, error))?))
}

/// Makes a new file's name last as the file does.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if cfg!(unix) { File::open(folder.unwrap_or(Path::new(".")))?.sync_all() } else { Ok(()) }
}

fn database(
    file: &Arc<dyn StorageBackend>,
    cache_bytes: usize,
    path: &str,
) -> Result<Database, StorageError> {
    let backend = SharedFile(file.clone());
    let opened = catch_unwind(AssertUnwindSafe(|| {
        Database::builder().set_cache_size(cache_bytes).create_with_backend(backend)
    }));
    match opened {
        Ok(opened) => opened.map_err(|error| opening(path, error)),
        Err(_) => Err(StorageError::Damaged(format!("{path}: its structure makes no sense"))),
    }
}

/// Why a file could not be opened.
fn opening(path: &str, error: DatabaseError) -> StorageError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            StorageError::Locked(path.to_owned())
        }
        // Redb reports what does not begin as its files do in this way.
        DatabaseError::Storage(redb::StorageError::Io(error))
            if error.kind() == io::ErrorKind::InvalidData =>
        {
            StorageError::NotAStore(path.to_owned())
        }
        DatabaseError::UpgradeRequired(_) => StorageError::NotAStore(path.to_owned()),
        DatabaseError::RepairAborted => StorageError::Damaged(format!("{path}: it could not be repaired")),
        error => explained(path, error.into()),
    }
}

fn explained(path: &str, error: Error) -> StorageError {
    match error {
        Error::Io(error) => failure(path, &error),
        Error::Corrupted(what) => StorageError::Damaged(format!("{path}: {what}")),
        error => StorageError::Failed(format!("{path}: {error}")),
    }
}

fn failure(path: &str, error: &io::Error) -> StorageError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageError::Full,
        // A page that the file should have lies beyond its end.
        io::ErrorKind::UnexpectedEof => StorageError::Damaged(format!("{path}: it is cut short")),
        _ => StorageError::Failed(format!("{path}: {error}")),
    }
}

/// A file that stays open and locked when a database over it is dropped: another may follow.
#[derive(Debug)]
struct SharedFile(Arc<dyn StorageBackend>);

impl StorageBackend for SharedFile {
    fn len(&self) -> Result<u64, io::Error> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.0.write(offset, data)
    }
}

#[cfg(all(test, feature = "conformance"))]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use pleach_core::{Range, storage::Snapshot};
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::{conformance::Maker, store::Kept};

    /// A disk with room for so many more writes.
    #[derive(Debug)]
    struct Disk {
        inner: InMemoryBackend,
        room: AtomicUsize,
    }

    impl StorageBackend for Disk {
        fn len(&self) -> Result<u64, io::Error> {
            self.inner.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
            self.inner.read(offset, out)
        }

        fn set_len(&self, len: u64) -> Result<(), io::Error> {
            self.inner.set_len(len)
        }

        fn sync_data(&self) -> Result<(), io::Error> {
            self.inner.sync_data()
        }

        fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
            let took =
                self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(1));
            match took {
                Ok(_) => self.inner.write(offset, data),
                Err(_) => Err(io::ErrorKind::StorageFull.into()),
            }
        }
    }

    #[test]
    fn a_full_disk_stops_writes_and_leaves_all_that_was_written_readable() {
        let maker = Maker::new(1);
        let root = maker.root();
        let chain = maker.chain(root.position(), 400);
        for room in [0, 1, 2, 5] {
            let disk = Arc::new(Disk { inner: InMemoryBackend::new(), room: AtomicUsize::new(usize::MAX) });
            let tables = RedbTables::over(disk.clone(), 1 << 20, "disk".into()).unwrap();
            let kept = Kept::open(tables).unwrap();
            kept.write(&maker.put([&root])).unwrap();
            let before = kept.snapshot().unwrap().summary(&maker.tree()).unwrap();
            disk.room.store(room, Ordering::Relaxed);
            assert_eq!(kept.write(&maker.put(&chain)), Err(StorageError::Full));
            disk.room.store(usize::MAX, Ordering::Relaxed);
            assert_eq!(kept.write(&maker.put(&chain)), Err(StorageError::Full), "until it is opened again");

            drop(kept);
            let kept = Kept::open(RedbTables::over(disk, 1 << 20, "disk".into()).unwrap()).unwrap();
            let snapshot = kept.snapshot().unwrap();
            assert_eq!(snapshot.summary(&maker.tree()).unwrap(), before);
            kept.write(&maker.put(&chain)).unwrap();
            assert_eq!(kept.snapshot().unwrap().measure(&maker.tree(), &Range::ALL).unwrap().count, 401);
        }
    }

    #[test]
    fn a_store_over_bytes_that_rotted_gives_errors_and_never_panics() {
        let maker = Maker::new(1);
        let chain = maker.chain(maker.root().position(), 300);
        let (mut failed, mut chance) = (0, pleach_core::Entropy::new([7; 32]));
        for _ in 0..40 {
            let disk = crate::conformance::Disk::new();
            let store = disk.open().unwrap();
            pleach_core::storage::Store::write(&store, &maker.put([&maker.root()])).unwrap();
            pleach_core::storage::Store::write(&store, &maker.put(&chain[..200])).unwrap();
            drop(store);
            for _ in 0..60 {
                disk.rot(&mut chance);
            }
            let Ok(store) = disk.open() else { continue };
            let kept = &store.0;
            let before = kept.snapshot();
            failed += usize::from(kept.write(&maker.put(&chain[200..])).is_err());
            let behind = kept.snapshot();
            drop((before, behind));
        }
        assert!(failed > 0, "what rotted was met");
    }

    #[test]
    fn reads_go_on_after_a_failed_write() {
        let maker = Maker::new(1);
        let root = maker.root();
        let chain = maker.chain(root.position(), 400);
        let disk = Arc::new(Disk { inner: InMemoryBackend::new(), room: AtomicUsize::new(usize::MAX) });
        let kept = Kept::open(RedbTables::over(disk.clone(), 1 << 20, "disk".into()).unwrap()).unwrap();
        kept.write(&maker.put([&root])).unwrap();
        // New pages find no room; a few that are there already can be written again.
        disk.room.store(3, Ordering::Relaxed);
        assert_eq!(kept.write(&maker.put(&chain)), Err(StorageError::Full));
        disk.room.store(usize::MAX, Ordering::Relaxed);
        let snapshot = kept.snapshot().unwrap();
        assert_eq!(snapshot.entry(&maker.tree(), &root.id()).unwrap().as_ref(), Some(root.entry()));
        assert_eq!(snapshot.measure(&maker.tree(), &Range::ALL).unwrap().count, 1);
    }
}
