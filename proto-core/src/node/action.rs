//! What a runtime carries out, and the events with which it answers.

use alloc::{sync::Arc, vec::Vec};

use crate::{
    PublicKey,
    budget::Source,
    entry::{Entry, EntryError, VerifiedEntry},
    node::{Command, CommandId, NodeError, Notification, Read, ReadReply, Reply},
    storage::{StorageError, Write, Written},
    wire::{Address, Binding, ProofTarget},
};

/// Ties an action to the event that answers it. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub u64);

/// Names a snapshot that the runtime keeps for the node: opened when a read first names it, dropped at
/// [`Action::Release`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(pub u64);

/// Names an exchange with a peer. The node numbers those that it opens, the runtime those that it accepts; the
/// lowest bit keeps the two apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(u64);

impl ExchangeId {
    /// The `n`-th exchange that this node opened.
    pub const fn opened(n: u64) -> Self {
        Self(n << 1)
    }

    /// The `n`-th exchange that the runtime accepted.
    pub const fn accepted(n: u64) -> Self {
        Self(n << 1 | 1)
    }
}

/// What the runtime is to do. Actions about one exchange are carried out one at a time, in order; all others may
/// overlap, and their events may come in any order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Action {
    /// Do this on an exchange, after what was asked of it before.
    Exchange(ExchangeId, Op),
    /// Answer a question from a snapshot with [`crate::node::perform`].
    Read {
        /// Comes back with the answer.
        number: Number,
        /// Which snapshot; a new name opens one.
        snapshot: SnapshotId,
        /// The question.
        read: Read,
    },
    /// Drop a snapshot.
    Release(SnapshotId),
    /// Carry out a write with [`crate::storage::Store::write`], behind all those that were asked for before: a record that is
    /// forgotten may be on its way.
    Write {
        /// Comes back with the outcome.
        number: Number,
        /// The write.
        write: Write,
    },
    /// Check the signatures of these entries with [`Entry::verify`], spread over the cores.
    Verify {
        /// Comes back with the outcome.
        number: Number,
        /// The entries.
        entries: Vec<Entry>,
    },
    /// Tell a caller the outcome of its command.
    Reply(CommandId, Result<Reply, NodeError>),
    /// Tell whoever watches.
    Notify(Notification),
}

/// One step of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
    /// Dial the address. Answered by [`ExchangeEvent::Opened`].
    Open(Address),
    /// Send one frame. Answered by [`ExchangeEvent::Sent`].
    Send(Arc<[u8]>),
    /// End this side's message. Answered by [`ExchangeEvent::Finished`].
    Finish,
    /// Wait for a frame of the other side's message. Answered by [`ExchangeEvent::Received`] or
    /// [`ExchangeEvent::End`], on an accepted exchange between messages also by [`ExchangeEvent::Closed`].
    Receive,
    /// The peer of this accepted exchange may read by a grant of its own: the transport lets it have its share, which
    /// strangers do not get. Not answered.
    Vouch,
    /// Prove further keys in front of this side's next message: send, as its first frame, a proof for each key that this
    /// node may use for what the target names, at most [`crate::wire::MAX_PROOFS`] of them. Nothing is sent if there are
    /// none. Not answered.
    Prove(ProofTarget),
    /// Say what the message that is being received is bound to. Answered by [`ExchangeEvent::Bound`].
    Bind,
    /// Let go of the exchange, whatever is under way. Not answered, and nothing comes after it.
    Close,
}

/// How the requests of an exchange reach the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// Frame by frame, as the peer sends them: a cut costs what is between arrival and disk.
    Streamed,
    /// Only when all of a request is there: a cut costs the request.
    Whole,
}

/// What happens to the node.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A caller asks for something. Answered by [`Action::Reply`] with the same id.
    Command(CommandId, Command),
    /// A peer opened an exchange. `proven` is the key that it has proven, if any.
    Accepted {
        /// The runtime's number for it.
        exchange: ExchangeId,
        /// The peer's node key, proven by the transport.
        proven: Option<PublicKey>,
        /// Where it comes from.
        source: Source,
        /// How its requests arrive.
        arrival: Arrival,
        /// When the peer signed what it brings, in wall milliseconds of its own, where a copy could be sent again by
        /// somebody else.
        signed: Option<u64>,
    },
    /// An answer to [`Action::Exchange`].
    Exchange(ExchangeId, ExchangeEvent),
    /// The answer to [`Action::Read`].
    Read(Number, Result<ReadReply, StorageError>),
    /// The answer to [`Action::Write`].
    Written(Number, Result<Written, StorageError>),
    /// The answer to [`Action::Verify`]: the entries in the same order, or the first that failed with the reason
    /// and those before it.
    Verified(Number, Result<Vec<VerifiedEntry>, (Vec<VerifiedEntry>, EntryError)>),
    /// Nothing but time has passed.
    Tick,
}

/// What happened on an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExchangeEvent {
    /// The dialled address answers. `peer` is the key that it has proven or will prove with its first message.
    Opened {
        /// The peer's node key.
        peer: Option<PublicKey>,
    },
    /// The frame has left.
    Sent,
    /// This side's message has left.
    Finished,
    /// A frame came.
    Received(Vec<u8>),
    /// What the message that is being received is bound to; nothing if the transport binds none.
    Bound(Option<Binding>),
    /// The other side's message is over.
    End,
    /// The other side is done with the exchange.
    Closed,
    /// The exchange broke; nothing more comes. The text says why and what to do.
    Failed(alloc::string::String),
}
