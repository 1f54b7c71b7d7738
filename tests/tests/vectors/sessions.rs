//! Whole exchanges between two sets, every byte of them.

use std::sync::Arc;

use pleach_core::{
    Id, Range,
    entry::{Grant, Permission, VerifiedEntry, Who},
    node::{Command, Tracking},
    storage::Store,
    wire::{Frame, Kind, Refusal, json as text},
};
use pleach_storage::{Memory, conformance::Maker};
use pleach_tests::{
    frames::control,
    world::{HostId, World},
};
use serde_json::{Value, json};

use super::{
    hex,
    tape::{Tape, listen, messages},
};

/// Two hosts over two sets, and what they say to each other.
pub(super) struct Pair {
    pub(super) world: World,
    pub(super) tree: Id,
    pub(super) initiator: HostId,
    pub(super) responder: HostId,
    pub(super) tape: Tape,
}

/// A tree that everybody may read.
fn grown(maker: &Maker) -> Vec<VerifiedEntry> {
    let everybody = [Grant { who: Who::Everyone, permission: Permission::Read, name: None }];
    vec![maker.root(), maker.settings(&[maker.root().position()], &everybody, &[])]
}

/// A store of these, whose epoch follows from a number.
fn holding(maker: &Maker, entries: &[&[VerifiedEntry]], number: u8) -> Memory {
    let store = Memory::salted([number; 32]);
    for part in entries.iter().filter(|part| !part.is_empty()) {
        store.write(&maker.put(*part)).expect("they are valid");
    }
    store
}

impl Pair {
    pub(super) fn new(maker: &Maker, initiator: &[&[VerifiedEntry]], responder: &[&[VerifiedEntry]]) -> Self {
        let mut world = World::new(1);
        let tape = listen(&mut world);
        let (responder, initiator) = (
            world.host_over(Arc::new(holding(maker, responder, 1))),
            world.host_over(Arc::new(holding(maker, initiator, 2))),
        );
        Self { world, tree: maker.tree(), initiator, responder, tape }
    }

    fn ids(&self, host: HostId) -> Vec<String> {
        let snapshot = self.world.snapshot(host);
        let positions = match snapshot.summary(&self.tree).expect("a summary") {
            Some(_) => snapshot.positions(&self.tree, &Range::ALL, 10_000).expect("positions"),
            None => Vec::new(),
        };
        positions.iter().map(|position| position.id.to_string()).collect()
    }

    pub(super) fn both(&self) -> [Vec<String>; 2] {
        [self.ids(self.initiator), self.ids(self.responder)]
    }

    pub(super) fn sync(&mut self) {
        let (initiator, responder, tree) = (self.initiator, self.responder, self.tree);
        self.world.sync(initiator, responder, tree).expect("an exchange");
    }

    /// What one side of a session says, who does not keep to the order that a node takes.
    fn say(&mut self, frames: &[Value]) {
        let frames: Vec<_> =
            frames.iter().map(|frame| text::from_text(&frame.to_string()).expect("a frame")).collect();
        self.tape.borrow_mut().push(frames.clone());
        let key = self.world.key(self.initiator);
        // The answer goes over the wire, and so onto the tape.
        self.world.ask(self.responder, key, frames).expect("an answer");
    }

    /// The vector, with what the sides held before and what they hold now.
    pub(super) fn vector(
        &self,
        name: &str,
        about: &str,
        before: &[Vec<String>; 2],
        refused: &Value,
    ) -> Value {
        self.told(name, about, before, &self.both(), refused)
    }

