//! Whole networks of nodes in one process: real nodes over real stores, a wire and a clock that the test holds.
//!
//! ```
//! use pleach_tests::world::World;
//!
//! let mut world = World::new(1);
//! let alice = world.host();
//! let tree = world.create(alice, "notes");
//! world.write(alice, tree, "greeting", "hello").unwrap();
//! assert_eq!(world.value(alice, tree, "greeting").as_deref(), Some("hello"));
//! ```

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use pleach_core::{
    Entropy, Id, Now, Position, PublicKey, SecretKey,
    budget::Source,
    document::{Doc, DocStore, Draft, Scope, StoreType, content_hash},
    entry::{Entry, EntryError, Permission, Value, VerifiedEntry, Who},
    node::{
        Action, Arrival, Command, CommandId, Commit, Event, ExchangeEvent, ExchangeId, Limits, Node,
        NodeError, Notification, Op, Reply, SnapshotId, SyncReport, perform,
    },
    storage::{Snapshot, StorageError, Store},
    wire::{Address, Binding},
};
use pleach_storage::Memory;
use pleach_transports::host::{Keyring, Purpose};

/// When every world begins, in wall milliseconds.
const BEGIN: u64 = 1_700_000_000_000;

/// Milliseconds that pass before somebody asks who is no host.
const BETWEEN_STRANGERS: u64 = 40;

/// The store in which [`World::write`] writes.
pub const STORE: &str = "main";

/// A host of a [`World`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(usize);

/// What a fault does to a frame on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Arrive,
    /// The exchange breaks instead.
    Cut,
    /// It arrives with one bit flipped.
    Flip,
}

/// Decides what becomes of a frame.
type Decide = Box<dyn FnMut(&mut Vec<u8>) -> Fate>;

/// What somebody says who is no node: after so many milliseconds a frame, or the end of the message.
pub type Said = (u64, Option<Vec<u8>>);

/// What is said to a request.
type Script = Box<dyn FnMut(&[Vec<u8>]) -> Vec<Said>>;

/// Checks the signature of an entry.
type Check = fn(Entry) -> Result<VerifiedEntry, EntryError>;

/// Nodes, stores, and the wire between them. One seed gives one history.
pub struct World {
    hosts: Vec<Host>,
    wires: BTreeMap<u64, Wire>,
    next_wire: u64,
    /// Events that are due, in no order: one is drawn at a time.
    due: Vec<(usize, Event)>,
    /// What is said later by those who are no nodes: when, and on which wire.
    later: Vec<(u64, u64, Part)>,
    clock: u64,
    entropy: Entropy,
    fate: Decide,
    check: Check,
    /// How requests reach the hosts that answer them.
    pub arrival: Arrival,
    /// When those who are no hosts signed what they bring, by their own clocks, where the wire says so.
    pub signed: Option<u64>,
    /// Frames that arrived.
    pub frames: u64,
}

struct Host {
    node: Node,
    key: SecretKey,
    limits: Limits,
    store: Arc<dyn Store>,
    /// Further keys that its exchanges prove.
    keyring: Keyring,
    snapshots: BTreeMap<SnapshotId, Arc<dyn Snapshot>>,
    ends: BTreeMap<ExchangeId, End>,
    replies: BTreeMap<CommandId, Result<Reply, NodeError>>,
    notes: Vec<Notification>,
    commands: u64,
    accepted: u64,
    /// What the disk answers to writes instead of carrying them out.
    disk: Option<StorageError>,
    /// It accepts exchanges and never answers.
    mute: bool,
    /// It is no node, and answers whatever it likes.
    script: Option<Script>,
    /// Its process is stopped: what happens to it waits.
    paused: bool,
    /// What time it takes it to be when the world begins, in wall milliseconds.
    begin: u64,
}

/// One side of a wire.
struct End {
    wire: u64,
    side: usize,
    /// Operations in order; the first is under way.
    ops: VecDeque<Op>,
}

