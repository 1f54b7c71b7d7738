//! Whole networks of nodes on one virtual clock: see `pleach_tests::sim`.

use std::{
    fs,
    process::ExitCode,
    time::{Duration, Instant},
};

use pleach_tests::sim::{Coverage, Most, Outcome, Plan, run};

const USAGE: &str = "usage: sim [--seed N] [--seeds COUNT] [--minutes M] [--replay FILE] [--out DIR]

Without --minutes one seed is run (or COUNT of them), else as many from N on as fit into M minutes. A failing seed leaves a
picture and a file to replay in DIR (target/sim), and is printed as a command.";

/// Of the seeds one in so many runs twice.
const TWICE: u64 = 10;

struct Args {
    seed: u64,
    seeds: Option<u64>,
    minutes: Option<f64>,
    replay: Option<String>,
    out: String,
}

fn args() -> Result<Args, String> {
    let mut args = Args { seed: 1, seeds: None, minutes: None, replay: None, out: "target/sim".into() };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let mut value = || given.next().ok_or(format!("{name} needs a value\n\n{USAGE}"));
        let number = |value: String| value.parse().map_err(|_| format!("{value} is no number\n\n{USAGE}"));
        match name.as_str() {
            "--seed" => args.seed = number(value()?)?,
            "--seeds" => args.seeds = Some(number(value()?)?),
            "--minutes" => {
                let value = value()?;
                args.minutes = Some(value.parse().map_err(|_| format!("{value} is no number\n\n{USAGE}"))?);
            }
            "--replay" => args.replay = Some(value()?),
            "--out" => args.out = value()?,
            _ => return Err(format!("{name} is not known\n\n{USAGE}")),
        }
    }
    Ok(args)
}

/// What was run so far.
#[derive(Default)]
struct Sum {
    seeds: u64,
    events: u64,
    handled: u64,
    commits: u64,
    compared: usize,
    promised: usize,
    most: Most,
    healing: u64,
    failed: Vec<u64>,
}

fn main() -> ExitCode {
    // The embedded store panics over bytes that rotted, and is caught: nobody wants to read that, unless asked for.
    if std::env::var_os("RUST_BACKTRACE").is_none_or(|asked| asked == "0") {
        std::panic::set_hook(Box::new(|info| {
            if !info.location().is_some_and(|place| place.file().contains("/redb-")) {
                eprintln!("{info}");
            }
        }));
    }
    match args().and_then(|args| play(&args)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn play(args: &Args) -> Result<bool, String> {
    match &args.replay {
        Some(file) => replay(args, file),
        None => play_seeds(args),
    }
}

/// One run from its file: fails too if it is another history than the one that the file tells of.
fn replay(args: &Args, file: &str) -> Result<bool, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let (plan, hash) = Plan::read(&text)?;
    let outcome = run(&plan);
    report(args, &outcome)?;
    let same = hash.is_none_or(|hash| hash == outcome.hash);
    match hash {
        Some(hash) if !same => println!("another history than the file's: {hash:016x}"),
        Some(_) => println!("the same history as the file's"),
        None => {}
    }
    Ok(same && outcome.broken.is_none())
}

fn play_seeds(args: &Args) -> Result<bool, String> {
    let began = Instant::now();
    let limit = args.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0));
    let (mut sum, mut coverage) = (Sum::default(), Coverage::new());
    for seed in args.seed.. {
        let plan = Plan::of(seed);
        let outcome = run(&plan);
        sum.seeds += 1;
        sum.events += outcome.events;
        sum.handled += outcome.handled;
        sum.commits += outcome.commits;
        sum.compared += outcome.compared;
        sum.promised += outcome.promised;
        sum.most.add(&outcome.most);
        sum.healing = sum.healing.max(outcome.healing);
        coverage.add(&plan, &outcome.tally);
        report(args, &outcome)?;
        let mut fine = outcome.broken.is_none();
        if seed % TWICE == 0 {
            let again = run(&plan);
            if again.hash != outcome.hash {
                println!(
                    "seed {seed}: run twice it gave two histories: {:016x}, {:016x}",
                    outcome.hash, again.hash
                );
                fine = false;
            }
        }
        if !fine {
            sum.failed.push(seed);
        }
        let over =
            limit.map_or(args.seeds.is_none_or(|seeds| sum.seeds >= seeds), |limit| began.elapsed() >= limit);
        if over {
            break;
        }
    }
    println!("\n{}", coverage.table());
    let never = coverage.never();
    if !never.is_empty() {
        println!("drawn by {} seeds or more and never hit: {}", Coverage::ENOUGH, never.join(", "));
    }
    let seconds = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let rate = sum.events as f64 / seconds;
    println!(
        "{} seeds, {} events ({} taken by nodes), {} commits in {seconds:.1} s: {rate:.0} events a second",
        sum.seeds, sum.events, sum.handled, sum.commits
    );
    println!(
        "in the end, {} s later at most, {} nodes held the same as the first of theirs; {} acknowledged entries were looked for",
        sum.healing / 1_000,
        sum.compared,
        sum.promised
    );
    println!(
        "a node had at most {} snapshots open and {} writes under way, and was {} bytes of text at rest",
        sum.most.snapshots, sum.most.writes, sum.most.resting
    );
    for seed in &sum.failed {
        println!("failed: cargo run --release -p pleach-tests --bin sim -- --seed {seed}");
    }
    Ok(sum.failed.is_empty() && never.is_empty() && sum.compared > 0 && sum.promised > 0)
}

fn report(args: &Args, outcome: &Outcome) -> Result<(), String> {
    let plan = &outcome.plan;
    println!(
        "seed {}: {} nodes ({} on disks), {} kinds of faults, {} hostile; {} events, {} entries, {} s; {:016x} {}",
        plan.seed,
        plan.hosts,
        plan.on_disk.iter().filter(|on_disk| **on_disk).count(),
        plan.faults.len(),
        plan.peers.len(),
        outcome.events,
        outcome.entries,
        outcome.millis / 1_000,
        outcome.hash,
        if outcome.broken.is_some() { "FAILED" } else { "ok" },
    );
    let unhit = outcome.unhit();
    if !unhit.is_empty() {
        println!("  drawn and not hit: {}", unhit.join(", "));
    }
    let alone = args.minutes.is_none() && args.seeds.is_none();
    if outcome.broken.is_none() && !alone {
        return Ok(());
    }
    let name = |kind: &str| format!("{}/seed-{}.{kind}", args.out, plan.seed);
    let failed = |error: std::io::Error| format!("{}: {error}", args.out);
    fs::create_dir_all(&args.out).map_err(failed)?;
    fs::write(name("txt"), &outcome.picture).map_err(failed)?;
    // What is replayed has its file, which somebody may have shortened by hand.
    if args.replay.is_none() {
        fs::write(name("run"), outcome.file()).map_err(failed)?;
    }
    if let Some(broken) = &outcome.broken {
        println!("  {broken}");
        println!("  again:   cargo run --release -p pleach-tests --bin sim -- --seed {}", plan.seed);
    }
    println!("  picture: {}", name("txt"));
    let file = args.replay.clone().unwrap_or_else(|| name("run"));
    println!("  replay:  cargo run --release -p pleach-tests --bin sim -- --replay {file}");
    Ok(())
}
