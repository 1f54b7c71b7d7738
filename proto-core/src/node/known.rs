//! Where two logs of arrivals stood when a tree was last the same here and at a peer, kept in the metadata.

use alloc::vec::Vec;

use crate::{
    Id, PublicKey, canonical,
    session::Known,
    storage::{Snapshot, StorageError},
};

/// Where the metadata keeps it: this prefix, the tree's id and the peer's key.
const PREFIX: &[u8] = b"known/";

/// Its key in the metadata.
pub(super) fn place(tree: &Id, peer: &PublicKey) -> Vec<u8> {
    [PREFIX, tree.as_bytes(), peer.as_bytes()].concat()
}

/// Its value.
pub(super) fn write(known: &Known) -> Vec<u8> {
    canonical::to_vec(known)
}

/// What the value says. One that cannot be read says nothing: then ranges are compared.
pub(super) fn read(value: &[u8]) -> Option<Known> {
    canonical::from_bytes(value).ok()
}

/// How many entries of a tree had arrived here, and at a peer, when both held the same last.
pub(crate) fn known_marks(
    snapshot: &dyn Snapshot,
    tree: &Id,
    peer: &PublicKey,
) -> Result<Option<(u64, u64)>, StorageError> {
    let known = snapshot.meta(&place(tree, peer))?.and_then(|value| read(&value));
    Ok(known.map(|known| (known.mine.number, known.theirs.number)))
}
