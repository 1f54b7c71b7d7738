//! How long after a commit a peer that keeps the database the same calls back: both nodes in one process, on loopback,
//! over files. The limit is a byte there and back over TCP, and a sync of the file before anybody is called.

use std::{
    fs::File,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use pleach_benches::at;
use pleach_smol::{
    Database, DatabaseKey, Doc, DocStore, HttpTransport, Instance, Permission, QuicTransport, Redb, Sync,
    SyncPeerInfo, Who,
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Commits in each measurement.
const COMMITS: usize = 300;

fn show(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    println!("{name:<44} {:>8.2} ms median {:>8.2} ms 99 %", at(&times, 0.5), at(&times, 0.99));
}

fn loopback() -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut stream = TcpStream::connect(listener.local_addr()?)?;
    stream.set_nodelay(true)?;
    thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut byte = [0];
        while stream.read(&mut byte)? > 0 {
            stream.write_all(&byte)?;
        }
        Ok(())
    });
    let mut times = Vec::new();
    for _ in 0..COMMITS {
        let began = Instant::now();
        stream.write_all(&[1])?;
        stream.read_exact(&mut [0])?;
        times.push(began.elapsed());
    }
    show("a byte there and back (the limit)", times);
    Ok(())
}

fn disk(folder: &Path) -> Outcome<()> {
    let mut file = File::create(folder.join("limit"))?;
    let mut times = Vec::new();
    for _ in 0..COMMITS {
        file.write_all(&[1; 4096])?;
        let began = Instant::now();
        file.sync_data()?;
        times.push(began.elapsed());
    }
    show("a sync of 4 KiB (the limit)", times);
    Ok(())
}

struct Node {
    instance: Instance,
    sync: Sync,
}

async fn node(folder: &Path, name: &str, transport: &str) -> Outcome<Node> {
    let instance = Instance::open(Redb::open(folder.join(name))?).await?;
    instance.enable_sync().await?;
    let sync = instance.sync().ok_or("sync was just enabled")?;
    let place = "127.0.0.1:0";
    match transport {
        "http" => sync.register_transport(transport, HttpTransport::builder().bind(place)).await,
        _ => sync.register_transport(transport, QuicTransport::builder().bind(place)).await,
    }?;
    Ok(Node { instance, sync })
}

/// Commits on one database and waits for the callback on the other, each time.
async fn commits(from: &Database, called: &Receiver<Instant>) -> Outcome<Vec<Duration>> {
    let mut times = Vec::new();
    for n in 0..COMMITS {
        let txn = from.new_transaction()?;
        txn.get_store::<DocStore>("main")?.set("n", i64::try_from(n)?)?;
        txn.commit().await?;
        let committed = Instant::now();
        let heard = called.recv_timeout(Duration::from_secs(30))?;
        times.push(heard.saturating_duration_since(committed));
    }
    Ok(times)
}

async fn measure(transport: &str) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    disk(folder.path())?;
    let [a, b] = [node(folder.path(), "a", transport).await?, node(folder.path(), "b", transport).await?];
    let grant = (Who::Key(b.instance.device_key()), Permission::Write(100));
    let ours = Database::create_with(&a.instance, DatabaseKey::Device, Doc::new(), vec![grant]).await?;
    let place = a.sync.accept_connections().await?.remove(0);
    let info = SyncPeerInfo::new(a.instance.device_key(), ours.root_id(), vec![place]);
    b.sync.register_sync_peer(info).await?.wait_for_initial_sync().await?;
    let theirs = Database::open(&b.instance, &ours.root_id(), DatabaseKey::Device)?;

    let (tell, called) = channel();
    let _calls = theirs.on_remote_write(move |_| {
        let _ = tell.send(Instant::now());
    })?;
    show(&format!("{transport}: committed by whom the peer follows"), commits(&ours, &called).await?);
    let (tell, called) = channel();
    let _calls = ours.on_remote_write(move |_| {
        let _ = tell.send(Instant::now());
    })?;
    show(&format!("{transport}: committed by who follows"), commits(&theirs, &called).await?);
    b.instance.close().await;
    a.instance.close().await;
    Ok(())
}

fn main() -> Outcome<()> {
    loopback()?;
    for transport in ["quic", "http"] {
        smol::block_on(measure(transport))?;
    }
    loopback()
}
