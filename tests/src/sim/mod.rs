//! Whole networks of real nodes on one virtual clock, in one thread, from one seed: with faults of every kind, and with
//! peers that hold valid keys and are hostile.
//!
//! ```
//! use pleach_tests::sim::{Plan, run};
//!
//! let plan = Plan { events: 2_000, millis: 60_000, ..Plan::of(7) };
//! let (once, again) = (run(&plan), run(&plan));
//! assert_eq!(once.hash, again.hash, "the same seed, the same history");
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `plan` | what a seed draws |
//! | `kinds` | the kinds of faults, the strategies of the hostile, and how often each was hit |
//! | `host`, `shelf` | one honest process and its store |
//! | `wire` | exchanges between them, and what happens to frames |
//! | `chaos` | faults of processes, clocks and disks |
//! | `work` | what honest people do |
//! | `hostile` | what the others do |
//! | `ledger` | all that was written, and the rule of access over it |
//! | `check` | what must hold |
//! | `trace` | what happened: its hash, its words, its picture |
//! | `queue`, `chance` | the clock, and what is left to chance |

mod chance;
mod chaos;
mod check;
mod host;
mod hostile;
mod kinds;
mod ledger;
mod plan;
mod queue;
mod shelf;
mod trace;
mod wire;
mod work;

use std::{collections::BTreeMap, sync::Arc};

use pleach_core::{
    Id, SecretKey,
    node::{Command, Event, Number},
    storage::Write,
};

pub use kinds::{Coverage, Fault, Strategy, Tally};
pub use plan::Plan;

use self::{
    chance::Chance,
    host::{Asked, Host},
    hostile::Peer,
    ledger::Ledger,
    queue::Queue,
    shelf::Shelf,
    trace::Trace,
    wire::{Part, Recorded, Wire},
};

/// Events between two checks of everything.
const FULL_CHECK: u64 = 10_000;

/// Milliseconds in which a healed network must come together: a peer that failed is tried again within minutes.
const HEALED: u64 = 2 * 60 * 60 * 1_000;

/// Events after which a healed network is given up.
const HEALED_EVENTS: u64 = 400_000;

/// Milliseconds between two looks at whether it has.
const LOOK: u64 = 5_000;

/// Milliseconds in which each node of a network that came together is seen at rest.
const REST: u64 = 10 * 60 * 1_000;

/// How many times longer than planned the safety phase may be, until every kind was hit.
const PATIENCE: u64 = 6;

/// Something that is due.
#[expect(clippy::large_enum_variant, reason = "most are events, and a box for each costs more")]
enum Due {
    Event { host: usize, life: u64, event: Event },
    Tick { host: usize, life: u64 },
    Write { host: usize, life: u64, number: Number, write: Write },
    Part { wire: u64, side: usize, part: Part },
    Again(Recorded),
    Up { host: usize },
    Wake { host: usize, life: u64 },
    Reopen { host: usize, life: u64 },
    Work,
    Mischief,
    Chaos,
}

/// One world.
struct Sim {
    plan: Plan,
    chance: Chance,
    now: u64,
    queue: Queue<Due>,
    hosts: Vec<Host>,
    peers: Vec<Peer>,
    trees: Vec<Id>,
    wires: BTreeMap<u64, Wire>,
    next_wire: u64,
    /// Nothing goes from one to the other until then.
    blocked: BTreeMap<(usize, usize), u64>,
    ledger: Ledger,
    tally: Tally,
    trace: Trace,
    /// Which kinds of faults there are in this run.
    drawn: Vec<bool>,
    /// Whether faults strike.
    faulty: bool,
    /// Whether people and the hostile do anything.
    working: bool,
    /// Whether kinds that were never hit strike more often.
    eager: bool,
    /// What was said to hostile peers.
    heard: Vec<Vec<Arc<[u8]>>>,
    written_by_hostile: usize,
    dues: u64,
    handled: u64,
    commits: u64,
    most: Most,
    compared: usize,
    promised: usize,
    healing: u64,
    broken: Option<String>,
}

/// The most that one node of a run kept in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Most {
    /// Snapshots open at once.
    pub snapshots: usize,
    /// Writes under way at once.
    pub writes: usize,
    /// At rest, in bytes of text.
    pub resting: usize,
}

