//! How each action is carried out: most of them are handed to whoever does them.

use std::{collections::BTreeMap, sync::Arc};

use async_channel::Sender;
use pleach_core::node::{Action, CommandId, NodeError, Reply};
use pleach_transports::host::{Switchboard, Verifier, Watchers, Writer};

use super::Readers;

/// Where actions go.
pub(crate) struct Hands {
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
    pub(crate) verifier: Verifier,
    pub(crate) board: Switchboard,
    pub(crate) watchers: Arc<Watchers>,
    pub(crate) callers: Callers,
}

/// Who waits for which command.
#[derive(Default)]
pub(crate) struct Callers {
    next: u64,
    waiting: BTreeMap<CommandId, Sender<Result<Reply, NodeError>>>,
}

impl Hands {
    /// Notes who waits for the next command.
    pub(crate) fn await_reply(&mut self, caller: Sender<Result<Reply, NodeError>>) -> CommandId {
        let id = CommandId(self.callers.next);
        self.callers.next = self.callers.next.wrapping_add(1);
        self.callers.waiting.insert(id, caller);
        id
    }

    /// Carries out an action, or hands it to the thread or task that does.
    pub(crate) fn carry_out(&mut self, action: Action) {
        match action {
            Action::Exchange(id, op) => self.board.carry_out(id, op),
            Action::Read { number, snapshot, read } => self.readers.read(number, snapshot, read),
            Action::Release(snapshot) => self.readers.release(snapshot),
            Action::Write { number, write } => self.writer.write(number, write),
            Action::Verify { number, entries } => self.verifier.verify(number, entries),
            Action::Reply(command, result) => {
                if let Some(caller) = self.callers.waiting.remove(&command) {
                    // A caller that no longer waits has lost nothing: what was done stays done.
                    let _ = caller.try_send(result);
                }
            }
            Action::Notify(notification) => self.watchers.tell(&notification),
            action => tracing::error!(?action, "an action that this runtime does not know"),
        }
    }
}
