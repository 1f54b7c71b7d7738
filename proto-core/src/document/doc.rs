//! A nested document in memory.

use alloc::{collections::BTreeMap, string::String};

use crate::{
    document::visible::place,
    entry::{EntryError, Value},
    path,
};

/// A nested document in memory: what a new tree's settings are given as, or what a part of a store is read into.
///
/// ```
/// # use pleach_core::document::Doc;
/// let mut doc = Doc::new();
/// doc.set("name", "notes")?;
/// doc.set("look.colour", "green")?;
/// assert_eq!(doc.get("look.colour"), Some(&"green".into()));
/// assert!(doc.iter().map(|(key, _)| key).eq(["look", "name"]));
///
/// assert_eq!(doc.remove("name"), Some("notes".into()));
/// assert_eq!(doc.remove("name"), None);
/// assert!(!doc.is_empty());
/// # Ok::<(), pleach_core::entry::EntryError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Doc(BTreeMap<String, Value>);

impl Doc {
    /// An empty document.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The value at a path.
    pub fn get(&self, path: &str) -> Option<&Value> {
        let mut keys = path::keys(path);
        let mut found = self.0.get(&keys.next()?)?;
        for key in keys {
            let Value::Map(below) = found else { return None };
            found = below.get(&key)?;
        }
        Some(found)
    }

    /// Puts a value at a path, in place of what was there; a single value above it becomes a map.
    pub fn set(&mut self, path: &str, value: impl Into<Value>) -> Result<&mut Self, EntryError> {
        path::check(path)?;
        self.remove(path);
        place(&mut self.0, path, value.into());
        Ok(self)
    }

    /// Takes out what is at a path and below it.
    pub fn remove(&mut self, path: &str) -> Option<Value> {
        let mut keys = path::keys(path).peekable();
        let mut map = &mut self.0;
        loop {
            let key = keys.next()?;
            if keys.peek().is_none() {
                return map.remove(&key);
            }
            let Value::Map(below) = map.get_mut(&key)? else { return None };
            map = below;
        }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys and values at the top, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl From<Doc> for Value {
    fn from(doc: Doc) -> Self {
        Self::Map(doc.0)
    }
}

impl From<BTreeMap<String, Value>> for Doc {
    fn from(values: BTreeMap<String, Value>) -> Self {
        Self(values)
    }
}
