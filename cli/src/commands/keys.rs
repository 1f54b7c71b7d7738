//! `keys`: who may do what.

use std::fmt;

use pleach_core::entry::SETTINGS;
use pleach_smol::{Id, SettingsStore, Who};
use serde::Serialize;

use crate::{
    args::KeysAction,
    context::Context,
    failure::Ending,
    output::{Shown, strong},
};

#[derive(Serialize)]
struct Held {
    key: String,
    permission: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<52}  {:<11}", self.key, strong(&self.permission))?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, "  {}", Shown(name)))
    }
}

#[derive(Serialize)]
struct Changed {
    key: String,
    permission: Option<String>,
    entry: Id,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.permission {
            Some(permission) => write!(f, "{} may {permission}", self.key),
            None => write!(f, "{} is revoked", self.key),
        }
    }
}

pub(super) async fn keys(cx: &Context, db: &str, action: Option<KeysAction>) -> anyhow::Result<Ending> {
    let db = cx.database(db)?;
    let settings = db.get_store_viewer::<SettingsStore>(SETTINGS)?;
    let Some(action) = action else {
        for member in settings.keys()? {
            let (key, permission) = (member.who.to_string(), member.permission.to_string());
            cx.out.put(&Held { key, permission, name: member.name })?;
        }
        return Ok(Ending::Done);
    };
    let txn = db.new_transaction()?;
    let store = txn.get_store::<SettingsStore>(SETTINGS)?;
    let (key, permission) = match action {
        KeysAction::Grant { key, permission, name } => {
            let own = settings.permission_of(Who::Key(cx.instance.device_key()))?;
            let permission = permission.below(own)?;
            store.grant(key, permission, name.as_deref())?;
            (key, Some(permission.to_string()))
        }
        KeysAction::Revoke { key } => {
            store.revoke(key)?;
            (key, None)
        }
    };
    let entry = txn.commit().await?.id;
    cx.out.put(&Changed { key: key.to_string(), permission, entry })?;
    Ok(Ending::Done)
}
