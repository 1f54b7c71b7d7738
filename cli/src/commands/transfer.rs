//! `import`, `export`: histories as JSON lines.

use std::{
    collections::HashSet,
    fmt, fs,
    io::{BufWriter, Write},
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
    time::Instant,
};

use anyhow::{Context as _, anyhow, bail, ensure};
use futures_lite::future;
use pleach_core::entry::{EntryBuilder, Origin};
use pleach_smol::{Database, Id, Position, Snapshot, VerifiedEntry, Who};
use serde::Serialize;

use crate::{
    args::STANDARD,
    context::Context,
    failure::Ending,
    import::{self, Batch, Lines, Plan, Tally, Weaver},
    output::{Counted, entries, strong},
};

/// Batches that wait to be written while the next is made.
const WAITING: usize = 1;

/// Databases that an import of this process writes into: two at once would both grant the same authors.
static UNDER_WAY: Mutex<Option<HashSet<Id>>> = Mutex::new(None);

#[derive(Serialize)]
struct Imported {
    id: Id,
    entries: u64,
    held: u64,
    merges: u64,
    grants: u64,
    seconds: f64,
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {:.2} s", strong(entries(self.entries)), self.seconds)?;
        if self.held > 0 {
            write!(f, "; {} here already", Counted(self.held, "was", "were"))?;
        }
        Ok(())
    }
}

pub(super) async fn import(cx: &Context, db: &str, file: &Path) -> anyhow::Result<Ending> {
    let start = Instant::now();
    let db = cx.database(db)?;
    let id = db.root_id();
    let _only = Only::new(id)?;
    let mut lines = if file.as_os_str() == STANDARD {
        let lines = Lines::spool(cx.input.open()?)?;
        // What was cut off is not what was meant.
        cx.still_wanted()?;
        lines
    } else {
        Lines::open(file)?
    };
    let base = base(&db).await?;
    let snapshot = db.snapshot()?;
    let plan = Plan::make(&mut lines, &*snapshot, id, base, db.key().clone())?;
    let held = plan.held;
    let tally = write(cx, &db, &*snapshot, plan, &mut lines)?;
    let (merges, grants) = (tally.merges, tally.grants);
    let seconds = start.elapsed().as_secs_f64();
    cx.out.put(&Imported { id, entries: tally.lines, held, merges, grants, seconds })?;
    Ok(Ending::Done)
}

/// An entry that lets this node write: the root, which names its creator, or all that is there.
async fn base(db: &Database) -> anyhow::Result<Position> {
    let snapshot = db.snapshot()?;
    let id = db.root_id();
    let root = snapshot
        .entry(&id, &id)?
        .ok_or_else(|| anyhow!("the root of {id} is missing: run `pleach verify`"))?;
    let this = Who::Key(db.key().public());
    let names = |grant: pleach_core::entry::Grant<'_>| grant.who == this && grant.permission.administers();
    if root.view().settings().is_some_and(|settings| settings.grants.iter().any(names)) {
        return Ok(root.position());
    }
    let mut tips = db.tips()?;
    while tips.len() > 1 {
        let mut merged = Vec::new();
        for few in tips.chunks(pleach_core::limits::MAX_PARENTS) {
            let mut builder = EntryBuilder::new(Origin::Tree(id), import::now());
            for tip in few {
                builder.parent(*tip)?;
            }
            let merge = VerifiedEntry::sign(&builder, db.key(), &[])?;
            merged.push(merge.position());
            append(db, vec![merge], &[0]).await?;
        }
        tips = merged;
    }
    tips.first().copied().ok_or_else(|| anyhow!("the database {id} has no tips: run `pleach verify`"))
}

