//! What many, slow and idle connections do to a server over HTTP: nothing to a peer that the node has vouched for.
#![cfg(all(feature = "conformance", feature = "http", feature = "threads", feature = "smol"))]

mod node;

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use node::{context, executed};
use pleach_transports::{
    Context, Transport, TransportError,
    conformance::{Driven, Served},
    http::HttpTransport,
};

/// More idle connections than either server lets one address have.
const IDLE: usize = 150;

/// Both servers, as the node 1. They vouch for whoever asks.
fn servers() -> [Served; 2] {
    [context(1), executed(1)].map(|context: Context| {
        Served::echo(
            HttpTransport::builder().bind("127.0.0.1:0").transport(context).unwrap().listen().unwrap(),
        )
    })
}

fn connect(server: &Served) -> TcpStream {
    let stream = TcpStream::connect(&server.address.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

fn asks(client: &HttpTransport, server: &Served) {
    try_to_ask(client, server).unwrap();
}

fn try_to_ask(client: &HttpTransport, server: &Served) -> Result<(), TransportError> {
    let mut exchange = Driven::open(client, &server.address)?;
    exchange.say(&[b"ask".to_vec()])?;
    assert_eq!(exchange.hear()?.map(|frames| frames.len()), Some(2));
    Ok(())
}

/// Whether the server has ended the connection, waiting for it.
fn has_ended(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(read) => read == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

#[test]
fn idle_connections_push_out_one_another_and_nobody_that_is_proven() {
    for server in servers() {
        let client = HttpTransport::builder().transport(context(2)).unwrap();
        asks(&client, &server);
        let mut idle: Vec<TcpStream> = (0..IDLE).map(|_| connect(&server)).collect();
        assert!(idle[..20].iter_mut().all(has_ended), "the first had to go");
        asks(&client, &server);
        let newcomer = HttpTransport::builder().transport(context(3)).unwrap();
        asks(&newcomer, &server);
    }
}

#[test]
fn a_body_that_trickles_is_cut_off() {
    let servers = servers();
    let slow = servers.each_ref().map(|server| {
        let mut stream = connect(server);
        let head = "POST /api/v0/sync HTTP/1.1\r\nhost: x\r\ncontent-type: application/postcard\r\n\
                    content-length: 1000000\r\n\r\nfew";
        stream.write_all(head.as_bytes()).unwrap();
        stream
    });
    for mut stream in slow {
        let mut answer = Vec::new();
        // A reset would be as good: what matters is that it ends.
        let ended = stream.read_to_end(&mut answer);
        let waits =
            |error: &std::io::Error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(!ended.as_ref().is_err_and(waits), "the server still waits: {ended:?}");
    }
}

#[test]
fn a_flood_of_requests_is_put_off_and_a_proven_connection_is_not() {
    for server in servers() {
        let client = HttpTransport::builder().transport(context(2)).unwrap();
        let get = |stream: &mut TcpStream| {
            // One that was ended is told so by the answer.
            let _ = stream.write_all(b"GET /api/v0/node HTTP/1.1\r\nhost: x\r\n\r\n");
            let mut answer = [0; 1024];
            let read = stream.read(&mut answer).unwrap_or(0);
            String::from_utf8_lossy(&answer[..read]).starts_with("HTTP/1.1 200")
        };
        let mut stream = connect(&server);
        let served = (0..10_000).take_while(|_| get(&mut stream)).count();
        assert!((50..5_000).contains(&served), "{served}");
        drop(stream);
        // Its first requests are a stranger's: the budget comes back while it waits.
        while try_to_ask(&client, &server).is_err() {}
        for _ in 0..100 {
            asks(&client, &server);
        }
    }
}
