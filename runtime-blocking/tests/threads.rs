//! No thread outlives its instance. Alone in its process, because it counts all threads of it.
#![cfg(all(target_os = "linux", feature = "http", feature = "quic"))]

use std::{
    collections::BTreeMap,
    fs, thread,
    time::{Duration, Instant},
};

use pleach_blocking::{Database, DatabaseKey, Doc, Instance, Memory, Permission, Sync, Who};

/// How many of this process' threads have each name.
fn threads() -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        // A thread may end while we look.
        let Ok(name) = fs::read_to_string(task.path().join("comm")) else { continue };
        *counted.entry(name.trim().to_owned()).or_default() += 1;
    }
    counted
}

fn ours(counted: &BTreeMap<String, usize>) -> BTreeMap<&str, usize> {
    let ours = counted.iter().filter(|(name, _)| name.starts_with("pleach-"));
    ours.map(|(name, count)| (name.as_str(), *count)).collect()
}

fn node() -> (Instance, Sync) {
    let instance = Instance::open(Memory::new()).unwrap();
    instance.enable_sync().unwrap();
    let sync = instance.sync().unwrap();
    sync.enable_http_transport().unwrap();
    sync.enable_quic_transport().unwrap();
    (instance, sync)
}

#[test]
fn an_instance_has_its_threads_and_takes_them_along() {
    let before = threads();
    assert_eq!(ours(&before), BTreeMap::new());
    let cores = thread::available_parallelism().unwrap().get();
    for _ in 0..3 {
        let (a, serving) = node();
        let (b, sync) = node();
        let grants = vec![(Who::Everyone, Permission::Read)];
        let database = Database::create_with(&a, DatabaseKey::Device, Doc::new(), grants).unwrap();
        let callback = database.on_local_write(|_| {}).unwrap();
        for address in serving.accept_connections().unwrap() {
            sync.sync_with_peer(&address, Some(&database.root_id())).unwrap();
        }
        let during = threads();
        let during = ours(&during);
        assert_eq!(during.get("pleach-verify"), Some(&(2 * cores)), "{during:?}");
        assert_eq!(during.get("pleach-store"), Some(&2), "{during:?}");
        assert_eq!(during.get("pleach-timer"), Some(&2), "{during:?}");
        drop((callback, database, a, b));
    }
    // Connections that the peer has closed end by themselves, a moment later.
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        let after = threads();
        if ours(&after).is_empty() {
            break;
        }
        assert!(Instant::now() < patience, "threads that were left: {:?}", ours(&after));
        thread::yield_now();
    }
}
