//! Several sources over real sockets, for both runtimes: one whose line is cut in the middle gives its place to the other.

use std::net::TcpListener;

use pleach_blocking::{Instance, Sync};
use pleach_core::{
    entry::{Grant, Permission, Who},
    limits::MAX_BATCH_BYTES,
    storage::Store,
};
use pleach_smol::{AccessRequest, Address, Bootstrap, DatabaseTicket, Error, Memory, SyncReport};
use pleach_storage::conformance::Maker;
use pleach_tests::{
    history::Chain,
    link::{Shape, TcpLink, Way},
};
use smol::block_on;

/// Random bytes in each entry, and entries of the database: more than a message over HTTP carries.
const PAYLOAD: usize = 20_000;
const ENTRIES: usize = 300;

/// Bytes that are no entries: heads, ranges, and what HTTP puts around them.
const BESIDE: u64 = 64 * 1024;

/// Attempts in which the first source may be too slow for its head start, so that it is never cut.
const ATTEMPTS: usize = 20;

/// A program that only fetches, in either runtime.
type Fetch = fn(&DatabaseTicket) -> Result<SyncReport, Error>;

/// Both runtimes; each call is a new node.
const BOTH: [Fetch; 2] = [
    |ticket| {
        block_on(async {
            let instance = pleach_smol::Instance::open(Memory::new()).await?;
            instance.enable_sync().await?;
            let sync = instance.sync().expect("just enabled");
            sync.enable_http_transport().await?;
            sync.sync_with_ticket(ticket).await
        })
    },
    |ticket| {
        let instance = Instance::open(Memory::new())?;
        instance.enable_sync()?;
        let sync = instance.sync().expect("just enabled");
        sync.enable_http_transport()?;
        sync.sync_with_ticket(ticket)
    },
];

/// The same by asking for access.
const ASKING: [Fetch; 2] = [
    |ticket| {
        block_on(async {
            let instance = pleach_smol::Instance::open(Memory::new()).await?;
            instance.enable_sync().await?;
            let sync = instance.sync().expect("just enabled");
            sync.enable_http_transport().await?;
            Ok(joined(sync.bootstrap_with_ticket(ticket, &AccessRequest::new(Permission::Read)).await?))
        })
    },
    |ticket| {
        let instance = Instance::open(Memory::new())?;
        instance.enable_sync()?;
        let sync = instance.sync().expect("just enabled");
        sync.enable_http_transport()?;
        Ok(joined(sync.bootstrap_with_ticket(ticket, &AccessRequest::new(Permission::Read))?))
    },
];

fn joined(outcome: Bootstrap) -> SyncReport {
    match outcome {
        Bootstrap::Joined(report) => report,
        other => panic!("everybody may read it: {other:?}"),
    }
}

/// A node that serves a store, and a line to it.
struct Source {
    _instance: Instance,
    _sync: Sync,
    line: TcpLink,
    address: Address,
}

impl Source {
    fn new(store: Memory) -> Self {
        let instance = Instance::open(store).unwrap();
        instance.enable_sync().unwrap();
        let sync = instance.sync().unwrap();
        sync.enable_http_transport().unwrap();
        let server = sync.accept_connections().unwrap().remove(0);
        let line = TcpLink::new(server.address.parse().unwrap(), Shape::PLAIN).unwrap();
        let address = Address::http(&line.address().to_string()).with_key(instance.device_key());
        Self { _instance: instance, _sync: sync, line, address }
    }
}

/// A database that everybody may read, the bytes of its entries, and how many there are.
fn database(maker: &Maker) -> (Memory, u64, u64) {
    let grants = [Grant { who: Who::Everyone, permission: Permission::Read, name: None }];
    let settings = maker.settings(&[maker.root().position()], &grants, &[]);
    let store = Memory::new();
    store.write(&maker.put([&maker.root(), &settings])).unwrap();
    let mut chain = Chain::new(maker.key(), maker.tree(), vec![settings.position()], 1);
    let mut bytes = 0;
    for _ in 0..3 {
        let batch = chain.grow(ENTRIES / 3, PAYLOAD);
        store.write(&maker.put(&batch)).unwrap();
        bytes += batch.iter().map(|entry| entry.bytes().len() as u64).sum::<u64>();
    }
    (store, bytes, ENTRIES as u64 + 2)
}

#[test]
fn a_source_whose_line_is_cut_gives_way_and_a_batch_moves_again_at_most() {
    let maker = Maker::new(1);
    let (store, bytes, count) = database(&maker);
    for fetch in BOTH.iter().chain(&ASKING) {
        let mut attempts = 0;
        loop {
            attempts += 1;
            assert!(attempts <= ATTEMPTS, "the first was never taken");
            let [first, second] = [(); 2].map(|()| Source::new(store.fork().unwrap()));
            first.line.cut_at(Way::Down, bytes / 2);
            let addresses = [&first, &second].map(|source| source.address.clone());
            let report = fetch(&DatabaseTicket::new(maker.tree(), addresses).unwrap()).unwrap();
            assert_eq!(report.entries_received, count, "each entry once");
            assert!(report.address.as_ref().unwrap().is_same_place(&second.address));
            let [lost] = &report.lost[..] else { continue };
            assert!(
                lost.address.is_same_place(&first.address) && lost.moved.entries_received > 0,
                "{lost:?}"
            );
            let carried = [&first, &second].map(|source| source.line.carried(Way::Down)).iter().sum::<u64>();
            let again = carried.saturating_sub(bytes + BESIDE);
            assert!(again <= MAX_BATCH_BYTES as u64, "{again} bytes moved again");
            break;
        }
    }
}

#[test]
fn where_all_lines_are_cut_the_error_names_each_place() {
    let maker = Maker::new(2);
    let (store, bytes, _) = database(&maker);
    for fetch in BOTH.iter().chain(&ASKING) {
        let sources = [(); 2].map(|()| Source::new(store.fork().unwrap()));
        for source in &sources {
            source.line.cut_at(Way::Down, bytes / 3);
        }
        let addresses = sources.each_ref().map(|source| source.address.clone());
        let error = fetch(&DatabaseTicket::new(maker.tree(), addresses.clone()).unwrap()).unwrap_err();
        assert!(error.is_network() && error.is_retryable(), "{error}");
        assert_eq!(error.sources().len(), 2, "{error}");
        for address in addresses {
            assert!(error.to_string().contains(&address.to_string()), "{error}");
        }
    }
}

#[test]
fn a_source_that_accepts_and_says_nothing_is_let_go_of_whether_access_is_asked_for_or_not() {
    let maker = Maker::new(3);
    let (store, _, count) = database(&maker);
    let source = Source::new(store);
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = Address::http(&socket.local_addr().unwrap().to_string());
    let silent = silent.with_key(source.address.key.unwrap());
    let ticket = DatabaseTicket::new(maker.tree(), [silent, source.address.clone()]).unwrap();
    for fetch in BOTH.iter().chain(&ASKING) {
        let report = fetch(&ticket).unwrap();
        assert_eq!(report.entries_received, count);
        assert!(report.address.unwrap().is_same_place(&source.address));
        assert_eq!(report.lost, [], "its patience was not waited for");
    }
}
