//! Keys that are proven beside a node's: what they may read is served to the node that brings them, and to nobody else.

use pleach_core::{
    Id, PublicKey, SecretKey,
    budget::Source,
    document::{Draft, SettingsStore},
    entry::{Permission, SETTINGS, Who},
    node::{CHECKS, Command, Commit, MAX_NODES_OF_KEY, MAX_STRANGERS, NodeError, Reply, Tracking},
    wire::{
        Ask, Binding, End, Frame, Hello, KeyProof, Kind, MAX_PROOFS, Mode, ProofTarget, RangeItem, Refusal,
        Side, TreesRequest, Versions,
    },
};
use pleach_tests::{
    frames::{frame, hello},
    world::{HostId, World},
};
use pleach_transports::host::{Lent, Purpose};

/// A user's key.
fn alice() -> SecretKey {
    SecretKey::from_bytes([201; 32])
}

fn node(seed: u8) -> PublicKey {
    SecretKey::from_bytes([seed; 32]).public()
}

/// A server, a host of which no key is granted anything, and a tree that Alice may write.
fn scene(seed: u64) -> (World, HostId, HostId, Id) {
    let mut world = World::new(seed);
    let (server, home) = (world.host(), world.host());
    let grants = vec![(Who::Key(alice().public()), Permission::Write(9))];
    let tree = world.create_with(server, "notes", grants);
    (world, server, home, tree)
}

fn lend(world: &World, host: HostId, tree: Id) -> Lent {
    world.keyring(host).lend(Purpose::Database(tree), [alice()])
}

/// Writes as Alice on a host.
fn write_as_alice(world: &mut World, host: HostId, tree: Id, path: &str) {
    let Command::Commit(commit) = world.commit(host, tree, path, "Alice") else { panic!("a commit") };
    world.run(host, Command::Commit(Commit { key: alice(), ..commit })).unwrap();
}

fn revoke(world: &mut World, host: HostId, tree: Id, key: PublicKey) {
    let secret = world.secret(host);
    let draft = Draft::new(world.snapshot(host), tree, secret.public(), [0; 32]);
    draft.store::<SettingsStore>(SETTINGS).unwrap().revoke(Who::Key(key)).unwrap();
    let changes = draft.finish().unwrap();
    let commit = Commit { tree, key: secret, stores: changes.stores, paths: changes.touched };
    world.run(host, Command::Commit(commit)).unwrap();
}

/// A request for all of a tree.
fn fetch(tree: Id, hold: u32) -> Vec<Vec<u8>> {
    let hello = Hello { hold, ..hello(tree) };
    let all = RangeItem { bound: pleach_core::wire::Bound::default(), mode: Mode::Empty };
    vec![frame(Kind::Sync, &hello, [all]), frame(Kind::End, &End::default(), [(); 0])]
}

fn trees() -> Vec<Vec<u8>> {
    vec![frame(Kind::Trees, &TreesRequest { versions: Versions::OURS, after: None }, [(); 0])]
}

/// The same behind proofs.
fn behind(proofs: &[KeyProof], request: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    [frame(Kind::Keys, &(), proofs)].into_iter().chain(request).collect()
}

fn refusal(answer: Option<Vec<Vec<u8>>>) -> Refusal {
    let answer = answer.expect("an answer");
    match Frame::read(&answer[0]) {
        Ok(Frame::Refusal(refusal)) => refusal,
        other => panic!("no refusal: {other:?}"),
    }
}

