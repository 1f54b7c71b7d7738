//! The network: exchanges as streams between two sides, and what happens to them.

use std::{collections::VecDeque, sync::Arc};

use pleach_core::{
    PublicKey,
    budget::Source,
    node::{Arrival, BootstrapRequest, Event, ExchangeEvent, ExchangeId, Op},
    wire::{Address, FRESHNESS, Frame, Kind},
};

use super::{Due, Sim, kinds::Fault};

/// Milliseconds after which a dial that nobody hears fails.
const DIAL_FAILS: u64 = 3_000;

/// Milliseconds without anything after which a transport cuts a connection.
const IDLE: u64 = 15 * 60_000;

/// Parts of a request that are kept to be said again.
const KEPT: usize = 64;

/// One side of an exchange at a host.
pub(super) struct End {
    pub(super) wire: u64,
    side: usize,
    /// Operations in order; the first is under way.
    ops: VecDeque<Op>,
    /// When the last of them is done.
    busy: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Part {
    Frame(Arc<[u8]>),
    End,
    Closed,
    /// A frame began to come, and the connection broke inside of it.
    Broken,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    Host(usize, ExchangeId),
    /// A hostile peer, or somebody who only says something.
    Peer(usize),
    /// Somebody whom nobody granted anything.
    Stranger,
    Nobody,
}

pub(super) struct Wire {
    sides: [Side; 2],
    /// Who is where, for partitions.
    places: [usize; 2],
    inbox: [VecDeque<Part>; 2],
    /// When what was sent last to a side arrives.
    last: [u64; 2],
    /// What waits to be overtaken, on its way to a side.
    held: [Option<Part>; 2],
    latency: u64,
    slow: bool,
    /// When something arrived last.
    active: u64,
    /// The first request, if it may be said again.
    kept: Option<Vec<Part>>,
    /// When it was signed, if it came as HTTP brings it.
    signed: Option<u64>,
}

/// A request that somebody recorded.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    from: usize,
    to: usize,
    parts: Vec<Part>,
    signed: Option<u64>,
}

impl Sim {
    pub(super) fn key_of(&self, place: usize) -> PublicKey {
        match self.hosts.get(place) {
            Some(host) => host.public,
            None => self.peers[place - self.hosts.len()].public,
        }
    }

    pub(super) fn address(&self, place: usize) -> Address {
        Address::new("sim", &place.to_string()).with_key(self.key_of(place))
    }

    pub(super) fn op(&mut self, index: usize, id: ExchangeId, op: Op) {
        match op {
            Op::Open(address) => self.dial(index, id, &address),
            // Hosts of a run have no users: there is nothing to prove.
            Op::Vouch | Op::Prove(_) => {}
            Op::Close => {
                if let Some(end) = self.hosts[index].ends.remove(&id) {
                    let other = self.wires.get(&end.wire).map(|wire| wire.sides[1 - end.side]);
                    let heard = matches!(other, Some(Side::Host(..)));
                    let lost = heard && self.strikes(Fault::CloseLost, 1_000);
                    if !lost {
                        self.send(end.wire, end.side, Part::Closed, self.now);
                    }
                    self.say_again(end.wire);
                    if let Some(wire) = self.wires.get_mut(&end.wire) {
                        wire.sides[end.side] = Side::Nobody;
                        if !matches!(wire.sides[1 - end.side], Side::Host(..)) {
                            self.wires.remove(&end.wire);
                        }
                    }
                }
            }
            op => {
                if let Some(end) = self.hosts[index].ends.get_mut(&id) {
                    end.ops.push_back(op);
                    self.advance(index, id);
                } else {
                    self.fail(index, id, 0, "the exchange is gone");
                }
            }
        }
    }

    fn fail(&mut self, index: usize, id: ExchangeId, after: u64, why: &str) {
        self.later(index, after, Event::Exchange(id, ExchangeEvent::Failed(why.into())));
    }

