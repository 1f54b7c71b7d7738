//! Nodes that hear of a revocation at different times come to show the same.

use pleach_core::{
    Id,
    document::{Draft, SettingsStore},
    entry::{Permission, SETTINGS, Who},
    node::{Command, Commit, NodeError, Reply},
};
use pleach_tests::world::{HostId, World};

/// Four hosts that hold a tree of the first: an administrator above another, and two writers.
struct Four {
    world: World,
    tree: Id,
    ann: HostId,
    dan: HostId,
    bob: HostId,
    eve: HostId,
}

impl Four {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let [ann, dan, bob, eve] = [(); 4].map(|()| world.host());
        let given = [(dan, Permission::Admin(5)), (bob, Permission::Write(9)), (eve, Permission::Write(9))];
        let grants = given.map(|(host, given)| (Who::Key(world.key(host)), given)).into();
        let tree = world.create_with(ann, "notes", grants);
        for host in [dan, bob, eve] {
            world.sync(host, ann, tree).unwrap();
        }
        Self { world, tree, ann, dan, bob, eve }
    }

    fn write(&mut self, host: HostId, path: &str, value: &str) {
        self.world.write(host, self.tree, path, value).unwrap();
    }

    fn value(&self, host: HostId, path: &str) -> Option<String> {
        self.world.value(host, self.tree, path)
    }

    fn sync(&mut self, host: HostId, with: HostId) {
        self.world.sync(host, with, self.tree).unwrap();
    }

    fn revoke(&mut self, host: HostId, whom: HostId) {
        let (key, secret) = (self.world.key(whom), self.world.secret(host));
        let draft = Draft::new(self.world.snapshot(host), self.tree, secret.public(), [0; 32]);
        draft.store::<SettingsStore>(SETTINGS).unwrap().revoke(Who::Key(key)).unwrap();
        let changes = draft.finish().unwrap();
        let commit = Commit { tree: self.tree, key: secret, stores: changes.stores, paths: changes.touched };
        let Ok(Reply::Committed(_)) = self.world.run(host, Command::Commit(commit)) else { panic!() };
    }

    /// What all these hosts hold is the same.
    fn same(&self, hosts: &[HostId]) {
        let state = |host: HostId| {
            let world = &self.world;
            (world.tips(host, self.tree), world.count(host, self.tree), world.content(host, self.tree))
        };
        for host in hosts {
            assert_eq!(state(*host), state(hosts[0]));
        }
    }
}

#[test]
fn what_a_revoked_key_writes_apart_is_hidden_wherever_the_revocation_arrives() {
    let mut four = Four::new(1);
    four.write(four.bob, "before", "known to all");
    four.sync(four.bob, four.ann);
    four.revoke(four.ann, four.bob);
    four.write(four.bob, "after", "from nowhere");
    // Whoever knows of the revocation serves Bob nothing; Eve does not know yet.
    let refused = four.world.sync(four.bob, four.ann, four.tree);
    assert_eq!(refused.unwrap_err(), NodeError::NotOffered(four.tree));
    four.sync(four.eve, four.bob);
    assert_eq!(four.value(four.eve, "after").as_deref(), Some("from nowhere"));
    four.sync(four.eve, four.ann);
    assert_eq!(four.value(four.eve, "after"), None);
    assert_eq!(four.value(four.ann, "after"), None);
    assert_eq!(four.value(four.eve, "before").as_deref(), Some("known to all"), "it came first");
    four.same(&[four.ann, four.eve]);
    // And the other way round, towards one who knew all along.
    four.sync(four.dan, four.ann);
    four.sync(four.dan, four.eve);
    four.same(&[four.ann, four.dan, four.eve]);
}

#[test]
fn who_built_on_a_masked_entry_keeps_counting() {
    let mut four = Four::new(2);
    four.revoke(four.ann, four.bob);
    four.write(four.bob, "bobs", "hidden");
    four.sync(four.eve, four.bob);
    four.write(four.eve, "eves", "shown");
    four.sync(four.ann, four.eve);
    four.same(&[four.ann, four.eve]);
    for host in [four.ann, four.eve] {
        assert_eq!(four.value(host, "bobs"), None);
        assert_eq!(four.value(host, "eves").as_deref(), Some("shown"));
    }
    four.sync(four.dan, four.ann);
    four.same(&[four.ann, four.dan]);
}

#[test]
fn a_mask_lifts_when_the_revoker_is_revoked_by_a_higher_rank_apart() {
    let mut four = Four::new(3);
    four.revoke(four.dan, four.bob);
    four.write(four.bob, "bobs", "good work");
    four.revoke(four.ann, four.dan);
    // Eve hears of Dan's revocation first, and of Ann's last.
    four.sync(four.eve, four.bob);
    four.sync(four.eve, four.dan);
    assert_eq!(four.value(four.eve, "bobs"), None);
    four.sync(four.eve, four.ann);
    assert_eq!(four.value(four.eve, "bobs").as_deref(), Some("good work"));
    four.same(&[four.ann, four.eve]);
    // What came back into the shared set is an arrival: a token does not miss it.
    four.sync(four.bob, four.ann);
    four.same(&[four.ann, four.bob, four.eve]);
}

#[test]
fn masked_entries_that_nobody_built_on_are_forgotten_after_a_while() {
    let mut four = Four::new(4);
    four.revoke(four.ann, four.bob);
    for n in 0..20 {
        four.write(four.bob, &format!("n{n}"), "hidden");
    }
    four.sync(four.eve, four.bob);
    let bytes = |four: &Four, host| four.world.snapshot(host).summary(&four.tree).unwrap().unwrap().bytes;
    let before = bytes(&four, four.ann);
    // Eve offers what she does not know to be masked.
    four.sync(four.eve, four.ann);
    assert!(bytes(&four, four.ann) > before, "it was kept for the while");
    four.same(&[four.ann, four.eve]);
    for _ in 0..100 {
        four.world.pass();
        four.world.settle();
    }
    assert_eq!(bytes(&four, four.ann), before);
    assert!(bytes(&four, four.eve) > before, "what was once shared is kept, for the mask may lift");
    let audit = four.world.snapshot(four.ann).audit(&four.tree, None, 999).unwrap();
    assert_eq!(audit.faults, []);
}

#[test]
fn thousands_of_masked_entries_stop_no_sync() {
    let mut four = Four::new(5);
    four.revoke(four.ann, four.bob);
    let written: Vec<_> = (0..5_000)
        .map(|n| {
            let command = four.world.commit(four.bob, four.tree, &format!("n{n}"), "hidden");
            four.world.command(four.bob, command)
        })
        .collect();
    four.world.settle();
    for command in written {
        four.world.outcome(four.bob, command).unwrap().unwrap();
    }
    four.sync(four.eve, four.bob);
    assert!(four.world.count(four.eve, four.tree) > 5_000);
    four.write(four.eve, "eves", "on top of the flood");
    four.write(four.ann, "anns", "meanwhile");
    four.sync(four.ann, four.eve);
    four.same(&[four.ann, four.eve]);
    assert_eq!(four.value(four.ann, "eves").as_deref(), Some("on top of the flood"));
    assert_eq!(four.value(four.ann, "n7"), None);
}
