//! Exchanges inside one process, for tests and examples, with faults on demand.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context as Task, Poll, ready},
};

use pleach_core::{PublicKey, budget::Source, wire::Binding};

use crate::{
    Address, Builder, Built, Context, Exchange, Listener, Received, Transport, TransportError,
    budget::Budget,
    pipe::{Receiver, Sender, pipe},
};

/// Frames on their way in one direction.
const IN_FLIGHT: usize = 8;

/// Exchanges that wait to be accepted at one place.
const BACKLOG: usize = 64;

/// A network in memory: the places that listen, and what goes wrong.
///
/// ```
/// use pleach_transports::memory::{Faults, MemoryNetwork};
/// let network = MemoryNetwork::new();
/// let alice = network.builder().bind("alice");
/// network.set_faults(Faults { seed: 1, refuse_percent: 10, cut_percent: 1 });
/// network.refuse_next(2);
/// network.cut_after(100);
/// # drop(alice);
/// ```
#[derive(Clone, Default)]
pub struct MemoryNetwork(Arc<Mutex<Network>>);

#[derive(Default)]
struct Network {
    doors: BTreeMap<String, Door>,
    ports: u64,
    faults: Faults,
    drawn: u64,
    cut_next_after: Option<u32>,
    refuse_next: u32,
}

struct Door {
    key: PublicKey,
    queue: Sender<Box<dyn Exchange>>,
}

/// What goes wrong by chance, the same for the same seed and order of calls.
///
/// ```
/// # use pleach_transports::memory::{Faults, MemoryNetwork};
/// let network = MemoryNetwork::new();
/// network.set_faults(Faults { seed: 7, cut_percent: 5, ..Faults::default() });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The run's seed.
    pub seed: u64,
    /// How many of 100 dials are refused.
    pub refuse_percent: u8,
    /// How many of 100 frames cut their exchange instead of arriving.
    pub cut_percent: u8,
}

impl Network {
    fn chance(&mut self, percent: u8) -> bool {
        if percent == 0 {
            return false;
        }
        let mut input = [0; 16];
        input[..8].copy_from_slice(&self.faults.seed.to_le_bytes());
        input[8..].copy_from_slice(&self.drawn.to_le_bytes());
        self.drawn += 1;
        let drawn = blake3::hash(&input).as_bytes()[0];
        u32::from(drawn) * 100 < u32::from(percent) * 256
    }

    fn cuts(&mut self) -> bool {
        match &mut self.cut_next_after {
            Some(0) => {
                self.cut_next_after = None;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => self.chance(self.faults.cut_percent),
        }
    }
}

impl MemoryNetwork {
    /// A network without places and without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Settings of a transport in this network; without [`MemoryBuilder::bind`] it only dials.
    pub fn builder(&self) -> MemoryBuilder {
        MemoryBuilder { network: self.clone(), place: None }
    }

    /// Sets what goes wrong by chance from now on.
    pub fn set_faults(&self, faults: Faults) {
        let mut network = self.lock();
        network.faults = faults;
        network.drawn = 0;
    }

    /// Lets this many frames of the whole network pass, then cuts the exchange of the next one.
    pub fn cut_after(&self, frames: u32) {
        self.lock().cut_next_after = Some(frames);
    }

    /// Refuses this many dials.
    pub fn refuse_next(&self, dials: u32) {
        self.lock().refuse_next = dials;
    }

    fn lock(&self) -> MutexGuard<'_, Network> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryNetwork").field("places", &self.lock().doors.keys()).finish_non_exhaustive()
    }
}

/// Settings of a [`MemoryTransport`].
///
/// ```
/// # use std::sync::Arc;
/// # use pleach_core::SecretKey;
/// # use pleach_transports::{Context, Transport, memory::MemoryNetwork};
/// # let context = Context::new(SecretKey::from_bytes([1; 32]), Arc::new(|| 0), Arc::new(|bytes| bytes.fill(0)));
/// let transport = MemoryNetwork::new().builder().bind("desk").transport(context);
/// assert!(transport.can_listen());
/// ```
#[derive(Clone, Debug)]
pub struct MemoryBuilder {
    network: MemoryNetwork,
    place: Option<String>,
}

