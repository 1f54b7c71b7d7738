//! The peer book over real sockets: blocked on either side, found at several addresses, waited for.

use std::{sync::Arc, time::Duration};

use pleach_blocking::{
    Address, AuthParams, ConnectionState, Database, DatabaseKey, Doc, DocStore, Id, Instance, Memory,
    MemoryNetwork, Notification, PeerStatus, Permission, SecretKey, Snapshot, StorageError, Store, Stuck,
    Sync, SyncPeerInfo, SyncPhase, Who,
};
use pleach_core::storage::{Write, Written};

/// A time that no test takes unless something is broken: less than that after which a silent peer is given up.
const LONG: Duration = Duration::from_secs(29);

/// A node with sync enabled.
struct World {
    instance: Instance,
    sync: Sync,
}

impl World {
    fn new(store: impl Store + 'static) -> Self {
        let instance = Instance::open(store).unwrap();
        instance.enable_sync().unwrap();
        let sync = instance.sync().unwrap();
        Self { instance, sync }
    }

    fn create(&self, name: &str, grants: &[(Who, Permission)]) -> Database {
        let mut settings = Doc::new();
        settings.set("name", name).unwrap();
        Database::create_with(&self.instance, DatabaseKey::Device, settings, grants.to_vec()).unwrap()
    }

    fn open(&self, id: &Id) -> Database {
        Database::open(&self.instance, id, DatabaseKey::Device).unwrap()
    }
}

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

fn grant_all(permission: Permission) -> Vec<(Who, Permission)> {
    vec![(Who::Everyone, permission)]
}

fn write(database: &Database, key: &str, value: &str) {
    let txn = database.new_transaction().unwrap();
    txn.get_store::<DocStore>("notes").unwrap().set(key, value).unwrap();
    txn.commit().unwrap();
}

fn assert_same(one: &Database, two: &Database) {
    let (one, two) = (one.stats().unwrap(), two.stats().unwrap());
    assert_eq!((one.tips, one.content_hash), (two.tips, two.content_hash));
}

/// How nodes reach each other.
#[derive(Clone)]
enum Way {
    Memory(MemoryNetwork),
    #[cfg(feature = "http")]
    Http,
    #[cfg(feature = "quic")]
    Quic,
}

impl Way {
    fn all() -> Vec<Self> {
        vec![
            Self::Memory(MemoryNetwork::new()),
            #[cfg(feature = "http")]
            Self::Http,
            #[cfg(feature = "quic")]
            Self::Quic,
        ]
    }

    /// Lets peers in, and says where.
    fn open(&self, node: &World, place: &str) -> Address {
        match self {
            Self::Memory(network) => {
                node.sync.register_transport("t", network.builder().bind(place)).unwrap();
            }
            #[cfg(feature = "http")]
            Self::Http => node.sync.enable_http_transport().unwrap(),
            #[cfg(feature = "quic")]
            Self::Quic => node.sync.enable_quic_transport().unwrap(),
        }
        node.sync.accept_connections().unwrap().remove(0)
    }
}

/// A database of A that B may write, both reachable.
fn pair(way: &Way, a: &World, b: &World) -> (Id, Address, Address) {
    let grants = [(Who::Key(b.instance.device_key()), Permission::Write(9))];
    let database = a.create("shared", &grants);
    (database.root_id(), way.open(a, "a"), way.open(b, "b"))
}

