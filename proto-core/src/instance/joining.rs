//! Getting into a database at any of several places, step by step: what both runtimes do between their commands.

use alloc::vec::Vec;

use crate::{
    Id, PublicKey,
    instance::{AccessRequest, Bootstrap, Error},
    node::{Command, NodeError, Reply, SyncReport},
    storage::Snapshot,
    wire::{Address, AskOutcome},
};

/// An attempt to get into a database, at all places side by side.
///
/// ```
/// # use pleach_core::{Id, SecretKey, entry::Permission, instance::{AccessRequest, Error, Joining}};
/// let (tree, key) = (Id::of(b"t"), SecretKey::from_bytes([1; 32]).public());
/// let nowhere = Joining::new(tree, vec![key], AccessRequest::new(Permission::Read), Vec::new());
/// assert_eq!(nowhere.err(), Some(Error::NoAddress(tree)));
/// ```
#[derive(Clone, Debug)]
pub struct Joining {
    tree: Id,
    /// The node's, and those that its exchanges prove.
    keys: Vec<PublicKey>,
    request: AccessRequest,
    /// Where to look, best first; never empty.
    places: Vec<Address>,
    step: Step,
    /// What was answered to the request, and where.
    asked: Option<(AskOutcome, Address)>,
    /// What could be read when it was tried last.
    synced: Option<SyncReport>,
}

/// What is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The request, before anything was fetched.
    AskingFirst,
    Syncing,
    /// The request, after it was seen what may be read without it.
    Asking,
}

/// What follows.
#[derive(Clone, Debug)]
#[must_use]
pub enum JoinStep {
    /// A command, whose reply goes to [`Joining::next`].
    Do(Command),
    /// It is over.
    Over(Bootstrap),
}

impl Joining {
    /// For a node's key and those that its exchanges prove. No place at all is an error.
    pub fn new(
        tree: Id,
        keys: Vec<PublicKey>,
        request: AccessRequest,
        places: Vec<Address>,
    ) -> Result<Self, Error> {
        if places.is_empty() {
            return Err(Error::NoAddress(tree));
        }
        Ok(Self { tree, keys, request, places, step: Step::Syncing, asked: None, synced: None })
    }

    /// What to begin with.
    pub fn begin(&mut self, snapshot: &dyn Snapshot) -> Result<JoinStep, Error> {
        let is_met = self.is_met(snapshot)?;
        // Who brings an invite may read nothing before it is redeemed.
        let first = self.request.invite.is_some() && !is_met;
        Ok(if first { self.ask(Step::AskingFirst) } else { self.sync() })
    }

    /// What follows from what came of the command before; the snapshot is taken after it.
    pub fn next(&mut self, reply: Result<Reply, Error>, snapshot: &dyn Snapshot) -> Result<JoinStep, Error> {
        let is_met = self.is_met(snapshot)?;
        self.follow(reply, is_met)
    }

    fn is_met(&self, snapshot: &dyn Snapshot) -> Result<bool, Error> {
        self.request.is_met(snapshot, &self.tree, &self.keys)
    }

    /// The same; `is_met` if one of the keys may do all that is asked for by now.
    fn follow(&mut self, reply: Result<Reply, Error>, is_met: bool) -> Result<JoinStep, Error> {
        match (self.step, reply) {
            (Step::AskingFirst | Step::Asking, Ok(Reply::Asked(outcome, place))) => {
                Ok(self.answered(outcome, place))
            }
            (Step::Syncing, Ok(Reply::Synced(report))) => {
                self.synced = Some(report);
                self.compared(is_met)
            }
            (Step::Syncing, Err(Error::Node(error)))
                if error.any(|error| matches!(error, NodeError::NotOffered(_))) =>
            {
                self.synced = None;
                self.compared(is_met)
            }
            (_, Ok(reply)) => Err(Error::unexpected(&reply)),
            (_, Err(error)) => Err(error),
        }
    }

    fn ask(&mut self, step: Step) -> JoinStep {
        self.step = step;
        JoinStep::Do(self.request.command(self.places.clone(), &self.tree))
    }

    fn sync(&mut self) -> JoinStep {
        self.step = Step::Syncing;
        JoinStep::Do(Command::SyncAny { addresses: self.places.clone(), tree: self.tree })
    }

    fn answered(&mut self, outcome: AskOutcome, place: Address) -> JoinStep {
        if self.step == Step::Asking && !matches!(outcome, AskOutcome::Approved(_)) {
            return JoinStep::Over(Bootstrap::without(outcome, self.synced.take()));
        }
        self.goes_first(&place);
        self.asked = Some((outcome, place));
        self.sync()
    }

