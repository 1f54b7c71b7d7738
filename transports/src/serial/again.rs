//! Opening a line again that went away: a device that was unplugged comes back under the same name.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError, Weak},
    task::{Context as Task, Poll, Waker},
    thread,
    time::Duration,
};

use super::{End, SerialBuilder, port::Port};
use crate::Context;

/// From one try to the next: a device takes about as long to come up.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Default)]
struct State {
    port: Option<Arc<Port>>,
    waker: Option<Waker>,
    let_go: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A line that is being opened again, until this is dropped.
pub(super) struct Again(Arc<Shared>);

impl Again {
    /// Begins to try, after a pause, since a line that ends at once would keep a processor busy.
    pub(super) fn start(settings: &SerialBuilder, place: &str, context: &Context) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let weak = Arc::downgrade(&shared);
        let (settings, place, context) = (settings.clone(), place.to_owned(), context.clone());
        let tries = move || {
            while pause(&weak) {
                let line = settings.lines.open(&place, End::Listener);
                let port = line.and_then(|line| Port::listener(line, &context, settings.frame));
                if let Ok(port) = port {
                    return done(&weak, port);
                }
            }
        };
        thread::Builder::new().name("pleach-line-again".into()).spawn(tries)?;
        Ok(Self(shared))
    }

    /// The line, once it is open.
    pub(super) fn poll(&self, task: &Task<'_>) -> Poll<Arc<Port>> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(port) = state.port.take() {
            return Poll::Ready(port);
        }
        state.waker = Some(task.waker().clone());
        Poll::Pending
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.let_go = true;
        if let Some(port) = state.port.take() {
            port.shut();
        }
        self.0.changed.notify_all();
    }
}

/// Waits for the next try; says whether anybody still wants it.
fn pause(shared: &Weak<Shared>) -> bool {
    let Some(shared) = shared.upgrade() else { return false };
    let state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = shared.changed.wait_timeout_while(state, PAUSE, |state| !state.let_go);
    !waited.unwrap_or_else(PoisonError::into_inner).0.let_go
}

fn done(shared: &Weak<Shared>, port: Arc<Port>) {
    let Some(shared) = shared.upgrade() else { return port.shut() };
    let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    if state.let_go {
        return port.shut();
    }
    state.port = Some(port);
    if let Some(waker) = state.waker.take() {
        waker.wake();
    }
}
