//! What a node orders about one exchange, done one thing after the other.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use async_channel::Receiver;
use pleach_core::{PublicKey, wire::Binding};

use crate::{Address, Exchange, Prover, Received, Transport, TransportError};

/// Operations that wait in a pump while one is under way. A node queues a few frames and a finish at a time.
const MAX_WAITING: usize = 64;

/// One operation on an exchange.
#[derive(Clone)]
pub enum Op {
    /// Dials this address over this transport; first, and only where the exchange was not accepted.
    Open(Arc<dyn Transport>, Address),
    /// Sends one frame.
    Send(Arc<[u8]>),
    /// Ends this side's message.
    Finish,
    /// Waits for one part of the peer's message.
    Receive,
    /// Tells the transport that the peer is no stranger. Has no outcome.
    Vouch,
    /// Proves further keys in front of this side's next message. Has no outcome unless it fails.
    Prove(Prover),
    /// Says what the message being received is bound to.
    Bind,
    /// Lets go of the exchange at once, whatever is under way. Has no outcome.
    Close,
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(_, address) => write!(f, "Open({address})"),
            Self::Send(frame) => write!(f, "Send({} bytes)", frame.len()),
            Self::Finish => f.write_str("Finish"),
            Self::Receive => f.write_str("Receive"),
            Self::Vouch => f.write_str("Vouch"),
            Self::Prove(_) => f.write_str("Prove"),
            Self::Bind => f.write_str("Bind"),
            Self::Close => f.write_str("Close"),
        }
    }
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// [`Op::Open`]: the peer is reached, and has proven this key.
    Opened {
        /// The proven key.
        peer: Option<PublicKey>,
    },
    /// [`Op::Send`]: the transport has the frame and there is room for the next.
    Sent,
    /// [`Op::Finish`].
    Finished,
    /// [`Op::Receive`]: a frame.
    Received(Vec<u8>),
    /// [`Op::Bind`]: this, if the transport binds messages.
    Bound(Option<Binding>),
    /// [`Op::Receive`]: the peer's message is over.
    End,
    /// [`Op::Receive`]: the peer will send nothing more. The last outcome.
    Closed,
    /// The exchange is over. The last outcome.
    Failed(TransportError),
}

/// Carries out operations in the order given and reports the outcome of each.
///
/// It ends after [`Op::Close`], when the last sender of operations is gone, or after an outcome that says so; dropping
/// it cuts the exchange. It needs no executor and keeps no time: whoever polls it sets deadlines. A close takes effect
/// while another operation is under way.
///
/// ```
/// # use pleach_transports::{Op, Outcome, memory, park_on, pump, TransportError};
/// let (ops, orders) = async_channel::unbounded();
/// ops.try_send(Op::Send([1].into())).unwrap();
/// let mut outcomes = Vec::new();
/// park_on(pump(None, orders, |outcome| outcomes.push(outcome)));
/// assert!(matches!(outcomes[..], [Outcome::Failed(TransportError::Misuse(_))]));
/// ```
pub async fn pump(exchange: Option<Box<dyn Exchange>>, ops: Receiver<Op>, mut report: impl FnMut(Outcome)) {
    let mut end = End { exchange, dialled: false, cut: None };
    let mut waiting = VecDeque::new();
    loop {
        let op = match waiting.pop_front() {
            Some(op) => op,
            None => match ops.recv().await {
                Ok(op) => op,
                Err(_) => return,
            },
        };
        if matches!(op, Op::Close) {
            return;
        }
        if matches!(op, Op::Vouch) {
            if let Some(exchange) = &mut end.exchange {
                exchange.vouch();
            }
            continue;
        }
        let is_quiet = matches!(op, Op::Prove(_));
        let Some(outcome) = unless_closed(end.carry_out(op), &ops, &mut waiting).await else {
            return;
        };
        let outcome = outcome.unwrap_or_else(Outcome::Failed);
        let last = matches!(outcome, Outcome::Failed(_) | Outcome::Closed);
        if last || !is_quiet {
            report(outcome);
        }
        if last {
            return;
        }
    }
}

