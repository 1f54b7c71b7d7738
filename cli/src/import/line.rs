//! One line of a history.

use anyhow::{Context, bail, ensure};
use pleach_core::{
    entry::{SETTINGS, Value},
    limits::{MAX_ENTRY, MAX_PATH, MAX_STORE_NAME},
};
use serde::{Deserialize, Deserializer, Serialize};

use super::IMPORT;

/// The store of a line that names none.
pub(super) const DEFAULT_STORE: &str = "main";

/// Bytes in a line's id or an author's name: it is kept beside the entry, as a path.
const MAX_NAME: usize = 500;

/// Parents of one line: far more than any known history has, few enough to hold.
const MAX_LINE_PARENTS: usize = 65_536;

/// Bytes of an entry that are not its value: key, marks, parents, signature, with room to spare.
const OVERHEAD: usize = 8 * 1024;

/// A line as written. Only `value` is required (or what stands in for it).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parents: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) author: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) store: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    /// Nested keys, where a program wrote below a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<serde_json::Value>,
    /// The key was deleted: no value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) deleted: bool,
    /// The value, bytes, was appended to a log: no key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) append: bool,
}

/// Tells `null` from a value that is not there.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(deserializer).map(Some)
}

/// What a line comes to, checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    /// Its number in the file, from 1.
    pub(super) number: u64,
    /// Its id, if it has one.
    pub(super) id: Option<String>,
    /// Ids of its parents; nothing if it follows the line before.
    pub(super) parents: Option<Vec<String>>,
    /// The author's name; nothing is this node.
    pub(super) author: Option<String>,
    /// The store.
    pub(super) store: String,
    /// What it does there.
    pub(super) change: Change,
}

/// What a line does to its store.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// Writes the encoded value at a path, or a tombstone.
    Write {
        /// The encoded path.
        path: String,
        /// The encoded value.
        value: Option<Vec<u8>>,
    },
    /// Appends to a log.
    Append(Vec<u8>),
}

impl Line {
    /// Reads a line and checks everything that it alone can show.
    pub(super) fn read(number: u64, text: &str) -> anyhow::Result<Self> {
        Self::check(number, text).with_context(|| format!("line {number}"))
    }

    fn check(number: u64, text: &str) -> anyhow::Result<Self> {
        let line: Written = serde_json::from_str(text)
            .context("expected {\"id\", \"parents\", \"author\", \"store\", \"key\", \"value\"}, of which only value is required")?;
        for (what, name) in [("id", &line.id), ("author", &line.author)] {
            if let Some(name) = name {
                check_name(what, name)?;
            }
        }
        let parents = line.parents.as_ref().map_or(0, Vec::len);
        ensure!(parents <= MAX_LINE_PARENTS, "{parents} parents, at most {MAX_LINE_PARENTS} are taken");
        let store = line.store.clone().unwrap_or_else(|| DEFAULT_STORE.into());
        let fits = (1..=MAX_STORE_NAME).contains(&store.len()) && !store.chars().any(char::is_control);
        ensure!(fits, "the store's name must have 1 to {MAX_STORE_NAME} bytes and no control characters");
        let reserved = store == SETTINGS || store == IMPORT;
        ensure!(!reserved, "the store {store} belongs to the database itself: choose another name");
        let change = change(number, &line)?;
        Ok(Self { number, id: line.id, parents: line.parents, author: line.author, store, change })
    }
}

fn change(number: u64, line: &Written) -> anyhow::Result<Change> {
    let value = match (&line.value, line.deleted) {
        (Some(value), false) => Some(value_of(value)?),
        (None, true) => None,
        (None, false) => bail!("`value` is missing"),
        (Some(_), true) => bail!("a deleted key has no value: leave one of the two out"),
    };
    if line.append {
        ensure!(line.key.is_none() && line.path.is_none(), "what is appended to a log has no key");
        let Some(Value::Bytes(bytes)) = value else {
            bail!("what is appended to a log is {{\"$bytes\": \"<base64>\"}}")
        };
        ensure!(bytes.len() <= MAX_ENTRY - OVERHEAD, "the value is too large: {}", room());
        return Ok(Change::Append(bytes));
    }
    let keys = match (&line.path, &line.key, &line.id) {
        (Some(_), Some(_), _) => bail!("`key` and `path` say the same: leave one of the two out"),
        (Some(path), None, _) => path.clone(),
        (None, Some(key), _) => vec![key.clone()],
        (None, None, Some(id)) => vec![id.clone()],
        (None, None, None) => vec![number.to_string()],
    };
    let path = path_of(&keys)?;
    let value = value.map(|value| value.encode().context("the value")).transpose()?;
    let length = value.as_ref().map_or(0, Vec::len);
    ensure!(length <= MAX_ENTRY - OVERHEAD, "the value is too large ({length} bytes): {}", room());
    Ok(Change::Write { path, value })
}

