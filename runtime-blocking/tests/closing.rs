//! The end of an instance: peers are told, ports are free, what was acknowledged is there.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pleach_blocking::{
    Address, Database, DatabaseKey, Doc, DocStore, Instance, Memory, Notification, Permission, Snapshot,
    StorageError, Store, Sync, SyncPeerInfo, Who,
};
use pleach_core::storage::{Write, Written};

/// A time that no test takes unless something is broken: less than that after which a silent peer is given up.
const LONG: Duration = Duration::from_secs(25);

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

fn node(store: &Arc<Memory>) -> (Instance, Sync) {
    let instance = Instance::open(Shared(Arc::clone(store))).unwrap();
    let sync = Sync::new(&instance).unwrap();
    sync.enable_http_transport().unwrap();
    sync.enable_quic_transport().unwrap();
    (instance, sync)
}

/// Two nodes that are in touch over a transport, A serving, and B waiting for its news.
fn in_touch(kind: &str) -> (Arc<Memory>, Instance, Database, Address, Instance, Sync) {
    let store = Arc::default();
    let (a, serving) = node(&store);
    // An address that no other test uses, where loopback has many: nobody takes the port when it is free.
    let free = if cfg!(target_os = "linux") { "127.0.7.1:0" } else { "127.0.0.1:0" };
    let place = Address { transport_type: kind.into(), address: free.into(), key: None };
    let place = serving.start_server(&place).unwrap();
    let grants = vec![(Who::Everyone, Permission::Write(9))];
    let database = Database::create_with(&a, DatabaseKey::Device, Doc::new(), grants).unwrap();
    let (b, sync) = node(&Arc::default());
    let info = SyncPeerInfo::new(a.device_key(), database.root_id(), vec![place.clone()]);
    sync.register_sync_peer(info).unwrap().wait_for_initial_sync_within(LONG).unwrap();
    (store, a, database, place, b, sync)
}

fn write(database: &Database, key: &str) {
    let txn = database.new_transaction().unwrap();
    txn.get_store::<DocStore>("notes").unwrap().set(key, "x").unwrap();
    txn.commit().unwrap();
}

#[test]
fn a_port_is_free_at_once_and_what_was_acknowledged_is_there() {
    for kind in ["http", "quic"] {
        let (store, a, database, place, _b, sync) = in_touch(kind);
        write(&database, "a");
        sync.sync_tree_with_peer(&a.device_key(), &database.root_id()).unwrap();
        let tips = database.tips().unwrap();
        a.close();
        let (a, serving) = node(&store);
        let again = serving.start_server(&Address { key: None, ..place.clone() }).unwrap();
        assert_eq!(again, place, "{kind}");
        let database = Database::open(&a, &database.root_id(), DatabaseKey::Device).unwrap();
        assert_eq!(database.tips().unwrap(), tips, "{kind}");
        sync.sync_tree_with_peer(&a.device_key(), &database.root_id()).unwrap();
    }
}

#[test]
fn a_peer_hears_of_the_end_and_does_not_wait_for_it() {
    for kind in ["http", "quic"] {
        for _ in 0..5 {
            let (_store, a, database, _place, _b, sync) = in_touch(kind);
            let events = sync.watch().unwrap();
            a.close();
            // What waited for news ends, and the background finds nobody.
            let until = Instant::now() + LONG;
            let gone = std::iter::from_fn(|| events.next_until(until)).any(|event| {
                matches!(event, Notification::Tracked { tree, outcome: Err(_), .. } if tree == database.root_id())
            });
            assert!(gone, "over {kind} nobody said that the peer has gone");
        }
    }
}

#[test]
fn a_close_with_a_deadline_waits_no_longer_than_that() {
    let (_store, a, database, ..) = in_touch("http");
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let callback = database
        .on_local_write(move |_| {
            let _ = held.recv();
        })
        .unwrap();
    write(&database, "a");
    // A callback of the program's does not come back: that is said, and all else has ended.
    let late = a.close_within(Duration::from_millis(50)).unwrap_err();
    assert!(late.is_timeout(), "{late}");
    assert!(a.databases().unwrap_err().is_closed());
    drop((hold, callback));
    a.close_within(LONG).unwrap();
}
