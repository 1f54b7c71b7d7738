//! The handles: instances, databases, transactions and doors, each call for itself.

use std::sync::{Arc, mpsc};

use pleach_smol::{
    AccessRequest, Bootstrap, Clock, Database, DatabaseKey, Doc, DocStore, Instance, Log, Memory,
    MemoryNetwork, Now, Options, Permission, SecretKey, SettingsStore, Sync, Table, Who,
};

async fn node(network: &MemoryNetwork, place: &str) -> (Instance, Sync) {
    let instance = Instance::open(Memory::new()).await.unwrap();
    let sync = Sync::new(&instance).await.unwrap();
    sync.register_transport("memory", network.builder().bind(place)).await.unwrap();
    (instance, sync)
}

async fn write(database: &Database, key: &str) {
    let txn = database.new_transaction().unwrap();
    txn.get_store::<DocStore>("notes").unwrap().set(key, "x").unwrap();
    txn.commit().await.unwrap();
}

/// A clock that stands still.
#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Now {
        Now { monotonic: 5, wall: 1_700_000_000_000 }
    }
}

#[test]
fn an_instance_is_opened_as_its_options_say_and_ends_with_its_last_handle() {
    smol::block_on(async {
        let key = SecretKey::from_bytes([3; 32]);
        let options =
            Options::new().key(key.clone()).display_name("desk").clock(Arc::new(Noon)).seed([1; 32]);
        let instance = Instance::open_with(Memory::new(), options).await.unwrap();
        assert_eq!((instance.device_key(), instance.display_name()), (key.public(), Some("desk")));
        assert_eq!(instance.device_id(), key.public().to_string());
        let database = Database::create(&instance, DatabaseKey::Device, Doc::new()).await.unwrap();
        let id = database.root_id();
        let root = instance.snapshot().unwrap().entry(&id, &id).unwrap().unwrap();
        assert_eq!(root.view().time(), 1_700_000_000_000);
        assert_eq!(database.instance().device_key(), key.public());
        assert!(instance.sync().is_none(), "it is off until it is enabled");
        instance.enable_sync().await.unwrap();
        let sync = instance.sync().unwrap();
        assert_eq!(sync.get_device_pubkey().unwrap(), key.public());
        assert_eq!(sync.instance().unwrap().device_key(), key.public());
        instance.drop_database(id).await.unwrap();
        assert_eq!(instance.databases().unwrap(), [], "_sync is none of them");
        assert!(Database::open(&instance, &id, DatabaseKey::Device).unwrap_err().is_not_found());
        let weak = instance.downgrade();
        assert!(weak.upgrade().is_some());
        drop((instance, database));
        assert!(weak.upgrade().is_none());
        assert!(
            sync.instance().unwrap_err().is_closed() && sync.get_device_pubkey().unwrap_err().is_closed()
        );
    });
}

#[test]
fn a_transaction_is_one_entry_over_several_stores_that_viewers_read() {
    smol::block_on(async {
        let instance = Instance::open(Memory::new()).await.unwrap();
        let database = Database::create(&instance, DatabaseKey::Device, Doc::new()).await.unwrap();
        let txn = database.new_transaction().unwrap();
        txn.get_store::<DocStore>("notes").unwrap().set("a", "first").unwrap();
        txn.get_store::<Log>("events").unwrap().append(b"one").unwrap();
        let row = txn.get_store::<Table<u32>>("numbers").unwrap().insert(&7).unwrap();
        txn.get_store::<SettingsStore>("_settings").unwrap().set_name("things").unwrap();
        assert!(database.get_store_viewer::<DocStore>("notes").unwrap().get("a").unwrap().is_none());
        let at = txn.commit().await.unwrap();
        assert_eq!((database.tips().unwrap(), database.stats().unwrap().entries), (vec![at], 2));
        let txn = database.new_transaction().unwrap();
        txn.get_store::<DocStore>("notes").unwrap().set("a", "second").unwrap();
        txn.commit().await.unwrap();
        let history = database.get_store_viewer::<DocStore>("notes").unwrap().history("a").unwrap();
        let values: Vec<_> = history.into_iter().map(|edit| edit.value).collect();
        assert_eq!(values, [Some("first".into()), Some("second".into())]);
        assert_eq!(database.get_store_viewer::<Table<u32>>("numbers").unwrap().get(&row).unwrap(), Some(7));
        let settings = database.get_store_viewer::<SettingsStore>("_settings").unwrap();
        assert_eq!(settings.name().unwrap().as_deref(), Some("things"));
        assert_eq!(settings.keys().unwrap().len(), 1);
        database.get_store_viewer::<Log>("notes").unwrap_err();
        assert!(database.verify().unwrap().is_ok());
        assert_eq!(database.repair().await.unwrap().count, 0, "nothing is damaged");
    });
}

