//! What writes must do.

use pleach_core::{
    Position,
    access::Refusal,
    entry::{Grant, Permission, VerifiedEntry, Who},
    limits::MAX_BATCH_ENTRIES,
    storage::{StorageError, Store, Write, Written},
};

use super::{Maker, put, store_all, written};

/// Entries whose parents are not there are held, and the parents that are nowhere are named.
pub fn an_entry_waits_for_its_parents(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    let chain = maker.chain(root.position(), 4);
    let outcome = put(store, &maker, &chain[..1]);
    assert_eq!((outcome.held, outcome.missing), (vec![0], vec![root.id()]), "the root itself is missing");
    store_all(store, &maker, [&root, &chain[0]]);
    // The entry 1 is missing; 3 waits for 2, which is held and so is not missing.
    let aside = maker.entry(&[root.position()], "aside", "fits");
    let outcome = put(store, &maker, [&chain[2], &aside, &chain[3]]);
    assert_eq!(outcome.stored, [aside.position()]);
    assert_eq!((outcome.held, outcome.missing), (vec![0, 2], vec![chain[1].id()]));
    assert_eq!(outcome.refused, None);
    let outcome = put(store, &maker, &chain);
    assert_eq!((outcome.stored.len(), outcome.known), (3, 1));
    assert_eq!((outcome.held, outcome.missing), (vec![], vec![]));
}

/// What is stored, or came before in the same write, is counted and nothing more.
pub fn what_is_there_already_is_known(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    let child = maker.entry(&[root.position()], "a", "b");
    let outcome = put(store, &maker, [&root, &child, &child, &root]);
    assert_eq!((outcome.stored.len(), outcome.known), (2, 2));
    let outcome = put(store, &maker, [&root, &child]);
    assert_eq!((outcome.stored.len(), outcome.known), (0, 2));
    let summary = store.snapshot().unwrap().summary(&maker.tree()).unwrap().unwrap();
    assert_eq!((summary.measure.count, summary.arrival), (2, 2));
}

/// What came before a refused entry is stored, what comes after it is not looked at.
pub fn a_refused_entry_keeps_what_came_before_it(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    let stranger = maker.signed_by(9);
    let good = maker.entry(&[root.position()], "a", "1");
    let bad = stranger.entry(&[root.position()], "a", "2");
    let late = maker.entry(&[root.position()], "a", "3");
    let outcome = put(store, &maker, [&root, &good, &bad, &late]);
    assert_eq!(outcome.stored, [root.position(), good.position()]);
    let author = stranger.key().public();
    assert_eq!(outcome.refused, Some((bad.id(), Refusal::NoPermission { author })));
    let headers = store.snapshot().unwrap().headers(&maker.tree(), &[good.id(), bad.id(), late.id()]);
    assert_eq!(headers.unwrap().iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, false]);
}

/// The tree that an entry names decides, be it a root or not.
pub fn an_entry_of_another_tree_is_refused(store: &dyn Store) {
    let (maker, other) = (Maker::new(1), Maker::new(2));
    store_all(store, &maker, [&maker.root()]);
    for foreign in [other.root(), other.entry(&[other.root().position()], "a", "b")] {
        let outcome = put(store, &maker, [&foreign]);
        let claimed = other.tree();
        assert_eq!(outcome.refused, Some((foreign.id(), Refusal::WrongTree { claimed })));
    }
    assert_eq!(store.snapshot().unwrap().trees(None, 9).unwrap(), [maker.tree()]);
}

/// Heights are one above the highest parent's.
pub fn a_height_that_does_not_fit_is_refused(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    let lie = Position { height: 7, id: root.id() };
    let outcome = put(store, &maker, [&root, &maker.entry(&[lie], "a", "b")]);
    let refusal = outcome.refused.map(|(_, refusal)| refusal);
    assert_eq!(refusal, Some(Refusal::WrongHeight { expected: 1, claimed: 8 }));
}

