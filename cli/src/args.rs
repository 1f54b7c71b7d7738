//! The command line, as data: what a person types, and what one process asks of another that serves the same folder.

mod bounds;
mod invite;
mod ticket;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use pleach_core::{
    Id, PublicKey,
    entry::Who,
    limits::MAX_GRANT_NAME,
    wire::{Address, MAX_REQUEST_METADATA},
};
use serde::{Deserialize, Serialize};

use crate::permission::Asked;

pub(crate) use bounds::Bounds;
pub(crate) use invite::Invite;
pub(crate) use ticket::TicketText;

/// Keeps signed databases the same on every device that holds them.
#[derive(Debug, Parser)]
#[command(name = "pleach", version, max_term_width = 100, propagate_version = true)]
pub(crate) struct Cli {
    /// The folder that holds this node [default: the platform's folder for data]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Print one JSON value a line, and errors as {"error": …} on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Read passphrases from this open file, one a line, in place of `PLEACH_PASSPHRASE` and the terminal
    #[arg(long, global = true, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do. `DB` is the id of a database, or its name where only one has it.
#[derive(Clone, Debug, Subcommand, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Create the node in DIR, and print its public key
    Init {
        /// A name for people to recognise the node by
        #[arg(long)]
        name: Option<String>,
        /// Keep the node's secret keys under a passphrase: from `PLEACH_PASSPHRASE`, or else asked for
        #[arg(long)]
        passphrase: bool,
    },
    /// Change the passphrase that the node's secret keys are under, or put them under one
    Passphrase {
        /// Keep the keys under none from now on
        #[arg(long)]
        remove: bool,
    },
    /// Create a database, and print its id
    Create {
        /// What people call it
        #[arg(value_parser = name)]
        name: String,
        /// Let everybody read it, or read and write it
        #[arg(long, value_name = "PERMISSION")]
        public: Option<Public>,
    },
    /// List the databases that this node holds
    List,
    /// Forget a database, here alone
    Drop {
        /// Id or name
        db: String,
    },
    /// Write a value
    Put(Put),
    /// Read a value, or everything in a store
    Get(Get),
    /// Delete a value; its history stays
    Del {
        /// Id or name
        db: String,
        /// The store's name
        store: String,
        /// The key
        key: String,
    },
    /// Take in a history from JSON lines, one commit a line
    Import {
        /// Id or name
        db: String,
        /// The file; `-` is standard input
        file: PathBuf,
    },
    /// Write a history as JSON lines, in the form that `import` takes
    Export {
        /// Id or name
        db: String,
        /// The file; `-`, or nothing, is standard output
        file: Option<PathBuf>,
    },
    /// Show who may do what in a database, grant a permission, or revoke one
    Keys {
        /// Id or name
        db: String,
        /// What to change
        #[command(subcommand)]
        action: Option<KeysAction>,
    },
    /// Show the history of a database, or of one value
    Log(Log),
    /// Count what a database holds, and hash what it shows
    Stats {
        /// Id or name
        db: String,
    },
    /// Answer peers until interrupted
    Serve(Box<Serve>),
    /// Print a ticket with which others can join a database
    Ticket {
        /// Id or name
        db: String,
        /// Draw it as a QR code as well
        #[arg(long)]
        qr: bool,
    },
    /// Print a ticket that lets whoever has it into a database, list such invites, or revoke one
    Invite(Invite),
    /// Fetch a database by its ticket, and keep it the same from now on
    Join(Join),
    /// List who asks for access to databases here, let somebody in, or reject a request
    Requests {
        /// List those that were decided, too
        #[arg(long)]
        all: bool,
        /// What to decide
        #[command(subcommand)]
        action: Option<RequestsAction>,
    },
    /// Sync now, and say what moved
    Sync {
        /// Id or name; without it, every database with a known peer
        db: Option<String>,
        /// With whom: `http:KEY@host:port`, `https:`, `quic:` or `iroh:` likewise, or `serial:KEY@/dev/tty…`; without it,
        /// every known peer
        #[arg(long, value_name = "ADDRESS", value_parser = address)]
        peer: Option<String>,
    },
    /// Check a whole history again, from its bytes: hashes, signatures, permissions, aggregates
    Verify {
        /// Id or name
        db: String,
    },
    /// Say what this node is and holds
    Status,
    /// List known peers, where they are and what is kept the same with them; or change that
    Peers {
        /// What to change
        #[command(subcommand)]
        action: Option<PeersAction>,
    },
    /// List the databases that a peer lets this node read
    Trees {
        /// `http:KEY@host:port`, `https:`, `quic:` or `iroh:` likewise, or `serial:KEY@/dev/tty…`
        #[arg(value_parser = address)]
        address: String,
    },
    /// What syncs there were, oldest first: the last 512 of this node's, and as many of peers'
    History {
        /// Id or name; without it, every database
        db: Option<String>,
        /// At most this many, the newest
        #[arg(short = 'n', value_name = "N")]
        most: Option<usize>,
    },
    /// Print changes as they happen, until interrupted
    Watch {
        /// Id or name; without it, every database
        db: Option<String>,
    },
    /// The tour: two nodes with real files and sockets that meet, part, edit and meet again
    Demo {
        /// Change one row of one node before the comparison, which must find it
        #[arg(long, hide = true)]
        plant: bool,
    },
    /// Print completions for a shell
    #[serde(skip)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Who may use a database without being named.
#[derive(Clone, Copy, Debug, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Public {
    /// Everybody may read
    Read,
    /// Everybody may read and write
    Write,
}

