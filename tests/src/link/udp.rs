//! Datagrams carried over a line.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use super::{Fate, Queue, Shape, Way, wait_until};

/// How often a thread that waits for datagrams looks whether the line still is.
const LOOK: Duration = Duration::from_millis(100);

/// Stands in front of a server of datagrams: what is sent to it reaches the server, from a port of each client's own.
///
/// ```
/// use std::net::UdpSocket;
/// use pleach_tests::link::{Shape, UdpLink, Way};
///
/// let (server, client) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
/// let link = UdpLink::new(server.local_addr()?, Shape::PLAIN, 1)?;
/// client.send_to(b"hello", link.address())?;
/// let mut heard = [0; 9];
/// let (length, from) = server.recv_from(&mut heard)?;
/// server.send_to(&heard[..length], from)?;
/// assert_eq!(client.recv_from(&mut heard)?, (5, link.address()));
/// assert_eq!((link.carried(Way::Up), link.dropped()), (5, 0));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct UdpLink {
    address: SocketAddr,
    line: Arc<Line>,
}

#[derive(Debug)]
struct Line {
    began: Instant,
    queues: [Mutex<Queue>; 2],
    carried: [AtomicU64; 2],
    dropped: AtomicU64,
    ending: AtomicBool,
}

impl UdpLink {
    /// A line to this server, of the same shape both ways. One seed loses the same datagrams each time, as far as they
    /// come in the same order.
    pub fn new(server: SocketAddr, shape: Shape, seed: u64) -> io::Result<Self> {
        let front = Arc::new(socket()?);
        let address = front.local_addr()?;
        let line = Arc::new(Line {
            began: Instant::now(),
            queues: [0, 1].map(|way| Mutex::new(Queue::new(shape, seed.wrapping_mul(2) + way))),
            carried: [const { AtomicU64::new(0) }; 2],
            dropped: AtomicU64::new(0),
            ending: AtomicBool::new(false),
        });
        let carrying = Arc::clone(&line);
        thread::spawn(move || carry_up(&carrying, &front, server));
        Ok(Self { address, line })
    }

    /// Where it is reached.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes of datagrams that were handed over so far.
    pub fn carried(&self, way: Way) -> u64 {
        self.line.carried[way as usize].load(Ordering::SeqCst)
    }

    /// Datagrams that were lost or found no room, both ways.
    pub fn dropped(&self) -> u64 {
        self.line.dropped.load(Ordering::SeqCst)
    }
}

impl Drop for UdpLink {
    fn drop(&mut self) {
        self.line.ending.store(true, Ordering::SeqCst);
    }
}

fn socket() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(LOOK))?;
    Ok(socket)
}

/// What arrives at a time, and where it is sent on from and to.
struct Datagram {
    at: Duration,
    bytes: Vec<u8>,
    from: Arc<UdpSocket>,
    to: SocketAddr,
}

/// Reads datagrams until the line is gone.
fn each_datagram(line: &Line, socket: &UdpSocket, mut take: impl FnMut(SocketAddr, &[u8])) {
    let mut room = vec![0; 64 * 1024];
    while !line.ending.load(Ordering::SeqCst) {
        // Errors are those of time, or that a datagram sent before found nobody: both pass.
        if let Ok((length, from)) = socket.recv_from(&mut room) {
            take(from, &room[..length]);
        }
    }
}

/// When a datagram arrives, if it does.
fn arrival(line: &Line, way: Way, bytes: &[u8]) -> Option<Duration> {
    let mut queue = line.queues[way as usize].lock().unwrap_or_else(PoisonError::into_inner);
    match queue.put(line.began.elapsed(), bytes.len()) {
        Fate::Arrives(at) => Some(at),
        Fate::Full | Fate::Lost => {
            line.dropped.fetch_add(1, Ordering::SeqCst);
            None
        }
    }
}

/// A thread that hands over datagrams when they arrive, in the order in which they were put in.
fn deliver(line: &Arc<Line>, way: Way) -> mpsc::Sender<Datagram> {
    let (sender, arriving) = mpsc::channel::<Datagram>();
    let line = Arc::clone(line);
    thread::spawn(move || {
        for Datagram { at, bytes, from, to } in arriving {
            wait_until(line.began, at);
            // First, so that whoever has heard it finds it counted.
            line.carried[way as usize].fetch_add(bytes.len() as u64, Ordering::SeqCst);
            // A full socket loses it, as any line may.
            let _ = from.send_to(&bytes, to);
        }
    });
    sender
}

fn carry_up(line: &Arc<Line>, front: &Arc<UdpSocket>, server: SocketAddr) {
    let (up, down) = (deliver(line, Way::Up), deliver(line, Way::Down));
    let mut clients: BTreeMap<SocketAddr, Arc<UdpSocket>> = BTreeMap::new();
    each_datagram(line, front, |client, bytes| {
        let Some(at) = arrival(line, Way::Up, bytes) else { return };
        let own = match clients.get(&client) {
            Some(own) => Arc::clone(own),
            None => match socket() {
                Ok(own) => {
                    let own = Arc::new(own);
                    carry_down(line, Arc::clone(&own), Arc::clone(front), client, down.clone());
                    clients.insert(client, Arc::clone(&own));
                    own
                }
                Err(_) => return,
            },
        };
        let _ = up.send(Datagram { at, bytes: bytes.to_vec(), from: own, to: server });
    });
}

fn carry_down(
    line: &Arc<Line>,
    own: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    client: SocketAddr,
    down: mpsc::Sender<Datagram>,
) {
    let line = Arc::clone(line);
    thread::spawn(move || {
        each_datagram(&line, &own, |_, bytes| {
            if let Some(at) = arrival(&line, Way::Down, bytes) {
                let _ =
                    down.send(Datagram { at, bytes: bytes.to_vec(), from: Arc::clone(&front), to: client });
            }
        });
    });
}
