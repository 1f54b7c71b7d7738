//! What `_sync` keeps for programs, what syncs there were, what is pending.

use std::{collections::BTreeMap, sync::Arc};

use pleach_blocking::{
    Address, Database, DatabaseKey, Doc, DocStore, Error, HistoryFilter, Id, Instance, Memory, MemoryNetwork,
    Permission, Registry, SecretKey, Snapshot, StorageError, Store, Sync, SyncPeerInfo, SyncRole, Typed,
    Value, Who,
};
use pleach_core::storage::{Write, Written};
use serde::{Deserialize, Serialize};

/// A store that outlives its instance.
struct Shared(Arc<Memory>);

impl Store for Shared {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
        self.0.snapshot()
    }

    fn write(&self, write: &Write) -> Result<Written, StorageError> {
        self.0.write(write)
    }
}

fn node(store: &Arc<Memory>, network: &MemoryNetwork, place: &str) -> (Instance, Sync, Address) {
    let instance = Instance::open(Shared(Arc::clone(store))).unwrap();
    let sync = Sync::new(&instance).unwrap();
    let transport = network.builder().bind(place).transport(sync.transport_context().unwrap());
    sync.add_transport("memory", transport).unwrap();
    let address = sync.accept_connections().unwrap().remove(0);
    (instance, sync, address)
}

fn shared(instance: &Instance, with: &Instance) -> Database {
    let grants = vec![(Who::Key(with.device_key()), Permission::Write(9))];
    Database::create_with(instance, DatabaseKey::Device, Doc::new(), grants).unwrap()
}

