//! What there is at a moment, and what can happen in it.

use std::collections::VecDeque;

use pleach_core::session::Known;

use super::process::{Disk, Part, Resting};

/// All that there is at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The initiator's, the responder's.
    pub(crate) disks: [Disk; 2],
    pub(crate) initiator: Option<Resting>,
    /// The last exchange ended equal, and nothing came from elsewhere since.
    pub(crate) equal: bool,
    pub(crate) known: Option<Known>,
    pub(crate) to_responder: VecDeque<Part>,
    pub(crate) to_initiator: VecDeque<Part>,
    pub(crate) responder: Option<Resting>,
    pub(crate) stray: Option<Stray>,
    pub(crate) mischief: u8,
    /// An entry was stored that a peer sent.
    pub(crate) moved: bool,
    /// A peer was found at fault.
    pub(crate) blamed: bool,
    /// A promise that was broken.
    pub(crate) broken: Option<&'static str>,
}

/// A request that nobody waits for any more: its sender is gone, or has sent it twice. It is answered at the same time
/// as others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Stray {
    pub(crate) process: Option<Resting>,
    pub(crate) inbox: VecDeque<Part>,
}

/// One thing that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
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
    /// An entry comes to a side from elsewhere.
    News {
        side: usize,
        entry: usize,
    },
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

impl State {
    /// What happens next if everything that can happen does at some time, and nothing fails.
    pub(crate) fn fair(&self) -> Option<Action> {
        if let Some(stray) = &self.stray {
            let waits = stray.process.as_ref().is_none_or(|process| process.receives());
            return Some(match &stray.process {
                Some(process) if process.writes() => Action::WriteStray,
                _ if waits && !stray.inbox.is_empty() => Action::ToStray,
                _ => Action::DropStray,
            });
        }
        let mut actions = Vec::new();
        self.work(&mut actions);
        actions.first().copied().or_else(|| match &self.initiator {
            // It waits for what will never come, until it loses patience.
            Some(_) => Some(Action::Cut),
            None => (!self.equal).then_some(Action::Start),
        })
    }

    /// What the two sides have to do for each other.
    pub(crate) fn work(&self, actions: &mut Vec<Action>) {
        let waits = |process: &Option<Resting>| process.as_ref().is_some_and(|process| process.receives());
        let writes = |process: &Option<Resting>| process.as_ref().is_some_and(|process| process.writes());
        if writes(&self.initiator) {
            actions.push(Action::WriteInitiator);
        }
        if writes(&self.responder) {
            actions.push(Action::WriteResponder);
        }
        if !self.to_responder.is_empty() && (self.responder.is_none() || waits(&self.responder)) {
            actions.push(Action::ToResponder);
        }
        if !self.to_initiator.is_empty() && waits(&self.initiator) {
            actions.push(Action::ToInitiator);
        }
    }

    /// What a request does that nobody waits for, and how there comes to be one.
    pub(crate) fn strays(&self, actions: &mut Vec<Action>) {
        if let Some(stray) = &self.stray {
            if stray.process.as_ref().is_some_and(|process| process.writes()) {
                actions.push(Action::WriteStray);
            }
            if !stray.inbox.is_empty() && stray.process.as_ref().is_none_or(|process| process.receives()) {
                actions.push(Action::ToStray);
            }
            actions.push(Action::DropStray);
            return;
        }
        let is_on_the_way = self.responder.is_some() || !self.to_responder.is_empty();
        if self.initiator.is_some() && is_on_the_way {
            actions.push(Action::RestartInitiator);
        }
        if self.responder.is_none() && matches!(self.to_responder.back(), Some(Part::End(_))) {
            actions.push(Action::Double);
        }
    }

    pub(crate) fn wire(&mut self, way: Way) -> &mut VecDeque<Part> {
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

    pub(crate) fn promise(&mut self, kept: bool, what: &'static str) {
        if !kept {
            self.broken.get_or_insert(what);
        }
    }
}
