//! `put`, `get`, `del`: values. A key stands for itself: a dot in it has no meaning.

use std::fmt;

use anyhow::bail;
use pleach_smol::{DocStore, Id, Value};
use serde::Serialize;

use crate::{
    args::{Get, Put},
    context::Context,
    failure::Ending,
    import::path_of,
    output::{Shown, strong},
};

/// A write that is durable.
#[derive(Serialize)]
pub(super) struct Written {
    pub(super) entry: Id,
}

impl fmt::Display for Written {
    /// People see that it worked by the prompt.
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

pub(super) async fn put(cx: &Context, put: Put) -> anyhow::Result<Ending> {
    let value = match serde_json::from_str(&put.value) {
        Ok(json) => Value::from_json(&json)?,
        Err(_) => Value::Text(put.value),
    };
    let txn = cx.database(&put.db)?.new_transaction()?;
    txn.get_store::<DocStore>(&put.store)?.set(&path_of(&[&put.key])?, value)?;
    cx.out.put(&Written { entry: txn.commit().await?.id })?;
    Ok(Ending::Done)
}

pub(super) async fn delete(cx: &Context, db: &str, store: &str, key: &str) -> anyhow::Result<Ending> {
    let txn = cx.database(db)?.new_transaction()?;
    if !txn.get_store::<DocStore>(store)?.delete(&path_of(&[key])?)? {
        bail!("no value at {key:?} in the store {store:?}");
    }
    cx.out.put(&Written { entry: txn.commit().await?.id })?;
    Ok(Ending::Done)
}

#[derive(Serialize)]
struct Found {
    key: String,
    value: serde_json::Value,
    #[serde(skip)]
    alone: bool,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.alone {
            write!(f, "{}  ", strong(Shown(&self.key)))?;
        }
        match &self.value {
            serde_json::Value::String(text) => Shown(text).fmt(f),
            value => Shown(&value.to_string()).fmt(f),
        }
    }
}

pub(super) fn get(cx: &Context, get: &Get) -> anyhow::Result<Ending> {
    let store = cx.database(&get.db)?.get_store_viewer::<DocStore>(&get.store)?;
    if let Some(key) = &get.key {
        let Some(value) = store.get(&path_of(&[key])?)? else {
            bail!("no value at {key:?} in the store {:?}", get.store);
        };
        cx.out.put(&Found { key: key.clone(), value: value.to_json(), alone: true })?;
        return Ok(Ending::Done);
    }
    if let Value::Map(values) = store.to_value()? {
        for (key, value) in values {
            cx.out.put(&Found { key, value: value.to_json(), alone: false })?;
        }
    }
    Ok(Ending::Done)
}
