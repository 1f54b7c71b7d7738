//! The order of entries: by height, then by id, so that parents sort before children.

use serde::{Deserialize, Serialize};

use crate::Id;

/// Where an entry stands in its tree. Parents always sort before children, since heights rise.
///
/// ```
/// # use pleach_core::{Id, Position};
/// let parent = Position { height: 1, id: Id::of(b"parent") };
/// let child = Position { height: 2, id: Id::of(b"child") };
/// assert!(parent < child && parent.next() <= child && parent < parent.next());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// 1 + the highest parent's height; 0 for a root.
    pub height: u64,
    /// The entry.
    pub id: Id,
}

impl Position {
    /// The position before all others.
    pub const MIN: Self = Self { height: 0, id: Id::MIN };
    /// The position after every valid entry.
    pub const END: Self = Self { height: crate::limits::HEIGHT_END, id: Id::MIN };

    /// The lowest position above this one.
    #[must_use]
    pub fn next(&self) -> Self {
        let mut id = *self.id.as_bytes();
        for byte in id.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                return Self { height: self.height, id: Id::from_bytes(id) };
            }
        }
        Self { height: self.height.saturating_add(1), id: Id::MIN }
    }
}

/// The positions from `start` (included) to `end` (excluded).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Range {
    /// The first position inside.
    pub start: Position,
    /// The first position beyond.
    pub end: Position,
}

impl Range {
    /// Every position.
    pub const ALL: Self = Self { start: Position::MIN, end: Position::END };

    /// Whether the position lies inside.
    pub fn contains(&self, position: &Position) -> bool {
        self.start <= *position && *position < self.end
    }

    /// Whether no position lies inside.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_lies_between_a_position_and_the_next() {
        let low = Position { height: 3, id: Id::MIN };
        let mut one = [0; 32];
        one[31] = 1;
        assert_eq!(low.next(), Position { height: 3, id: Id::from_bytes(one) });
        assert_eq!(Position { height: 3, id: Id::MAX }.next(), Position { height: 4, id: Id::MIN });
    }

    #[test]
    fn a_range_holds_its_start_and_not_its_end() {
        let at = |height| Position { height, id: Id::MIN };
        let range = Range { start: at(3), end: at(5) };
        assert_eq!([2, 3, 4, 5].map(|height| range.contains(&at(height))), [false, true, true, false]);
        assert!(!range.is_empty() && Range { start: at(3), end: at(3) }.is_empty());
    }
}
