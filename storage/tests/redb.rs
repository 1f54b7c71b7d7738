//! The store in a file passes the suite, and keeps what it promises across processes.

#![cfg(feature = "redb")]

use std::fs;

use pleach_core::{
    limits::MAX_ENTRY,
    storage::{StorageError, Store},
};
use pleach_storage::{
    Options, Redb, conformance,
    conformance::{Maker, audited, store_all},
};

conformance!(|| {
    let folder = tempfile::tempdir().unwrap();
    (Redb::open(folder.path().join("store")).unwrap(), folder)
});

#[test]
fn what_was_written_is_there_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let maker = Maker::new(1);
    let root = maker.root();
    let chain = maker.chain(root.position(), 500);
    let large = maker.entry(&[root.position()], "large", &"x".repeat(MAX_ENTRY - 1_000));
    let store = Redb::open(&path).unwrap();
    store_all(&store, &maker, [&root, &large].into_iter().chain(&chain[..250]));
    let before = store.snapshot().unwrap().summary(&maker.tree()).unwrap();
    drop(store);
    let store = Redb::open_with(&path, Options { cache_bytes: 1 << 20 }).unwrap();
    assert_eq!(store.snapshot().unwrap().summary(&maker.tree()).unwrap(), before);
    store_all(&store, &maker, &chain[250..]);
    assert_eq!(audited(&store, &maker.tree()), 502);
}

#[test]
fn a_revocation_is_carried_through_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    conformance::masks::steps_go_on_where_a_process_ended(Redb::open(&path).unwrap(), |store| {
        drop(store);
        Redb::open(&path).unwrap()
    });
}

#[test]
fn a_file_that_is_open_elsewhere_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Redb::open(&path).unwrap();
    let shown = path.display().to_string();
    assert_eq!(Redb::open(&path).err(), Some(StorageError::Locked(shown)));
    // A snapshot alone keeps nobody out.
    let snapshot = store.snapshot().unwrap();
    drop(store);
    drop(snapshot);
    Redb::open(&path).unwrap();
}

#[test]
fn what_a_cut_left_of_a_file_in_the_making_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let (path, making) = (folder.path().join("store"), folder.path().join("store.new"));
    for left in [&b""[..], b"redb", &[0; 9_000]] {
        fs::write(&making, left).unwrap();
        fs::write(&path, "").unwrap();
        let store = Redb::open(&path).unwrap();
        assert!(!making.exists() && fs::metadata(&path).unwrap().len() > 0);
        assert!(matches!(Redb::open(&path), Err(StorageError::Locked(_))), "the lock has the new name");
        drop(store);
        // One that was made before somebody else could is taken as it is.
        fs::write(&making, left).unwrap();
        drop(Redb::open(&path).unwrap());
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_folder_where_the_file_should_be_is_an_error_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("store")).unwrap();
    assert!(matches!(Redb::open(folder.path().join("store")), Err(StorageError::Failed(_))));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the folder alone");
}

#[test]
fn a_file_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.txt");
    let text = "Dear Ada, ".repeat(2_000);
    fs::write(&path, &text).unwrap();
    assert!(matches!(Redb::open(&path), Err(StorageError::NotAStore(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    fs::write(&path, "x").unwrap();
    assert!(Redb::open(&path).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "x");
    let folder_itself = Redb::open(folder.path());
    assert!(matches!(folder_itself, Err(StorageError::Failed(_))), "{folder_itself:?}");
    assert!(Redb::open(folder.path().join("no/such/folder")).is_err());
}

#[test]
fn a_damaged_file_gives_errors_and_never_wrong_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let maker = Maker::new(1);
    let root = maker.root();
    let chain = maker.chain(root.position(), 300);
    let store = Redb::open(&path).unwrap();
    store_all(&store, &maker, [&root].into_iter().chain(&chain));
    drop(store);
    let intact = fs::read(&path).unwrap();
    let mut told = 0;
    for cut in 0..24_usize {
        let mut bytes = intact.clone();
        if cut % 3 == 0 {
            bytes.truncate(intact.len() * cut / 24);
        } else {
            // A stretch of the file reads as something else.
            let start = intact.len() * cut / 24;
            bytes[start..].iter_mut().take(3_000).for_each(|byte| *byte ^= 0x5a);
        }
        fs::write(&path, &bytes).unwrap();
        let Ok(store) = Redb::open(&path) else {
            told += 1;
            continue;
        };
        let Ok(snapshot) = store.snapshot() else {
            told += 1;
            continue;
        };
        for entry in &chain {
            match snapshot.entry(&maker.tree(), &entry.id()) {
                Ok(Some(read)) => assert_eq!(read, *entry.entry()),
                Ok(None) => {}
                Err(StorageError::Damaged(_) | StorageError::Failed(_)) => told += 1,
                Err(other) => panic!("damage is reported as {other:?}"),
            }
        }
    }
    assert!(told > 0, "some of the damage must have hit something");
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_a_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    Redb::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}
