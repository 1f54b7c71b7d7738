//! The heads and the ends of messages.

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use crate::{
    Id, Position,
    limits::{MAX_FRAME, MAX_MESSAGE},
    storage::{Fingerprint, Measure, Token},
    wire::{Floor, hex},
};

/// The version of the protocol that this program speaks.
pub const VERSION: u8 = 1;

/// What this program can do beyond version 1.
pub const CAPABILITIES: Capabilities = Capabilities(
    Capabilities::TOKENS.0 | Capabilities::PARTIAL.0 | Capabilities::WALKS.0 | Capabilities::HOLDS.0,
);

/// Tips that a message names; of more it gives a digest. Two ids are as long as three fingerprints of ranges.
pub const NAMED_TIPS: usize = 2;

/// Ids in a [`super::Kind::Wants`] or [`super::Kind::Missing`] frame: the window of ids asked for and not yet
/// answered.
pub const MAX_WANTS: usize = 256;

/// Bytes in a frame that each side takes at least: every head fits, and the last frame of a message.
pub const MIN_FRAME: u32 = 2_048;

/// Bytes in a message that each side takes at least: two such frames, a head and what ends it.
pub const MIN_MESSAGE: u32 = 2 * MIN_FRAME;

/// The versions that a side speaks, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Versions {
    /// The lowest.
    pub oldest: u8,
    /// The highest.
    pub newest: u8,
}

impl Versions {
    /// What this program speaks.
    pub const OURS: Self = Self { oldest: VERSION, newest: VERSION };

    /// The highest version that both speak.
    pub fn agree(self, other: Self) -> Option<u8> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }
}

/// A set of abilities beyond the version, one bit each. Unknown bits mean nothing; a side uses only what both name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Capabilities(pub u32);

impl Capabilities {
    /// Bit 0: takes a [`Token`] in place of ranges, and hands out its own.
    pub const TOKENS: Self = Self(1);
    /// Bit 1: is a partial holder, or answers one.
    pub const PARTIAL: Self = Self(2);
    /// Bit 2: answers an initiator that is merely behind by walking down from the tips that it named.
    pub const WALKS: Self = Self(4);
    /// Bit 3: keeps an answer back for as long as there is no news, if asked to.
    pub const HOLDS: Self = Self(8);
    /// Bit 4: in a request, wants to know whether a further key of the responder's may read the tree; see
    /// [`super::KeyProof`].
    pub const ASKS_KEYS: Self = Self(16);

    /// These and others.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether all of these are among them.
    pub const fn has(self, these: Self) -> bool {
        self.0 & these.0 == these.0
    }
}

/// What a side can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PeerLimits {
    /// Bytes in a frame.
    pub frame: u32,
    /// Bytes in a message.
    pub message: u32,
}

impl PeerLimits {
    /// What a host can take.
    #[expect(clippy::cast_possible_truncation, reason = "both lie far below 2^32")]
    pub const HOST: Self = Self { frame: MAX_FRAME as u32, message: MAX_MESSAGE as u32 };

    /// Whether anything can be said to a side that takes no more.
    pub const fn are_enough(self) -> bool {
        self.frame >= MIN_FRAME && self.message >= MIN_MESSAGE
    }

    /// The lower of both, which a message between the two keeps.
    #[must_use]
    pub fn both(self, other: Self) -> Self {
        Self { frame: self.frame.min(other.frame), message: self.message.min(other.message) }
    }
}

/// What keys the short forms of ids in lists, chosen by the initiator for each run, so that nobody can prepare
/// ids that look alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Salt(#[serde(with = "hex")] pub [u8; 8]);

/// The tips of a set: the entries without children.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Tips {
    /// At most [`NAMED_TIPS`], ascending by position.
    Named(Vec<Id, NAMED_TIPS>),
    /// The fingerprint of more.
    Digest(Fingerprint),
}

impl Tips {
    /// The tips of a set, given how many there are and their sum, and the first [`NAMED_TIPS`] of them.
    pub fn of(tips: &Measure, first: &[Position]) -> Self {
        let named = first.iter().map(|position| position.id).take(NAMED_TIPS).collect::<Vec<_, NAMED_TIPS>>();
        if tips.count == named.len() as u64 { Self::Named(named) } else { Self::Digest(tips.fingerprint()) }
    }
}

/// The head of a sync request. Items of ranges follow in the same frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hello {
    /// The versions that the initiator speaks.
    pub versions: Versions,
    /// What else it can do.
    pub capabilities: Capabilities,
    /// What it can take.
    pub limits: PeerLimits,
    /// The tree, named by its root.
    pub tree: Id,
    /// The salt of this run.
    pub salt: Salt,
    /// The initiator's tips.
    pub tips: Tips,
    /// How many entries the initiator holds.
    pub count: u64,
    /// The responder's arrivals up to here are held, and nothing that it lacks: no ranges follow, it sends what
    /// arrived since at or beyond the start.
    pub token: Option<Token>,
    /// Where the ranges begin: the floor, below which this run has found both sets equal.
    pub start: Floor,
    /// Milliseconds for which the responder may keep its answer back while its tips are those named; 0 to be answered at
    /// once.
    pub hold: u32,
}

/// The head of a sync response. Items of ranges follow in the same frame, from the request's start.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reply {
    /// The version chosen.
    pub version: u8,
    /// What the responder can do beyond it.
    pub capabilities: Capabilities,
    /// What it can take.
    pub limits: PeerLimits,
    /// Whether it held the very set that the request named.
    pub same: bool,
    /// How many entries it held before it stored what the request brought.
    pub count: u64,
}

/// The last frame of a sync request or response.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct End {
    /// Nothing if all entries promised were sent; else where the sender stopped for lack of room: no promised entry
    /// at or beyond it was sent.
    pub until: Option<Position>,
    /// In a response: the responder's tips after it stored what the request brought; nothing if they are those of
    /// the request.
    pub tips: Option<Tips>,
    /// In a response: how many entries the responder then held. In a request 0.
    pub count: u64,
    /// In a response to an initiator that knows tokens: the responder's newest arrival then.
    pub token: Option<Token>,
}

/// The text of a rule that was broken, for people; cut to what fits.
pub type Rule = String<72>;

/// A response that refuses the request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such tree, or the asker may not read it: which of the two is not said.
    Unknown,
    /// Not now.
    Busy {
        /// Milliseconds after which to ask again.
        delay: u32,
    },
    /// No version in common, or a limit too small to work with.
    Incompatible {
        /// What the responder speaks.
        versions: Versions,
        /// What it takes at least and at most.
        limits: PeerLimits,
    },
    /// An entry of the request breaks a rule. Entries before it were stored.
    Refused {
        /// The entry.
        id: Id,
        /// The rule.
        rule: Rule,
    },
    /// The request was no valid message.
    Malformed {
        /// Which rule of the protocol it broke.
        rule: Rule,
    },
    /// The responder failed, by no fault of the asker.
    Failed,
    /// The asked is a partial holder, which answers nobody: ask a full node.
    Partial,
    /// What a partial holder lacks does not fit, and the responder may not write the merge that would stand for it.
    NoAdvance,
}
