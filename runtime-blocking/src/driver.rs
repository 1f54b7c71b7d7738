//! The node behind a lock: whoever has an event hands it in and carries out, in place, what follows from it.
//!
//! What must keep its order (orders to exchanges, replies, notifications) is passed on under the lock and takes no
//! time; what blocks (writes, reads, signatures) is done without it, by the thread whose event asked for it.

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZero,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread::{self, JoinHandle},
    time::Duration,
};

use async_channel::Sender;
use pleach_core::{
    entry::Entry,
    instance::{Checked, Clock, Error, check, join_checked},
    node::{Action, Command, CommandId, Event, Node, NodeError, Number, Read, Reply, SnapshotId, perform},
    storage::{Snapshot, StorageError, Store, Write},
};
use pleach_transports::{
    TransportError,
    host::{Spawn, Switchboard, Task, Watchers},
    park_on,
};

/// Fewer signatures than this are checked by one thread: starting another costs about as much as two checks.
const MIN_PART: usize = 64;

/// The node and all that carries out its actions.
pub(crate) struct Driver {
    state: Mutex<State>,
    /// The next deadline has changed, or the end has come.
    changed: Condvar,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    board: Switchboard,
    watchers: Arc<Watchers>,
    threads: Arc<Threads>,
}

struct State {
    node: Node,
    callers: BTreeMap<CommandId, Sender<Result<Reply, NodeError>>>,
    commands: u64,
    snapshots: BTreeMap<SnapshotId, Arc<dyn Snapshot>>,
    closed: bool,
}

/// What blocks.
enum Work {
    Write(Number, Write),
    Read(Number, Result<Arc<dyn Snapshot>, StorageError>, Read),
    Verify(Number, Vec<Entry>),
}

