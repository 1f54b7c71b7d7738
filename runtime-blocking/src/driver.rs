//! The node behind a lock: whoever has an event hands it in and carries out what follows from it.
//!
//! What must keep its order (orders to exchanges, replies, notifications) is passed on under the lock and takes no
//! time. What blocks is done without it: reads in place; signatures on threads of their own, one for each core; writes
//! in place by a caller that waits for just that, while no others are under way, or else on a thread of their own. So an
//! exchange's thread receives the next frame while others check and write those before. Who writes is settled under the
//! lock too: writes keep the order in which the node asked for them, whoever carries them out.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::Duration,
};

use async_channel::Sender;
use pleach_core::{
    entry::Entry,
    instance::{Clock, Error},
    node::{Action, Command, CommandId, Event, Node, NodeError, Number, Read, Reply, SnapshotId, perform},
    storage::{Snapshot, StorageError, Store, Write},
};
use pleach_transports::host::{Claim, Report, Spawn, Switchboard, Threads, Verifier, Watchers, Writer};

/// The node and all that carries out its actions.
pub(crate) struct Driver {
    state: Mutex<State>,
    /// The next deadline has changed, or the end has come.
    changed: Condvar,
    store: Arc<dyn Store>,
    writer: Writer,
    verifier: Verifier,
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
    Write(Number, Write, Claim),
    Read(Number, Result<Arc<dyn Snapshot>, StorageError>, Read),
    Verify(Number, Vec<Entry>),
}

impl Driver {
    /// Starts the threads that check, write and keep deadlines; they end with [`Driver::close`].
    pub(crate) fn start(
        node: Node,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        watchers: Arc<Watchers>,
    ) -> Result<Arc<Self>, Error> {
        let threads = Arc::new(Threads::default());
        // What is reported before the driver stands is about nothing that the node asked for.
        let reached: Arc<OnceLock<Weak<Self>>> = Arc::default();
        let report: Report = {
            let reached = Arc::clone(&reached);
            Arc::new(move |event| {
                if let Some(driver) = reached.get().and_then(Weak::upgrade) {
                    driver.handle(event);
                }
            })
        };
        let driver = Arc::new(Self {
            state: Mutex::new(State {
                node,
                callers: BTreeMap::new(),
                commands: 0,
                snapshots: BTreeMap::new(),
                closed: false,
            }),
            changed: Condvar::new(),
            writer: Writer::start(&threads, Arc::clone(&store), Arc::clone(&report))?,
            verifier: Verifier::start(&threads, Arc::clone(&report))?,
            store,
            clock,
            board: Switchboard::new(Arc::clone(&threads) as Arc<dyn Spawn>, report),
            watchers,
            threads,
        });
        let _ = reached.set(Arc::downgrade(&driver));
        let timer = Arc::clone(&driver);
        driver.threads.start("pleach-timer", move || timer.keep_deadlines())?;
        Ok(driver)
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    pub(crate) fn board(&self) -> &Switchboard {
        &self.board
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the node a command and waits for its reply. What has to be written for it is written in place.
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
        self.work_off(Event::Command(id, command), &|| receiver.is_empty());
        Ok(receiver.recv_blocking().map_err(|_| Error::CLOSED)??)
    }

    /// Takes an event, and carries out what follows from it and from that, save what others do better.
    pub(crate) fn handle(&self, event: Event) {
        self.work_off(event, &|| false);
    }

    /// Works off an event; writes in place while `waits` says that the caller would only wait otherwise.
    fn work_off(&self, event: Event, waits: &dyn Fn() -> bool) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for work in self.step(event, waits) {
                match work {
                    Work::Write(number, write, claim) => {
                        events.push_back(Event::Written(number, claim.write(&write)));
                    }
                    Work::Verify(number, entries) => self.verifier.verify(number, entries),
                    Work::Read(number, snapshot, read) => {
                        let reply = snapshot.and_then(|snapshot| perform(&snapshot, &read));
                        events.push_back(Event::Read(number, reply));
                    }
                }
            }
        }
    }

    /// One event: what keeps its order is passed on at once, what blocks is returned.
    fn step(&self, event: Event, waits: &dyn Fn() -> bool) -> Vec<Work> {
        let mut state = self.lock();
        if state.closed {
            return Vec::new();
        }
        let before = state.node.deadline();
        state.node.handle(self.clock.now(), event);
        let (mut work, mut writes) = (Vec::new(), Vec::new());
        while let Some(action) = state.node.poll_action() {
            match action {
                Action::Exchange(id, op) => self.board.carry_out(id, op),
                Action::Reply(command, result) => {
                    if let Some(caller) = state.callers.remove(&command) {
                        let _ = caller.try_send(result);
                    }
                }
                Action::Notify(notification) => self.watchers.tell(&notification),
                Action::Write { number, write } => writes.push((number, write)),
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
        // Once it is known whether the caller still waits, and before the lock lets others ask for writes.
        for (number, write) in writes {
            if let Some(claimed) = self.line_up(number, write, waits()) {
                // Others wait for it.
                work.insert(0, claimed);
            }
        }
        if state.node.deadline() != before {
            self.changed.notify_one();
        }
        work
    }

    /// Puts a write in line; in place it is carried out by a caller that waits, if it is the first.
    fn line_up(&self, number: Number, write: Write, waits: bool) -> Option<Work> {
        let Some(claim) = waits.then(|| self.writer.claim()).flatten() else {
            self.writer.write(number, write);
            return None;
        };
        Some(Work::Write(number, write, claim))
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
        self.writer.close();
        self.verifier.close();
        self.threads.extend(self.watchers.close());
        self.threads.join();
    }
}