impl MemoryBuilder {
    /// Listens at this place; a name that ends in `:0` gets a number of its own.
    #[must_use]
    pub fn bind(self, place: &str) -> Self {
        Self { place: Some(place.into()), ..self }
    }

    /// The transport itself.
    pub fn transport(self, context: Context) -> MemoryTransport {
        MemoryTransport { network: self.network, place: self.place, context }
    }
}

impl Builder for MemoryBuilder {
    fn build(self: Box<Self>, context: Context, _state: Option<&[u8]>) -> Result<Built, TransportError> {
        Ok(Built { transport: Box::new(self.transport(context)), state: None })
    }
}

/// The transport `memory`.
#[derive(Clone, Debug)]
pub struct MemoryTransport {
    network: MemoryNetwork,
    place: Option<String>,
    context: Context,
}

impl Transport for MemoryTransport {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn can_listen(&self) -> bool {
        self.place.is_some()
    }

    fn dial(&self, address: &Address) -> Result<Box<dyn Exchange>, TransportError> {
        if !self.can_dial(address) {
            return Err(TransportError::CannotDial {
                transport: "memory",
                address: address.to_string(),
                reason: "use an address that begins with memory:".into(),
            });
        }
        let own = self.context.key().public();
        Ok(Box::new(MemoryExchange {
            network: self.network.clone(),
            dial: Some((address.clone(), own)),
            binding: Binding::from_bytes(self.context.random()),
            peer: None,
            lane: None,
            initiator: true,
            sent: Budget::default(),
            over: true,
        }))
    }

    fn listen(&self) -> Result<Box<dyn Listener>, TransportError> {
        let Some(place) = &self.place else {
            return Err(TransportError::CannotListen {
                address: "memory".into(),
                reason: "the transport was built without bind".into(),
            });
        };
        let mut network = self.network.lock();
        let place = match place.strip_suffix(":0") {
            Some(name) => {
                network.ports += 1;
                format!("{name}:{}", network.ports)
            }
            None => place.clone(),
        };
        if network.doors.contains_key(&place) {
            return Err(TransportError::InUse { address: format!("memory:{place}") });
        }
        let (queue, accepted) = pipe(BACKLOG);
        let key = self.context.key().public();
        network.doors.insert(place.clone(), Door { key, queue });
        Ok(Box::new(MemoryListener { place, key, network: Arc::downgrade(&self.network.0), accepted }))
    }
}

struct MemoryListener {
    place: String,
    key: PublicKey,
    network: Weak<Mutex<Network>>,
    accepted: Receiver<Box<dyn Exchange>>,
}

impl Listener for MemoryListener {
    fn address(&self) -> Address {
        Address::new("memory", &self.place).with_key(self.key)
    }

    fn poll_accept(&mut self, task: &mut Task<'_>) -> Poll<Result<Box<dyn Exchange>, TransportError>> {
        self.accepted.poll_receive(task).map(|exchange| {
            exchange.ok_or(TransportError::CannotListen {
                address: self.address().to_string(),
                reason: "the network is gone".into(),
            })
        })
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        if let Some(network) = self.network.upgrade() {
            let door = MemoryNetwork(network).lock().doors.remove(&self.place);
            drop(door);
        }
    }
}

enum Item {
    Frame(Vec<u8>),
    End,
}

struct MemoryExchange {
    network: MemoryNetwork,
    /// Where to, and the key that dials, until it is open.
    dial: Option<(Address, PublicKey)>,
    /// Drawn by whoever dials: nobody else is on this network.
    binding: Binding,
    peer: Option<PublicKey>,
    lane: Option<(Sender<Item>, Receiver<Item>)>,
    /// This side's message so far.
    sent: Budget,
    initiator: bool,
    /// Whether the peer may go now: none of its messages is under way or due.
    over: bool,
}

