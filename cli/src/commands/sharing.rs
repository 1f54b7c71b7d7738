//! `ticket`, `join`: how a database gets to another node.

use std::{fmt, time::Instant};

use anyhow::Context as _;
use pleach_smol::{Address, DatabaseTicket, SyncPeerInfo, SyncReport};
use serde::Serialize;

use super::{
    asking,
    exchange::{Moved, with_progress},
};
use crate::{
    args::Join,
    context::Context,
    failure::{Ending, Misuse},
    output::{bad, good, strong},
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
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Joined,
    Pending,
    Rejected,
    Refused,
}

#[derive(Serialize)]
struct Joining {
    outcome: Outcome,
    #[serde(flatten)]
    moved: Moved,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl fmt::Display for Joining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome {
            Outcome::Joined => write!(f, "{} {}", good("joined"), self.moved)?,
            Outcome::Pending => strong("pending").fmt(f)?,
            Outcome::Rejected => bad("rejected").fmt(f)?,
            Outcome::Refused => bad("refused").fmt(f)?,
        }
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

/// What an attempt to join came to.
pub(super) struct Attempt {
    pub(super) outcome: Outcome,
    /// What was moved, if anything could be read.
    pub(super) report: Option<SyncReport>,
    /// Why it is not over, or how it failed.
    pub(super) reason: Option<String>,
}

pub(super) async fn join(cx: &Context, join: &Join) -> anyhow::Result<Ending> {
    let ticket: DatabaseTicket = join.uri.parse().map_err(|error| Misuse(format!("{error}")))?;
    let sync = cx.sync().await?;
    let start = Instant::now();
    let attempt = if let Some(request) = asking::request(cx, join)? {
        asking::join(cx, &sync, &ticket, &request, join.wait).await
    } else {
        let report = with_progress(cx, &sync, sync.sync_with_ticket(&ticket)).await;
        report.map(|report| Attempt { outcome: Outcome::Joined, report: Some(report), reason: None })
    };
    let attempt = match attempt {
        Ok(attempt) => attempt,
        Err(error) if error.is_permission_denied() => {
            let reason =
                format!("{error}, or ask with --request (this node is {})", cx.instance.device_key());
            Attempt { outcome: Outcome::Refused, report: None, reason: Some(reason) }
        }
        Err(error) => return Err(error).context("the database was not joined"),
    };
    let moved = if let Some(report) = &attempt.report {
        if let Some(peer) = report.peer.filter(|_| !join.once) {
            let theirs = |address: &&Address| address.key == Some(peer);
            let addresses = ticket.addresses().iter().filter(theirs).cloned().collect();
            sync.register_sync_peer(SyncPeerInfo::new(peer, report.tree, addresses)).await?;
        }
        Moved::new(report)
    } else {
        let peer = ticket.addresses().first().and_then(|address| address.key);
        Moved::nothing(ticket.database(), peer, start.elapsed().as_secs_f64())
    };
    cx.out.put(&Joining { outcome: attempt.outcome, moved, reason: attempt.reason })?;
    Ok(match attempt.outcome {
        Outcome::Joined | Outcome::Pending => Ending::Done,
        Outcome::Rejected | Outcome::Refused => Ending::Failed,
    })
}
