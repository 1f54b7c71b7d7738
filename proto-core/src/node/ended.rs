//! How an exchange that this node opened ended, and who is told.

use alloc::vec::Vec;

use crate::{
    Id, Now, PublicKey,
    node::{
        NodeError, Notification, Reply, SyncHistoryEntry, SyncReport, TreeInfo, initiator::Purpose,
        outbox::Outbox, talk::Counts,
    },
    wire::{Address, AskOutcome},
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
    Connected(PublicKey),
}

impl Ended {
    pub(super) const fn failed(purpose: Purpose, error: NodeError) -> Self {
        Self { purpose, result: Err(error) }
    }

    /// `began` is in monotonic milliseconds.
    pub(super) fn synced(
        purpose: Purpose,
        tree: Id,
        (peer, address): (Option<PublicKey>, Address),
        counts: Counts,
        began: u64,
    ) -> Self {
        let report = SyncReport {
            peer,
            address: Some(address),
            entries_received: counts.entries_received,
            entries_sent: counts.entries_sent,
            bytes_received: counts.bytes_received,
            bytes_sent: counts.bytes_sent,
            round_trips: counts.round_trips,
            millis: began,
            ..SyncReport::nothing(tree)
        };
        Self { purpose, result: Ok(Good::Synced(report)) }
    }

    pub(super) const fn trees(purpose: Purpose, trees: Vec<TreeInfo>) -> Self {
        Self { purpose, result: Ok(Good::Trees(trees)) }
    }

    pub(super) const fn asked(purpose: Purpose, outcome: AskOutcome) -> Self {
        Self { purpose, result: Ok(Good::Asked(outcome)) }
    }

    pub(super) const fn connected(purpose: Purpose, peer: PublicKey) -> Self {
        Self { purpose, result: Ok(Good::Connected(peer)) }
    }

    /// Sets the time that it took: until here the report holds when it began.
    pub(super) fn at(mut self, now: Now) -> Self {
        if let Ok(Good::Synced(report)) = &mut self.result {
            report.millis = now.since(report.millis);
        }
        self
    }

    /// Why nothing came of it, if so.
    pub(super) const fn error(&self) -> Option<&NodeError> {
        match &self.result {
            Ok(_) => None,
            Err(error) => Some(error),
        }
    }

    /// What the history keeps of it: of syncs all, but for waits that brought no news.
    pub(super) fn for_history(&self, wall: u64) -> Option<SyncHistoryEntry> {
        match (&self.purpose, &self.result) {
            (Purpose::Stay { .. }, result) if result.is_err() || !self.moved() => None,
            (_, Ok(Good::Synced(report))) => Some(SyncHistoryEntry::of_report(report, wall)),
            (Purpose::Sync { tree, .. }, Err(error)) => {
                Some(SyncHistoryEntry::of_failure(*tree, None, error, wall))
            }
            (Purpose::Track { tree, peer, .. }, Err(error)) => {
                Some(SyncHistoryEntry::of_failure(*tree, Some(*peer), error, wall))
            }
            _ => None,
        }
    }

    /// Whether the background began it.
    pub(super) const fn is_tracked(&self) -> bool {
        matches!(self.purpose, Purpose::Track { .. })
    }

    /// Whether entries went either way.
    fn moved(&self) -> bool {
        matches!(&self.result, Ok(Good::Synced(report)) if report.moved())
    }

    /// What it says about a pair of tree and peer.
    pub(super) fn about_pair(&self) -> Option<(Id, PublicKey, Outcome<'_>)> {
        match (&self.purpose, &self.result) {
            (Purpose::Sync { tree, .. }, Ok(Good::Synced(report))) => {
                Some((*tree, report.peer?, Outcome::Synced(report)))
            }
            (Purpose::Track { tree, peer, .. }, Ok(Good::Synced(report))) => {
                Some((*tree, *peer, Outcome::Synced(report)))
            }
            (Purpose::Track { tree, peer, .. }, Err(error)) => Some((*tree, *peer, Outcome::Failed(error))),
            (Purpose::Stay { tree, peer, .. }, Ok(Good::Synced(report))) => {
                Some((*tree, *peer, Outcome::Stayed(report)))
            }
            (Purpose::Stay { tree, peer, .. }, Err(error)) => Some((*tree, *peer, Outcome::Left(error))),
            (Purpose::Apply { ask, peer }, Ok(Good::Asked(outcome))) => {
                Some((ask.0.tree, *peer, Outcome::Asked(*outcome)))
            }
            (Purpose::Apply { ask, peer }, Err(_)) => Some((ask.0.tree, *peer, Outcome::NotAsked)),
            _ => None,
        }
    }

    /// Tells the caller, or the watchers if the background asked.
    pub(super) fn report(self, out: &mut Outbox) {
        if self.purpose.stays() && !self.moved() {
            // That nothing is new is no news.
        } else if let Purpose::Track { tree, peer, .. } | Purpose::Stay { tree, peer, .. } = self.purpose {
            let outcome = self.result.and_then(|good| match good {
                Good::Synced(report) => Ok(report),
                Good::Trees(_) | Good::Asked(_) | Good::Connected(_) => {
                    Err(NodeError::Misbehaved("it answered what was not asked".into()))
                }
            });
            out.notify(Notification::Tracked { tree, peer, outcome });
        } else if let Some(command) = self.purpose.command() {
            let reply = self.result.map(|good| match good {
                Good::Synced(report) => Reply::Synced(report),
                Good::Trees(trees) => Reply::Trees(trees),
                Good::Asked(outcome) => Reply::Asked(outcome),
                Good::Connected(peer) => Reply::Connected(peer),
            });
            out.reply(command, reply);
        }
    }
}

/// What an exchange says about a pair of tree and peer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome<'a> {
    /// Both hold the same.
    Synced(&'a SyncReport),
    /// The background came to nothing.
    Failed(&'a NodeError),
    /// The background has waited for news, and both hold the same.
    Stayed(&'a SyncReport),
    /// It could not wait for news, or no longer.
    Left(&'a NodeError),
    /// The background has asked for access.
    Asked(AskOutcome),
    /// It could not.
    NotAsked,
}
