//! What a node costs that a crowd keeps a database the same with: idle, and while one of them commits.
//!
//! `cargo run --release -p pleach-benches --bin crowd -- [quic or http, default quic] [peers, default 100] [seconds, default
//! 30] [commits a second, default 10]`
//!
//! A node on redb, kept to the first core; the peers, each a whole node with a store in memory, kept to the second. One of
//! them commits, the node passes it on to all others. Beside what a commit costs the node stands what the machine takes
//! for no more than it must do: check a signature, write and sync, and send as many packets as there are peers.

// Figures for people: nobody reads the sixteenth digit.
#![allow(clippy::cast_precision_loss)]

mod floor;
mod node;
mod peers;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use pleach_tests::parts::{Again, Outcome, Part, role, system};

/// What the crowd does.
struct Crowd {
    transport: String,
    peers: usize,
    seconds: u64,
    rate: usize,
}

/// What the node took meanwhile.
struct Cost {
    seconds: f64,
    /// Milliseconds of processor time.
    processor: u64,
    /// Bytes of memory at the end.
    memory: u64,
}

impl Cost {
    /// Of the time in which something happens.
    fn of<T>(node: &Part, happens: impl FnOnce() -> Outcome<T>) -> Outcome<(Self, T)> {
        let (before, begun) = (node.processor()?, Instant::now());
        let came = happens()?;
        let (processor, seconds) = (node.processor()? - before, begun.elapsed().as_secs_f64());
        Ok((Self { seconds, processor, memory: node.memory()? }, came))
    }

    /// Seconds of processor time for each second.
    fn share(&self) -> f64 {
        self.processor as f64 / 1_000.0 / self.seconds
    }

    /// Microseconds of processor time for each of so many.
    fn each(&self, count: usize) -> f64 {
        self.processor as f64 * 1_000.0 / count.max(1) as f64
    }
}

fn play(role: &str) -> Outcome<()> {
    let words: Vec<&str> = role.split(' ').collect();
    match words.as_slice() {
        ["node", transport, folder, peers] => node::play(transport, folder, peers),
        ["peers", transport, count, address, tree] => peers::play(transport, count, address, tree),
        ["floor", folder, sends] => floor::play(folder, sends),
        _ => Err(format!("no such role: {role}").into()),
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn run(crowd: &Crowd) -> Outcome<bool> {
    let Crowd { transport, peers, seconds, rate } = crowd;
    system::raise_open_files(16 * peers + 512)?;
    let folder = tempfile::tempdir()?;
    let again = Again { arguments: Vec::new() };
    let place = |name| folder.path().join(name).display().to_string();
    let floor = Part::start(&again, &format!("floor {} {}", place("floor"), peers - 1))?.hear()?;
    let node = Part::start(&again, &format!("node {transport} {} {peers}", place("node")));
    let mut node = node?;
    let (address, tree) = (node.hear()?, node.hear()?);
    let alone = node.memory()?;
    let mut others = Part::start(&again, &format!("peers {transport} {peers} {address} {tree}"))?;
    let (coming, _) = Cost::of(&node, || others.hear())?;
    println!("{transport}: {peers} peers follow one database of a node on redb");
    println!(
        "coming    {:.1} s, {:.1} ms of the node's processor for each peer",
        coming.seconds,
        coming.each(*peers) / 1_000.0
    );
    let (idle, ()) = Cost::of(&node, || {
        std::thread::sleep(Duration::from_secs(*seconds));
        Ok(())
    })?;
    println!("idle      {:.4} s of processor a second", idle.share());
    let commits = rate * usize::try_from(*seconds)?;
    others.say(&format!("{commits} {rate}"))?;
    let (busy, figures) = Cost::of(&node, || others.hear())?;
    let figures = peers::Figures::read(&figures)?;
    println!(
        "busy      {:.3} s of processor a second; {:.0} us for each of {commits} commits, {:.0} us for each of {} deliveries",
        busy.share(),
        busy.each(commits),
        busy.each(figures.delivered),
        figures.delivered,
    );
    println!(
        "the limit {floor} us for each commit: one signature, one write that is synced, {} packets",
        peers - 1
    );
    let all = commits * (peers - 1);
    println!("delivered {} of {all}; {} of {commits} commits to everybody", figures.delivered, figures.whole);
    println!(
        "latency   {:.1} ms median, {:.1} ms 99 %, {:.1} ms at most; {:.1} s for all {commits} commits",
        figures.median, figures.late, figures.last, busy.seconds
    );
    let each = mib(idle.memory.saturating_sub(alone)) * 1_024.0 / *peers as f64;
    println!(
        "memory    {:.1} MiB before anybody came, {:.1} MiB idle ({each:.0} KiB for each peer), {:.1} MiB after, {:.1} MiB at most",
        mib(alone),
        mib(idle.memory),
        mib(busy.memory),
        mib(node.peak_memory()?)
    );
    Ok(figures.delivered == all)
}

fn main() -> Outcome<ExitCode> {
    if let Some(role) = role() {
        play(&role)?;
        return Ok(ExitCode::SUCCESS);
    }
    let given: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, otherwise: u64| given.get(at).map_or(Ok(otherwise), |text| text.parse());
    let crowd = Crowd {
        transport: given.first().cloned().unwrap_or_else(|| "quic".into()),
        peers: usize::try_from(number(1, 100)?)?.max(2),
        seconds: number(2, 30)?,
        rate: usize::try_from(number(3, 10)?)?.max(1),
    };
    Ok(if run(&crowd)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