#[test]
fn a_user_whose_key_alone_was_granted_joins_pushes_and_hears_news_until_it_is_revoked() {
    let (mut world, server, home, tree) = scene(1);
    assert_eq!(world.sync(home, server, tree), Err(NodeError::NotOffered(tree)), "the node may nothing");
    let lent = lend(&world, home, tree);
    assert_eq!(world.sync(home, server, tree).unwrap().entries_received, 1);
    write_as_alice(&mut world, home, tree, "mine");
    assert_eq!(world.sync(home, server, tree).unwrap().entries_sent, 1);
    assert_eq!(world.value(server, tree, "mine").as_deref(), Some("Alice"));

    // It stays in touch.
    let tracking = Tracking::new(tree, world.key(server), vec![world.address(server)], 1 << 40);
    world.run(home, Command::Track(Box::new(tracking))).unwrap();
    world.settle();
    world.write(server, tree, "news", "for Alice").unwrap();
    world.settle();
    assert_eq!(world.value(home, tree, "news").as_deref(), Some("for Alice"));
    write_as_alice(&mut world, home, tree, "answer");
    world.settle();
    assert_eq!(world.value(server, tree, "answer").as_deref(), Some("Alice"));

    // An answer is kept back for it at this moment; it says nothing any more.
    revoke(&mut world, server, tree, alice().public());
    world.settle();
    world.write(server, tree, "secret", "not for Alice").unwrap();
    world.settle();
    assert_eq!(world.value(home, tree, "secret"), None);
    assert_eq!(world.sync(home, server, tree), Err(NodeError::NotOffered(tree)));
    drop(lent);
}

#[test]
fn without_the_key_the_node_goes_on_with_its_own() {
    let (mut world, server, home, tree) = scene(2);
    let lent = lend(&world, home, tree);
    world.sync(home, server, tree).unwrap();
    drop(lent);
    assert_eq!(world.sync(home, server, tree), Err(NodeError::NotOffered(tree)));
    let other = world.keyring(home).lend(Purpose::Database(Id::of(b"another")), [alice()]);
    assert_eq!(world.sync(home, server, tree), Err(NodeError::NotOffered(tree)), "lent for another tree");
    drop(other);
    let _lent = lend(&world, home, tree);
    world.sync(home, server, tree).unwrap();
}

#[test]
fn what_a_further_key_may_read_is_listed_for_it_alone() {
    let (mut world, server, home, tree) = scene(3);
    let listed = |world: &mut World| match world.run(home, Command::Discover(world.address(server))) {
        Ok(Reply::Trees(trees)) => trees.into_iter().map(|tree| tree.id).collect::<Vec<_>>(),
        other => panic!("no list: {other:?}"),
    };
    assert_eq!(listed(&mut world), []);
    let lists = Purpose::Lists(world.address(server));
    let lent = world.keyring(home).lend(lists, [alice()]);
    assert_eq!(listed(&mut world), [tree]);
    drop(lent);
    let _lent = lend(&world, home, tree);
    assert_eq!(
        listed(&mut world),
        [],
        "a key that is lent for a tree is shown to nobody who was not asked for it"
    );
}

#[test]
fn a_responder_proves_its_users_to_whoever_would_give_it_nothing_otherwise() {
    let (mut world, server, home, tree) = scene(4);
    let lent = lend(&world, home, tree);
    world.sync(home, server, tree).unwrap();
    world.write(server, tree, "late", "pushed").unwrap();
    // Now the server dials, and its settings name Alice alone.
    assert_eq!(world.sync(server, home, tree).unwrap().entries_sent, 1);
    assert_eq!(world.value(home, tree, "late").as_deref(), Some("pushed"));
    drop(lent);
    world.write(server, tree, "later", "kept").unwrap();
    let refused = world.sync(server, home, tree).unwrap_err();
    assert_eq!(refused, NodeError::PeerMayNotRead(tree));
    assert_eq!(world.value(home, tree, "later"), None);
}

/// A proof that was made for something else than what it is shown for.
type Forge = fn(&Binding, ProofTarget, Id) -> KeyProof;

