//! What sync does in a second and costs on the wire, beside what the machine allows.
//!
//! `cargo run --release -p pleach-benches --bin sync -- [--json] [--memory] [entries, default 10000 100000]`
//!
//! Two nodes on redb, each a process of its own (this program again), over each transport: one imports, the other
//! fetches everything; then 100 new entries on one side, 500 on either side, nothing new. All entries have 256 bytes.
//! The limit beside the entries a second is what the cores could do if an entry cost one signature (import) or one
//! strict check of it (sync), one hash and its share of an insert, and nothing else; all three are measured first.
//!
//! With `--memory` only what a bootstrap costs in memory, over what the same processes have when they are idle.

// Figures for people: nobody reads the sixteenth digit.
#![allow(clippy::cast_precision_loss)]

use std::{error::Error, time::Instant};

use serde_json::{Value as Json, json};

mod costs;
mod entries;
mod memory;
mod node;
mod peer;

use costs::Costs;
use peer::Peer;
use pleach_storage::DEFAULT_CACHE_BYTES;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Transports that are measured.
const TRANSPORTS: [&str; 2] = ["http", "quic"];

fn main() -> Outcome<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, folder, transport, seed, cache] = arguments.as_slice()
        && role == node::ROLE
    {
        return node::run(folder.as_ref(), transport, seed.parse()?, cache.parse()?);
    }
    let mut given =
        |name| arguments.iter().position(|argument| argument == name).map(|at| arguments.remove(at));
    let (as_json, of_memory) = (given("--json"), given("--memory"));
    let mut sizes = arguments.iter().map(|size| size.parse()).collect::<Result<Vec<u64>, _>>()?;
    if sizes.is_empty() {
        sizes = vec![10_000, 100_000];
    }
    let show: fn(&Json) = if as_json.is_some() { |line| println!("{line}") } else { in_a_table };
    if of_memory.is_some() {
        return sizes.into_iter().try_for_each(|size| memory::measure(size, show));
    }
    let costs = Costs::measure()?;
    show(&costs.to_json());
    for transport in TRANSPORTS {
        for size in &sizes {
            for line in measure(transport, *size, &costs)? {
                show(&line);
            }
        }
    }
    Ok(())
}

/// One import and what follows it, over one transport.
fn measure(transport: &str, size: u64, costs: &Costs) -> Outcome<Vec<Json>> {
    let folder = tempfile::tempdir()?;
    let mut here = Peer::start(&folder.path().join("here"), transport, 1, DEFAULT_CACHE_BYTES)?;
    let mut there = Peer::start(&folder.path().join("there"), transport, 2, DEFAULT_CACHE_BYTES)?;
    let key = there.ask("key")?;
    let tree = here.ask(&format!("create {key}"))?;
    let address = here.ask("serve")?;

    let mut lines = Vec::new();
    let start = Instant::now();
    here.ask(&format!("write {tree} {size}"))?;
    let seconds = start.elapsed().as_secs_f64();
    lines.push(json!({
        "transport": transport, "entries": size, "step": "import", "moved": size, "seconds": seconds,
        "per_second": size as f64 / seconds, "limit_per_second": costs.import_limit(),
    }));

    let steps = [("bootstrap", 0, 0), ("100 new", 100, 0), ("500 and 500", 500, 500), ("nothing new", 0, 0)];
    for (step, written_here, written_there) in steps {
        here.ask(&format!("write {tree} {written_here}"))?;
        there.ask(&format!("write {tree} {written_there}"))?;
        let start = Instant::now();
        let report = there.ask(&format!("sync {address} {tree}"))?;
        let seconds = start.elapsed().as_secs_f64();
        let mut line: Json = serde_json::from_str(&report)?;
        let moved = line["received"].as_f64().unwrap_or(0.0) + line["sent"].as_f64().unwrap_or(0.0);
        let same = here.ask(&format!("tips {tree}"))? == there.ask(&format!("tips {tree}"))?;
        if !same {
            return Err(format!("{step} over {transport} left the two nodes different").into());
        }
        line["transport"] = transport.into();
        line["entries"] = size.into();
        line["step"] = step.into();
        line["moved"] = moved.into();
        line["seconds"] = seconds.into();
        if moved >= 1_000.0 {
            line["per_second"] = (moved / seconds).into();
            line["limit_per_second"] = costs.sync_limit().into();
        }
        lines.push(line);
    }
    let memory = |peer: &mut Peer| -> Outcome<u64> { Ok(peer.ask("memory")?.parse()?) };
    lines.push(json!({
        "transport": transport, "entries": size, "step": "peak memory",
        "serving_bytes": memory(&mut here)?, "fetching_bytes": memory(&mut there)?,
    }));
    Ok(lines)
}

/// One line of the table.
fn in_a_table(line: &Json) {
    let number = |name: &str| line[name].as_f64();
    let shown = |name: &str| number(name).map_or_else(String::new, |number| format!("{number:.0}"));
    let Some(step) = line["step"].as_str() else {
        println!("cores {}; microseconds: {line}", shown("cores"));
        println!(
            "{:<9} {:>7}  {:<12} {:>7} {:>9} {:>9} {:>9} {:>12} {:>12} {:>6}",
            "transport",
            "entries",
            "step",
            "moved",
            "seconds",
            "a second",
            "limit",
            "bytes in",
            "bytes out",
            "trips"
        );
        return;
    };
    let transport = line["transport"].as_str().unwrap_or_default();
    if step == "memory" {
        println!("{transport:<9} {:>7}  {}", shown("entries"), memory::line(line));
        return;
    }
    if let (Some(serving), Some(fetching)) = (number("serving_bytes"), number("fetching_bytes")) {
        let mib = |bytes: f64| bytes / f64::from(1 << 20);
        println!(
            "{transport:<9} {:>7}  {step}: {:.0} MiB serving, {:.0} MiB fetching",
            shown("entries"),
            mib(serving),
            mib(fetching)
        );
        return;
    }
    println!(
        "{transport:<9} {:>7}  {step:<12} {:>7} {:>9.3} {:>9} {:>9} {:>12} {:>12} {:>6}",
        shown("entries"),
        shown("moved"),
        number("seconds").unwrap_or_default(),
        shown("per_second"),
        shown("limit_per_second"),
        shown("bytes_received"),
        shown("bytes_sent"),
        shown("round_trips"),
    );
}
