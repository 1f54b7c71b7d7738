//! What `_sync` keeps for programs, what syncs there were, what is pending.

use std::{collections::BTreeMap, sync::Arc};

use pleach_core::storage::{Write, Written};
use pleach_smol::{
    Address, Database, DatabaseKey, Doc, DocStore, Error, HistoryFilter, Id, Instance, Memory, MemoryNetwork,
    Permission, Registry, SecretKey, Snapshot, StorageError, Store, Sync, SyncPeerInfo, SyncRole, Typed,
    Value, Who,
};
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

async fn node(store: &Arc<Memory>, network: &MemoryNetwork, place: &str) -> (Instance, Sync, Address) {
    let instance = Instance::open(Shared(Arc::clone(store))).await.unwrap();
    let sync = Sync::new(&instance).await.unwrap();
    let transport = network.builder().bind(place).transport(sync.transport_context().unwrap());
    sync.add_transport("memory", transport).unwrap();
    let address = sync.accept_connections().await.unwrap().remove(0);
    (instance, sync, address)
}

async fn shared(instance: &Instance, with: &Instance) -> Database {
    let grants = vec![(Who::Key(with.device_key()), Permission::Write(9))];
    Database::create_with(instance, DatabaseKey::Device, Doc::new(), grants).await.unwrap()
}

async fn write(database: &Database, key: &str) -> Id {
    let txn = database.new_transaction().unwrap();
    txn.get_store::<DocStore>("notes").unwrap().set(key, "x").unwrap();
    txn.commit().await.unwrap().id
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
    smol::block_on(async {
        let store = Arc::new(Memory::new());
        let open = || Instance::open(Shared(Arc::clone(&store)));
        let instance = open().await.unwrap();
        let sync = Sync::new(&instance).await.unwrap();
        let root = sync.sync_tree_root_id().unwrap();
        assert_eq!(sync.get_setting("a.b").unwrap(), None);
        sync.set_setting("a.b", "dark").await.unwrap();
        assert_eq!(sync.load_transport_config::<Radio>("one").unwrap(), Radio { channel: 0 });
        sync.save_transport_config("one", &Radio { channel: 11 }).await.unwrap();
        instance.close().await;
        assert!(sync.get_setting("a.b").unwrap_err().is_closed());
        drop((instance, sync));

        let instance = open().await.unwrap();
        let sync = Sync::load(&instance, &root).await.unwrap();
        assert_eq!(sync.get_setting("a.b").unwrap(), Some(Value::from("dark")));
        assert_eq!(sync.load_transport_config::<Radio>("one").unwrap(), Radio { channel: 11 });
        let other = sync.load_transport_config::<Lamp>("one").unwrap_err().to_string();
        assert!(other.contains("radio:v1") && other.contains("lamp:v1"), "{other}");
        sync.save_transport_config("one", &Lamp { channel: 1 }).await.unwrap_err();
        assert_eq!(sync.load_transport_config::<Radio>("one").unwrap(), Radio { channel: 11 });
        let wrong = Id::of(b"another");
        assert_eq!(Sync::load(&instance, &wrong).await.unwrap_err(), Error::NotTheSyncTree(wrong));
        let seen = sync.backend().unwrap().snapshot().unwrap().summary(&root).unwrap();
        assert!(seen.is_some(), "the store is the instance's");
    });
}

#[test]
fn a_registry_says_what_it_holds_and_refuses_another_type() {
    smol::block_on(async {
        let instance = Instance::open(Memory::new()).await.unwrap();
        let database = Database::create(&instance, DatabaseKey::Device, Doc::new()).await.unwrap();
        let txn = database.new_transaction().unwrap();
        let registry = txn.get_store::<Registry>("devices").unwrap();
        registry.set("one", &Radio { channel: 4 }).unwrap();
        registry.set("one", &Lamp { channel: 4 }).unwrap_err();
        txn.commit().await.unwrap();
        let registry = database.get_store_viewer::<Registry>("devices").unwrap();
        assert_eq!(registry.type_id("one").unwrap().as_deref(), Some("radio:v1"));
        let config = BTreeMap::from([("channel".to_owned(), Value::from(4))]);
        assert_eq!(registry.config("one").unwrap(), Some(Value::Map(config)));
        assert_eq!(registry.config("two").unwrap(), None);
    });
}