    fn dial(&mut self, index: usize, id: ExchangeId, address: &Address) {
        let places = self.hosts.len() + self.peers.len();
        let Some(mut target) = address.address.parse::<usize>().ok().filter(|target| *target < places) else {
            return self.fail(index, id, 1, "nobody answers there");
        };
        let mut latency = self.chance.between(1, 40);
        if self.strikes(Fault::DialRefused, 3_000) {
            return self.fail(index, id, latency, "nobody answers there");
        }
        if self.strikes(Fault::DialHangs, 2_000) {
            return;
        }
        if self.strikes(Fault::DialSlow, 3_000) {
            latency += self.chance.between(1_000, 20_000);
        }
        let is_down = self.hosts.get(target).is_some_and(|host| !host.is_up());
        if is_down {
            return self.fail(index, id, latency, "nobody answers there");
        }
        if self.is_cut_off(index, target) || self.is_cut_off(target, index) {
            return self.fail(index, id, DIAL_FAILS, "no answer in time");
        }
        // A transport that proves keys finds out; the key that is proven is told.
        let others = |place: &usize| *place != index && *place != target && self.hosts[*place].is_up();
        let others: Vec<usize> = (0..self.hosts.len()).filter(others).collect();
        if !others.is_empty() && self.strikes(Fault::DialElsewhere, 2_000) {
            target = others[self.chance.place(others.len())];
        }
        let number = self.wire([Side::Host(index, id), Side::Nobody], [index, target], latency.min(100));
        let mut arrives = self.now + latency;
        arrives = arrives.max(self.now + 1);
        self.hosts[index].ends.insert(id, End { wire: number, side: 0, ops: VecDeque::new(), busy: arrives });
        let theirs = self.key_of(target);
        self.later(
            index,
            arrives - self.now,
            Event::Exchange(id, ExchangeEvent::Opened { peer: Some(theirs) }),
        );
        if target < self.hosts.len() {
            let (mine, source) = (self.hosts[index].public, Source::of(self.hosts[index].public.as_bytes()));
            self.accept(target, number, Some(mine), source, latency);
            if self.faulty
                && self.drawn[Fault::RequestReplayed as usize]
                && let Some(wire) = self.wires.get_mut(&number)
            {
                wire.kept = Some(Vec::new());
            }
        } else if let Some(wire) = self.wires.get_mut(&number) {
            wire.sides[1] = Side::Peer(target - self.hosts.len());
        }
    }

    fn wire(&mut self, sides: [Side; 2], places: [usize; 2], latency: u64) -> u64 {
        self.next_wire += 1;
        let slow = self.would_strike(Fault::SlowLink, 5_000);
        let wire = Wire {
            sides,
            places,
            inbox: [VecDeque::new(), VecDeque::new()],
            last: [0; 2],
            held: [None, None],
            latency,
            slow,
            active: self.now,
            kept: None,
            signed: None,
        };
        self.wires.insert(self.next_wire, wire);
        self.next_wire
    }

