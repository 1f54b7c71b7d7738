//! What can go wrong while documents are read and written.

use alloc::string::String;

use crate::{
    entry::{EntryError, SETTINGS},
    storage::{RowKind, StorageError},
};

/// Why a document could not be read or written.
///
/// ```
/// # use pleach_core::document::DocumentError;
/// assert!(DocumentError::ReadOnly.to_string().contains("open it in a transaction to write"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The store below failed.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// A path, a value or a name breaks a rule of entries.
    #[error("{0}")]
    Rule(#[from] EntryError),
    /// A write through a viewer.
    #[error("this store was opened to read: open it in a transaction to write")]
    ReadOnly,
    /// A write into a transaction that has been committed.
    #[error("this transaction has been committed: begin a new one")]
    Finished,
    /// The store's name holds another kind of rows.
    #[error("the store {store} holds {found}, not {expected}: use another name")]
    Kind {
        /// The store's name.
        store: String,
        /// What was to be opened.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// The store `_settings` opened as something else, or settings opened under another name.
    #[error("{0} cannot be opened like this: settings, and nothing else, live in {SETTINGS}")]
    SettingsPlace(String),
    /// A row with this key is there already.
    #[error("a row with the key {0} exists: use `set` to replace it")]
    Exists(String),
    /// What is stored does not fit the type asked for, or the type has no such form.
    #[error("{path} does not fit the type asked for: {reason}")]
    Type {
        /// The path, or the key.
        path: String,
        /// What does not fit.
        reason: String,
    },
    /// A configuration of another type.
    #[error("{name} is registered as {found}, not as {expected}: ask for that type, or remove it first")]
    TypeId {
        /// The name in the registry.
        name: String,
        /// The type asked for.
        expected: String,
        /// The type that is stored.
        found: String,
    },
}

impl DocumentError {
    pub(super) fn kind(store: &str, expected: RowKind) -> Self {
        let name = |kind| match kind {
            RowKind::Map => "values at paths",
            RowKind::Log => "a log",
        };
        let other = match expected {
            RowKind::Map => RowKind::Log,
            RowKind::Log => RowKind::Map,
        };
        Self::Kind { store: store.into(), expected: name(expected), found: name(other) }
    }
}
