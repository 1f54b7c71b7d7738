//! Whole exchanges of nodes that show further keys, every byte of them.

use pleach_core::{
    PublicKey, SecretKey,
    entry::{Grant, Permission, VerifiedEntry, Who},
    node::NodeError,
    wire::{Binding, Bound, End, Frame, KeyProof, Kind, Mode, ProofTarget, RangeItem, Side},
};
use pleach_storage::conformance::Maker;
use pleach_tests::{
    frames::{control, frame, hello},
    world::HostId,
};
use pleach_transports::host::{Lent, Purpose};
use serde_json::{Value, json};

use super::{hex, sessions::Pair};

/// A user, whose key is no node's.
const ALICE: u8 = 201;

fn alice() -> SecretKey {
    SecretKey::from_bytes([ALICE; 32])
}

/// A tree that Alice may write, and that the node may read which is the server here; and what it may hold besides.
struct Tree {
    maker: Maker,
    base: Vec<VerifiedEntry>,
    /// By Alice.
    hers: VerifiedEntry,
    news: Vec<VerifiedEntry>,
}

impl Tree {
    fn new(server: PublicKey) -> Self {
        let maker = Maker::new(7);
        let root = maker.root();
        let grant = |key, permission| Grant { who: Who::Key(key), permission, name: None };
        let mut grants = [grant(alice().public(), Permission::Write(9)), grant(server, Permission::Read)];
        grants.sort_by_key(|grant| grant.who);
        let settings = maker.settings(&[root.position()], &grants, &[]);
        let hers = maker.signed_by(ALICE).entry(&[settings.position()], "hers", "mine");
        let news = maker.chain(settings.position(), 2);
        Self { maker, base: vec![root, settings], hers, news }
    }

    /// The same tree whose settings revoke Alice at last.
    fn revoked(&self) -> VerifiedEntry {
        self.maker.settings(&[self.base[1].position()], &[], &[Who::Key(alice().public())])
    }
}

/// The keys of the two nodes of any pair: the initiator's and the responder's.
fn nodes() -> [PublicKey; 2] {
    let pair = Pair::new(&Maker::new(7), &[], &[]);
    [pair.world.key(pair.initiator), pair.world.key(pair.responder)]
}

fn lend(pair: &Pair, host: HostId) -> Lent {
    pair.world.keyring(host).lend(Purpose::Database(pair.tree), [alice()])
}

/// The vector, in which every message with proofs is bound to the one exchange that there was.
fn told(
    pair: &Pair,
    (name, about): (&str, &str),
    before: &[Vec<String>; 2],
    binding: &Binding,
    refused: &Value,
) -> Value {
    let mut vector = pair.vector(name, about, before, refused);
    vector["keys"] = json!({
        "initiator": pair.world.key(pair.initiator).to_string(),
        "responder": pair.world.key(pair.responder).to_string(),
    });
    for (message, frames) in
        vector["messages"].as_array_mut().expect("a list").iter_mut().zip(pair.tape.borrow().iter())
    {
        if frames.iter().any(|frame| matches!(Frame::read(frame), Ok(Frame::Keys(_)))) {
            message["binding"] = json!(hex(binding.as_bytes()));
        }
    }
    vector
}

/// An exchange of two nodes, of which these show Alice's key.
fn synced(mut pair: Pair, names: (&str, &str), lends: [bool; 2], ends: Option<&NodeError>) -> Value {
    let hosts = [pair.initiator, pair.responder].into_iter().zip(lends);
    let _lent: Vec<_> = hosts.filter(|(_, lends)| *lends).map(|(host, _)| lend(&pair, host)).collect();
    let (before, binding) = (pair.both(), pair.world.next_binding());
    let ended = pair.world.sync(pair.initiator, pair.responder, pair.tree).err();
    let refused =
        if ended == Some(NodeError::NotOffered(pair.tree)) { json!("Unknown") } else { Value::Null };
    assert_eq!(ended.as_ref(), ends, "{}", names.0);
    // What it would have pushed is not said: the message is broken off.
    let is_whole = |message: &Vec<Vec<u8>>| {
        let last = message.last().map(|frame| Frame::read(frame));
        matches!(last, Some(Ok(Frame::End(_) | Frame::Refusal(_))))
    };
    pair.tape.borrow_mut().retain(is_whole);
    told(&pair, names, &before, &binding, &refused)
}

fn exchanges() -> Vec<Value> {
    let [one, other] = nodes();
    // Once the server answers, once it asks.
    let (tree, dialling) = (Tree::new(other), Tree::new(one));
    let (base, hers, news) = (&tree.base[..], std::slice::from_ref(&tree.hers), &tree.news[..]);
    let pair = |initiator: &[&[VerifiedEntry]], responder: &[&[VerifiedEntry]]| {
        Pair::new(&tree.maker, initiator, responder)
    };
    let there = || {
        let (base, news) = (&dialling.base[..], &dialling.news[..]);
        Pair::new(&dialling.maker, &[base, news], &[base])
    };
    let id = tree.maker.tree();
    let (unknown, gives_nothing) = (NodeError::NotOffered(id), NodeError::PeerMayNotRead(id));
    let revoked = tree.revoked();
    vec![
        synced(
            pair(&[], &[base, news]),
            ("a user's key", "the initiator's node may not read, and shows a key that may"),
            [true, false],
            None,
        ),
        synced(
            pair(&[], &[base, news]),
            ("without a user's key", "the same node without it"),
            [false, false],
            Some(&unknown),
        ),
        synced(
            pair(&[base, hers], &[base, news]),
            ("a user's key in each request", "the proofs of a request hold for that request alone"),
            [true, false],
            None,
        ),
        synced(
            pair(&[base], &[base, std::slice::from_ref(&revoked)]),
            ("a user's key that was revoked", "the proof is good, and may nothing any more"),
            [true, false],
            Some(&unknown),
        ),
        synced(
            there(),
            ("a user's key of the responder", "the initiator gives once it has seen a key that may read"),
            [false, true],
            None,
        ),
        synced(
            there(),
            ("a responder without a user's key", "the initiator gives nothing"),
            [false, false],
            Some(&gives_nothing),
        ),
    ]
}

