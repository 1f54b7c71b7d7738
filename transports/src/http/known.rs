//! Who was found at a place a moment ago, and what time it has there.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use pleach_core::PublicKey;

use super::limits::{KNOWN_TIME, MAX_KNOWN};

/// What a node said about itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) key: PublicKey,
    /// Its time less ours, in milliseconds, modulo 2^64.
    ahead: u64,
    asked: u64,
}

impl Node {
    /// Said `time` at our time `now`.
    pub(super) fn new(key: PublicKey, time: u64, now: u64) -> Self {
        Self { key, ahead: time.wrapping_sub(now), asked: now }
    }

    /// The node's time at our time `now`.
    pub(super) fn time(&self, now: u64) -> u64 {
        now.wrapping_add(self.ahead)
    }
}

/// A bounded memory of nodes by place. Forgetting costs one question.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<BTreeMap<String, Node>>);

impl Known {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Node>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, place: &str, now: u64) -> Option<Node> {
        self.lock().get(place).copied().filter(|node| now.wrapping_sub(node.asked) < KNOWN_TIME)
    }

    pub(super) fn put(&self, place: &str, node: Node) {
        let mut nodes = self.lock();
        if nodes.len() >= MAX_KNOWN {
            nodes.clear();
        }
        nodes.insert(place.into(), node);
    }

    pub(super) fn forget(&self, place: &str) {
        self.lock().remove(place);
    }
}
