//! Answering a session's queries from a snapshot of a store.

use alloc::vec::Vec;

use crate::{
    Id, Position, Range,
    storage::{Measure, Snapshot, StorageError, Token},
    wire::NAMED_TIPS,
};

use super::{
    Answer, CLAIMS, Cut, NEWEST, Part, Query, Summary, separator,
    walk::{Other, beside},
};

/// Entries in the parts of [`Cut::Newest`], from the top.
const PARTS: [u64; 6] = [NEWEST as u64, 64, 512, 4_096, 32_768, 262_144];

// Each part, what is left below them, and that nothing is above.
const _: () = assert!(PARTS.len() + 2 == CLAIMS, "a first request says no more than is remembered of it");

/// An answer that owns what it lends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnedAnswer {
    /// See [`Answer::Summary`].
    Summary(Summary),
    /// See [`Answer::Measures`].
    Measures(Vec<Measure>),
    /// See [`Answer::Parts`].
    Parts(Vec<Part>),
    /// See [`Answer::Positions`].
    Positions(Vec<Position>),
    /// See [`Answer::Ranges`].
    Ranges(Vec<Range>),
}

impl OwnedAnswer {
    /// The answer as a session takes it.
    pub fn lend(&self) -> Answer<'_> {
        match self {
            Self::Summary(summary) => Answer::Summary(*summary),
            Self::Measures(measures) => Answer::Measures(measures),
            Self::Parts(parts) => Answer::Parts(parts),
            Self::Positions(positions) => Answer::Positions(positions),
            Self::Ranges(ranges) => Answer::Ranges(ranges),
        }
    }
}

/// The few reads of one set that all answers are made of.
pub trait Source {
    /// Why a read can fail.
    type Error;
    /// The set as a whole.
    fn summary(&self) -> Result<Summary, Self::Error>;
    /// What a range holds.
    fn measure(&self, range: &Range) -> Result<Measure, Self::Error>;
    /// The `n`-th entry of a range, from 0.
    fn nth(&self, range: &Range, n: u64) -> Result<Option<Position>, Self::Error>;
    /// The first entries of a range, ascending.
    fn positions(&self, range: &Range, limit: usize) -> Result<Vec<Position>, Self::Error>;
    /// Where those of these ids stand that are held, in any order.
    fn held(&self, ids: &[Id]) -> Result<Vec<Position>, Self::Error>;
    /// The first entries without children, ascending.
    fn tips(&self, limit: usize) -> Result<Vec<Position>, Self::Error>;
    /// The parents of an entry, and the bytes read to find them.
    fn parents(&self, id: &Id) -> Result<(Vec<Position>, usize), Self::Error>;
}

/// A tree in a snapshot of a store.
struct Tree<'a> {
    snapshot: &'a dyn Snapshot,
    tree: &'a Id,
}

impl Source for Tree<'_> {
    type Error = StorageError;

    fn summary(&self) -> Result<Summary, StorageError> {
        let Some(summary) = self.snapshot.summary(self.tree)? else { return Ok(Summary::default()) };
        if summary.flips {
            return Err(StorageError::Flipping);
        }
        let mut first_tips = [None; NAMED_TIPS];
        let tips = self.snapshot.tips(self.tree, None, NAMED_TIPS)?;
        if tips.len() as u64 != summary.tips.count.min(NAMED_TIPS as u64) {
            return Err(StorageError::Damaged("the list of tips does not fit its total".into()));
        }
        for (to, tip) in first_tips.iter_mut().zip(tips) {
            *to = Some(tip);
        }
        let arrival = Token { epoch: summary.epoch, number: summary.arrival };
        Ok(Summary { measure: summary.measure, tips: summary.tips, first_tips, arrival })
    }

    fn measure(&self, range: &Range) -> Result<Measure, StorageError> {
        self.snapshot.measure(self.tree, range)
    }

    fn nth(&self, range: &Range, n: u64) -> Result<Option<Position>, StorageError> {
        self.snapshot.nth(self.tree, range, n)
    }

    fn positions(&self, range: &Range, limit: usize) -> Result<Vec<Position>, StorageError> {
        self.snapshot.positions(self.tree, range, limit)
    }

    fn held(&self, ids: &[Id]) -> Result<Vec<Position>, StorageError> {
        let headers = self.snapshot.headers(self.tree, ids)?;
        Ok(headers
            .into_iter()
            .flatten()
            .filter(|header| header.shared)
            .map(|header| header.position)
            .collect())
    }

    fn tips(&self, limit: usize) -> Result<Vec<Position>, StorageError> {
        self.snapshot.tips(self.tree, None, limit)
    }

    fn parents(&self, id: &Id) -> Result<(Vec<Position>, usize), StorageError> {
        let Some(entry) = self.snapshot.entry(self.tree, id)? else { return Ok((Vec::new(), 0)) };
        let parents: Vec<Id> = entry.view().parents().iter().collect();
        Ok((self.held(&parents)?, entry.bytes().len()))
    }
}

