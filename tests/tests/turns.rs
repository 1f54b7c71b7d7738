//! A responder answers each request from storage alone: whoever opens the same store next answers the next one.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use pleach_core::limits::{MAX_BATCH_BYTES, MAX_MESSAGE};
use pleach_smol::{
    Address, Database, DatabaseKey, Doc, HttpTransport, Id, Instance, Options, Permission, Redb, SecretKey,
    Sync, SyncReport, Who,
};
use pleach_tests::history::Chain;
use smol::block_on;

/// Random bytes in each entry: so many that one entry moved again shows beside all that is no entry.
const PAYLOAD: usize = 64 * 1024;

/// Bytes that a request and its response cost beside entries, at most: heads, ranges, tips.
const BESIDE: u64 = 4 * 1024;

/// Bytes that an entry costs in a frame beside its own, at most.
const AROUND: u64 = 3;

const BIND: &str = "127.0.0.1:0";

/// A file and the key of the nodes that open it.
#[derive(Clone)]
struct Place {
    file: PathBuf,
    key: SecretKey,
    /// Held while a node is there that answers.
    turn: Arc<Mutex<()>>,
}

impl Place {
    /// Opens the place once no other node has it.
    async fn open_next(&self) -> (Instance, Sync) {
        drop(self.turn.lock().unwrap());
        self.open().await
    }

    async fn open(&self) -> (Instance, Sync) {
        let options = Options::new().key(self.key.clone());
        let instance = Instance::open_with(Redb::open(&self.file).unwrap(), options).await.unwrap();
        instance.enable_sync().await.unwrap();
        let sync = instance.sync().unwrap();
        sync.register_transport("http", HttpTransport::builder().bind(BIND)).await.unwrap();
        (instance, sync)
    }

    /// Adds a chain of entries to a database. Returns their bytes.
    async fn grow(&self, instance: &Instance, tree: &Id, count: usize, seed: u64) -> u64 {
        let database = Database::open(instance, tree, DatabaseKey::Device).unwrap();
        let mut chain = Chain::new(&self.key, *tree, database.tips().unwrap(), seed);
        // A few bytes around each payload: one entry less than fit without them.
        let batch = MAX_BATCH_BYTES / PAYLOAD - 1;
        let mut bytes = 0;
        for start in (0..count).step_by(batch) {
            let entries = chain.grow(batch.min(count - start), PAYLOAD);
            bytes += entries.iter().map(|entry| entry.bytes().len() as u64).sum::<u64>();
            let put = database.append(entries).await.unwrap();
            assert_eq!((put.refused, put.held.len()), (None, 0));
        }
        bytes
    }

    /// A node is started, answers this one request to this client, and is gone: on an executor in one turn, on plain
    /// threads in the next.
    fn answer(&self, turn: u64, request: &[u8], client: &mut TcpStream) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap();
        if turn.is_multiple_of(2) {
            let (instance, sync) = block_on(self.open());
            let address = block_on(sync.accept_connections()).unwrap().remove(0);
            let relayed = relay(&address, request, client);
            block_on(instance.close());
            return relayed;
        }
        let options = pleach_blocking::Options::new().key(self.key.clone());
        let store = pleach_blocking::Redb::open(&self.file).unwrap();
        let instance = pleach_blocking::Instance::open_with(store, options).unwrap();
        instance.enable_sync().unwrap();
        let sync = instance.sync().unwrap();
        sync.register_transport("http", pleach_blocking::HttpTransport::builder().bind(BIND)).unwrap();
        let address = sync.accept_connections().unwrap().remove(0);
        let relayed = relay(&address, request, client);
        instance.close();
        relayed
    }
}

/// Hands a request on and the whole response back.
fn relay(address: &Address, request: &[u8], client: &mut TcpStream) -> io::Result<()> {
    let mut node = TcpStream::connect(&address.address)?;
    node.write_all(request)?;
    io::copy(&mut node, client)?;
    client.shutdown(Shutdown::Write)
}

/// Reads one request, and asks for the end of the connection after its response.
fn request(client: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if bytes.len() >= end + 4 + length {
                bytes.splice(end..end, *b"\r\nconnection: close");
                return Ok(Some(bytes));
            }
        }
        match client.read(&mut piece)? {
            0 if bytes.is_empty() => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => bytes.extend_from_slice(&piece[..read]),
        }
    }
}

