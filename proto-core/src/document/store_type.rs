//! How a typed store is opened: in a draft to read and write, over a snapshot to read.

use alloc::{string::String, sync::Arc};

use crate::{
    Id,
    document::{DocumentError, Draft, reads::Reads},
    entry::{SETTINGS, check_name},
    storage::{OfPath, Paths, RowKind, RowQuery, Snapshot},
};

/// A typed store: [`DocStore`](super::DocStore), [`Table`](super::Table), [`Log`](super::Log),
/// [`SettingsStore`](super::SettingsStore), [`Registry`](super::Registry), or one built on them.
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, DocStore, Error, Instance, Memory, StoreType};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// # use pleach_core::document::{DocumentError, Scope};
/// /// Titles of a document, in a store of any name.
/// struct Titles(DocStore);
///
/// impl StoreType for Titles {
///     fn open(scope: Scope) -> Result<Self, DocumentError> {
///         DocStore::open(scope).map(Self)
///     }
/// }
///
/// let txn = db.new_transaction()?;
/// txn.get_store::<Titles>("notes")?.0.set("title", "Pleaching")?;
/// txn.commit()?;
/// assert_eq!(db.get_store_viewer::<Titles>("notes")?.0.get("title")?, Some("Pleaching".into()));
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
pub trait StoreType: Sized {
    /// Opens the store that the scope names.
    fn open(scope: Scope) -> Result<Self, DocumentError>;
}

/// One store by name, in a draft or over a snapshot.
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, DocStore, Instance, Memory, StoreType};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// # use pleach_core::document::{Draft, Scope};
/// let draft = Draft::new(db.snapshot()?, db.root_id(), instance.device_key(), [7; 32]);
/// let scope = Scope::of_draft(&draft, "notes")?;
/// assert_eq!(scope.name(), "notes");
/// DocStore::open(scope)?.set("title", "Pleaching")?;
/// let reader = DocStore::open(Scope::of_snapshot(db.snapshot()?, db.root_id(), "notes")?)?;
/// assert_eq!(reader.get("title")?, None, "nothing was committed");
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scope {
    pub(super) reads: Reads,
    pub(super) name: String,
}

impl Scope {
    /// A store to read and write.
    pub fn of_draft(draft: &Draft, name: &str) -> Result<Self, DocumentError> {
        Self::new(draft.snapshot().clone(), draft.tree(), Some(draft.clone()), name)
    }

    /// A store to read.
    pub fn of_snapshot(snapshot: Arc<dyn Snapshot>, tree: Id, name: &str) -> Result<Self, DocumentError> {
        Self::new(snapshot, tree, None, name)
    }

    fn new(
        snapshot: Arc<dyn Snapshot>,
        tree: Id,
        draft: Option<Draft>,
        name: &str,
    ) -> Result<Self, DocumentError> {
        check_name(name)?;
        Ok(Self { reads: Reads { snapshot, tree, draft }, name: name.into() })
    }

    /// The store's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where writes go; an error if the store was opened to read.
    pub(super) fn draft(&self) -> Result<&Draft, DocumentError> {
        self.reads.draft.as_ref().ok_or(DocumentError::ReadOnly)
    }

    /// Refuses the settings' name, and a name under which only the other kind of rows is stored.
    pub(super) fn of_kind(self, kind: RowKind) -> Result<Self, DocumentError> {
        if self.name == SETTINGS {
            return Err(DocumentError::SettingsPlace(self.name));
        }
        let other = match kind {
            RowKind::Map => RowKind::Log,
            RowKind::Log => RowKind::Map,
        };
        if self.has_rows(other)? && !self.has_rows(kind)? {
            return Err(DocumentError::kind(&self.name, kind));
        }
        Ok(self)
    }

    fn has_rows(&self, kind: RowKind) -> Result<bool, DocumentError> {
        let query = RowQuery {
            store: self.name.clone(),
            kind,
            paths: Paths::All,
            after: None,
            of_path: OfPath::All,
            limit: 1,
        };
        Ok(!self.reads.snapshot.rows(&self.reads.tree, &query)?.is_empty())
    }
}
