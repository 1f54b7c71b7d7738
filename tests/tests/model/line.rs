//! What is between an initiator and a responder, what can happen there, and what follows.

use std::collections::VecDeque;

use pleach_core::{
    session::{Blame, Fault, Known, Outcome, Session},
    wire::{Kind, write},
};

use super::{
    process::{Part, Process, Resting, Step},
    store::{Disk, Size, Terms},
};

/// An initiator, a responder, and the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Line {
    pub(crate) initiator: Option<Resting>,
    pub(crate) responder: Option<Resting>,
    pub(crate) to_responder: VecDeque<Part>,
    pub(crate) to_initiator: VecDeque<Part>,
    pub(crate) stray: Option<Stray>,
    /// What the initiator remembers of the last exchange that ended equal.
    pub(crate) known: Option<Known>,
    /// The last exchange ended equal, and nothing came from elsewhere since.
    pub(crate) equal: bool,
}

/// A request that nobody waits for any more: its sender is gone, or has sent it twice. It is answered at the same time
/// as others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Stray {
    pub(crate) process: Option<Resting>,
    pub(crate) inbox: VecDeque<Part>,
}

/// How many frames are still lost, doubled and swapped without anybody being told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Mischief {
    lose: u8,
    repeat: u8,
    swap: u8,
    in_all: u8,
}

impl Mischief {
    /// So many of each kind.
    pub(crate) const fn each(count: u8) -> Self {
        Self { lose: count, repeat: count, swap: count, in_all: 3 * count }
    }

    /// So many of any kind.
    pub(crate) const fn any(count: u8) -> Self {
        Self { in_all: count, ..Self::each(count) }
    }

    pub(crate) fn is_some(self) -> bool {
        self != Self::default()
    }

    /// What is left behind a move; nothing if there was none left for it.
    pub(crate) fn behind(self, what: Move) -> Option<Self> {
        let (mut left, in_all) = (self, self.in_all.checked_sub(1));
        let kind = match what {
            Move::Lose(_) => &mut left.lose,
            Move::Repeat(_) => &mut left.repeat,
            Move::Swap(_) => &mut left.swap,
            _ => return Some(self),
        };
        *kind = kind.checked_sub(1)?;
        // What is left is the same whichever kind the last was.
        let most = in_all?;
        let Self { lose, repeat, swap, .. } = left;
        Some(Self { lose: lose.min(most), repeat: repeat.min(most), swap: swap.min(most), in_all: most })
    }
}

/// One thing that can happen on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// The initiator opens an exchange.
    Start,
    ToInitiator,
    ToResponder,
    ToStray,
    /// The oldest frame of entries becomes durable.
    WriteInitiator,
    WriteResponder,
    WriteStray,
    /// The connection breaks: what is on its way is lost.
    Cut,
    /// The initiator's process dies: what it had sent may still arrive.
    RestartInitiator,
    /// The responder's process dies: what it had sent may still arrive.
    RestartResponder,
    /// A request arrives once more.
    Double,
    /// The stray request is lost.
    DropStray,
    /// The next part on a wire is lost, arrives twice, or arrives after the one behind it.
    Lose(Way),
    Repeat(Way),
    Swap(Way),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToInitiator,
    ToResponder,
}

/// What a move brought to light.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    /// One side found the other at fault.
    pub(crate) blamed: bool,
    /// An entry was pushed before its parents.
    pub(crate) orphans: bool,
    /// A promise that was broken.
    pub(crate) broken: Option<&'static str>,
}

impl Heard {
    fn promise(&mut self, kept: bool, what: &'static str) {
        if !kept {
            self.broken.get_or_insert(what);
        }
    }

    /// Who is to blame for the end of an exchange.
    fn judge(&mut self, fault: &Fault) {
        match fault.blame() {
            Blame::Line => {}
            Blame::Peer => self.blamed = true,
            _ => self.promise(false, "the session was misused"),
        }
    }
}

fn waits(process: Option<&Resting>) -> bool {
    process.is_some_and(|process| process.receives())
}

fn writes(process: Option<&Resting>) -> bool {
    process.is_some_and(|process| process.writes())
}

impl Line {
    /// Whether an exchange is under way: something of it is left.
    pub(crate) fn is_busy(&self) -> bool {
        let talks = self.initiator.is_some() || self.responder.is_some() || self.stray.is_some();
        talks || !self.to_initiator.is_empty() || !self.to_responder.is_empty()
    }

