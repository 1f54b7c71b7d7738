//! What hostile peers try over iroh. They are endpoints of their own, which prove what they like.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use iroh::{
    Endpoint, SecretKey as EndpointKey,
    endpoint::{Connection, ConnectionError, presets},
};
use pleach_core::SecretKey;

use super::{ALPN, IrohTransport, NO_KEY, OWN_KEY, drive::Drive, place, proof};
use crate::{Address, Builder, Context, Exchange, Listener, Received, Transport, TransportError, park_until};

/// After this long something hangs.
const LIMIT: Duration = Duration::from_secs(60);

fn context(seed: u8) -> Context {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    let random = |bytes: &mut [u8]| {
        let drawn = DRAWN.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        bytes.iter_mut().zip(drawn.into_iter().cycle()).for_each(|(byte, drawn)| *byte = drawn);
    };
    Context::new(SecretKey::from_bytes([seed; 32]), Arc::new(|| 0), Arc::new(random))
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    park_until(Instant::now() + LIMIT, future).expect("it does not hang")
}

/// A transport of the node with this seed, which listens.
fn node(seed: u8) -> (IrohTransport, Box<dyn Listener>) {
    let settings = IrohTransport::builder().relays_off().bind("127.0.0.1:0");
    let transport = settings.transport(context(seed)).unwrap();
    let listener = transport.listen().unwrap();
    (transport, listener)
}

/// An endpoint that speaks for itself, on a thread of its own.
struct Mallory {
    drive: Drive,
    endpoint: Endpoint,
    address: Address,
}

impl Mallory {
    fn new() -> Self {
        let drive = Drive::new().unwrap();
        let endpoint = wait(drive.run(async {
            let builder = Endpoint::builder(presets::Minimal).relay_mode(iroh::RelayMode::Disabled);
            let builder = builder.secret_key(EndpointKey::from_bytes(&[66; 32])).alpns(vec![ALPN.to_vec()]);
            Ok(builder.clear_ip_transports().bind_addr("127.0.0.1:0").unwrap().bind().await.unwrap())
        }))
        .unwrap();
        let address = place::write(endpoint.id(), &endpoint.bound_sockets(), &[]);
        Self { drive, endpoint, address }
    }

    fn connect(&self, address: &Address) -> Connection {
        let (endpoint, to) = (self.endpoint.clone(), place::read(address).unwrap());
        wait(self.drive.run(async move { Ok(endpoint.connect(to, ALPN).await.unwrap()) })).unwrap()
    }

    fn accept(&self) -> Connection {
        let endpoint = self.endpoint.clone();
        let accepted = async move { Ok(endpoint.accept().await.unwrap().accept().unwrap().await.unwrap()) };
        wait(self.drive.run(accepted)).unwrap()
    }
}

/// The proof that comes on a connection, whatever it is worth.
fn overheard(connection: &Connection) -> Vec<u8> {
    wait(async { connection.accept_uni().await.unwrap().read_to_end(1024).await.unwrap() })
}

fn say(connection: &Connection, proof: &[u8]) {
    wait(async {
        let mut stream = connection.open_uni().await.unwrap();
        // The other side may have ended the connection.
        let _ = stream.write_all(proof).await;
        let _ = stream.finish();
    });
}

/// The code with which the other side ended a connection.
fn ended(connection: &Connection) -> u64 {
    match wait(connection.closed()) {
        ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
        other => panic!("{other}"),
    }
}

fn open(transport: &IrohTransport, address: &Address) -> Result<Box<dyn Exchange>, TransportError> {
    let mut exchange = transport.dial(address)?;
    wait(poll_fn(|task| exchange.poll_open(task)))?;
    Ok(exchange)
}

#[test]
fn what_a_responder_signed_for_one_connection_proves_nothing_on_another() {
    let ((_server, listener), (victim, _listener), mallory) = (node(1), node(2), Mallory::new());
    let expected = listener.address().key.unwrap();
    let taken = overheard(&mallory.connect(&listener.address()));
    assert_eq!(&taken[..32], expected.as_bytes());
    // In the middle, between the victim and the node that it wants.
    let between = mallory.address.clone().with_key(expected);
    let mut exchange = victim.dial(&between).unwrap();
    let dialling = std::thread::spawn(move || wait(poll_fn(|task| exchange.poll_open(task))));
    let connection = mallory.accept();
    say(&connection, &taken);
    let refused = dialling.join().unwrap();
    assert!(matches!(refused, Err(TransportError::Misbehaved(_))), "{refused:?}");
}

