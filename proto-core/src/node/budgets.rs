//! What a peer that is a stranger may use, and who gives way when places are full.
//!
//! A peer is *proven* while its key, which its transport proved, has lately read a tree by a grant that names it, or names a
//! further key that it showed. What a further key lets in is counted for that key, since node keys cost nothing. Everybody
//! else is a *stranger*, keys that nobody granted anything included. Strangers are charged by the
//! [`Source`] that they come from. Proven peers are not charged, and strangers cannot take the places that are left to them.

use alloc::collections::BTreeMap;

use crate::{
    Id, PublicKey,
    budget::{Fund, Ledger, Rate, Source},
    limits::MAX_ENTRY,
    node::{ExchangeId, Limits},
};

/// Exchanges that peers may have open with this node at once, idle ones included: each costs two buffers of 64 KiB
/// and, while entries arrive, a batch of them.
pub const MAX_ACCEPTED: usize = 256;

/// Exchanges of strangers among them. The rest is kept for proven peers.
pub const MAX_STRANGERS: usize = MAX_ACCEPTED / 4;

/// Exchanges of strangers from one source: as many as a household's devices plausibly have at once.
pub const MAX_OF_SOURCE: usize = 16;

/// Exchanges of one proven key, and of all nodes that are proven by one further key: one for each of many trees, and still
/// a third of the places that strangers cannot have.
pub const MAX_OF_KEY: usize = MAX_ACCEPTED / 4;

/// Node keys that one further key makes proven ones: the devices of a person. Others that bring it are served as strangers.
pub const MAX_NODES_OF_KEY: usize = 16;

const _: () = assert!(MAX_OF_SOURCE <= MAX_STRANGERS && MAX_STRANGERS + 2 * MAX_OF_KEY <= MAX_ACCEPTED);

/// Requests of the strangers from one source at once: a first sync of several trees, each in several requests.
pub const REQUESTS: u32 = 64;

/// Requests a second that one source gets back: as many as a line with a round trip of 125 ms carries one by one.
pub const REQUESTS_A_SECOND: u32 = 8;

/// Bytes in frames of the strangers from one source at once: two messages.
pub const STRANGER_BYTES: u32 = 16 * 1024 * 1024;

/// Bytes a second that one source gets back: what a person's line sends.
pub const STRANGER_BYTES_A_SECOND: u32 = 1024 * 1024;

/// Bytes that each frame of a stranger is charged beside its own, so that many small ones are not for free.
pub const FRAME_OVERHEAD: u32 = 1024;

/// Signature checks for the strangers from one source at once: two batches, about a quarter of a second of one core.
pub const CHECKS: u32 = 8_192;

/// Signature checks a second that one source gets back: two hundredths of a core.
pub const CHECKS_A_SECOND: u32 = 512;

/// Sources whose budgets of requests, bytes and checks all strangers have together, however many there are: what they cost
/// at most, about a tenth of a core. Half of it is kept for those who have used less than half of their own.
pub const STRANGERS_AT_ONCE: u32 = 4;

/// Merges that a node signs for one partial holder at once, over one tree: for a device that was away, and asks again
/// after each cut. All that read the tree by no grant of their own are one holder.
pub const MERGES: u32 = 64;

/// Seconds after which a holder is given one more of [`MERGES`]: a device that says something every second fills no ring
/// faster. Entries stay for ever, and what this node signs falls with no grant of the holder's.
pub const MERGE_SECONDS: u32 = 10;

/// Sources that are remembered, until their budgets are full again; see [`Ledger`](crate::budget::Ledger).
pub const MAX_SOURCES: usize = 1_024;

/// Keys that are remembered to be proven. Only who may write settings makes one, by a grant.
pub const MAX_PROVEN: usize = 4_096;

/// Milliseconds for which a key is remembered to be proven: a day, after which a device that is used daily has come.
pub const PROVEN_FOR: u64 = 24 * 60 * 60 * 1_000;

