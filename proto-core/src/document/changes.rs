//! What a draft has gathered for each store, and the encoding that goes into an entry.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};

use crate::{
    access::GrantRecord,
    canonical,
    document::{Doc, DocumentError},
    entry::{EntryError, Grant, SETTINGS, StoreData, Value, ValueView, Who, WriteView},
    path,
    storage::RowKind,
};

/// What a transaction is to write, ready for an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Changes {
    /// Name and encoded data of each store, sorted by name: see [`StoreData`].
    pub stores: Vec<(String, Vec<u8>)>,
    /// Store and path of every write. The entry's time must exceed the [`newest_time`](super::newest_time) of each.
    pub touched: Vec<(String, String)>,
}

/// The data of the store [`SETTINGS`] in a tree's root: settings such as `name`, and the first grants.
pub fn root_settings(
    settings: &Doc,
    grants: impl IntoIterator<Item = GrantRecord>,
) -> Result<Vec<u8>, DocumentError> {
    let mut writes = StoreWrites::Settings(SettingsWrites::default());
    for (key, value) in settings.iter() {
        writes.map(SETTINGS)?.set(&path::from_keys([key])?, value)?;
    }
    if let StoreWrites::Settings(settings) = &mut writes {
        settings.grants.extend(grants.into_iter().map(|grant| (grant.who, grant)));
    }
    writes.encode()
}

/// What is written into one store.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum StoreWrites {
    Map(MapWrites),
    Log(Vec<Vec<u8>>),
    Settings(SettingsWrites),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SettingsWrites {
    pub(super) writes: MapWrites,
    pub(super) grants: BTreeMap<Who, GrantRecord>,
    pub(super) revocations: BTreeSet<Who>,
}

/// Encoded values by path; nothing for a tombstone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MapWrites(pub(super) BTreeMap<String, Option<Vec<u8>>>);

impl StoreWrites {
    pub(super) fn new(kind: RowKind, store: &str) -> Self {
        match kind {
            _ if store == SETTINGS => Self::Settings(SettingsWrites::default()),
            RowKind::Map => Self::Map(MapWrites::default()),
            RowKind::Log => Self::Log(Vec::new()),
        }
    }

    pub(super) fn map(&mut self, store: &str) -> Result<&mut MapWrites, DocumentError> {
        match self {
            Self::Map(writes) => Ok(writes),
            Self::Settings(settings) => Ok(&mut settings.writes),
            Self::Log(_) => Err(DocumentError::kind(store, RowKind::Map)),
        }
    }

    pub(super) const fn paths(&self) -> Option<&MapWrites> {
        match self {
            Self::Map(writes) => Some(writes),
            Self::Settings(settings) => Some(&settings.writes),
            Self::Log(_) => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Map(writes) => writes.0.is_empty(),
            Self::Log(appends) => appends.is_empty(),
            Self::Settings(settings) => {
                settings.writes.0.is_empty() && settings.grants.is_empty() && settings.revocations.is_empty()
            }
        }
    }

    /// The encoding of [`StoreData`], checked by its reader.
    pub(super) fn encode(&self) -> Result<Vec<u8>, DocumentError> {
        let bytes = match self {
            Self::Map(writes) => canonical::to_vec(&(StoreData::MAP, writes.views())),
            Self::Log(appends) => canonical::to_vec(&(StoreData::LOG, appends)),
            Self::Settings(settings) => {
                let grants: Vec<Grant<'_>> = settings
                    .grants
                    .values()
                    .map(|grant| Grant {
                        who: grant.who,
                        permission: grant.permission,
                        name: grant.name.as_deref(),
                    })
                    .collect();
                let revocations: Vec<Who> = settings.revocations.iter().copied().collect();
                canonical::to_vec(&(StoreData::SETTINGS, settings.writes.views(), grants, revocations))
            }
        };
        StoreData::read(&bytes)?;
        Ok(bytes)
    }
}

impl MapWrites {
    fn views(&self) -> Vec<WriteView<'_>> {
        self.0
            .iter()
            .map(|(path, value)| WriteView { path, value: value.as_deref().map(ValueView::from_encoded) })
            .collect()
    }

    /// Writes a value at a path; a map becomes an empty map there and a write for each leaf. All or nothing.
    pub(super) fn set(&mut self, path: &str, value: &Value) -> Result<(), EntryError> {
        path::check(path)?;
        let leaves = leaves(path, value)?;
        self.clear_below(path);
        self.open_above(path)?;
        self.0.extend(leaves.into_iter().map(|(path, value)| (path, Some(value))));
        Ok(())
    }

    /// Writes a tombstone.
    pub(super) fn delete(&mut self, path: &str) -> Result<(), EntryError> {
        path::check(path)?;
        self.clear_below(path);
        self.0.insert(path.into(), None);
        Ok(())
    }

    /// Takes back what this draft itself wrote at and below a path.
    pub(super) fn forget(&mut self, path: &str) {
        self.clear_below(path);
        self.0.remove(path);
    }

    fn clear_below(&mut self, above: &str) {
        self.0.retain(|path, _| !path::is_below(path, above));
    }

    /// Writes of one entry do not hide each other, so a leaf that this draft wrote above gives way to a map.
    fn open_above(&mut self, path: &str) -> Result<(), EntryError> {
        let empty = Value::Map(BTreeMap::new()).encode()?;
        for above in path::ancestors(path) {
            if let Some(Some(value)) = self.0.get_mut(above) {
                value.clone_from(&empty);
            }
        }
        Ok(())
    }
}

/// The writes that a value at a path stands for, walking maps with a list of their own.
fn leaves(path: &str, value: &Value) -> Result<Vec<(String, Vec<u8>)>, EntryError> {
    let mut leaves = Vec::new();
    let mut open = Vec::from([(String::from(path), value)]);
    while let Some((path, value)) = open.pop() {
        let Value::Map(values) = value else {
            leaves.push((path, value.encode()?));
            continue;
        };
        if values.is_empty() || leaves.is_empty() {
            leaves.push((path.clone(), Value::Map(BTreeMap::new()).encode()?));
        }
        for (key, value) in values {
            open.push((path::child(&path, key)?, value));
        }
    }
    Ok(leaves)
}