#[derive(Clone, Debug, Args, Serialize, Deserialize)]
pub(crate) struct Put {
    /// Id or name
    pub(crate) db: String,
    /// The store's name
    pub(crate) store: String,
    /// The key
    pub(crate) key: String,
    /// JSON; what is no JSON is taken as text
    pub(crate) value: String,
}

#[derive(Clone, Debug, Args, Serialize, Deserialize)]
pub(crate) struct Get {
    /// Id or name
    pub(crate) db: String,
    /// The store's name
    pub(crate) store: String,
    /// The key; without it, everything in the store
    pub(crate) key: Option<String>,
}

#[derive(Clone, Debug, Args, Serialize, Deserialize)]
pub(crate) struct Join {
    /// The ticket: `pleach:?db=…`; one that holds an invite lets this node in at once
    #[arg(value_parser = ticket::ticket)]
    pub(crate) uri: TicketText,
    /// Fetch it now, and leave it at that
    #[arg(long)]
    pub(crate) once: bool,
    /// Ask to be let in, if need be: `read`, `write[:N]` or `admin[:N]`
    #[arg(long, value_name = "PERMISSION")]
    pub(crate) request: Option<Asked>,
    /// Ask again from time to time until somebody has decided
    #[arg(long, requires = "request")]
    pub(crate) wait: bool,
    /// The name to ask under [default: this node's]
    #[arg(long, value_parser = request_name)]
    pub(crate) name: Option<String>,
    /// What to say to whoever decides
    #[arg(long, requires = "request", value_name = "TEXT", value_parser = message)]
    pub(crate) message: Option<String>,
}

/// What to do about an access request.
#[derive(Clone, Debug, Subcommand, Serialize, Deserialize)]
pub(crate) enum RequestsAction {
    /// Grant what is asked for, or less
    Approve {
        /// The request, by the id that was shown
        id: Id,
        /// Grant at most this: `read`, `write[:N]` or `admin[:N]`
        #[arg(long)]
        permission: Option<Asked>,
    },
    /// Grant nothing; whoever asked hears so when they ask the same again
    Reject {
        /// The request, by the id that was shown
        id: Id,
    },
}

/// A change of the peer book.
#[derive(Clone, Debug, Subcommand, Serialize, Deserialize)]
pub(crate) enum PeersAction {
    /// Put a peer into the book, or say more of one that is in it
    Add {
        /// Its public key
        key: PublicKey,
        /// What to call it here
        #[arg(long, value_parser = name)]
        name: Option<String>,
        /// Where it may be found; can be given several times
        #[arg(long, value_name = "ADDRESS", value_parser = address)]
        address: Vec<String>,
    },
    /// Take a peer out of the book, and stop keeping databases the same with it
    Remove {
        /// Its public key
        key: PublicKey,
    },
    /// Neither dial nor serve a peer from now on; to it, nothing is here
    Block {
        /// Its public key
        key: PublicKey,
    },
    /// Take up with a peer again
    Unblock {
        /// Its public key
        key: PublicKey,
    },
    /// Change where a peer may be found
    Address {
        /// What to change
        #[command(subcommand)]
        action: PeerAddressAction,
    },
}

/// A change of where a peer may be found.
#[derive(Clone, Debug, Subcommand, Serialize, Deserialize)]
pub(crate) enum PeerAddressAction {
    /// One more place
    Add {
        /// The peer's public key
        key: PublicKey,
        /// `http:host:port`, `https:` or `quic:` likewise, `iroh:place` or `serial:/dev/tty…`
        #[arg(value_parser = address)]
        address: String,
    },
    /// It is no longer there
    Remove {
        /// The peer's public key
        key: PublicKey,
        /// The place, as it was added
        #[arg(value_parser = address)]
        address: String,
    },
}

/// A change of who may do what.
#[derive(Clone, Debug, Subcommand, Serialize, Deserialize)]
pub(crate) enum KeysAction {
    /// Grant a permission
    Grant {
        /// A public key, or `*` for everybody
        key: Who,
        /// `read`, `write[:N]` or `admin[:N]`; a lower N ranks higher, up to 65535
        permission: Asked,
        /// A name for people to recognise the key by
        #[arg(long)]
        name: Option<String>,
        /// Sign with the root key, which ranks above everybody, in place of the node's own
        #[arg(long)]
        as_root: bool,
    },
    /// Revoke what a key was granted
    Revoke {
        /// A public key, or `*` for everybody
        key: Who,
        /// Hide this entry of the key as well, and what the key wrote on top of it: an id, or its beginning as `log`
        /// prints it
        #[arg(long, value_name = "ENTRY")]
        undo: Option<String>,
        /// Sign with the root key, which ranks above everybody, in place of the node's own
        #[arg(long)]
        as_root: bool,
    },
    /// Move the root key of the database out of this node, or back into it
    Root {
        /// Which way
        #[command(subcommand)]
        action: RootAction,
    },
}

