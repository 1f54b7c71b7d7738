//! A process in which one session is at work: what it is doing, and nothing that outlives it.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    ops::Deref,
    sync::Arc,
};

use pleach_core::{
    Id, Position,
    session::{
        Answer, Cut, Fault, Ingested, Input, Known, Load, Loaded, Outcome, Output, OwnedAnswer, Query,
        Session, answer_from,
    },
    wire::{EntriesWriter, Frame, Tips},
};

use super::{
    dag::{Dag, Set, Shown},
    store::{Disk, Terms},
};

/// The shipped session with the smallest tables.
pub(crate) type Machine = Session<4, 1>;

/// Bytes of the buffer for control frames.
const OUTGOING: usize = 4_096;

/// A piece of a message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    Control(Arc<[u8]>),
    /// The frame that states its sender's tips, and what it held then.
    Stated(Arc<[u8]>, Set),
    /// A frame with one entry.
    Entry(usize),
    /// The message is over.
    End,
}

impl Part {
    /// A control frame of who holds this.
    pub(crate) fn control(frame: &[u8], held: Set) -> Self {
        match Frame::read(frame) {
            Ok(Frame::End(_)) => Self::Stated(frame.into(), held),
            _ => Self::Control(frame.into()),
        }
    }
}

/// What a session has been told to do and not yet done, and what it was told of its surroundings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    session: Machine,
    /// The snapshot that it reads from, once it has read.
    snapshot: Option<Set>,
    /// It waits for the next part of the peer's message.
    receives: bool,
    /// Frames of entries that are on their way into the store, oldest first.
    writing: VecDeque<Set>,
    /// An initiator's entries that wait for their parents; nothing for who keeps none.
    spool: Option<Set>,
    /// An entry came before its parents.
    pub(crate) orphans: bool,
    /// What the request named as its tips, for a responder.
    named: Option<Tips>,
    /// The store's set when the peer stated its tips last.
    pub(crate) stated: Option<Set>,
}

/// A process between two steps: shared by the states that it stands in, and hashed once for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resting(Arc<(u64, Process)>);

impl Resting {
    pub(crate) fn wake(self) -> Process {
        Arc::unwrap_or_clone(self.0).1
    }
}

impl Deref for Resting {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.0.1
    }
}

impl Hash for Resting {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.0);
    }
}

/// How far a process got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Waits,
    Done(Outcome),
    Failed(Fault),
    /// It broke a promise that the model checks.
    Broke(&'static str),
}

impl Process {
    pub(crate) fn new(session: Machine, spools: bool) -> Self {
        Self {
            session,
            snapshot: None,
            receives: false,
            writing: VecDeque::new(),
            spool: spools.then(Set::default),
            orphans: false,
            named: None,
            stated: None,
        }
    }

    /// A responder that asked for its first frame.
    pub(crate) fn responder(terms: &Terms, disk: &Disk) -> Self {
        let mut process = Self::new(Session::responder(terms.config(None)), false);
        let step = process.run(terms, disk, &mut VecDeque::new());
        assert_eq!(step, Step::Waits);
        process
    }

    pub(crate) fn rest(self) -> Resting {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        Resting(Arc::new((hasher.finish(), self)))
    }

    pub(crate) const fn receives(&self) -> bool {
        self.receives
    }

    pub(crate) fn writes(&self) -> bool {
        !self.writing.is_empty()
    }

    /// What it looks at.
    pub(crate) const fn snapshot(&self) -> Option<Set> {
        self.snapshot
    }

    /// What makes the next exchange cheap.
    pub(crate) const fn known(&self) -> Option<Known> {
        self.session.known()
    }

    /// Lets the session act until it waits for its peer or its disk.
    pub(crate) fn run(&mut self, terms: &Terms, disk: &Disk, sent: &mut VecDeque<Part>) -> Step {
        let mut outgoing = [0; OUTGOING];
        let step = self.act(terms, disk, &[], &mut outgoing, sent);
        step.unwrap_or_else(|step| step)
    }

    /// Hands it the next part of the peer's message.
    pub(crate) fn receive(
        &mut self,
        terms: &Terms,
        disk: &Disk,
        part: &Part,
        sent: &mut VecDeque<Part>,
    ) -> Step {
        self.receives = false;
        let mut room = vec![0; 2_048];
        let incoming = match part {
            Part::Control(frame) | Part::Stated(frame, _) => frame,
            Part::Entry(entry) => {
                let mut writer = EntriesWriter::new(&mut room);
                assert!(writer.push(&Dag::bytes(*entry)));
                writer.finish()
            }
            Part::End => &[],
        };
        if let Part::Stated(_, stated) = part {
            self.stated = Some(*stated);
        }
        if let Ok(Frame::Sync(hello, _)) = Frame::read(incoming) {
            self.named = Some(hello.tips);
        }
        let input = if *part == Part::End { Input::End } else { Input::Frame };
        let mut outgoing = [0; OUTGOING];
        self.give(input, incoming, &mut outgoing)
            .and_then(|()| self.act(terms, disk, incoming, &mut outgoing, sent))
            .unwrap_or_else(|step| step)
    }

    /// Writes the oldest frame of entries to the disk, and tells the session what came of it.
    pub(crate) fn write(&mut self, terms: &Terms, disk: &mut Disk, sent: &mut VecDeque<Part>) -> Step {
        let Some(frame) = self.writing.pop_front() else { return Step::Waits };
        let (mut ingested, missing) = self.store(terms, disk, frame);
        ingested.missing = &missing;
        let mut outgoing = [0; OUTGOING];
        self.give(Input::Ingested(ingested), &[], &mut outgoing)
            .and_then(|()| self.act(terms, disk, &[], &mut outgoing, sent))
            .unwrap_or_else(|step| step)
    }

