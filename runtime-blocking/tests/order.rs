//! What was asked for, or decided, earlier is carried out earlier, whichever thread does it.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use pleach_blocking::{
    Address, Database, DatabaseKey, Doc, HistoryFilter, Id, Instance, Memory, MemoryNetwork, PeerStatus,
    Permission, SecretKey, Snapshot, StorageError, Store, Sync, SyncPeerInfo, Who,
};
use pleach_core::storage::{MetaChange, Write, Written};

/// How often others get their turn before what should wait is taken to wait.
const TURNS: usize = 40;

/// A store at whose gate one kind of write can be held. Clones share it.
#[derive(Clone)]
struct Gate(Arc<(Memory, Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    wanted: Option<fn(&MetaChange) -> bool>,
    /// Writes that are held, and those that have passed after they were.
    held: usize,
    passed: usize,
}

fn is_record(change: &MetaChange) -> bool {
    change.0.starts_with(b"history/opened/") && change.1.is_some()
}

fn is_end_of_pair(change: &MetaChange) -> bool {
    change.0.starts_with(b"pair/") && change.1.is_none()
}

impl Gate {
    fn new() -> Self {
        Self(Arc::new((Memory::new(), Mutex::default(), Condvar::new())))
    }

    fn shut(&self, wanted: fn(&MetaChange) -> bool) {
        *self.0.1.lock().unwrap() = State { wanted: Some(wanted), ..State::default() };
    }

    /// Waits until a write is held, does this, lets the write go when that is done or has had every chance to be, and waits
    /// for both.
    fn meanwhile<T: Send + 'static>(&self, sync: &Sync, body: impl FnOnce() -> T + Send + 'static) -> T {
        let (_, state, changed) = &*self.0;
        drop(changed.wait_while(state.lock().unwrap(), |state| state.held == 0).unwrap());
        let doing = thread::spawn(body);
        for _ in 0..TURNS {
            if doing.is_finished() {
                break;
            }
            sync.list_peers().unwrap();
            thread::yield_now();
        }
        state.lock().unwrap().wanted = None;
        changed.notify_all();
        drop(changed.wait_while(state.lock().unwrap(), |state| state.passed < state.held).unwrap());
        doing.join().unwrap()
    }
}

impl Store for Gate {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
        self.0.0.snapshot()
    }

    fn write(&self, write: &Write) -> Result<Written, StorageError> {
        let (store, state, changed) = &*self.0;
        let mut now = state.lock().unwrap();
        let held = match write {
            Write::Meta(changes) => now.wanted.is_some_and(|wanted| changes.iter().any(wanted)),
            _ => false,
        };
        if held {
            now.held += 1;
            changed.notify_all();
            now = changed.wait_while(now, |state| state.wanted.is_some()).unwrap();
        }
        drop(now);
        let written = store.write(write);
        if held {
            state.lock().unwrap().passed += 1;
            changed.notify_all();
        }
        written
    }
}

/// Bob, whose store has a gate, has fetched a database from Alice.
struct Pair {
    gate: Gate,
    alice: Instance,
    _serving: Sync,
    sync: Sync,
    _bob: Instance,
    place: Address,
    tree: Id,
}

fn pair() -> Pair {
    let (network, gate) = (MemoryNetwork::new(), Gate::new());
    let alice = Instance::open(Memory::new()).unwrap();
    let bob = Instance::open(gate.clone()).unwrap();
    let (serving, sync) = (Sync::new(&alice).unwrap(), Sync::new(&bob).unwrap());
    serving.register_transport("memory", network.builder().bind("alice")).unwrap();
    sync.register_transport("memory", network.builder()).unwrap();
    let grants = vec![(Who::Everyone, Permission::Read)];
    let tree = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants).unwrap().root_id();
    let place = serving.accept_connections().unwrap().remove(0);
    sync.sync_with_peer(&place, Some(&tree)).unwrap();
    Pair { gate, alice, _serving: serving, sync, _bob: bob, place, tree }
}

#[test]
fn a_record_that_is_forgotten_on_its_way_does_not_come_back() {
    let Pair { gate, sync, place, tree, .. } = &pair();
    gate.shut(is_record);
    sync.forgetting().sync_with_peer(place, Some(tree)).unwrap();
    let cleaning = sync.clone();
    gate.meanwhile(sync, move || cleaning.cleanup_sync_history(u64::MAX)).unwrap();
    assert_eq!(sync.get_sync_history(&HistoryFilter::new()).unwrap(), []);
}

