//! A node under siege: hundreds of hostile connections and a few honest peers, each kind in a process of its own.
//!
//! Whoever runs it calls [`play`] first in every process of its program: [`run`] starts that program again for each role,
//! and tells it the role.

mod honest;
mod hostile;
mod node;

use std::fmt;

pub use crate::parts::{Again, Outcome};
use crate::parts::{Part, role, system};
pub use honest::{entry, key};
pub use hostile::Hostilities;

/// What is besieged, and how much.
#[derive(Clone, Copy, Debug)]
pub struct Siege {
    /// Hostile connections.
    pub hostile: usize,
    /// How many of them come from the address of the honest peers.
    pub near: usize,
    /// Honest peers.
    pub honest: usize,
    /// Times that each honest peer pushes.
    pub pushes: usize,
    /// Entries in a push.
    pub entries: usize,
    /// Cores of the node, and of everybody else, where the processes are to be kept apart.
    pub cores: Option<(usize, usize)>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// Entries that honest peers pushed, alone and under siege.
    pub pushed: [usize; 2],
    /// What went wrong for honest peers, alone and under siege.
    pub failures: [Vec<String>; 2],
    /// Milliseconds of processor time that the node took meanwhile, alone and under siege.
    pub processor: [u64; 2],
    /// Seconds that it took, alone and under siege.
    pub seconds: [f64; 2],
    /// Bytes that the node had in memory at most: before anybody came, alone with honest peers, and in all.
    pub memory: [u64; 3],
    /// What the hostile peers did, as they count it.
    pub hostile: Hostilities,
}

impl Report {
    /// Microseconds of processor time for each honest entry, alone and under siege.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub fn for_each(&self) -> [f64; 2] {
        [0, 1].map(|at| self.processor[at] as f64 * 1_000.0 / self.pushed[at].max(1) as f64)
    }

    /// How many times as much an honest entry costs under siege.
    pub fn ratio(&self) -> f64 {
        let [alone, besieged] = self.for_each();
        besieged / alone
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "hostile: {}", self.hostile)?;
        for (at, when) in ["alone", "besieged"].iter().enumerate() {
            writeln!(
                f,
                "{when:<9} {} honest entries in {:.2} s, {} failures, {:.0} us of the node's processor for each",
                self.pushed[at],
                self.seconds[at],
                self.failures[at].len(),
                self.for_each()[at],
            )?;
        }
        for failure in self.failures.iter().flatten().take(5) {
            writeln!(f, "          {failure}")?;
        }
        Ok(())
    }
}

/// Plays the role that this process has, if it has one: then the process has nothing else to do.
pub fn play() -> Option<Outcome<()>> {
    let role = role()?;
    let words: Vec<&str> = role.split(' ').collect();
    Some(match words.as_slice() {
        ["node", core, folder, honest] => node::play(core, folder, honest),
        ["honest", core, pushes, entries, node, trees @ ..] => {
            honest::play(core, pushes, entries, node, trees)
        }
        ["hostile", core, count, near, node, tree] => hostile::play(core, count, near, node, tree),
        _ => Err(format!("no such role: {role}").into()),
    })
}

/// Starts a node, lets honest peers push alone, besieges it, and lets honest peers push again: the same keys, new devices,
/// trees of the same size.
pub fn run(siege: &Siege, again: &Again) -> Outcome<Report> {
    system::raise_open_files(siege.hostile + 512)?;
    let folder = tempfile::tempdir()?;
    let core = |at: fn((usize, usize)) -> usize| {
        siege.cores.map_or_else(|| "any".to_owned(), |cores| at(cores).to_string())
    };
    let (inside, outside) = (core(|(node, _)| node), core(|(_, others)| others));
    let place = folder.path().join("node");
    let mut node = Part::start(again, &format!("node {inside} {} {}", place.display(), siege.honest))?;
    let (places, trees, open) = (node.hear()?, node.hear()?, node.hear()?);
    let trees: Vec<&str> = trees.split(' ').collect();
    let mut memory = [node.peak_memory()?; 3];
    let mut report = Report {
        pushed: [0; 2],
        failures: [Vec::new(), Vec::new()],
        processor: [0; 2],
        seconds: [0.0; 2],
        memory,
        hostile: Hostilities::default(),
    };
    let mut besiegers = None;
    for (phase, trees) in trees.chunks(siege.honest).enumerate().take(2) {
        if phase == 1 {
            let role = format!("hostile {outside} {} {} {places} {open}", siege.hostile, siege.near);
            let mut hostile = Part::start(again, &role)?;
            hostile.hear()?;
            besiegers = Some(hostile);
        }
        let role =
            format!("honest {outside} {} {} {places} {}", siege.pushes, siege.entries, trees.join(" "));
        let (before, begun) = (node.processor()?, std::time::Instant::now());
        let mut honest = Part::start(again, &role)?;
        report.pushed[phase] = honest.hear()?.parse()?;
        report.processor[phase] = node.processor()? - before;
        memory[phase + 1] = node.peak_memory()?;
        report.seconds[phase] = begun.elapsed().as_secs_f64();
        while let Some(failure) = honest.hear_on()? {
            report.failures[phase].push(failure);
        }
    }
    if let Some(mut hostile) = besiegers {
        hostile.say("tell")?;
        report.hostile = hostile.hear()?.parse()?;
    }
    report.memory = memory;
    Ok(report)
}
