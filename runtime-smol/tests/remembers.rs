//! What an instance keeps in its store about itself and its peers, and what its tickets say.

mod world;

use std::{pin::pin, sync::Arc};

use pleach_core::storage::{Write, Written};
use pleach_smol::{
    Error, Follow, Instance, Memory, MemoryNetwork, Options, PeerStatus, Permission, SecretKey, Snapshot,
    StorageError, Store, Sync, SyncPeerInfo,
};
use smol::future::poll_once;
use world::{Shared, World, assert_same, grant_all, write};

#[test]
fn a_peer_that_was_synced_with_is_found_again_after_a_restart() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let store = Arc::new(Memory::new());
        let (a, b) = (World::new(Memory::new()).await, World::new(Shared(store.clone())).await);
        a.sync.register_transport("memory", network.builder().bind("a")).await.unwrap();
        b.sync.register_transport("memory", network.builder()).await.unwrap();
        let database = a.create("shared", &grant_all(Permission::Write(9))).await;
        a.sync.accept_connections().await.unwrap();
        let ticket = a.sync.create_ticket(&database.root_id()).unwrap();
        b.sync.forgetting().sync_with_ticket(&ticket).await.unwrap();
        assert_eq!(b.sync.sync_peers().unwrap(), []);
        b.sync.sync_with_ticket(&ticket).await.unwrap();
        let tips = b.sync.sync_tree().unwrap().tips().unwrap();
        b.sync.sync_with_ticket(&ticket).await.unwrap();
        assert_eq!(b.sync.sync_tree().unwrap().tips().unwrap(), tips, "nothing new is learnt");
        b.instance.close().await;

        write(&database, "later", "a").await;
        let again = World::new(Shared(store)).await;
        again.sync.register_transport("memory", network.builder()).await.unwrap();
        let known = again.sync.tree_peers(&database.root_id()).unwrap();
        let [info] = known.as_slice() else { panic!("{known:?}") };
        assert_eq!((info.peer_pubkey, info.follow), (a.instance.device_key(), Follow::OnRequest));
        let outcomes = again.sync.sync_database(&database.root_id()).await.unwrap();
        assert!(
            matches!(outcomes.as_slice(), [(_, Ok(report))] if report.entries_received == 1),
            "{outcomes:?}"
        );
        assert_same(&database, &again.open(&database.root_id()));
    });
}

/// A store that dies when `_sync` is to be remembered.
struct DiesBeforeRemembering(Arc<Memory>);

impl Store for DiesBeforeRemembering {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
        self.0.snapshot()
    }

    fn write(&self, write: &Write) -> Result<Written, StorageError> {
        match write {
            Write::Meta(pairs) if pairs.iter().any(|(key, _)| key == b"instance/sync") => {
                Err(StorageError::Failed("the power is gone".into()))
            }
            write => self.0.write(write),
        }
    }
}

#[test]
fn a_crash_before_the_sync_tree_is_remembered_leaves_no_second_one() {
    smol::block_on(async {
        let store = Arc::new(Memory::new());
        let dying = Instance::open(DiesBeforeRemembering(store.clone())).await.unwrap();
        assert!(dying.enable_sync().await.unwrap_err().is_storage());
        dying.close().await;
        let trees = || store.snapshot().unwrap().trees(None, 9).unwrap();
        let [made] = trees()[..] else { panic!("{:?}", trees()) };

        let again = World::new(Shared(store.clone())).await;
        assert_eq!(again.sync.sync_tree_root_id(), Ok(made));
        assert_eq!(trees(), [made]);
        assert_eq!(again.instance.databases().unwrap(), []);
    });
}

#[test]
fn a_database_of_somebody_else_is_not_taken_for_the_sync_tree() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let store = Arc::new(Memory::new());
        let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
        a.sync.register_transport("memory", network.builder().bind("a")).await.unwrap();
        b.sync.register_transport("memory", network.builder()).await.unwrap();
        let trap = a.create("_sync", &grant_all(Permission::Write(9))).await;
        let address = a.sync.accept_connections().await.unwrap().remove(0);
        b.sync.sync_with_peer(&address, Some(&trap.root_id())).await.unwrap();
        // The same entries in a store that has no `_sync` of its own yet.
        let theirs = b.open(&trap.root_id()).snapshot().unwrap();
        let root = theirs.entry(&trap.root_id(), &trap.root_id()).unwrap().unwrap().verify().unwrap();
        store.write(&Write::Put { tree: trap.root_id(), entries: vec![root] }).unwrap();
        let victim = World::new(Shared(store)).await;
        assert_ne!(victim.sync.sync_tree_root_id(), Ok(trap.root_id()));
    });
}

#[test]
fn the_display_name_lasts_until_another_is_given() {
    smol::block_on(async {
        let store = Arc::new(Memory::new());
        for (given, expected) in [(None, None), (Some("desk"), Some("desk")), (None, Some("desk"))] {
            let options = given.into_iter().fold(Options::new(), Options::display_name);
            let instance = Instance::open_with(Shared(store.clone()), options).await.unwrap();
            assert_eq!(instance.display_name(), expected);
            instance.close().await;
        }
    });
}

