//! A commit on a database that is kept the same with a peer is there at once.

mod world;

use pleach_smol::{Follow, Memory, MemoryNetwork, Permission, SyncPeerInfo};
use world::{World, assert_same, grant_all, write};

/// B keeps a database of A the same: what either commits, the other hears of. The transports are registered already.
async fn follow(a: &World, b: &World) {
    let database = a.create("shared", &grant_all(Permission::Write(9))).await;
    let address = a.sync.accept_connections().await.unwrap().remove(0);
    b.sync.sync_with_peer(&address, Some(&database.root_id())).await.unwrap();
    let info = SyncPeerInfo::new(a.instance.device_key(), database.root_id(), vec![address]);
    let handle = b.sync.register_sync_peer(info.clone()).await.unwrap();
    handle.wait_for_initial_sync().await.unwrap();
    assert_eq!(b.sync.tree_peers(&database.root_id()).unwrap(), [info]);

    let changes = database.watch();
    let theirs = b.open(&database.root_id());
    for n in 0..3 {
        write(&theirs, &format!("from{n}"), "b").await;
        let change = changes.next().await.unwrap();
        assert_eq!(change.entries, theirs.tips().unwrap());
        assert_same(&database, &theirs);
    }
    // Who is followed dials nobody, and is heard all the same.
    let changes = theirs.watch();
    for n in 0..3 {
        write(&database, &format!("to{n}"), "a").await;
        let change = changes.next().await.unwrap();
        assert_eq!(change.entries, database.tips().unwrap());
        assert_same(&database, &theirs);
    }
}

#[test]
fn a_commit_reaches_the_peer_by_itself_in_memory() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
        a.sync.register_transport("memory", network.builder().bind("a")).await.unwrap();
        b.sync.register_transport("memory", network.builder()).await.unwrap();
        follow(&a, &b).await;
    });
}

#[cfg(feature = "http")]
#[test]
fn a_commit_reaches_the_peer_by_itself_over_http() {
    smol::block_on(async {
        let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
        for node in [&a, &b] {
            node.sync.enable_http_transport().await.unwrap();
        }
        follow(&a, &b).await;
    });
}

#[cfg(feature = "quic")]
#[test]
fn a_commit_reaches_the_peer_by_itself_over_quic() {
    smol::block_on(async {
        let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
        for node in [&a, &b] {
            node.sync.enable_quic_transport().await.unwrap();
        }
        follow(&a, &b).await;
    });
}

#[test]
fn a_peer_that_is_only_remembered_is_not_followed() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
        a.sync.register_transport("memory", network.builder().bind("a")).await.unwrap();
        b.sync.register_transport("memory", network.builder()).await.unwrap();
        let database = a.create("shared", &grant_all(Permission::Write(9))).await;
        let address = a.sync.accept_connections().await.unwrap().remove(0);
        b.sync.sync_with_peer(&address, Some(&database.root_id())).await.unwrap();
        let theirs = b.open(&database.root_id());
        write(&theirs, "from", "b").await;
        assert_eq!(b.sync.sync_peers().unwrap()[0].follow, Follow::OnRequest);
        let outcomes = b.sync.sync_database(&database.root_id()).await.unwrap();
        let [(_, Ok(report))] = outcomes.as_slice() else { panic!("{outcomes:?}") };
        assert_eq!(report.entries_sent, 1, "nothing was sent before");
        assert_same(&database, &theirs);
    });
}