fn write(database: &Database, key: &str) -> Id {
    let txn = database.new_transaction().unwrap();
    txn.get_store::<DocStore>("notes").unwrap().set(key, "x").unwrap();
    txn.commit().unwrap().id
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Radio {
    channel: u8,
}

impl Typed for Radio {
    const TYPE_ID: &'static str = "radio:v1";
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Lamp {
    channel: u8,
}

impl Typed for Lamp {
    const TYPE_ID: &'static str = "lamp:v1";
}

#[test]
fn settings_and_configurations_survive_a_restart_and_keep_their_types() {
    let store = Arc::new(Memory::new());
    let open = || Instance::open(Shared(Arc::clone(&store))).unwrap();
    let instance = open();
    let sync = Sync::new(&instance).unwrap();
    let root = sync.sync_tree_root_id().unwrap();
    assert_eq!(sync.get_setting("a.b").unwrap(), None);
    sync.set_setting("a.b", "dark").unwrap();
    assert_eq!(sync.load_transport_config::<Radio>("one").unwrap(), Radio { channel: 0 });
    sync.save_transport_config("one", &Radio { channel: 11 }).unwrap();
    instance.close();
    assert!(sync.get_setting("a.b").unwrap_err().is_closed());
    drop((instance, sync));

    let instance = open();
    let sync = Sync::load(&instance, &root).unwrap();
    assert_eq!(sync.get_setting("a.b").unwrap(), Some(Value::from("dark")));
    assert_eq!(sync.load_transport_config::<Radio>("one").unwrap(), Radio { channel: 11 });
    let other = sync.load_transport_config::<Lamp>("one").unwrap_err().to_string();
    assert!(other.contains("radio:v1") && other.contains("lamp:v1"), "{other}");
    sync.save_transport_config("one", &Lamp { channel: 1 }).unwrap_err();
    assert_eq!(sync.load_transport_config::<Radio>("one").unwrap(), Radio { channel: 11 });
    let wrong = Id::of(b"another");
    assert_eq!(Sync::load(&instance, &wrong).unwrap_err(), Error::NotTheSyncTree(wrong));
    let seen = sync.backend().unwrap().snapshot().unwrap().summary(&root).unwrap();
    assert!(seen.is_some(), "the store is the instance's");
}

#[test]
fn a_registry_says_what_it_holds_and_refuses_another_type() {
    let instance = Instance::open(Memory::new()).unwrap();
    let database = Database::create(&instance, DatabaseKey::Device, Doc::new()).unwrap();
    let txn = database.new_transaction().unwrap();
    let registry = txn.get_store::<Registry>("devices").unwrap();
    registry.set("one", &Radio { channel: 4 }).unwrap();
    registry.set("one", &Lamp { channel: 4 }).unwrap_err();
    txn.commit().unwrap();
    let registry = database.get_store_viewer::<Registry>("devices").unwrap();
    assert_eq!(registry.type_id("one").unwrap().as_deref(), Some("radio:v1"));
    let config = BTreeMap::from([("channel".to_owned(), Value::from(4))]);
    assert_eq!(registry.config("one").unwrap(), Some(Value::Map(config)));
    assert_eq!(registry.config("two").unwrap(), None);
}

#[test]
fn both_sides_record_a_sync_and_remember_it_after_a_restart() {
    let network = MemoryNetwork::new();
    let (store, other) = (Arc::new(Memory::new()), Arc::new(Memory::new()));
    let (alice, serving, place) = node(&store, &network, "alice");
    let (bob, sync, _) = node(&other, &network, "bob");
    let database = shared(&alice, &bob);
    let id = database.root_id();
    write(&database, "a");
    let report = sync.sync_with_peer(&place, Some(&id)).unwrap().remove(0);
    let nowhere = Address { address: "nowhere".into(), key: None, ..place.clone() };
    sync.sync_with_peer(&nowhere, Some(&id)).unwrap_err();

    let [good, failed] = &sync.get_sync_history(&HistoryFilter::new()).unwrap()[..] else { panic!("two") };
    assert_eq!((good.role, good.entries_received, good.entries_sent), (SyncRole::Opened, 2, 0));
    assert_eq!((good.bytes_received, good.round_trips), (report.bytes_received, report.round_trips));
    assert_eq!((good.peer_pubkey, good.tree_id), (Some(alice.device_key()), id));
    assert!(good.error.is_none() && failed.error.is_some());
    let about = HistoryFilter::new().peer(bob.device_key()).tree(id);
    let [served] = &serving.get_sync_history(&about).unwrap()[..] else { panic!("one") };
    assert_eq!((served.role, served.entries_sent), (SyncRole::Served, 2));

    let peer = alice.device_key();
    let cursor = sync.get_sync_cursor(&peer, &id).unwrap().expect("they were the same");
    assert!(cursor.last_sync.is_some() && cursor.arrived_here.is_some());
    let metadata = sync.get_sync_metadata(&peer).unwrap().expect("known by that sync");
    assert_eq!((metadata.successful_syncs, metadata.entries_received, metadata.databases), (1, 2, 1));
    assert_eq!(sync.get_sync_cursor(&peer, &Id::of(b"none")).unwrap(), None);
    assert_eq!(serving.get_sync_metadata(&bob.device_key()).unwrap(), None);

    bob.close();
    drop((bob, sync));
    let (_bob, sync, _) = node(&other, &network, "bob again");
    let kept = sync.get_sync_history(&HistoryFilter::new()).unwrap();
    assert_eq!(kept.iter().map(|entry| &entry.error).collect::<Vec<_>>(), [&None, &failed.error]);
    sync.sync_with_peer(&place, Some(&id)).unwrap();
    assert_eq!(sync.get_sync_history(&HistoryFilter::new()).unwrap().len(), 3, "nothing is written over");
    let last = sync.get_sync_history(&HistoryFilter::new().limit(1)).unwrap();
    sync.cleanup_sync_history(last[0].at).unwrap();
    let left = sync.get_sync_history(&HistoryFilter::new()).unwrap();
    assert!(left.contains(&last[0]) && left.iter().all(|entry| entry.at >= last[0].at), "{left:?}");
    serving.cleanup_sync_history(u64::MAX).unwrap();
    assert_eq!(serving.get_sync_history(&HistoryFilter::new()).unwrap(), []);
}

#[test]
fn a_flush_returns_when_all_that_is_pending_was_attempted() {
    let network = MemoryNetwork::new();
    let (alice, _serving, place) = node(&Arc::default(), &network, "alice");
    let (bob, sync, _) = node(&Arc::default(), &network, "bob");
    let database = shared(&alice, &bob);
    let id = database.root_id();
    sync.sync_with_peer(&place, Some(&id)).unwrap();
    let (peer, gone) = (alice.device_key(), SecretKey::from_bytes([9; 32]).public());
    let entry = write(&Database::open(&bob, &id, DatabaseKey::Device).unwrap(), "b");
    let no_pair = sync.queue_entry_for_sync(&gone, &entry, &id).unwrap_err();
    assert!(no_pair.is_not_found(), "{no_pair}");
    sync.register_sync_peer(SyncPeerInfo::new(peer, id, vec![place])).unwrap();
    let nowhere = Address { address: "nowhere".into(), ..sync.get_server_address().unwrap() };
    sync.register_sync_peer(SyncPeerInfo::new(gone, id, vec![nowhere.with_key(gone)])).unwrap();

    let attempts = sync.flush().unwrap();
    assert!(database.snapshot().unwrap().headers(&id, &[entry]).unwrap()[0].is_some(), "alice has it");
    let failed: Vec<_> = attempts.iter().filter(|attempt| attempt.outcome.is_err()).collect();
    assert_eq!(failed.iter().map(|attempt| attempt.peer).collect::<Vec<_>>(), [gone]);
    // What failed is pending, and attempted again.
    assert!(sync.flush().unwrap().iter().any(|attempt| attempt.peer == gone));

    let unknown = Id::of(b"unknown");
    let error = sync.queue_entry_for_sync(&peer, &unknown, &id).unwrap_err();
    assert_eq!(error, Error::NoEntry { tree: id, entry: unknown });
    sync.queue_entry_for_sync(&peer, &entry, &id).unwrap();
    assert!(sync.flush().unwrap().iter().all(|attempt| attempt.peer == gone || attempt.outcome.is_ok()));
}

#[test]
fn entries_that_are_sent_are_taken_in_first_and_reach_the_peer() {
    let network = MemoryNetwork::new();
    let (alice, _serving, place) = node(&Arc::default(), &network, "alice");
    let (bob, sync, _) = node(&Arc::default(), &network, "bob");
    let (carol, fetching, _) = node(&Arc::default(), &network, "carol");
    let grants = vec![(Who::Everyone, Permission::Write(9))];
    let database = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants).unwrap();
    let id = database.root_id();
    for sync in [&sync, &fetching] {
        sync.sync_with_peer(&place, Some(&id)).unwrap();
    }
    let written = write(&Database::open(&carol, &id, DatabaseKey::Device).unwrap(), "c");
    let entry = carol.snapshot().unwrap().entry(&id, &written).unwrap().unwrap();
    let reports = sync.send_entries(&[entry], &place).unwrap();
    assert_eq!((reports.len(), reports[0].entries_sent), (1, 1));
    for instance in [&alice, &bob] {
        assert!(instance.snapshot().unwrap().entry(&id, &written).unwrap().is_some());
    }
}
