//! The second pass: lines become signed entries, in batches that a store takes at once.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use pleach_core::{
    Id, Position, SecretKey,
    entry::{EntryBuilder, Origin, VerifiedEntry},
    limits::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_PARENTS, TIME_END},
    storage::{OfPath, Paths, RowKind, RowQuery, Snapshot},
};

use super::{
    IMPORT, Lines, Plan,
    author::{self, Authors},
    change::{self, Change},
    content::{Content, Digest, Filler},
    known::{Known, Place, Reach},
    mark::Mark,
};

/// Entries for one write, and how many lines they end.
pub(crate) struct Batch {
    /// Parents first.
    pub(crate) entries: Vec<VerifiedEntry>,
    /// The line of the file that each comes from; 0 for grants.
    pub(crate) numbers: Vec<u64>,
    /// Lines among them.
    pub(crate) lines: u64,
    bytes: usize,
}

/// What an import has made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Lines.
    pub(crate) lines: u64,
    /// Merges between a line and its many parents.
    pub(crate) merges: u64,
    /// Settings entries that let authors write.
    pub(crate) grants: u64,
}

/// Makes entries of lines.
pub(crate) struct Weaver<'a, Emit> {
    tree: Id,
    authors: Authors,
    known: Known,
    strangers: Vec<String>,
    snapshot: &'a dyn Snapshot,
    /// Stores that had rows before, and may have newer ones than the clock says.
    stores: HashSet<String>,
    batch: Batch,
    tally: Tally,
    emit: Emit,
}

impl Batch {
    const fn new() -> Self {
        Self { entries: Vec::new(), numbers: Vec::new(), lines: 0, bytes: 0 }
    }
}

impl<'a, Emit: FnMut(Batch) -> anyhow::Result<()>> Weaver<'a, Emit> {
    /// A weaver that hands batches to `emit` in order.
    pub(crate) fn new(plan: Plan, snapshot: &'a dyn Snapshot, emit: Emit) -> anyhow::Result<Self> {
        let Plan { tree, authors, known, strangers, .. } = plan;
        let stores = snapshot.stores(&tree)?.into_iter().map(|(name, _)| name).collect();
        let (batch, tally) = (Batch::new(), Tally::default());
        Ok(Self { tree, authors, known, strangers, snapshot, stores, batch, tally, emit })
    }

    /// Weaves all lines that the tree does not hold yet.
    pub(crate) fn weave(mut self, lines: &mut Lines) -> anyhow::Result<Tally> {
        self.grant()?;
        let mut filler = Filler::default();
        lines.each(|line| {
            let number = line.number;
            let (content, digest) = filler.fill(line);
            if self.known.lines.contains_key(&content.id) {
                return Ok(());
            }
            self.line(number, &content, digest).with_context(|| format!("line {number}"))
        })?;
        self.flush()?;
        Ok(self.tally)
    }

    /// One chain of grants for all authors that have none.
    fn grant(&mut self) -> anyhow::Result<()> {
        let node = self.authors.node().clone();
        for names in author::lots(std::mem::take(&mut self.strangers)) {
            let above = self.known.chain.last().copied().unwrap_or(self.known.base);
            let stores = author::grants(&mut self.authors, names.clone())?;
            let [(a, a_data), (b, b_data)] = &stores;
            let entry = self.sign(&node, now(), &[above], &[(a, a_data), (b, b_data)])?;
            self.known.link(entry.position(), names);
            self.tally.grants += 1;
            self.push(vec![entry], 0)?;
        }
        Ok(())
    }

    fn line(&mut self, number: u64, line: &Content, digest: Digest) -> anyhow::Result<()> {
        let above: Vec<Place> =
            line.parents.iter().filter_map(|id| self.known.lines.get(id).copied()).collect();
        let mut reach = above.iter().fold(Reach::default(), |reach, place| reach.join(place.reach));
        let mut parents: Vec<Position> = above.iter().map(|place| place.position).collect();
        parents.sort_unstable();
        parents.dedup();
        let grant = self.grant_needed(line.author.as_deref(), &mut reach);
        let room = MAX_PARENTS - usize::from(grant.is_some());
        let mut entries = self.merge(&mut parents, room)?;
        self.tally.merges += entries.len() as u64;
        parents.extend(grant);
        let entry = self.compose(line, &parents)?;
        let place = Place { position: entry.position(), reach, digest };
        self.known.lines.insert(Arc::clone(&line.id), place);
        entries.push(entry);
        self.tally.lines += 1;
        self.push(entries, number)
    }

