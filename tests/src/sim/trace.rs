//! What happened: a hash over all of it, the last of it in words, and a picture.

use std::{
    collections::VecDeque,
    fmt::{self, Write as _},
};

/// Lines that are kept for people.
const LINES: usize = 4_000;

/// Columns of the picture.
const COLUMNS: usize = 160;

/// A mark in the picture: of those in one cell the one highest in this list is seen.
const MARKS: [(char, &str); 11] = [
    ('!', "an invariant broke"),
    ('X', "the process died"),
    ('R', "it came back"),
    ('D', "its disk failed"),
    ('P', "it was cut off, or stood still"),
    ('C', "its clock changed"),
    ('h', "a hostile peer came"),
    ('s', "settings were written"),
    ('d', "a request for access was decided"),
    ('w', "values were written"),
    ('+', "entries came"),
];

/// The record of one run.
pub(super) struct Trace {
    hash: u64,
    lines: VecDeque<(u64, usize, String)>,
    marks: Vec<(u64, usize, char)>,
    /// Whether lines are kept.
    pub(super) words: bool,
}

impl Trace {
    pub(super) const fn new() -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, lines: VecDeque::new(), marks: Vec::new(), words: true }
    }

    /// The hash over all that happened so far.
    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) const fn number(&mut self, number: u64) {
        self.hash = (self.hash.rotate_left(5) ^ number).wrapping_mul(0x9fb2_1c65_1e98_df25);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        let (eights, rest) = bytes.as_chunks::<8>();
        for eight in eights {
            self.number(u64::from_le_bytes(*eight));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.number(u64::from_le_bytes(last));
    }

    pub(super) fn say(&mut self, at: u64, host: usize, what: fmt::Arguments<'_>) {
        if self.words {
            if self.lines.len() == LINES {
                self.lines.pop_front();
            }
            self.lines.push_back((at, host, what.to_string()));
        }
    }

    pub(super) fn mark(&mut self, at: u64, host: usize, mark: char) {
        if self.words && self.marks.last() != Some(&(at, host, mark)) {
            self.marks.push((at, host, mark));
        }
    }

    /// A lane for each node over time, and what happened last.
    pub(super) fn picture(&self, hosts: usize, end: u64) -> String {
        let mut text = String::new();
        let width = (end / COLUMNS as u64).max(1);
        let _ = writeln!(text, "Each column is {width} ms, up to {end} ms.");
        for (mark, said) in MARKS {
            let _ = write!(text, "{mark} {said}; ");
        }
        text.push('\n');
        let rank = |mark: char| MARKS.iter().position(|(known, _)| *known == mark).unwrap_or(MARKS.len());
        let mut lanes = vec![vec!['.'; COLUMNS + 1]; hosts];
        for (at, host, mark) in &self.marks {
            let column = usize::try_from(at / width).unwrap_or(COLUMNS).min(COLUMNS);
            if let Some(cell) = lanes.get_mut(*host).map(|lane| &mut lane[column])
                && rank(*mark) < rank(*cell)
            {
                *cell = *mark;
            }
        }
        for (host, lane) in lanes.iter().enumerate() {
            let _ = writeln!(text, "{host:>3} {}", lane.iter().collect::<String>());
        }
        let _ = writeln!(text, "\nThe last {} of what happened: milliseconds, node, what.", self.lines.len());
        for (at, host, line) in &self.lines {
            let _ = writeln!(text, "{at:>10} {host:>3} {line}");
        }
        text
    }
}
