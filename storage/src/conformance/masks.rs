//! What does not count: hidden, kept beside the shared set, and back when it counts again.

use pleach_core::{
    Position, Range,
    entry::{Grant, Permission, VerifiedEntry, Who},
    limits::MAX_BATCH_ENTRIES,
    storage::{OfPath, Paths, RowKind, RowQuery, Store, Write},
};

use super::{Maker, put, store_all, written};

/// A tree of the root key, with an administrator and a writer.
struct Tree {
    root: Maker,
    admin: Maker,
    writer: Maker,
    start: VerifiedEntry,
}

impl Tree {
    fn new(store: &dyn Store) -> Self {
        let root = Maker::new(1);
        let (admin, writer) = (root.signed_by(5), root.signed_by(6));
        let mut grants = [(&admin, Permission::Admin(3)), (&writer, Permission::Write(3))]
            .map(|(maker, permission)| Grant { who: Self::who(maker), permission, name: None });
        grants.sort_by_key(|grant| grant.who);
        let start = root.settings(&[root.root().position()], &grants, &[]);
        store_all(store, &root, [&root.root(), &start]);
        Self { root, admin, writer, start }
    }

    fn who(maker: &Maker) -> Who {
        Who::Key(maker.key().public())
    }

    fn revokes(by: &Maker, whom: &Maker, below: &VerifiedEntry) -> VerifiedEntry {
        by.settings(&[below.position()], &[], &[Self::who(whom)])
    }

    fn shared(&self, store: &dyn Store) -> Vec<Position> {
        store.snapshot().unwrap().positions(&self.root.tree(), &Range::ALL, 999).unwrap()
    }

    fn shows(&self, store: &dyn Store, path: &str) -> bool {
        let query = RowQuery {
            store: "doc".into(),
            kind: RowKind::Map,
            paths: Paths::One(path.into()),
            after: None,
            of_path: OfPath::Last,
            limit: 1,
        };
        !store.snapshot().unwrap().rows(&self.root.tree(), &query).unwrap().is_empty()
    }

    /// Aggregates, tips and totals fit what is shared.
    fn intact(&self, store: &dyn Store) {
        let snapshot = store.snapshot().unwrap();
        assert_eq!(snapshot.audit(&self.root.tree(), None, 999).unwrap().faults, []);
        let summary = snapshot.summary(&self.root.tree()).unwrap().unwrap();
        let shared = self.shared(store);
        assert_eq!(summary.measure.count, shared.len() as u64);
        let above = Range { start: self.start.position(), end: Position::END };
        let measure = snapshot.measure(&self.root.tree(), &above).unwrap();
        assert_eq!(measure.count, shared.iter().filter(|position| above.contains(position)).count() as u64);
    }
}

/// A revocation takes what was written apart from it out of sight, and nothing else; whichever comes first.
pub fn a_revocation_hides_what_was_written_apart(store: &dyn Store) {
    let tree = Tree::new(store);
    let before = tree.writer.entry(&[tree.start.position()], "before", "x");
    let apart = tree.writer.chain(before.position(), 300);
    store_all(store, &tree.root, std::iter::once(&before).chain(&apart));
    assert!(tree.shows(store, "chain.7"));
    let revocation = Tree::revokes(&tree.admin, &tree.writer, &before);
    assert_eq!(put(store, &tree.root, [&revocation]).stored, [revocation.position()]);
    assert!(tree.shows(store, "before") && !tree.shows(store, "chain.7"));
    assert_eq!(tree.shared(store).len(), 4);
    let tips = store.snapshot().unwrap().tips(&tree.root.tree(), None, 9).unwrap();
    assert_eq!(tips, [revocation.position()]);
    tree.intact(store);
    // What comes after it was written apart as well.
    let late = tree.writer.entry(&[before.position()], "late", "x");
    let outcome = put(store, &tree.root, [&late]);
    assert_eq!((outcome.stored.len(), outcome.masked), (0, 1));
    assert_eq!(put(store, &tree.root, [&late]).known, 1);
    assert!(!tree.shows(store, "late"));
    tree.intact(store);
}

