//! A real connection that is cut inside of frames, many times: nothing is lost, and little moves again.

use std::sync::Arc;

use pleach_core::{
    Entropy, Position,
    entry::{Grant, Permission, Who},
    limits::MAX_BATCH_BYTES,
    storage::{Snapshot, StorageError, Store, Write, Written},
};
use pleach_smol::{Address, Database, DatabaseKey, HttpTransport, Instance, Sync};
use pleach_storage::{Memory, conformance::Maker};
use pleach_tests::{
    history::Chain,
    link::{Shape, TcpLink, Way},
};
use smol::block_on;

/// Random bytes in each entry, and entries that either side has alone: more than a batch.
const PAYLOAD: usize = 20_000;
const NEWS: usize = 300;

/// Bytes that are no entries: heads, ranges, and what HTTP puts around them.
const BESIDE: u64 = 64 * 1024;

/// A store that outlives its instance.
#[derive(Clone)]
struct Shared(Arc<Memory>);

impl Store for Shared {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
        self.0.snapshot()
    }

    fn write(&self, write: &Write) -> Result<Written, StorageError> {
        self.0.write(write)
    }
}

async fn open(store: Memory) -> (Shared, Instance, Sync) {
    let store = Shared(Arc::new(store));
    let instance = Instance::open(store.clone()).await.unwrap();
    instance.enable_sync().await.unwrap();
    let sync = instance.sync().unwrap().forgetting();
    sync.register_transport("http", HttpTransport::builder().bind("127.0.0.1:0")).await.unwrap();
    (store, instance, sync)
}

/// Stores of two nodes that have written apart, and the bytes of what one of them wrote.
fn parted(maker: &Maker) -> (Memory, Memory, u64) {
    let grants = [Grant { who: Who::Everyone, permission: Permission::Read, name: None }];
    let settings = maker.settings(&[maker.root().position()], &grants, &[]);
    let here = Memory::new();
    here.write(&maker.put([&maker.root(), &settings])).unwrap();
    let there = here.fork().unwrap();
    let bytes = [(&here, 1), (&there, 2)].map(|(store, seed)| grow(maker, store, settings.position(), seed));
    (here, there, bytes[0])
}

fn grow(maker: &Maker, store: &Memory, tip: Position, seed: u64) -> u64 {
    let mut chain = Chain::new(maker.key(), maker.tree(), vec![tip], seed);
    let grown: Vec<_> = (0..3).map(|_| chain.grow(NEWS / 3, PAYLOAD)).collect();
    for batch in &grown {
        store.write(&maker.put(batch)).unwrap();
    }
    grown.iter().flatten().map(|entry| entry.bytes().len() as u64).sum()
}

#[test]
fn a_cut_inside_of_frames_loses_nothing_and_moves_a_batch_again_at_most() {
    let (maker, mut random) = (Maker::new(1), Entropy::new([9; 32]));
    let (here, there, bytes) = parted(&maker);
    for number in 0..16_u32 {
        let way = if number % 2 == 0 { Way::Down } else { Way::Up };
        let cut = u64::from(u32::from_le_bytes(random.draw())) % bytes;
        block_on(async {
            let (ours, _dialling, sync) = open(here.fork().unwrap()).await;
            let (theirs, serving, doors) = open(there.fork().unwrap()).await;
            let server = doors.accept_connections().await.unwrap().remove(0);
            let line = || TcpLink::new(server.address.parse().unwrap(), Shape::PLAIN).unwrap();
            let through =
                |link: &TcpLink| Address::http(&link.address().to_string()).with_key(serving.device_key());
            let (link, again) = (line(), line());
            link.cut_at(way, cut);
            let tree = maker.tree();
            sync.sync_with_peer(&through(&link), Some(&tree)).await.unwrap_err();
            assert_eq!(link.carried(way), cut, "it failed for another reason");
            sync.sync_with_peer(&through(&again), Some(&tree)).await.unwrap();
            let carried: u64 =
                [&link, &again].map(|link| link.carried(Way::Down) + link.carried(Way::Up)).iter().sum();
            let again = carried.saturating_sub(2 * bytes + BESIDE);
            assert!(again <= MAX_BATCH_BYTES as u64, "{again} bytes moved again after {cut} bytes {way:?}");
            let held = [&ours, &theirs].map(|store| {
                let summary = store.snapshot().unwrap().summary(&tree).unwrap().unwrap();
                (summary.measure.count, summary.tips)
            });
            assert_eq!(held[0], held[1], "cut after {cut} bytes {way:?}");
            let database = Database::open(&serving, &tree, DatabaseKey::Device).unwrap();
            assert!(database.verify().unwrap().is_ok());
        });
    }
}