/// A value that comes back as it was given.
fn value_of(json: &serde_json::Value) -> anyhow::Result<Value> {
    let value = Value::from_json(json).context("the value")?;
    ensure!(is_kept(json), "a whole number beyond 64 bits with sign would be rounded: write it as text");
    Ok(value)
}

/// Whether every whole number fits. The reader of JSON bounds how deep this goes.
fn is_kept(json: &serde_json::Value) -> bool {
    match json {
        serde_json::Value::Number(number) => number.is_i64() || !number.is_u64(),
        serde_json::Value::Array(values) => values.iter().all(is_kept),
        serde_json::Value::Object(values) => values.values().all(is_kept),
        _ => true,
    }
}

fn room() -> String {
    format!("a commit has room for {} bytes, split it over several lines", MAX_ENTRY - OVERHEAD)
}

fn check_name(what: &str, name: &str) -> anyhow::Result<()> {
    ensure!(!name.is_empty(), "the {what} is empty: leave it out, or give it a name");
    ensure!(!name.contains('\0'), "the {what} contains NUL");
    ensure!(name.len() <= MAX_NAME, "the {what} has {} bytes, at most {MAX_NAME} are taken", name.len());
    Ok(())
}

/// The path of nested keys, in which a dot and a backslash stand for themselves.
pub(crate) fn path_of<K: AsRef<str>>(keys: &[K]) -> anyhow::Result<String> {
    let mut path = String::new();
    for key in keys {
        let key = key.as_ref();
        ensure!(!key.is_empty(), "a key is empty: give it a name");
        if !path.is_empty() {
            path.push('.');
        }
        for c in key.chars() {
            if matches!(c, '.' | '\\') {
                path.push('\\');
            }
            path.push(c);
        }
    }
    ensure!(path.len() <= MAX_PATH, "the key has {} bytes, at most {MAX_PATH} are taken", path.len());
    pleach_core::path::check(&path)?;
    Ok(path)
}

/// The nested keys of a path.
pub(crate) fn keys_of(path: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match (c, keys.last_mut()) {
            ('.', _) => keys.push(String::new()),
            ('\\', Some(key)) => key.extend(chars.next()),
            (c, Some(key)) => key.push(c),
            (_, None) => {}
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_value_is_required() {
        let line = Line::read(7, r#"{"value": null}"#).unwrap();
        let value = Some(Value::Null.encode().unwrap());
        assert_eq!(line.change, Change::Write { path: "7".into(), value });
        assert_eq!((line.id, line.parents, line.author, line.store.as_str()), (None, None, None, "main"));
        let line = Line::read(7, r#"{"id": "v0.1", "parents": [], "deleted": true}"#).unwrap();
        assert_eq!(line.change, Change::Write { path: r"v0\.1".into(), value: None });
    }

    #[test]
    fn what_a_line_gets_wrong_is_said_with_its_number() {
        for (text, says) in [
            ("{", "expected"),
            ("[]", "expected"),
            ("{}", "`value` is missing"),
            (r#"{"id": "", "value": 1}"#, "the id is empty"),
            (r#"{"id": 1, "value": 1}"#, "expected"),
            (r#"{"value": 1, "valeu": 2}"#, "expected"),
            (r#"{"key": "", "value": 1}"#, "a key is empty"),
            (r#"{"key": "a\u0000b", "value": 1}"#, "path"),
            (r#"{"store": "_settings", "value": 1}"#, "belongs to the database"),
            (r#"{"store": "", "value": 1}"#, "1 to 64 bytes"),
            (r#"{"value": [[[[[[[[[1]]]]]]]]]}"#, "nests at most"),
            (r#"{"value": 1, "deleted": true}"#, "leave one of the two out"),
            (r#"{"value": [18446744073709551615]}"#, "rounded"),
            (r#"{"append": true, "value": 1}"#, "$bytes"),
        ] {
            let error = format!("{:#}", Line::read(3, text).unwrap_err());
            assert!(error.starts_with("line 3: ") && error.contains(says), "{text}: {error}");
        }
        let large = format!(r#"{{"value": "{}"}}"#, "x".repeat(MAX_ENTRY));
        assert!(format!("{:#}", Line::read(1, &large).unwrap_err()).contains("too large"));
    }

    #[test]
    fn keys_survive_as_paths() {
        let keys = ["a.b", r"c\d", "..", "é"];
        let path = path_of(&keys).unwrap();
        assert_eq!(keys_of(&path), keys);
    }
}
