//! One exchange about one tree, without a heap: what do two sets lack of each other?
//!
//! A [`Session`] is an initiator or a responder. It is driven in lockstep:
//!
//! ```text
//! loop {
//!     while let Some(output) = session.poll() { carry out }
//!     session.handle(input, incoming, outgoing)?
//! }
//! ```
//!
//! [`Output`] says which [`Input`] answers it. `incoming` holds the peer's frame while one is being read (empty
//! otherwise). `outgoing` is a buffer of the caller's in which a control frame grows over several calls: it must be
//! the same, untouched, from one call to the next until [`Output::Send`]; 256 KiB serve every case, less makes more
//! round trips.
//!
//! # Snapshots
//!
//! All queries and loads are reads of one snapshot. The caller takes it when the session is made, and a newer one at
//! [`Output::Renew`]: an initiator renews before each request unless it has found what to send, a responder once,
//! before it states its tips.
//!
//! | file | holds |
//! |---|---|
//! | `io` | [`Input`], [`Output`], [`Query`]: what goes in and out |
//! | `machine` | [`Session`]: the state, and the dispatch of inputs |
//! | `initiator`, `responder` | what each side does of its own |
//! | `run` | when to stop, and when to compare once more in another way |
//! | `table`, `moves` | the two bounded lists: what is known of each range, what is to be sent |
//! | `absorb` | reading the peer's ranges |
//! | `compose` | writing own ranges, within budgets |
//! | `transfer` | sending entries, and the end of a message |
//! | `read` | answering queries from a [`crate::storage::Snapshot`] |
//! | `claims` | what a first request says of a set, remembered until the answer is due |
//! | `walk` | what a set holds beside another that is a part of it |
//! | [`partial`] | the same between a device that cannot hold the history and a full node |
//! | `bits` | for tests alone: fingerprints and short forms of so few bits that they collide |
//! | `fault` | [`Fault`]: what can go wrong, by who is to blame |

mod absorb;
#[cfg(any(test, feature = "fuzzing"))]
mod bits;
mod claims;
mod compose;
mod fault;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod initiator;
mod io;
mod machine;
mod moves;
pub mod partial;
#[cfg(feature = "alloc")]
mod read;
mod responder;
mod run;
mod table;
#[cfg(all(test, feature = "alloc"))]
mod tests;
mod transfer;
#[cfg(feature = "alloc")]
mod walk;

#[cfg(any(test, feature = "fuzzing"))]
pub use bits::Bits;
#[cfg(feature = "alloc")]
pub(crate) use fault::rule;
pub use fault::{Blame, Fault};
pub use io::{
    ARRIVALS, Answer, BATCH, CLAIMS, Claim, Cut, Expected, HELD, Holds, Ingested, Input, Known, Load, Loaded,
    NEWEST, Outcome, Output, Part, Query, Summary, Totals,
};
pub use machine::Session;
#[cfg(feature = "alloc")]
pub use read::{OwnedAnswer, Source, answer, answer_from};

use machine::Role;

use crate::{
    Id, Position,
    wire::{CAPABILITIES, Capabilities, PeerLimits, Salt},
};

/// What a session is about, and what it may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// The tree.
    pub tree: Id,
    /// Random bytes of the caller, new for each exchange; an initiator's only.
    pub salt: Salt,
    /// Where both sides stood when they last held the same; an initiator's only. It saves ranges.
    pub known: Option<Known>,
    /// Milliseconds for which the answer to the first request may be kept back; an initiator's only.
    pub hold: u32,
    /// What this side can do.
    pub capabilities: Capabilities,
    /// What this side can take.
    pub limits: PeerLimits,
    /// Frames of entries that may be on their way into the store at once, at least 1.
    pub pipeline: u8,
    /// Requests after which an initiator gives up for this time: each moves at most one message's worth.
    pub rounds: u32,
    /// Positions read in one query, at least [`crate::wire::LIST`] + 1.
    pub page: usize,
    /// How much of fingerprints and short forms is kept: less than all in tests alone.
    #[cfg(any(test, feature = "fuzzing"))]
    pub bits: Bits,
}

impl Config {
    /// A host's: full frames and messages, 8 frames on their way, 1,024 positions a query.
    pub const fn host(tree: Id, salt: Salt) -> Self {
        Self {
            tree,
            salt,
            known: None,
            hold: 0,
            capabilities: CAPABILITIES,
            limits: PeerLimits::HOST,
            pipeline: 8,
            rounds: 65_536,
            page: 1_024,
            #[cfg(any(test, feature = "fuzzing"))]
            bits: Bits::ALL,
        }
    }
}

/// The tables of a host's session: about 130 KiB, so that a fork of thousands of scattered entries is settled in as
/// many round trips as its bytes need.
pub type HostSession = Session<512, 1024>;

/// The shortest position above `below` and not above `above`: it ends a range after the one and before the other in
/// the fewest bytes.
pub fn separator(below: &Position, above: &Position) -> Position {
    if below.height != above.height {
        return Position { height: above.height, id: Id::MIN };
    }
    let mut id = [0; 32];
    for ((to, low), high) in id.iter_mut().zip(below.id.as_bytes()).zip(above.id.as_bytes()) {
        *to = *high;
        if low != high {
            break;
        }
    }
    Position { height: above.height, id: Id::from_bytes(id) }
}
