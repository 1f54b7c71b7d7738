//! Writing the head of a message: from the table's rows to items of ranges, within budgets for the whole message.

use heapless::Vec;

use crate::{
    Id, Position, Range,
    wire::{Bound, LIST, Mode, RangeItem, append},
};

use super::{
    Answer, BATCH, Cut, Fault, Output, Part, Query, Role, Session, machine::Step, separator, table::State,
};

/// Ids in a message beyond which only short lists are written.
const IDS: u64 = 640;

/// Fingerprints that the ranges which are split share.
const FINGERPRINTS: u64 = 96;

/// Fingerprints that each of them gets at least.
const FEWEST: u64 = 16;

/// Windows of full ids in a message of the last resort: with [`LIST`] ids each, 1,024 ids.
const WINDOWS: u8 = 16;

/// Bytes kept free in the frame, for a last item that says that the rest is open.
const RESERVE: usize = 64;

/// How far the head is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Compose {
    /// Bytes written.
    used: usize,
    /// Where the last item written ends.
    written: Position,
    /// The table's row being written.
    row: usize,
    /// Where the part of it begins that is yet to be written.
    at: Position,
    /// Ranges with at most this many own entries are listed.
    listed: u64,
    /// Own entries in all ranges that are split.
    split: u64,
    /// The first row that was open, if sets differ everywhere below it: it and those above are listed whatever they
    /// hold, as far as so many own entries go.
    dense: Option<(usize, u64)>,
    /// Own entries in the row being listed that are yet to be.
    left: u64,
    /// The topmost differing row, if the peer alone holds anything above it: I am probably just behind.
    behind: Option<usize>,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum What {
    Measure,
    Rows,
    List,
    Split,
    Newest,
    NewestList,
    Windows(u8),
}

impl Compose {
    /// Whether all ranges are written, or the rest found no room and is open.
    fn is_full(&self) -> bool {
        self.written == Position::END
    }
}

impl<const R: usize, const M: usize> Session<R, M> {
    /// Begins to write the ranges behind a head of `used` bytes.
    pub(super) fn compose(&mut self, used: usize, start: Position, outgoing: &mut [u8]) -> Result<(), Fault> {
        let mut state = Compose {
            used,
            written: start,
            row: 0,
            at: self.table.start,
            listed: 0,
            split: 0,
            dense: None,
            left: 0,
            behind: None,
            what: What::Measure,
        };
        if self.role == Role::Initiator && self.run.is_exact() && !self.table.is_settled() {
            state.what = What::Windows(0);
            state.at = self.table.lowest().map_or(Position::END, |(start, _)| start);
            return self.window(state);
        }
        if self.role == Role::Initiator && self.run.begins() {
            state.what = What::Newest;
            self.step = Step::Compose(state);
            return self.give(Output::Query(Query::Split { range: Range::ALL, cut: Cut::Newest }));
        }
        self.compose_rows(state, outgoing)
    }

    /// Goes on with the answer that was asked for.
    pub(super) fn compose_on(
        &mut self,
        mut state: Compose,
        answer: Answer<'_>,
        outgoing: &mut [u8],
    ) -> Result<(), Fault> {
        match (&state.what, answer) {
            (What::Measure, Answer::Measures(measures)) => {
                let open = self.table.rows.iter().position(|row| row.state == State::Open);
                state.dense = open.map(|first| (first, self.density.to_list()));
                let mut measures = measures.iter();
                for row in self.table.rows.iter_mut().filter(|row| row.state == State::Open) {
                    let Some(measure) = measures.next() else { break };
                    row.state = if measure.count == 0 { State::Empty } else { State::Differs(measure.count) };
                }
                self.compose_rows(state, outgoing)
            }
            (What::List, Answer::Positions(mine)) => self.list(state, mine, outgoing),
            (What::Split, Answer::Parts(parts)) => {
                let end = self.table.rows.get(state.row).map_or(Position::END, |row| row.end);
                self.parts(&mut state, parts, end, outgoing);
                state.row = state.row.saturating_add(1);
                state.at = end;
                self.compose_rows(state, outgoing)
            }
            (What::Newest, Answer::Parts(parts)) => self.newest(state, parts, outgoing),
            (What::NewestList, Answer::Positions(mine)) => {
                let top = mine.last().map_or(Position::END, above);
                let mode = Mode::List(self.prefixes(mine));
                self.put(&mut state, top, mode, outgoing);
                self.put(&mut state, Position::END, Mode::Empty, outgoing);
                self.composed(&state)
            }
            (What::Windows(written), Answer::Positions(mine)) => {
                let written = *written;
                self.write_window(state, written, mine, outgoing)
            }
            _ => Err(Fault::Misuse("the answer is not to the query asked")),
        }
    }

