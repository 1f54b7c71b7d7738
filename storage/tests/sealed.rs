//! Secret keys under a passphrase.

use std::sync::Arc;

use pleach_core::{
    Id,
    node::root_key_place,
    storage::{MetaChange, StorageError, Store, Write},
};
use pleach_storage::{Memory, SealError, Sealed, passphrase_needed};

pleach_storage::conformance!(|| (Sealed::open(Memory::new(), None, [1; 32]).unwrap(), ()));

const NODE_KEY: &[u8] = b"instance/key";
const NAME: &[u8] = b"instance/name";

fn open(within: &Arc<Memory>, passphrase: Option<&str>) -> Result<Sealed<Arc<Memory>>, SealError> {
    Sealed::open(Arc::clone(within), passphrase, [2; 32])
}

fn put(store: &dyn Store, key: &[u8], value: &[u8]) {
    let change: MetaChange = (key.to_vec(), Some(value.to_vec()));
    store.write(&Write::Meta([change].into())).unwrap();
}

fn meta(store: &dyn Store, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
    store.snapshot().unwrap().meta(key)
}

/// Whether these bytes stand anywhere in the metadata as they are stored.
fn in_the_clear(within: &Memory, secret: &[u8]) -> bool {
    let all = within.snapshot().unwrap().metas(&[], None, 99).unwrap();
    all.iter().any(|(_, value)| value.windows(secret.len()).any(|part| part == secret))
}

#[test]
fn secrets_are_sealed_whether_they_come_before_the_passphrase_or_after_it() {
    let within = Arc::new(Memory::new());
    let store = open(&within, None).unwrap();
    let root = root_key_place(&Id::of(b"a tree"));
    put(&store, NODE_KEY, &[217; 32]);
    put(&store, NAME, b"laptop");
    assert!(in_the_clear(&within, &[217; 32]) && !passphrase_needed(&within).unwrap());
    let before = store.snapshot().unwrap();
    store.change(Some("correct horse")).unwrap();
    put(&store, &root, &[218; 32]);
    assert!(!in_the_clear(&within, &[217; 8]) && !in_the_clear(&within, &[218; 8]));
    assert!(in_the_clear(&within, b"laptop"), "what is no secret stays as it is");
    assert_eq!(before.meta(NODE_KEY).unwrap(), Some(vec![217; 32]), "a snapshot never changes");

    assert_eq!(open(&within, None).unwrap_err(), SealError::Needed);
    assert_eq!(open(&within, Some("correct hors")).unwrap_err(), SealError::Wrong);
    let store = open(&within, Some("correct horse")).unwrap();
    assert_eq!(meta(&store, NODE_KEY), Ok(Some(vec![217; 32])));
    assert_eq!(meta(&store, &root), Ok(Some(vec![218; 32])));
    let listed = store.snapshot().unwrap().metas(&root, None, 9).unwrap();
    assert_eq!(listed, [(root.clone(), vec![218; 32])]);

    // Another passphrase, and none.
    store.change(Some("battery staple")).unwrap();
    assert_eq!(open(&within, Some("correct horse")).unwrap_err(), SealError::Wrong);
    let store = open(&within, Some("battery staple")).unwrap();
    assert_eq!(meta(&store, &root), Ok(Some(vec![218; 32])));
    assert_eq!(store.change(Some("")), Err(SealError::Empty));
    store.change(None).unwrap();
    assert_eq!(meta(&open(&within, None).unwrap(), NODE_KEY), Ok(Some(vec![217; 32])));
    assert!(in_the_clear(&within, &[217; 32]));
}

#[test]
fn a_sealed_secret_opens_nowhere_but_at_its_place() {
    let within = Arc::new(Memory::new());
    let store = open(&within, None).unwrap();
    store.change(Some("correct horse")).unwrap();
    let [one, other] = [b"one", b"two"].map(|tree| root_key_place(&Id::of(tree)));
    put(&store, &one, &[217; 32]);
    let sealed = meta(&*within, &one).unwrap().unwrap();
    put(&*within, &other, &sealed);
    assert!(matches!(meta(&store, &other), Err(StorageError::Damaged(_))));
    // Nor if a bit of it is flipped, or the secret stands there in the clear.
    for wrong in [[&sealed[..71], &[sealed[71] ^ 1]].concat(), vec![217; 32], Vec::new()] {
        put(&*within, &one, &wrong);
        assert!(matches!(meta(&store, &one), Err(StorageError::Damaged(_))));
    }
}

#[test]
fn a_lock_that_was_tampered_with_opens_nothing_and_costs_no_more_than_it_may() {
    let within = Arc::new(Memory::new());
    open(&within, None).unwrap().change(Some("correct horse")).unwrap();
    let lock = meta(&*within, b"instance/lock").unwrap().unwrap();
    let tampered = |at: usize, value: u8| {
        let mut lock = lock.clone();
        lock[at] = value;
        put(&*within, b"instance/lock", &lock);
        open(&within, Some("correct horse")).unwrap_err()
    };
    // Another cost, another salt, another key.
    for (at, value) in [(4, 1), (8, 1), (13, !lock[13]), (lock.len() - 1, !lock[lock.len() - 1])] {
        assert_eq!(tampered(at, value), SealError::Wrong, "{at}");
    }
    // Another version; less memory than there can be; more memory, passes or lanes than a lock may ask for.
    for (at, value) in [(0, 2), (2, 0), (1, 1), (7, 1), (11, 1)] {
        assert!(matches!(tampered(at, value), SealError::Storage(StorageError::Damaged(_))), "{at}");
    }
}

#[test]
fn debug_shows_nothing_of_a_sealed_store() {
    let store = open(&Arc::new(Memory::new()), None).unwrap();
    assert_eq!(format!("{store:?}"), "Sealed { .. }");
}

#[test]
fn a_secret_that_comes_with_entries_is_sealed_too() {
    let within = Arc::new(Memory::new());
    let store = open(&within, None).unwrap();
    store.change(Some("correct horse")).unwrap();
    let maker = pleach_storage::conformance::Maker::new(1);
    let (tree, entries, place) = (maker.tree(), vec![maker.root()], root_key_place(&maker.tree()));
    let noted = [(place.clone(), Some(vec![219; 32]))].into();
    store.write(&Write::PutWithMeta { tree, entries, meta: noted }).unwrap();
    assert!(store.snapshot().unwrap().summary(&tree).unwrap().is_some());
    assert_eq!(meta(&store, &place), Ok(Some(vec![219; 32])));
    assert!(!in_the_clear(&within, &[219; 8]));
}
