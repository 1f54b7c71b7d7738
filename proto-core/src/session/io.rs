//! What goes into a session and what comes out of it.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::{
    Id, Position, Range,
    storage::{Fingerprint, Measure, Token},
    wire::{NAMED_TIPS, Prefix, Refusal, Rule, Salt},
};

/// Ranges in one [`Query::Measure`] and in one [`Load`]: enough to make hops between threads cheap, few enough for
/// a small stack.
pub const BATCH: usize = 16;

/// Arrivals that a responder looks through for a token; of more, ranges are compared.
pub const ARRIVALS: u64 = 131_072;

/// Ids in one [`Query::Held`].
pub const HELD: usize = 64;

/// What happened. Each output that expects an input says which.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// After [`Output::Receive`]: the next frame of the peer's message is in `incoming`. It is lent again with every
    /// call until the session gives [`Output::Receive`] or [`Output::Ingest`].
    Frame,
    /// After [`Output::Receive`]: the peer's message has ended.
    End,
    /// After [`Output::Query`]: the answer.
    Answer(Answer<'a>),
    /// After [`Output::Send`]: the frame is on its way, `outgoing` may be overwritten.
    Sent,
    /// After [`Output::Load`]: what of it was sent.
    Loaded(Loaded),
    /// At any time after [`Output::Ingest`], one for each, in order: what became of the frame's entries.
    Ingested(Ingested<'a>),
}

/// The answer to a [`Query`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Answer<'a> {
    /// To [`Query::Summary`].
    Summary(Summary),
    /// To [`Query::Measure`]: one for each range, in order.
    Measures(&'a [Measure]),
    /// To [`Query::Split`]: the parts, ascending. None if the range holds nothing.
    Parts(&'a [Part]),
    /// To [`Query::Positions`] and [`Query::Held`]: ascending.
    Positions(&'a [Position]),
    /// To [`Query::Beside`]: ascending; none if it was not found.
    Ranges(&'a [Range]),
}

/// A set as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Summary {
    /// The entries.
    pub measure: Measure,
    /// How many tips there are, and the sum of their ids.
    pub tips: Measure,
    /// The first tips by position, as many as there are, at most [`crate::wire::NAMED_TIPS`].
    pub first_tips: [Option<Position>; crate::wire::NAMED_TIPS],
    /// The newest arrival.
    pub arrival: Token,
}

/// Where two logs of arrivals stood when both sides held the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Known {
    /// The responder's.
    pub theirs: Token,
    /// The initiator's: while it has not moved on, only the responder can have news.
    pub mine: Token,
}

/// What an initiator expects to move in the whole exchange: exact as soon as no range is open, which is when the first
/// entry moves unless a part of them fits none of the tables; before that a lower bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Expected {
    /// Entries to be received.
    pub receive: u64,
    /// Entries to be sent.
    pub send: u64,
}

/// A part of a range that was cut: from the end of the one before it (the first: from the range's start).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    /// Where it ends: the shortest position ([`super::separator`]) above its last entry and not above the next
    /// part's first. The last part ends one height above its last entry, or with the range.
    pub end: Position,
    /// What it holds: at least one entry.
    pub measure: Measure,
}

/// What was read and sent for a [`Load`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Loaded {
    /// Entries sent.
    pub entries: u64,
    /// Canonical bytes of these.
    pub bytes: u64,
    /// The first entry that was not sent for lack of room in the budget; nothing if all ranges were sent.
    pub next: Option<Position>,
}

/// What became of the entries of one frame, after the write was durable.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ingested<'a> {
    /// Entries that are new and durable, those of earlier frames included that had been waiting for them.
    pub stored: u64,
    /// Entries that were there already.
    pub known: u64,
    /// Parents that are missing, ascending, at most [`crate::wire::MAX_WANTS`]; none that an entry of the exchange
    /// that waits beside it is itself.
    pub missing: &'a [Id],
    /// The lowest entry that was neither stored nor kept to wait for its parents. A responder keeps none.
    pub dropped: Option<Position>,
    /// An entry that breaks a rule, and the rule. Nothing after it was stored.
    pub refused: Option<(Id, &'a str)>,
}

