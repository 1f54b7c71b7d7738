//! The node that is besieged.

use std::{io::Read, path::Path};

use pleach_core::{
    SecretKey,
    entry::{Permission, Who},
};
use pleach_smol::{Database, DatabaseKey, Doc, HttpTransport, Instance, Options, QuicTransport};
use pleach_storage::Redb;

use super::{Outcome, honest};
use crate::parts::{system, tell};

/// Serves over HTTP and QUIC until its standard input ends. Says where; the trees of the honest peers, two for each; and a
/// tree in which everybody may write.
pub(super) fn play(core: &str, folder: &str, honest: &str) -> Outcome<()> {
    system::keep_to(core)?;
    let honest: usize = honest.parse()?;
    smol::block_on(async {
        let options = Options::new().key(SecretKey::from_bytes([1; 32]));
        let instance = Instance::open_with(Redb::open(Path::new(folder))?, options).await?;
        instance.enable_sync().await?;
        let sync = instance.sync().ok_or("sync was just enabled")?;
        sync.register_transport("http", HttpTransport::builder().bind("127.0.0.1:0")).await?;
        sync.register_transport("quic", QuicTransport::builder().bind("127.0.0.1:0")).await?;
        let mut trees = Vec::new();
        for number in (0..honest).chain(0..honest) {
            let grant = (Who::Key(honest::key(number).public()), Permission::Write(100));
            let database =
                Database::create_with(&instance, DatabaseKey::Device, Doc::new(), vec![grant]).await?;
            trees.push(database.root_id().to_string());
        }
        let everybody = (Who::Everyone, Permission::Write(1_000));
        let open = Database::create_with(&instance, DatabaseKey::Device, Doc::new(), vec![everybody]).await?;
        let addresses = sync.accept_connections().await?;
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        tell(&addresses.join(","));
        tell(&trees.join(" "));
        tell(&open.root_id().to_string());
        smol::unblock(|| std::io::stdin().read_to_end(&mut Vec::new())).await?;
        Ok(())
    })
}
