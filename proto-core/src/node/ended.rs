//! How an exchange that this node opened ended, and who is told.

use alloc::vec::Vec;

use crate::{
    Id, Now, PublicKey,
    node::{
        Counts, LostSource, NodeError, Notification, Reply, SyncHistoryEntry, SyncReport, TreeInfo,
        initiator::Purpose, lost, outbox::Outbox,
    },
    wire::{Address, AskOutcome},
};

/// The end of an exchange, or of a race of several.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    purpose: Purpose,
    result: Result<Good, NodeError>,
    /// Whom an exchange that failed was with.
    peer: Option<PublicKey>,
    /// What an exchange that failed has moved.
    moved: Counts,
    /// Exchanges of the race that failed.
    lost: Vec<LostSource>,
}

#[derive(Clone, Debug)]
enum Good {
    Synced(SyncReport),
    Trees(Vec<TreeInfo>),
    Asked(AskOutcome, Address),
    Connected(PublicKey),
}

impl Ended {
    const fn new(purpose: Purpose, result: Result<Good, NodeError>) -> Self {
        Self { purpose, result, peer: None, moved: Counts::NOTHING, lost: Vec::new() }
    }

    pub(super) const fn failed(purpose: Purpose, error: NodeError) -> Self {
        Self::new(purpose, Err(error))
    }

    /// The same of an exchange in which this was moved.
    pub(super) const fn with(mut self, peer: Option<PublicKey>, moved: Counts) -> Self {
        self.peer = peer;
        self.moved = moved;
        self
    }

    /// All that was tried has failed.
    pub(super) fn all_failed(purpose: Purpose, lost: Vec<LostSource>) -> Self {
        Self::failed(purpose, lost::all_failed(lost.clone())).after(lost)
    }

    /// The same after others of the race that failed.
    pub(super) fn after(mut self, lost: Vec<LostSource>) -> Self {
        self.lost = lost;
        self
    }

    /// What its race keeps of an exchange that failed.
    pub(super) const fn lost(&self, address: Address, error: NodeError) -> LostSource {
        LostSource { address, peer: self.peer, error, moved: self.moved }
    }

    /// Whether somebody else may answer what helps more: whoever is no administrator's node cannot take an invite.
    pub(super) fn may_be_bettered(&self) -> bool {
        let invited = matches!(&self.purpose, Purpose::Ask { ask, .. } if ask.0.invite.is_some());
        invited && matches!(&self.result, Ok(Good::Asked(AskOutcome::Received, _)))
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
            millis: began,
            ..SyncReport::nothing(tree).with(&counts)
        };
        Self::new(purpose, Ok(Good::Synced(report)))
    }

    pub(super) const fn trees(purpose: Purpose, trees: Vec<TreeInfo>) -> Self {
        Self::new(purpose, Ok(Good::Trees(trees)))
    }

    pub(super) const fn asked(purpose: Purpose, outcome: AskOutcome, address: Address) -> Self {
        Self::new(purpose, Ok(Good::Asked(outcome, address)))
    }

    pub(super) const fn connected(purpose: Purpose, peer: PublicKey) -> Self {
        Self::new(purpose, Ok(Good::Connected(peer)))
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

    /// What the history keeps of it: of syncs all, but for waits that brought no news; and of what was lost before, all
    /// that had moved entries.
    pub(super) fn for_history(&self, wall: u64) -> Vec<SyncHistoryEntry> {
        let (tree, peer) = match &self.purpose {
            Purpose::Stay { .. } if self.error().is_some() || !self.moved() => return Vec::new(),
            Purpose::Sync { tree, .. } => (*tree, None),
            Purpose::Track { tree, peer, .. } | Purpose::Stay { tree, peer, .. } => (*tree, Some(*peer)),
            _ => return Vec::new(),
        };
        let moved = self.lost.iter().filter(|source| source.moved.moved());
        let mut entries: Vec<_> = moved.map(|source| SyncHistoryEntry::of_lost(tree, source, wall)).collect();
        match &self.result {
            Ok(Good::Synced(report)) => entries.push(SyncHistoryEntry::of_report(report, wall)),
            // The only one that was tried says it already.
            Err(_) if entries.len() == 1 && self.lost.len() == 1 => {}
            Err(error) => entries.push(SyncHistoryEntry::of_failure(tree, peer, error, wall)),
            Ok(_) => {}
        }
        entries
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
            (Purpose::Apply { ask, peer }, Ok(Good::Asked(outcome, _))) => {
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
                Good::Synced(report) => Ok(report.after(self.lost)),
                Good::Trees(_) | Good::Asked(..) | Good::Connected(_) => {
                    Err(NodeError::Misbehaved("it answered what was not asked".into()))
                }
            });
            out.notify(Notification::Tracked { tree, peer, outcome });
        } else if let Some(command) = self.purpose.command() {
            let reply = self.result.map(|good| match good {
                Good::Synced(report) => Reply::Synced(report.after(self.lost)),
                Good::Trees(trees) => Reply::Trees(trees),
                Good::Asked(outcome, address) => Reply::Asked(outcome, address),
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
