//! Two instances in one process, without async.

use std::sync::{Arc, Mutex};

use pleach_blocking::{
    Database, DatabaseKey, Doc, DocStore, Instance, Memory, MemoryNetwork, Permission, Snapshot,
    StorageError, Store, Sync, SyncPeerInfo, Who,
};
use pleach_core::storage::{Write, Written};

fn node() -> (Instance, Sync) {
    let instance = Instance::open(Memory::new()).unwrap();
    instance.enable_sync().unwrap();
    let sync = instance.sync().unwrap();
    (instance, sync)
}

fn write(database: &Database, key: &str, value: &str) {
    let txn = database.new_transaction().unwrap();
    txn.get_store::<DocStore>("notes").unwrap().set(key, value).unwrap();
    txn.commit().unwrap();
}

fn assert_same(one: &Database, two: &Database) {
    let (one, two) = (one.stats().unwrap(), two.stats().unwrap());
    assert_eq!(one.tips, two.tips);
    assert_eq!(one.content_hash, two.content_hash);
}

/// B fetches a database of A, both write while apart, and sync again.
fn meet((a, serving): &(Instance, Sync), (b, sync): &(Instance, Sync)) {
    let grants = vec![(Who::Key(b.device_key()), Permission::Write(9))];
    let database = Database::create_with(a, DatabaseKey::Device, Doc::new(), grants).unwrap();
    for n in 0..20 {
        write(&database, &format!("before{n}"), "a");
    }
    serving.accept_connections().unwrap();
    let ticket = serving.create_ticket(&database.root_id()).unwrap();
    let report = sync.sync_with_ticket(&ticket).unwrap();
    assert_eq!((report.entries_received, report.entries_sent), (21, 0));
    let theirs = Database::open(b, &database.root_id(), DatabaseKey::Device).unwrap();
    assert_same(&database, &theirs);
    for n in 0..5 {
        write(&database, &format!("a{n}"), "a");
        write(&theirs, &format!("b{n}"), "b");
    }
    let report = sync.sync_with_ticket(&ticket).unwrap();
    assert_eq!((report.entries_received, report.entries_sent), (5, 5));
    assert_same(&database, &theirs);
    assert!(theirs.verify().unwrap().is_ok());
}

#[test]
fn two_nodes_in_memory_bootstrap_diverge_and_come_together() {
    let network = MemoryNetwork::new();
    let (a, b) = (node(), node());
    a.1.register_transport("memory", network.builder().bind("a")).unwrap();
    b.1.register_transport("memory", network.builder()).unwrap();
    meet(&a, &b);
}

#[cfg(feature = "http")]
#[test]
fn two_nodes_meet_over_http_on_plain_threads() {
    let (a, b) = (node(), node());
    for (_, sync) in [&a, &b] {
        sync.enable_http_transport().unwrap();
    }
    meet(&a, &b);
}

#[cfg(feature = "http")]
#[test]
fn two_nodes_meet_over_tls_by_the_key_in_the_ticket() {
    let (a, b) = (node(), node());
    b.1.enable_http_transport().unwrap();
    let address = a.1.start_server(&"https:127.0.0.1:0".parse().unwrap()).unwrap();
    assert!(address.to_string().starts_with("https:"), "{address}");
    meet(&a, &b);
}

#[cfg(feature = "quic")]
#[test]
fn two_nodes_meet_over_quic_without_async() {
    let (a, b) = (node(), node());
    for (_, sync) in [&a, &b] {
        sync.enable_quic_transport().unwrap();
    }
    meet(&a, &b);
}

#[cfg(feature = "iroh")]
#[test]
fn two_nodes_meet_over_iroh_without_relays_and_without_async() {
    use pleach_blocking::IrohTransport;
    let (a, b) = (node(), node());
    let direct = || IrohTransport::builder().relays_off();
    a.1.register_transport("iroh", direct().bind("127.0.0.1:0")).unwrap();
    b.1.register_transport("iroh", direct()).unwrap();
    meet(&a, &b);
}

#[cfg(all(feature = "http", feature = "quic"))]
#[test]
fn a_transport_whose_place_is_taken_keeps_no_other_from_serving() {
    use pleach_blocking::{HttpTransport, QuicTransport};
    let (a, b) = (node(), node());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = taken.local_addr().unwrap().to_string();
    // The one that fails is the first by name.
    a.1.register_transport("http", HttpTransport::builder().bind(&place)).unwrap();
    a.1.register_transport("quic", QuicTransport::builder().bind("127.0.0.1:0")).unwrap();
    b.1.enable_quic_transport().unwrap();
    let refused = a.1.accept_connections().unwrap_err();
    assert!(refused.to_string().contains("in use"), "{refused}");
    drop(taken);
    assert_eq!(a.1.get_all_server_addresses().unwrap().len(), 1);
    a.1.accept_connections_on("http").unwrap();
    meet(&a, &b);
}

