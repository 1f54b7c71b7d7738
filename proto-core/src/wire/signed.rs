//! What is signed where the transport proves no keys (HTTP), made and checked in one place.
//!
//! A request is signed over its audience, method, path, body, time and nonce. A response begins with a head signed
//! for exactly that request and ends with a signature over all before it. Each kind of signature has a domain of its
//! own that carries the version, so that none can stand for another, and both keys are in every one of them.
//!
//! A signature is over the 32 bytes of a BLAKE3 hash over a few lines of text, the domain first, so that a person with
//! the usual tools can make and check one; see `docs/http.md`.

use core::{
    fmt::{self, Write},
    str::FromStr,
};

use blake3::Hasher;
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};

use super::Binding;
use crate::{KeyError, PublicKey, SecretKey, Signature};

/// Bytes that make a request unique, drawn at random by its sender.
pub type Nonce = [u8; 16];

/// Milliseconds by which a request's time may differ from the responder's stated time, either way: as long as a
/// request plausibly takes, as short as a replay should live.
pub const FRESHNESS: u64 = 60_000;

/// The versions of the signed layer that this code speaks, lowest and highest.
pub const VERSIONS: (u16, u16) = (1, 1);

const REQUEST: &str = "pleach/1/http/request";
const HEAD: &str = "pleach/1/http/response/head";
const END: &str = "pleach/1/http/response/end";
const NODE: &str = "pleach/1/http/node";
const BINDING: &str = "pleach/1/http/binding";

/// Why something signed is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignedError {
    /// A request's time is more than [`FRESHNESS`] away from ours.
    #[error(
        "the request's time {claimed} is more than {FRESHNESS} ms from the responder's {stated}: sign it again with that time"
    )]
    Stale {
        /// Milliseconds that the request names.
        claimed: u64,
        /// Milliseconds that the responder states.
        stated: u64,
    },
    /// Our own key at the other end: a reflected message, or a copy of this node.
    #[error("the message is signed with this node's own key: it was reflected, or the node was copied")]
    OwnKey,
    /// No common version.
    #[error("expected a version in {}..={}, the peer speaks {low}..={high}: update the older one", VERSIONS.0, VERSIONS.1)]
    Version {
        /// The peer's lowest.
        low: u16,
        /// The peer's highest.
        high: u16,
    },
    /// Another key than expected.
    #[error("signed by another key than expected: ask for the peer's address again")]
    OtherKey,
    /// The signature fits neither this message nor this audience.
    #[error("{0}: it was signed for another audience, request or content, or changed on the way")]
    Signature(#[from] KeyError),
}

/// Hashes text as it is written.
struct Text(Hasher);

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

/// The hash of lines.
pub(super) fn digest(lines: fmt::Arguments<'_>) -> [u8; 32] {
    let mut text = Text(Hasher::new());
    // Neither this writer nor what is shown here fails.
    let _ = text.write_fmt(lines);
    *text.0.finalize().as_bytes()
}

/// Bytes as hexadecimal digits.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a request says about itself, apart from who sends it.
#[derive(Clone, Copy, Debug)]
pub struct RequestTarget<'a> {
    /// The key of the node that shall answer.
    pub audience: PublicKey,
    /// `GET`, `POST`.
    pub method: &'a str,
    /// The path, with its query. Like the method without line feeds, which HTTP does not know there.
    pub path: &'a str,
    /// The BLAKE3 hash of the body ([`body_hash`]).
    pub body: [u8; 32],
}

/// The hash of a body, as a request's signature covers it.
pub fn body_hash(body: &[u8]) -> [u8; 32] {
    *blake3::hash(body).as_bytes()
}

/// One request's name: what its signature covers, and what the response is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestDigest([u8; 32]);

