//! Faults planted in the file of a store are found and named.
#![cfg(feature = "redb")]

mod world;

use std::path::Path;

use pleach_smol::{Database, DatabaseKey, Fault, Id, Instance, Permission, Position, Redb};
use redb::{Database as File, ReadableDatabase, ReadableTable, TableDefinition};
use world::{World, grant_all, write};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

const fn table(name: &str) -> TableDefinition<'_, &'static [u8], &'static [u8]> {
    TableDefinition::new(name)
}

fn pairs(file: &Path, name: &str) -> Pairs {
    let file = File::open(file).unwrap();
    let transaction = file.begin_read().unwrap();
    let table = transaction.open_table(table(name)).unwrap();
    let pairs = table.iter().unwrap().map(|pair| pair.unwrap());
    pairs.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).collect()
}

/// Takes a pair away, and puts others in its place.
fn replace(file: &Path, name: &str, key: &[u8], by: &Pairs) {
    let file = File::open(file).unwrap();
    let transaction = file.begin_write().unwrap();
    {
        let mut table = transaction.open_table(table(name)).unwrap();
        assert!(table.remove(key).unwrap().is_some(), "it was there");
        for (key, value) in by {
            table.insert(key.as_slice(), value.as_slice()).unwrap();
        }
    }
    transaction.commit().unwrap();
}

/// A pair whose key ends with an id.
fn of(file: &Path, name: &str, id: &Id) -> (Vec<u8>, Vec<u8>) {
    let mut pairs = pairs(file, name).into_iter();
    pairs.find(|(key, _)| contains(key, id.as_bytes()).is_some()).expect("the entry has a pair")
}

fn contains(bytes: &[u8], id: &[u8]) -> Option<usize> {
    bytes.windows(id.len()).position(|window| window == id)
}

/// A file with a database of seven entries.
async fn plant(file: &Path) -> (Id, Vec<Position>) {
    let node = World::new(Redb::open(file).unwrap()).await;
    let database = node.create("shared", &grant_all(Permission::Write(9))).await;
    for n in 0..6 {
        write(&database, &format!("key{n}"), "value").await;
    }
    assert!(database.verify().unwrap().is_ok());
    let all = database.snapshot().unwrap();
    let positions = all.positions(&database.root_id(), &pleach_core::Range::ALL, 99).unwrap();
    assert_eq!(positions.len(), 7);
    node.instance.close().await;
    (database.root_id(), positions)
}

/// What is found in a file.
async fn faults(file: &Path, tree: &Id) -> Vec<Fault> {
    let instance = Instance::open(Redb::open(file).unwrap()).await.unwrap();
    let database = Database::open(&instance, tree, DatabaseKey::Device).unwrap();
    let verification = database.verify().unwrap();
    assert!(!verification.is_ok());
    instance.close().await;
    verification.faults
}

#[test]
fn a_flipped_byte_in_any_entry_is_found_and_the_entry_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.redb");
    smol::block_on(async {
        let (tree, positions) = plant(&file).await;
        for position in positions {
            let (key, value) = of(&file, "entries", &position.id);
            let mut flipped = value.clone();
            let middle = flipped.len() / 2;
            flipped[middle] ^= 1;
            replace(&file, "entries", &key, &vec![(key.clone(), flipped)]);
            let found = faults(&file, &tree).await;
            assert!(found.iter().any(|fault| fault.id == position.id), "{position:?}: {found:?}");
            replace(&file, "entries", &key, &vec![(key.clone(), value)]);
        }
    });
}

#[test]
fn a_row_that_is_gone_is_found_and_its_entry_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.redb");
    smol::block_on(async {
        let (tree, positions) = plant(&file).await;
        let wrote = positions[3].id;
        let (key, _) = of(&file, "rows", &wrote);
        replace(&file, "rows", &key, &Pairs::new());
        let found = faults(&file, &tree).await;
        assert!(found.iter().any(|fault| fault.id == wrote && fault.fault.contains("row")), "{found:?}");
    });
}

#[test]
fn what_was_derived_from_entries_is_repaired_without_a_peer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.redb");
    smol::block_on(async {
        let (tree, positions) = plant(&file).await;
        for name in ["rows", "headers", "index"] {
            let (key, _) = of(&file, name, &positions[3].id);
            replace(&file, name, &key, &Pairs::new());
            faults(&file, &tree).await;
            let instance = Instance::open(Redb::open(&file).unwrap()).await.unwrap();
            let database = Database::open(&instance, &tree, DatabaseKey::Device).unwrap();
            assert_eq!(database.repair().await.unwrap().count, 0, "every entry is intact");
            assert!(database.verify().unwrap().is_ok(), "{name}");
            assert_eq!(database.stats().unwrap().entries, 7);
            instance.close().await;
        }
    });
}

#[test]
fn a_wrong_aggregate_is_found_and_its_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.redb");
    smol::block_on(async {
        let (tree, positions) = plant(&file).await;
        let number = &of(&file, "entries", &positions[0].id).0[..4];
        let mut all = pairs(&file, "aggregates").into_iter();
        let (key, mut value) = all.rfind(|(key, _)| key.starts_with(number)).unwrap();
        *value.last_mut().unwrap() ^= 1;
        replace(&file, "aggregates", &key, &vec![(key.clone(), value)]);
        let found = faults(&file, &tree).await;
        let named = |fault: &Fault| fault.id == tree && fault.fault.contains("aggregates");
        assert!(found.iter().any(named), "{found:?}");
    });
}

#[test]
fn a_forged_signature_is_found_where_all_else_fits() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.redb");
    smol::block_on(async {
        let (tree, positions) = plant(&file).await;
        let honest = positions.last().unwrap().id;
        let (_, mut bytes) = of(&file, "entries", &honest);
        // The signature is the last 64 bytes.
        let at = bytes.len() - 64;
        bytes[at] ^= 1;
        let forged = Id::of(&bytes);
        // Whoever writes the file makes the rest fit: the entry stands under its new id wherever it is mentioned.
        for name in ["entries", "headers", "index", "rows", "tips", "arrivals"] {
            for (key, value) in pairs(&file, name) {
                let renamed = |mut bytes: Vec<u8>| {
                    if let Some(at) = contains(&bytes, honest.as_bytes()) {
                        bytes[at..at + 32].copy_from_slice(forged.as_bytes());
                    }
                    bytes
                };
                let pair = if name == "entries" && contains(&key, honest.as_bytes()).is_some() {
                    (renamed(key.clone()), bytes.clone())
                } else {
                    (renamed(key.clone()), renamed(value))
                };
                replace(&file, name, &key, &vec![pair]);
            }
        }
        let found = faults(&file, &tree).await;
        let named = |fault: &Fault| fault.id == forged && fault.fault.contains("signature");
        assert!(found.iter().any(named), "{found:?}");
        let instance = Instance::open(Redb::open(&file).unwrap()).await.unwrap();
        let database = Database::open(&instance, &tree, DatabaseKey::Device).unwrap();
        assert_eq!(database.repair().await.unwrap().entries, [forged]);
        assert!(database.verify().unwrap().is_ok(), "the forged entry is gone");
        instance.close().await;
    });
}
