//! A store of named, typed configuration.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    document::{
        DocumentError, Scope, StoreType,
        table::{from_value, to_value},
    },
    entry::Value,
    path,
    storage::RowKind,
};

/// A type that can be kept in a [`Registry`].
///
/// ```
/// # use pleach_core::document::Typed;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Radio {
///     channel: u8,
/// }
/// impl Typed for Radio {
///     const TYPE_ID: &'static str = "radio:v1";
/// }
/// ```
pub trait Typed: Serialize + DeserializeOwned {
    /// Names the type and its form, such as `http:v1`. Another form of the same type gets another name.
    const TYPE_ID: &'static str;
}

/// Configurations, each under a name and with the id of its type. What was stored as one type is never read or
/// overwritten as another.
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Memory, Registry, Typed, Value};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// # #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
/// # struct Radio { channel: u8 }
/// # impl Typed for Radio { const TYPE_ID: &'static str = "radio:v1"; }
/// # #[derive(Debug, serde::Serialize, serde::Deserialize)]
/// # struct Lamp;
/// # impl Typed for Lamp { const TYPE_ID: &'static str = "lamp:v1"; }
/// let txn = db.new_transaction()?;
/// let devices = txn.get_store::<Registry>("devices")?;
/// devices.set("kitchen", &Radio { channel: 11 })?;
/// assert!(devices.set("kitchen", &Lamp).is_err(), "it holds a radio");
/// txn.commit()?;
///
/// let devices = db.get_store_viewer::<Registry>("devices")?;
/// assert_eq!(devices.names()?, ["kitchen"]);
/// assert_eq!(devices.get::<Radio>("kitchen")?, Some(Radio { channel: 11 }));
/// assert!(devices.get::<Lamp>("kitchen").is_err());
/// assert_eq!(devices.type_id("kitchen")?.as_deref(), Some("radio:v1"));
/// assert!(matches!(devices.config("kitchen")?, Some(Value::Map(_))), "whatever its type");
///
/// let txn = db.new_transaction()?;
/// assert!(txn.get_store::<Registry>("devices")?.remove("kitchen")?);
/// txn.commit()?;
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Registry(Scope);

const TYPE_ID: &str = "type_id";
const CONFIG: &str = "config";

impl StoreType for Registry {
    fn open(scope: Scope) -> Result<Self, DocumentError> {
        scope.of_kind(RowKind::Map).map(Self)
    }
}

impl Registry {
    /// Stores a configuration. A name that holds another type is refused.
    pub fn set<C: Typed>(&self, name: &str, config: &C) -> Result<(), DocumentError> {
        let draft = self.0.draft()?;
        self.record(name, Some(C::TYPE_ID))?;
        let record = BTreeMap::from([
            (TYPE_ID.into(), Value::Text(C::TYPE_ID.into())),
            (CONFIG.into(), to_value(name, config)?),
        ]);
        draft.set_row(&self.0.name, &path::from_keys([name])?, Value::Map(record).encode()?)
    }

    /// The configuration with a name, or nothing; a name that holds another type is an error.
    pub fn get<C: Typed>(&self, name: &str) -> Result<Option<C>, DocumentError> {
        let Some((_, config)) = self.record(name, Some(C::TYPE_ID))? else { return Ok(None) };
        from_value(name, &config).map(Some)
    }

    /// The id of the type under a name.
    pub fn type_id(&self, name: &str) -> Result<Option<String>, DocumentError> {
        Ok(self.record(name, None)?.map(|(type_id, _)| type_id))
    }

    /// What is stored under a name, whatever its type.
    pub fn config(&self, name: &str) -> Result<Option<Value>, DocumentError> {
        Ok(self.record(name, None)?.map(|(_, config)| config))
    }

    /// All names, ascending.
    pub fn names(&self) -> Result<Vec<String>, DocumentError> {
        let mut names = Vec::new();
        let mut visible = self.0.reads.visible(&self.0.name, None)?;
        while let Some((path, _)) = visible.next()? {
            names.extend(path::keys(&path).next());
        }
        names.dedup();
        Ok(names)
    }

    /// Removes a configuration of whatever type. Says whether there was one.
    pub fn remove(&self, name: &str) -> Result<bool, DocumentError> {
        let draft = self.0.draft()?;
        let path = path::from_keys([name])?;
        if self.0.reads.value(&self.0.name, &path)?.is_none() {
            return Ok(false);
        }
        draft.change(&self.0.name, RowKind::Map, |writes| Ok(writes.map(&self.0.name)?.delete(&path)?))?;
        Ok(true)
    }

    /// Type and configuration under a name, if they are of the expected type.
    fn record(&self, name: &str, expected: Option<&str>) -> Result<Option<(String, Value)>, DocumentError> {
        let Some(value) = self.0.reads.value(&self.0.name, &path::from_keys([name])?)? else {
            return Ok(None);
        };
        let no_record = || DocumentError::Type { path: name.into(), reason: "it has no type".into() };
        let Value::Map(mut record) = value else { return Err(no_record()) };
        let (Some(Value::Text(found)), Some(config)) = (record.remove(TYPE_ID), record.remove(CONFIG)) else {
            return Err(no_record());
        };
        match expected {
            Some(expected) if expected != found => {
                Err(DocumentError::TypeId { name: name.into(), expected: expected.into(), found })
            }
            _ => Ok(Some((found, config))),
        }
    }
}