impl RequestTarget<'_> {
    /// The name of this request, sent by `sender` (nobody, if it is unsigned).
    pub fn digest(&self, sender: Option<PublicKey>, time: u64, nonce: &Nonce) -> RequestDigest {
        let Self { audience, method, path, body } = self;
        let (body, nonce) = (Hex(body), Hex(nonce));
        RequestDigest(match sender {
            Some(sender) => digest(format_args!(
                "{REQUEST}\n{sender}\n{audience}\n{method}\n{path}\n{body}\n{time}\n{nonce}\n"
            )),
            None => {
                digest(format_args!("{REQUEST}\n-\n{audience}\n{method}\n{path}\n{body}\n{time}\n{nonce}\n"))
            }
        })
    }
}

/// What travels beside a signed request, as text in a header: the key, the time, the nonce in hexadecimal digits and
/// the signature in base64, with a space between each two.
///
/// ```
/// # use pleach_core::{SecretKey, wire::{RequestHead, RequestTarget, body_hash}};
/// let (asker, server) = (SecretKey::from_bytes([1; 32]), SecretKey::from_bytes([2; 32]));
/// let body = body_hash(b"frames");
/// let target = RequestTarget { audience: server.public(), method: "POST", path: "/api/v0/sync", body };
/// let head = RequestHead::sign(&asker, &target, 1_000, [3; 16]);
/// assert!(head.check(&target, 1_000).is_ok());
/// let other = RequestTarget { body: body_hash(b"changed"), ..target };
/// assert!(head.check(&other, 1_000).is_err());
/// assert_eq!(head.to_string().parse(), Ok(head));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// Who asks.
    pub key: PublicKey,
    /// Wall milliseconds, near the responder's stated time.
    pub time: u64,
    /// What makes the request unique.
    pub nonce: Nonce,
    /// Over the request's digest.
    pub signature: Signature,
}

impl RequestHead {
    /// Signs a request. `nonce` is fresh and random, `time` is the responder's as far as it is known.
    pub fn sign(secret: &SecretKey, target: &RequestTarget<'_>, time: u64, nonce: Nonce) -> Self {
        let key = secret.public();
        let RequestDigest(digest) = target.digest(Some(key), time, &nonce);
        Self { key, time, nonce, signature: secret.sign(&digest) }
    }

    /// Checks a request at the responder, whose time is `stated`: the cheap rules first, then the signature.
    pub fn check(&self, target: &RequestTarget<'_>, stated: u64) -> Result<RequestDigest, SignedError> {
        if self.key == target.audience {
            return Err(SignedError::OwnKey);
        }
        if self.time.abs_diff(stated) > FRESHNESS {
            return Err(SignedError::Stale { claimed: self.time, stated });
        }
        let digest = self.digest(target);
        self.key.verify(&digest.0, &self.signature)?;
        Ok(digest)
    }

    /// What proofs of further keys in the request and its response are bound to.
    pub fn binding(&self) -> Binding {
        Self::binds(self.time, &self.nonce)
    }

    /// What they are bound to in a request that will be signed with this time and nonce.
    pub fn binds(time: u64, nonce: &Nonce) -> Binding {
        Binding::from_bytes(digest(format_args!("{BINDING}\n{time}\n{}\n", Hex(nonce))))
    }

    /// The name of the request that this is the head of.
    pub fn digest(&self, target: &RequestTarget<'_>) -> RequestDigest {
        target.digest(Some(self.key), self.time, &self.nonce)
    }
}

impl fmt::Display for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, time, nonce, signature } = self;
        write!(f, "{key} {time} {} {signature}", Hex(nonce))
    }
}

/// A text is not that of a [`RequestHead`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected `KEY TIME NONCE SIGNATURE`: base32, milliseconds, 32 hexadecimal digits, base64; {0} is not that"
)]
pub struct RequestHeadError(&'static str);

impl FromStr for RequestHead {
    type Err = RequestHeadError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split(' ');
        let mut word = |name| words.next().ok_or(RequestHeadError(name));
        let head = Self {
            key: word("the key")?.parse().map_err(|_| RequestHeadError("the key"))?,
            time: word("the time")?.parse().map_err(|_| RequestHeadError("the time"))?,
            nonce: nonce_of(word("the nonce")?).ok_or(RequestHeadError("the nonce"))?,
            signature: word("the signature")?.parse().map_err(|_| RequestHeadError("the signature"))?,
        };
        if words.next().is_none() { Ok(head) } else { Err(RequestHeadError("what follows the signature")) }
    }
}

