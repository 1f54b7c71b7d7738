//! An open line: one thread reads, one writes, and between them is the session that the line carries.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context as Task, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use pleach_core::{
    PublicKey,
    limits::MAX_FRAME,
    wire::{
        Binding,
        serial::{Heard, Link, LinkError, ON_LINE, PACKET, PacketKind},
    },
};

use super::Line;
use crate::{
    Context, Received, TransportError,
    budget::{Budget, LEAST},
    turns::Turn,
};

/// Bytes of frames received and not yet taken, each counted as [`LEAST`] at least, and of packets not yet written, beyond
/// which a side waits.
const QUEUED: usize = 1024 * 1024;

/// Bytes read at a time.
const READ: usize = 16 * 1024;

/// How often an initiator says hello while no answer comes.
const AGAIN: Duration = Duration::from_millis(250);

/// How long it does so.
const GREETING: Duration = Duration::from_secs(10);

/// An open line.
pub(super) struct Port {
    line: Arc<dyn Line>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    link: Link,
    /// Which session this is; 0 before the first.
    session: u64,
    /// The peer of a session that nobody has accepted yet.
    opened: Option<PublicKey>,
    /// Why the session is over.
    over: Option<TransportError>,
    /// The frame that comes in pieces, and its message so far.
    frame: Vec<u8>,
    message: Budget,
    inbox: VecDeque<Received>,
    inbox_bytes: usize,
    outbox: Vec<u8>,
    waker: Option<Waker>,
    /// Who waits for the next session.
    acceptor: Option<Waker>,
    /// An initiator says hello until then.
    greets_until: Option<Instant>,
    /// What is in the outbox goes, then the line is closed.
    ends: bool,
    /// The line is gone.
    gone: Option<String>,
}

impl Port {
    /// A line on which others begin.
    pub(super) fn listener(line: Arc<dyn Line>, context: &Context, frame: u32) -> io::Result<Arc<Self>> {
        let session = Link::responder(context.key().clone(), context.random(), frame);
        Self::start(line, session, None, None)
    }

    /// A line on which this side begins, at once.
    pub(super) fn dialler(
        line: Arc<dyn Line>,
        context: &Context,
        expected: Option<PublicKey>,
        frame: u32,
        turn: Turn,
    ) -> io::Result<Arc<Self>> {
        let session = Link::initiator(context.key().clone(), expected, context.random(), frame);
        Self::start(line, session, Some(Instant::now() + GREETING), Some(turn))
    }

    fn start(
        line: Arc<dyn Line>,
        session: Link,
        greets_until: Option<Instant>,
        turn: Option<Turn>,
    ) -> io::Result<Arc<Self>> {
        let state = State {
            link: session,
            session: 0,
            opened: None,
            over: None,
            frame: Vec::new(),
            message: Budget::default(),
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            outbox: Vec::new(),
            waker: None,
            acceptor: None,
            greets_until,
            ends: false,
            gone: None,
        };
        let port = Arc::new(Self { line, state: Mutex::new(state), changed: Condvar::new() });
        let (reading, writing) = (Arc::clone(&port), Arc::clone(&port));
        thread::Builder::new().name("pleach-line-in".into()).spawn(move || reading.read())?;
        thread::Builder::new().name("pleach-line-out".into()).spawn(move || {
            writing.write();
            // The next dial may have the line.
            drop(turn);
        })?;
        Ok(port)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, limit: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0
    }

    fn read(&self) {
        let mut buffer = vec![0; READ];
        loop {
            let read = self.line.read(&mut buffer);
            let mut state = self.lock();
            let bytes = match read {
                Ok(1..) if state.ends => break,
                Ok(read @ 1..) => &buffer[..read],
                Ok(_) => {
                    state.lose("the line ended".into());
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    state.lose(error.to_string());
                    break;
                }
            };
            for byte in bytes {
                while state.is_full() && state.over.is_none() && !state.ends {
                    state = self.wait(state, GREETING);
                }
                state.hear(*byte);
            }
            drop(state);
            self.changed.notify_all();
        }
        self.changed.notify_all();
    }

