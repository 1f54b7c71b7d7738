//! Three nodes that tell each other over two lines or three, each of which dies once.

use stateright::{Model, Property};

use super::{
    dag::{Dag, Set},
    explore::{Share, World},
    fair::{Fair, Next},
    line::{Line, Mischief, Move},
    store::{Disk, Terms},
};

/// What must happen somewhere, or the worlds are too small to say anything.
const BUSY: &str = "a node writes for one peer while it talks to the other";
const DIED: &str = "each node has died, and all hold the same";
const STRAY: &str = "a request without a sender is half read while its receiver talks to another";

/// Who asks whom.
pub(crate) type Asks = &'static [(usize, usize)];

/// The node in the middle answers one and asks the other.
pub(crate) const CHAIN: Asks = &[(0, 1), (1, 2)];
/// The node in the middle answers both.
pub(crate) const ASKED: Asks = &[(0, 1), (2, 1)];
/// The node in the middle asks both.
pub(crate) const ASKS: Asks = &[(1, 0), (1, 2)];
/// Each asks one and answers one.
pub(crate) const RING: Asks = &[(0, 1), (1, 2), (2, 0)];

/// A small world of three.
pub(crate) struct Three {
    pub(crate) terms: Terms,
    pub(crate) asks: Asks,
    /// What each node holds in the beginning.
    pub(crate) begins: Vec<[Set; 3]>,
    /// How many exchanges are under way at once.
    pub(crate) at_once: usize,
    /// Frames that broken lines lose, double or swap without anybody being told.
    pub(crate) mischief: Mischief,
    /// Whether requests go on without their sender, and beside each other.
    pub(crate) strays: bool,
    pub(crate) fair: Fair,
}

/// All that there is at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    disks: [Disk; 3],
    lines: Vec<Line>,
    /// Who has not died yet.
    mortal: [bool; 3],
    mischief: Mischief,
    /// A promise that was broken.
    broken: Option<&'static str>,
}

/// One thing that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Line(usize, Move),
    /// A node dies, and comes back with what is on its disk.
    Die(usize),
}

/// Which beginnings a world has, of those in which the three hold a history together.
pub(crate) type Fits = fn(&Dag, &[Set; 3]) -> bool;

/// What three nodes may hold of a history that all of them hold together, as far as it fits and the share takes it.
fn beginnings(dag: &Dag, asks: Asks, fits: Fits, share: &mut Share) -> Vec<[Set; 3]> {
    let sets: Vec<Set> = dag.closed().collect();
    let mut begins = Vec::new();
    for first in &sets {
        for second in &sets {
            for third in &sets {
                // What is the same in a mirror is looked at once.
                let mirrored = asks.len() == 2 && asks != CHAIN && third < first;
                let held = [*first, *second, *third];
                let all = first.with(*second).with(*third) == dag.whole();
                if all && !mirrored && fits(dag, &held) && share.takes() {
                    begins.push(held);
                }
            }
        }
    }
    begins
}

impl Three {
    /// A world in which a connection can break and each process dies once.
    pub(crate) fn of(dag: Dag, asks: Asks, fits: Fits, share: &mut Share) -> Self {
        Self {
            begins: beginnings(&dag, asks, fits, share),
            terms: Terms::roomy(dag),
            asks,
            at_once: 1,
            mischief: Mischief::default(),
            strays: false,
            fair: Fair::default(),
        }
    }

    fn busy(state: &State) -> usize {
        state.lines.iter().filter(|line| line.initiator.is_some()).count()
    }

    fn moves(&self, state: &State, line: &Line) -> Vec<Move> {
        let mut moves = Vec::new();
        line.work(&mut moves);
        match &line.initiator {
            None if !line.equal && Self::busy(state) < self.at_once => moves.push(Move::Start),
            None => {}
            Some(_) => moves.push(Move::Cut),
        }
        if self.strays && (line.stray.is_some() || !has_stray(state)) {
            line.strays(&mut moves);
        }
        line.mischief(state.mischief, &mut moves);
        moves
    }

