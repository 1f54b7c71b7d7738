//! HTTP on an executor that somebody else runs.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    io,
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use async_channel::Receiver as Closing;
use async_executor::Task;
use async_io::{Async, Timer};
use futures_rustls::{TlsAcceptor, TlsConnector};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    client::conn::http1::{self as client, SendRequest},
    header::{ACCEPT, CONTENT_TYPE, HOST},
    server::conn::http1,
    service::service_fn,
};
use smol_hyper::rt::{FuturesIo, SmolTimer};

use super::{
    SIGNATURE_HEADER,
    form::Form,
    initiator::{Call, Courier, Event, Way},
    limits,
    pace::Pace,
    service::Service,
    tls::{self, Clients},
};
use crate::{
    Executor, TransportError,
    gate::{Visitor, source_of},
    pipe::{NotSent, Receiver, Sender, pipe},
    place,
    race::race,
};

/// A pace with timers.
#[derive(Clone)]
struct Timed;

impl Pace for Timed {
    async fn within<F: Future + Send>(&self, time: Duration, future: F) -> Option<F::Output> {
        race(async { Some(future.await) }, async {
            Timer::after(time).await;
            None
        })
        .await
    }
}

/// Connections of one server. All end when it is dropped.
pub(super) struct Server {
    _accepting: Task<()>,
    _open: async_channel::Sender<()>,
}

