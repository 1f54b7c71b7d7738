//! One at a time for each place.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    task::{Context as Task, Poll, Waker},
};

/// Who may use which place now.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<BTreeMap<String, Vec<Waker>>>>);

/// The right to use a place, until it is dropped.
pub(crate) struct Turn {
    turns: Turns,
    place: String,
}

impl Turns {
    pub(crate) fn poll_take(&self, place: &str, task: &Task<'_>) -> Poll<Turn> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = places.get_mut(place) {
            waiting.push(task.waker().clone());
            return Poll::Pending;
        }
        places.insert(place.into(), Vec::new());
        Poll::Ready(Turn { turns: self.clone(), place: place.into() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let waiting = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.place);
        waiting.into_iter().flatten().for_each(Waker::wake);
    }
}