    fn write(&self) {
        let mut greeted: Option<Instant> = None;
        loop {
            let mut state = self.lock();
            let bytes = loop {
                state.greet(&mut greeted);
                if !state.outbox.is_empty() {
                    break std::mem::take(&mut state.outbox);
                }
                if state.ends || state.gone.is_some() {
                    state.ends = true;
                    drop(state);
                    self.line.close();
                    self.changed.notify_all();
                    return;
                }
                state = self.wait(state, AGAIN);
            };
            state.wake();
            drop(state);
            if let Err(error) = self.line.write_all(&bytes) {
                self.lock().lose(error.to_string());
            }
        }
    }

    /// Ends the line after what waits to be written.
    pub(super) fn shut(&self) {
        let mut state = self.lock();
        state.over.get_or_insert_with(|| TransportError::Cut("the line was let go".into()));
        state.ends = true;
        drop(state);
        // What cannot be written because nobody reads would keep the writer.
        self.line.close();
        self.changed.notify_all();
    }

    /// What proofs of further keys in a session are bound to, while it is open.
    pub(super) fn binding(&self, session: u64) -> Option<Binding> {
        let state = self.lock();
        state.link.binding().filter(|_| state.session == session)
    }

    /// Ends a session, and tells the peer; an unfinished message goes no further.
    pub(super) fn leave(&self, session: u64, unfinished: bool, ends: bool) {
        let mut state = self.lock();
        if state.session == session {
            if unfinished {
                state.outbox.clear();
            }
            if state.over.is_none() {
                state.send(PacketKind::Close, &[]);
                state.over = Some(TransportError::Cut("the exchange was let go".into()));
            }
            state.inbox.clear();
            state.inbox_bytes = 0;
        }
        state.ends |= ends;
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn poll_accept(&self, task: &Task<'_>) -> Poll<Result<(u64, PublicKey), String>> {
        let mut state = self.lock();
        if let Some(peer) = state.opened.take() {
            return Poll::Ready(Ok((state.session, peer)));
        }
        if let Some(reason) = &state.gone {
            return Poll::Ready(Err(reason.clone()));
        }
        state.acceptor = Some(task.waker().clone());
        Poll::Pending
    }

    pub(super) fn poll_opened(&self, task: &Task<'_>) -> Poll<Result<(u64, PublicKey), TransportError>> {
        let mut state = self.lock();
        if let Some(peer) = state.opened.take() {
            return Poll::Ready(Ok((state.session, peer)));
        }
        if let Some(error) = &state.over {
            return Poll::Ready(Err(error.clone()));
        }
        state.waker = Some(task.waker().clone());
        Poll::Pending
    }

    /// Queues a frame in pieces, once there is room.
    pub(super) fn poll_send(
        &self,
        task: &Task<'_>,
        session: u64,
        frame: Option<&[u8]>,
    ) -> Poll<Result<(), TransportError>> {
        let mut state = self.lock();
        state.check(session)?;
        if state.outbox.len() > QUEUED {
            state.waker = Some(task.waker().clone());
            return Poll::Pending;
        }
        if let Some(frame) = frame {
            let limit = usize::try_from(state.link.peer_frame()).unwrap_or(usize::MAX);
            if frame.len() > limit {
                let found = frame.len();
                return Poll::Ready(Err(TransportError::TooLarge {
                    what: "a frame to this peer",
                    limit,
                    found,
                }));
            }
            let mut pieces = frame.chunks(PACKET).peekable();
            while let Some(piece) = pieces.next() {
                let kind = if pieces.peek().is_some() { PacketKind::Part } else { PacketKind::Last };
                state.send(kind, piece);
            }
        } else {
            state.send(PacketKind::End, &[]);
        }
        drop(state);
        self.changed.notify_all();
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_receive(
        &self,
        task: &Task<'_>,
        session: u64,
    ) -> Poll<Result<Received, TransportError>> {
        let mut state = self.lock();
        if state.session == session
            && let Some(received) = state.inbox.pop_front()
        {
            state.inbox_bytes -= cost(&received);
            drop(state);
            self.changed.notify_all();
            return Poll::Ready(Ok(received));
        }
        state.check(session)?;
        state.waker = Some(task.waker().clone());
        Poll::Pending
    }
}

/// What it costs to keep something until it is taken.
fn cost(received: &Received) -> usize {
    match received {
        Received::Frame(frame) => frame.len().max(LEAST),
        Received::End | Received::Closed => LEAST,
    }
}

impl State {
    fn wake(&mut self) {
        [self.waker.take(), self.acceptor.take()].into_iter().flatten().for_each(Waker::wake);
    }

    fn check(&self, session: u64) -> Result<(), TransportError> {
        match &self.over {
            _ if self.session != session => Err(TransportError::Cut("the peer began anew".into())),
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    fn lose(&mut self, reason: String) {
        self.over.get_or_insert_with(|| TransportError::Cut(reason.clone()));
        self.gone = Some(reason);
        self.wake();
    }

    fn greet(&mut self, greeted: &mut Option<Instant>) {
        let Some(until) = self.greets_until else { return };
        let now = Instant::now();
        if now >= until {
            self.greets_until = None;
            self.over = Some(TransportError::TimedOut("nobody answers on the line"));
            self.wake();
        } else if greeted.is_none_or(|last| now >= last + AGAIN) && !self.ends {
            *greeted = Some(now);
            let mut room = [0; ON_LINE];
            let used = self.link.hello(&mut room).unwrap_or(0);
            self.outbox.extend_from_slice(&room[..used]);
        }
    }

    fn send(&mut self, kind: PacketKind, payload: &[u8]) {
        let mut room = [0; ON_LINE];
        let used = self.link.write(kind, payload, &mut room).unwrap_or(0);
        self.outbox.extend_from_slice(&room[..used]);
    }

    fn hear(&mut self, byte: u8) {
        let mut reply = [0; ON_LINE];
        match self.link.push(byte, &mut reply) {
            Ok(Heard::Nothing) => return,
            Ok(Heard::Reply(used) | Heard::Restarted(used)) => self.begin(&reply[..used]),
            Ok(Heard::Opened { peer, reply: used }) => {
                self.outbox.extend_from_slice(&reply[..used]);
                self.greets_until = None;
                self.session += 1;
                self.opened = Some(peer);
                self.over = None;
            }
            // Nobody takes any more what belongs to a session that is over.
            Ok(Heard::Part(_) | Heard::Last(_) | Heard::End) if self.over.is_some() => return,
            Ok(Heard::Part(piece)) => self.frame.extend_from_slice(piece),
            Ok(Heard::Last(piece)) => {
                self.frame.extend_from_slice(piece);
                let frame = std::mem::take(&mut self.frame);
                match self.message.charge(frame.len()) {
                    Ok(()) => self.keep(Received::Frame(frame)),
                    Err(error) => self.over = Some(TransportError::Misbehaved(error.to_string())),
                }
            }
            Ok(Heard::End) => {
                self.message = Budget::default();
                self.keep(Received::End);
            }
            Ok(Heard::Closed) => {
                self.over.get_or_insert_with(|| TransportError::Cut("the peer let go".into()));
                self.outbox.clear();
                self.keep(Received::Closed);
            }
            Err(error) => self.fail(error),
        }
        if self.frame.len() > MAX_FRAME {
            self.frame = Vec::new();
            self.over = Some(TransportError::Misbehaved("a frame is too long".into()));
        }
        self.wake();
    }

    /// Keeps what was received until it is taken.
    fn keep(&mut self, received: Received) {
        self.inbox_bytes += cost(&received);
        self.inbox.push_back(received);
    }

    /// Whether so much waits to be taken that nothing more is read.
    const fn is_full(&self) -> bool {
        self.inbox_bytes > QUEUED
    }

    /// What was under way is over; the reply goes.
    fn begin(&mut self, reply: &[u8]) {
        self.over.get_or_insert_with(|| TransportError::Cut("the peer began anew".into()));
        self.opened = None;
        self.inbox.clear();
        self.inbox_bytes = 0;
        self.message = Budget::default();
        self.frame.clear();
        self.outbox.clear();
        self.outbox.extend_from_slice(reply);
    }

    fn fail(&mut self, error: LinkError) {
        self.greets_until = None;
        // The peer would wait for an answer that never comes.
        self.outbox.clear();
        self.send(PacketKind::Close, &[]);
        self.over = Some(match error {
            LinkError::WrongKey { expected, found } => TransportError::WrongKey { expected, found },
            LinkError::OwnKey => TransportError::OwnKey,
            LinkError::Lost { .. } => TransportError::Cut(error.to_string()),
            other => TransportError::Misbehaved(other.to_string()),
        });
    }
}

#[cfg(test)]
mod tests {
    use pleach_core::SecretKey;

    use super::*;

    fn state(link: Link) -> State {
        State {
            link,
            session: 0,
            opened: None,
            over: None,
            frame: Vec::new(),
            message: Budget::default(),
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            outbox: Vec::new(),
            waker: None,
            acceptor: None,
            greets_until: None,
            ends: false,
            gone: None,
        }
    }

    /// A listener whose session with an initiator is open.
    fn open() -> (Link, State) {
        let [one, two] = [[1; 32], [2; 32]].map(SecretKey::from_bytes);
        let mut initiator = Link::initiator(one, None, [3; 16], 4_096);
        let mut listener = state(Link::responder(two, [4; 16], 4_096));
        let mut room = [0; ON_LINE];
        let hello = initiator.hello(&mut room).unwrap();
        for byte in &room[..hello] {
            listener.hear(*byte);
        }
        let mut proof = Vec::new();
        for byte in std::mem::take(&mut listener.outbox) {
            if let Heard::Opened { reply, .. } = initiator.push(byte, &mut room).unwrap() {
                proof = room[..reply].to_vec();
            }
        }
        for byte in &proof {
            listener.hear(*byte);
        }
        assert!(listener.opened.is_some());
        (initiator, listener)
    }

    fn send(from: &mut Link, to: &mut State, kind: PacketKind, payload: &[u8]) {
        let mut room = [0; ON_LINE];
        let used = from.write(kind, payload, &mut room).unwrap();
        for byte in &room[..used] {
            to.hear(*byte);
        }
    }

    #[test]
    fn many_tiny_things_that_nobody_takes_fill_the_room_as_large_ones_do() {
        for (kind, payload) in [(PacketKind::End, &b""[..]), (PacketKind::Last, b"x")] {
            let (mut initiator, mut listener) = open();
            let mut sent = 0;
            while !listener.is_full() {
                send(&mut initiator, &mut listener, kind, payload);
                sent += 1;
                assert!(sent <= QUEUED / LEAST + 1, "{kind:?}: {} wait", listener.inbox.len());
            }
            assert_eq!(listener.over, None);
            assert_eq!(listener.inbox.iter().map(cost).sum::<usize>(), listener.inbox_bytes);
        }
    }

    #[test]
    fn what_comes_after_a_session_is_over_is_not_kept() {
        let (mut initiator, mut listener) = open();
        send(&mut initiator, &mut listener, PacketKind::Last, b"frame");
        assert_eq!(listener.inbox, [Received::Frame(b"frame".to_vec())]);
        listener.over = Some(TransportError::Cut("the exchange was let go".into()));
        for kind in [PacketKind::Part, PacketKind::Last, PacketKind::End] {
            send(&mut initiator, &mut listener, kind, b"more");
        }
        assert_eq!((listener.inbox.len(), listener.frame.len()), (1, 0));
    }

    #[test]
    fn a_message_of_very_many_frames_is_as_large_as_it_costs() {
        let (mut initiator, mut listener) = open();
        for _ in 0..pleach_core::limits::MAX_MESSAGE / LEAST {
            send(&mut initiator, &mut listener, PacketKind::Last, b"x");
        }
        assert_eq!(listener.over, None);
        send(&mut initiator, &mut listener, PacketKind::Last, b"x");
        assert!(matches!(listener.over, Some(TransportError::Misbehaved(_))), "{:?}", listener.over);
    }
}
