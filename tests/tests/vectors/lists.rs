//! Lists of trees, asked for by those who may read some of them.

use std::sync::Arc;

use pleach_core::{
    Id, PublicKey, Range, SecretKey,
    entry::{Permission, Who},
    node::{Command, Limits, Reply},
    wire::{Frame, Kind, ProofTarget, Side, TREES_PAGE, TreesRequest, Versions},
};
use pleach_storage::Memory;
use pleach_tests::{
    frames::{control, frame},
    world::{HostId, World},
};
use pleach_transports::host::Purpose;
use serde_json::{Value, json};

use super::{
    hex,
    tape::{Tape, listen, messages},
};

fn alice() -> SecretKey {
    SecretKey::from_bytes([201; 32])
}

/// A node with trees, and another that asks it for them.
struct Scene {
    world: World,
    tape: Tape,
    server: HostId,
    home: HostId,
    trees: Vec<Id>,
}

impl Scene {
    fn new(trees: impl FnOnce(PublicKey) -> Vec<(String, Vec<(Who, Permission)>)>) -> Self {
        let mut world = World::new(1);
        let tape = listen(&mut world);
        let host = |world: &mut World, number: u8| {
            world.host_with(Arc::new(Memory::salted([number; 32])), Limits::new())
        };
        let (server, home) = (host(&mut world, 1), host(&mut world, 2));
        let mut made = Vec::new();
        for (name, grants) in trees(world.key(home)) {
            made.push(world.create_with(server, &name, grants));
            world.pass();
        }
        made.sort_unstable();
        Self { world, tape, server, home, trees: made }
    }

    /// One that everybody may read, one for the other node, one for Alice, and one for nobody.
    fn four() -> Self {
        let mut scene = Self::new(|home| {
            // A name that is too long is cut at a character.
            let long = format!("x{}", "ä".repeat(100));
            vec![
                ("public".into(), vec![(Who::Everyone, Permission::Read)]),
                (long, vec![(Who::Key(home), Permission::Write(3))]),
                ("Alice's".into(), vec![(Who::Key(alice().public()), Permission::Read)]),
                ("private".into(), vec![]),
            ]
        });
        for n in 0..3 {
            scene.world.write(scene.server, scene.trees[n], "a", "more").expect("a write");
            scene.world.pass();
        }
        scene
    }

    fn vector(
        &self,
        names: (&str, &str),
        initiator: Option<PublicKey>,
        binding: Option<String>,
        refused: &Value,
    ) -> Value {
        let snapshot = self.world.snapshot(self.server);
        let entries = |tree: &Id| {
            let entries = snapshot.entries(tree, &Range::ALL, 10_000, usize::MAX).expect("entries");
            entries.iter().map(|entry| hex(entry.bytes())).collect::<Vec<_>>()
        };
        let mut messages = messages(&self.tape);
        if let Some(binding) = binding {
            messages.iter_mut().step_by(2).for_each(|message| message["binding"] = json!(binding));
        }
        json!({
            "name": names.0, "about": names.1, "trees": self.trees.iter().map(entries).collect::<Vec<_>>(),
            "keys": {
                "initiator": initiator.map(|key| key.to_string()), "responder": self.world.key(self.server).to_string(),
            },
            "messages": messages, "refused": refused,
        })
    }

    /// A node asks, and shows Alice's key or not.
    fn discovered(mut self, names: (&str, &str), shows: bool, count: usize) -> Value {
        let address = self.world.address(self.server);
        let keyring = self.world.keyring(self.home);
        let _lent = shows.then(|| keyring.lend(Purpose::Lists(address.clone()), [alice()]));
        let binding = self.world.next_binding();
        match self.world.run(self.home, Command::Discover(address)) {
            Ok(Reply::Trees(trees)) => assert_eq!(trees.len(), count, "{}", names.0),
            other => panic!("no list: {other:?}"),
        }
        let key = self.world.key(self.home);
        self.vector(names, Some(key), shows.then(|| hex(binding.as_bytes())), &Value::Null)
    }

    /// Somebody asks, who may have proven a key, and shows Alice's as it is told.
    fn asked(
        mut self,
        names: (&str, &str),
        asks: &TreesRequest,
        proven: bool,
        proves: Option<fn(ProofTarget) -> ProofTarget>,
    ) -> Value {
        let (home, server) = (self.world.key(self.home), self.world.key(self.server));
        let binding = self.world.next_binding();
        let target = ProofTarget { side: Side::Initiator, by: home, to: server, tree: None };
        let keys = proves.map(|change| frame(Kind::Keys, &(), [change(target).prove(&alice(), &binding)]));
        let request: Vec<_> = keys.into_iter().chain([control(Kind::Trees, asks)]).collect();
        self.tape.borrow_mut().push(request.clone());
        let proven = proven.then_some(home);
        let answer = self.world.ask(self.server, proven, request).expect("an answer");
        let refused = match Frame::read(&answer[0]).expect("a frame") {
            Frame::Refusal(refusal) => serde_json::to_value(refusal).expect("JSON"),
            _ => Value::Null,
        };
        self.vector(names, proven, proves.map(|_| hex(binding.as_bytes())), &refused)
    }
}

pub(super) fn vectors() -> Vec<Value> {
    let all = TreesRequest { versions: Versions::OURS, after: None };
    let four = Scene::four();
    let behind = |n: usize| TreesRequest { after: Some(four.trees[n]), ..all };
    let mut nothing = Scene::new(|_| vec![("private".into(), vec![])]);
    nothing.world.settle();
    let newer = TreesRequest { versions: Versions { oldest: 2, newest: 2 }, ..all };
    let many = Scene::new(|_| {
        (0..=TREES_PAGE).map(|n| (n.to_string(), vec![(Who::Everyone, Permission::Read)])).collect()
    });
    vec![
        Scene::four().discovered(("a list", "what everybody may read, and what the node may"), false, 2),
        Scene::four().discovered(("a list with a further key", "and what the key may"), true, 3),
        Scene::four().asked(("a list for nobody", "what everybody may read"), &all, false, None),
        Scene::four().asked(
            ("a list from behind a tree", "which the asker need not be able to read"),
            &behind(1),
            true,
            Some(|target| target),
        ),
        Scene::four().asked(("a list from behind the last", "no line"), &behind(3), true, None),
        nothing.discovered(("an empty list", "there is a tree, which the node may not read"), false, 0),
        many.discovered(
            ("more than a list holds", "the next request goes on behind the last"),
            false,
            TREES_PAGE + 1,
        ),
        Scene::four().asked(
            ("refused: a list with a proof for a tree", "a proof that is worth nothing"),
            &all,
            true,
            Some(|target| ProofTarget { tree: Some(Id::of(b"a tree")), ..target }),
        ),
        Scene::four().asked(
            ("refused: a list with a proof by nobody", "whoever has proven no node key shows none"),
            &all,
            false,
            Some(|target| target),
        ),
        Scene::four().asked(
            ("refused: a list of another version", "no version in common"),
            &newer,
            true,
            None,
        ),
    ]
}