#[test]
fn a_block_holds_both_ways_over_each_transport_and_after_a_restart() {
    for way in Way::all() {
        let store = Arc::new(Memory::new());
        let (a, b) = (World::new(Shared(store.clone())), World::new(Memory::new()));
        let (id, at_a, at_b) = pair(&way, &a, &b);
        let (alice, bob) = (a.instance.device_key(), b.instance.device_key());
        b.sync.sync_with_peer(&at_a, Some(&id)).unwrap();
        let public = a.create("public", &grant_all(Permission::Read));
        assert_eq!(b.sync.discover_peer_trees(&at_a).unwrap().len(), 2);

        a.sync.update_peer_status(&bob, PeerStatus::Blocked).unwrap();
        let refused = b.sync.sync_with_peer(&at_a, Some(&id)).unwrap_err();
        assert!(refused.is_permission_denied() && !refused.is_blocked(), "{refused}");
        assert!(b.sync.sync_with_peer(&at_a, Some(&public.root_id())).is_err());
        assert_eq!(b.sync.discover_peer_trees(&at_a).unwrap(), [], "public ones neither");
        for place in [at_b.clone(), Address { key: None, ..at_b.clone() }] {
            let refused = a.sync.sync_with_peer(&place, Some(&id)).unwrap_err();
            assert!(refused.is_blocked() && refused.to_string().contains("unblock"), "{refused}");
            assert!(a.sync.connect_to_peer(&place).unwrap_err().is_blocked());
        }
        let info = a.sync.get_peer_info(&bob).unwrap().unwrap();
        assert_eq!((info.status, info.connection), (PeerStatus::Blocked, ConnectionState::Disconnected));

        a.instance.close();
        let a = World::new(Shared(store));
        let at_a = way.open(&a, "a");
        let refused = b.sync.sync_with_peer(&at_a, Some(&id)).unwrap_err();
        assert!(refused.is_permission_denied(), "{refused}");
        assert!(a.sync.sync_with_peer(&at_b, Some(&id)).unwrap_err().is_blocked());
        assert!(a.sync.remove_peer(&bob).unwrap_err().is_blocked(), "it is not lost by that");
        a.sync.update_peer_status(&bob, PeerStatus::Active).unwrap();
        b.sync.sync_with_peer(&at_a, Some(&id)).unwrap();
        a.sync.sync_with_peer(&at_b, Some(&id)).unwrap();
        assert_eq!(a.sync.list_peers().unwrap().len(), 1);
        assert_eq!(b.sync.get_peer_info(&alice).unwrap().unwrap().databases, [id]);
    }
}

/// A place of this transport that takes what comes and never answers, as long as it is held.
fn silent(way: &Way) -> Option<(Address, Box<dyn std::any::Any>)> {
    match way {
        Way::Memory(_) => None,
        #[cfg(feature = "http")]
        Way::Http => {
            let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            Some((Address::http(&socket.local_addr().unwrap().to_string()), Box::new(socket)))
        }
        #[cfg(feature = "quic")]
        Way::Quic => {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            Some((Address::quic(&socket.local_addr().unwrap().to_string()), Box::new(socket)))
        }
    }
}

#[test]
fn a_first_address_that_never_answers_keeps_nobody_waiting() {
    for way in Way::all() {
        let Some((silent, _socket)) = silent(&way) else { continue };
        let (a, b) = (World::new(Memory::new()), World::new(Memory::new()));
        let (id, at_a, _) = pair(&way, &a, &b);
        let alice = a.instance.device_key();
        let silent = silent.with_key(alice);

        let info = SyncPeerInfo::new(alice, id, vec![silent.clone(), at_a.clone()]);
        let handle = b.sync.register_sync_peer(info).unwrap();
        handle.wait_for_initial_sync_within(LONG).unwrap();

        let ticket = pleach_blocking::DatabaseTicket::new(id, vec![silent.clone(), at_a.clone()]).unwrap();
        let report = b.sync.sync_with_ticket(&ticket).unwrap();
        assert!(report.address.unwrap().is_same_place(&at_a));
        let known = b.sync.tree_peers(&id).unwrap().remove(0);
        assert!(known.addresses[0].is_same_place(&at_a), "the one that worked first");
        let report = b.sync.sync_tree_with_peer(&alice, &id).unwrap();
        assert!(report.address.unwrap().is_same_place(&at_a));
        assert_same(&a.open(&id), &b.open(&id));
    }
}

