//! A peer that proves its key and says whatever it likes.

use std::sync::Arc;

use pleach_core::{
    Id, SecretKey, canonical,
    entry::{Origin, Permission, VerifiedEntry},
    wire::{Ask, Bound, Frame, Hello, Kind, Mode, RangeItem, Refusal, TreesRequest, Versions},
};
use pleach_transports::{
    Address, Prover, Transport, TransportError,
    conformance::{Driven, Served},
};

use crate::stage::{Grove, Hands, Stage, secret};
pub(crate) use pleach_tests::frames::{end, entries, frame, hello};

/// The frame of a head of a request, which wants nothing.
pub(crate) fn sync(hello: &Hello) -> Vec<u8> {
    frame(Kind::Sync, hello, [RangeItem { bound: Bound::default(), mode: Mode::Skip }])
}

/// A request that pushes entries and wants nothing.
pub(crate) fn push(tree: Id, all: &[Vec<u8>]) -> Vec<Vec<u8>> {
    vec![sync(&hello(tree)), entries(all), end()]
}

/// A request that wants everything.
pub(crate) fn fetch(tree: Id) -> Vec<Vec<u8>> {
    let all = RangeItem { bound: Bound::default(), mode: Mode::Empty };
    vec![frame(Kind::Sync, &hello(tree), [all]), end()]
}

/// A request for access.
pub(crate) fn ask(tree: Id, permission: Permission, name: &str) -> Vec<Vec<u8>> {
    let name = name.try_into().expect("a short name");
    let ask = Ask { versions: Versions::OURS, tree, permission, name, invite: None, hold: 0 };
    vec![frame(Kind::Ask, &ask, *b"please")]
}

/// A request for what there is.
pub(crate) fn trees() -> Vec<Vec<u8>> {
    vec![frame(Kind::Trees, &TreesRequest { versions: Versions::OURS, after: None }, [(); 0])]
}

/// Who says it.
pub(crate) struct Peer(Arc<dyn Transport>);

impl Peer {
    pub(crate) fn new(stage: &Stage, seed: u8, clock: &Hands) -> Self {
        Self(stage.transport(seed, clock, false))
    }

    /// The answer to a request.
    pub(crate) fn say(&self, to: &Address, request: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, TransportError> {
        let mut exchange = Driven::open(&*self.0, to)?;
        // Whoever refuses may go before it has heard all.
        let _ = exchange.say(request);
        exchange.hear().map(Option::unwrap_or_default)
    }

    /// The answer to a request behind proofs of further keys.
    pub(crate) fn say_proving(
        &self,
        to: &Address,
        prover: &Prover,
        request: &[Vec<u8>],
    ) -> Result<Vec<Vec<u8>>, TransportError> {
        let mut exchange = Driven::open(&*self.0, to)?;
        exchange.prove(prover)?;
        let _ = exchange.say(request);
        exchange.hear().map(Option::unwrap_or_default)
    }

    /// The refusal that is the answer to a request.
    pub(crate) fn refused(&self, to: &Address, request: &[Vec<u8>]) -> Refusal {
        let answer = self.say(to, request).expect("an answer");
        match answer.last().map(|frame| Frame::read(frame)) {
            Some(Ok(Frame::Refusal(refusal))) => refusal,
            other => panic!("no refusal: {other:?}"),
        }
    }

    /// An answer that refuses nothing.
    pub(crate) fn accepted(&self, to: &Address, request: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let answer = self.say(to, request).expect("an answer");
        let refusal = answer.iter().find(|frame| matches!(Frame::read(frame), Ok(Frame::Refusal(_))));
        assert!(!answer.is_empty() && refusal.is_none(), "{:?}", refusal.map(|frame| Frame::read(frame)));
        answer
    }
}

/// Somebody who listens as a node, and answers each request with what is returned.
pub(crate) fn answers(
    stage: &Stage,
    seed: u8,
    clock: &Hands,
    answer: impl Fn(&[Vec<u8>]) -> Vec<Vec<u8>> + Send + Sync + 'static,
) -> Served {
    let listener = stage.transport(seed, clock, true).listen().expect("a place");
    Served::new(listener, move |mut exchange| {
        while let Some(request) = exchange.hear()? {
            exchange.say(&answer(&request))?;
        }
        Ok(())
    })
}

/// An entry of which every part can be wrong.
#[derive(Clone)]
pub(crate) struct Raw {
    pub(crate) version: u8,
    pub(crate) origin: Origin,
    pub(crate) height: u64,
    pub(crate) time: u64,
    pub(crate) parents: Vec<Id>,
    pub(crate) author: SecretKey,
    pub(crate) stores: Vec<(String, Vec<u8>)>,
}

impl Raw {
    /// A good entry of a key on the first settings of a tree.
    pub(crate) fn good(grove: &Grove, author: u8) -> Self {
        let start = grove.start.position();
        Self {
            version: 1,
            origin: Origin::Tree(grove.tree()),
            height: start.height + 1,
            time: 7,
            parents: vec![start.id],
            author: secret(author),
            stores: vec![("doc".into(), map(&[("raw", &[0])]))],
        }
    }

    /// All before the signature.
    pub(crate) fn unsigned(&self) -> Vec<u8> {
        let Self { version, origin, height, time, parents, author, stores } = self;
        canonical::to_vec(&(version, origin, height, time, parents, author.public(), stores))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        signed(self.unsigned(), &self.author)
    }
}

/// Bytes with the signature of an entry behind them.
pub(crate) fn signed(mut bytes: Vec<u8>, key: &SecretKey) -> Vec<u8> {
    let signature = key.sign(&blake3::derive_key("pleach 2026 entry v1 signature", &bytes));
    bytes.extend(signature.as_bytes());
    bytes
}

/// The data of a map: encoded values at paths.
pub(crate) fn map(writes: &[(&str, &[u8])]) -> Vec<u8> {
    let writes: Vec<_> = writes.iter().map(|(path, value)| (*path, Some(value.to_vec()))).collect();
    [vec![0], canonical::to_vec(&writes)].concat()
}

/// The bytes of entries.
pub(crate) fn bytes_of(all: &[&VerifiedEntry]) -> Vec<Vec<u8>> {
    all.iter().map(|entry| entry.bytes().to_vec()).collect()
}
