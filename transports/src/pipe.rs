//! A bounded queue between two tasks or threads, as poll functions. Dropping either end closes it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

struct State<T> {
    queue: VecDeque<T>,
    room: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
    closed: bool,
}

struct Shared<T>(Mutex<State<T>>);

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing in here panics between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let (reader, writer) = {
            let mut state = self.lock();
            state.closed = true;
            (state.reader.take(), state.writer.take())
        };
        [reader, writer].into_iter().flatten().for_each(Waker::wake);
    }
}

/// The end that puts in. One task at a time waits for room.
pub(crate) struct Sender<T>(Arc<Shared<T>>);

/// The end that takes out.
pub(crate) struct Receiver<T>(Arc<Shared<T>>);

/// A queue of at most `room` items.
pub(crate) fn pipe<T>(room: usize) -> (Sender<T>, Receiver<T>) {
    let state = State { queue: VecDeque::new(), room, reader: None, writer: None, closed: false };
    let shared = Arc::new(Shared(Mutex::new(state)));
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

/// Why an item was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotSent {
    Full,
    Closed,
}

impl<T> Sender<T> {
    /// Puts an item in if there is room.
    pub(crate) fn try_send(&self, item: T) -> Result<(), NotSent> {
        self.put(item, false)
    }

    /// Puts a last item in even where there is no room.
    #[cfg(all(feature = "http", any(feature = "smol", feature = "threads")))]
    pub(crate) fn send_last(&self, item: T) -> Result<(), NotSent> {
        self.put(item, true)
    }

    fn put(&self, item: T, beyond: bool) -> Result<(), NotSent> {
        let reader = {
            let mut state = self.0.lock();
            if state.closed {
                return Err(NotSent::Closed);
            }
            if state.queue.len() >= state.room && !beyond {
                return Err(NotSent::Full);
            }
            state.queue.push_back(item);
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }

    /// Waits until the other end is gone.
    #[cfg(feature = "smol")]
    pub(crate) fn poll_closed(&self, task: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.closed {
            return Poll::Ready(());
        }
        state.writer = Some(task.waker().clone());
        Poll::Pending
    }

    /// Whether an item would be taken now.
    #[cfg(any(feature = "quic", feature = "iroh"))]
    pub(crate) fn has_room(&self) -> bool {
        let state = self.0.lock();
        !state.closed && state.queue.len() < state.room
    }

    /// Waits until there is room for one item, or the other end is gone.
    pub(crate) fn poll_room(&self, task: &mut Context<'_>) -> Poll<Result<(), NotSent>> {
        let mut state = self.0.lock();
        if state.closed {
            return Poll::Ready(Err(NotSent::Closed));
        }
        if state.queue.len() < state.room {
            return Poll::Ready(Ok(()));
        }
        state.writer = Some(task.waker().clone());
        Poll::Pending
    }
}

impl<T> Receiver<T> {
    /// Takes the next item; nothing once the other end is gone and all is taken.
    pub(crate) fn poll_receive(&self, task: &mut Context<'_>) -> Poll<Option<T>> {
        let (item, writer) = {
            let mut state = self.0.lock();
            let Some(item) = state.queue.pop_front() else {
                if state.closed {
                    return Poll::Ready(None);
                }
                state.reader = Some(task.waker().clone());
                return Poll::Pending;
            };
            (item, state.writer.take())
        };
        if let Some(writer) = writer {
            writer.wake();
        }
        Poll::Ready(Some(item))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // What nobody will take is dropped now: it may hold the other ends of other pipes.
        let left = {
            let mut state = self.0.lock();
            std::mem::take(&mut state.queue)
        };
        self.0.close();
        drop(left);
    }
}
