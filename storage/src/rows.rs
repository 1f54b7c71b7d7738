//! Rows of writes: their keys, and the queries over them.

use pleach_core::{
    Id, Position, PublicKey,
    document::RowWrite,
    storage::{OfPath, Paths, Row, RowKind, RowQuery, Stamp, StorageError},
};

use crate::{
    changes::Changes,
    layout::{Table, TreeNumber, from_six, six, split_position, stamp_bytes},
    record::damaged,
    tables::{Flow, Order, Span, View},
};

/// Rows of one path that a scan for the last of each path passes before it rather jumps to the last one.
const PATIENCE: usize = 16;

/// Tags of a map's value.
const TOMBSTONE: u8 = 0;
const VALUE: u8 = 1;

/// What precedes path or position in the keys of a store's rows.
fn prefix(tree: TreeNumber, store: &str, kind: RowKind) -> Vec<u8> {
    tree.key(&[store.as_bytes(), &[0, kind_byte(kind)]])
}

const fn kind_byte(kind: RowKind) -> u8 {
    match kind {
        RowKind::Map => 0,
        RowKind::Log => 1,
    }
}

/// The key of a row.
fn key(tree: TreeNumber, store: &str, kind: RowKind, path: &[u8], stamp: &Stamp) -> Vec<u8> {
    let mut key = prefix(tree, store, kind);
    match kind {
        RowKind::Map => {
            key.extend_from_slice(path);
            key.push(0);
            key.extend_from_slice(&stamp_bytes(stamp));
        }
        RowKind::Log => {
            key.extend_from_slice(&six(stamp.position.height));
            key.extend_from_slice(stamp.position.id.as_bytes());
            key.extend_from_slice(path);
        }
    }
    key
}

/// The key and the value of a row to be kept.
pub(crate) fn pair(
    tree: TreeNumber,
    row: &RowWrite<'_>,
    stamp: &Stamp,
    author: &PublicKey,
) -> (Vec<u8>, Vec<u8>) {
    let key = key(tree, row.store, row.kind, row.path.as_bytes(), stamp);
    let tag: &[u8] = match (row.kind, row.value) {
        (RowKind::Log, _) => &six(stamp.time),
        (RowKind::Map, Some(_)) => &[VALUE],
        (RowKind::Map, None) => &[TOMBSTONE],
    };
    (key, [author.as_bytes(), tag, row.value.unwrap_or_default()].concat())
}

/// Keeps a row.
pub(crate) fn put(
    changes: &mut Changes,
    tree: TreeNumber,
    row: &RowWrite<'_>,
    stamp: &Stamp,
    author: &PublicKey,
) {
    let (key, value) = pair(tree, row, stamp, author);
    changes.put(Table::Rows, &key, value);
}

/// Reads a row back; `key` is without the prefix of its store.
fn read(kind: RowKind, key: &[u8], value: &[u8]) -> Option<Row> {
    let (author, value) = value.split_first_chunk::<32>()?;
    let author = PublicKey::from_bytes(*author);
    match kind {
        RowKind::Map => {
            let (rest, position) = split_position(key)?;
            let (rest, time) = rest.split_last_chunk::<6>()?;
            let (0, path) = rest.split_last()? else { return None };
            let value = match value.split_first()? {
                (&TOMBSTONE, []) => None,
                (&VALUE, value) => Some(value.to_vec()),
                _ => return None,
            };
            let stamp = Stamp { time: from_six(*time), position };
            Some(Row { path: path.to_vec(), stamp, value, author })
        }
        RowKind::Log => {
            let (place, number) = key.split_last_chunk::<4>()?;
            let (height, id) = place.split_first_chunk::<6>()?;
            let position = Position { height: from_six(*height), id: Id::from_bytes(id.try_into().ok()?) };
            let (time, value) = value.split_first_chunk::<6>()?;
            let stamp = Stamp { time: from_six(*time), position };
            Some(Row { path: number.to_vec(), stamp, value: Some(value.to_vec()), author })
        }
    }
}

