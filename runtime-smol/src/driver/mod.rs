//! The loop around the node: events in, actions out, on one thread of its own.
//!
//! | file | holds |
//! |---|---|
//! | `hands` | [`Hands`]: how each action is carried out |
//! | `threads` | [`Readers`]: the threads that read; and what blocks at the start |
//! | `exchanges` | where the tasks of exchanges and doors run |

mod exchanges;
mod hands;
mod threads;

use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_executor::Executor;
use async_io::Timer;
use futures_lite::FutureExt;
use pleach_core::{
    instance::{Clock, Error},
    node::{Command, Event, Node, NodeError, Reply},
};

pub(crate) use exchanges::OnExecutor;
pub(crate) use hands::{Callers, Hands};
pub(crate) use threads::{Readers, call};

/// How often, and after how long each time, the end of all tasks is looked for: a second in all.
const WIND_DOWN_STEPS: u32 = 500;
const WIND_DOWN_STEP: Duration = Duration::from_millis(2);

/// What reaches the loop.
pub(crate) enum Input {
    /// Something happened.
    Event(Event),
    /// A caller asks, and waits for the answer.
    Command(Command, Sender<Result<Reply, NodeError>>),
    /// The instance is gone.
    Stop,
}

/// The way into the loop. Unbounded, because each message answers an action, of which the node has a bounded number
/// under way, or is a caller's, who waits for the reply.
#[derive(Clone)]
pub(crate) struct Feed(Sender<Input>);

impl Feed {
    pub(crate) fn new() -> (Self, Receiver<Input>) {
        let (sender, receiver) = async_channel::unbounded();
        (Self(sender), receiver)
    }

    /// Says what happened. After the end nobody cares.
    pub(crate) fn event(&self, event: Event) {
        let _ = self.0.try_send(Input::Event(event));
    }

    /// Ends the loop.
    pub(crate) fn stop(&self) {
        let _ = self.0.try_send(Input::Stop);
    }

    /// Gives the node a command of which nobody awaits the reply.
    pub(crate) fn tell(&self, command: Command) {
        let _ = self.0.try_send(Input::Command(command, async_channel::bounded(1).0));
    }

    /// Gives the node a command and waits for its reply.
    pub(crate) async fn ask(&self, command: Command) -> Result<Reply, Error> {
        let (sender, receiver) = async_channel::bounded(1);
        self.0.try_send(Input::Command(command, sender)).map_err(|_| Error::CLOSED)?;
        Ok(receiver.recv().await.map_err(|_| Error::CLOSED)??)
    }
}

/// Runs the node until the instance is gone. The tasks of the executor end with it.
pub(crate) fn run(
    mut node: Node,
    inputs: &Receiver<Input>,
    mut hands: Hands,
    clock: &dyn Clock,
    executor: &Executor<'static>,
) {
    async_io::block_on(executor.run(async {
        loop {
            let event = match next(inputs, node.deadline(), clock).await {
                Input::Event(event) => event,
                Input::Command(command, caller) => Event::Command(hands.await_reply(caller), command),
                Input::Stop => break,
            };
            node.handle(clock.now(), event);
            while let Some(action) = node.poll_action() {
                hands.carry_out(action);
            }
        }
        hands.board.close();
        wind_down(executor).await;
    }));
}

/// Lets the tasks end by themselves now that nothing feeds them: each hangs up, and closes its sockets. What does
/// not end soon is dropped.
async fn wind_down(executor: &Executor<'static>) {
    for _ in 0..WIND_DOWN_STEPS {
        if executor.is_empty() {
            return;
        }
        Timer::after(WIND_DOWN_STEP).await;
    }
}

/// The next input, or a tick when the deadline is there.
async fn next(inputs: &Receiver<Input>, deadline: Option<u64>, clock: &dyn Clock) -> Input {
    let input = async { inputs.recv().await.unwrap_or(Input::Stop) };
    let Some(deadline) = deadline else { return input.await };
    let wait = Duration::from_millis(deadline.saturating_sub(clock.now().monotonic));
    let tick = async {
        Timer::after(wait).await;
        Input::Event(Event::Tick)
    };
    input.or(tick).await
}
