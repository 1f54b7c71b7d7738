//! Nodes that hear of a revocation at different times come to show the same.

use std::{collections::BTreeSet, sync::Arc};

use pleach_core::{
    Id, Position, Range,
    document::{Draft, SettingsStore},
    entry::{Permission, SETTINGS, Who},
    node::{Command, Commit, NodeError, Reply},
};
use pleach_storage::Memory;
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
        Self::over(seed, Memory::new)
    }

    fn over(seed: u64, store: impl Fn() -> Memory) -> Self {
        let mut world = World::new(seed);
        let [ann, dan, bob, eve] = [(); 4].map(|()| world.host_over(Arc::new(store())));
        let given = [(dan, Permission::Admin(5)), (bob, Permission::Write(9)), (eve, Permission::Write(9))];
        let grants = given.map(|(host, given)| (Who::Key(world.key(host)), given)).into();
        let tree = world.create_with(ann, "notes", grants);
        for host in [dan, bob, eve] {
            world.sync(host, ann, tree).unwrap();
        }
        Self { world, tree, ann, dan, bob, eve }
    }

    fn write(&mut self, host: HostId, path: &str, value: &str) -> Position {
        self.world.write(host, self.tree, path, value).unwrap()
    }

    fn value(&self, host: HostId, path: &str) -> Option<String> {
        self.world.value(host, self.tree, path)
    }

    fn sync(&mut self, host: HostId, with: HostId) {
        self.world.sync(host, with, self.tree).unwrap();
    }

    fn revoke(&mut self, host: HostId, whom: HostId) {
        let commit = self.revocation(host, whom);
        let Ok(Reply::Committed(_)) = self.world.run(host, Command::Commit(commit)) else { panic!() };
    }

    /// A revocation that undoes what builds on an entry.
    fn undo(&mut self, host: HostId, whom: HostId, entry: Id) -> Result<Position, NodeError> {
        let commit = self.revocation(host, whom);
        match self.world.run(host, Command::Undo { entry, commit })? {
            Reply::Committed(position) => Ok(position),
            reply => panic!("{reply:?}"),
        }
    }

    fn revocation(&self, host: HostId, whom: HostId) -> Commit {
        let (key, secret) = (self.world.key(whom), self.world.secret(host));
        let draft = Draft::new(self.world.snapshot(host), self.tree, secret.public(), [0; 32]);
        draft.store::<SettingsStore>(SETTINGS).unwrap().revoke(Who::Key(key)).unwrap();
        let changes = draft.finish().unwrap();
        Commit { tree: self.tree, key: secret, stores: changes.stores, paths: changes.touched }
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

#[test]
fn a_revocation_that_undoes_hides_the_entry_and_what_the_key_wrote_above_it_everywhere() {
    let mut four = Four::new(5);
    four.write(four.bob, "before", "good work");
    let first = four.write(four.bob, "first", "nonsense");
    four.write(four.bob, "second", "more nonsense");
    four.sync(four.eve, four.bob);
    // Eve builds on it, and is no less honest for that.
    let eves = four.write(four.eve, "eves", "shown");
    for host in [four.ann, four.dan] {
        four.sync(host, four.eve);
    }
    let revocation = four.undo(four.ann, four.bob, first.id).unwrap();
    assert_eq!(BTreeSet::from_iter(four.world.tips(four.ann, four.tree)), BTreeSet::from([eves, revocation]));
    for host in [four.dan, four.eve] {
        four.sync(host, four.ann);
    }
    four.same(&[four.ann, four.dan, four.eve]);
    for host in [four.ann, four.dan, four.eve] {
        assert_eq!(four.value(host, "before").as_deref(), Some("good work"), "it stands below");
        assert_eq!(four.value(host, "first"), None);
        assert_eq!(four.value(host, "second"), None);
        assert_eq!(four.value(host, "eves").as_deref(), Some("shown"));
        assert_eq!(four.world.snapshot(host).audit(&four.tree, None, 999).unwrap().faults, []);
    }
    // The next commit joins both tips, and nothing of it brings the nonsense back.
    let joined = four.write(four.ann, "after", "x");
    assert_eq!(four.world.tips(four.ann, four.tree), [joined]);
    assert_eq!(four.value(four.ann, "first"), None);
}

#[test]
fn undoing_what_nobody_built_on_takes_it_out_of_the_shared_set() {
    let mut four = Four::new(6);
    let count = four.world.count(four.ann, four.tree);
    let first = four.write(four.bob, "first", "nonsense");
    four.write(four.bob, "second", "nonsense");
    four.sync(four.ann, four.bob);
    let revocation = four.undo(four.ann, four.bob, first.id).unwrap();
    assert_eq!(four.world.tips(four.ann, four.tree), [revocation]);
    assert_eq!(four.world.count(four.ann, four.tree), count + 1);
}

#[test]
fn what_cannot_be_undone_is_an_error_and_nothing_is_written() {
    let mut four = Four::new(7);
    let before = (four.world.tips(four.ann, four.tree), four.world.count(four.ann, four.tree));
    let nowhere = Id::of(b"nowhere");
    assert_eq!(four.undo(four.ann, four.bob, nowhere), Err(NodeError::UnknownEntry(nowhere)));
    assert_eq!(four.undo(four.ann, four.bob, four.tree), Err(NodeError::UndoRoot));
    // What was undone already is in the shared set no more.
    let first = four.write(four.bob, "first", "nonsense");
    four.sync(four.ann, four.bob);
    assert_ne!(before.0, four.world.tips(four.ann, four.tree));
    four.undo(four.ann, four.bob, first.id).unwrap();
    let after = (four.world.tips(four.ann, four.tree), four.world.count(four.ann, four.tree));
    assert_eq!(four.undo(four.ann, four.bob, first.id), Err(NodeError::UnknownEntry(first.id)));
    assert_eq!((four.world.tips(four.ann, four.tree), four.world.count(four.ann, four.tree)), after);
}

#[test]
fn an_administrator_who_was_revoked_is_told_that_its_undoing_does_not_count() {
    let mut four = Four::new(8);
    let bobs = four.write(four.bob, "bobs", "good work");
    four.sync(four.ann, four.bob);
    four.revoke(four.ann, four.dan);
    four.sync(four.eve, four.ann);
    // Dan's key, on a node that knows of the revocation: apart from it, Dan is an administrator still.
    let mut commit = four.revocation(four.eve, four.bob);
    commit.key = four.world.secret(four.dan);
    let told = four.world.run(four.eve, Command::Undo { entry: bobs.id, commit });
    assert!(matches!(told, Err(NodeError::Masked(_))), "{told:?}");
    assert_eq!(four.value(four.eve, "bobs").as_deref(), Some("good work"));
    four.same(&[four.ann, four.eve]);
}

/// The parents that an undoing revocation is to have, by their definition.
fn tips_without(entries: &[pleach_core::entry::Entry], entry: Id) -> BTreeSet<Id> {
    let mut gone = BTreeSet::from([entry]);
    let mut tips = BTreeSet::new();
    for entry in entries {
        let view = entry.view();
        if gone.contains(&entry.id()) || view.parents().iter().any(|parent| gone.contains(&parent)) {
            gone.insert(entry.id());
            continue;
        }
        for parent in view.parents().iter() {
            tips.remove(&parent);
        }
        tips.insert(entry.id());
    }
    tips
}

#[test]
fn in_any_history_an_undoing_revocation_stands_on_the_tips_of_what_is_left() {
    let mut forks = 0;
    for seed in 0..40_u64 {
        let mut four = Four::new(100 + seed);
        let hosts = [four.ann, four.bob, four.eve, four.dan];
        let mut random = pleach_core::Entropy::new([u8::try_from(seed).unwrap(); 32]);
        for n in 0..30 {
            let [who, whom, what] = random.draw::<3>().map(|byte| usize::from(byte % 4));
            if what > 1 && who != whom {
                four.sync(hosts[who], hosts[whom]);
            } else {
                four.write(hosts[who], &format!("p{n}"), "x");
            }
        }
        for host in [four.bob, four.eve, four.dan] {
            four.sync(four.ann, host);
        }
        let snapshot = four.world.snapshot(four.ann);
        let entries = snapshot.entries(&four.tree, &Range::ALL, 999, usize::MAX).unwrap();
        let [at] = random.draw();
        let entry = entries[1 + usize::from(at) % (entries.len() - 1)].id();
        let expected = tips_without(&entries, entry);
        forks += usize::from(expected.len() > 1);
        let revocation = four.undo(four.ann, four.bob, entry).unwrap();
        let written = four.world.snapshot(four.ann).entry(&four.tree, &revocation.id).unwrap().unwrap();
        assert_eq!(written.view().parents().iter().collect::<BTreeSet<_>>(), expected, "seed {seed}");
    }
    assert!(forks > 5, "most of these histories fork: {forks}");
}

#[test]
fn while_a_revocation_is_on_its_way_peers_are_told_to_come_back_and_commits_wait() {
    let mut busy = 0;
    for seed in 0..24 {
        let mut four = Four::over(seed, || Memory::new().in_steps_of(1));
        let Four { tree, ann, dan, bob, eve, .. } = four;
        for n in 0..12 {
            four.write(bob, &format!("n{n}"), "by Bob");
        }
        four.sync(ann, bob);
        four.revoke(dan, bob);
        let commit = four.world.commit(ann, tree, "mine", "by Ann");
        let [from_dan, from_ann] =
            [dan, ann].map(|host| Command::Sync { address: four.world.address(host), tree });
        let hears = four.world.command(ann, from_dan);
        let flips = |world: &World| world.snapshot(ann).summary(&tree).unwrap().unwrap().flips;
        while !flips(&four.world) {
            assert!(four.world.step(), "seed {seed}: the revocation went through at once");
        }
        let asks = four.world.command(eve, from_ann);
        let writes = four.world.command(ann, commit);
        four.world.settle();
        match four.world.outcome(eve, asks) {
            Some(Ok(_)) => {}
            Some(Err(NodeError::Busy(_))) => busy += 1,
            other => panic!("seed {seed}: {other:?}"),
        }
        assert!(matches!(four.world.outcome(ann, writes), Some(Ok(_))), "seed {seed}");
        assert!(matches!(four.world.outcome(ann, hears), Some(Ok(_))), "seed {seed}");
        assert_eq!(four.value(ann, "n0"), None, "seed {seed}");
        assert_eq!(four.value(ann, "mine").as_deref(), Some("by Ann"), "seed {seed}");
        for host in [eve, dan] {
            four.sync(host, ann);
        }
        four.same(&[ann, dan, eve]);
    }
    assert!(busy > 0, "nobody came in between");
}