/// Answers a query from a snapshot. A tree that the store does not hold is the empty set.
pub fn answer(snapshot: &dyn Snapshot, tree: &Id, query: &Query) -> Result<OwnedAnswer, StorageError> {
    answer_from(&Tree { snapshot, tree }, query)
}

/// Answers a query from any set.
pub fn answer_from<S: Source>(source: &S, query: &Query) -> Result<OwnedAnswer, S::Error> {
    Ok(match query {
        Query::Summary => OwnedAnswer::Summary(source.summary()?),
        Query::Measure(ranges) => {
            let measures = ranges.iter().map(|range| source.measure(range));
            OwnedAnswer::Measures(measures.collect::<Result<_, _>>()?)
        }
        Query::Split { range, cut } => OwnedAnswer::Parts(split(source, range, *cut)?),
        Query::Positions { range, limit } => OwnedAnswer::Positions(source.positions(range, *limit)?),
        Query::Held(ids) => {
            let mut held = source.held(ids)?;
            held.sort_unstable();
            OwnedAnswer::Positions(held)
        }
        Query::Beside { tips, claims, salt, count, limit } => {
            let other = Other { tips, claims, salt: *salt };
            OwnedAnswer::Ranges(beside(source, &other, *count, *limit)?)
        }
    })
}

/// The parts of a range: a cut lies between two entries, as short as can be.
fn split<S: Source>(source: &S, range: &Range, cut: Cut) -> Result<Vec<Part>, S::Error> {
    let count = source.measure(range)?.count;
    let mut parts = Vec::new();
    let mut start = range.start;
    for end in ends(count, cut) {
        let last = source.nth(range, end.saturating_sub(1))?;
        let next = if end < count { source.nth(range, end)? } else { None };
        let bound = match (last, next) {
            (Some(last), Some(next)) => separator(&last, &next),
            (Some(last), None) => {
                Position { height: last.height.saturating_add(1), id: Id::MIN }.min(range.end)
            }
            _ => break,
        };
        if bound > start {
            let measure = source.measure(&Range { start, end: bound })?;
            parts.push(Part { end: bound, measure });
            start = bound;
        }
    }
    Ok(parts)
}

/// How many of the entries lie below each cut, ascending; the last is all of them.
fn ends(count: u64, cut: Cut) -> Vec<u64> {
    if count == 0 {
        return Vec::new();
    }
    match cut {
        Cut::Even(parts) => {
            let parts = u64::from(parts).clamp(1, count);
            // Below 2^48 entries and 2^16 parts nothing overflows.
            (1..=parts).map(|part| count.saturating_mul(part).checked_div(parts).unwrap_or(count)).collect()
        }
        Cut::Newest => {
            let mut ends = Vec::new();
            let mut left = count;
            for size in PARTS {
                if left == 0 {
                    break;
                }
                ends.push(left);
                left = left.saturating_sub(size);
            }
            if left > 0 {
                ends.push(left);
            }
            ends.reverse();
            ends
        }
    }
}
