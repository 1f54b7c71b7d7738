//! `keys DB root`: the root key moves out of the node and back.

use std::{
    fmt, fs,
    io::{self, Read, Write},
    path::Path,
};

use anyhow::{Context as _, ensure};
use pleach_smol::{Database, Id, RootKey};
use serde::Serialize;

use crate::{
    args::{RootAction, STANDARD},
    context::Context,
    failure::Ending,
    output::Shown,
};

/// Bytes of a file with a root key at most; the key takes about 120.
const MAX_FILE: u64 = 4_096;

#[derive(Serialize)]
struct Exported<'a> {
    id: Id,
    file: &'a Path,
    kept: bool,
}

impl fmt::Display for Exported<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display().to_string();
        if self.kept {
            write!(f, "a copy of the root key is in {}", Shown(&file))
        } else {
            write!(f, "the root key is in {} and no longer in this node", Shown(&file))
        }
    }
}

/// What only `export -` prints.
#[derive(Serialize)]
struct Secret {
    id: Id,
    root_key: String,
    kept: bool,
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root_key)
    }
}

#[derive(Serialize)]
struct Imported {
    id: Id,
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the root key of {} is in this node", self.id)
    }
}

pub(super) async fn root(cx: &Context, db: &Database, action: RootAction) -> anyhow::Result<Ending> {
    match action {
        RootAction::Export { file, keep } => export(cx, db, &file, keep).await,
        RootAction::Import { file } => import(cx, db, &file).await,
    }
}

/// The key leaves the node only once it is somewhere else.
async fn export(cx: &Context, db: &Database, file: &Path, kept: bool) -> anyhow::Result<Ending> {
    let key = db.root_key()?.context("the root key is not in this node: nothing was exported")?;
    let id = db.root_id();
    let printed = file.as_os_str() == STANDARD;
    if printed {
        cx.out.put(&Secret { id, root_key: key.to_text(), kept })?;
        cx.still_wanted()?;
    } else {
        write_new(file, &key)?;
    }
    if !kept {
        db.forget_root_key().await.context("the key was exported, and is still in this node as well")?;
    }
    if !printed {
        cx.out.put(&Exported { id, file, kept })?;
    }
    Ok(Ending::Done)
}

/// Writes a file that was not there, for its owner alone; returns when it is durable. Leaves nothing if that fails.
fn write_new(file: &Path, key: &RootKey) -> anyhow::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let failed = || format!("{} cannot be written: the root key is still in this node", file.display());
    let mut open = options.open(file).with_context(failed)?;
    let written =
        writeln!(open, "{}", key.to_text()).and_then(|()| open.sync_all()).and_then(|()| sync_folder(file));
    if written.is_err() {
        // What is left of a file that could not be written is no harm if it cannot be removed either.
        let _ = fs::remove_file(file);
    }
    written.with_context(failed)
}

/// Makes the name of a new file durable, where folders can be synced.
fn sync_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) if cfg!(unix) => fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

async fn import(cx: &Context, db: &Database, file: &Path) -> anyhow::Result<Ending> {
    let mut text = String::new();
    let from: Box<dyn Read + Send> = if file.as_os_str() == STANDARD {
        cx.input.open()?
    } else {
        Box::new(fs::File::open(file).with_context(|| format!("{} cannot be read", file.display()))?)
    };
    from.take(MAX_FILE)
        .read_to_string(&mut text)
        .with_context(|| format!("{} cannot be read", file.display()))?;
    let key = RootKey::from_text(&text).with_context(|| format!("{} holds no root key", file.display()))?;
    ensure!(
        key.tree() == db.root_id(),
        "this is the root key of database {}, not of {}: name the file that belongs to it",
        key.tree(),
        db.root_id()
    );
    db.keep_root_key(&key).await?;
    cx.out.put(&Imported { id: db.root_id() })?;
    Ok(Ending::Done)
}