    fn told(
        &self,
        name: &str,
        about: &str,
        before: &[Vec<String>; 2],
        after: &[Vec<String>; 2],
        refused: &Value,
    ) -> Value {
        let mut all: Vec<_> = [self.initiator, self.responder]
            .into_iter()
            .flat_map(|host| {
                let snapshot = self.world.snapshot(host);
                let held = snapshot.summary(&self.tree).expect("a summary");
                held.map(|_| snapshot.entries(&self.tree, &Range::ALL, 10_000, usize::MAX).expect("entries"))
                    .unwrap_or_default()
            })
            .collect();
        all.sort_by_key(pleach_core::entry::Entry::position);
        all.dedup_by_key(|entry| entry.position());
        let entries: Vec<_> = all.iter().map(|entry| hex(entry.bytes())).collect();
        json!({
            "name": name, "about": about, "entries": entries, "messages": messages(&self.tape), "refused": refused,
            "initiator": { "before": before[0], "after": after[0] },
            "responder": { "before": before[1], "after": after[1] },
        })
    }
}

/// An exchange that nodes have by themselves.
fn whole(
    name: &str,
    about: &str,
    maker: &Maker,
    initiator: &[&[VerifiedEntry]],
    responder: &[&[VerifiedEntry]],
) -> Value {
    let mut pair = Pair::new(maker, initiator, responder);
    let before = pair.both();
    pair.sync();
    assert_eq!(pair.ids(pair.initiator), pair.ids(pair.responder), "{name}");
    pair.vector(name, about, &before, &Value::Null)
}

fn exchanges() -> Vec<Value> {
    let maker = Maker::new(1);
    let base = grown(&maker);
    let tip = base[1].position();
    let (news, more) = (maker.chain(tip, 3), maker.fan(tip, 5));
    let long = maker.chain(tip, 90);
    let (end, middle) = (long[89].position(), long[20].position());
    let (aside, above) = (maker.fan(middle, 9), maker.fan(end, 4));
    let base = &base[..];
    vec![
        whole("same", "both hold the same", &maker, &[base, &news], &[base, &news]),
        whole("behind", "the initiator lacks the newest", &maker, &[base], &[base, &news]),
        whole("ahead", "the responder lacks the newest", &maker, &[base, &news], &[base]),
        whole("both", "each lacks what the other wrote", &maker, &[base, &news], &[base, &more]),
        whole("bootstrap", "the initiator holds nothing", &maker, &[], &[base, &news, &more]),
        whole("bootstrap of a longer history", "in one answer", &maker, &[], &[base, &long]),
        whole(
            "far apart",
            "what differs lies far below the tips and at them",
            &maker,
            &[base, &long, &aside],
            &[base, &long, &above],
        ),
        whole(
            "deep",
            "a tree of which one holds the beginning alone",
            &maker,
            &[base, &long[..5]],
            &[base, &long],
        ),
    ]
}

/// Twice the same peers: the second exchange begins with a token.
fn tokens() -> Vec<Value> {
    let maker = Maker::new(2);
    let base = grown(&maker);
    let news = maker.chain(base[1].position(), 3);
    let mut list = Vec::new();
    for (name, about, arrives) in [
        ("token", "the responder sends what arrived since the last exchange", true),
        ("token without news", "nothing arrived since", false),
    ] {
        let mut pair = Pair::new(&maker, &[&base], &[&base, &news[..1]]);
        pair.sync();
        pair.tape.borrow_mut().clear();
        if arrives {
            // Of a third, to whom the responder now listens.
            let third = pair.world.host_over(Arc::new(holding(&maker, &[&base, &news], 3)));
            let (responder, tree) = (pair.responder, pair.tree);
            pair.world.sync(responder, third, tree).expect("an exchange");
            pair.tape.borrow_mut().clear();
        }
        let before = pair.both();
        pair.sync();
        let first = &pair.tape.borrow()[0][0].clone();
        assert!(matches!(Frame::read(first), Ok(Frame::Sync(hello, _)) if hello.token.is_some()), "{name}");
        list.push(pair.vector(name, about, &before, &Value::Null));
    }
    list
}

