//! Which tree is kept the same with which peer, how that went, and when to try next.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use crate::{
    Entropy, Id, Now, PublicKey,
    node::{
        NodeError, PairRecord, PairStatus, SyncReport, Tracking,
        fetches::{Fetches, Standing},
        initiator::HOLD,
        races::RaceId,
        record::PairError,
    },
    wire::{Address, Ask, AskOutcome},
};

/// Milliseconds before the first retry after a failure: a peer that restarts is back within it.
const FIRST_RETRY: u64 = 1_000;

/// Milliseconds at most after which the background asks again where nobody has decided: as long as the peer keeps its
/// answer back, nothing is asked.
const ASK_AGAIN: u64 = 10_000;

/// Milliseconds after which news are waited for again when the wait came to nothing, though a sync did not: something in
/// between cuts what is silent.
const STAY_AGAIN: u64 = 10_000;

/// Milliseconds between retries at most: an unreachable peer costs one dial in this time.
const LAST_RETRY: u64 = 5 * 60 * 1_000;

/// What to ask for: the message and the metadata behind it.
type Application = Box<(Ask, Vec<u8>)>;

/// A tree and a peer. Without addresses it is only known how syncs went that callers asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Relation {
    /// The one that worked last first.
    addresses: Vec<Address>,
    /// Milliseconds between two syncs when nothing else happens.
    interval: u64,
    /// What to ask for when the peer refuses.
    auth: Option<Application>,
    /// When to sync next, monotonic milliseconds.
    due: u64,
    running: Option<RaceId>,
    /// Something was committed while an exchange was running: run again after it.
    again: bool,
    telling: Telling,
    record: PairRecord,
    /// The last failure was a refusal.
    refused: bool,
    /// What the peer has said to an access request since.
    asked: Option<AskOutcome>,
    /// What waits for news of the peer.
    staying: Option<RaceId>,
    /// When that may begin again, monotonic milliseconds.
    stay_at: u64,
}

/// When a peer hears of what is new here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Telling {
    #[default]
    AtOnce,
    /// At the next sync. Whether something waits for that.
    InTime { behind: bool },
}

/// All relations of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Relations {
    all: BTreeMap<(Id, PublicKey), Relation>,
    /// Peers that the background leaves alone.
    paused: BTreeSet<PublicKey>,
    fetches: Fetches,
}

/// A relation that is due.
pub(super) struct Due {
    pub(super) tree: Id,
    pub(super) peer: PublicKey,
    pub(super) addresses: Vec<Address>,
}

impl Relations {
    /// Starts or changes a relation. One that failed before a restart is due when its delay is over, others at once. What
    /// is under way for it.
    pub(super) fn set(&mut self, tracking: Tracking, auth: Option<Application>, now: Now) -> Option<RaceId> {
        let Tracking { tree, peer, addresses, interval, quiet, record, .. } = tracking;
        let before = self.all.remove(&(tree, peer));
        let known = before.is_some();
        let mut relation = before.unwrap_or(Relation { record, ..Relation::default() });
        let left = relation.record.retry_at.saturating_sub(now.wall).min(LAST_RETRY);
        let resumes = !known && relation.record.failures > 0;
        if !resumes {
            relation.record.failures = 0;
        }
        relation.due = now.monotonic.saturating_add(if resumes { left } else { 0 });
        relation.again = relation.running.is_some();
        let telling = match relation.telling {
            _ if !quiet => Telling::AtOnce,
            Telling::AtOnce => Telling::InTime { behind: false },
            Telling::InTime { behind } => Telling::InTime { behind },
        };
        let running = relation.running;
        self.all.insert((tree, peer), Relation { addresses, interval, auth, telling, ..relation });
        running
    }

    /// Ends a relation and forgets how it went. What is under way for it.
    pub(super) fn end(&mut self, tree: &Id, peer: &PublicKey) -> impl Iterator<Item = RaceId> + use<> {
        let relation = self.all.remove(&(*tree, *peer));
        self.fetches.failed(tree, peer);
        if self.peers_of(tree).is_empty() {
            self.fetches.over(tree);
        }
        relation.into_iter().flat_map(|relation| [relation.running, relation.staying]).flatten()
    }

