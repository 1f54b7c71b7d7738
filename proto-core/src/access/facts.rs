//! What a store tells about a tree, so that its entries can be judged.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    Id, Position, PublicKey,
    access::{View, ViewId},
    entry::{EntryView, Grant, Permission, SettingsView, Who},
    storage::StorageError,
};

/// What is stored of an entry beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// Where it stands.
    pub position: Position,
    /// The settings that hold for its children: its own view with what it writes itself.
    pub view: ViewId,
    /// Bytes of its encoding.
    pub bytes: u32,
    /// Whether it is in the shared set.
    pub shared: bool,
    /// Whether it counts in all that is stored; what does not is masked.
    pub counts: bool,
}

/// One tree as a store knows it: answered by a write transaction (with all that it has written so far) or by a
/// snapshot. Everything it names is in that store, so a number that leads nowhere is [`StorageError::Damaged`].
pub trait Facts {
    /// The tree.
    fn tree(&self) -> Id;

    /// The author of the tree's root. Not asked while the store does not hold the tree.
    fn root_key(&self) -> Result<PublicKey, StorageError>;

    /// What is stored of an entry, or nothing if it is not stored.
    fn header(&self, id: &Id) -> Result<Option<Header>, StorageError>;

    /// The view with this number.
    fn view(&self, id: ViewId) -> Result<View, StorageError>;

    /// How many settings entries are stored: the ordinal that the next one gets.
    fn settings_count(&self) -> Result<u32, StorageError>;

    /// The settings entry with this ordinal.
    fn record(&self, ordinal: u32) -> Result<SettingsRecord, StorageError>;

    /// Every stored grant to exactly this name, in any order.
    fn grants_naming(&self, who: &Who) -> Result<Vec<GrantRef>, StorageError>;

    /// The ordinals of all stored entries that revoke exactly this name, in any order.
    fn revocations_naming(&self, who: &Who) -> Result<Vec<u32>, StorageError>;
}

/// A grant, as an index by name holds it. An entry names nobody twice, so ordinal and name make one grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GrantRef {
    /// The settings entry that made it.
    pub ordinal: u32,
    /// What it grants.
    pub permission: Permission,
}

/// A grant on the heap; see [`Grant`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GrantRecord {
    /// Whom it names.
    pub who: Who,
    /// What they may do.
    pub permission: Permission,
    /// A name for people to recognise the key by.
    pub name: Option<String>,
}

impl From<Grant<'_>> for GrantRecord {
    fn from(grant: Grant<'_>) -> Self {
        Self { who: grant.who, permission: grant.permission, name: grant.name.map(Into::into) }
    }
}

/// A settings entry, as far as access needs it. Stores keep it in the canonical encoding.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SettingsRecord {
    /// How many settings entries arrived before it in this store.
    pub ordinal: u32,
    /// Where it stands.
    pub position: Position,
    /// Who signed it.
    pub author: PublicKey,
    /// The settings entries among its ancestors, itself not among them.
    pub view: View,
    /// What it grants, ascending by whom.
    pub grants: Vec<GrantRecord>,
    /// Whose grants it revokes, ascending.
    pub revocations: Vec<Who>,
}

impl SettingsRecord {
    /// The record of an entry that writes settings.
    pub fn new(
        ordinal: u32,
        position: Position,
        entry: &EntryView<'_>,
        settings: &SettingsView<'_>,
        view: View,
    ) -> Self {
        Self {
            ordinal,
            position,
            author: entry.author(),
            view,
            grants: settings.grants.iter().map(Into::into).collect(),
            revocations: settings.revocations.iter().collect(),
        }
    }

    /// The author must rank strictly above this for the entry to count.
    pub(super) fn required(&self) -> Permission {
        required(self.grants.iter().map(|grant| grant.permission))
    }
}

/// What an author of settings with these grants must rank strictly above: every `Write`, and every grant.
pub(super) fn required(granted: impl Iterator<Item = Permission>) -> Permission {
    granted.fold(Permission::Write(0), Permission::max)
}
