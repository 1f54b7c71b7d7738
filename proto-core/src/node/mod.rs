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
//! | `writes`, `outcome` | the writes of one tree: one in flight, the others in line; what came of them |
//! | `exchanges` | all exchanges; `accepting`: who is let in; `initiator`, `responder`: one of either kind; `ended`: who is told |
//! | `further` | further keys that a peer proves beside its node key |
//! | `budgets` | what a peer that is a stranger may use, and who gives way |
//! | `limits` | [`Limits`]: what the owner of the node bounds, and within which range |
//! | `talk`, `pipeline` | a session at work: its buffers, its snapshot, its frames |
//! | `giving`, `difference` | answering a partial holder, and what it lacks |
//! | `requests` | access requests, as the metadata keeps them; `deciding`: their way through; `places`: who gives way |
//! | `invites` | what a tree's settings say of invites; `redeeming`: letting their bearers in |
//! | `relations` | which tree is kept the same with which peer, and when to try next; `record`: what is kept of that |
//! | `fetches` | which of several peers brings a tree of which nothing was held |
//! | `races` | one purpose at several addresses, of one peer or of several; `lost`: those that came to nothing; `tracking`: from what is due to what was reached |
//! | `peers` | who is in the book, and who was met; `status`: what is known at this moment |
//! | `waits`, `flush` | callers that wait for a first sync, or until all that is pending was attempted |
//! | `history` | what syncs there were, in bounded room |
//! | `repairs` | when a damaged tree is made whole again |

mod action;
mod budgets;
mod command;
mod compose;
mod create;
mod deciding;
mod difference;
mod ended;
mod engine;
mod error;
mod exchanges;
mod fetches;
mod flush;
mod further;
mod giving;
mod history;
mod initiator;
mod invites;
mod known;
mod limits;
mod lost;
mod outbox;
mod outcome;
mod peers;
mod pipeline;
mod places;
mod races;
mod read;
mod record;
mod redeeming;
mod relations;
mod repairs;
mod requests;
mod responder;
mod status;
mod talk;
mod tracking;
mod undo;
mod waits;
mod writes;

pub use action::{Action, Arrival, Event, ExchangeEvent, ExchangeId, Number, Op, SnapshotId};
pub use budgets::{
    CHECKS, CHECKS_A_SECOND, FRAME_OVERHEAD, MAX_ACCEPTED, MAX_HELD, MAX_HELD_BY_STRANGERS, MAX_NODES_OF_KEY,
    MAX_OF_KEY, MAX_OF_SOURCE, MAX_PROVEN, MAX_SOURCES, MAX_STRANGERS, MERGE_SECONDS, MERGES, PROVEN_FOR,
    REQUESTS, REQUESTS_A_SECOND, STRANGER_BYTES, STRANGER_BYTES_A_SECOND, STRANGER_FRAME, STRANGERS_AT_ONCE,
};
pub use command::{
    Command, CommandId, Commit, Damage, Notification, Origin, Petition, Progress, Reply, SyncReport,
    Tracking, TreeInfo,
};
pub(crate) use create::ROOT_KEY_PREFIX;
pub use create::root_key_place;
pub use difference::Difference;
pub use engine::Node;
pub use error::NodeError;
pub use exchanges::{MAX_OPENED, MAX_STAYS};
pub use flush::Attempt;
pub use further::FurtherKeys;
pub use history::{HistoryMarks, MAX_HISTORY, SyncHistoryEntry, SyncRole, history, history_marks};
pub use invites::{InviteInfo, InviteUse, invites, record_invite, record_revocation};
pub(crate) use known::known_marks;
pub use limits::{
    LimitError, Limits, MIN_ACCEPTED, MIN_ACQUAINTANCES, MIN_CONNECTIONS, MIN_HELD, MIN_HISTORY, MIN_OPENED,
    MIN_REQUESTS, MOST_ACCEPTED, MOST_ACQUAINTANCES, MOST_CONNECTIONS, MOST_HELD, MOST_HISTORY, MOST_OPENED,
    MOST_REQUESTS,
};
pub use lost::LostSource;
pub use peers::{MAX_ACQUAINTANCES, acquaintances};
pub use read::{Admission, CommitContext, Read, ReadReply, Rights, perform};
pub use record::{PairError, PairRecord};
pub use redeeming::Redeeming;
pub use requests::{
    BootstrapRequest, MAX_DECIDED, MAX_REQUESTS, MAX_REQUESTS_OF_KEY, REQUEST_EXPIRY, RequestStatus,
    approved_requests, decided_requests, pending_requests, rejected_requests, request,
};
pub use status::{Activity, ConnectionState, Moved, PairStatus, PeerState, PeerStatus, Seen};
pub use talk::Counts;
