//! The trait that stores implement, and the data that goes in and out.

use alloc::{string::String, sync::Arc, vec::Vec};

use crate::{
    Id, Position, Range,
    access::{Header, Member, Refusal, ViewId},
    entry::{Entry, Permission, VerifiedEntry, Who},
    storage::{Epoch, Measure, Meta, MetaChanges},
};

/// A place that keeps trees. Every call blocks until it is done.
///
/// ```
/// # use pleach_core::storage::{StorageError, Store, Write};
/// fn keeps(store: &dyn Store) -> Result<bool, StorageError> {
///     store.write(&Write::Meta(vec![(b"colour".to_vec(), Some(b"green".to_vec()))].into()))?;
///     Ok(store.snapshot()?.meta(b"colour")? == Some(b"green".to_vec()))
/// }
/// assert!(keeps(&pleach_blocking::Memory::new())?);
/// # Ok::<(), StorageError>(())
/// ```
pub trait Store: Send + Sync {
    /// The state after the last write that returned.
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError>;

    /// Carries out a write in one durable transaction.
    fn write(&self, write: &Write) -> Result<Written, StorageError>;
}

impl<S: Store + ?Sized> Store for Arc<S> {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
        (**self).snapshot()
    }

    fn write(&self, write: &Write) -> Result<Written, StorageError> {
        (**self).write(write)
    }
}

/// An unchanging state of a store. `tree` names a tree that the store holds; of one that it does not hold, all
/// answers are empty.
///
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Memory, Permission, Who};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// let snapshot = db.snapshot()?;
/// let tree = db.root_id();
/// assert_eq!(snapshot.trees(None, 10)?, [tree]);
/// let tips = snapshot.tips(&tree, None, 10)?;
/// assert_eq!(snapshot.entry(&tree, &tips[0].id)?.map(|entry| entry.position()), Some(tips[0]));
/// assert_eq!(snapshot.permission(&tree, &Who::Key(instance.device_key()))?, Some(Permission::Admin(0)));
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
pub trait Snapshot: Send + Sync {
    /// The trees held, ascending, at most `limit` after `after`.
    fn trees(&self, after: Option<Id>, limit: usize) -> Result<Vec<Id>, StorageError>;

    /// What is known of a tree as a whole, or nothing if the store does not hold it.
    fn summary(&self, tree: &Id) -> Result<Option<TreeSummary>, StorageError>;

    /// Entries of the shared set without shared children, ascending, at most `limit` after `after`.
    fn tips(&self, tree: &Id, after: Option<Position>, limit: usize) -> Result<Vec<Position>, StorageError>;

    /// How many entries of the shared set a range holds, and the sum of their ids. O(log n).
    fn measure(&self, tree: &Id, range: &Range) -> Result<Measure, StorageError>;

    /// The position of the `n`-th entry (from 0) of the shared set in a range. O(log n).
    fn nth(&self, tree: &Id, range: &Range, n: u64) -> Result<Option<Position>, StorageError>;

    /// The positions of the shared set in a range, ascending, at most `limit`.
    fn positions(&self, tree: &Id, range: &Range, limit: usize) -> Result<Vec<Position>, StorageError>;

    /// What is stored of each of these ids beside its bytes; nothing for an id that is not stored.
    fn headers(&self, tree: &Id, ids: &[Id]) -> Result<Vec<Option<Header>>, StorageError>;

    /// The entry with this id, in the shared set or not.
    fn entry(&self, tree: &Id, id: &Id) -> Result<Option<Entry>, StorageError>;