/// The keys that a query asks for.
fn span(tree: TreeNumber, query: &RowQuery) -> Option<Span> {
    let prefix = prefix(tree, &query.store, query.kind);
    let span = match (&query.paths, query.kind) {
        (Paths::All, _) => Span::prefix(&prefix),
        (Paths::One(path), RowKind::Map) => Span::prefix(&[&prefix, path.as_bytes(), &[0]].concat()),
        (Paths::Below(path), RowKind::Map) => Span::prefix(&[&prefix, path.as_bytes(), b"."].concat()),
        // A log has no paths.
        (Paths::One(_) | Paths::Below(_), RowKind::Log) => return None,
    };
    Some(match &query.after {
        Some((path, stamp)) => span.behind(&key(tree, &query.store, query.kind, path, stamp)),
        None => span,
    })
}

/// Carries out a query.
pub(crate) fn query(view: &impl View, tree: TreeNumber, query: &RowQuery) -> Result<Vec<Row>, StorageError> {
    let Some(span) = span(tree, query) else { return Ok(Vec::new()) };
    let prefix = prefix(tree, &query.store, query.kind).len();
    let read = |key: &[u8], value: &[u8]| {
        read(query.kind, key.get(prefix..).unwrap_or_default(), value)
            .ok_or_else(|| damaged("a row", format_args!("of the store {} does not decode", query.store)))
    };
    match (query.of_path, query.kind) {
        // Every append is the only one of its number.
        (OfPath::All, _) | (_, RowKind::Log) => {
            let mut rows = Vec::new();
            view.scan(Table::Rows, &span, Order::Ascending, &mut |key, value| {
                if rows.len() >= query.limit {
                    return Ok(Flow::Break(()));
                }
                rows.push(read(key, value)?);
                Ok(Flow::Continue(()))
            })?;
            Ok(rows)
        }
        (OfPath::Last, RowKind::Map) => last_of_paths(view, span, query.limit, prefix, &read),
    }
}

/// The last row of each path of a span, in order of path.
fn last_of_paths(
    view: &impl View,
    mut span: Span,
    limit: usize,
    prefix: usize,
    read: &impl Fn(&[u8], &[u8]) -> Result<Row, StorageError>,
) -> Result<Vec<Row>, StorageError> {
    let mut rows: Vec<Row> = Vec::new();
    while !span.is_empty() {
        let mut passed = 0;
        // The path on which patience ran out: its keys, the NUL included.
        let mut long: Option<Span> = None;
        let mut full = false;
        view.scan(Table::Rows, &span, Order::Ascending, &mut |key, value| {
            let row = read(key, value)?;
            match rows.last_mut() {
                Some(last) if last.path == row.path => {
                    passed += 1;
                    if passed > PATIENCE {
                        long = key.get(..prefix + row.path.len() + 1).map(Span::prefix);
                    }
                    *last = row;
                }
                _ => {
                    full = rows.len() >= limit;
                    passed = 0;
                    if !full {
                        rows.push(row);
                    }
                }
            }
            Ok(if full || long.is_some() { Flow::Break(()) } else { Flow::Continue(()) })
        })?;
        let Some(long) = long else { break };
        if let (Some((key, value)), Some(last)) =
            (view.first(Table::Rows, &long, Order::Descending)?, rows.last_mut())
        {
            *last = read(&key, &value)?;
        }
        let Some(end) = long.end else { break };
        span.start = end;
    }
    rows.truncate(limit);
    Ok(rows)
}

/// The names of the stores of a tree that have rows, each with its kinds.
pub(crate) fn stores(view: &impl View, tree: TreeNumber) -> Result<Vec<(String, RowKind)>, StorageError> {
    let mut stores = Vec::new();
    let mut span = tree.all();
    while let Some((key, _)) = view.first(Table::Rows, &span, Order::Ascending)? {
        let bad = || damaged("a row", "its key names no store");
        let named = key.get(4..).ok_or_else(bad)?;
        let end = named.iter().position(|byte| *byte == 0).ok_or_else(bad)?;
        let kind = match named.get(end + 1) {
            Some(0) => RowKind::Map,
            Some(1) => RowKind::Log,
            _ => return Err(bad()),
        };
        let name = named.get(..end).and_then(|name| std::str::from_utf8(name).ok()).ok_or_else(bad)?;
        stores.push((name.to_owned(), kind));
        let Some(end) = Span::prefix(&prefix(tree, name, kind)).end else { break };
        span.start = end;
    }
    Ok(stores)
}
