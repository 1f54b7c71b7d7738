//! One node on several transports: each address is reached over its own, and one that fails is not the others' problem.

mod world;

use std::{
    net::UdpSocket,
    task::{Context as Task, Poll},
};

use pleach_smol::{
    Address, Builder, Built, Context, Exchange, Listener, Memory, MemoryNetwork, Permission, PublicKey,
    Transport, TransportError,
};
use world::{World, grant_all, write};

/// A transport over which nothing ever comes: its peers are dead, and its place is taken.
struct Dead;

/// An exchange with nobody.
struct Nobody;

impl Builder for Dead {
    fn build(self: Box<Self>, _context: Context, _state: Option<&[u8]>) -> Result<Built, TransportError> {
        Ok(Built { transport: self, state: None })
    }
}

impl Transport for Dead {
    fn kind(&self) -> &'static str {
        "dead"
    }

    fn dial(&self, _address: &Address) -> Result<Box<dyn Exchange>, TransportError> {
        Ok(Box::new(Nobody))
    }

    fn listen(&self) -> Result<Box<dyn Listener>, TransportError> {
        Err(TransportError::InUse { address: "dead:end".into() })
    }
}

impl Exchange for Nobody {
    fn peer(&self) -> Option<PublicKey> {
        None
    }

    fn poll_open(&mut self, _task: &mut Task<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Pending
    }

    fn poll_send(&mut self, _task: &mut Task<'_>, _frame: &[u8]) -> Poll<Result<(), TransportError>> {
        Poll::Pending
    }

    fn poll_finish(&mut self, _task: &mut Task<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Pending
    }

    fn poll_receive(
        &mut self,
        _task: &mut Task<'_>,
    ) -> Poll<Result<pleach_transports::Received, TransportError>> {
        Poll::Pending
    }
}

/// A node on every transport that this crate is built with.
async fn everywhere(network: &MemoryNetwork, name: &str) -> World {
    let node = World::new(Memory::new()).await;
    node.sync.register_transport("memory", network.builder().bind(name)).await.unwrap();
    #[cfg(feature = "http")]
    node.sync.enable_http_transport().await.unwrap();
    #[cfg(feature = "quic")]
    node.sync.enable_quic_transport().await.unwrap();
    #[cfg(feature = "iroh")]
    {
        let direct = pleach_smol::IrohTransport::builder().relays_off().bind("127.0.0.1:0");
        node.sync.register_transport("iroh", direct).await.unwrap();
    }
    node
}

/// A serial line between two nodes, each end of which is opened once.
#[cfg(all(feature = "serial", unix))]
async fn cable(a: &World, b: &World) {
    use pleach_smol::SerialTransport;
    use pleach_transports::serial::{End, Line, Lines};
    use std::{
        io,
        os::unix::net::UnixStream,
        sync::{Arc, Mutex},
    };
    struct Cable([Mutex<Option<UnixStream>>; 2]);
    impl Lines for Cable {
        fn open(&self, _place: &str, end: End) -> io::Result<Arc<dyn Line>> {
            let end = self.0[usize::from(end == End::Dialler)].lock().unwrap().take();
            Ok(Arc::new(end.ok_or(io::ErrorKind::NotFound)?))
        }
    }
    let (one, other) = UnixStream::pair().unwrap();
    let cable = Arc::new(Cable([Mutex::new(Some(one)), Mutex::new(Some(other))]));
    let builder = || SerialTransport::builder().lines(Arc::clone(&cable) as Arc<dyn Lines>);
    a.sync.register_transport("serial", builder().bind("line")).await.unwrap();
    b.sync.register_transport("serial", builder()).await.unwrap();
}

