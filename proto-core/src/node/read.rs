//! Questions that the node asks of a snapshot.

use alloc::{
    boxed::Box,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use crate::{
    Id, Position, PublicKey, Range,
    document::{DocumentError, newest_time},
    entry::{Entry, Permission, Who},
    session::{Cut, Part, Query, Summary, separator},
    storage::{Measure, Snapshot, StorageError},
    wire::{MAX_TREE_NAME, NAMED_TIPS, TREES_PAGE, TreeLine},
};

/// Tips read at a time.
const TIPS_PAGE: usize = 4_096;

/// Bytes that the length of an entry takes in a frame at most: entries are shorter than 2^21 bytes.
const LENGTH: usize = 3;

/// A question, answered by [`perform`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Read {
    /// What a commit needs to know.
    Commit {
        /// The tree.
        tree: Id,
        /// Who will sign: tips among whose ancestors a grant lets this key write come first.
        author: PublicKey,
        /// Store and path of everything written.
        paths: Vec<(String, String)>,
    },
    /// Whether a tree is held, and whether a peer may read it.
    Admit {
        /// The tree.
        tree: Id,
        /// The key that the peer has proven, if any.
        proven: Option<PublicKey>,
    },
    /// A session's question.
    Session {
        /// The tree.
        tree: Id,
        /// The question.
        query: Box<Query>,
    },
    /// Entries of ranges, for a frame.
    Load {
        /// The tree.
        tree: Id,
        /// The ranges, ascending.
        ranges: Vec<Range>,
        /// Bytes of the entries and their lengths at most.
        bytes: usize,
    },
    /// The trees that a peer may read.
    Trees {
        /// The key that the peer has proven, if any.
        proven: Option<PublicKey>,
        /// Continue behind this tree.
        after: Option<Id>,
    },
}

/// The answer to a [`Read`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadReply {
    /// To [`Read::Commit`]; nothing if the tree is not held.
    Commit(Option<CommitContext>),
    /// To [`Read::Admit`].
    Admit(Admission),
    /// To a session's [`Query::Summary`].
    Summary(Summary),
    /// To a session's [`Query::Measure`].
    Measures(Vec<Measure>),
    /// To a session's [`Query::Split`].
    Parts(Vec<Part>),
    /// To a session's [`Query::Positions`] and [`Query::Held`].
    Positions(Vec<Position>),
    /// To [`Read::Load`].
    Load {
        /// The entries, ascending.
        entries: Vec<Entry>,
        /// The first entry of the ranges that is not among them.
        next: Option<Position>,
    },
    /// To [`Read::Trees`].
    Trees {
        /// At most [`TREES_PAGE`].
        lines: Vec<TreeLine>,
        /// Whether there are more.
        more: bool,
    },
}

/// Whether a peer may read a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Admission {
    /// The tree is not held.
    Unknown,
    /// It is held, and the peer may not read it.
    Denied,
    /// It is held, and the peer may read it.
    Granted,
}

/// What a commit needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitContext {
    /// All tips.
    pub tips: Vec<Position>,
    /// The time of the newest write at, above or below each path asked about; 0 if there is none.
    pub newest: Vec<u64>,
}

/// Answers a question from a snapshot. Blocks for as long as the store takes.
pub fn perform(snapshot: &Arc<dyn Snapshot>, read: &Read) -> Result<ReadReply, StorageError> {
    match read {
        Read::Commit { tree, author, paths } => {
            commit_context(snapshot, tree, author, paths).map(ReadReply::Commit)
        }
        Read::Admit { tree, proven } => admit(snapshot, tree, proven.as_ref()).map(ReadReply::Admit),
        Read::Session { tree, query } => answer(snapshot, tree, query),
        Read::Load { tree, ranges, bytes } => load(snapshot, tree, ranges, *bytes),
        Read::Trees { proven, after } => trees(snapshot, proven.as_ref(), *after),
    }
}

