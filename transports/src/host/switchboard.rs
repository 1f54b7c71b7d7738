//! Which exchange runs over which transport: the part of a runtime that all runtimes share.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use async_channel::{Receiver, Sender};
use pleach_core::{
    Id,
    node::{self, Event, ExchangeEvent, ExchangeId},
};

use super::{Keyring, Purpose};
use crate::{Address, Exchange, Listener, Op, Outcome, Transport, TransportError, pump};

/// Something to poll to its end.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where tasks run: on an executor, or each on a thread of its own.
pub trait Spawn: Send + Sync {
    /// Runs a task; `name` says what it is for.
    fn spawn(&self, name: &str, task: Task) -> Result<(), TransportError>;
}

/// Told what happens on exchanges; calls of one exchange come in order.
pub type Report = Arc<dyn Fn(Event) + Send + Sync>;

/// The transports of a node by name, their open doors, and a pump for each exchange.
///
/// ```
/// # use std::sync::Arc;
/// # use pleach_core::SecretKey;
/// # use pleach_transports::{Context, TransportError, memory::MemoryNetwork, park_on};
/// # use pleach_transports::host::{Spawn, Switchboard, Task};
/// struct Threads;
/// impl Spawn for Threads {
///     fn spawn(&self, name: &str, task: Task) -> Result<(), TransportError> {
///         std::thread::spawn(move || park_on(task));
///         Ok(())
///     }
/// }
/// let context = Context::new(SecretKey::from_bytes([1; 32]), Arc::new(|| 0), Arc::new(|bytes| bytes.fill(1)));
/// let board = Switchboard::new(Arc::new(Threads), Arc::new(|event| println!("{event:?}")));
/// let network = MemoryNetwork::new();
/// board.add("memory", Arc::new(network.builder().bind("here").transport(context)));
/// let address = board.accept("memory")?;
/// assert_eq!(board.addresses(), [("memory".to_string(), address)]);
/// board.close();
/// # Ok::<(), TransportError>(())
/// ```
#[derive(Clone)]
pub struct Switchboard {
    spawn: Arc<dyn Spawn>,
    report: Report,
    keyring: Keyring,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    transports: BTreeMap<String, Named>,
    exchanges: BTreeMap<ExchangeId, Running>,
    accepted: u64,
}

/// An exchange that has a pump.
struct Running {
    ops: Sender<Op>,
    /// What was dialled, unless it was accepted.
    address: Option<Address>,
}

struct Named {
    transport: Arc<dyn Transport>,
    door: Option<Door>,
}

/// A listener that a task polls; dropping this ends the task.
struct Door {
    address: Address,
    _stop: Sender<()>,
}

impl Switchboard {
    /// A board without transports.
    pub fn new(spawn: Arc<dyn Spawn>, report: Report) -> Self {
        Self { spawn, report, keyring: Keyring::default(), state: Arc::default() }
    }

    /// The further keys that its exchanges may prove.
    pub const fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a transport. One that had the same name is let go with its door; its exchanges go on.
    pub fn add(&self, name: &str, transport: Arc<dyn Transport>) {
        let old = self.lock().transports.insert(name.to_owned(), Named { transport, door: None });
        drop(old);
    }

    /// The names of all transports, ascending.
    pub fn names(&self) -> Vec<String> {
        self.lock().transports.keys().cloned().collect()
    }

    /// The names of the transports that have a place to listen, ascending.
    pub fn listening(&self) -> Vec<String> {
        let state = self.lock();
        let listening = state.transports.iter().filter(|(_, named)| named.transport.can_listen());
        listening.map(|(name, _)| name.clone()).collect()
    }

    /// Opens the door of a transport, if it is not open, and says where it is.
    pub fn accept(&self, name: &str) -> Result<Address, TransportError> {
        let transport = {
            let state = self.lock();
            let unknown = || TransportError::Setup(format!("no transport is registered as {name}"));
            let named = state.transports.get(name).ok_or_else(unknown)?;
            if let Some(door) = &named.door {
                return Ok(door.address.clone());
            }
            Arc::clone(&named.transport)
        };
        let listener = transport.listen()?;
        let address = listener.address();
        let (stop, stopped) = async_channel::bounded(1);
        let board = self.clone();
        self.spawn.spawn("accept", Box::pin(async move { board.serve(listener, stopped).await }))?;
        if let Some(named) = self.lock().transports.get_mut(name) {
            named.door = Some(Door { address: address.clone(), _stop: stop });
        }
        Ok(address)
    }

    /// Closes the door of a transport, or of all; exchanges that came through it go on.
    pub fn stop(&self, name: Option<&str>) {
        let mut doors = Vec::new();
        for (found, named) in &mut self.lock().transports {
            if name.is_none_or(|name| name == found) {
                doors.extend(named.door.take());
            }
        }
    }

    /// Where each open door is, by the name of its transport.
    pub fn addresses(&self) -> Vec<(String, Address)> {
        let state = self.lock();
        let open = state.transports.iter().filter_map(|(name, named)| Some((name, named.door.as_ref()?)));
        open.map(|(name, door)| (name.clone(), door.address.clone())).collect()
    }

    /// Lets go of everything: doors, transports, exchanges.
    pub fn close(&self) {
        let State { transports, exchanges, .. } = std::mem::take(&mut *self.lock());
        for running in exchanges.values() {
            let _ = running.ops.try_send(Op::Close);
        }
        drop(transports);
    }