/// Whoever builds on a masked entry counts, and takes it into the shared set; its values stay hidden.
pub fn what_counts_brings_its_ancestors_into_the_shared_set(store: &dyn Store) {
    let tree = Tree::new(store);
    let revocation = Tree::revokes(&tree.root, &tree.writer, &tree.start);
    let apart = tree.writer.chain(tree.start.position(), 3);
    store_all(store, &tree.root, [&revocation]);
    assert_eq!(put(store, &tree.root, &apart).masked, 3);
    let on_top = tree.admin.entry(&[apart[2].position()], "on top", "x");
    assert_eq!(put(store, &tree.root, [&on_top]).stored, [on_top.position()]);
    assert!(tree.shows(store, "on top") && !tree.shows(store, "chain.0"));
    assert_eq!(tree.shared(store).len(), 7);
    tree.intact(store);
}

/// A revocation of the revoker by a higher rank, apart from the first, lifts the mask.
pub fn a_mask_lifts_when_the_revoker_falls(store: &dyn Store) {
    let tree = Tree::new(store);
    let apart = tree.writer.chain(tree.start.position(), 100);
    let first = Tree::revokes(&tree.admin, &tree.writer, &tree.start);
    store_all(store, &tree.root, apart.iter().chain([&first]));
    assert_eq!(tree.shared(store).len(), 3);
    let arrival = store.snapshot().unwrap().summary(&tree.root.tree()).unwrap().unwrap().arrival;
    let second = Tree::revokes(&tree.root, &tree.admin, &tree.start);
    store_all(store, &tree.root, [&second]);
    assert!(tree.shows(store, "chain.99"));
    assert_eq!(tree.shared(store).len(), 103, "the first revocation is masked itself");
    tree.intact(store);
    let returned = store.snapshot().unwrap().arrivals(&tree.root.tree(), arrival, 999).unwrap();
    assert_eq!(returned.len(), 101, "what comes back has arrived");
}

/// What was never shared goes when it is asked for, unless settings build on it; what was shared stays.
pub fn a_tree_is_tidied_of_what_was_never_shared(store: &dyn Store) {
    let tree = Tree::new(store);
    let shared = tree.writer.chain(tree.start.position(), 2);
    store_all(store, &tree.root, &shared);
    let revocation = Tree::revokes(&tree.root, &tree.writer, &tree.start);
    store_all(store, &tree.root, [&revocation]);
    let stranger = tree.writer.entry(&[shared[1].position()], "stranger", "x");
    assert_eq!(put(store, &tree.root, [&stranger]).masked, 1);
    store.write(&Write::Tidy { tree: tree.root.tree() }).unwrap();
    let snapshot = store.snapshot().unwrap();
    let kept = |entry: &VerifiedEntry| snapshot.entry(&tree.root.tree(), &entry.id()).unwrap().is_some();
    assert!(kept(&shared[1]) && !kept(&stranger));
    tree.intact(store);
    assert_eq!(put(store, &tree.root, [&stranger]).masked, 1, "it may come again");
}

/// What settings say holds for what builds on them in the same write.
pub fn settings_hold_for_what_builds_on_them_in_one_write(store: &dyn Store) {
    let tree = Tree::new(store);
    let early = tree.writer.entry(&[tree.start.position()], "early", "x");
    let revocation = Tree::revokes(&tree.root, &tree.writer, &early);
    let late = tree.writer.entry(&[revocation.position()], "late", "x");
    let outcome = put(store, &tree.root, [&early, &revocation, &late]);
    assert_eq!(outcome.stored, [early.position(), revocation.position()]);
    assert_eq!(outcome.refused.map(|(id, _)| id), Some(late.id()));
    assert!(tree.shows(store, "early") && !tree.shows(store, "late"));
}

/// An entry that joins branches is the first to see all their settings; a revocation beside them holds for it as well.
pub fn a_revocation_hides_what_joins_the_branches_beside_it(store: &dyn Store) {
    let tree = Tree::new(store);
    let others = [7, 8].map(|seed| Tree::revokes(&tree.root, &tree.root.signed_by(seed), &tree.start));
    let revocation = Tree::revokes(&tree.root, &tree.writer, &tree.start);
    store_all(store, &tree.root, others.iter().chain([&revocation]));
    let mut branches = others.map(|other| other.position());
    branches.sort_unstable();
    let joined = tree.writer.entry(&branches, "joined", "x");
    assert_eq!(put(store, &tree.root, [&joined]).masked, 1);
    assert!(!tree.shows(store, "joined"));
    tree.intact(store);
}

