//! Two honest nodes around a revocation, and a peer with a good key that lies to either.
//!
//! What a liar does to a disk is to have entries put into it, and never more than one at a moment. So there are three
//! kinds of worlds: one honest node alone with a liar that says much; two nodes that talk while a liar brings either any
//! entry at any moment, however it got it there; and all of it together, with few words.

use std::{collections::VecDeque, ops::Range};

use pleach_core::session::{Blame, Session};
use stateright::{Model, Property};

use super::{
    dag::{Dag, Set},
    explore::{Share, World},
    fair::{Fair, Next},
    lies::{Lie, OF_RANGES, OF_SETS},
    line::{Line, Move},
    process::{Process, Resting, Step},
    shelf::{Kind, Shelf},
    store::{Disk, Terms},
};

/// What must happen somewhere, or the worlds are too small to say anything.
const BLAMED: &str = "a liar is noticed";
const KEPT_OUT: &str = "what does not count is kept outside the shared set";
const LEFT: &str = "what was shared counts no more";
const LIFTED: &str = "what a revocation masked counts again";
const BESIDE: &str = "the liar brings an entry while the honest talk";

/// Who is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cast {
    /// One honest node and the liar.
    OneBesieged,
    /// Two honest nodes, and entries that the liar brings them by some exchange that is not looked at.
    TwoBrought,
    /// Two honest nodes and the liar, which talks to one while they talk to each other.
    TwoBesieged,
}

/// A small world.
pub(crate) struct Hostile {
    pub(crate) terms: Terms,
    /// What each honest node holds in the beginning.
    pub(crate) begins: Vec<[Set; 2]>,
    pub(crate) cast: Cast,
    /// Frames that the liar sends in all.
    lies: u8,
    pub(crate) fair: Fair,
}

/// All that there is at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The initiator's, the responder's.
    disks: [Disk; 2],
    line: Line,
    siege: Option<Siege>,
    /// Frames that the liar may still send.
    lies: u8,
    /// A promise that was broken.
    broken: Option<&'static str>,
}

/// An honest node's exchange with the liar. What the node sends is lost on it: it knows all there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Siege {
    side: usize,
    /// Whether the liar asked.
    requests: bool,
    /// Nothing when the node's session is over.
    process: Option<Resting>,
    blamed: bool,
}

/// One thing that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Line(Move),
    /// The liar and a side begin to talk; one of them asks.
    Meet {
        side: usize,
        requests: bool,
    },
    Lie(Lie),
    /// An entry of the liar's becomes durable at a side.
    Bring {
        side: usize,
        entry: usize,
    },
    /// The oldest frame of the liar's entries becomes durable.
    Write,
    /// They part, by a fault, or because one loses patience.
    Part,
    /// A side drops what was never shared.
    Tidy(usize),
}

/// All of these in every order, each as often as it is there.
fn orders(kinds: &[Kind]) -> Vec<Vec<Kind>> {
    let mut all: Vec<Vec<Kind>> = vec![vec![]];
    for kind in kinds {
        let longer = |order: &Vec<Kind>| -> Vec<Vec<Kind>> {
            let into = |at: usize| [&order[..at], &[*kind], &order[at..]].concat();
            (0..=order.len()).map(into).collect()
        };
        all = all.iter().flat_map(longer).collect();
        all.sort_unstable_by_key(|order| format!("{order:?}"));
        all.dedup();
    }
    all
}