fn cut() -> TransportError {
    TransportError::Cut("in the middle of a message".into())
}

impl MemoryExchange {
    fn open(&mut self) -> Result<(), TransportError> {
        let Some((address, own)) = self.dial.take() else { return Ok(()) };
        let unreachable = |reason: &str| TransportError::Unreachable {
            address: address.to_string(),
            reason: reason.into(),
        };
        let mut network = self.network.lock();
        if network.refuse_next > 0 {
            network.refuse_next -= 1;
            return Err(unreachable("refused on demand"));
        }
        let percent = network.faults.refuse_percent;
        if network.chance(percent) {
            return Err(unreachable("refused by chance"));
        }
        let door = network.doors.get(&address.address).ok_or_else(|| unreachable("nobody listens"))?;
        match address.key {
            _ if door.key == own => return Err(TransportError::OwnKey),
            Some(expected) if expected != door.key => {
                return Err(TransportError::WrongKey { expected, found: door.key });
            }
            _ => {}
        }
        let (requests, asked) = pipe(IN_FLIGHT);
        let (responses, answered) = pipe(IN_FLIGHT);
        let accepted = Self {
            network: self.network.clone(),
            dial: None,
            binding: self.binding,
            peer: Some(own),
            lane: Some((responses, asked)),
            initiator: false,
            sent: Budget::default(),
            over: true,
        };
        let peer = door.key;
        door.queue.try_send(Box::new(accepted)).map_err(|_| TransportError::Busy)?;
        self.peer = Some(peer);
        self.lane = Some((requests, answered));
        Ok(())
    }

    fn cut(&mut self) -> TransportError {
        self.lane = None;
        cut()
    }

    fn poll_put(
        &mut self,
        task: &mut Task<'_>,
        item: impl FnOnce() -> Item,
    ) -> Poll<Result<(), TransportError>> {
        let Some((lane, _)) = &self.lane else {
            return Poll::Ready(Err(TransportError::Misuse("the exchange is not open")));
        };
        let room = ready!(lane.poll_room(task));
        if self.network.lock().cuts() {
            return Poll::Ready(Err(self.cut()));
        }
        // What a peer that went had said before can still be received.
        Poll::Ready(room.and_then(|()| lane.try_send(item())).map_err(|_| cut()))
    }
}

impl Exchange for MemoryExchange {
    fn peer(&self) -> Option<PublicKey> {
        self.peer
    }

    fn source(&self) -> Source {
        // Within one process a key is as good as an address.
        self.peer.map_or(Source::default(), |peer| Source::of(peer.as_bytes()))
    }

    fn binding(&self) -> Option<Binding> {
        Some(self.binding)
    }

    fn poll_open(&mut self, _task: &mut Task<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(self.open())
    }

    fn poll_send(&mut self, task: &mut Task<'_>, frame: &[u8]) -> Poll<Result<(), TransportError>> {
        let mut sent = self.sent;
        sent.charge(frame.len())?;
        ready!(self.poll_put(task, || Item::Frame(frame.to_vec())))?;
        self.sent = sent;
        Poll::Ready(Ok(()))
    }

    fn poll_finish(&mut self, task: &mut Task<'_>) -> Poll<Result<(), TransportError>> {
        ready!(self.poll_put(task, || Item::End))?;
        self.sent = Budget::default();
        self.over = !self.initiator;
        Poll::Ready(Ok(()))
    }

    fn poll_receive(&mut self, task: &mut Task<'_>) -> Poll<Result<Received, TransportError>> {
        let Some((_, lane)) = &self.lane else {
            return Poll::Ready(Err(TransportError::Misuse("the exchange is not open")));
        };
        Poll::Ready(match ready!(lane.poll_receive(task)) {
            Some(Item::Frame(frame)) => {
                self.over = false;
                Ok(Received::Frame(frame))
            }
            Some(Item::End) => {
                self.over = true;
                Ok(Received::End)
            }
            None if self.over => Ok(Received::Closed),
            None => Err(self.cut()),
        })
    }
}
