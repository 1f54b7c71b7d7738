//! The machine itself: its state, and the dispatch of inputs.

use heapless::Vec;

use crate::{
    Id, Position, PublicKey,
    wire::{PeerLimits, Refusal},
};

use super::{Holding, NotTaken, Slot};
use crate::session::{Fault, fault::rule};

/// Ids of others' that are named as gone in one request.
pub(super) const MAX_GONE: usize = 8;

/// Outputs that one input can cause.
const OUTPUTS: usize = 3;

/// What a contact may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// What this device can take. A frame holds the largest entry and the list of the ring.
    pub limits: PeerLimits,
    /// Requests after which it gives up for this time.
    pub rounds: u8,
}

/// What happened. Each output that expects an input says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// At first, once.
    Begin,
    /// After [`Output::Send`]: the frame is on its way, `outgoing` may be overwritten.
    Sent,
    /// After [`Output::Load`]: the entry's bytes are in `outgoing`.
    Loaded,
    /// After [`Output::Receive`]: the next frame of the peer's message is in `incoming`, and stays there until the next
    /// [`Output::Receive`].
    Frame,
    /// After [`Output::Receive`]: the peer's message has ended.
    End,
    /// After [`Output::Take`]: the entry is durable at this place of the caller's.
    Taken {
        /// See [`Slot::place`].
        place: u32,
    },
    /// After [`Output::Advance`]: the base is durable.
    Advanced,
}

/// What the contact wants done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Output {
    /// `outgoing[..len]` is a frame to send. Answered by [`Input::Sent`].
    Send(usize),
    /// Copy the entry of a slot to `outgoing[at..]`. Answered by [`Input::Loaded`].
    Load {
        /// Which entry, and how long it is.
        slot: Slot,
        /// Where to.
        at: usize,
    },
    /// My message is complete. Not answered.
    Finish,
    /// Hand me the next frame of the peer's message. Answered by [`Input::Frame`] or [`Input::End`].
    Receive,
    /// `incoming[at..][..bytes]` is an entry, fully checked: make it durable, after those before it. Answered by
    /// [`Input::Taken`].
    Take {
        /// Where it begins.
        at: usize,
        /// How long it is.
        bytes: usize,
    },
    /// Make this the base, durably, and then forget the ring: one step that a restart sees whole or not at all.
    /// Answered by [`Input::Advanced`].
    Advance {
        /// The new base.
        base: Position,
        /// The newest time that it, and all that it stands for as far as it was held here, claims. Kept with the base.
        time: u64,
    },
    /// The contact is over. Nothing comes after it.
    Done(Outcome),
}

/// How a contact ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Neither side lacked anything of the other's.
    Equal(Totals),
    /// Too many requests: try again.
    Unequal(Totals),
    /// The peer lacks this entry, which this device dropped long ago: the peer is to sync with another full node.
    Behind(Id),
    /// The peer refused.
    Refused(Refusal),
}

/// What a contact moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Totals {
    /// Entries taken into the ring.
    pub taken: u32,
    /// Entries sent.
    pub sent: u32,
    /// Times the base advanced.
    pub advanced: u32,
    /// Requests sent.
    pub rounds: u8,
}

/// What the contact waits for, and where it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Begin,
    /// The head is being sent.
    HeadSent,
    /// What is gone is being named.
    GoneSent,
    /// An entry is being read: bytes of the frame that are used with it.
    Loading(usize),
    /// A frame of entries is being sent.
    EntriesSent,
    EndSent,
    /// The head of the response is awaited.
    Head,
    /// Frames behind it are awaited.
    Rest,
    /// An entry is being stored: where the next one begins in the frame.
    Taking(usize),
    /// The base is being stored.
    Advancing(Position, u64),
    /// The end of the message is awaited, behind its last frame.
    LastFrame,
    Done,
}

/// One contact of a partial holder with a full node about one tree, as its initiator.
///
/// It is driven in lockstep, like a [`Session`](crate::session::Session): [`Contact::handle`] with
/// [`Input::Begin`]; then carry out all that [`Contact::poll`] gives; then hand in what the last of it asks for. The
/// holding is lent to each call and changes when [`Input::Taken`] and [`Input::Advanced`] say that something is
/// durable. `outgoing` must be the same from one call to the next, and have the bytes of a frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Contact<const N: usize> {
    pub(super) config: Config,
    pub(super) step: Step,
    outputs: Vec<Output, OUTPUTS>,
    /// What the peer takes, once it has said so.
    pub(super) peer: PeerLimits,
    /// Bytes of the message being written that may still be used.
    pub(super) budget: usize,
    /// Bytes of the message being read.
    received: usize,
    /// Numbers in the ring of what the peer lacks.
    pub(super) lacks: Vec<u16, N>,
    /// How many of them are sent.
    pub(super) pushed: usize,
    /// What the peer lacks and this device does not hold any more.
    pub(super) gone: Vec<Id, MAX_GONE>,
    pub(super) gone_told: bool,
    /// The response: both held the same; there is more to come.
    pub(super) same: bool,
    pub(super) more: bool,
    pub(super) refusal: Option<Refusal>,
    pub(super) totals: Totals,
}

