//! What is to be sent: ranges of the sender's own set, ascending and apart.

use heapless::Vec;

use crate::{Position, Range};

/// A bounded sorted list of ranges. On overflow the highest are given up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Moves<const M: usize> {
    ranges: Vec<Range, M>,
}

impl<const M: usize> Moves<M> {
    pub(super) const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    pub(super) fn clear(&mut self) {
        self.ranges.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Range> {
        self.ranges.iter()
    }

    /// Adds a range, merged with those that it touches. Returns the lowest position that was given up for it.
    pub(super) fn add(&mut self, range: Range) -> Option<Position> {
        if range.is_empty() {
            return None;
        }
        let mut range = range;
        let from = self.ranges.partition_point(|other| other.end < range.start);
        while let Some(other) = self.ranges.get(from)
            && other.start <= range.end
        {
            range = Range { start: range.start.min(other.start), end: range.end.max(other.end) };
            self.ranges.remove(from);
        }
        if !self.ranges.is_full() {
            // There is room: the insertion cannot fail.
            let _ = self.ranges.insert(from, range);
            return None;
        }
        if from >= self.ranges.len() {
            return Some(range.start);
        }
        let lost = self.ranges.pop().map(|lost| lost.start);
        let _ = self.ranges.insert(from, range);
        lost
    }

    /// Gives up everything from `from` on.
    pub(super) fn truncate(&mut self, from: Position) {
        while let Some(last) = self.ranges.last_mut() {
            if last.start < from {
                last.end = last.end.min(from);
                return;
            }
            self.ranges.pop();
        }
    }

    /// Everything below `below` was sent.
    pub(super) fn sent(&mut self, below: Position) {
        let gone = self.ranges.partition_point(|range| range.end <= below);
        let left = self.ranges.len().saturating_sub(gone);
        self.ranges.rotate_left(gone);
        self.ranges.truncate(left);
        if let Some(first) = self.ranges.first_mut() {
            first.start = first.start.max(below);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Id;

    fn at(height: u64) -> Position {
        Position { height, id: Id::MIN }
    }

    fn range(start: u64, end: u64) -> Range {
        Range { start: at(start), end: at(end) }
    }

    #[test]
    fn the_highest_is_given_up_when_there_is_no_room() {
        let mut moves = Moves::<2>::new();
        assert_eq!(moves.add(range(5, 6)), None);
        assert_eq!(moves.add(range(9, 10)), None);
        assert_eq!(moves.add(range(1, 2)), Some(at(9)));
        assert_eq!(moves.add(range(7, 8)), Some(at(7)));
        assert_eq!(moves.add(range(2, 5)), None, "it closes the gap");
        assert!(moves.iter().eq([&range(1, 6)]));
        moves.sent(at(3));
        assert!(moves.iter().eq([&range(3, 6)]));
        moves.truncate(at(4));
        assert!(moves.iter().eq([&range(3, 4)]));
    }
}
