//! An instance: one node over one store, with its threads.

use std::{
    sync::{
        Arc, OnceLock, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use pleach_core::{
    Entropy, Id, PublicKey, SecretKey,
    instance::{Error, Options, Prepared, databases, prepare},
    node::{Command, Node, Reply},
    storage::{Snapshot, Store},
};
use pleach_transports::{
    Context,
    host::{Ending, Keyring, SystemClock, Turn, Turns, Watchers, lend, system_entropy},
    park_on, park_until,
};

use crate::{driver::Driver, sync::Sync};

/// A node over a store: databases, and sync once it is enabled. A cheap clone of a handle.
///
/// Calls are carried out on the calling thread. Other threads, whose names begin with `pleach-`, are there for
/// signatures (one for each core), what peers bring, deadlines, exchanges, open doors and callbacks. When the last clone is gone, its databases' handles
/// included, they end, ports are closed and the store is let go.
///
/// ```
/// use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Memory};
/// let instance = Instance::open(Memory::new())?;
/// let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// assert_eq!(instance.databases()?, [(db.root_id(), String::new())]);
/// instance.close();
/// assert!(instance.databases().unwrap_err().is_closed());
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
///
/// ```
/// use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Memory, Options};
/// let instance = Instance::open_with(Memory::new(), Options::new().display_name("desk"))?;
/// assert_eq!(instance.display_name(), Some("desk"));
/// assert_eq!(instance.device_id(), instance.device_key().to_string());
/// assert!(instance.sync().is_none());
/// instance.enable_sync()?;
/// assert!(instance.sync().is_some());
///
/// let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// assert!(instance.snapshot()?.summary(&db.root_id())?.is_some());
/// instance.drop_database(db.root_id())?;
/// assert!(instance.snapshot()?.summary(&db.root_id())?.is_none());
/// assert!(instance.downgrade().upgrade().is_some());
/// instance.close_within(std::time::Duration::from_secs(60))?;
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone)]
pub struct Instance(Arc<Inner>);

/// A handle that does not keep the instance alive, for work in the background.
///
/// ```
/// use pleach_blocking::{Instance, Memory};
/// let instance = Instance::open(Memory::new())?;
/// let weak = instance.downgrade();
/// assert!(weak.upgrade().is_some());
/// drop(instance);
/// assert!(weak.upgrade().is_none());
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone)]
pub struct WeakInstance(Weak<Inner>);

struct Inner {
    key: SecretKey,
    display_name: Option<String>,
    live: RwLock<Option<Live>>,
    watchers: Arc<Watchers>,
    sync_tree: OnceLock<Id>,
    sync_enabled: AtomicBool,
    ending: Ending,
    turns: Turns,
}

/// What is let go at the end, whoever still holds a handle.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) driver: Arc<Driver>,
    pub(crate) context: Context,
}

impl Instance {
    /// Opens a store with the operating system's clock and entropy. On first open the node's key is made.
    pub fn open(store: impl Store + 'static) -> Result<Self, Error> {
        Self::open_with(store, Options::new())
    }