    /// Those that a tree is kept the same with.
    pub(super) fn peers_of(&self, tree: &Id) -> Vec<PublicKey> {
        self.all.keys().filter(|(of, _)| of == tree).map(|(_, peer)| *peer).collect()
    }

    /// Leaves a peer alone from now on, or takes it up again: at once.
    pub(super) fn pause(&mut self, peer: PublicKey, pause: bool, now: u64) {
        if pause {
            self.paused.insert(peer);
        } else if self.paused.remove(&peer) {
            for (_, relation) in self.all.iter_mut().filter(|((_, of), _)| *of == peer) {
                relation.due = now;
            }
        }
    }

    /// Something is new in a tree: whoever it is kept the same with hears of it at once, save the one it is from.
    pub(super) fn news(&mut self, tree: Id, from: Option<PublicKey>, now: u64) {
        for ((of, peer), relation) in &mut self.all {
            if *of == tree && Some(*peer) != from {
                if let Telling::InTime { behind } = &mut relation.telling {
                    *behind = true;
                    continue;
                }
                match relation.running {
                    Some(_) => relation.again = true,
                    // A peer that failed is tried when its delay is over, news or not.
                    None if relation.record.failures == 0 => relation.due = now,
                    None => {}
                }
            }
        }
    }

    /// A pair is to be synced at once, whatever is known. Whether it is followed.
    pub(super) fn nudge(&mut self, tree: Id, peer: PublicKey, now: u64) -> bool {
        match self.all.get_mut(&(tree, peer)) {
            Some(relation) if !relation.addresses.is_empty() => {
                relation.due = now;
                relation.again = relation.running.is_some();
                true
            }
            _ => false,
        }
    }

    /// Makes due now all that has something pending: news, a failure, a first sync. Which pairs these are.
    pub(super) fn flush(&mut self, now: u64) -> Vec<(Id, PublicKey)> {
        let mut pending = Vec::new();
        for ((tree, peer), relation) in &mut self.all {
            let waits = relation.running.is_some()
                || relation.due <= now
                || relation.telling == Telling::InTime { behind: true }
                || relation.record.failures > 0;
            if waits && !relation.addresses.is_empty() && !self.paused.contains(peer) {
                relation.due = now;
                pending.push((*tree, *peer));
            }
        }
        pending
    }

    /// Whether the background is at a pair, or about to be.
    pub(super) fn is_pending(&self, tree: &Id, peer: &PublicKey, now: u64) -> bool {
        self.all.get(&(*tree, *peer)).is_some_and(|relation| {
            let due = relation.due <= now && !relation.addresses.is_empty() && !self.paused.contains(peer);
            relation.running.is_some() || due
        })
    }

    /// A relation that is the same at both and where nothing waits for news.
    pub(super) fn to_stay(&self, now: u64) -> Option<Due> {
        let (_, ((tree, peer), relation)) = self.resting().find(|(at, _)| *at <= now)?;
        // The one that worked last.
        Some(Due {
            tree: *tree,
            peer: *peer,
            addresses: relation.addresses.iter().take(1).cloned().collect(),
        })
    }

    /// Those where news could be waited for, and from when on.
    fn resting(&self) -> impl Iterator<Item = (u64, (&(Id, PublicKey), &Relation))> {
        let rests = |relation: &Relation| {
            relation.staying.is_none() && relation.record.failures == 0 && relation.record.last_sync.is_some()
        };
        let resting = self.waiting().filter(move |(_, relation)| rests(relation));
        resting.map(|pair| (pair.1.stay_at, pair))
    }

    /// News of a relation are waited for.
    pub(super) fn stays(&mut self, tree: Id, peer: PublicKey, race: RaceId) {
        if let Some(relation) = self.all.get_mut(&(tree, peer)) {
            relation.staying = Some(race);
        }
    }

