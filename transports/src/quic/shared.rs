//! What one connection does for many exchanges, and what it never does.

use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll};

use pleach_core::PublicKey;
use quinn::{ClientConfig, crypto::rustls::QuicClientConfig};
use rustls::client::Resumption;

use super::{
    hostile::{Peer, Server, framed, key, wait},
    limits, tls, transport_config,
};
use crate::{Received, TransportError};

/// All of these at once, each polled in turn.
async fn together<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<Pin<Box<_>>> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<T>> = running.iter().map(|_| None).collect();
    poll_fn(|task| {
        for (future, done) in running.iter_mut().zip(&mut done) {
            if done.is_none()
                && let Poll::Ready(output) = future.as_mut().poll(task)
            {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[test]
fn exchanges_that_begin_at_once_share_one_connection() {
    let (server, peer) = (Server::new(), Peer::new());
    // As many as a stranger may have open at once.
    let dials = (0..limits::STRANGER_STREAMS).map(|_| peer.dialler.stream(&server.address)).collect();
    let mut streams: Vec<_> =
        wait(together(dials)).into_iter().collect::<Result<_, TransportError>>().unwrap();
    assert_eq!(peer.dialler.endpoint().unwrap().open_connections(), 1);
    for (n, stream) in streams.iter_mut().enumerate() {
        wait(stream.sending.write_all(&framed(&[&vec![1; n + 1]]))).unwrap();
        stream.sending.finish().unwrap();
        assert_eq!(server.heard(), (n + 1, Ok(Received::Closed)), "each goes its own way");
    }
    assert_eq!(peer.dialler.endpoint().unwrap().open_connections(), 1);
}

#[test]
fn an_exchange_that_wants_another_key_gets_a_connection_of_its_own_and_is_refused_there() {
    let (server, peer) = (Server::new(), Peer::new());
    let other: PublicKey = key(3).public();
    let wrong = server.address.clone().with_key(other);
    let dials = vec![peer.dialler.stream(&wrong), peer.dialler.stream(&server.address)];
    let mut streams = wait(together(dials)).into_iter();
    let refused = streams.next().unwrap().map(drop);
    assert_eq!(refused, Err(TransportError::WrongKey { expected: other, found: key(1).public() }));
    assert!(streams.next().unwrap().is_ok(), "and disturbs no other");
}

#[test]
fn a_connection_is_kept_alive_by_the_side_that_dialled_it() {
    let config = format!("{:?}", Peer::new().dialler.config);
    assert!(config.contains(&format!("keep_alive_interval: Some({:?})", limits::KEEP_ALIVE)), "{config}");
    let accepting = format!("{:?}", transport_config());
    assert!(accepting.contains("keep_alive_interval: None"), "one side is enough: {accepting}");
}

#[test]
fn nothing_is_ever_said_before_both_keys_are_proven() {
    let (server, peer) = (Server::new(), Peer::new());
    let endpoint = peer.dialler.endpoint().unwrap();
    // A client that would: it keeps tickets and asks for early data.
    let mut eager = tls::client(&key(2)).unwrap();
    eager.resumption = Resumption::in_memory_sessions(8);
    eager.enable_early_data = true;
    let eager = ClientConfig::new(Arc::new(QuicClientConfig::try_from(eager).unwrap()));
    for config in [eager, peer.dialler.config.clone()] {
        for _ in 0..2 {
            let place = server.address.address.parse().unwrap();
            let connecting = endpoint.connect_with(config.clone(), place, "pleach").unwrap();
            let Err(connecting) = connecting.into_0rtt() else { panic!("early data can be sent") };
            let connection = wait(connecting).unwrap();
            let (mut sending, _receiving) = wait(connection.open_bi()).unwrap();
            wait(sending.write_all(&framed(&[b"frame"]))).unwrap();
            sending.finish().unwrap();
            // By then whatever the server has to hand out has come.
            assert_eq!(server.heard(), (5, Ok(Received::Closed)));
        }
    }
}
