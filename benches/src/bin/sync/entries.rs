//! Entries of exactly 256 bytes.

use pleach_core::{
    Id, Position, SecretKey, canonical,
    entry::{EntryBuilder, Origin, Value, VerifiedEntry},
};

use crate::Outcome;

/// Bytes of each entry.
pub(crate) const SIZE: usize = 256;

/// The claimed time of the first entry; each is one millisecond after the one before.
const TIME: u64 = 1_700_000_000_000;

/// The next `count` entries of a chain on top of `parents`, each writing a text at a path of its own.
pub(crate) fn chain(
    key: &SecretKey,
    tree: Id,
    parents: &[Position],
    count: usize,
) -> Outcome<Vec<VerifiedEntry>> {
    let mut parents = parents.to_vec();
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let entry = on_top(key, tree, &parents)?;
        parents = vec![entry.position()];
        entries.push(entry);
    }
    Ok(entries)
}

fn on_top(key: &SecretKey, tree: Id, parents: &[Position]) -> Outcome<VerifiedEntry> {
    let height = parents.iter().map(|parent| parent.height).max().unwrap_or(0);
    let mut builder = EntryBuilder::new(Origin::Tree(tree), TIME + height);
    for parent in parents {
        builder.parent(*parent)?;
    }
    let path = format!("k{height}");
    let sign = |length: usize| -> Outcome<VerifiedEntry> {
        let value = Value::Text("x".repeat(length)).encode()?;
        // A map of one write: a slice has its length before it, an array would not.
        let writes = [(path.as_str(), Some(value))];
        let data = [&[0][..], &canonical::to_vec(writes.as_slice())].concat();
        Ok(VerifiedEntry::sign(&builder, key, &[("main", &data)])?)
    };
    // A chain's entries differ in the length of their numbers alone, so that the first guess mostly fits.
    let empty = SIZE.saturating_sub(187 + 33 * (parents.len() - 1) + path.len() + varint(height + 1));
    let first = sign(empty)?;
    let text = (empty + SIZE).saturating_sub(first.bytes().len());
    if text == empty { Ok(first) } else { sign(text) }
}

/// Bytes of a number as a varint.
fn varint(number: u64) -> usize {
    canonical::encoded_len(&number)
}