impl<const N: usize> Contact<N> {
    /// A contact with a peer that has proven its key; refused if the key is not on the allow-list.
    pub fn new(config: Config, holding: &Holding<N>, peer: &PublicKey) -> Result<Self, NotTaken> {
        if !holding.charter().allowed.contains(peer) {
            return Err(NotTaken::NotAllowed);
        }
        Ok(Self {
            config,
            step: Step::Begin,
            outputs: Vec::new(),
            peer: config.limits,
            budget: 0,
            received: 0,
            lacks: Vec::new(),
            pushed: 0,
            gone: Vec::new(),
            gone_told: false,
            same: false,
            more: false,
            refusal: None,
            totals: Totals::default(),
        })
    }

    /// What is to be done next; nothing if it waits for an input.
    pub fn poll(&mut self) -> Option<Output> {
        if self.outputs.is_empty() { None } else { Some(self.outputs.remove(0)) }
    }

    /// What has moved so far.
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// Takes an input. After an error nothing more comes out of the contact.
    pub fn handle(
        &mut self,
        input: Input,
        holding: &mut Holding<N>,
        incoming: &[u8],
        outgoing: &mut [u8],
    ) -> Result<(), Fault> {
        let result = self.dispatch(input, holding, incoming, outgoing);
        if result.is_err() {
            self.step = Step::Done;
            self.outputs.clear();
        }
        result
    }

    fn dispatch(
        &mut self,
        input: Input,
        holding: &mut Holding<N>,
        incoming: &[u8],
        outgoing: &mut [u8],
    ) -> Result<(), Fault> {
        match (core::mem::replace(&mut self.step, Step::Done), input) {
            (Step::Begin, Input::Begin) => self.request(holding, outgoing),
            (Step::HeadSent, Input::Sent) => self.head_sent(holding, outgoing),
            (Step::GoneSent, Input::Sent) => {
                self.gone_told = true;
                self.push(holding, outgoing)
            }
            (Step::EntriesSent, Input::Sent) => self.push(holding, outgoing),
            (Step::Loading(used), Input::Loaded) => self.push_next(used, holding, outgoing),
            (Step::EndSent, Input::Sent) => {
                self.received = 0;
                self.step = Step::Head;
                self.give(Output::Finish)?;
                self.give(Output::Receive)
            }
            (Step::Head, Input::Frame) => {
                self.account(incoming)?;
                self.response_head(incoming)
            }
            (Step::Rest, Input::Frame) => {
                self.account(incoming)?;
                self.response_frame(holding, incoming)
            }
            (Step::Taking(next), Input::Taken { place }) => self.taken(next, place, holding, incoming),
            (Step::Advancing(base, time), Input::Advanced) => {
                holding.advance(base, time);
                self.lacks.clear();
                self.totals.advanced = self.totals.advanced.saturating_add(1);
                self.receive_rest()
            }
            (Step::LastFrame, Input::End) => self.response_ended(holding, outgoing),
            (Step::LastFrame, Input::Frame) => Err(Fault::OutOfPlace),
            (Step::Head | Step::Rest, Input::End) => Err(Fault::CutShort),
            _ => Err(Fault::Misuse("the input is not one that was asked for")),
        }
    }

    /// The response is complete and stored: the end, or another request.
    fn response_ended(&mut self, holding: &Holding<N>, outgoing: &mut [u8]) -> Result<(), Fault> {
        if let Some(refusal) = self.refusal.take() {
            return self.done(Outcome::Refused(refusal));
        }
        match self.gone.first() {
            Some(id) if self.gone_told => return self.done(Outcome::Behind(*id)),
            None if self.same || (self.lacks.is_empty() && !self.more) => {
                return self.done(Outcome::Equal(self.totals));
            }
            _ => {}
        }
        if self.totals.rounds >= self.config.rounds {
            return self.done(Outcome::Unequal(self.totals));
        }
        self.request(holding, outgoing)
    }

    fn done(&mut self, outcome: Outcome) -> Result<(), Fault> {
        self.step = Step::Done;
        self.give(Output::Done(outcome))
    }

    fn account(&mut self, frame: &[u8]) -> Result<(), Fault> {
        self.received = self.received.saturating_add(frame.len());
        let allowed = usize::try_from(self.config.limits.message).unwrap_or(usize::MAX);
        if self.received > allowed { Err(Fault::TooLong) } else { Ok(()) }
    }

    /// Asks for the next frame behind the head.
    pub(super) fn receive_rest(&mut self) -> Result<(), Fault> {
        self.step = Step::Rest;
        self.give(Output::Receive)
    }

    pub(super) fn give(&mut self, output: Output) -> Result<(), Fault> {
        self.outputs.push(output).map_err(|_| Fault::Misuse("outputs were left unpolled"))
    }
}

/// An entry of the peer's that may not be taken.
pub(super) fn broken(id: Id, why: impl core::fmt::Display) -> Fault {
    Fault::Entry { id, rule: rule(why) }
}
