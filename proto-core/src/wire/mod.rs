//! What peers say to each other: frames, and the messages that they make up.
//!
//! A *frame* is one length-prefixed unit of at most [`crate::limits::MAX_FRAME`] bytes; the prefix belongs to the
//! transport. Its first byte is its [`Kind`], the rest the canonical postcard encoding of that kind's body. A
//! *message* is the frames of one request, or of one response:
//!
//! ```text
//! sync request    Sync  [Wants]  Entries*  End
//! sync response   Reply          Entries*  [Missing]  End     or   Refusal
//! trees request   Trees
//! trees response  TreeList                                    or   Refusal
//! have request    Have   [Gone]    Entries*             End
//! have response   Reply  (Advance | Entries*)  [Missing]  End   or   Refusal
//! ask request     Ask
//! ask response    Asked                                       or   Refusal
//! ```
//!
//! Proofs of further keys may stand in front of a sync, have or trees request, and of a sync response: one frame `Keys`.
//!
//! | file | holds |
//! |---|---|
//! | `frame` | [`Frame`], [`Kind`]: reading a frame in place, writing one |
//! | `hello` | [`Hello`], [`Reply`], [`End`], [`Refusal`] |
//! | `range` | [`RangeItem`]: what a side says of one range |
//! | `entries` | [`Entries`], [`EntriesWriter`]: the frames that carry entries |
//! | `partial` | [`Have`]: what a partial holder says of itself |
//! | `proof` | [`KeyProof`]: a key beside the node's, proven for one exchange |
//! | [`serial`] | frames over a plain line of bytes |
//! | `signed` | what is signed where the transport proves no keys |
//! | `address`, `ticket` | where peers are, and how people pass that on |
//! | `json` | the same frames as JSON text |
//! | `trees` | [`TreesRequest`], [`TreeLine`]: which trees the asker may read |
//! | `asking` | [`Ask`], [`Asked`]: requests for access |
//! | `invite`, `invitation` | [`Invite`], [`Redemption`]: a promise and who takes it up; [`Invitation`]: with its secret |

#[cfg(feature = "alloc")]
mod address;
mod asking;
mod entries;
mod frame;
mod hello;
mod hex;
#[cfg(feature = "alloc")]
mod invitation;
mod invite;
mod items;
#[cfg(feature = "alloc")]
pub mod json;
mod partial;
mod proof;
mod range;
pub mod serial;
mod signed;
#[cfg(feature = "alloc")]
mod ticket;
mod trees;

#[cfg(feature = "alloc")]
pub use address::{Address, AddressError, MAX_ADDRESS};
pub use asking::{Ask, AskOutcome, Asked, MAX_REQUEST_METADATA};
pub use entries::{Entries, EntriesWriter};
pub(crate) use frame::append;
pub use frame::{Frame, FrameError, Kind, write};
pub use hello::{
    CAPABILITIES, Capabilities, End, Hello, MAX_WANTS, MIN_FRAME, MIN_MESSAGE, NAMED_TIPS, PeerLimits,
    Refusal, Reply, Rule, Salt, Tips, VERSION, Versions,
};
#[cfg(feature = "alloc")]
pub use invitation::{Invitation, InvitationTextError, MAX_INVITATION_TEXT};
pub use invite::{
    INVITE_SLACK, INVITE_VERSION, Invite, InviteError, MAX_INVITE_USES, MAX_INVITE_VALIDITY, Redemption,
};
pub use items::{Items, ItemsIter};
pub use partial::{Have, MAX_BASE, MAX_RING};
pub use proof::{Binding, KeyProof, MAX_PROOFS, ProofTarget, Side};
pub use range::{Bound, Floor, IdPrefix, LIST, Mode, Prefix, RangeItem};
pub use signed::{
    FRESHNESS, NodeAnswer, Nonce, RequestDigest, RequestHead, RequestHeadError, RequestTarget, ResponseHead,
    SignedError, Transcript, VERSIONS as SIGNED_VERSIONS, body_hash, nonce_of,
};
#[cfg(feature = "alloc")]
pub use ticket::{DatabaseTicket, MAX_HINTS, MAX_TICKET, TicketError};
pub use trees::{MAX_TREE_NAME, TREES_PAGE, TreeLine, TreesReply, TreesRequest};
