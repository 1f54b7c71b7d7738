//! A store, a host that carries out what a session wants, and a wire that counts.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
    vec,
    vec::Vec,
};

use super::collisions::Reading;
use crate::{
    Id, Position, Range, canonical,
    storage::{Epoch, Measure, Token},
    wire::{End, EntriesWriter, Frame, NAMED_TIPS, Salt},
};

use super::super::{
    Config, Expected, Fault, Ingested, Input, Known, Load, Loaded, Outcome, Output, Session, Summary,
    read::{Source, answer_from},
};

/// An entry as far as a session cares: bytes that hash to its id.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) position: Position,
    pub(super) parents: Vec<Id>,
    pub(super) bytes: Vec<u8>,
}

impl Leaf {
    pub(super) fn new(parents: &[Position], name: u64, payload: usize) -> Self {
        let height = parents.iter().map(|parent| parent.height + 1).max().unwrap_or(0);
        let parents: Vec<Id> = parents.iter().map(|parent| parent.id).collect();
        let bytes = canonical::to_vec(&(height, &parents, name, vec![0_u8; payload]));
        Self { position: Position { height, id: Id::of(&bytes) }, parents, bytes }
    }

    fn read(bytes: &[u8]) -> Self {
        let (height, parents, _, _): (u64, Vec<Id>, u64, Vec<u8>) = canonical::from_bytes(bytes).unwrap();
        Self { position: Position { height, id: Id::of(bytes) }, parents, bytes: bytes.into() }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    pub(super) leaves: BTreeMap<Position, Rc<Leaf>>,
    ids: BTreeMap<Id, Position>,
    tips: BTreeSet<Position>,
    /// In order of arrival.
    arrivals: Vec<Position>,
    pub(super) epoch: u8,
    lost: bool,
}

impl Store {
    /// A row goes behind the back of all rules.
    pub(super) fn lose(&mut self, position: &Position) {
        self.lost = true;
        self.leaves.remove(position);
        self.ids.remove(&position.id);
    }

    pub(super) fn put(&mut self, leaf: &Rc<Leaf>) -> Result<bool, Vec<Id>> {
        let missing: Vec<Id> = leaf.parents.iter().filter(|id| !self.ids.contains_key(id)).copied().collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        if self.ids.insert(leaf.position.id, leaf.position).is_some() {
            return Ok(false);
        }
        for parent in &leaf.parents {
            self.tips.remove(&self.ids[parent]);
        }
        self.arrivals.push(leaf.position);
        // Only what was lost can have children already.
        let above = Position { height: leaf.position.height + 1, id: Id::MIN };
        let has_child = |(_, child): (_, &Rc<Leaf>)| child.parents.contains(&leaf.position.id);
        if !self.lost || !self.leaves.range(above..).any(has_child) {
            self.tips.insert(leaf.position);
        }
        self.leaves.insert(leaf.position, leaf.clone());
        Ok(true)
    }

    pub(super) fn from(leaves: &[Rc<Leaf>]) -> Self {
        let mut sorted: Vec<_> = leaves.to_vec();
        sorted.sort_by_key(|leaf| leaf.position);
        let mut store = Self::default();
        for leaf in &sorted {
            store.put(leaf).expect("an ancestor-closed set");
        }
        store
    }

    pub(super) fn positions(&self) -> Vec<Position> {
        self.leaves.keys().copied().collect()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let positions = self.positions();
        let mut sums = vec![Measure::default()];
        for position in &positions {
            sums.push(sums[sums.len() - 1].plus(Measure::of(position.id)));
        }
        let tips = self.tips.iter().fold(Measure::default(), |sum, tip| sum.plus(Measure::of(tip.id)));
        let mut first_tips = [None; NAMED_TIPS];
        for (to, tip) in first_tips.iter_mut().zip(&self.tips) {
            *to = Some(*tip);
        }
        let arrival = Token { epoch: Epoch([self.epoch; 8]), number: self.arrivals.len() as u64 };
        let summary = Summary { measure: sums[sums.len() - 1], tips, first_tips, arrival };
        Snapshot { positions, sums, summary, store: self.clone() }
    }
}

pub(super) struct Snapshot {
    positions: Vec<Position>,
    sums: Vec<Measure>,
    summary: Summary,
    store: Store,
}

impl Snapshot {
    fn bounds(&self, range: &Range) -> (usize, usize) {
        let start = self.positions.partition_point(|position| *position < range.start);
        let end = self.positions.partition_point(|position| *position < range.end);
        (start, end.max(start))
    }
}

impl Source for Snapshot {
    type Error = core::convert::Infallible;

