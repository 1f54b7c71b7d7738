//! The suite over lines of bytes: pairs of pipes in memory, which stay when one of their ends is let go.
#![cfg(all(feature = "conformance", feature = "serial"))]

#[allow(dead_code, reason = "lines need no executor; the other suites do")]
mod node;

use std::sync::{Arc, Mutex};

use node::context;
use pleach_transports::{
    Address,
    conformance::{Cables, Driven, Served, Subject, check, key},
    serial::{End, SerialTransport},
};

fn subject(cables: &Cables) -> Subject {
    let (listening, dialling) = (cables.clone(), cables.clone());
    let made = Mutex::new(0);
    Subject {
        bound: Box::new(move |seed, place| {
            let free = || {
                let mut made = made.lock().unwrap();
                *made += 1;
                format!("cable{made}")
            };
            let place = place.map_or_else(free, |address| address.address.clone());
            let builder = SerialTransport::builder().lines(Arc::new(listening.clone())).bind(&place);
            Box::new(builder.transport(context(seed)))
        }),
        unbound: Box::new(move |seed| {
            Box::new(SerialTransport::builder().lines(Arc::new(dialling.clone())).transport(context(seed)))
        }),
        nowhere: Address::new("serial", "nowhere"),
    }
}

#[test]
fn serial_lines_conform() {
    check(&subject(&Cables::default()));
}

#[test]
fn garbage_on_the_line_before_and_between_exchanges_is_passed_over() {
    let cables = Cables::default();
    let subject = subject(&cables);
    let server = Served::echo((subject.bound)(1, None).listen().unwrap());
    let client = (subject.unbound)(2);
    for round in 0..3_u8 {
        for end in [End::Listener, End::Dialler] {
            let garbage = (0..997_usize).map(|n| u8::try_from(n * 31 % 256).unwrap() ^ round);
            cables.inject(&server.address.address, end, &garbage.collect::<Vec<_>>());
        }
        let mut exchange = Driven::open(&*client, &server.address).unwrap();
        assert_eq!(exchange.peer(), Some(key(1).public()));
        exchange.say(&[vec![round; 5_000]]).unwrap();
        assert_eq!(exchange.hear().unwrap().unwrap()[1], vec![round; 5_000]);
    }
}

#[test]
fn stray_bytes_in_a_message_cost_that_exchange_at_most() {
    let cables = Cables::default();
    let subject = subject(&cables);
    let server = Served::new((subject.bound)(1, None).listen().unwrap(), |mut exchange| {
        while let Some(frames) = exchange.hear()? {
            exchange.say(&frames)?;
        }
        Ok(())
    });
    let client = (subject.unbound)(2);
    let mut exchange = Driven::open(&*client, &server.address).unwrap();
    exchange.say(&[vec![1; 10]]).unwrap();
    assert!(exchange.hear().is_ok());
    // A piece of a packet that is in nobody's session, right in the middle of the next message.
    exchange.send(&vec![2; 100_000]).unwrap();
    cables.inject(&server.address.address, End::Listener, &[3, 0, 9]);
    let heard = exchange.finish().and_then(|()| exchange.hear());
    drop(exchange);
    assert!(heard.is_err() || heard.unwrap().unwrap() == [vec![2; 100_000]], "whole or an error");
    let mut exchange = Driven::open(&*client, &server.address).unwrap();
    exchange.say(&[vec![4; 10]]).unwrap();
    assert_eq!(exchange.hear().unwrap().unwrap(), [vec![4; 10]]);
}

#[test]
fn a_listener_opens_a_line_again_that_went_away() {
    let cables = Cables::default();
    let subject = subject(&cables);
    let server = Served::echo((subject.bound)(1, None).listen().unwrap());
    let client = (subject.unbound)(2);
    for round in 0..2_u8 {
        let mut exchange = Driven::open(&*client, &server.address).unwrap();
        exchange.say(&[vec![round; 5_000]]).unwrap();
        assert_eq!(exchange.hear().unwrap().unwrap()[1], vec![round; 5_000]);
        drop(exchange);
        cables.unplug(&server.address.address);
    }
}