#[test]
fn what_a_revoked_key_wrote_is_undone_beside_it_and_a_root_key_is_kept_and_forgotten() {
    smol::block_on(async {
        let instance = Instance::open(Memory::new()).await.unwrap();
        let database = Database::create(&instance, DatabaseKey::Device, Doc::new()).await.unwrap();
        let eve = SecretKey::from_bytes([7; 32]);
        let settings = |change: &dyn Fn(&SettingsStore)| {
            let txn = database.new_transaction().unwrap();
            change(&txn.get_store::<SettingsStore>("_settings").unwrap());
            txn
        };
        let grant =
            |store: &SettingsStore| store.grant(Who::Key(eve.public()), Permission::Write(9), None).unwrap();
        settings(&grant).commit().await.unwrap();
        let view = || database.get_store_viewer::<SettingsStore>("_settings").unwrap();
        assert_eq!(view().permission_of(Who::Key(eve.public())).unwrap(), Some(Permission::Write(9)));
        let hers = Database::open(&instance, &database.root_id(), eve.clone()).unwrap();
        write(&hers, "nonsense").await;
        let written = database.tips().unwrap()[0];
        let revoke = |store: &SettingsStore| store.revoke(Who::Key(eve.public())).unwrap();
        settings(&revoke).commit_beside(written.id).await.unwrap();
        assert_eq!(database.get_store_viewer::<DocStore>("notes").unwrap().get("nonsense").unwrap(), None);
        assert_eq!(view().permission_of(Who::Key(eve.public())).unwrap(), None);

        let root = database.root_key().unwrap().expect("made here");
        database.forget_root_key().await.unwrap();
        assert_eq!(database.root_key().unwrap(), None);
        database.keep_root_key(&root).await.unwrap();
        assert_eq!(database.root_key().unwrap(), Some(root));
    });
}

#[test]
fn whoever_waits_hears_of_writes_here_and_from_elsewhere() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (alice, serving) = node(&network, "alice").await;
        let (bob, sync) = node(&network, "bob").await;
        let grants = vec![(Who::Everyone, Permission::Write(9))];
        let database = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants).await.unwrap();
        let id = database.root_id();
        let place = serving.accept_connections_on("memory").await.unwrap();
        assert_eq!(serving.get_server_address().unwrap(), place);
        assert_eq!(serving.get_server_address_for("memory").unwrap(), place);
        assert_eq!(serving.get_all_server_addresses().unwrap(), [("memory".to_owned(), place.clone())]);
        let offered = sync.discover_peer_trees(&place).await.unwrap();
        assert_eq!(offered.iter().map(|tree| (tree.id, tree.entries)).collect::<Vec<_>>(), [(id, 1)]);
        sync.sync_with_peer(&place, None).await.unwrap();
        let theirs = Database::open(&bob, &id, DatabaseKey::Device).unwrap();

        let (told, heard) = mpsc::channel();
        let (remotely, locally) = (told.clone(), told);
        let callbacks = [
            database
                .on_remote_write(move |change| remotely.send(("remote", change.entries.len())).unwrap())
                .unwrap(),
            database
                .on_local_write(move |change| locally.send(("local", change.entries.len())).unwrap())
                .unwrap(),
        ];
        let all = database.watch();
        write(&database, "a").await;
        assert_eq!(heard.recv().unwrap(), ("local", 1));
        write(&theirs, "b").await;
        sync.sync_with_peer(&place, Some(&id)).await.unwrap();
        assert_eq!(heard.recv().unwrap(), ("remote", 1));
        assert!(all.try_next().is_some() && all.try_next().is_some());
        drop(callbacks);
        serving.stop_server().await.unwrap();
        serving.get_server_address_for("memory").unwrap_err();
        assert_eq!(serving.get_all_server_addresses().unwrap(), []);
    });
}

#[test]
fn entries_made_elsewhere_are_appended_once() {
    smol::block_on(async {
        let (here, there) =
            (Instance::open(Memory::new()).await.unwrap(), Instance::open(Memory::new()).await.unwrap());
        let network = MemoryNetwork::new();
        let grants = vec![(Who::Everyone, Permission::Write(9))];
        let database = Database::create_with(&here, DatabaseKey::Device, Doc::new(), grants).await.unwrap();
        let id = database.root_id();
        let (serving, sync) = (Sync::new(&here).await.unwrap(), Sync::new(&there).await.unwrap());
        serving.register_transport("memory", network.builder().bind("here")).await.unwrap();
        sync.register_transport("memory", network.builder()).await.unwrap();
        let place = serving.accept_connections().await.unwrap().remove(0);
        sync.sync_with_peer(&place, Some(&id)).await.unwrap();
        let theirs = Database::open(&there, &id, DatabaseKey::Device).unwrap();
        write(&theirs, "a").await;
        let tip = theirs.tips().unwrap()[0];
        let entry = theirs.snapshot().unwrap().entry(&id, &tip.id).unwrap().unwrap().verify().unwrap();
        assert_eq!(database.append(vec![entry.clone()]).await.unwrap().stored, [tip]);
        assert_eq!(database.append(vec![entry]).await.unwrap().stored, []);
        assert_eq!(database.tips().unwrap(), theirs.tips().unwrap());
    });
}

#[test]
fn whoever_may_do_it_already_is_let_in_at_once_and_others_wait() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (alice, serving) = node(&network, "alice").await;
        let (_bob, sync) = node(&network, "bob").await;
        let place = serving.accept_connections().await.unwrap().remove(0);
        let request = AccessRequest::new(Permission::Read);
        let public = vec![(Who::Everyone, Permission::Read)];
        for (grants, joins) in [(public, true), (Vec::new(), false)] {
            let database =
                Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants).await.unwrap();
            let id = database.root_id();
            let outcome = sync.sync_with_peer_for_bootstrap_with_key(&place, &id, &request).await.unwrap();
            assert_eq!(matches!(outcome, Bootstrap::Joined(_)), joins, "{outcome:?}");
            assert_eq!(serving.pending_bootstrap_requests().unwrap().len(), usize::from(!joins));
        }
    });
}