    /// What waits for news of a relation, which is to begin anew: what it says of this side is not true any more.
    pub(super) fn take_stay(&mut self, tree: Id, peer: PublicKey) -> Option<RaceId> {
        self.all.get_mut(&(tree, peer))?.staying.take()
    }

    /// News were waited for, and what there was has come. What is to be kept of it, if there was something.
    pub(super) fn stayed(&mut self, report: &SyncReport, peer: PublicKey, now: Now) -> Option<&PairRecord> {
        let relation = self.all.get_mut(&(report.tree, peer))?;
        relation.staying = None;
        // A peer that answers at once though there is nothing new does not keep answers back.
        let waited = report.moved() || report.millis >= u64::from(HOLD) / 2;
        relation.stay_at = now.monotonic.saturating_add(if waited { 0 } else { relation.interval });
        report.moved().then(|| {
            relation.record.synced(report, now.wall);
            &relation.record
        })
    }

    /// News could not be waited for, or no longer: an ordinary sync finds out what is the matter.
    pub(super) fn left(&mut self, tree: Id, peer: PublicKey, error: &NodeError, now: u64) {
        let Some(relation) = self.all.get_mut(&(tree, peer)) else { return };
        relation.staying = None;
        relation.stay_at = now.saturating_add(STAY_AGAIN);
        if !matches!(error, NodeError::TooMany(_)) && relation.record.failures == 0 {
            relation.due = now;
        }
    }

    /// Those that wait for their time.
    fn waiting(&self) -> impl Iterator<Item = (&(Id, PublicKey), &Relation)> {
        self.all.iter().filter(|((_, peer), relation)| {
            relation.running.is_none() && !relation.addresses.is_empty() && !self.paused.contains(peer)
        })
    }

    /// When a relation that waits for its time is due, monotonic milliseconds: a first sync not before others of its tree
    /// that are under way.
    fn due_at(&self, tree: &Id, relation: &Relation) -> u64 {
        let first = relation.record.last_sync.is_none();
        let until = if first { self.fetches.until(tree) } else { None };
        relation.due.max(until.unwrap_or_default())
    }

    /// The next relation that is due.
    pub(super) fn due(&self, now: u64) -> Option<Due> {
        let is_due =
            |((tree, _), relation): &(&(Id, PublicKey), &Relation)| self.due_at(tree, relation) <= now;
        let ((tree, peer), relation) = self.waiting().find(is_due)?;
        Some(Due { tree: *tree, peer: *peer, addresses: relation.addresses.clone() })
    }

    /// What the refusal of a relation leads to has begun.
    pub(super) fn started(&mut self, tree: Id, peer: PublicKey, race: RaceId) {
        if let Some(relation) = self.all.get_mut(&(tree, peer)) {
            relation.running = Some(race);
        }
    }

    /// Looks how first syncs stand. Those that have begun and are to be let go of are due again in their turn.
    pub(super) fn watch(&mut self, standing: impl Fn(RaceId) -> Standing, now: u64) -> Vec<RaceId> {
        let losers = self.fetches.watch(standing, now);
        for (tree, peer, _) in &losers {
            if let Some(relation) = self.all.get_mut(&(*tree, *peer)) {
                relation.running = None;
            }
        }
        losers.into_iter().map(|(.., race)| race).collect()
    }

    /// A sync has begun: what is new from now on needs another.
    pub(super) fn synchronizes(&mut self, tree: Id, peer: PublicKey, race: RaceId) {
        if let Some(relation) = self.all.get_mut(&(tree, peer)) {
            relation.running = Some(race);
            relation.again = false;
            if relation.record.last_sync.is_none() {
                self.fetches.began(tree, peer, race);
            }
            if let Telling::InTime { behind } = &mut relation.telling {
                *behind = false;
            }
        }
    }

