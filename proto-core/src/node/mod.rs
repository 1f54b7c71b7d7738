//! The engine: commands in, actions out. It ties exchanges, writes and timers together, for any runtime.
//!
//! ```text
//! loop {
//!     node.handle(now, event);
//!     while let Some(action) = node.poll_action() { /* carry it out; its event comes back later */ }
//!     /* wait for the next event, at most until node.deadline() */
//! }
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `command` | what callers ask for and what they are told |
//! | `action` | what a runtime carries out, and the events that answer |
//! | `read` | questions to a snapshot, and [`perform`], which answers them |

mod action;
mod command;
mod entropy;
mod error;
mod read;

pub use action::{Action, Event, ExchangeEvent, ExchangeId, Number, Op, SnapshotId};
pub use command::{Command, CommandId, Commit, Notification, Origin, Progress, Reply, SyncReport, TreeInfo};
pub use entropy::Entropy;
pub use error::NodeError;
pub use read::{CommitContext, Read, ReadReply, perform};