    fn summary(&self) -> Result<Summary, Self::Error> {
        Ok(self.summary)
    }

    fn measure(&self, range: &Range) -> Result<Measure, Self::Error> {
        let (start, end) = self.bounds(range);
        Ok(self.sums[end].minus(self.sums[start]))
    }

    fn nth(&self, range: &Range, n: u64) -> Result<Option<Position>, Self::Error> {
        let (start, end) = self.bounds(range);
        Ok(self.positions[start..end].get(usize::try_from(n).unwrap()).copied())
    }

    fn positions(&self, range: &Range, limit: usize) -> Result<Vec<Position>, Self::Error> {
        let (start, end) = self.bounds(range);
        Ok(self.positions[start..end].iter().take(limit).copied().collect())
    }

    fn held(&self, ids: &[Id]) -> Result<Vec<Position>, Self::Error> {
        Ok(ids.iter().filter_map(|id| self.store.ids.get(id)).copied().collect())
    }

    fn tips(&self, limit: usize) -> Result<Vec<Position>, Self::Error> {
        Ok(self.store.tips.iter().take(limit).copied().collect())
    }

    fn parents(&self, id: &Id) -> Result<(Vec<Position>, usize), Self::Error> {
        let leaf = self.store.ids.get(id).and_then(|position| self.store.leaves.get(position));
        leaf.map_or(Ok((Vec::new(), 0)), |leaf| Ok((self.held(&leaf.parents)?, leaf.bytes.len())))
    }
}

/// Bytes of entries that an initiator keeps to wait for their parents.
const SPOOL: usize = 64 * 1024;

/// One side: a session, its store, and the buffers that it lends.
pub(super) struct Host<'s, const R: usize, const M: usize> {
    pub(super) session: Session<R, M>,
    store: &'s mut Store,
    snapshot: Snapshot,
    spool: Option<Vec<Rc<Leaf>>>,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
    inbound: VecDeque<Vec<u8>>,
    ended: bool,
    outcomes: VecDeque<(u64, u64, Vec<Id>, Option<Position>)>,
    pub(super) outbound: Vec<Vec<u8>>,
    pub(super) done: Option<Outcome>,
    /// Entries that came before their parents.
    orphans: usize,
}

impl<'s, const R: usize, const M: usize> Host<'s, R, M> {
    pub(super) fn new(session: Session<R, M>, store: &'s mut Store, spools: bool) -> Self {
        let snapshot = store.snapshot();
        Self {
            session,
            snapshot,
            store,
            spool: spools.then(Vec::new),
            outgoing: vec![0; 64 * 1024],
            incoming: Vec::new(),
            inbound: VecDeque::new(),
            ended: false,
            outcomes: VecDeque::new(),
            outbound: Vec::new(),
            done: None,
            orphans: 0,
        }
    }

    pub(super) fn deliver(&mut self, message: Vec<Vec<u8>>) {
        self.inbound = message.into();
        self.ended = false;
    }

    /// Something happens to the store from elsewhere.
    pub(super) fn happen(&mut self, leaf: &Rc<Leaf>) {
        let _ = self.store.put(leaf);
    }

    fn input(&mut self, input: Input<'_>) -> Result<(), Fault> {
        self.session.handle(input, &self.incoming, &mut self.outgoing)
    }

