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
//! | `engine` | [`Node`]: where events go, and what follows from them |
//! | `command`, `error` | what callers ask for, and what they are told |
//! | `action`, `outbox` | what a runtime carries out, and the events that answer |
//! | `read` | questions to a snapshot, and [`perform`], which answers them |
//! | `create`, `compose` | how a tree is made, how commits become entries |
//! | `writes` | the writes of one tree: one in flight, the others in line |
//! | `exchanges` | all exchanges; `initiator`, `responder`: one of either kind; `ended`: who is told |
//! | `talk`, `pipeline` | a session at work: its buffers, its snapshot, its frames |
//! | `giving`, `difference` | answering a partial holder, and what it lacks |
//! | `requests` | access requests, as the metadata keeps them; `deciding`: their way through; `places`: who gives way |
//! | `relations` | which tree is kept the same with which peer, and when to try next |
//! | `repairs` | when a damaged tree is made whole again |

mod action;
mod command;
mod compose;
mod create;
mod deciding;
mod difference;
mod ended;
mod engine;
mod error;
mod exchanges;
mod giving;
mod initiator;
mod known;
mod outbox;
mod pipeline;
mod places;
mod read;
mod relations;
mod repairs;
mod requests;
mod responder;
mod talk;
mod undo;
mod writes;

pub use action::{Action, Arrival, Event, ExchangeEvent, ExchangeId, Number, Op, SnapshotId};
pub use command::{
    Command, CommandId, Commit, Damage, Notification, Origin, Progress, Reply, SyncReport, TreeInfo,
};
pub(crate) use create::ROOT_KEY_PREFIX;
pub use create::root_key_place;
pub use difference::Difference;
pub use engine::Node;
pub use error::NodeError;
pub use read::{Admission, CommitContext, Read, ReadReply, perform};
pub use requests::{
    BootstrapRequest, MAX_DECIDED, MAX_REQUESTS, MAX_REQUESTS_OF_KEY, REQUEST_EXPIRY, RequestStatus,
    approved_requests, decided_requests, pending_requests, rejected_requests, request,
};
