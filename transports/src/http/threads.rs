//! HTTP on plain threads: one for each connection of a server, one for each call of a client. No executor anywhere.
//!
//! The server is the same hyper as on an executor, over a socket whose polls block and then are ready. Since a blocked
//! read hears no timer, deadlines are set on the socket itself.

use std::{
    collections::{BTreeMap, VecDeque},
    future::poll_fn,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use hyper::{body::Bytes, rt::ReadBufCursor, server::conn::http1, service::service_fn};
use pleach_core::PublicKey;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use ureq::{Agent, Timeout, config::Config};

use super::{
    PLAIN, SECURE, SIGNATURE_HEADER,
    form::Form,
    initiator::{Call, Courier, Event, Way},
    limits,
    pace::Pace,
    secure,
    service::Service,
    tls::Clients,
};
use crate::{
    TransportError,
    gate::{Visitor, source_of},
    park_on,
    pipe::{NotSent, Receiver, Sender, pipe},
};

/// What a connection waits for, and until when.
#[derive(Clone, Copy)]
enum Waiting {
    /// The first byte of a request.
    Idle,
    /// The rest of its head, or its body.
    Until(Instant),
}

/// A pace that sets the deadline of the socket's reads.
#[derive(Clone)]
struct SocketPace(Arc<Mutex<Waiting>>);

impl SocketPace {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the next read may block.
    fn left(&self) -> io::Result<Duration> {
        match *self.lock() {
            Waiting::Idle => Ok(limits::IDLE_TIME),
            Waiting::Until(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
            }
        }
    }

    /// Bytes came.
    fn came(&self) {
        let mut waiting = self.lock();
        if matches!(*waiting, Waiting::Idle) {
            *waiting = Waiting::Until(Instant::now() + limits::HEAD_TIME);
        }
    }
}

impl Pace for SocketPace {
    async fn within<F: Future + Send>(&self, time: Duration, future: F) -> Option<F::Output> {
        let deadline = Instant::now() + time;
        *self.lock() = Waiting::Until(deadline);
        let output = future.await;
        *self.lock() = Waiting::Idle;
        // A body that was too late ended in an error of the socket.
        (Instant::now() < deadline).then_some(output)
    }
}

/// A socket each of whose reads ends in time.
struct Timely {
    stream: Arc<TcpStream>,
    pace: SocketPace,
}

impl Read for Timely {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = loop {
            self.stream.set_read_timeout(Some(self.pace.left()?))?;
            match (&*self.stream).read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if read > 0 {
            self.pace.came();
        }
        Ok(read)
    }
}

impl Write for Timely {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.stream).write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        (&*self.stream).write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection, hidden or not.
enum Hidden {
    Plain(Timely),
    Tls(Box<StreamOwned<ServerConnection, Timely>>),
}

impl Hidden {
    /// The handshake has the time of a head.
    fn new(mut socket: Timely, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let Some(tls) = tls else { return Ok(Self::Plain(socket)) };
        let mut connection = ServerConnection::new(tls).map_err(io::Error::other)?;
        *socket.pace.lock() = Waiting::Until(Instant::now() + limits::HEAD_TIME);
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        *socket.pace.lock() = Waiting::Idle;
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, socket))))
    }

    /// Says that nothing more comes.
    fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.stream.shutdown(Shutdown::Write),
            Self::Tls(tls) => {
                tls.conn.send_close_notify();
                tls.flush()?;
                tls.sock.stream.shutdown(Shutdown::Write)
            }
        }
    }
}

impl Read for Hidden {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(room),
            Self::Tls(tls) => tls.read(room),
        }
    }
}

impl Write for Hidden {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn write_vectored(&mut self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write_vectored(pieces),
            Self::Tls(tls) => tls.write_vectored(pieces),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

/// A connection whose polls block.
struct Blocking {
    stream: Hidden,
    buffer: Box<[u8]>,
}

/// Bytes read at once.
const READ: usize = 16 * 1024;

impl hyper::rt::Read for Blocking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _task: &mut Context<'_>,
        mut room: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let wanted = this.buffer.len().min(room.remaining());
        let read = this.stream.read(&mut this.buffer[..wanted])?;
        room.put_slice(&this.buffer[..read]);
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Blocking {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.stream.write(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _task: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.stream.write_vectored(pieces))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.flush())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.end())
    }
}

/// The connections of a server: those that are open, so that they can be ended from outside, and those in line.
#[derive(Default)]
struct Connections {
    all: Mutex<All>,
    ending: AtomicBool,
}

