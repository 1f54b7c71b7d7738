//! The suite over lines of bytes: pairs of pipes in memory, which stay when one of their ends is let go.
#![cfg(all(feature = "conformance", feature = "serial"))]

#[allow(dead_code, reason = "lines need no executor; the other suites do")]
mod node;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Condvar, Mutex},
};

use node::context;
use pleach_transports::{
    Address,
    conformance::{Driven, Served, Subject, check, key},
    serial::{End, Line, Lines, SerialTransport},
};

/// Bytes on their way in one direction of a cable.
const ON_THE_WAY: usize = 4_096;

#[derive(Default)]
struct Cable {
    state: Mutex<Ends>,
    changed: Condvar,
}

/// By end: what comes to it, and who holds it (0: nobody), counted from 1.
#[derive(Default)]
struct Ends {
    coming: [VecDeque<u8>; 2],
    held: [u64; 2],
    holders: u64,
}

struct Held {
    cable: Arc<Cable>,
    end: usize,
    holder: u64,
}

impl Line for Held {
    fn read(&self, room: &mut [u8]) -> io::Result<usize> {
        let mut state = self.cable.state.lock().unwrap();
        while state.held[self.end] == self.holder && state.coming[self.end].is_empty() {
            state = self.cable.changed.wait(state).unwrap();
        }
        if state.held[self.end] != self.holder {
            return Ok(0);
        }
        let read = room.len().min(state.coming[self.end].len());
        for (byte, came) in room.iter_mut().zip(state.coming[self.end].drain(..read)) {
            *byte = came;
        }
        self.cable.changed.notify_all();
        Ok(read)
    }

    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.cable.state.lock().unwrap();
        for piece in bytes.chunks(ON_THE_WAY) {
            while state.held[self.end] == self.holder && state.coming[1 - self.end].len() >= ON_THE_WAY {
                state = self.cable.changed.wait(state).unwrap();
            }
            if state.held[self.end] != self.holder {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            state.coming[1 - self.end].extend(piece);
            self.cable.changed.notify_all();
        }
        Ok(())
    }

    fn close(&self) {
        let mut state = self.cable.state.lock().unwrap();
        if state.held[self.end] == self.holder {
            state.held[self.end] = 0;
        }
        drop(state);
        self.cable.changed.notify_all();
    }
}

/// Cables by the name of their place.
#[derive(Clone, Default)]
struct Cables(Arc<Mutex<BTreeMap<String, Arc<Cable>>>>);

impl Lines for Cables {
    fn open(&self, place: &str, end: End) -> io::Result<Arc<dyn Line>> {
        let cable = {
            let mut cables = self.0.lock().unwrap();
            match end {
                End::Listener => Arc::clone(cables.entry(place.into()).or_default()),
                End::Dialler => Arc::clone(cables.get(place).ok_or(io::ErrorKind::NotFound)?),
            }
        };
        let end = usize::from(end == End::Dialler);
        let holder = {
            let mut state = cable.state.lock().unwrap();
            if state.held[end] != 0 {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            if end == 1 && state.held[0] == 0 {
                return Err(io::ErrorKind::NotConnected.into());
            }
            state.holders += 1;
            state.held[end] = state.holders;
            state.holders
        };
        cable.changed.notify_all();
        Ok(Arc::new(Held { cable, end, holder }))
    }
}

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
        let cable = Arc::clone(&cables.0.lock().unwrap()[&server.address.address]);
        for end in 0..2 {
            let garbage = (0..997_usize).map(|n| u8::try_from(n * 31 % 256).unwrap() ^ round);
            cable.state.lock().unwrap().coming[end].extend(garbage);
        }
        cable.changed.notify_all();
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
    let cable = Arc::clone(&cables.0.lock().unwrap()[&server.address.address]);
    exchange.send(&vec![2; 100_000]).unwrap();
    cable.state.lock().unwrap().coming[0].extend([3, 0, 9]);
    cable.changed.notify_all();
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
        // Unplugged: both ends are nobody's until somebody opens them again.
        let cable = Arc::clone(&cables.0.lock().unwrap()[&server.address.address]);
        let mut state = cable.state.lock().unwrap();
        let unplugged = state.holders;
        state.held = [0; 2];
        state.coming = Default::default();
        cable.changed.notify_all();
        let limit = std::time::Duration::from_secs(60);
        let (state, waited) =
            cable.changed.wait_timeout_while(state, limit, |state| state.held[0] <= unplugged).unwrap();
        assert!(!waited.timed_out(), "nobody opens the line again");
        drop(state);
    }
}
