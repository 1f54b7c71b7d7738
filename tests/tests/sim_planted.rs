//! Each planted defect breaks the property that it is about, in a small network where what brings it out goes wrong: `cargo
//! test -p pleach-tests --features planted-faults --test sim_planted`. `PLEACH_PLANTED` names one to look for alone.
#![cfg(feature = "planted-faults")]

use pleach_core::planted::{Planted, wake};
use pleach_tests::sim::{Fault, Outcome, Plan, Strategy, run};

/// Seeds within which each must be found, from the one that is known to: other seeds may when the simulator changes.
const SEEDS: u64 = 12;

/// A defect, and how it is found.
struct Row {
    planted: Planted,
    /// What it must break.
    breaks: &'static str,
    /// How many nodes it takes, and the first seed.
    hosts: usize,
    seed: u64,
    /// What goes wrong so that it shows.
    faults: &'static [Fault],
    does: &'static [Strategy],
}

const fn row(planted: Planted, breaks: &'static str, hosts: usize, seed: u64) -> Row {
    Row { planted, breaks, hosts, seed, faults: &[], does: &[] }
}

const TABLE: [Row; Planted::IN_NETWORKS.len()] = [
    Row {
        faults: &[Fault::LostUnsynced, Fault::Crash],
        ..row(Planted::WritesUnsynced, "nothing acknowledged is lost", 2, 2)
    },
    Row {
        faults: &[Fault::DiskFull, Fault::DiskError],
        ..row(Planted::FailuresAcknowledged, "self-update", 2, 1)
    },
    Row {
        does: &[Strategy::Orphans],
        ..row(Planted::ParentsUnchecked, "no entry without its ancestors", 2, 1)
    },
    Row {
        does: &[Strategy::RevokeAbove],
        ..row(Planted::AuthorsUnjudged, "no entry without authority", 2, 1)
    },
    Row { does: &[Strategy::BackdatedWrite], ..row(Planted::MasksIgnored, "audit", 3, 1) },
    Row { does: &[Strategy::BackdatedWrite], ..row(Planted::MaskedShown, "invariant preservation", 3, 1) },
    Row { does: &[Strategy::StolenAuthor], ..row(Planted::SignaturesUnchecked, "authenticity", 2, 1) },
    Row {
        does: &[Strategy::WrongHeight],
        ..row(Planted::HeightsUnchecked, "no entry without authority", 2, 1)
    },
    Row {
        does: &[Strategy::Eavesdrop],
        ..row(Planted::StrangersRead, "nothing unauthorised is shown", 2, 1)
    },
    row(Planted::TipsKept, "audit", 2, 1),
    Row {
        faults: &[Fault::RequestReplayed],
        ..row(Planted::RequestTimesForgotten, "no replay has an effect", 2, 1)
    },
    row(Planted::SnapshotsKept, "bounded memory", 2, 1),
    row(Planted::RowsDropped, "atomicity", 2, 1),
    Row {
        faults: &[Fault::Crash, Fault::PartitionBothWays],
        ..row(Planted::FailuresNotRetried, "eventual update", 3, 3)
    },
];

impl Row {
    /// A small network: the first node in memory, the others on disks, and a hostile peer if there is something for it to do.
    fn plan(&self, seed: u64) -> Plan {
        Plan {
            hosts: self.hosts,
            on_disk: (0..self.hosts).map(|host| host > 0).collect(),
            faults: self.faults.to_vec(),
            peers: if self.does.is_empty() { Vec::new() } else { vec![self.does.to_vec()] },
            millis: 900_000,
            events: 6_000,
            // Between any two nodes as much.
            pace: 300 * (self.hosts as u64 - 1),
            real_signatures: false,
            ..Plan::of(seed)
        }
    }

    /// The run that finds it.
    fn found(&self) -> Option<Outcome> {
        wake(Some(self.planted));
        let mut runs = (self.seed..self.seed + SEEDS).map(|seed| run(&self.plan(seed)));
        let found = runs.find(|run| run.broken.is_some());
        wake(None);
        found
    }

    /// What is wrong with how it is found.
    fn judge(&self) -> Result<String, String> {
        let Some(Outcome { plan, broken: Some(broken), .. }) = self.found() else {
            return Err(format!("not found within {SEEDS} seeds"));
        };
        if !broken.starts_with(&format!("{}: ", self.breaks)) {
            return Err(format!("{} should break, and did not: {broken}", self.breaks));
        }
        // The seed is no evidence if it fails without the defect.
        match run(&plan).broken {
            Some(without) => Err(format!("seed {} fails without the defect: {without}", plan.seed)),
            None => Ok(format!("seed {}: {broken}", plan.seed)),
        }
    }
}

#[test]
fn each_planted_defect_breaks_its_property() {
    // The embedded store panics over bytes that rotted, and is caught: nobody wants to read that.
    std::panic::set_hook(Box::new(|info| {
        if !info.location().is_some_and(|place| place.file().contains("redb")) {
            eprintln!("{info}");
        }
    }));
    let alone = std::env::var("PLEACH_PLANTED").ok();
    let wanted = |row: &&Row| alone.as_ref().is_none_or(|name| *name == format!("{:?}", row.planted));
    let mut wrong = Vec::new();
    for row in TABLE.iter().filter(wanted) {
        match row.judge() {
            Ok(found) => println!("{:?}: {found}", row.planted),
            Err(why) => wrong.push(format!("{:?}: {why}", row.planted)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_planted_defect_stands_in_the_table() {
    assert_eq!(TABLE.map(|row| row.planted), Planted::IN_NETWORKS);
}
