//! What a node that serves takes on at most.

use clap::Args;
use pleach_smol::Limits;
use serde::{Deserialize, Serialize};

/// Limits that are the owner's to choose; without them the node's own hold.
#[derive(Clone, Copy, Debug, Default, Args, Serialize, Deserialize)]
pub(crate) struct Bounds {
    /// Let in at most this many connections at each address [default: 512]
    #[arg(long = "max-connections", value_name = "N")]
    connections: Option<usize>,
    /// Let in at most this many of them from one source that nobody knows [default: 64]
    #[arg(long = "max-connections-of-source", value_name = "N")]
    connections_of_source: Option<usize>,
    /// Have at most this many exchanges open that peers began, half of which may wait for news [default: 256]
    #[arg(long = "max-exchanges", value_name = "N")]
    exchanges: Option<usize>,
    /// Wait for news of at most this many pairs of database and peer [default: 64]
    #[arg(long = "max-waits", value_name = "N")]
    waits: Option<usize>,
    /// Hold at most this many MiB of entries between arrival and disk [default: 32]
    #[arg(long = "max-arriving", value_name = "MIB")]
    arriving: Option<usize>,
    /// Keep records of at most this many syncs [default: 512]
    #[arg(long = "max-history", value_name = "N")]
    history: Option<usize>,
    /// Keep at most this many access requests that wait for a decision [default: 1024]
    #[arg(long = "max-requests", value_name = "N")]
    requests: Option<usize>,
    /// Remember at most this many peers that came and are not in the book [default: 256]
    #[arg(long = "max-guests", value_name = "N")]
    guests: Option<usize>,
}

impl Bounds {
    /// As the node takes them.
    pub(crate) fn limits(self) -> Limits {
        let set = |limits, given: Option<usize>, call: fn(Limits, usize) -> Limits| match given {
            Some(given) => call(limits, given),
            None => limits,
        };
        let limits = set(Limits::new(), self.connections, Limits::connections);
        let limits = set(limits, self.connections_of_source, Limits::connections_of_source);
        let limits = set(limits, self.exchanges, Limits::exchanges);
        let limits = set(limits, self.waits, Limits::waits);
        let bytes = self.arriving.map(|mib| mib.saturating_mul(1 << 20));
        let limits = set(limits, bytes, Limits::held_bytes);
        let limits = set(limits, self.history, Limits::history);
        let limits = set(limits, self.requests, Limits::requests);
        set(limits, self.guests, Limits::acquaintances)
    }
}
