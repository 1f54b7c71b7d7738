//! The crowd.

use std::{
    collections::BTreeMap,
    io::BufRead,
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, Instant},
};

use pleach_benches::at;
use pleach_smol::{
    Address, Callback, Database, DatabaseKey, DocStore, HttpTransport, Id, Instance, Memory, Options,
    QuicTransport, SyncPeerInfo,
};
use pleach_tests::{
    parts::{Outcome, system, tell},
    siege::key,
};

/// Peers that come at a time.
const COMING: usize = 8;

/// How long the last commit may be on its way.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came of the commits.
pub(crate) struct Figures {
    /// Commits that arrived, counted for each peer.
    pub(crate) delivered: usize,
    /// Commits that arrived at all peers.
    pub(crate) whole: usize,
    /// Milliseconds from the commit to a peer's callback.
    pub(crate) median: f64,
    pub(crate) late: f64,
    pub(crate) last: f64,
}

impl Figures {
    fn of(made: &[(Id, Instant)], heard: &[(Id, Instant)], others: usize) -> Self {
        let made: BTreeMap<Id, Instant> = made.iter().copied().collect();
        let mut counts = BTreeMap::<Id, usize>::new();
        let mut times = Vec::new();
        for (id, at) in heard {
            if let Some(then) = made.get(id) {
                times.push(at.saturating_duration_since(*then));
                *counts.entry(*id).or_default() += 1;
            }
        }
        times.sort_unstable();
        Self {
            delivered: times.len(),
            whole: counts.values().filter(|count| **count == others).count(),
            median: at(&times, 0.5),
            late: at(&times, 0.99),
            last: at(&times, 1.0),
        }
    }

    fn write(&self) -> String {
        let Self { delivered, whole, median, late, last } = self;
        format!("{delivered} {whole} {median} {late} {last}")
    }

    /// What [`play`] says.
    pub(crate) fn read(line: &str) -> Outcome<Self> {
        let [delivered, whole, median, late, last] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("no figures: {line}").into());
        };
        Ok(Self {
            delivered: delivered.parse()?,
            whole: whole.parse()?,
            median: median.parse()?,
            late: late.parse()?,
            last: last.parse()?,
        })
    }
}

struct Peer {
    instance: Instance,
    database: Database,
    _callback: Callback,
}

async fn come(
    number: usize,
    transport: &str,
    address: Address,
    tree: Id,
    heard: Sender<(Id, Instant)>,
) -> Outcome<Peer> {
    let instance = Instance::open_with(Memory::new(), Options::new().key(key(number))).await?;
    instance.enable_sync().await?;
    let sync = instance.sync().ok_or("sync was just enabled")?;
    match transport {
        "http" => sync.register_transport(transport, HttpTransport::builder()).await?,
        _ => sync.register_transport(transport, QuicTransport::builder()).await?,
    }
    let node = address.key.ok_or("the address names no key")?;
    sync.register_sync_peer(SyncPeerInfo::new(node, tree, vec![address]))
        .await?
        .wait_for_initial_sync()
        .await?;
    let database = Database::open(&instance, &tree, DatabaseKey::Device)?;
    let callback = database.on_remote_write(move |change| {
        for entry in &change.entries {
            let _ = heard.send((entry.id, Instant::now()));
        }
    })?;
    Ok(Peer { instance, database, _callback: callback })
}

/// Commits at a rate.
async fn commit(database: &Database, commits: u32, rate: u32) -> Outcome<Vec<(Id, Instant)>> {
    let begun = Instant::now();
    let mut made = Vec::new();
    for number in 0..commits {
        smol::Timer::at(begun + Duration::from_secs(1) * number / rate).await;
        let txn = database.new_transaction()?;
        txn.get_store::<DocStore>("main")?.set("n", i64::from(number))?;
        made.push((txn.commit().await?.id, Instant::now()));
    }
    Ok(made)
}

/// All that is heard until there is as much as that, or nothing for long.
fn listen(heard: &Receiver<(Id, Instant)>, all: usize) -> Vec<(Id, Instant)> {
    let mut came = Vec::new();
    while came.len() < all {
        match heard.recv_timeout(PATIENCE) {
            Ok(one) => came.push(one),
            Err(_) => break,
        }
    }
    came
}

/// Comes, and says so; then commits as its standard input says, and tells the figures.
pub(crate) fn play(transport: &str, count: &str, address: &str, tree: &str) -> Outcome<()> {
    system::keep_to("1")?;
    let (count, address, tree) = (count.parse::<usize>()?, address.parse::<Address>()?, tree.parse::<Id>()?);
    let (tell_of, heard) = channel();
    let executor = smol::LocalExecutor::new();
    smol::block_on(executor.run(async {
        let mut peers = Vec::new();
        for from in (0..count).step_by(COMING) {
            let coming = (from..count.min(from + COMING)).map(|number| {
                executor.spawn(come(number, transport, address.clone(), tree, tell_of.clone()))
            });
            for peer in coming.collect::<Vec<_>>() {
                peers.push(peer.await?);
            }
        }
        tell("here");
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        let (commits, rate) = line.trim().split_once(' ').ok_or("how many commits, and how fast?")?;
        let made = commit(&peers[0].database, commits.parse()?, rate.parse()?).await?;
        let others = count - 1;
        let heard = listen(&heard, made.len() * others);
        tell(&Figures::of(&made, &heard, others).write());
        for peer in peers {
            peer.instance.close().await;
        }
        Ok(())
    }))
}
