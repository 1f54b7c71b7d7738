//! Proofs of further keys: whoever has proven a node key shows that the owners of other keys are with it.
//!
//! A proof is a signature by the further key over a few lines of text, the domain first; see `docs/protocol.md`. The
//! lines name both node keys, the tree and what the exchange is bound to, so that what one node was shown is worth
//! nothing to another, about another tree, from another node, or later.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::signed::{Hex, digest};
use crate::{Id, KeyError, PublicKey, SecretKey, Signature};

/// Proofs in a message: the people of a household or an office who share a machine. To check so many costs about a
/// millisecond.
pub const MAX_PROOFS: usize = 16;

/// Bytes of a [`KeyProof`] in a frame.
pub(super) const PROOF: usize = 32 + 64;

const INITIATOR: &str = "pleach/1/key/initiator";
const RESPONDER: &str = "pleach/1/key/responder";

/// What a message is bound to: 32 bytes that the two ends of an exchange know, and that no other exchange has, nor
/// this one at another time. The transport makes them of what it has: a TLS session, a greeting, a fresh nonce.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Binding([u8; 32]);

impl Binding {
    /// Takes the 32 bytes as they are.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// It is no secret over every transport, but nobody needs it.
impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Binding")
    }
}

/// Whose message a proof stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// A request.
    Initiator,
    /// A response.
    Responder,
}

/// What a proof says, apart from the key and what it is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProofTarget {
    /// Whose message it stands in.
    pub side: Side,
    /// The node key of whoever says it.
    pub by: PublicKey,
    /// The node key of whom it is said to.
    pub to: PublicKey,
    /// The tree that the exchange is about; none if it asks which trees there are.
    pub tree: Option<Id>,
}

/// A further key, proven: its signature.
///
/// ```
/// # use pleach_core::{Id, SecretKey, wire::{Binding, ProofTarget, Side}};
/// let secret = |seed| SecretKey::from_bytes([seed; 32]);
/// let (node, server, alice) = (secret(1).public(), secret(2).public(), secret(3));
/// let target = ProofTarget { side: Side::Initiator, by: node, to: server, tree: Some(Id::of(b"notes")) };
/// let here = Binding::from_bytes([9; 32]);
/// let proof = target.prove(&alice, &here);
/// assert!(target.check(&proof, &here).is_ok());
/// assert!(target.check(&proof, &Binding::from_bytes([8; 32])).is_err(), "another exchange");
/// assert!(ProofTarget { to: secret(4).public(), ..target }.check(&proof, &here).is_err(), "another server");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyProof {
    /// The further key.
    pub key: PublicKey,
    /// Over the key, the target and the binding.
    pub signature: Signature,
}

impl ProofTarget {
    fn message(&self, key: &PublicKey, binding: &Binding) -> [u8; 32] {
        let Self { side, by, to, tree } = self;
        let (domain, binding) =
            (if *side == Side::Initiator { INITIATOR } else { RESPONDER }, Hex(&binding.0));
        match tree {
            Some(tree) => digest(format_args!("{domain}\n{key}\n{by}\n{to}\n{tree}\n{binding}\n")),
            None => digest(format_args!("{domain}\n{key}\n{by}\n{to}\n-\n{binding}\n")),
        }
    }

    /// Proves a further key.
    pub fn prove(&self, secret: &SecretKey, binding: &Binding) -> KeyProof {
        let key = secret.public();
        KeyProof { key, signature: secret.sign(&self.message(&key, binding)) }
    }

    /// Checks a proof strictly.
    pub fn check(&self, proof: &KeyProof, binding: &Binding) -> Result<(), KeyError> {
        proof.key.verify(&self.message(&proof.key, binding), &proof.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(seed: u8) -> SecretKey {
        SecretKey::from_bytes([seed; 32])
    }

    fn target() -> ProofTarget {
        let (by, to) = (secret(1).public(), secret(2).public());
        ProofTarget { side: Side::Initiator, by, to, tree: Some(Id::from_bytes([5; 32])) }
    }

    #[test]
    fn a_proof_is_good_for_one_side_two_nodes_one_tree_and_one_exchange() {
        let (here, there) = (Binding::from_bytes([9; 32]), Binding::from_bytes([8; 32]));
        let proof = target().prove(&secret(3), &here);
        assert_eq!(target().check(&proof, &here), Ok(()));
        assert_eq!(target().check(&proof, &there), Err(KeyError::BadSignature));
        for other in [
            ProofTarget { side: Side::Responder, ..target() },
            ProofTarget { by: secret(4).public(), ..target() },
            ProofTarget { to: secret(4).public(), ..target() },
            ProofTarget { by: target().to, to: target().by, ..target() },
            ProofTarget { tree: Some(Id::from_bytes([6; 32])), ..target() },
            ProofTarget { tree: None, ..target() },
        ] {
            assert_eq!(other.check(&proof, &here), Err(KeyError::BadSignature), "{other:?}");
        }
        let stolen = KeyProof { key: secret(4).public(), ..proof };
        assert_eq!(target().check(&stolen, &here), Err(KeyError::BadSignature));
    }

    #[test]
    fn what_is_signed_is_the_hash_of_these_lines() {
        let target = target();
        let lines = std::format!(
            "pleach/1/key/initiator\n{}\n{}\n{}\n{}\n{}\n",
            secret(3).public(),
            target.by,
            target.to,
            Id::from_bytes([5; 32]),
            "09".repeat(32)
        );
        let proof = target.prove(&secret(3), &Binding::from_bytes([9; 32]));
        let hash = *blake3::hash(lines.as_bytes()).as_bytes();
        assert_eq!(secret(3).public().verify(&hash, &proof.signature), Ok(()));
    }
}