    /// What happens next if everything that can happen does at some time, and nothing fails; nothing if the line is at
    /// rest.
    pub(crate) fn fair(&self) -> Option<Move> {
        if let Some(stray) = &self.stray {
            return Some(match &stray.process {
                Some(process) if process.writes() => Move::WriteStray,
                _ if stray.reads() => Move::ToStray,
                _ => Move::DropStray,
            });
        }
        let mut moves = Vec::new();
        self.work(&mut moves);
        moves.first().copied().or_else(|| match &self.initiator {
            // It waits for what will never come, until it loses patience.
            Some(_) => Some(Move::Cut),
            None => (!self.equal).then_some(Move::Start),
        })
    }

    /// What the two sides have to do for each other.
    pub(crate) fn work(&self, moves: &mut Vec<Move>) {
        let (initiator, responder) = (self.initiator.as_ref(), self.responder.as_ref());
        if writes(initiator) {
            moves.push(Move::WriteInitiator);
        }
        if writes(responder) {
            moves.push(Move::WriteResponder);
        }
        if !self.to_responder.is_empty() && (responder.is_none() || waits(responder)) {
            moves.push(Move::ToResponder);
        }
        if !self.to_initiator.is_empty() && waits(initiator) {
            moves.push(Move::ToInitiator);
        }
    }

    /// What a request does that nobody waits for, and how a request comes to arrive twice.
    pub(crate) fn strays(&self, moves: &mut Vec<Move>) {
        if let Some(stray) = &self.stray {
            if writes(stray.process.as_ref()) {
                moves.push(Move::WriteStray);
            }
            if stray.reads() {
                moves.push(Move::ToStray);
            }
            moves.push(Move::DropStray);
        } else if self.responder.is_none() && self.to_responder.back() == Some(&Part::End) {
            moves.push(Move::Double);
        }
    }

    /// Whether the initiator can die and leave a request behind.
    pub(crate) fn can_leave_a_stray(&self) -> bool {
        let is_on_the_way = self.responder.is_some() || !self.to_responder.is_empty();
        self.stray.is_none() && self.initiator.is_some() && is_on_the_way
    }

    /// What a line does that loses, doubles and swaps frames without telling anybody.
    pub(crate) fn mischief(&self, left: Mischief, moves: &mut Vec<Move>) {
        for (way, wire) in [(Way::ToInitiator, &self.to_initiator), (Way::ToResponder, &self.to_responder)] {
            let each = [
                (left.lose > 0 && !wire.is_empty(), Move::Lose(way)),
                (left.repeat > 0 && !wire.is_empty(), Move::Repeat(way)),
                (left.swap > 0 && wire.len() > 1, Move::Swap(way)),
            ];
            moves.extend(each.into_iter().filter(|(can, _)| *can).map(|(_, what)| what));
        }
    }

    fn wire(&mut self, way: Way) -> &mut VecDeque<Part> {
        match way {
            Way::ToInitiator => &mut self.to_initiator,
            Way::ToResponder => &mut self.to_responder,
        }
    }

    /// The connection is gone.
    pub(crate) fn close(&mut self) {
        self.initiator = None;
        self.responder = None;
        self.to_initiator.clear();
        self.to_responder.clear();
    }

