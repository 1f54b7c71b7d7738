//! One tree as a view shows it: what all reads begin with, and what access asks before it judges.

use pleach_core::{
    Id, Position, PublicKey,
    access::{Facts, GrantRef, Header, SettingsRecord, View as SettingsSet, ViewId},
    entry::{Entry, Who},
    storage::StorageError,
};

use crate::{
    layout::{Table, TreeNumber, from_six},
    record::{HeaderRecord, TreeRecord, damaged, decode},
    tables::{Flow, Order, Span, View},
};

/// What is kept of a tree as a whole, or nothing if it is not held.
pub(crate) fn tree_record(view: &impl View, tree: &Id) -> Result<Option<TreeRecord>, StorageError> {
    let record = view.get(Table::Trees, tree.as_bytes())?;
    record.map(|record| decode("a tree's record", &record)).transpose()
}

/// Where an entry stands, if it is stored.
pub(crate) fn position(
    view: &impl View,
    tree: TreeNumber,
    id: &Id,
) -> Result<Option<Position>, StorageError> {
    let Some(height) = view.get(Table::Index, &tree.key(&[id.as_bytes()]))? else { return Ok(None) };
    let height = height.try_into().map_err(|_| damaged("the index", format_args!("no height for {id}")))?;
    Ok(Some(Position { height: from_six(height), id: *id }))
}

/// What is kept of an entry beside its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) position: Position,
    pub(crate) header: HeaderRecord,
    /// Whether it is in the shared set.
    pub(crate) shared: bool,
}

impl Kept {
    /// The table of its bytes, and that of its header.
    pub(crate) const fn tables(self) -> (Table, Table) {
        if self.shared { (Table::Entries, Table::Headers) } else { (Table::Outside, Table::OutsideHeaders) }
    }

    /// As access asks for it.
    pub(crate) fn shown(self) -> Header {
        Header {
            position: self.position,
            view: ViewId(self.header.view),
            bytes: self.header.bytes,
            shared: self.shared,
            counts: self.header.standing.counts(),
        }
    }
}

/// What is kept of an entry beside its bytes, if it is stored.
pub(crate) fn kept(view: &impl View, tree: TreeNumber, id: &Id) -> Result<Option<Kept>, StorageError> {
    let Some(position) = position(view, tree, id)? else { return Ok(None) };
    let key = tree.at(&position);
    for (table, shared) in [(Table::Headers, true), (Table::OutsideHeaders, false)] {
        if let Some(header) = view.get(table, &key)? {
            return Ok(Some(Kept { position, header: decode("a header", &header)?, shared }));
        }
    }
    Err(damaged("the headers", format_args!("{id} has none")))
}

/// The entry with this id, in the shared set or not.
pub(crate) fn entry(view: &impl View, tree: TreeNumber, id: &Id) -> Result<Option<Entry>, StorageError> {
    let Some(position) = position(view, tree, id)? else { return Ok(None) };
    let key = tree.at(&position);
    for table in [Table::Entries, Table::Outside] {
        if let Some(bytes) = view.get(table, &key)? {
            return read_entry(&position, &bytes).map(Some);
        }
    }
    Err(damaged("an entry", format_args!("{id} has no bytes")))
}

/// The entry that was stored at a position: its bytes must have the hash that names it.
pub(crate) fn read_entry(position: &Position, bytes: &[u8]) -> Result<Entry, StorageError> {
    if Id::of(bytes) != position.id {
        return Err(damaged("an entry", format_args!("the bytes of {} have another hash", position.id)));
    }
    let entry = Entry::read(bytes).map_err(|error| damaged("an entry", error))?;
    if entry.position() != *position {
        return Err(damaged("an entry", format_args!("{} is stored at another height", position.id)));
    }
    Ok(entry)
}

/// A tree in a view. [`Facts`] about it come from here, for a snapshot and for a write in progress alike.
pub(crate) struct Tree<'a, V> {
    pub(crate) view: &'a V,
    pub(crate) id: Id,
    /// Nothing if the tree is not held, not even by the write in progress.
    pub(crate) record: Option<&'a TreeRecord>,
}

impl<V: View> Tree<'_, V> {
    fn held(&self) -> Result<&TreeRecord, StorageError> {
        self.record.ok_or_else(|| damaged("a tree", "asked for though it is not held"))
    }

    /// The ordinals that end the keys of an index by name, each with its value.
    fn ordinals<T>(
        &self,
        table: Table,
        who: &Who,
        read: impl Fn(u32, &[u8]) -> Result<T, StorageError>,
    ) -> Result<Vec<T>, StorageError> {
        let mut found = Vec::new();
        let Some(record) = self.record else { return Ok(found) };
        let span = Span::prefix(&record.tree().whom(who));
        self.view.scan(table, &span, Order::Ascending, &mut |key, value| {
            let (_, ordinal) =
                key.split_last_chunk::<4>().ok_or_else(|| damaged("the grants", "a key is cut short"))?;
            found.push(read(u32::from_be_bytes(*ordinal), value)?);
            Ok(Flow::Continue(()))
        })?;
        Ok(found)
    }
}

impl<V: View> Facts for Tree<'_, V> {
    fn tree(&self) -> Id {
        self.id
    }

    fn root_key(&self) -> Result<PublicKey, StorageError> {
        Ok(self.held()?.author)
    }

    fn header(&self, id: &Id) -> Result<Option<Header>, StorageError> {
        let Some(record) = self.record else { return Ok(None) };
        Ok(kept(self.view, record.tree(), id)?.map(Kept::shown))
    }

    fn view(&self, id: ViewId) -> Result<SettingsSet, StorageError> {
        let bytes = self.view.get(Table::Views, &self.held()?.tree().number(id.0))?;
        let bytes =
            bytes.ok_or_else(|| damaged("the views", format_args!("none has the number {}", id.0)))?;
        SettingsSet::decode(&bytes).map_err(|error| damaged("a view", error))
    }

    fn settings_count(&self) -> Result<u32, StorageError> {
        Ok(self.record.map_or(0, |record| record.settings))
    }

    fn record(&self, ordinal: u32) -> Result<SettingsRecord, StorageError> {
        let record = self.view.get(Table::Settings, &self.held()?.tree().number(ordinal))?;
        let record =
            record.ok_or_else(|| damaged("the settings", format_args!("none has the ordinal {ordinal}")))?;
        pleach_core::canonical::from_bytes(&record).map_err(|error| damaged("a settings record", error))
    }

    fn grants_naming(&self, who: &Who) -> Result<Vec<GrantRef>, StorageError> {
        self.ordinals(Table::Grants, who, |ordinal, permission| {
            Ok(GrantRef { ordinal, permission: decode("a grant", permission)? })
        })
    }

    fn revocations_naming(&self, who: &Who) -> Result<Vec<u32>, StorageError> {
        self.ordinals(Table::Revocations, who, |ordinal, _| Ok(ordinal))
    }
}