/// An initiator that asks for an answer to be kept back, and the answer when there are news.
fn held() -> Value {
    let maker = Maker::new(3);
    let base = grown(&maker);
    let news = maker.chain(base[1].position(), 1);
    let mut pair = Pair::new(&maker, &[&base], &[&base]);
    let (initiator, responder, tree) = (pair.initiator, pair.responder, pair.tree);
    let (key, address) = (pair.world.key(responder), pair.world.address(responder));
    let tracking = Tracking::new(tree, key, vec![address], 86_400_000);
    pair.world.run(initiator, Command::Track(Box::new(tracking))).expect("it is tracked");
    pair.world.settle();
    {
        let mut tape = pair.tape.borrow_mut();
        let waits = tape.pop().expect("an exchange");
        assert!(matches!(Frame::read(&waits[0]), Ok(Frame::Sync(hello, _)) if hello.hold > 0));
        *tape = vec![waits];
    }
    let mut before = pair.both();
    // The news come by a third, whose exchange is not told.
    let third = pair.world.host_over(Arc::new(holding(&maker, &[&base, &news], 3)));
    let request = pair.tape.borrow_mut().pop().expect("the request");
    let id = pair.world.address(third);
    pair.world.command(responder, Command::Sync { address: id, tree });
    pair.world.settle();
    let mut tape = pair.tape.borrow_mut();
    // The answer to the request that waited is the first that comes behind the third's.
    let at = tape.iter().position(|message| {
        matches!(Frame::read(&message[0]), Ok(Frame::Reply(reply, _)) if !reply.same && reply.count == 3)
    });
    let answer = tape[at.expect("an answer")].clone();
    *tape = vec![request, answer];
    drop(tape);
    before[1] = pair.ids(responder);
    pair.vector("held", "an answer is kept back until there are news, which it brings", &before, &Value::Null)
}

fn open(tree: Id, tips: &[String], count: u64) -> Value {
    json!({ "sync": {
        "head": {
            "versions": { "oldest": 1, "newest": 1 }, "capabilities": 0, "limits": { "frame": 1_048_576, "message":
            8_388_608 }, "tree": tree.to_string(), "salt": "0000000000000007", "tips": { "Named": tips }, "count": count,
            "token": null, "start": { "height": 0, "id": "" }, "hold": 0,
        },
        "ranges": [{ "bound": { "rise": 0, "id": "" }, "mode": "Open" }],
    }})
}

fn over() -> Value {
    json!({ "end": { "until": null, "tips": null, "count": 0, "token": null } })
}

fn entries(entries: &[&VerifiedEntry]) -> Value {
    let base64 = |entry: &&VerifiedEntry| data_encoding::BASE64.encode(entry.bytes());
    json!({ "entries": entries.iter().map(base64).collect::<Vec<_>>() })
}

/// What only a peer that lost something says.
fn repairs() -> Vec<Value> {
    let maker = Maker::new(4);
    let base = grown(&maker);
    let news = maker.chain(base[1].position(), 2);
    let tip = vec![news[1].id().to_string()];
    let mut pair = Pair::new(&maker, &[&base, &news], &[&base]);
    let before = pair.both();
    pair.say(&[open(pair.tree, &tip, 4), entries(&[&news[1]]), over()]);
    pair.say(&[open(pair.tree, &tip, 4), entries(&[&news[0], &news[1]]), over()]);
    let about =
        "the initiator pushes an entry without its parent, hears that this is missing, and pushes both";
    let missing = pair.vector("missing", about, &before, &Value::Null);

    let mut pair = Pair::new(&maker, &[&base], &[&base, &news[..1]]);
    let before = pair.both();
    let wants = json!({ "wants": [news[0].id().to_string()] });
    pair.say(&[open(pair.tree, &[base[1].id().to_string()], 2), wants, over()]);
    let after = [before[1].clone(), before[1].clone()];
    let about = "the initiator names what it lacks, and gets it";
    vec![missing, pair.told("wants", about, &before, &after, &Value::Null)]
}