impl Most {
    /// The most of both.
    pub fn add(&mut self, other: &Self) {
        self.snapshots = self.snapshots.max(other.snapshots);
        self.writes = self.writes.max(other.writes);
        self.resting = self.resting.max(other.resting);
    }
}

/// How a run went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What it was made of.
    pub plan: Plan,
    /// The hash over all that happened.
    pub hash: u64,
    /// What happened: deliveries, reads, writes, timers, faults.
    pub events: u64,
    /// Of these, events that a node took.
    pub handled: u64,
    /// Commits that were acknowledged.
    pub commits: u64,
    /// Entries that were written.
    pub entries: usize,
    /// Virtual milliseconds.
    pub millis: u64,
    /// The most that a node kept in memory.
    pub most: Most,
    /// Nodes that were found to hold the same as the first in the end.
    pub compared: usize,
    /// Acknowledged entries that were looked for at the end.
    pub promised: usize,
    /// Virtual milliseconds that it took the healed network to come together.
    pub healing: u64,
    /// How often each kind was hit.
    pub tally: Tally,
    /// The invariant that broke, if one did.
    pub broken: Option<String>,
    /// The picture, and the last of what happened in words.
    pub picture: String,
}

impl Outcome {
    /// Kinds that were drawn and did not happen.
    pub fn unhit(&self) -> Vec<String> {
        self.tally.unhit(&self.plan)
    }

    /// The file to replay it from.
    pub fn file(&self) -> String {
        format!(
            "# A run of the simulator; lines of faults and peers can be taken out, then the hash too.\n{}hash {:016x}\n",
            self.plan.written(),
            self.hash
        )
    }
}

/// Runs a plan: a phase in which things go wrong, then one in which all is healed.
pub fn run(plan: &Plan) -> Outcome {
    let mut sim = Sim::new(plan.clone());
    sim.safety();
    if sim.broken.is_none() {
        sim.healed();
    }
    let entries = sim.ledger.known.len();
    Outcome {
        hash: sim.trace.hash(),
        events: sim.dues,
        handled: sim.handled,
        commits: sim.commits,
        entries,
        millis: sim.now,
        most: sim.most,
        compared: sim.compared,
        promised: sim.promised,
        healing: sim.healing,
        tally: sim.tally,
        broken: sim.broken,
        picture: sim.trace.picture(sim.hosts.len(), sim.now),
        plan: sim.plan,
    }
}

impl Sim {
    fn new(plan: Plan) -> Self {
        let mut chance = Chance::new(plan.seed.wrapping_add(0x51));
        let mut drawn = vec![false; Fault::ALL.len()];
        for fault in &plan.faults {
            drawn[*fault as usize] = true;
        }
        let hosts = plan.on_disk.iter().map(|on_disk| {
            let key = SecretKey::from_bytes(chance.bytes());
            let salt = chance.bytes();
            Host::new(key, if *on_disk { Shelf::disk(salt) } else { Shelf::memory(salt) })
        });
        let hosts: Vec<Host> = hosts.collect();
        let peers = plan.peers.iter();
        let peers =
            peers.map(|does| Peer::new(SecretKey::from_bytes(chance.bytes()), does.clone())).collect();
        let mut sim = Self {
            chance,
            plan,
            now: 0,
            queue: Queue::new(),
            hosts,
            peers,
            trees: Vec::new(),
            wires: BTreeMap::new(),
            next_wire: 0,
            blocked: BTreeMap::new(),
            ledger: Ledger::default(),
            tally: Tally::new(),
            trace: Trace::new(),
            drawn,
            faulty: false,
            working: false,
            eager: false,
            heard: Vec::new(),
            written_by_hostile: 0,
            dues: 0,
            handled: 0,
            commits: 0,
            most: Most::default(),
            compared: 0,
            promised: 0,
            healing: 0,
            broken: None,
        };
        for index in 0..sim.hosts.len() {
            sim.start(index);
        }
        sim.create();
        sim
    }