/// Bytes in a frame of a stranger's, which must hold an entry: what a transport holds for each before the node knows it.
pub const STRANGER_FRAME: usize = MAX_ENTRY + 1_024;

/// Bytes of entries between arrival and disk, over all exchanges. Beyond it each still has one frame under way.
pub const MAX_HELD: usize = 32 * 1024 * 1024;

/// The part of [`MAX_HELD`] that strangers may take.
pub const MAX_HELD_BY_STRANGERS: usize = MAX_HELD / 4;

/// What a peer is to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Standing {
    Stranger,
    Proven,
}

/// An accepted exchange, as far as its place is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guest {
    pub(super) id: ExchangeId,
    pub(super) key: Option<PublicKey>,
    pub(super) source: Source,
    pub(super) standing: Standing,
    /// No request of its is under way.
    pub(super) rests: bool,
    /// When something last happened.
    pub(super) heard: u64,
}

/// Whether somebody who knocks is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entrance {
    Free,
    /// This one gives way.
    For(ExchangeId),
    Shut,
}

/// What all strangers have left, and who is none.
#[derive(Clone, Debug)]
pub(super) struct Budgets {
    requests: Fund,
    bytes: Fund,
    checks: Fund,
    /// Seconds' worth of merges, for each tree and holder.
    merges: Ledger,
    /// Proven node keys.
    proven: BTreeMap<PublicKey, Grounds>,
}

/// Why a node key is proven.
#[derive(Clone, Copy, Debug)]
struct Grounds {
    /// The tree that it has read.
    tree: Id,
    /// The key that the grant names: this one, or a further one.
    by: PublicKey,
    /// When last.
    at: u64,
}

impl Budgets {
    pub(super) fn new() -> Self {
        let fund = |burst: u32, per_second: u32, all: u32| {
            let together =
                Rate { burst: burst.saturating_mul(all), per_second: per_second.saturating_mul(all) };
            Fund::new(Rate { burst, per_second }, together, MAX_SOURCES)
        };
        Self {
            requests: fund(REQUESTS, REQUESTS_A_SECOND, STRANGERS_AT_ONCE),
            bytes: fund(STRANGER_BYTES, STRANGER_BYTES_A_SECOND, STRANGERS_AT_ONCE),
            checks: fund(CHECKS, CHECKS_A_SECOND, STRANGERS_AT_ONCE),
            merges: Ledger::new(
                Rate { burst: MERGES.saturating_mul(MERGE_SECONDS), per_second: 1 },
                MAX_SOURCES,
            ),
            proven: BTreeMap::new(),
        }
    }

    /// What a peer with this key is.
    pub(super) fn standing(&self, key: Option<&PublicKey>, now: u64) -> Standing {
        match key.and_then(|key| self.proven.get(key)) {
            Some(grounds) if now.saturating_sub(grounds.at) < PROVEN_FOR => Standing::Proven,
            _ => Standing::Stranger,
        }
    }

    /// The key whose places a proven peer takes.
    pub(super) fn payer(&self, key: &PublicKey) -> PublicKey {
        self.proven.get(key).map_or(*key, |grounds| grounds.by)
    }

