//! The peer book over real sockets: blocked on either side, found at several addresses, waited for.

mod world;

use std::{future::poll_fn, sync::Arc, time::Duration};

use pleach_core::{
    Entropy,
    wire::{Kind, TreesRequest, Versions, write as frame},
};
use pleach_smol::{
    Address, AuthParams, Builder, ConnectionState, DatabaseKey, Exchange, Id, Memory, MemoryNetwork,
    Notification, PeerStatus, Permission, SecretKey, Stuck, SyncPeerInfo, SyncPhase, Who,
};
use pleach_transports::{Context, Received};
use world::{Shared, World, assert_same, grant_all, write};

/// A time that no test takes unless something is broken: less than that after which a silent peer is given up.
const LONG: Duration = Duration::from_secs(29);

/// What comes of a future in a time that it does not take unless something is broken.
async fn in_time<T>(future: impl Future<Output = T>) -> T {
    smol::future::or(future, async {
        smol::Timer::after(LONG).await;
        panic!("it takes too long")
    })
    .await
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

    fn builder(&self, place: &str) -> Box<dyn Builder> {
        match self {
            Self::Memory(network) => Box::new(network.builder().bind(place)),
            #[cfg(feature = "http")]
            Self::Http => Box::new(pleach_smol::HttpTransport::builder().bind("127.0.0.1:0")),
            #[cfg(feature = "quic")]
            Self::Quic => Box::new(pleach_smol::QuicTransport::builder().bind("127.0.0.1:0")),
        }
    }

    /// Lets peers in, and says where.
    async fn open(&self, node: &World, place: &str) -> Address {
        match self {
            Self::Memory(network) => {
                node.sync.register_transport("t", network.builder().bind(place)).await.unwrap();
            }
            #[cfg(feature = "http")]
            Self::Http => node.sync.enable_http_transport().await.unwrap(),
            #[cfg(feature = "quic")]
            Self::Quic => node.sync.enable_quic_transport().await.unwrap(),
        }
        node.sync.accept_connections().await.unwrap().remove(0)
    }
}

/// A database of A that B may write, both reachable.
async fn pair(way: &Way, a: &World, b: &World) -> (Id, Address, Address) {
    let grants = [(Who::Key(b.instance.device_key()), Permission::Write(9))];
    let database = a.create("shared", &grants).await;
    (database.root_id(), way.open(a, "a").await, way.open(b, "b").await)
}

#[test]
fn a_block_holds_both_ways_over_each_transport_and_after_a_restart() {
    smol::block_on(async {
        for way in Way::all() {
            let store = Arc::new(Memory::new());
            let (a, b) = (World::new(Shared(store.clone())).await, World::new(Memory::new()).await);
            let (id, at_a, at_b) = pair(&way, &a, &b).await;
            let (alice, bob) = (a.instance.device_key(), b.instance.device_key());
            b.sync.sync_with_peer(&at_a, Some(&id)).await.unwrap();
            let public = a.create("public", &grant_all(Permission::Read)).await;
            assert_eq!(b.sync.discover_peer_trees(&at_a).await.unwrap().len(), 2);

            a.sync.update_peer_status(&bob, PeerStatus::Blocked).await.unwrap();
            let refused = b.sync.sync_with_peer(&at_a, Some(&id)).await.unwrap_err();
            assert!(refused.is_permission_denied() && !refused.is_blocked(), "{refused}");
            assert!(b.sync.sync_with_peer(&at_a, Some(&public.root_id())).await.is_err());
            assert_eq!(b.sync.discover_peer_trees(&at_a).await.unwrap(), [], "public ones neither");
            for place in [at_b.clone(), Address { key: None, ..at_b.clone() }] {
                let refused = a.sync.sync_with_peer(&place, Some(&id)).await.unwrap_err();
                assert!(refused.is_blocked() && refused.to_string().contains("unblock"), "{refused}");
                assert!(a.sync.connect_to_peer(&place).await.unwrap_err().is_blocked());
            }
            let info = a.sync.get_peer_info(&bob).await.unwrap().unwrap();
            assert_eq!((info.status, info.connection), (PeerStatus::Blocked, ConnectionState::Disconnected));

            a.instance.close().await;
            let a = World::new(Shared(store)).await;
            let at_a = way.open(&a, "a").await;
            let refused = b.sync.sync_with_peer(&at_a, Some(&id)).await.unwrap_err();
            assert!(refused.is_permission_denied(), "{refused}");
            assert!(a.sync.sync_with_peer(&at_b, Some(&id)).await.unwrap_err().is_blocked());
            assert!(a.sync.remove_peer(&bob).await.unwrap_err().is_blocked(), "it is not lost by that");
            a.sync.update_peer_status(&bob, PeerStatus::Active).await.unwrap();
            b.sync.sync_with_peer(&at_a, Some(&id)).await.unwrap();
            a.sync.sync_with_peer(&at_b, Some(&id)).await.unwrap();
            assert_eq!(a.sync.list_peers().await.unwrap().len(), 1);
            assert_eq!(b.sync.get_peer_info(&alice).await.unwrap().unwrap().databases, [id]);
        }
    });
}