/// What does not count is kept though it takes some megabytes: something may come that builds on it.
pub fn some_megabytes_that_do_not_count_are_kept(store: &dyn Store) {
    let tree = Tree::new(store);
    store_all(store, &tree.root, [&Tree::revokes(&tree.root, &tree.writer, &tree.start)]);
    let text = "x".repeat(128 * 1024);
    let start = [tree.start.position()];
    let much: Vec<_> =
        (0..20).map(|number| tree.writer.entry(&start, &format!("much.{number}"), &text)).collect();
    let outcome = put(store, &tree.root, &much);
    assert_eq!((outcome.masked, outcome.held.len()), (20, 0));
    let on_top = tree.admin.entry(&[much[19].position()], "on top", "x");
    assert_eq!(put(store, &tree.root, [&on_top]).stored, [on_top.position()]);
    tree.intact(store);
}

/// A history with more writes than one write changes, and the revocation that hides them.
fn much_and_its_revocation(root: &Maker) -> (Vec<VerifiedEntry>, VerifiedEntry) {
    let writer = root.signed_by(5);
    let who = Who::Key(writer.key().public());
    let grant = Grant { who, permission: Permission::Write(1), name: None };
    let granted = root.settings(&[root.root().position()], &[grant], &[]);
    let chain = writer.chain(granted.position(), MAX_BATCH_ENTRIES + 400);
    let honest = root.entry(&[chain[9].position()], "honest", "x");
    let revocation = root.settings(&[granted.position()], &[], &[who]);
    ([vec![root.root(), granted], chain, vec![honest]].concat(), revocation)
}

/// One write of a revocation after which much is still to change.
fn begun(store: &dyn Store, root: &Maker, revocation: &VerifiedEntry) {
    let put = written(store, &root.put([revocation]));
    assert_eq!((put.stored.len(), put.unfinished), (1, Some(1)), "{put:?}");
    assert!(store.snapshot().unwrap().summary(&root.tree()).unwrap().unwrap().flips);
}

/// A revocation costs the fork that it changes, not the history below it: one write draws all its consequences.
pub fn a_revocation_on_a_long_history_is_carried_through_at_once(store: &dyn Store) {
    let tree = Tree::new(store);
    let history = tree.root.chain(tree.start.position(), MAX_BATCH_ENTRIES + 400);
    let top = history.last().expect("a history");
    let apart = tree.writer.entry(&[top.position()], "apart", "x");
    store_all(store, &tree.root, history.iter().chain([&apart]));
    let revocation = Tree::revokes(&tree.root, &tree.writer, top);
    let put = written(store, &tree.root.put([&revocation]));
    assert_eq!((put.stored.len(), put.unfinished), (1, None), "{put:?}");
    assert!(!tree.shows(store, "apart"));
}

/// What a revocation builds on is spared by it, and stays so whatever another changes beside it.
pub fn what_a_revocation_builds_on_stays_whatever_falls_beside_it(store: &dyn Store) {
    let tree = Tree::new(store);
    let start = [tree.start.position()];
    let kept = tree.writer.entry(&start, "kept", "x");
    let revocation = Tree::revokes(&tree.root, &tree.writer, &kept);
    store_all(store, &tree.root, [&kept, &revocation]);
    assert!(tree.shows(store, "kept"));
    // Apart from it, somebody else is revoked.
    let another = Tree::revokes(&tree.root, &tree.root.signed_by(7), &tree.start);
    store_all(store, &tree.root, [&another]);
    assert!(tree.shows(store, "kept"), "it was about somebody else");
    // Apart from it, a second grant to the same writer falls with the administrator who made it.
    let grant = Grant { who: Tree::who(&tree.writer), permission: Permission::Write(1), name: None };
    let second = tree.admin.settings(&start, &[grant], &[]);
    let fall = Tree::revokes(&tree.root, &tree.admin, &tree.start);
    store_all(store, &tree.root, [&second, &fall]);
    assert!(tree.shows(store, "kept"), "the first grant still stands for it");
    tree.intact(store);
}