    /// Puts a frame into the store, with what waits in the spool.
    fn store(&mut self, terms: &Terms, disk: &mut Disk, frame: Set) -> (Ingested<'static>, Vec<Id>) {
        let put = terms.put(disk, frame.with(self.spool.unwrap_or_default()));
        self.orphans |= !put.waits.is_empty();
        let position = |entry| terms.dag.position(entry);
        let ingested = Ingested {
            stored: put.stored.len() + put.masked,
            known: put.known,
            dropped: put.waits.iter().next().map(position).filter(|_| self.spool.is_none()),
            refused: put.refused.map(|entry| (position(entry).id, "nobody may write it")),
            missing: &[],
        };
        if let Some(spool) = &mut self.spool {
            *spool = put.waits;
        }
        (ingested, put.missing.iter().map(|entry| position(entry).id).collect())
    }

    fn give(&mut self, input: Input<'_>, incoming: &[u8], outgoing: &mut [u8]) -> Result<(), Step> {
        self.session.handle(input, incoming, outgoing).map_err(Step::Failed)
    }

    fn act(
        &mut self,
        terms: &Terms,
        disk: &Disk,
        incoming: &[u8],
        outgoing: &mut [u8],
        sent: &mut VecDeque<Part>,
    ) -> Result<Step, Step> {
        let mut incoming = incoming;
        while let Some(output) = self.session.poll() {
            match output {
                Output::Query(query) => {
                    let shown = Shown { dag: &terms.dag, set: *self.snapshot.get_or_insert(disk.held) };
                    let answer = answered(&shown, &query);
                    self.give(Input::Answer(lent(&answer)), incoming, outgoing)?;
                }
                Output::Renew => self.snapshot = None,
                Output::Send(length) => {
                    let frame = &outgoing[..length];
                    self.check_end(&terms.dag, disk.held, frame)?;
                    sent.push_back(Part::control(frame, disk.held));
                    self.give(Input::Sent, incoming, outgoing)?;
                }
                Output::Load(load) => {
                    let loaded = self.load(&terms.dag, disk, &load, sent);
                    self.give(Input::Loaded(loaded), incoming, outgoing)?;
                }
                Output::Finish => sent.push_back(Part::End),
                Output::Receive => {
                    self.receives = true;
                    incoming = &[];
                }
                Output::Ingest => {
                    let Ok(Frame::Entries(entries)) = Frame::read(incoming) else {
                        return Err(Step::Broke("a frame that holds no entries is to be stored"));
                    };
                    self.writing.push_back(entries.map(Dag::read).collect());
                    incoming = &[];
                }
                Output::Done(Outcome::Answered(_)) if self.writes() => {
                    return Err(Step::Broke("a request was answered before what it brought was stored"));
                }
                Output::Done(outcome) => return Ok(Step::Done(outcome)),
                _ => return Err(Step::Broke("an output that the model does not know")),
            }
        }
        Ok(Step::Waits)
    }

    /// What a responder states at the end of its answer is durable.
    fn check_end(&self, dag: &Dag, held: Set, frame: &[u8]) -> Result<(), Step> {
        let (Some(named), Ok(Frame::End(end))) = (&self.named, Frame::read(frame)) else { return Ok(()) };
        let Ok(OwnedAnswer::Summary(summary)) = answer_from(&Shown { dag, set: held }, &Query::Summary)
        else {
            return Err(Step::Broke("no summary"));
        };
        let first: Vec<Position> = summary.first_tips.into_iter().flatten().collect();
        let stored = Tips::of(&summary.tips, &first);
        if end.count > held.len() || end.tips.as_ref().unwrap_or(named) != &stored {
            return Err(Step::Broke("a responder acknowledged what it had not stored"));
        }
        Ok(())
    }

    /// Sends what a load names, a frame for each entry: so each may be the one that is lost.
    fn load(&self, dag: &Dag, disk: &Disk, load: &Load, sent: &mut VecDeque<Part>) -> Loaded {
        let mut loaded = Loaded { entries: 0, bytes: 0, next: None };
        let mut left = load.budget;
        let mut set = self.snapshot.unwrap_or(disk.held);
        if let (Some(since), Some(order)) = (load.since, &disk.order) {
            let before = order.iter().take(usize::try_from(since).expect("few entries"));
            set = before.fold(set, |set, entry| set.without(Set::of(*entry)));
        }
        for range in &load.ranges {
            for entry in set.iter().filter(|entry| range.contains(&dag.position(*entry))) {
                let bytes = Dag::bytes(entry).len();
                let Some(rest) = left.checked_sub(bytes + 8) else {
                    loaded.next = Some(dag.position(entry));
                    return loaded;
                };
                left = rest;
                loaded.entries += 1;
                loaded.bytes += bytes as u64;
                sent.push_back(Part::Entry(entry));
            }
        }
        loaded
    }
}

/// The shipped answers. A first request is cut after each entry, where it would be cut after 4 and 64: so small sets
/// too are compared by fingerprints.
fn answered(shown: &Shown<'_>, query: &Query) -> OwnedAnswer {
    let query = match query {
        Query::Split { range, cut: Cut::Newest } => Query::Split { range: *range, cut: Cut::Even(8) },
        query => query.clone(),
    };
    let Ok(answer) = answer_from(shown, &query);
    answer
}

fn lent(answer: &OwnedAnswer) -> Answer<'_> {
    answer.lend()
}