/// An exchange of a key with a place, held in the hand.
struct Held(Box<dyn Exchange>);

impl Held {
    async fn open(way: &Way, key: &SecretKey, place: &Address) -> Self {
        let executor = Arc::new(async_executor::Executor::new());
        let running = Arc::clone(&executor);
        std::thread::spawn(move || smol::block_on(running.run(std::future::pending::<()>())));
        let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let wall = u64::try_from(started.as_millis()).unwrap();
        let entropy = std::sync::Mutex::new(Entropy::new(*key.public().as_bytes()));
        let fill = move |bytes: &mut [u8]| {
            let mut entropy = entropy.lock().unwrap();
            bytes.fill_with(|| entropy.draw::<1>()[0]);
        };
        let context = Context::new(key.clone(), Arc::new(move || wall), Arc::new(fill));
        let built = way.builder("held").build(context.with_executor(executor), None).unwrap();
        let mut exchange = built.transport.dial(place).unwrap();
        poll_fn(|task| exchange.poll_open(task)).await.unwrap();
        // Its sockets live as long as the transport.
        std::mem::forget(built.transport);
        Self(exchange)
    }

    /// What is answered to a question for databases.
    async fn ask(&mut self) -> Vec<Received> {
        let request = TreesRequest { versions: Versions::OURS, after: None };
        let mut room = [0; 64];
        let length = frame(Kind::Trees, &request, [0_u8; 0], &mut room).unwrap();
        poll_fn(|task| self.0.poll_send(task, &room[..length])).await.unwrap();
        poll_fn(|task| self.0.poll_finish(task)).await.unwrap();
        let mut parts = Vec::new();
        while parts.last() != Some(&Received::End) {
            parts.push(poll_fn(|task| self.0.poll_receive(task)).await.unwrap());
        }
        parts
    }
}

#[test]
fn a_block_ends_an_exchange_that_is_open_and_says_what_a_stranger_hears() {
    smol::block_on(async {
        for way in Way::all() {
            let a = World::new(Memory::new()).await;
            let (bob, eve) = (SecretKey::from_bytes([5; 32]), SecretKey::from_bytes([6; 32]));
            a.create("shared", &[(Who::Key(bob.public()), Permission::Read)]).await;
            let place = way.open(&a, "a").await;
            let mut open = Held::open(&way, &bob, &place).await;
            let served = open.ask().await;
            let nothing = Held::open(&way, &eve, &place).await.ask().await;
            assert_ne!(served, nothing);
            let rests =
                open.0.arrival() == pleach_core::node::Arrival::Streamed && place.transport_type != "http";
            if rests {
                let connected = a.sync.get_peer_info(&bob.public()).await.unwrap().unwrap();
                assert_eq!(connected.connection, ConnectionState::Connected);
            }

            a.sync.update_peer_status(&bob.public(), PeerStatus::Blocked).await.unwrap();
            if rests {
                let end = poll_fn(|task| open.0.poll_receive(task)).await;
                assert!(matches!(end, Err(_) | Ok(Received::Closed)), "{end:?}");
                let info = a.sync.get_peer_info(&bob.public()).await.unwrap().unwrap();
                assert_eq!(info.connection, ConnectionState::Disconnected);
            }
            assert_eq!(Held::open(&way, &bob, &place).await.ask().await, nothing);
        }
    });
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
    smol::block_on(async {
        for way in Way::all() {
            let Some((silent, _socket)) = silent(&way) else { continue };
            let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
            let (id, at_a, _) = pair(&way, &a, &b).await;
            let alice = a.instance.device_key();
            let silent = silent.with_key(alice);

            let info = SyncPeerInfo::new(alice, id, vec![silent.clone(), at_a.clone()]);
            let handle = b.sync.register_sync_peer(info).await.unwrap();
            handle.wait_for_initial_sync_within(LONG).await.unwrap();

            let ticket = pleach_smol::DatabaseTicket::new(id, vec![silent.clone(), at_a.clone()]).unwrap();
            let report = in_time(b.sync.sync_with_ticket(&ticket)).await.unwrap();
            assert!(report.address.unwrap().is_same_place(&at_a));
            let known = b.sync.tree_peers(&id).unwrap().remove(0);
            assert!(known.addresses[0].is_same_place(&at_a), "the one that worked first");
            let report = in_time(b.sync.sync_tree_with_peer(&alice, &id)).await.unwrap();
            assert!(report.address.unwrap().is_same_place(&at_a));
            assert_same(&a.open(&id), &b.open(&id));
        }
    });
}

