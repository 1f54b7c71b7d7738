//! A draft shows what its commit will show.

use std::{string::String, vec, vec::Vec};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::shelf::{Shelf, public, tree};
use crate::{
    access::GrantRecord,
    document::{
        Doc, DocStore, DocumentError, Draft, Log, Registry, Scope, SettingsStore, StoreType, Table, Typed,
        content_hash, root_settings,
    },
    entry::{EntryError, EntryView, Permission, StoreData, Value, Who},
};

fn draft(shelf: &Shelf) -> Draft {
    Draft::new(shelf.snapshot(), tree(), public(), [1; 32])
}

fn viewer<S: StoreType>(shelf: &Shelf, name: &str) -> Result<S, DocumentError> {
    S::open(Scope::of_snapshot(shelf.snapshot(), tree(), name)?)
}

fn json(text: &str) -> Value {
    Value::from_json(&serde_json::from_str(text).unwrap()).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Set(&'static str, Value),
    Delete(&'static str),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let paths = || prop::sample::select(vec!["a", "a.b", "a.b.c", "a.d", "a!", "e"]);
    let values =
        prop::sample::select(vec!["1", "\"x\"", "{}", r#"{"b": {"c": 2}}"#, r#"{"c": {}, "d": [{}]}"#]);
    let set = (paths(), values).prop_map(|(path, value)| Step::Set(path, json(value)));
    proptest::collection::vec(prop_oneof![3 => set, 1 => paths().prop_map(Step::Delete)], 0..6)
}

proptest! {
    #[test]
    fn what_a_draft_shows_is_what_its_commit_shows(history in proptest::collection::vec(steps(), 1..4)) {
        let mut shelf = Shelf::default();
        for (height, steps) in (1..).zip(history) {
            let draft = draft(&shelf);
            let doc: DocStore = draft.store("s").unwrap();
            for step in steps {
                match step {
                    Step::Set(path, value) => {
                        doc.set(path, value.clone()).unwrap();
                        prop_assert_eq!(doc.get(path).unwrap(), Some(value));
                    }
                    Step::Delete(path) => {
                        let there = doc.get(path).unwrap().is_some();
                        prop_assert_eq!(doc.delete(path).unwrap(), there);
                        prop_assert_eq!(doc.get(path).unwrap(), None);
                    }
                }
            }
            let shown = doc.to_value().unwrap();
            let changes = draft.finish().unwrap();
            if !changes.stores.is_empty() {
                shelf.commit(&changes, 5, height);
            }
            prop_assert_eq!(viewer::<DocStore>(&shelf, "s").unwrap().to_value().unwrap(), shown);
        }
    }
}

#[test]
fn a_map_becomes_a_write_for_each_leaf_and_replaces_what_was_there() {
    let mut shelf = Shelf::default();
    let first = draft(&shelf);
    first.store::<DocStore>("s").unwrap().set("a", json(r#"{"b": 1, "c": {"d": 2}}"#)).unwrap();
    let changes = first.finish().unwrap();
    let touched: Vec<_> = changes.touched.iter().map(|(_, path)| path.as_str()).collect();
    assert_eq!(touched, ["a", "a.b", "a.c.d"]);
    shelf.commit(&changes, 1, 1);
    let second = draft(&shelf);
    let doc: DocStore = second.store("s").unwrap();
    doc.set("a", json(r#"{"x": 3}"#)).unwrap();
    assert_eq!(doc.keys_of("a").unwrap(), ["x"]);
    shelf.commit(&second.finish().unwrap(), 1, 2);
    let shown: DocStore = viewer(&shelf, "s").unwrap();
    assert_eq!(shown.get("a").unwrap(), Some(json(r#"{"x": 3}"#)));
    assert_eq!(shown.keys().unwrap(), ["a"]);
}

#[test]
fn bad_writes_are_refused_and_leave_nothing() {
    let draft = draft(&Shelf::default());
    let doc: DocStore = draft.store("s").unwrap();
    assert_eq!(doc.set("a..b", 1), Err(EntryError::Path.into()));
    assert_eq!(doc.set("a", json(r#"{"good": 1, "": 2}"#)), Err(EntryError::Path.into()));
    assert_eq!(doc.set("a", f64::NAN), Err(EntryError::Value.into()));
    assert!(draft.changes().unwrap().stores.is_empty());
    assert!(matches!(draft.store::<DocStore>("_settings"), Err(DocumentError::SettingsPlace(_))));
    assert!(matches!(draft.store::<SettingsStore>("s"), Err(DocumentError::SettingsPlace(_))));
    assert!(matches!(draft.store::<DocStore>("a\n"), Err(DocumentError::Rule(EntryError::StoreName))));
    assert_eq!(viewer::<DocStore>(&Shelf::default(), "s").unwrap().set("a", 1), Err(DocumentError::ReadOnly));
    draft.finish().unwrap();
    assert_eq!(doc.set("a", 1), Err(DocumentError::Finished));
    assert_eq!(draft.finish(), Err(DocumentError::Finished));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Person {
    name: String,
    age: u8,
}

fn person(name: &str, age: u8) -> Person {
    Person { name: name.into(), age }
}

#[test]
fn rows_of_a_table_come_back_as_they_went_in() {
    let mut shelf = Shelf::default();
    let first = draft(&shelf);
    let table: Table<Person> = first.store("people").unwrap();
    let key = table.insert(&person("Ada", 36)).unwrap();
    assert_ne!(table.insert(&person("Ada", 36)).unwrap(), key, "two rows, two keys");
    table.insert_at("b.c", &person("Bob", 7)).unwrap();
    assert_eq!(table.insert_at("b.c", &person("Eve", 7)), Err(DocumentError::Exists("b.c".into())));
    shelf.commit(&first.finish().unwrap(), 1, 1);
    let second = draft(&shelf);
    let table: Table<Person> = second.store("people").unwrap();
    table.set("b.c", &person("Bob", 8)).unwrap();
    assert!(table.delete(&key).unwrap() && !table.delete(&key).unwrap());
    shelf.commit(&second.finish().unwrap(), 1, 2);
    let table: Table<Person> = viewer(&shelf, "people").unwrap();
    assert_eq!(table.get("b.c").unwrap(), Some(person("Bob", 8)));
    assert_eq!(table.search(|row| row.age < 10).unwrap(), [("b.c".into(), person("Bob", 8))]);
    let all = table.rows(None, 10).unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(table.rows(Some(&all[0].0), 1).unwrap(), all[1..]);
    let other: Table<Vec<u8>> = viewer(&shelf, "people").unwrap();
    assert!(matches!(other.get("b.c"), Err(DocumentError::Type { .. })));
}

#[test]
fn a_log_is_in_order_of_position_whatever_the_time() {
    let mut shelf = Shelf::default();
    for (height, time) in [(1, 90), (2, 10), (3, 50)] {
        let draft = draft(&shelf);
        let log: Log = draft.store("log").unwrap();
        log.append([height, 0]).unwrap();
        log.append([height, 1]).unwrap();
        shelf.commit(&draft.finish().unwrap(), time, height.into());
    }
    shelf.0.reverse();
    let open = draft(&shelf);
    let log: Log = open.store("log").unwrap();
    log.append(*b"own").unwrap();
    let mut read = vec![];
    let mut after = None;
    while let Some(append) = log.entries(after, 1).unwrap().pop() {
        after = Some(append.cursor);
        read.push(append.bytes);
    }
    assert_eq!(read, [&[1, 0][..], &[1, 1], &[2, 0], &[2, 1], &[3, 0], &[3, 1], b"own"]);
    assert_eq!(log.entries(None, 100).unwrap().len(), 7);
    assert!(matches!(viewer::<DocStore>(&shelf, "log"), Err(DocumentError::Kind { .. })));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Http {
    port: u16,
}

impl Typed for Http {
    const TYPE_ID: &'static str = "http:v1";
}

#[derive(Debug, Serialize, Deserialize)]
struct Quic {
    port: u16,
}

impl Typed for Quic {
    const TYPE_ID: &'static str = "quic:v1";
}

#[test]
fn a_registry_refuses_another_type() {
    let draft = draft(&Shelf::default());
    let registry: Registry = draft.store("transports").unwrap();
    assert_eq!(registry.get::<Http>("web").unwrap(), None);
    registry.set("web", &Http { port: 80 }).unwrap();
    assert_eq!(registry.get::<Http>("web").unwrap(), Some(Http { port: 80 }));
    assert!(matches!(registry.get::<Quic>("web"), Err(DocumentError::TypeId { .. })));
    assert!(matches!(registry.set("web", &Quic { port: 1 }), Err(DocumentError::TypeId { .. })));
    assert_eq!(registry.names().unwrap(), ["web"]);
    assert_eq!(registry.type_id("web").unwrap().as_deref(), Some("http:v1"));
    assert!(registry.remove("web").unwrap());
    registry.set("web", &Quic { port: 1 }).unwrap();
}

#[test]
fn settings_go_into_an_entry_as_records() {
    let mut shelf = Shelf::default();
    let open = draft(&shelf);
    let settings: SettingsStore = open.store("_settings").unwrap();
    settings.set_name("notes").unwrap();
    settings.grant(Who::Key(public()), Permission::Write(3), Some("me")).unwrap();
    settings.grant(Who::Everyone, Permission::Read, None).unwrap();
    settings.revoke(Who::Everyone).unwrap();
    let weak = crate::PublicKey::from_bytes([0; 32]);
    assert!(settings.grant(Who::Key(weak), Permission::Read, None).is_err());
    let entry = shelf.commit(&open.finish().unwrap(), 1, 1);
    let written = entry.view().settings().unwrap();
    let granted: Vec<_> =
        written.grants.iter().map(|grant| (grant.who, grant.permission, grant.name)).collect();
    let me = (Who::Key(public()), Permission::Write(3), Some("me"));
    assert_eq!(granted, [(Who::Everyone, Permission::Read, None), me]);
    assert!(written.revocations.iter().eq([Who::Everyone]));
    assert_eq!(
        viewer::<SettingsStore>(&shelf, "_settings").unwrap().name().unwrap().as_deref(),
        Some("notes")
    );
}

#[test]
fn the_settings_of_a_root_are_those_of_a_document() {
    let mut doc = Doc::new();
    doc.set("name", "notes").unwrap().set("look.colour", "green").unwrap();
    let grant = GrantRecord { who: Who::Key(public()), permission: Permission::Admin(0), name: None };
    let data = root_settings(&doc, [grant]).unwrap();
    let Ok(StoreData::Settings(settings)) = StoreData::read(&data) else { panic!("no settings") };
    let paths: Vec<_> = settings.writes.iter().map(|write| write.path).collect();
    assert_eq!(paths, ["look", "look.colour", "name"]);
    assert_eq!(settings.grants.len(), 1);
}

#[test]
fn the_content_hash_covers_values_and_logs_and_leaves_settings_and_import_aside() {
    let mut shelf = Shelf::default();
    let mut hash_after = |store: &str, value: i64, height| {
        let open = draft(&shelf);
        open.store::<DocStore>(store).unwrap().set("k", value).unwrap();
        let entry = shelf.commit(&open.finish().unwrap(), 1, height);
        assert!(EntryView::read(entry.bytes()).is_ok());
        content_hash(&shelf.snapshot(), &tree()).unwrap()
    };
    let one = hash_after("s", 1, 1);
    assert_eq!(hash_after("_import", 1, 2), one);
    assert_ne!(hash_after("s", 2, 3), one);
    assert_eq!(hash_after("s", 1, 4), one, "the same values, whatever the history");
    let open = draft(&shelf);
    open.store::<SettingsStore>("_settings").unwrap().set_name("x").unwrap();
    shelf.commit(&open.finish().unwrap(), 1, 5);
    assert_eq!(content_hash(&shelf.snapshot(), &tree()).unwrap(), one);
    let open = draft(&shelf);
    open.store::<Log>("log").unwrap().append(*b"more").unwrap();
    shelf.commit(&open.finish().unwrap(), 1, 6);
    assert_ne!(content_hash(&shelf.snapshot(), &tree()).unwrap(), one);
}
