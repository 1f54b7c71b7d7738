//! Real nodes over every transport and store, with keys and clocks that a test holds.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use pleach_core::{
    Id, Now, Position, PublicKey, Range, SecretKey,
    document::DocStore,
    entry::{Grant, Permission, VerifiedEntry, Who},
    instance::{AccessRequest, Bootstrap, Clock, DatabaseKey, Error, Options},
    node::{BootstrapRequest, SyncReport, pending_requests},
    storage::{Meta, OfPath, Paths, Row, RowKind, RowQuery, Snapshot, Store},
    wire::Address,
};
use pleach_storage::{
    Memory, Redb,
    conformance::{Maker, store_all},
};
use pleach_transports::{
    Builder, Built, Context, Executor, Transport, TransportError,
    conformance::Cables,
    http::{HttpBuilder, HttpTransport},
    memory::MemoryNetwork,
    quic::{QuicBuilder, QuicTransport},
    serial::SerialTransport,
};

/// When every test begins, in wall milliseconds.
pub(crate) const BEGIN: u64 = 1_700_000_000_000;

/// Ten years in milliseconds.
pub(crate) const TEN_YEARS: u64 = 10 * 365 * 24 * 60 * 60 * 1_000;

/// The node that is attacked: it administers the tree.
pub(crate) const SERVER: u8 = 11;
/// Who may write.
pub(crate) const MEMBER: u8 = 12;
/// Who may do nothing.
pub(crate) const STRANGER: u8 = 13;
/// Who may read.
pub(crate) const READER: u8 = 14;
/// Another node that administers the tree.
pub(crate) const OTHER: u8 = 21;

/// The key with this seed.
pub(crate) fn secret(seed: u8) -> SecretKey {
    SecretKey::from_bytes([seed; 32])
}

/// Its public half.
pub(crate) fn public(seed: u8) -> PublicKey {
    secret(seed).public()
}

/// A wall clock that stands where it is set; the monotonic one runs.
#[derive(Clone)]
pub(crate) struct Hands(Arc<AtomicU64>, Instant);

impl Hands {
    pub(crate) fn at(wall: u64) -> Self {
        Self(Arc::new(AtomicU64::new(wall)), Instant::now())
    }

    pub(crate) fn set(&self, wall: u64) {
        self.0.store(wall, Ordering::SeqCst);
    }

    fn wall(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Clock for Hands {
    fn now(&self) -> Now {
        Now {
            monotonic: u64::try_from(self.1.elapsed().as_millis()).expect("a short test"),
            wall: self.wall(),
        }
    }
}

/// What carries frames between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    HttpOnExecutor,
    HttpOnThreads,
    Https,
    Quic,
    Serial,
    Memory,
}

impl Carrier {
    pub(crate) const ALL: [Self; 6] =
        [Self::HttpOnExecutor, Self::HttpOnThreads, Self::Https, Self::Quic, Self::Serial, Self::Memory];

    /// Those over which bytes travel that somebody can record.
    pub(crate) const RECORDED: [Self; 4] =
        [Self::HttpOnExecutor, Self::HttpOnThreads, Self::Quic, Self::Serial];

    pub(crate) const fn is_http(self) -> bool {
        matches!(self, Self::HttpOnExecutor | Self::HttpOnThreads)
    }
}

/// A store that can be opened again.
pub(crate) enum Shelf {
    Memory(Arc<Memory>),
    File(tempfile::TempDir),
}

impl Shelf {
    pub(crate) fn both() -> [Self; 2] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        [Self::Memory(Arc::default()), Self::File(folder)]
    }

    pub(crate) fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::File(folder) => Arc::new(Redb::open(folder.path().join("store")).expect("a file")),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Memory(_) => "memory",
            Self::File(_) => "redb",
        }
    }
}

/// A tree of a root key, with its members.
#[derive(Clone)]
pub(crate) struct Grove {
    pub(crate) root: Maker,
    pub(crate) start: VerifiedEntry,
}

