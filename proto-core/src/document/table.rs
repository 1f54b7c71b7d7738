//! A store of rows of one type, each under a key.

use alloc::{format, string::String, vec::Vec};
use core::{fmt, marker::PhantomData};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    document::{DocumentError, Scope, StoreType},
    entry::Value,
    path,
    storage::RowKind,
};

/// Rows of one type, each whole under a key: of two concurrent writes of one row one wins, rows beside it stand.
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Memory, Table};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
/// struct Tree {
///     name: String,
///     meters: u32,
/// }
///
/// let tree = |name: &str, meters| Tree { name: name.into(), meters };
/// let txn = db.new_transaction()?;
/// let trees = txn.get_store::<Table<Tree>>("trees")?;
/// let lime = trees.insert(&tree("lime", 30))?;
/// trees.insert_at("yew", &tree("yew", 12))?;
/// assert!(trees.insert_at("yew", &tree("yew", 13)).is_err(), "the key is taken");
/// trees.set("yew", &tree("yew", 13))?;
/// txn.commit()?;
///
/// let trees = db.get_store_viewer::<Table<Tree>>("trees")?;
/// assert_eq!(trees.get(&lime)?, Some(tree("lime", 30)));
/// assert!(trees.contains("yew")?);
/// assert_eq!(trees.rows(None, 10)?.len(), 2);
/// assert_eq!(trees.search(|tree| tree.meters < 20)?, [("yew".into(), tree("yew", 13))]);
///
/// let txn = db.new_transaction()?;
/// assert!(txn.get_store::<Table<Tree>>("trees")?.delete("yew")?);
/// txn.commit()?;
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
pub struct Table<T> {
    scope: Scope,
    of: PhantomData<fn() -> T>,
}

impl<T> StoreType for Table<T> {
    fn open(scope: Scope) -> Result<Self, DocumentError> {
        Ok(Self { scope: scope.of_kind(RowKind::Map)?, of: PhantomData })
    }
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self { scope: self.scope.clone(), of: PhantomData }
    }
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Table").field(&self.scope).finish()
    }
}

impl<T: Serialize + DeserializeOwned> Table<T> {
    /// Adds a row under a new key, and gives the key.
    pub fn insert(&self, row: &T) -> Result<String, DocumentError> {
        let key = self.scope.draft()?.derive_key(&self.scope.name);
        self.set(&key, row)?;
        Ok(key)
    }

    /// Adds a row under a key that is free.
    pub fn insert_at(&self, key: &str, row: &T) -> Result<(), DocumentError> {
        if self.contains(key)? {
            return Err(DocumentError::Exists(key.into()));
        }
        self.set(key, row)
    }

    /// Writes a row, whether there was one or not.
    pub fn set(&self, key: &str, row: &T) -> Result<(), DocumentError> {
        let value = to_value(key, row)?.encode()?;
        self.scope.draft()?.set_row(&self.scope.name, &path::from_keys([key])?, value)
    }

    /// The row with a key.
    pub fn get(&self, key: &str) -> Result<Option<T>, DocumentError> {
        let value = self.scope.reads.value(&self.scope.name, &path::from_keys([key])?)?;
        value.map(|value| from_value(key, &value)).transpose()
    }

    /// Whether there is a row with a key, of whatever type.
    pub fn contains(&self, key: &str) -> Result<bool, DocumentError> {
        Ok(self.scope.reads.value(&self.scope.name, &path::from_keys([key])?)?.is_some())
    }

    /// Removes a row. Says whether there was one; if not, nothing is written.
    pub fn delete(&self, key: &str) -> Result<bool, DocumentError> {
        let draft = self.scope.draft()?;
        if !self.contains(key)? {
            return Ok(false);
        }
        let path = path::from_keys([key])?;
        draft.change(&self.scope.name, RowKind::Map, |writes| {
            Ok(writes.map(&self.scope.name)?.delete(&path)?)
        })?;
        Ok(true)
    }

    /// Rows with their keys, ascending by key as encoded: at most `limit` after `after`.
    pub fn rows(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, T)>, DocumentError> {
        let after = after.map(|key| path::from_keys([key])).transpose()?;
        let mut rows = Vec::new();
        self.walk(after.as_deref(), |key, row| {
            rows.push((key, row));
            rows.len() < limit
        })?;
        rows.truncate(limit);
        Ok(rows)
    }

    /// All rows that a question is answered with yes for, with their keys.
    pub fn search(&self, mut wanted: impl FnMut(&T) -> bool) -> Result<Vec<(String, T)>, DocumentError> {
        let mut rows = Vec::new();
        self.walk(None, |key, row| {
            if wanted(&row) {
                rows.push((key, row));
            }
            true
        })?;
        Ok(rows)
    }

    /// Shows rows in order until the visitor has had enough.
    fn walk(
        &self,
        after: Option<&str>,
        mut visit: impl FnMut(String, T) -> bool,
    ) -> Result<(), DocumentError> {
        let mut visible = self.scope.reads.visible(&self.scope.name, after)?;
        while let Some((path, value)) = visible.next_value()? {
            let mut keys = path::keys(&path);
            // Deeper paths are another store type's.
            let (Some(key), None) = (keys.next(), keys.next()) else { continue };
            let row = from_value(&key, &value)?;
            if !visit(key, row) {
                break;
            }
        }
        Ok(())
    }
}

/// The value that a row of any type is kept as.
pub(super) fn to_value<T: Serialize>(path: &str, row: &T) -> Result<Value, DocumentError> {
    let json = serde_json::to_value(row)
        .map_err(|error| DocumentError::Type { path: path.into(), reason: format!("{error}") })?;
    Ok(Value::from_json(&json)?)
}

/// The row that a value stands for.
pub(super) fn from_value<T: DeserializeOwned>(path: &str, value: &Value) -> Result<T, DocumentError> {
    serde_json::from_value(value.to_json())
        .map_err(|error| DocumentError::Type { path: path.into(), reason: format!("{error}") })
}