/// Begins to serve.
pub(super) fn serve(executor: &Executor, listener: TcpListener, service: Arc<Service>) -> io::Result<Server> {
    let listener = Async::new(listener)?;
    let (open, closing) = async_channel::bounded(1);
    let spawner = Arc::downgrade(executor);
    let accepting = executor.spawn(async move {
        loop {
            // Whoever is not let in costs no more than this.
            let (stream, from) = match listener.get_ref().accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if listener.readable().await.is_err() {
                        return;
                    }
                    continue;
                }
                Err(_) => {
                    // Too many open files, most likely: connections that end make room.
                    Timer::after(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Some(executor) = spawner.upgrade() else { return };
            let (staying, leaving) = async_channel::bounded::<()>(1);
            if let Some(visitor) = service.gate().enter(source_of(from.ip()), Box::new(move || drop(staying)))
                && let Ok(stream) = Async::new(stream)
            {
                let endings = (closing.clone(), leaving);
                executor.spawn(connection(stream, Arc::clone(&service), visitor, endings)).detach();
            }
            drop(executor);
            // Many in a row may not keep others waiting.
            step_aside().await;
        }
    });
    Ok(Server { _accepting: accepting, _open: open })
}

/// Lets other tasks have their turn.
async fn step_aside() {
    let mut again = false;
    poll_fn(|task| {
        if std::mem::replace(&mut again, true) {
            return Poll::Ready(());
        }
        task.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn connection(
    stream: Async<TcpStream>,
    service: Arc<Service>,
    visitor: Visitor,
    (closing, leaving): (Closing<()>, Closing<()>),
) {
    let visitor = Arc::new(visitor);
    // Without it answers may wait for the peer's delayed acknowledgement: slower, not wrong.
    let _ = stream.get_ref().set_nodelay(true);
    let served = async {
        let Some(tls) = service.tls() else { return requests(stream, service, visitor).await };
        // A handshake that fails or takes too long has nobody left to be told.
        let securing = Box::pin(TlsAcceptor::from(tls).accept(stream));
        if let Some(Ok(stream)) = Timed.within(limits::HEAD_TIME, securing).await {
            Box::pin(requests(stream, service, visitor)).await;
        }
    };
    let served = race(served, async {
        // Nothing is ever sent: another connection that takes the place ends the wait.
        let _ = leaving.recv().await;
    });
    race(served, async {
        // Nothing is ever sent: the end of the server ends the wait.
        let _ = closing.recv().await;
    })
    .await;
}

/// Answers the requests of one connection.
async fn requests<S>(stream: S, service: Arc<Service>, visitor: Arc<Visitor>)
where
    FuturesIo<S>: hyper::rt::Read + hyper::rt::Write + Send + Unpin,
{
    let serve = http1::Builder::new()
        .timer(SmolTimer::new())
        .header_read_timeout(limits::HEAD_TIME)
        .max_buf_size(limits::MAX_HEAD)
        .serve_connection(
            FuturesIo::new(stream),
            service_fn(move |request| Arc::clone(&service).answer(Timed, Arc::clone(&visitor), request)),
        );
    // A connection that fails has nobody left to be told.
    let _ = serve.await;
}

type Line = SendRequest<Full<Bytes>>;

/// Lines that wait for their next request, by place.
#[derive(Default)]
struct Lines(Mutex<BTreeMap<String, Vec<Line>>>);

/// Lines that are kept for each place, and places.
const MAX_LINES: usize = 4;
const MAX_PLACES: usize = 256;

impl Lines {
    fn take(&self, place: &str) -> Option<Line> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = lines.get_mut(place)?;
        waiting.retain(|line| !line.is_closed());
        waiting.pop()
    }

    fn put(&self, place: String, line: Line) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= MAX_PLACES {
            lines.clear();
        }
        let waiting = lines.entry(place).or_default();
        if waiting.len() < MAX_LINES {
            waiting.push(line);
        }
    }
}

/// Carries calls as tasks.
pub(super) struct Client {
    executor: Executor,
    lines: Arc<Lines>,
    tls: Arc<Clients>,
}

impl Client {
    pub(super) fn new(executor: &Executor, tls: Clients) -> Self {
        Self { executor: Arc::clone(executor), lines: Arc::default(), tls: Arc::new(tls) }
    }
}

impl Courier for Client {
    fn send(&self, call: Call) -> Receiver<Event> {
        let (events, receiver) = pipe(limits::PIECES);
        let (lines, tls) = (Arc::clone(&self.lines), Arc::clone(&self.tls));
        let executor = Arc::downgrade(&self.executor);
        let task = async move {
            let work = async {
                let spawn = |task| {
                    if let Some(executor) = executor.upgrade() {
                        executor.spawn(task).detach();
                    }
                };
                carry(&lines, &tls, &call, &events, spawn).await
            };
            let timer = async {
                Timer::after(limits::CALL_TIME).await;
                Err(TransportError::TimedOut("the response"))
            };
            let gone = async {
                poll_fn(|task| events.poll_closed(task)).await;
                Ok(())
            };
            if let Err(error) = race(race(work, timer), gone).await {
                // Nobody waits for it any more: fine.
                let _ = events.send_last(Event::Failed(error));
            }
        };
        self.executor.spawn(task).detach();
        receiver
    }
}

type Background = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// One call from its connection to the end of its response.
async fn carry(
    lines: &Lines,
    tls: &Clients,
    call: &Call,
    events: &Sender<Event>,
    spawn: impl Fn(Background),
) -> Result<(), TransportError> {
    let (response, line) = if let Some(answered) = again(lines, call).await? {
        answered
    } else {
        let mut fresh = connect(tls, call, spawn).await?;
        let response = fresh.send_request(request(call)?).await;
        (response.map_err(|error| broken(call, &error))?, fresh)
    };
    let status = response.status().as_u16();
    let form = Form::of(response.headers());
    let mut body: Incoming = response.into_body();
    if tell(events, Event::Status { status, form }).await.is_err() {
        return Ok(());
    }
    while let Some(piece) = body.frame().await {
        let piece = piece.map_err(|error| broken(call, &error))?;
        if let Ok(bytes) = piece.into_data()
            && tell(events, Event::Bytes(bytes)).await.is_err()
        {
            return Ok(());
        }
    }
    lines.put(line_of(call), line);
    // Nobody waits for it any more: fine.
    let _ = tell(events, Event::End).await;
    Ok(())
}

/// Calls that may share a line: to the same place, equally secured.
fn line_of(call: &Call) -> String {
    match call.way {
        Way::Plain => call.place.clone(),
        Way::Tls { expected: None } => format!("{} over TLS", call.place),
        Way::Tls { expected: Some(key) } => format!("{} over TLS to {key}", call.place),
    }
}

/// Tries a line that was used before. One that the server closed meanwhile fails at once; the same bytes go over a fresh
/// one then, which is safe because their nonce is the same.
async fn again(lines: &Lines, call: &Call) -> Result<Option<(Response<Incoming>, Line)>, TransportError> {
    let Some(mut line) = lines.take(&line_of(call)) else { return Ok(None) };
    let response = line.send_request(request(call)?).await;
    Ok(response.ok().map(|response| (response, line)))
}

async fn tell(events: &Sender<Event>, event: Event) -> Result<(), NotSent> {
    poll_fn(|task| events.poll_room(task)).await?;
    events.try_send(event)
}

fn request(call: &Call) -> Result<Request<Full<Bytes>>, TransportError> {
    let builder = Request::builder()
        .uri(&call.path)
        .header(HOST, &call.place)
        .header(ACCEPT, call.accept.content_type());
    let builder = match &call.signature {
        Some(signature) => builder
            .method("POST")
            .header(SIGNATURE_HEADER, signature)
            .header(CONTENT_TYPE, call.form.content_type()),
        None => builder.method("GET"),
    };
    builder.body(Full::new(call.body.clone())).map_err(|error| TransportError::CannotDial {
        transport: "http",
        address: call.place.clone(),
        reason: error.to_string(),
    })
}

async fn connect(tls: &Clients, call: &Call, spawn: impl Fn(Background)) -> Result<Line, TransportError> {
    let unreachable = |reason: String| TransportError::Unreachable { address: call.place.clone(), reason };
    let connecting = async {
        let mut last = io::Error::other("the name has no address");
        for address in place::resolve(&call.place).await? {
            match Async::<TcpStream>::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    };
    let connecting: Result<Async<TcpStream>, io::Error> = Timed
        .within(limits::CONNECT_TIME, connecting)
        .await
        .unwrap_or_else(|| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")));
    let stream = connecting.map_err(|error| unreachable(error.to_string()))?;
    // Without it a request may wait for a delayed acknowledgement: slower, not wrong.
    let _ = stream.get_ref().set_nodelay(true);
    let Way::Tls { expected } = call.way else { return line(call, stream, spawn).await };
    let connector = TlsConnector::from(tls.config(expected)?);
    let securing = connector.connect(tls::server_name(&call.place)?, stream);
    let secured = Timed.within(limits::CONNECT_TIME, Box::pin(securing)).await;
    let stream = secured.ok_or_else(|| unreachable("no TLS in time".into()))?;
    line(call, stream.map_err(|error| tls::failed(&call.place, &error))?, spawn).await
}

/// A line over a stream that stands.
async fn line<S>(call: &Call, stream: S, spawn: impl Fn(Background)) -> Result<Line, TransportError>
where
    FuturesIo<S>: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let (line, connection) = client::Builder::new()
        .max_buf_size(limits::MAX_HEAD)
        .handshake(FuturesIo::new(stream))
        .await
        .map_err(|error| TransportError::Unreachable {
            address: call.place.clone(),
            reason: error.to_string(),
        })?;
    // Its errors reach the call through the line.
    spawn(Box::pin(async { drop(connection.await) }));
    Ok(line)
}

fn broken(call: &Call, error: &hyper::Error) -> TransportError {
    if error.is_parse() {
        TransportError::NotPleach { address: call.place.clone(), found: error.to_string() }
    } else {
        TransportError::Cut(error.to_string())
    }
}
