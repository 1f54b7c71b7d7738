//! Connections carried over a line.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{Fate, Queue, Shape, Way, wait_until};

/// Bytes taken from a connection at once: small beside what a line carries in a millisecond.
const PIECE: usize = 8 * 1024;

/// Stands in front of a server: whoever connects to it is connected to the server, over one line for all.
///
/// ```
/// use std::{io::{Read, Write}, net::{TcpListener, TcpStream}};
/// use pleach_tests::link::{Shape, TcpLink, Way};
///
/// let server = TcpListener::bind("127.0.0.1:0")?;
/// let link = TcpLink::new(server.local_addr()?, Shape::PLAIN)?;
/// let mut client = TcpStream::connect(link.address())?;
/// client.write_all(b"hello")?;
/// let mut heard = [0; 5];
/// server.accept()?.0.read_exact(&mut heard)?;
/// assert_eq!((&heard, link.carried(Way::Up)), (b"hello", 5));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct TcpLink {
    address: SocketAddr,
    line: Arc<Line>,
    accepting: Option<JoinHandle<()>>,
}

/// What all connections share.
#[derive(Debug)]
struct Line {
    server: SocketAddr,
    shape: Shape,
    began: Instant,
    ways: [OneWay; 2],
    ending: AtomicBool,
    /// Both ends of every connection that is open.
    open: Mutex<Vec<TcpStream>>,
}

#[derive(Debug)]
struct OneWay {
    queue: Mutex<Queue>,
    /// Bytes that were handed to the receiving side's socket.
    carried: Mutex<u64>,
    /// Whoever waits for more of them.
    more: Condvar,
    /// After so many bytes everything is cut.
    cut_at: AtomicU64,
}

impl OneWay {
    fn new(shape: Shape) -> Self {
        // Nothing is lost on a connection: the seed decides nothing.
        let queue = Mutex::new(Queue::new(shape, 0));
        let (carried, more) = (Mutex::new(0), Condvar::new());
        Self { queue, carried, more, cut_at: AtomicU64::new(u64::MAX) }
    }

    fn carried(&self) -> MutexGuard<'_, u64> {
        self.carried.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TcpLink {
    /// A line to this server, of the same shape both ways.
    pub fn new(server: SocketAddr, shape: Shape) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let ways = [OneWay::new(shape), OneWay::new(shape)];
        let (began, ending, open) = (Instant::now(), AtomicBool::new(false), Mutex::default());
        let line = Arc::new(Line { server, shape, began, ways, ending, open });
        let accepted = Arc::clone(&line);
        let accepting = thread::spawn(move || accept(&listener, &accepted));
        Ok(Self { address, line, accepting: Some(accepting) })
    }

    /// Where it is reached.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that were carried so far.
    pub fn carried(&self, way: Way) -> u64 {
        *self.line.way(way).carried()
    }

    /// Waits until so many bytes were carried, or for so long. Returns how many were.
    pub fn wait_for(&self, way: Way, bytes: u64, at_most: Duration) -> u64 {
        let way = self.line.way(way);
        let waited = way.more.wait_timeout_while(way.carried(), at_most, |carried| *carried < bytes);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Cuts all connections once exactly so many bytes were carried, counted over the line's life.
    pub fn cut_at(&self, way: Way, bytes: u64) {
        self.line.way(way).cut_at.store(bytes, Ordering::SeqCst);
    }
}

impl Drop for TcpLink {
    fn drop(&mut self) {
        self.line.ending.store(true, Ordering::SeqCst);
        self.line.cut();
        // The accepting thread is blocked: a connection lets it look up.
        if TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok()
            && let Some(accepting) = self.accepting.take()
        {
            let _ = accepting.join();
        }
    }
}

impl Line {
    const fn way(&self, way: Way) -> &OneWay {
        &self.ways[way as usize]
    }