/// Makes entries on one thread while another writes them.
fn write(
    cx: &Context,
    db: &Database,
    snapshot: &dyn Snapshot,
    plan: Plan,
    lines: &mut Lines,
) -> anyhow::Result<Tally> {
    let total = plan.missing;
    let progress = cx.out.progress("importing");
    let (sender, batches) = async_channel::bounded::<Batch>(WAITING);
    thread::scope(|scope| {
        let weave = scope.spawn(move || {
            let emit = |batch| sender.send_blocking(batch).context("the writer stopped");
            Weaver::new(plan, snapshot, emit)?.weave(lines)
        });
        let written = future::block_on(async {
            let mut done = 0;
            while let Ok(batch) = batches.recv().await {
                cx.still_wanted()?;
                append(db, batch.entries, &batch.numbers).await?;
                done += batch.lines;
                progress.set(done, total);
            }
            Ok::<_, anyhow::Error>(())
        });
        // So that the other thread ends if this one failed, which is then the reason.
        batches.close();
        let woven = weave.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written.and(woven)
    })
}

async fn append(db: &Database, entries: Vec<VerifiedEntry>, numbers: &[u64]) -> anyhow::Result<()> {
    let ids: Vec<_> = entries.iter().map(|entry| entry.id()).collect();
    let outcome = db.append(entries).await?;
    if let Some((id, refusal)) = outcome.refused {
        let number = ids.iter().position(|entry| *entry == id).and_then(|n| numbers.get(n)).copied();
        bail!("line {}: {refusal}", number.unwrap_or_default());
    }
    ensure!(
        outcome.held.is_empty(),
        "{} parents are gone: was the database dropped meanwhile?",
        outcome.missing.len()
    );
    Ok(())
}

/// The only import into a database.
struct Only(Id);

impl Only {
    fn new(id: Id) -> anyhow::Result<Self> {
        let mut under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(
            under_way.get_or_insert_default().insert(id),
            "an import into {id} is under way: wait for its end"
        );
        Ok(Self(id))
    }
}

impl Drop for Only {
    fn drop(&mut self) {
        if let Some(under_way) = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            under_way.remove(&self.0);
        }
    }
}

#[derive(Serialize)]
struct Exported {
    id: Id,
    entries: u64,
    file: String,
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", strong(entries(self.entries)), crate::output::Shown(&self.file))
    }
}

pub(super) fn export(cx: &Context, db: &str, file: Option<&Path>) -> anyhow::Result<Ending> {
    let id = cx.id(db)?;
    let snapshot = cx.instance.snapshot()?;
    let Some(file) = file.filter(|file| file.as_os_str() != STANDARD) else {
        import::export(&*snapshot, &id, |line| {
            cx.still_wanted()?;
            Ok(cx.out.data(line)?)
        })?;
        return Ok(Ending::Done);
    };
    let cannot = || format!("{} cannot be written", file.display());
    let entries = if fs::metadata(file).is_ok_and(|data| !data.is_file()) {
        // A pipe or a device takes what comes.
        let to = fs::OpenOptions::new().write(true).open(file).with_context(cannot)?;
        export_to(cx, &*snapshot, &id, to).with_context(cannot)?.0
    } else {
        // Beside the file first, so that a failure leaves what was there.
        let folder = file.parent().unwrap_or(Path::new("."));
        let beside = tempfile::Builder::new().prefix(".pleach").tempfile_in(folder).with_context(cannot)?;
        let (entries, beside) = export_to(cx, &*snapshot, &id, beside).with_context(cannot)?;
        beside.as_file().sync_all().with_context(cannot)?;
        beside.persist(file).with_context(cannot)?;
        entries
    };
    cx.out.put(&Exported { id, entries, file: file.display().to_string() })?;
    Ok(Ending::Done)
}

fn export_to<W: Write>(cx: &Context, snapshot: &dyn Snapshot, id: &Id, to: W) -> anyhow::Result<(u64, W)> {
    let mut writer = BufWriter::new(to);
    let entries = import::export(snapshot, id, |line| {
        cx.still_wanted()?;
        Ok(writeln!(writer, "{line}")?)
    })?;
    Ok((entries, writer.into_inner().map_err(std::io::IntoInnerError::into_error)?))
}