    /// The next thing that is due. Says whether there is one.
    fn step(&mut self) -> bool {
        let Some((at, due)) = self.queue.next() else { return false };
        self.now = self.now.max(at);
        self.dues += 1;
        self.trace.number(self.now);
        match due {
            Due::Event { host, life, event } if self.hosts[host].life == life => {
                self.trace.number(host as u64);
                if let Event::Exchange(_, pleach_core::node::ExchangeEvent::Received(frame)) = &event {
                    self.trace.bytes(frame);
                }
                self.handle(host, event);
            }
            Due::Tick { host, life } if self.hosts[host].life == life => {
                if self.hosts[host].tick_at <= self.now {
                    self.hosts[host].tick_at = u64::MAX;
                }
                self.handle(host, Event::Tick);
            }
            Due::Write { host, life, number, write } if self.hosts[host].life == life => {
                self.write(host, number, &write);
            }
            Due::Part { wire, side, part } => self.arrive(wire, side, part),
            Due::Again(recorded) => self.again(recorded),
            Due::Up { host } => self.start(host),
            Due::Wake { host, life } if self.hosts[host].life == life => self.wake(host),
            Due::Reopen { host, life } if self.hosts[host].life == life => {
                self.kill(host);
                self.start(host);
            }
            Due::Work => self.work(),
            Due::Mischief => self.mischief(),
            Due::Chaos => self.chaos(),
            _ => {}
        }
        if self.dues.is_multiple_of(FULL_CHECK) {
            self.check_all();
        }
        true
    }

    /// Things go wrong.
    fn safety(&mut self) {
        while self.trees.is_empty() && self.broken.is_none() {
            if !self.step() {
                return self.break_off("no tree was made".into());
            }
        }
        (self.faulty, self.working) = (true, true);
        self.queue.put(self.now, Due::Work);
        self.queue.put(self.now, Due::Chaos);
        self.queue.put(self.now + 1_000, Due::Mischief);
        let (end, most) = (self.plan.millis, self.plan.events);
        while self.broken.is_none() {
            self.step();
            let over = self.now > end || self.dues > most;
            self.eager = self.now > end / 2 || self.dues > most / 2;
            if over && (self.all_hit() || self.now > end * PATIENCE || self.dues > most * PATIENCE) {
                break;
            }
        }
        self.check_all();
    }

    /// Whether every kind that was drawn has happened. Some are too rare for one short world: what happens in none of many
    /// fails the run of all of them, by [`Coverage::never`].
    fn all_hit(&self) -> bool {
        let faults = self.plan.faults.iter().all(|fault| self.tally.faults[*fault as usize] > 0);
        let mut strategies = self.plan.peers.iter().flatten();
        faults && strategies.all(|strategy| self.tally.strategies[*strategy as usize] > 0)
    }

    /// Nothing goes wrong any more: everybody comes together.
    fn healed(&mut self) {
        self.working = false;
        self.trace.say(self.now, usize::MAX, format_args!("healed"));
        self.heal();
        for tree in self.trees.clone() {
            for index in 1..self.hosts.len() {
                self.track(index, tree, 0, 30_000);
            }
        }
        for index in 0..self.hosts.len() {
            if self.hosts[index].rotten {
                for tree in self.trees.clone() {
                    self.command(index, Command::Repair(tree), Asked::Repair);
                }
            }
        }
        let begun = self.now;
        let (until, most) = (self.now + HEALED, self.dues + HEALED_EVENTS);
        let mut look = self.now + LOOK;
        let mut apart = String::new();
        while self.now < until && self.dues < most && self.broken.is_none() {
            self.step();
            if self.now < look {
                continue;
            }
            look = self.now + LOOK;
            self.let_in();
            match self.converged() {
                Ok(compared) => {
                    (self.compared, self.healing) = (compared, self.now - begun);
                    self.check_all();
                    self.check_updates();
                    // Writing a whole node out takes long: some must do.
                    for index in 0..self.hosts.len().min(3) {
                        self.check_resting(index);
                    }
                    return self.rest();
                }
                Err(why) => apart = why,
            }
        }
        self.break_off(format!("eventual update: after {} ms of health {apart}", self.now - begun));
    }

    /// Waits until each node was seen at rest: whoever never is keeps what nobody needs.
    fn rest(&mut self) {
        let mut busy: Vec<usize> = (0..self.hosts.len()).collect();
        let until = self.now + REST;
        while self.broken.is_none() {
            busy.retain(|index| !self.is_idle(*index));
            let Some(first) = busy.first() else { return };
            if self.now > until {
                return self.never_idle(*first);
            }
            self.step();
        }
    }
}
