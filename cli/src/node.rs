//! The folder of a node: where it is, and how it is opened.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use pleach_smol::{Instance, Limits, Options, Redb, Sealed, StorageError};

use crate::passphrase::{self, Passphrases};

/// The node's store.
pub(crate) const STORE: &str = "node.redb";

/// The name for people, if one was given.
const NAME: &str = "name";

/// How long another command may hold the store before this one gives up: most take far less.
const PATIENCE: Duration = Duration::from_secs(3);

/// The folder that was named, or the platform's.
pub(crate) fn folder(named: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let folder = match named {
        Some(folder) => folder,
        None => directories::ProjectDirs::from("", "", "pleach")
            .context("this platform has no folder for data: name one with --data")?
            .data_dir()
            .to_owned(),
    };
    Ok(std::path::absolute(folder)?)
}

/// Whether a node was made there.
pub(crate) fn exists(data: &Path) -> bool {
    data.join(STORE).exists()
}

/// Makes the folder, for its owner alone: the node's key is in it.
pub(crate) fn make_folder(data: &Path) -> anyhow::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(data).with_context(|| format!("{} cannot be made", data.display()))
}

/// Keeps the name for people.
pub(crate) fn set_name(data: &Path, name: &str) -> anyhow::Result<()> {
    fs::write(data.join(NAME), name)
        .with_context(|| format!("{} cannot be written", data.join(NAME).display()))
}

/// The name for people.
pub(crate) fn name(data: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(data.join(NAME)) {
        Ok(name) => Ok(Some(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", data.join(NAME).display())),
    }
}

/// Opens a node that exists.
pub(crate) async fn open(data: &Path, asked: &mut Passphrases) -> anyhow::Result<Instance> {
    open_within(data, Limits::new(), asked).await
}

/// The same, for as much as its owner lets it take on.
pub(crate) async fn open_within(
    data: &Path,
    limits: Limits,
    asked: &mut Passphrases,
) -> anyhow::Result<Instance> {
    expect(data)?;
    let store = open_store(&data.join(STORE)).await?;
    open_over(data, limits, passphrase::unlock(store, asked)?).await
}

/// An error if there is no node.
fn expect(data: &Path) -> anyhow::Result<()> {
    if !exists(data) {
        bail!("no node in {}: make one with `pleach init`, or name its folder with --data", data.display());
    }
    Ok(())
}

/// Opens a node, or makes it; a new one's keys come under a passphrase if that is wanted.
pub(crate) async fn open_or_make(
    data: &Path,
    sealed: bool,
    asked: &mut Passphrases,
) -> anyhow::Result<Instance> {
    make_folder(data)?;
    if !sealed {
        let store = open_store(&data.join(STORE)).await?;
        return open_over(data, Limits::new(), passphrase::unlock(store, asked)?).await;
    }
    if exists(data) {
        bail!("there is a node in {} already: `pleach passphrase` puts its keys under one", data.display());
    }
    // Before there is anything that would be left behind.
    let chosen = asked.choose()?;
    let store = passphrase::unlock(open_store(&data.join(STORE)).await?, asked)?;
    store.change(Some(&chosen))?;
    open_over(data, Limits::new(), store).await
}

/// Puts the keys of a node that exists under another passphrase, or under none.
pub(crate) async fn change_passphrase(
    data: &Path,
    remove: bool,
    asked: &mut Passphrases,
) -> anyhow::Result<()> {
    expect(data)?;
    let store = passphrase::unlock(open_store(&data.join(STORE)).await?, asked)?;
    let chosen = if remove { None } else { Some(asked.change()?) };
    Ok(store.change(chosen.as_deref().map(String::as_str))?)
}

async fn open_over(data: &Path, limits: Limits, store: Sealed<Redb>) -> anyhow::Result<Instance> {
    let mut options = Options::new().limits(limits);
    if let Some(name) = name(data)? {
        options = options.display_name(&name);
    }
    Ok(Instance::open_with(store, options).await?)
}

/// Opens the store, waiting a moment for another command that holds it.
async fn open_store(path: &Path) -> Result<Redb, StorageError> {
    let start = Instant::now();
    loop {
        match Redb::open(path) {
            Err(StorageError::Locked(_)) if start.elapsed() < PATIENCE => {
                async_io::Timer::after(Duration::from_millis(50)).await;
            }
            outcome => {
                #[cfg(unix)]
                if outcome.is_ok() {
                    let _ = fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600));
                }
                return outcome;
            }
        }
    }
}
