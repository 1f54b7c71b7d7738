//! `sync`, `trees`: exchanges with peers.

use std::{fmt, future::Future};

use anyhow::{Context as _, bail};
use futures_lite::future;
use pleach_smol::{Address, Id, PublicKey, Sync, SyncError, SyncReport};
use serde::Serialize;

use crate::{
    context::Context,
    failure::{Ending, Misuse},
    output::{Bytes, Counted, Moment, Shown, entries, faint, strong},
};

/// What an exchange moved.
#[derive(Serialize)]
pub(super) struct Moved {
    id: Id,
    peer: Option<PublicKey>,
    entries_received: u64,
    entries_sent: u64,
    bytes_received: u64,
    bytes_sent: u64,
    round_trips: u32,
    seconds: f64,
}

impl Moved {
    pub(super) fn new(report: &SyncReport) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "no exchange takes 2^53 milliseconds")]
        let seconds = report.millis as f64 / 1000.0;
        Self {
            id: report.tree,
            peer: report.peer,
            entries_received: report.entries_received,
            entries_sent: report.entries_sent,
            bytes_received: report.bytes_received,
            bytes_sent: report.bytes_sent,
            round_trips: report.round_trips,
            seconds,
        }
    }

    pub(super) const fn nothing(id: Id, peer: Option<PublicKey>, seconds: f64) -> Self {
        Self {
            id,
            peer,
            entries_received: 0,
            entries_sent: 0,
            bytes_received: 0,
            bytes_sent: 0,
            round_trips: 0,
            seconds,
        }
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: received {} ({}), sent {} ({}), {}, {:.2} s",
            faint(self.id),
            strong(entries(self.entries_received)),
            Bytes(self.bytes_received),
            strong(entries(self.entries_sent)),
            Bytes(self.bytes_sent),
            Counted(self.round_trips.into(), "round trip", "round trips"),
            self.seconds
        )
    }
}

/// Shows how exchanges move on while something waits for one.
pub(super) async fn with_progress<T>(
    cx: &Context,
    sync: &Sync,
    exchange: impl Future<Output = Result<T, SyncError>>,
) -> Result<T, SyncError> {
    let steps = sync.progress()?;
    let bar = cx.out.progress("syncing");
    future::or(exchange, async {
        while let Some(step) = steps.next().await {
            bar.set(step.received + step.sent, step.to_receive + step.to_send);
        }
        future::pending().await
    })
    .await
}

pub(super) async fn sync(cx: &Context, db: Option<&str>, peer: Option<&str>) -> anyhow::Result<Ending> {
    let peer = peer.map(address).transpose()?;
    let id = db.map(|db| cx.id(db)).transpose()?;
    let sync = cx.sync().await?;
    if let Some(peer) = peer {
        for report in with_progress(cx, &sync, sync.sync_with_peer(&peer, id.as_ref())).await? {
            cx.out.put(&Moved::new(&report))?;
        }
        return Ok(Ending::Done);
    }
    let ids = if let Some(id) = id {
        vec![id]
    } else {
        let mut ids: Vec<_> = sync.sync_peers()?.into_iter().map(|info| info.tree_id).collect();
        ids.dedup();
        ids
    };
    if ids.is_empty() {
        bail!("no peer is known: name one with --peer, or join a database with its ticket");
    }
    let mut ending = Ending::Done;
    for id in ids {
        for (peer, outcome) in with_progress(cx, &sync, sync.sync_database(&id)).await? {
            match outcome {
                Ok(report) => cx.out.put(&Moved::new(&report))?,
                Err(error) => {
                    cx.out.error(&anyhow::Error::new(error).context(format!("{id} with {peer}")));
                    ending = Ending::Failed;
                }
            }
        }
    }
    Ok(ending)
}

#[derive(Serialize)]
struct Offered {
    id: Id,
    name: String,
    entries: u64,
    changed: u64,
}

impl fmt::Display for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, changed) = (Shown(&self.name), Moment(self.changed));
        write!(f, "{}  {}  {}, last {changed}", faint(self.id), strong(name), entries(self.entries))
    }
}

pub(super) async fn trees(cx: &Context, at: &str) -> anyhow::Result<Ending> {
    let address = address(at)?;
    let trees = cx.sync().await?.discover_peer_trees(&address).await;
    for tree in trees.with_context(|| format!("{address} was asked"))? {
        cx.out.put(&Offered {
            id: tree.id,
            name: tree.name,
            entries: tree.entries,
            changed: tree.changed,
        })?;
    }
    Ok(Ending::Done)
}

pub(super) fn address(text: &str) -> anyhow::Result<Address> {
    Ok(text.parse().map_err(|error| Misuse(format!("{text:?} is no address: {error}")))?)
}