    /// Lets something happen, over the initiator's disk and the responder's; nothing if it cannot.
    pub(crate) fn step(&mut self, terms: &Terms, disks: &mut [Disk; 2], what: Move) -> Option<Heard> {
        let mut heard = Heard::default();
        let [mine, theirs] = disks;
        match what {
            Move::Start => {
                let session = Session::initiator(terms.config(self.known));
                let mut process = Process::new(session, terms.size == Size::Roomy);
                let step = process.run(terms, mine, &mut self.to_responder);
                self.initiator_did(disks, process, step, &mut heard);
            }
            Move::ToInitiator => {
                let part = self.to_initiator.pop_front()?;
                if let Some(mut process) = self.initiator.take().map(Resting::wake) {
                    let step = process.receive(terms, mine, &part, &mut self.to_responder);
                    self.initiator_did(disks, process, step, &mut heard);
                }
            }
            Move::ToResponder => {
                let part = self.to_responder.pop_front()?;
                let mut process = woken_or_new(self.responder.take(), terms, theirs);
                let step = process.receive(terms, theirs, &part, &mut self.to_initiator);
                self.responder_did(process, step, &mut heard);
            }
            Move::ToStray => {
                let mut stray = self.stray.take()?;
                let part = stray.inbox.pop_front()?;
                let mut process = woken_or_new(stray.process.take(), terms, theirs);
                let step = process.receive(terms, theirs, &part, &mut VecDeque::new());
                self.stray_did(stray, process, step, &mut heard);
            }
            Move::WriteInitiator => {
                let mut process = self.initiator.take()?.wake();
                let step = process.write(terms, mine, &mut self.to_responder);
                self.initiator_did(disks, process, step, &mut heard);
            }
            Move::WriteResponder => {
                let mut process = self.responder.take()?.wake();
                let step = process.write(terms, theirs, &mut self.to_initiator);
                self.responder_did(process, step, &mut heard);
            }
            Move::WriteStray => {
                let mut stray = self.stray.take()?;
                let mut process = stray.process.take()?.wake();
                let step = process.write(terms, theirs, &mut VecDeque::new());
                self.stray_did(stray, process, step, &mut heard);
            }
            Move::Cut => self.close(),
            Move::RestartInitiator => {
                let inbox = core::mem::take(&mut self.to_responder);
                self.stray = Some(Stray { process: self.responder.take(), inbox });
                self.close();
            }
            Move::RestartResponder => {
                self.responder = None;
                self.to_responder.clear();
                self.stray = None;
            }
            Move::Double => {
                self.stray = Some(Stray { process: None, inbox: self.to_responder.clone() });
            }
            Move::DropStray => self.stray = None,
            Move::Lose(way) => {
                self.wire(way).pop_front()?;
            }
            Move::Repeat(way) => {
                let part = self.wire(way).front()?.clone();
                self.wire(way).push_front(part);
            }
            Move::Swap(way) => self.wire(way).swap(0, 1),
        }
        Some(heard)
    }

    /// What an initiator's step means.
    fn initiator_did(&mut self, disks: &[Disk; 2], process: Process, step: Step, heard: &mut Heard) {
        match step {
            Step::Waits => self.initiator = Some(process.rest()),
            Step::Done(Outcome::Equal(_)) => {
                // What came to the initiator since it looked is news for the next exchange, as is what came to the
                // responder since it answered.
                let equal = process.stated.is_some() && process.stated == process.snapshot();
                heard.promise(equal, "equal was said of sets that were not");
                if disks[1].order.is_some() {
                    self.known = process.known();
                }
                self.equal = disks[0].held == disks[1].held;
                self.close();
            }
            Step::Done(_) => self.close(),
            Step::Failed(fault) => {
                heard.judge(&fault);
                self.close();
            }
            Step::Broke(what) => heard.promise(false, what),
        }
    }

    /// What a responder's step means.
    fn responder_did(&mut self, process: Process, step: Step, heard: &mut Heard) {
        heard.orphans |= process.orphans;
        match step {
            Step::Waits => self.responder = Some(process.rest()),
            Step::Done(outcome) => heard.blamed |= matches!(outcome, Outcome::RefusedEntry { .. }),
            Step::Failed(fault) => {
                heard.judge(&fault);
                let mut room = [0; 256];
                let none = core::iter::empty::<()>();
                let length = write(Kind::Refusal, &fault.reply(), none, &mut room).expect("it fits");
                self.to_responder.clear();
                self.to_initiator.extend([Part::Control(room[..length].into()), Part::End]);
            }
            Step::Broke(what) => heard.promise(false, what),
        }
    }

    fn stray_did(&mut self, mut stray: Stray, process: Process, step: Step, heard: &mut Heard) {
        match step {
            Step::Waits => stray.process = Some(process.rest()),
            Step::Done(_) => return,
            Step::Failed(fault) => return heard.judge(&fault),
            Step::Broke(what) => heard.promise(false, what),
        }
        self.stray = Some(stray);
    }
}

impl Stray {
    fn reads(&self) -> bool {
        !self.inbox.is_empty() && self.process.as_ref().is_none_or(|process| process.receives())
    }
}

/// A responder at work, or a new one.
fn woken_or_new(process: Option<Resting>, terms: &Terms, disk: &Disk) -> Process {
    process.map_or_else(|| Process::responder(terms, disk), Resting::wake)
}
