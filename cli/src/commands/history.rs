//! `history`: what syncs there were.

use std::fmt;

use pleach_smol::{HistoryFilter, Id, PublicKey, SyncHistoryEntry, SyncRole};
use serde::Serialize;

use crate::{
    context::Context,
    failure::Ending,
    output::{Bytes, Moment, Shown, entries, faint, strong},
};

/// A sync that there was.
#[derive(Serialize)]
struct Was {
    /// Wall milliseconds.
    at: u64,
    id: Id,
    peer: Option<PublicKey>,
    role: SyncRole,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    entries_received: u64,
    entries_sent: u64,
    bytes_received: u64,
    bytes_sent: u64,
    round_trips: u32,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Was {
    fn new(entry: SyncHistoryEntry) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "no sync takes 2^53 milliseconds")]
        let seconds = entry.millis as f64 / 1000.0;
        Self {
            at: entry.at,
            id: entry.tree_id,
            peer: entry.peer_pubkey,
            role: entry.role,
            address: entry.address.map(|address| address.to_string()),
            entries_received: entry.entries_received,
            entries_sent: entry.entries_sent,
            bytes_received: entry.bytes_received,
            bytes_sent: entry.bytes_sent,
            round_trips: entry.round_trips,
            seconds,
            error: entry.error,
        }
    }
}

impl fmt::Display for Was {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begun = match self.role {
            SyncRole::Opened => "with",
            SyncRole::Served => "begun by",
        };
        write!(f, "{}  {} {begun} ", Moment(self.at), faint(self.id))?;
        match (&self.peer, &self.address) {
            (Some(peer), _) => write!(f, "{peer}")?,
            (None, Some(address)) => write!(f, "{}", Shown(address))?,
            (None, None) => f.write_str("somebody who gave no key")?,
        }
        match &self.error {
            Some(error) => write!(f, ": failed: {}", Shown(error)),
            None => write!(
                f,
                ": received {} ({}), sent {} ({}), {:.2} s",
                strong(entries(self.entries_received)),
                Bytes(self.bytes_received),
                strong(entries(self.entries_sent)),
                Bytes(self.bytes_sent),
                self.seconds
            ),
        }
    }
}

pub(super) async fn history(cx: &Context, db: Option<&str>, most: Option<usize>) -> anyhow::Result<Ending> {
    let mut filter = HistoryFilter::new();
    if let Some(db) = db {
        filter = filter.tree(cx.id(db)?);
    }
    if let Some(most) = most {
        filter = filter.limit(most);
    }
    for entry in cx.sync().await?.get_sync_history(&filter).await? {
        cx.out.put(&Was::new(entry))?;
    }
    Ok(Ending::Done)
}
