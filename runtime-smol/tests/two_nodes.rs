//! Two instances in one process, over every store and transport.

mod world;

use pleach_smol::{DatabaseKey, Doc, DocStore, Error, Instance, Memory, MemoryNetwork, Permission};
use world::{Shared, World, grant_all, meet};

#[test]
fn two_nodes_in_memory_bootstrap_diverge_and_come_together() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
        a.sync.register_transport("memory", network.builder().bind("a")).await.unwrap();
        b.sync.register_transport("memory", network.builder()).await.unwrap();
        meet(&a, &b).await;
    });
}

#[cfg(feature = "http")]
#[test]
fn two_nodes_meet_over_http() {
    smol::block_on(async {
        let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
        for node in [&a, &b] {
            node.sync.enable_http_transport().await.unwrap();
        }
        meet(&a, &b).await;
    });
}

#[cfg(feature = "http")]
#[test]
fn two_nodes_meet_over_tls_by_the_key_in_the_ticket() {
    smol::block_on(async {
        let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
        b.sync.enable_http_transport().await.unwrap();
        let address = a.sync.start_server(&"https:127.0.0.1:0".parse().unwrap()).await.unwrap();
        assert!(address.to_string().starts_with("https:"), "{address}");
        meet(&a, &b).await;
        assert_eq!(a.sync.get_all_server_addresses().unwrap().len(), 1, "over nothing else");
    });
}

#[cfg(feature = "quic")]
#[test]
fn two_nodes_meet_over_quic() {
    smol::block_on(async {
        let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
        for node in [&a, &b] {
            node.sync.enable_quic_transport().await.unwrap();
        }
        meet(&a, &b).await;
    });
}

#[cfg(feature = "iroh")]
#[test]
fn two_nodes_meet_over_iroh_without_relays() {
    use pleach_smol::IrohTransport;
    smol::block_on(async {
        let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
        let direct = || IrohTransport::builder().relays_off();
        a.sync.register_transport("iroh", direct().bind("127.0.0.1:0")).await.unwrap();
        b.sync.register_transport("iroh", direct()).await.unwrap();
        meet(&a, &b).await;
    });
}

#[cfg(feature = "iroh")]
#[test]
fn an_endpoint_of_iroh_is_the_same_when_its_transport_is_made_again_under_its_name() {
    use pleach_smol::IrohTransport;
    smol::block_on(async {
        let node = World::new(Memory::new()).await;
        let mut ids = Vec::new();
        for name in ["iroh", "iroh", "another"] {
            let direct = IrohTransport::builder().relays_off().bind("127.0.0.1:0");
            node.sync.register_transport(name, direct).await.unwrap();
            let address = node.sync.accept_connections_on(name).await.unwrap();
            assert_eq!(address.key, Some(node.instance.device_key()));
            ids.push(address.address.split_once(',').unwrap().0.to_owned());
        }
        assert_eq!(ids[0], ids[1]);
        assert_ne!(ids[0], ids[2], "each name has an endpoint of its own");
    });
}

#[cfg(all(feature = "redb", feature = "http"))]
#[test]
fn what_was_synced_into_files_is_there_after_reopening() {
    use pleach_smol::{Database, Redb};
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| Redb::open(folder.path().join(name)).unwrap();
    smol::block_on(async {
        let (a, b) = (World::new(file("a.redb")).await, World::new(file("b.redb")).await);
        for node in [&a, &b] {
            node.sync.enable_http_transport().await.unwrap();
        }
        let (id, key) = (meet(&a, &b).await, b.instance.device_key());
        let before = Database::open(&b.instance, &id, DatabaseKey::Device).unwrap().stats().unwrap();
        a.instance.close().await;
        b.instance.close().await;

        let again = World::new(file("b.redb")).await;
        assert_eq!(again.instance.device_key(), key, "the node's key lasts");
        let database = Database::open(&again.instance, &id, DatabaseKey::Device).unwrap();
        assert_eq!(database.stats().unwrap(), before);
        assert!(database.verify().unwrap().is_ok());
    });
}

#[test]
fn a_refusal_is_an_error_that_says_so() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
        a.sync.register_transport("memory", network.builder().bind("a")).await.unwrap();
        b.sync.register_transport("memory", network.builder()).await.unwrap();
        let database = a.create("private", &[]).await;
        a.sync.accept_connections().await.unwrap();
        let ticket = a.sync.create_ticket(&database.root_id()).unwrap();
        let refused = b.sync.sync_with_ticket(&ticket).await.unwrap_err();
        assert!(refused.is_permission_denied(), "{refused:?}");
        assert_eq!(b.instance.databases().unwrap(), []);
    });
}

