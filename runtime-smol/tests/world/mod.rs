//! Nodes with sync enabled, and the course that two of them go through.
#![allow(dead_code, reason = "each test file uses a part")]

use std::sync::Arc;

use pleach_core::storage::{Write, Written};
use pleach_smol::{
    Database, DatabaseKey, Doc, DocStore, Id, Instance, Memory, Permission, Snapshot, StorageError, Store,
    Sync, Who,
};

/// A node with sync enabled.
pub(crate) struct World {
    pub(crate) instance: Instance,
    pub(crate) sync: Sync,
}

impl World {
    pub(crate) async fn new(store: impl Store + 'static) -> Self {
        let instance = Instance::open(store).await.unwrap();
        instance.enable_sync().await.unwrap();
        let sync = instance.sync().unwrap();
        Self { instance, sync }
    }

    pub(crate) async fn create(&self, name: &str, grants: &[(Who, Permission)]) -> Database {
        let mut settings = Doc::new();
        settings.set("name", name).unwrap();
        let grants = grants.to_vec();
        Database::create_with(&self.instance, DatabaseKey::Device, settings, grants).await.unwrap()
    }

    pub(crate) fn open(&self, id: &Id) -> Database {
        Database::open(&self.instance, id, DatabaseKey::Device).unwrap()
    }
}

/// A permission for everybody.
pub(crate) fn grant_all(permission: Permission) -> Vec<(Who, Permission)> {
    vec![(Who::Everyone, permission)]
}

/// Commits one value.
pub(crate) async fn write(database: &Database, key: &str, value: &str) {
    let txn = database.new_transaction().unwrap();
    txn.get_store::<DocStore>("notes").unwrap().set(key, value).unwrap();
    txn.commit().await.unwrap();
}

/// Whether both show and hold the same.
pub(crate) fn assert_same(one: &Database, two: &Database) {
    let (one, two) = (one.stats().unwrap(), two.stats().unwrap());
    assert_eq!(one.tips, two.tips);
    assert_eq!(one.entries, two.entries);
    assert_eq!(one.content_hash, two.content_hash);
}

/// B fetches a database of A, both write while apart, also to the same key, and sync again. The transports are
/// registered already.
pub(crate) async fn meet(a: &World, b: &World) -> Id {
    let database = a.create("shared", &[(Who::Key(b.instance.device_key()), Permission::Write(9))]).await;
    for n in 0..20 {
        write(&database, &format!("before{n}"), "a").await;
    }
    a.sync.accept_connections().await.unwrap();
    let ticket = a.sync.create_ticket(&database.root_id()).unwrap();
    let report = b.sync.sync_with_ticket(&ticket).await.unwrap();
    assert_eq!((report.entries_received, report.entries_sent), (21, 0));
    assert_eq!(report.peer, Some(a.instance.device_key()));
    let theirs = b.open(&database.root_id());
    assert_same(&database, &theirs);

    for n in 0..5 {
        write(&database, &format!("a{n}"), "a").await;
        write(&theirs, &format!("b{n}"), "b").await;
        write(&database, "both", "a").await;
        write(&theirs, "both", "b").await;
    }
    assert_ne!(database.stats().unwrap().content_hash, theirs.stats().unwrap().content_hash);
    let report = b.sync.sync_with_ticket(&ticket).await.unwrap();
    assert_eq!((report.entries_received, report.entries_sent), (10, 10));
    assert_same(&database, &theirs);
    assert!(theirs.verify().unwrap().is_ok());

    let nothing = b.sync.sync_with_ticket(&ticket).await.unwrap();
    assert_eq!((nothing.entries_received, nothing.entries_sent), (0, 0));
    database.root_id()
}

/// A store that outlives its instance.
pub(crate) struct Shared(pub(crate) Arc<Memory>);

impl Store for Shared {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
        self.0.snapshot()
    }

    fn write(&self, write: &Write) -> Result<Written, StorageError> {
        self.0.write(write)
    }
}
