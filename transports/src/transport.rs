//! What every transport is: three traits of poll functions.

use std::task::{Context as Task, Poll};

use pleach_core::{PublicKey, budget::Source, node::Arrival, wire::Binding};

use crate::{Address, Context, Prover, TransportError};

/// A way to reach other nodes and to be reached.
///
/// Implement it for Bluetooth or a file drop as well as for sockets; the suite in `conformance` says what is expected.
///
/// ```
/// # use std::sync::Arc;
/// # use pleach_core::SecretKey;
/// # use pleach_transports::{Address, Context, Transport, memory::MemoryNetwork};
/// # let context = Context::new(SecretKey::from_bytes([1; 32]), Arc::new(|| 0), Arc::new(|bytes| bytes.fill(0)));
/// let network = MemoryNetwork::new();
/// let transport = network.builder().bind("desk").transport(context);
/// assert_eq!(transport.kind(), "memory");
/// assert!(transport.can_listen() && transport.can_dial(&Address::new("memory", "laptop")));
/// assert!(!transport.can_dial(&Address::quic("192.0.2.7:8081")));
/// ```
pub trait Transport: Send + Sync {
    /// The name in front of its addresses: `http`, `quic`, `memory`.
    fn kind(&self) -> &'static str;

    /// Whether [`Transport::dial`] can try this address.
    fn can_dial(&self, address: &Address) -> bool {
        address.transport_type == self.kind()
    }

    /// Begins an exchange with the node at an address; [`Exchange::poll_open`] carries it out.
    fn dial(&self, address: &Address) -> Result<Box<dyn Exchange>, TransportError>;

    /// Whether the builder said where to listen: without that, a transport only dials.
    fn can_listen(&self) -> bool {
        true
    }

    /// Begins to accept exchanges where the builder said; dropping the listener ends it.
    fn listen(&self) -> Result<Box<dyn Listener>, TransportError>;
}

/// An open door.
///
/// ```
/// # use std::sync::Arc;
/// # use pleach_core::SecretKey;
/// # use pleach_transports::{Context, Listener, Transport, memory::MemoryNetwork};
/// # let context = Context::new(SecretKey::from_bytes([1; 32]), Arc::new(|| 0), Arc::new(|bytes| bytes.fill(0)));
/// let network = MemoryNetwork::new();
/// let listener: Box<dyn Listener> = network.builder().bind("desk").transport(context).listen()?;
/// assert_eq!(listener.address().address, "desk");
/// # Ok::<(), pleach_transports::TransportError>(())
/// ```
pub trait Listener: Send {
    /// Where it is reached: the port resolved, this node's key named.
    fn address(&self) -> Address;

    /// The next exchange that a peer began. An error is the end of the listener, never of one peer.
    fn poll_accept(&mut self, task: &mut Task<'_>) -> Poll<Result<Box<dyn Exchange>, TransportError>>;
}

/// What a receive brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// One frame of the peer's message, exactly as it was sent.
    Frame(Vec<u8>),
    /// The peer's message is over, and all of it is authentic. It is now this side's turn.
    End,
    /// The peer will send no more messages.
    Closed,
}

/// Messages in turn between two nodes: the initiator's, the responder's answer, the next one.
///
/// The side that dialled opens, sends frames, finishes, receives until [`Received::End`], and may then send the next
/// message. The side that accepted receives until `End`, sends, finishes, and receives the next message or
/// [`Received::Closed`]; it may answer before it has heard the end, if it wants nothing more of that message. One operation at a time: each is polled until it is ready before the next begins. After an
/// error the exchange is over. Dropping it in the middle of a message cuts it, which the peer sees as an error.
///
/// A frame has 1 to `MAX_FRAME` bytes, a message at most `MAX_MESSAGE` bytes of frames
/// ([`pleach_core::limits`]); more is refused on either side before memory is reserved for it.
///
/// A responder may know its answer before it has heard all of a request, say it, and go. The initiator's sends may fail
/// with [`TransportError::Cut`] from then on; what the responder said can be received all the same.
///
/// Over HTTP a response is proven as a whole by its end frame: until `End`, act only upon what proves itself
/// (entries, by id and signature).
///
/// ```
/// # use std::{sync::Arc, task::Poll};
/// # use pleach_core::SecretKey;
/// # use pleach_transports::{Context, Exchange, Received, Transport, TransportError, memory::MemoryNetwork, park_on};
/// # let context = |n| Context::new(SecretKey::from_bytes([n; 32]), Arc::new(|| 0), Arc::new(|bytes| bytes.fill(0)));
/// # let network = MemoryNetwork::new();
/// # let mut listener = network.builder().bind("desk").transport(context(1)).listen()?;
/// # park_on(async {
/// use std::future::poll_fn;
/// let mut asking = network.builder().transport(context(2)).dial(&listener.address())?;
/// poll_fn(|task| asking.poll_open(task)).await?;
/// poll_fn(|task| asking.poll_send(task, b"a frame")).await?;
/// poll_fn(|task| asking.poll_finish(task)).await?;
///
/// let mut answering = poll_fn(|task| listener.poll_accept(task)).await?;
/// let received = poll_fn(|task| answering.poll_receive(task)).await?;
/// assert_eq!(received, Received::Frame(b"a frame".to_vec()));
/// assert_eq!(answering.peer(), Some(context(2).key().public()));
/// # Ok::<(), TransportError>(())
/// # })?;
/// # Ok::<(), pleach_transports::TransportError>(())
/// ```
pub trait Exchange: Send {
    /// The key that the other side has proven: for the initiator once it is open, for the responder from the start
    /// unless the request was unsigned. All that is received comes from it.
    fn peer(&self) -> Option<PublicKey>;