    /// Runs until the session is done, or its message is complete and the peer's is awaited.
    pub(super) fn run(&mut self) -> Result<(), Fault> {
        let mut receive = self.inbound.is_empty() && !self.outbound.is_empty();
        if !self.inbound.is_empty() {
            self.outbound.clear();
            receive = self.waiting();
        }
        loop {
            while let Some(output) = self.session.poll() {
                match output {
                    Output::Query(query) => {
                        let Ok(answer) = answer_from(&self.snapshot, &query);
                        self.input(Input::Answer(answer.lend()))?;
                    }
                    Output::Renew => self.snapshot = self.store.snapshot(),
                    Output::Send(length) => {
                        self.outbound.push(self.outgoing[..length].to_vec());
                        self.input(Input::Sent)?;
                    }
                    Output::Load(load) => {
                        let loaded = self.load(&load);
                        self.input(Input::Loaded(loaded))?;
                    }
                    Output::Finish => {}
                    Output::Receive => receive = true,
                    Output::Ingest => self.ingest(),
                    Output::Done(outcome) => {
                        self.done = Some(outcome);
                        return Ok(());
                    }
                }
            }
            if receive && !self.inbound.is_empty() {
                receive = false;
                self.incoming = self.inbound.pop_front().unwrap();
                self.input(Input::Frame)?;
            } else if receive && !self.ended && self.was_delivered() {
                receive = false;
                self.ended = true;
                self.incoming.clear();
                self.input(Input::End)?;
            } else if let Some((stored, known, missing, dropped)) = self.outcomes.pop_front() {
                let outcome = Ingested { stored, known, missing: &missing, dropped, refused: None };
                self.input(Input::Ingested(outcome))?;
            } else {
                return Ok(());
            }
        }
    }

    fn waiting(&self) -> bool {
        self.session.totals().rounds > 0
    }

    fn was_delivered(&self) -> bool {
        self.outbound.is_empty()
    }

    fn load(&mut self, load: &Load) -> Loaded {
        let since = load.since.map(|since| {
            let arrived = self.snapshot.store.arrivals.iter().skip(usize::try_from(since).unwrap());
            arrived.copied().collect::<BTreeSet<_>>()
        });
        let mut loaded = Loaded { entries: 0, bytes: 0, next: None };
        let mut left = load.budget;
        let mut room = vec![0; load.frame];
        let mut writer = EntriesWriter::new(&mut room);
        let mut frames = Vec::new();
        'all: for range in &load.ranges {
            for (position, leaf) in self.snapshot.store.leaves.range(range.start..range.end) {
                if since.as_ref().is_some_and(|since| !since.contains(position)) {
                    continue;
                }
                if leaf.bytes.len() + 8 > left {
                    loaded.next = Some(*position);
                    break 'all;
                }
                if !writer.push(&leaf.bytes) {
                    frames.push(writer.finish().to_vec());
                    writer = EntriesWriter::new(&mut room);
                    assert!(writer.push(&leaf.bytes));
                }
                left -= leaf.bytes.len() + 3;
                loaded.entries += 1;
                loaded.bytes += leaf.bytes.len() as u64;
            }
        }
        if !writer.is_empty() {
            frames.push(writer.finish().to_vec());
        }
        self.outbound.extend(frames);
        loaded
    }

    fn ingest(&mut self) {
        let frame = core::mem::take(&mut self.incoming);
        let Ok(Frame::Entries(entries)) = Frame::read(&frame) else { panic!("no frame of entries") };
        let (mut stored, mut known, mut missing, mut dropped) = (0, 0, BTreeSet::new(), None::<Position>);
        let mut queue: Vec<Rc<Leaf>> = entries.map(|bytes| Rc::new(Leaf::read(bytes))).collect();
        if let Some(spool) = &mut self.spool {
            queue.append(spool);
            queue.sort_by_key(|leaf| leaf.position);
        }
        let mut kept = 0;
        let mut held = BTreeSet::new();
        for leaf in queue {
            match self.store.put(&leaf) {
                Ok(true) => stored += 1,
                Ok(false) => known += 1,
                Err(parents) => {
                    missing.extend(parents);
                    held.insert(leaf.position.id);
                    self.orphans += 1;
                    kept += leaf.bytes.len();
                    match &mut self.spool {
                        Some(spool) if kept <= SPOOL => spool.push(leaf),
                        _ => dropped = Some(dropped.map_or(leaf.position, |d| d.min(leaf.position))),
                    }
                }
            }
        }
        missing.retain(|id| !held.contains(id));
        self.outcomes.push_back((stored, known, missing.into_iter().collect(), dropped));
    }
}

