//! Reading what the peer says of its ranges, and finding out what that means for mine.
//!
//! The rules are the same for both sides. Each received range becomes one row of the table, and what the peer lacks
//! goes into the list of moves. Ranges ascend, so the table grows at its end.

use heapless::Vec;

use crate::{
    Position, Range,
    storage::Measure,
    wire::{Items, LIST, Mode, RangeItem},
};

use super::{Answer, BATCH, Fault, Output, Query, Role, Session, machine::Step, table::State};

/// A peer that holds at most this part of what I hold lists it.
const FEW: u64 = 8;

/// Short ranges that differ for each that is the same, above which sets differ everywhere.
const SAME: u32 = 8;

/// Pages of own positions that are compared with one list. Behind them the range stays open.
const PAGES: u16 = 64;

/// Where in the frame the reader is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Absorb {
    /// Byte at which the items begin.
    items: usize,
    /// Offset of the current item behind it.
    offset: usize,
    /// Where the current item's range begins.
    at: Position,
    /// Of the current item and those behind it, as far as they need one.
    measures: Vec<Measure, BATCH>,
    /// Comparing own positions with the current item's list.
    page: Option<Page>,
}

/// How much of what the last message compared closely differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Density {
    /// Short ranges that differ, those that do not, and own entries in the former.
    differing: u32,
    same: u32,
    entries: u64,
}

impl Density {
    /// Notes what became of a range that needed no list of mine.
    fn note(&mut self, mode: &Mode, row: State, mine: u64) {
        match mode {
            Mode::Fingerprint { count, .. } if *count > LIST as u64 => {}
            Mode::Fingerprint { .. } | Mode::Skip | Mode::Sending => self.note_short(row, mine),
            _ => {}
        }
    }

    /// Notes what became of a short range.
    fn note_short(&mut self, row: State, mine: u64) {
        if row == State::Settled {
            self.same = self.same.saturating_add(1);
        } else {
            self.differing = self.differing.saturating_add(1);
            self.entries = self.entries.saturating_add(mine);
        }
    }

