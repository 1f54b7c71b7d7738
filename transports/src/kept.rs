//! Connections by place: made when an exchange needs one, kept for the next.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{Mutex, PoisonError},
};

use pleach_core::PublicKey;

use crate::{
    Address,
    turns::{Turn, Turns},
};

/// Connections that are kept for further exchanges.
const MAX_KEPT: usize = 256;

/// A connection that may have ended.
pub(crate) trait Connected: Clone {
    /// Whether further streams can be tried.
    fn is_open(&self) -> bool;
}

/// Connections with what their peers have proven.
pub(crate) struct Kept<C> {
    connections: Mutex<BTreeMap<String, (C, PublicKey)>>,
    dialled: Turns,
}

impl<C> Default for Kept<C> {
    fn default() -> Self {
        Self { connections: Mutex::default(), dialled: Turns::default() }
    }
}

impl<C: Connected> Kept<C> {
    /// A connection that is there, whose peer is not another than the address names.
    pub(crate) fn get(&self, address: &Address) -> Option<(C, PublicKey)> {
        let kept = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let (connection, peer) = kept.get(&address.address)?;
        let good = connection.is_open() && address.key.is_none_or(|key| key == *peer);
        good.then(|| (connection.clone(), *peer))
    }

    /// The right to dial this place. Whoever wants the same meanwhile waits, and then finds the connection.
    pub(crate) async fn turn(&self, address: &Address) -> Turn {
        poll_fn(|task| self.dialled.poll_take(&address.address, task)).await
    }

    pub(crate) fn keep(&self, address: &Address, connection: C, peer: PublicKey) {
        let mut kept = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, (connection, _)| connection.is_open());
        }
        if kept.len() < MAX_KEPT {
            kept.insert(address.address.clone(), (connection, peer));
        }
    }
}
