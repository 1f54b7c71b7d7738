//! A document as a value: what stands at a path.

use std::{collections::BTreeMap, string::String};

use super::shelf::{Shelf, public, tree};
use crate::{
    document::{Doc, DocStore, Draft, Scope},
    entry::Value,
};

#[test]
fn a_doc_gives_back_what_was_put_and_takes_out_what_is_below_a_path() {
    let mut doc = Doc::new();
    assert!(doc.is_empty());
    doc.set("a.b", 1).unwrap().set("a.c", 2).unwrap().set("d", 3).unwrap();
    assert!(!doc.is_empty());
    assert_eq!((doc.get("a.b"), doc.get("a.x"), doc.get("d.x")), (Some(&1.into()), None, None));
    assert_eq!(doc.remove("a.b"), Some(1.into()));
    assert_eq!((doc.remove("a.b"), doc.remove("d.x")), (None, None), "there is nothing");
    assert_eq!(doc.get("a.c"), Some(&2.into()), "what stands beside it stays");
    assert!(matches!(doc.remove("a"), Some(Value::Map(below)) if below.len() == 1));
    assert_eq!(doc.iter().collect::<BTreeMap<_, _>>(), [("d", &3.into())].into());
}

#[test]
fn a_doc_is_its_map() {
    let map: BTreeMap<String, Value> = [("a".into(), 1.into())].into();
    assert_eq!(Doc::from(map.clone()).get("a"), Some(&1.into()));
    assert_eq!(Value::from(Doc::from(map.clone())), Value::Map(map));
}

#[test]
fn a_store_knows_by_what_name_it_was_opened() {
    let scope = Scope::of_snapshot(Shelf::default().snapshot(), tree(), "notes").unwrap();
    assert_eq!(scope.name(), "notes");
}

#[test]
fn a_page_of_what_a_draft_wrote_begins_behind_the_path_before_it() {
    let draft = Draft::new(Shelf::default().snapshot(), tree(), public(), [1; 32]);
    let doc: DocStore = draft.store("s").unwrap();
    for path in ["a", "b", "c", "d"] {
        doc.set(path, 1).unwrap();
    }
    let page = |after, limit| {
        let leaves = doc.leaves(after, limit).unwrap();
        leaves.into_iter().map(|(path, _)| path).collect::<String>()
    };
    assert_eq!(
        (page(None, 2), page(Some("b"), 2), page(Some("d"), 2)),
        ("ab".into(), "cd".into(), String::new())
    );
}