/// What a proof is made for.
type Forge = fn(&Binding, ProofTarget) -> KeyProof;

/// The frames of a request in some order: proofs, head, end.
type Order = fn([Vec<u8>; 3]) -> Vec<Vec<u8>>;

/// The key of another user, who was granted nothing.
fn bob() -> SecretKey {
    SecretKey::from_bytes([5; 32])
}

/// A request for all of the tree by a node that may not read it, or by nobody.
fn said(names: (&str, &str), node: bool, proofs: &[Forge], order: Order) -> Value {
    let [_, server] = nodes();
    let tree = Tree::new(server);
    let mut pair = Pair::new(&tree.maker, &[], &[&tree.base]);
    let (before, binding) = (pair.both(), pair.world.next_binding());
    let key = pair.world.key(pair.initiator);
    let target = ProofTarget { side: Side::Initiator, by: key, to: server, tree: Some(pair.tree) };
    let proofs: Vec<_> = proofs.iter().map(|proof| proof(&binding, target)).collect();
    let all = RangeItem { bound: Bound::default(), mode: Mode::Empty };
    let request = order([
        frame(Kind::Keys, &(), proofs),
        frame(Kind::Sync, &hello(pair.tree), [all]),
        control(Kind::End, &End::default()),
    ]);
    pair.tape.borrow_mut().push(request.clone());
    let answer = pair.world.ask(pair.responder, node.then_some(key), request).expect("an answer");
    let refused = match Frame::read(&answer[0]).expect("a frame") {
        Frame::Refusal(refusal) => serde_json::to_value(refusal).expect("JSON"),
        _ => Value::Null,
    };
    let mut vector = told(&pair, names, &before, &binding, &refused);
    if refused.is_null() {
        // It was asked for here in a node's place, which would have stored what came.
        vector["initiator"]["after"] = vector["responder"]["after"].clone();
    }
    if !node {
        vector["keys"]["initiator"] = Value::Null;
    }
    vector
}

/// Proofs that are worth nothing, and such as stand where none belong.
fn refused() -> Vec<Value> {
    let good: Forge = |here, target| target.prove(&alice(), here);
    let elsewhere: Forge = |_, target| target.prove(&alice(), &Binding::from_bytes([0; 32]));
    let worthless: [(&str, &[Forge]); 8] = [
        ("a key that may not read", &[|here, target| target.prove(&bob(), here)]),
        ("a proof of another exchange", &[elsewhere]),
        (
            "a proof to another node",
            &[|here, target| ProofTarget { to: alice().public(), ..target }.prove(&alice(), here)],
        ),
        (
            "a proof from another node",
            &[|here, target| ProofTarget { by: target.to, ..target }.prove(&alice(), here)],
        ),
        ("a proof for lists", &[|here, target| ProofTarget { tree: None, ..target }.prove(&alice(), here)]),
        (
            "a proof for a response",
            &[|here, target| ProofTarget { side: Side::Responder, ..target }.prove(&alice(), here)],
        ),
        (
            "a key that another signed for",
            &[|here, target| KeyProof { key: alice().public(), ..target.prove(&bob(), here) }],
        ),
        ("a good proof beside a false one", &[good, elsewhere]),
    ];
    let about = "the answer is that about a tree that is not there";
    let mut list: Vec<_> = worthless
        .iter()
        .map(|(name, proofs)| said((&format!("refused: {name}"), about), true, proofs, |all| all.to_vec()))
        .collect();
    let nobodys = ("refused: a proof by nobody", "whoever has proven no node key shows none");
    list.push(said(nobodys, false, &[good], |all| all.to_vec()));
    assert!(list.iter().all(|vector| vector["refused"] == "Unknown"));
    let orders: [(&str, Order); 2] = [
        ("proofs twice", |[keys, head, end]| vec![keys.clone(), keys, head, end]),
        ("proofs behind the head", |[keys, head, end]| vec![keys.clone(), head, keys, end]),
    ];
    for (name, order) in orders {
        let names = (&*format!("refused: {name}"), "proofs come once, and in front");
        list.push(said(names, true, &[good], order));
    }
    list
}

/// Of several keys one is enough.
fn two() -> Value {
    let names = ("two keys, of which one may read", "as many as 16");
    said(
        names,
        true,
        &[|here, target| target.prove(&bob(), here), |here, target| target.prove(&alice(), here)],
        |all| all.to_vec(),
    )
}

pub(super) fn vectors() -> Vec<Value> {
    [exchanges(), vec![two()], refused()].concat()
}