impl Grove {
    pub(crate) fn new(seed: u8) -> Self {
        let given = [
            (SERVER, Permission::Admin(1)),
            (OTHER, Permission::Admin(1)),
            (MEMBER, Permission::Write(9)),
            (READER, Permission::Read),
        ];
        Self::with(seed, &given.map(|(seed, permission)| (Who::Key(public(seed)), permission)))
    }

    pub(crate) fn with(seed: u8, given: &[(Who, Permission)]) -> Self {
        let root = Maker::new(seed);
        let start = root.settings(&[root.root().position()], &grants(given), &[]);
        Self { root, start }
    }

    pub(crate) fn tree(&self) -> Id {
        self.root.tree()
    }

    /// An entry of a member on the first settings.
    pub(crate) fn entry(&self, seed: u8, path: &str) -> VerifiedEntry {
        self.root.signed_by(seed).entry(&[self.start.position()], path, "text")
    }

    /// Puts the tree and more into a store.
    pub(crate) fn plant(&self, store: &dyn Store, more: &[&VerifiedEntry]) {
        store_all(
            store,
            &self.root,
            [&self.root.root(), &self.start].into_iter().chain(more.iter().copied()),
        );
    }
}

/// Grants, ascending by whom they name.
pub(crate) fn grants(given: &[(Who, Permission)]) -> Vec<Grant<'static>> {
    let mut grants: Vec<_> = given
        .iter()
        .map(|(who, permission)| Grant { who: *who, permission: *permission, name: None })
        .collect();
    grants.sort_by_key(|grant| grant.who);
    grants
}

/// All of a tree that an attack could change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) tips: Vec<Position>,
    pub(crate) shared: Vec<Position>,
    pub(crate) rows: Vec<Row>,
    pub(crate) bytes: u64,
    pub(crate) trees: Vec<Id>,
    pub(crate) open: Vec<Meta>,
    pub(crate) decided: Vec<Meta>,
}

impl State {
    pub(crate) fn of(snapshot: &dyn Snapshot, tree: &Id) -> Self {
        let query = RowQuery {
            store: "doc".into(),
            kind: RowKind::Map,
            paths: Paths::All,
            after: None,
            of_path: OfPath::All,
            limit: 10_000,
        };
        let summary = snapshot.summary(tree).expect("a summary");
        Self {
            tips: snapshot.tips(tree, None, 10_000).expect("tips"),
            shared: snapshot.positions(tree, &Range::ALL, 10_000).expect("positions"),
            rows: snapshot.rows(tree, &query).expect("rows"),
            bytes: summary.map_or(0, |summary| summary.bytes),
            trees: snapshot.trees(None, 10_000).expect("trees"),
            open: snapshot.metas(b"request/open", None, 10_000).expect("requests"),
            decided: snapshot.metas(b"request/decided", None, 10_000).expect("requests"),
        }
    }
}

/// Where nodes meet.
pub(crate) struct Stage {
    pub(crate) carrier: Carrier,
    pub(crate) json: bool,
    network: MemoryNetwork,
    pub(crate) cables: Cables,
}

/// A builder whose type is not known.
struct Any(Box<dyn Builder>);

impl Builder for Any {
    fn build(self: Box<Self>, context: Context, state: Option<&[u8]>) -> Result<Built, TransportError> {
        self.0.build(context, state)
    }
}

impl Stage {
    pub(crate) fn new(carrier: Carrier) -> Self {
        Self { carrier, json: false, network: MemoryNetwork::default(), cables: Cables::default() }
    }

