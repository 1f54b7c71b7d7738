//! What sources have used of their budgets, and who was vouched for lately.

use std::collections::BTreeMap;

use pleach_core::{
    PublicKey,
    budget::{Fund, Ledger, Rate, Source},
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

/// The same for a source that was proven lately: whoever else is behind that address makes it harder for the proven peer,
/// who is not known before it has asked, but does not keep it out.
const NEIGHBOURS_VISITS: Rate = Rate { burst: 1_024, per_second: 512 };
const NEIGHBOURS_REQUESTS: Rate = Rate { burst: 512, per_second: 128 };

/// Beginnings of connections from addresses that are not shown to be theirs.
#[cfg(any(feature = "quic", feature = "iroh"))]
const BEGINNINGS: Rate = Rate { burst: 64, per_second: 16 };

/// Requests that count for one which was no message, or falsely signed.
#[cfg(all(feature = "http", any(feature = "smol", feature = "threads")))]
const MISBEHAVIOUR: u64 = 8;

/// One kind of thing that sources use.
struct Use {
    strangers: Fund,
    /// Of sources that were proven lately, which share nothing with a crowd of others.
    neighbours: Ledger,
}

impl Use {
    const fn new(each: Rate, all: Rate, neighbours: Rate) -> Self {
        Self { strangers: Fund::new(each, all, MAX_SOURCES), neighbours: Ledger::new(neighbours, MAX_PROVEN) }
    }

    fn take(&mut self, source: Source, amount: u64, is_neighbour: bool, now: u64) -> bool {
        if is_neighbour {
            self.neighbours.take(source, amount, now)
        } else {
            self.strangers.take(source, amount, now)
        }
    }

    fn put_back(&mut self, source: Source, is_neighbour: bool, now: u64) {
        if is_neighbour {
            self.neighbours.put_back(source, 1, now);
        } else {
            self.strangers.put_back(source, 1, now);
        }
    }
}

/// All of them.
pub(super) struct Books {
    visits: Use,
    requests: Use,
    #[cfg(any(feature = "quic", feature = "iroh"))]
    beginnings: pleach_core::budget::Bucket,
    keys: BTreeMap<PublicKey, u64>,
    sources: BTreeMap<Source, u64>,
}

impl Books {
    pub(super) fn new() -> Self {
        Self {
            visits: Use::new(VISITS, ALL_VISITS, NEIGHBOURS_VISITS),
            requests: Use::new(REQUESTS, ALL_REQUESTS, NEIGHBOURS_REQUESTS),
            #[cfg(any(feature = "quic", feature = "iroh"))]
            beginnings: pleach_core::budget::Bucket::default(),
            keys: BTreeMap::new(),
            sources: BTreeMap::new(),
        }
    }

    /// Whether a connection may come.
    pub(super) fn visit(&mut self, source: Source, is_neighbour: bool, now: u64) -> bool {
        self.visits.take(source, 1, is_neighbour, now)
    }

    /// Whether a request may.
    pub(super) fn request(&mut self, source: Source, is_neighbour: bool, now: u64) -> bool {
        self.requests.take(source, 1, is_neighbour, now)
    }

    /// Whether a connection may begin whose address is not shown to be the peer's.
    #[cfg(any(feature = "quic", feature = "iroh"))]
    pub(super) fn begin(&mut self, now: u64) -> bool {
        self.beginnings.take(BEGINNINGS, 1, now)
    }

    #[cfg(all(feature = "http", any(feature = "smol", feature = "threads")))]
    pub(super) fn misbehaved(&mut self, source: Source, now: u64) {
        let is_neighbour = self.is_lately_proven(source, now);
        self.requests.take(source, MISBEHAVIOUR, is_neighbour, now);
    }

    /// A visit and a request turned out not to be a stranger's.
    pub(super) fn forgive(&mut self, source: Source, now: u64) {
        let is_neighbour = self.is_lately_proven(source, now);
        self.visits.put_back(source, is_neighbour, now);
        self.requests.put_back(source, is_neighbour, now);
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

    #[test]
    fn what_was_proven_lately_is_remembered_for_a_day_and_for_so_many() {
        let mut table = BTreeMap::new();
        for number in 0..=MAX_PROVEN as u64 {
            remember(&mut table, number, number);
        }
        assert_eq!(table.len(), MAX_PROVEN);
        assert!(!is_recent(&table, &0, 10_000) && is_recent(&table, &1, 10_000));
        assert!(!is_recent(&table, &1, 1 + PROVEN_FOR));
    }
}
