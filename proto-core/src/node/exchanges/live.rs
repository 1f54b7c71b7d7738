//! What the exchanges under way say about peers, and how a block ends those with one.

use alloc::vec::Vec;

use crate::{
    Id, Now, PublicKey,
    node::{
        ConnectionState, ExchangeId, NodeError,
        exchanges::{Exchange, Exchanges, Next, Role},
        fetches::Standing,
        outbox::Outbox,
        status::{Activity, Moved},
    },
};

impl Exchanges {
    /// Neither dials nor serves a key from now on, and ends what is under way with it; or lets it in again.
    pub(in crate::node) fn block(&mut self, peer: PublicKey, block: bool, now: Now, out: &mut Outbox) {
        if !block {
            self.blocked.remove(&peer);
            return;
        }
        self.blocked.insert(peer);
        let with_peer = self.all.iter().filter(|(_, exchange)| exchange.expected() == Some(peer));
        for id in with_peer.map(|(id, _)| *id).collect::<Vec<ExchangeId>>() {
            self.with(id, now, out, |exchange, _| match &mut exchange.role {
                Role::Initiator(initiator) => initiator.fail(NodeError::Blocked(peer)),
                Role::Responder(_) => Next::Close,
            });
        }
    }

    /// Ends what is under way about a tree, which is held no more.
    pub(in crate::node) fn forsake(&mut self, tree: Id, now: Now, out: &mut Outbox) {
        let about = self.all.keys().filter(|id| self.tree(**id) == Some(tree));
        for id in about.copied().collect::<Vec<ExchangeId>>() {
            self.with(id, now, out, |exchange, _| match &mut exchange.role {
                Role::Initiator(initiator) => initiator.fail(NodeError::UnknownTree(tree)),
                Role::Responder(_) => Next::Close,
            });
        }
    }

    /// How an exchange that this node opened stands as one of several.
    pub(in crate::node) fn standing(&self, id: ExchangeId) -> Standing {
        match self.all.get(&id) {
            Some(Exchange { role: Role::Initiator(initiator), .. }) => initiator.standing(),
            _ => Standing::default(),
        }
    }

    /// Those with whom something is under way, and how far it is: the furthest of each.
    pub(in crate::node) fn connections(&self) -> impl Iterator<Item = (PublicKey, ConnectionState)> {
        self.all.values().filter_map(|exchange| {
            let state =
                if exchange.is_answered() { ConnectionState::Connected } else { ConnectionState::Connecting };
            Some((exchange.expected()?, state))
        })
    }

    /// How far an exchange that this node opened is.
    pub(in crate::node) fn activity(&self, id: ExchangeId, now: Now) -> Activity {
        let Some(Exchange { role: Role::Initiator(initiator), heard, .. }) = self.all.get(&id) else {
            return Activity::Idle;
        };
        let silent = now.monotonic.saturating_sub(*heard);
        match (initiator.talk(), initiator.progress()) {
            (Some(talk), Some(progress)) if initiator.is_answered() => {
                let since = initiator.since();
                let counts = talk.counts.plus(&since.moved);
                Activity::Syncing(Moved {
                    entries_received: progress.received,
                    entries_to_receive: progress.to_receive.saturating_sub(progress.received),
                    entries_sent: progress.sent,
                    entries_to_send: progress.to_send.saturating_sub(progress.sent),
                    bytes_received: counts.bytes_received,
                    bytes_sent: counts.bytes_sent,
                    millis: now.since(since.began),
                    silent,
                })
            }
            _ if initiator.asks() => Activity::Asking,
            _ => Activity::Connecting { silent },
        }
    }
}

impl Exchange {
    /// Whom it is with, or is to be with.
    fn expected(&self) -> Option<PublicKey> {
        match &self.role {
            Role::Initiator(initiator) => initiator.expected(),
            Role::Responder(responder) => responder.proven(),
        }
    }

    fn is_answered(&self) -> bool {
        match &self.role {
            Role::Initiator(initiator) => initiator.is_answered(),
            Role::Responder(_) => true,
        }
    }
}