#[test]
fn a_handle_wakes_with_the_first_sync_and_tells_what_is_true() {
    smol::block_on(async {
        for way in Way::all() {
            let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
            let (id, at_a, _) = pair(&way, &a, &b).await;
            let alice = a.instance.device_key();
            let events = b.sync.watch().unwrap();
            // Known without a place, it waits for one.
            let info = SyncPeerInfo::new(alice, id, Vec::new());
            let handle = b.sync.register_sync_peer(info).await.unwrap();
            assert_eq!((handle.tree_id(), handle.peer_pubkey()), (id, alice));
            let status = handle.status().await.unwrap();
            assert_eq!((status.has_local_data, status.stuck), (false, Some(Stuck::NoAddress)));
            let late = handle.wait_for_initial_sync_within(Duration::from_millis(1)).await.unwrap_err();
            assert!(late.is_timeout() && late.to_string().contains("address"), "{late}");
            let steps = handle.progress().unwrap();
            let waiting = smol::spawn({
                let handle = handle.clone();
                async move { handle.wait_for_initial_sync().await }
            });
            handle.add_address(&at_a).await.unwrap();
            in_time(waiting).await.unwrap();
            let step = steps.next().await.unwrap();
            assert_eq!((step.tree, step.peer), (id, Some(alice)));
            let status = handle.status().await.unwrap();
            assert!(status.has_local_data && status.last_sync.is_some() && status.last_error.is_none());
            assert!(matches!(status.phase, SyncPhase::Waiting | SyncPhase::Syncing), "{status:?}");

            // It goes.
            let tracked = async |wanted: bool| loop {
                if let Notification::Tracked { outcome, .. } = events.next().await.unwrap()
                    && outcome.is_ok() == wanted
                {
                    break;
                }
            };
            a.sync.stop_server().await.unwrap();
            a.instance.close().await;
            tracked(true).await;
            write(&b.open(&id), "k", "v").await;
            tracked(false).await;
            let failed = handle.status().await.unwrap();
            assert!(failed.failures >= 1 && failed.last_error.is_some() && failed.next_try.is_some());
            assert!(failed.last_sync >= status.last_sync);
            // What waited for news of it ends a moment later, when its thread is told.
            let patience = std::time::Instant::now() + LONG;
            loop {
                let info = b.sync.get_peer_info(&alice).await.unwrap().unwrap();
                if matches!(info.connection, ConnectionState::Failed | ConnectionState::Connecting) {
                    break;
                }
                assert!(std::time::Instant::now() < patience, "{:?}", info.connection);
            }
        }
    });
}

#[test]
fn the_background_gets_in_by_asking_once_somebody_lets_it() {
    smol::block_on(async {
        for way in Way::all() {
            let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
            let database = a.create("shared", &[]).await;
            let at_a = way.open(&a, "a").await;
            way.open(&b, "b").await;
            let events = b.sync.watch().unwrap();
            let auth = AuthParams::new(Permission::Write(5)).name("Bob").metadata("it is me");
            let info = SyncPeerInfo::new(a.instance.device_key(), database.root_id(), vec![at_a]).auth(auth);
            let handle = b.sync.register_sync_peer(info.clone()).await.unwrap();
            assert_eq!(b.sync.sync_peers().unwrap(), [info], "as it was said");
            let asked = loop {
                if let Some(asked) = a.sync.pending_bootstrap_requests().unwrap().pop() {
                    break asked;
                }
                events.next().await.unwrap();
            };
            assert_eq!((asked.name.as_str(), &asked.metadata[..]), ("Bob", &b"it is me"[..]));
            let approved = a.sync.approve_bootstrap_request_with_key(&asked.id, DatabaseKey::Device, None);
            assert_eq!(approved.await.unwrap(), Permission::Write(5));
            handle.wait_for_initial_sync_within(LONG).await.unwrap();
            write(&b.open(&database.root_id()), "from", "bob").await;
        }
    });
}

