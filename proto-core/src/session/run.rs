//! Runs: each compares the whole sets once.
//!
//! When all ranges have agreed and the tips still differ, either a set changed in the middle, or short forms
//! collided. A run that moved entries is followed by another of its kind: the sets came closer. One that moved
//! nothing is followed by a stronger one: another salt first, then full ids in windows. When that moved nothing
//! either, the exchange gives up.
//!
//! A run that leads nowhere is given up before its ranges are settled: an entry whose parent looked held, since short
//! forms collided, is sent again and again and never stored.

use crate::{Position, wire::Salt};

/// Requests in a row that neither raise the floor, nor shrink the lowest open range, nor move an entry, before the
/// next run. Sets that change in the middle cost one now and then.
const PATIENCE: u8 = 3;

/// The same for a run by full ids, in which nothing can look like something else: the peer is at fault.
const LAST_PATIENCE: u8 = 8;

/// How a run compares. Each is stronger than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Means {
    Ranges,
    /// By ranges once more, since the run before moved nothing.
    OtherSalt,
    FullIds,
}

/// What is left to do after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Go on.
    On,
    /// Send what was found, and compare again in another run.
    GiveUp,
    /// The peer's answers lead nowhere.
    Stalled,
}

/// Which run this is, and whether it gets on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Run {
    first: Salt,
    number: u32,
    pub(super) salt: Salt,
    means: Means,
    /// An entry was stored in this run, here or by the peer.
    moved: bool,
    /// An entry was stored since the response before the last.
    moved_now: bool,
    /// Requests of this run.
    requests: u32,
    /// The lowest open range after the last response.
    lowest: Option<(Position, Position)>,
    idle: u8,
}

impl Run {
    pub(super) const fn first(salt: Salt) -> Self {
        Self {
            first: salt,
            number: 0,
            salt,
            means: Means::Ranges,
            moved: false,
            moved_now: false,
            requests: 0,
            lowest: None,
            idle: 0,
        }
    }

    /// The salt of a run is that of the exchange, hashed with its number.
    fn salted(&self, number: u32) -> Salt {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"pleach run v1").update(&self.first.0).update(&number.to_le_bytes());
        let mut salt = [0; 8];
        hasher.finalize_xof().fill(&mut salt);
        Salt(salt)
    }

    /// The run after this one, or nothing if there is none left to try.
    pub(super) fn next(&self) -> Option<Self> {
        let number = self.number.saturating_add(1);
        let next = Self { number, salt: self.salted(number), ..Self::first(self.first) };
        match (self.moved, self.means) {
            (true, _) => Some(next),
            (false, Means::Ranges) => Some(Self { means: Means::OtherSalt, ..next }),
            (false, Means::OtherSalt) => Some(Self { means: Means::FullIds, ..next }),
            (false, Means::FullIds) => None,
        }
    }

    /// Whether this run compares by full ids.
    pub(super) const fn is_exact(&self) -> bool {
        matches!(self.means, Means::FullIds)
    }

    /// Whether the next request is the first of the run.
    pub(super) const fn begins(&self) -> bool {
        self.requests == 0
    }

    /// Whether the last request was the first of the run.
    pub(super) const fn began(&self) -> bool {
        self.requests == 1
    }

    /// Notes that an entry moved, if it did.
    pub(super) fn note(&mut self, moved: bool) {
        self.moved |= moved;
        self.moved_now |= moved;
    }

    pub(super) fn request(&mut self) {
        self.requests = self.requests.saturating_add(1);
    }

    /// Whether the last response brought the sets no closer.
    pub(super) const fn idles(&self) -> bool {
        self.idle > 0
    }

    /// Notes the lowest open range; says whether there is still reason to go on.
    pub(super) fn gets_on(&mut self, lowest: Option<(Position, Position)>) -> Pace {
        let moved = core::mem::take(&mut self.moved_now);
        let closer = match (self.lowest, lowest) {
            (Some(before), Some(now)) => now.0 > before.0 || now.1 < before.1,
            _ => true,
        };
        self.lowest = lowest;
        self.idle = if closer || moved { 0 } else { self.idle.saturating_add(1) };
        match (self.idle, self.is_exact()) {
            (idle, true) if idle >= LAST_PATIENCE => Pace::Stalled,
            (idle, false) if idle >= PATIENCE => Pace::GiveUp,
            _ => Pace::On,
        }
    }
}
