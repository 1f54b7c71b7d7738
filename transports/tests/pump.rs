//! The pump over the transport in memory.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex},
    thread,
};

use async_channel::{Receiver, Sender};
use pleach_core::SecretKey;
use pleach_transports::{
    Address, Context, Op, Outcome, Transport, TransportError, memory::MemoryNetwork, park_on, pump,
};

fn context(seed: u8) -> Context {
    Context::new(SecretKey::from_bytes([seed; 32]), Arc::new(|| 0), Arc::new(|bytes| bytes.fill(1)))
}

fn report(to: Sender<Outcome>) -> impl FnMut(Outcome) {
    move |outcome| to.try_send(outcome).expect("the test reads all outcomes")
}

fn next(outcomes: &Receiver<Outcome>) -> Outcome {
    outcomes.recv_blocking().expect("the pump reports")
}

#[test]
fn a_pump_carries_a_request_and_its_response_in_order() {
    let network = MemoryNetwork::new();
    let server = network.builder().bind("server").transport(context(1));
    let mut listener = server.listen().unwrap();
    let client: Arc<dyn Transport> = Arc::new(network.builder().transport(context(2)));

    let responder = thread::spawn(move || {
        let exchange = park_on(poll_fn(|task| listener.poll_accept(task))).unwrap();
        assert_eq!(exchange.peer(), Some(SecretKey::from_bytes([2; 32]).public()));
        let (ops, orders) = async_channel::unbounded();
        let (to, outcomes) = async_channel::unbounded();
        for op in [Op::Receive, Op::Receive, Op::Send([9].into()), Op::Finish, Op::Receive] {
            ops.try_send(op).unwrap();
        }
        park_on(pump(Some(exchange), orders, report(to)));
        let outcomes: Vec<_> = std::iter::from_fn(|| outcomes.try_recv().ok()).collect();
        assert_eq!(
            outcomes,
            [Outcome::Received(vec![7, 7]), Outcome::End, Outcome::Sent, Outcome::Finished, Outcome::Closed]
        );
    });

    let (ops, orders) = async_channel::unbounded();
    let (to, outcomes) = async_channel::unbounded();
    let initiator = thread::spawn(move || park_on(pump(None, orders, report(to))));
    ops.try_send(Op::Open(client, Address::new("memory", "server"))).unwrap();
    assert!(matches!(next(&outcomes), Outcome::Opened { peer: Some(_) }));
    for op in [Op::Send([7, 7].into()), Op::Finish, Op::Receive, Op::Receive] {
        ops.try_send(op).unwrap();
    }
    let rest: Vec<_> = (0..4).map(|_| next(&outcomes)).collect();
    assert_eq!(rest, [Outcome::Sent, Outcome::Finished, Outcome::Received(vec![9]), Outcome::End]);
    ops.try_send(Op::Close).unwrap();
    initiator.join().unwrap();
    responder.join().unwrap();
}

#[test]
fn an_answer_is_received_although_the_request_went_no_further() {
    let network = MemoryNetwork::new();
    let server = network.builder().bind("server").transport(context(1));
    let mut listener = server.listen().unwrap();
    let client: Arc<dyn Transport> = Arc::new(network.builder().transport(context(2)));
    let asked = |answers: bool, listener: &mut Box<dyn pleach_transports::Listener>| {
        let (ops, orders) = async_channel::unbounded();
        let (to, outcomes) = async_channel::unbounded();
        let client = Arc::clone(&client);
        let initiator = thread::spawn(move || park_on(pump(None, orders, report(to))));
        ops.try_send(Op::Open(client, Address::new("memory", "server"))).unwrap();
        assert!(matches!(next(&outcomes), Outcome::Opened { .. }));
        ops.try_send(Op::Send([7].into())).unwrap();
        assert_eq!(next(&outcomes), Outcome::Sent);
        let mut exchange = park_on(poll_fn(|task| listener.poll_accept(task))).unwrap();
        if answers {
            park_on(poll_fn(|task| exchange.poll_send(task, b"no"))).unwrap();
            park_on(poll_fn(|task| exchange.poll_finish(task))).unwrap();
        }
        drop(exchange);
        for op in [Op::Send([8].into()), Op::Finish, Op::Receive, Op::Receive, Op::Receive] {
            // What comes after the failure that ends it may find nobody.
            let _ = ops.try_send(op);
        }
        initiator.join().unwrap();
        std::iter::from_fn(|| outcomes.try_recv().ok()).collect::<Vec<_>>()
    };
    let cut = Outcome::Failed(TransportError::Cut("in the middle of a message".into()));
    let (sent, finished) = (Outcome::Sent, Outcome::Finished);
    let heard =
        [sent.clone(), finished.clone(), Outcome::Received(b"no".to_vec()), Outcome::End, cut.clone()];
    assert_eq!(asked(true, &mut listener), heard);
    assert_eq!(asked(false, &mut listener), [sent, finished, cut]);
}

#[test]
fn a_close_interrupts_a_receive_that_waits() {
    let network = MemoryNetwork::new();
    let server = network.builder().bind("server").transport(context(1));
    let _listener = server.listen().unwrap();
    let client: Arc<dyn Transport> = Arc::new(network.builder().transport(context(2)));
    let (ops, orders) = async_channel::unbounded();
    let (to, outcomes) = async_channel::unbounded();
    let running = thread::spawn(move || park_on(pump(None, orders, report(to))));
    ops.try_send(Op::Open(client, Address::new("memory", "server"))).unwrap();
    assert!(matches!(next(&outcomes), Outcome::Opened { .. }));
    // Nobody accepts, so the receive would wait for ever.
    ops.try_send(Op::Receive).unwrap();
    ops.try_send(Op::Close).unwrap();
    running.join().unwrap();
    assert!(outcomes.recv_blocking().is_err(), "a receive that was let go has no outcome");
}

#[test]
fn a_failure_is_the_last_outcome() {
    let network = MemoryNetwork::new();
    let client: Arc<dyn Transport> = Arc::new(network.builder().transport(context(2)));
    let (ops, orders) = async_channel::unbounded();
    ops.try_send(Op::Open(client, Address::new("memory", "nowhere"))).unwrap();
    ops.try_send(Op::Send([1].into())).unwrap();
    let outcomes = Mutex::new(Vec::new());
    park_on(pump(None, orders, |outcome| outcomes.lock().unwrap().push(outcome)));
    let outcomes = outcomes.into_inner().unwrap();
    assert!(matches!(&outcomes[..], [Outcome::Failed(TransportError::Unreachable { .. })]), "{outcomes:?}");
}
