//! One suite for every transport, a stranger's own included.
//!
//! `docs/writing-a-transport.md` says what is expected, with an example. Describe the transport by a [`Subject`] and call [`check`] in a test; it panics with the sentence that does not hold.
//! Nothing in it waits for time to pass; a hang ends after a generous limit.

#[cfg(feature = "serial")]
mod cables;

use std::{
    future::poll_fn,
    sync::{Arc, Mutex},
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use pleach_core::{
    PublicKey, SecretKey,
    limits::{MAX_FRAME, MAX_MESSAGE},
    wire::Binding,
};

#[cfg(feature = "serial")]
pub use cables::Cables;

use crate::{Address, Exchange, Listener, Prover, Received, Transport, TransportError, park_until};

/// After this long something hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Makes a transport that listens, given a node's seed and perhaps a place.
pub type Bound = dyn Fn(u8, Option<&Address>) -> Box<dyn Transport>;

/// How to make the transports of a suite.
pub struct Subject {
    /// A transport of the node [`key`]`(seed)` that can listen: at a free place, or at the one given, which is an
    /// address that one made before told.
    pub bound: Box<Bound>,
    /// A transport of the node [`key`]`(seed)` that only dials.
    pub unbound: Box<dyn Fn(u8) -> Box<dyn Transport>>,
    /// An address of this kind where nobody listens.
    pub nowhere: Address,
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject").field("nowhere", &self.nowhere).finish_non_exhaustive()
    }
}

/// The key of the node with this seed.
pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes([seed; 32])
}

/// Runs the whole suite.
pub fn check(subject: &Subject) {
    several_messages_go_both_ways_on_one_exchange(subject);
    an_empty_message_arrives(subject);
    the_largest_message_arrives_both_ways(subject);
    what_is_too_large_is_refused_where_it_is_sent(subject);
    many_exchanges_go_on_at_once(subject);
    both_ends_are_bound_to_their_exchange_and_to_no_other(subject);
    both_sides_prove_their_keys(subject);
    another_key_than_the_address_names_is_refused(subject);
    the_own_key_at_the_other_end_is_refused(subject);
    a_responder_that_goes_in_the_middle_is_an_error_and_no_hang(subject);
    a_responder_that_goes_before_it_answers_is_an_error_and_no_hang(subject);
    an_answer_is_heard_by_whoever_was_still_asking(subject);
    an_initiator_that_goes_leaves_the_server_well(subject);
    nobody_there_is_a_clear_error(subject);
    a_place_in_use_is_a_clear_error_and_free_again_afterwards(subject);
    a_transport_without_a_place_does_not_listen(subject);
    addresses_of_others_are_not_dialled(subject);
}

/// An exchange whose calls block.
pub struct Driven(Box<dyn Exchange>);

impl std::fmt::Debug for Driven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driven").field("peer", &self.peer()).finish_non_exhaustive()
    }
}

