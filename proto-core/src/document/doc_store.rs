//! A store of values at paths: one nested document.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use crate::{
    PublicKey,
    document::{DocumentError, Scope, StoreType, reads::PAGE, visible::place},
    entry::Value,
    path,
    storage::{OfPath, Paths, RowKind, RowQuery, Stamp},
};

/// One nested document: values at paths such as `title` or `chapters.1.text`.
///
/// Setting a map replaces what was there; setting single paths inside lets concurrent edits of others stand.
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, DocStore, Instance, Memory, Value};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// let txn = db.new_transaction()?;
/// let notes = txn.get_store::<DocStore>("notes")?;
/// notes.set("title", "Pleaching")?;
/// notes.set("chapters.1.text", "Cut low, lay at a slant.")?;
/// notes.set("chapters.2.text", "Weave.")?;
/// assert_eq!(notes.get("title")?, Some("Pleaching".into()), "a draft sees what it has written");
/// assert_eq!(notes.history("title")?, [], "and has made no history yet");
/// txn.commit()?;
///
/// let txn = db.new_transaction()?;
/// let notes = txn.get_store::<DocStore>("notes")?;
/// assert!(notes.delete("chapters.2")?);
/// assert!(!notes.delete("chapters.9")?, "there was nothing");
/// txn.commit()?;
///
/// let notes = db.get_store_viewer::<DocStore>("notes")?;
/// assert_eq!(notes.keys()?, ["chapters", "title"]);
/// assert_eq!(notes.keys_of("chapters")?, ["1"]);
/// let Value::Map(whole) = notes.to_value()? else { panic!("a document is a map") };
/// assert_eq!(whole["title"], "Pleaching".into());
/// // In pages, for what is long.
/// let leaves = notes.leaves(None, 1)?;
/// assert_eq!(leaves, [("chapters.1.text".into(), "Cut low, lay at a slant.".into())]);
/// assert_eq!(notes.leaves(Some(&leaves[0].0), 1)?[0].0, "title");
/// assert_eq!(notes.history_page("title", None, 10)?.len(), 1);
/// assert!(notes.set("title", "new").is_err(), "it was opened to read");
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DocStore(Scope);

/// One write of a path's history.
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, DocStore, Edit, Instance, Memory};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// for title in ["Pleaching", "Pleaching and laying"] {
///     let txn = db.new_transaction()?;
///     txn.get_store::<DocStore>("notes")?.set("title", title)?;
///     txn.commit()?;
/// }
/// let notes = db.get_store_viewer::<DocStore>("notes")?;
/// let edits: Vec<Edit> = notes.history("title")?;
/// assert_eq!(edits.len(), 2);
/// assert_eq!(edits[0].value, Some("Pleaching".into()), "the oldest first");
/// assert_eq!(edits[1].author, instance.device_key());
/// // What came after the first one.
/// assert_eq!(notes.history_page("title", Some(edits[0].stamp), 10)?, edits[1..]);
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// Which write it was: its claimed time and its entry's position.
    pub stamp: Stamp,
    /// Who wrote it.
    pub author: PublicKey,
    /// The value; nothing for a deletion.
    pub value: Option<Value>,
}

impl StoreType for DocStore {
    fn open(scope: Scope) -> Result<Self, DocumentError> {
        scope.of_kind(RowKind::Map).map(Self)
    }
}

impl DocStore {
    /// For settings, which are a document beside their records.
    pub(super) const fn of_scope(scope: Scope) -> Self {
        Self(scope)
    }

    /// The value at a path: a map of what lies below it, or else what was written at it.
    pub fn get(&self, path: &str) -> Result<Option<Value>, DocumentError> {
        self.0.reads.value(&self.0.name, path)
    }

    /// Writes a value. A map replaces all that was below the path.
    pub fn set(&self, path: &str, value: impl Into<Value>) -> Result<(), DocumentError> {
        self.0.draft()?.set(&self.0.name, path, &value.into())
    }

    /// Removes what is at a path and below it. Says whether there was anything; if not, nothing is written.
    pub fn delete(&self, path: &str) -> Result<bool, DocumentError> {
        let draft = self.0.draft()?;
        if self.get(path)?.is_none() {
            return Ok(false);
        }
        draft.change(&self.0.name, RowKind::Map, |writes| Ok(writes.map(&self.0.name)?.delete(path)?))?;
        Ok(true)
    }

    /// The keys at the top, ascending.
    pub fn keys(&self) -> Result<Vec<String>, DocumentError> {
        match self.to_value()? {
            Value::Map(map) => Ok(map.into_keys().collect()),
            _ => Ok(Vec::new()),
        }
    }

    /// The keys directly below a path, ascending; none if there is no map.
    pub fn keys_of(&self, path: &str) -> Result<Vec<String>, DocumentError> {
        match self.get(path)? {
            Some(Value::Map(map)) => Ok(map.into_keys().collect()),
            _ => Ok(Vec::new()),
        }
    }

    /// Every write at exactly this path, oldest first, those that are hidden now included. What a draft has not
    /// committed is no history yet. See [`Edit`].
    pub fn history(&self, path: &str) -> Result<Vec<Edit>, DocumentError> {
        let mut edits = Vec::new();
        loop {
            let after = edits.last().map(|edit: &Edit| edit.stamp);
            let page = self.history_page(path, after, PAGE)?;
            let is_last = page.len() < PAGE;
            edits.extend(page);
            if is_last {
                return Ok(edits);
            }
        }
    }

    /// A part of [`DocStore::history`]: at most `limit` writes newer than `after`. See [`Edit`].
    pub fn history_page(
        &self,
        path: &str,
        after: Option<Stamp>,
        limit: usize,
    ) -> Result<Vec<Edit>, DocumentError> {
        path::check(path)?;
        let query = RowQuery {
            store: self.0.name.clone(),
            kind: RowKind::Map,
            paths: Paths::One(path.into()),
            after: after.map(|stamp| (path.into(), stamp)),
            of_path: OfPath::All,
            limit,
        };
        let rows = self.0.reads.snapshot.rows(&self.0.reads.tree, &query)?;
        rows.into_iter()
            .map(|row| {
                let value = row.value.map(|value| Value::decode(&value)).transpose()?;
                Ok(Edit { stamp: row.stamp, author: row.author, value })
            })
            .collect()
    }

    /// The whole document as one map.
    pub fn to_value(&self) -> Result<Value, DocumentError> {
        let mut map = BTreeMap::new();
        let mut visible = self.0.reads.visible(&self.0.name, None)?;
        while let Some((path, value)) = visible.next_value()? {
            place(&mut map, &path, value);
        }
        Ok(Value::Map(map))
    }

    /// The visible leaves with their paths, in order of path: at most `limit` after `after`.
    pub fn leaves(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, Value)>, DocumentError> {
        let mut leaves = Vec::new();
        let mut visible = self.0.reads.visible(&self.0.name, after)?;
        while leaves.len() < limit {
            let Some(leaf) = visible.next_value()? else { break };
            leaves.push(leaf);
        }
        Ok(leaves)
    }
}
