//! What a bootstrap costs in memory, on both sides, over what an idle node has.

use std::{path::Path, time::Instant};

use serde_json::{Value as Json, json};

use crate::{Outcome, TRANSPORTS, peer::Peer};

/// Bytes of the file that redb may keep in memory: as little as one would give it, and what it has unless told
/// otherwise, which a bootstrap fills.
const CACHES: [usize; 2] = [8 << 20, pleach_storage::DEFAULT_CACHE_BYTES];

/// Makes a history of one size and fetches it over each transport, with each cache, into nodes that hold nothing.
pub(crate) fn measure(size: u64, show: fn(&Json)) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let here = folder.path().join("here");
    let (tree, reader) = {
        let mut writing = Peer::start(&here, TRANSPORTS[0], 1, CACHES[1])?;
        // Every node that fetches has the same key.
        let reader = Peer::start(&folder.path().join("key"), TRANSPORTS[0], 2, CACHES[0])?.ask("key")?;
        let tree = writing.ask(&format!("create {reader}"))?;
        writing.ask(&format!("write {tree} {size}"))?;
        (tree, reader)
    };
    for transport in TRANSPORTS {
        for cache in CACHES {
            let mut line = bootstrap(&here, &tree, &reader, transport, cache)?;
            line["transport"] = transport.into();
            line["entries"] = size.into();
            line["step"] = "memory".into();
            line["cache_bytes"] = cache.into();
            show(&line);
        }
    }
    Ok(())
}

/// One bootstrap. Both processes are new, so that nothing but it counts.
fn bootstrap(here: &Path, tree: &str, reader: &str, transport: &str, cache: usize) -> Outcome<Json> {
    let folder = tempfile::tempdir()?;
    let mut here = Peer::start(here, transport, 1, cache)?;
    let mut there = Peer::start(&folder.path().join("there"), transport, 2, cache)?;
    if there.ask("key")? != reader {
        return Err("the node that fetches has another key".into());
    }
    let address = here.ask("serve")?;
    let idle = [resident(&mut here)?, resident(&mut there)?];
    let began = Instant::now();
    there.ask(&format!("sync {address} {tree}"))?;
    let seconds = began.elapsed().as_secs_f64();
    let figures = |idle: u64, peak: u64| json!({ "idle_bytes": idle, "peak_bytes": peak });
    let peak = [peak(&mut here)?, peak(&mut there)?];
    let (serving, fetching) = (figures(idle[0], peak[0]), figures(idle[1], peak[1]));
    Ok(json!({ "seconds": seconds, "serving": serving, "fetching": fetching }))
}

fn resident(peer: &mut Peer) -> Outcome<u64> {
    Ok(peer.ask("resident")?.parse()?)
}

fn peak(peer: &mut Peer) -> Outcome<u64> {
    Ok(peer.ask("memory")?.parse()?)
}

/// One line for people.
pub(crate) fn line(line: &Json) -> String {
    let mib = |side: &str, name: &str| line[side][name].as_f64().unwrap_or_default() / f64::from(1 << 20);
    let side = |side: &str| {
        let (idle, peak) = (mib(side, "idle_bytes"), mib(side, "peak_bytes"));
        format!("{side} {idle:.0} MiB idle, {peak:.0} MiB at most (+{:.0})", peak - idle)
    };
    let cache = line["cache_bytes"].as_f64().unwrap_or_default() / f64::from(1 << 20);
    let seconds = line["seconds"].as_f64().unwrap_or_default();
    format!("{seconds:.1} s, cache of {cache:.0} MiB: {}; {}", side("serving"), side("fetching"))
}
