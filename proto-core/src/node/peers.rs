//! Who is known to the node: what people decided about peers, and when each was met.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use crate::{
    PublicKey, canonical,
    node::{Limits, PeerStatus, Seen},
    storage::{MetaChange, Snapshot, StorageError},
};

/// Peers that nobody has registered and that are remembered because they came: the devices of a household or a team, and
/// as many guests. Of more, the one that was met longest ago is forgotten.
pub const MAX_ACQUAINTANCES: usize = 256;

/// Milliseconds that pass between two writes of when peers were met, so that those who come and go cost little.
const WRITE_EVERY: u64 = 10_000;

/// Peers whose rows wait to be written at most. A crowd that comes and goes faster makes writes of this size.
const MAX_UNWRITTEN: usize = 4 * MAX_ACQUAINTANCES;

/// Rows read at once.
const PAGE: usize = 256;

/// Where the metadata keeps when a peer was met: this prefix and its key.
const PREFIX: &[u8] = b"peer/";

/// All peers of a node.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers {
    limits: Limits,
    /// Those in the book.
    registered: BTreeMap<PublicKey, PeerStatus>,
    seen: BTreeMap<PublicKey, Seen>,
    /// Whose row is to be written, or removed.
    unwritten: BTreeSet<PublicKey>,
    /// When, in monotonic milliseconds.
    write_at: u64,
}

/// When peers were met, as the metadata keep it, ascending by key.
pub fn acquaintances(snapshot: &dyn Snapshot) -> Result<Vec<(PublicKey, Seen)>, StorageError> {
    let mut all = Vec::new();
    loop {
        let after = all.last().map(|(key, _)| place(key));
        let page = snapshot.metas(PREFIX, after.as_deref(), PAGE)?;
        let before = all.len();
        all.extend(page.iter().filter_map(|(place, value)| {
            let key = <[u8; 32]>::try_from(place.strip_prefix(PREFIX)?).ok()?;
            Some((PublicKey::from_bytes(key), canonical::from_bytes::<Seen>(value).ok()?))
        }));
        if page.len() < PAGE || all.len() == before {
            return Ok(all);
        }
    }
}

fn place(peer: &PublicKey) -> Vec<u8> {
    [PREFIX, peer.as_bytes()].concat()
}

impl Peers {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// What the metadata say, once at the start.
    pub(super) fn recall(&mut self, seen: Vec<(PublicKey, Seen)>) {
        for (peer, seen) in seen {
            self.seen.entry(peer).or_insert(seen);
        }
    }

    /// What the book says of a peer; nothing if it is not in it.
    pub(super) fn set(&mut self, peer: PublicKey, status: Option<PeerStatus>) {
        match status {
            Some(status) => {
                self.registered.insert(peer, status);
            }
            None => {
                self.registered.remove(&peer);
            }
        }
    }

    /// A peer is to be as if it had never come.
    pub(super) fn forget(&mut self, peer: &PublicKey, now: u64) {
        self.registered.remove(peer);
        if self.seen.remove(peer).is_some() {
            self.note(*peer, now);
        }
    }

    pub(super) fn status(&self, peer: &PublicKey) -> PeerStatus {
        self.registered.get(peer).copied().unwrap_or_default()
    }

    /// A peer was let in, or a sync with it has ended well.
    pub(super) fn met(&mut self, peer: PublicKey, wall: u64, now: u64) {
        let seen = self.seen.entry(peer).or_insert(Seen { first: wall, last: wall, times: 0 });
        seen.last = wall;
        seen.times = seen.times.saturating_add(1);
        self.note(peer, now);
        while let Some(oldest) = self.surplus() {
            self.seen.remove(&oldest);
            self.note(oldest, now);
        }
    }

    /// Of too many guests, the one that was met longest ago.
    fn surplus(&self) -> Option<PublicKey> {
        let guests = || self.seen.iter().filter(|(key, _)| !self.registered.contains_key(*key));
        let oldest = guests().min_by_key(|(_, seen)| seen.last)?;
        (guests().count() > self.limits.guests()).then_some(*oldest.0)
    }

    fn note(&mut self, peer: PublicKey, now: u64) {
        if self.unwritten.is_empty() {
            self.write_at = now.saturating_add(WRITE_EVERY);
        }
        self.unwritten.insert(peer);
        if self.unwritten.len() >= MAX_UNWRITTEN {
            self.write_at = now;
        }
    }

    pub(super) fn seen(&self) -> &BTreeMap<PublicKey, Seen> {
        &self.seen
    }

    /// When something is to be written.
    pub(super) fn deadline(&self) -> Option<u64> {
        (!self.unwritten.is_empty()).then_some(self.write_at)
    }

    /// What is to be written now, if it is time.
    pub(super) fn changes(&mut self, now: u64) -> Vec<MetaChange> {
        if self.deadline().is_none_or(|at| at > now) {
            return Vec::new();
        }
        let unwritten = core::mem::take(&mut self.unwritten).into_iter();
        unwritten.map(|key| (place(&key), self.seen.get(&key).map(canonical::to_vec))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> PublicKey {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        PublicKey::from_bytes(bytes)
    }

    #[test]
    fn of_too_many_guests_the_one_met_longest_ago_is_forgotten_and_none_that_is_registered() {
        let mut peers = Peers::default();
        peers.set(key(0), Some(PeerStatus::Active));
        for n in 0..MAX_ACQUAINTANCES + 3 {
            peers.met(key(n), 100 + n as u64, 5);
        }
        assert_eq!(peers.seen().len(), MAX_ACQUAINTANCES + 1);
        assert!(peers.seen().contains_key(&key(0)));
        assert!(!peers.seen().contains_key(&key(1)) && !peers.seen().contains_key(&key(2)));
        assert!(peers.seen().contains_key(&key(3)));
        // Met again, it is no longer the oldest.
        peers.met(key(3), 10_000, 6);
        peers.met(key(9_999), 10_001, 6);
        assert!(peers.seen().contains_key(&key(3)) && !peers.seen().contains_key(&key(4)));
    }

    #[test]
    fn many_meetings_are_one_write() {
        let mut peers = Peers::default();
        for n in 0..50 {
            peers.met(key(n % 2), n as u64, n as u64);
        }
        assert_eq!(peers.deadline(), Some(WRITE_EVERY));
        assert_eq!(peers.changes(WRITE_EVERY - 1), []);
        assert_eq!(peers.changes(WRITE_EVERY).len(), 2);
        assert_eq!(peers.deadline(), None);
        for n in 0..MAX_UNWRITTEN {
            assert_eq!(peers.changes(WRITE_EVERY + 1), [], "{n}");
            peers.met(key(n), 0, WRITE_EVERY + 1);
        }
        assert_eq!(peers.changes(WRITE_EVERY + 1).len(), MAX_UNWRITTEN, "what waits is bounded");
    }
}
