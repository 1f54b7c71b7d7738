//! What a seed draws: how many nodes, what goes wrong, who is hostile.

use super::{
    chance::Chance,
    kinds::{Fault, Strategy},
};

/// Honest nodes of one run at most.
const MAX_HOSTS: usize = 16;

/// Hostile peers that a file may ask for: more than a seed draws, since who takes runs apart may put some in.
const MAX_PEERS: usize = 16;

/// What one run is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Honest nodes.
    pub hosts: usize,
    /// Which of them keep their store on a simulated disk.
    pub on_disk: Vec<bool>,
    /// Kinds of faults that happen, ascending.
    pub faults: Vec<Fault>,
    /// What each hostile peer does.
    pub peers: Vec<Vec<Strategy>>,
    /// Milliseconds of the safety phase at least.
    pub millis: u64,
    /// Events of the safety phase at most, unless a kind was not hit.
    pub events: u64,
    /// Milliseconds between two pieces of honest work.
    pub pace: u64,
    /// Whether every signature is checked by every node; else each signature once.
    pub real_signatures: bool,
}

impl Plan {
    /// What a seed draws.
    pub fn of(seed: u64) -> Self {
        let chance = &mut Chance::new(seed);
        // Small networks more often: they are faster, and most that can go wrong needs few.
        let hosts = usize::try_from(2 + chance.below(15).min(chance.below(15))).expect("small");
        let share = chance.below(4);
        let on_disk: Vec<bool> = (0..hosts).map(|_| chance.below(6) < share).collect();
        let count = usize::try_from(chance.between(4, Fault::ALL.len() as u64)).expect("small");
        let mut faults = chance.some(Fault::ALL, count);
        let mut peers = Vec::new();
        for _ in 0..chance.below(5) {
            let count = usize::try_from(chance.between(1, 10)).expect("small");
            peers.push(chance.some(Strategy::ALL, count));
        }
        // The first node's disk is spared what nobody comes back from.
        let spared = |fault: &Fault| match fault {
            Fault::LostUnsynced | Fault::TornWrite => !on_disk.contains(&true),
            Fault::Rot => !on_disk[1..].contains(&true),
            // It takes a third to answer.
            Fault::DialElsewhere => hosts < 3 && peers.is_empty(),
            _ => false,
        };
        faults.retain(|fault| !spared(fault));
        Self {
            seed,
            hosts,
            on_disk,
            faults,
            peers,
            millis: chance.between(5, 30) * 60_000,
            events: chance.between(20_000, 60_000),
            pace: chance.between(500, 6_000),
            real_signatures: chance.below(100) == 0,
        }
    }

    /// Whether it has each kind, faults first, in the order of the lists of all of them.
    pub(super) fn draws(&self) -> impl Iterator<Item = bool> {
        let faults = Fault::ALL.iter().map(|fault| self.faults.contains(fault));
        let strategy = |strategy| self.peers.iter().any(|peer| peer.contains(strategy));
        faults.chain(Strategy::ALL.iter().map(strategy))
    }

    /// The plan as lines of a file: kinds can be taken out by hand.
    pub fn written(&self) -> String {
        use std::fmt::Write;
        let mut text = format!("seed {}\nhosts {}\n", self.seed, self.hosts);
        for (host, _) in self.on_disk.iter().enumerate().filter(|(_, on_disk)| **on_disk) {
            let _ = writeln!(text, "disk {host}");
        }
        let _ = writeln!(text, "events {}\nmillis {}\npace {}", self.events, self.millis, self.pace);
        let _ = writeln!(text, "real_signatures {}\npeers {}", self.real_signatures, self.peers.len());
        for fault in &self.faults {
            let _ = writeln!(text, "fault {fault:?}");
        }
        for (number, peer) in self.peers.iter().enumerate() {
            for strategy in peer {
                let _ = writeln!(text, "peer {number} {strategy:?}");
            }
        }
        text
    }

    /// Reads such lines, and the trace hash if there is one. What no line says is as the seed draws it, but for faults and
    /// what peers do: of those there is what is listed.
    pub fn read(text: &str) -> Result<(Self, Option<u64>), String> {
        let mut plan = None::<Self>;
        let mut hash = None;
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match (&words[..], &mut plan) {
                ([] | ["#", ..], _) => {}
                (["seed", seed], None) => plan = Some(Self::bare(number(seed)?)),
                (["hash", text], Some(_)) => {
                    hash = Some(u64::from_str_radix(text, 16).map_err(|error| format!("{line}: {error}"))?);
                }
                (words, Some(plan)) => plan.take(words).map_err(|why| format!("{line}: {why}"))?,
                _ => return Err(format!("not a line of a run: {line} (the first is `seed N`)")),
            }
        }
        plan.map(|plan| (plan, hash)).ok_or("a run has a line `seed N`".into())
    }

    /// What a seed draws, where nothing goes wrong and the hostile do nothing.
    fn bare(seed: u64) -> Self {
        let mut drawn = Self::of(seed);
        drawn.faults.clear();
        drawn.peers.iter_mut().for_each(Vec::clear);
        drawn
    }

    /// Takes up what one line says.
    fn take(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            ["hosts", count] => {
                self.hosts = up_to(MAX_HOSTS, count)?.max(1);
                self.on_disk = vec![false; self.hosts];
            }
            ["disk", host] => *self.on_disk.get_mut(place(host)?).ok_or("there is no such node")? = true,
            ["events", count] => self.events = number(count)?,
            ["millis", count] => self.millis = number(count)?,
            ["pace", millis] => self.pace = number(millis)?,
            ["real_signatures", word] => {
                self.real_signatures = word.parse().map_err(|_| "neither true nor false")?;
            }
            ["peers", count] => self.peers = vec![Vec::new(); up_to(MAX_PEERS, count)?],
            ["fault", name] => {
                self.faults.push(Fault::named(name).ok_or_else(|| format!("no fault is called {name}"))?);
            }
            ["peer", peer, name] => {
                let does = self.peers.get_mut(place(peer)?).ok_or("there is no such hostile peer")?;
                does.push(Strategy::named(name).ok_or_else(|| format!("no strategy is called {name}"))?);
            }
            _ => return Err("not a line of a run".into()),
        }
        Ok(())
    }
}

fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|error| format!("{word}: {error}"))
}

fn place(word: &str) -> Result<usize, String> {
    word.parse().map_err(|error| format!("{word}: {error}"))
}

fn up_to(most: usize, word: &str) -> Result<usize, String> {
    Some(place(word)?).filter(|count| *count <= most).ok_or_else(|| format!("more than {most}"))
}
