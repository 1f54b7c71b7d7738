//! Two and three nodes keep a tree the same: bootstrap, divergence, cuts, refusals, and the background.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use pleach_core::{
    Id, Position, PublicKey,
    entry::{Grant, Permission, Who},
    limits::MAX_BATCH_BYTES,
    node::{Arrival, Command, NodeError, Notification, Reply, Tracking},
    storage::{StorageError, Store},
    wire::Frame,
};
use pleach_storage::{Memory, conformance::Maker};
use pleach_tests::{
    history::Chain,
    world::{Fate, HostId, World},
};

/// Two hosts that may both write a tree of the first.
fn pair(seed: u64) -> (World, HostId, HostId, Id) {
    let mut world = World::new(seed);
    let (alice, bob) = (world.host(), world.host());
    let grants = vec![(Who::Key(world.key(bob)), Permission::Write(100))];
    let tree = world.create_with(alice, "notes", grants);
    (world, alice, bob, tree)
}

/// A tree that everybody may read, in a store, and its tip.
fn public_tree() -> (Maker, Memory, Position) {
    let (maker, store) = (Maker::new(1), Memory::new());
    let grants = [Grant { who: Who::Everyone, permission: Permission::Read, name: None }];
    let settings = maker.settings(&[maker.root().position()], &grants, &[]);
    store.write(&maker.put([&maker.root(), &settings])).unwrap();
    (maker, store, settings.position())
}

fn fill(world: &mut World, host: HostId, tree: Id, name: &str, count: usize) {
    let ids: Vec<_> = (0..count)
        .map(|n| {
            let command = world.commit(host, tree, &format!("{name}{n}"), "x".repeat(200));
            world.command(host, command)
        })
        .collect();
    world.settle();
    for id in ids {
        world.outcome(host, id).expect("an answer").expect("a commit");
    }
}

fn same(world: &World, one: HostId, two: HostId, tree: Id) -> bool {
    world.tips(one, tree) == world.tips(two, tree)
        && world.content(one, tree) == world.content(two, tree)
        && world.count(one, tree) == world.count(two, tree)
}

#[test]
fn a_node_that_holds_nothing_fetches_everything() {
    let (mut world, alice, bob, tree) = pair(1);
    fill(&mut world, alice, tree, "a", 500);
    let report = world.sync(bob, alice, tree).unwrap();
    assert_eq!((report.entries_received, report.entries_sent), (501, 0));
    assert_eq!(report.peer, Some(world.key(alice)));
    assert!(same(&world, alice, bob, tree));
}

#[test]
fn two_nodes_that_wrote_apart_come_together_in_one_exchange() {
    let (mut world, alice, bob, tree) = pair(2);
    fill(&mut world, alice, tree, "a", 300);
    world.sync(bob, alice, tree).unwrap();
    fill(&mut world, alice, tree, "both", 50);
    world.write(alice, tree, "key", "from alice").unwrap();
    fill(&mut world, bob, tree, "both", 60);
    world.write(bob, tree, "key", "from bob").unwrap();
    let report = world.sync(bob, alice, tree).unwrap();
    assert_eq!((report.entries_received, report.entries_sent), (51, 61));
    assert!(same(&world, alice, bob, tree));
    assert_eq!(world.tips(alice, tree).len(), 2, "receiving merges nothing");
    world.write(bob, tree, "key", "merged").unwrap();
    assert_eq!(world.tips(bob, tree).len(), 1, "a commit takes all tips as parents");
}

#[test]
fn nothing_new_costs_one_round_trip_and_few_bytes() {
    let (mut world, alice, bob, tree) = pair(3);
    fill(&mut world, alice, tree, "a", 1_000);
    world.sync(bob, alice, tree).unwrap();
    let report = world.sync(bob, alice, tree).unwrap();
    assert_eq!((report.entries_received, report.entries_sent, report.round_trips), (0, 0, 1));
    assert!(report.bytes_sent <= 320 && report.bytes_received <= 96, "{report:?}");
}

