//! An instance: one node over one store, with its threads.

use std::{
    sync::{
        Arc, OnceLock, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_channel::Receiver;
use async_executor::Executor;
use async_io::Timer;
use futures_lite::FutureExt;
use pleach_core::{
    Entropy, Id, PublicKey, SecretKey,
    instance::{Error, Options, Prepared, databases, prepare},
    node::{Command, Node, Reply},
    storage::{Snapshot, Store},
};
use pleach_transports::{
    Context,
    host::{
        Ending, Keyring, Report, Switchboard, SystemClock, Threads, Turn, Turns, Verifier, Watchers, Writer,
        lend, system_entropy,
    },
};

use crate::{
    driver::{self, Callers, Feed, Hands, OnExecutor, Readers},
    sync::Sync,
};

/// A node over a store: databases, and sync once it is enabled. A cheap clone of a handle.
///
/// The node runs on threads of its own, whose names begin with `pleach-`; futures of this crate only wait for them,
/// so that they run on any executor. When the last clone is gone, its databases' handles included, the threads end,
/// ports are closed and the store is let go. (The last drop waits for that, some milliseconds.)
///
/// ```
/// # smol::block_on(async {
/// use pleach_smol::{Database, DatabaseKey, Doc, Instance, Memory};
/// let instance = Instance::open(Memory::new()).await?;
/// let db = Database::create(&instance, DatabaseKey::Device, Doc::new()).await?;
/// assert_eq!(instance.databases()?, [(db.root_id(), String::new())]);
/// instance.close().await;
/// assert!(instance.databases().unwrap_err().is_closed());
/// # Ok::<(), pleach_smol::Error>(())
/// # }).unwrap();
/// ```
///
/// ```
/// # smol::block_on(async {
/// use pleach_smol::{Database, DatabaseKey, Doc, Instance, Memory, Options};
/// let instance = Instance::open_with(Memory::new(), Options::new().display_name("desk")).await?;
/// assert_eq!(instance.display_name(), Some("desk"));
/// assert_eq!(instance.device_id(), instance.device_key().to_string());
/// assert!(instance.sync().is_none());
/// instance.enable_sync().await?;
/// assert!(instance.sync().is_some());
///
/// let db = Database::create(&instance, DatabaseKey::Device, Doc::new()).await?;
/// assert!(instance.snapshot()?.summary(&db.root_id())?.is_some());
/// instance.drop_database(db.root_id()).await?;
/// assert!(instance.snapshot()?.summary(&db.root_id())?.is_none());
/// assert!(instance.downgrade().upgrade().is_some());
/// instance.close_within(std::time::Duration::from_secs(60)).await?;
/// # Ok::<(), pleach_smol::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Instance(Arc<Inner>);

/// A handle that does not keep the instance alive, for work in the background.
///
/// ```
/// # smol::block_on(async {
/// use pleach_smol::{Instance, Memory};
/// let instance = Instance::open(Memory::new()).await?;
/// let weak = instance.downgrade();
/// assert!(weak.upgrade().is_some());
/// drop(instance);
/// assert!(weak.upgrade().is_none());
/// # Ok::<(), pleach_smol::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct WeakInstance(Weak<Inner>);

pub(crate) struct Inner {
    key: SecretKey,
    display_name: Option<String>,
    live: RwLock<Option<Live>>,
    feed: Feed,
    watchers: Arc<Watchers>,
    board: Switchboard,
    sync_tree: OnceLock<Id>,
    sync_enabled: AtomicBool,
    ending: Ending,
    turns: Turns,
    threads: Threads,
    ended: Receiver<()>,
}

/// What is let go at the end, whoever still holds a handle.
struct Live {
    store: Arc<dyn Store>,
    context: Context,
}

impl Instance {
    /// Opens a store with the operating system's clock and entropy. On first open the node's key is made.
    pub async fn open(store: impl Store + 'static) -> Result<Self, Error> {
        Self::open_with(store, Options::new()).await
    }

    /// Opens a store with options.
    pub async fn open_with(store: impl Store + 'static, options: Options) -> Result<Self, Error> {
        let clock = options.clock_or(|| Arc::new(SystemClock::new()));
        let mut entropy = Entropy::new(match options.given_seed() {
            Some(seed) => seed,
            None => system_entropy()?,
        });
        let (feed, inputs) = Feed::new();
        let store: Arc<dyn Store> = Arc::new(store);
        let threads = Threads::default();
        let prepared = {
            let (store, fresh) = (Arc::clone(&store), entropy.draw());
            driver::call(&threads, move || prepare(&*store, &options, fresh)).await??
        };

        let executor = Arc::new(Executor::new());
        let report: Report = {
            let feed = feed.clone();
            Arc::new(move |event| feed.event(event))
        };
        let board = Switchboard::new(Arc::new(OnExecutor::new(&executor)), Arc::clone(&report));
        let watchers = Arc::new(Watchers::default());
        let hands = Hands {
            writer: Writer::start(&threads, Arc::clone(&store), Arc::clone(&report))?,
            readers: Readers::start(&threads, &store, &feed)?,
            verifier: Verifier::start(&threads, report)?,
            board: board.clone(),
            watchers: Arc::clone(&watchers),
            callers: Callers::default(),
        };
        let (end, ended) = async_channel::bounded(1);
        let node = Node::new(prepared.key.clone(), entropy.draw(), prepared.limits);
        let context = lend(&prepared, &clock, entropy).with_executor(Arc::clone(&executor));
        let Prepared { key, display_name, sync_tree, .. } = prepared;
        threads.start("pleach-node", move || {
            driver::run(node, &inputs, hands, &*clock, &executor);
            drop(end);
        })?;
        let inner = Inner {
            key,
            display_name,
            live: RwLock::new(Some(Live { store, context })),
            feed,
            watchers,
            board,
            sync_tree: sync_tree.map(OnceLock::from).unwrap_or_default(),
            sync_enabled: AtomicBool::new(false),
            ending: Ending::default(),
            turns: Turns::default(),
            threads,
            ended,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Makes sync possible: creates the local `_sync` tree if there is none, and takes up what it says about peers.
    /// Nothing is listened on before [`Sync::accept_connections`].
    pub async fn enable_sync(&self) -> Result<(), Error> {
        Sync::enable(self).await
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
    pub async fn drop_database(&self, id: Id) -> Result<(), Error> {
        self.ask(Command::Drop(id)).await.map(drop)
    }

    /// What the store holds now, unchanging.
    pub fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Error> {
        Ok(self.store()?.snapshot()?)
    }

    /// A handle that does not keep the instance alive.
    pub fn downgrade(&self) -> WeakInstance {
        WeakInstance(Arc::downgrade(&self.0))
    }

    /// Ends everything now, whoever else holds a handle, and lets the store go: their calls fail from here on.
    pub async fn close(&self) {
        self.0.feed.stop();
        // The loop sends nothing: its end closes the channel.
        let _ = self.0.ended.recv().await;
        self.0.end();
    }

    /// The same, waiting no longer than this: what has not ended by then, such as a callback that does not return, is an
    /// error, and goes on ending. It may be called again to wait for longer.
    pub async fn close_within(&self, time: Duration) -> Result<(), Error> {
        self.0.feed.stop();
        let inner = Arc::clone(&self.0);
        let ended = self.0.ending.begin(move || {
            let _ = inner.ended.recv_blocking();
            inner.end();
        })?;
        let over = async { ended.recv().await.is_err() };
        let late = async {
            Timer::after(time).await;
            false
        };
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        if over.or(late).await { Ok(()) } else { Err(Error::NotEnded(millis)) }
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

    pub(crate) fn watchers(&self) -> &Watchers {
        &self.0.watchers
    }

    /// The further keys that its exchanges may prove.
    #[expect(clippy::unnecessary_wraps, reason = "as where the board is let go at the end")]
    pub(crate) fn keyring(&self) -> Result<Keyring, Error> {
        Ok(self.0.board.keyring().clone())
    }

    pub(crate) fn board(&self) -> &Switchboard {
        &self.0.board
    }

    /// What transports are built with.
    pub(crate) fn context(&self) -> Result<Context, Error> {
        let live = self.0.live.read().unwrap_or_else(PoisonError::into_inner);
        Ok(live.as_ref().ok_or(Error::CLOSED)?.context.clone())
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
    pub(crate) async fn turn(&self) -> Turn {
        self.0.turns.take().await
    }

    /// Does what takes long on a thread aside.
    pub(crate) async fn aside<T: Send + 'static>(
        &self,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        driver::call(&self.0.threads, body).await
    }

    pub(crate) fn store(&self) -> Result<Arc<dyn Store>, Error> {
        let live = self.0.live.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(&live.as_ref().ok_or(Error::CLOSED)?.store))
    }

    pub(crate) async fn ask(&self, command: Command) -> Result<Reply, Error> {
        self.0.feed.ask(command).await
    }

    /// Gives the node a command of which nobody awaits the reply.
    pub(crate) fn tell(&self, command: Command) {
        self.0.feed.tell(command);
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
        self.live.write().unwrap_or_else(PoisonError::into_inner).take();
        self.threads.extend(self.watchers.close());
        self.threads.join();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.feed.stop();
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
