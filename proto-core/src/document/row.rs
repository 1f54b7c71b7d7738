//! The rows that one entry leaves in a store.

use crate::{
    entry::{EntryView, StoreData, StoreView},
    storage::RowKind,
};

/// One row to be kept, without its stamp and author, which are the entry's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowWrite<'a> {
    /// The store's name.
    pub store: &'a str,
    /// Map or log.
    pub kind: RowKind,
    /// The key of the row within its store and kind, before the stamp.
    pub path: RowPath<'a>,
    /// The encoded value (in a log the bytes appended); nothing for a tombstone.
    pub value: Option<&'a [u8]>,
}

/// The path of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowPath<'a> {
    /// A path in a map.
    Path(&'a str),
    /// The number of an append within its entry, big endian. (A log is in order of position, then of this.)
    Number([u8; 4]),
}

impl RowPath<'_> {
    /// The bytes that a store keeps.
    pub const fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Path(path) => path.as_bytes(),
            Self::Number(number) => number,
        }
    }
}

/// The rows that a store keeps of an entry, in order of store, then path. Grants and revocations are no rows: see
/// [`crate::access::SettingsRecord`].
pub fn rows_of<'a>(entry: &EntryView<'a>) -> impl Iterator<Item = RowWrite<'a>> + use<'a> {
    entry.stores().iter().flat_map(rows_of_store)
}

fn rows_of_store(store: StoreView<'_>) -> impl Iterator<Item = RowWrite<'_>> {
    let (writes, appends) = match store.read() {
        Ok(StoreData::Map(writes)) => (Some(writes), None),
        Ok(StoreData::Settings(settings)) => (Some(settings.writes), None),
        Ok(StoreData::Log(appends)) => (None, Some(appends)),
        // An entry's stores were checked when it was read.
        Err(_) => (None, None),
    };
    let writes = writes.into_iter().flat_map(|writes| writes.iter()).map(move |write| RowWrite {
        store: store.name,
        kind: RowKind::Map,
        path: RowPath::Path(write.path),
        value: write.value.map(|value| value.encoded()),
    });
    let numbered = appends.into_iter().flat_map(|appends| appends.iter()).zip(0_u32..);
    let appends = numbered.map(move |(bytes, number)| RowWrite {
        store: store.name,
        kind: RowKind::Log,
        path: RowPath::Number(number.to_be_bytes()),
        value: Some(bytes),
    });
    writes.chain(appends)
}