/// Which way the root key goes.
#[derive(Clone, Debug, Subcommand, Serialize, Deserialize)]
pub(crate) enum RootAction {
    /// Write the root key to a file that is not there yet, and remove it from this node
    Export {
        /// The file, made for its owner alone; `-` is standard output
        file: PathBuf,
        /// Leave it in this node too
        #[arg(long)]
        keep: bool,
    },
    /// Take the root key into this node
    Import {
        /// The file; `-` is standard input
        file: PathBuf,
    },
}

#[derive(Clone, Debug, Args, Serialize, Deserialize)]
pub(crate) struct Log {
    /// Id or name
    pub(crate) db: String,
    /// With KEY: the history of that value
    #[arg(requires = "key")]
    pub(crate) store: Option<String>,
    /// The key in STORE
    pub(crate) key: Option<String>,
    /// Draw how entries build on each other
    #[arg(long, conflicts_with = "store")]
    pub(crate) graph: bool,
    /// At most this many, newest first
    #[arg(short = 'n', value_name = "N")]
    pub(crate) limit: Option<u64>,
}

#[derive(Clone, Debug, Args, Serialize, Deserialize)]
pub(crate) struct Serve {
    /// Answer HTTP here, such as 127.0.0.1:8080; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<String>,
    /// Answer HTTP over TLS here, by a certificate that says the node key, unless another is given
    #[arg(long, value_name = "ADDR")]
    pub(crate) https: Option<String>,
    /// With --https: the certificates in this file of PEM, the node's own first
    #[arg(long, value_name = "FILE", requires = "https", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// With --https: the secret key in this file of PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Answer QUIC here
    #[arg(long, value_name = "ADDR")]
    pub(crate) quic: Option<String>,
    /// Answer iroh, on any free port unless one is given here
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "0.0.0.0:0")]
    pub(crate) iroh: Option<String>,
    /// With iroh: use this relay (`https://…`) instead of the public ones; may be given several times
    #[arg(long, value_name = "URL", conflicts_with = "iroh_no_relays")]
    pub(crate) iroh_relay: Vec<String>,
    /// With iroh: use no relays, and ask no look-up service
    #[arg(long)]
    pub(crate) iroh_no_relays: bool,
    /// Answer devices on this serial line: a character device in raw mode, or a Unix socket
    #[arg(long, value_name = "PATH")]
    pub(crate) serial: Option<String>,
    /// What it takes on at most
    #[command(flatten)]
    pub(crate) bounds: Bounds,
    /// End when standard input does, for a process that was started by another
    #[arg(long, hide = true)]
    pub(crate) until_eof: bool,
}

impl Command {
    /// Paths as seen from everywhere, since another process may carry the command out.
    pub(crate) fn absolute(mut self) -> std::io::Result<Self> {
        let (Self::Import { file: path, .. }
        | Self::Export { file: Some(path), .. }
        | Self::Keys {
            action:
                Some(KeysAction::Root {
                    action: RootAction::Export { file: path, .. } | RootAction::Import { file: path },
                }),
            ..
        }) = &mut self
        else {
            return Ok(self);
        };
        if path.as_os_str() != STANDARD {
            *path = std::path::absolute(&*path)?;
        }
        Ok(self)
    }
}

/// How standard input and output are written where a file is expected.
pub(crate) const STANDARD: &str = "-";

/// What settings may hold as a name.
fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 256 || text.chars().any(char::is_control) {
        return Err("a name has 1 to 256 bytes and no control characters".into());
    }
    Ok(text.into())
}

/// What an access request may hold as a name.
fn request_name(text: &str) -> Result<String, String> {
    if text.len() > MAX_GRANT_NAME || text.chars().any(char::is_control) {
        return Err(format!("such a name has at most {MAX_GRANT_NAME} bytes and no control characters"));
    }
    Ok(text.into())
}

fn message(text: &str) -> Result<String, String> {
    if text.len() > MAX_REQUEST_METADATA {
        return Err(format!("at most {MAX_REQUEST_METADATA} bytes can be said"));
    }
    Ok(text.into())
}

fn address(text: &str) -> Result<String, String> {
    text.parse::<Address>().map(|_| text.into()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_shows_no_ticket_in_debug() {
        let text = format!("pleach:?db={}", Id::of(b"r"));
        let cli = Cli::try_parse_from(["pleach", "join", &text]).unwrap();
        assert!(!format!("{cli:?}").contains(&text[10..]), "{cli:?}");
    }

    #[test]
    fn the_command_line_is_well_formed() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
