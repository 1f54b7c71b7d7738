//! A first program: a node with a file, two transports and a peer. It plays both parts, in a temporary folder.

use pleach_blocking::{
    Database, DatabaseKey, Doc, Error, HttpTransport, Instance, Permission, QuicTransport, Redb, Who,
};

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    run(folder.path())?;
    Ok(())
}

fn run(folder: &std::path::Path) -> Result<(), Error> {
    let peer = Instance::open(Redb::open(folder.join("peer.redb"))?)?;
    peer.enable_sync()?;
    let serving = peer.sync().expect("just enabled");
    serving.enable_http_transport()?;
    let address = serving.accept_connections()?.remove(0);

    let instance = Instance::open(Redb::open(folder.join("notes.redb"))?)?;
    let grants = vec![(Who::Key(instance.device_key()), Permission::Write(100))];
    let shared = Database::create_with(&peer, DatabaseKey::Device, Doc::new(), grants)?;
    let tree_id = shared.root_id();

    instance.enable_sync()?;
    let sync = instance.sync().expect("just enabled");
    sync.register_transport("http", HttpTransport::builder().bind("127.0.0.1:0"))?;
    sync.register_transport("p2p", QuicTransport::builder().bind("127.0.0.1:0"))?;
    for address in sync.accept_connections()? {
        println!("peers reach this node at {address}");
    }
    for report in sync.sync_with_peer(&address, Some(&tree_id))? {
        println!("{} entries came from {address}", report.entries_received);
    }
    let mine = Database::open(&instance, &tree_id, DatabaseKey::Device)?;
    assert_eq!(mine.stats()?.content_hash, shared.stats()?.content_hash);
    Ok(())
}
