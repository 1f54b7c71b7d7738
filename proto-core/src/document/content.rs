//! One hash over all that can be seen in a tree.

use alloc::sync::Arc;

use crate::{
    Id,
    document::{
        DocumentError, Log, Scope, StoreType,
        reads::{PAGE, Reads},
    },
    entry::SETTINGS,
    storage::{RowKind, Snapshot},
};

/// The store in which an import keeps the ids and authors of the lines that it took.
pub const IMPORT: &str = "_import";

/// Two nodes that hold the same show the same: a BLAKE3 hash over what is visible in a tree, read from its rows.
///
/// Hashed is, for each store in order of name, [`SETTINGS`] and [`IMPORT`] left out: for each visible write, tombstones
/// left out, in order of path: the byte 0, the store's name, the path, the encoded value; then for each append of a
/// log, in order of position: the byte 1, the store's name, the bytes. Each text and each value has its length before
/// it, 4 bytes, little endian.
pub fn content_hash(snapshot: &Arc<dyn Snapshot>, tree: &Id) -> Result<[u8; 32], DocumentError> {
    let mut hasher = blake3::Hasher::new();
    for (store, kind) in snapshot.stores(tree)? {
        if store == SETTINGS || store == IMPORT {
            continue;
        }
        match kind {
            RowKind::Map => hash_paths(snapshot, tree, &store, &mut hasher)?,
            RowKind::Log => hash_log(snapshot, tree, &store, &mut hasher)?,
        }
    }
    Ok(*hasher.finalize().as_bytes())
}

fn hash_paths(
    snapshot: &Arc<dyn Snapshot>,
    tree: &Id,
    store: &str,
    hasher: &mut blake3::Hasher,
) -> Result<(), DocumentError> {
    let reads = Reads { snapshot: snapshot.clone(), tree: *tree, draft: None };
    let mut visible = reads.visible(store, None)?;
    while let Some((path, value)) = visible.next()? {
        hasher.update(&[0]);
        feed(hasher, store.as_bytes());
        feed(hasher, path.as_bytes());
        feed(hasher, &value);
    }
    Ok(())
}

fn hash_log(
    snapshot: &Arc<dyn Snapshot>,
    tree: &Id,
    store: &str,
    hasher: &mut blake3::Hasher,
) -> Result<(), DocumentError> {
    let log = Log::open(Scope::of_snapshot(snapshot.clone(), *tree, store)?)?;
    let mut after = None;
    loop {
        let page = log.entries(after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.cursor);
        for append in page {
            hasher.update(&[1]);
            feed(hasher, store.as_bytes());
            feed(hasher, &append.bytes);
        }
    }
}

fn feed(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    // Nothing in an entry is longer than an entry.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    hasher.update(&length.to_le_bytes()).update(bytes);
}