    /// Entries of the shared set in a range, ascending, while at most `limit` of them and `bytes` in all; at least
    /// one if there is any.
    fn entries(
        &self,
        tree: &Id,
        range: &Range,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<Entry>, StorageError>;

    /// Rows of a store in a tree, in order of path, then stamp.
    fn rows(&self, tree: &Id, query: &RowQuery) -> Result<Vec<Row>, StorageError>;

    /// The names of the stores in a tree that have rows, ascending, each with its kinds.
    fn stores(&self, tree: &Id) -> Result<Vec<(String, RowKind)>, StorageError>;

    /// Entries in order of arrival here: at most `limit` with a number above `after`.
    fn arrivals(&self, tree: &Id, after: u64, limit: usize) -> Result<Vec<(u64, Position)>, StorageError>;

    /// What a key, or everybody, may do by the current settings; see [`crate::access::permission_of`].
    fn permission(&self, tree: &Id, who: &Who) -> Result<Option<Permission>, StorageError>;

    /// What a name may do by the settings in a view of this tree; see [`Header::view`].
    fn permission_in(&self, tree: &Id, view: ViewId, who: &Who) -> Result<Option<Permission>, StorageError>;

    /// Every name that holds a permission by the current settings, with the name it was given, ascending by whom.
    fn members(&self, tree: &Id) -> Result<Vec<Member>, StorageError>;

    /// A value of the node's metadata.
    fn meta(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError>;

    /// The node's metadata whose keys start with `prefix`, ascending, at most `limit` after `after`.
    fn metas(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Meta>, StorageError>;

    /// Checks what is stored of a tree again: hashes, aggregates, indexes and rows against the entries, at most
    /// `limit` entries after `after`. Signatures and permissions are the caller's part.
    fn audit(&self, tree: &Id, after: Option<Position>, limit: usize) -> Result<Audit, StorageError>;
}

/// What a store is to change, in one durable transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Write {
    /// Takes entries of a tree, parents first. A root creates its tree.
    ///
    /// A revocation among them may change how many others stand. That goes in steps, each in a write of its own: see
    /// [`Put::unfinished`].
    Put {
        /// The tree that all of them claim.
        tree: Id,
        /// The entries, at most [`crate::limits::MAX_BATCH_ENTRIES`] and [`crate::limits::MAX_BATCH_BYTES`].
        entries: Vec<VerifiedEntry>,
    },
    /// Takes entries as [`Write::Put`] does and, if every one of them is stored and [counts](Put::counts), changes the
    /// node's metadata in the same transaction.
    PutWithMeta {
        /// The tree that all of them claim.
        tree: Id,
        /// The entries, within the same limits.
        entries: Vec<VerifiedEntry>,
        /// A value for a key, or nothing to remove it.
        meta: MetaChanges,
    },
    /// Forgets a tree with all that belongs to it.
    Drop {
        /// The tree.
        tree: Id,
    },
    /// Drops entries that were masked when they came, when nothing came that builds on them and counts.
    Tidy {
        /// The tree.
        tree: Id,
    },
    /// A step of making a tree whole again: everything that was derived from its entries is derived again, from the
    /// bytes of those that are intact. The damaged go, to be fetched from a peer; what stands on them waits aside until
    /// they are back, and is lost to nobody. Until the last step the tree stays as it was.
    Repair {
        /// The tree.
        tree: Id,
        /// Where the step before said to continue; nothing to begin.
        after: Option<Position>,
        /// Begin although counts, sums and indexes fit each other: something was found damaged when it was read.
        thorough: bool,
    },
    /// Changes the node's metadata: a value for a key, or nothing to remove it.
    Meta(MetaChanges),
}

/// What a write did.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Written {
    /// The outcome of [`Write::Put`] and of [`Write::PutWithMeta`].
    Put(Put),
    /// The outcome of [`Write::Repair`].
    Repaired(Repaired),
    /// The others have nothing to tell.
    Done,
}

/// The outcome of a step of [`Write::Repair`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Repaired {
    /// Whether there was anything to do.
    pub rebuilt: bool,
    /// Entries found damaged in this step.
    pub damaged: Vec<Id>,
    /// How many entries were put aside in this step, since they stand on damaged ones.
    pub waiting: u64,
    /// Where to continue; nothing when the tree is whole.
    pub next: Option<Position>,
}

/// The outcome of [`Write::Put`], entry by entry.
///
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Memory, Put};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// let root = db.snapshot()?.entry(&db.root_id(), &db.root_id())?.expect("every database has a first entry");
/// let put: Put = db.append(vec![root.verify().expect("it is signed")])?;
/// assert_eq!((put.stored.len(), put.known), (0, 1));
/// assert!(put.counts());
/// assert_eq!(put.joined(Put::default(), &[], 1).known, 1, "two writes that one revocation took");
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Put {
    /// Entries that are new and now durable, in the order given; behind them those that [`Write::Repair`] had put
    /// aside and that have all their parents now.
    pub stored: Vec<Position>,
    /// How many were there already.
    pub known: usize,
    /// How many are new and durable, and do not count by what is known here: they are kept outside the shared set.
    pub masked: usize,
    /// Indexes of entries that were not taken because a parent is missing, directly or through another of them.
    pub held: Vec<usize>,
    /// The parents that are missing, ascending, without those that are themselves among the entries held.
    pub missing: Vec<Id>,
    /// The first entry that breaks a rule, with the rule. Nothing after it was looked at; what came before it stays.
    pub refused: Option<(Id, Refusal)>,
    /// A revocation changes more than one write takes: write the entries from this index on, or none if it is behind the
    /// last, to go on. Until that says nothing more here, the tree is between two states: it is [`TreeSummary::flips`].
    pub unfinished: Option<usize>,
}

impl Put {
    /// This outcome and that of the write which went on from `from` in `entries`, as one.
    #[must_use]
    pub fn joined(mut self, next: Self, entries: &[VerifiedEntry], from: usize) -> Self {
        self.stored.extend(next.stored);
        self.known = self.known.saturating_add(next.known);
        self.masked = self.masked.saturating_add(next.masked);
        self.held.extend(next.held.iter().map(|at| at.saturating_add(from)));
        self.missing.extend(next.missing);
        self.missing.sort_unstable();
        self.missing.dedup();
        let held: Vec<Id> = self.held.iter().filter_map(|at| entries.get(*at)).map(|e| e.id()).collect();
        self.missing.retain(|id| !held.contains(id));
        self.refused = next.refused;
        self.unfinished = next.unfinished.map(|at| at.saturating_add(from));
        self
    }