    /// Both hold the same. `tracked` if the background has seen to that. What is to be kept of it; nothing of a pair that
    /// is unknown.
    pub(super) fn synced(
        &mut self,
        report: &SyncReport,
        peer: PublicKey,
        tracked: bool,
        now: Now,
    ) -> Option<&PairRecord> {
        self.fetches.over(&report.tree);
        let relation = self.all.get_mut(&(report.tree, peer))?;
        relation.record.synced(report, now.wall);
        (relation.refused, relation.asked) = (false, None);
        if let Some(address) = &report.address
            && let Some(at) = relation.addresses.iter().position(|known| known.is_same_place(address))
        {
            relation.addresses.get_mut(..=at).unwrap_or_default().rotate_right(1);
        }
        if tracked {
            let delay = if relation.again { 0 } else { relation.interval };
            relation.running = None;
            relation.again = false;
            relation.due = now.monotonic.saturating_add(delay);
        } else if relation.running.is_none() && !relation.again {
            relation.due = relation.due.max(now.monotonic.saturating_add(relation.interval));
        }
        Some(&relation.record)
    }

    /// A sync of the background came to nothing. What is to be kept of it; nothing if the relation has gone meanwhile.
    pub(super) fn failed(
        &mut self,
        tree: Id,
        peer: PublicKey,
        error: &NodeError,
        now: Now,
        entropy: &mut Entropy,
    ) -> Option<&PairRecord> {
        self.fetches.failed(&tree, &peer);
        let relation = self.all.get_mut(&(tree, peer))?;
        relation.running = None;
        relation.again = false;
        // A block pauses first, and is no failure.
        if error.any(|error| matches!(error, NodeError::Blocked(key) if *key == peer)) {
            return None;
        }
        let record = &mut relation.record;
        record.failures = record.failures.saturating_add(1);
        record.failed = record.failed.saturating_add(1);
        record.last_error = Some(PairError::new(now.wall, error));
        let [draw] = entropy.draw::<1>();
        let delay = backoff(record.failures, draw);
        record.retry_at = now.wall.saturating_add(delay);
        #[cfg(feature = "planted-faults")]
        let delay = if crate::planted::is_awake(crate::planted::Planted::FailuresNotRetried) {
            1 << 40
        } else {
            delay
        };
        relation.due = now.monotonic.saturating_add(delay);
        relation.refused = error.is_refusal();
        if !relation.refused {
            relation.asked = None;
        }
        Some(&relation.record)
    }

    /// What to ask the peer for, after it refused, and where.
    pub(super) fn application(&self, tree: Id, peer: PublicKey) -> Option<(Application, Vec<Address>)> {
        let relation = self.all.get(&(tree, peer)).filter(|relation| relation.refused)?;
        let mut auth = relation.auth.clone()?;
        // Once it is known that nobody has decided, a decision is waited for.
        auth.0.hold = if relation.asked == Some(AskOutcome::Received) { HOLD } else { 0 };
        Some((auth, relation.addresses.clone()))
    }

    /// The peer has answered to an access request, or could not be asked. Whoever is let in for the first time need not
    /// wait.
    pub(super) fn applied(&mut self, tree: Id, peer: PublicKey, outcome: Option<AskOutcome>, now: u64) {
        let Some(relation) = self.all.get_mut(&(tree, peer)) else { return };
        relation.running = None;
        let Some(outcome) = outcome else { return };
        let before = relation.asked.replace(outcome);
        if matches!(outcome, AskOutcome::Approved(_)) && !matches!(before, Some(AskOutcome::Approved(_))) {
            relation.due = now;
        } else if outcome == AskOutcome::Received {
            relation.due = relation.due.min(now.saturating_add(ASK_AGAIN));
        }
    }

    /// What is known of a pair but for what is under way; nothing of one that is unknown.
    pub(super) fn status(&self, tree: Id, peer: PublicKey, now: u64) -> Option<(PairStatus, Option<RaceId>)> {
        let relation = self.all.get(&(tree, peer))?;
        let followed = !relation.addresses.is_empty();
        let waits = followed && relation.running.is_none() && !self.paused.contains(&peer);
        let status = PairStatus {
            followed,
            record: relation.record.clone(),
            next_try: waits.then(|| self.due_at(&tree, relation).saturating_sub(now)),
            asked: relation.asked,
            refused: relation.refused,
            ..PairStatus::default()
        };
        Some((status, relation.running))
    }

