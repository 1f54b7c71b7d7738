//! What an exchange costs beyond the entries that it moves: round trips, bytes and time.
//!
//! `cargo run --release -p pleach-benches --bin reconcile -- [--json] [--seeds N] [shared, default 10000 100000 1000000]`
//!
//! Two real nodes over real stores, on a wire that counts. Bytes are those of frames as encoded; the entries and their
//! lengths are counted apart. Every case is checked: after the exchange both stores hold the same. The bar beside a
//! figure is what `docs/reconcile.md` asks for; the limit of any exchange is one round trip and the entries themselves.

// Figures for people: nobody reads the sixteenth digit.
#![allow(clippy::cast_precision_loss)]

use std::error::Error;

use serde_json::json;

mod cases;
mod duel;
mod history;
mod real;
mod time;

use cases::{Bar, Row, Table};
use history::History;
use real::Real;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Seeds for each real history.
const SEEDS: u64 = 1_000;

fn main() -> Outcome<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let as_json = arguments.iter().position(|argument| argument == "--json").map(|at| arguments.remove(at));
    let mut seeds = SEEDS;
    if let Some(at) = arguments.iter().position(|argument| argument == "--seeds") {
        arguments.remove(at);
        seeds = arguments.get(at).ok_or("--seeds takes a number")?.parse()?;
        arguments.remove(at);
    }
    let mut sizes = arguments.iter().map(|size| size.parse()).collect::<Result<Vec<usize>, _>>()?;
    if sizes.is_empty() {
        sizes = vec![10_000, 100_000, 1_000_000];
    }
    let show: &dyn Fn(&Row) = if as_json.is_some() { &in_json } else { &in_a_table };
    let history = History::new();
    let mut missed = Vec::new();
    let mut note = |rows: Vec<Row>| {
        let failed = rows.iter().filter(|row| !row.holds());
        missed.extend(failed.map(|row| format!("{} at {}", row.case, row.shared)));
    };
    note(cases::shapes(&history, show)?);
    note(cases::branches(&history, 100_000, show)?);
    for name in ["dag-smoltcp", "dag-raft-rs"] {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data");
        let text = std::fs::read_to_string(format!("{path}/{name}.jsonl"))?;
        let spread = Real::read(&history, &text)?.run(&history, seeds)?;
        println!(
            "{}",
            json!({
                "history": name, "seeds": spread.seeds, "most_round_trips": spread.most_trips,
                "over_the_bar": spread.over, "most_bytes": spread.most,
                "mean_bytes": spread.sum / usize::try_from(seeds.max(1))?,
                "part_of_what_moved": spread.sum as f64 / spread.moved.max(1) as f64,
            })
        );
    }
    for shared in sizes {
        let main = history.chain(history.start(), shared, "main");
        let base = history.store(&main)?;
        let mut table = Table { history: &history, base: &base, shared, rows: Vec::new(), show };
        table.news(main[shared - 1].position())?;
        table.old(&main)?;
        note(table.rows);
        time::measure(&history, &main, &base)?;
    }
    println!("{}", json!({ "missed": missed }));
    Ok(())
}

fn bar(row: &Row) -> String {
    match row.bar {
        Bar::Each(requests, replies) => format!("{requests} + {replies}"),
        Bar::Bytes(bytes) => bytes.to_string(),
        Bar::Part(part) => format!("{} (1/{part})", row.cost.moved / part),
    }
}

fn in_json(row: &Row) {
    let cost = &row.cost;
    println!(
        "{}",
        json!({
            "case": row.case, "shared": row.shared, "round_trips": cost.round_trips, "round_trips_bar": row.trips,
            "requests": cost.requests, "replies": cost.replies, "bytes_bar": bar(row), "entries": cost.entries,
            "moved": cost.moved, "seconds": cost.seconds, "holds": row.holds(),
        })
    );
}

fn in_a_table(row: &Row) {
    let cost = &row.cost;
    println!(
        "{:>9}  {:<48} {:>3} of {:<3} trips {:>8} + {:<8} bytes, bar {:<14} {:>7} entries {:>10} bytes {:>8.4} s{}",
        row.shared,
        row.case,
        cost.round_trips,
        row.trips,
        cost.requests,
        cost.replies,
        bar(row),
        cost.entries,
        cost.moved,
        cost.seconds,
        if row.holds() { "" } else { "  MISSED" },
    );
}