#[derive(Default)]
struct Wire {
    ends: Vec<(usize, ExchangeId)>,
    /// What waits to be received, by side.
    inbox: [VecDeque<Part>; 2],
    broken: bool,
}

enum Part {
    Frame(Vec<u8>),
    End,
    Closed,
}

impl World {
    /// A world without hosts.
    pub fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self {
            hosts: Vec::new(),
            wires: BTreeMap::new(),
            next_wire: 0,
            due: Vec::new(),
            later: Vec::new(),
            clock: 0,
            entropy: Entropy::new(bytes),
            fate: Box::new(|_| Fate::Arrive),
            check: Entry::verify,
            arrival: Arrival::Streamed,
            signed: None,
            frames: 0,
        }
    }

    /// Adds a host with an empty store in memory.
    pub fn host(&mut self) -> HostId {
        self.host_over(Arc::new(Memory::new()))
    }

    /// Adds a host over a store.
    pub fn host_over(&mut self, store: Arc<dyn Store>) -> HostId {
        self.host_with(store, Limits::new())
    }

    /// Adds a host whose owner bounds what it takes on.
    pub fn host_with(&mut self, store: Arc<dyn Store>, limits: Limits) -> HostId {
        limits.check().expect("limits that a node can keep to");
        let key = SecretKey::from_bytes(self.entropy.draw());
        let node = Node::new(key.clone(), self.entropy.draw(), limits);
        self.hosts.push(Host {
            node,
            key,
            limits,
            store,
            keyring: Keyring::default(),
            snapshots: BTreeMap::new(),
            ends: BTreeMap::new(),
            replies: BTreeMap::new(),
            notes: Vec::new(),
            commands: 0,
            accepted: 0,
            disk: None,
            mute: false,
            script: None,
            paused: false,
            begin: BEGIN,
        });
        HostId(self.hosts.len() - 1)
    }

    /// Adds somebody who proves a key, is no node, and answers each request with what is returned.
    pub fn puppet(&mut self, script: impl FnMut(&[Vec<u8>]) -> Vec<Said> + 'static) -> HostId {
        let puppet = self.host();
        let host = &mut self.hosts[puppet.0];
        host.mute = true;
        host.script = Some(Box::new(script));
        puppet
    }

    /// Kills a host's process and starts it again over the same store: all that was under way is gone.
    pub fn restart(&mut self, host: HostId) {
        let seed = self.entropy.draw();
        let (index, host) = (host.0, &mut self.hosts[host.0]);
        host.node = Node::new(host.key.clone(), seed, host.limits);
        host.snapshots.clear();
        let ends: Vec<u64> = std::mem::take(&mut host.ends).into_values().map(|end| end.wire).collect();
        self.due.retain(|(of, _)| *of != index);
        for wire in ends {
            self.cut(wire);
        }
    }

    /// What happens to each frame from now on.
    pub fn fate(&mut self, mut fate: impl FnMut(&[u8]) -> Fate + 'static) {
        self.meddle(move |frame| fate(frame));
    }

    /// The same, by somebody who may put another in its place.
    pub fn meddle(&mut self, fate: impl FnMut(&mut Vec<u8>) -> Fate + 'static) {
        self.fate = Box::new(fate);
    }

    /// How signatures of entries are checked from now on.
    pub fn check_with(&mut self, check: fn(Entry) -> Result<VerifiedEntry, EntryError>) {
        self.check = check;
    }

    /// What a host's disk answers to writes from now on; nothing to work again.
    pub fn disk(&mut self, host: HostId, error: Option<StorageError>) {
        self.hosts[host.0].disk = error;
    }

    /// Whether a host accepts exchanges and never answers.
    pub fn mute(&mut self, host: HostId, mute: bool) {
        self.hosts[host.0].mute = mute;
    }

    /// Whether a host's process is stopped; what happens to it meanwhile waits.
    pub fn pause(&mut self, host: HostId, paused: bool) {
        self.hosts[host.0].paused = paused;
    }

    /// Milliseconds since the world began.
    pub fn clock(&self) -> u64 {
        self.clock
    }

    /// What time a host takes it to be, in wall milliseconds.
    pub fn wall(&self, host: HostId) -> u64 {
        self.hosts[host.0].begin + self.clock
    }

    /// Sets a host's wall clock wrong by this many milliseconds, or right again.
    pub fn skew(&mut self, host: HostId, millis: i64) {
        self.hosts[host.0].begin = BEGIN.checked_add_signed(millis).expect("a time after 1970");
    }

    /// A host's key.
    pub fn key(&self, host: HostId) -> PublicKey {
        self.hosts[host.0].key.public()
    }

    /// A host's secret key.
    pub fn secret(&self, host: HostId) -> SecretKey {
        self.hosts[host.0].key.clone()
    }

    /// The further keys that a host's exchanges prove.
    pub fn keyring(&self, host: HostId) -> &Keyring {
        &self.hosts[host.0].keyring
    }

    /// What the next exchange that anybody opens is bound to.
    pub fn next_binding(&self) -> Binding {
        binding(self.next_wire + 1)
    }

    /// Where a host is found.
    pub fn address(&self, host: HostId) -> Address {
        Address::new("world", &host.0.to_string()).with_key(self.key(host))
    }

    /// A host's store as it is now.
    pub fn snapshot(&self, host: HostId) -> Arc<dyn Snapshot> {
        self.hosts[host.0].store.snapshot().expect("a snapshot")
    }

    /// What a host's watchers were told since the last call.
    pub fn notes(&mut self, host: HostId) -> Vec<Notification> {
        std::mem::take(&mut self.hosts[host.0].notes)
    }

    /// Gives a command without waiting for its outcome.
    pub fn command(&mut self, host: HostId, command: Command) -> CommandId {
        let number = &mut self.hosts[host.0].commands;
        *number += 1;
        let id = CommandId(*number);
        self.due.push((host.0, Event::Command(id, command)));
        id
    }

    /// The outcome of a command, once.
    pub fn outcome(&mut self, host: HostId, id: CommandId) -> Option<Result<Reply, NodeError>> {
        self.hosts[host.0].replies.remove(&id)
    }

    /// Gives a command and runs the world until it is answered.
    pub fn run(&mut self, host: HostId, command: Command) -> Result<Reply, NodeError> {
        let id = self.command(host, command);
        for _ in 0..1_000_000 {
            if let Some(outcome) = self.outcome(host, id) {
                return outcome;
            }
            if !self.step() {
                self.pass();
            }
        }
        panic!("the command is never answered");
    }

    /// Runs until nothing is left to do at this moment.
    pub fn settle(&mut self) {
        while self.step() {}
    }

    /// Lets time pass until the next deadline of a node.
    pub fn pass(&mut self) {
        let awake = self.hosts.iter().filter(|host| !host.paused);
        let deadlines = awake.filter_map(|host| host.node.deadline());
        let next = deadlines.chain(self.later.iter().map(|(at, ..)| *at)).min();
        self.clock = next.unwrap_or(self.clock + 1_000).max(self.clock + 1);
        self.deliver();
        for host in 0..self.hosts.len() {
            self.due.push((host, Event::Tick));
        }
    }

    /// Lets so many milliseconds pass, or fewer if something is due before.
    pub fn idle(&mut self, millis: u64) {
        let until = self.clock + millis;
        let due = self.hosts.iter().filter_map(|host| host.node.deadline()).min();
        self.clock = due.map_or(until, |due| due.clamp(self.clock + 1, until));
        self.deliver();
        self.due.extend((0..self.hosts.len()).map(|host| (host, Event::Tick)));
    }

    /// What was to be said by now is said.
    fn deliver(&mut self) {
        let clock = self.clock;
        for (_, number, part) in self.later.extract_if(.., |(at, ..)| *at <= clock).collect::<Vec<_>>() {
            if let Some(wire) = self.wires.get_mut(&number) {
                wire.inbox[0].push_back(part);
                self.advance(number);
            }
        }
    }

    /// Somebody who is no node was asked.
    fn answer(&mut self, number: u64) {
        let Some(wire) = self.wires.get_mut(&number) else { return };
        let Some(mut script) = self.hosts[wire.ends[wire.ends.len() - 1].0].script.take() else { return };
        let parts = std::mem::take(&mut wire.inbox[1]).into_iter();
        let asked: Vec<_> =
            parts.filter_map(|part| if let Part::Frame(said) = part { Some(said) } else { None }).collect();
        let host = wire.ends[wire.ends.len() - 1].0;
        let mut at = self.clock;
        for (delay, said) in script(&asked) {
            at += delay;
            self.later.push((at, number, said.map_or(Part::End, Part::Frame)));
        }
        self.hosts[host].script = Some(script);
        self.deliver();
    }

    /// Lets one thing happen, drawn from all that is due. Says whether there was one.
    pub fn step(&mut self) -> bool {
        let awake: Vec<usize> =
            self.due.iter().map(|(of, _)| *of).filter(|of| !self.hosts[*of].paused).collect();
        if awake.is_empty() {
            return false;
        }
        let [low, high] = self.entropy.draw();
        let drawn = usize::from(u16::from_le_bytes([low, high])) % awake.len();
        // Events of one host stay in order; hosts take turns at random.
        let host = awake[drawn];
        let first = self.due.iter().position(|(of, _)| *of == host).expect("the one drawn");
        let (host, event) = self.due.remove(first);
        let now = Now { monotonic: self.clock, wall: self.wall(HostId(host)) };
        self.hosts[host].node.handle(now, event);
        while let Some(action) = self.hosts[host].node.poll_action() {
            self.carry_out(host, action);
        }
        true
    }

    fn carry_out(&mut self, index: usize, action: Action) {
        let host = &mut self.hosts[index];
        match action {
            Action::Exchange(id, op) => self.op(index, id, op),
            Action::Read { number, snapshot, read } => {
                let store = &host.store;
                let snapshot =
                    host.snapshots.entry(snapshot).or_insert_with(|| store.snapshot().expect("a snapshot"));
                self.due.push((index, Event::Read(number, perform(snapshot, &read))));
            }
            Action::Release(snapshot) => {
                host.snapshots.remove(&snapshot);
            }
            Action::Write { number, write } => {
                let result = host.disk.clone().map_or_else(|| host.store.write(&write), Err);
                self.due.push((index, Event::Written(number, result)));
            }
            Action::Verify { number, entries } => {
                let mut good = Vec::new();
                let result = entries.into_iter().try_for_each(|entry| {
                    good.push((self.check)(entry)?);
                    Ok(())
                });
                let result = match result {
                    Ok(()) => Ok(good),
                    Err(error) => Err((good, error)),
                };
                self.due.push((index, Event::Verified(number, result)));
            }
            Action::Reply(id, result) => {
                host.replies.insert(id, result);
            }
            Action::Notify(notification) => host.notes.push(notification),
            other => panic!("an action that this world does not know: {other:?}"),
        }
    }

    fn op(&mut self, index: usize, id: ExchangeId, op: Op) {
        match op {
            Op::Open(address) => self.open(index, id, &address),
            Op::Vouch => {}
            Op::Close => {
                if let Some(end) = self.hosts[index].ends.remove(&id) {
                    let other = 1 - end.side;
                    if let Some(wire) = self.wires.get_mut(&end.wire) {
                        wire.inbox[other].push_back(Part::Closed);
                        self.advance(end.wire);
                    }
                }
            }
            op => {
                let Some(end) = self.hosts[index].ends.get_mut(&id) else {
                    let failed = ExchangeEvent::Failed("the exchange is gone".into());
                    self.due.push((index, Event::Exchange(id, failed)));
                    return;
                };
                end.ops.push_back(op);
                let wire = end.wire;
                self.advance(wire);
            }
        }
    }

    fn open(&mut self, index: usize, id: ExchangeId, address: &Address) {
        let target = address.address.parse::<usize>().ok().filter(|target| *target < self.hosts.len());
        let Some(target) = target else {
            let failed = ExchangeEvent::Failed("nobody answers there".into());
            self.due.push((index, Event::Exchange(id, failed)));
            return;
        };
        self.next_wire += 1;
        let wire = self.next_wire;
        let (mine, theirs) = (self.hosts[index].key.public(), self.hosts[target].key.public());
        let peer = &mut self.hosts[target];
        peer.accepted += 1;
        let accepted = ExchangeId::accepted(peer.accepted);
        peer.ends.insert(accepted, End { wire, side: 1, ops: VecDeque::new() });
        self.hosts[index].ends.insert(id, End { wire, side: 0, ops: VecDeque::new() });
        self.wires.insert(wire, Wire { ends: vec![(index, id), (target, accepted)], ..Wire::default() });
        self.due.push((index, Event::Exchange(id, ExchangeEvent::Opened { peer: Some(theirs) })));
        if !self.hosts[target].mute {
            self.due.push((
                target,
                Event::Accepted {
                    exchange: accepted,
                    proven: Some(mine),
                    source: Source::of(mine.as_bytes()),
                    arrival: self.arrival,
                    signed: None,
                },
            ));
        }
    }

    /// A request of somebody who is no host, and the answer; nothing if the host broke off.
    pub fn ask(
        &mut self,
        host: HostId,
        proven: impl Into<Option<PublicKey>>,
        request: impl IntoIterator<Item = Vec<u8>>,
    ) -> Option<Vec<Vec<u8>>> {
        let proven = proven.into();
        let source = proven.map_or(Source::default(), |key| Source::of(key.as_bytes()));
        // Strangers who come one after the other find what budgets they have all together.
        self.clock += BETWEEN_STRANGERS;
        let number = self.knock(host, proven, source, request.into_iter().map(Some).chain([None]));
        let mut answer = Vec::new();
        loop {
            match self.wires.get_mut(&number)?.inbox[0].pop_front() {
                Some(Part::Frame(frame)) => answer.push(frame),
                Some(Part::End) => {
                    self.cut(number);
                    return Some(answer);
                }
                None if self.step() => {}
                Some(Part::Closed) | None => return None,
            }
        }
    }

    /// Somebody who is no host opens an exchange, from a source, says this much of a message (nothing is its end), and
    /// then waits. The wire's number.
    pub fn knock(
        &mut self,
        host: HostId,
        proven: impl Into<Option<PublicKey>>,
        source: Source,
        said: impl IntoIterator<Item = Option<Vec<u8>>>,
    ) -> u64 {
        self.next_wire += 1;
        let number = self.next_wire;
        let asked = &mut self.hosts[host.0];
        asked.accepted += 1;
        let accepted = ExchangeId::accepted(asked.accepted);
        asked.ends.insert(accepted, End { wire: number, side: 1, ops: VecDeque::new() });
        let said = said.into_iter().map(|frame| frame.map_or(Part::End, Part::Frame));
        let inbox = [VecDeque::new(), said.collect()];
        let wire = Wire { ends: vec![(host.0, accepted)], inbox, ..Wire::default() };
        self.wires.insert(number, wire);
        self.due.push((
            host.0,
            Event::Accepted {
                exchange: accepted,
                proven: proven.into(),
                source,
                arrival: self.arrival,
                signed: self.signed,
            },
        ));
        number
    }

    /// They say more of it.
    pub fn say(&mut self, wire: u64, said: impl IntoIterator<Item = Option<Vec<u8>>>) {
        if let Some(of) = self.wires.get_mut(&wire) {
            of.inbox[1].extend(said.into_iter().map(|frame| frame.map_or(Part::End, Part::Frame)));
            self.advance(wire);
        }
    }

    /// What somebody who is no host was answered so far, and whether the host let go of the exchange.
    pub fn heard(&mut self, wire: u64) -> (Vec<Vec<u8>>, bool) {
        let Some(wire) = self.wires.get(&wire) else { return (Vec::new(), true) };
        let frames = wire.inbox[0].iter().filter_map(|part| match part {
            Part::Frame(frame) => Some(frame.clone()),
            Part::End | Part::Closed => None,
        });
        let closed = wire.inbox[0].iter().any(|part| matches!(part, Part::Closed));
        (frames.collect(), closed || wire.broken)
    }

    /// Carries out what both sides of a wire have in line, as far as it goes.
    fn advance(&mut self, number: u64) {
        loop {
            let Some(wire) = self.wires.get(&number) else { return };
            if wire.broken {
                return;
            }
            let sides: Vec<(usize, ExchangeId)> = wire.ends.clone();
            if !sides.iter().any(|(host, id)| self.advance_side(number, *host, *id)) {
                return;
            }
            let wire = self.wires.get(&number).map(|wire| &wire.inbox[1]);
            if wire.is_some_and(|inbox| matches!(inbox.back(), Some(Part::End))) {
                self.answer(number);
            }
        }
    }

    /// One operation of one side. Says whether there was one.
    fn advance_side(&mut self, number: u64, host: usize, id: ExchangeId) -> bool {
        let Some(end) = self.hosts[host].ends.get_mut(&id) else { return false };
        let Some(wire) = self.wires.get_mut(&number) else { return false };
        let (mine, other) = (end.side, 1 - end.side);
        // What is said now: proofs are a frame as any other, if there are any.
        let said = match end.ops.front() {
            Some(&Op::Prove(target)) => {
                // Whoever asks for lists asks a host.
                let asked =
                    Address::new("world", &wire.ends[wire.ends.len() - 1].0.to_string()).with_key(target.to);
                let purpose = target.tree.map_or(Purpose::Lists(asked), Purpose::Database);
                self.hosts[host].keyring.prover(purpose, target).frame(&binding(number))
            }
            Some(Op::Send(frame)) => Some(frame.to_vec()),
            _ => None,
        };
        if let Some(mut frame) = said {
            self.frames += 1;
            match (self.fate)(&mut frame) {
                Fate::Arrive => {}
                Fate::Cut => {
                    self.cut(number);
                    return false;
                }
                Fate::Flip => {
                    let bit = usize::try_from(self.frames).unwrap_or(0) * 7 % (frame.len() * 8);
                    frame[bit / 8] ^= 1 << (bit % 8);
                }
            }
            wire.inbox[other].push_back(Part::Frame(frame));
        }
        let Some(end) = self.hosts[host].ends.get_mut(&id) else { return false };
        let event = match end.ops.front() {
            Some(Op::Prove(_)) => {
                end.ops.pop_front();
                return true;
            }
            Some(Op::Bind) => ExchangeEvent::Bound(Some(binding(number))),
            Some(Op::Send(_)) => ExchangeEvent::Sent,
            Some(Op::Finish) => {
                wire.inbox[other].push_back(Part::End);
                ExchangeEvent::Finished
            }
            Some(Op::Receive) => match wire.inbox[mine].pop_front() {
                Some(Part::Frame(frame)) => ExchangeEvent::Received(frame),
                Some(Part::End) => ExchangeEvent::End,
                Some(Part::Closed) => ExchangeEvent::Closed,
                None => return false,
            },
            _ => return false,
        };
        end.ops.pop_front();
        self.due.push((host, Event::Exchange(id, event)));
        true
    }

    /// Breaks a wire: both sides are told, what is under way is lost.
    fn cut(&mut self, number: u64) {
        let Some(wire) = self.wires.get_mut(&number) else { return };
        wire.broken = true;
        for (host, id) in wire.ends.clone() {
            if self.hosts[host].ends.remove(&id).is_some() {
                let failed = ExchangeEvent::Failed("the connection was cut".into());
                self.due.push((host, Event::Exchange(id, failed)));
            }
        }
    }
}