/// Reads a nonce's 32 hexadecimal digits.
pub fn nonce_of(text: &str) -> Option<Nonce> {
    let mut nonce = Nonce::default();
    let right = text.len() == 32 && HEXLOWER_PERMISSIVE.decode_mut(text.as_bytes(), &mut nonce).is_ok();
    right.then_some(nonce)
}

/// How a response begins: proof that the audience itself answers this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseHead {
    /// Who answers.
    pub key: PublicKey,
    /// The responder's wall milliseconds.
    pub time: u64,
    /// Over the key, the request's digest and the time.
    pub signature: Signature,
}

impl ResponseHead {
    fn message(key: PublicKey, request: RequestDigest, time: u64) -> [u8; 32] {
        digest(format_args!("{HEAD}\n{key}\n{}\n{time}\n", Hex(&request.0)))
    }

    /// Signs the head of the response to a request.
    pub fn sign(secret: &SecretKey, request: RequestDigest, time: u64) -> Self {
        let key = secret.public();
        Self { key, time, signature: secret.sign(&Self::message(key, request, time)) }
    }

    /// Checks that `expected` answers this very request.
    pub fn check(&self, expected: PublicKey, request: RequestDigest) -> Result<(), SignedError> {
        if self.key != expected {
            return Err(SignedError::OtherKey);
        }
        Ok(self.key.verify(&Self::message(self.key, request, self.time), &self.signature)?)
    }
}

/// All bytes of a response so far, in the order of the wire; its end is a signature over them.
///
/// ```
/// # use pleach_core::{SecretKey, wire::{RequestTarget, Transcript, body_hash}};
/// let server = SecretKey::from_bytes([2; 32]);
/// let target =
///     RequestTarget { audience: server.public(), method: "POST", path: "/", body: body_hash(b"") };
/// let request = target.digest(None, 0, &[0; 16]);
/// let mut sent = Transcript::new(request);
/// sent.add(b"head and frames");
/// let end = sent.sign(&server);
/// let mut received = Transcript::new(request);
/// received.add(b"head and ");
/// assert!(received.check(server.public(), &end).is_err());
/// received.add(b"frames");
/// assert!(received.check(server.public(), &end).is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct Transcript {
    request: RequestDigest,
    hasher: Hasher,
}

impl Transcript {
    /// Of the response to this request.
    pub fn new(request: RequestDigest) -> Self {
        Self { request, hasher: Hasher::new() }
    }

    /// Takes the next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    fn message(&self, key: PublicKey) -> [u8; 32] {
        let bytes = self.hasher.finalize();
        digest(format_args!("{END}\n{key}\n{}\n{}\n", Hex(&self.request.0), Hex(bytes.as_bytes())))
    }

    /// The signature that ends the response.
    pub fn sign(&self, secret: &SecretKey) -> Signature {
        secret.sign(&self.message(secret.public()))
    }

    /// Checks the signature that came at the end.
    pub fn check(&self, responder: PublicKey, signature: &Signature) -> Result<(), SignedError> {
        Ok(responder.verify(&self.message(responder), signature)?)
    }
}

/// What a node says about itself to whoever asks, signed for the asker's nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAnswer {
    /// The node's key.
    pub key: PublicKey,
    /// The versions that it speaks, lowest and highest.
    pub versions: (u16, u16),
    /// Its wall milliseconds: what requests to it are measured against.
    pub time: u64,
    /// Over all of this and the nonce.
    pub signature: Signature,
}

impl NodeAnswer {
    fn message(key: PublicKey, versions: (u16, u16), time: u64, nonce: &Nonce) -> [u8; 32] {
        let (low, high) = versions;
        digest(format_args!("{NODE}\n{key}\n{low} {high}\n{time}\n{}\n", Hex(nonce)))
    }

