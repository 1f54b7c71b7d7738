//! Peers: blocked on either side, found at several addresses, waited for, asked for access, met and forgotten; and what
//! is said of them at each moment.

mod access;
mod blocked;
mod known;
mod pending;
mod places;
mod sources;
mod status;

use std::{cell::RefCell, rc::Rc};

use pleach_core::{
    Id, PublicKey, SecretKey,
    document::{Draft, SettingsStore},
    entry::{Permission, SETTINGS, Who},
    instance::SyncStatus,
    node::{Command, Commit, ConnectionState, PairRecord, PeerState, PeerStatus, Reply, Tracking},
    wire::{Address, Ask, Frame, Kind, TreesRequest, Versions, write},
};
use pleach_tests::world::{Fate, HostId, World};

/// Milliseconds between two syncs of a tracked pair.
const INTERVAL: u64 = 300_000;

/// Two hosts that may both write a tree of the first.
fn pair(seed: u64) -> (World, HostId, HostId, Id) {
    let mut world = World::new(seed);
    let (alice, bob) = (world.host(), world.host());
    let grants = vec![(Who::Key(world.key(bob)), Permission::Write(100))];
    let tree = world.create_with(alice, "notes", grants);
    (world, alice, bob, tree)
}

/// Entries of a tree after [`fill`], the root included.
const COUNT: u64 = 61;

/// Writes more than one batch.
fn fill(world: &mut World, host: HostId, tree: Id) {
    for n in 1..COUNT {
        world.write(host, tree, &format!("k{n}"), "x".repeat(100_000)).unwrap();
    }
}

fn set(world: &mut World, host: HostId, peer: HostId, status: PeerStatus) {
    let peer = world.key(peer);
    assert_eq!(world.run(host, Command::SetPeer { peer, status }), Ok(Reply::Done));
}

fn track(world: &mut World, host: HostId, tracking: Tracking) {
    assert_eq!(world.run(host, Command::Track(Box::new(tracking))), Ok(Reply::Done));
}

/// A pair as a runtime takes it up: with what the metadata say.
fn tracking(world: &World, host: HostId, peer: HostId, tree: Id) -> Tracking {
    let key = world.key(peer);
    let mut tracking = Tracking::new(tree, key, vec![world.address(peer)], INTERVAL);
    tracking.record = PairRecord::read(&*world.snapshot(host), &tree, &key).unwrap();
    tracking
}

fn status(world: &mut World, host: HostId, peer: HostId, tree: Id) -> SyncStatus {
    let peer = world.key(peer);
    let id = world.command(host, Command::Status { tree, peer });
    // Only this command, so that the moment stays.
    let reply = loop {
        if let Some(reply) = world.outcome(host, id) {
            break reply;
        }
        assert!(world.step());
    };
    let Ok(Reply::Pair(pair)) = reply else { panic!("not a status: {reply:?}") };
    SyncStatus::of(&*world.snapshot(host), &tree, pair.map(|pair| *pair), None).unwrap()
}

fn states(world: &mut World, host: HostId) -> Vec<PeerState> {
    match world.run(host, Command::Peers) {
        Ok(Reply::Peers(states)) => states,
        other => panic!("not a list of peers: {other:?}"),
    }
}

fn connection(world: &mut World, host: HostId, peer: HostId) -> ConnectionState {
    let key = world.key(peer);
    let found = states(world, host).into_iter().find(|state| state.peer == key);
    found.map(|state| state.connection).unwrap_or_default()
}

fn stranger(n: usize) -> PublicKey {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    SecretKey::from_bytes(bytes).public()
}

fn ask_frame(tree: Id) -> Vec<u8> {
    let name = "Bob".try_into().expect("a short name");
    let ask =
        Ask { versions: Versions::OURS, tree, permission: Permission::Admin(1), name, invite: None, hold: 0 };
    let mut room = [0; 1_024];
    let length = write(Kind::Ask, &ask, *b"hello", &mut room).expect("it fits");
    room[..length].to_vec()
}

fn trees_frame() -> Vec<u8> {
    let request = TreesRequest { versions: Versions::OURS, after: None };
    let mut room = [0; 64];
    let length = write(Kind::Trees, &request, [0_u8; 0], &mut room).expect("it fits");
    room[..length].to_vec()
}

/// What a host that holds nothing says first when it wants a tree.
fn hello(tree: Id) -> Vec<Vec<u8>> {
    let mut world = World::new(77);
    let (asker, asked) = (world.host(), world.host());
    let seen = Rc::new(RefCell::new(Vec::new()));
    let kept = Rc::clone(&seen);
    world.fate(move |frame| {
        kept.borrow_mut().push(frame.to_vec());
        Fate::Arrive
    });
    let _ = world.sync(asker, asked, tree);
    let mut frames = seen.take();
    assert!(matches!(Frame::read(&frames[0]), Ok(Frame::Sync(..))));
    assert!(matches!(Frame::read(&frames.pop().unwrap()), Ok(Frame::Refusal(_))), "its answer");
    frames
}

/// A host that never answers, and its place.
fn silent(world: &mut World) -> Address {
    let host = world.host();
    world.mute(host, true);
    Address { key: None, ..world.address(host) }
}

fn grant(world: &mut World, host: HostId, tree: Id, who: Who, permission: Permission) {
    let draft = Draft::new(world.snapshot(host), tree, world.key(host), [0; 32]);
    draft.store::<SettingsStore>(SETTINGS).unwrap().grant(who, permission, None).unwrap();
    let changes = draft.finish().unwrap();
    let (stores, paths) = (changes.stores, changes.touched);
    world.run(host, Command::Commit(Commit { tree, key: world.secret(host), stores, paths })).unwrap();
}
