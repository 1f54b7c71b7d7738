//! The proof of node keys on a connection between two endpoints of iroh, whose own keys are others.
//!
//! Each side signs what the TLS handshake exports to the two alone (RFC 8446 section 7.5), so that a proof means
//! nothing on another connection. The responder goes first, as in TLS; the initiator's proof names the responder's key
//! too. A proof is the key and the signature, on a stream of its own.

use iroh::endpoint::Connection;
use pleach_core::{PublicKey, Signature};

use crate::{Context, TransportError};

/// Bytes of a proof.
const PROOF: usize = 32 + 64;

/// The label of what is exported.
const LABEL: &[u8] = b"EXPORTER pleach iroh v1";

/// The domains of what is signed.
pub(super) const RESPONDER: &[u8] = b"pleach iroh responder v1";
const INITIATOR: &[u8] = b"pleach iroh initiator v1";

/// What both sides of one connection know, and nobody else.
pub(super) fn exported(connection: &Connection) -> Result<[u8; 32], TransportError> {
    let mut secret = [0; 32];
    let exported = connection.export_keying_material(&mut secret, LABEL, &[]);
    exported.map_err(|_| TransportError::Misbehaved("its TLS session exports nothing".into()))?;
    Ok(secret)
}

/// What is signed: fixed lengths after the domain, whose last byte tells the two apart.
pub(super) fn message(domain: &[u8], exported: &[u8; 32], keys: &[PublicKey]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(domain).update(exported);
    for key in keys {
        hasher.update(key.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

pub(super) async fn say(
    connection: &Connection,
    context: &Context,
    message: &[u8; 32],
) -> Result<(), TransportError> {
    let cut = |error: &dyn std::fmt::Display| TransportError::Cut(error.to_string());
    let key = context.key();
    let proof = [&key.public().as_bytes()[..], key.sign(message).as_bytes()].concat();
    let mut stream = connection.open_uni().await.map_err(|error| cut(&error))?;
    stream.write_all(&proof).await.map_err(|error| cut(&error))?;
    stream.finish().map_err(|error| cut(&error))
}

/// A key that the peer has signed with, given what it should have signed.
async fn hear(
    connection: &Connection,
    message: impl FnOnce(PublicKey) -> [u8; 32],
) -> Result<PublicKey, TransportError> {
    let wrong = |what: &str| TransportError::Misbehaved(format!("its proof of a node key is {what}"));
    let mut stream = connection.accept_uni().await.map_err(|error| TransportError::Cut(error.to_string()))?;
    let proof = stream.read_to_end(PROOF).await.map_err(|error| TransportError::Cut(error.to_string()))?;
    let (key, signature) = proof.split_first_chunk::<32>().ok_or_else(|| wrong("too short"))?;
    let signature: &[u8; 64] = signature.try_into().map_err(|_| wrong("of another length"))?;
    let key = PublicKey::from_bytes(*key);
    key.check().map_err(|_| wrong("for a weak key"))?;
    key.verify(&message(key), &Signature::from_bytes(*signature)).map_err(|_| wrong("signed by another"))?;
    Ok(key)
}

/// The responder's key, heard by the initiator.
pub(super) async fn of_responder(connection: &Connection) -> Result<PublicKey, TransportError> {
    let exported = exported(connection)?;
    hear(connection, |key| message(RESPONDER, &exported, &[key])).await
}

/// Says who the initiator is, to a responder with this key.
pub(super) async fn as_initiator(
    connection: &Connection,
    context: &Context,
    responder: PublicKey,
) -> Result<(), TransportError> {
    let message = message(INITIATOR, &exported(connection)?, &[responder, context.key().public()]);
    say(connection, context, &message).await
}

/// Says who the responder is, and hears who the initiator is.
pub(super) async fn as_responder(
    connection: &Connection,
    context: &Context,
) -> Result<PublicKey, TransportError> {
    let (exported, own) = (exported(connection)?, context.key().public());
    say(connection, context, &message(RESPONDER, &exported, &[own])).await?;
    hear(connection, |key| message(INITIATOR, &exported, &[own, key])).await
}
