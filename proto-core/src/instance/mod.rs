//! What the handles of every runtime are made of, as plain data and functions of a snapshot.
//!
//! | file | holds |
//! |---|---|
//! | `error` | [`Error`]: everything that can go wrong, sorted by who is to blame |
//! | `clock` | [`Clock`]: where a runtime asks what time it is |
//! | `key` | [`DatabaseKey`]: whom a database is opened as |
//! | `options` | [`Options`]: how an instance is opened |
//! | `prepare` | [`prepare`]: a store's node key, name and `_sync` tree, when it is opened |
//! | `root_key` | [`RootKey`]: kept, moved out, brought back |
//! | `sync_tree` | what the local tree `_sync` holds, [`SyncPeerInfo`] among it |
//! | `peer_book` | [`PeerBook`]: who is known, where, in what state, and which database goes to whom; `peer_edit`: [`Edit`], its changes |
//! | `sync_settings` | settings of programs, and typed configurations of transports, in `_sync` |
//! | `sync_history` | [`HistoryFilter`], [`SyncCursor`], [`SyncMetadata`]: what syncs there were, how far pairs are |
//! | `user` | users, their public keys, [`SyncSettings`]; `preferences`: what they say, combined |
//! | `sync_status` | [`SyncStatus`]: how a pair of database and peer stands |
//! | `stats` | [`DatabaseStats`]: counts, tips, the content hash |
//! | `verify` | [`verify`]: the whole history again from the bytes; [`check`]: signatures on many cores |
//! | `bootstrap` | [`AccessRequest`], [`Bootstrap`]: asking for access; [`Approval`]: granting it |
//! | `joining` | [`Joining`]: the steps of getting in by asking, at several places |
//! | `inviting` | [`InviteOptions`]: making invites; revoking them |
//! | `change` | [`Change`]: what watchers of a database are told |

mod bootstrap;
mod change;
mod clock;
mod error;
mod inviting;
mod joining;
mod key;
mod options;
mod peer_book;
mod peer_edit;
mod preferences;
mod prepare;
mod replay;
mod root_key;
mod stats;
mod sync_history;
pub mod sync_settings;
mod sync_status;
pub mod sync_tree;
pub mod user;
mod verify;

pub use bootstrap::{AccessRequest, Approval, Bootstrap};
pub use change::Change;
pub use clock::Clock;
pub use error::Error;
pub use inviting::{DEFAULT_INVITE_VALIDITY, InviteOptions, revoke_invite};
pub use joining::{JoinStep, Joining};
pub use key::DatabaseKey;
pub use options::Options;
pub use peer_book::{MAX_PEER_ADDRESSES, PeerBook, PeerInfo};
pub use peer_edit::Edit;
pub use prepare::{Prepared, is_secret, prepare};
pub use root_key::{RootKey, RootKeyTextError};
pub use stats::{DatabaseStats, databases, stats, tips};
pub use sync_history::{HistoryFilter, SyncCursor, SyncMetadata};
pub use sync_status::{Stuck, SyncPhase, SyncStatus};
pub use sync_tree::{AuthParams, Follow, SyncPeerInfo};
pub use user::{SyncSettings, TrackedDatabase, UserInfo, UserKey};
pub use verify::{Checked, Fault, Verification, check, check_by_tree, join_checked, verify};
