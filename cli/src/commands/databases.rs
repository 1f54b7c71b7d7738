//! `create`, `list`, `drop`, `stats`, `verify`: databases as a whole.

use std::{fmt, thread, time::Instant};

use pleach_core::{
    entry::Entry,
    instance::{self, Checked},
};
use pleach_smol::{Database, DatabaseKey, Doc, Id, Who};
use serde::Serialize;

use crate::{
    args::Public,
    context::Context,
    failure::Ending,
    output::{Bytes, Shown, bad, entries, faint, good, strong},
};

#[derive(Serialize)]
struct Created {
    id: Id,
}

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

pub(super) async fn create(cx: &Context, name: &str, public: Option<Public>) -> anyhow::Result<Ending> {
    let mut settings = Doc::new();
    settings.set("name", name)?;
    let grants = public.map(|public| (Who::Everyone, public.into())).into_iter().collect();
    let db = Database::create_with(&cx.instance, DatabaseKey::Device, settings, grants).await?;
    cx.out.put(&Created { id: db.root_id() })?;
    Ok(Ending::Done)
}

#[derive(Serialize)]
struct Held {
    id: Id,
    name: String,
    entries: u64,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}  {}", faint(self.id), strong(Shown(&self.name)), entries(self.entries))
    }
}

pub(super) fn list(cx: &Context) -> anyhow::Result<Ending> {
    let snapshot = cx.instance.snapshot()?;
    for (id, name) in cx.instance.databases()? {
        let entries = snapshot.summary(&id)?.map_or(0, |summary| summary.measure.count);
        cx.out.put(&Held { id, name, entries })?;
    }
    Ok(Ending::Done)
}

#[derive(Serialize)]
struct Dropped {
    id: Id,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "forgot {} here", self.id)
    }
}

pub(super) async fn forget(cx: &Context, db: &str) -> anyhow::Result<Ending> {
    let id = cx.id(db)?;
    if let Some(sync) = cx.instance.sync() {
        // Else the background would fetch it again.
        for peer in sync.get_tree_peers(&id)? {
            sync.remove_tree_sync(&peer, &id).await?;
        }
    }
    cx.instance.drop_database(id).await?;
    cx.out.put(&Dropped { id })?;
    Ok(Ending::Done)
}

#[derive(Serialize)]
struct Stats {
    id: Id,
    name: String,
    entries: u64,
    bytes: u64,
    tips: Vec<Id>,
    height: u64,
    content_hash: String,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<13}{}", "id", self.id)?;
        writeln!(f, "{:<13}{}", "name", strong(Shown(&self.name)))?;
        writeln!(f, "{:<13}{}", "entries", self.entries)?;
        writeln!(f, "{:<13}{}", "bytes", Bytes(self.bytes))?;
        writeln!(f, "{:<13}{}", "height", self.height)?;
        for tip in &self.tips {
            writeln!(f, "{:<13}{tip}", "tip")?;
        }
        write!(f, "{:<13}{}", "content hash", self.content_hash)
    }
}

pub(super) fn stats(cx: &Context, db: &str) -> anyhow::Result<Ending> {
    let stats = cx.database(db)?.stats()?;
    cx.out.put(&Stats {
        id: stats.id,
        name: stats.name,
        entries: stats.entries,
        bytes: stats.bytes,
        tips: stats.tips,
        height: stats.height,
        content_hash: blake3::Hash::from_bytes(stats.content_hash).to_hex().to_string(),
    })?;
    Ok(Ending::Done)
}

#[derive(Serialize)]
struct Fault {
    id: Id,
    fault: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, Shown(&self.fault))
    }
}

#[derive(Serialize)]
struct Verified {
    ok: bool,
    entries: u64,
    faults: usize,
    seconds: f64,
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.ok {
            good("intact").to_string()
        } else {
            bad(format!("{} faults", self.faults)).to_string()
        };
        write!(f, "{verdict}: {} checked in {:.2} s", entries(self.entries), self.seconds)
    }
}

pub(super) fn verify(cx: &Context, db: &str) -> anyhow::Result<Ending> {
    let id = cx.id(db)?;
    let start = Instant::now();
    let snapshot = cx.instance.snapshot()?;
    let total = snapshot.summary(&id)?.map_or(0, |summary| summary.measure.count);
    let progress = cx.out.progress("verifying");
    let mut done = 0;
    let found = instance::verify(&*snapshot, &id, |entries| {
        done += entries.len() as u64;
        progress.set(done, total);
        check(entries)
    })?;
    drop(progress);
    for fault in &found.faults {
        cx.out.put(&Fault { id: fault.id, fault: fault.fault.clone() })?;
    }
    let ok = found.is_ok();
    let (entries, faults, seconds) = (found.entries, found.faults.len(), start.elapsed().as_secs_f64());
    cx.out.put(&Verified { ok, entries, faults, seconds })?;
    Ok(if ok { Ending::Done } else { Ending::Failed })
}

/// Checks signatures on all cores.
fn check(mut entries: Vec<Entry>) -> Checked {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let part = entries.len().div_ceil(workers).max(1);
    let mut parts = Vec::new();
    while !entries.is_empty() {
        let rest = entries.split_off(part.min(entries.len()));
        parts.push(std::mem::replace(&mut entries, rest));
    }
    let checked: Vec<Checked> = thread::scope(|scope| {
        let workers: Vec<_> = parts.into_iter().map(|part| scope.spawn(|| instance::check(part))).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    instance::join_checked(checked)
}
