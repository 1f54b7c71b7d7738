//! Walking down from the tips: what a set holds beside some tips and their ancestors.

use alloc::{collections::BTreeMap, vec, vec::Vec};

use crate::{Id, Position, Range};

use super::Source;

/// Entries read at least before the walk gives up.
const FREE: u64 = 4_096;

/// Entries read for each that is looked for: as many branches of the same length may lie beside it.
const FOR_EACH: u64 = 8;

/// Bytes read before the walk gives up: entries can be long.
const BYTES: usize = 16 * 1024 * 1024;

/// The ranges of entries that are neither among `tips` nor ancestors of them, if these are `count` entries in at most
/// `limit` ranges, and are found within the bounds above; else none.
///
/// Heights fall from children to parents, so whoever takes the highest entry first has seen all its children: whether
/// it is an ancestor of a named tip is then certain.
pub(super) fn beside<S: Source>(
    source: &S,
    tips: &[Id],
    count: u64,
    limit: usize,
) -> Result<Vec<Range>, S::Error> {
    let reads = count.saturating_mul(FOR_EACH).saturating_add(FREE);
    let most = usize::try_from(reads).unwrap_or(usize::MAX);
    let named = source.held(tips)?;
    let own = source.tips(most.saturating_add(1))?;
    if named.len() < tips.len() || own.len() > most {
        return Ok(Vec::new());
    }
    // Whether each is known to be an ancestor.
    let mut front: BTreeMap<Position, bool> = own.into_iter().map(|tip| (tip, false)).collect();
    front.extend(named.into_iter().map(|tip| (tip, true)));
    let mut found = Vec::new();
    let mut bytes = 0_usize;
    for _ in 0..reads {
        let Some((position, ancestor)) = front.pop_last() else { break };
        if !ancestor {
            found.push(position);
            if found.len() as u64 == count {
                found.reverse();
                return runs(source, &found, limit);
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
