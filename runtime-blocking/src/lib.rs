//! Pleach for programs without async: databases that are the same on every device that holds them.
//!
//! Calls block and are carried out on the calling thread; each exchange with a peer has a thread. Without
//! QUIC there is no executor in the process. The same names with `async` are in the crate `pleach-smol`.
//!
//! ```
//! use pleach_blocking::{Database, DatabaseKey, Doc, DocStore, Instance, Memory};
//! let instance = Instance::open(Memory::new())?;
//! let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
//! let txn = db.new_transaction()?;
//! txn.get_store::<DocStore>("notes")?.set("title", "Pleaching")?;
//! txn.commit()?;
//! # Ok::<(), pleach_blocking::Error>(())
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `instance` | [`Instance`]: a node over a store |
//! | `database`, `transaction` | [`Database`], [`Transaction`]: reading and writing |
//! | `sync` | [`Sync`]: transports, servers, exchanges with peers; `bootstrap`: access requests; `invites` |
//! | `settings`, `history` | what `_sync` keeps for programs; what syncs there were, what is pending |
//! | `user` | [`User`]: several people, each with keys and wishes of their own |
//! | `peers`, `handle` | the peer book; [`SyncHandle`]: the sync of one database with one peer |
//! | `watch` | [`Watch`]: a stream of what happens |
//! | `driver` | the node behind a lock, and what carries out its actions |
//!
//! # Stores
//!
//! One transaction writes to any number of stores, of five types: [`DocStore`] for one nested document, [`Table`] for rows of a
//! type, [`Log`] for bytes in order, [`SettingsStore`] for names and grants, [`Registry`] for typed configuration.
//!
//! ```
//! use pleach_blocking::{Database, DatabaseKey, Doc, DocStore, Instance, Log, Memory, Permission, SettingsStore, Table, Who};
//!
//! #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
//! struct Tree {
//!     name: String,
//!     meters: u32,
//! }
//!
//! let instance = Instance::open(Memory::new())?;
//! let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
//! let txn = db.new_transaction()?;
//! txn.get_store::<DocStore>("notes")?.set("garden.hedge", "hornbeam")?;
//! let key = txn.get_store::<Table<Tree>>("trees")?.insert(&Tree { name: "lime".into(), meters: 30 })?;
//! txn.get_store::<Log>("events")?.append(b"planted")?;
//! txn.get_store::<SettingsStore>("_settings")?.grant(Who::Everyone, Permission::Read, None)?;
//! txn.commit()?;
//!
//! let trees = db.get_store_viewer::<Table<Tree>>("trees")?;
//! assert_eq!(trees.get(&key)?.map(|tree| tree.meters), Some(30));
//! assert_eq!(trees.search(|tree| tree.meters > 40)?, []);
//! assert_eq!(db.get_store_viewer::<DocStore>("notes")?.keys_of("garden")?, ["hedge"]);
//! assert_eq!(db.get_store_viewer::<Log>("events")?.entries(None, 10)?.len(), 1);
//! # Ok::<(), pleach_blocking::Error>(())
//! ```
//!
//! # Features
//!
//! `http` and `redb` are on by default, `quic`, `serial` and `iroh` are not; they bring the transport or the store of that
//! name. QUIC and iroh each run an executor of their own on one thread.

mod bootstrap;
mod database;
mod driver;
mod handle;
mod history;
mod instance;
mod invites;
mod peers;
mod settings;
mod sync;
mod transaction;
mod user;
mod watch;

pub use database::Database;
pub use handle::SyncHandle;
pub use instance::{Instance, WeakInstance};
pub use pleach_core::{
    Id, KeyError, Now, Position, PublicKey, SecretKey, Signature, TextError,
    access::{Member, Refusal},
    document::{
        Append, Doc, DocStore, DocumentError, Edit, Log, LogCursor, Registry, Scope, SettingsStore,
        StoreType, Table, Typed,
    },
    entry::{
        BuildError, Entry, EntryBuilder, EntryError, Origin as EntryOrigin, Permission, Value, VerifiedEntry,
        Who,
    },
    instance::{
        AccessRequest, AuthParams, Bootstrap, Change, Clock, DatabaseKey, DatabaseStats, Error,
        Error as SyncError, Fault, Follow, HistoryFilter, InviteOptions, Options, PeerInfo, RootKey,
        RootKeyTextError, Stuck, SyncCursor, SyncMetadata, SyncPeerInfo, SyncPhase, SyncSettings, SyncStatus,
        TrackedDatabase, UserInfo, UserKey, Verification,
    },
    node::{
        Attempt, BootstrapRequest, ConnectionState, Counts, Damage, InviteInfo, InviteUse, LimitError,
        Limits, LostSource, Moved, NodeError, Notification, Origin, PairError, PeerStatus, Progress,
        RequestStatus, Seen, SyncHistoryEntry, SyncReport, SyncRole, TreeInfo,
    },
    storage::{Put, Snapshot, Stamp, StorageError, Store},
    wire::{
        Address, AddressError, DatabaseTicket, Invitation, InvitationTextError, Invite, InviteError,
        TicketError,
    },
};
pub use pleach_storage::Memory;
#[cfg(feature = "redb")]
pub use pleach_storage::{Options as RedbOptions, Redb};
#[cfg(feature = "passphrase")]
pub use pleach_storage::{SealError, Sealed, passphrase_needed};
pub use pleach_transports::host::Callback;
#[cfg(feature = "http")]
pub use pleach_transports::http::{HttpBuilder, HttpTransport};
#[cfg(feature = "iroh")]
pub use pleach_transports::iroh::{IrohBuilder, IrohTransport};
pub use pleach_transports::memory::{Faults, MemoryBuilder, MemoryNetwork};
#[cfg(feature = "quic")]
pub use pleach_transports::quic::{QuicBuilder, QuicTransport};
#[cfg(feature = "serial")]
pub use pleach_transports::serial::{SerialBuilder, SerialTransport};
pub use pleach_transports::{Builder, Built, Context, Exchange, Listener, Transport, TransportError};
pub use sync::{PeerOutcomes, Sync};
pub use transaction::Transaction;
pub use user::User;
pub use watch::Watch;
