//! Where a passphrase comes from, and how the one of a node is changed. It is never an argument, which others on the
//! machine could see.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal},
    path::Path,
};

use anyhow::{Context as _, bail, ensure};
use futures_lite::future;
use pleach_smol::{Redb, Sealed, passphrase_needed};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    failure::Ending,
    node,
    output::{Output, good},
    socket,
};

/// The passphrase, for programs.
const CURRENT: &str = "PLEACH_PASSPHRASE";

/// The one that comes in its place.
const NEXT: &str = "PLEACH_NEW_PASSPHRASE";

/// A passphrase, wiped when it is dropped.
pub(crate) type Passphrase = Zeroizing<String>;

/// Whoever knows the passphrase: an open file if one was named, else the environment, else whoever sits at the
/// terminal.
pub(crate) struct Passphrases(Option<BufReader<File>>);

impl Passphrases {
    /// Passphrases from an open file, one a line, or else from elsewhere.
    pub(crate) fn new(fd: Option<u32>) -> anyhow::Result<Self> {
        let open =
            |fd| File::open(format!("/dev/fd/{fd}")).with_context(|| format!("no file is open as {fd}"));
        Ok(Self(fd.map(open).transpose()?.map(BufReader::new)))
    }

    /// The one that the node's keys are under.
    fn current(&mut self) -> anyhow::Result<Passphrase> {
        self.ask(CURRENT, "Passphrase: ")
    }

    /// One for a new node.
    pub(crate) fn choose(&mut self) -> anyhow::Result<Passphrase> {
        self.twice(CURRENT)
    }

    /// One in place of that before.
    pub(crate) fn change(&mut self) -> anyhow::Result<Passphrase> {
        self.twice(NEXT)
    }

    fn ask(&mut self, variable: &str, prompt: &str) -> anyhow::Result<Passphrase> {
        if let Some(lines) = &mut self.0 {
            let mut line = Zeroizing::new(String::new());
            ensure!(lines.read_line(&mut line)? > 0, "the file ends before the passphrase");
            return Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()));
        }
        if let Ok(passphrase) = std::env::var(variable) {
            return Ok(Zeroizing::new(passphrase));
        }
        if !io::stdin().is_terminal() {
            bail!(
                "a passphrase is needed: set {variable}, name an open file with --passphrase-fd, or use a terminal"
            );
        }
        Ok(Zeroizing::new(rpassword::prompt_password(prompt)?))
    }

    /// A new one, which a person types twice: what is mistyped once would lock the node for good.
    fn twice(&mut self, variable: &str) -> anyhow::Result<Passphrase> {
        let chosen = self.ask(variable, "New passphrase: ")?;
        ensure!(!chosen.is_empty(), "an empty passphrase protects nothing: choose a longer one");
        if self.0.is_none() && std::env::var_os(variable).is_none() {
            let again = Zeroizing::new(rpassword::prompt_password("Once more: ")?);
            ensure!(*again == *chosen, "the two differ: nothing was changed");
        }
        Ok(chosen)
    }
}

/// Opens the secret keys of a store.
pub(crate) fn unlock(store: Redb, asked: &mut Passphrases) -> anyhow::Result<Sealed<Redb>> {
    let passphrase = if passphrase_needed(&store)? { Some(asked.current()?) } else { None };
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| anyhow::anyhow!("the operating system gives no entropy: {error}"))?;
    Ok(Sealed::open(store, passphrase.as_deref().map(String::as_str), seed)?)
}

#[derive(Serialize)]
struct Changed {
    sealed: bool,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = if self.sealed { "under the new passphrase" } else { "under no passphrase" };
        write!(f, "{}: the node's keys are {now}", good("done"))
    }
}

/// Changes or removes the passphrase of a folder that nobody serves.
pub(crate) fn carry_out(
    data: &Path,
    remove: bool,
    out: &Output,
    asked: &mut Passphrases,
) -> anyhow::Result<Ending> {
    ensure!(socket::find(data)?.is_none(), "{} is served: stop that process first", data.display());
    future::block_on(node::change_passphrase(data, remove, asked))?;
    out.put(&Changed { sealed: !remove })?;
    Ok(Ending::Done)
}
