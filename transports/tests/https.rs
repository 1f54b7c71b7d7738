//! HTTP over TLS, by certificates and by node keys, with both servers and both clients.
#![cfg(all(feature = "conformance", feature = "http", feature = "threads", feature = "smol"))]

mod node;

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use node::{context, executed};
use pleach_transports::{
    Address, Context, Transport, TransportError,
    conformance::{Driven, Served, Subject, check, key},
    http::{HttpBuilder, HttpTransport},
};

type Make = fn(u8) -> Context;

const BOTH: [Make; 2] = [context, executed];

/// A file of certificates.
fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

fn certified() -> HttpBuilder {
    HttpTransport::builder().certificate(file("node.pem"), file("node.key"))
}

/// A client that trusts the authority of these tests, and no other.
fn trusting() -> HttpBuilder {
    HttpTransport::builder().trust(file("authority.pem"))
}

fn serve(builder: HttpBuilder, context: Context) -> Served {
    Served::echo(builder.bind("127.0.0.1:0").transport(context).unwrap().listen().unwrap())
}

fn open(builder: HttpBuilder, context: Context, address: &Address) -> Result<Driven, TransportError> {
    Driven::open(&builder.transport(context).unwrap(), address)
}

/// One message there and back.
fn asked(builder: HttpBuilder, context: Context, address: &Address) -> Result<(), TransportError> {
    let mut exchange = open(builder, context, address)?;
    exchange.say(&[b"frame".to_vec()])?;
    let answer = exchange.hear()?.expect("an answer comes");
    assert_eq!(answer, [key(2).public().as_bytes().to_vec(), b"frame".to_vec()]);
    Ok(())
}

fn subject(server: Make, client: Make) -> Subject {
    Subject {
        bound: Box::new(move |seed, place| {
            let place = place.map_or("127.0.0.1:0", |address| &address.address);
            Box::new(certified().bind(place).transport(server(seed)).expect("it can be made"))
        }),
        unbound: Box::new(move |seed| Box::new(trusting().transport(client(seed)).expect("it can be made"))),
        nowhere: Address::https("127.0.0.1:9"),
    }
}

#[test]
fn https_on_threads_conforms() {
    check(&subject(context, context));
}

#[test]
fn https_on_an_executor_conforms() {
    check(&subject(executed, executed));
}

#[test]
fn a_threaded_client_and_an_executed_server_conform() {
    check(&subject(executed, context));
}

#[test]
fn an_executed_client_and_a_threaded_server_conform() {
    check(&subject(context, executed));
}

#[test]
fn a_node_is_taken_by_the_key_that_its_address_names_and_by_nothing_else() {
    for server in BOTH {
        let served = serve(HttpTransport::builder().node_certificate(), server(1));
        assert!(served.address.to_string().starts_with("https:"), "{}", served.address);
        for client in BOTH {
            assert_eq!(asked(trusting(), client(2), &served.address), Ok(()));
            let nameless = Address { key: None, ..served.address.clone() };
            let other = served.address.clone().with_key(key(3).public());
            for address in [nameless, other] {
                let refused = asked(trusting(), client(2), &address);
                assert!(matches!(refused, Err(TransportError::NotPleach { .. })), "{refused:?}");
            }
        }
    }
}

#[test]
fn a_certificate_of_no_trusted_authority_is_refused_whatever_key_the_address_names() {
    for server in BOTH {
        let served = serve(certified(), server(1));
        for client in BOTH {
            assert_eq!(asked(trusting(), client(2), &served.address), Ok(()));
            // The system does not know the authority of these tests.
            let refused = asked(HttpTransport::builder(), client(2), &served.address);
            assert!(matches!(refused, Err(TransportError::NotPleach { .. })), "{refused:?}");
            // It is for this machine by name and address, and not for another name of it.
            let named = served.address.address.replace("127.0.0.1", "localhost");
            assert_eq!(
                asked(trusting(), client(2), &Address { address: named, ..served.address.clone() }),
                Ok(())
            );
        }
    }
}