#[test]
fn without_a_database_all_that_is_offered_is_fetched() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
        a.sync.register_transport("memory", network.builder().bind("a")).await.unwrap();
        b.sync.register_transport("memory", network.builder()).await.unwrap();
        let all = grant_all(Permission::Read);
        let (one, two) = (a.create("one", &all).await, a.create("two", &all).await);
        a.create("private", &[]).await;
        let address = a.sync.accept_connections().await.unwrap().remove(0);
        let offered = b.sync.discover_peer_trees(&address).await.unwrap();
        assert_eq!(offered.len(), 2, "{offered:?}");
        let reports = b.sync.sync_with_peer(&address, None).await.unwrap();
        assert_eq!(reports.len(), 2);
        let mut expected = vec![(one.root_id(), "one".to_owned()), (two.root_id(), "two".to_owned())];
        expected.sort();
        assert_eq!(b.instance.databases().unwrap(), expected);
    });
}

#[cfg(all(feature = "http", feature = "quic"))]
#[test]
fn a_list_longer_than_a_page_comes_whole_over_every_transport() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
        a.sync.register_transport("memory", network.builder().bind("a")).await.unwrap();
        b.sync.register_transport("memory", network.builder()).await.unwrap();
        for node in [&a, &b] {
            node.sync.enable_http_transport().await.unwrap();
            node.sync.enable_quic_transport().await.unwrap();
        }
        for n in 0..300 {
            a.create(&n.to_string(), &grant_all(Permission::Read)).await;
        }
        for address in a.sync.accept_connections().await.unwrap() {
            let offered = b.sync.discover_peer_trees(&address).await.unwrap();
            assert_eq!(offered.len(), 300, "{address}");
        }
    });
}

#[test]
fn handles_of_an_instance_that_is_gone_give_errors() {
    smol::block_on(async {
        let node = World::new(Memory::new()).await;
        let database = node.create("mine", &[]).await;
        let watch = database.watch();
        let World { instance, sync } = node;
        instance.close().await;
        assert!(database.tips().unwrap_err().is_closed());
        assert!(database.new_transaction().unwrap_err().is_closed());
        assert_eq!(watch.next().await, None);
        drop((database, instance));
        assert_eq!(sync.get_server_address(), Err(Error::CLOSED));
    });
}

#[test]
fn dropping_the_last_handle_frees_the_place_and_the_threads() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        for _ in 0..2 {
            let node = World::new(Memory::new()).await;
            node.sync.register_transport("memory", network.builder().bind("here")).await.unwrap();
            node.sync.accept_connections().await.unwrap();
            let weak = node.instance.downgrade();
            drop(node);
            assert!(weak.upgrade().is_none());
        }
    });
}

#[test]
fn a_transaction_is_one_entry_over_many_stores_and_callbacks_hear_of_it() {
    smol::block_on(async {
        let node = World::new(Memory::new()).await;
        let database = node.create("mine", &[]).await;
        let (told, heard) = async_channel::unbounded();
        let _callback =
            database.on_local_write(move |change| told.try_send(change.clone()).unwrap()).unwrap();
        let txn = database.new_transaction().unwrap();
        for store in ["a", "b"] {
            txn.get_store::<DocStore>(store).unwrap().set("x", 1).unwrap();
        }
        let position = txn.commit().await.unwrap();
        assert_eq!(heard.recv().await.unwrap().entries, [position]);
        assert_eq!(database.stats().unwrap().entries, 2);
        node.instance.drop_database(database.root_id()).await.unwrap();
        assert!(database.stats().unwrap_err().is_not_found());
    });
}

#[test]
fn a_store_keeps_the_key_that_it_began_with() {
    smol::block_on(async {
        let store = std::sync::Arc::new(Memory::new());
        let key = pleach_smol::SecretKey::from_bytes([7; 32]);
        let options = || pleach_smol::Options::new().seed([1; 32]);
        let first = Instance::open_with(Shared(store.clone()), options().key(key.clone())).await.unwrap();
        assert_eq!(first.device_key(), key.public());
        drop(first);
        let other = options().key(pleach_smol::SecretKey::from_bytes([8; 32]));
        let refused = Instance::open_with(Shared(store.clone()), other).await.unwrap_err();
        assert!(matches!(refused, Error::AnotherKey { .. }));
        let again = Instance::open(Shared(store)).await.unwrap();
        assert_eq!(again.device_key(), key.public());
        let _ = pleach_smol::Database::create(&again, DatabaseKey::Device, Doc::new()).await.unwrap();
    });
}
