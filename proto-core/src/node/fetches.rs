//! Trees of which nothing was held, on their way here from one of several peers: the others have their turn when it is
//! through, lost, or slow. Otherwise each would send all of it.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{
    Id, PublicKey,
    node::{Counts, exchanges::SLOWEST_LINE, races::RaceId},
};

/// Milliseconds for which a peer that has answered keeps others waiting without bringing anything: what the slowest line
/// takes for one frame, and some more. As many at most may be in store for it, however fast it was before.
pub(super) const LULL: u64 = 20_000;

/// How an exchange of a first sync stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// The peer has said something.
    pub(super) answered: bool,
    /// Nothing of the tree was held when it began.
    pub(super) from_nothing: bool,
    /// Bytes that it has brought, up to the last entry that was new here: whoever repeats itself brings nothing.
    pub(super) bytes: u64,
    /// Who it is.
    pub(super) peer: Option<PublicKey>,
    /// What was moved.
    pub(super) moved: Counts,
}

/// Until when others wait for somebody who has brought so many bytes more since they waited until then, at most for
/// [`LULL`] from now on.
pub(super) fn earned(until: u64, bytes: u64, now: u64) -> u64 {
    let earned = bytes.saturating_mul(1_000) / SLOWEST_LINE;
    until.saturating_add(earned).min(now.saturating_add(LULL))
}

/// First syncs of a tree that are under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Fetch {
    running: BTreeMap<PublicKey, RaceId>,
    /// One of them began with nothing, and none has come to its end since.
    is_one: bool,
    /// Until when the others wait, monotonic milliseconds; nothing before anybody has answered.
    until: Option<u64>,
    /// Bytes that all of them have brought.
    bytes: u64,
}

/// First syncs that are under way, by tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fetches(BTreeMap<Id, Fetch>);

impl Fetches {
    pub(super) fn began(&mut self, tree: Id, peer: PublicKey, race: RaceId) {
        self.0.entry(tree).or_default().running.insert(peer, race);
    }

    /// One of them came to nothing: the others have their turn.
    pub(super) fn failed(&mut self, tree: &Id, peer: &PublicKey) {
        let Some(fetch) = self.0.get_mut(tree) else { return };
        if fetch.running.remove(peer).is_some() {
            fetch.until = None;
        }
        if fetch.running.is_empty() && !fetch.is_one {
            self.0.remove(tree);
        }
    }

    /// All that there was is here, or nobody is to bring it any more.
    pub(super) fn over(&mut self, tree: &Id) {
        self.0.remove(tree);
    }

    /// Until when first syncs of a tree wait that are not under way, monotonic milliseconds.
    pub(super) fn until(&self, tree: &Id) -> Option<u64> {
        self.0.get(tree)?.until
    }

    /// Looks how those under way stand. Which are to be let go of, to have their turn later: another has answered.
    pub(super) fn watch(
        &mut self,
        standing: impl Fn(RaceId) -> Standing,
        now: u64,
    ) -> Vec<(Id, PublicKey, RaceId)> {
        let mut losers = Vec::new();
        for (tree, fetch) in &mut self.0 {
            let all = || fetch.running.iter().map(|(peer, race)| (*peer, *race, standing(*race)));
            fetch.is_one |= all().any(|(.., standing)| standing.from_nothing);
            let answered = all().filter(|(.., standing)| standing.answered);
            let bytes = answered.map(|(.., standing)| standing.bytes).reduce(u64::saturating_add);
            let Some(bytes) = bytes.filter(|_| fetch.is_one) else { continue };
            let more = bytes.saturating_sub(fetch.bytes);
            let until = fetch.until.map_or(now.saturating_add(LULL), |until| earned(until, more, now));
            if until > now {
                let silent = all().filter(|(.., standing)| !standing.answered);
                losers.extend(silent.map(|(peer, race, _)| (*tree, peer, race)));
            }
            fetch.running.retain(|_, race| !losers.iter().any(|(.., loser)| loser == race));
            (fetch.until, fetch.bytes) = (Some(until), bytes);
        }
        losers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWERED: Standing =
        Standing { answered: true, from_nothing: true, bytes: 0, peer: None, moved: Counts::NOTHING };

    fn tree() -> Id {
        Id::of(b"t")
    }

    fn key(n: u8) -> PublicKey {
        PublicKey::from_bytes([n; 32])
    }

    fn race(n: u64) -> RaceId {
        RaceId::numbered(n)
    }

    fn fetches(count: u8) -> Fetches {
        let mut fetches = Fetches::default();
        for n in 0..count {
            fetches.began(tree(), key(n), race(n.into()));
        }
        fetches
    }

    /// The first has answered and brought this much; the others are silent.
    fn brought(bytes: u64) -> impl Fn(RaceId) -> Standing {
        move |of| if of == race(0) { Standing { bytes, ..ANSWERED } } else { Standing::default() }
    }

    #[test]
    fn the_first_that_answers_lets_the_others_wait_until_it_is_lost() {
        let mut fetches = fetches(3);
        assert_eq!((fetches.watch(|_| Standing::default(), 5), fetches.until(&tree())), (Vec::new(), None));
        let losers = fetches.watch(brought(9), 7);
        assert_eq!(losers, [(tree(), key(1), race(1)), (tree(), key(2), race(2))]);
        assert_eq!(fetches.until(&tree()), Some(7 + LULL));
        fetches.failed(&tree(), &key(0));
        assert_eq!(fetches.until(&tree()), None);
        // What began with nothing is that until one has come to the end, whatever is held meanwhile.
        fetches.began(tree(), key(1), race(1));
        fetches.began(tree(), key(2), race(2));
        let second = |of| Standing { answered: of == race(2), ..Standing::default() };
        assert_eq!(fetches.watch(second, 90), [(tree(), key(1), race(1))]);
        fetches.over(&tree());
        assert_eq!(fetches, Fetches::default());
    }

    #[test]
    fn who_brings_less_than_the_slowest_line_carries_keeps_nobody_waiting() {
        let mut fetches = fetches(1);
        fetches.watch(brought(0), 0);
        // At the pace of the slowest line it keeps what it had, and no more than that.
        for second in 1..100 {
            fetches.watch(brought(second * SLOWEST_LINE), second * 1_000);
            assert_eq!(fetches.until(&tree()), Some(second * 1_000 + LULL));
        }
        let after = fetches.until(&tree()).unwrap();
        for second in 100..140 {
            fetches.watch(brought(99 * SLOWEST_LINE + (second - 99) * SLOWEST_LINE / 10), second * 1_000);
        }
        let earned = fetches.until(&tree()).unwrap() - after;
        assert!((3_950..=4_000).contains(&earned), "{earned} in 40 seconds, rounded down each time");
        // The others begin beside it, and are not let go of again while it owes.
        fetches.began(tree(), key(1), race(1));
        assert_eq!(fetches.watch(brought(104 * SLOWEST_LINE), 141_000), []);
    }

    #[test]
    fn where_something_was_held_nobody_waits() {
        let mut fetches = fetches(2);
        let pushing = |_| Standing { from_nothing: false, ..ANSWERED };
        assert_eq!((fetches.watch(pushing, 3), fetches.until(&tree())), (Vec::new(), None));
        fetches.failed(&tree(), &key(0));
        fetches.failed(&tree(), &key(1));
        assert_eq!(fetches, Fetches::default());
    }
}
