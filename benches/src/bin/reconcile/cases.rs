//! The cases: what each side holds beside what both do, and what the exchange may cost.

use pleach_core::{Position, entry::VerifiedEntry, limits::MAX_MESSAGE};
use pleach_storage::Memory;

use crate::{
    Outcome,
    duel::{Cost, Duel},
    history::History,
};

/// What an exchange may cost beyond the entries.
#[derive(Clone, Copy)]
pub(crate) enum Bar {
    /// Bytes of requests, and of replies.
    Each(usize, usize),
    /// Bytes in all.
    Bytes(usize),
    /// One part in so many of the bytes that moved.
    Part(usize),
}

/// A case that was measured.
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) shared: usize,
    pub(crate) cost: Cost,
    /// Round trips allowed.
    pub(crate) trips: u32,
    pub(crate) bar: Bar,
}

impl Row {
    pub(crate) fn holds(&self) -> bool {
        let cost = &self.cost;
        let bytes = match self.bar {
            Bar::Each(requests, replies) => cost.requests <= requests && cost.replies <= replies,
            Bar::Bytes(bytes) => cost.beyond() <= bytes,
            Bar::Part(part) => cost.beyond() * part <= cost.moved,
        };
        bytes && cost.round_trips <= self.trips
    }
}

/// Round trips that the bytes of entries themselves need, one message after the other.
fn messages(cost: &Cost) -> u32 {
    u32::try_from(cost.moved.div_ceil(MAX_MESSAGE)).unwrap_or(u32::MAX)
}

/// One base that both sides share, and the cases on it.
pub(crate) struct Table<'a> {
    pub(crate) history: &'a History,
    pub(crate) base: &'a Memory,
    pub(crate) shared: usize,
    pub(crate) rows: Vec<Row>,
    pub(crate) show: &'a dyn Fn(&Row),
}

impl Table<'_> {
    fn row(&mut self, case: &str, cost: Cost, trips: u32, bar: Bar) {
        let row = Row { case: case.into(), shared: self.shared, cost, trips, bar };
        (self.show)(&row);
        self.rows.push(row);
    }

    fn duel(&self, initiator: &[VerifiedEntry], responder: &[VerifiedEntry]) -> Outcome<Duel> {
        let [mine, theirs] = [initiator, responder].map(|more| self.history.fork(self.base, more));
        Ok(Duel::new(self.history.tree(), mine?, theirs?))
    }

    /// One exchange.
    pub(crate) fn case(
        &mut self,
        case: &str,
        (initiator, responder): (&[VerifiedEntry], &[VerifiedEntry]),
        trips: u32,
        bar: Bar,
    ) -> Outcome<()> {
        let cost = self.duel(initiator, responder)?.sync()?;
        self.row(case, cost, trips, bar);
        Ok(())
    }

    /// One exchange of two sides that share little: a message more for each 8 MiB.
    pub(crate) fn long_case(
        &mut self,
        case: &str,
        (initiator, responder): (&[VerifiedEntry], &[VerifiedEntry]),
        bar: Bar,
    ) -> Outcome<()> {
        let cost = self.duel(initiator, responder)?.sync()?;
        self.row(case, cost, 4 + messages(&cost), bar);
        Ok(())
    }

    /// The same news after both held the same once, so that the initiator has a token.
    pub(crate) fn with_token(&mut self, case: &str, responder: &[VerifiedEntry]) -> Outcome<()> {
        let mut duel = self.duel(&[], &[])?;
        duel.sync()?;
        self.history.put(duel.responder(), responder)?;
        let cost = duel.sync()?;
        self.row(&format!("{case}, with a token"), cost, messages(&cost).max(1), Bar::Bytes(256));
        Ok(())
    }

    /// What is new at the top, on one side or both.
    pub(crate) fn news(&mut self, top: Position) -> Outcome<()> {
        self.case("nothing new", (&[], &[]), 1, Bar::Each(320, 96))?;
        let news = self.history.chain(top, 10_000, "new");
        for count in [1, 100, 10_000] {
            let news = &news[..count];
            self.case(&format!("initiator {count} behind"), (&[], news), 1, Bar::Bytes(512))?;
            self.case(&format!("responder {count} behind"), (news, &[]), 2, Bar::Bytes(1_024))?;
            self.with_token(&format!("initiator {count} behind"), news)?;
        }
        let other = self.history.chain(top, 500, "other");
        self.case("500 and 500 on top", (&news[..500], &other), 2, Bar::Part(50))
    }

    /// What was missed long ago. `main` is the chain that both share.
    pub(crate) fn old(&mut self, main: &[VerifiedEntry]) -> Outcome<()> {
        let branch = self.history.chain(main[self.shared * 2 / 5].position(), 900, "branch");
        let tips = [main[main.len() - 1].position(), branch[branch.len() - 1].position()];
        let merged = [&branch[..], &[self.history.leaf(&tips, "merge")]].concat();
        self.case("a side branch of 900 in the middle", (&[], &merged), 1, Bar::Bytes(512))?;

        let one = self.history.beside([&main[9]], "old");
        self.case("one old entry, the responder's", (&[], &one), 3, Bar::Bytes(6 * 1024))?;
        self.case("one old entry, the initiator's", (&one, &[]), 3, Bar::Bytes(6 * 1024))?;
        self.with_token("one old entry", &one)?;

        let every = main.iter().skip(3).step_by((self.shared / 100).max(1)).take(100);
        let spread = self.history.beside(every, "spread");
        let (half, other) = spread.split_at(spread.len() / 2);
        let bar = Bar::Bytes(112 * 1024);
        self.case("100 spread, the responder's", (&[], &spread), 4, bar)?;
        self.case("100 spread, the initiator's", (&spread, &[]), 4, bar)?;
        self.case("100 spread, on both", (half, other), 4, bar)?;
        self.with_token("100 spread", &spread)
    }
}