    /// The entry that lets the author write, if the parents do not descend from it.
    fn grant_needed(&self, author: Option<&str>, reach: &mut Reach) -> Option<Position> {
        if self.authors.is_node(author) {
            let needed = (!reach.base).then_some(self.known.base);
            reach.base = true;
            return needed;
        }
        let link = *self.known.link_of.get(author?)?;
        if reach.links >= link {
            return None;
        }
        *reach = Reach { base: true, links: link };
        self.known.chain.get(link as usize - 1).copied()
    }

    /// Merges over parents until at most `room` are left. They are written with the line, or not at all.
    fn merge(&self, parents: &mut Vec<Position>, room: usize) -> anyhow::Result<Vec<VerifiedEntry>> {
        let mut merges = Vec::new();
        while parents.len() > room {
            let mut fewer = Vec::new();
            for few in parents.chunks(MAX_PARENTS) {
                if let [one] = few {
                    fewer.push(*one);
                    continue;
                }
                let merge = self.sign(self.authors.node(), now(), few, &[])?;
                fewer.push(merge.position());
                merges.push(merge);
            }
            *parents = fewer;
        }
        Ok(merges)
    }

    fn compose(&mut self, line: &Content, parents: &[Position]) -> anyhow::Result<VerifiedEntry> {
        let key = self.authors.key(line.author.as_deref());
        let own = Mark::Line { id: line.id.to_string(), author: line.author.clone() }.encode()?;
        let data = change::encode(&line.changes)?;
        let mut time = now();
        for change in &line.changes {
            if let Change::Write { store, path, .. } = change {
                time = time.max(self.newest(store, path)?.saturating_add(1)).min(TIME_END - 1);
            }
        }
        let mut stores = vec![(IMPORT, own.as_slice())];
        stores.extend(data.iter().map(|(store, data)| (*store, data.as_slice())));
        stores.sort_unstable();
        self.sign(&key, time, parents, &stores)
    }

    /// The time of what stands at a path already.
    fn newest(&self, store: &str, path: &str) -> anyhow::Result<u64> {
        if !self.stores.contains(store) {
            return Ok(0);
        }
        let query = RowQuery {
            store: store.to_owned(),
            kind: RowKind::Map,
            paths: Paths::One(path.to_owned()),
            after: None,
            of_path: OfPath::Last,
            limit: 1,
        };
        Ok(self.snapshot.rows(&self.tree, &query)?.first().map_or(0, |row| row.stamp.time))
    }

    fn sign(
        &self,
        key: &SecretKey,
        time: u64,
        parents: &[Position],
        stores: &[(&str, &[u8])],
    ) -> anyhow::Result<VerifiedEntry> {
        let mut builder = EntryBuilder::new(Origin::Tree(self.tree), time);
        for parent in parents {
            builder.parent(*parent)?;
        }
        Ok(VerifiedEntry::sign(&builder, key, stores)?)
    }

    /// Adds entries that belong together; they go into one write.
    fn push(&mut self, entries: Vec<VerifiedEntry>, number: u64) -> anyhow::Result<()> {
        let bytes: usize = entries.iter().map(|entry| entry.bytes().len()).sum();
        let full = self.batch.entries.len() + entries.len() > MAX_BATCH_ENTRIES
            || self.batch.bytes + bytes > MAX_BATCH_BYTES;
        if full {
            self.flush()?;
        }
        self.batch.bytes += bytes;
        self.batch.lines += u64::from(number != 0);
        self.batch.numbers.extend(entries.iter().map(|_| number));
        self.batch.entries.extend(entries);
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        if self.batch.entries.is_empty() {
            return Ok(());
        }
        (self.emit)(std::mem::replace(&mut self.batch, Batch::new()))
    }
}

/// Wall milliseconds.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(TIME_END - 1).min(TIME_END - 1)
}
