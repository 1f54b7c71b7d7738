//! What a runtime learns from a store when it opens it.

use alloc::{string::ToString, vec::Vec};

use crate::{
    Id, SecretKey,
    instance::{Error, sync_tree},
    storage::{Snapshot, StorageError, Store, Write},
};

/// The node's secret key, in the store's metadata.
const NODE_KEY: &[u8] = b"instance/key";

/// A store, opened.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The node's key.
    pub key: SecretKey,
    /// The `_sync` tree, if sync was ever enabled.
    pub sync_tree: Option<Id>,
}

/// Reads a store's node key, or makes `key` or else `fresh` its key and returns when that is durable. Blocks.
///
/// A store keeps the key that it began with: another `key` is an error, since peers know the node by it.
pub fn prepare(store: &dyn Store, key: Option<SecretKey>, fresh: [u8; 32]) -> Result<Prepared, Error> {
    let snapshot = store.snapshot()?;
    let found = snapshot.meta(NODE_KEY)?.map(|bytes| {
        <[u8; 32]>::try_from(bytes.as_slice())
            .map(SecretKey::from_bytes)
            .map_err(|_| StorageError::Damaged("the node's key is not 32 bytes".to_string()))
    });
    let key = match (found.transpose()?, key) {
        (Some(found), Some(key)) if found != key => {
            return Err(Error::AnotherKey { held: found.public(), given: key.public() });
        }
        (Some(found), _) => found,
        (None, key) => {
            let key = key.unwrap_or_else(|| SecretKey::from_bytes(fresh));
            store.write(&Write::Meta(Vec::from([(NODE_KEY.to_vec(), Some(key.to_bytes().to_vec()))])))?;
            key
        }
    };
    Ok(Prepared { key, sync_tree: sync_tree_of(&*snapshot)? })
}

/// The id of the `_sync` tree, if there is one.
pub(super) fn sync_tree_of(snapshot: &dyn Snapshot) -> Result<Option<Id>, StorageError> {
    let Some(bytes) = snapshot.meta(sync_tree::ID)? else { return Ok(None) };
    let id = <[u8; 32]>::try_from(bytes.as_slice());
    id.map(|id| Some(Id::from_bytes(id)))
        .map_err(|_| StorageError::Damaged("the id of _sync is not 32 bytes".to_string()))
}
