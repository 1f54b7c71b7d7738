//! `ticket`, `join`: how a database gets to another node.

use std::{fmt, time::Instant};

use anyhow::{Context as _, ensure};
use pleach_smol::{Address, DatabaseTicket, Invitation, SyncPeerInfo, SyncReport};
use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};
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
    #[serde(skip)]
    code: Option<QrCode>,
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, &self.ticket, self.code.as_ref())
    }
}

/// A ticket, below its QR code if there is one.
pub(super) fn show(f: &mut fmt::Formatter<'_>, ticket: &str, code: Option<&QrCode>) -> fmt::Result {
    if let Some(code) = code {
        // Terminals are dark far more often than not: what is light in the code is what is written.
        let mut image = code.render::<Dense1x2>();
        let image = image.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
        writeln!(f, "{image}")?;
    }
    f.write_str(ticket)
}

/// Says so if a ticket names nobody who could be asked.
pub(super) fn remark_addresses(cx: &Context, ticket: &DatabaseTicket) -> anyhow::Result<()> {
    if ticket.addresses().is_empty() {
        cx.out.remark("no server is running: the ticket names no address (see `pleach serve`)")?;
    }
    Ok(())
}

pub(super) async fn ticket(cx: &Context, db: &str, qr: bool) -> anyhow::Result<Ending> {
    let id = cx.id(db)?;
    let ticket = cx.sync().await?.create_ticket(&id)?;
    remark_addresses(cx, &ticket)?;
    let code = if qr { Some(code(&ticket)?) } else { None };
    cx.out.put(&Ticket { ticket: ticket.to_string(), code })?;
    Ok(Ending::Done)
}

/// A QR code of a ticket. Ids, keys and invites are in upper case in it, for which a character takes 5.5 bits in place of
/// 8.
pub(super) fn code(ticket: &DatabaseTicket) -> anyhow::Result<QrCode> {
    let keys = ticket.addresses().iter().filter_map(|address| address.key);
    let texts = keys.map(|key| key.to_string()).chain([ticket.database().to_string()]);
    let texts = texts.chain(ticket.invite().map(Invitation::to_text));
    let short = texts.fold(ticket.to_string(), |short, text| short.replace(&text, &text.to_uppercase()));
    ensure!(short.parse().as_ref() == Ok(ticket), "the ticket cannot be shortened: take it as text");
    QrCode::with_error_correction_level(short, EcLevel::L).map_err(|error| {
        anyhow::anyhow!("the ticket does not fit into a QR code ({error}): serve on fewer addresses")
    })
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
    let ticket: DatabaseTicket = join.uri.text().parse().map_err(|error| Misuse(format!("{error}")))?;
    let sync = cx.sync().await?;
    let start = Instant::now();
    let attempt = if let Some(request) = asking::request(cx, join, &ticket)? {
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