    fn accept(&mut self, target: usize, number: u64, proven: Option<PublicKey>, source: Source, after: u64) {
        // Two nodes know of each other one way to talk: a request over HTTP comes whole, and is signed by the clock of
        // whom it is for; a stream needs neither.
        let from = self.wires.get(&number).map_or(0, |wire| wire.places[0] as u64);
        if (from + target as u64 + self.plan.seed).is_multiple_of(2) {
            let signed = proven.map(|_| self.wall(target));
            self.accept_as(target, number, proven, source, after, Arrival::Whole, signed);
        } else {
            self.accept_as(target, number, proven, source, after, Arrival::Streamed, None);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what a transport tells of an exchange, and when")]
    fn accept_as(
        &mut self,
        target: usize,
        number: u64,
        proven: Option<PublicKey>,
        source: Source,
        after: u64,
        arrival: Arrival,
        signed: Option<u64>,
    ) {
        let host = &mut self.hosts[target];
        host.accepted += 1;
        let exchange = ExchangeId::accepted(host.accepted);
        host.ends
            .insert(exchange, End { wire: number, side: 1, ops: VecDeque::new(), busy: self.now + after });
        if let Some(wire) = self.wires.get_mut(&number) {
            wire.sides[1] = Side::Host(target, exchange);
            wire.signed = signed;
        }
        self.later(target, after, Event::Accepted { exchange, proven, source, arrival, signed });
    }

    /// Somebody who is no host opens an exchange and says this much of a message (nothing is its end). Says whether there was
    /// a way.
    pub(super) fn knock(
        &mut self,
        place: usize,
        target: usize,
        proven: Option<PublicKey>,
        said: Vec<Option<Vec<u8>>>,
    ) -> bool {
        if !self.hosts[target].is_up() || self.is_cut_off(place, target) {
            return false;
        }
        let side = match place.checked_sub(self.hosts.len()) {
            Some(peer) if proven.is_some_and(|key| key == self.peers[peer].public) => Side::Peer(peer),
            Some(_) => Side::Stranger,
            None => Side::Nobody,
        };
        let number = self.wire([side, Side::Nobody], [place, target], 5);
        let source = proven.map_or(Source::default(), |key| Source::of(key.as_bytes()));
        self.accept(target, number, proven, source, 1);
        for part in said {
            let part = part.map_or(Part::End, |frame| Part::Frame(frame.into()));
            self.send(number, 0, part, self.now);
        }
        true
    }

    /// What a hostile peer says on an exchange.
    pub(super) fn answer(&mut self, number: u64, said: Vec<Option<Vec<u8>>>) {
        for part in said {
            let part = part.map_or(Part::End, |frame| Part::Frame(frame.into()));
            self.send(number, 1, part, self.now);
        }
    }

    /// A request arrives once more, from the same key, and nobody wants the answer.
    fn say_again(&mut self, number: u64) {
        let Some(wire) = self.wires.get_mut(&number) else { return };
        let (Some(parts), [from, to], signed) = (wire.kept.take(), wire.places, wire.signed) else { return };
        if parts.len() < 2 || to >= self.hosts.len() {
            return;
        }
        // Few exchanges are about access, and there is more to lose.
        let asks = matches!(&parts[0], Part::Frame(frame) if frame.first() == Some(&(Kind::Ask as u8)));
        if self.would_strike(Fault::RequestReplayed, if asks { 500_000 } else { 2_000 }) {
            let after = self.chance.between(10, FRESHNESS);
            self.queue.put(self.now + after, Due::Again(Recorded { from, to, parts, signed }));
        }
    }

    pub(super) fn again(&mut self, recorded: Recorded) {
        let Recorded { from, to, parts, signed } = recorded;
        let is_stale = signed.is_some_and(|signed| self.wall(to).abs_diff(signed) > FRESHNESS);
        if !self.hosts[to].is_up() || is_stale {
            return;
        }
        self.hit(Fault::RequestReplayed);
        let key = self.key_of(from);
        let number = self.wire([Side::Nobody, Side::Nobody], [from, to], 5);
        let source = Source::of(key.as_bytes());
        match signed {
            Some(_) => self.accept_as(to, number, Some(key), source, 1, Arrival::Whole, signed),
            None => self.accept(to, number, Some(key), source, 1),
        }
        for part in parts {
            self.send(number, 0, part, self.now);
        }
    }

    /// Notes when somebody asked for access. What is said again was not said by its maker.
    fn note_asked(&mut self, number: u64, frame: &[u8]) {
        let Some(wire) = self.wires.get(&number) else { return };
        let (Ok(Frame::Ask(ask, metadata)), false) =
            (Frame::read(frame), matches!(wire.sides[0], Side::Nobody))
        else {
            return;
        };
        let (place, signed) = (wire.places[0], wire.signed);
        let key = self.key_of(place);
        let request = BootstrapRequest::new(ask.tree, key, ask.permission, &ask.name, metadata, 0);
        let last = self.ledger.asked.entry(request.id).or_insert(signed);
        // A clock may have gone back. Where no signature was needed, nothing tells a copy from what was said anew.
        *last = last.zip(signed).map(|(last, signed)| last.max(signed));
    }

    /// Carries out what a side has in line, as far as it goes.
    fn advance(&mut self, index: usize, id: ExchangeId) {
        loop {
            let Some(end) = self.hosts[index].ends.get_mut(&id) else { return };
            let (number, side, at) = (end.wire, end.side, end.busy.max(self.now));
            let Some(op) = end.ops.pop_front() else { return };
            let (event, done) = match op {
                Op::Send(frame) => {
                    let cost = self.cost(number, frame.len());
                    let whole = self.wires.contains_key(&number);
                    if whole && self.strikes(Fault::StreamCut, 600) {
                        return self.cut(number);
                    }
                    if self.is_slow(number) {
                        self.hit(Fault::SlowLink);
                    }
                    self.send(number, side, Part::Frame(frame), at + cost);
                    (ExchangeEvent::Sent, at + cost)
                }
                Op::Finish => {
                    self.send(number, side, Part::End, at);
                    (ExchangeEvent::Finished, at)
                }
                Op::Receive => {
                    let part = self.wires.get_mut(&number).and_then(|wire| wire.inbox[side].pop_front());
                    match part {
                        Some(Part::Frame(frame)) => (ExchangeEvent::Received(frame.to_vec()), at),
                        Some(Part::End) => (ExchangeEvent::End, at),
                        Some(Part::Closed) => (ExchangeEvent::Closed, at),
                        Some(Part::Broken) => return self.cut(number),
                        None => {
                            if let Some(end) = self.hosts[index].ends.get_mut(&id) {
                                end.ops.push_front(Op::Receive);
                            }
                            return;
                        }
                    }
                }
                // Nothing that was proven here would be bound to the wire.
                Op::Bind => (ExchangeEvent::Bound(None), at),
                _ => continue,
            };
            if let Some(end) = self.hosts[index].ends.get_mut(&id) {
                end.busy = done;
            }
            self.later(index, done - self.now, Event::Exchange(id, event));
        }
    }

    fn is_slow(&self, number: u64) -> bool {
        self.faulty && self.wires.get(&number).is_some_and(|wire| wire.slow)
    }

    fn cost(&self, number: u64, bytes: usize) -> u64 {
        if self.is_slow(number) { bytes as u64 } else { bytes as u64 / 100_000 }
    }

    /// Puts a part on its way from a side.
    fn send(&mut self, number: u64, from: usize, part: Part, at: u64) {
        let to = 1 - from;
        if let (0, Part::Frame(frame)) = (from, &part)
            && frame.first() == Some(&(Kind::Ask as u8))
        {
            self.note_asked(number, frame);
        }
        let Some(wire) = self.wires.get_mut(&number) else { return };
        if from == 0
            && let Some(kept) = &mut wire.kept
            && kept.len() < KEPT
            && !matches!(part, Part::Closed)
            && !matches!(kept.last(), Some(Part::End))
        {
            kept.push(part.clone());
        }
        // What nobody honest listens to may go wrong as it likes.
        let heard = matches!(wire.sides[to], Side::Host(..));
        let latency = wire.latency + self.chance.below(wire.latency / 4 + 1);
        let (parts, late) = if self.faulty && heard {
            let parts = self.spoilt(part);
            let late = !parts.is_empty() && matches!(parts[0], Part::Frame(_));
            let late = late && self.strikes(Fault::FrameLate, 1_500);
            let late = if late { self.chance.between(1_000, 20_000) } else { 0 };
            (self.swapped(number, to, parts), late)
        } else {
            (vec![part], 0)
        };
        let Some(wire) = self.wires.get_mut(&number) else { return };
        let [from_place, to_place] = [wire.places[from], wire.places[to]];
        let mut arrives = (at + latency + late).max(wire.last[to]);
        if let Some(until) = self.blocked.get(&(from_place, to_place)) {
            // As a stream does: it arrives when there is a way again.
            arrives = arrives.max(*until);
        }
        wire.last[to] = arrives;
        for part in parts {
            self.queue.put(arrives, Due::Part { wire: number, side: to, part });
        }
    }

    /// What becomes of a part on its way.
    fn spoilt(&mut self, part: Part) -> Vec<Part> {
        match part {
            Part::Frame(frame) if !frame.is_empty() => self.spoilt_frame(frame),
            Part::End if self.strikes(Fault::EndLost, 600) => Vec::new(),
            part => vec![part],
        }
    }

    fn spoilt_frame(&mut self, frame: Arc<[u8]>) -> Vec<Part> {
        if self.strikes(Fault::FrameLost, 600) {
            Vec::new()
        } else if self.strikes(Fault::FrameDoubled, 600) {
            vec![Part::Frame(frame.clone()), Part::Frame(frame)]
        } else if self.strikes(Fault::BitFlipped, 600) {
            let mut frame = frame.to_vec();
            let bit = self.chance.place(frame.len() * 8);
            frame[bit / 8] ^= 1 << (bit % 8);
            vec![Part::Frame(frame.into())]
        } else if self.strikes(Fault::FrameShortened, 400) {
            let length = self.chance.place(frame.len());
            vec![Part::Frame(frame[..length].into())]
        } else if self.strikes(Fault::FrameInvented, 400) {
            let invented = self.chance.bytes::<40>();
            vec![Part::Frame(invented.into()), Part::Frame(frame)]
        } else if self.would_strike(Fault::StreamCutInside, 500) {
            vec![Part::Broken]
        } else {
            vec![Part::Frame(frame)]
        }
    }

    /// Keeps a frame back until another has overtaken it.
    fn swapped(&mut self, number: u64, to: usize, mut parts: Vec<Part>) -> Vec<Part> {
        let is_frame = matches!(parts.last(), Some(Part::Frame(_)));
        let is_free = self.wires.get(&number).is_some_and(|wire| wire.held[to].is_none());
        if is_frame && is_free && self.would_strike(Fault::FramesSwapped, 600) {
            let held = parts.pop();
            if let Some(wire) = self.wires.get_mut(&number) {
                wire.held[to] = held;
            }
        } else if !parts.is_empty()
            && let Some(held) = self.wires.get_mut(&number).and_then(|wire| wire.held[to].take())
        {
            if is_frame {
                self.hit(Fault::FramesSwapped);
            }
            parts.push(held);
        }
        parts
    }

    pub(super) fn arrive(&mut self, number: u64, side: usize, part: Part) {
        let Some(wire) = self.wires.get_mut(&number) else { return };
        wire.active = self.now;
        match wire.sides[side] {
            Side::Host(index, id) => {
                if matches!(part, Part::Broken) {
                    self.hit(Fault::StreamCutInside);
                    self.reset(number, 1 - side);
                }
                if let Some(wire) = self.wires.get_mut(&number) {
                    wire.inbox[side].push_back(part);
                }
                self.advance(index, id);
            }
            Side::Peer(peer) => {
                if let Part::Frame(frame) = &part
                    && side == 1
                {
                    wire.inbox[1].push_back(Part::Frame(frame.clone()));
                } else if matches!(part, Part::End) && side == 1 {
                    let said = std::mem::take(&mut wire.inbox[1]);
                    let said = said.into_iter().filter_map(|part| match part {
                        Part::Frame(frame) => Some(frame),
                        _ => None,
                    });
                    let said: Vec<_> = said.collect();
                    self.peer_hears(peer, number, &said);
                }
            }
            Side::Stranger if matches!(&part, Part::Frame(frame) if shows(frame)) => {
                self.shown_to_stranger(number);
            }
            Side::Stranger | Side::Nobody => {}
        }
    }

    /// Breaks a wire: both sides are told, what is under way is lost.
    pub(super) fn cut(&mut self, number: u64) {
        for side in [0, 1] {
            self.reset(number, side);
        }
        self.wires.remove(&number);
    }

    /// A side is told that the wire is broken.
    fn reset(&mut self, number: u64, side: usize) {
        let Some(wire) = self.wires.get_mut(&number) else { return };
        if let Side::Host(index, id) = std::mem::replace(&mut wire.sides[side], Side::Nobody)
            && self.hosts[index].ends.remove(&id).is_some()
        {
            self.fail(index, id, 1, "the connection was cut");
        }
    }

    /// Nobody who was granted nothing is told anything, unless everybody was let in at some time.
    fn shown_to_stranger(&mut self, number: u64) {
        let public = self.ledger.trees.values().any(|grown| grown.public);
        if !public {
            let host = self.wires.get(&number).map_or(0, |wire| wire.places[1]);
            self.break_off(format!("nothing unauthorised is shown: node {host} answers a stranger"));
        }
    }

    /// Cuts what nothing came over for so long that a transport would.
    pub(super) fn cut_idle(&mut self) {
        let idle = self.wires.iter().filter(|(_, wire)| wire.active + IDLE < self.now);
        for number in idle.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.cut(number);
        }
    }

    pub(super) fn is_cut_off(&self, from: usize, to: usize) -> bool {
        self.blocked.get(&(from, to)).is_some_and(|until| *until > self.now)
    }
}

/// Whether a frame says something of a tree.
fn shows(frame: &[u8]) -> bool {
    matches!(Kind::of(frame), Ok(Kind::Entries | Kind::Reply | Kind::Wants | Kind::Missing))
}