#[test]
fn a_connection_that_was_proven_for_one_key_is_not_used_for_another() {
    for client in BOTH {
        let served = serve(HttpTransport::builder().node_certificate(), context(1));
        let transport = trusting().transport(client(2)).unwrap();
        for _ in 0..2 {
            let mut exchange = Driven::open(&transport, &served.address).unwrap();
            exchange.say(&[vec![1]]).unwrap();
            exchange.hear().unwrap();
        }
        let other = served.address.clone().with_key(key(3).public());
        let mut exchange = match Driven::open(&transport, &other) {
            Ok(exchange) => exchange,
            Err(error) => {
                assert!(error.is_peer_fault(), "{error:?}");
                continue;
            }
        };
        let refused = exchange.say(&[vec![1]]).and_then(|()| exchange.hear());
        assert!(refused.is_err(), "{refused:?}");
    }
}

#[test]
fn who_speaks_the_other_of_the_two_is_told_so() {
    for (server, client) in [(context as Make, context as Make), (executed, executed)] {
        let secure = serve(certified(), server(1));
        let plain = serve(HttpTransport::builder(), server(1));
        let to_secure = Address { transport_type: "http".into(), ..secure.address.clone() };
        let to_plain = Address { transport_type: "https".into(), ..plain.address.clone() };
        for address in [to_secure, to_plain] {
            let refused = asked(trusting(), client(2), &address);
            assert!(refused.is_err(), "{address}");
        }
        assert_eq!(asked(trusting(), client(2), &secure.address), Ok(()));
        assert_eq!(asked(trusting(), client(2), &plain.address), Ok(()), "one transport dials both");
    }
}

#[test]
fn a_handshake_that_does_not_go_on_is_cut_and_keeps_nobody_out() {
    for server in BOTH {
        let served = serve(certified(), server(1));
        let mut slow = TcpStream::connect(&served.address.address).unwrap();
        slow.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // The beginning of a record that announces a handshake.
        slow.write_all(&[0x16, 3, 1]).unwrap();
        assert_eq!(asked(trusting(), context(2), &served.address), Ok(()));
        let mut heard = Vec::new();
        match slow.read_to_end(&mut heard) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
        }
    }
}

#[test]
fn files_that_hold_nothing_for_tls_are_refused_when_the_transport_is_made() {
    let made = |builder: HttpBuilder| builder.transport(context(1)).map(drop);
    let builder = HttpTransport::builder;
    for refused in [
        made(builder().certificate("nowhere.pem", file("node.key"))),
        made(builder().certificate(file("node.key"), file("node.key"))),
        made(builder().certificate(file("node.pem"), file("node.pem"))),
        made(builder().certificate(file("authority.pem"), file("node.key"))),
        made(builder().trust(file("node.key"))),
    ] {
        assert!(matches!(refused, Err(TransportError::Setup(_))), "{refused:?}");
    }
}

#[test]
fn curl_reads_over_tls_by_an_authority_and_by_the_certificate_of_a_node() {
    for server in BOTH {
        let served = serve(certified(), server(1));
        let url = format!("https://{}/api/v0/node", served.address.address);
        let curl = |args: &[&str]| {
            let output = Command::new("curl")
                .args(["-sS", "--fail-with-body", "--max-time", "60"])
                .args(args)
                .output();
            output
                .map(|output| (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
        };
        let Ok((good, text)) = curl(&["--cacert", file("authority.pem").to_str().unwrap(), &url]) else {
            println!("left out: there is no curl");
            return;
        };
        assert!(good && text.contains(&key(1).public().to_string()), "{text}");
        assert!(!curl(&[&url]).unwrap().0, "curl does not know the authority by itself");
        // A node's own certificate proves nothing to curl, and hides what is said all the same.
        let served = serve(HttpTransport::builder().node_certificate(), server(1));
        let url = format!("https://{}/api/v0/node", served.address.address);
        let (good, text) = curl(&["--insecure", &url]).unwrap();
        assert!(good && text.contains(&key(1).public().to_string()), "{text}");
    }
}
