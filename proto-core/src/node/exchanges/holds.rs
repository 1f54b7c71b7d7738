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

/// Answers kept back at once. Each costs the head of a request, and a place among the exchanges that peers may have open:
/// half of them, so that whoever waits for news keeps nobody from asking.
const MAX_HOLDS: usize = 128;

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

    /// A decision may be waited for since just now: then the same key waits nowhere else, and it is answered at once if
    /// there are too many.
    pub(super) fn bound_waits(&mut self, id: ExchangeId, now: Now, out: &mut Outbox) {
        let awaits = |exchange: &Exchange| match &exchange.role {
            Role::Responder(responder) => responder.awaits().and(responder.proven()),
            Role::Initiator(_) => None,
        };
        let Some(peer) = self.all.get(&id).and_then(awaits) else { return };
        let others = self.all.iter().filter_map(|(id, exchange)| Some((*id, awaits(exchange)?)));
        let others: Vec<_> = others.filter(|(other, _)| *other != id).collect();
        match others.iter().find(|(_, other)| *other == peer) {
            Some((before, _)) => self.answer_now(*before, now, out),
            None if others.len() >= MAX_AWAITING => self.answer_now(id, now, out),
            None => {}
        }
    }

    /// There is news of a tree: everybody who waits for some is answered, save the one it is from.
    pub(in crate::node) fn news(&mut self, tree: Id, from: Option<PublicKey>, now: Now, out: &mut Outbox) {
        let waits = |exchange: &Exchange| match &exchange.role {
            Role::Responder(responder) => responder.tree() == Some(tree) && responder.proven() != from,
            Role::Initiator(_) => false,
        };
        let waiting = self.all.iter().filter(|(_, exchange)| waits(exchange)).map(|(id, _)| *id);
        for id in waiting.collect::<Vec<ExchangeId>>() {
            self.answer_now(id, now, out);
        }
    }

    /// An answer may have been kept back just now: then the one before to the same peer about the same tree is not, and
    /// it is given at once if there are too many.
    pub(super) fn bound_holds(&mut self, id: ExchangeId, now: Now, out: &mut Outbox) {
        let Some((peer, tree)) = self.all.get(&id).and_then(held) else { return };
        let holds = self.all.iter().filter_map(|(id, exchange)| Some((*id, held(exchange)?)));
        let holds: Vec<_> = holds.filter(|(other, _)| *other != id).collect();
        let before = holds.iter().find(|(_, of)| *of == (peer, tree)).map(|(before, _)| *before);
        match before {
            Some(before) => self.answer_now(before, now, out),
            None if holds.len() >= MAX_HOLDS => self.answer_now(id, now, out),
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

/// To whom an answer is kept back, and about which tree.
fn held(exchange: &Exchange) -> Option<(PublicKey, Id)> {
    let Role::Responder(responder) = &exchange.role else { return None };
    responder.holds()?;
    Some((responder.proven()?, responder.tree()?))
}