#[test]
fn what_an_initiator_signed_for_one_connection_proves_nothing_on_another() {
    let ((_server, mut listener), (victim, _listener), mallory) = (node(1), node(2), Mallory::new());
    // The victim dials a node that proves its own key well.
    let address = mallory.address.clone();
    let mut exchange = victim.dial(&address).unwrap();
    let dialling = std::thread::spawn(move || wait(poll_fn(|task| exchange.poll_open(task))));
    let trusted = mallory.accept();
    let own = context(3);
    let heard = wait(async {
        let exported = proof::exported(&trusted).unwrap();
        let message = proof::message(proof::RESPONDER, &exported, &[own.key().public()]);
        proof::say(&trusted, &own, &message).await.unwrap();
        trusted.accept_uni().await.unwrap().read_to_end(1024).await.unwrap()
    });
    assert_eq!(dialling.join().unwrap(), Ok(()));
    assert_eq!(&heard[..32], context(2).key().public().as_bytes());

    let connection = mallory.connect(&listener.address());
    say(&connection, &heard);
    assert_eq!(ended(&connection), NO_KEY.into_inner());
    for junk in [&b""[..], &[0; 95], &[0; 96], &[0xff; 96], &[7; 500]] {
        let connection = mallory.connect(&listener.address());
        say(&connection, junk);
        assert_eq!(ended(&connection), NO_KEY.into_inner(), "{} bytes of junk", junk.len());
    }

    // Whoever is who they say gets in, and nobody did before.
    let mut exchange = open(&victim, &listener.address()).unwrap();
    wait(poll_fn(|task| exchange.poll_send(task, b"frame"))).unwrap();
    let mut accepted = wait(poll_fn(|task| listener.poll_accept(task))).unwrap();
    assert_eq!(accepted.peer(), Some(context(2).key().public()));
    let received = wait(poll_fn(|task| accepted.poll_receive(task)));
    assert_eq!(received, Ok(Received::Frame(b"frame".to_vec())));
}

#[test]
fn a_copy_of_the_node_under_another_endpoint_is_refused_by_both_sides() {
    let ((_server, listener), (copy, _listener), mallory) = (node(1), node(1), Mallory::new());
    let nameless = Address { key: None, ..listener.address() };
    assert_eq!(open(&copy, &nameless).map(drop), Err(TransportError::OwnKey));
    // A copy that does not look at whom it talks to.
    let connection = mallory.connect(&nameless);
    let own = context(1);
    wait(async {
        let found = proof::of_responder(&connection).await.unwrap();
        proof::as_initiator(&connection, &own, found).await.unwrap();
    });
    assert_eq!(ended(&connection), OWN_KEY.into_inner());
}

#[test]
fn an_endpoint_that_only_dials_turns_everybody_away() {
    let (_server, listener) = node(1);
    let dialling = IrohTransport::builder().relays_off().transport(context(2)).unwrap();
    let _exchange = open(&dialling, &listener.address()).unwrap();
    assert!(dialling.listen().is_err());
    let endpoint = dialling.home.drive.endpoint().get().unwrap();
    let port = endpoint.bound_sockets().iter().find(|socket| socket.is_ipv4()).unwrap().port();
    let address = place::write(endpoint.id(), &[([127, 0, 0, 1], port).into()], &[]);
    let (other, _listener) = node(3);
    assert_eq!(open(&other, &address).map(drop), Err(TransportError::Busy));
}

#[test]
fn an_endpoint_has_the_same_id_after_a_restart_and_no_other_has_it() {
    let build = |seed, state: Option<&[u8]>| {
        let settings = IrohTransport::builder().relays_off().bind("127.0.0.1:0");
        let built = Box::new(settings).build(context(seed), state).unwrap();
        let address = built.transport.listen().unwrap().address();
        (address.address.split_once(',').unwrap().0.to_owned(), built.state.unwrap())
    };
    let (id, kept) = build(1, None);
    assert_eq!(build(1, Some(&kept)), (id.clone(), kept.clone()));
    assert_ne!(build(2, Some(&kept)).0, id, "the salt alone is worth nothing to another node");
    assert_ne!(build(1, None).0, id, "nor is one transport of a node another");
    assert_ne!(id, EndpointKey::from_bytes(&[1; 32]).public().to_string(), "and it is not the node key");

    let settings = Box::new(IrohTransport::builder().relays_off());
    let refused = settings.build(context(1), Some(b"short")).map(drop);
    assert!(matches!(refused, Err(TransportError::Setup(_))), "{refused:?}");
}

#[test]
fn relays_that_are_none_are_refused_before_anything_is_bound() {
    let refused = |relays: &[&str]| {
        let settings = IrohTransport::builder().relays(relays).bind("127.0.0.1:0");
        matches!(settings.transport(context(1)).map(drop), Err(TransportError::Setup(_)))
    };
    assert!(refused(&[]), "off is said otherwise");
    assert!(refused(&["https://a.example", "relay.example"]));
    assert!(refused(&["https://a.example"; 9]));
    assert!(!refused(&["https://a.example", "https://b.example"]));
}
