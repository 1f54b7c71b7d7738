//! `ticket`, `join`: how a database gets to another node.

use std::{fmt, time::Instant};

use anyhow::Context as _;
use pleach_smol::{Address, DatabaseTicket, Id, SyncError, SyncPeerInfo};
use serde::Serialize;

use super::exchange::{Moved, with_progress};
use crate::{
    context::Context,
    failure::{Ending, Misuse},
    output::{bad, good},
};

#[derive(Serialize)]
struct Ticket {
    ticket: String,
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.ticket)
    }
}

pub(super) async fn ticket(cx: &Context, db: &str) -> anyhow::Result<Ending> {
    let id = cx.id(db)?;
    let ticket = cx.sync().await?.create_ticket(&id)?;
    if ticket.addresses().is_empty() {
        cx.out.remark("no server is running: the ticket names no address (see `pleach serve`)")?;
    }
    cx.out.put(&Ticket { ticket: ticket.to_string() })?;
    Ok(Ending::Done)
}

/// How an attempt to join ended.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Joined,
    Refused,
}

#[derive(Serialize)]
struct Join {
    outcome: Outcome,
    #[serde(flatten)]
    moved: Moved,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl fmt::Display for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Some(reason) => write!(f, "{}: {reason}", bad("refused")),
            None => write!(f, "{} {}", good("joined"), self.moved),
        }
    }
}

pub(super) async fn join(cx: &Context, uri: &str, once: bool) -> anyhow::Result<Ending> {
    let ticket: DatabaseTicket = uri.parse().map_err(|error| Misuse(format!("{error}")))?;
    let sync = cx.sync().await?;
    let start = Instant::now();
    let report = with_progress(cx, &sync, sync.sync_with_ticket(&ticket)).await;
    let report = match report {
        Ok(report) => report,
        Err(error) if error.is_permission_denied() => return refused(cx, &ticket, start, &error),
        Err(error) => return Err(error).context("the database was not joined"),
    };
    let moved = Moved::new(&report);
    if let Some(peer) = report.peer.filter(|_| !once) {
        let theirs = |address: &&Address| address.key == Some(peer);
        let addresses = ticket.addresses().iter().filter(theirs).cloned().collect();
        sync.register_sync_peer(SyncPeerInfo::new(peer, report.tree, addresses)).await?;
    }
    cx.out.put(&Join { outcome: Outcome::Joined, moved, reason: None })?;
    Ok(Ending::Done)
}

fn refused(
    cx: &Context,
    ticket: &DatabaseTicket,
    start: Instant,
    error: &SyncError,
) -> anyhow::Result<Ending> {
    let id: Id = ticket.database();
    let peer = ticket.addresses().first().and_then(|address| address.key);
    let moved = Moved::nothing(id, peer, start.elapsed().as_secs_f64());
    let own = cx.instance.device_key();
    let reason = format!("{error} (this node is {own})");
    cx.out.put(&Join { outcome: Outcome::Refused, moved, reason: Some(reason) })?;
    Ok(Ending::Failed)
}
