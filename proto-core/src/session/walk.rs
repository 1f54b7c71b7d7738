//! Walking down from the tips: what a set holds beside another that is a part of it.
//!
//! Two walks are tried. The first takes every entry that it meets as missing there, as long as the other set's own
//! counts allow, range by range, and turns away where they do not: it reads only what it finds, however deep that
//! lies. Whether it guessed right shows when what is left has the other set's fingerprints. The second knows, and
//! reads all that lies above the lowest entry that it finds.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec,
    vec::Vec,
};

use crate::{
    Id, Position, Range,
    storage::Measure,
    wire::{Prefix, Salt},
};

use super::{Claim, Holds, Source};

/// Entries read at least before the second walk gives up.
const FREE: u64 = 4_096;

/// Entries read for each that is looked for: as many branches of the same length may lie beside it.
const FOR_EACH: u64 = 8;

/// Bytes read before a walk gives up: entries can be long.
const BYTES: usize = 16 * 1024 * 1024;

/// What is known of the other set.
pub(super) struct Other<'a> {
    pub(super) tips: &'a [Id],
    pub(super) claims: &'a [Claim],
    pub(super) salt: Salt,
}

/// The ranges of entries that are neither among the other set's tips nor ancestors of them, if these are `count`
/// entries in at most `limit` ranges, and are found within the bounds above; else none.
pub(super) fn beside<S: Source>(
    source: &S,
    other: &Other<'_>,
    count: u64,
    limit: usize,
) -> Result<Vec<Range>, S::Error> {
    if source.held(other.tips)?.len() < other.tips.len() {
        return Ok(Vec::new());
    }
    let mut found = guess(source, other, count)?;
    if found.is_empty() {
        found = know(source, other.tips, count)?;
    }
    runs(source, &found, limit)
}

/// A range of which the other set has claimed something.
struct Part<'a> {
    start: Position,
    claim: &'a Claim,
    own: Measure,
    found: Measure,
}

impl Part<'_> {
    /// Whether what is left without what was found is what was claimed.
    fn holds<S: Source>(&self, source: &S, salt: Salt, found: &[Position]) -> Result<bool, S::Error> {
        match &self.claim.holds {
            Holds::Fingerprint(claimed) => Ok(salt.fingerprint(&self.own.minus(self.found)) == *claimed),
            Holds::Listed(claimed) => {
                let own = usize::try_from(self.own.count).unwrap_or(usize::MAX);
                let range = Range { start: self.start, end: self.claim.end };
                let own = source.positions(&range, own)?;
                let left = own.iter().filter(|position| found.binary_search(position).is_err());
                Ok(left.map(|position| Prefix::new(&salt, &position.id)).eq(claimed.iter().copied()))
            }
        }
    }
}

/// The first walk.
fn guess<S: Source>(source: &S, other: &Other<'_>, count: u64) -> Result<Vec<Position>, S::Error> {
    let mut parts = Vec::new();
    let mut start = Position::MIN;
    for claim in other.claims {
        let own = source.measure(&Range { start, end: claim.end })?;
        if own.count < claim.count {
            return Ok(Vec::new());
        }
        parts.push(Part { start, claim, own, found: Measure::default() });
        start = claim.end;
    }
    // A tip of mine that the other set holds is one of its tips: all others are missing there.
    let most = usize::try_from(count).unwrap_or(usize::MAX).saturating_add(other.tips.len());
    let tips = source.tips(most.saturating_add(1))?;
    if tips.len() > most {
        return Ok(Vec::new());
    }
    let mut front: BTreeSet<Position> = tips.into_iter().collect();
    let mut found = Vec::new();
    let mut bytes = 0_usize;
    while let Some(position) = front.pop_last() {
        let at = parts.partition_point(|part| part.claim.end <= position);
        let Some(part) = parts.get_mut(at) else { break };
        let missing = part.own.count.saturating_sub(part.claim.count);
        if part.found.count >= missing || other.tips.contains(&position.id) {
            continue;
        }
        part.found = part.found.plus(Measure::of(position.id));
        found.push(position);
        let (parents, read) = source.parents(&position.id)?;
        bytes = bytes.saturating_add(read);
        if bytes > BYTES {
            break;
        }
        front.extend(parents);
    }
    found.reverse();
    if found.len() as u64 != count {
        return Ok(Vec::new());
    }
    for part in &parts {
        if !part.holds(source, other.salt, &found)? {
            return Ok(Vec::new());
        }
    }
    Ok(found)
}

/// The second walk. Heights fall from children to parents, so whoever takes the highest entry first has seen all its
/// children: whether it is an ancestor of a named tip is then certain.
fn know<S: Source>(source: &S, tips: &[Id], count: u64) -> Result<Vec<Position>, S::Error> {
    let reads = count.saturating_mul(FOR_EACH).saturating_add(FREE);
    let most = usize::try_from(reads).unwrap_or(usize::MAX);
    let own = source.tips(most.saturating_add(1))?;
    if own.len() > most {
        return Ok(Vec::new());
    }
    // Whether each is known to be an ancestor.
    let mut front: BTreeMap<Position, bool> = own.into_iter().map(|tip| (tip, false)).collect();
    front.extend(source.held(tips)?.into_iter().map(|tip| (tip, true)));
    let mut found = Vec::new();
    let mut bytes = 0_usize;
    for _ in 0..reads {
        let Some((position, ancestor)) = front.pop_last() else { break };
        if !ancestor {
            found.push(position);
            if found.len() as u64 == count {
                found.reverse();
                return Ok(found);
            }
        }
        let (parents, read) = source.parents(&position.id)?;
        bytes = bytes.saturating_add(read);
        if bytes > BYTES {
            break;
        }
        for parent in parents {
            *front.entry(parent).or_default() |= ancestor;
        }
    }
    Ok(Vec::new())
}

/// The ranges that hold exactly these ascending entries, if at most `limit`: halved until a half has no gap.
fn runs<S: Source>(source: &S, entries: &[Position], limit: usize) -> Result<Vec<Range>, S::Error> {
    let mut ranges: Vec<(Range, u64)> = Vec::new();
    let mut halves = vec![entries];
    while let Some(half) = halves.pop() {
        let (Some(first), Some(last)) = (half.first(), half.last()) else { continue };
        let range = Range { start: *first, end: last.next() };
        let count = half.len() as u64;
        if source.measure(&range)?.count != count {
            let (low, high) = half.split_at(half.len() / 2);
            halves.extend([high, low]);
            continue;
        }
        if let Some((before, held)) = ranges.last_mut() {
            let both = Range { start: before.start, end: range.end };
            let sum = held.saturating_add(count);
            if source.measure(&both)?.count == sum {
                (*before, *held) = (both, sum);
                continue;
            }
        }
        ranges.push((range, count));
        if ranges.len() > limit {
            return Ok(Vec::new());
        }
    }
    Ok(ranges.into_iter().map(|(range, _)| range).collect())
}
