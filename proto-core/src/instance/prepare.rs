//! What a runtime learns from a store when it opens it.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use crate::{
    Id, SecretKey,
    instance::{Error, Options, sync_tree, user::USER_KEY},
    node::{Limits, ROOT_KEY_PREFIX, root_key_place},
    storage::{Snapshot, StorageError, Store, Write},
};

/// The node's secret key, in the store's metadata.
const NODE_KEY: &[u8] = b"instance/key";

/// What people on this machine call the node, in the store's metadata.
const DISPLAY_NAME: &[u8] = b"instance/name";

/// Whether the metadata at this key are a secret: the node's key, the root key of a tree, the key of a user.
///
/// ```
/// # use pleach_core::instance::is_secret;
/// assert!(is_secret(b"instance/key") && !is_secret(b"instance/name"));
/// ```
pub fn is_secret(key: &[u8]) -> bool {
    key == NODE_KEY || key.starts_with(ROOT_KEY_PREFIX) || key.starts_with(USER_KEY)
}

/// Trees looked at at once.
const PAGE: usize = 1_024;

/// A store, opened.
///
/// ```
/// # use pleach_core::{SecretKey, instance::Prepared, node::Limits};
/// let (key, display_name) = (SecretKey::from_bytes([1; 32]), Some("laptop".into()));
/// let prepared = Prepared { key, display_name, sync_tree: None, limits: Limits::new() };
/// assert!(prepared.sync_tree.is_none(), "sync was never enabled");
/// ```
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The node's key.
    pub key: SecretKey,
    /// What people on this machine call the node.
    pub display_name: Option<String>,
    /// The `_sync` tree, if sync was ever enabled.
    pub sync_tree: Option<Id>,
    /// What the node takes on at most, checked.
    pub limits: Limits,
}

/// Reads what a store keeps of its node: the key, the name, the `_sync` tree. What the options give and the store does
/// not have yet is kept in it; without a key it gets `fresh`. Returns when that is durable. Blocks.
///
/// A store keeps the key that it began with: another one is an error, since peers know the node by it.
pub fn prepare(store: &dyn Store, options: &Options, fresh: [u8; 32]) -> Result<Prepared, Error> {
    let limits = options.given_limits();
    limits.check()?;
    let snapshot = store.snapshot()?;
    let mut changes = Vec::new();
    let found = snapshot.meta(NODE_KEY)?.map(|bytes| {
        <[u8; 32]>::try_from(bytes.as_slice())
            .map(SecretKey::from_bytes)
            .map_err(|_| StorageError::Damaged("the node's key is not 32 bytes".to_string()))
    });
    let key = match (found.transpose()?, options.given_key().cloned()) {
        (Some(found), Some(key)) if found != key => {
            return Err(Error::AnotherKey { held: found.public(), given: key.public() });
        }
        (Some(found), _) => found,
        (None, key) => {
            let key = key.unwrap_or_else(|| SecretKey::from_bytes(fresh));
            changes.push((NODE_KEY.to_vec(), Some(key.to_bytes().to_vec())));
            key
        }
    };
    let kept = snapshot.meta(DISPLAY_NAME)?.and_then(|name| String::from_utf8(name).ok());
    let display_name = options.given_name().map(ToString::to_string).or_else(|| kept.clone());
    if let Some(name) = display_name.as_ref().filter(|name| kept.as_ref() != Some(name)) {
        changes.push((DISPLAY_NAME.to_vec(), Some(name.clone().into_bytes())));
    }
    let mut sync_tree = sync_tree_of(&*snapshot)?;
    if sync_tree.is_none() {
        sync_tree = forgotten_sync_tree(&*snapshot)?;
        changes.extend(sync_tree.iter().flat_map(|tree| sync_tree::remember(tree).to_vec()));
    }
    if !changes.is_empty() {
        store.write(&Write::Meta(changes.into()))?;
    }
    Ok(Prepared { key, display_name, sync_tree, limits })
}

/// A `_sync` whose id was not remembered, because the node was stopped between making it and that: a tree of this name
/// whose root key was made here. Its settings say so and nobody else may write them.
fn forgotten_sync_tree(snapshot: &dyn Snapshot) -> Result<Option<Id>, StorageError> {
    let mut after = None;
    loop {
        let page = snapshot.trees(after, PAGE)?;
        for tree in &page {
            let made_here = snapshot.meta(&root_key_place(tree))?.is_some();
            if made_here && snapshot.summary(tree)?.is_some_and(|summary| summary.name == sync_tree::NAME) {
                return Ok(Some(*tree));
            }
        }
        if page.len() < PAGE {
            return Ok(None);
        }
        after = page.last().copied();
    }
}

/// The id of the `_sync` tree, if there is one.
pub(super) fn sync_tree_of(snapshot: &dyn Snapshot) -> Result<Option<Id>, StorageError> {
    let Some(bytes) = snapshot.meta(sync_tree::ID)? else { return Ok(None) };
    let id = <[u8; 32]>::try_from(bytes.as_slice());
    id.map(|id| Some(Id::from_bytes(id)))
        .map_err(|_| StorageError::Damaged("the id of _sync is not 32 bytes".to_string()))
}
