//! Polling a future on a thread without an executor.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Instant,
};

/// Wakes a parked thread.
struct Parked {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

/// Polls a future to its end on this thread, which sleeps while there is nothing to do.
///
/// ```
/// assert_eq!(pleach_transports::park_on(async { 6 * 7 }), 42);
/// ```
pub fn park_on<F: Future>(future: F) -> F::Output {
    match park(future, None) {
        Some(output) => output,
        None => unreachable!("without a deadline only the end ends it"),
    }
}

/// Like [`park_on`], but gives up at a deadline and drops the future.
///
/// ```
/// use std::{future, time::Instant};
/// assert_eq!(pleach_transports::park_until(Instant::now(), future::pending::<()>()), None);
/// ```
pub fn park_until<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    park(future, Some(deadline))
}

fn park<F: Future>(future: F, deadline: Option<Instant>) -> Option<F::Output> {
    let parked = Arc::new(Parked { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&parked));
    let mut task = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut task) {
            return Some(output);
        }
        // Somebody else on this thread may park and be unparked too: only the flag says that it is our turn.
        while !parked.woken.swap(false, Ordering::AcqRel) {
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                Some(left) if left.is_zero() => return None,
                Some(left) => thread::park_timeout(left),
                None => thread::park(),
            }
        }
    }
}
