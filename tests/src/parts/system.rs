//! What the operating system says about processes, and lets them have.

use std::fs;

use rustix::{
    process::{Resource, getrlimit, setrlimit},
    thread::{CpuSet, sched_setaffinity},
};

use super::Outcome;

/// Clock ticks a second in `/proc`: the same on every Linux that Rust runs on.
const TICKS: u64 = 100;

/// Lets this process, and those that it starts, have so many files open.
pub fn raise_open_files(wanted: usize) -> Outcome<()> {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = u64::try_from(wanted)?;
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
        setrlimit(Resource::Nofile, limit)?;
    }
    match getrlimit(Resource::Nofile).current {
        Some(current) if current < wanted => Err(format!(
            "a process may have {current} files open, {wanted} are needed: raise the hard limit (ulimit -Hn)"
        )
        .into()),
        _ => Ok(()),
    }
}

/// Keeps this thread, and those that it starts, on one core; `any` leaves it free.
pub fn keep_to(core: &str) -> Outcome<()> {
    if core == "any" {
        return Ok(());
    }
    let mut cores = CpuSet::new();
    cores.set(core.parse()?);
    sched_setaffinity(None, &cores).map_err(|error| format!("cannot keep to core {core}: {error}"))?;
    Ok(())
}

/// Bytes that a process had in memory at most.
pub fn peak_memory(process: u32) -> Outcome<u64> {
    status(process, "VmHWM:")
}

/// Bytes that a process has in memory now.
pub fn memory(process: u32) -> Outcome<u64> {
    status(process, "VmRSS:")
}

fn status(process: u32, name: &str) -> Outcome<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let value = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no memory is reported")?;
    Ok(value.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1024)
}

/// Milliseconds of processor time that a process took so far.
pub fn processor(process: u32) -> Outcome<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may hold anything.
    let (_, rest) = stat.rsplit_once(')').ok_or("no times are reported")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| -> Outcome<u64> { Ok(fields.get(at).ok_or("no times are reported")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) * 1_000 / TICKS)
}
