//! Whole exchanges of a device that cannot hold the history with a node that can, every byte of them.

use std::{collections::BTreeMap, sync::Arc};

use pleach_core::{
    Id, Position, PublicKey, Range, SecretKey,
    document::{Draft, SettingsStore},
    entry::{EntryView, Grant, Permission, SETTINGS, Who},
    node::{Command, Commit, Limits},
    session::{
        Fault,
        partial::{MAX_TIPS, NotTaken, Outcome},
    },
    storage::Store,
    wire::{Kind, ProofTarget, Refusal, Side},
};
use pleach_storage::{Memory, conformance::Maker};
use pleach_tests::{
    board::{Board, Ended, RING},
    frames::frame,
    world::{HostId, World},
};
use serde_json::{Value, json};

use super::{
    hex,
    tape::{Tape, listen, messages},
};

/// More than the device takes in one entry.
const LARGE: usize = 2_100;

/// A tree, a node that holds it, and a device that is to hold a part of it.
struct Scene {
    world: World,
    tree: Id,
    board: Board,
    tape: Tape,
    /// Who made the tree, and all who hold it.
    host: HostId,
    hosts: Vec<HostId>,
    /// Who answers the device.
    node: HostId,
    /// Whose key the device shows besides its own, and what its exchanges are bound to.
    shows: Option<SecretKey>,
    bindings: Vec<Option<String>>,
    /// Every entry that anybody has held.
    known: BTreeMap<Position, Vec<u8>>,
}

impl Scene {
    /// A device that holds nothing yet of a tree that somebody may write or read.
    fn of(who: Who, permission: Permission) -> Self {
        Self::over(Memory::salted([1; 32]), |world, host| {
            let tree = world.create_with(host, "greenhouse", vec![(who, permission)]);
            world.write(host, tree, "a", "first").expect("a write");
            tree
        })
    }

    /// A tree that everybody may write, of which the node holds so many tips over what is the device's base.
    fn fan(tips: usize) -> Self {
        let (maker, store) = (Maker::new(8), Memory::salted([1; 32]));
        let everybody = [Grant { who: Who::Everyone, permission: Permission::Write(0), name: None }];
        let settings = maker.settings(&[maker.root().position()], &everybody, &[]);
        let base = settings.position();
        let all = [vec![maker.root(), settings], maker.fan(base, tips)].concat();
        store.write(&maker.put(&all)).expect("they are valid");
        let mut scene = Self::over(store, |_, _| maker.tree());
        scene.board = Board::new(scene.tree, &[scene.world.key(scene.host)]).based(&[base]);
        scene
    }

    fn over(store: Memory, tree: impl FnOnce(&mut World, HostId) -> Id) -> Self {
        let mut world = World::new(1);
        let tape = listen(&mut world);
        let host = world.host_with(Arc::new(store), Limits::new());
        let tree = tree(&mut world, host);
        let board = Board::new(tree, &[world.key(host)]);
        let (hosts, known) = (vec![host], BTreeMap::new());
        Self { world, tree, board, tape, host, hosts, node: host, shows: None, bindings: Vec::new(), known }
    }

    fn open() -> Self {
        Self::of(Who::Everyone, Permission::Write(0))
    }

    /// A device that holds the whole tree, and so nothing but a ring.
    fn met() -> Self {
        let mut scene = Self::open();
        assert!(scene.contact().is_equal());
        scene
    }

    /// A device that holds nothing but a base.
    fn advanced() -> Self {
        let mut scene = Self::met();
        scene.write("large", &"x".repeat(LARGE));
        assert!(scene.contact().is_equal());
        assert!(scene.board.holding.ring().is_empty());
        scene
    }

    /// A device that holds nothing, and talks to these.
    fn allow(&mut self, nodes: &[HostId]) {
        let keys: Vec<_> = nodes.iter().map(|node| self.world.key(*node)).collect();
        self.board = Board::new(self.tree, &keys);
    }

    fn write(&mut self, path: &str, value: &str) -> Position {
        self.world.write(self.host, self.tree, path, value).expect("a write")
    }

    fn revoke(&mut self, whom: HostId) {
        let (key, secret) = (self.world.key(whom), self.world.secret(self.host));
        let draft = Draft::new(self.world.snapshot(self.host), self.tree, secret.public(), [0; 32]);
        draft.store::<SettingsStore>(SETTINGS).and_then(|it| it.revoke(Who::Key(key))).expect("a revocation");
        let changes = draft.finish().expect("a revocation");
        let commit = Commit { tree: self.tree, key: secret, stores: changes.stores, paths: changes.touched };
        self.world.run(self.host, Command::Commit(commit)).expect("a write");
    }