/// What a wire is bound to.
fn binding(wire: u64) -> Binding {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&wire.to_le_bytes());
    Binding::from_bytes(bytes)
}

/// What tests ask for again and again.
impl World {
    /// Makes a tree that only the host may read.
    pub fn create(&mut self, host: HostId, name: &str) -> Id {
        self.create_with(host, name, Vec::new())
    }

    /// Makes a tree with grants beside the host's own.
    pub fn create_with(&mut self, host: HostId, name: &str, grants: Vec<(Who, Permission)>) -> Id {
        let mut settings = Doc::new();
        settings.set("name", name).expect("a name");
        let creator = self.key(host);
        match self.run(host, Command::Create { creator, settings, grants }) {
            Ok(Reply::Created(tree)) => tree,
            other => panic!("no tree was made: {other:?}"),
        }
    }

    /// A commit of one value to [`STORE`], signed by the host's key.
    pub fn commit(&self, host: HostId, tree: Id, path: &str, value: impl Into<Value>) -> Command {
        self.commit_to(host, tree, STORE, path, value)
    }

    /// The same, to any store.
    pub fn commit_to(
        &self,
        host: HostId,
        tree: Id,
        store: &str,
        path: &str,
        value: impl Into<Value>,
    ) -> Command {
        let host = &self.hosts[host.0];
        let snapshot = host.store.snapshot().expect("a snapshot");
        let draft = Draft::new(snapshot, tree, host.key.public(), [0; 32]);
        draft.store::<DocStore>(store).expect("a store").set(path, value).expect("a write");
        let changes = draft.finish().expect("changes");
        let (stores, paths) = (changes.stores, changes.touched);
        Command::Commit(Commit { tree, key: host.key.clone(), stores, paths })
    }

