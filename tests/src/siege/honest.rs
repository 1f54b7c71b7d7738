//! Honest peers: each fetches a tree and pushes entries into it.

use pleach_core::{
    Id, Position, SecretKey, canonical,
    entry::{EntryBuilder, Origin, Value, VerifiedEntry},
};
use pleach_smol::{Address, Database, DatabaseKey, HttpTransport, Instance, Options, QuicTransport};
use pleach_storage::Memory;

use super::Outcome;
use crate::parts::{system, tell};

/// The key of an honest peer.
pub fn key(number: usize) -> SecretKey {
    let mut bytes = [2; 32];
    bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
    SecretKey::from_bytes(bytes)
}

/// Pushes into the trees, one peer for each. Says how many entries, and then line by line what went wrong.
pub(super) fn play(core: &str, pushes: &str, entries: &str, node: &str, trees: &[&str]) -> Outcome<()> {
    system::keep_to(core)?;
    let (pushes, entries): (usize, usize) = (pushes.parse()?, entries.parse()?);
    let addresses: Vec<&str> = node.split(',').collect();
    let executor = smol::LocalExecutor::new();
    smol::block_on(executor.run(async {
        let mut peers = Vec::new();
        for (number, tree) in trees.iter().enumerate() {
            // They take turns with the transports.
            let address = addresses[number % addresses.len()].to_owned();
            let tree = (*tree).to_owned();
            peers.push(executor.spawn(async move { push(number, &address, &tree, pushes, entries).await }));
        }
        let (mut pushed, mut failures) = (0, Vec::new());
        for (number, peer) in peers.into_iter().enumerate() {
            match peer.await {
                Ok(count) => pushed += count,
                Err(error) => failures.push(format!("honest peer {number}: {error}")),
            }
        }
        tell(&pushed.to_string());
        for failure in &failures {
            tell(failure);
        }
        Ok(())
    }))
}

async fn push(number: usize, address: &str, tree: &str, pushes: usize, entries: usize) -> Outcome<usize> {
    let (key, tree, address) = (key(number), tree.parse::<Id>()?, address.parse::<Address>()?);
    let instance = Instance::open_with(Memory::new(), Options::new().key(key.clone())).await?;
    instance.enable_sync().await?;
    let sync = instance.sync().ok_or("sync was just enabled")?;
    sync.register_transport("http", HttpTransport::builder()).await?;
    sync.register_transport("quic", QuicTransport::builder()).await?;
    sync.sync_with_peer(&address, Some(&tree)).await?;
    let database = Database::open(&instance, &tree, DatabaseKey::Device)?;
    let mut pushed = 0;
    for _ in 0..pushes {
        let mut batch = Vec::new();
        let mut parents = database.tips()?;
        for _ in 0..entries {
            let entry = entry(&key, tree, &parents, "honest")?;
            parents = vec![entry.position()];
            batch.push(entry);
        }
        database.append(batch).await?;
        let reports = sync.sync_with_peer(&address, Some(&tree)).await?;
        let sent: u64 = reports.iter().map(|report| report.entries_sent).sum();
        if sent != entries as u64 {
            return Err(format!("{sent} of {entries} entries were sent").into());
        }
        pushed += entries;
    }
    Ok(pushed)
}

/// An entry that writes a text.
pub fn entry(key: &SecretKey, tree: Id, parents: &[Position], text: &str) -> Outcome<VerifiedEntry> {
    let height = parents.iter().map(|parent| parent.height).max().unwrap_or(0);
    let mut builder = EntryBuilder::new(Origin::Tree(tree), 1_700_000_000_000 + height);
    for parent in parents {
        builder.parent(*parent)?;
    }
    let path = format!("k{height}");
    let writes = [(path.as_str(), Some(Value::Text(text.into()).encode()?))];
    // A map of one write: a slice has its length before it, an array would not.
    let data = [&[0][..], &canonical::to_vec(writes.as_slice())].concat();
    Ok(VerifiedEntry::sign(&builder, key, &[("main", &data)])?)
}
