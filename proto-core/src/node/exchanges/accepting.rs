//! Who is let in, charged, and no stranger any more.

use alloc::vec::Vec;

use super::{Exchange, Exchanges, Role};
use crate::{
    Id, Now, PublicKey,
    budget::Source,
    node::{
        Admission, Arrival, ExchangeEvent, ExchangeId, Op,
        budgets::{Entrance, Guest, Standing, entrance},
        outbox::Outbox,
        responder::Responder,
    },
};

/// Who opened an exchange, as far as the transport can tell; see [`crate::node::Event::Accepted`].
#[derive(Clone, Copy, Debug)]
pub(in crate::node) struct Caller {
    pub(in crate::node) proven: Option<PublicKey>,
    pub(in crate::node) source: Source,
    pub(in crate::node) arrival: Arrival,
    pub(in crate::node) signed: Option<u64>,
}

impl Exchanges {
    /// A peer opened an exchange.
    pub(in crate::node) fn accept(&mut self, id: ExchangeId, caller: Caller, now: Now, out: &mut Outbox) {
        let Caller { proven, source, .. } = caller;
        if self.all.contains_key(&id) {
            return;
        }
        let standing = self.budgets.standing(proven.as_ref(), now.monotonic);
        let payer = proven.map(|key| self.budgets.payer(&key));
        let guests: Vec<Guest> = self.guests().collect();
        let entrance = entrance((payer, source, standing), &guests, &self.limits);
        if entrance == Entrance::Shut || proven == Some(self.own) {
            out.exchange(id, Op::Close);
            out.take_asked(id);
            return;
        }
        if let Entrance::For(other) = entrance {
            self.close(other, out);
        }
        if standing == Standing::Proven {
            out.vouch(id);
        }
        let blocked = proven.is_some_and(|key| self.blocked.contains(&key));
        let responder = Responder::new(id, caller, blocked, self.own, out);
        self.insert(id, Role::Responder(responder), now, out);
        if let Some(exchange) = self.all.get_mut(&id) {
            exchange.source = source;
            exchange.payer = payer;
            exchange.standing = standing;
        }
    }

    /// All exchanges that peers opened.
    fn guests(&self) -> impl Iterator<Item = Guest> {
        self.all.iter().filter_map(|(id, exchange)| {
            let Role::Responder(responder) = &exchange.role else { return None };
            Some(Guest {
                id: *id,
                key: exchange.payer,
                source: exchange.source,
                standing: exchange.standing,
                rests: responder.rests(),
                heard: exchange.heard,
            })
        })
    }

    /// This node keeps a tree the same with a peer, which is no stranger from then on.
    pub(in crate::node) fn expect(&mut self, peer: PublicKey, tree: Id, now: Now) {
        self.budgets.prove(peer, tree, peer, now.monotonic);
    }

    /// Charges a stranger for a frame, before anything is done about it. Milliseconds until it may come again, if it
    /// has used what it may.
    pub(super) fn charge(&mut self, id: ExchangeId, event: &ExchangeEvent, now: Now) -> Option<u64> {
        let ExchangeEvent::Received(frame) = event else { return None };
        let exchange = self.all.get(&id)?;
        let Role::Responder(responder) = &exchange.role else { return None };
        if exchange.standing == Standing::Proven || !responder.listens() {
            return None;
        }
        self.budgets.frame(exchange.source, frame.len(), responder.rests(), now.monotonic).err()
    }

    /// The store has said that the peer may read the tree by a grant to this key, its node's or a further one. Whether it is
    /// no stranger from now on: the places of that key are counted over all nodes that bring it.
    pub(super) fn welcome(&mut self, id: ExchangeId, by: Option<PublicKey>, now: Now) -> bool {
        let Some(Exchange { role: Role::Responder(responder), standing, .. }) = self.all.get(&id) else {
            return false;
        };
        let (Some(by), Some(tree), Some(key)) = (by, responder.tree(), responder.proven()) else {
            return false;
        };
        let is_stranger = *standing == Standing::Stranger;
        let of_key = |guest: &Guest| guest.standing == Standing::Proven && guest.key == Some(by);
        if is_stranger && self.guests().filter(of_key).count() >= self.limits.of_key()
            || !self.budgets.prove(key, tree, by, now.monotonic)
        {
            return false;
        }
        if let Some(exchange) = self.all.get_mut(&id) {
            (exchange.standing, exchange.payer) = (Standing::Proven, Some(by));
            if is_stranger {
                self.held_by_strangers = self.held_by_strangers.saturating_sub(exchange.held);
            }
        }
        true
    }

    /// The store has said that the peer may not read a tree, or not any more.
    pub(super) fn judge(&mut self, id: ExchangeId) {
        let Some(Exchange { role: Role::Responder(responder), .. }) = self.all.get_mut(&id) else { return };
        let told = responder.take_told();
        if let (Some((tree, Admission::Denied | Admission::Unknown)), Some(key)) = (told, responder.proven())
        {
            self.budgets.doubt(&key, &tree);
        }
    }

    /// The peer brought a signature that does not fit.
    pub(super) fn disgrace(&mut self, id: ExchangeId, now: Now) {
        if let Some(exchange) = self.all.get(&id)
            && let Role::Responder(responder) = &exchange.role
        {
            self.budgets.disgrace(responder.proven().as_ref(), exchange.source, now.monotonic);
        }
    }

    /// Lets those go on that waited for room between arrival and disk, as far as there is some.
    pub(in crate::node) fn resume(&mut self, now: Now, out: &mut Outbox) {
        if self.held >= self.limits.held() {
            return;
        }
        let waiting = self.all.iter().filter(|(_, exchange)| exchange.role.waits_for_room());
        for id in waiting.map(|(id, _)| *id).collect::<Vec<ExchangeId>>() {
            let Some(exchange) = self.all.get(&id) else { continue };
            let heard = exchange.heard;
            self.with(id, now, out, |exchange, out| {
                // It was not heard of.
                exchange.heard = heard;
                match &mut exchange.role {
                    Role::Initiator(initiator) => initiator.resume(out),
                    Role::Responder(responder) => responder.resume(out),
                }
            });
        }
    }
}
