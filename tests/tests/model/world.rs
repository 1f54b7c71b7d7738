//! Two sides, their disks, and the wire between them: what follows from all that can happen, and what must hold.

use std::{
    collections::{HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Mutex,
};

use pleach_core::{
    Id,
    session::{Bits, Blame, Config, Fault, Known, Outcome, Session},
    wire::{Kind, PeerLimits, Salt, write},
};
use stateright::{Model, Property};

use super::{
    dag::{Dag, Set},
    process::{Disk, Part, Process, Resting, Step},
    state::{Action, State, Stray, Way},
};

/// Steps of a fair schedule after which it is taken to go on for ever.
const ENOUGH: usize = 2_000;

/// What must happen somewhere, or the worlds are too small to say anything.
const EQUAL: &str = "entries moved and the sets are equal";
const STRAY: &str = "a request without a sender is half read";
const BLAMED: &str = "a line that lies is noticed";

/// How much fits into a message, and whether an initiator keeps what came too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// Everything, and it does.
    Roomy,
    /// One entry, and it does not.
    Tight,
}

/// A small world.
pub(crate) struct World {
    pub(crate) dag: Dag,
    pub(crate) size: Size,
    pub(crate) bits: Bits,
    /// Frames that a broken line loses, doubles or swaps without anybody being told.
    pub(crate) mischief: u8,
    /// Whether entries come to either side from elsewhere, at any time.
    pub(crate) news: bool,
    /// Whether requests go on without their sender, and beside each other.
    pub(crate) strays: bool,
    /// Whether an initiator remembers where the responder's arrivals stood.
    pub(crate) remembers: bool,
    /// States from which a fair schedule was seen to end well.
    pub(crate) fair: Mutex<HashSet<u64>>,
}

impl World {
    /// What must happen somewhere in worlds like this.
    pub(crate) fn hopes(&self) -> impl Iterator<Item = &'static str> {
        let stray = self.strays.then_some(STRAY);
        let blamed = (self.mischief > 0).then_some(BLAMED);
        [Some(EQUAL), stray, blamed].into_iter().flatten()
    }

    fn config(&self, known: Option<Known>) -> Config {
        let message = if self.size == Size::Roomy { 65_536 } else { 5_100 };
        Config {
            limits: PeerLimits { frame: 2_048, message },
            pipeline: 2,
            rounds: 24,
            bits: self.bits,
            known,
            ..Config::host(Id::of(b"tree"), Salt([7; 8]))
        }
    }

    fn responder(&self) -> Process {
        Process::new(Session::responder(self.config(None)), false)
    }

    /// Whether a fair schedule from here ends with equal sets, and says so.
    fn converges(&self, state: &State) -> bool {
        let mut seen = Vec::new();
        let mut at = state.clone();
        let mut known = self.fair.lock().expect("no other test failed");
        for _ in 0..ENOUGH {
            let print = fingerprint(&at);
            if known.contains(&print) {
                known.extend(seen);
                return true;
            }
            seen.push(print);
            let Some(action) = at.fair() else {
                if at.equal && at.disks[0].held == at.disks[1].held {
                    known.extend(seen);
                    return true;
                }
                return false;
            };
            let Some(next) = self.next_state(&at, action) else { return false };
            at = next;
        }
        false
    }
}

