//! How a pair of database and peer stands, as people want to know it.

use alloc::string::String;

use crate::{
    Id,
    node::{Activity, Moved, PairError, PairStatus, PeerStatus},
    storage::{Snapshot, StorageError},
    wire::AskOutcome,
};

/// Failures one after the other from which a pair counts as stuck: the first two are what a restart of the peer costs.
const STUCK_AFTER: u32 = 3;

/// Milliseconds of silence in the middle of an exchange from which it counts as stuck. It is given up later.
const STUCK_SILENCE: u64 = 10_000;

/// How the sync of a database with a peer stands at one moment. Times of day are wall milliseconds of this node.
///
/// ```
/// # use pleach_core::{instance::{Stuck, SyncPhase, SyncStatus}, node::PairStatus};
/// let nothing_known = SyncStatus::new(false, PairStatus::default());
/// assert_eq!(nothing_known.phase, SyncPhase::Off);
/// assert_eq!(nothing_known.stuck, Some(Stuck::NoAddress));
/// ```
///
/// ```
/// # use pleach_blocking::{Error, Id, Instance, Memory};
/// # use pleach_core::instance::SyncStatus;
/// # let instance = Instance::open(Memory::new())?;
/// let elsewhere = SyncStatus::of(&*instance.snapshot()?, &Id::of(b"another"), None, None)?;
/// assert!(!elsewhere.has_local_data);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncStatus {
    /// The database is held here: something of it, at least.
    pub has_local_data: bool,
    /// What is happening.
    pub phase: SyncPhase,
    /// When both held the same last, over restarts.
    pub last_sync: Option<u64>,
    /// Why the last attempt failed; nothing if it went well.
    pub last_error: Option<PairError>,
    /// Attempts of the background that failed since the last success.
    pub failures: u32,
    /// Milliseconds until the background tries again, unless there is news before.
    pub next_try: Option<u64>,
    /// What the exchange under way has moved and has yet to move; nothing moved if there is none.
    pub moved: Moved,
    /// Bytes that are yet to be moved, both ways, if entries to come are as large as those that were moved.
    pub bytes_to_come: Option<u64>,
    /// Bytes a second, both ways, since the exchange began.
    pub rate: Option<u64>,
    /// Milliseconds until all is moved, if it goes on like this.
    pub remaining: Option<u64>,
    /// Why it does not get on; nothing if it does.
    pub stuck: Option<Stuck>,
}

/// What is happening about a pair of database and peer.
///
/// ```
/// # use pleach_core::{instance::{SyncPhase, SyncStatus}, node::PairStatus};
/// let status = SyncStatus::new(false, PairStatus::default());
/// assert_eq!(status.phase, SyncPhase::Off, "nobody asked for it");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SyncPhase {
    /// The background does nothing about it: only a caller begins.
    Off,
    /// The peer is blocked, or inactive.
    Paused,
    /// Nothing: both held the same last, and the next sync comes in time or with the next commit; or another peer brings the
    /// database, and this one has its turn after it.
    Waiting,
    /// The peer is dialled, and has said nothing yet.
    Connecting,
    /// The two compare what they hold, or move entries.
    Syncing,
    /// The peer refused, and is asked for access.
    Asking,
    /// Nothing, until it is time to try again.
    Retrying,
}

/// Why a sync does not get on.
///
/// ```
/// # use pleach_core::instance::Stuck;
/// let stuck = Stuck::Silent { millis: 12_000 };
/// assert_eq!(stuck.to_string(), "the peer has said nothing for 12000 ms");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Stuck {
    /// Somebody here blocked the peer.
    #[error("the peer is blocked here: unblock it")]
    Blocked,
    /// Somebody here has set the peer aside.
    #[error("the peer is inactive here: make it active")]
    Inactive,
    /// Nobody knows where the peer is.
    #[error("no address of the peer is known: add one, or wait until it calls")]
    NoAddress,
    /// The peer does not let this node do it, and was not asked for access.
    #[error("the peer refuses: ask an administrator for access")]
    Refused,
    /// The peer refuses what this node may do by itself, and a user who tracks the database with a key under a password is
    /// not logged in.
    #[error("the peer refuses this node, and the key of {user} is not there to be proven: log in")]
    LoggedOut {
        /// The user's name.
        user: String,
    },
    /// Access was asked for, and nobody has decided.
    #[error("nobody has decided about the access request: ask an administrator")]
    Undecided,
    /// Access was asked for, and is not granted.
    #[error("an administrator rejected the access request: talk to them")]
    Rejected,
    /// It failed again and again.
    #[error("it failed {failures} times: {reason}")]
    Failing {
        /// How often since the last success.
        failures: u32,
        /// Why the last time.
        reason: String,
    },
    /// The peer has said nothing for a while, in the middle of an exchange.
    #[error("the peer has said nothing for {millis} ms")]
    Silent {
        /// Milliseconds.
        millis: u64,
    },
}

impl SyncStatus {
    /// Puts together what the store and what the node know. Of a pair that is unknown, the default is known.
    pub fn new(has_local_data: bool, pair: PairStatus) -> Self {
        let moved = match pair.activity {
            Activity::Syncing(moved) => moved,
            _ => Moved::default(),
        };
        let done = moved.entries_received.saturating_add(moved.entries_sent);
        let to_come = moved.entries_to_receive.saturating_add(moved.entries_to_send);
        let bytes = moved.bytes_received.saturating_add(moved.bytes_sent);
        Self {
            has_local_data,
            phase: phase(&pair),
            stuck: stuck(&pair),
            last_sync: pair.record.last_sync,
            last_error: pair.record.last_error,
            failures: pair.record.failures,
            next_try: pair.next_try,
            moved,
            bytes_to_come: proportion(to_come, bytes, done),
            rate: proportion(1_000, bytes, moved.millis).filter(|_| bytes > 0),
            remaining: proportion(to_come, moved.millis, done),
        }
    }