#[derive(Default)]
struct All {
    open: BTreeMap<u64, Arc<TcpStream>>,
    threads: usize,
    waiting: VecDeque<Connection>,
}

struct Connection {
    number: u64,
    stream: Arc<TcpStream>,
    visitor: Visitor,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server; dropping it ends the accepting and all connections.
pub(super) struct Server {
    connections: Arc<Connections>,
    local: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.connections.ending.store(true, Ordering::Release);
        // The accepting thread is blocked: a connection from here lets it look up.
        let ip = match self.local.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let knock = TcpStream::connect_timeout(&(ip, self.local.port()).into(), Duration::from_secs(1));
        if let (Ok(_), Some(accepting)) = (knock, self.accepting.take()) {
            // With it goes the port. It does nothing else once it has looked up.
            let _ = accepting.join();
        }
        let waiting = {
            let mut all = self.connections.lock();
            for stream in all.open.values() {
                // It may be closed already.
                let _ = stream.shutdown(Shutdown::Both);
            }
            std::mem::take(&mut all.waiting)
        };
        drop(waiting);
    }
}

/// Begins to serve.
pub(super) fn serve(listener: TcpListener, service: Arc<Service>) -> io::Result<Server> {
    let connections = Arc::new(Connections::default());
    let mut server =
        Server { connections: Arc::clone(&connections), local: listener.local_addr()?, accepting: None };
    let accepting = thread::Builder::new()
        .name("pleach-accept".into())
        .spawn(move || accept(&listener, &connections, &service))?;
    server.accepting = Some(accepting);
    Ok(server)
}

fn accept(listener: &TcpListener, connections: &Arc<Connections>, service: &Arc<Service>) {
    for number in 0.. {
        let accepted = listener.accept();
        if connections.ending.load(Ordering::Acquire) {
            return;
        }
        let Ok((stream, from)) = accepted else {
            // Too many open files, most likely: connections that end make room.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        // A connection that cannot be set up is closed; its peer sees that.
        let _ = begin(number, stream, from, connections, service);
    }
}

fn begin(
    number: u64,
    stream: TcpStream,
    from: SocketAddr,
    connections: &Arc<Connections>,
    service: &Arc<Service>,
) -> io::Result<()> {
    let stream = Arc::new(stream);
    let other = Arc::clone(&stream);
    let end = Box::new(move || {
        // It may be closed already.
        let _ = other.shutdown(Shutdown::Both);
    });
    let Some(visitor) = service.gate().enter(source_of(from.ip()), end) else { return Ok(()) };
    let connection = Connection { number, stream, visitor };
    {
        let mut all = connections.lock();
        if all.threads >= service.gate().limits().all + limits::ENDING_THREADS {
            // Those that had to go are about to leave their threads.
            let left = if all.waiting.len() < limits::MAX_WAITING {
                all.waiting.push_back(connection);
                None
            } else {
                Some(connection)
            };
            drop(all);
            drop(left);
            return Ok(());
        }
        all.threads += 1;
    }
    let (connections, service) = (Arc::clone(connections), Arc::clone(service));
    let again = Arc::clone(&connections);
    let spawned = thread::Builder::new().name("pleach-http".into()).spawn(move || {
        let mut next = Some(connection);
        while let Some(connection) = next {
            // The peer of a connection that fails sees that it is closed.
            let _ = serve_one(connection, &connections, &service);
            let mut all = connections.lock();
            next = all.waiting.pop_front();
            if next.is_none() {
                all.threads -= 1;
            }
        }
    });
    if spawned.is_err() {
        again.lock().threads -= 1;
    }
    spawned.map(drop)
}

/// A connection from its first byte to its end.
fn serve_one(
    Connection { number, stream, visitor }: Connection,
    connections: &Connections,
    service: &Arc<Service>,
) -> io::Result<()> {
    connections.lock().open.insert(number, Arc::clone(&stream));
    if connections.ending.load(Ordering::Acquire) {
        // The server ended before this was among those that it ends.
        stream.shutdown(Shutdown::Both)?;
    }
    let served = connection(stream, visitor, service);
    connections.lock().open.remove(&number);
    served
}

fn connection(stream: Arc<TcpStream>, visitor: Visitor, service: &Arc<Service>) -> io::Result<()> {
    let visitor = Arc::new(visitor);
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(limits::WRITE_TIME))?;
    let pace = SocketPace(Arc::new(Mutex::new(Waiting::Idle)));
    let stream = Hidden::new(Timely { stream, pace: pace.clone() }, service.tls())?;
    let socket = Blocking { stream, buffer: vec![0; READ].into() };
    let service =
        service_fn(move |request| Arc::clone(service).answer(pace.clone(), Arc::clone(&visitor), request));
    let connection = http1::Builder::new()
        // Or a read would block while an answer is due.
        .half_close(true)
        // The socket keeps the time.
        .header_read_timeout(None)
        .max_buf_size(limits::MAX_HEAD)
        .serve_connection(socket, service);
    park_on(connection).map_err(io::Error::other)
}