    fn builder(&self, bind: Option<u8>) -> Any {
        let place = bind.map(|seed| format!("place{seed}"));
        let local = bind.map(|_| "127.0.0.1:0");
        Any(match self.carrier {
            Carrier::HttpOnExecutor | Carrier::HttpOnThreads | Carrier::Https => {
                let builder = HttpTransport::builder();
                let builder =
                    if self.carrier == Carrier::Https { builder.node_certificate() } else { builder };
                let builder = if self.json { builder.json() } else { builder };
                Box::new(local.into_iter().fold(builder, HttpBuilder::bind))
            }
            Carrier::Quic => Box::new(local.into_iter().fold(QuicTransport::builder(), QuicBuilder::bind)),
            Carrier::Serial => {
                let builder = SerialTransport::builder().lines(Arc::new(self.cables.clone()));
                Box::new(place.iter().fold(builder, |builder, place| builder.bind(place)))
            }
            Carrier::Memory => {
                Box::new(place.iter().fold(self.network.builder(), |builder, place| builder.bind(place)))
            }
        })
    }

    /// A transport that listens at a place of its own, or only dials, for a peer that is no node.
    pub(crate) fn transport(&self, seed: u8, clock: &Hands, listens: bool) -> Arc<dyn Transport> {
        static DRAWN: AtomicU64 = AtomicU64::new(1);
        let random = |bytes: &mut [u8]| {
            let drawn = DRAWN.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            bytes.iter_mut().zip(drawn.into_iter().cycle()).for_each(|(byte, drawn)| *byte = drawn);
        };
        let clock = clock.clone();
        let context = Context::new(secret(seed), Arc::new(move || clock.wall()), Arc::new(random));
        let context = match self.carrier {
            Carrier::HttpOnExecutor => context.with_executor(executor()),
            _ => context,
        };
        Box::new(self.builder(listens.then_some(seed)))
            .build(context, None)
            .expect("a transport")
            .transport
            .into()
    }

    /// A node over a store, listening at a place of its own.
    pub(crate) fn node(&self, store: Arc<dyn Store>, seed: u8, clock: &Hands) -> Node {
        self.node_of(store, secret(seed), seed, clock)
    }

    /// The same with another key than that of its place.
    pub(crate) fn node_of(&self, store: Arc<dyn Store>, key: SecretKey, seed: u8, clock: &Hands) -> Node {
        let options = Options::new().key(key).clock(Arc::new(clock.clone()));
        let builder = self.builder(Some(seed));
        let (running, address) = match self.carrier {
            Carrier::HttpOnExecutor | Carrier::Quic => smol::block_on(async {
                let instance = pleach_smol::Instance::open_with(store, options).await.expect("an instance");
                instance.enable_sync().await.expect("sync");
                let sync = instance.sync().expect("sync");
                sync.register_transport("stage", builder).await.expect("a transport");
                let address = sync.accept_connections_on("stage").await.expect("a place");
                (Running::Smol(instance), address)
            }),
            Carrier::HttpOnThreads | Carrier::Https | Carrier::Serial | Carrier::Memory => {
                let instance = pleach_blocking::Instance::open_with(store, options).expect("an instance");
                instance.enable_sync().expect("sync");
                let sync = instance.sync().expect("sync");
                sync.register_transport("stage", builder).expect("a transport");
                let address = sync.accept_connections_on("stage").expect("a place");
                (Running::Blocking(instance), address)
            }
        };
        Node { running, address }
    }

    /// A node of somebody who holds the tree and perhaps more, over a store in memory.
    pub(crate) fn holder(&self, grove: &Grove, seed: u8, clock: &Hands, more: &[&VerifiedEntry]) -> Node {
        let store = Arc::new(Memory::new());
        grove.plant(&*store, more);
        self.node(store, seed, clock)
    }

    /// A node that holds nothing.
    pub(crate) fn newcomer(&self, seed: u8, clock: &Hands) -> Node {
        self.node(Arc::new(Memory::new()), seed, clock)
    }
}

/// One thread runs one executor for all tests.
fn executor() -> Executor {
    static EXECUTOR: OnceLock<Executor> = OnceLock::new();
    let executor = EXECUTOR.get_or_init(|| {
        let executor = Executor::default();
        let running = Arc::clone(&executor);
        thread::spawn(move || smol::block_on(running.run(std::future::pending::<()>())));
        executor
    });
    Arc::clone(executor)
}

/// A running node.
pub(crate) struct Node {
    running: Running,
    /// Where it listens.
    pub(crate) address: Address,
}