#[test]
fn a_request_that_arrives_as_a_whole_brings_a_batch_at_most() {
    let (maker, store, tip) = public_tree();
    let mut chain = Chain::new(maker.key(), maker.tree(), vec![tip], 1);
    let other = store.fork().unwrap();
    for _ in 0..3 {
        store.write(&maker.put(&chain.grow(19, 200_000))).unwrap();
    }
    let mut world = World::new(15);
    world.arrival = Arrival::Whole;
    let (alice, bob) = (world.host_over(Arc::new(other)), world.host_over(Arc::new(store)));
    let requests = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&requests);
    let mut is_request = false;
    world.fate(move |bytes| {
        match Frame::read(bytes) {
            Ok(Frame::Sync(..)) => {
                noted.borrow_mut().push(0);
                is_request = true;
            }
            Ok(Frame::Reply(..)) => is_request = false,
            _ => {}
        }
        if let Some(last) = noted.borrow_mut().last_mut().filter(|_| is_request) {
            *last += bytes.len();
        }
        Fate::Arrive
    });
    let report = world.sync(bob, alice, maker.tree()).unwrap();
    assert_eq!((report.entries_received, report.entries_sent), (0, 57));
    let requests = requests.borrow();
    assert!(requests.len() >= 4 && requests.iter().all(|bytes| *bytes <= MAX_BATCH_BYTES), "{requests:?}");
    assert!(requests.iter().any(|bytes| *bytes > MAX_BATCH_BYTES - 300_000), "{requests:?}");
}

#[test]
fn a_stranger_learns_nothing_not_even_that_the_tree_exists() {
    let (mut world, alice, _, tree) = pair(4);
    let eve = world.host();
    let unknown = Id::of(b"no such tree");
    let frames = world.frames;
    assert_eq!(world.sync(eve, alice, tree), Err(NodeError::NotOffered(tree)));
    let forbidden = world.frames - frames;
    assert_eq!(world.sync(eve, alice, unknown), Err(NodeError::NotOffered(unknown)));
    assert_eq!(world.frames - frames, 2 * forbidden, "the same frames go both ways");
    let discover = Command::Discover(world.address(alice));
    assert_eq!(world.run(eve, discover), Ok(Reply::Trees(Vec::new())));
}

#[test]
fn a_peer_that_may_not_read_is_sent_nothing() {
    let (mut world, alice, _, tree) = pair(5);
    let eve = world.host();
    // Alice dials a node that holds nothing of hers and may read none of it.
    let result = world.sync(alice, eve, tree);
    assert!(matches!(result, Err(NodeError::NotOffered(_) | NodeError::PeerMayNotRead(_))), "{result:?}");
    assert_eq!(world.count(eve, tree), 0);
}

#[test]
fn a_peer_lists_what_the_asker_may_read() {
    let (mut world, alice, bob, tree) = pair(6);
    world.create(alice, "private");
    let discover = Command::Discover(world.address(alice));
    let Ok(Reply::Trees(trees)) = world.run(bob, discover) else { panic!("no list") };
    let [only] = &trees[..] else { panic!("one tree was expected: {trees:?}") };
    assert_eq!((only.id, only.name.as_str(), only.entries), (tree, "notes", 1));
}

#[test]
fn a_list_longer_than_a_page_comes_whole() {
    let mut world = World::new(16);
    let (alice, bob) = (world.host(), world.host());
    let trees: Vec<Id> = (0..300)
        .map(|n| world.create_with(alice, &n.to_string(), vec![(Who::Everyone, Permission::Read)]))
        .collect();
    let discover = Command::Discover(world.address(alice));
    let Ok(Reply::Trees(listed)) = world.run(bob, discover) else { panic!("no list") };
    assert_eq!(listed.len(), trees.len());
    assert!(listed.is_sorted_by_key(|tree| tree.id) && listed.iter().all(|tree| trees.contains(&tree.id)));
}

#[test]
fn a_cut_at_every_frame_loses_nothing_and_the_next_try_goes_on() {
    const NEWS: usize = 400;
    let (maker, store, tip) = public_tree();
    let other = store.fork().unwrap();
    for (store, seed) in [(&store, 2), (&other, 3)] {
        let mut chain = Chain::new(maker.key(), maker.tree(), vec![tip], seed);
        store.write(&maker.put(&chain.grow(NEWS, 1_500))).unwrap();
    }
    let mut moved = Vec::new();
    for cut in 1.. {
        let mut world = World::new(cut);
        let alice = world.host_over(Arc::new(store.fork().unwrap()));
        let bob = world.host_over(Arc::new(other.fork().unwrap()));
        // Entries that were sent in either direction, those that were cut off among them.
        let (sent, until) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(cut)));
        let (counted, armed) = (Rc::clone(&sent), Rc::clone(&until));
        let mut seen = 0;
        world.fate(move |bytes| {
            if let Ok(Frame::Entries(entries)) = Frame::read(bytes) {
                counted.set(counted.get() + entries.count());
            }
            seen += 1;
            if seen == armed.get() { Fate::Cut } else { Fate::Arrive }
        });
        let held = |world: &World| world.count(alice, maker.tree()) + world.count(bob, maker.tree());
        let before = held(&world);
        let uncut = world.sync(bob, alice, maker.tree()).is_ok();
        world.settle();
        until.set(u64::MAX);
        let (lacking, first) = (before + 2 * NEWS as u64 - held(&world), sent.get() as u64);
        world.sync(bob, alice, maker.tree()).unwrap();
        assert_eq!(sent.get() as u64 - first, lacking, "only what was not stored is sent again");
        assert!(same(&world, alice, bob, maker.tree()), "cut at frame {cut}");
        moved.push(sent.get() - 2 * NEWS);
        if uncut {
            break;
        }
    }
    assert!(moved.len() > 12 && moved.last() == Some(&0), "moved again: {moved:?}");
}

