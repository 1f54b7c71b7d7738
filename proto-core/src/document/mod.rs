//! What applications read and write: values at paths, tables, logs, settings.
//!
//! | file | holds |
//! |---|---|
//! | `row` | [`rows_of`]: the rows that a store keeps of an entry |
//! | `reads` | rows of a snapshot, and of a draft on top of it |
//! | `visible` | which writes can be seen, and the values that they make |
//! | `draft` | [`Draft`]: a transaction in the making |
//! | `changes` | what a draft has gathered, and its encoding |
//! | `store_type` | [`StoreType`] and [`Scope`]: how a typed store is opened, to write or only to read |
//! | `doc` | [`Doc`]: a nested document in memory |
//! | `doc_store`, `table`, `log`, `settings`, `registry` | the typed stores |
//! | `newest` | [`newest_time`]: what the time of an edit must exceed |
//! | `content` | [`content_hash`] |
//!
//! # What is visible
//!
//! Of the writes at one path the one with the greatest stamp counts. A write hides every older one above and below its
//! path, even when it is hidden itself; writes of one entry do not hide each other. A tombstone is a write. So what
//! is visible follows from the set of writes alone, whatever the order in which they came.
//!
//! A map that is written at a path becomes an empty map there, which hides what was below, and one write for each leaf.

#[cfg(feature = "alloc")]
mod changes;
#[cfg(feature = "alloc")]
mod content;
#[cfg(feature = "alloc")]
mod doc;
#[cfg(feature = "alloc")]
mod doc_store;
#[cfg(feature = "alloc")]
mod draft;
#[cfg(feature = "alloc")]
mod error;
#[cfg(feature = "alloc")]
mod log;
#[cfg(feature = "alloc")]
mod newest;
#[cfg(feature = "alloc")]
mod reads;
#[cfg(feature = "alloc")]
mod registry;
#[cfg(feature = "alloc")]
mod row;
#[cfg(feature = "alloc")]
mod settings;
#[cfg(feature = "alloc")]
mod store_type;
#[cfg(feature = "alloc")]
mod table;
#[cfg(feature = "alloc")]
mod visible;

#[cfg(feature = "alloc")]
pub use changes::{Changes, root_settings};
#[cfg(feature = "alloc")]
pub use content::{IMPORT, content_hash};
#[cfg(feature = "alloc")]
pub use doc::Doc;
#[cfg(feature = "alloc")]
pub use doc_store::{DocStore, Edit};
#[cfg(feature = "alloc")]
pub use draft::Draft;
#[cfg(feature = "alloc")]
pub use error::DocumentError;
#[cfg(feature = "alloc")]
pub use log::{Append, Log, LogCursor};
#[cfg(feature = "alloc")]
pub use newest::newest_time;
#[cfg(feature = "alloc")]
pub use registry::{Registry, Typed};
#[cfg(feature = "alloc")]
pub use row::{RowPath, RowWrite, rows_of};
#[cfg(feature = "alloc")]
pub use settings::SettingsStore;
#[cfg(feature = "alloc")]
pub use store_type::{Scope, StoreType};
#[cfg(feature = "alloc")]
pub use table::Table;

#[cfg(all(test, feature = "alloc"))]
mod tests;