    /// Answers an asker.
    pub fn sign(secret: &SecretKey, time: u64, nonce: &Nonce) -> Self {
        let key = secret.public();
        let signature = secret.sign(&Self::message(key, VERSIONS, time, nonce));
        Self { key, versions: VERSIONS, time, signature }
    }

    /// Checks an answer at the asker, whose own key is `own`, and who may expect a key.
    pub fn check(
        &self,
        own: PublicKey,
        expected: Option<PublicKey>,
        nonce: &Nonce,
    ) -> Result<(), SignedError> {
        if self.key == own {
            return Err(SignedError::OwnKey);
        }
        if expected.is_some_and(|expected| expected != self.key) {
            return Err(SignedError::OtherKey);
        }
        self.key.verify(&Self::message(self.key, self.versions, self.time, nonce), &self.signature)?;
        let (low, high) = self.versions;
        if low > VERSIONS.1 || high < VERSIONS.0 {
            return Err(SignedError::Version { low, high });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: Nonce = [5; 16];

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_bytes([seed; 32])
    }

    fn target(body: &[u8]) -> RequestTarget<'static> {
        let body = body_hash(body);
        RequestTarget { audience: key(2).public(), method: "POST", path: "/api/v0/sync", body }
    }

    #[test]
    fn a_request_is_good_for_one_audience_method_path_and_body() {
        let head = RequestHead::sign(&key(1), &target(b"x"), 100, NONCE);
        assert!(head.check(&target(b"x"), 100).is_ok());
        let refused = Err(SignedError::Signature(KeyError::BadSignature));
        assert_eq!(head.check(&RequestTarget { audience: key(3).public(), ..target(b"x") }, 100), refused);
        assert_eq!(head.check(&RequestTarget { method: "GET", ..target(b"x") }, 100), refused);
        assert_eq!(head.check(&RequestTarget { path: "/api/v0/other", ..target(b"x") }, 100), refused);
        assert_eq!(head.check(&target(b"y"), 100), refused);
        assert_eq!(RequestHead { nonce: [6; 16], ..head }.check(&target(b"x"), 100), refused);
        assert_eq!(RequestHead { time: 101, ..head }.check(&target(b"x"), 100), refused);
        assert_eq!(RequestHead { key: key(4).public(), ..head }.check(&target(b"x"), 100), refused);
    }

    #[test]
    fn fields_do_not_run_into_one_another() {
        let whole = RequestTarget { method: "PO", path: "ST/", ..target(b"") };
        let split = RequestTarget { method: "POS", path: "T/", ..target(b"") };
        assert_ne!(whole.digest(None, 0, &NONCE), split.digest(None, 0, &NONCE));
    }

    #[test]
    fn what_is_signed_is_the_hash_of_these_lines() {
        let lines = std::format!(
            "pleach/1/http/request\n{}\n{}\nPOST\n/api/v0/sync\n{}\n100\n{}\n",
            key(1).public(),
            key(2).public(),
            Hex(&body_hash(b"x")),
            "05".repeat(16)
        );
        let head = RequestHead::sign(&key(1), &target(b"x"), 100, NONCE);
        assert_eq!(key(1).public().verify(&body_hash(lines.as_bytes()), &head.signature), Ok(()));
    }

    #[test]
    fn a_header_that_is_cut_or_padded_is_refused() {
        let text = std::string::ToString::to_string(&RequestHead::sign(&key(1), &target(b""), 100, NONCE));
        for end in 0..text.len() {
            assert!(text.get(..end).unwrap().parse::<RequestHead>().is_err());
        }
        for changed in [
            std::format!("{text} "),
            std::format!(" {text}"),
            std::format!("{text} x"),
            text.replace(' ', "  "),
            text.replace(" 100 ", " 18446744073709551616 "),
            text.replace(" 100 ", " -1 "),
            text.replace(" 05", " 0505"),
            text.replace("==", ""),
        ] {
            assert!(changed.parse::<RequestHead>().is_err(), "{changed}");
        }
    }

