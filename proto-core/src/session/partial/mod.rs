//! A device that cannot hold a tree's history, and what it says to a full node. No heap.
//!
//! A *partial holder* keeps a [`Holding`]: a **base**, at most [`MAX_BASE`](crate::wire::MAX_BASE) positions that
//! stand for themselves and all their ancestors, and a **ring** of entries above it, its own and others'. It takes no
//! part in ranges and fingerprints; it names what it has, and a full node finds out the difference.
//!
//! It writes entries of its own as long as the ring has room, and drops nothing until an *advance*: one durable entry
//! by a key of its allow-list that has all of its tips as parents. That entry becomes the base, and all that lies
//! below it is dropped. It cannot judge who may write, since it does not hold the settings: it talks to the keys of its
//! allow-list only, and takes their word that an entry may stand in the tree. Signatures and structure it checks itself.
//!
//! | file | holds |
//! |---|---|
//! | `holding` | [`Holding`]: base and ring, and the rules by which they change |
//! | `exchange` | [`Contact`]: the machine that talks |
//! | `request`, `response` | its two halves |

mod exchange;
mod holding;
mod request;
mod response;

pub use exchange::{Config, Contact, Input, Outcome, Output, Totals};
pub use holding::{Charter, Holding, MAX_ALLOWED, MAX_TIPS, NotTaken, Slot};