/// What stands where the responder is expected: for each request another node is opened. Returns the address, and how
/// many requests were answered.
fn front(place: &Place) -> (Address, Arc<AtomicU64>) {
    let listener = TcpListener::bind(BIND).unwrap();
    let local = listener.local_addr().unwrap();
    let (place, turns) = (place.clone(), Arc::new(AtomicU64::new(0)));
    let address = Address::http(&local.to_string()).with_key(place.key.public());
    let counted = Arc::clone(&turns);
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            if let Some(request) = request(&mut client).unwrap() {
                place.answer(counted.fetch_add(1, Ordering::SeqCst), &request, &mut client).unwrap();
            }
        }
    });
    (address, turns)
}

/// Whether so many entries of so many bytes moved, received and sent, each of them once.
fn assert_moved(report: &SyncReport, received: (u64, u64), sent: (u64, u64)) {
    assert_eq!((report.entries_received, report.entries_sent), (received.0, sent.0));
    for (bytes, (entries, own)) in [(report.bytes_received, received), (report.bytes_sent, sent)] {
        let beside = u64::from(report.round_trips) * BESIDE + entries * AROUND;
        assert!(bytes <= own + beside, "{bytes} bytes for {entries} entries of {own}: some moved twice");
        assert!(beside < PAYLOAD as u64, "one entry more would not show");
    }
}

/// Whether the store of a place and that of an open instance hold the same, and nothing is amiss in either.
async fn assert_same(place: &Place, instance: &Instance, tree: &Id) {
    let (theirs, _) = place.open_next().await;
    let open = |instance: &Instance| Database::open(instance, tree, DatabaseKey::Device).unwrap();
    let (one, two) = (open(&theirs), open(instance));
    assert_eq!(one.tips().unwrap(), two.tips().unwrap());
    for database in [&one, &two] {
        assert!(database.verify().unwrap().is_ok());
    }
    assert_eq!(one.stats().unwrap().content_hash, two.stats().unwrap().content_hash);
}

#[test]
fn nodes_that_are_opened_anew_for_each_request_answer_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str, seed| Place {
        file: folder.path().join(name),
        key: SecretKey::from_bytes([seed; 32]),
        turn: Arc::default(),
    };
    let (here, there) = (place("here", 1), place("there", 2));
    block_on(async {
        let (instance, _) = there.open().await;
        let grants = vec![(Who::Key(here.key.public()), Permission::Write(9))];
        let tree = Database::create_with(&instance, DatabaseKey::Device, Doc::new(), grants)
            .await
            .unwrap()
            .root_id();
        let entries = 5 * MAX_MESSAGE / PAYLOAD;
        let bytes = there.grow(&instance, &tree, entries - 1, 1).await;
        instance.close().await;
        drop(instance);

        // A bootstrap.
        let (address, turns) = front(&there);
        let (instance, sync) = here.open().await;
        let report = sync.sync_with_peer(&address, Some(&tree)).await.unwrap().remove(0);
        assert_moved(&report, (entries as u64, bytes), (0, 0));
        assert!(report.round_trips >= 6, "{} responses for five times their limit", report.round_trips);
        let answered = turns.load(Ordering::SeqCst);
        assert_eq!(answered, 1 + u64::from(report.round_trips), "the first is asked who it is");
        assert_same(&there, &instance, &tree).await;

        // Both have news, each more than a message holds.
        let news = 3 * MAX_MESSAGE / PAYLOAD / 2;
        let mine = here.grow(&instance, &tree, news, 2).await;
        let (theirs, _) = there.open_next().await;
        let others = there.grow(&theirs, &tree, news, 3).await;
        theirs.close().await;
        drop(theirs);
        let report = sync.sync_with_peer(&address, Some(&tree)).await.unwrap().remove(0);
        assert_moved(&report, (news as u64, others), (news as u64, mine));
        assert!(turns.load(Ordering::SeqCst) >= answered + 3);
        assert_same(&there, &instance, &tree).await;
    });
}
