//! Further keys that a peer shows beside the node key that its transport proves.

use alloc::{borrow::Cow, boxed::Box, vec::Vec};

use crate::{
    PublicKey,
    wire::{Binding, KeyProof, ProofTarget},
};

/// The further keys of a peer, as far as they are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FurtherKeys {
    /// It shows none.
    #[default]
    Nothing,
    /// Proofs that are to be checked.
    Proofs {
        /// What they should say.
        target: Box<ProofTarget>,
        /// What they should be bound to.
        binding: Binding,
        /// The proofs.
        proofs: Vec<KeyProof>,
    },
    /// Keys whose proofs were checked before, for this very message.
    Keys(Vec<PublicKey>),
}

impl FurtherKeys {
    /// The keys; nothing if any proof is false.
    pub(super) fn keys(&self) -> Option<Cow<'_, [PublicKey]>> {
        match self {
            Self::Nothing => Some(Cow::Borrowed(&[])),
            Self::Keys(keys) => Some(Cow::Borrowed(keys)),
            Self::Proofs { target, binding, proofs } => {
                let checked = |proof: &KeyProof| target.check(proof, binding).ok().map(|()| proof.key);
                proofs.iter().map(checked).collect::<Option<Vec<_>>>().map(Cow::Owned)
            }
        }
    }

    /// The same, once the proofs were found to be good.
    pub(super) fn checked(self) -> Self {
        match self {
            Self::Proofs { proofs, .. } => Self::Keys(proofs.iter().map(|proof| proof.key).collect()),
            other => other,
        }
    }
}
