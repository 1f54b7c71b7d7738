//! The store in memory passes the suite; what documents and sessions ask a store is answered over it.

use pleach_core::{
    Range,
    document::{Scope, SettingsStore, StoreType},
    entry::{Grant, Permission, SETTINGS, Who},
    session::{OwnedAnswer, Query, answer},
    storage::Store,
    wire::Salt,
};
use pleach_storage::{
    Memory,
    conformance::{Maker, store_all},
};

pleach_storage::conformance!(|| (Memory::new(), ()));

#[test]
fn a_revocation_has_an_effect_on_who_ranks_below_and_on_nobody_else() {
    let root = Maker::new(1);
    let [admin, writer, nobody] = [5, 6, 7].map(|seed| root.signed_by(seed));
    let who = |maker: &Maker| Who::Key(maker.key().public());
    let mut grants = [(&admin, Permission::Admin(3)), (&writer, Permission::Write(3))]
        .map(|(maker, permission)| Grant { who: who(maker), permission, name: None });
    grants.sort_by_key(|grant| grant.who);
    let store = Memory::new();
    store_all(&store, &root, [&root.root(), &root.settings(&[root.root().position()], &grants, &[])]);
    let scope = Scope::of_snapshot(store.snapshot().unwrap(), root.tree(), SETTINGS).unwrap();
    let settings = SettingsStore::open(scope).unwrap();
    for (by, whom, outranks) in [
        (&root, &admin, true),
        (&root, &root, false),
        (&admin, &root, false),
        (&admin, &writer, true),
        (&admin, &admin, false),
        (&admin, &nobody, true),
        (&writer, &admin, false),
        (&writer, &writer, false),
    ] {
        let found = settings.outranks(by.key().public(), who(whom)).unwrap();
        assert_eq!(found, outranks, "{:?} {:?}", who(by), who(whom));
    }
}

#[test]
fn what_lies_beside_the_tips_of_a_part_of_the_set_is_found_from_ones_own() {
    let maker = Maker::new(1);
    let chain = maker.chain(maker.root().position(), 30);
    let store = Memory::new();
    store_all(&store, &maker, std::iter::once(&maker.root()).chain(&chain));
    let tips = [chain[19].id()].into_iter().collect();
    let query =
        Query::Beside { tips, claims: [].into_iter().collect(), salt: Salt([7; 8]), count: 10, limit: 4 };
    let found = answer(&*store.snapshot().unwrap(), &maker.tree(), &query).unwrap();
    let range = Range { start: chain[20].position(), end: chain[29].position().next() };
    assert!(matches!(&found, OwnedAnswer::Ranges(ranges) if ranges.as_slice() == [range]), "{found:?}");
}