    /// The same, with what a snapshot holds, and a user who is logged out and whose key may be the one that is missing.
    pub fn of(
        snapshot: &dyn Snapshot,
        tree: &Id,
        pair: Option<PairStatus>,
        logged_out: Option<&str>,
    ) -> Result<Self, StorageError> {
        let pair = pair.unwrap_or_default();
        let user = logged_out.filter(|_| pair.refused);
        let mut status = Self::new(snapshot.summary(tree)?.is_some(), pair);
        if let (Some(user), Some(_)) = (user, &status.stuck) {
            status.stuck = Some(Stuck::LoggedOut { user: user.into() });
        }
        Ok(status)
    }
}

/// `of` as many as `whole` is for `parts`; nothing without parts.
fn proportion(of: u64, whole: u64, parts: u64) -> Option<u64> {
    u64::try_from(u128::from(of).saturating_mul(u128::from(whole)).checked_div(u128::from(parts))?).ok()
}

const fn phase(pair: &PairStatus) -> SyncPhase {
    match pair.activity {
        Activity::Connecting { .. } => SyncPhase::Connecting,
        Activity::Syncing(_) => SyncPhase::Syncing,
        Activity::Asking => SyncPhase::Asking,
        Activity::Idle if !matches!(pair.peer, PeerStatus::Active) => SyncPhase::Paused,
        Activity::Idle if !pair.followed => SyncPhase::Off,
        Activity::Idle if pair.record.failures > 0 => SyncPhase::Retrying,
        Activity::Idle => SyncPhase::Waiting,
    }
}

fn stuck(pair: &PairStatus) -> Option<Stuck> {
    match pair.peer {
        PeerStatus::Blocked => return Some(Stuck::Blocked),
        PeerStatus::Inactive => return Some(Stuck::Inactive),
        PeerStatus::Active if !pair.followed && pair.record.last_sync.is_none() => {
            return Some(Stuck::NoAddress);
        }
        PeerStatus::Active => {}
    }
    match pair.asked {
        _ if !pair.refused => {}
        Some(AskOutcome::Rejected) => return Some(Stuck::Rejected),
        Some(AskOutcome::Received) => return Some(Stuck::Undecided),
        Some(AskOutcome::Approved(_)) | None => return Some(Stuck::Refused),
    }
    let failures = pair.record.failures;
    match (pair.activity, &pair.record.last_error) {
        (Activity::Syncing(Moved { silent: millis, .. }), _) if millis >= STUCK_SILENCE => {
            Some(Stuck::Silent { millis })
        }
        (Activity::Syncing(_), _) => None,
        (_, Some(PairError { reason, .. })) if failures >= STUCK_AFTER => {
            Some(Stuck::Failing { failures, reason: reason.clone() })
        }
        (Activity::Connecting { silent: millis }, _) if millis >= STUCK_SILENCE => {
            Some(Stuck::Silent { millis })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::PairRecord;

    fn following() -> PairStatus {
        PairStatus { followed: true, ..PairStatus::default() }
    }

    #[test]
    fn what_is_to_come_is_reckoned_from_what_was_moved() {
        let moved = Moved {
            entries_received: 30,
            entries_to_receive: 60,
            bytes_received: 2_900,
            bytes_sent: 100,
            millis: 1_500,
            ..Moved::default()
        };
        let status = SyncStatus::new(true, PairStatus { activity: Activity::Syncing(moved), ..following() });
        assert_eq!((status.phase, status.stuck), (SyncPhase::Syncing, None));
        assert_eq!(status.bytes_to_come, Some(6_000));
        assert_eq!(status.rate, Some(2_000));
        assert_eq!(status.remaining, Some(3_000));

        let begun = PairStatus { activity: Activity::Syncing(Moved::default()), ..following() };
        let status = SyncStatus::new(true, begun);
        assert_eq!((status.rate, status.remaining, status.bytes_to_come), (None, None, None));
    }

    #[test]
    fn what_is_stuck_says_why() {
        let failed = |failures| PairRecord {
            failures,
            last_error: Some(PairError { at: 1, reason: "gone".into() }),
            ..PairRecord::default()
        };
        let stuck = |pair| SyncStatus::new(false, pair).stuck;
        assert_eq!(stuck(PairStatus { record: failed(2), ..following() }), None);
        let failing = Stuck::Failing { failures: 3, reason: "gone".into() };
        assert_eq!(stuck(PairStatus { record: failed(3), ..following() }), Some(failing));
        let refused = PairStatus { record: failed(1), refused: true, ..following() };
        assert_eq!(stuck(refused.clone()), Some(Stuck::Refused));
        let asked = |outcome| PairStatus { asked: Some(outcome), ..refused.clone() };
        assert_eq!(stuck(asked(AskOutcome::Received)), Some(Stuck::Undecided));
        assert_eq!(stuck(asked(AskOutcome::Rejected)), Some(Stuck::Rejected));
        let blocked = PairStatus { peer: PeerStatus::Blocked, ..following() };
        assert_eq!(SyncStatus::new(true, blocked.clone()).phase, SyncPhase::Paused);
        assert_eq!(stuck(blocked), Some(Stuck::Blocked));
        let silent = PairStatus { activity: Activity::Connecting { silent: 12_000 }, ..following() };
        assert_eq!(stuck(silent), Some(Stuck::Silent { millis: 12_000 }));
    }
}
