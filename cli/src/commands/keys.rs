//! `keys`: who may do what.

use std::fmt;

use anyhow::{Context as _, ensure};
use pleach_core::entry::{Permission, SETTINGS};
use pleach_smol::{Database, DatabaseKey, Id, SettingsStore, Who};
use serde::Serialize;

use super::{log, root_key};
use crate::{
    args::KeysAction,
    context::Context,
    failure::Ending,
    output::{Shown, strong},
    permission::Asked,
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
    let name = db;
    let db = cx.database(name)?;
    let changed = match action {
        None => return list(cx, &db),
        Some(KeysAction::Root { action }) => return root_key::root(cx, &db, action).await,
        Some(KeysAction::Grant { key, permission, name: given, as_root }) => {
            grant(&signed_by(db, name, as_root)?, key, permission, given.as_deref(), as_root).await?
        }
        Some(KeysAction::Revoke { key, undo, as_root }) => {
            revoke(&signed_by(db, name, as_root)?, key, undo.as_deref()).await?
        }
    };
    cx.out.put(&changed)?;
    Ok(Ending::Done)
}

/// The database, opened with its root key if that is wanted.
pub(super) fn signed_by(db: Database, name: &str, as_root: bool) -> anyhow::Result<Database> {
    if !as_root {
        return Ok(db);
    }
    let root = db.root_key()?.with_context(|| {
        format!("the root key is not in this node: bring it back with `pleach keys {name} root import FILE`")
    })?;
    Ok(Database::open(db.instance(), &db.root_id(), DatabaseKey::Secret(root.key().clone()))?)
}

fn list(cx: &Context, db: &Database) -> anyhow::Result<Ending> {
    for member in db.get_store_viewer::<SettingsStore>(SETTINGS)?.keys()? {
        let (key, permission) = (member.who.to_string(), member.permission.to_string());
        cx.out.put(&Held { key, permission, name: member.name })?;
    }
    Ok(Ending::Done)
}

async fn grant(
    db: &Database,
    key: Who,
    asked: Asked,
    name: Option<&str>,
    as_root: bool,
) -> anyhow::Result<Changed> {
    let txn = db.new_transaction()?;
    let settings = txn.get_store::<SettingsStore>(SETTINGS)?;
    let permission = match asked {
        // One below the root key.
        Asked::AdminBelow if as_root => Permission::Admin(0),
        asked => asked.below(settings.permission_of(Who::Key(db.key().public()))?)?,
    };
    settings.grant(key, permission, name)?;
    let entry = txn.commit().await?.id;
    Ok(Changed { key: key.to_string(), permission: Some(permission.to_string()), entry })
}

async fn revoke(db: &Database, key: Who, undo: Option<&str>) -> anyhow::Result<Changed> {
    let undo = undo.map(|entry| entry_of(db, key, entry)).transpose()?;
    let txn = db.new_transaction()?;
    let settings = txn.get_store::<SettingsStore>(SETTINGS)?;
    ensure!(
        settings.outranks(db.key().public(), key)?,
        "{key} does not rank below {}, so revoking it would have no effect: somebody of a higher rank can do it, or \
         the root key (`--as-root`)",
        db.key().public()
    );
    settings.revoke(key)?;
    let entry = match undo {
        Some(undo) => txn.commit_beside(undo).await?.id,
        None => txn.commit().await?.id,
    };
    Ok(Changed { key: key.to_string(), permission: None, entry })
}

/// The entry to undo, which has to be by whom is revoked: nothing else would be hidden.
fn entry_of(db: &Database, key: Who, text: &str) -> anyhow::Result<Id> {
    let snapshot = db.snapshot()?;
    let id = log::find(&*snapshot, &db.root_id(), text)?;
    let entry = snapshot.entry(&db.root_id(), &id)?.context("the entry is gone")?;
    let author = Who::Key(entry.view().author());
    ensure!(
        key == Who::Everyone || key == author || id == db.root_id(),
        "the entry {id} is by {author}, not by {key}: name the first entry by {key} that is to go"
    );
    Ok(id)
}