/// The limit of a write holds, and the write that broke it left nothing.
pub fn a_write_of_too_many_entries_stores_nothing(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    let many = vec![root; MAX_BATCH_ENTRIES + 1];
    assert!(matches!(store.write(&maker.put(&many)), Err(StorageError::Batch { .. })));
    assert_eq!(store.snapshot().unwrap().trees(None, 9).unwrap(), []);
    assert_eq!(put(store, &maker, &many[1..]).stored.len(), 1, "writes go on");
}

/// A tree goes with all that belongs to it, and can come again.
pub fn a_dropped_tree_leaves_nothing_and_no_other_tree_suffers(store: &dyn Store) {
    let makers = [1, 2, 3].map(Maker::new);
    for maker in &makers {
        let root = maker.root();
        store_all(store, maker, [&root].into_iter().chain(&maker.chain(root.position(), 20)));
    }
    let dropped = &makers[1];
    assert_eq!(store.write(&Write::Drop { tree: dropped.tree() }), Ok(Written::Done));
    assert_eq!(store.write(&Write::Drop { tree: dropped.tree() }), Ok(Written::Done), "gone is gone");
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.summary(&dropped.tree()).unwrap(), None);
    assert_eq!(snapshot.entry(&dropped.tree(), &dropped.tree()).unwrap(), None);
    let mut left = [makers[0].tree(), makers[2].tree()];
    left.sort_unstable();
    assert_eq!(snapshot.trees(None, 9).unwrap(), left);
    assert_eq!(snapshot.trees(Some(left[0]), 9).unwrap(), left[1..]);
    for tree in left {
        assert_eq!(snapshot.audit(&tree, None, 99).unwrap().faults, []);
    }
    store_all(store, dropped, [&dropped.root()]);
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.summary(&dropped.tree()).unwrap().unwrap().measure.count, 1);
    assert_eq!(snapshot.audit(&dropped.tree(), None, 99).unwrap().faults, []);
}

/// What is noted about entries is there if all of them are, and only then.
pub fn metadata_come_with_entries_that_all_count_or_not_at_all(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    store_all(store, &maker, [&root]);
    let write = |entries: &[&VerifiedEntry], key: &str| {
        let entries = entries.iter().copied().cloned().collect();
        let meta = [(key.as_bytes().to_vec(), Some(b"noted".to_vec()))].into();
        written(store, &Write::PutWithMeta { tree: maker.tree(), entries, meta })
    };
    let noted = |key: &str| store.snapshot().unwrap().meta(key.as_bytes()).unwrap().is_some();
    let good = maker.entry(&[root.position()], "a", "1");
    let bad = maker.signed_by(9).entry(&[root.position()], "a", "2");
    let chain = maker.chain(good.position(), 2);
    assert!(write(&[&good, &bad], "refused").refused.is_some() && !noted("refused"));
    assert!(!write(&[&chain[1]], "held").held.is_empty() && !noted("held"));
    assert_eq!(write(&[&chain[0], &chain[1]], "good").stored.len(), 2);
    assert!(noted("good"));
    let many = vec![&good; MAX_BATCH_ENTRIES + 1];
    let entries = many.into_iter().cloned().collect();
    let meta = [(b"too many".to_vec(), Some(vec![1]))].into();
    let write = Write::PutWithMeta { tree: maker.tree(), entries, meta };
    assert!(matches!(store.write(&write), Err(StorageError::Batch { .. })) && !noted("too many"));
}

/// Metadata are kept by key, changed together, and listed in order.
pub fn the_nodes_metadata_changes_and_is_listed(store: &dyn Store) {
    let set = |pairs: &[(&str, Option<&str>)]| {
        let pair = |(key, value): &(&str, Option<&str>)| {
            (key.as_bytes().to_vec(), value.map(|value| value.as_bytes().to_vec()))
        };
        store.write(&Write::Meta(pairs.iter().map(pair).collect())).unwrap();
    };
    set(&[("peer.a", Some("1")), ("peer.b", Some("2")), ("peer.c", Some("3")), ("quiet", Some("4"))]);
    set(&[("peer.a", Some("5")), ("peer.b", None), ("nothing", None)]);
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.meta(b"peer.a").unwrap(), Some(b"5".to_vec()));
    assert_eq!(snapshot.meta(b"peer.b").unwrap(), None);
    let keys = |prefix: &[u8], after, limit| {
        let metas = snapshot.metas(prefix, after, limit).unwrap();
        metas.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(keys(b"peer.", None, 9), ["peer.a", "peer.c"]);
    assert_eq!(keys(b"peer.", Some(b"peer.a"), 9), ["peer.c"]);
    assert_eq!(keys(b"", None, 9), ["peer.a", "peer.c", "quiet"]);
    assert_eq!(keys(b"", None, 1), ["peer.a"]);
}

