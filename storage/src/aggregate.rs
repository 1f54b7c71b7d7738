//! Counts and sums of ranges in O(log n): a tree of aggregates above the entries, kept in an ordered table.
//!
//! Level 0 are the entries. At each level above, the positions are cut into *nodes*: a node starts at the lowest
//! position of all or at an entry whose *rank* is at least that level, goes up to the next start of the level, and
//! holds the measure of the entries in between. One entry in [`LEAF`] has rank 1 or more, and of those at each rank
//! one in [`FAN`] goes higher. The rank is a keyed hash of the id, so the shape depends on the set alone, not on the
//! order in which it grew; the key is a secret of the store, so nobody can grind ids that make a node large.

use std::ops::Range as Between;

use pleach_core::{
    Id, Position, Range,
    storage::{Measure, StorageError},
};

use crate::{
    changes::Changes,
    layout::{Table, TreeNumber, split_position},
    record::{Measured, damaged, decode, encode},
    tables::{Flow, Order, Overlay, Span, View},
};

/// Entries below a node of level 1, on average: what the end of a range costs in header keys.
const LEAF: u64 = 64;

/// Nodes below a node of the levels above, on average.
const FAN: u64 = 16;

/// Levels above the entries: below a node of the highest lie 64 · 16^5 = 67 million entries.
const LEVELS: u8 = 6;

/// The aggregates of one tree.
#[derive(Clone, Copy)]
pub(crate) struct Aggregates<'a> {
    pub(crate) tree: TreeNumber,
    /// The store's secret.
    pub(crate) salt: &'a [u8; 32],
}

/// A node of some level: where it starts, and what it holds.
#[derive(Clone, Copy)]
struct Node {
    start: Position,
    measure: Measure,
}

