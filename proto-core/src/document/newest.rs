//! What the time of an edit must exceed.

use alloc::sync::Arc;

use crate::{
    Id,
    document::{
        DocumentError,
        reads::{Age, Reads},
    },
    storage::{Paths, Snapshot},
};

/// The greatest time, in claimed wall milliseconds, of the writes that an edit of this path must be newer than to
/// be seen: those at the path, above it and below it. Nothing if there is none.
///
/// The time of an entry is the greatest of now and one more than this, for each path that it writes.
pub fn newest_time(
    snapshot: &Arc<dyn Snapshot>,
    tree: &Id,
    store: &str,
    path: &str,
) -> Result<Option<u64>, DocumentError> {
    let reads = Reads { snapshot: snapshot.clone(), tree: *tree, draft: None };
    let mut newest = reads.newest_above(store, path)?;
    newest = newest.max(reads.newest(store, path)?.map(|row| row.age));
    let mut below = reads.scan(store, Paths::Below(path.into()), None);
    while let Some(row) = below.next()? {
        newest = newest.max(Some(row.age));
    }
    Ok(newest.and_then(|age| match age {
        Age::Stored(stamp) => Some(stamp.time),
        Age::Own => None,
    }))
}