    /// Whether every entry is durable and counts by what is known here.
    pub fn counts(&self) -> bool {
        self.refused.is_none() && self.held.is_empty() && self.masked == 0 && self.unfinished.is_none()
    }
}

/// What a store knows of a tree as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TreeSummary {
    /// The shared set.
    pub measure: Measure,
    /// Canonical bytes of all entries stored.
    pub bytes: u64,
    /// The greatest height.
    pub height: u64,
    /// How many tips there are, and the sum of their ids.
    pub tips: Measure,
    /// The number of the newest arrival.
    pub arrival: u64,
    /// Which log of arrivals it is a number of: another in every store, and when a tree is dropped and comes back.
    pub epoch: Epoch,
    /// The name that the settings give it; empty if none.
    pub name: String,
    /// The current view: what all tips together see.
    pub view: ViewId,
    /// A revocation has changed part of what it changes: what is shared and shown is neither the old nor the new.
    pub flips: bool,
}

/// What decides between two writes at one path: the greater wins.
///
/// ```
/// # use pleach_core::{Position, storage::Stamp};
/// let older = Stamp { time: 1, position: Position::MIN };
/// let newer = Stamp { time: 2, position: Position::MIN };
/// assert!(newer > older);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The claimed time of the entry, wall milliseconds.
    pub time: u64,
    /// Where the entry stands.
    pub position: Position,
}

/// The kinds of rows in a store. One name can hold several, if authors disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKind {
    /// Writes at paths: `Doc`, `Table`, settings.
    Map,
    /// Appends of a `Log`, ordered by position.
    Log,
}

/// One write, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// The path in a map; of a log's append its number within the entry, 4 bytes big endian.
    pub path: Vec<u8>,
    /// Which write this is.
    pub stamp: Stamp,
    /// The encoded value (in a log the bytes appended); nothing for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Who wrote it. (Rows can be shown without reading the entry.)
    pub author: crate::PublicKey,
}

/// Which rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RowQuery {
    /// The store's name.
    pub store: String,
    /// Map or log.
    pub kind: RowKind,
    /// The path, or the paths.
    pub paths: Paths,
    /// Continue behind this row: its path and stamp.
    pub after: Option<(Vec<u8>, Stamp)>,
    /// Which of the rows of one path.
    pub of_path: OfPath,
    /// Rows at most.
    pub limit: usize,
}

/// Which paths of a store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Paths {
    /// All.
    All,
    /// This one.
    One(String),
    /// All strictly below this one.
    Below(String),
}

/// Which of the rows of one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OfPath {
    /// The last row: the path's value.
    Last,
    /// All, oldest first: its history.
    All,
}

/// What an audit found in a part of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// The entries looked at, in order, that are intact.
    pub entries: Vec<Entry>,
    /// What is wrong, with the entry it concerns.
    pub faults: Vec<(Id, String)>,
    /// Where to continue; nothing at the end.
    pub next: Option<Position>,
}

/// Why a store could not do what it was asked.
///
/// ```
/// # use pleach_core::storage::StorageError;
/// let error = StorageError::Locked("notes.redb".into());
/// assert!(error.to_string().starts_with("notes.redb is open in another process"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Another process has the store open.
    #[error("{0} is open in another process: stop that process, or talk to it")]
    Locked(String),
    /// The file was made by some other program.
    #[error("{0} is no store of Pleach: name another file, or move this one away")]
    NotAStore(String),
    /// The device is full.
    #[error("no space left on the device: free some and try again, nothing was lost")]
    Full,
    /// What was read is not what was written.
    #[error("the store is damaged: {0}: run `verify`, then restore it or fetch it from a peer")]
    Damaged(String),
    /// The file was written by another version.
    #[error("the store has format {found}, this program reads {known}: update the older of the two")]
    Format {
        /// What the file says.
        found: u32,
        /// What this program reads.
        known: u32,
    },
    /// A [`Write::Put`] of more than one transaction takes. Nothing was stored.
    #[error("{entries} entries of {bytes} bytes are too many for one write: split them")]
    Batch {
        /// How many entries there are.
        entries: usize,
        /// Their bytes together.
        bytes: usize,
    },
    /// A revocation is on its way through the tree: what is shared is neither the old nor the new.
    #[error("a revocation is on its way through the database: try again in a moment")]
    Flipping,
    /// Anything else that the operating system reports. The store takes no more writes until it is opened again.
    #[error("the store failed: {0}: check the disk, then open the store again")]
    Failed(String),
}