impl Driver {
    /// Starts the thread that keeps deadlines; it ends with [`Driver::close`].
    pub(crate) fn start(
        node: Node,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        watchers: Arc<Watchers>,
    ) -> Result<Arc<Self>, Error> {
        let threads = Arc::new(Threads::default());
        let driver = Arc::new_cyclic(|weak: &Weak<Self>| {
            let weak = weak.clone();
            let report = move |event| {
                if let Some(driver) = weak.upgrade() {
                    driver.handle(event);
                }
            };
            Self {
                state: Mutex::new(State {
                    node,
                    callers: BTreeMap::new(),
                    commands: 0,
                    snapshots: BTreeMap::new(),
                    closed: false,
                }),
                changed: Condvar::new(),
                store,
                clock,
                board: Switchboard::new(Arc::clone(&threads) as Arc<dyn Spawn>, Arc::new(report)),
                watchers,
                threads,
            }
        });
        let timer = Arc::clone(&driver);
        driver.threads.start("pleach-timer", move || timer.keep_deadlines()).map_err(Error::Start)?;
        Ok(driver)
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(crate) fn board(&self) -> &Switchboard {
        &self.board
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the node a command and waits for its reply.
    pub(crate) fn ask(&self, command: Command) -> Result<Reply, Error> {
        let (sender, receiver) = async_channel::bounded(1);
        let id = {
            let mut state = self.lock();
            if state.closed {
                return Err(Error::CLOSED);
            }
            let id = CommandId(state.commands);
            state.commands = state.commands.wrapping_add(1);
            state.callers.insert(id, sender);
            id
        };
        self.handle(Event::Command(id, command));
        Ok(receiver.recv_blocking().map_err(|_| Error::CLOSED)??)
    }

    /// Takes an event, and carries out what follows from it and from that, until nothing is left to do here.
    pub(crate) fn handle(&self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            events.extend(self.step(event).into_iter().map(|work| self.carry_out(work)));
        }
    }

    /// One event: what keeps its order is passed on at once, what blocks is returned.
    fn step(&self, event: Event) -> Vec<Work> {
        let mut state = self.lock();
        if state.closed {
            return Vec::new();
        }
        let before = state.node.deadline();
        state.node.handle(self.clock.now(), event);
        let mut work = Vec::new();
        while let Some(action) = state.node.poll_action() {
            match action {
                Action::Exchange(id, op) => self.board.carry_out(id, op),
                Action::Reply(command, result) => {
                    if let Some(caller) = state.callers.remove(&command) {
                        let _ = caller.try_send(result);
                    }
                }
                Action::Notify(notification) => self.watchers.tell(&notification),
                Action::Write { number, write } => work.push(Work::Write(number, write)),
                Action::Verify { number, entries } => work.push(Work::Verify(number, entries)),
                Action::Read { number, snapshot, read } => {
                    let snapshot = self.snapshot(&mut state, snapshot);
                    work.push(Work::Read(number, snapshot, read));
                }
                Action::Release(snapshot) => {
                    state.snapshots.remove(&snapshot);
                }
                action => tracing::error!(?action, "an action that this runtime does not know"),
            }
        }
        if state.node.deadline() != before {
            self.changed.notify_one();
        }
        work
    }

    /// Opened here, under the lock, so that a release by another thread cannot come first.
    fn snapshot(&self, state: &mut State, name: SnapshotId) -> Result<Arc<dyn Snapshot>, StorageError> {
        if let Some(snapshot) = state.snapshots.get(&name) {
            return Ok(Arc::clone(snapshot));
        }
        let snapshot = self.store.snapshot()?;
        state.snapshots.insert(name, Arc::clone(&snapshot));
        Ok(snapshot)
    }

    fn carry_out(&self, work: Work) -> Event {
        match work {
            Work::Write(number, write) => Event::Written(number, self.store.write(&write)),
            Work::Read(number, snapshot, read) => {
                Event::Read(number, snapshot.and_then(|snapshot| perform(&snapshot, &read)))
            }
            Work::Verify(number, entries) => Event::Verified(number, verify(entries)),
        }
    }

    /// Wakes the node when it asked to be woken.
    fn keep_deadlines(&self) {
        let mut state = self.lock();
        while !state.closed {
            let Some(deadline) = state.node.deadline() else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_sub(self.clock.now().monotonic);
            if left == 0 {
                drop(state);
                self.handle(Event::Tick);
                state = self.lock();
            } else {
                let waited = self.changed.wait_timeout(state, Duration::from_millis(left));
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// Ends everything and waits for all threads but the one that calls.
    pub(crate) fn close(&self) {
        {
            let mut state = self.lock();
            state.closed = true;
            state.callers.clear();
            state.snapshots.clear();
            self.changed.notify_all();
        }
        self.board.close();
        self.threads.extend(self.watchers.close());
        self.threads.join();
    }
}

/// Checks signatures, on as many threads as there are cores if there are many.
fn verify(mut entries: Vec<Entry>) -> Checked {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let size = entries.len().div_ceil(cores).max(MIN_PART);
    let mut parts = Vec::new();
    while entries.len() > size {
        let rest = entries.split_off(size);
        parts.push(std::mem::replace(&mut entries, rest));
    }
    thread::scope(|scope| {
        let others: Vec<_> = parts.into_iter().map(|part| scope.spawn(|| check(part))).collect();
        let last = check(entries);
        // A check that panics has found a defect of ours; its part counts as not checked.
        let others = others.into_iter().map(|other| other.join().unwrap_or(Ok(Vec::new())));
        join_checked(others.chain([last]))
    })
}

/// All threads of an instance: one for each exchange and each door, one for deadlines, one for each callback.
#[derive(Default)]
pub(crate) struct Threads(Mutex<Vec<JoinHandle<()>>>);

impl Threads {
    fn lock(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), String> {
        let started = thread::Builder::new().name(name.to_owned()).spawn(body);
        let started = started.map_err(|error| format!("no thread for {name}: {error}"))?;
        let mut threads = self.lock();
        threads.retain(|thread| !thread.is_finished());
        threads.push(started);
        Ok(())
    }

    fn extend(&self, threads: Vec<JoinHandle<()>>) {
        self.lock().extend(threads);
    }

    /// Waits for all but the one that waits: a callback may drop the last handle.
    fn join(&self) {
        let own = thread::current().id();
        let threads = std::mem::take(&mut *self.lock());
        for thread in threads.into_iter().filter(|thread| thread.thread().id() != own) {
            let _ = thread.join();
        }
    }
}

impl Spawn for Threads {
    fn spawn(&self, name: &str, task: Task) -> Result<(), TransportError> {
        self.start(&format!("pleach-{name}"), move || park_on(task)).map_err(TransportError::Setup)
    }
}