    fn compose_rows(&mut self, mut state: Compose, outgoing: &mut [u8]) -> Result<(), Fault> {
        if state.what == What::Measure {
            if self.role == Role::Initiator {
                let open = self.table.ranges().filter(|(_, row)| row.state == State::Open);
                let ranges: Vec<Range, BATCH> =
                    open.map(|(start, row)| Range { start, end: row.end }).take(BATCH).collect();
                if !ranges.is_empty() {
                    self.step = Step::Compose(state);
                    return self.give(Output::Query(Query::Measure(ranges)));
                }
            }
            self.budget(&mut state);
        }
        state.what = What::Rows;
        while let Some(row) = self.table.rows.get(state.row).copied().filter(|_| !state.is_full()) {
            let mode = match row.state {
                State::Settled => None,
                State::Promised => Some(Mode::Sending),
                State::Open => Some(Mode::Open),
                State::Empty => Some(Mode::Empty),
                State::Ask => Some(Mode::Ask),
                State::Answer { check, wanted } => Some(Mode::Answer { check, wanted }),
                State::Differs(count) => return self.differs(state, row.end, count),
            };
            if let Some(mode) = mode {
                self.skip_to(&mut state, outgoing);
                self.put(&mut state, row.end, mode, outgoing);
            }
            state.row = state.row.saturating_add(1);
            state.at = row.end;
        }
        self.composed(&state)
    }

    fn differs(&mut self, mut state: Compose, end: Position, count: u64) -> Result<(), Fault> {
        let range = Range { start: state.at, end };
        let behind = state.behind == Some(state.row) && count > FEWEST.saturating_mul(2);
        let dense = state.dense.is_some_and(|(first, ids)| state.row >= first && ids > 0);
        let query = if dense || (count <= state.listed && !behind) {
            state.what = What::List;
            state.left = count;
            Query::Positions { range, limit: LIST.saturating_add(1) }
        } else {
            state.what = What::Split;
            let share = FINGERPRINTS.saturating_mul(count).checked_div(state.split).unwrap_or(FINGERPRINTS);
            let parts = if behind { FEWEST } else { share.clamp(FEWEST, FINGERPRINTS) };
            Query::Split { range, cut: Cut::Even(u16::try_from(parts).unwrap_or(u16::MAX)) }
        };
        self.step = Step::Compose(state);
        self.give(Output::Query(query))
    }

    /// Decides which ranges are listed: the smallest first, while the message stays within its ids.
    fn budget(&self, state: &mut Compose) {
        let differing = |row: &super::table::Row| match row.state {
            State::Differs(count) => Some(count),
            _ => None,
        };
        let mut counts: Vec<u64, R> = self.table.rows.iter().filter_map(differing).collect();
        counts.sort_unstable();
        let mut ids = 0_u64;
        state.listed = LIST as u64;
        for count in &counts {
            ids = ids.saturating_add(*count);
            if ids > IDS {
                break;
            }
            state.listed = state.listed.max(*count);
        }
        state.split = counts.iter().filter(|count| **count > state.listed).sum();
        let last = self.table.rows.iter().rposition(|row| differing(row).is_some());
        state.behind = last.filter(|last| {
            let above = self.table.rows.get(last.saturating_add(1)..).unwrap_or_default();
            above.first().is_some_and(|row| row.state == State::Empty)
                && above.iter().all(|row| matches!(row.state, State::Empty | State::Settled))
        });
    }

    fn list(&mut self, mut state: Compose, mine: &[Position], outgoing: &mut [u8]) -> Result<(), Fault> {
        let row_end = self.table.rows.get(state.row).map_or(Position::END, |row| row.end);
        self.skip_to(&mut state, outgoing);
        let (listed, rest) = mine.split_at(mine.len().min(LIST));
        let end = match (listed.last(), rest.first()) {
            (Some(last), Some(next)) => separator(last, next),
            _ => row_end,
        };
        let mode = if listed.is_empty() { Mode::Empty } else { Mode::List(self.prefixes(listed)) };
        self.put(&mut state, end, mode, outgoing);
        if end == row_end {
            state.row = state.row.saturating_add(1);
            state.at = row_end;
            return self.compose_rows(state, outgoing);
        }
        if state.is_full() {
            return self.composed(&state);
        }
        state.at = end;
        state.left = state.left.saturating_sub(LIST as u64);
        if let Some((_, ids)) = &mut state.dense {
            *ids = ids.saturating_sub(LIST as u64);
            if *ids == 0 && state.left > state.listed {
                let left = state.left;
                return self.differs(state, row_end, left);
            }
        }
        let range = Range { start: end, end: row_end };
        self.step = Step::Compose(state);
        self.give(Output::Query(Query::Positions { range, limit: LIST.saturating_add(1) }))
    }

