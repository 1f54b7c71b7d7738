//! What is due, and when: one virtual clock.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Things that are due, earliest first; at one moment in the order in which they were put.
pub(super) struct Queue<T> {
    heap: BinaryHeap<Reverse<(u64, u64, usize)>>,
    slots: Vec<Option<T>>,
    free: Vec<usize>,
    put: u64,
}

impl<T> Queue<T> {
    pub(super) const fn new() -> Self {
        Self { heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), put: 0 }
    }

    /// At this moment, in milliseconds.
    pub(super) fn put(&mut self, at: u64, what: T) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(what);
        self.put += 1;
        self.heap.push(Reverse((at, self.put, slot)));
    }

    pub(super) fn next(&mut self) -> Option<(u64, T)> {
        let Reverse((at, _, slot)) = self.heap.pop()?;
        self.free.push(slot);
        self.slots[slot].take().map(|what| (at, what))
    }
}
