//! The root key of a database: kept by the node that made it, and moved out of it and back.

use alloc::{
    format,
    string::{String, ToString},
};

use crate::{
    Id, PublicKey, SecretKey,
    instance::Error,
    node::{Command, NodeError, root_key_place},
    storage::{MetaChanges, Snapshot, StorageError},
    text,
};

/// What the text of a root key begins with.
const SCHEME: &str = "pleach-root-key";

/// The key that made a database and ranks above everybody in it: whoever has it replaces a lost or stolen
/// administrator's.
///
/// Its text is made by [`RootKey::to_text`] alone: it has no `Display`, and `Debug` shows the public key.
///
/// ```
/// # use pleach_core::{Id, SecretKey, instance::RootKey};
/// let key = RootKey::new(Id::of(b"a tree"), SecretKey::from_bytes([7; 32]));
/// assert_eq!((key.tree(), key.key()), (Id::of(b"a tree"), &SecretKey::from_bytes([7; 32])));
/// assert_eq!(RootKey::from_text(&key.to_text()), Ok(key));
/// ```
///
/// A runtime finds it in a store, and keeps or forgets it by a command to the node:
///
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, Error, Instance, Memory, RootKey};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// let key = RootKey::held(&*db.snapshot()?, &db.root_id())?.expect("it was made here");
/// let (keep, forget) = (key.keep(&*db.snapshot()?)?, RootKey::forget(&db.root_id()));
/// # drop((keep, forget));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RootKey {
    tree: Id,
    key: SecretKey,
}

/// A text is not that of a root key. It is not repeated here, since it may be a secret.
///
/// ```
/// # use pleach_core::instance::{RootKey, RootKeyTextError};
/// assert_eq!(RootKey::from_text("pleach-root-key:cut"), Err(RootKeyTextError));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the text of a root key, `{SCHEME}:DATABASE:SECRET`: check that all of it was copied")]
pub struct RootKeyTextError;

impl RootKey {
    /// A key for a database. Nobody has checked yet that it is the right one.
    pub const fn new(tree: Id, key: SecretKey) -> Self {
        Self { tree, key }
    }

    /// The root key of a database, if this node has it.
    pub fn held(snapshot: &dyn Snapshot, tree: &Id) -> Result<Option<Self>, StorageError> {
        let Some(bytes) = snapshot.meta(&root_key_place(tree))? else { return Ok(None) };
        let seed = <[u8; 32]>::try_from(bytes.as_slice());
        let key = seed.map(SecretKey::from_bytes);
        key.map(|key| Some(Self::new(*tree, key)))
            .map_err(|_| StorageError::Damaged("a root key is not 32 bytes".to_string()))
    }

    /// The database.
    pub const fn tree(&self) -> Id {
        self.tree
    }

    /// The key itself, to sign with.
    pub const fn key(&self) -> &SecretKey {
        &self.key
    }

    /// The command that keeps it in the node, if it is the key that made the database.
    pub fn keep(&self, snapshot: &dyn Snapshot) -> Result<Command, Error> {
        if root_author(snapshot, &self.tree)? != self.key.public() {
            return Err(Error::NotTheRootKey(self.tree));
        }
        let change = (root_key_place(&self.tree), Some(self.key.to_bytes().to_vec()));
        Ok(Command::Meta(MetaChanges::from([change])))
    }

    /// The command that removes the root key of a database from the node.
    pub fn forget(tree: &Id) -> Command {
        Command::Meta(MetaChanges::from([(root_key_place(tree), None)]))
    }

    /// The secret as text, with the database that it belongs to. Handle with care.
    pub fn to_text(&self) -> String {
        struct Secret([u8; 32]);
        impl core::fmt::Display for Secret {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                text::write(&self.0, f)
            }
        }
        format!("{SCHEME}:{}:{}", self.tree, Secret(self.key.to_bytes()))
    }

    /// Reads what [`RootKey::to_text`] wrote, with white space around it.
    pub fn from_text(text: &str) -> Result<Self, RootKeyTextError> {
        let mut parts = text.trim().split(':');
        let (Some(SCHEME), Some(tree), Some(secret), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(RootKeyTextError);
        };
        let tree = tree.parse().map_err(|_| RootKeyTextError)?;
        let seed = text::parse(secret).map_err(|_| RootKeyTextError)?;
        Ok(Self::new(tree, SecretKey::from_bytes(seed)))
    }
}

/// Who signed the root of a database: the public half of its root key.
pub(super) fn root_author(snapshot: &dyn Snapshot, tree: &Id) -> Result<PublicKey, Error> {
    let root = snapshot.entry(tree, tree)?.ok_or(NodeError::UnknownTree(*tree))?;
    Ok(root.view().author())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_cut_or_changed_is_no_root_key() {
        let key = RootKey::new(Id::of(b"a tree"), SecretKey::from_bytes([7; 32]));
        let text = key.to_text();
        assert_eq!(RootKey::from_text(&format!("  {text}\r\n")), Ok(key));
        for wrong in
            ["", SCHEME, &text[1..], &text[..text.len() - 1], &format!("{text}:"), &format!("{text}a")]
        {
            assert_eq!(RootKey::from_text(wrong), Err(RootKeyTextError), "{wrong}");
        }
    }

    #[test]
    fn what_the_node_is_told_to_keep_shows_no_secret_in_debug() {
        let key = RootKey::new(Id::of(b"a tree"), SecretKey::from_bytes([217; 32]));
        let change = (root_key_place(&key.tree()), Some(key.key().to_bytes().to_vec()));
        let write = crate::storage::Write::Meta(MetaChanges::from([change.clone()]));
        let command = Command::Meta(MetaChanges::from([change]));
        for shown in [format!("{key:?}"), format!("{write:?}"), format!("{command:?}")] {
            assert!(!shown.contains("217") && !shown.contains(&key.to_text()[70..]), "{shown}");
        }
    }
}
