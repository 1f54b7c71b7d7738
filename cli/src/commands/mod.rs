//! What each command does, given an open node. The process that serves a folder runs the same code for others.
//!
//! | file | commands |
//! |---|---|
//! | `about` | `init status` |
//! | `databases` | `create list drop stats verify` |
//! | `values` | `put get del` |
//! | `keys`, `root_key` | `keys` |
//! | `log`, `graph` | `log` |
//! | `transfer` | `import export` |
//! | `sharing` | `ticket join` |
//! | `asking` | `join --request` |
//! | `inviting` | `invite` |
//! | `requests` | `requests` |
//! | `exchange` | `sync trees` |
//! | `peers` | `peers` |
//! | `watch` | `watch` |
//! | `history` | `history` |

mod about;
mod asking;
mod databases;
mod exchange;
mod graph;
mod history;
mod inviting;
mod keys;
mod log;
mod peers;
mod requests;
mod root_key;
mod sharing;
mod transfer;
mod values;
mod watch;

use anyhow::bail;

use crate::{args::Command, context::Context, failure::Ending};

/// Carries out a command.
pub(crate) async fn run(cx: &Context, command: Command) -> anyhow::Result<Ending> {
    match command {
        Command::Init { name, .. } => about::init(cx, name.as_deref()),
        Command::Status => about::status(cx).await,
        Command::Create { name, public } => databases::create(cx, &name, public).await,
        Command::List => databases::list(cx),
        Command::Drop { db } => databases::forget(cx, &db).await,
        Command::Stats { db } => databases::stats(cx, &db),
        Command::Verify { db } => databases::verify(cx, &db),
        Command::Put(put) => values::put(cx, put).await,
        Command::Get(get) => values::get(cx, &get),
        Command::Del { db, store, key } => values::delete(cx, &db, &store, &key).await,
        Command::Keys { db, action } => keys::keys(cx, &db, action).await,
        Command::Log(log) => log::log(cx, &log),
        Command::Import { db, file } => transfer::import(cx, &db, &file).await,
        Command::Export { db, file } => transfer::export(cx, &db, file.as_deref()),
        Command::Ticket { db, qr } => sharing::ticket(cx, &db, qr).await,
        Command::Invite(invite) => inviting::invite(cx, &invite).await,
        Command::Join(join) => sharing::join(cx, &join).await,
        Command::Requests { all, action } => requests::requests(cx, all, action).await,
        Command::Sync { db, peer } => exchange::sync(cx, db.as_deref(), peer.as_deref()).await,
        Command::Peers { action } => peers::peers(cx, action).await,
        Command::Trees { address } => exchange::trees(cx, &address).await,
        Command::History { db, most } => history::history(cx, db.as_deref(), most).await,
        Command::Watch { db } => watch::watch(cx, db.as_deref()).await,
        Command::Passphrase { .. }
        | Command::Serve(_)
        | Command::Demo { .. }
        | Command::Completions { .. } => {
            bail!("this command is carried out by the process that it is given to")
        }
    }
}