fn commit_context(
    snapshot: &Arc<dyn Snapshot>,
    tree: &Id,
    author: &PublicKey,
    paths: &[(String, String)],
) -> Result<Option<CommitContext>, StorageError> {
    if snapshot.summary(tree)?.is_none() {
        return Ok(None);
    }
    let mut tips = Vec::new();
    loop {
        let page = snapshot.tips(tree, tips.last().copied(), TIPS_PAGE)?;
        let last = page.len() < TIPS_PAGE;
        tips.extend(page);
        if last {
            break;
        }
    }
    if tips.len() > crate::limits::MAX_PARENTS {
        tips = writable_first(snapshot, tree, author, tips)?;
    }
    let newest = paths
        .iter()
        .map(|(store, path)| Ok(newest_time(snapshot, tree, store, path)?.unwrap_or(0)))
        .collect::<Result<_, DocumentError>>()
        .map_err(|error| match error {
            DocumentError::Storage(error) => error,
            other => StorageError::Damaged(other.to_string()),
        })?;
    Ok(Some(CommitContext { tips, newest }))
}

/// Merges are written over the first tips first: those whose ancestors let the author write.
fn writable_first(
    snapshot: &Arc<dyn Snapshot>,
    tree: &Id,
    author: &PublicKey,
    tips: Vec<Position>,
) -> Result<Vec<Position>, StorageError> {
    let ids: Vec<Id> = tips.iter().map(|tip| tip.id).collect();
    let (mut first, mut then) = (Vec::new(), Vec::new());
    let mut known = alloc::collections::BTreeMap::new();
    for (tip, header) in tips.into_iter().zip(snapshot.headers(tree, &ids)?) {
        let Some(header) = header else { continue };
        let writes = if let Some(writes) = known.get(&header.view) {
            *writes
        } else {
            let permission = snapshot.permission_in(tree, header.view, &Who::Key(*author))?;
            let writes = permission.is_some_and(Permission::writes);
            known.insert(header.view, writes);
            writes
        };
        if writes { first.push(tip) } else { then.push(tip) }
    }
    first.append(&mut then);
    Ok(first)
}

fn admit(
    snapshot: &Arc<dyn Snapshot>,
    tree: &Id,
    proven: Option<&PublicKey>,
) -> Result<Admission, StorageError> {
    let held = snapshot.summary(tree)?.is_some();
    let everyone = snapshot.permission(tree, &Who::Everyone)?;
    let own = match proven {
        Some(key) => snapshot.permission(tree, &Who::Key(*key))?,
        None => None,
    };
    Ok(match (held, everyone.or(own)) {
        (false, _) => Admission::Unknown,
        (true, None) => Admission::Denied,
        (true, Some(_)) => Admission::Granted,
    })
}

fn answer(snapshot: &Arc<dyn Snapshot>, tree: &Id, query: &Query) -> Result<ReadReply, StorageError> {
    Ok(match query {
        Query::Summary => ReadReply::Summary(summary(snapshot, tree)?),
        Query::Measure(ranges) => {
            let measures = ranges.iter().map(|range| snapshot.measure(tree, range));
            ReadReply::Measures(measures.collect::<Result<_, _>>()?)
        }
        Query::Split { range, cut } => ReadReply::Parts(split(snapshot, tree, range, *cut)?),
        Query::Positions { range, limit } => ReadReply::Positions(snapshot.positions(tree, range, *limit)?),
        Query::Held(ids) => {
            let headers = snapshot.headers(tree, ids)?;
            let mut held: Vec<Position> = headers.into_iter().flatten().map(|h| h.position).collect();
            held.sort_unstable();
            held.dedup();
            ReadReply::Positions(held)
        }
    })
}

fn summary(snapshot: &Arc<dyn Snapshot>, tree: &Id) -> Result<Summary, StorageError> {
    let Some(summary) = snapshot.summary(tree)? else { return Ok(Summary::default()) };
    let tips = snapshot.tips(tree, None, NAMED_TIPS)?;
    let mut first_tips = [None; NAMED_TIPS];
    for (place, tip) in first_tips.iter_mut().zip(tips) {
        *place = Some(tip);
    }
    Ok(Summary { measure: summary.measure, tips: summary.tips, first_tips })
}