    fn read(&mut self, value: u32) {
        self.board.write("t", value).expect("room");
    }

    /// Another node that holds the tree as it is now.
    fn another(&mut self) -> HostId {
        let number = u8::try_from(self.hosts.len()).expect("few hosts") + 1;
        let other = self.world.host_with(Arc::new(Memory::salted([number; 32])), Limits::new());
        self.world.sync(other, self.host, self.tree).expect("an exchange");
        self.hosts.push(other);
        other
    }

    /// The answer of whoever answers the device, who is asked over the wire.
    fn contact(&mut self) -> Ended {
        let key = self.board.key.clone();
        // A stranger takes the place of one that is allowed.
        let allowed = &self.board.holding.charter().allowed;
        let answers = self.world.key(self.node);
        let allowed = if allowed.contains(&answers) { answers } else { allowed[0] };
        let Self { world, tree, board, tape, node, shows, bindings, .. } = self;
        let (by, to, tree) = (key.public(), world.key(*node), Some(*tree));
        board.talk(allowed, |mut request| {
            let binding = world.next_binding();
            let proof = shows
                .as_ref()
                .map(|key| ProofTarget { side: Side::Initiator, by, to, tree }.prove(key, &binding));
            bindings.push(proof.map(|_| hex(binding.as_bytes())));
            request.splice(..0, proof.map(|proof| frame(Kind::Keys, &(), [proof])));
            tape.borrow_mut().push(request.clone());
            Some((world.ask(*node, by, request)?, true))
        })
    }

    /// The device asks, and hears this, whatever it asked.
    fn hear(&mut self, answer: &[Vec<u8>]) -> Ended {
        let (allowed, tape) = (self.world.key(self.host), &self.tape);
        self.board.talk(allowed, |request| {
            tape.borrow_mut().extend([request, answer.to_vec()]);
            Some((answer.to_vec(), true))
        })
    }

    fn held(&self, host: HostId) -> Vec<String> {
        let positions =
            self.world.snapshot(host).positions(&self.tree, &Range::ALL, 10_000).expect("positions");
        positions.iter().map(|position| position.id.to_string()).collect()
    }

    fn holding(&self) -> Value {
        let id = |position: &Position| position.id.to_string();
        let base: Vec<_> = self.board.holding.base().iter().map(id).collect();
        let ring: Vec<_> = self.board.holding.ring().iter().map(|slot| id(&slot.position)).collect();
        json!({ "base": base, "ring": ring })
    }

    fn learn(&mut self) {
        for host in &self.hosts {
            let snapshot = self.world.snapshot(*host);
            let all = snapshot.entries(&self.tree, &Range::ALL, 10_000, usize::MAX).expect("entries");
            self.known.extend(all.iter().map(|entry| (entry.position(), entry.bytes().to_vec())));
        }
        for bytes in self.board.entries() {
            let entry = EntryView::read(bytes).expect("what it wrote or checked");
            self.known.insert(entry.position(), bytes.clone());
        }
    }

    /// What a contact is like, which ends like this.
    fn vector(
        mut self,
        (name, about): (&str, &str),
        contact: impl FnOnce(&mut Self) -> Ended,
        expected: impl FnOnce(&Self, &Ended) -> bool,
    ) -> Value {
        self.tape.borrow_mut().clear();
        self.bindings.clear();
        self.learn();
        let (held, holding) = (self.held(self.node), self.holding());
        let ended = contact(&mut self);
        assert!(expected(&self, &ended), "{name}: {ended:?}");
        self.learn();
        let mut messages = messages(&self.tape);
        for (binding, message) in self.bindings.iter().zip(messages.iter_mut().step_by(2)) {
            if let Some(binding) = binding {
                message["binding"] = json!(binding);
            }
        }
        let charter = self.board.holding.charter();
        let allowed: Vec<_> = charter.allowed.iter().map(PublicKey::to_string).collect();
        let refused = match &ended {
            Ended::Done(Outcome::Refused(refusal)) => serde_json::to_value(refusal).expect("JSON"),
            _ => Value::Null,
        };
        let key = |key: PublicKey| key.to_string();
        let mut vector = json!({
            "name": name, "about": about, "tree": self.tree.to_string(),
            "entries": self.known.values().map(|bytes| hex(bytes)).collect::<Vec<_>>(),
            "messages": messages, "refused": refused,
            "device": {
                "key": key(self.board.key.public()), "allowed": allowed,
                "room": { "entry": charter.entry, "entries": RING, "bytes": charter.room },
                "before": holding, "after": self.holding(),
            },
            "node": { "key": key(self.world.key(self.node)), "before": held, "after": self.held(self.node) },
        });
        if let Ended::Fault(Fault::Entry { rule, .. }) = &ended {
            let faults = [(NotTaken::NotAllowed, "NotAllowed"), (NotTaken::NotOnTop, "NotOnTop")];
            let fault = faults.iter().find(|(why, _)| why.to_string().starts_with(rule.as_str()));
            vector["fault"] = json!(fault.expect("one of these").1);
        }
        vector
    }
}