#[test]
fn both_sides_record_a_sync_and_remember_it_after_a_restart() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (store, other) = (Arc::new(Memory::new()), Arc::new(Memory::new()));
        let (alice, serving, place) = node(&store, &network, "alice").await;
        let (bob, sync, _) = node(&other, &network, "bob").await;
        let database = shared(&alice, &bob).await;
        let id = database.root_id();
        write(&database, "a").await;
        let report = sync.sync_with_peer(&place, Some(&id)).await.unwrap().remove(0);
        let nowhere = Address { address: "nowhere".into(), key: None, ..place.clone() };
        sync.sync_with_peer(&nowhere, Some(&id)).await.unwrap_err();

        let [good, failed] = &sync.get_sync_history(&HistoryFilter::new()).await.unwrap()[..] else {
            panic!("two")
        };
        assert_eq!((good.role, good.entries_received, good.entries_sent), (SyncRole::Opened, 2, 0));
        assert_eq!((good.bytes_received, good.round_trips), (report.bytes_received, report.round_trips));
        assert_eq!((good.peer_pubkey, good.tree_id), (Some(alice.device_key()), id));
        assert!(good.error.is_none() && failed.error.is_some());
        let about = HistoryFilter::new().peer(bob.device_key()).tree(id);
        let [served] = &serving.get_sync_history(&about).await.unwrap()[..] else { panic!("one") };
        assert_eq!((served.role, served.entries_sent), (SyncRole::Served, 2));

        let peer = alice.device_key();
        let cursor = sync.get_sync_cursor(&peer, &id).await.unwrap().expect("they were the same");
        assert!(cursor.last_sync.is_some() && cursor.arrived_here.is_some());
        let metadata = sync.get_sync_metadata(&peer).await.unwrap().expect("known by that sync");
        assert_eq!((metadata.successful_syncs, metadata.entries_received, metadata.databases), (1, 2, 1));
        assert_eq!(sync.get_sync_cursor(&peer, &Id::of(b"none")).await.unwrap(), None);
        assert_eq!(serving.get_sync_metadata(&bob.device_key()).await.unwrap(), None);

        bob.close().await;
        drop((bob, sync));
        let (_bob, sync, _) = node(&other, &network, "bob again").await;
        let kept = sync.get_sync_history(&HistoryFilter::new()).await.unwrap();
        assert_eq!(kept.iter().map(|entry| &entry.error).collect::<Vec<_>>(), [&None, &failed.error]);
        sync.sync_with_peer(&place, Some(&id)).await.unwrap();
        assert_eq!(
            sync.get_sync_history(&HistoryFilter::new()).await.unwrap().len(),
            3,
            "nothing is written over"
        );
        let last = sync.get_sync_history(&HistoryFilter::new().limit(1)).await.unwrap();
        sync.cleanup_sync_history(last[0].at).await.unwrap();
        let left = sync.get_sync_history(&HistoryFilter::new()).await.unwrap();
        assert!(left.contains(&last[0]) && left.iter().all(|entry| entry.at >= last[0].at), "{left:?}");
        serving.cleanup_sync_history(u64::MAX).await.unwrap();
        assert_eq!(serving.get_sync_history(&HistoryFilter::new()).await.unwrap(), []);
    });
}

#[test]
fn a_flush_returns_when_all_that_is_pending_was_attempted() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (alice, _serving, place) = node(&Arc::default(), &network, "alice").await;
        let (bob, sync, _) = node(&Arc::default(), &network, "bob").await;
        let database = shared(&alice, &bob).await;
        let id = database.root_id();
        sync.sync_with_peer(&place, Some(&id)).await.unwrap();
        let (peer, gone) = (alice.device_key(), SecretKey::from_bytes([9; 32]).public());
        let entry = write(&Database::open(&bob, &id, DatabaseKey::Device).unwrap(), "b").await;
        let no_pair = sync.queue_entry_for_sync(&gone, &entry, &id).await.unwrap_err();
        assert!(no_pair.is_not_found(), "{no_pair}");
        sync.register_sync_peer(SyncPeerInfo::new(peer, id, vec![place])).await.unwrap();
        let nowhere = Address { address: "nowhere".into(), ..sync.get_server_address().unwrap() };
        sync.register_sync_peer(SyncPeerInfo::new(gone, id, vec![nowhere.with_key(gone)])).await.unwrap();

        let attempts = sync.flush().await.unwrap();
        assert!(database.snapshot().unwrap().headers(&id, &[entry]).unwrap()[0].is_some(), "alice has it");
        let failed: Vec<_> = attempts.iter().filter(|attempt| attempt.outcome.is_err()).collect();
        assert_eq!(failed.iter().map(|attempt| attempt.peer).collect::<Vec<_>>(), [gone]);
        // What failed is pending, and attempted again.
        assert!(sync.flush().await.unwrap().iter().any(|attempt| attempt.peer == gone));

        let unknown = Id::of(b"unknown");
        let error = sync.queue_entry_for_sync(&peer, &unknown, &id).await.unwrap_err();
        assert_eq!(error, Error::NoEntry { tree: id, entry: unknown });
        sync.queue_entry_for_sync(&peer, &entry, &id).await.unwrap();
        assert!(
            sync.flush().await.unwrap().iter().all(|attempt| attempt.peer == gone || attempt.outcome.is_ok())
        );
    });
}

#[test]
fn entries_that_are_sent_are_taken_in_first_and_reach_the_peer() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (alice, _serving, place) = node(&Arc::default(), &network, "alice").await;
        let (bob, sync, _) = node(&Arc::default(), &network, "bob").await;
        let (carol, fetching, _) = node(&Arc::default(), &network, "carol").await;
        let grants = vec![(Who::Everyone, Permission::Write(9))];
        let database = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants).await.unwrap();
        let id = database.root_id();
        for sync in [&sync, &fetching] {
            sync.sync_with_peer(&place, Some(&id)).await.unwrap();
        }
        let written = write(&Database::open(&carol, &id, DatabaseKey::Device).unwrap(), "c").await;
        let entry = carol.snapshot().unwrap().entry(&id, &written).unwrap().unwrap();
        let reports = sync.send_entries(&[entry], &place).await.unwrap();
        assert_eq!((reports.len(), reports[0].entries_sent), (1, 1));
        for instance in [&alice, &bob] {
            assert!(instance.snapshot().unwrap().entry(&id, &written).unwrap().is_some());
        }
    });
}
