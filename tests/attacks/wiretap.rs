//! Whoever stands on the way: records what one side sends, and sends it again, byte for byte.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use pleach_core::wire::Address;
use pleach_transports::{conformance::Cables, serial::End};

use crate::stage::{Carrier, Node, Stage};

/// After this long something hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// What one side sent: bytes of each connection, or datagrams.
type Recorded = Arc<Mutex<Vec<Vec<u8>>>>;

/// A line to a node on which somebody listens.
pub(crate) struct Tap {
    /// Dial this: it leads to the node, whose key it names.
    pub(crate) address: Address,
    recorded: Recorded,
    carrier: Carrier,
    cables: Cables,
}

impl Tap {
    pub(crate) fn new(stage: &Stage, to: &Node) -> Self {
        let recorded = Recorded::default();
        let place = match stage.carrier {
            Carrier::HttpOnExecutor | Carrier::HttpOnThreads => tcp(&to.address.address, &recorded),
            Carrier::Quic => udp(&to.address.address, &recorded),
            Carrier::Serial => to.address.address.clone(),
            Carrier::Https | Carrier::Memory => panic!("nothing is recorded there"),
        };
        let address = Address { address: place, ..to.address.clone() };
        Self { address, recorded, carrier: stage.carrier, cables: stage.cables.clone() }
    }

    /// The requests that went over HTTP, each as it was.
    pub(crate) fn requests(&self) -> Vec<Vec<u8>> {
        let connections = self.recorded.lock().unwrap();
        connections.iter().flat_map(|bytes| split_requests(bytes)).collect()
    }

    /// Sends all that was recorded to a node, which may be another; gives the statuses of what was signed over HTTP.
    pub(crate) fn replay(&self, to: &Address) -> Vec<u16> {
        match self.carrier {
            Carrier::HttpOnExecutor | Carrier::HttpOnThreads => {
                let signed = self.requests().into_iter().filter(|request| is_signed(request));
                signed.map(|request| send(&to.address, &request).0).collect()
            }
            Carrier::Quic => {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                for datagram in self.recorded.lock().unwrap().iter() {
                    socket.send_to(datagram, &to.address).unwrap();
                }
                Vec::new()
            }
            Carrier::Serial => {
                let bytes = self.cables.recorded(&self.address.address);
                self.cables.inject(&to.address, End::Listener, &bytes);
                Vec::new()
            }
            Carrier::Https | Carrier::Memory => unreachable!("there is no such tap"),
        }
    }
}

/// Whether a request carries a signature.
pub(crate) fn is_signed(request: &[u8]) -> bool {
    String::from_utf8_lossy(request).to_lowercase().contains("\r\npleach-signature: ")
}

fn copy(mut from: TcpStream, mut to: TcpStream, mut note: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        note(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // The other side may have gone first.
    let _ = to.shutdown(std::net::Shutdown::Write);
}

fn tcp(server: &str, recorded: &Recorded) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let (server, recorded) = (server.to_owned(), Arc::clone(recorded));
    // It ends with the test's process.
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(&server) else { continue };
            let number = {
                let mut recorded = recorded.lock().unwrap();
                recorded.push(Vec::new());
                recorded.len() - 1
            };
            let (up, back) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            let recorded = Arc::clone(&recorded);
            thread::spawn(move || copy(up, far, |bytes| recorded.lock().unwrap()[number].extend(bytes)));
            thread::spawn(move || copy(back, near, |_| {}));
        }
    });
    place
}

fn udp(server: &str, recorded: &Recorded) -> String {
    let near = UdpSocket::bind("127.0.0.1:0").unwrap();
    let far = UdpSocket::bind("127.0.0.1:0").unwrap();
    far.connect(server).unwrap();
    let place = near.local_addr().unwrap().to_string();
    let dialler = Arc::new(Mutex::new(None));
    let (back_near, back_far, back_to) =
        (near.try_clone().unwrap(), far.try_clone().unwrap(), Arc::clone(&dialler));
    let recorded = Arc::clone(recorded);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        // What comes back that nobody listens any more is no reason to end.
        while let Ok((read, from)) = near.recv_from(&mut buffer) {
            *dialler.lock().unwrap() = Some(from);
            recorded.lock().unwrap().push(buffer[..read].to_vec());
            let _ = far.send(&buffer[..read]);
        }
    });
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let Ok(read) = back_far.recv(&mut buffer) else { continue };
            let to = *back_to.lock().unwrap();
            if let Some(to) = to {
                let _ = back_near.send_to(&buffer[..read], to);
            }
        }
    });
    place
}

/// The requests on a connection. All of them say how long they are.
fn split_requests(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut requests = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&rest[..end]).to_lowercase();
        assert!(!head.contains("transfer-encoding"), "a length is announced: {head}");
        let mut lengths = head.lines().filter_map(|line| line.strip_prefix("content-length: "));
        let length: usize = lengths.next().map_or(0, |length| length.trim().parse().unwrap());
        let (request, after) = rest.split_at((end + 4 + length).min(rest.len()));
        requests.push(request.to_vec());
        rest = after;
    }
    requests
}

/// The status of a connection that is closed unheard, as those of a source that opens too many are.
pub(crate) const UNHEARD: u16 = 0;

/// Sends bytes over a connection of their own; gives the status and the body of the response.
pub(crate) fn send(place: &str, request: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(place).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    // The server may refuse before it has read all.
    let _ = stream.write_all(request);
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if !matches!(reader.read_line(&mut line), Ok(1..)) {
        return (UNHEARD, Vec::new());
    }
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let (mut length, mut chunked) = (None, false);
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let header = line.trim_end().to_lowercase();
        if header.is_empty() {
            break;
        }
        length = header.strip_prefix("content-length: ").map(|length| length.parse().unwrap()).or(length);
        chunked |= header == "transfer-encoding: chunked";
    }
    let mut body = Vec::new();
    if chunked {
        loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            let mut chunk = vec![0; usize::from_str_radix(line.trim_end(), 16).unwrap()];
            reader.read_exact(&mut chunk).unwrap();
            reader.read_line(&mut line).unwrap();
            if chunk.is_empty() {
                break;
            }
            body.extend(chunk);
        }
    } else if let Some(length) = length {
        body.resize(length, 0);
        reader.read_exact(&mut body).unwrap();
    } else {
        // A connection that is reset has said its status all the same.
        let _ = reader.read_to_end(&mut body);
    }
    (status, body)
}
