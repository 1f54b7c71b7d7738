//! Commits on one node: what becomes durable, on top of what, and when.

use pleach_core::{
    document::Doc,
    entry::{Permission, Who},
    node::{Command, NodeError, Notification, Origin, Reply},
    storage::StorageError,
};
use pleach_tests::world::World;

#[test]
fn a_commit_is_answered_once_it_is_durable_and_stands_on_all_tips() {
    let mut world = World::new(1);
    let alice = world.host();
    let tree = world.create(alice, "notes");
    let first = world.write(alice, tree, "a", "1").unwrap();
    assert_eq!(world.tips(alice, tree), [first]);
    let second = world.write(alice, tree, "a", "2").unwrap();
    assert_eq!(world.tips(alice, tree), [second]);
    assert_eq!(world.value(alice, tree, "a").as_deref(), Some("2"));
    let wrote = world
        .notes(alice)
        .into_iter()
        .any(|note| note == Notification::Wrote { tree, entries: vec![second], origin: Origin::Local });
    assert!(wrote, "watchers hear of a commit");
}

#[test]
fn commits_that_wait_together_share_a_write_and_stand_in_line() {
    let mut world = World::new(2);
    let alice = world.host();
    let tree = world.create(alice, "notes");
    let before = world.snapshot(alice).summary(&tree).unwrap().unwrap().measure.count;
    let ids: Vec<_> = (0..50)
        .map(|n| {
            let command = world.commit(alice, tree, "same", n.to_string());
            world.command(alice, command)
        })
        .collect();
    world.settle();
    for id in &ids {
        assert!(matches!(world.outcome(alice, *id), Some(Ok(Reply::Committed(_)))));
    }
    assert_eq!(world.count(alice, tree), before + 50);
    assert_eq!(world.value(alice, tree, "same").as_deref(), Some("49"), "the last one wins");
    assert_eq!(world.tips(alice, tree).len(), 1);
}

#[test]
fn a_full_disk_fails_the_commit_and_loses_nothing() {
    let mut world = World::new(3);
    let alice = world.host();
    let tree = world.create(alice, "notes");
    let kept = world.write(alice, tree, "a", "1").unwrap();
    world.disk(alice, Some(StorageError::Full));
    assert_eq!(world.write(alice, tree, "a", "2"), Err(NodeError::Storage(StorageError::Full)));
    world.disk(alice, None);
    assert_eq!(world.tips(alice, tree), [kept]);
    assert_eq!(world.value(alice, tree, "a").as_deref(), Some("1"));
    world.write(alice, tree, "a", "3").unwrap();
}

#[test]
fn a_key_without_permission_cannot_commit_and_does_not_block_those_that_can() {
    let mut world = World::new(4);
    let alice = world.host();
    let bob = world.host();
    let reader = (Who::Key(world.key(bob)), Permission::Read);
    let tree = world.create_with(alice, "notes", vec![reader]);
    // Bob's command, given to Alice's node between two of hers.
    let one = world.commit(alice, tree, "a", "1");
    let mut foreign = world.commit(alice, tree, "a", "2");
    if let Command::Commit(commit) = &mut foreign {
        commit.key = pleach_core::SecretKey::from_bytes([9; 32]);
    }
    let last = world.commit(alice, tree, "b", "3");
    let [one, two, last] = [one, foreign, last].map(|command| world.command(alice, command));
    world.settle();
    assert!(matches!(world.outcome(alice, one), Some(Ok(_))));
    assert!(matches!(world.outcome(alice, two), Some(Err(NodeError::Refused(..)))));
    assert!(matches!(world.outcome(alice, last), Some(Ok(_))));
    assert_eq!(world.value(alice, tree, "a").as_deref(), Some("1"));
    assert_eq!(world.value(alice, tree, "b").as_deref(), Some("3"));
}

#[test]
fn a_commit_to_a_tree_that_is_not_held_says_so() {
    let mut world = World::new(5);
    let alice = world.host();
    let tree = pleach_core::Id::of(b"nowhere");
    assert_eq!(world.write(alice, tree, "a", "1"), Err(NodeError::UnknownTree(tree)));
}

#[test]
fn a_tree_is_made_with_its_root_key_or_not_at_all() {
    let mut world = World::new(6);
    let alice = world.host();
    let creator = world.key(alice);
    let create = || Command::Create { creator, settings: Doc::default(), grants: vec![] };
    let root_keys = |world: &World| {
        let snapshot = world.snapshot(alice);
        let keys = snapshot.metas(b"root-key/", None, 9).unwrap().len();
        (keys, snapshot.trees(None, 9).unwrap().len())
    };
    world.disk(alice, Some(StorageError::Full));
    assert_eq!(world.run(alice, create()), Err(NodeError::Storage(StorageError::Full)));
    world.disk(alice, None);
    assert_eq!(root_keys(&world), (0, 0));
    assert!(matches!(world.run(alice, create()), Ok(Reply::Created(_))));
    assert_eq!(root_keys(&world), (1, 1));
}
