//! Where the tasks of exchanges and doors run.

use std::sync::{Arc, Weak};

use async_executor::Executor;
use pleach_core::instance::Error;
use pleach_transports::{
    TransportError,
    host::{Spawn, Task},
};

/// Spawns on the instance's executor. Weak, because the tasks that it spawns hold this.
pub(crate) struct OnExecutor(Weak<Executor<'static>>);

impl OnExecutor {
    pub(crate) fn new(executor: &Arc<Executor<'static>>) -> Self {
        Self(Arc::downgrade(executor))
    }
}

impl Spawn for OnExecutor {
    fn spawn(&self, _name: &str, task: Task) -> Result<(), TransportError> {
        let executor = self.0.upgrade().ok_or_else(|| TransportError::Setup(Error::CLOSED.to_string()))?;
        executor.spawn(task).detach();
        Ok(())
    }
}
