//! The way back: a tree's history as lines.

use pleach_core::{Id, storage::Snapshot};

use super::{
    history::{Walk, each_entry},
    line::Written,
};

/// Gives every line of a tree to `take`, parents first; returns how many there were.
pub(crate) fn export(
    snapshot: &dyn Snapshot,
    tree: &Id,
    mut take: impl FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let mut walk = Walk::default();
    let mut lines = 0;
    each_entry(snapshot, tree, |entry| -> anyhow::Result<()> {
        let counts = matches!(snapshot.headers(tree, &[entry.id()])?[..], [Some(header)] if header.counts);
        let Some(line) = walk.line(&entry, counts) else { return Ok(()) };
        lines += 1;
        take(&serde_json::to_string(&Written::new(line)?)?)
    })?;
    Ok(lines)
}
