//! Two sides, their disks, and the line between them: what follows from all that can happen, and what must hold.

use pleach_core::session::Bits;
use stateright::{Model, Property};

use super::{
    dag::{Dag, Set},
    explore::World,
    fair::{Fair, Next},
    line::{Line, Mischief, Move},
    store::{Disk, Terms},
};

/// What must happen somewhere, or the worlds are too small to say anything.
const EQUAL: &str = "entries moved and the sets are equal";
const STRAY: &str = "a request without a sender is half read";
const BLAMED: &str = "a line that lies is noticed";

/// A small world of two.
pub(crate) struct Two {
    pub(crate) terms: Terms,
    /// Frames that a broken line loses, doubles or swaps without anybody being told.
    pub(crate) mischief: Mischief,
    /// Whether entries come to either side from elsewhere, at any time.
    pub(crate) news: bool,
    /// Whether requests go on without their sender, and beside each other.
    pub(crate) strays: bool,
    /// Whether an initiator remembers where the responder's arrivals stood.
    pub(crate) remembers: bool,
    pub(crate) fair: Fair,
}

/// All that there is at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The initiator's, the responder's.
    disks: [Disk; 2],
    line: Line,
    mischief: Mischief,
    /// An entry was stored that a peer sent.
    moved: bool,
    /// A peer was found at fault.
    blamed: bool,
    /// A promise that was broken.
    broken: Option<&'static str>,
}

/// One thing that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Line(Move),
    /// An entry comes to a side from elsewhere.
    News {
        side: usize,
        entry: usize,
    },
}

impl Two {
    /// A world in which a connection can break and a process can die.
    pub(crate) fn of(dag: Dag) -> Self {
        Self {
            terms: Terms::roomy(dag),
            mischief: Mischief::default(),
            news: false,
            strays: false,
            remembers: false,
            fair: Fair::default(),
        }
    }

    fn news(&self, state: &State, side: usize) -> impl Iterator<Item = Action> {
        let (dag, held) = (&self.terms.dag, state.disks[side].held);
        let comes = move |entry: &usize| held.holds(dag.parents(*entry));
        dag.whole().without(held).iter().filter(comes).map(move |entry| Action::News { side, entry })
    }

    fn next(state: &State) -> Next<Action> {
        let [mine, theirs] = &state.disks;
        let rests = || Next::Rest(state.line.equal && mine.held == theirs.held);
        state.line.fair().map_or_else(rests, |next| Next::Do(Action::Line(next)))
    }
}

impl World for Two {
    fn hopes(&self) -> Vec<&'static str> {
        let stray = self.strays.then_some(STRAY);
        let blamed = self.mischief.is_some().then_some(BLAMED);
        [Some(EQUAL), stray, blamed].into_iter().flatten().collect()
    }

    fn told(&self) -> String {
        format!("{:?}", self.terms.dag)
    }
}

impl Model for Two {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let state = |mine: Set, theirs: Set| State {
            disks: [
                Disk::of(mine),
                Disk { order: self.remembers.then(|| theirs.iter().collect()), ..Disk::of(theirs) },
            ],
            line: Line::default(),
            mischief: self.mischief,
            moved: false,
            blamed: false,
            broken: None,
        };
        let closed = || self.terms.dag.closed();
        closed().flat_map(|mine| closed().map(move |theirs| state(mine, theirs))).collect()
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
        if self.strays {
            line.strays(&mut moves);
            if line.can_leave_a_stray() {
                moves.push(Move::RestartInitiator);
            }
        }
        line.mischief(state.mischief, &mut moves);
        actions.extend(moves.into_iter().map(Action::Line));
        if self.news {
            actions.extend([0, 1].into_iter().flat_map(|side| self.news(state, side)));
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        let what = match action {
            Action::News { side, entry } => {
                self.terms.put(&mut state.disks[side], Set::of(entry));
                state.line.equal = false;
                return Some(state);
            }
            Action::Line(what) => what,
        };
        let heard = state.line.step(&self.terms, &mut state.disks, what)?;
        state.mischief = state.mischief.behind(what)?;
        state.moved |= state.disks != before.disks;
        state.broken = heard.broken;
        // Who is honest is not blamed, whatever the line does that both hear of.
        if heard.blamed && state.mischief != self.mischief {
            state.blamed = true;
        } else if heard.blamed {
            state.broken = Some("an honest peer was blamed");
        }
        // While nothing else changes the sets and nothing looks like something else, pushes wait for their parents.
        let alone = !self.news && !self.strays && !self.mischief.is_some() && self.terms.bits == Bits::ALL;
        if alone && heard.orphans {
            state.broken = Some("an entry was pushed before its parents");
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("every promise is kept", |_, state: &State| state.broken.is_none()),
            Property::always("no entry is stored without its ancestors", |world: &Self, state: &State| {
                state.disks.iter().all(|disk| world.terms.dag.is_closed(disk.held))
            }),
            Property::always("fair schedules end with equal sets", |world: &Self, state: &State| {
                state.broken.is_some() || world.fair.ends_well(world, state, Self::next)
            }),
            Property::sometimes(EQUAL, |_, state: &State| state.line.equal && state.moved),
            Property::sometimes(STRAY, |_, state: &State| {
                state.line.stray.as_ref().is_some_and(|stray| stray.process.is_some())
            }),
            Property::sometimes(BLAMED, |_, state: &State| state.blamed),
        ]
    }
}