    fn open(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all connections.
    fn cut(&self) {
        for stream in self.open().drain(..) {
            // One that has ended already is fine.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, line: &Arc<Line>) {
    for client in listener.incoming() {
        if line.ending.load(Ordering::SeqCst) {
            return;
        }
        // A client that is gone, or a server that is not there: the client sees its connection end.
        let _ = client.and_then(|client| connect(client, line));
    }
}

/// Carries one connection.
fn connect(client: TcpStream, line: &Arc<Line>) -> io::Result<()> {
    let server = TcpStream::connect(line.server)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        line.open().push(stream.try_clone()?);
    }
    // The client takes the connection for made at once. On a line that takes a round trip.
    let made = line.began.elapsed() + 2 * line.shape.delay;
    carry(line, Way::Up, made, client.try_clone()?, server.try_clone()?);
    carry(line, Way::Down, made, server, client);
    Ok(())
}

/// A piece, and when it arrives; an empty one ends the connection.
type Piece = (Duration, Vec<u8>);

fn carry(line: &Arc<Line>, way: Way, made: Duration, mut from: TcpStream, mut to: TcpStream) {
    let (pieces, arriving) = mpsc::channel::<Piece>();
    let sending = Arc::clone(line);
    thread::spawn(move || {
        wait_until(sending.began, made);
        while let Ok(Some(piece)) = take(&sending, way, &mut from) {
            if pieces.send(piece).is_err() {
                break;
            }
        }
    });
    let line = Arc::clone(line);
    thread::spawn(move || {
        for (at, bytes) in arriving {
            wait_until(line.began, at);
            if hand_over(&line, way, &bytes, &mut to).is_err() {
                break;
            }
        }
        // The other side may be gone.
        let _ = to.shutdown(Shutdown::Write);
    });
}

/// Takes what a side sends, as soon as there is room for it on the line; nothing when it has ended.
fn take(line: &Line, way: Way, from: &mut TcpStream) -> io::Result<Option<Piece>> {
    let queue = &line.way(way).queue;
    let mut bytes = vec![0; PIECE.min(line.shape.queue)];
    let read = from.read(&mut bytes)?;
    if read == 0 {
        return Ok(None);
    }
    bytes.truncate(read);
    loop {
        let now = line.began.elapsed();
        let room_at = {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            match queue.put(now, read) {
                Fate::Arrives(at) => return Ok(Some((at, bytes))),
                Fate::Full | Fate::Lost => queue.room_at(now, read).unwrap_or(now),
            }
        };
        wait_until(line.began, room_at);
    }
}

/// Hands over what has arrived, up to the byte at which the line is cut.
fn hand_over(line: &Line, way: Way, bytes: &[u8], to: &mut TcpStream) -> io::Result<()> {
    let way = line.way(way);
    let mut carried = way.carried();
    let cut_at = way.cut_at.load(Ordering::SeqCst);
    let left = usize::try_from(cut_at.saturating_sub(*carried)).unwrap_or(usize::MAX);
    let bytes = &bytes[..bytes.len().min(left)];
    // First, so that whoever has heard them finds them counted.
    *carried += bytes.len() as u64;
    drop(carried);
    way.more.notify_all();
    to.write_all(bytes)?;
    if bytes.len() == left {
        line.cut();
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_after_exactly_as_many_bytes_as_asked() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = TcpLink::new(server.local_addr().unwrap(), Shape::PLAIN).unwrap();
        link.cut_at(Way::Down, 10_001);
        let mut client = TcpStream::connect(link.address()).unwrap();
        let (mut answering, _) = server.accept().unwrap();
        // What goes beyond the cut may find nobody any more.
        let _ = answering.write_all(&vec![7; 50_000]);
        let mut heard = Vec::new();
        let _ = client.read_to_end(&mut heard);
        assert_eq!((heard.len(), link.carried(Way::Down)), (10_001, 10_001));
    }

    #[test]
    fn bytes_come_out_in_order_however_slow_the_line_is() {
        let shape = Shape { rate: 2_000_000, delay: Duration::from_millis(3), queue: 5_000, loss: 0 };
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = TcpLink::new(server.local_addr().unwrap(), shape).unwrap();
        let mut client = TcpStream::connect(link.address()).unwrap();
        let (mut answering, _) = server.accept().unwrap();
        let sent: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let sending = sent.clone();
        let writer = thread::spawn(move || {
            client.write_all(&sending).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
        });
        let mut heard = Vec::new();
        answering.read_to_end(&mut heard).unwrap();
        writer.join().unwrap();
        assert!(heard == sent);
    }
}
