//! Settings that programs keep in `_sync`, and the typed configurations of transports.

use alloc::{string::String, sync::Arc};

use crate::{
    Id,
    document::{DocStore, DocumentError, Draft, Registry, Scope, StoreType, Typed},
    entry::Value,
    instance::Error,
    path,
    storage::Snapshot,
};

/// Settings, by their keys.
const SETTINGS: &str = "settings";

/// Configurations, by the names of their transports.
const CONFIGS: &str = "transport_configs";

fn setting_path(key: &str) -> Result<String, Error> {
    Ok(path::from_keys([key]).map_err(DocumentError::from)?)
}

/// A setting in the `_sync` tree.
pub fn setting(snapshot: Arc<dyn Snapshot>, tree: &Id, key: &str) -> Result<Option<Value>, Error> {
    let store = DocStore::open(Scope::of_snapshot(snapshot, *tree, SETTINGS)?)?;
    Ok(store.get(&setting_path(key)?)?)
}

/// Writes a setting.
pub fn keep_setting(draft: &Draft, key: &str, value: Value) -> Result<(), Error> {
    Ok(draft.store::<DocStore>(SETTINGS)?.set(&setting_path(key)?, value)?)
}

/// The configuration of the transport of this name; the default if there is none, an error if it has another type.
pub fn transport_config<C: Typed + Default>(
    snapshot: Arc<dyn Snapshot>,
    tree: &Id,
    name: &str,
) -> Result<C, Error> {
    let registry = Registry::open(Scope::of_snapshot(snapshot, *tree, CONFIGS)?)?;
    Ok(registry.get(name)?.unwrap_or_default())
}

/// Writes the configuration of a transport. One of another type under this name is an error.
pub fn keep_transport_config<C: Typed>(draft: &Draft, name: &str, config: &C) -> Result<(), Error> {
    Ok(draft.store::<Registry>(CONFIGS)?.set(name, config)?)
}
