//! Which tree is kept the same with which peer, and when to try next.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{Entropy, Id, PublicKey, node::ExchangeId, wire::Address};

/// Milliseconds before the first retry after a failure: a peer that restarts is back within it.
const FIRST_RETRY: u64 = 1_000;

/// Milliseconds between retries at most: an unreachable peer costs one dial in this time.
const LAST_RETRY: u64 = 5 * 60 * 1_000;

/// A tree and a peer that are kept the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Relation {
    addresses: Vec<Address>,
    /// Milliseconds between two syncs when nothing else happens.
    interval: u64,
    /// When to sync next, monotonic milliseconds.
    due: u64,
    /// Failures since the last success: they choose the address and the delay.
    failures: u32,
    running: Option<ExchangeId>,
    /// Something was committed while an exchange was running: run again after it.
    again: bool,
}

/// All relations of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Relations(BTreeMap<(Id, PublicKey), Relation>);

impl Relations {
    /// Starts, changes or (without addresses) ends a relation. It is due at once.
    pub(super) fn set(
        &mut self,
        tree: Id,
        peer: PublicKey,
        addresses: Vec<Address>,
        interval: u64,
        now: u64,
    ) {
        if addresses.is_empty() {
            self.0.remove(&(tree, peer));
            return;
        }
        let running = self.0.get(&(tree, peer)).and_then(|relation| relation.running);
        let relation =
            Relation { addresses, interval, due: now, failures: 0, running, again: running.is_some() };
        self.0.insert((tree, peer), relation);
    }

    /// Ends all relations of a tree.
    pub(super) fn forget(&mut self, tree: &Id) {
        self.0.retain(|(of, _), _| of != tree);
    }

    /// Something is new in a tree: whoever it is kept the same with hears of it at once, save the one it is from.
    pub(super) fn news(&mut self, tree: Id, from: Option<PublicKey>, now: u64) {
        for ((of, peer), relation) in &mut self.0 {
            if *of == tree && Some(*peer) != from {
                match relation.running {
                    Some(_) => relation.again = true,
                    // A peer that failed is tried when its delay is over, news or not.
                    None if relation.failures == 0 => relation.due = now,
                    None => {}
                }
            }
        }
    }

    /// The next relation that is due: its tree, peer and address to try.
    pub(super) fn due(&self, now: u64) -> Option<(Id, PublicKey, Address)> {
        self.0.iter().find(|(_, relation)| relation.running.is_none() && relation.due <= now).and_then(
            |((tree, peer), relation)| {
                let turn = usize::try_from(relation.failures).ok()?.checked_rem(relation.addresses.len())?;
                Some((*tree, *peer, relation.addresses.get(turn)?.clone()))
            },
        )
    }

    pub(super) fn started(&mut self, tree: Id, peer: PublicKey, exchange: ExchangeId) {
        if let Some(relation) = self.0.get_mut(&(tree, peer)) {
            relation.running = Some(exchange);
            relation.again = false;
        }
    }

    /// An exchange of a relation has ended. Nothing if the relation has gone meanwhile.
    pub(super) fn ended(
        &mut self,
        tree: Id,
        peer: PublicKey,
        success: bool,
        now: u64,
        entropy: &mut Entropy,
    ) {
        let Some(relation) = self.0.get_mut(&(tree, peer)) else { return };
        relation.running = None;
        let delay = if success {
            relation.failures = 0;
            if relation.again { 0 } else { relation.interval }
        } else {
            relation.failures = relation.failures.saturating_add(1);
            let [draw] = entropy.draw::<1>();
            backoff(relation.failures, draw)
        };
        relation.again = false;
        relation.due = now.saturating_add(delay);
    }

    /// When the next relation is due.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.0.values().filter(|relation| relation.running.is_none()).map(|relation| relation.due).min()
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

    fn relations() -> (Relations, Id, PublicKey, Entropy) {
        let (tree, peer) = (Id::of(b"t"), PublicKey::from_bytes([1; 32]));
        let mut relations = Relations::default();
        relations.set(tree, peer, alloc::vec![Address::http("a:1"), Address::http("b:1")], 60_000, 5);
        (relations, tree, peer, Entropy::new([0; 32]))
    }

    #[test]
    fn a_failure_tries_the_next_address_later() {
        let (mut relations, tree, peer, mut entropy) = relations();
        assert_eq!(relations.due(5).unwrap().2, Address::http("a:1"));
        relations.started(tree, peer, ExchangeId::opened(1));
        assert_eq!(relations.due(5), None);
        relations.ended(tree, peer, false, 10, &mut entropy);
        let due = relations.deadline().unwrap();
        assert!((10 + FIRST_RETRY / 2..=10 + FIRST_RETRY).contains(&due));
        assert_eq!(relations.due(due).unwrap().2, Address::http("b:1"));
    }

    #[test]
    fn news_during_an_exchange_starts_another() {
        let (mut relations, tree, peer, mut entropy) = relations();
        relations.started(tree, peer, ExchangeId::opened(1));
        relations.news(tree, None, 7);
        relations.ended(tree, peer, true, 10, &mut entropy);
        assert!(relations.due(10).is_some());
        relations.started(tree, peer, ExchangeId::opened(2));
        relations.news(tree, Some(peer), 12);
        relations.ended(tree, peer, true, 20, &mut entropy);
        assert_eq!(relations.deadline(), Some(60_020));
    }

    #[test]
    fn the_delay_doubles_up_to_its_limit() {
        assert_eq!(backoff(1, 255), FIRST_RETRY);
        assert_eq!(backoff(3, 255), 4 * FIRST_RETRY);
        assert_eq!(backoff(40, 255), LAST_RETRY);
        assert_eq!(backoff(u32::MAX, 0), LAST_RETRY / 2);
    }
}
