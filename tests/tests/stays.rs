//! News reach whoever keeps a tree the same at once, both ways, and are waited for without end.

use pleach_core::{
    Id,
    node::{Command, Notification, Origin, Tracking},
};
use pleach_tests::world::{HostId, World};

/// Milliseconds between periodic syncs: longer than any of these tests.
const INTERVAL: u64 = 24 * 60 * 60 * 1_000;

/// A tree of the first host, which all others keep the same with it.
fn star(seed: u64, count: usize) -> (World, Id, Vec<HostId>) {
    let mut world = World::new(seed);
    let hosts: Vec<HostId> = (0..count).map(|_| world.host()).collect();
    let grants = hosts[1..].iter().map(|host| {
        (pleach_core::entry::Who::Key(world.key(*host)), pleach_core::entry::Permission::Write(9))
    });
    let grants = grants.collect();
    let tree = world.create_with(hosts[0], "notes", grants);
    for host in &hosts[1..] {
        follow(&mut world, *host, hosts[0], tree);
    }
    world.settle();
    (world, tree, hosts)
}

fn follow(world: &mut World, host: HostId, peer: HostId, tree: Id) {
    let tracking = Tracking::new(tree, world.key(peer), vec![world.address(peer)], INTERVAL);
    world.run(host, Command::Track(Box::new(tracking))).unwrap();
    world.settle();
}

fn heard(world: &mut World, host: HostId) -> usize {
    let notes = world.notes(host).into_iter();
    notes.filter(|note| matches!(note, Notification::Wrote { origin: Origin::Remote(_), .. })).count()
}

#[test]
fn who_only_listens_hears_of_news_at_once_and_again() {
    let (mut world, tree, hosts) = star(1, 2);
    let [alice, bob] = hosts[..] else { panic!() };
    let began = world.clock();
    for n in 0..20 {
        let path = format!("n{n}");
        world.write(alice, tree, &path, "news").unwrap();
        world.settle();
        assert_eq!(world.value(bob, tree, &path).as_deref(), Some("news"));
    }
    assert_eq!(world.clock(), began, "without time passing");
}

#[test]
fn a_wait_is_renewed_for_as_long_as_there_is_no_news() {
    let (mut world, tree, hosts) = star(2, 2);
    let [alice, bob] = hosts[..] else { panic!() };
    let began = world.clock();
    while world.clock() < began + INTERVAL / 2 {
        world.pass();
        world.settle();
    }
    heard(&mut world, bob);
    world.write(alice, tree, "late", "news").unwrap();
    world.settle();
    assert_eq!((heard(&mut world, bob), world.value(bob, tree, "late").as_deref()), (1, Some("news")));
}

#[test]
fn what_one_writes_reaches_all_through_whom_they_share_and_no_entry_goes_round() {
    for seed in 0..8 {
        let (mut world, tree, hosts) = star(10 + seed, 5);
        for (n, host) in hosts.iter().enumerate().skip(1) {
            world.write(*host, tree, &format!("n{n}"), "mine").unwrap();
            world.settle();
        }
        let tips = world.tips(hosts[0], tree);
        for host in &hosts[1..] {
            assert_eq!(world.tips(*host, tree), tips, "seed {seed}");
            assert_eq!(world.count(*host, tree), 5);
        }
        // Everything has come to rest: nothing is due but the ends of waits, and nobody hears of anything.
        for host in &hosts {
            heard(&mut world, *host);
        }
        for _ in 0..20 {
            world.pass();
            world.settle();
        }
        assert!(hosts.iter().all(|host| heard(&mut world, *host) == 0), "seed {seed}");
    }
}

#[test]
fn a_chain_of_three_that_all_follow_both_ways_comes_to_rest() {
    let (mut world, tree, hosts) = star(30, 3);
    let [alice, bob, carol] = hosts[..] else { panic!() };
    for (host, peer) in [(alice, bob), (bob, carol), (carol, bob), (alice, carol)] {
        follow(&mut world, host, peer, tree);
    }
    for host in [alice, bob] {
        heard(&mut world, host);
    }
    world.write(carol, tree, "ring", "once").unwrap();
    world.settle();
    for host in [alice, bob] {
        assert_eq!(world.value(host, tree, "ring").as_deref(), Some("once"));
        assert_eq!(heard(&mut world, host), 1, "each hears of it once");
    }
}

#[test]
fn who_loses_the_right_to_read_hears_nothing_more_and_is_told_so() {
    let (mut world, tree, hosts) = star(40, 2);
    let [alice, bob] = hosts[..] else { panic!() };
    let key = world.key(bob);
    let secret = world.secret(alice);
    let draft = pleach_core::document::Draft::new(world.snapshot(alice), tree, secret.public(), [0; 32]);
    let settings = draft.store::<pleach_core::document::SettingsStore>(pleach_core::entry::SETTINGS).unwrap();
    settings.revoke(pleach_core::entry::Who::Key(key)).unwrap();
    let changes = draft.finish().unwrap();
    let commit =
        pleach_core::node::Commit { tree, key: secret, stores: changes.stores, paths: changes.touched };
    world.run(alice, Command::Commit(commit)).unwrap();
    world.settle();
    world.write(alice, tree, "secret", "not for Bob").unwrap();
    world.settle();
    assert_eq!(world.value(bob, tree, "secret"), None);
    let refused = |note: &Notification| matches!(note, Notification::Tracked { outcome: Err(error), .. } if error.to_string().contains("not"));
    assert!(world.notes(bob).iter().any(refused), "the background says so");
}

#[test]
fn a_host_that_restarts_is_waited_for_again() {
    let (mut world, tree, hosts) = star(50, 2);
    let [alice, bob] = hosts[..] else { panic!() };
    world.restart(alice);
    world.settle();
    for _ in 0..10 {
        world.pass();
        world.settle();
    }
    world.write(alice, tree, "back", "again").unwrap();
    world.settle();
    assert_eq!(world.value(bob, tree, "back").as_deref(), Some("again"));
}