fn refusals() -> Vec<Value> {
    let maker = Maker::new(5);
    // Nobody but its root key may read this one.
    let own = vec![maker.root()];
    let tip = [maker.root().id().to_string()];
    let mut pair = Pair::new(&maker, &[&own], &[&own]);
    let before = pair.both();
    pair.say(&[open(pair.tree, &tip, 1), over()]);
    let about = "who may not read a tree hears what is said of one that is not there";
    let unknown = pair.vector("refused: Unknown", about, &before, &json!("Unknown"));

    let base = grown(&maker);
    let mut pair = Pair::new(&maker, &[&base], &[&base]);
    let before = pair.both();
    let mut request = open(pair.tree, &[base[1].id().to_string()], 2);
    request["sync"]["head"]["versions"] = json!({ "oldest": 2, "newest": 3 });
    pair.say(&[request, over()]);
    let limits = json!({ "frame": 1_048_576, "message": 8_388_608 });
    let refusal = json!({ "Incompatible": { "versions": { "oldest": 1, "newest": 1 }, "limits": limits } });
    let mut list =
        vec![unknown, pair.vector("refused: Incompatible", "no version in common", &before, &refusal)];

    let end = json!({ "rise": 0, "id": "" });
    let at = |rise: u64, id: &str, mode: &str| json!({ "bound": { "rise": rise, "id": id }, "mode": mode });
    for (name, ranges) in [
        ("an end that does not rise", json!([at(1, "01", "Open"), at(0, "01", "Open")])),
        ("an end whose id ends in zero", json!([at(1, "0100", "Open")])),
        ("a range behind the last position", json!([at(0, "", "Open"), at(1, "", "Open")])),
        ("an end beyond the last position", json!([at(1 << 48, "01", "Open")])),
        ("an empty list of short forms", json!([{ "bound": end, "mode": { "List": [] } }])),
        ("an empty list of ids", json!([{ "bound": end, "mode": { "Ids": [] } }])),
        ("sending in a request", json!([at(0, "", "Sending")])),
    ] {
        // Two sets that are not the same, so that the ranges are looked at.
        let mut pair = Pair::new(&maker, &[&base[..1]], &[&base]);
        let before = pair.both();
        let mut request = open(pair.tree, &[base[0].id().to_string()], 1);
        request["sync"]["ranges"] = ranges;
        pair.say(&[request, over()]);
        let answer = pair.tape.borrow()[1][0].clone();
        let answer: Value = serde_json::from_str(&text::to_text(&answer).expect("text")).expect("JSON");
        assert!(answer["refusal"]["Malformed"].is_object(), "{name}: {answer}");
        let name = format!("refused: {name}");
        list.push(pair.vector(&name, "what is said of ranges cannot be", &before, &answer["refusal"]));
    }
    list
}

/// A node that asks a device. No program here lets one be asked, so the device's answer is written here.
fn partial() -> Value {
    let maker = Maker::new(6);
    let base = grown(&maker);
    let mut pair = Pair::new(&maker, &[&base, &maker.chain(base[1].position(), 2)], &[&base]);
    let before = pair.both();
    let (initiator, responder, tree) = (pair.initiator, pair.responder, pair.tree);
    pair.world.mute(responder, true);
    let address = pair.world.address(responder);
    pair.world.command(initiator, Command::Sync { address, tree });
    pair.world.settle();
    pair.tape.borrow_mut().push(vec![control(Kind::Refusal, &Refusal::Partial)]);
    let about = "a partial holder answers nobody, whatever it holds";
    let mut vector = pair.vector("refused: Partial", about, &before, &json!("Partial"));
    vector["responder"]["partial"] = json!(true);
    vector
}

pub(super) fn vectors() -> Vec<Value> {
    [exchanges(), tokens(), vec![held()], repairs(), refusals(), vec![partial()]].concat()
}