    /// How many own entries to list above those, since fingerprints would tell nothing where nearly all short ranges
    /// differ: as many again.
    pub(super) const fn to_list(self) -> u64 {
        if self.differing > self.same.saturating_mul(SAME) { self.entries } else { 0 }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Page {
    /// Where the next page begins.
    at: Position,
    /// Bits of the peer's list that I hold.
    found: u64,
    /// The first own position of a run that the peer lacks.
    run: Option<Position>,
    /// Whether there was such a run.
    sends: bool,
    /// Pages read.
    pages: u16,
    /// Own entries in the range.
    count: u64,
}

impl Page {
    const fn first(at: Position, count: u64) -> Self {
        Self { at, found: 0, run: None, sends: false, pages: 0, count }
    }
}

impl Absorb {
    pub(super) const fn new(items: usize, start: Position) -> Self {
        Self { items, offset: 0, at: start, measures: Vec::new(), page: None }
    }
}

const fn needs_measure(mode: &Mode) -> bool {
    !matches!(mode, Mode::Skip | Mode::Open)
}

impl<const R: usize, const M: usize> Session<R, M> {
    /// Begins to read the ranges of a message; `items` is where they begin in the frame.
    pub(super) fn absorb(&mut self, items: usize, start: Position, incoming: &[u8]) -> Result<(), Fault> {
        self.table.settle(start);
        self.density = Density::default();
        self.absorb_on(Absorb::new(items, start), None, incoming)
    }

    /// Goes on until an answer is needed or the last item is read.
    pub(super) fn absorb_on(
        &mut self,
        mut state: Absorb,
        mut answer: Option<Answer<'_>>,
        incoming: &[u8],
    ) -> Result<(), Fault> {
        let items = Items::<RangeItem>::trusted(incoming.get(state.items..).unwrap_or_default());
        loop {
            let mut rest = items.iter_from(state.offset);
            let Some(item) = rest.next() else { return self.absorbed() };
            let end = item.bound.end(&state.at).filter(|_| state.at < Position::END).ok_or(Fault::Ranges)?;
            let range = Range { start: state.at, end };
            match (answer.take(), state.page.take()) {
                (Some(Answer::Measures(measures)), None) => {
                    state.measures = measures.iter().rev().copied().take(BATCH).collect();
                }
                (Some(Answer::Positions(mine)), Some(page)) => {
                    state.page = self.compare(&item.mode, range, page, mine);
                    if state.page.is_some() {
                        return self.next_page(state, end);
                    }
                    state.offset = rest.offset();
                    state.at = end;
                    continue;
                }
                (None, None) => {}
                _ => return Err(Fault::Misuse("the answer is not to the query asked")),
            }
            if needs_measure(&item.mode) && state.measures.is_empty() {
                return self.measure_ahead(state, &items);
            }
            let mine = if needs_measure(&item.mode) { state.measures.pop() } else { None };
            let mine = mine.unwrap_or_default();
            if let Some(row) = self.judge(&item.mode, range, &mine)? {
                self.density.note(&item.mode, row, mine.count);
                self.table.push(end, row);
                state.offset = rest.offset();
                state.at = end;
            } else {
                state.page = Some(Page::first(range.start, mine.count));
                return self.next_page(state, end);
            }
        }
    }

    fn measure_ahead(&mut self, state: Absorb, items: &Items<'_, RangeItem>) -> Result<(), Fault> {
        let mut ranges = Vec::new();
        let mut at = state.at;
        for item in items.iter_from(state.offset) {
            let end = item.bound.end(&at).filter(|_| at < Position::END).ok_or(Fault::Ranges)?;
            if needs_measure(&item.mode) && ranges.push(Range { start: at, end }).is_err() {
                break;
            }
            at = end;
        }
        self.step = Step::Absorb(state);
        self.give(Output::Query(Query::Measure(ranges)))
    }

    fn next_page(&mut self, state: Absorb, end: Position) -> Result<(), Fault> {
        let start = state.page.as_ref().map_or(end, |page| page.at);
        let limit = self.config.page.max(LIST.saturating_add(1));
        self.step = Step::Absorb(state);
        self.give(Output::Query(Query::Positions { range: Range { start, end }, limit }))
    }

    /// What a range means that needs no list of mine; nothing if it does.
    fn judge(&mut self, mode: &Mode, range: Range, mine: &Measure) -> Result<Option<State>, Fault> {
        self.doubts |= matches!(mode, Mode::Ids(_));
        let differs = match mine.count {
            0 => State::Empty,
            count => State::Differs(count),
        };
        Ok(Some(match mode {
            Mode::Skip => State::Settled,
            Mode::Open => State::Open,
            Mode::Empty if mine.count == 0 => State::Settled,
            Mode::Empty => {
                self.send(range);
                self.role.sent()
            }
            Mode::Fingerprint { fingerprint, count } => {
                if *count == mine.count && *fingerprint == self.fingerprint(mine) {
                    State::Settled
                } else if mine.count > 0 && *count <= LIST as u64 && count.saturating_mul(FEW) <= mine.count {
                    State::Ask
                } else {
                    differs
                }
            }
            Mode::Ask => differs,
            // What was not promised was not asked for: only a responder sends.
            Mode::Sending if self.role == Role::Responder => return Err(Fault::OutOfPlace),
            Mode::Sending => State::Promised,
            Mode::List(list) if list.is_empty() => return Err(Fault::Ranges),
            Mode::Ids(list) if list.is_empty() => return Err(Fault::Ranges),
            Mode::List(_) | Mode::Ids(_) if mine.count == 0 => State::Empty,
            Mode::List(_) | Mode::Ids(_) | Mode::Answer { .. } => return Ok(None),
        }))
    }

    /// Compares a page of own positions with the peer's list, or its answer with mine. The item is done when no
    /// page is left: then its row is in the table.
    fn compare(&mut self, mode: &Mode, range: Range, page: Page, mine: &[Position]) -> Option<Page> {
        match mode {
            Mode::Answer { check, wanted } => {
                let row = self.heed_answer(*check, *wanted, range, mine, page.count);
                self.density.note_short(row, page.count);
                self.table.push(range.end, row);
                None
            }
            Mode::List(list) => {
                let check = Self::check(list.iter().copied());
                self.match_page(range, page, mine, (list, check), Self::prefix)
            }
            Mode::Ids(list) => {
                let check = Self::check(list.iter().map(|id| self.prefix(id)));
                self.match_page(range, page, mine, (list, check), |_, id| *id)
            }
            _ => None,
        }
    }

    fn heed_answer(&mut self, check: u32, wanted: u64, range: Range, mine: &[Position], count: u64) -> State {
        if mine.len() > LIST || Self::check(mine.iter().map(|mine| self.prefix(&mine.id))) != check {
            // My set changed since I listed it: list again.
            return if count == 0 { State::Empty } else { State::Differs(count) };
        }
        let mut run = None;
        for (bit, position) in mine.iter().enumerate() {
            self.extend_run(&mut run, wanted >> bit & 1 == 1, position);
        }
        if let Some(start) = run {
            self.send(Range { start, end: range.end });
        }
        State::Promised
    }

    fn match_page<T: PartialEq>(
        &mut self,
        range: Range,
        mut page: Page,
        mine: &[Position],
        (list, check): (&[T], u32),
        short: impl Fn(&Self, &crate::Id) -> T,
    ) -> Option<Page> {
        for position in mine {
            let short = short(self, &position.id);
            let mut held = false;
            for (bit, _) in list.iter().enumerate().filter(|(_, theirs)| **theirs == short) {
                page.found |= 1 << bit;
                held = true;
            }
            page.sends |= !held;
            self.extend_run(&mut page.run, !held, position);
        }
        let limit = self.config.page.max(LIST.saturating_add(1));
        if let Some(last) = mine.last()
            && mine.len() >= limit
        {
            page.at = last.next();
            page.pages = page.pages.saturating_add(1);
            if page.pages < PAGES {
                return Some(page);
            }
            // Too much to compare at once: what was compared goes, the rest stays open. The bits that were not
            // found may yet be found there.
            if let Some(start) = page.run {
                self.send(Range { start, end: page.at });
            }
            self.table.push(page.at, self.role.sent());
            self.table.push(range.end, State::Open);
            return None;
        }
        if let Some(start) = page.run {
            self.send(Range { start, end: range.end });
        }
        let all = u64::MAX >> (LIST.saturating_sub(list.len()));
        let wanted = all & !page.found;
        let row = if wanted != 0 {
            State::Answer { check, wanted }
        } else if page.sends {
            self.role.sent()
        } else {
            State::Settled
        };
        self.density.note_short(row, page.count);
        self.table.push(range.end, row);
        None
    }

    /// Own positions that the peer lacks follow one another: one range is sent for all of them.
    fn extend_run(&mut self, run: &mut Option<Position>, lacks: bool, position: &Position) {
        if lacks {
            run.get_or_insert(*position);
        } else if let Some(start) = run.take() {
            self.send(Range { start, end: *position });
        }
    }

    /// All items are read.
    fn absorbed(&mut self) -> Result<(), Fault> {
        self.reopen_lost();
        match self.role {
            Role::Initiator => self.plan(0, 0),
            Role::Responder => self.receive_rest(),
        }
    }

    /// What did not fit is open.
    pub(super) fn reopen_lost(&mut self) {
        if let Some(lost) = self.table.cut
            && let Some(open) = self.table.settle_cut()
        {
            // A list that is answered in part stays open from its start; what of it was found to be sent goes all
            // the same, so that the next list is longer.
            self.moves.truncate(lost);
            self.overflow = Some((open, lost));
        }
    }

    pub(super) fn send(&mut self, range: Range) {
        if let Some(lost) = self.moves.add(range) {
            self.table.reopen(lost);
        }
    }
}
