//! The node in the middle.

use std::{io::Read, path::Path};

use pleach_core::SecretKey;
use pleach_smol::{
    Database, DatabaseKey, Doc, HttpTransport, Instance, Options, Permission, QuicTransport, Redb, Who,
};
use pleach_tests::{
    parts::{Outcome, system, tell},
    siege::key,
};

/// Serves until its standard input ends. Says where, and the database in which each peer may write.
pub(crate) fn play(transport: &str, folder: &str, peers: &str) -> Outcome<()> {
    system::keep_to("0")?;
    let peers: usize = peers.parse()?;
    smol::block_on(async {
        let options = Options::new().key(SecretKey::from_bytes([1; 32]));
        let instance = Instance::open_with(Redb::open(Path::new(folder))?, options).await?;
        instance.enable_sync().await?;
        let sync = instance.sync().ok_or("sync was just enabled")?;
        match transport {
            "http" => sync.register_transport("http", HttpTransport::builder().bind("127.0.0.1:0")).await?,
            "quic" => sync.register_transport("quic", QuicTransport::builder().bind("127.0.0.1:0")).await?,
            other => return Err(format!("no such transport: {other}").into()),
        }
        let grants = (0..peers).map(|number| (Who::Key(key(number).public()), Permission::Write(100)));
        let database =
            Database::create_with(&instance, DatabaseKey::Device, Doc::new(), grants.collect()).await?;
        tell(&sync.accept_connections().await?.remove(0).to_string());
        tell(&database.root_id().to_string());
        smol::unblock(|| std::io::stdin().read_to_end(&mut Vec::new())).await?;
        Ok(())
    })
}
