//! Which writes can be seen, and the values that they make together.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use crate::{
    document::{
        DocumentError,
        reads::{Age, Newest, Reads, Scan},
    },
    entry::Value,
    path,
    storage::Paths,
};

impl Reads {
    /// The value at a path: a map of what is visible below it, or else the visible write at it.
    pub(super) fn value(&self, store: &str, path: &str) -> Result<Option<Value>, DocumentError> {
        path::check(path)?;
        let above = self.newest_above(store, path)?;
        let at = self.newest(store, path)?;
        let mut below = self.visible_below(store, path, above.max(at.as_ref().map(|row| row.age)));
        let mut map = BTreeMap::new();
        while let Some((found, value)) = below.next_value()? {
            let rest = found.get(path.len().saturating_add(1)..).unwrap_or_default();
            place(&mut map, rest, value);
        }
        if !map.is_empty() {
            return Ok(Some(Value::Map(map)));
        }
        let Some(Newest { age, value: Some(value), .. }) = at else { return Ok(None) };
        let hidden = above.is_some_and(|above| above > age) || self.is_newer_below(store, path, age)?;
        if hidden { Ok(None) } else { Ok(Some(Value::decode(&value)?)) }
    }

    /// What is visible in a whole store, in order of path, after a path if one is given.
    pub(super) fn visible<'a>(
        &'a self,
        store: &'a str,
        after: Option<&str>,
    ) -> Result<Visible<'a>, DocumentError> {
        let mut open = Vec::new();
        for passed in after.into_iter().flat_map(open_before) {
            if let Some(row) = self.newest(store, passed)? {
                open.push((row.path, row.age));
            }
        }
        Ok(Visible { reads: self, store, scan: self.scan(store, Paths::All, after), above: None, open })
    }

    /// What is visible below a path, given the newest write at it and above it.
    pub(super) fn visible_below<'a>(&'a self, store: &'a str, path: &str, above: Option<Age>) -> Visible<'a> {
        let scan = self.scan(store, Paths::Below(path.into()), None);
        Visible { reads: self, store, scan, above, open: Vec::new() }
    }

    /// When the newest write above a path was made.
    pub(super) fn newest_above(&self, store: &str, path: &str) -> Result<Option<Age>, DocumentError> {
        let mut newest = None;
        for above in path::ancestors(path) {
            newest = newest.max(self.newest(store, above)?.map(|row| row.age));
        }
        Ok(newest)
    }

    /// Whether a write below a path is newer.
    fn is_newer_below(&self, store: &str, path: &str, age: Age) -> Result<bool, DocumentError> {
        let mut scan = self.scan(store, Paths::Below(path.into()), None);
        while let Some(row) = scan.next()? {
            if row.age > age {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The visible writes, tombstones aside, in order of path.
pub(super) struct Visible<'a> {
    reads: &'a Reads,
    store: &'a str,
    scan: Scan,
    /// The newest write above everything scanned.
    above: Option<Age>,
    /// Writes already passed whose text the current path starts with: at most as many as a path has bytes.
    open: Vec<(String, Age)>,
}

impl Visible<'_> {
    /// The next one, with its encoded value.
    pub(super) fn next(&mut self) -> Result<Option<(String, Vec<u8>)>, DocumentError> {
        while let Some(row) = self.scan.next()? {
            while self.open.last().is_some_and(|(before, _)| !row.path.starts_with(before.as_str())) {
                self.open.pop();
            }
            let hidden = self.above.is_some_and(|above| above > row.age)
                || self.open.iter().any(|(above, age)| *age > row.age && path::is_below(&row.path, above));
            let may_have_below = self.scan.peek()?.is_some_and(|next| next.starts_with(&row.path));
            if may_have_below {
                self.open.push((row.path.clone(), row.age));
            }
            let Some(value) = row.value else { continue };
            if hidden || may_have_below && self.reads.is_newer_below(self.store, &row.path, row.age)? {
                continue;
            }
            return Ok(Some((row.path, value)));
        }
        Ok(None)
    }

    /// The next one, with its value.
    pub(super) fn next_value(&mut self) -> Result<Option<(String, Value)>, DocumentError> {
        let Some((path, value)) = self.next()? else { return Ok(None) };
        Ok(Some((path, Value::decode(&value)?)))
    }
}

/// The paths, shortest first, that can have paths below them beyond `after`, in order of text: between `a` and `a.b`
/// stands `a!`.
fn open_before(after: &str) -> impl Iterator<Item = &str> {
    let prefixes = after.char_indices().filter(|(_, character)| *character <= '.').map(|(at, _)| at);
    let prefixes = prefixes.chain([after.len()]).filter_map(|at| after.get(..at));
    prefixes.filter(|prefix| path::check(prefix).is_ok())
}

/// Puts a value into nested maps. What lies below a path goes before a single value at it.
pub(super) fn place(map: &mut BTreeMap<String, Value>, path: &str, value: Value) {
    let mut keys = path::keys(path).peekable();
    let mut map = map;
    while let Some(key) = keys.next() {
        let slot = map.entry(key).or_insert_with(|| Value::Map(BTreeMap::new()));
        if keys.peek().is_none() {
            if !matches!(slot, Value::Map(below) if !below.is_empty()) {
                *slot = value;
            }
            return;
        }
        if !matches!(slot, Value::Map(_)) {
            *slot = Value::Map(BTreeMap::new());
        }
        let Value::Map(below) = slot else { return };
        map = below;
    }
}