/// Two branches that never merged.
pub(crate) fn branches(history: &History, length: usize, show: &dyn Fn(&Row)) -> Outcome<Vec<Row>> {
    let main = history.chain(history.start(), 10, "main");
    let (base, top) = (history.store(&main)?, main[9].position());
    let mut table = Table { history, base: &base, shared: 10, rows: Vec::new(), show };
    let [mine, theirs] = ["mine", "theirs"].map(|name| history.chain(top, length, name));
    table.long_case(&format!("two branches of {length} from height 10"), (&mine, &theirs), Bar::Part(33))?;
    Ok(table.rows)
}

/// Shapes in which heights tell little.
pub(crate) fn shapes(history: &History, show: &dyn Fn(&Row)) -> Outcome<Vec<Row>> {
    let start = history.start();
    let mut rows = Vec::new();
    let mut run = |name: &str, all: Vec<VerifiedEntry>, apart: Vec<VerifiedEntry>| -> Outcome<()> {
        let base = history.store(&all)?;
        let mut table = Table { history, base: &base, shared: all.len(), rows: Vec::new(), show };
        let (mine, theirs) = apart.split_at(apart.len() / 2);
        table.case(name, (mine, theirs), 4, Bar::Bytes(96 * 1024))?;
        rows.append(&mut table.rows);
        Ok(())
    };
    for (name, size) in [("100,000 at one height", 100_000), ("10,000 tips", 10_000)] {
        let mut flat: Vec<_> = (0..size).map(|n| history.leaf(&[start], &format!("flat{n}"))).collect();
        let apart = flat.split_off(size - 100);
        run(&format!("{name}, 100 differ"), flat, apart)?;
    }
    let spine = history.chain(start, 10_000, "spine");
    let mut teeth = history.beside(&spine, "tooth");
    let apart = teeth.iter().step_by(100).cloned().collect::<Vec<_>>();
    teeth.retain(|tooth| !apart.contains(tooth));
    run("a comb of 10,000 teeth, 100 differ", [spine, teeth].concat(), apart)?;

    // Layers of 32, each entry on the whole layer below.
    let mut all = Vec::new();
    let mut below = vec![start];
    let mut apart = Vec::new();
    for layer in 0..300 {
        let entries: Vec<_> = (0..32).map(|n| history.leaf(&below, &format!("l{layer}n{n}"))).collect();
        if layer % 3 == 0 {
            apart.push(history.leaf(&below, &format!("l{layer}apart")));
        }
        below = entries.iter().map(|entry| entry.position()).collect();
        all.extend(entries);
    }
    run("32 parents each, 100 differ", all, apart)?;
    Ok(rows)
}
