//! Further keys that the peer proves in front of a request, and those that are proven to it.

use alloc::{boxed::Box, vec::Vec};
use core::mem;

use crate::{
    Id,
    node::{FurtherKeys, Op, exchanges::Next, outbox::Outbox},
    wire::{Binding, Hello, KeyProof, ProofTarget, Refusal, Side},
};

use super::{Phase, Responder};

/// What a request says of further keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    /// Proofs that came in front of the request, until it says what it is about.
    claimed: Option<(Vec<KeyProof>, Binding)>,
    pub(super) shown: FurtherKeys,
    /// The peer asks whether a further key of this side may read the tree.
    asked: bool,
}

impl Keys {
    /// Whether the request has brought some.
    pub(super) const fn are_claimed(&self) -> bool {
        self.claimed.is_some()
    }
}

impl Responder {
    /// Proofs came in front of a request. They name the node key that brings them, and are worth nothing without one.
    pub(super) fn show(&mut self, proofs: Vec<KeyProof>, out: &mut Outbox) -> Next {
        if self.proven.is_none() {
            self.refuse(&Refusal::Unknown, out);
            return Next::On;
        }
        out.check(self.id, proofs.len());
        out.exchange(self.id, Op::Bind);
        self.phase = Phase::Showing(proofs);
        Next::On
    }

    /// What they should be bound to; over a transport that binds nothing they prove nothing.
    pub(super) fn bound(&mut self, binding: Option<Binding>, out: &mut Outbox) -> Next {
        let Phase::Showing(proofs) = &mut self.phase else { return Next::On };
        let proofs = mem::take(proofs);
        if let Some(binding) = binding {
            self.keys.claimed = Some((proofs, binding));
            self.phase = Phase::Introduced;
            out.exchange(self.id, Op::Receive);
        } else {
            self.refuse(&Refusal::Unknown, out);
        }
        Next::On
    }

    /// The request is about this tree, or about all: what the proofs in front of it should say.
    pub(super) fn showing(&mut self, tree: Option<Id>) -> FurtherKeys {
        if let (Some((proofs, binding)), Some(by)) = (self.keys.claimed.take(), self.proven) {
            let target = ProofTarget { side: Side::Initiator, by, to: self.own, tree };
            self.keys.shown = FurtherKeys::Proofs { target: Box::new(target), binding, proofs };
        }
        self.keys.shown.clone()
    }

    /// Whether the peer wants keys of this side proven.
    pub(super) const fn hear_of_keys(&mut self, hello: &Hello) {
        self.keys.asked = hello.capabilities.has(crate::wire::Capabilities::ASKS_KEYS);
    }

    /// What is proven to a peer that asked for it and may read the tree.
    pub(super) fn proves(&self, tree: Id) -> Option<ProofTarget> {
        let to = self.proven.filter(|_| self.keys.asked)?;
        Some(ProofTarget { side: Side::Responder, by: self.own, to, tree: Some(tree) })
    }
}