enum Running {
    Blocking(pleach_blocking::Instance),
    Smol(pleach_smol::Instance),
}

impl Node {
    pub(crate) fn snapshot(&self) -> Arc<dyn Snapshot> {
        match &self.running {
            Running::Blocking(instance) => instance.snapshot(),
            Running::Smol(instance) => instance.snapshot(),
        }
        .expect("a snapshot")
    }

    pub(crate) fn state(&self, tree: &Id) -> State {
        State::of(&*self.snapshot(), tree)
    }

    pub(crate) fn sync(&self, address: &Address, tree: &Id) -> Result<SyncReport, Error> {
        let reports = match &self.running {
            Running::Blocking(instance) => {
                instance.sync().expect("sync").forgetting().sync_with_peer(address, Some(tree))
            }
            Running::Smol(instance) => {
                let sync = instance.sync().expect("sync").forgetting();
                smol::block_on(sync.sync_with_peer(address, Some(tree)))
            }
        };
        reports.map(|mut reports| reports.remove(0))
    }

    pub(crate) fn ask(&self, address: &Address, tree: &Id, wanted: Permission) -> Result<Bootstrap, Error> {
        let request = AccessRequest::new(wanted).name("somebody");
        match &self.running {
            Running::Blocking(instance) => {
                instance.sync().expect("sync").sync_with_peer_for_bootstrap_with_key(address, tree, &request)
            }
            Running::Smol(instance) => {
                let sync = instance.sync().expect("sync");
                smol::block_on(sync.sync_with_peer_for_bootstrap_with_key(address, tree, &request))
            }
        }
    }

    pub(crate) fn pending(&self) -> Vec<BootstrapRequest> {
        pending_requests(&*self.snapshot()).expect("requests")
    }

    pub(crate) fn approve(&self, id: &Id) -> Result<Permission, Error> {
        match &self.running {
            Running::Blocking(instance) => {
                let sync = instance.sync().expect("sync");
                sync.approve_bootstrap_request_with_key(id, DatabaseKey::Device, None)
            }
            Running::Smol(instance) => {
                let sync = instance.sync().expect("sync");
                smol::block_on(sync.approve_bootstrap_request_with_key(id, DatabaseKey::Device, None))
            }
        }
    }

    /// Commits a text at a path of the store `doc`, by the node's own key.
    pub(crate) fn write(&self, tree: &Id, path: &str) -> Result<Position, Error> {
        match &self.running {
            Running::Blocking(instance) => {
                let database = pleach_blocking::Database::open(instance, tree, DatabaseKey::Device)?;
                let txn = database.new_transaction()?;
                txn.get_store::<DocStore>("doc")?.set(path, "text")?;
                txn.commit()
            }
            Running::Smol(instance) => {
                let database = pleach_smol::Database::open(instance, tree, DatabaseKey::Device)?;
                let txn = database.new_transaction()?;
                txn.get_store::<DocStore>("doc")?.set(path, "text")?;
                smol::block_on(txn.commit())
            }
        }
    }

    /// What a key may do in a tree, by a grant that names it.
    pub(crate) fn permission(&self, tree: &Id, seed: u8) -> Option<Permission> {
        self.snapshot().permission(tree, &Who::Key(public(seed))).expect("a permission")
    }

    /// Whether a path of the store `doc` has a value that is shown.
    pub(crate) fn shows(&self, tree: &Id, path: &str) -> bool {
        self.state(tree).rows.iter().any(|row| row.path == path.as_bytes())
    }

    /// Whether all that is stored of a tree is intact.
    pub(crate) fn is_whole(&self, tree: &Id) -> bool {
        self.snapshot().audit(tree, None, 10_000).expect("an audit").faults.is_empty()
    }

    /// Ends it and lets its store go.
    pub(crate) fn close(self) {
        match self.running {
            Running::Blocking(instance) => instance.close(),
            Running::Smol(instance) => smol::block_on(instance.close()),
        }
    }
}