#[test]
fn a_handle_wakes_with_the_first_sync_and_tells_what_is_true() {
    for way in Way::all() {
        let (a, b) = (World::new(Memory::new()), World::new(Memory::new()));
        let (id, at_a, _) = pair(&way, &a, &b);
        let alice = a.instance.device_key();
        let events = b.sync.watch().unwrap();
        // Known without a place, it waits for one.
        let info = SyncPeerInfo::new(alice, id, Vec::new());
        let handle = b.sync.register_sync_peer(info).unwrap();
        assert_eq!((handle.tree_id(), handle.peer_pubkey()), (id, alice));
        let status = handle.status().unwrap();
        assert_eq!((status.has_local_data, status.stuck), (false, Some(Stuck::NoAddress)));
        let late = handle.wait_for_initial_sync_within(Duration::from_millis(1)).unwrap_err();
        assert!(late.is_timeout() && late.to_string().contains("address"), "{late}");
        let steps = handle.progress().unwrap();
        let waiting = std::thread::spawn({
            let handle = handle.clone();
            move || handle.wait_for_initial_sync()
        });
        handle.add_address(&at_a).unwrap();
        waiting.join().unwrap().unwrap();
        let step = steps.next().unwrap();
        assert_eq!((step.tree, step.peer), (id, Some(alice)));
        let status = handle.status().unwrap();
        assert!(status.has_local_data && status.last_sync.is_some() && status.last_error.is_none());
        assert!(matches!(status.phase, SyncPhase::Waiting | SyncPhase::Syncing), "{status:?}");

        // It goes.
        let tracked = |wanted: bool| loop {
            if let Notification::Tracked { outcome, .. } = events.next().unwrap()
                && outcome.is_ok() == wanted
            {
                break;
            }
        };
        a.sync.stop_server().unwrap();
        a.instance.close();
        tracked(true);
        write(&b.open(&id), "k", "v");
        tracked(false);
        let failed = handle.status().unwrap();
        assert!(failed.failures >= 1 && failed.last_error.is_some() && failed.next_try.is_some());
        assert!(failed.last_sync >= status.last_sync);
        // What waited for news of it ends a moment later, when its thread is told.
        let patience = std::time::Instant::now() + LONG;
        loop {
            let info = b.sync.get_peer_info(&alice).unwrap().unwrap();
            if matches!(info.connection, ConnectionState::Failed | ConnectionState::Connecting) {
                break;
            }
            assert!(std::time::Instant::now() < patience, "{:?}", info.connection);
        }
    }
}

#[test]
fn the_background_gets_in_by_asking_once_somebody_lets_it() {
    for way in Way::all() {
        let (a, b) = (World::new(Memory::new()), World::new(Memory::new()));
        let database = a.create("shared", &[]);
        let at_a = way.open(&a, "a");
        way.open(&b, "b");
        let events = b.sync.watch().unwrap();
        let auth = AuthParams::new(Permission::Write(5)).name("Bob").metadata("it is me");
        let info = SyncPeerInfo::new(a.instance.device_key(), database.root_id(), vec![at_a]).auth(auth);
        let handle = b.sync.register_sync_peer(info.clone()).unwrap();
        assert_eq!(b.sync.sync_peers().unwrap(), [info], "as it was said");
        let asked = loop {
            if let Some(asked) = a.sync.pending_bootstrap_requests().unwrap().pop() {
                break asked;
            }
            events.next().unwrap();
        };
        assert_eq!((asked.name.as_str(), &asked.metadata[..]), ("Bob", &b"it is me"[..]));
        let approved = a.sync.approve_bootstrap_request_with_key(&asked.id, DatabaseKey::Device, None);
        assert_eq!(approved.unwrap(), Permission::Write(5));
        handle.wait_for_initial_sync_within(LONG).unwrap();
        write(&b.open(&database.root_id()), "from", "bob");
    }
}