/// A store that notes on which threads entries were written.
struct Noting(Memory, Arc<Mutex<Vec<String>>>);

impl Store for Noting {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
        self.0.snapshot()
    }

    fn write(&self, write: &Write) -> Result<Written, StorageError> {
        if matches!(write, Write::Put { .. }) {
            self.1.lock().unwrap().push(std::thread::current().name().unwrap_or_default().to_owned());
        }
        self.0.write(write)
    }
}

#[test]
fn what_a_peer_brings_is_not_written_by_the_thread_that_receives_it() {
    let network = MemoryNetwork::new();
    let noted = Arc::default();
    let instance = Instance::open(Noting(Memory::new(), Arc::clone(&noted))).unwrap();
    instance.enable_sync().unwrap();
    let sync = instance.sync().unwrap().forgetting();
    let a = node();
    a.1.register_transport("memory", network.builder().bind("a")).unwrap();
    sync.register_transport("memory", network.builder()).unwrap();
    let grants = vec![(Who::Everyone, Permission::Write(9))];
    let database = Database::create_with(&a.0, DatabaseKey::Device, Doc::new(), grants).unwrap();
    let address = a.1.accept_connections().unwrap().remove(0);
    noted.lock().unwrap().clear();
    sync.sync_with_peer(&address, Some(&database.root_id())).unwrap();
    assert_eq!(*noted.lock().unwrap(), ["pleach-store"]);

    // What is noted of the sync is on its way to the disk, and nobody overtakes it.
    sync.get_sync_metadata(&a.0.device_key()).unwrap();
    noted.lock().unwrap().clear();
    write(&Database::open(&instance, &database.root_id(), DatabaseKey::Device).unwrap(), "mine", "b");
    let own = std::thread::current().name().unwrap_or_default().to_owned();
    assert_eq!(*noted.lock().unwrap(), [own], "a caller writes in place");
}

#[test]
fn a_commit_reaches_a_followed_peer_by_itself_and_a_remembered_one_is_found() {
    let network = MemoryNetwork::new();
    let (a, b) = (node(), node());
    a.1.register_transport("memory", network.builder().bind("a")).unwrap();
    b.1.register_transport("memory", network.builder()).unwrap();
    let grants = vec![(Who::Everyone, Permission::Write(9))];
    let database = Database::create_with(&a.0, DatabaseKey::Device, Doc::new(), grants).unwrap();
    let address = a.1.accept_connections().unwrap().remove(0);
    b.1.sync_with_peer(&address, Some(&database.root_id())).unwrap();
    assert_eq!(b.1.get_tree_peers(&database.root_id()), Ok(vec![a.0.device_key()]));
    assert!(b.1.sync_database(&database.root_id()).unwrap()[0].1.is_ok());

    b.1.register_sync_peer(SyncPeerInfo::new(a.0.device_key(), database.root_id(), vec![address])).unwrap();
    let changes = database.watch();
    let theirs = Database::open(&b.0, &database.root_id(), DatabaseKey::Device).unwrap();
    write(&theirs, "from", "b");
    assert_eq!(changes.next().map(|change| change.entries), Some(theirs.tips().unwrap()));
    assert_same(&database, &theirs);
}

#[cfg(feature = "http")]
#[test]
fn dropping_the_last_handle_frees_the_port() {
    let (instance, sync) = node();
    sync.enable_http_transport().unwrap();
    let address = sync.accept_connections().unwrap().remove(0).address;
    drop(instance);
    assert!(sync.get_server_address().unwrap_err().is_closed());
    assert!(std::net::TcpListener::bind(&address).is_ok(), "{address} is free");
}

#[test]
fn a_callback_may_use_the_database() {
    let (instance, _) = node();
    let database = Database::create(&instance, DatabaseKey::Device, Doc::new()).unwrap();
    let (told, heard) = std::sync::mpsc::channel();
    let inside = database.clone();
    let callback = database
        .on_local_write(move |change| told.send((change.entries.clone(), inside.tips().unwrap())).unwrap())
        .unwrap();
    write(&database, "x", "y");
    let (entries, tips) = heard.recv().unwrap();
    assert_eq!(entries, tips);
    callback.cancel();
}

#[test]
fn handles_of_an_instance_that_is_closed_give_errors() {
    let (instance, sync) = node();
    let database = Database::create(&instance, DatabaseKey::Device, Doc::new()).unwrap();
    let watch = database.watch();
    instance.close();
    assert!(database.tips().unwrap_err().is_closed());
    assert!(sync.sync_tree().unwrap_err().is_closed());
    assert_eq!(watch.next(), None);
    assert_eq!(database.watch().next(), None);
}