/// Who may write follows the settings among an entry's ancestors, within one write and over several.
pub fn grants_and_revocations_decide_who_may_write(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    let writer = maker.signed_by(5);
    let who = Who::Key(writer.key().public());
    let grant = Grant { who, permission: Permission::Write(3), name: Some("Ada") };
    let granted = maker.settings(&[root.position()], &[grant], &[]);
    let written = writer.entry(&[granted.position()], "a", "b");
    let too_early = writer.entry(&[root.position()], "a", "c");
    assert_eq!(put(store, &maker, [&root, &granted, &written]).stored.len(), 3);
    assert!(put(store, &maker, [&too_early]).refused.is_some());
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.permission(&maker.tree(), &who).unwrap(), Some(Permission::Write(3)));
    assert_eq!(snapshot.permission(&maker.tree(), &Who::Everyone).unwrap(), None);
    let named = snapshot.members(&maker.tree()).unwrap();
    let named: Vec<_> = named.into_iter().map(|member| (member.who, member.name)).collect();
    assert_eq!(named, [(who, Some("Ada".to_owned()))]);

    let revoked = maker.settings(&[written.position()], &[], &[who]);
    let too_late = writer.entry(&[revoked.position()], "a", "d");
    assert_eq!(put(store, &maker, [&revoked]).stored.len(), 1);
    let refusal = put(store, &maker, [&too_late]).refused.map(|(id, _)| id);
    assert_eq!(refusal, Some(too_late.id()));
    assert_eq!(store.snapshot().unwrap().permission(&maker.tree(), &who).unwrap(), None);
    assert_eq!(snapshot.permission(&maker.tree(), &who).unwrap(), Some(Permission::Write(3)), "as it was");
}

/// Settings of two branches hold together where the branches meet, and in the tree as a whole before that.
pub fn settings_made_apart_come_together(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    let writers = [5, 6].map(|seed| maker.signed_by(seed));
    let grants = writers.each_ref().map(|writer| {
        let who = Who::Key(writer.key().public());
        let grant = Grant { who, permission: Permission::Write(1), name: None };
        maker.settings(&[root.position()], &[grant], &[])
    });
    store_all(store, &maker, [&root, &grants[0], &grants[1]]);
    assert_eq!(store.snapshot().unwrap().members(&maker.tree()).unwrap().len(), 2);
    let crossed = writers[0].entry(&[grants[1].position()], "a", "b");
    assert!(put(store, &maker, [&crossed]).refused.is_some(), "the other branch does not know this writer");
    let merge = maker.sign(0, &grants.each_ref().map(|grant| grant.position()), &[]);
    let both = writers.each_ref().map(|writer| writer.entry(&[merge.position()], "a", "b"));
    store_all(store, &maker, [&merge, &both[0], &both[1]]);
    let snapshot = store.snapshot().unwrap();
    let summary = snapshot.summary(&maker.tree()).unwrap().unwrap();
    assert_eq!(summary.name, "tree 1");
    let headers = snapshot.headers(&maker.tree(), &[merge.id(), grants[0].id(), grants[1].id()]).unwrap();
    let views: Vec<_> = headers.iter().flatten().map(|header| header.view).collect();
    assert_eq!(views[0], summary.view, "the merge sees all settings there are");
    assert!(views[1] != views[2] && views[1] != views[0] && views[2] != views[0]);
}