    /// Writes one value and waits until it is durable.
    pub fn write(
        &mut self,
        host: HostId,
        tree: Id,
        path: &str,
        value: impl Into<Value>,
    ) -> Result<Position, NodeError> {
        let command = self.commit(host, tree, path, value);
        match self.run(host, command)? {
            Reply::Committed(position) => Ok(position),
            other => panic!("not the reply to a commit: {other:?}"),
        }
    }

    /// Syncs a tree of one host with another.
    pub fn sync(&mut self, host: HostId, with: HostId, tree: Id) -> Result<SyncReport, NodeError> {
        let address = self.address(with);
        match self.run(host, Command::Sync { address, tree })? {
            Reply::Synced(report) => Ok(report),
            other => panic!("not the reply to a sync: {other:?}"),
        }
    }

    /// The text at a path of [`STORE`].
    pub fn value(&self, host: HostId, tree: Id, path: &str) -> Option<String> {
        let scope = Scope::of_snapshot(self.snapshot(host), tree, STORE).expect("a scope");
        match DocStore::open(scope).expect("a store").get(path).expect("a value")? {
            Value::Text(text) => Some(text),
            other => Some(format!("{other:?}")),
        }
    }

    /// All tips of a tree.
    pub fn tips(&self, host: HostId, tree: Id) -> Vec<Position> {
        self.snapshot(host).tips(&tree, None, 100_000).expect("tips")
    }

    /// The hash over what a tree shows.
    pub fn content(&self, host: HostId, tree: Id) -> [u8; 32] {
        content_hash(&self.snapshot(host), &tree).expect("a hash")
    }

    /// How many entries a tree has.
    pub fn count(&self, host: HostId, tree: Id) -> u64 {
        self.snapshot(host).summary(&tree).expect("a summary").map_or(0, |summary| summary.measure.count)
    }
}
