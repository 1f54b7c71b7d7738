//! How an exchange that this node opened ended, and who is told.

use alloc::vec::Vec;

use crate::{
    Id, Now, PublicKey,
    node::{
        NodeError, Notification, Reply, SyncReport, TreeInfo, initiator::Purpose, outbox::Outbox,
        talk::Counts,
    },
    wire::AskOutcome,
};

/// The end of an exchange.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    purpose: Purpose,
    result: Result<Good, NodeError>,
}

#[derive(Clone, Debug)]
enum Good {
    Synced(SyncReport),
    Trees(Vec<TreeInfo>),
    Asked(AskOutcome),
}

impl Ended {
    pub(super) const fn failed(purpose: Purpose, error: NodeError) -> Self {
        Self { purpose, result: Err(error) }
    }

    /// `began` is in monotonic milliseconds.
    pub(super) fn synced(
        purpose: Purpose,
        tree: Id,
        peer: Option<PublicKey>,
        counts: Counts,
        began: u64,
    ) -> Self {
        let report = SyncReport {
            tree,
            peer,
            entries_received: counts.entries_received,
            entries_sent: counts.entries_sent,
            bytes_received: counts.bytes_received,
            bytes_sent: counts.bytes_sent,
            round_trips: counts.round_trips,
            millis: began,
        };
        Self { purpose, result: Ok(Good::Synced(report)) }
    }

    pub(super) const fn trees(purpose: Purpose, trees: Vec<TreeInfo>) -> Self {
        Self { purpose, result: Ok(Good::Trees(trees)) }
    }

    pub(super) const fn asked(purpose: Purpose, outcome: AskOutcome) -> Self {
        Self { purpose, result: Ok(Good::Asked(outcome)) }
    }

    /// Sets the time that it took: until here the report holds when it began.
    pub(super) fn at(mut self, now: Now) -> Self {
        if let Ok(Good::Synced(report)) = &mut self.result {
            report.millis = now.since(report.millis);
        }
        self
    }

    /// The relation that the exchange was for, and whether it succeeded.
    pub(super) const fn relation(&self) -> Option<(Id, PublicKey, bool)> {
        match self.purpose {
            Purpose::Track { tree, peer, .. } => Some((tree, peer, self.result.is_ok())),
            _ => None,
        }
    }

    /// Tells the caller, or the watchers if the background asked.
    pub(super) fn report(self, out: &mut Outbox) {
        match self.purpose {
            Purpose::Sync { command, .. } | Purpose::Discover { command } | Purpose::Ask { command, .. } => {
                let reply = self.result.map(|good| match good {
                    Good::Synced(report) => Reply::Synced(report),
                    Good::Trees(trees) => Reply::Trees(trees),
                    Good::Asked(outcome) => Reply::Asked(outcome),
                });
                out.reply(command, reply);
            }
            Purpose::Track { tree, peer, .. } => {
                let outcome = self.result.and_then(|good| match good {
                    Good::Synced(report) => Ok(report),
                    Good::Trees(_) | Good::Asked(_) => {
                        Err(NodeError::Misbehaved("it answered what was not asked".into()))
                    }
                });
                out.notify(Notification::Tracked { tree, peer, outcome });
            }
        }
    }
}
