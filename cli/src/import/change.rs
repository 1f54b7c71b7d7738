//! What a line changes.

use anyhow::{Context, bail, ensure};
use pleach_core::{
    canonical,
    entry::{SETTINGS, Value},
    limits::{MAX_ENTRY, MAX_PATH, MAX_STORE_NAME, MAX_STORES},
};
use serde::{Deserialize, Deserializer, Serialize};

use super::IMPORT;

/// The store of a line that names none.
const DEFAULT_STORE: &str = "main";

/// Bytes of an entry that are not its values: marks, parents, signature, with room to spare.
const OVERHEAD: usize = 8 * 1024;

const MAP: u8 = 0;
const LOG: u8 = 1;

/// One change as written. Only `value` is required (or what stands in for it).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
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
pub(super) fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(deserializer).map(Some)
}

/// One change, checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// Writes a value at a path, or a tombstone.
    Write {
        store: String,
        /// The encoded path.
        path: String,
        /// The encoded value.
        value: Option<Vec<u8>>,
    },
    /// Appends to a log.
    Append { store: String, bytes: Vec<u8> },
}

impl Part {
    /// Checks everything that the change alone can show. `key` is for one that names none.
    pub(super) fn check(self, key: &str) -> anyhow::Result<Change> {
        let store = self.store.unwrap_or_else(|| DEFAULT_STORE.into());
        let fits = (1..=MAX_STORE_NAME).contains(&store.len()) && !store.chars().any(char::is_control);
        ensure!(fits, "the store's name must have 1 to {MAX_STORE_NAME} bytes and no control characters");
        let reserved = store == SETTINGS || store == IMPORT;
        ensure!(!reserved, "the store {store} belongs to the database itself: choose another name");
        let value = match (&self.value, self.deleted) {
            (Some(value), false) => Some(Value::from_json(value).context("the value")?),
            (None, true) => None,
            (None, false) => bail!("`value` is missing"),
            (Some(_), true) => bail!("a deleted key has no value: leave one of the two out"),
        };
        if self.append {
            ensure!(self.key.is_none() && self.path.is_none(), "what is appended to a log has no key");
            let Some(Value::Bytes(bytes)) = value else {
                bail!("what is appended to a log is {{\"$bytes\": \"<base64>\"}}")
            };
            return Ok(Change::Append { store, bytes });
        }
        let path = match (self.path, self.key) {
            (Some(_), Some(_)) => bail!("`key` and `path` say the same: leave one of the two out"),
            (Some(path), None) => path_of(&path)?,
            (None, own) => path_of(&[own.as_deref().unwrap_or(key)])?,
        };
        let value = value.map(|value| value.encode().context("the value")).transpose()?;
        Ok(Change::Write { store, path, value })
    }
}

impl Change {
    fn store(&self) -> &str {
        let (Self::Write { store, .. } | Self::Append { store, .. }) = self;
        store
    }

    /// Where it stands among the changes of one commit: as an entry keeps them, whatever order they came in. What is
    /// appended to one log keeps its own.
    pub(super) fn place(&self) -> (&str, &str) {
        match self {
            Self::Write { store, path, .. } => (store, path),
            Self::Append { store, .. } => (store, ""),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Write { path, value, .. } => path.len() + value.as_ref().map_or(0, Vec::len),
            Self::Append { bytes, .. } => bytes.len(),
        }
    }

    /// The change as it is written in a line whose key would be `key`: what has a default is left out where it has
    /// it.
    pub(super) fn written(self, key: &str) -> anyhow::Result<Part> {
        let mut part = Part::default();
        let store = match self {
            Self::Write { store, path, value } => {
                let mut keys = keys_of(&path);
                match keys.as_mut_slice() {
                    [own] if own == key => {}
                    [own] => part.key = Some(std::mem::take(own)),
                    _ => part.path = Some(keys),
                }
                part.deleted = value.is_none();
                part.value =
                    value.map(|value| Value::decode(&value)).transpose()?.map(|value| value.to_json());
                store
            }
            Self::Append { store, bytes } => {
                part.append = true;
                part.value = Some(Value::Bytes(bytes).to_json());
                store
            }
        };
        part.store = (store != DEFAULT_STORE).then_some(store);
        Ok(part)
    }
}

