//! A store that is only appended to: opaque bytes, in order of position.

use alloc::vec::Vec;

use crate::{
    PublicKey,
    document::{DocumentError, Scope, StoreType, changes::StoreWrites},
    storage::{OfPath, Paths, RowKind, RowQuery, Stamp, StorageError},
};

/// Opaque bytes in order of position: parents' appends before children's, and the same order on every node that
/// holds the same. The place for the updates of other replicated types.
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Log, Memory};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// let txn = db.new_transaction()?;
/// let events = txn.get_store::<Log>("events")?;
/// events.append(b"planted")?;
/// events.append(b"watered")?;
/// txn.commit()?;
///
/// let events = db.get_store_viewer::<Log>("events")?;
/// let first = events.entries(None, 1)?;
/// assert_eq!(first[0].bytes, b"planted");
/// let rest = events.entries(Some(first[0].cursor), 100)?;
/// assert_eq!(rest.iter().map(|append| &append.bytes[..]).collect::<Vec<_>>(), [b"watered"]);
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Log(Scope);

/// One append.
/// ```
/// # use pleach_blocking::{Append, Database, DatabaseKey, Doc, Instance, Log, Memory};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// let txn = db.new_transaction()?;
/// txn.get_store::<Log>("events")?.append(b"planted")?;
/// txn.commit()?;
/// let [append]: [Append; 1] = db.get_store_viewer::<Log>("events")?.entries(None, 9)?.try_into().unwrap();
/// assert_eq!((append.author, &append.bytes[..]), (instance.device_key(), &b"planted"[..]));
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// Where it stands, to continue behind it.
    pub cursor: LogCursor,
    /// Who wrote it.
    pub author: PublicKey,
    /// What was appended.
    pub bytes: Vec<u8>,
}

/// A place in a log. It stays valid, but entries that arrive later may stand before it.
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Log, LogCursor, Memory};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// let txn = db.new_transaction()?;
/// let events = txn.get_store::<Log>("events")?;
/// events.append(b"planted")?;
/// assert_eq!(events.entries(None, 9)?[0].cursor, LogCursor::Own(0), "of the draft itself");
/// txn.commit()?;
/// let events = db.get_store_viewer::<Log>("events")?;
/// let LogCursor::Stored(stamp, number) = events.entries(None, 9)?[0].cursor else { panic!("it is stored") };
/// assert_eq!((stamp.position, number), (db.tips()?[0], 0));
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogCursor {
    /// An append that is stored: its entry, and its number within it.
    Stored(Stamp, u32),
    /// An append of the draft that is read through, by number: behind all that is stored.
    Own(u32),
}

impl StoreType for Log {
    fn open(scope: Scope) -> Result<Self, DocumentError> {
        scope.of_kind(RowKind::Log).map(Self)
    }
}

impl Log {
    /// Appends bytes.
    pub fn append(&self, bytes: impl Into<Vec<u8>>) -> Result<(), DocumentError> {
        let bytes = bytes.into();
        self.0.draft()?.change(&self.0.name, RowKind::Log, |writes| match writes {
            StoreWrites::Log(appends) => {
                appends.push(bytes);
                Ok(())
            }
            _ => Err(DocumentError::kind(&self.0.name, RowKind::Log)),
        })
    }

    /// Appends in order: at most `limit` after `after`.
    pub fn entries(&self, after: Option<LogCursor>, limit: usize) -> Result<Vec<Append>, DocumentError> {
        let mut appends = match after {
            Some(LogCursor::Own(_)) => Vec::new(),
            Some(LogCursor::Stored(stamp, number)) => self.stored(Some((stamp, number)), limit)?,
            None => self.stored(None, limit)?,
        };
        let Some(draft) = &self.0.reads.draft else { return Ok(appends) };
        let first_own = match after {
            Some(LogCursor::Own(number)) => number.saturating_add(1),
            _ => 0,
        };
        let own = (0_u32..).zip(draft.own_appends(&self.0.name)).filter(|(number, _)| *number >= first_own);
        let own = own.map(|(number, bytes)| Append {
            cursor: LogCursor::Own(number),
            author: draft.author(),
            bytes,
        });
        appends.extend(own.take(limit.saturating_sub(appends.len())));
        Ok(appends)
    }

    fn stored(&self, after: Option<(Stamp, u32)>, limit: usize) -> Result<Vec<Append>, DocumentError> {
        let query = RowQuery {
            store: self.0.name.clone(),
            kind: RowKind::Log,
            paths: Paths::All,
            after: after.map(|(stamp, number)| (number.to_be_bytes().into(), stamp)),
            of_path: OfPath::All,
            limit,
        };
        let rows = self.0.reads.snapshot.rows(&self.0.reads.tree, &query)?;
        rows.into_iter()
            .map(|row| {
                let number = <[u8; 4]>::try_from(row.path.as_slice())
                    .map_err(|_| StorageError::Damaged("an append has no number".into()))?;
                let cursor = LogCursor::Stored(row.stamp, u32::from_be_bytes(number));
                Ok(Append { cursor, author: row.author, bytes: row.value.unwrap_or_default() })
            })
            .collect()
    }
}