    #[test]
    fn a_request_is_fresh_for_a_minute_of_the_responders_time() {
        const TEN_YEARS: u64 = 315_576_000_000;
        let head = RequestHead::sign(&key(1), &target(b""), TEN_YEARS, NONCE);
        for stated in [TEN_YEARS - FRESHNESS, TEN_YEARS, TEN_YEARS + FRESHNESS] {
            assert!(head.check(&target(b""), stated).is_ok());
        }
        for stated in [0, TEN_YEARS - FRESHNESS - 1, TEN_YEARS + FRESHNESS + 1, 2 * TEN_YEARS, u64::MAX] {
            let stale = SignedError::Stale { claimed: TEN_YEARS, stated };
            assert_eq!(head.check(&target(b""), stated), Err(stale));
        }
    }

    #[test]
    fn a_reflected_message_is_refused() {
        let head = RequestHead::sign(&key(2), &target(b""), 0, NONCE);
        assert_eq!(head.check(&target(b""), 0), Err(SignedError::OwnKey));
        let answer = NodeAnswer::sign(&key(1), 0, &NONCE);
        assert!(answer.check(key(2).public(), None, &NONCE).is_ok());
        assert_eq!(answer.check(key(1).public(), None, &NONCE), Err(SignedError::OwnKey));
    }

    #[test]
    fn a_response_is_good_for_one_request_and_one_responder() {
        let request = target(b"").digest(Some(key(1).public()), 0, &NONCE);
        let other = target(b"").digest(Some(key(1).public()), 0, &[6; 16]);
        let head = ResponseHead::sign(&key(2), request, 7);
        assert!(head.check(key(2).public(), request).is_ok());
        assert!(head.check(key(2).public(), other).is_err());
        assert_eq!(head.check(key(3).public(), request), Err(SignedError::OtherKey));
        assert!(ResponseHead { time: 8, ..head }.check(key(2).public(), request).is_err());
        let end = Transcript::new(request).sign(&key(2));
        assert!(Transcript::new(other).check(key(2).public(), &end).is_err());
        assert!(Transcript::new(request).check(key(3).public(), &end).is_err());
    }

    #[test]
    fn no_signature_stands_for_one_of_another_kind() {
        // The same node signs all kinds here; each is offered in the place of each other.
        let request = target(b"").digest(None, 0, &NONCE);
        let signatures = [
            key(2).sign(&request.0),
            ResponseHead::sign(&key(2), request, 0).signature,
            Transcript::new(request).sign(&key(2)),
            NodeAnswer::sign(&key(2), 0, &NONCE).signature,
        ];
        for (i, signature) in signatures.into_iter().enumerate() {
            let head = ResponseHead { key: key(2).public(), time: 0, signature };
            assert_eq!(head.check(key(2).public(), request).is_ok(), i == 1);
            assert_eq!(Transcript::new(request).check(key(2).public(), &signature).is_ok(), i == 2);
            let node = NodeAnswer { key: key(2).public(), versions: VERSIONS, time: 0, signature };
            assert_eq!(node.check(key(1).public(), None, &NONCE).is_ok(), i == 3);
        }
    }

    #[test]
    fn an_answer_of_unknown_versions_is_refused_with_their_numbers() {
        let versions = (2, 9);
        let signature = key(2).sign(&NodeAnswer::message(key(2).public(), versions, 0, &NONCE));
        let answer = NodeAnswer { key: key(2).public(), versions, time: 0, signature };
        let refused = SignedError::Version { low: 2, high: 9 };
        assert_eq!(answer.check(key(1).public(), None, &NONCE), Err(refused));
        let other = NodeAnswer { versions: VERSIONS, ..answer };
        assert!(matches!(other.check(key(1).public(), None, &NONCE), Err(SignedError::Signature(_))));
    }
}