    /// Fingerprints of parts, and that nothing is above them: a peer that is merely ahead then pushes at once.
    fn parts(&self, state: &mut Compose, parts: &[Part], end: Position, outgoing: &mut [u8]) {
        self.skip_to(state, outgoing);
        for part in parts {
            let fingerprint = self.fingerprint(&part.measure);
            let mode = Mode::Fingerprint { fingerprint, count: part.measure.count };
            self.put(state, part.end.min(end), mode, outgoing);
        }
        self.put(state, end, Mode::Empty, outgoing);
    }

    fn newest(&mut self, mut state: Compose, parts: &[Part], outgoing: &mut [u8]) -> Result<(), Fault> {
        let Some((_, below)) = parts.split_last() else {
            self.put(&mut state, Position::END, Mode::Empty, outgoing);
            return self.composed(&state);
        };
        for part in below {
            let fingerprint = self.fingerprint(&part.measure);
            let mode = Mode::Fingerprint { fingerprint, count: part.measure.count };
            self.put(&mut state, part.end, mode, outgoing);
        }
        state.what = What::NewestList;
        let range = Range { start: state.written, end: Position::END };
        self.step = Step::Compose(state);
        self.give(Output::Query(Query::Positions { range, limit: LIST }))
    }

    fn window(&mut self, state: Compose) -> Result<(), Fault> {
        let range = Range { start: state.at, end: Position::END };
        self.step = Step::Compose(state);
        self.give(Output::Query(Query::Positions { range, limit: LIST.saturating_add(1) }))
    }

    fn write_window(
        &mut self,
        mut state: Compose,
        written: u8,
        mine: &[Position],
        outgoing: &mut [u8],
    ) -> Result<(), Fault> {
        self.skip_to(&mut state, outgoing);
        let (listed, rest) = mine.split_at(mine.len().min(LIST));
        let end = match (listed.last(), rest.first()) {
            (Some(last), Some(next)) => separator(last, next),
            _ => Position::END,
        };
        let ids: Vec<Id, LIST> = listed.iter().map(|position| position.id).collect();
        let mode = if ids.is_empty() { Mode::Empty } else { Mode::Ids(ids) };
        self.put(&mut state, end, mode, outgoing);
        state.at = end;
        let written = written.saturating_add(1);
        if end == Position::END {
            return self.composed(&state);
        }
        if written == WINDOWS {
            self.put(&mut state, Position::END, Mode::Open, outgoing);
            return self.composed(&state);
        }
        state.what = What::Windows(written);
        self.window(state)
    }

    /// Says that everything up to the row being written is settled.
    fn skip_to(&self, state: &mut Compose, outgoing: &mut [u8]) {
        let at = state.at;
        self.put(state, at, Mode::Skip, outgoing);
    }

    /// Writes an item. When it does not fit, the rest is open, and nothing more is written.
    fn put(&self, state: &mut Compose, end: Position, mode: Mode, outgoing: &mut [u8]) {
        if end <= state.written {
            return;
        }
        let room = self.room(outgoing);
        let item = RangeItem { bound: Bound::new(&state.written, &end), mode };
        let fits = outgoing.get_mut(..room.saturating_sub(RESERVE));
        if let Some(used) = fits.and_then(|room| append(&item, room, state.used)) {
            state.used = used;
            state.written = end;
            return;
        }
        let rest = RangeItem { bound: Bound::default(), mode: Mode::Open };
        let room = outgoing.get_mut(..room).unwrap_or_default();
        state.used = append(&rest, room, state.used).unwrap_or(state.used);
        state.written = Position::END;
    }

    fn composed(&mut self, state: &Compose) -> Result<(), Fault> {
        self.send_head(state.used)
    }

    /// The head is complete.
    pub(super) fn send_head(&mut self, used: usize) -> Result<(), Fault> {
        self.step = Step::HeadSent;
        self.charge(used);
        self.give(Output::Send(used))
    }
}

/// One height above a position: the shortest bound that leaves room for nothing but newer entries above it.
fn above(position: &Position) -> Position {
    Position { height: position.height.saturating_add(1), id: Id::MIN }
}