impl Aggregates<'_> {
    /// Entries of a range, and the sum of their ids.
    pub(crate) fn measure(self, view: &impl View, range: &Range) -> Result<Measure, StorageError> {
        if range.is_empty() {
            return Ok(Measure::default());
        }
        let before = self.before(view, &range.start)?;
        Ok(self.before(view, &range.end)?.minus(before))
    }

    /// The position of the `n`-th entry of a range.
    pub(crate) fn nth(
        self,
        view: &impl View,
        range: &Range,
        n: u64,
    ) -> Result<Option<Position>, StorageError> {
        if range.is_empty() {
            return Ok(None);
        }
        let mut left = self.before(view, &range.start)?.count.saturating_add(n);
        let mut start = Position::MIN;
        for level in (1..=LEVELS).rev() {
            let mut inside = start;
            let found = self.nodes(view, level, start, &range.end, &mut |node| {
                inside = node.start;
                if left < node.measure.count {
                    return Flow::Break(());
                }
                left -= node.measure.count;
                Flow::Continue(())
            })?;
            if !found {
                return Ok(None);
            }
            start = inside;
        }
        let mut found = None;
        self.entries(view, &Range { start, end: range.end }, &mut |position| {
            if left == 0 {
                found = Some(position);
                return Flow::Break(());
            }
            left -= 1;
            Flow::Continue(())
        })?;
        Ok(found)
    }

    /// The measure of all entries before a position.
    fn before(self, view: &impl View, end: &Position) -> Result<Measure, StorageError> {
        let mut total = Measure::default();
        let mut start = Position::MIN;
        for level in (1..=LEVELS).rev() {
            // The last node before the end may reach beyond it, so the level below goes on from its start.
            let mut last: Option<Node> = None;
            self.nodes(view, level, start, end, &mut |node| {
                if let Some(last) = last.replace(node) {
                    total = total.plus(last.measure);
                }
                Flow::Continue(())
            })?;
            match last {
                Some(last) => start = last.start,
                None => return Ok(total),
            }
        }
        self.entries(view, &Range { start, end: *end }, &mut |position| {
            total = total.plus(Measure::of(position.id));
            Flow::Continue(())
        })?;
        Ok(total)
    }

    /// Takes new positions in, ascending, after their headers were put. Costs a few nodes for each stretch of the
    /// tree that they fall into.
    pub(crate) fn insert<V: View>(
        self,
        overlay: &mut Overlay<V>,
        new: &[Position],
    ) -> Result<(), StorageError> {
        let ranks: Vec<u8> = new.iter().map(|position| self.rank(&position.id)).collect();
        for level in 1..=LEVELS {
            let mut at = 0;
            while let Some(first) = new.get(at) {
                let (node, end) = self.node_around(overlay, level, first)?;
                let stretch = at..at + new.get(at..).unwrap_or_default().partition_point(|p| *p < end);
                at = stretch.end;
                self.grow(overlay, level, node, end, new, &ranks, stretch)?;
            }
        }
        Ok(())
    }

    /// Makes the nodes around positions that came or went anew, after the headers say so. `changed` ascends.
    pub(crate) fn renew<V: View>(
        self,
        overlay: &mut Overlay<V>,
        changed: &[Position],
    ) -> Result<(), StorageError> {
        for level in 1..=LEVELS {
            // A node that began at one of them begins there no more, unless it is rebuilt below.
            for position in changed.iter().filter(|position| self.rank(&position.id) >= level) {
                overlay.changes.remove(Table::Aggregates, &self.key(level, position));
            }
            let mut done = Position::MIN;
            for position in changed {
                if *position < done {
                    continue;
                }
                let (node, end) = self.node_around(overlay, level, position)?;
                for node in self.rebuilt(overlay, level, Range { start: node.start, end })? {
                    self.put(&mut overlay.changes, level, node);
                }
                done = end;
            }
        }
        Ok(())
    }

    /// Takes the positions of a stretch into the node of a level that they fall into.
    #[allow(clippy::too_many_arguments)] // one step of `insert`, cut out so that both can be read
    fn grow<V: View>(
        self,
        overlay: &mut Overlay<V>,
        level: u8,
        node: Node,
        end: Position,
        new: &[Position],
        ranks: &[u8],
        stretch: Between<usize>,
    ) -> Result<(), StorageError> {
        let splits = ranks.get(stretch.clone()).unwrap_or_default().iter().any(|rank| *rank >= level);
        if !splits {
            let stretch = new.get(stretch).unwrap_or_default();
            let measure =
                stretch.iter().fold(node.measure, |sum, position| sum.plus(Measure::of(position.id)));
            self.put(&mut overlay.changes, level, Node { measure, ..node });
            return Ok(());
        }
        for node in self.rebuilt(overlay, level, Range { start: node.start, end })? {
            self.put(&mut overlay.changes, level, node);
        }
        Ok(())
    }

    /// The nodes of a level over a range that starts with one of them, from the level below.
    fn rebuilt(self, view: &impl View, level: u8, range: Range) -> Result<Vec<Node>, StorageError> {
        let mut nodes = vec![Node { start: range.start, measure: Measure::default() }];
        let mut add = |start: Position, measure: Measure| {
            let starts_node = start > range.start && self.rank(&start.id) >= level;
            match nodes.last_mut() {
                Some(last) if !starts_node => last.measure = last.measure.plus(measure),
                _ => nodes.push(Node { start, measure }),
            }
            Flow::Continue(())
        };
        if level == 1 {
            self.entries(view, &range, &mut |position| add(position, Measure::of(position.id)))?;
        } else {
            self.nodes(view, level - 1, range.start, &range.end, &mut |node| add(node.start, node.measure))?;
        }
        Ok(nodes)
    }

    /// The node of a level that a position falls into, and where the next one starts. An empty tree has none yet: its
    /// first node is empty.
    fn node_around(
        self,
        view: &impl View,
        level: u8,
        position: &Position,
    ) -> Result<(Node, Position), StorageError> {
        let behind = Span::new(self.key(level, position), self.bound(level, &Position::END))
            .behind(&self.key(level, position));
        let here = Span::new(self.bound(level, &Position::MIN), behind.start.clone());
        let node = match view.first(Table::Aggregates, &here, Order::Descending)? {
            Some((key, value)) => read_node(&key, &value)?,
            None => Node { start: Position::MIN, measure: Measure::default() },
        };
        let end = match view.first(Table::Aggregates, &behind, Order::Ascending)? {
            Some((key, value)) => read_node(&key, &value)?.start,
            None => Position::END,
        };
        Ok((node, end))
    }

    /// Compares every node of the tree with what the entries say; returns how many differ, are missing, or too many.
    pub(crate) fn faults(self, view: &impl View) -> Result<u64, StorageError> {
        let mut faults = 0;
        for level in 1..=LEVELS {
            let mut stored = Vec::new();
            self.nodes(view, level, Position::MIN, &Position::END, &mut |node| {
                stored.push((node.start, node.measure));
                Flow::Continue(())
            })?;
            let rebuilt = self.rebuilt(view, level, Range::ALL)?;
            let differ = rebuilt.iter().zip(&stored).filter(|(a, b)| (a.start, a.measure) != **b).count();
            faults += u64::try_from(differ + rebuilt.len().abs_diff(stored.len())).unwrap_or(u64::MAX);
        }
        Ok(faults)
    }

    /// The level up to which nodes start at this entry.
    fn rank(self, id: &Id) -> u8 {
        let hash = blake3::keyed_hash(self.salt, id.as_bytes());
        let (number, _) = hash.as_bytes().split_first_chunk::<8>().unwrap_or((&[1; 8], &[]));
        let mut left = u64::from_le_bytes(*number);
        if left % LEAF != 0 {
            return 0;
        }
        left /= LEAF;
        let mut rank = 1;
        while rank < LEVELS && left % FAN == 0 {
            left /= FAN;
            rank += 1;
        }
        rank
    }

    /// Shows the nodes of a level from `start` on that begin before `end`; tells whether it was broken off.
    fn nodes(
        self,
        view: &impl View,
        level: u8,
        start: Position,
        end: &Position,
        visit: &mut dyn FnMut(Node) -> Flow,
    ) -> Result<bool, StorageError> {
        let mut broken = false;
        let span = Span::new(self.key(level, &start), self.bound(level, end));
        view.scan(Table::Aggregates, &span, Order::Ascending, &mut |key, value| {
            let flow = visit(read_node(key, value)?);
            broken = flow.is_break();
            Ok(flow)
        })?;
        Ok(broken)
    }

    /// Shows the positions of a range.
    fn entries(
        self,
        view: &impl View,
        range: &Range,
        visit: &mut dyn FnMut(Position) -> Flow,
    ) -> Result<(), StorageError> {
        view.scan(Table::Headers, &self.tree.range(range), Order::Ascending, &mut |key, _| {
            let (_, position) =
                split_position(key).ok_or_else(|| damaged("the headers", "a key is cut short"))?;
            Ok(visit(position))
        })
    }

    fn put(self, changes: &mut Changes, level: u8, node: Node) {
        changes.put(Table::Aggregates, &self.key(level, &node.start), encode(&Measured::from(node.measure)));
    }

    fn key(self, level: u8, start: &Position) -> Vec<u8> {
        self.bound(level, start)
    }

    fn bound(self, level: u8, position: &Position) -> Vec<u8> {
        self.tree.bound(&[level], position)
    }
}

fn read_node(key: &[u8], value: &[u8]) -> Result<Node, StorageError> {
    let (_, start) = split_position(key).ok_or_else(|| damaged("the aggregates", "a key is cut short"))?;
    Ok(Node { start, measure: decode::<Measured>("the aggregates", value)?.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_in_a_leaf_has_a_rank_and_one_in_a_fan_of_those_goes_higher() {
        let aggregates = Aggregates { tree: TreeNumber(0), salt: &[7; 32] };
        let mut reached = [0_u64; LEVELS as usize + 1];
        let count = LEAF * FAN * FAN * 4;
        for number in 0..count {
            let rank = aggregates.rank(&Id::of(&number.to_le_bytes()));
            (0..=rank).for_each(|rank| reached[usize::from(rank)] += 1);
        }
        let near = |found: u64, expected: u64| expected / 2 < found && found < expected * 2;
        assert!(near(reached[1], count / LEAF), "{reached:?}");
        assert!(near(reached[2], count / LEAF / FAN), "{reached:?}");
        assert!(reached[3] < 20, "{reached:?}");
    }
}