#[test]
fn the_book_is_kept_over_restarts() {
    let store = Arc::new(Memory::new());
    let node = World::new(Shared(store.clone()));
    let [desk, phone] = [1, 2].map(|n| SecretKey::from_bytes([n; 32]).public());
    let (home, away) = (Address::http("192.0.2.7:1"), Address::quic("192.0.2.8:2"));
    let database = node.create("shared", &[]).root_id();
    let sync = &node.sync;
    sync.register_peer(&desk, Some("desk")).unwrap();
    sync.add_peer_address(&desk, &home).unwrap();
    sync.add_peer_address(&desk, &away).unwrap();
    sync.add_peer_address(&desk, &away).unwrap();
    sync.update_peer_status(&phone, PeerStatus::Inactive).unwrap();
    let places = [home.clone().with_key(desk), away.clone().with_key(desk)];
    assert_eq!(sync.get_peer_addresses(&desk).unwrap(), places);
    assert!(!sync.is_tree_synced_with_peer(&desk, &database).unwrap());
    sync.add_tree_sync(&desk, &database).unwrap();
    assert!(sync.is_tree_synced_with_peer(&desk, &database).unwrap());
    assert_eq!(sync.get_peer_trees(&desk).unwrap(), [database]);
    assert_eq!(sync.get_tree_peers(&database).unwrap(), [desk]);

    assert!(sync.add_peer_address(&desk, &home.clone().with_key(phone)).is_err(), "of another");
    assert!(sync.register_peer(&node.instance.device_key(), None).is_err(), "itself");
    for n in 2..32 {
        sync.add_peer_address(&desk, &Address::http(&format!("192.0.2.9:{n}"))).unwrap();
    }
    let full = sync.add_peer_address(&desk, &Address::http("192.0.2.9:99")).unwrap_err();
    assert!(full.to_string().contains("32 addresses"), "{full}");
    node.instance.close();

    let node = World::new(Shared(store));
    let sync = &node.sync;
    let listed = sync.list_peers().unwrap();
    assert_eq!(listed.len(), 2, "{listed:?}");
    let known = sync.get_peer_info(&desk).unwrap().unwrap();
    assert_eq!((known.display_name.as_deref(), known.databases.as_slice()), (Some("desk"), &[database][..]));
    assert_eq!((known.addresses.len(), known.registered, known.seen), (32, true, None));
    assert_eq!(sync.get_peer_info(&phone).unwrap().unwrap().status, PeerStatus::Inactive);
    sync.remove_peer_address(&desk, &home).unwrap();
    assert!(!sync.get_peer_addresses(&desk).unwrap().iter().any(|known| known.is_same_place(&home)));
    sync.remove_tree_sync(&desk, &database).unwrap();
    assert_eq!(sync.get_peer_trees(&desk).unwrap(), []);
    sync.add_tree_sync(&desk, &database).unwrap();
    sync.remove_peer(&desk).unwrap();
    assert_eq!(sync.get_peer_info(&desk).unwrap(), None);
    assert_eq!(sync.get_tree_peers(&database).unwrap(), []);
}

#[test]
fn who_comes_by_itself_is_known_and_who_is_connected_to_is_in_the_book() {
    for way in Way::all() {
        let (a, b) = (World::new(Memory::new()), World::new(Memory::new()));
        let (id, at_a, at_b) = pair(&way, &a, &b);
        b.sync.sync_with_peer(&at_a, Some(&id)).unwrap();
        let guest = a.sync.get_peer_info(&b.instance.device_key()).unwrap().unwrap();
        assert!(!guest.registered && guest.seen.is_some() && guest.addresses.is_empty());
        let tips = a.sync.sync_tree().unwrap().tips().unwrap();
        b.sync.sync_with_peer(&at_a, Some(&id)).unwrap();
        assert_eq!(a.sync.sync_tree().unwrap().tips().unwrap(), tips, "no peer makes it grow");

        let anonymous = Address { key: None, ..at_b };
        assert_eq!(a.sync.connect_to_peer(&anonymous).unwrap(), b.instance.device_key());
        let known = a.sync.get_peer_info(&b.instance.device_key()).unwrap().unwrap();
        assert!(known.registered && known.addresses.len() == 1);
        let host = b.sync.get_peer_info(&a.instance.device_key()).unwrap().unwrap();
        assert!(host.last_sync.is_some() && host.last_error.is_none() && host.registered);
        a.sync.remove_peer(&b.instance.device_key()).unwrap();
        let gone = a.sync.get_peer_info(&b.instance.device_key()).unwrap();
        assert!(gone.is_none_or(|info| !info.registered && info.seen.is_none()));
    }
}