fn wait<T>(what: &str, poll: impl FnMut(&mut std::task::Context<'_>) -> Poll<T>) -> T {
    park_until(Instant::now() + LIMIT, poll_fn(poll)).unwrap_or_else(|| panic!("hangs: {what}"))
}

impl Driven {
    /// Drives an exchange.
    pub fn new(exchange: Box<dyn Exchange>) -> Self {
        Self(exchange)
    }

    /// Dials and opens.
    pub fn open(transport: &dyn Transport, address: &Address) -> Result<Self, TransportError> {
        let mut exchange = transport.dial(address)?;
        wait("open", |task| exchange.poll_open(task))?;
        Ok(Self(exchange))
    }

    /// The key that the peer has proven.
    pub fn peer(&self) -> Option<PublicKey> {
        self.0.peer()
    }

    /// What the message being received is bound to.
    pub fn binding(&self) -> Option<Binding> {
        self.0.binding()
    }

    /// Proves further keys in front of the next message.
    pub fn prove(&mut self, prover: &Prover) -> Result<(), TransportError> {
        self.0.prove(prover).map_or(Ok(()), |frame| self.send(&frame))
    }

    /// Sends a frame.
    pub fn send(&mut self, frame: &[u8]) -> Result<(), TransportError> {
        wait("send", |task| self.0.poll_send(task, frame))
    }

    /// Ends this side's message.
    pub fn finish(&mut self) -> Result<(), TransportError> {
        wait("finish", |task| self.0.poll_finish(task))
    }

    /// Receives one part.
    pub fn receive(&mut self) -> Result<Received, TransportError> {
        wait("receive", |task| self.0.poll_receive(task))
    }

    /// Sends a whole message.
    pub fn say(&mut self, frames: &[Vec<u8>]) -> Result<(), TransportError> {
        for frame in frames {
            self.send(frame)?;
        }
        self.finish()
    }

    /// Receives a whole message; nothing if there is none any more.
    pub fn hear(&mut self) -> Result<Option<Vec<Vec<u8>>>, TransportError> {
        let mut frames = Vec::new();
        loop {
            match self.receive()? {
                Received::Frame(frame) => frames.push(frame),
                Received::End => return Ok(Some(frames)),
                Received::Closed => return Ok(None),
            }
        }
    }
}

/// A listener that hands each exchange to a function on a thread of its own; dropping it ends the listener.
#[derive(Debug)]
pub struct Served {
    /// Where it listens.
    pub address: Address,
    stop: Option<async_channel::Sender<()>>,
    accepting: Option<thread::JoinHandle<()>>,
}

impl Served {
    /// Begins to serve.
    pub fn new(
        mut listener: Box<dyn Listener>,
        serve: impl Fn(Driven) -> Result<(), TransportError> + Send + Sync + 'static,
    ) -> Self {
        let address = listener.address();
        let (stop, stopped) = async_channel::bounded::<()>(1);
        let serve = Arc::new(serve);
        let accepting = thread::spawn(move || {
            loop {
                let mut stopping = Box::pin(stopped.recv());
                let next = crate::park_on(poll_fn(|task| match stopping.as_mut().poll(task) {
                    Poll::Ready(_) => Poll::Ready(None),
                    Poll::Pending => listener.poll_accept(task).map(Some),
                }));
                let Some(Ok(mut exchange)) = next else { return };
                // A node does so once it has seen who may read what; here everybody may have everything.
                exchange.vouch();
                let serve = Arc::clone(&serve);
                // What a server meets in an exchange, the test sees from the other end.
                thread::spawn(move || drop(serve(Driven(exchange))));
            }
        });
        Self { address, stop: Some(stop), accepting: Some(accepting) }
    }

    /// Answers every message with its frames in reverse order, behind a frame that is the peer's key.
    pub fn echo(listener: Box<dyn Listener>) -> Self {
        Self::new(listener, |mut exchange| {
            while let Some(mut frames) = exchange.hear()? {
                frames.reverse();
                let key = exchange.peer().map_or(vec![0], |key| key.as_bytes().to_vec());
                exchange.send(&key)?;
                exchange.say(&frames)?;
            }
            Ok(())
        })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(accepting) = self.accepting.take() {
            // It only panics where the test has failed already.
            let _ = accepting.join();
        }
    }
}

fn echo(subject: &Subject) -> Served {
    let transport = (subject.bound)(1, None);
    Served::echo(transport.listen().expect("a free place can be listened on"))
}

/// One message there, its answer back.
fn ask(exchange: &mut Driven, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    exchange.say(frames).expect("a message can be sent");
    let mut answer = exchange.hear().expect("an answer comes").expect("and is not the end");
    assert!(!answer.is_empty(), "the answer has a first frame");
    answer.remove(0);
    answer.reverse();
    answer
}

fn several_messages_go_both_ways_on_one_exchange(subject: &Subject) {
    let server = echo(subject);
    let client = (subject.unbound)(2);
    let mut exchange = Driven::open(&*client, &server.address).unwrap();
    for round in 0..5_u8 {
        let frames: Vec<_> = (1..=20_u8).map(|n| vec![round ^ n; usize::from(n) * 97]).collect();
        assert_eq!(ask(&mut exchange, &frames), frames, "frames arrive whole and in order");
    }
}

fn an_empty_message_arrives(subject: &Subject) {
    let server = echo(subject);
    let client = (subject.unbound)(2);
    let mut exchange = Driven::open(&*client, &server.address).unwrap();
    assert!(ask(&mut exchange, &[]).is_empty());
}

fn the_largest_message_arrives_both_ways(subject: &Subject) {
    let server = Served::new((subject.bound)(1, None).listen().unwrap(), |mut exchange| {
        while let Some(frames) = exchange.hear()? {
            exchange.say(&frames)?;
        }
        Ok(())
    });
    let client = (subject.unbound)(2);
    let mut exchange = Driven::open(&*client, &server.address).unwrap();
    let frames: Vec<_> = (0..MAX_MESSAGE / MAX_FRAME)
        .map(|n| (0..MAX_FRAME).map(|i| u8::try_from((n + i) % 251).unwrap_or(0)).collect::<Vec<_>>())
        .collect();
    exchange.say(&frames).unwrap();
    let answer = exchange.hear().unwrap().unwrap();
    assert!(answer == frames, "the largest message comes back as it was");
}

fn what_is_too_large_is_refused_where_it_is_sent(subject: &Subject) {
    let server = echo(subject);
    let client = (subject.unbound)(2);
    let mut exchange = Driven::open(&*client, &server.address).unwrap();
    let refused = exchange.send(&vec![0; MAX_FRAME + 1]);
    assert!(matches!(refused, Err(TransportError::TooLarge { what: "a frame", .. })), "{refused:?}");
    // A transport may carry one exchange at a time.
    drop(exchange);
    let mut exchange = Driven::open(&*client, &server.address).unwrap();
    let refused = exchange.send(&[]);
    assert!(matches!(refused, Err(TransportError::Misuse(_))), "an empty frame: {refused:?}");
    drop(exchange);
    // The peer may answer nothing before the message is over, so that it has to take all of it.
    let mut exchange = Driven::open(&*client, &server.address).unwrap();
    for _ in 0..MAX_MESSAGE / MAX_FRAME {
        exchange.send(&vec![1; MAX_FRAME]).unwrap();
    }
    let refused = exchange.send(&[1]);
    assert!(matches!(refused, Err(TransportError::TooLarge { what: "a message", .. })), "{refused:?}");
}

fn many_exchanges_go_on_at_once(subject: &Subject) {
    let server = echo(subject);
    let client: Arc<dyn Transport> = (subject.unbound)(2).into();
    let running: Vec<_> = (0..32_u8)
        .map(|n| {
            let (client, address) = (Arc::clone(&client), server.address.clone());
            thread::spawn(move || {
                let mut exchange = Driven::open(&*client, &address).unwrap();
                for _ in 0..3 {
                    let frames = vec![vec![n; 1000], vec![n ^ 0xff; 3]];
                    assert_eq!(ask(&mut exchange, &frames), frames);
                }
            })
        })
        .collect();
    for exchange in running {
        exchange.join().expect("none of them fails");
    }
}

fn both_ends_are_bound_to_their_exchange_and_to_no_other(subject: &Subject) {
    let listener = (subject.bound)(1, None).listen().unwrap();
    let server = Served::new(listener, |mut exchange| {
        while exchange.hear()?.is_some() {
            let bound = exchange.binding();
            exchange.send(bound.as_ref().map_or(&[0], |bound| bound.as_bytes().as_slice()))?;
            exchange.finish()?;
        }
        Ok(())
    });
    let client = (subject.unbound)(2);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let mut exchange = Driven::open(&*client, &server.address).unwrap();
        let told = Arc::new(Mutex::new(None));
        let prover = {
            let told = Arc::clone(&told);
            Prover::new(move |binding| {
                *told.lock().unwrap() = Some(*binding);
                Some(vec![7])
            })
        };
        exchange.prove(&prover).unwrap();
        exchange.say(&[vec![1]]).unwrap();
        let Received::Frame(theirs) = exchange.receive().unwrap() else { panic!("an answer has a frame") };
        let own = exchange.binding();
        // A transport need not bind anything, but then on neither side.
        let bytes = own.map_or(vec![0], |own| own.as_bytes().to_vec());
        assert_eq!((theirs, *told.lock().unwrap()), (bytes, own), "both ends are bound to the same");
        assert_eq!(exchange.receive(), Ok(Received::End));
        assert!(own.is_none_or(|own| !seen.contains(&own)), "no two exchanges are bound to the same");
        seen.extend(own);
    }
}

