//! A session on a line: the greeting that proves both keys, then frames in pieces, in turn.
//!
//! A line proves nothing about who is at its other end. So each side signs what both have said, fresh nonces of both
//! included: the responder in its answer, the initiator in its proof. What follows is tied to that greeting by a tag
//! in every checksum, which keeps sessions apart but keeps nobody out who can write to the line himself: entries prove
//! themselves, all else is only as true as the line.

use serde::{Deserialize, Serialize};

use crate::{KeyError, PublicKey, SecretKey, Signature, canonical, wire::Binding};

use super::packet::{Decoder, Packet, PacketKind, Tag, encode};

/// The version of this layer.
const VERSION: u8 = 1;

const SESSION: &str = "pleach 2026 serial v1 session";
const RESPONDER: &str = "pleach 2026 serial v1 responder";
const INITIATOR: &str = "pleach 2026 serial v1 initiator";
const BINDING: &str = "pleach 2026 serial v1 binding";
const NONCE: &str = "pleach 2026 serial v1 nonce";

/// What both sides say of themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Greeting {
    version: u8,
    /// Bytes in a frame that it takes.
    frame: u32,
    nonce: [u8; 16],
    key: PublicKey,
}

/// Why a session ended or did not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// A packet was lost or damaged.
    #[error("expected packet {expected} on the line, got {found}: some were lost, greet again")]
    Lost {
        /// The number that was due.
        expected: u8,
        /// The number that came.
        found: u8,
    },
    /// Another node than expected.
    #[error("expected the node {expected} at the other end of the line, got {found}")]
    WrongKey {
        /// The key expected.
        expected: PublicKey,
        /// The key found.
        found: PublicKey,
    },
    /// This node's own key at the other end.
    #[error("the other end of the line has this node's own key: the line is a loop, or the node was copied")]
    OwnKey,
    /// The signature does not fit the greeting.
    #[error("the greeting's proof is not good: {0}")]
    Proof(#[from] KeyError),
    /// Another version, or no greeting at all.
    #[error("the greeting is not one of version {VERSION}: update the older of the two")]
    Greeting,
    /// The caller's buffer has fewer than [`super::ON_LINE`] bytes.
    #[error("the buffer for replies is too small")]
    Room,
}