    /// Whether a pair is known.
    pub(super) fn are_about(&self, tree: &Id, peer: &PublicKey) -> bool {
        self.all.contains_key(&(*tree, *peer))
    }

    /// Whether a pair has ever been the same.
    pub(super) fn have_synced(&self, tree: &Id, peer: &PublicKey) -> bool {
        self.all.get(&(*tree, *peer)).is_some_and(|relation| relation.record.last_sync.is_some())
    }

    /// Peers with whom the background has failed last.
    pub(super) fn failing(&self) -> impl Iterator<Item = PublicKey> {
        self.all
            .iter()
            .filter(|(_, relation)| relation.record.last_error.is_some())
            .map(|((_, peer), _)| *peer)
    }

    /// When the next relation is due.
    pub(super) fn deadline(&self) -> Option<u64> {
        let stay = self.resting().map(|(at, _)| at).min();
        self.waiting().map(|((tree, _), relation)| self.due_at(tree, relation)).chain(stay).min()
    }
}

/// Doubles with each failure up to [`LAST_RETRY`], then varies between half and the whole of it, so that many
/// nodes that lost one peer do not come back at once.
fn backoff(failures: u32, draw: u8) -> u64 {
    let doubled = FIRST_RETRY.checked_shl(failures.saturating_sub(1).min(20)).unwrap_or(LAST_RETRY);
    let whole = doubled.min(LAST_RETRY);
    let half = whole / 2;
    half.saturating_add(half.saturating_mul(u64::from(draw)) / 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(monotonic: u64) -> Now {
        Now { monotonic, wall: 1_700_000_000_000 + monotonic }
    }

    fn tracking() -> Tracking {
        let (tree, peer) = (Id::of(b"t"), PublicKey::from_bytes([1; 32]));
        Tracking::new(tree, peer, alloc::vec![Address::http("a:1"), Address::http("b:1")], 60_000)
    }

    fn relations() -> (Relations, Id, PublicKey, Entropy) {
        let tracking = tracking();
        let (tree, peer) = (tracking.tree, tracking.peer);
        let mut relations = Relations::default();
        relations.set(tracking, None, now(5));
        (relations, tree, peer, Entropy::new([0; 32]))
    }

    fn started(relations: &mut Relations, tree: Id, peer: PublicKey) {
        relations.synchronizes(tree, peer, RaceId::default());
    }

    fn report(tree: Id, place: &str) -> SyncReport {
        SyncReport { address: Some(Address::http(place)), ..SyncReport::nothing(tree) }
    }

    #[test]
    fn a_failure_is_tried_again_later() {
        let (mut relations, tree, peer, mut entropy) = relations();
        assert!(relations.due(5).is_some());
        started(&mut relations, tree, peer);
        assert!(relations.due(5).is_none());
        let error = NodeError::Transport("gone".into());
        relations.failed(tree, peer, &error, now(10), &mut entropy).unwrap();
        let due = relations.deadline().unwrap();
        assert!((10 + FIRST_RETRY / 2..=10 + FIRST_RETRY).contains(&due));
        let (status, running) = relations.status(tree, peer, 10).unwrap();
        assert_eq!((status.next_try, running), (Some(due - 10), None));
        assert_eq!(status.record.last_error.unwrap().reason, "gone");
    }

    #[test]
    fn the_address_that_worked_last_goes_first() {
        let (mut relations, tree, peer, _) = relations();
        relations.synced(&report(tree, "b:1"), peer, true, now(9)).unwrap();
        let due = relations.due(60_009).unwrap();
        assert_eq!(due.addresses, [Address::http("b:1"), Address::http("a:1")]);
    }

    #[test]
    fn news_during_an_exchange_starts_another() {
        let (mut relations, tree, peer, _) = relations();
        started(&mut relations, tree, peer);
        relations.news(tree, None, 7);
        relations.synced(&report(tree, "a:1"), peer, true, now(10)).unwrap();
        assert!(relations.due(10).is_some());
        started(&mut relations, tree, peer);
        relations.news(tree, Some(peer), 12);
        relations.synced(&report(tree, "a:1"), peer, true, now(20)).unwrap();
        assert!(relations.to_stay(20).is_some(), "news can be waited for");
        relations.stays(tree, peer, RaceId::default());
        assert_eq!(relations.deadline(), Some(60_020));
    }

    #[test]
    fn a_peer_that_keeps_no_answer_back_is_asked_at_the_ordinary_pace() {
        let (mut relations, tree, peer, _) = relations();
        started(&mut relations, tree, peer);
        relations.synced(&report(tree, "a:1"), peer, true, now(10)).unwrap();
        for (millis, waits) in [(u64::from(HOLD), true), (3, false)] {
            relations.stays(tree, peer, RaceId::default());
            let nothing = SyncReport { millis, ..report(tree, "a:1") };
            assert_eq!(relations.stayed(&nothing, peer, now(20)), None, "nothing is to be kept of it");
            assert_eq!(relations.to_stay(20).is_some(), waits);
        }
        relations.left(tree, peer, &NodeError::Transport("cut".into()), 30);
        assert_eq!(relations.deadline(), Some(30), "an ordinary sync finds out what is the matter");
    }

    #[test]
    fn the_delay_after_a_failure_goes_on_after_a_restart_and_a_caller_ends_it() {
        let record = PairRecord { failures: 7, retry_at: now(0).wall + 40_000, ..PairRecord::default() };
        let mut relations = Relations::default();
        relations.set(Tracking { record: record.clone(), ..tracking() }, None, now(3));
        assert_eq!(relations.deadline(), Some(40_000));
        relations.set(tracking(), None, now(4));
        assert_eq!(relations.deadline(), Some(4));
        // A clock that jumped keeps nobody waiting for longer than a delay can be.
        let record = PairRecord { retry_at: u64::MAX, ..record };
        let mut relations = Relations::default();
        relations.set(Tracking { record, ..tracking() }, None, now(3));
        assert_eq!(relations.deadline(), Some(3 + LAST_RETRY));
    }

    #[test]
    fn a_paused_peer_is_left_alone_and_taken_up_at_once() {
        let (mut relations, tree, peer, _) = relations();
        relations.pause(peer, true, 6);
        assert!(relations.due(u64::MAX).is_none() && relations.deadline().is_none());
        relations.news(tree, None, 7);
        assert!(relations.due(u64::MAX).is_none());
        relations.pause(peer, false, 90);
        assert_eq!(relations.deadline(), Some(90));
    }

    #[test]
    fn an_approval_that_lets_nobody_in_is_not_followed_at_once_again() {
        let (mut relations, tree, peer, mut entropy) = relations();
        let refused = NodeError::NotOffered(tree);
        let approved = Some(AskOutcome::Approved(crate::entry::Permission::Read));
        relations.failed(tree, peer, &refused, now(10), &mut entropy).unwrap();
        relations.applied(tree, peer, approved, 11);
        assert_eq!(relations.deadline(), Some(11));
        relations.failed(tree, peer, &refused, now(12), &mut entropy).unwrap();
        relations.applied(tree, peer, approved, 13);
        assert!(relations.deadline() > Some(13));
    }

    #[test]
    fn the_delay_doubles_up_to_its_limit() {
        assert_eq!(backoff(1, 255), FIRST_RETRY);
        assert_eq!(backoff(3, 255), 4 * FIRST_RETRY);
        assert_eq!(backoff(40, 255), LAST_RETRY);
        assert_eq!(backoff(u32::MAX, 0), LAST_RETRY / 2);
    }
}
