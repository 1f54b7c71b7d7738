//! What honest peers get, and cost, while hostile ones do what they can.
//!
//! `cargo run --release -p pleach-benches --bin load -- [hostile connections, default 1000] [of them from the honest
//! peers' address, default 0]`
//!
//! A node on redb, kept to the first core; 10 honest peers, each of which fetches a tree of its own and pushes entries into
//! it, first alone and then beside the hostile connections, all kept to the second core. The bars stand beside the figures.

// Figures for people: nobody reads the sixteenth digit.
#![allow(clippy::cast_precision_loss)]

use std::process::ExitCode;

use pleach_tests::siege::{self, Again, Outcome, Siege};

/// Bytes of memory that the node may have at most.
const MEMORY: u64 = 192 << 20;

/// How many times as much processor time an honest entry may cost.
const RATIO: f64 = 2.0;

fn main() -> Outcome<ExitCode> {
    if let Some(played) = siege::play() {
        return played.map(|()| ExitCode::SUCCESS);
    }
    let mut given = std::env::args().skip(1).map(|count| count.parse());
    let hostile = given.next().transpose()?.unwrap_or(1_000);
    let near = given.next().transpose()?.unwrap_or(0);
    let siege = Siege { hostile, near, honest: 10, pushes: 40, entries: 100, cores: Some((0, 1)) };
    println!(
        "{hostile} hostile connections, {near} of them from the address of {} honest peers",
        siege.honest
    );
    let report = siege::run(&siege, &Again { arguments: Vec::new() })?;
    print!("{report}");
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let failures = report.failures[1].len() + report.failures[0].len();
    let held = |holds: bool| if holds { "holds" } else { "DOES NOT HOLD" };
    let bars = [report.memory[2] < MEMORY, failures == 0, report.ratio() <= RATIO];
    println!(
        "memory    {:.0} MiB at most ({:.0} MiB before anybody came, {:.0} MiB before the hostile ones); below {:.0} MiB: {}",
        mib(report.memory[2]),
        mib(report.memory[0]),
        mib(report.memory[1]),
        mib(MEMORY),
        held(bars[0])
    );
    println!("failures  {failures}; none: {}", held(bars[1]));
    println!("ratio     {:.2}; at most {RATIO}: {}", report.ratio(), held(bars[2]));
    Ok(if bars.iter().all(|bar| *bar) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
