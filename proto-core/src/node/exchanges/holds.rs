//! Answers that are kept back until there is news.

use alloc::vec::Vec;

use crate::{
    Id, Now, PublicKey,
    node::{
        ExchangeId,
        exchanges::{Exchange, Exchanges, Next, Role},
        outbox::Outbox,
    },
};

/// Peers that wait for a decision about their access requests at once. Anybody can be one, so that they are few.
const MAX_AWAITING: usize = 16;

impl Exchanges {
    /// Somebody has decided about an access request: whoever waits for that asks once more.
    pub(in crate::node) fn decided(&mut self) {
        for exchange in self.all.values_mut() {
            if let Role::Responder(responder) = &mut exchange.role {
                responder.ask_again();
            }
        }
    }

    /// There is news of a tree: everybody who waits for some is answered, save the one it is from.
    pub(in crate::node) fn news(&mut self, tree: Id, from: Option<PublicKey>, now: Now, out: &mut Outbox) {
        // Nobody else is touched: that something is new is no sign of life from a peer.
        let waits = |exchange: &Exchange| match &exchange.role {
            Role::Responder(responder) => responder.awaits_news(&tree) && responder.proven() != from,
            Role::Initiator(_) => false,
        };
        let waiting = self.all.iter().filter(|(_, exchange)| waits(exchange)).map(|(id, _)| *id);
        for id in waiting.collect::<Vec<ExchangeId>>() {
            self.answer_now(id, now, out);
        }
    }

    /// An answer may have been kept back just now: then the one before to the same peer about the same is not, and it is
    /// given at once if there are too many of its kind.
    pub(super) fn bound_holds(&mut self, id: ExchangeId, now: Now, out: &mut Outbox) {
        let Some((peer, news)) = self.all.get(&id).and_then(held) else { return };
        let others = self.all.iter().filter(|(other, _)| **other != id);
        let alike: Vec<_> = others
            .filter_map(|(other, exchange)| Some((*other, held(exchange)?)))
            .filter(|(_, (_, of))| of.is_some() == news.is_some())
            .collect();
        let limit = if news.is_some() { self.limits.holds() } else { MAX_AWAITING };
        match alike.iter().find(|(_, of)| *of == (peer, news)) {
            Some((before, _)) => self.answer_now(*before, now, out),
            None if alike.len() >= limit => self.answer_now(id, now, out),
            None => {}
        }
    }

    fn answer_now(&mut self, id: ExchangeId, now: Now, out: &mut Outbox) {
        self.with(id, now, out, |exchange, out| match &mut exchange.role {
            Role::Responder(responder) => responder.answer_now(out),
            Role::Initiator(_) => Next::On,
        });
    }
}

/// To whom an answer is kept back, and until there is news of which tree; of none, until somebody has decided.
fn held(exchange: &Exchange) -> Option<(PublicKey, Option<Id>)> {
    let Role::Responder(responder) = &exchange.role else { return None };
    let news = responder.awaits().is_none();
    if news {
        responder.holds()?;
    }
    Some((responder.proven()?, responder.tree().filter(|_| news)))
}