/// Checks that one commit has room for all of these, and that they do not contradict each other.
pub(super) fn check_together(changes: &[Change]) -> anyhow::Result<()> {
    let bytes: usize = changes.iter().map(Change::bytes).sum();
    let room = MAX_ENTRY - OVERHEAD;
    ensure!(
        bytes + changes.len() * (MAX_STORE_NAME + 8) <= room,
        "the value is too large ({bytes} bytes): a commit has room for about {room}, split it over several lines"
    );
    if changes.len() > 1 {
        let stores = encode(changes)?.len();
        ensure!(stores < MAX_STORES, "a commit changes at most {} stores, this one {stores}", MAX_STORES - 1);
    }
    Ok(())
}

/// The encoded data of each store, by its name, ascending.
pub(super) fn encode(changes: &[Change]) -> anyhow::Result<Vec<(&str, Vec<u8>)>> {
    let mut stores: Vec<&str> = changes.iter().map(Change::store).collect();
    stores.sort_unstable();
    stores.dedup();
    let encode = |store| Ok((store, encode_store(store, changes)?));
    stores.into_iter().map(encode).collect()
}

fn encode_store(store: &str, changes: &[Change]) -> anyhow::Result<Vec<u8>> {
    let mut writes = Vec::new();
    let mut appends = Vec::new();
    for change in changes.iter().filter(|change| change.store() == store) {
        match change {
            Change::Write { path, value, .. } => writes.push((path.as_str(), value.as_deref())),
            Change::Append { bytes, .. } => appends.push(bytes.as_slice()),
        }
    }
    ensure!(
        writes.is_empty() || appends.is_empty(),
        "a commit writes keys of {store:?} or appends to it, not both"
    );
    writes.sort_unstable();
    let twice = writes.windows(2).find(|pair| pair[0].0 == pair[1].0);
    ensure!(twice.is_none(), "a commit writes one key of {store:?} twice");
    Ok(if writes.is_empty() { log(&appends) } else { map(&writes) })
}

/// The data of a store in which these paths, ascending, are written.
pub(super) fn map(writes: &[(&str, Option<&[u8]>)]) -> Vec<u8> {
    let mut data = vec![MAP];
    data.extend(canonical::to_vec(writes));
    data
}

/// The data of a store to which these are appended.
pub(super) fn log<T: Serialize>(appends: &[T]) -> Vec<u8> {
    let mut data = vec![LOG];
    data.extend(canonical::to_vec(appends));
    data
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
    use pleach_core::entry::StoreData;

    use super::*;

    #[test]
    fn keys_survive_as_paths() {
        let keys = ["a.b", r"c\d", "..", "é"];
        let path = path_of(&keys).unwrap();
        assert_eq!(keys_of(&path), keys);
    }

    #[test]
    fn the_data_encoded_is_what_the_core_reads() {
        let value = Value::Int(5).encode().unwrap();
        let write = |path: &str, value| Change::Write { store: "s".into(), path: path.into(), value };
        let changes = [
            write("b", None),
            write("a", Some(value.clone())),
            Change::Append { store: "l".into(), bytes: b"xy".to_vec() },
        ];
        let stores = encode(&changes).unwrap();
        assert!(stores.iter().map(|(store, _)| *store).eq(["l", "s"]));
        let Ok(StoreData::Log(appends)) = StoreData::read(&stores[0].1) else { panic!("{stores:?}") };
        assert!(appends.iter().eq([b"xy"]));
        let Ok(StoreData::Map(writes)) = StoreData::read(&stores[1].1) else { panic!("{stores:?}") };
        let read: Vec<_> = writes.iter().map(|w| (w.path, w.value.map(|v| v.encoded().to_vec()))).collect();
        assert_eq!(read, [("a", Some(value)), ("b", None)]);
        assert!(encode(&[write("a", None), write("a", None)]).is_err());
    }
}