/// An exchange after which neither lacks anything, and the device's base has advanced so many times.
fn equal(scene: Scene, told: (&str, &str), times: u32) -> Value {
    scene.vector(told, Scene::contact, |_, ended| match ended {
        Ended::Done(Outcome::Equal(totals)) => totals.advanced == times,
        _ => false,
    })
}

fn refused(scene: Scene, told: (&str, &str), why: Refusal) -> Value {
    scene.vector(told, Scene::contact, |_, ended| *ended == Ended::Done(Outcome::Refused(why)))
}

/// What ends in `same` or in entries.
fn entries() -> Vec<Value> {
    let mut list = vec![
        equal(Scene::open(), ("a small tree", "a device that holds nothing is sent all of it"), 0),
        equal(Scene::met(), ("the same", "neither lacks anything"), 0),
        equal(
            Scene::advanced(),
            ("the same as its base", "the device holds nothing but the node's only tip"),
            0,
        ),
    ];
    let mut scene = Scene::advanced();
    (0..3).for_each(|n| scene.read(n));
    list.push(equal(scene, ("readings", "the device says what it has, then sends what is missing"), 0));

    let mut scene = Scene::advanced();
    scene.write("a", "second");
    list.push(equal(scene, ("news", "an entry on the base is sent"), 0));

    let mut scene = Scene::advanced();
    scene.read(1);
    scene.write("a", "second");
    let about = "each lacks what the other wrote, and the device has two tips then";
    list.push(equal(scene, ("readings and news", about), 0));

    let mut scene = Scene::advanced();
    scene.read(1);
    scene.write("a", "second");
    assert!(scene.contact().is_equal());
    scene.read(2);
    list.push(equal(scene, ("a reading over two tips", "the device merges what it holds"), 0));

    let about = "what is lacking has as many tips as a device may have";
    list.push(equal(Scene::fan(MAX_TIPS), ("as many tips as can be", about), 0));

    // Two who wrote apart, and a device that was set up with both.
    let mut scene = Scene::open();
    let (host, other) = (scene.host, scene.another());
    let (tree, one) = (scene.tree, scene.write("a", "second"));
    let two = scene.world.write(other, tree, "b", "apart").expect("a write");
    scene.world.sync(other, host, tree).expect("an exchange");
    scene.board = Board::new(tree, &[scene.world.key(host)]).based(&[one.min(two), one.max(two)]);
    scene.read(1);
    scene.write("c", "third");
    list.push(equal(scene, ("a base of two", "a reading and news on both of them"), 0));
    list
}

/// What ends in another base.
fn advances() -> Vec<Value> {
    let mut list = Vec::new();
    let mut scene = Scene::open();
    scene.write("a", "second");
    scene.write("large", &"x".repeat(LARGE));
    let about = "what the node holds is too large, and its only tip serves as a base";
    list.push(equal(scene, ("a base for a device that holds nothing", about), 1));

    let mut scene = Scene::open();
    scene.write("large", &"x".repeat(LARGE));
    scene.node = scene.another();
    scene.allow(&[scene.node]);
    let about = "the node's only tip is by another key than its own: it writes a merge over it";
    list.push(equal(scene, ("a base that another has written", about), 1));

    let mut scene = Scene::advanced();
    for n in 0..=RING / 2 {
        scene.write("n", &n.to_string());
    }
    let about = "more entries than fit, and no entry of the node's that stands on the device's tip alone";
    list.push(equal(scene, ("too many news", about), 1));

    let mut scene = Scene::advanced();
    scene.read(1);
    scene.write("larger", &"y".repeat(LARGE));
    let about = "the node merges the reading with an entry that is too large for the device";
    list.push(equal(scene, ("a merge over a reading", about), 1));

    let mut scene = Scene::met();
    scene.read(1);
    scene.write("a", "second");
    scene.board.holding.ask_relief();
    list.push(equal(scene, ("relief", "the device asks for another base, however little is new"), 1));

    let mut scene = Scene::met();
    scene.board.holding.ask_relief();
    list.push(equal(
        scene,
        ("relief without news", "neither lacks anything, and yet a base is asked for"),
        1,
    ));

    let mut scene = Scene::met();
    let (host, tree, other) = (scene.host, scene.tree, scene.another());
    scene.write("large", &"x".repeat(LARGE));
    assert!(scene.contact().is_equal());
    scene.world.write(other, tree, "side", "old").expect("a write");
    scene.world.sync(other, host, tree).expect("an exchange");
    scene.read(1);
    let about = "one entry is new, and it builds on what the device knows through its base alone";
    list.push(equal(scene, ("a side branch below the base", about), 1));

    let about = "all of it would fit, and the node merges its tips before it names the device's";
    list.push(equal(Scene::fan(MAX_TIPS + 1), ("a tip too many", about), 1));

    let mut scene = Scene::of(Who::Everyone, Permission::Read);
    let first = scene.world.tips(scene.host, scene.tree);
    scene.board = Board::new(scene.tree, &[scene.world.key(scene.host)]).based(&first);
    scene.write("a", "second");
    scene.write("large", &"x".repeat(LARGE));
    let about = "nobody signs anything for a device that may only read: an older entry of the node's serves";
    list.push(equal(scene, ("a base that was signed anyway", about), 1));

    let mut scene = Scene::advanced();
    while scene.board.write("t", 1).is_ok() {}
    assert_eq!(scene.board.holding.ring().len(), RING);
    let about = "what the device has written takes several frames, and then gives way to a base";
    list.push(equal(scene, ("a full ring", about), 1));
    list
}

