//! What is known of each range of positions: a bounded, sorted list without gaps.

use heapless::Vec;

use crate::Position;

/// What one side knows of a range, and therefore says next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// Both sides hold the same, or what differs is on its way or in [`super::moves::Moves`].
    Settled,
    /// What I lack comes with the message being read; what the peer lacks goes with the one being written.
    Promised,
    /// Nothing is known.
    Open,
    /// I hold nothing here.
    Empty,
    /// The peer holds few, I hold many: it shall list.
    Ask,
    /// We differ, and I hold this many.
    Differs(u64),
    /// To the peer's list.
    Answer { check: u32, wanted: u64 },
}

impl State {
    /// Whether ranges with this state that touch are one range.
    fn merges(self, other: Self) -> bool {
        self == other && !matches!(self, Self::Differs(_) | Self::Answer { .. })
    }

    /// Whether entries above such a range could lack parents inside it that the peer is yet to get.
    pub(super) fn blocks(self) -> bool {
        matches!(self, Self::Open | Self::Ask | Self::Differs(_))
    }

    /// Whether such a range can be cut in two: a list and its answer cannot.
    fn divides(self) -> bool {
        !matches!(self, Self::Answer { .. })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) end: Position,
    pub(super) state: State,
}

/// Ranges from `start` on, each from the end of the one before it. What lies behind the last is settled.
///
/// When a row too many comes, it and all behind it become one open range: `cut` says from where. So the lowest
/// ranges, those that raise the floor, are never lost, and the smallest table still makes progress.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Table<const R: usize> {
    pub(super) start: Position,
    pub(super) rows: Vec<Row, R>,
    /// From here on everything is open, for lack of room.
    pub(super) cut: Option<Position>,
}

impl<const R: usize> Table<R> {
    /// A table in which everything from `start` is settled.
    pub(super) const fn settled(start: Position) -> Self {
        Self { start, rows: Vec::new(), cut: None }
    }

    /// A table in which everything is open.
    pub(super) fn open() -> Self {
        let mut table = Self::settled(Position::MIN);
        table.push(Position::END, State::Open);
        table
    }

    /// Everything from `start` is settled. In place, as all here: a host's table is tens of kilobytes.
    pub(super) fn settle(&mut self, start: Position) {
        self.start = start;
        self.rows.clear();
        self.cut = None;
    }

    /// Everything is open.
    pub(super) fn open_all(&mut self) {
        self.settle(Position::MIN);
        self.push(Position::END, State::Open);
    }

    /// Where the last row ends.
    pub(super) fn end(&self) -> Position {
        self.rows.last().map_or(self.start, |row| row.end)
    }