/// Carries calls, each on a thread of its own, so that a caller may let go of one that blocks.
pub(super) struct Client {
    plain: Agent,
    tls: Clients,
    /// Connections over TLS are shared by calls that expect the same key.
    secured: Mutex<BTreeMap<Option<PublicKey>, Agent>>,
}

/// Expected keys whose connections are kept.
const MAX_SECURED: usize = 64;

impl Client {
    pub(super) fn new(tls: Clients) -> Self {
        Self { plain: Self::config().into(), tls, secured: Mutex::default() }
    }

    fn config() -> Config {
        Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent("")
            .max_idle_connections_per_host(4)
            // Less than any server waits, so that a request seldom meets a closed connection.
            .max_idle_age(Duration::from_secs(5))
            .max_response_header_size(limits::MAX_HEAD)
            .timeout_connect(Some(limits::CONNECT_TIME))
            .timeout_global(Some(limits::CALL_TIME))
            .build()
    }

    /// What carries this call.
    fn agent(&self, call: &Call) -> Result<Agent, TransportError> {
        let Way::Tls { expected } = call.way else { return Ok(self.plain.clone()) };
        let mut secured = self.secured.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = secured.get(&expected) {
            return Ok(agent.clone());
        }
        if secured.len() >= MAX_SECURED {
            secured.clear();
        }
        let agent = secure::agent(Self::config(), self.tls.config(expected)?);
        secured.insert(expected, agent.clone());
        Ok(agent)
    }
}

impl Courier for Client {
    fn send(&self, call: Call) -> Receiver<Event> {
        let (events, receiver) = pipe(limits::PIECES);
        let agent = self.agent(&call);
        // A thread that cannot begin drops the pipe, which the exchange reports as a cut.
        let _ = thread::Builder::new().name("pleach-call".into()).spawn(move || {
            let carried = agent.and_then(|agent| carry(&agent, &call, &events));
            if let Err(error) = carried {
                // Nobody waits for it any more: fine.
                let _ = events.send_last(Event::Failed(error));
            }
        });
        receiver
    }
}

/// One call from its connection to the end of its response.
fn carry(agent: &Agent, call: &Call, events: &Sender<Event>) -> Result<(), TransportError> {
    let scheme = if call.way == Way::Plain { PLAIN } else { SECURE };
    let uri = format!("{scheme}://{}{}", call.place, call.path);
    let sent = match &call.signature {
        Some(signature) => agent
            .post(&uri)
            .header("accept", call.accept.content_type())
            .header("content-type", call.form.content_type())
            .header(SIGNATURE_HEADER, signature)
            .send(&call.body[..]),
        None => agent.get(&uri).header("accept", call.accept.content_type()).call(),
    };
    let response = sent.map_err(|error| not_sent(call, error))?;
    let form = Form::of(response.headers());
    let status = response.status().as_u16();
    if tell(events, Event::Status { status, form }).is_err() {
        return Ok(());
    }
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(TransportError::Cut(error.to_string())),
        };
        if tell(events, Event::Bytes(Bytes::copy_from_slice(&buffer[..read]))).is_err() {
            return Ok(());
        }
    }
    drop(body);
    // Nobody waits for it any more: fine.
    let _ = tell(events, Event::End);
    Ok(())
}

fn tell(events: &Sender<Event>, event: Event) -> Result<(), NotSent> {
    park_on(poll_fn(|task| events.poll_room(task)))?;
    events.try_send(event)
}

fn not_sent(call: &Call, error: ureq::Error) -> TransportError {
    let address = call.place.clone();
    match error {
        ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
            TransportError::Unreachable { address, reason: "no answer in time".into() }
        }
        ureq::Error::Timeout(_) => TransportError::TimedOut("the response"),
        ureq::Error::Io(error)
            if matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::UnexpectedEof
            ) =>
        {
            TransportError::Cut(error.to_string())
        }
        ureq::Error::Io(error) if call.way != Way::Plain => super::tls::failed(&call.place, &error),
        ureq::Error::Protocol(error) => TransportError::NotPleach { address, found: error.to_string() },
        other => TransportError::Unreachable { address, reason: other.to_string() },
    }
}