#[test]
fn doors_open_wherever_there_is_a_place_to_listen() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let node = World::new(Memory::new()).await;
        assert_eq!(node.sync.accept_connections().await, Err(Error::NowhereToListen));
        node.sync.register_transport("dials", network.builder()).await.unwrap();
        assert_eq!(node.sync.accept_connections().await, Err(Error::NowhereToListen));
        node.sync.register_transport("listens", network.builder().bind("here")).await.unwrap();
        assert_eq!(node.sync.accept_connections().await.unwrap().len(), 1);

        let other = World::new(Memory::new()).await;
        other.sync.register_transport("taken", network.builder().bind("here")).await.unwrap();
        let taken = other.sync.accept_connections().await.unwrap_err();
        assert!(matches!(taken, Error::Transport { .. }), "{taken:?}");
    });
}

#[cfg(all(feature = "http", feature = "quic"))]
#[test]
fn a_ticket_never_names_the_unspecified_address() {
    use pleach_smol::Address;
    smol::block_on(async {
        let node = World::new(Memory::new()).await;
        let database = node.create("shared", &[]).await;
        node.sync.start_server(&Address::http("0.0.0.0:0")).await.unwrap();
        node.sync.start_server(&Address::quic("127.0.0.1:0")).await.unwrap();
        let ticket = node.sync.create_ticket(&database.root_id()).unwrap();
        assert!(!ticket.to_string().contains("0.0.0.0"), "{ticket}");
        let quic = node.sync.get_server_address_for("quic").unwrap();
        assert!(ticket.addresses().contains(&quic), "{ticket}");
    });
}

#[test]
fn enabling_sync_again_undoes_nothing_that_was_decided_meanwhile() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
        a.sync.register_transport("memory", network.builder().bind("a")).await.unwrap();
        b.sync.register_transport("memory", network.builder()).await.unwrap();
        let database = a.create("shared", &grant_all(Permission::Read)).await;
        let place = a.sync.accept_connections().await.unwrap().remove(0);
        let (tree, bob) = (database.root_id(), b.instance.device_key());
        let other = SecretKey::from_bytes([9; 32]).public();
        a.sync.register_peer(&bob, None).await.unwrap();
        a.sync.register_sync_peer(SyncPeerInfo::new(other, tree, Vec::new())).await.unwrap();

        let mut again = pin!(Sync::new(&a.instance));
        let begun = poll_once(&mut again).await;
        a.sync.update_peer_status(&bob, PeerStatus::Blocked).await.unwrap();
        a.sync.remove_tree_sync(&other, &tree).await.unwrap();
        if begun.is_none() {
            again.await.unwrap();
        }
        assert_eq!(b.sync.discover_peer_trees(&place).await.unwrap(), [], "blocked");
        let tip = database.tips().unwrap()[0].id;
        let untracked = a.sync.queue_entry_for_sync(&other, &tip, &tree).await.unwrap_err();
        assert!(untracked.is_not_found(), "{untracked}");
    });
}

#[test]
fn a_block_for_which_nobody_waits_holds_all_the_same() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
        a.sync.register_transport("memory", network.builder().bind("a")).await.unwrap();
        b.sync.register_transport("memory", network.builder()).await.unwrap();
        a.create("shared", &grant_all(Permission::Read)).await;
        let place = a.sync.accept_connections().await.unwrap().remove(0);
        let bob = b.instance.device_key();
        a.sync.register_peer(&bob, None).await.unwrap();
        assert_eq!(b.sync.discover_peer_trees(&place).await.unwrap().len(), 1);

        let blocking = poll_once(a.sync.update_peer_status(&bob, PeerStatus::Blocked)).await;
        // Another change stands behind it.
        a.sync.register_peer(&SecretKey::from_bytes([9; 32]).public(), None).await.unwrap();
        assert_eq!(b.sync.discover_peer_trees(&place).await.unwrap(), [], "blocked");
        let known = a.sync.get_peer_info(&bob).await.unwrap().unwrap();
        assert_eq!(known.status, PeerStatus::Blocked, "{blocking:?}");
    });
}

#[test]
fn what_is_decided_while_sync_is_being_enabled_holds() {
    smol::block_on(async {
        let (network, store) = (MemoryNetwork::new(), Arc::new(Memory::new()));
        let (a, b) = (World::new(Shared(store.clone())).await, World::new(Memory::new()).await);
        let bob = b.instance.device_key();
        a.create("shared", &grant_all(Permission::Read)).await;
        a.sync.register_peer(&bob, None).await.unwrap();
        a.instance.create_user("ann", None).await.unwrap();
        a.instance.close().await;

        let instance = Instance::open(Shared(store)).await.unwrap();
        let sync = instance.login_user("ann", None).await.unwrap().sync().unwrap();
        let mut enabling = pin!(instance.enable_sync());
        // Nearly always it waits here for the node, which is told what was in the book.
        let enabled = poll_once(&mut enabling).await;
        let mut deciding = pin!(sync.update_peer_status(&bob, PeerStatus::Blocked));
        let mut decided = None;
        // Every chance to be done before.
        for _ in 0..100 {
            decided = poll_once(&mut deciding).await;
            if decided.is_some() {
                break;
            }
            sync.list_peers().await.unwrap();
        }
        match enabled {
            Some(enabled) => enabled.unwrap(),
            None => enabling.await.unwrap(),
        }
        match decided {
            Some(decided) => decided.unwrap(),
            None => deciding.await.unwrap(),
        }
        sync.register_transport("memory", network.builder().bind("a")).await.unwrap();
        b.sync.register_transport("memory", network.builder()).await.unwrap();
        let place = sync.accept_connections().await.unwrap().remove(0);
        assert_eq!(b.sync.discover_peer_trees(&place).await.unwrap(), [], "blocked");
    });
}