fn fingerprint(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

impl World {
    /// What an initiator's step means.
    fn initiator_did(&self, state: &mut State, process: Process, step: Step) {
        match step {
            Step::Waits => state.initiator = Some(process.rest()),
            Step::Done(Outcome::Equal(_)) => {
                // What came to the initiator since it looked is news for the next exchange, as is what came to the
                // responder since it answered.
                let equal = process.stated.is_some() && process.stated == process.snapshot();
                state.promise(equal, "equal was said of sets that were not");
                if self.remembers {
                    state.known = process.known();
                }
                state.equal = state.disks[0].held == state.disks[1].held;
                state.close();
            }
            Step::Done(_) => state.close(),
            Step::Failed(fault) => {
                self.judge(state, &fault);
                state.close();
            }
            Step::Broke(what) => state.promise(false, what),
        }
    }

    /// What a responder's step means.
    fn responder_did(&self, state: &mut State, process: Process, step: Step) {
        // While nothing else changes the sets and nothing looks like something else, pushes wait for their parents.
        let alone = !self.news && !self.strays && self.mischief == 0 && self.bits == Bits::ALL;
        state.promise(!(alone && process.orphans), "an entry was pushed before its parents");
        match step {
            Step::Waits => state.responder = Some(process.rest()),
            Step::Done(_) => {}
            Step::Failed(fault) => {
                self.judge(state, &fault);
                let mut room = [0; 256];
                let none = core::iter::empty::<()>();
                let length = write(Kind::Refusal, &fault.reply(), none, &mut room).expect("it fits");
                state.to_responder.clear();
                state.to_initiator.extend([Part::Control(room[..length].into()), Part::End(Set::default())]);
            }
            Step::Broke(what) => state.promise(false, what),
        }
    }

    /// Who is honest is not blamed, whatever the line does that both hear of.
    fn judge(&self, state: &mut State, fault: &Fault) {
        let line_lies = state.mischief < self.mischief;
        match fault.blame() {
            Blame::Line => {}
            Blame::Peer if line_lies => state.blamed = true,
            Blame::Peer => state.promise(false, "an honest peer was blamed"),
            _ => state.promise(false, "the session was misused"),
        }
    }

    fn deliver(&self, state: &mut State, way: Way, part: &Part) {
        match way {
            Way::ToInitiator => {
                let Some(mut process) = state.initiator.take().map(Resting::wake) else { return };
                let step = process.receive(&self.dag, &state.disks[0], part, &mut state.to_responder);
                self.initiator_did(state, process, step);
            }
            Way::ToResponder => {
                let begun = state.responder.take().map(Resting::wake);
                let mut process = begun.unwrap_or_else(|| self.begun(&state.disks[1]));
                let step = process.receive(&self.dag, &state.disks[1], part, &mut state.to_initiator);
                self.responder_did(state, process, step);
            }
        }
    }

    /// A responder that asked for its first frame.
    fn begun(&self, disk: &Disk) -> Process {
        let mut process = self.responder();
        let step = process.run(&self.dag, disk, &mut VecDeque::new());
        assert_eq!(step, Step::Waits);
        process
    }

    fn stray_did(&self, state: &mut State, mut stray: Stray, process: Process, step: &Step) {
        match step {
            Step::Waits => stray.process = Some(process.rest()),
            Step::Done(_) => return,
            Step::Failed(fault) => {
                self.judge(state, fault);
                return;
            }
            Step::Broke(what) => state.promise(false, what),
        }
        state.stray = Some(stray);
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let state = |mine: Set, theirs: Set| State {
            disks: [
                Disk { held: mine, order: None },
                Disk { held: theirs, order: self.remembers.then(|| theirs.iter().collect()) },
            ],
            initiator: None,
            equal: false,
            known: None,
            to_responder: VecDeque::new(),
            to_initiator: VecDeque::new(),
            responder: None,
            stray: None,
            mischief: self.mischief,
            moved: false,
            blamed: false,
            broken: None,
        };
        self.dag
            .closed()
            .flat_map(|mine| self.dag.closed().map(move |theirs| (mine, theirs)))
            .map(|(mine, theirs)| state(mine, theirs))
            .collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        state.work(actions);
        match &state.initiator {
            None if !state.equal => actions.push(Action::Start),
            None => {}
            Some(_) => actions.push(Action::Cut),
        }
        if state.responder.is_some() {
            actions.push(Action::RestartResponder);
        }
        if self.strays {
            state.strays(actions);
        }
        if self.news {
            for side in [0, 1] {
                let held = state.disks[side].held;
                let comes = |entry: &usize| held.holds(self.dag.parents(*entry));
                let lacks = self.dag.whole().without(held);
                actions.extend(lacks.iter().filter(comes).map(|entry| Action::News { side, entry }));
            }
        }
        if state.mischief > 0 {
            for way in [Way::ToInitiator, Way::ToResponder] {
                let wire = match way {
                    Way::ToInitiator => &state.to_initiator,
                    Way::ToResponder => &state.to_responder,
                };
                if !wire.is_empty() {
                    actions.extend([Action::Lose(way), Action::Repeat(way)]);
                }
                if wire.len() > 1 {
                    actions.push(Action::Swap(way));
                }
            }
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        let writes = [Action::WriteInitiator, Action::WriteResponder, Action::WriteStray].contains(&action);
        match action {
            Action::Start => {
                let session = Session::initiator(self.config(state.known));
                let mut process = Process::new(session, self.size == Size::Roomy);
                let step = process.run(&self.dag, &state.disks[0], &mut state.to_responder);
                self.initiator_did(&mut state, process, step);
            }
            Action::ToInitiator => {
                let part = state.to_initiator.pop_front()?;
                self.deliver(&mut state, Way::ToInitiator, &part);
            }
            Action::ToResponder => {
                let part = state.to_responder.pop_front()?;
                self.deliver(&mut state, Way::ToResponder, &part);
            }
            Action::ToStray => {
                let mut stray = state.stray.take()?;
                let part = stray.inbox.pop_front()?;
                let begun = stray.process.take().map(Resting::wake);
                let mut process = begun.unwrap_or_else(|| self.begun(&state.disks[1]));
                let step = process.receive(&self.dag, &state.disks[1], &part, &mut VecDeque::new());
                self.stray_did(&mut state, stray, process, &step);
            }
            Action::WriteInitiator => {
                let mut process = state.initiator.take()?.wake();
                let step = process.write(&self.dag, &mut state.disks[0], &mut state.to_responder);
                self.initiator_did(&mut state, process, step);
            }
            Action::WriteResponder => {
                let mut process = state.responder.take()?.wake();
                let step = process.write(&self.dag, &mut state.disks[1], &mut state.to_initiator);
                self.responder_did(&mut state, process, step);
            }
            Action::WriteStray => {
                let mut stray = state.stray.take()?;
                let mut process = stray.process.take()?.wake();
                let step = process.write(&self.dag, &mut state.disks[1], &mut VecDeque::new());
                self.stray_did(&mut state, stray, process, &step);
            }
            Action::Cut => state.close(),
            Action::RestartInitiator => {
                let inbox = core::mem::take(&mut state.to_responder);
                state.stray = Some(Stray { process: state.responder.take(), inbox });
                state.close();
            }
            Action::RestartResponder => {
                state.responder = None;
                state.to_responder.clear();
                state.stray = None;
            }
            Action::Double => {
                state.stray = Some(Stray { process: None, inbox: state.to_responder.clone() });
            }
            Action::DropStray => state.stray = None,
            Action::News { side, entry } => {
                state.disks[side].take(entry);
                state.equal = false;
            }
            Action::Lose(way) => {
                state.mischief -= 1;
                state.wire(way).pop_front();
            }
            Action::Repeat(way) => {
                state.mischief -= 1;
                let part = state.wire(way).front()?.clone();
                state.wire(way).push_front(part);
            }
            Action::Swap(way) => {
                state.mischief -= 1;
                state.wire(way).swap(0, 1);
            }
        }
        state.moved |= writes && state.disks != before.disks;
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("every promise is kept", |_, state: &State| state.broken.is_none()),
            Property::always("no entry is stored without its ancestors", |world: &Self, state: &State| {
                state.disks.iter().all(|disk| world.dag.is_closed(disk.held))
            }),
            Property::always("fair schedules end with equal sets", |world: &Self, state: &State| {
                state.broken.is_some() || world.converges(state)
            }),
            Property::sometimes(EQUAL, |_, state: &State| state.equal && state.moved),
            Property::sometimes(STRAY, |_, state: &State| {
                state.stray.as_ref().is_some_and(|stray| stray.process.is_some())
            }),
            Property::sometimes(BLAMED, |_, state: &State| state.blamed),
        ]
    }
}
