//! The actions that wait to be carried out, and what each answer is for.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec,
    vec::Vec,
};

use crate::{
    Id, PublicKey,
    entry::Entry,
    node::{
        Action, CommandId, ExchangeId, NodeError, Notification, Number, Op, Read, Reply, SnapshotId,
        talk::Counts,
    },
    storage::Write,
    wire::ProofTarget,
};

/// Where an answer belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Waiting {
    /// The next commits of a tree wait for what they need to know.
    Commit(Id),
    /// The write in flight of a tree.
    Write(Id),
    /// A write whose outcome shows in a later one.
    Nobody,
    /// A part of the history, by its number.
    History(u64),
    /// A change of metadata.
    Meta(CommandId),
    /// What is known of syncs that are to be forgotten.
    Forget(CommandId),
    /// The access request under way.
    Requests,
    /// A question of an exchange.
    Exchange(ExchangeId),
    /// Signatures of a frame, by the number that the exchange's pipeline gave it.
    Verify(ExchangeId, u64),
}

/// What was asked of an exchange's transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    pub(super) operations: usize,
    /// Of frames to send.
    pub(super) bytes: u64,
    /// Signatures to check.
    pub(super) checks: u64,
}

/// What a request of a peer has moved: the tree, the key if one is proven, how much.
pub(super) type Served = (Id, Option<PublicKey>, Counts);

/// Actions in order, and the numbers that tie them to their answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    actions: VecDeque<Action>,
    waiting: BTreeMap<Number, Waiting>,
    numbers: u64,
    /// What was asked of an exchange's transport and is not counted by the exchange yet.
    asked: BTreeMap<ExchangeId, Asked>,
    /// Trees whose store may be damaged, and whether damage was read.
    suspects: BTreeSet<(Id, bool)>,
    /// Keys that were let in.
    met: BTreeSet<PublicKey>,
    /// Whether the exchange whose turn it is may have more frames between arrival and disk than one.
    pub(super) has_room: bool,
    /// Whether the peer whose turn it is, and who may read by a grant, gets what strangers do not.
    pub(super) is_welcome: bool,
    served: VecDeque<Served>,
    /// A buffer that is lent to nobody: most exchanges are over in a moment, and making it clears all of it.
    spare: Vec<u8>,
}

impl Outbox {
    /// A buffer of so many bytes, whatever is in them.
    pub(super) fn lend(&mut self, bytes: usize) -> Vec<u8> {
        // A fresh one that the system gives as zeros costs no more than what is written into it.
        if self.spare.len() == bytes { core::mem::take(&mut self.spare) } else { vec![0; bytes] }
    }

    /// One that was lent.
    pub(super) fn give_back(&mut self, buffer: Vec<u8>) {
        if buffer.len() > self.spare.len() {
            self.spare = buffer;
        }
    }

    pub(super) fn pop(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What the answer with this number is for; nothing if it was not asked for, or answered before.
    pub(super) fn take(&mut self, number: Number) -> Option<Waiting> {
        self.waiting.remove(&number)
    }

    pub(super) fn exchange(&mut self, id: ExchangeId, op: Op) {
        let asked = self.asked.entry(id).or_default();
        asked.operations = asked.operations.saturating_add(1);
        if let Op::Send(frame) = &op {
            asked.bytes = asked.bytes.saturating_add(frame.len() as u64);
        }
        self.actions.push_back(Action::Exchange(id, op));
    }

    /// Tells an exchange's transport that its peer is no stranger.
    pub(super) fn vouch(&mut self, id: ExchangeId) {
        self.actions.push_back(Action::Exchange(id, Op::Vouch));
    }

    /// Lets an exchange's transport prove further keys in front of its next message.
    pub(super) fn prove(&mut self, id: ExchangeId, target: ProofTarget) {
        self.actions.push_back(Action::Exchange(id, Op::Prove(target)));
    }

    /// Signatures beside those of entries are to be checked.
    pub(super) fn check(&mut self, exchange: ExchangeId, signatures: usize) {
        let asked = self.asked.entry(exchange).or_default();
        asked.checks = asked.checks.saturating_add(signatures as u64);
    }

    /// What was asked of an exchange's transport since the last call.
    pub(super) fn take_asked(&mut self, id: ExchangeId) -> Asked {
        self.asked.remove(&id).unwrap_or_default()
    }

    pub(super) fn read(&mut self, waiting: Waiting, snapshot: SnapshotId, read: Read) {
        let number = self.number(waiting);
        self.actions.push_back(Action::Read { number, snapshot, read });
    }

    /// Asks one question of a snapshot of its own.
    pub(super) fn read_once(&mut self, waiting: Waiting, read: Read) {
        let snapshot = self.snapshot();
        self.read(waiting, snapshot, read);
        self.release(snapshot);
    }

    pub(super) fn snapshot(&mut self) -> SnapshotId {
        SnapshotId(self.next())
    }

    pub(super) fn release(&mut self, snapshot: SnapshotId) {
        self.actions.push_back(Action::Release(snapshot));
    }

    pub(super) fn write(&mut self, waiting: Waiting, write: Write) {
        let number = self.number(waiting);
        self.actions.push_back(Action::Write { number, write });
    }

    pub(super) fn verify(&mut self, exchange: ExchangeId, frame: u64, entries: Vec<Entry>) {
        let asked = self.asked.entry(exchange).or_default();
        asked.checks = asked.checks.saturating_add(entries.len() as u64);
        let number = self.number(Waiting::Verify(exchange, frame));
        self.actions.push_back(Action::Verify { number, entries });
    }

    /// A tree's store may be damaged: it was read so, or an exchange leads nowhere.
    pub(super) fn suspect(&mut self, tree: Id, read: bool) {
        self.suspects.insert((tree, read));
    }

    pub(super) fn take_suspect(&mut self) -> Option<(Id, bool)> {
        self.suspects.pop_last()
    }

    pub(super) fn reply(&mut self, command: CommandId, result: Result<Reply, NodeError>) {
        self.actions.push_back(Action::Reply(command, result));
    }

    pub(super) fn notify(&mut self, notification: Notification) {
        self.actions.push_back(Action::Notify(notification));
    }

    fn number(&mut self, waiting: Waiting) -> Number {
        let number = Number(self.next());
        self.waiting.insert(number, waiting);
        number
    }

    pub(super) fn next(&mut self) -> u64 {
        self.numbers = self.numbers.wrapping_add(1);
        self.numbers
    }

    /// A peer with this key may read a tree that it asked for.
    pub(super) fn met(&mut self, peer: PublicKey) {
        self.met.insert(peer);
    }

    /// A request of a peer has moved entries.
    pub(super) fn served(&mut self, served: Served) {
        self.served.push_back(served);
    }

    /// What a request of a peer has moved since the last call.
    pub(super) fn take_served(&mut self) -> Option<Served> {
        self.served.pop_front()
    }

    /// A key that was let in since the last call.
    pub(super) fn take_met(&mut self) -> Option<PublicKey> {
        self.met.pop_first()
    }
}