/// What the session wants done.
#[expect(
    clippy::large_enum_variant,
    reason = "without a heap there is no box; outputs are few and short-lived"
)]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Output {
    /// Read from the current snapshot. Answered by [`Input::Answer`]; one is outstanding.
    Query(Query),
    /// Drop the snapshot: what is read next comes from a newer one. Not answered.
    Renew,
    /// `outgoing[..len]` is a control frame to send. Answered by [`Input::Sent`].
    Send(usize),
    /// Read entries from the current snapshot and send them as frames of entries. Answered by [`Input::Loaded`].
    Load(Load),
    /// My message is complete. Not answered.
    Finish,
    /// Hand me the next frame of the peer's message. Answered by [`Input::Frame`] or [`Input::End`]. The caller may
    /// take its time: this is the only backpressure.
    Receive,
    /// The frame in `incoming` holds entries: take it, check, verify and store them. [`Input::Ingested`] follows at
    /// any time; at most [`super::Config::pipeline`] are outstanding.
    Ingest,
    /// The exchange is over, or (for a responder) the request is answered. Nothing comes after it.
    Done(Outcome),
}

/// Reads of one snapshot.
#[expect(clippy::large_enum_variant, reason = "without a heap there is no box; one is outstanding")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Query {
    /// The set as a whole: [`Answer::Summary`].
    Summary,
    /// What each of these ranges holds: [`Answer::Measures`].
    Measure(Vec<Range, BATCH>),
    /// Cut a range into parts: [`Answer::Parts`].
    Split {
        /// The range.
        range: Range,
        /// Where to cut it.
        cut: Cut,
    },
    /// The first positions in a range: [`Answer::Positions`].
    Positions {
        /// The range.
        range: Range,
        /// How many at most.
        limit: usize,
    },
    /// The positions of those ids that the set holds: [`Answer::Positions`].
    Held(Vec<Id, HELD>),
    /// What the set holds beside another that is a part of it, found by walking down: [`Answer::Ranges`].
    Beside {
        /// All tips of the other set.
        tips: Vec<Id, NAMED_TIPS>,
        /// What was said of it, range by range; none if that was not all of it.
        claims: Vec<Claim, CLAIMS>,
        /// With which.
        salt: Salt,
        /// How many entries there are to be found.
        count: u64,
        /// Ranges of entries that follow one another, at most: of more, none.
        limit: usize,
    },
}

/// Ranges in a first request at most.
pub const CLAIMS: usize = 8;

/// Ids in a [`Claim`] at most: the newest entries, which a first request lists.
pub const NEWEST: usize = 4;

/// What a set holds in a range, which begins where the one before it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Where it ends.
    pub end: Position,
    /// How many entries.
    pub count: u64,
    /// Which.
    pub holds: Holds,
}

/// Which entries a [`Claim`] is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Holds {
    /// Those with this fingerprint.
    Fingerprint(Fingerprint),
    /// These, ascending by position.
    Listed(Vec<Prefix, NEWEST>),
}

/// Where to cut a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cut {
    /// Into this many parts of equal counts, as far as the count allows.
    Even(u16),
    /// From the top: the newest 4 entries, then 64, 512, 4,096, 32,768 and 262,144, and what is left; the parts
    /// come in ascending order all the same.
    Newest,
}

/// Entries to send.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Load {
    /// All entries of these ranges, which ascend.
    pub ranges: Vec<Range, BATCH>,
    /// Bytes of frames that may be sent for it.
    pub budget: usize,
    /// Bytes in a frame at most.
    pub frame: usize,
    /// Only what has arrived here behind this number, if there is one; at most [`ARRIVALS`] have.
    pub since: Option<u64>,
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// An initiator's: both sides held the same set.
    Equal(Totals),
    /// An initiator's: the sets still differ. They changed all the time, or the bound on rounds was reached; try
    /// again.
    Unequal(Totals),
    /// An initiator's: the responder refused.
    Refused(Refusal),
    /// A responder's: the request was answered.
    Answered(Totals),
    /// A responder's: the request was answered with a refusal, since an entry broke a rule.
    RefusedEntry {
        /// The entry.
        id: Id,
        /// The rule.
        rule: Rule,
    },
}

/// What an exchange moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Totals {
    /// Entries received that were new.
    pub stored: u64,
    /// Entries received that were there already.
    pub known: u64,
    /// Entries sent.
    pub sent: u64,
    /// Canonical bytes of these.
    pub sent_bytes: u64,
    /// Requests sent, for an initiator.
    pub rounds: u32,
    /// By how many entries the counts differed although the tips were the same: one of the stores had lost them, and
    /// has them again if the exchange ended equal. Run `verify` on both.
    pub lost: u64,
}