#[test]
fn the_book_is_kept_over_restarts() {
    smol::block_on(async {
        let store = Arc::new(Memory::new());
        let node = World::new(Shared(store.clone())).await;
        let [desk, phone] = [1, 2].map(|n| SecretKey::from_bytes([n; 32]).public());
        let (home, away) = (Address::http("192.0.2.7:1"), Address::quic("192.0.2.8:2"));
        let database = node.create("shared", &[]).await.root_id();
        let sync = &node.sync;
        sync.register_peer(&desk, Some("desk")).await.unwrap();
        sync.add_peer_address(&desk, &home).await.unwrap();
        sync.add_peer_address(&desk, &away).await.unwrap();
        sync.add_peer_address(&desk, &away).await.unwrap();
        sync.update_peer_status(&phone, PeerStatus::Inactive).await.unwrap();
        let places = [home.clone().with_key(desk), away.clone().with_key(desk)];
        assert_eq!(sync.get_peer_addresses(&desk).unwrap(), places);
        assert!(!sync.is_tree_synced_with_peer(&desk, &database).unwrap());
        sync.add_tree_sync(&desk, &database).await.unwrap();
        assert!(sync.is_tree_synced_with_peer(&desk, &database).unwrap());
        assert_eq!(sync.get_peer_trees(&desk).unwrap(), [database]);
        assert_eq!(sync.get_tree_peers(&database).unwrap(), [desk]);

        assert!(sync.add_peer_address(&desk, &home.clone().with_key(phone)).await.is_err(), "of another");
        assert!(sync.register_peer(&node.instance.device_key(), None).await.is_err(), "itself");
        for n in 2..32 {
            sync.add_peer_address(&desk, &Address::http(&format!("192.0.2.9:{n}"))).await.unwrap();
        }
        let full = sync.add_peer_address(&desk, &Address::http("192.0.2.9:99")).await.unwrap_err();
        assert!(full.to_string().contains("32 addresses"), "{full}");
        node.instance.close().await;

        let node = World::new(Shared(store)).await;
        let sync = &node.sync;
        let listed = sync.list_peers().await.unwrap();
        assert_eq!(listed.len(), 2, "{listed:?}");
        let known = sync.get_peer_info(&desk).await.unwrap().unwrap();
        assert_eq!(
            (known.display_name.as_deref(), known.databases.as_slice()),
            (Some("desk"), &[database][..])
        );
        assert_eq!((known.addresses.len(), known.registered, known.seen), (32, true, None));
        assert_eq!(sync.get_peer_info(&phone).await.unwrap().unwrap().status, PeerStatus::Inactive);
        sync.remove_peer_address(&desk, &home).await.unwrap();
        assert!(!sync.get_peer_addresses(&desk).unwrap().iter().any(|known| known.is_same_place(&home)));
        sync.remove_tree_sync(&desk, &database).await.unwrap();
        assert_eq!(sync.get_peer_trees(&desk).unwrap(), []);
        sync.add_tree_sync(&desk, &database).await.unwrap();
        sync.remove_peer(&desk).await.unwrap();
        assert_eq!(sync.get_peer_info(&desk).await.unwrap(), None);
        assert_eq!(sync.get_tree_peers(&database).unwrap(), []);
    });
}

#[test]
fn who_comes_by_itself_is_known_and_who_is_connected_to_is_in_the_book() {
    smol::block_on(async {
        for way in Way::all() {
            let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
            let (id, at_a, at_b) = pair(&way, &a, &b).await;
            b.sync.sync_with_peer(&at_a, Some(&id)).await.unwrap();
            let guest = a.sync.get_peer_info(&b.instance.device_key()).await.unwrap().unwrap();
            assert!(!guest.registered && guest.seen.is_some() && guest.addresses.is_empty());
            let tips = a.sync.sync_tree().unwrap().tips().unwrap();
            b.sync.sync_with_peer(&at_a, Some(&id)).await.unwrap();
            assert_eq!(a.sync.sync_tree().unwrap().tips().unwrap(), tips, "no peer makes it grow");

            let anonymous = Address { key: None, ..at_b };
            assert_eq!(a.sync.connect_to_peer(&anonymous).await.unwrap(), b.instance.device_key());
            let known = a.sync.get_peer_info(&b.instance.device_key()).await.unwrap().unwrap();
            assert!(known.registered && known.addresses.len() == 1);
            let host = b.sync.get_peer_info(&a.instance.device_key()).await.unwrap().unwrap();
            assert!(host.last_sync.is_some() && host.last_error.is_none() && host.registered);
            a.sync.remove_peer(&b.instance.device_key()).await.unwrap();
            let gone = a.sync.get_peer_info(&b.instance.device_key()).await.unwrap();
            assert!(gone.is_none_or(|info| !info.registered && info.seen.is_none()));
        }
    });
}