fn both_sides_prove_their_keys(subject: &Subject) {
    let server = echo(subject);
    assert_eq!(server.address.key, Some(key(1).public()), "a listener's address names its key");
    let client = (subject.unbound)(2);
    let nameless = Address { key: None, ..server.address.clone() };
    for address in [&nameless, &server.address] {
        let mut exchange = Driven::open(&*client, address).unwrap();
        assert_eq!(exchange.peer(), Some(key(1).public()), "the responder has proven its key");
        exchange.say(&[]).unwrap();
        let answer = exchange.hear().unwrap().unwrap();
        assert_eq!(answer, [key(2).public().as_bytes()], "the initiator has proven its key");
    }
}

fn another_key_than_the_address_names_is_refused(subject: &Subject) {
    let server = echo(subject);
    let client = (subject.unbound)(2);
    Driven::open(&*client, &server.address).expect("with its own key it is accepted");
    let wrong = server.address.clone().with_key(key(3).public());
    let refused = Driven::open(&*client, &wrong).map(drop);
    let expected = TransportError::WrongKey { expected: key(3).public(), found: key(1).public() };
    assert_eq!(refused, Err(expected));
}

fn the_own_key_at_the_other_end_is_refused(subject: &Subject) {
    let server = echo(subject);
    let same = (subject.unbound)(1);
    let nameless = Address { key: None, ..server.address.clone() };
    assert_eq!(Driven::open(&*same, &nameless).map(drop), Err(TransportError::OwnKey));
}