#[test]
fn a_flipped_bit_never_gets_into_a_store() {
    let (maker, store, tip) = public_tree();
    let other = store.fork().unwrap();
    let mut chain = Chain::new(maker.key(), maker.tree(), vec![tip], 2);
    store.write(&maker.put(&chain.grow(50, 200))).unwrap();
    let exchange = |number: u64, flip: Option<(u64, usize)>| {
        let mut world = World::new(200 + number);
        let alice = world.host_over(Arc::new(store.fork().unwrap()));
        let bob = world.host_over(Arc::new(other.fork().unwrap()));
        let lengths = Rc::new(RefCell::new(Vec::new()));
        let (heard, mut seen) = (Rc::clone(&lengths), 0);
        world.meddle(move |frame| {
            seen += 1;
            heard.borrow_mut().push(frame.len());
            match flip {
                Some((at, bit)) if at == seen => frame[bit / 8] ^= 1 << (bit % 8),
                _ => {}
            }
            Fate::Arrive
        });
        let _ = world.sync(bob, alice, maker.tree());
        world.settle();
        assert!(flip.is_none_or(|(at, _)| seen_at_least(&lengths, at)), "it was flipped");
        world.fate(|_| Fate::Arrive);
        world.sync(bob, alice, maker.tree()).unwrap();
        assert!(same(&world, alice, bob, maker.tree()), "flip {flip:?}");
        lengths.take()
    };
    // Bits all over each frame of the exchange.
    for (at, length) in (1..).zip(exchange(0, None)) {
        for place in 0..8 {
            let bit = (length * 8 - 1) * place / 7;
            exchange(at * 8 + place as u64, Some((at, bit)));
        }
    }
}

fn seen_at_least(lengths: &RefCell<Vec<usize>>, count: u64) -> bool {
    lengths.borrow().len() as u64 >= count
}

#[test]
fn a_full_disk_ends_the_exchange_and_what_was_durable_stays() {
    let (mut world, alice, bob, tree) = pair(7);
    fill(&mut world, alice, tree, "a", 100);
    world.disk(bob, Some(StorageError::Full));
    assert_eq!(world.sync(bob, alice, tree), Err(NodeError::Storage(StorageError::Full)));
    world.disk(bob, None);
    world.sync(bob, alice, tree).unwrap();
    assert!(same(&world, alice, bob, tree));
    // The responder's disk.
    fill(&mut world, bob, tree, "b", 10);
    world.disk(alice, Some(StorageError::Full));
    assert_eq!(world.sync(bob, alice, tree), Err(NodeError::PeerFailed));
    world.disk(alice, None);
    world.sync(bob, alice, tree).unwrap();
    assert!(same(&world, alice, bob, tree));
}

#[test]
fn a_peer_that_never_answers_is_given_up_in_time() {
    let (mut world, alice, bob, tree) = pair(8);
    world.mute(alice, true);
    assert_eq!(world.sync(bob, alice, tree), Err(NodeError::TimedOut(30)));
}

#[test]
fn a_slow_line_is_given_the_time_that_its_bytes_take() {
    let (mut world, alice, bob, tree) = pair(14);
    world.sync(bob, alice, tree).unwrap();
    fill(&mut world, bob, tree, "a", 5_000);
    let address = world.address(alice);
    let before = world.clock();
    let id = world.command(bob, Command::Sync { address, tree });
    // Until a megabyte is on its way; then the peer falls silent.
    let frames = world.frames + 6;
    while world.frames < frames && world.step() {}
    world.pause(alice, true);
    let outcome = loop {
        if let Some(outcome) = world.outcome(bob, id) {
            break outcome;
        }
        if !world.step() {
            world.pass();
        }
    };
    let waited = world.clock() - before;
    assert!(matches!(outcome, Err(NodeError::TimedOut(seconds)) if seconds * 1_000 <= waited));
    assert!(waited >= 60_000, "a megabyte takes a minute on the slowest line, not {waited} ms");
    world.pause(alice, false);
    world.settle();
    world.sync(bob, alice, tree).unwrap();
    assert!(same(&world, alice, bob, tree));
}