/// What an exchange cost.
#[derive(Clone, Debug, Default)]
pub(super) struct Cost {
    pub(super) rounds: u32,
    /// Bytes of all frames beyond the entries and their lengths: requests, responses.
    pub(super) requests: usize,
    pub(super) responses: usize,
    pub(super) moved: usize,
    pub(super) outcome: Option<Outcome>,
    pub(super) known: Option<Known>,
    /// What was expected after the first response.
    pub(super) expected: Expected,
    /// Ranges and entries that looked the same and were not.
    pub(super) collisions: usize,
    /// Entries that a responder got before their parents.
    pub(super) orphans: usize,
}

fn beyond(message: &[Vec<u8>], moved: &mut usize) -> usize {
    message
        .iter()
        .map(|frame| match Frame::read(frame) {
            Ok(Frame::Entries(entries)) => {
                *moved += entries.map(<[u8]>::len).sum::<usize>();
                1
            }
            _ => frame.len(),
        })
        .sum()
}

pub(super) fn config() -> Config {
    Config::host(Id::of(b"tree"), Salt([7; 8]))
}

/// An exchange from beginning to end. `between` may change both stores after each round trip.
pub(super) fn exchange_with<const R: usize, const M: usize>(
    a: &mut Store,
    b: &mut Store,
    config: Config,
    mut between: impl FnMut(u32, &mut Host<'_, R, M>, &mut Store),
) -> Result<Cost, Fault> {
    let mut cost = Cost::default();
    let mut initiator = Host::<R, M>::new(Session::initiator(config), a, true);
    initiator.run()?;
    while initiator.done.is_none() {
        let request = core::mem::take(&mut initiator.outbound);
        cost.requests += beyond(&request, &mut cost.moved);
        let end = Frame::read(request.last().unwrap()).unwrap();
        assert_eq!(end, Frame::End(End::default()), "the end of a request says nothing");
        let reading = Reading::of(&request[0]);
        let (mine, theirs) = (initiator.store.snapshot(), b.snapshot());
        cost.collisions += reading.collisions(&request[0], config.bits, &mine, &theirs);
        let mut responder = Host::<R, M>::new(Session::responder(config), b, false);
        responder.deliver(request);
        responder.run()?;
        assert!(responder.done.is_some(), "a responder answers: {:?}", responder.session);
        cost.orphans += responder.orphans;
        let response = core::mem::take(&mut responder.outbound);
        cost.responses += beyond(&response, &mut cost.moved);
        cost.collisions += reading.collisions(&response[0], config.bits, &theirs, &mine);
        cost.rounds += 1;
        between(cost.rounds, &mut initiator, b);
        initiator.deliver(response);
        initiator.run()?;
        if cost.rounds == 1 {
            cost.expected = initiator.session.expected();
        }
        assert!(cost.rounds < 2_000, "it does not end");
    }
    cost.known = initiator.session.known();
    cost.outcome = initiator.done;
    Ok(cost)
}

pub(super) fn exchange(a: &mut Store, b: &mut Store) -> Cost {
    exchange_knowing(a, b, None)
}

/// The same with what is remembered of an earlier exchange.
pub(super) fn exchange_knowing(a: &mut Store, b: &mut Store, known: Option<Known>) -> Cost {
    let config = Config { known, ..config() };
    let cost = exchange_with::<512, 1024>(a, b, config, |_, _, _| {}).unwrap();
    assert!(matches!(cost.outcome, Some(Outcome::Equal(_))), "{cost:?}");
    assert_eq!(a.positions(), b.positions());
    cost
}