/// This end of an exchange.
struct End {
    exchange: Option<Box<dyn Exchange>>,
    dialled: bool,
    /// Why the request went no further. The responder may have known its answer already, as a refusal, and gone: that
    /// shows when the answer is received.
    cut: Option<TransportError>,
}

impl End {
    /// One operation.
    async fn carry_out(&mut self, op: Op) -> Result<Outcome, TransportError> {
        if let Op::Open(transport, address) = &op {
            if self.exchange.is_some() {
                return Err(TransportError::Misuse("an exchange is opened once"));
            }
            self.exchange = Some(transport.dial(address)?);
            self.dialled = true;
        }
        let exchange =
            self.exchange.as_deref_mut().ok_or(TransportError::Misuse("the exchange is not open"))?;
        match op {
            Op::Open(..) => {
                poll_fn(|task| exchange.poll_open(task)).await?;
                Ok(Outcome::Opened { peer: exchange.peer() })
            }
            Op::Send(_) | Op::Prove(_) if self.cut.is_some() => Ok(Outcome::Sent),
            Op::Send(frame) => {
                let sent = poll_fn(|task| exchange.poll_send(task, &frame)).await;
                self.unless_cut(sent).map(|()| Outcome::Sent)
            }
            Op::Prove(prover) => {
                let Some(frame) = exchange.prove(&prover) else { return Ok(Outcome::Sent) };
                let sent = poll_fn(|task| exchange.poll_send(task, &frame)).await;
                self.unless_cut(sent).map(|()| Outcome::Sent)
            }
            Op::Bind => Ok(Outcome::Bound(exchange.binding())),
            Op::Finish if self.cut.is_some() => Ok(Outcome::Finished),
            Op::Finish => {
                let finished = poll_fn(|task| exchange.poll_finish(task)).await;
                self.unless_cut(finished).map(|()| Outcome::Finished)
            }
            Op::Receive => match (poll_fn(|task| exchange.poll_receive(task)).await, self.cut.take()) {
                (Ok(Received::Closed) | Err(_), Some(cut)) => Err(cut),
                (Ok(Received::Closed), None) => Ok(Outcome::Closed),
                (Ok(Received::Frame(frame)), cut) => {
                    self.cut = cut;
                    Ok(Outcome::Received(frame))
                }
                (Ok(Received::End), cut) => {
                    self.cut = cut;
                    Ok(Outcome::End)
                }
                (Err(error), None) => Err(error),
            },
            Op::Vouch | Op::Close => Err(TransportError::Misuse("this operation has no outcome")),
        }
    }

    fn unless_cut(&mut self, result: Result<(), TransportError>) -> Result<(), TransportError> {
        match result {
            Err(cut @ TransportError::Cut(_)) if self.dialled => {
                self.cut = Some(cut);
                Ok(())
            }
            other => other,
        }
    }
}

/// Polls an operation while it looks out for a close among the operations that follow, which it keeps in order.
async fn unless_closed<T>(
    operation: impl Future<Output = T>,
    ops: &Receiver<Op>,
    waiting: &mut VecDeque<Op>,
) -> Option<T> {
    let mut operation = pin!(operation);
    let mut next = pin!(None);
    poll_fn(move |task| {
        if let Poll::Ready(output) = operation.as_mut().poll(task) {
            return Poll::Ready(Some(output));
        }
        while waiting.len() < MAX_WAITING {
            if next.is_none() {
                next.set(Some(ops.recv()));
            }
            match next
                .as_mut()
                .as_pin_mut()
                .map(|next: Pin<&mut async_channel::Recv<'_, Op>>| next.poll(task))
            {
                Some(Poll::Ready(Ok(Op::Close) | Err(_))) => return Poll::Ready(None),
                Some(Poll::Ready(Ok(op))) => waiting.push_back(op),
                Some(Poll::Pending) | None => return Poll::Pending,
            }
            next.set(None);
        }
        Poll::Pending
    })
    .await
}
