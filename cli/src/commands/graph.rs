//! A drawing of how entries build on each other, one row an entry, newest first.
//!
//! ```text
//! *-.      a merge of two parents: a lane begins
//! | *      an entry on the right lane
//! * |      an entry on the left lane
//! *-'      their common parent: the lane ends
//! ```

use pleach_core::Id;

/// Lanes drawn at most: beyond, a terminal shows nothing useful.
const MAX_LANES: usize = 24;

/// The lanes between one row and the next: each waits for an entry.
#[derive(Default)]
pub(super) struct Graph {
    lanes: Vec<Option<Id>>,
}

impl Graph {
    /// The row of the next entry. Entries come children first.
    pub(super) fn row(&mut self, id: Id, parents: &[Id]) -> String {
        let column = self.lane_of(id);
        let mut row = Row::new(&self.lanes, column);
        for (lane, waits) in self.lanes.iter_mut().enumerate() {
            if lane != column && *waits == Some(id) {
                *waits = None;
                row.join(lane, '\'');
            }
        }
        if let Some(lane) = self.lanes.get_mut(column) {
            *lane = parents.first().copied();
        }
        for parent in parents.iter().skip(1) {
            if let Some(lane) = self.lanes.iter().position(|waits| waits == &Some(*parent)) {
                row.join(lane, '+');
            } else {
                let lane = self.free_lane(&row);
                self.lanes[lane] = Some(*parent);
                row.join(lane, '.');
            }
        }
        while self.lanes.last() == Some(&None) {
            self.lanes.pop();
        }
        row.draw()
    }

    /// The leftmost lane that waits for an entry, or a new one.
    fn lane_of(&mut self, id: Id) -> usize {
        self.lanes.iter().position(|waits| *waits == Some(id)).unwrap_or_else(|| {
            let lane = self.lanes.iter().position(Option::is_none).unwrap_or(self.lanes.len());
            if lane == self.lanes.len() {
                self.lanes.push(None);
            }
            lane
        })
    }

    /// A lane in which this row draws nothing yet.
    fn free_lane(&mut self, row: &Row) -> usize {
        let free = (0..self.lanes.len()).find(|lane| self.lanes[*lane].is_none() && row.is_empty(*lane));
        free.unwrap_or_else(|| {
            self.lanes.push(None);
            self.lanes.len() - 1
        })
    }
}

/// The characters of one row, two for each lane.
struct Row {
    cells: Vec<char>,
    column: usize,
}

impl Row {
    fn new(lanes: &[Option<Id>], column: usize) -> Self {
        let lane = |(n, waits): (usize, &Option<Id>)| {
            [
                if n == column {
                    '*'
                } else if waits.is_some() {
                    '|'
                } else {
                    ' '
                },
                ' ',
            ]
        };
        Self { cells: lanes.iter().enumerate().flat_map(lane).collect(), column }
    }

    fn is_empty(&self, lane: usize) -> bool {
        self.cells.get(lane * 2).is_none_or(|cell| *cell == ' ')
    }

    /// Draws a line from the entry to a lane.
    fn join(&mut self, lane: usize, end: char) {
        let (from, to) = (self.column.min(lane) * 2, self.column.max(lane) * 2);
        if self.cells.len() < to + 2 {
            self.cells.resize(to + 2, ' ');
        }
        for cell in &mut self.cells[from + 1..to] {
            *cell = match *cell {
                ' ' => '-',
                '|' => '+',
                drawn => drawn,
            };
        }
        self.cells[lane * 2] = end;
    }

    fn draw(&self) -> String {
        let row: String = self.cells.iter().take(MAX_LANES * 2).collect();
        row.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(entries: &[(&str, &[&str])]) -> Vec<String> {
        let id = |name: &&str| Id::of(name.as_bytes());
        let mut graph = Graph::default();
        entries
            .iter()
            .map(|(name, parents)| graph.row(id(name), &parents.iter().map(id).collect::<Vec<_>>()))
            .collect()
    }

    #[test]
    fn a_fork_and_its_merge_are_drawn() {
        let rows = draw(&[("d", &["b", "c"]), ("c", &["a"]), ("b", &["a"]), ("a", &[])]);
        assert_eq!(rows, ["*-.", "| *", "* |", "*-'"]);
    }

    #[test]
    fn several_tips_have_lanes_of_their_own_and_lines_cross() {
        let rows =
            draw(&[("x", &["a"]), ("y", &["b"]), ("z", &["c", "a"]), ("c", &[]), ("b", &[]), ("a", &[])]);
        assert_eq!(rows, ["*", "| *", "+-+-*", "| | *", "| *", "*"]);
    }
}