    /// Opens a store with options.
    #[expect(clippy::needless_pass_by_value, reason = "options are used up")]
    pub fn open_with(store: impl Store + 'static, options: Options) -> Result<Self, Error> {
        let clock = options.clock_or(|| Arc::new(SystemClock::new()));
        let mut entropy = Entropy::new(match options.given_seed() {
            Some(seed) => seed,
            None => system_entropy()?,
        });
        let prepared = prepare(&store, &options, entropy.draw())?;
        let watchers = Arc::new(Watchers::default());
        let node = Node::new(prepared.key.clone(), entropy.draw(), prepared.limits);
        let driver = Driver::start(node, Arc::new(store), Arc::clone(&clock), Arc::clone(&watchers))?;
        let context = lend(&prepared, &clock, entropy);
        let Prepared { key, display_name, sync_tree, .. } = prepared;
        let inner = Inner {
            key,
            display_name,
            live: RwLock::new(Some(Live { driver, context })),
            watchers,
            sync_tree: sync_tree.map(OnceLock::from).unwrap_or_default(),
            sync_enabled: AtomicBool::new(false),
            ending: Ending::default(),
            turns: Turns::default(),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Makes sync possible: creates the local `_sync` tree if there is none, and takes up what it says about peers.
    /// Nothing is listened on before [`Sync::accept_connections`].
    pub fn enable_sync(&self) -> Result<(), Error> {
        Sync::enable(self)
    }

    /// Sync, once it is enabled.
    pub fn sync(&self) -> Option<Sync> {
        self.is_sync_enabled().then(|| Sync::of(self))
    }

    /// The node's public key.
    pub fn device_key(&self) -> PublicKey {
        self.0.key.public()
    }

    /// The node's public key as text: its name among nodes.
    pub fn device_id(&self) -> String {
        self.device_key().to_string()
    }

    /// What people on this machine call the node, as given when the store was opened, now or before. It is sent nowhere.
    pub fn display_name(&self) -> Option<&str> {
        self.0.display_name.as_deref()
    }

    /// The databases held, ids and names, ascending by id.
    pub fn databases(&self) -> Result<Vec<(Id, String)>, Error> {
        databases(&*self.snapshot()?)
    }

    /// Forgets a database with all that belongs to it.
    pub fn drop_database(&self, id: Id) -> Result<(), Error> {
        self.ask(Command::Drop(id)).map(drop)
    }

    /// What the store holds now, unchanging.
    pub fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Error> {
        Ok(self.live()?.driver.store().snapshot()?)
    }

    /// A handle that does not keep the instance alive.
    pub fn downgrade(&self) -> WeakInstance {
        WeakInstance(Arc::downgrade(&self.0))
    }

    /// Ends everything now, whoever else holds a handle, and lets the store go: their calls fail from here on.
    pub fn close(&self) {
        self.0.end();
    }

    /// The same, waiting no longer than this: what has not ended by then, such as a callback that does not return, is an
    /// error, and goes on ending. It may be called again to wait for longer.
    pub fn close_within(&self, time: Duration) -> Result<(), Error> {
        let inner = Arc::clone(&self.0);
        let ended = self.0.ending.begin(move || inner.end())?;
        let late = Error::NotEnded(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        park_until(Instant::now() + time, ended.recv()).map(drop).ok_or(late)
    }

    pub(crate) fn watchers(&self) -> &Watchers {
        &self.0.watchers
    }

    pub(crate) fn live(&self) -> Result<Live, Error> {
        let live = self.0.live.read().unwrap_or_else(PoisonError::into_inner);
        live.clone().ok_or(Error::CLOSED)
    }

    /// The further keys that its exchanges may prove.
    pub(crate) fn keyring(&self) -> Result<Keyring, Error> {
        Ok(self.live()?.driver.board().keyring().clone())
    }

    /// The node's secret key, which signs for [`crate::DatabaseKey::Device`].
    pub(crate) fn secret_key(&self) -> &SecretKey {
        &self.0.key
    }

    /// The local `_sync` tree, if there is one.
    pub(crate) fn sync_tree(&self) -> Option<Id> {
        self.0.sync_tree.get().copied()
    }

    /// Notes that sync is on, and over which tree.
    pub(crate) fn sync_enabled(&self, tree: Id) {
        let _ = self.0.sync_tree.set(tree);
        self.0.sync_enabled.store(true, Ordering::Release);
    }

    /// Whether the node has been told what `_sync` says about peers.
    pub(crate) fn is_sync_enabled(&self) -> bool {
        self.0.sync_enabled.load(Ordering::Acquire)
    }

    /// Notes the local `_sync` tree, while sync is off.
    pub(crate) fn sync_tree_is(&self, tree: Id) {
        let _ = self.0.sync_tree.set(tree);
    }

    /// Waits for a turn at reading `_sync` and writing what follows from it. It is not to be taken twice.
    pub(crate) fn turn(&self) -> Turn {
        park_on(self.0.turns.take())
    }

    pub(crate) fn ask(&self, command: Command) -> Result<Reply, Error> {
        self.live()?.driver.ask(command)
    }
}

impl WeakInstance {
    /// The instance, if anybody still holds it.
    pub fn upgrade(&self) -> Option<Instance> {
        self.0.upgrade().map(Instance)
    }
}

impl Inner {
    /// Waits for the threads and lets the store go.
    fn end(&self) {
        let live = self.live.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(live) = live {
            live.driver.close();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end();
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("key", &self.device_key()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for WeakInstance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WeakInstance").finish_non_exhaustive()
    }
}