    /// A node with this key may read the tree by a grant to `by`, its own or a further key. Whether it is proven from now on:
    /// not if that key has made so many others proven that there is no place.
    pub(super) fn prove(&mut self, key: PublicKey, tree: Id, by: PublicKey, now: u64) -> bool {
        if by != key && self.proven.get(&key).is_none_or(|grounds| grounds.by != by) {
            let recent = |grounds: &&Grounds| now.saturating_sub(grounds.at) < PROVEN_FOR;
            let others = self.proven.iter().filter(|(other, grounds)| grounds.by == by && **other != by);
            if others.filter(|(_, grounds)| recent(grounds)).count() >= MAX_NODES_OF_KEY {
                return false;
            }
        }
        if self.proven.len() >= MAX_PROVEN && !self.proven.contains_key(&key) {
            let oldest = self.proven.iter().min_by_key(|(_, grounds)| grounds.at).map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                self.proven.remove(&oldest);
            }
        }
        self.proven.insert(key, Grounds { tree, by, at: now });
        true
    }

    /// This key may not read the tree, or not any more.
    pub(super) fn doubt(&mut self, key: &PublicKey, tree: &Id) {
        if self.proven.get(key).is_some_and(|grounds| grounds.tree == *tree) {
            self.proven.remove(key);
        }
    }

    /// A peer sent what a broken program or a liar sends: it is a stranger until it proves itself again, and its source
    /// has nothing left.
    pub(super) fn disgrace(&mut self, key: Option<&PublicKey>, source: Source, now: u64) {
        if let Some(key) = key {
            self.proven.remove(key);
        }
        self.requests.drain(source, now);
        self.bytes.drain(source, now);
        self.checks.drain(source, now);
    }

    /// Charges a stranger for a frame, the first of a request perhaps; or says after how many milliseconds to come again.
    pub(super) fn frame(
        &mut self,
        source: Source,
        bytes: usize,
        is_request: bool,
        now: u64,
    ) -> Result<(), u64> {
        if is_request && !self.requests.take(source, 1, now) {
            return Err(self.requests.wait(source));
        }
        let bytes = (bytes as u64).saturating_add(u64::from(FRAME_OVERHEAD));
        if !self.bytes.take(source, bytes, now) {
            return Err(self.bytes.wait(source));
        }
        // What a frame brings to check is charged when it is known; who owes that brings no other.
        if self.checks.take(source, 0, now) { Ok(()) } else { Err(self.checks.wait(source)) }
    }

    /// Charges a partial holder, by the key whose grant lets it read the tree, for a merge that is signed for it; or says
    /// after how many milliseconds to come again.
    pub(super) fn merge(&mut self, tree: &Id, by: Option<&PublicKey>, now: u64) -> Result<(), u64> {
        let key = by.map_or(&[][..], |key| key.as_bytes());
        let holder = Source::of(&[tree.as_bytes(), key].concat());
        if self.merges.take(holder, MERGE_SECONDS.into(), now) {
            Ok(())
        } else {
            Err(self.merges.wait(holder))
        }
    }

    /// Charges a stranger for signatures.
    pub(super) fn check(&mut self, source: Source, signatures: u64, now: u64) {
        // Whether there was enough shows with the next frame.
        self.checks.take(source, signatures, now);
    }
}

/// Whether a newcomer gets a place, and whose. A proven one takes a stranger's if need be. Among strangers the newcomer gets
/// in, and one from the source that has most goes: one that rests before one that talks, and the one that was silent longest
/// first. Who holds places without using them keeps nobody out, and who brings many pushes out their own.
pub(super) fn entrance(
    newcomer: (Option<PublicKey>, Source, Standing),
    guests: &[Guest],
    limits: &Limits,
) -> Entrance {
    let (key, source, standing) = newcomer;
    let strangers = || guests.iter().filter(|guest| guest.standing == Standing::Stranger);
    if standing == Standing::Proven {
        if guests.iter().filter(|guest| guest.standing == standing && guest.key == key).count()
            >= limits.of_key()
        {
            return Entrance::Shut;
        }
        if guests.len() < limits.accepted() {
            return Entrance::Free;
        }
        return least_deserving(strangers()).map_or(Entrance::Shut, Entrance::For);
    }
    let own = || strangers().filter(|guest| guest.source == source);
    if own().count() >= MAX_OF_SOURCE {
        return least_deserving(own()).map_or(Entrance::Shut, Entrance::For);
    }
    if strangers().count() >= limits.strangers() || guests.len() >= limits.accepted() {
        return least_deserving(strangers()).map_or(Entrance::Shut, Entrance::For);
    }
    Entrance::Free
}

