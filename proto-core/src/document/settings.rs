//! The settings of a tree: its name, and who may do what.

use alloc::{string::String, vec::Vec};

use crate::{
    PublicKey,
    access::{GrantRecord, Member},
    document::{DocStore, DocumentError, Scope, StoreType, reads::Reads},
    entry::{Permission, SETTINGS, Value, Who},
};

/// The settings of a tree: its name, further settings at paths, grants and revocations.
///
/// A grant or a revocation of an open transaction takes effect with its commit; until then [`SettingsStore::keys`]
/// and [`SettingsStore::permission_of`] say what holds without it.
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Memory, Permission, SecretKey, SettingsStore, Who};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// # let bob = SecretKey::from_bytes([7; 32]).public();
/// let txn = db.new_transaction()?;
/// let settings = txn.get_store::<SettingsStore>("_settings")?;
/// settings.set_name("notes")?;
/// settings.set("look.colour", "green")?;
/// settings.grant(Who::Key(bob), Permission::Write(100), Some("Bob's laptop"))?;
/// txn.commit()?;
///
/// let settings = db.get_store_viewer::<SettingsStore>("_settings")?;
/// assert_eq!(settings.name()?.as_deref(), Some("notes"));
/// assert_eq!(settings.get("look.colour")?, Some("green".into()));
/// assert_eq!(settings.permission_of(Who::Key(bob))?, Some(Permission::Write(100)));
/// assert_eq!(settings.keys()?.len(), 2, "the creator and Bob");
/// assert!(settings.outranks(instance.device_key(), Who::Key(bob))?);
/// assert!(!settings.outranks(bob, Who::Key(instance.device_key()))?);
///
/// let txn = db.new_transaction()?;
/// let settings = txn.get_store::<SettingsStore>("_settings")?;
/// assert!(settings.delete("look")?);
/// settings.revoke(Who::Key(bob))?;
/// txn.commit()?;
/// assert_eq!(db.get_store_viewer::<SettingsStore>("_settings")?.permission_of(Who::Key(bob))?, None);
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SettingsStore(Scope);

impl StoreType for SettingsStore {
    fn open(scope: Scope) -> Result<Self, DocumentError> {
        if scope.name == SETTINGS { Ok(Self(scope)) } else { Err(DocumentError::SettingsPlace(scope.name)) }
    }
}

impl SettingsStore {
    /// The path of the tree's name.
    pub const NAME: &'static str = "name";

    /// The tree's name.
    pub fn name(&self) -> Result<Option<String>, DocumentError> {
        match self.get(Self::NAME)? {
            Some(Value::Text(name)) => Ok(Some(name)),
            _ => Ok(None),
        }
    }

    /// Gives the tree a name.
    pub fn set_name(&self, name: &str) -> Result<(), DocumentError> {
        self.set(Self::NAME, name)
    }

    /// A setting.
    pub fn get(&self, path: &str) -> Result<Option<Value>, DocumentError> {
        self.document().get(path)
    }

    /// Changes a setting.
    pub fn set(&self, path: &str, value: impl Into<Value>) -> Result<(), DocumentError> {
        self.document().set(path, value)
    }

    /// Removes a setting.
    pub fn delete(&self, path: &str) -> Result<bool, DocumentError> {
        self.document().delete(path)
    }

    /// Grants a permission to a key, or to everybody, with a name for people to recognise the key by. In one
    /// transaction the last grant to a key is the one made.
    pub fn grant(&self, who: Who, permission: Permission, name: Option<&str>) -> Result<(), DocumentError> {
        if let Who::Key(key) = who {
            key.check().map_err(crate::entry::EntryError::Signature)?;
        }
        let grant = GrantRecord { who, permission, name: name.map(Into::into) };
        self.0.draft()?.settings(|settings| {
            settings.grants.insert(who, grant);
        })
    }

    /// Revokes every grant to a key, or to everybody, that ranks below the author and is not made after this.
    pub fn revoke(&self, who: Who) -> Result<(), DocumentError> {
        self.0.draft()?.settings(|settings| {
            settings.revocations.insert(who);
        })
    }

    /// Everybody with a permission, ascending by whom.
    pub fn keys(&self) -> Result<Vec<Member>, DocumentError> {
        Ok(self.0.reads.snapshot.members(&self.0.reads.tree)?)
    }

    /// What a key, or everybody, may do.
    pub fn permission_of(&self, who: Who) -> Result<Option<Permission>, DocumentError> {
        Ok(self.0.reads.snapshot.permission(&self.0.reads.tree, &who)?)
    }

    /// Whether a revocation by `author` of what a name holds now has an effect: equals cannot remove each other,
    /// nobody revokes itself or the root key.
    pub fn outranks(&self, author: PublicKey, who: Who) -> Result<bool, DocumentError> {
        let Reads { snapshot, tree, .. } = &self.0.reads;
        let root = snapshot.entry(tree, tree)?.map(|root| Who::Key(root.view().author()));
        if root == Some(who) || root == Some(Who::Key(author)) {
            return Ok(root != Some(who));
        }
        let theirs = self.keys()?.into_iter().find(|member| member.who == who);
        let own = self.permission_of(Who::Key(author))?;
        Ok(theirs.is_none_or(|theirs| own > Some(theirs.permission)))
    }

    fn document(&self) -> DocStore {
        DocStore::of_scope(self.0.clone())
    }
}
