//! `watch`: what happens, as it happens.

use std::fmt;

use pleach_smol::{Id, Notification, Origin};
use serde::Serialize;

use crate::{
    context::Context,
    failure::Ending,
    output::{Shown, entries, faint, strong},
};

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Happened {
    Wrote { id: Id, entries: usize, peer: Option<String>, local: bool },
    Synced { id: Id, peer: String, entries_received: u64, entries_sent: u64 },
    Failed { id: Id, peer: String, reason: String },
    Repaired { id: Id, damaged: u64, waiting: u64 },
    Requested { id: Id, request: String, key: String, name: String, permission: String },
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrote { id, entries: n, peer, local } => {
                let from = if *local { "here" } else { peer.as_deref().unwrap_or("a peer") };
                write!(f, "{}  {} from {from}", faint(id), strong(entries(*n as u64)))
            }
            Self::Synced { id, peer, entries_received, entries_sent } => {
                write!(f, "{}  synced with {peer}: {entries_received} in, {entries_sent} out", faint(id))
            }
            Self::Failed { id, peer, reason } => {
                write!(f, "{}  sync with {peer} failed: {}", faint(id), Shown(reason))
            }
            Self::Requested { id, request, key, name, permission } => write!(
                f,
                "{}  {} ({key}) asks for {permission}: see `pleach requests`, approve {request}",
                faint(id),
                Shown(name)
            ),
            Self::Repaired { id, damaged, waiting } => {
                let (damaged, waiting) = (entries(*damaged), entries(*waiting));
                write!(
                    f,
                    "{}  the store was damaged and is mended: {damaged} to be fetched, {waiting} wait for what is missing",
                    faint(id)
                )
            }
        }
    }
}

pub(super) async fn watch(cx: &Context, db: Option<&str>) -> anyhow::Result<Ending> {
    let only = db.map(|db| cx.id(db)).transpose()?;
    let events = cx.sync().await?.watch()?;
    if !cx.serves {
        cx.out.remark("nothing serves this folder: only a served folder changes (see `pleach serve`)")?;
    }
    while let Some(event) = events.next().await {
        let happened = match event {
            Notification::Wrote { tree, entries, origin } => {
                let (peer, local) = match origin {
                    Origin::Local => (None, true),
                    Origin::Remote(peer) => (peer.map(|peer| peer.to_string()), false),
                };
                Happened::Wrote { id: tree, entries: entries.len(), peer, local }
            }
            Notification::Tracked { tree, peer, outcome: Ok(report) } => Happened::Synced {
                id: tree,
                peer: peer.to_string(),
                entries_received: report.entries_received,
                entries_sent: report.entries_sent,
            },
            Notification::Tracked { tree, peer, outcome: Err(error) } => {
                Happened::Failed { id: tree, peer: peer.to_string(), reason: error.to_string() }
            }
            Notification::Repaired { tree, damage } => {
                Happened::Repaired { id: tree, damaged: damage.count, waiting: damage.waiting }
            }
            Notification::Requested(request) => Happened::Requested {
                id: request.tree,
                request: request.id.to_string(),
                key: request.key.to_string(),
                name: request.name,
                permission: request.permission.to_string(),
            },
            _ => continue,
        };
        let (Happened::Wrote { id, .. }
        | Happened::Synced { id, .. }
        | Happened::Failed { id, .. }
        | Happened::Requested { id, .. }
        | Happened::Repaired { id, .. }) = &happened;
        if only.is_none_or(|only| only == *id) {
            cx.out.put(&happened)?;
        }
    }
    Ok(Ending::Done)
}