/// What a byte brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// Nothing yet.
    Nothing,
    /// So many bytes of the reply are to be sent.
    Reply(usize),
    /// The same, and the session that was open is over: its initiator began anew.
    Restarted(usize),
    /// The session is open. So many bytes of the reply are to be sent.
    Opened {
        /// The key that the peer has proven.
        peer: PublicKey,
        /// Bytes of the reply.
        reply: usize,
    },
    /// A piece of a frame that goes on.
    Part(&'a [u8]),
    /// The last piece of a frame.
    Last(&'a [u8]),
    /// The end of the peer's message.
    End,
    /// The peer has let go of the session.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    /// Initiator: the answer is awaited. Responder: a hello is.
    Waiting,
    /// Responder: the proof is awaited.
    Answered {
        digest: [u8; 32],
        hello: Greeting,
    },
    Open,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Role {
    Initiator { expected: Option<PublicKey> },
    Responder,
}

/// One side of a session. Bytes that come go into [`Link::push`]; what is sent is written by [`Link::hello`] and
/// [`Link::write`]. Each wants a buffer of [`super::ON_LINE`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    decoder: Decoder,
    talk: Talk,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Talk {
    secret: SecretKey,
    role: Role,
    state: State,
    /// What this side says of itself.
    own: Greeting,
    /// What the session is known by.
    digest: [u8; 32],
    sent: u8,
    received: u8,
    peer_frame: u32,
}

impl Link {
    /// The side that begins. `nonce` is fresh and random; `frame` the bytes in a frame that it takes.
    pub fn initiator(secret: SecretKey, expected: Option<PublicKey>, nonce: [u8; 16], frame: u32) -> Self {
        Self::new(secret, Role::Initiator { expected }, nonce, frame)
    }

    /// The side that answers. `seed` is fresh and random; nonces are drawn from it.
    pub fn responder(secret: SecretKey, seed: [u8; 16], frame: u32) -> Self {
        Self::new(secret, Role::Responder, seed, frame)
    }

    fn new(secret: SecretKey, role: Role, nonce: [u8; 16], frame: u32) -> Self {
        let own = Greeting { version: VERSION, frame, nonce, key: secret.public() };
        let (state, digest) = (State::Waiting, [0; 32]);
        let talk = Talk { secret, role, state, own, digest, sent: 0, received: 0, peer_frame: 0 };
        Self { decoder: Decoder::default(), talk }
    }

    /// Writes an initiator's hello, which may be said again while no answer comes. Returns the bytes used.
    pub fn hello(&self, room: &mut [u8]) -> Option<usize> {
        let mut body = [0; 64];
        let payload = canonical::to_slice(&self.talk.own, &mut body)?;
        encode(&Packet { kind: PacketKind::Hello, number: 0, payload }, Tag::default(), room)
    }

    /// Writes a piece of a frame, an end or a close. Returns the bytes used.
    pub fn write(&mut self, kind: PacketKind, payload: &[u8], room: &mut [u8]) -> Option<usize> {
        let number = self.talk.sent;
        let used = encode(&Packet { kind, number, payload }, self.talk.tag(), room)?;
        self.talk.sent = number.wrapping_add(1);
        Some(used)
    }

    /// Bytes in a frame that the peer takes, once the session is open.
    pub const fn peer_frame(&self) -> u32 {
        self.talk.peer_frame
    }

    /// What proofs of further keys in this session are bound to, once it is open.
    pub fn binding(&self) -> Option<Binding> {
        let open = self.talk.state == State::Open;
        open.then(|| Binding::from_bytes(domain(BINDING, &self.talk.digest)))
    }

    /// Takes the next byte from the line. After an error the session is over; a responder waits for the next hello.
    pub fn push(&mut self, byte: u8, reply: &mut [u8]) -> Result<Heard<'_>, LinkError> {
        match self.decoder.push(byte, self.talk.tag()) {
            Some(packet) => self.talk.heard(packet, reply),
            None => Ok(Heard::Nothing),
        }
    }
}

impl Talk {
    fn tag(&self) -> Tag {
        Tag(self.digest.first_chunk().copied().unwrap_or_default())
    }

    fn heard<'a>(&mut self, packet: Packet<'a>, reply: &mut [u8]) -> Result<Heard<'a>, LinkError> {
        let result = match (packet.kind, self.role, self.state) {
            (PacketKind::Hello, Role::Responder, _) => self.answer(packet.payload, reply),
            (PacketKind::Answer, Role::Initiator { expected }, State::Waiting) => {
                self.prove(packet.payload, expected, reply)
            }
            (PacketKind::Proof, Role::Responder, State::Answered { digest, hello }) => {
                let peer = hello.key;
                let signature: Signature =
                    canonical::from_bytes(packet.payload).map_err(|_| LinkError::Greeting)?;
                peer.verify(&domain(INITIATOR, &digest), &signature)?;
                self.state = State::Open;
                Ok(Heard::Opened { peer, reply: 0 })
            }
            (PacketKind::Hello | PacketKind::Answer | PacketKind::Proof, ..) => Ok(Heard::Nothing),
            (PacketKind::Close, _, State::Open) => {
                self.state = State::Over;
                Ok(Heard::Closed)
            }
            (kind, _, State::Open) if packet.number == self.received => {
                self.received = self.received.wrapping_add(1);
                Ok(match kind {
                    PacketKind::Part => Heard::Part(packet.payload),
                    PacketKind::Last => Heard::Last(packet.payload),
                    _ => Heard::End,
                })
            }
            (_, _, State::Open) => Err(LinkError::Lost { expected: self.received, found: packet.number }),
            _ => Ok(Heard::Nothing),
        };
        if result.is_err() {
            self.state = State::Over;
        }
        result
    }

    /// Responder: whatever was under way is over, a new session begins.
    fn answer(&mut self, hello: &[u8], reply: &mut [u8]) -> Result<Heard<'static>, LinkError> {
        let was_open = self.state == State::Open;
        let theirs: Greeting = canonical::from_bytes(hello).map_err(|_| LinkError::Greeting)?;
        if theirs.version != VERSION {
            return Err(LinkError::Greeting);
        }
        // An initiator that waits says its hello again. It gets the answer that may be on its way already, so that its
        // proof fits whichever comes first. Otherwise a fresh nonce: no proof serves for two sessions.
        if !matches!(self.state, State::Answered { hello, .. } if hello == theirs) {
            let mut nonce = blake3::Hasher::new_derive_key(NONCE);
            nonce.update(&self.own.nonce).update(&theirs.nonce).update(&self.secret.to_bytes());
            nonce.finalize_xof().fill(&mut self.own.nonce);
        }
        let digest = session(&theirs, &self.own)?;
        let signature = self.secret.sign(&domain(RESPONDER, &digest));
        let mut body = [0; 160];
        let payload = canonical::to_slice(&(self.own, signature), &mut body).ok_or(LinkError::Room)?;
        let packet = Packet { kind: PacketKind::Answer, number: 0, payload };
        let used = encode(&packet, Tag::default(), reply).ok_or(LinkError::Room)?;
        self.begin(&digest, theirs.frame);
        self.state = State::Answered { digest, hello: theirs };
        Ok(if was_open { Heard::Restarted(used) } else { Heard::Reply(used) })
    }

    /// Initiator: the answer must be signed for this very hello. One that is not was made for another session, and still
    /// was on the line: it is passed over.
    fn prove(
        &mut self,
        answer: &[u8],
        expected: Option<PublicKey>,
        reply: &mut [u8],
    ) -> Result<Heard<'static>, LinkError> {
        let (theirs, signature): (Greeting, Signature) =
            canonical::from_bytes(answer).map_err(|_| LinkError::Greeting)?;
        if theirs.version != VERSION {
            return Err(LinkError::Greeting);
        }
        let digest = session(&self.own, &theirs)?;
        if theirs.key.verify(&domain(RESPONDER, &digest), &signature).is_err() {
            return Ok(Heard::Nothing);
        }
        if theirs.key == self.own.key {
            return Err(LinkError::OwnKey);
        }
        if let Some(expected) = expected.filter(|expected| *expected != theirs.key) {
            return Err(LinkError::WrongKey { expected, found: theirs.key });
        }
        self.begin(&digest, theirs.frame);
        let mut body = [0; 64];
        let proof = self.secret.sign(&domain(INITIATOR, &digest));
        let payload = canonical::to_slice(&proof, &mut body).ok_or(LinkError::Room)?;
        let packet = Packet { kind: PacketKind::Proof, number: 0, payload };
        let used = encode(&packet, self.tag(), reply).ok_or(LinkError::Room)?;
        self.state = State::Open;
        Ok(Heard::Opened { peer: theirs.key, reply: used })
    }

    fn begin(&mut self, digest: &[u8; 32], frame: u32) {
        self.digest = *digest;
        (self.sent, self.received, self.peer_frame) = (0, 0, frame);
    }
}

/// What a session is known by: all that both sides have said.
fn session(initiator: &Greeting, responder: &Greeting) -> Result<[u8; 32], LinkError> {
    let mut body = [0; 128];
    let said = canonical::to_slice(&(initiator, responder), &mut body).ok_or(LinkError::Room)?;
    Ok(*blake3::Hasher::new_derive_key(SESSION).update(said).finalize().as_bytes())
}

fn domain(domain: &str, digest: &[u8; 32]) -> [u8; 32] {
    *blake3::Hasher::new_derive_key(domain).update(digest).finalize().as_bytes()
}
