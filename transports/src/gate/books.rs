//! What sources have used of their budgets, and who was vouched for lately.

use std::collections::BTreeMap;

use pleach_core::{
    PublicKey,
    budget::{Bucket, Ledger, Rate, Source},
    node::{MAX_PROVEN, MAX_SOURCES, PROVEN_FOR},
};

/// Connections from one source: a household that comes home, and what a few devices open anew.
const VISITS: Rate = Rate { burst: 128, per_second: 8 };

/// Connections of all strangers. Each costs some tenths of a millisecond, a handshake included.
const ALL_VISITS: Rate = Rate { burst: 512, per_second: 64 };

/// Requests from one source: who asks a node's name first needs two of them.
const REQUESTS: Rate = Rate { burst: 128, per_second: 16 };

/// Requests of all strangers. Each costs about as much as a connection.
const ALL_REQUESTS: Rate = Rate { burst: 512, per_second: 128 };

/// As much again is kept for sources that have used less than half of their own budget: a newcomer is served while
/// others ask without end.
const FOR_THE_CALM: u32 = 2;

/// Beginnings of connections from addresses that are not shown to be theirs.
#[cfg(feature = "quic")]
const BEGINNINGS: Rate = Rate { burst: 64, per_second: 16 };

/// Requests that count for one which was no message, or falsely signed.
#[cfg(all(feature = "http", any(feature = "smol", feature = "threads")))]
const MISBEHAVIOUR: u64 = 8;

/// One kind of thing that sources use.
struct Use {
    each: Ledger,
    /// The same for sources that were proven lately, which share nothing with a crowd of others.
    neighbours: Ledger,
    all: (Rate, Bucket),
    /// What only the calm may use.
    calm: (Rate, Bucket),
}

impl Use {
    fn new(each: Rate, all: Rate) -> Self {
        let half =
            Rate { burst: all.burst / FOR_THE_CALM, per_second: all.per_second.div_ceil(FOR_THE_CALM) };
        Self {
            each: Ledger::new(each, MAX_SOURCES),
            neighbours: Ledger::new(each, MAX_PROVEN),
            all: (half, Bucket::default()),
            calm: (half, Bucket::default()),
        }
    }

    const fn of(&mut self, is_neighbour: bool) -> &mut Ledger {
        if is_neighbour { &mut self.neighbours } else { &mut self.each }
    }

    fn take(&mut self, source: Source, is_neighbour: bool, now: u64) -> bool {
        if is_neighbour {
            return self.neighbours.take(source, 1, now);
        }
        let is_calm = self.each.is_calm(source, now);
        if !self.each.take(source, 1, now) {
            return false;
        }
        let from = |(rate, bucket): &mut (Rate, Bucket)| bucket.take(*rate, 1, now);
        from(&mut self.all) || is_calm && from(&mut self.calm)
    }
}

/// All of them.
pub(super) struct Books {
    visits: Use,
    requests: Use,
    #[cfg(feature = "quic")]
    beginnings: Bucket,
    keys: BTreeMap<PublicKey, u64>,
    sources: BTreeMap<Source, u64>,
}

impl Books {
    pub(super) fn new() -> Self {
        Self {
            visits: Use::new(VISITS, ALL_VISITS),
            requests: Use::new(REQUESTS, ALL_REQUESTS),
            #[cfg(feature = "quic")]
            beginnings: Bucket::default(),
            keys: BTreeMap::new(),
            sources: BTreeMap::new(),
        }
    }

    /// Whether a connection may come.
    pub(super) fn visit(&mut self, source: Source, is_neighbour: bool, now: u64) -> bool {
        self.visits.take(source, is_neighbour, now)
    }

    /// Whether a request may.
    pub(super) fn request(&mut self, source: Source, is_neighbour: bool, now: u64) -> bool {
        self.requests.take(source, is_neighbour, now)
    }

    /// Whether a connection may begin whose address is not shown to be the peer's.
    #[cfg(feature = "quic")]
    pub(super) fn begin(&mut self, now: u64) -> bool {
        self.beginnings.take(BEGINNINGS, 1, now)
    }

    #[cfg(all(feature = "http", any(feature = "smol", feature = "threads")))]
    pub(super) fn misbehaved(&mut self, source: Source, now: u64) {
        let is_neighbour = self.is_lately_proven(source, now);
        self.requests.of(is_neighbour).take(source, MISBEHAVIOUR, now);
    }

    /// A visit and a request turned out not to be a stranger's.
    pub(super) fn forgive(&mut self, source: Source, now: u64) {
        let is_neighbour = self.is_lately_proven(source, now);
        self.visits.of(is_neighbour).put_back(source, 1, now);
        self.requests.of(is_neighbour).put_back(source, 1, now);
    }

    /// Remembers that a key was vouched for, and where.
    pub(super) fn vouch(&mut self, key: PublicKey, source: Source, now: u64) {
        remember(&mut self.keys, key, now);
        remember(&mut self.sources, source, now);
    }

    pub(super) fn is_proven(&self, key: &PublicKey, now: u64) -> bool {
        is_recent(&self.keys, key, now)
    }

    pub(super) fn is_lately_proven(&self, source: Source, now: u64) -> bool {
        is_recent(&self.sources, &source, now)
    }
}

fn is_recent<K: Ord>(table: &BTreeMap<K, u64>, key: &K, now: u64) -> bool {
    table.get(key).is_some_and(|at| now.saturating_sub(*at) < PROVEN_FOR)
}

/// Puts the moment down; the one put down longest ago makes room.
fn remember<K: Ord + Copy>(table: &mut BTreeMap<K, u64>, key: K, now: u64) {
    if table.len() >= MAX_PROVEN && !table.contains_key(&key) {
        let oldest = table.iter().min_by_key(|(_, at)| **at).map(|(key, _)| *key);
        oldest.map(|key| table.remove(&key));
    }
    table.insert(key, now);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u32) -> Source {
        Source::of(&number.to_le_bytes())
    }

    #[test]
    fn a_newcomer_is_served_while_a_hundred_others_ask_without_end() {
        let mut books = Books::new();
        for now in 0..5_000 {
            for number in 0..100 {
                books.request(source(number), false, now);
            }
            assert!(now % 500 > 0 || books.request(source(1_000), false, now), "at {now}");
        }
    }

    #[test]
    fn all_strangers_together_ask_at_a_bounded_rate() {
        let mut books = Books::new();
        let mut asked = 0_u32;
        for now in 0..10_000 {
            for number in 0..200 {
                asked +=
                    u32::from(books.request(source(u32::try_from(now).unwrap() * 200 + number), false, now));
            }
        }
        assert!(asked <= ALL_REQUESTS.burst + 10 * ALL_REQUESTS.per_second, "{asked}");
    }

    #[test]
    fn what_was_proven_lately_is_remembered_for_a_day_and_for_so_many() {
        let mut table = BTreeMap::new();
        for number in 0..MAX_PROVEN as u64 + 1 {
            remember(&mut table, number, number);
        }
        assert_eq!(table.len(), MAX_PROVEN);
        assert!(!is_recent(&table, &0, 10_000) && is_recent(&table, &1, 10_000));
        assert!(!is_recent(&table, &1, 1 + PROVEN_FOR));
    }
}