fn a_responder_that_goes_in_the_middle_is_an_error_and_no_hang(subject: &Subject) {
    let server = Served::new((subject.bound)(1, None).listen().unwrap(), |mut exchange| {
        exchange.hear()?;
        exchange.send(b"begun")
    });
    let client = (subject.unbound)(2);
    let mut exchange = Driven::open(&*client, &server.address).unwrap();
    exchange.say(&[vec![1]]).unwrap();
    let heard = exchange.hear();
    assert!(heard.is_err(), "half a message is no message: {heard:?}");
}

fn a_responder_that_goes_before_it_answers_is_an_error_and_no_hang(subject: &Subject) {
    let server =
        Served::new((subject.bound)(1, None).listen().unwrap(), |mut exchange| exchange.receive().map(drop));
    let client = (subject.unbound)(2);
    let mut exchange = Driven::open(&*client, &server.address).unwrap();
    // The cut may show while the message is sent, or afterwards.
    let heard = exchange.say(&[vec![1], vec![2]]).and_then(|()| exchange.hear());
    assert!(heard.is_err(), "no answer is no empty answer: {heard:?}");
}

fn an_answer_is_heard_by_whoever_was_still_asking(subject: &Subject) {
    let server = Served::new((subject.bound)(1, None).listen().unwrap(), |mut exchange| {
        exchange.receive()?;
        exchange.say(&[b"no".to_vec()])
    });
    let client = (subject.unbound)(2);
    let mut exchange = Driven::open(&*client, &server.address).unwrap();
    // More than any transport has on its way, so that the answer comes in the middle of it.
    let mut sent = Ok(());
    for _ in 0..MAX_MESSAGE / MAX_FRAME {
        sent = sent.and_then(|()| exchange.send(&vec![1; MAX_FRAME]));
    }
    let sent = sent.and_then(|()| exchange.finish());
    assert!(matches!(sent, Ok(()) | Err(TransportError::Cut(_))), "{sent:?}");
    assert_eq!(exchange.hear(), Ok(Some(vec![b"no".to_vec()])));
}