    /// The rows with their starts.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (Position, Row)> + '_ {
        self.rows.iter().scan(self.start, |start, row| {
            let from = core::mem::replace(start, row.end);
            Some((from, *row))
        })
    }

    /// Adds the next range.
    pub(super) fn push(&mut self, end: Position, state: State) {
        let from = self.end();
        let end = match self.cut {
            // What lies behind the cut is open, whatever was found out about it.
            Some(cut) if state.divides() => end.min(cut),
            _ => end,
        };
        if end <= from || self.cut.is_some_and(|cut| cut <= from) {
            return;
        }
        if let Some(last) = self.rows.last_mut()
            && last.state.merges(state)
        {
            last.end = end;
        } else if self.rows.is_empty() && state == State::Settled {
            self.start = end;
        } else if self.rows.len().saturating_add(1) >= R && state != State::Settled {
            // One row is kept for the open rest.
            self.reopen(from);
        } else if self.rows.push(Row { end, state }).is_err() {
            self.reopen(from);
        }
    }

    /// Everything from `from` on shall be open again, once the table is complete.
    pub(super) fn reopen(&mut self, from: Position) {
        self.cut = Some(self.cut.map_or(from, |cut| cut.min(from)));
    }

    /// Carries out what [`Table::reopen`] asked for; returns from where everything is now open.
    pub(super) fn settle_cut(&mut self) -> Option<Position> {
        let mut cut = self.cut.take()?.max(self.start);
        while let Some(last) = self.rows.last().copied() {
            let before = self.rows.len().saturating_sub(2);
            let from = if self.rows.len() < 2 {
                self.start
            } else {
                self.rows.get(before).map_or(self.start, |row| row.end)
            };
            if last.end <= cut {
                break;
            }
            let keeps = from < cut && last.state.divides() && self.rows.len() < R;
            if keeps {
                if let Some(last) = self.rows.last_mut() {
                    last.end = cut;
                }
                break;
            }
            if from < cut {
                cut = from;
            }
            self.rows.pop();
        }
        if self.end() < cut {
            self.push_plain(cut, State::Settled);
        }
        self.push_plain(Position::END, State::Open);
        Some(cut)
    }

    fn push_plain(&mut self, end: Position, state: State) {
        if let Some(last) = self.rows.last_mut()
            && (last.state.merges(state) || last.state == State::Open)
        {
            last.end = end;
            return;
        }
        if self.rows.is_empty() && state == State::Settled {
            self.start = end;
            return;
        }
        if self.rows.push(Row { end, state }).is_err()
            && let Some(last) = self.rows.last_mut()
        {
            *last = Row { end, state: State::Open };
        }
    }

    /// What was promised below `bound` has come; what was promised beyond it has not. Settled ranges at the front
    /// raise the start: this is the floor.
    pub(super) fn promises_kept(&mut self, bound: Option<Position>) {
        let old = core::mem::replace(self, Self::settled(self.start));
        for (start, row) in old.ranges() {
            match (row.state, bound) {
                (State::Promised, Some(bound)) if bound <= start => self.push(row.end, State::Open),
                (State::Promised, Some(bound)) if bound < row.end => {
                    self.push(bound, State::Settled);
                    self.push(row.end, State::Open);
                }
                (State::Promised, _) => self.push(row.end, State::Settled),
                (state, _) => self.push(row.end, state),
            }
        }
        self.settle_cut();
        while matches!(self.rows.last(), Some(row) if row.state == State::Settled) {
            self.rows.pop();
        }
    }

    /// Whether nothing is left to be said.
    pub(super) fn is_settled(&self) -> bool {
        self.rows.iter().all(|row| row.state == State::Settled)
    }

    /// The lowest range that is not settled.
    pub(super) fn lowest(&self) -> Option<(Position, Row)> {
        self.ranges().find(|(_, row)| row.state != State::Settled)
    }

    /// Below here the peer lacks nothing but what waits to be pushed.
    pub(super) fn first_blocking(&self) -> Option<Position> {
        self.ranges().find(|(_, row)| row.state.blocks()).map(|(start, _)| start)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::Id;

    fn place(height: u64) -> Position {
        Position { height, id: Id::of(b"any") }
    }

    fn table<const R: usize>(rows: &[(u64, State)]) -> Table<R> {
        let mut table = Table::settled(Position::MIN);
        for (end, state) in rows {
            table.push(place(*end), *state);
        }
        table
    }

    fn rows<const R: usize>(table: &Table<R>) -> Vec<(u64, State)> {
        table.rows.iter().map(|row| (row.end.height, row.state)).collect()
    }

    #[test]
    fn a_promise_is_kept_below_the_bound_and_changes_no_other_range() {
        let promised = [(10, State::Promised), (20, State::Empty), (40, State::Promised)];
        let kept = |bound: Option<u64>| {
            let mut table = table::<8>(&promised);
            table.promises_kept(bound.map(place));
            (table.start, rows(&table))
        };
        let (at, open, empty) = (place(10), State::Open, State::Empty);
        assert_eq!(kept(None), (at, [(20, empty)].into()));
        assert_eq!(kept(Some(40)), (at, [(20, empty)].into()));
        let third = State::Settled;
        assert_eq!(kept(Some(30)), (at, [(20, empty), (30, third), (40, open)].into()));
        assert_eq!(kept(Some(15)), (at, [(20, empty), (40, open)].into()));
        assert_eq!(kept(Some(5)), (place(5), [(10, open), (20, empty), (40, open)].into()));
    }

    #[test]
    fn the_last_row_of_a_table_is_kept_for_what_stays_open() {
        let two = [(10, State::Empty), (20, State::Ask)];
        let with = |state| table::<3>(&[two[0], two[1], (30, state)]);
        assert_eq!((with(State::Settled).cut, rows(&with(State::Settled)).len()), (None, 3));
        let mut full = with(State::Empty);
        assert_eq!(full.settle_cut(), Some(place(20)));
        assert_eq!(rows(&full), [two[0], two[1], (Position::END.height, State::Open)]);
    }
}