    /// Whoever was heard has what the others may not have yet.
    fn goes_first(&mut self, place: &Address) {
        if let Some(at) = self.places.iter().position(|known| known == place) {
            self.places.get_mut(..=at).unwrap_or_default().rotate_right(1);
        }
    }

    /// It is known what may be read.
    fn compared(&mut self, is_met: bool) -> Result<JoinStep, Error> {
        match (self.synced.take_if(|_| is_met), self.asked.take()) {
            (Some(report), _) => Ok(JoinStep::Over(Bootstrap::Joined(report))),
            (None, None) => {
                if let Some(place) = self.synced.as_ref().and_then(|report| report.address.clone()) {
                    self.goes_first(&place);
                }
                Ok(self.ask(Step::Asking))
            }
            (None, Some((AskOutcome::Approved(_), place))) => match self.synced.take() {
                Some(report) => Ok(JoinStep::Over(Bootstrap::Joined(report))),
                None => self.misled(&place),
            },
            (None, Some((outcome, _))) => Ok(JoinStep::Over(Bootstrap::without(outcome, self.synced.take()))),
        }
    }

    /// A place says that this node was let in, and nobody lets it in: the others are asked without that one.
    fn misled(&mut self, place: &Address) -> Result<JoinStep, Error> {
        self.places.retain(|known| known != place);
        if self.places.is_empty() {
            return Err(NodeError::NotOffered(self.tree).into());
        }
        Ok(self.ask(Step::Asking))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SecretKey, entry::Permission};

    const APPROVED: AskOutcome = AskOutcome::Approved(Permission::Write(1));

    fn place(n: u8) -> Address {
        Address::http(&alloc::format!("{n}:1"))
    }

    fn tree() -> Id {
        Id::of(b"t")
    }

    /// One that has begun by looking what may be read at three places.
    fn joining() -> Joining {
        let key = SecretKey::from_bytes([1; 32]).public();
        let request = AccessRequest::new(Permission::Write(1));
        Joining::new(tree(), Vec::from([key]), request, (0..3).map(place).collect()).unwrap()
    }

    fn refused() -> Result<Reply, Error> {
        Err(NodeError::NotOffered(tree()).into())
    }

    fn synced(n: u8) -> Reply {
        Reply::Synced(SyncReport { address: Some(place(n)), ..SyncReport::nothing(tree()) })
    }

    /// Where the step asks, and whether it asks for access.
    fn asks(step: JoinStep) -> (bool, Vec<Address>) {
        match step {
            JoinStep::Do(Command::Ask { addresses, .. }) => (true, addresses),
            JoinStep::Do(Command::SyncAny { addresses, .. }) => (false, addresses),
            step => panic!("{step:?}"),
        }
    }

    #[test]
    fn who_approves_is_synced_with_first_and_the_others_may_stand_in() {
        let mut joining = joining();
        let asked = joining.follow(refused(), false).unwrap();
        assert_eq!(asks(asked), (true, [0, 1, 2].map(place).into()));
        let approved = joining.follow(Ok(Reply::Asked(APPROVED, place(2))), false).unwrap();
        assert_eq!(asks(approved), (false, [2, 0, 1].map(place).into()));
        let over = joining.follow(Ok(synced(0)), true).unwrap();
        assert!(matches!(over, JoinStep::Over(Bootstrap::Joined(_))));
    }

    #[test]
    fn who_may_read_and_wants_to_write_asks_whom_it_has_synced_with() {
        let mut joining = joining();
        let asked = joining.follow(Ok(synced(1)), false).unwrap();
        assert_eq!(asks(asked), (true, [1, 0, 2].map(place).into()));
        let over = joining.follow(Ok(Reply::Asked(AskOutcome::Received, place(1))), false).unwrap();
        assert!(matches!(over, JoinStep::Over(Bootstrap::Pending(Some(_)))));
    }

    #[test]
    fn who_says_that_it_approves_and_lets_nobody_in_is_left_out() {
        let mut joining = joining();
        for left in [&[1, 2][..], &[2]] {
            joining.step = Step::Asking;
            let liar = joining.places[0].clone();
            let _ = joining.follow(Ok(Reply::Asked(APPROVED, liar)), false).unwrap();
            let others = left.iter().map(|n| place(*n)).collect();
            assert_eq!(asks(joining.follow(refused(), false).unwrap()), (true, others));
        }
        let _ = joining.follow(Ok(Reply::Asked(APPROVED, place(2))), false).unwrap();
        assert_eq!(joining.follow(refused(), false).err(), refused().err());
    }

    #[test]
    fn what_is_no_refusal_is_no_reason_to_ask() {
        let cut = Error::from(NodeError::TimedOut(30));
        assert_eq!(joining().follow(Err(cut.clone()), false).err(), Some(cut));
    }
}