impl Hostile {
    /// The worlds in which entries say this, in each history and each order, from a share of their beginnings.
    pub(crate) fn all<'a>(
        kinds: &'a [&[Kind]],
        (cast, lies): (Cast, u8),
        share: &'a mut Share,
    ) -> impl Iterator<Item = Self> + 'a {
        let orders = kinds.iter().flat_map(|kinds| orders(kinds));
        let dags = |order: Vec<Kind>| {
            let dags = Dag::all(order.len()).into_iter();
            dags.filter_map(move |dag| Shelf::stocked(&dag, &order))
        };
        orders.flat_map(dags).filter_map(move |(dag, shelf)| {
            let begins = beginnings(&dag, &shelf, cast, share);
            let terms = Terms { shelf: Some(shelf), ..Terms::roomy(dag) };
            let world = Self { terms, begins, cast, lies, fair: Fair::default() };
            (!world.begins.is_empty()).then_some(world)
        })
    }

    fn shelf(&self) -> &Shelf {
        self.terms.shelf.as_ref().expect("entries are judged here")
    }

    fn sides(&self) -> Range<usize> {
        0..if self.cast == Cast::OneBesieged { 1 } else { 2 }
    }

    /// What a side would take if the liar brought it.
    fn brings(&self, state: &State, side: usize) -> impl Iterator<Item = Action> {
        let stored = state.disks[side].stored();
        let lacks = self.shelf().valid().without(stored).iter();
        let comes = move |entry: &usize| stored.holds(self.terms.dag.parents(*entry));
        lacks.filter(comes).map(move |entry| Action::Bring { side, entry })
    }

    /// What the liar may say to who waits for it.
    fn lies(&self, siege: &Siege) -> Vec<Lie> {
        let entries = || 0..self.terms.dag.len();
        let heads = if siege.requests { &OF_SETS[..] } else { &OF_RANGES };
        let ends = if siege.requests { &OF_SETS[..1] } else { &OF_SETS };
        let names = |entry| if siege.requests { Lie::Wants(entry) } else { Lie::Missing(entry) };
        let heads = heads.iter().copied().map(Lie::Head);
        let named = entries().map(names);
        let ends = ends.iter().copied().map(Lie::End);
        heads.chain(entries().map(Lie::Entry)).chain(named).chain(ends).collect()
    }

    /// What a step of a node's session with the liar means.
    fn did(state: &mut State, mut siege: Siege, process: Process, step: Step) {
        match step {
            Step::Waits => siege.process = Some(process.rest()),
            Step::Done(_) => {}
            Step::Failed(fault) => match fault.blame() {
                Blame::Peer => siege.blamed = true,
                Blame::Line => {}
                _ => state.broken = Some("the session was misused"),
            },
            Step::Broke(what) => state.broken = Some(what),
        }
        state.siege = Some(siege);
    }

    fn meet(&self, state: &mut State, side: usize, requests: bool) {
        let disk = &state.disks[side];
        let (process, step) = if requests {
            (Process::responder(&self.terms, disk), Step::Waits)
        } else {
            let mut process = Process::new(Session::initiator(self.terms.config(None)), true);
            let step = process.run(&self.terms, disk, &mut VecDeque::new());
            (process, step)
        };
        Self::did(state, Siege { side, requests, process: None, blamed: false }, process, step);
    }

    fn lie(&self, state: &mut State, lie: Lie) -> Option<()> {
        state.lies -= 1;
        let siege = state.siege.as_ref()?;
        for part in lie.parts(&self.terms, &state.disks[siege.side].clone(), siege.requests) {
            let mut siege = state.siege.take()?;
            let Some(mut process) = siege.process.take().map(Resting::wake) else {
                state.siege = Some(siege);
                break;
            };
            let disk = &state.disks[siege.side];
            let step = process.receive(&self.terms, disk, &part, &mut VecDeque::new());
            Self::did(state, siege, process, step);
        }
        Some(())
    }

    fn write(&self, state: &mut State) -> Option<()> {
        let mut siege = state.siege.take()?;
        let mut process = siege.process.take()?.wake();
        let disk = &mut state.disks[siege.side];
        let step = process.write(&self.terms, disk, &mut VecDeque::new());
        Self::did(state, siege, process, step);
        Some(())
    }

    /// Whether a side has something to tidy, and nothing else to do.
    fn is_untidy(&self, state: &State, side: usize) -> bool {
        let besieged = state.siege.as_ref().is_some_and(|siege| siege.side == side);
        let disk = &state.disks[side];
        let mut tidy = disk.clone();
        if !disk.strangers.is_empty() && !besieged && !state.line.is_busy() {
            self.shelf().tidy(&mut tidy);
        }
        tidy != *disk
    }

    fn next(&self, state: &State) -> Next<Action> {
        if let Some(siege) = &state.siege {
            let writes = siege.process.as_ref().is_some_and(|process| process.writes());
            return Next::Do(if writes { Action::Write } else { Action::Part });
        }
        let untidy = || self.sides().find(|side| self.is_untidy(state, *side));
        match (state.line.fair(), untidy()) {
            (None | Some(Move::Start), Some(side)) => Next::Do(Action::Tidy(side)),
            (Some(next), _) => Next::Do(Action::Line(next)),
            (None, None) if self.cast == Cast::OneBesieged => Next::Rest(true),
            (None, None) => Next::Rest(state.line.equal && state.disks[0].held == state.disks[1].held),
        }
    }
}

/// What the honest nodes may hold: of two, all that an honest one wrote is somewhere.
fn beginnings(dag: &Dag, shelf: &Shelf, cast: Cast, share: &mut Share) -> Vec<[Set; 2]> {
    let valid = shelf.valid();
    let honest: Set = (0..dag.len()).filter(|entry| shelf.kinds[*entry].is_honest()).collect();
    let sets: Vec<Set> = dag.closed().filter(|set| valid.holds(*set)).collect();
    if cast == Cast::OneBesieged {
        return sets.iter().map(|set| [*set, *set]).filter(|_| share.takes()).collect();
    }
    let pairs = sets.iter().flat_map(|mine| sets.iter().map(move |theirs| [*mine, *theirs]));
    pairs.filter(|[mine, theirs]| mine.with(*theirs).holds(honest) && share.takes()).collect()
}