    /// Gives an order of the node to the exchange's pump.
    pub fn carry_out(&self, id: ExchangeId, op: node::Op) {
        let op = match op {
            node::Op::Open(address) => return self.open(id, address),
            node::Op::Send(frame) => Op::Send(frame),
            node::Op::Finish => Op::Finish,
            node::Op::Receive => Op::Receive,
            node::Op::Vouch => Op::Vouch,
            node::Op::Bind => Op::Bind,
            node::Op::Prove(target) => match self.purpose(id, target.tree) {
                Some(purpose) => Op::Prove(self.keyring.prover(purpose, target)),
                None => return,
            },
            node::Op::Close => {
                if let Some(running) = self.lock().exchanges.remove(&id) {
                    let _ = running.ops.try_send(Op::Close);
                }
                return;
            }
            _ => return self.fail(id, "an operation that this version of the transports does not know"),
        };
        // An exchange that is over has reported so; what was ordered meanwhile has no outcome.
        if let Some(running) = self.lock().exchanges.get(&id) {
            let _ = running.ops.try_send(op);
        }
    }

    /// What keys are proven for on an exchange; nothing if there are none for that.
    fn purpose(&self, id: ExchangeId, tree: Option<Id>) -> Option<Purpose> {
        let purpose = match tree {
            Some(tree) => Purpose::Database(tree),
            None => Purpose::Lists(self.lock().exchanges.get(&id)?.address.clone()?),
        };
        (!self.keyring.keys(&purpose).is_empty()).then_some(purpose)
    }

    fn open(&self, id: ExchangeId, address: Address) {
        let found = {
            let state = self.lock();
            let mut all = state.transports.values();
            all.find(|named| named.transport.can_dial(&address)).map(|named| Arc::clone(&named.transport))
        };
        let Some(transport) = found else {
            let kind = &address.transport_type;
            let reason = format!("no transport can dial {address}: register one for {kind}: addresses first");
            return self.fail(id, &reason);
        };
        self.run(id, None, Some(Op::Open(transport, address)));
    }

    fn fail(&self, id: ExchangeId, reason: &str) {
        // From a task, since the node that gave the order must not be entered again from within.
        let (report, reason) = (Arc::clone(&self.report), reason.to_owned());
        let failed = async move { report(Event::Exchange(id, ExchangeEvent::Failed(reason))) };
        let _ = self.spawn.spawn("exchange", Box::pin(failed));
    }

    /// Starts the pump of an exchange, with its first order.
    fn run(&self, id: ExchangeId, exchange: Option<Box<dyn Exchange>>, first: Option<Op>) {
        // As many as the node has ordered and not heard of, which it bounds.
        let (ops, orders) = async_channel::unbounded();
        let address = match &first {
            Some(Op::Open(_, address)) => Some(address.clone()),
            _ => None,
        };
        if let Some(first) = first {
            let _ = ops.try_send(first);
        }
        self.lock().exchanges.insert(id, Running { ops, address });
        let board = self.clone();
        let pumped = async move {
            let report = |outcome| board.tell(id, outcome);
            pump(exchange, orders, report).await;
        };
        if let Err(error) = self.spawn.spawn("exchange", Box::pin(pumped)) {
            self.lock().exchanges.remove(&id);
            self.fail(id, &error.to_string());
        }
    }

    fn tell(&self, id: ExchangeId, outcome: Outcome) {
        let event = match outcome {
            Outcome::Opened { peer } => ExchangeEvent::Opened { peer },
            Outcome::Sent => ExchangeEvent::Sent,
            Outcome::Finished => ExchangeEvent::Finished,
            Outcome::Received(frame) => ExchangeEvent::Received(frame),
            Outcome::Bound(binding) => ExchangeEvent::Bound(binding),
            Outcome::End => ExchangeEvent::End,
            Outcome::Closed => ExchangeEvent::Closed,
            Outcome::Failed(error) => ExchangeEvent::Failed(error.to_string()),
        };
        if matches!(event, ExchangeEvent::Closed | ExchangeEvent::Failed(_)) {
            self.lock().exchanges.remove(&id);
        }
        (self.report)(Event::Exchange(id, event));
    }

    /// Accepts until the door is closed, or the listener ends.
    async fn serve(self, mut listener: Box<dyn Listener>, stopped: Receiver<()>) {
        while let Some(exchange) = next(&mut *listener, &stopped).await {
            let id = {
                let mut state = self.lock();
                state.accepted = state.accepted.wrapping_add(1);
                ExchangeId::accepted(state.accepted)
            };
            let (proven, source, arrival) = (exchange.peer(), exchange.source(), exchange.arrival());
            let signed = exchange.signed();
            self.run(id, Some(exchange), None);
            (self.report)(Event::Accepted { exchange: id, proven, source, arrival, signed });
        }
    }
}

/// The next exchange, or nothing at the end.
async fn next(listener: &mut dyn Listener, stopped: &Receiver<()>) -> Option<Box<dyn Exchange>> {
    let mut stopped = pin!(stopped.recv());
    poll_fn(|task| {
        if stopped.as_mut().poll(task).is_ready() {
            return Poll::Ready(None);
        }
        listener.poll_accept(task).map(Result::ok)
    })
    .await
}
