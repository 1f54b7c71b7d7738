//! Further keys: those that are proven to the peer, and those that it proves because it was asked.

use alloc::{boxed::Box, vec::Vec};

use crate::{
    Id,
    node::{
        FurtherKeys, Op, Read,
        exchanges::Next,
        outbox::{Outbox, Waiting},
    },
    wire::{Binding, Frame, KeyProof, Kind, ProofTarget, Side},
};

use super::{Initiator, Phase};

/// What a peer does that shows a key which is not with it.
pub(super) const FALSE_PROOF: &str = "it shows a key with a false proof";

/// What the peer says of further keys in the response under way.
#[derive(Clone, Debug)]
pub(super) enum PeerKeys {
    /// It was not asked.
    NotAsked,
    /// It may prove some in front of the response.
    Awaited,
    /// It has: until the transport has said what these should be bound to.
    Came(Vec<KeyProof>),
    /// They are looked at.
    Shown(FurtherKeys),
    /// The response has begun.
    Heard,
}

impl PeerKeys {
    /// Whether a frame holds proofs that were asked for.
    pub(super) fn are_welcome(&self, frame: &[u8]) -> bool {
        matches!(self, Self::Awaited) && Kind::of(frame) == Ok(Kind::Keys)
    }

    /// A response has begun with something else.
    pub(super) fn are_late(&mut self) {
        if matches!(self, Self::Awaited) {
            *self = Self::Heard;
        }
    }

    /// Those that were looked at.
    pub(super) fn take(&mut self) -> FurtherKeys {
        match core::mem::replace(self, Self::Heard) {
            Self::Shown(shown) => shown.checked(),
            _ => FurtherKeys::Nothing,
        }
    }

    /// The response is over: the next one may begin with proofs again.
    pub(super) fn ask_again(&mut self) {
        if !matches!(self, Self::NotAsked) {
            *self = Self::Awaited;
        }
    }
}

impl Initiator {
    /// What further keys of this side are proven for.
    pub(super) fn proves(&self, tree: Option<Id>) -> Option<ProofTarget> {
        Some(ProofTarget { side: Side::Initiator, by: self.own, to: self.peer?, tree })
    }

    /// The peer proves further keys.
    pub(super) fn shown(&mut self, frame: &[u8], out: &mut Outbox) -> Next {
        let Ok(Frame::Keys(proofs)) = Frame::read(frame) else { return self.misbehaved(FALSE_PROOF) };
        if matches!(&self.phase, Phase::Talking(talk) if talk.heeds_keys()) {
            self.keys = PeerKeys::Heard;
            out.exchange(self.id, Op::Receive);
        } else {
            self.keys = PeerKeys::Came(proofs.iter().collect());
            out.exchange(self.id, Op::Bind);
        }
        Next::On
    }

    /// What they should be bound to: the store says what they may do.
    pub(super) fn bound(&mut self, binding: Option<Binding>, out: &mut Outbox) -> Next {
        let PeerKeys::Came(proofs) = &mut self.keys else { return Next::On };
        let proofs = core::mem::take(proofs);
        let (Some(binding), Some(by), Some(tree)) = (binding, self.peer, self.tree()) else {
            return self.misbehaved(FALSE_PROOF);
        };
        let target = ProofTarget { side: Side::Responder, by, to: self.own, tree: Some(tree) };
        let shown = FurtherKeys::Proofs { target: Box::new(target), binding, proofs };
        self.keys = PeerKeys::Shown(shown.clone());
        out.read_once(Waiting::Exchange(self.id), Read::Admit { tree, proven: None, shown, tips: None });
        Next::On
    }
}