#[test]
fn a_node_on_every_transport_is_reached_over_the_one_that_the_address_names() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (a, b) = (everywhere(&network, "a").await, everywhere(&network, "b").await);
        #[cfg(all(feature = "serial", unix))]
        cable(&a, &b).await;
        let addresses = a.sync.accept_connections().await.unwrap();
        assert_eq!(addresses.len(), a.sync.get_all_server_addresses().unwrap().len());
        let database = a.create("shared", &grant_all(Permission::Write(9))).await;
        for (round, address) in addresses.iter().enumerate() {
            write(&database, "round", &round.to_string()).await;
            let report = b.sync.sync_with_peer(address, Some(&database.root_id())).await.unwrap().remove(0);
            assert_eq!(report.address.as_ref(), Some(address));
            assert_eq!(report.peer, Some(a.instance.device_key()), "the same node, whatever the transport");
            world::assert_same(&database, &b.open(&database.root_id()));
        }
        let unknown: Address = "carrier-pigeon:loft".parse().unwrap();
        assert!(b.sync.sync_with_peer(&unknown, Some(&database.root_id())).await.is_err());
    });
}

#[cfg(all(feature = "http", feature = "quic"))]
#[test]
fn a_transport_whose_place_is_taken_keeps_no_other_from_serving() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (a, b) = (everywhere(&network, "a").await, everywhere(&network, "b").await);
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let place = taken.local_addr().unwrap().to_string();
        let quic = pleach_smol::QuicTransport::builder().bind(&place);
        a.sync.register_transport("quic", quic).await.unwrap();
        // The first by name, and one in the middle.
        a.sync.register_transport("a-dead-one", Dead).await.unwrap();
        let refused = a.sync.accept_connections().await.unwrap_err();
        assert!(refused.to_string().contains("in use"), "{refused}");
        let open = a.sync.get_all_server_addresses().unwrap();
        let names: Vec<_> = open.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.contains(&"http") && names.contains(&"memory"), "{names:?}");
        assert!(!names.contains(&"quic") && !names.contains(&"a-dead-one"), "{names:?}");

        let database = a.create("shared", &grant_all(Permission::Write(9))).await;
        for (round, (_, address)) in open.iter().enumerate() {
            write(&database, "round", &round.to_string()).await;
            b.sync.sync_with_peer(address, Some(&database.root_id())).await.unwrap();
            world::assert_same(&database, &b.open(&database.root_id()));
        }
        // Once it is free, it opens, and the others stay as they were.
        drop(taken);
        let address = a.sync.accept_connections_on("quic").await.unwrap();
        b.sync.sync_with_peer(&address, Some(&database.root_id())).await.unwrap();
        let still: Vec<_> = a.sync.get_all_server_addresses().unwrap();
        assert!(open.iter().all(|door| still.contains(door)), "{still:?}");
    });
}

#[test]
fn a_peer_that_never_answers_over_one_transport_holds_up_no_other() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (a, b) = (everywhere(&network, "a").await, everywhere(&network, "b").await);
        b.sync.register_transport("dead", Dead).await.unwrap();
        let database = a.create("shared", &grant_all(Permission::Write(9))).await;
        let dead: Address = "dead:end".parse().unwrap();
        let id = database.root_id();
        let waits = async {
            let ended = b.sync.sync_with_peer(&dead, Some(&id)).await;
            panic!("nobody answered: {ended:?}");
        };
        let goes_on = async {
            for address in a.sync.accept_connections().await.unwrap() {
                write(&database, "over", &address.transport_type).await;
                b.sync.sync_with_peer(&address, Some(&id)).await.unwrap();
                world::assert_same(&database, &b.open(&id));
            }
        };
        smol::future::or(goes_on, waits).await;
    });
}

#[cfg(feature = "iroh")]
#[test]
fn iroh_is_enabled_in_one_call_and_dials_nobody_before_it_is_asked_to() {
    smol::block_on(async {
        let node = World::new(Memory::new()).await;
        node.sync.enable_iroh_transport().await.unwrap();
        assert!(node.sync.get_server_address_for("iroh").is_err(), "nobody is let in yet");
        // The same name once more takes its place.
        node.sync.enable_iroh_transport().await.unwrap();
        node.instance.close().await;
    });
}
