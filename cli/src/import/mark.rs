//! The store `_import`: what an entry was before it came here, kept in the same commit. That is how an import
//! continues where it stopped, and how an export gives back the ids and authors that came in.
//!
//! A line's entry writes one path, its id, with the author's name or null. A settings entry that an import made for
//! its authors appends their names to `_import` as a log, in the order of its grants.

use pleach_core::entry::{EntryView, StoreData, Value};

use super::change::{keys_of, log, map, path_of};

/// The store of an import's marks.
pub(crate) const IMPORT: &str = "_import";

/// What `_import` says of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It is a line.
    Line {
        /// Its id.
        id: String,
        /// Its author's name; nothing is the node that imported it.
        author: Option<String>,
    },
    /// It grants these authors the permission to write.
    Grants(Vec<String>),
}

impl Mark {
    /// The mark of an entry, if it has one that makes sense. Whoever may write may write marks.
    pub(super) fn of(entry: &EntryView<'_>) -> Option<Self> {
        let store = entry.stores().iter().find(|store| store.name == IMPORT)?;
        match store.read().ok()? {
            StoreData::Map(writes) => {
                let write = writes.iter().next()?;
                let author = match Value::decode(write.value?.encoded()).ok()? {
                    Value::Null => None,
                    Value::Text(author) => Some(author),
                    _ => return None,
                };
                let mut keys = keys_of(write.path);
                (keys.len() == 1).then(|| Self::Line { id: keys.remove(0), author })
            }
            StoreData::Log(names) => {
                let name = |bytes: &[u8]| String::from_utf8(bytes.into()).ok();
                names.iter().map(name).collect::<Option<_>>().map(Self::Grants)
            }
            _ => None,
        }
    }

    /// The encoded data of the store.
    pub(super) fn encode(&self) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Line { id, author } => {
                let author = author.clone().map_or(Value::Null, Value::Text).encode()?;
                Ok(map(&[(&path_of(&[id])?, Some(&author))]))
            }
            Self::Grants(names) => Ok(log(names)),
        }
    }
}
