//! The way back: a tree's history as lines.

use pleach_core::{Id, entry::Value, storage::Snapshot};

use super::{
    content::Content,
    history::{Walk, each_entry},
    line::{Change, DEFAULT_STORE, Written, keys_of},
};

/// Gives every line of a tree to `take`, parents first; returns how many there were.
pub(crate) fn export(
    snapshot: &dyn Snapshot,
    tree: &Id,
    mut take: impl FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let mut walk = Walk::default();
    let mut lines = 0;
    each_entry(snapshot, tree, |entry| {
        walk.lines(&entry).into_iter().try_for_each(|line| {
            lines += 1;
            take(&serde_json::to_string(&written(line)?)?)
        })
    })?;
    Ok(lines)
}

/// The line as it is written: what has a default is left out where it has it.
fn written(line: Content) -> anyhow::Result<Written> {
    let Content { id, parents, author, store, change } = line;
    let mut written = Written {
        id: Some(id.to_string()),
        parents: Some(parents.iter().map(ToString::to_string).collect()),
        author,
        store: (store != DEFAULT_STORE).then_some(store),
        ..Written::default()
    };
    match change {
        Change::Write { path, value } => {
            let mut keys = keys_of(&path);
            match keys.as_mut_slice() {
                [key] if *key == *id => {}
                [key] => written.key = Some(std::mem::take(key)),
                _ => written.path = Some(keys),
            }
            written.deleted = value.is_none();
            written.value =
                value.map(|value| Value::decode(&value)).transpose()?.map(|value| value.to_json());
        }
        Change::Append(bytes) => {
            written.append = true;
            written.value = Some(Value::Bytes(bytes).to_json());
        }
    }
    Ok(written)
}
