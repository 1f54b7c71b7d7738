//! How much of a long line a bootstrap uses, beside what the line allows.
//!
//! `cargo run --release -p pleach-benches --bin line -- [entries, default 20000] [bytes in each, default 4096]`
//!
//! Two nodes on redb in this process, between them an emulated line of 100 Mbit/s with a round trip of 50 ms, whose
//! queue holds as much as is on its way within one round trip. The limit is the time that the bytes which the line
//! carried take at its rate; behind it stands how much of the line that is, and how much of it were frames. Over HTTP the two halves of each connection are local, so that TCP's slow start is no part
//! of it; over QUIC what finds no room in the queue is lost, and the congestion control is quinn's.

// Figures for people: nobody reads the sixteenth digit.
#![allow(clippy::cast_precision_loss)]

use std::{
    error::Error,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use pleach_core::limits::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES};
use pleach_smol::{
    Address, Database, DatabaseKey, Doc, HttpTransport, Id, Instance, Options, Permission, QuicTransport,
    Redb, SecretKey, Sync, Who,
};
use pleach_tests::{
    history::Chain,
    link::{Shape, TcpLink, UdpLink, Way},
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Milliseconds.
const ROUND_TRIP: u64 = 50;

/// 100 Mbit/s, and a queue of one round trip.
const LINE: Shape =
    Shape { rate: 12_500_000, delay: Duration::from_millis(ROUND_TRIP / 2), queue: 12_500_000 / 20, loss: 0 };

const TRANSPORTS: [&str; 2] = ["http", "quic"];

/// Bytes of an entry around its payload, at most.
const AROUND: usize = 512;

async fn node(file: &Path, transport: &str, seed: u8) -> Outcome<(Instance, Sync)> {
    let key = SecretKey::from_bytes([seed; 32]);
    let instance = Instance::open_with(Redb::open(file)?, Options::new().key(key)).await?;
    instance.enable_sync().await?;
    let sync = instance.sync().ok_or("sync was just enabled")?;
    let place = "127.0.0.1:0";
    match transport {
        "http" => sync.register_transport(transport, HttpTransport::builder().bind(place)).await,
        _ => sync.register_transport(transport, QuicTransport::builder().bind(place)).await,
    }?;
    Ok((instance, sync))
}

/// Makes a database whose bytes no line makes fewer.
async fn fill(instance: &Instance, reader: Who, count: usize, payload: usize) -> Outcome<Id> {
    let grants = vec![(reader, Permission::Read)];
    let database = Database::create_with(instance, DatabaseKey::Device, Doc::new(), grants).await?;
    let mut chain = Chain::new(database.key(), database.root_id(), database.tips()?, 1);
    let batch = (MAX_BATCH_BYTES / (payload + AROUND)).min(MAX_BATCH_ENTRIES);
    for start in (0..count).step_by(batch) {
        let put = database.append(chain.grow(batch.min(count - start), payload)).await?;
        if let Some((id, refusal)) = put.refused {
            return Err(format!("{id} was refused: {refusal}").into());
        }
    }
    Ok(database.root_id())
}

/// A line to a server, of the kind that its transport needs.
enum Line {
    Tcp(TcpLink),
    Udp(UdpLink),
}

impl Line {
    fn new(server: &Address) -> Outcome<Self> {
        let place: SocketAddr = server.address.parse()?;
        Ok(match server.transport_type.as_str() {
            "http" => Self::Tcp(TcpLink::new(place, LINE)?),
            _ => Self::Udp(UdpLink::new(place, LINE, 1)?),
        })
    }

    const fn address(&self) -> SocketAddr {
        match self {
            Self::Tcp(link) => link.address(),
            Self::Udp(link) => link.address(),
        }
    }

    fn carried(&self) -> u64 {
        match self {
            Self::Tcp(link) => link.carried(Way::Down),
            Self::Udp(link) => link.carried(Way::Down),
        }
    }

    fn dropped(&self) -> u64 {
        match self {
            Self::Tcp(_) => 0,
            Self::Udp(link) => link.dropped(),
        }
    }
}

async fn measure(transport: &str, count: usize, payload: usize) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let (here, doors) = node(&folder.path().join("here"), transport, 1).await?;
    let (there, sync) = node(&folder.path().join("there"), transport, 2).await?;
    let tree = fill(&here, Who::Key(there.device_key()), count, payload).await?;
    let server = doors.accept_connections().await?.into_iter().next().ok_or("nothing is listened on")?;
    let line = Line::new(&server)?;
    let through = Address::new(transport, &line.address().to_string()).with_key(here.device_key());
    let began = Instant::now();
    let report = sync.sync_with_peer(&through, Some(&tree)).await?.into_iter().next().ok_or("no report")?;
    let seconds = began.elapsed().as_secs_f64();
    let carried = line.carried();
    let limit = LINE.time(carried).as_secs_f64();
    let frames = LINE.time(report.bytes_received).as_secs_f64();
    println!(
        "{transport:<9} {:>8} {:>12} {carried:>12} {:>6} {:>8} {seconds:>8.2} {limit:>8.2} {:>5.1} % {:>5.1} %",
        report.entries_received,
        report.bytes_received,
        report.round_trips,
        line.dropped(),
        100.0 * limit / seconds,
        100.0 * frames / seconds,
    );
    Ok(())
}

fn main() -> Outcome<()> {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<usize>());
    let count = numbers.next().transpose()?.unwrap_or(20_000);
    let payload = numbers.next().transpose()?.unwrap_or(4_096);
    println!(
        "{count} entries with {payload} bytes each over {} Mbit/s with a round trip of {ROUND_TRIP} ms",
        LINE.rate * 8 / 1_000_000
    );
    println!(
        "{:<9} {:>8} {:>12} {:>12} {:>6} {:>8} {:>8} {:>8} {:>7} {:>7}",
        "transport",
        "entries",
        "bytes",
        "on the line",
        "trips",
        "dropped",
        "seconds",
        "limit",
        "line",
        "goods"
    );
    for transport in TRANSPORTS {
        smol::block_on(measure(transport, count, payload))?;
    }
    Ok(())
}
