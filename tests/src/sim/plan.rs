//! What a seed draws: how many nodes, what goes wrong, who is hostile.

use super::{
    chance::Chance,
    kinds::{Fault, Strategy},
};

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
        // The first node's disk is spared what nobody comes back from.
        let spared = |fault: &Fault| match fault {
            Fault::LostUnsynced | Fault::TornWrite => !on_disk.contains(&true),
            Fault::Rot => !on_disk[1..].contains(&true),
            _ => false,
        };
        faults.retain(|fault| !spared(fault));
        let mut peers = Vec::new();
        for _ in 0..chance.below(5) {
            let count = usize::try_from(chance.between(1, 10)).expect("small");
            peers.push(chance.some(Strategy::ALL, count));
        }
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

    /// The plan as lines of a file: kinds can be taken out by hand.
    pub fn written(&self) -> String {
        use std::fmt::Write;
        let mut text = format!("seed {}\nevents {}\nmillis {}\n", self.seed, self.events, self.millis);
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

    /// Reads such lines, and the trace hash if there is one.
    pub fn read(text: &str) -> Result<(Self, Option<u64>), String> {
        let mut plan = None::<Self>;
        let mut hash = None;
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |word: &str| word.parse::<u64>().map_err(|error| format!("{line}: {error}"));
            match (&words[..], &mut plan) {
                ([] | ["#", ..], _) => {}
                (["seed", seed], None) => {
                    let mut drawn = Self::of(number(seed)?);
                    drawn.faults.clear();
                    drawn.peers.iter_mut().for_each(Vec::clear);
                    plan = Some(drawn);
                }
                (["events", count], Some(plan)) => plan.events = number(count)?,
                (["millis", count], Some(plan)) => plan.millis = number(count)?,
                (["fault", name], Some(plan)) => {
                    plan.faults.push(Fault::named(name).ok_or(format!("no fault is called {name}"))?);
                }
                (["peer", place, name], Some(plan)) => {
                    let place = usize::try_from(number(place)?).map_err(|error| error.to_string())?;
                    let strategy = Strategy::named(name).ok_or(format!("no strategy is called {name}"))?;
                    let peers = plan.peers.len();
                    plan.peers
                        .get_mut(place)
                        .ok_or(format!("this seed has {peers} hostile peers"))?
                        .push(strategy);
                }
                (["hash", text], Some(_)) => {
                    hash = Some(u64::from_str_radix(text, 16).map_err(|error| format!("{line}: {error}"))?);
                }
                _ => return Err(format!("not a line of a run: {line} (the first is `seed N`)")),
            }
        }
        plan.map(|plan| (plan, hash)).ok_or("a run has a line `seed N`".into())
    }
}
