//! The end of an instance: peers are told, ports are free, what was acknowledged is there.

use std::{sync::Arc, time::Duration};

use pleach_core::storage::{Write, Written};
use pleach_smol::{
    Address, Database, DatabaseKey, Doc, DocStore, Instance, Memory, Notification, Permission, Snapshot,
    StorageError, Store, Sync, SyncPeerInfo, Who,
};

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

async fn node(store: &Arc<Memory>) -> (Instance, Sync) {
    let instance = Instance::open(Shared(Arc::clone(store))).await.unwrap();
    let sync = Sync::new(&instance).await.unwrap();
    sync.enable_http_transport().await.unwrap();
    sync.enable_quic_transport().await.unwrap();
    (instance, sync)
}

/// Two nodes that are in touch over a transport, A serving, and B waiting for its news.
async fn in_touch(kind: &str) -> (Arc<Memory>, Instance, Database, Address, Instance, Sync) {
    let store = Arc::default();
    let (a, serving) = node(&store).await;
    // An address that no other test uses, where loopback has many: nobody takes the port when it is free.
    let free = if cfg!(target_os = "linux") { "127.0.6.1:0" } else { "127.0.0.1:0" };
    let place = Address { transport_type: kind.into(), address: free.into(), key: None };
    let place = serving.start_server(&place).await.unwrap();
    let grants = vec![(Who::Everyone, Permission::Write(9))];
    let database = Database::create_with(&a, DatabaseKey::Device, Doc::new(), grants).await.unwrap();
    let (b, sync) = node(&Arc::default()).await;
    let info = SyncPeerInfo::new(a.device_key(), database.root_id(), vec![place.clone()]);
    sync.register_sync_peer(info).await.unwrap().wait_for_initial_sync_within(LONG).await.unwrap();
    (store, a, database, place, b, sync)
}

async fn write(database: &Database, key: &str) {
    let txn = database.new_transaction().unwrap();
    txn.get_store::<DocStore>("notes").unwrap().set(key, "x").unwrap();
    txn.commit().await.unwrap();
}

#[test]
fn a_port_is_free_at_once_and_what_was_acknowledged_is_there() {
    smol::block_on(async {
        for kind in ["http", "quic"] {
            let (store, a, database, place, _b, sync) = in_touch(kind).await;
            write(&database, "a").await;
            sync.sync_tree_with_peer(&a.device_key(), &database.root_id()).await.unwrap();
            let tips = database.tips().unwrap();
            a.close().await;
            let (a, serving) = node(&store).await;
            let again = serving.start_server(&Address { key: None, ..place.clone() }).await.unwrap();
            assert_eq!(again, place, "{kind}");
            let database = Database::open(&a, &database.root_id(), DatabaseKey::Device).unwrap();
            assert_eq!(database.tips().unwrap(), tips, "{kind}");
            sync.sync_tree_with_peer(&a.device_key(), &database.root_id()).await.unwrap();
        }
    });
}

#[test]
fn a_peer_hears_of_the_end_and_does_not_wait_for_it() {
    smol::block_on(async {
        for kind in ["http", "quic"] {
            for _ in 0..5 {
                let (_store, a, database, _place, _b, sync) = in_touch(kind).await;
                let events = sync.watch().unwrap();
                a.close().await;
                // What waited for news ends, and the background finds nobody.
                let gone = async {
                    loop {
                        match events.next().await {
                            Some(Notification::Tracked { tree, outcome: Err(_), .. })
                                if tree == database.root_id() =>
                            {
                                return true;
                            }
                            Some(_) => {}
                            None => return false,
                        }
                    }
                };
                let late = async {
                    smol::Timer::after(LONG).await;
                    false
                };
                let gone = smol::future::or(gone, late).await;
                assert!(gone, "over {kind} nobody said that the peer has gone");
            }
        }
    });
}

#[test]
fn a_close_with_a_deadline_waits_no_longer_than_that() {
    smol::block_on(async {
        let (_store, a, database, ..) = in_touch("http").await;
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let callback = database
            .on_local_write(move |_| {
                let _ = held.recv();
            })
            .unwrap();
        write(&database, "a").await;
        // A callback of the program's does not come back: that is said, and all else has ended.
        let late = a.close_within(Duration::from_millis(50)).await.unwrap_err();
        assert!(late.is_timeout(), "{late}");
        assert!(a.databases().unwrap_err().is_closed());
        drop((hold, callback));
        a.close_within(LONG).await.unwrap();
    });
}