#[test]
fn who_asks_after_a_sync_how_syncs_went_hears_of_it() {
    let Pair { gate, alice, sync, place, tree, .. } = &pair();
    let peer = alice.device_key();
    gate.shut(is_record);
    sync.forgetting().sync_with_peer(place, Some(tree)).unwrap();
    let asking = sync.clone();
    let sums = gate.meanwhile(sync, move || asking.get_sync_metadata(&peer)).unwrap();
    assert_eq!(sums.map(|sums| sums.successful_syncs), Some(2));
}

#[test]
fn what_is_noted_of_a_pair_that_is_back_is_not_deleted_with_what_it_was() {
    let Pair { gate, alice, sync, place, tree, .. } = &pair();
    let peer = alice.device_key();
    gate.shut(is_end_of_pair);
    sync.remove_tree_sync(&peer, tree).unwrap();
    let (again, place, tree) = (sync.clone(), place.clone(), *tree);
    gate.meanwhile(sync, move || again.sync_with_peer(&place, Some(&tree)).map(drop)).unwrap();
    let sums = sync.get_sync_metadata(&peer).unwrap();
    assert_eq!(sums.map(|sums| sums.successful_syncs), Some(1));
}

/// What a thread called `late` does.
#[derive(Debug, PartialEq)]
enum Late {
    HasSnapshot,
    HasEnded,
}

/// A store whose snapshots a thread called `late` gets to use only when it is let go on.
struct Delaying {
    store: Memory,
    told: Sender<Late>,
    go: Mutex<Receiver<()>>,
}

impl Store for Delaying {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
        let snapshot = self.store.snapshot();
        if thread::current().name() == Some("late") {
            self.told.send(Late::HasSnapshot).unwrap();
            self.go.lock().unwrap().recv().unwrap();
        }
        snapshot
    }

    fn write(&self, write: &Write) -> Result<Written, StorageError> {
        self.store.write(write)
    }
}

#[test]
fn enabling_sync_again_undoes_nothing_that_was_decided_meanwhile() {
    let ((told, heard), (go, going)) = (channel(), channel());
    let store = Delaying { store: Memory::new(), told: told.clone(), go: Mutex::new(going) };
    let (network, bob) = (MemoryNetwork::new(), Instance::open(Memory::new()).unwrap());
    let instance = Instance::open(store).unwrap();
    let (serving, sync) = (Sync::new(&instance).unwrap(), Sync::new(&bob).unwrap());
    serving.register_transport("memory", network.builder().bind("alice")).unwrap();
    sync.register_transport("memory", network.builder()).unwrap();
    let grants = vec![(Who::Everyone, Permission::Read)];
    let database = Database::create_with(&instance, DatabaseKey::Device, Doc::new(), grants).unwrap();
    let (tree, tip) = (database.root_id(), database.tips().unwrap()[0].id);
    let place = serving.accept_connections().unwrap().remove(0);
    let (peer, pair) = (bob.device_key(), SecretKey::from_bytes([9; 32]).public());

    // Held at its first snapshot, then at its second, until it ends without another.
    for before in 0.. {
        serving.update_peer_status(&peer, PeerStatus::Active).unwrap();
        serving.register_sync_peer(SyncPeerInfo::new(pair, tree, Vec::new())).unwrap();
        let (again, ends) = (instance.clone(), told.clone());
        let late = thread::Builder::new().name("late".into()).spawn(move || {
            let enabled = Sync::new(&again).map(drop);
            ends.send(Late::HasEnded).unwrap();
            enabled
        });
        let mut stops = heard.iter().take_while(|late| *late == Late::HasSnapshot);
        stops.by_ref().take(before).for_each(|_| go.send(()).unwrap());
        let stopped = stops.next().is_some();
        serving.update_peer_status(&peer, PeerStatus::Blocked).unwrap();
        serving.remove_tree_sync(&pair, &tree).unwrap();
        if stopped {
            go.send(()).unwrap();
            stops.for_each(|_| go.send(()).unwrap());
        }
        late.unwrap().join().unwrap().unwrap();
        assert_eq!(sync.discover_peer_trees(&place).unwrap(), [], "blocked at snapshot {before}");
        let untracked = serving.queue_entry_for_sync(&pair, &tip, &tree).unwrap_err();
        assert!(untracked.is_not_found(), "{untracked}");
        if !stopped {
            break;
        }
    }
}
