//! How fast frames of 1 MiB come over each transport, beside raw TCP in the same run: both ends on loopback, in one
//! process, one exchange at a time.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use pleach_core::{
    SecretKey,
    limits::{MAX_FRAME, MAX_MESSAGE},
};
use pleach_transports::{
    Context, Executor, Transport, TransportError,
    conformance::{Driven, Served},
    http::HttpTransport,
    quic::QuicTransport,
};

/// Responses of 8 MiB that are fetched in each measurement.
const MESSAGES: usize = 32;

fn context(seed: u8) -> Context {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    let clock = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    };
    // Nonces that differ are random enough for a measurement.
    let random = |bytes: &mut [u8]| {
        let drawn = DRAWN.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        bytes.iter_mut().zip(drawn.into_iter().cycle()).for_each(|(byte, drawn)| *byte = drawn);
    };
    Context::new(SecretKey::from_bytes([seed; 32]), Arc::new(clock), Arc::new(random))
}

/// A context with an executor that a thread of its own runs.
fn executed(seed: u8) -> Context {
    let executor = Executor::default();
    let running = Arc::clone(&executor);
    thread::spawn(move || async_io::block_on(running.run(std::future::pending::<()>())));
    context(seed).with_executor(executor)
}

fn show(name: &str, began: Instant) {
    let mebibytes = u32::try_from(MESSAGES * MAX_MESSAGE / (1 << 20)).unwrap_or(0);
    println!("{name:<24} {:>8.0} MiB/s", f64::from(mebibytes) / began.elapsed().as_secs_f64());
}

fn tcp() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let sending = thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let frame = vec![7; MAX_FRAME];
        for _ in 0..MESSAGES * MAX_MESSAGE / MAX_FRAME {
            stream.write_all(&frame)?;
        }
        Ok(())
    });
    let mut stream = TcpStream::connect(address)?;
    let mut buffer = vec![0; MAX_FRAME];
    let began = Instant::now();
    while stream.read(&mut buffer)? > 0 {}
    show("raw TCP (the limit)", began);
    sending.join().map_err(|_| std::io::Error::other("the sender failed"))?
}

fn measure(name: &str, server: &dyn Transport, client: &dyn Transport) -> Result<(), TransportError> {
    let door = Served::new(server.listen()?, |mut exchange| {
        let frame = vec![7; MAX_FRAME];
        while exchange.hear()?.is_some() {
            for _ in 0..MAX_MESSAGE / MAX_FRAME {
                exchange.send(&frame)?;
            }
            exchange.finish()?;
        }
        Ok(())
    });
    let mut exchange = Driven::open(client, &door.address)?;
    let began = Instant::now();
    for _ in 0..MESSAGES {
        exchange.say(&[vec![1]])?;
        exchange.hear()?;
    }
    show(name, began);
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{MESSAGES} responses of 8 frames of 1 MiB");
    tcp()?;
    let place = "127.0.0.1:0";
    for (name, make) in [("http on threads", context as fn(u8) -> Context), ("http on executors", executed)] {
        let server = HttpTransport::builder().bind(place).transport(make(1))?;
        measure(name, &server, &HttpTransport::builder().transport(make(2))?)?;
    }
    for (name, make) in
        [("quic on own threads", context as fn(u8) -> Context), ("quic on executors", executed)]
    {
        let server = QuicTransport::builder().bind(place).transport(make(1))?;
        measure(name, &server, &QuicTransport::builder().transport(make(2))?)?;
    }
    tcp()?;
    Ok(())
}
