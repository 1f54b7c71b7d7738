//! What peers ask keeps no caller waiting.

mod world;

use std::{
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use async_channel::{Receiver, Sender, bounded};
use pleach_core::storage::{Write, Written};
use pleach_smol::{Memory, MemoryNetwork, Permission, Snapshot, StorageError, Store};
use world::{World, grant_all, write};

/// Says that a snapshot is held, and lets it go.
type Gate = (Sender<()>, Receiver<()>);

/// A store that holds the next snapshot which the node wants to read from, once there is a gate.
struct Holding(Memory, Arc<Mutex<Option<Gate>>>);

impl Store for Holding {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
        if thread::current().name() == Some("pleach-reader") {
            let gate = self.1.lock().unwrap().take();
            if let Some((held, go)) = gate {
                held.send_blocking(()).unwrap();
                let _ = go.recv_blocking();
            }
        }
        self.0.snapshot()
    }

    fn write(&self, write: &Write) -> Result<Written, StorageError> {
        self.0.write(write)
    }
}

#[test]
fn a_commit_does_not_wait_for_what_a_peer_has_asked() {
    smol::block_on(async {
        let (network, gate) = (MemoryNetwork::new(), Arc::default());
        let a = World::new(Holding(Memory::new(), Arc::clone(&gate))).await;
        let b = World::new(Memory::new()).await;
        a.sync.register_transport("memory", network.builder().bind("a")).await.unwrap();
        b.sync.register_transport("memory", network.builder()).await.unwrap();
        let database = a.create("public", &grant_all(Permission::Read)).await;
        let place = a.sync.accept_connections().await.unwrap().remove(0);

        let ((held, holds), (go, going)) = (bounded(1), bounded(1));
        *gate.lock().unwrap() = Some((held, going));
        let asking = smol::spawn(async move { b.sync.discover_peer_trees(&place).await });
        holds.recv().await.unwrap();
        smol::future::or(write(&database, "title", "Pleaching"), async {
            smol::Timer::after(Duration::from_secs(29)).await;
            panic!("it waits for what was asked before");
        })
        .await;
        go.send(()).await.unwrap();
        assert_eq!(asking.await.unwrap().len(), 1);
    });
}