#[test]
fn a_proof_is_worth_nothing_to_another_from_another_about_another_tree_or_later() {
    let (mut world, server, _, tree) = scene(5);
    let own = world.key(server);
    let good = |binding: &Binding, target: ProofTarget| target.prove(&alice(), binding);
    let of = |by: u8| ProofTarget { side: Side::Initiator, by: node(by), to: own, tree: Some(tree) };
    let here = world.next_binding();
    let served = world.ask(server, node(1), behind(&[good(&here, of(1))], fetch(tree, 0))).unwrap();
    assert!(matches!(Frame::read(&served[0]), Ok(Frame::Reply(..))), "{served:?}");
    let forbidden = world.ask(server, node(2), fetch(tree, 0)).unwrap();

    // Each from a key of its own: what they bring costs them their budgets.
    let forged: [(&str, Forge); 7] = [
        ("later", |_, target, _| target.prove(&alice(), &Binding::from_bytes([0; 32]))),
        ("to another", |here, target, _| ProofTarget { to: node(99), ..target }.prove(&alice(), here)),
        ("from another", |here, target, _| ProofTarget { by: node(1), ..target }.prove(&alice(), here)),
        ("another tree", |here, target, other| {
            ProofTarget { tree: Some(other), ..target }.prove(&alice(), here)
        }),
        ("for lists", |here, target, _| ProofTarget { tree: None, ..target }.prove(&alice(), here)),
        ("an answer", |here, target, _| {
            ProofTarget { side: Side::Responder, ..target }.prove(&alice(), here)
        }),
        ("another's key", |here, target, _| KeyProof {
            key: alice().public(),
            ..target.prove(&SecretKey::from_bytes([7; 32]), here)
        }),
    ];
    for (seed, (what, forge)) in (10..).zip(forged) {
        let proof = forge(&world.next_binding(), of(seed), Id::of(b"other"));
        let answer = world.ask(server, node(seed), behind(&[proof], fetch(tree, 0))).unwrap();
        assert_eq!(answer, forbidden, "{what}");
        let busy = refusal(world.ask(server, node(seed), fetch(tree, 0)));
        assert!(matches!(busy, Refusal::Busy { .. }), "{what} costs the budget: {busy:?}");
        // One that is good does not make up for one that is not.
        let (here, seed) = (world.next_binding(), seed + 100);
        let both = [good(&here, of(seed)), forge(&here, of(seed), Id::of(b"other"))];
        assert_eq!(
            world.ask(server, node(seed), behind(&both, fetch(tree, 0))).unwrap(),
            forbidden,
            "{what}"
        );
    }
}