fn least_deserving<'a>(guests: impl Iterator<Item = &'a Guest> + Clone) -> Option<ExchangeId> {
    let mut sources = BTreeMap::<Source, usize>::new();
    for guest in guests.clone() {
        let count = sources.entry(guest.source).or_default();
        *count = count.saturating_add(1);
    }
    let crowd = |guest: &&Guest| sources.get(&guest.source).copied().unwrap_or_default();
    let deserves = |guest: &&Guest| (core::cmp::Reverse(crowd(guest)), !guest.rests, guest.heard, guest.id);
    guests.min_by_key(deserves).map(|guest| guest.id)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn source(number: u64) -> Source {
        Source::of(&number.to_le_bytes())
    }

    fn key(number: u64) -> PublicKey {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        PublicKey::from_bytes(bytes)
    }

    fn tree(number: u8) -> Id {
        Id::from_bytes([number; 32])
    }

    fn stranger(number: u64, source: Source) -> Guest {
        Guest {
            id: ExchangeId::accepted(number),
            key: None,
            source,
            standing: Standing::Stranger,
            rests: true,
            heard: number,
        }
    }

    fn proven(number: u64, key: PublicKey) -> Guest {
        let standing = Standing::Proven;
        Guest { key: Some(key), standing, ..stranger(number, Source::default()) }
    }

    #[test]
    fn a_stranger_pushes_out_the_longest_silent_of_the_most_crowded_source() {
        let crowd = (10..26).map(|number| stranger(number, source(1)));
        let others = (0..48).map(|number| stranger(number + 100, source(number + 2)));
        let mut guests: Vec<Guest> = crowd.chain(others).collect();
        assert_eq!(guests.len(), MAX_STRANGERS);
        let knocks = |guests: &[Guest], from| {
            entrance((None, source(from), Standing::Stranger), guests, &Limits::new())
        };
        assert_eq!(knocks(&guests, 99), Entrance::For(ExchangeId::accepted(10)));
        assert_eq!(knocks(&guests, 1), Entrance::For(ExchangeId::accepted(10)));
        guests[0].rests = false;
        assert_eq!(knocks(&guests, 99), Entrance::For(ExchangeId::accepted(11)), "the first one talks");
        guests.truncate(60);
        assert_eq!(knocks(&guests, 99), Entrance::Free);
        assert_eq!(knocks(&guests, 1), Entrance::For(ExchangeId::accepted(11)), "sixteen of one source");
    }

    #[test]
    fn a_proven_peer_takes_a_strangers_place_and_no_proven_ones() {
        let fill = |strangers: usize| -> Vec<Guest> {
            let of = |number: usize| proven(number as u64, key(number as u64 / 16));
            let all = (0..MAX_ACCEPTED - strangers).map(of);
            all.chain((0..strangers).map(|number| stranger(1_000 + number as u64, source(7)))).collect()
        };
        let knocks = |key, guests: &[Guest]| {
            entrance((Some(key), source(1), Standing::Proven), guests, &Limits::new())
        };
        assert_eq!(knocks(key(99), &fill(1)), Entrance::For(ExchangeId::accepted(1_000)));
        assert_eq!(knocks(key(99), &fill(0)), Entrance::Shut);
        let one: Vec<Guest> = (0..MAX_OF_KEY as u64).map(|number| proven(number, key(1))).collect();
        assert_eq!(knocks(key(1), &one), Entrance::Shut, "one key has its share");
        assert_eq!(knocks(key(2), &one), Entrance::Free);
        let shut = entrance((None, source(1), Standing::Stranger), &fill(0), &Limits::new());
        assert_eq!(shut, Entrance::Shut, "a stranger takes nobody's place but a stranger's");
    }

    #[test]
    fn a_key_is_proven_by_a_tree_until_that_says_no_or_a_day_has_passed() {
        let mut budgets = Budgets::new();
        budgets.prove(key(1), tree(1), key(1), 5);
        let standing = |budgets: &Budgets, now| budgets.standing(Some(&key(1)), now);
        assert_eq!(standing(&budgets, 5 + PROVEN_FOR - 1), Standing::Proven);
        assert_eq!(standing(&budgets, 5 + PROVEN_FOR), Standing::Stranger);
        assert_eq!(budgets.standing(None, 5), Standing::Stranger);
        budgets.doubt(&key(1), &tree(2));
        assert_eq!(standing(&budgets, 5), Standing::Proven, "another tree says nothing about it");
        budgets.doubt(&key(1), &tree(1));
        assert_eq!(standing(&budgets, 5), Standing::Stranger);
    }

    #[test]
    fn a_further_key_makes_so_many_nodes_proven_and_pays_for_all_of_them() {
        let mut budgets = Budgets::new();
        let (alice, others) = (key(1), MAX_NODES_OF_KEY as u64);
        assert!((100..100 + others).all(|number| budgets.prove(key(number), tree(1), alice, 5)));
        assert!(!budgets.prove(key(99), tree(1), alice, 6), "node keys cost nothing");
        assert_eq!(budgets.standing(Some(&key(99)), 6), Standing::Stranger);
        assert!(budgets.prove(key(100), tree(1), alice, 7), "one that is proven stays so");
        assert!(budgets.prove(key(99), tree(1), key(99), 7), "a grant of its own is another matter");
        assert_eq!((budgets.payer(&key(100)), budgets.payer(&key(99))), (alice, key(99)));
        assert!(budgets.prove(key(98), tree(1), alice, 5 + PROVEN_FOR), "the others have not come for a day");
    }

    #[test]
    fn the_table_of_proven_keys_is_bounded_and_forgets_the_one_proven_longest_ago() {
        let mut budgets = Budgets::new();
        for number in 0..MAX_PROVEN as u64 + 10 {
            budgets.prove(key(number), tree(1), key(number), number);
        }
        assert_eq!(budgets.proven.len(), MAX_PROVEN);
        assert_eq!(budgets.standing(Some(&key(9)), 5_000), Standing::Stranger);
        assert_eq!(budgets.standing(Some(&key(10)), 5_000), Standing::Proven);
    }

    #[test]
    fn requests_bytes_and_checks_are_each_charged_to_the_source_and_come_back() {
        let mut budgets = Budgets::new();
        let one = source(1);
        let taken = (0..1_000_000).take_while(|_| budgets.frame(one, 10, true, 0).is_ok()).count();
        assert_eq!(taken, REQUESTS as usize);
        assert_eq!(budgets.frame(one, 10, true, 0), Err(1_000 / u64::from(REQUESTS_A_SECOND)));
        assert_eq!(budgets.frame(source(2), 10, true, 0), Ok(()), "another source has its own");
        assert_eq!(budgets.frame(one, 10, true, 125), Ok(()));

        let two = source(3);
        let taken = (0..1_000_000).take_while(|_| budgets.frame(two, 0, false, 0).is_ok()).count();
        assert_eq!(taken, (STRANGER_BYTES / FRAME_OVERHEAD) as usize, "empty frames are not for free");
        let full = u64::from(STRANGER_BYTES / STRANGER_BYTES_A_SECOND) * 1_000;
        assert!(budgets.frame(two, 1 << 20, false, full).is_ok());

        let three = source(4);
        budgets.check(three, u64::from(CHECKS), 0);
        assert_eq!(budgets.frame(three, 10, false, 0), Err(2));
        assert_eq!(budgets.frame(three, 10, false, 2), Ok(()));
    }

    #[test]
    fn a_bad_signature_costs_the_budget_and_the_standing() {
        let mut budgets = Budgets::new();
        budgets.prove(key(1), tree(1), key(1), 0);
        budgets.disgrace(Some(&key(1)), source(1), 0);
        assert_eq!(budgets.standing(Some(&key(1)), 0), Standing::Stranger);
        assert!(budgets.frame(source(1), 10, true, 0).is_err());
        assert_eq!(budgets.frame(source(2), 10, true, 0), Ok(()));
        let full = u64::from(REQUESTS / REQUESTS_A_SECOND) * 1_000;
        let taken = (0..1_000_000).take_while(|_| budgets.frame(source(1), 10, true, full).is_ok()).count();
        assert_eq!(taken, REQUESTS as usize, "it comes back");
    }
}