impl World for Hostile {
    fn hopes(&self) -> Vec<&'static str> {
        let lifted = self.shelf().kinds.contains(&Kind::Lifts).then_some(LIFTED);
        let beside = (self.cast == Cast::TwoBesieged).then_some(BESIDE);
        let blamed = (self.lies > 0).then_some(BLAMED);
        [Some(KEPT_OUT), Some(LEFT), lifted, beside, blamed].into_iter().flatten().collect()
    }

    fn told(&self) -> String {
        format!("{:?} {:?}", self.shelf().kinds, self.terms.dag)
    }
}

impl Model for Hostile {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let disk = |held: Set| {
            let mut disk = Disk::default();
            self.terms.put(&mut disk, held);
            disk
        };
        let state = |held: &[Set; 2]| State {
            disks: held.map(disk),
            line: Line { equal: self.cast == Cast::OneBesieged, ..Line::default() },
            siege: None,
            lies: self.lies,
            broken: None,
        };
        self.begins.iter().map(state).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        let (line, mut moves) = (&state.line, Vec::new());
        line.work(&mut moves);
        match &line.initiator {
            None if !line.equal => moves.push(Move::Start),
            None => {}
            Some(_) => moves.push(Move::Cut),
        }
        if line.responder.is_some() {
            moves.push(Move::RestartResponder);
        }
        actions.extend(moves.into_iter().map(Action::Line));
        actions.extend(self.sides().filter(|side| self.is_untidy(state, *side)).map(Action::Tidy));
        if self.cast == Cast::TwoBrought {
            actions.extend(self.sides().flat_map(|side| self.brings(state, side)));
        }
        match &state.siege {
            None if state.lies > 0 => {
                let roles = |side| [false, true].map(|requests| Action::Meet { side, requests });
                actions.extend(self.sides().flat_map(roles));
            }
            None => {}
            Some(siege) => {
                actions.push(Action::Part);
                let Some(process) = &siege.process else { return };
                if process.writes() {
                    actions.push(Action::Write);
                }
                if process.receives() && state.lies > 0 {
                    actions.extend(self.lies(siege).into_iter().map(Action::Lie));
                }
            }
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Line(what) => {
                let heard = state.line.step(&self.terms, &mut state.disks, what)?;
                let blamed = heard.blamed.then_some("an honest peer was blamed");
                state.broken = heard.broken.or(blamed);
            }
            Action::Meet { side, requests } => self.meet(&mut state, side, requests),
            Action::Lie(lie) => self.lie(&mut state, lie)?,
            Action::Bring { side, entry } => {
                self.terms.put(&mut state.disks[side], Set::of(entry));
            }
            Action::Write => self.write(&mut state)?,
            Action::Part => state.siege = None,
            Action::Tidy(side) => self.shelf().tidy(&mut state.disks[side]),
        }
        for (disk, had) in state.disks.iter().zip(&before.disks) {
            if !disk.promised().holds(had.promised()) {
                state.broken = Some("an entry was lost that was shared");
            }
            let apart = self.cast == Cast::OneBesieged || matches!(action, Action::Line(_));
            state.line.equal &= disk.held == had.held || apart;
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("every promise is kept", |_, state: &State| state.broken.is_none()),
            Property::always("no entry is stored without its ancestors", |world: &Self, state: &State| {
                let closed = |set| world.terms.dag.is_closed(set);
                state.disks.iter().all(|disk| closed(disk.held) && closed(disk.stored()))
            }),
            Property::always("nothing is stored that nobody may write", |world: &Self, state: &State| {
                let valid = world.shelf().valid();
                state.disks.iter().all(|disk| valid.holds(disk.stored()))
            }),
            Property::always("fair schedules end with equal sets", |world: &Self, state: &State| {
                state.broken.is_some() || world.fair.ends_well(world, state, |state| world.next(state))
            }),
            Property::sometimes(BLAMED, |_, state: &State| {
                state.siege.as_ref().is_some_and(|siege| siege.blamed)
            }),
            Property::sometimes(KEPT_OUT, |_, state: &State| {
                state.disks.iter().any(|disk| !disk.strangers.is_empty())
            }),
            Property::sometimes(LEFT, |_, state: &State| {
                state.disks.iter().any(|disk| !disk.aside.without(disk.strangers).is_empty())
            }),
            Property::sometimes(LIFTED, |world: &Self, state: &State| {
                let said = |kind| {
                    let kinds = world.shelf().kinds.iter().enumerate();
                    kinds.filter(|(_, of)| **of == kind).map(|(entry, _)| entry).collect::<Set>()
                };
                let both = said(Kind::Revokes).with(said(Kind::Lifts));
                let back = |disk: &Disk| {
                    disk.stored().holds(both) && !disk.held.common(said(Kind::Hostile)).is_empty()
                };
                !said(Kind::Lifts).is_empty() && state.disks.iter().any(back)
            }),
            Property::sometimes(BESIDE, |_, state: &State| {
                let besieged = state.siege.as_ref().and_then(|siege| siege.process.as_ref());
                state.line.is_busy() && besieged.is_some_and(|process| process.writes())
            }),
        ]
    }
}