fn an_initiator_that_goes_leaves_the_server_well(subject: &Subject) {
    let (told, heard) = async_channel::unbounded();
    let server = Served::new((subject.bound)(1, None).listen().unwrap(), move |mut exchange| {
        let result = (|| {
            exchange.hear()?;
            for _ in 0..MAX_MESSAGE / MAX_FRAME {
                exchange.send(&vec![1; MAX_FRAME])?;
            }
            exchange.finish()
        })();
        // The test may have ended.
        let _ = told.try_send(());
        result
    });
    let client = (subject.unbound)(2);
    let mut exchange = Driven::open(&*client, &server.address).unwrap();
    exchange.say(&[vec![1]]).unwrap();
    exchange.receive().unwrap();
    drop(exchange);
    let ended = park_until(Instant::now() + LIMIT, heard.recv());
    assert!(ended.is_some(), "the server hangs in an exchange that was let go");
    let mut exchange = Driven::open(&*client, &server.address).expect("the server still serves");
    exchange.say(&[vec![1]]).unwrap();
    assert!(exchange.hear().is_ok());
}

fn nobody_there_is_a_clear_error(subject: &Subject) {
    let client = (subject.unbound)(2);
    let refused = Driven::open(&*client, &subject.nowhere).map(drop);
    assert!(
        matches!(refused, Err(TransportError::Unreachable { .. } | TransportError::TimedOut(_))),
        "{refused:?}"
    );
}

fn a_place_in_use_is_a_clear_error_and_free_again_afterwards(subject: &Subject) {
    let server = echo(subject);
    let address = server.address.clone();
    let second = (subject.bound)(3, Some(&address));
    let refused = second.listen().map(drop);
    assert!(matches!(refused, Err(TransportError::InUse { .. })), "{refused:?}");
    let client = (subject.unbound)(2);
    Driven::open(&*client, &address).expect("the first listener is as before");
    drop(server);
    let gone = Driven::open(&*(subject.unbound)(4), &address).map(drop);
    assert!(gone.is_err(), "a listener that was dropped accepts nothing");
    // What is under way may end first: the place is free soon, if not at once.
    let deadline = Instant::now() + LIMIT;
    let listener = loop {
        match second.listen() {
            Err(TransportError::InUse { .. }) if Instant::now() < deadline => {
                thread::park_timeout(Duration::from_millis(10));
            }
            other => break other.expect("the place is free again"),
        }
    };
    // The same place, however the transport writes that: it is taken once more.
    let third = (subject.bound)(5, Some(&address)).listen().map(drop);
    assert!(matches!(third, Err(TransportError::InUse { .. })), "{third:?}");
    let server = Served::echo(listener);
    let reached = Driven::open(&*client, &server.address).expect("who listens there now is reached");
    assert_eq!(reached.peer(), Some(key(3).public()));
}

fn a_transport_without_a_place_does_not_listen(subject: &Subject) {
    let refused = (subject.unbound)(2).listen().map(drop);
    assert!(matches!(refused, Err(TransportError::CannotListen { .. })), "{refused:?}");
}

fn addresses_of_others_are_not_dialled(subject: &Subject) {
    let client = (subject.unbound)(2);
    let other = Address::new("carrier-pigeon", "loft:1");
    assert!(!client.can_dial(&other));
    let refused = client.dial(&other).map(drop);
    assert!(matches!(refused, Err(TransportError::CannotDial { .. })), "{refused:?}");
}