/// What ends in nothing.
fn in_vain() -> Vec<Value> {
    let mut scene = Scene::open();
    let other = scene.another();
    scene.allow(&[scene.host, other]);
    scene.write("large", &"x".repeat(LARGE));
    assert!(scene.contact().is_equal());
    scene.read(1);
    scene.node = other;
    let about = "the node lacks the device's base, which is gone";
    let behind = scene.vector(("a node that is behind", about), Scene::contact, |scene, ended| {
        *ended == Ended::Done(Outcome::Behind(scene.board.holding.base()[0].id))
    });

    let mut scene = Scene::of(Who::Everyone, Permission::Read);
    scene.write("large", &"x".repeat(LARGE));
    scene.node = scene.another();
    scene.allow(&[scene.node]);
    let about = "the node would have to write a merge, and may not";
    let read_only = refused(scene, ("refused: NoAdvance", about), Refusal::NoAdvance);

    let mut scene = Scene::of(Who::Everyone, Permission::Read);
    assert!(scene.contact().is_equal());
    scene.board.holding.ask_relief();
    let about = "the node would have to write a merge, and the device may only read";
    let reader = refused(scene, ("refused: a reader's relief", about), Refusal::NoAdvance);

    let mut scene = Scene::open();
    let other = scene.another();
    scene.allow(&[scene.host, other]);
    scene.world.write(other, scene.tree, "b", "masked").expect("a write");
    scene.node = other;
    assert!(scene.contact().is_equal());
    scene.revoke(other);
    scene.node = scene.host;
    scene.board.holding.ask_relief();
    let about =
        "the device brings what it was given before its author was revoked, and nobody signs over that";
    let masked = refused(scene, ("refused: over what is masked", about), Refusal::NoAdvance);

    let scene = Scene::of(Who::Key(SecretKey::from_bytes([9; 32]).public()), Permission::Read);
    let unknown = refused(scene, ("refused: a device that may not read", "as any other"), Refusal::Unknown);

    let is_fault = |_: &Scene, ended: &Ended| matches!(ended, Ended::Fault(Fault::Entry { .. }));
    let mut scene = Scene::advanced();
    let (tree, other) = (scene.tree, scene.another());
    scene.world.write(other, tree, "large", "z".repeat(LARGE)).expect("a write");
    scene.node = other;
    let about = "a base by a key that is not on the device's allow-list";
    let stranger = scene.vector(("a base by a stranger", about), Scene::contact, is_fault);

    let mut scene = Scene::advanced();
    scene.write("larger", &"y".repeat(LARGE));
    assert!(scene.contact().is_equal());
    let answer = scene.tape.borrow().last().expect("an answer").clone();
    let mut scene = Scene::advanced();
    scene.write("larger", &"y".repeat(LARGE));
    scene.read(1);
    let about = "a base that leaves out what the device has written";
    let aside = scene.vector(("a base beside a reading", about), |scene| scene.hear(&answer), is_fault);
    vec![behind, read_only, reader, masked, unknown, stranger, aside]
}

/// A device with which there is somebody whose key was granted what its own was not.
fn shown() -> Value {
    let user = SecretKey::from_bytes([9; 32]);
    let mut scene = Scene::of(Who::Key(user.public()), Permission::Write(1));
    scene.shows = Some(user);
    equal(scene, ("a further key", "the device may not read the tree, and shows a key that may"), 0)
}

pub(super) fn vectors() -> Vec<Value> {
    [entries(), advances(), in_vain(), vec![shown()]].concat()
}