    /// When the other side signed the message being received, in wall milliseconds of its own, where a copy of it could be
    /// sent again by somebody else. Whoever gives such a message an effect stores this in the same transaction, and takes
    /// none that is older.
    fn signed(&self) -> Option<u64> {
        None
    }

    /// Where an accepted exchange comes from: what the transport can tell of the other machine before it proves
    /// anything, in a form that says no more. Strangers are charged by it.
    fn source(&self) -> Source {
        Source::default()
    }

    /// The node knows the peer of this accepted exchange: it may have what is kept from strangers. Until then a transport
    /// may take frames of up to [`STRANGER_FRAME`](pleach_core::node::STRANGER_FRAME) bytes alone, hold less, and let go
    /// of the exchange for somebody else.
    fn vouch(&mut self) {}

    /// How requests are handed over.
    fn arrival(&self) -> Arrival {
        Arrival::Streamed
    }

    /// What this exchange is bound to, where both ends know something that no other exchange has: for the responder, the
    /// message being received and the answer to it; for the initiator, the message being received. Further keys are
    /// proven for that alone, and over a transport that has no such thing not at all.
    fn binding(&self) -> Option<Binding> {
        None
    }

    /// Proves further keys in front of this side's next message, which has not begun. The frame that is to be sent for
    /// that, if any: a transport that does not know yet what the message will be bound to keeps the prover, and puts the
    /// frame in its place later.
    fn prove(&mut self, prover: &Prover) -> Option<Vec<u8>> {
        prover.frame(&self.binding()?)
    }

    /// Reaches the peer and proves its key; ready at once on an accepted exchange.
    fn poll_open(&mut self, task: &mut Task<'_>) -> Poll<Result<(), TransportError>>;

    /// Hands over one frame of this side's message. Poll with the same frame until it is ready.
    fn poll_send(&mut self, task: &mut Task<'_>, frame: &[u8]) -> Poll<Result<(), TransportError>>;

    /// Ends this side's message; a message without frames is legal.
    fn poll_finish(&mut self, task: &mut Task<'_>) -> Poll<Result<(), TransportError>>;

    /// Waits for the next part of the peer's message.
    fn poll_receive(&mut self, task: &mut Task<'_>) -> Poll<Result<Received, TransportError>>;
}

/// Settings from which a node makes a transport.
///
/// ```
/// # use std::sync::Arc;
/// # use pleach_core::SecretKey;
/// # use pleach_transports::{Builder, Context, memory::MemoryNetwork};
/// # let context = Context::new(SecretKey::from_bytes([1; 32]), Arc::new(|| 0), Arc::new(|bytes| bytes.fill(0)));
/// let built = Box::new(MemoryNetwork::new().builder().bind("desk")).build(context, None)?;
/// assert_eq!((built.transport.kind(), built.state), ("memory", None));
/// # Ok::<(), pleach_transports::TransportError>(())
/// ```
pub trait Builder: Send {
    /// Makes the transport, given what the node offers and what the last call under the same name left to keep.
    fn build(self: Box<Self>, context: Context, state: Option<&[u8]>) -> Result<Built, TransportError>;
}

/// A transport and what to keep for the next time.
///
/// ```
/// # use std::sync::Arc;
/// # use pleach_core::SecretKey;
/// # use pleach_transports::{Built, Context, TransportError, memory::MemoryNetwork};
/// # let context = Context::new(SecretKey::from_bytes([1; 32]), Arc::new(|| 0), Arc::new(|bytes| bytes.fill(0)));
/// /// What a builder makes that keeps a salt for the next time.
/// fn built(context: Context, kept: Option<&[u8]>) -> Built {
///     let salt = kept.map_or_else(|| context.random::<8>().to_vec(), <[u8]>::to_vec);
///     let transport = MemoryNetwork::new().builder().transport(context);
///     Built { transport: Box::new(transport), state: Some(salt) }
/// }
/// assert_eq!(built(context, Some(b"salt")).state.as_deref(), Some(&b"salt"[..]));
/// ```
pub struct Built {
    /// The transport.
    pub transport: Box<dyn Transport>,
    /// State to hand to the next [`Builder::build`] under this name; nothing if it keeps none.
    pub state: Option<Vec<u8>>,
}