/// The same where the grant was to everybody, and so the revocation.
pub fn what_a_revocation_of_everybody_builds_on_stays(store: &dyn Store) {
    let tree = Tree::new(store);
    let guest = tree.root.signed_by(7);
    let to = |who| Grant { who, permission: Permission::Write(1), name: None };
    let open = tree.root.settings(&[tree.start.position()], &[to(Who::Everyone)], &[]);
    let kept = guest.entry(&[open.position()], "kept", "x");
    let closed = tree.root.settings(&[kept.position()], &[], &[Who::Everyone]);
    store_all(store, &tree.root, [&open, &kept, &closed]);
    assert!(tree.shows(store, "kept"));
    let second = tree.admin.settings(&[open.position()], &[to(Tree::who(&guest))], &[]);
    let fall = Tree::revokes(&tree.root, &tree.admin, &open);
    store_all(store, &tree.root, [&second, &fall]);
    assert!(tree.shows(store, "kept"), "the grant to everybody still stands for it");
    tree.intact(store);
}

/// What comes behind a revocation in the same write is judged with it.
pub fn a_revocation_holds_for_what_comes_behind_it_in_one_write(store: &dyn Store) {
    let tree = Tree::new(store);
    let start = [tree.start.position()];
    // Apart from all that follows, so that each has to be judged by what is stored besides.
    let aside = Tree::revokes(&tree.root, &tree.root.signed_by(7), &tree.start);
    store_all(store, &tree.root, [&aside]);
    let early = tree.writer.entry(&start, "early", "x");
    let revocation = Tree::revokes(&tree.root, &tree.writer, &tree.start);
    let late = tree.writer.entry(&start, "late", "x");
    let outcome = put(store, &tree.root, [&early, &revocation, &late]);
    assert_eq!(outcome.stored, [early.position(), revocation.position()]);
    assert_eq!(outcome.masked, 1);
    assert!(!tree.shows(store, "early") && !tree.shows(store, "late"));
    tree.intact(store);
}

/// What must be there when it is carried through.
fn carried_through(store: &dyn Store, root: &Maker) {
    let snapshot = store.snapshot().unwrap();
    let summary = snapshot.summary(&root.tree()).unwrap().unwrap();
    // The root, the grant, ten below the honest entry, that, and the revocation.
    assert_eq!((summary.flips, summary.measure.count, summary.tips.count), (false, 14, 2));
    let mut after = None;
    loop {
        let audit = snapshot.audit(&root.tree(), after, 9_999).unwrap();
        assert_eq!(audit.faults, []);
        after = audit.next;
        if after.is_none() {
            break;
        }
    }
}

/// A revocation that changes more than one write takes goes in steps, and nothing else is taken before the last.
pub fn a_revocation_that_changes_much_goes_in_steps(store: &dyn Store) {
    let root = Maker::new(1);
    let (entries, revocation) = much_and_its_revocation(&root);
    store_all(store, &root, &entries);
    let before = store.snapshot().unwrap().summary(&root.tree()).unwrap().unwrap();
    begun(store, &root, &revocation);
    let late = root.entry(&[revocation.position()], "late", "x");
    let put = written(store, &root.put([&late]));
    assert_eq!((put.stored.len(), put.unfinished), (1, None), "what is left goes first");
    let now = store.snapshot().unwrap().summary(&root.tree()).unwrap().unwrap();
    assert_eq!((before.measure.count, now.measure.count), (MAX_BATCH_ENTRIES as u64 + 403, 15));
}

/// A process that ends between two steps leaves nothing half done for the next: `again` opens the store once more.
pub fn steps_go_on_where_a_process_ended<S: Store>(store: S, again: impl Fn(S) -> S) {
    let root = Maker::new(1);
    let (entries, revocation) = much_and_its_revocation(&root);
    store_all(&store, &root, &entries);
    begun(&store, &root, &revocation);
    carried_through(&again(store), &root);
}
