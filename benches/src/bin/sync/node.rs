//! A node in a process of its own: answers one line for each line that it is asked.

use std::{fs, io::BufRead, path::Path};

use pleach_core::limits::MAX_BATCH_ENTRIES;
use pleach_smol::{
    Address, Database, DatabaseKey, Doc, HttpTransport, Id, Instance, Options, Permission, QuicTransport,
    SecretKey, Sync, Who,
};
use pleach_storage::{Options as StoreOptions, Redb};
use serde_json::json;

use crate::{Outcome, entries};

/// The first argument that makes this program a node.
pub(crate) const ROLE: &str = "node";

/// Serves standard input until it ends.
pub(crate) fn run(file: &Path, transport: &str, seed: u8, cache: usize) -> Outcome<()> {
    let key = SecretKey::from_bytes([seed; 32]);
    smol::block_on(async {
        let store = Redb::open_with(file, StoreOptions { cache_bytes: cache })?;
        let instance = Instance::open_with(store, Options::new().key(key.clone())).await?;
        instance.enable_sync().await?;
        let sync = instance.sync().ok_or("sync was just enabled")?;
        let place = "127.0.0.1:0";
        match transport {
            "http" => sync.register_transport(transport, HttpTransport::builder().bind(place)).await,
            _ => sync.register_transport(transport, QuicTransport::builder().bind(place)).await,
        }?;
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            let words: Vec<_> = line.split_whitespace().collect();
            println!("{}", answer(&instance, &sync, &key, &words).await?);
        }
        Ok(())
    })
}

async fn answer(instance: &Instance, sync: &Sync, key: &SecretKey, words: &[&str]) -> Outcome<String> {
    Ok(match words {
        ["key"] => instance.device_id(),
        ["create", writer] => {
            let grant = (Who::Key(writer.parse()?), Permission::Write(100));
            let database =
                Database::create_with(instance, DatabaseKey::Device, Doc::new(), vec![grant]).await?;
            database.root_id().to_string()
        }
        ["serve"] => {
            let addresses = sync.accept_connections().await?;
            addresses.first().ok_or("nothing is listened on")?.to_string()
        }
        ["write", _, "0"] => "nothing to write".to_owned(),
        ["write", tree, count] => write(instance, key, tree.parse()?, count.parse()?).await?,
        ["sync", address, tree] => {
            let address: Address = address.parse()?;
            let reports = sync.sync_with_peer(&address, Some(&tree.parse()?)).await?;
            let report = reports.first().ok_or("nothing was synced")?;
            json!({
                "received": report.entries_received, "sent": report.entries_sent,
                "bytes_received": report.bytes_received, "bytes_sent": report.bytes_sent,
                "round_trips": report.round_trips,
            })
            .to_string()
        }
        ["tips", tree] => {
            let database = Database::open(instance, &tree.parse()?, DatabaseKey::Device)?;
            format!("{:?}", database.tips()?)
        }
        ["memory"] => status("VmHWM:")?.to_string(),
        ["resident"] => status("VmRSS:")?.to_string(),
        _ => return Err(format!("a node does not know how to {words:?}").into()),
    })
}

/// Makes entries on top of what is there, batch by batch.
async fn write(instance: &Instance, key: &SecretKey, tree: Id, count: usize) -> Outcome<String> {
    let database = Database::open(instance, &tree, DatabaseKey::Device)?;
    let mut left = count;
    while left > 0 {
        let batch = entries::chain(key, tree, &database.tips()?, left.min(MAX_BATCH_ENTRIES))?;
        left -= batch.len();
        let wanted = batch.len();
        let put = database.append(batch).await?;
        if put.stored.len() != wanted {
            return Err(
                format!("{} of {wanted} entries were stored: {:?}", put.stored.len(), put.refused).into()
            );
        }
    }
    Ok(format!("{count} written"))
}

/// Bytes that this process holds in memory, now (`VmRSS:`) or at most (`VmHWM:`).
fn status(name: &str) -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no memory is reported here")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}