#[test]
fn a_tracked_tree_is_pushed_after_each_commit() {
    let (mut world, alice, bob, tree) = pair(9);
    world.sync(bob, alice, tree).unwrap();
    track(&mut world, alice, bob, tree);
    world.settle();
    world.write(alice, tree, "a", "1").unwrap();
    world.settle();
    assert_eq!(world.value(bob, tree, "a").as_deref(), Some("1"));
    let alices = world.key(alice);
    world.write(bob, tree, "a", "2").unwrap();
    track(&mut world, bob, alice, tree);
    world.settle();
    assert_eq!(world.value(alice, tree, "a").as_deref(), Some("2"));
    assert!(world.notes(bob).iter().any(|note| {
        matches!(note, Notification::Tracked { peer, outcome: Ok(_), .. } if *peer == alices)
    }));
}

#[test]
fn a_tracked_peer_that_was_away_is_tried_until_it_is_back() {
    let (mut world, alice, bob, tree) = pair(10);
    world.sync(bob, alice, tree).unwrap();
    world.mute(bob, true);
    track(&mut world, alice, bob, tree);
    world.settle();
    world.write(alice, tree, "a", "1").unwrap();
    for _ in 0..6 {
        world.pass();
        world.settle();
    }
    assert_eq!(world.value(bob, tree, "a"), None);
    world.mute(bob, false);
    for _ in 0..4 {
        world.pass();
        world.settle();
    }
    assert_eq!(world.value(bob, tree, "a").as_deref(), Some("1"));
}

#[test]
fn entries_are_relayed_onward_and_the_loop_ends() {
    let mut world = World::new(11);
    let hosts = [world.host(), world.host(), world.host()];
    let writers = |world: &World, of: &[HostId]| -> Vec<(Who, Permission)> {
        of.iter().map(|host| (Who::Key(world.key(*host)), Permission::Write(100))).collect()
    };
    let grants = writers(&world, &hosts[1..]);
    let tree = world.create_with(hosts[0], "ring", grants);
    world.sync(hosts[1], hosts[0], tree).unwrap();
    world.sync(hosts[2], hosts[1], tree).unwrap();
    for at in 0..3 {
        track(&mut world, hosts[at], hosts[(at + 1) % 3], tree);
    }
    world.settle();
    world.write(hosts[0], tree, "a", "round").unwrap();
    world.settle();
    for host in hosts {
        assert_eq!(world.value(host, tree, "a").as_deref(), Some("round"));
    }
    let frames = world.frames;
    world.settle();
    assert_eq!(world.frames, frames, "once all are the same, nobody says anything");
}

#[test]
fn a_node_does_not_talk_to_itself() {
    let (mut world, alice, _, tree) = pair(12);
    assert_eq!(world.sync(alice, alice, tree), Err(NodeError::OwnAddress));
}

#[test]
fn many_exchanges_about_one_tree_at_once_all_end_well() {
    let mut world = World::new(13);
    let hub = world.host();
    let spokes: Vec<HostId> = (0..8).map(|_| world.host()).collect();
    let grants = spokes.iter().map(|host| (Who::Key(world.key(*host)), Permission::Write(9))).collect();
    let tree = world.create_with(hub, "hub", grants);
    for spoke in &spokes {
        world.sync(*spoke, hub, tree).unwrap();
        fill(&mut world, *spoke, tree, &format!("s{spoke:?}").replace(['(', ')'], ""), 40);
    }
    for round in 0..2 {
        let address = world.address(hub);
        let ids: Vec<_> = spokes
            .iter()
            .map(|spoke| (*spoke, world.command(*spoke, Command::Sync { address: address.clone(), tree })))
            .collect();
        world.settle();
        for (spoke, id) in ids {
            let outcome = world.outcome(spoke, id).expect("an answer");
            assert!(outcome.is_ok(), "round {round}: {outcome:?}");
        }
    }
    for spoke in spokes {
        assert!(same(&world, hub, spoke, tree));
    }
}

fn track(world: &mut World, host: HostId, peer: HostId, tree: Id) {
    let (address, key): (_, PublicKey) = (world.address(peer), world.key(peer));
    let tracking = Tracking::new(tree, key, vec![address], 300_000);
    assert_eq!(world.run(host, Command::Track(Box::new(tracking))), Ok(Reply::Done));
}