#[test]
fn unknown_and_forbidden_look_the_same_to_whoever_shows_keys() {
    let (mut world, server, _, tree) = scene(6);
    let own = world.key(server);
    let mut answers = Vec::new();
    for (seed, tree) in [(20, tree), (21, Id::of(b"none"))] {
        let target = ProofTarget { side: Side::Initiator, by: node(seed), to: own, tree: Some(tree) };
        let proof = target.prove(&SecretKey::from_bytes([9; 32]), &world.next_binding());
        answers.push(world.ask(server, node(seed), behind(&[proof], fetch(tree, 0))).unwrap());
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(refusal(answers.pop()), Refusal::Unknown);
    // Nor may anybody show a key who has proven none.
    let target = ProofTarget { side: Side::Initiator, by: own, to: own, tree: Some(tree) };
    let proof = target.prove(&alice(), &world.next_binding());
    assert_eq!(refusal(world.ask(server, None, behind(&[proof], fetch(tree, 0)))), Refusal::Unknown);
    let proof = ProofTarget { tree: None, by: node(22), ..target };
    let proof = KeyProof { key: node(5), ..proof.prove(&alice(), &world.next_binding()) };
    assert_eq!(
        refusal(world.ask(server, node(22), behind(&[proof], trees()))),
        Refusal::Unknown,
        "lists too"
    );
}

#[test]
fn proofs_are_few_come_once_and_stand_in_front() {
    let (mut world, server, _, tree) = scene(7);
    let own = world.key(server);
    let of = |by: u8| ProofTarget { side: Side::Initiator, by: node(by), to: own, tree: Some(tree) };
    let secrets =
        |count: usize| (0..count).map(|n| SecretKey::from_bytes([u8::try_from(n).unwrap() + 50; 32]));
    let here = world.next_binding();
    let full: Vec<_> =
        [alice()].into_iter().chain(secrets(MAX_PROOFS - 1)).map(|key| of(30).prove(&key, &here)).collect();
    let served = world.ask(server, node(30), behind(&full, fetch(tree, 0))).unwrap();
    assert!(matches!(Frame::read(&served[0]), Ok(Frame::Reply(..))));
    for request in [
        behind(&[full.clone(), full[..1].to_vec()].concat(), fetch(tree, 0)),
        behind(&[], fetch(tree, 0)),
        behind(&full[..1], behind(&full[..1], fetch(tree, 0))),
    ] {
        let answer = world.ask(server, node(31), request);
        assert!(matches!(refusal(answer), Refusal::Malformed { .. }));
    }
    // Behind the head of a request they are out of place, whoever may read.
    let one = [of(30).prove(&alice(), &world.next_binding())];
    let (head, end) = (fetch(tree, 0)[..1].to_vec(), fetch(tree, 0)[1..].to_vec());
    let answer = world.ask(server, node(30), behind(&one, [head, behind(&one, end)].concat()));
    assert!(matches!(refusal(answer), Refusal::Malformed { .. }));
    // So they are in front of a request for access, which is the node's.
    let ask = Ask {
        versions: Versions::OURS,
        tree,
        permission: Permission::Read,
        name: heapless::String::new(),
        invite: None,
        hold: 0,
    };
    let one = [of(30).prove(&alice(), &world.next_binding())];
    let answer = world.ask(server, node(30), behind(&one, vec![frame(Kind::Ask, &ask, [(); 0])]));
    assert!(matches!(refusal(answer), Refusal::Malformed { .. }));
}

#[test]
fn checks_of_proofs_are_charged_to_strangers() {
    let (mut world, server, _, tree) = scene(8);
    let own = world.key(server);
    let source = Source::of(b"one address");
    let mut asked = 0;
    // Proofs that are good of keys that may nothing: each request costs its checks.
    let told = loop {
        let by = node(40);
        let here = world.next_binding();
        let target = ProofTarget { side: Side::Initiator, by, to: own, tree: Some(tree) };
        let proofs: Vec<_> = (0..MAX_PROOFS)
            .map(|n| target.prove(&SecretKey::from_bytes([u8::try_from(n).unwrap() + 60; 32]), &here))
            .collect();
        let said = behind(&proofs, fetch(tree, 0)).into_iter().map(Some).chain([None]);
        let wire = world.knock(server, by, source, said);
        world.settle();
        let (frames, _) = world.heard(wire);
        asked += 1;
        match Frame::read(&frames[0]) {
            Ok(Frame::Refusal(Refusal::Unknown)) => assert!(asked < 10_000, "it is never too much"),
            Ok(Frame::Refusal(Refusal::Busy { delay })) => break delay,
            other => panic!("{other:?}"),
        }
    };
    assert!(told > 0 && asked <= CHECKS as usize / MAX_PROOFS + 1, "{asked} requests");
}

#[test]
fn a_node_whose_further_key_is_granted_is_no_stranger_and_one_key_vouches_for_few_nodes() {
    let (mut world, server, _, tree) = scene(9);
    let own = world.key(server);
    let shows = |world: &mut World, by: u8| {
        let target = ProofTarget { side: Side::Initiator, by: node(by), to: own, tree: Some(tree) };
        let proof = target.prove(&alice(), &world.next_binding());
        let served = world.ask(server, node(by), behind(&[proof], fetch(tree, 0))).unwrap();
        assert!(matches!(Frame::read(&served[0]), Ok(Frame::Reply(..))), "{by}: {served:?}");
    };
    let many = u8::try_from(MAX_NODES_OF_KEY).unwrap();
    for by in 0..=many {
        shows(&mut world, 60 + by);
    }
    // Strangers that fill their places push out strangers alone.
    let crowd = |world: &mut World| {
        for n in 0..MAX_STRANGERS as u64 {
            world.knock(server, None, Source::of(&(1_000 + n).to_le_bytes()), []);
        }
        world.settle();
    };
    let waits = |world: &mut World, by: u8| world.knock(server, node(by), Source::of(&[by]), []);
    let (proven, stranger) = (waits(&mut world, 60), waits(&mut world, 60 + many));
    world.settle();
    crowd(&mut world);
    crowd(&mut world);
    assert!(!world.heard(proven).1, "it has lately read by Alice's grant");
    assert!(world.heard(stranger).1, "one key makes no crowd of nodes proven");
}