/// Cuts a range by counts: see [`Cut`].
fn split(
    snapshot: &Arc<dyn Snapshot>,
    tree: &Id,
    range: &Range,
    cut: Cut,
) -> Result<Vec<Part>, StorageError> {
    let whole = snapshot.measure(tree, range)?;
    let mut parts = Vec::new();
    let mut start = range.start;
    for until in cut_points(whole.count, cut) {
        let nth = |n: u64| snapshot.nth(tree, range, n);
        let (Some(last), next) = (nth(until.saturating_sub(1))?, nth(until)?) else { break };
        let above = Position { height: last.height.saturating_add(1), id: Id::MIN };
        let end = next.map_or(above.min(range.end), |next| separator(&last, &next));
        let measure = snapshot.measure(tree, &Range { start, end })?;
        parts.push(Part { end, measure });
        start = end;
    }
    Ok(parts)
}

/// `part` of `parts` of a count, none of them 0: without 128-bit products, by the part's share of the count and of
/// what the division leaves.
fn share(count: u64, part: u64, parts: u64) -> u64 {
    let of_each = count.checked_div(parts).unwrap_or(0).saturating_mul(part);
    let of_rest = count.checked_rem(parts).unwrap_or(0).saturating_mul(part);
    of_each.saturating_add(of_rest.checked_div(parts).unwrap_or(0))
}

/// How many entries lie below the end of each part, ascending; the last is all of them.
fn cut_points(count: u64, cut: Cut) -> Vec<u64> {
    let mut points: Vec<u64> = match cut {
        Cut::Even(parts) => {
            let parts = u64::from(parts).min(count);
            (1..=parts).map(|part| share(count, part, parts)).collect()
        }
        Cut::Newest => {
            let mut below = count;
            let mut points = alloc::vec![count];
            for size in [4, 64, 512, 4_096, 32_768, 262_144] {
                below = below.saturating_sub(size);
                points.push(below);
            }
            points.reverse();
            points
        }
    };
    points.retain(|point| *point > 0);
    points.dedup();
    points
}

fn load(
    snapshot: &Arc<dyn Snapshot>,
    tree: &Id,
    ranges: &[Range],
    bytes: usize,
) -> Result<ReadReply, StorageError> {
    let mut all: Vec<Entry> = Vec::new();
    let mut room = bytes;
    for range in ranges {
        let mut range = *range;
        while !range.is_empty() {
            let entries = snapshot.entries(tree, &range, crate::limits::MAX_BATCH_ENTRIES, room)?;
            let Some(last) = entries.last() else { break };
            range.start = last.position().next();
            for entry in entries {
                let size = entry.bytes().len().saturating_add(LENGTH);
                if size > room {
                    return Ok(ReadReply::Load { next: Some(entry.position()), entries: all });
                }
                room = room.saturating_sub(size);
                all.push(entry);
            }
        }
    }
    Ok(ReadReply::Load { entries: all, next: None })
}

fn trees(
    snapshot: &Arc<dyn Snapshot>,
    proven: Option<&PublicKey>,
    after: Option<Id>,
) -> Result<ReadReply, StorageError> {
    let mut lines = Vec::new();
    let mut after = after;
    loop {
        let page = snapshot.trees(after, TREES_PAGE)?;
        let last = page.len() < TREES_PAGE;
        for tree in page {
            after = Some(tree);
            if admit(snapshot, &tree, proven)? != Admission::Granted {
                continue;
            }
            if lines.len() == TREES_PAGE {
                return Ok(ReadReply::Trees { lines, more: true });
            }
            lines.extend(tree_line(snapshot, tree)?);
        }
        if last {
            return Ok(ReadReply::Trees { lines, more: false });
        }
    }
}

fn tree_line(snapshot: &Arc<dyn Snapshot>, tree: Id) -> Result<Option<TreeLine>, StorageError> {
    let Some(summary) = snapshot.summary(&tree)? else { return Ok(None) };
    let mut name = heapless::String::new();
    for character in summary.name.chars() {
        if name.push(character).is_err() {
            break;
        }
    }
    let _: &heapless::String<MAX_TREE_NAME> = &name;
    let mut changed = 0;
    for tip in snapshot.tips(&tree, None, NAMED_TIPS)? {
        if let Some(entry) = snapshot.entry(&tree, &tip.id)? {
            changed = changed.max(entry.view().time());
        }
    }
    Ok(Some(TreeLine { tree, name, count: summary.measure.count, changed }))
}