    /// A node's processes are gone; what they had sent may still arrive.
    fn die(&self, state: &mut State, node: usize) -> Option<()> {
        state.mortal[node] = false;
        let leaves_a_stray = self.strays && !has_stray(state);
        for (line, (asks, answers)) in state.lines.iter_mut().zip(self.asks) {
            let mut disks = [state.disks[*asks].clone(), state.disks[*answers].clone()];
            if node == *answers {
                line.step(&self.terms, &mut disks, Move::RestartResponder)?;
            } else if node == *asks {
                let stray = leaves_a_stray && line.can_leave_a_stray();
                let what = if stray { Move::RestartInitiator } else { Move::Cut };
                line.step(&self.terms, &mut disks, what)?;
            }
        }
        Some(())
    }

    /// Something happens on a line: what came to a node by it is news to the node's other peers.
    fn step(&self, state: &mut State, at: usize, what: Move) -> Option<()> {
        let (asks, answers) = self.asks[at];
        let mut disks = [state.disks[asks].clone(), state.disks[answers].clone()];
        let heard = state.lines[at].step(&self.terms, &mut disks, what)?;
        for (node, disk) in [asks, answers].into_iter().zip(disks) {
            if state.disks[node] == disk {
                continue;
            }
            state.disks[node] = disk;
            for (other, (asks, answers)) in self.asks.iter().enumerate() {
                state.lines[other].equal &= other == at || (node != *asks && node != *answers);
            }
        }
        state.mischief = state.mischief.behind(what)?;
        state.broken = heard.broken;
        if heard.blamed && state.mischief == self.mischief {
            state.broken = Some("an honest peer was blamed");
        }
        Some(())
    }

    fn next(state: &State) -> Next<Action> {
        let first = |(at, line): (usize, &Line)| line.fair().map(|what| (at, what));
        let mut next = state.lines.iter().enumerate().filter_map(first);
        // What is under way ends before something new begins.
        let under_way = next.clone().find(|(_, what)| *what != Move::Start);
        match under_way.or_else(|| next.next()) {
            Some((at, what)) => Next::Do(Action::Line(at, what)),
            None => Next::Rest(same(state)),
        }
    }
}

/// One request at a time is on its own.
fn has_stray(state: &State) -> bool {
    state.lines.iter().any(|line| line.stray.is_some())
}

fn same(state: &State) -> bool {
    let [first, second, third] = &state.disks;
    state.lines.iter().all(|line| line.equal) && first.held == second.held && second.held == third.held
}

impl World for Three {
    fn hopes(&self) -> Vec<&'static str> {
        let stray = self.strays.then_some(STRAY);
        let busy = (self.at_once > 1).then_some(BUSY);
        [Some(DIED), stray, busy].into_iter().flatten().collect()
    }

    fn told(&self) -> String {
        format!("{:?} {:?}", self.asks, self.terms.dag)
    }
}

impl Model for Three {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let state = |held: &[Set; 3]| State {
            disks: held.map(Disk::of),
            lines: vec![Line::default(); self.asks.len()],
            mortal: [true; 3],
            mischief: self.mischief,
            broken: None,
        };
        self.begins.iter().map(state).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        for (at, line) in state.lines.iter().enumerate() {
            actions.extend(self.moves(state, line).into_iter().map(|what| Action::Line(at, what)));
        }
        // A death of who does nothing changes nothing.
        let works = |node: &usize| {
            let mut lines = self.asks.iter().zip(&state.lines);
            lines.any(|((asks, answers), line)| (node == asks || node == answers) && line.is_busy())
        };
        let die = (0..3).filter(|node| state.mortal[*node] && works(node));
        actions.extend(die.map(Action::Die));
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Line(at, what) => self.step(&mut state, at, what)?,
            Action::Die(node) => self.die(&mut state, node)?,
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
            Property::sometimes(DIED, |_, state: &State| same(state) && state.mortal == [false; 3]),
            Property::sometimes(BUSY, |_, state: &State| {
                let writes = |line: &Line| {
                    [&line.initiator, &line.responder].into_iter().flatten().any(|side| side.writes())
                };
                Self::busy(state) > 1 && state.lines.iter().filter(|line| writes(line)).count() > 1
            }),
            Property::sometimes(STRAY, |_, state: &State| {
                let half_read =
                    |line: &Line| line.stray.as_ref().is_some_and(|stray| stray.process.is_some());
                let talks = |line: &Line| line.responder.is_some() && !half_read(line);
                state.lines.iter().any(half_read) && state.lines.iter().any(talks)
            }),
        ]
    }
}
