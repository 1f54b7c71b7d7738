//! What is visible follows from the set of writes alone.

use std::{collections::BTreeMap, string::String, vec, vec::Vec};

use proptest::prelude::*;

use super::shelf::{Shelf, public, tree};
use crate::{
    Id, Position,
    document::{DocStore, Draft, Scope, StoreType, content_hash, newest_time},
    entry::Value,
    path,
    storage::Stamp,
};

#[derive(Clone, Debug)]
struct Write {
    path: &'static str,
    stamp: Stamp,
    value: Option<i64>,
}

fn stamp(time: u64, id: u8) -> Stamp {
    Stamp { time, position: Position { height: 1, id: Id::from_bytes([id; 32]) } }
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let paths = prop::sample::select(vec!["a", "a!", "a.b", "a.b!", "a.b.c", "a.c", "a/", "ab", "b", "b.c"]);
    let write = (paths, 0_u64..4, 0_u8..3, prop::option::of(any::<i64>()));
    proptest::collection::vec(write, 0..14).prop_map(|writes| {
        let unique: BTreeMap<_, _> =
            writes.into_iter().map(|(path, time, id, value)| ((path, time, id), value)).collect();
        unique
            .into_iter()
            .map(|((path, time, id), value)| Write { path, stamp: stamp(time, id), value })
            .collect()
    })
}

/// The visible leaves by the words of the rule.
fn visible(writes: &[Write]) -> Vec<(String, Value)> {
    let is_hidden = |write: &Write| {
        writes.iter().any(|other| {
            let related = other.path == write.path
                || path::is_below(other.path, write.path)
                || path::is_below(write.path, other.path);
            related && other.stamp > write.stamp
        })
    };
    let seen = writes.iter().filter(|write| !is_hidden(write));
    let seen: BTreeMap<_, _> =
        seen.filter_map(|write| Some((String::from(write.path), Value::Int(write.value?)))).collect();
    seen.into_iter().collect()
}

fn shelf(writes: &[Write]) -> Shelf {
    let mut shelf = Shelf::default();
    for write in writes {
        let value = write.value.map(|value| Value::Int(value).encode().unwrap());
        shelf.put("s", write.path, write.stamp, value);
    }
    shelf
}

fn open(shelf: &Shelf) -> DocStore {
    DocStore::open(Scope::of_snapshot(shelf.snapshot(), tree(), "s").unwrap()).unwrap()
}

proptest! {
    #[test]
    fn the_visible_is_the_same_in_every_order_of_arrival(
        (writes, shuffled) in writes().prop_flat_map(|writes| (Just(writes.clone()), Just(writes).prop_shuffle()))
    ) {
        let (one, other) = (shelf(&writes), shelf(&shuffled));
        let expected = visible(&writes);
        prop_assert_eq!(&open(&one).leaves(None, 100).unwrap(), &expected);
        prop_assert_eq!(open(&one).to_value().unwrap(), open(&other).to_value().unwrap());
        let hash = |shelf: &Shelf| content_hash(&shelf.snapshot(), &tree()).unwrap();
        prop_assert_eq!(hash(&one), hash(&other));
    }

    #[test]
    fn a_page_continues_where_the_last_one_ended(writes in writes()) {
        let doc = open(&shelf(&writes));
        let whole = doc.leaves(None, 100).unwrap();
        let mut paged: Vec<(String, Value)> = vec![];
        loop {
            let page = doc.leaves(paged.last().map(|(path, _)| path.as_str()), 1).unwrap();
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        prop_assert_eq!(paged, whole);
    }

    #[test]
    fn the_value_at_a_path_is_the_part_of_the_whole(writes in writes()) {
        let doc = open(&shelf(&writes));
        let whole = doc.to_value().unwrap();
        for path in ["a", "a.b", "a.b.c", "b", "a!"] {
            let mut part = Some(&whole);
            for key in path.split('.') {
                part = part.and_then(|part| match part {
                    Value::Map(map) => map.get(key),
                    _ => None,
                });
            }
            prop_assert_eq!(doc.get(path).unwrap(), part.cloned(), "{}", path);
        }
    }

    #[test]
    fn an_edit_at_its_time_is_seen(writes in writes(), value in any::<i64>()) {
        let mut shelf = shelf(&writes);
        for path in ["a", "a.b.c", "b"] {
            let draft = Draft::new(shelf.snapshot(), tree(), public(), [0; 32]);
            draft.store::<DocStore>("s").unwrap().set(path, value).unwrap();
            shelf.commit(&draft.finish().unwrap(), 0, 9);
            prop_assert_eq!(open(&shelf).get(path).unwrap(), Some(Value::Int(value)));
        }
    }
}

#[test]
fn the_time_of_an_edit_looks_above_and_below_its_path_and_nowhere_else() {
    let mut shelf = Shelf::default();
    for (path, time) in [("a", 10), ("a.b.c", 30), ("a.x", 90), ("ab", 99)] {
        shelf.put("s", path, stamp(time, 0), None);
    }
    let newest = |path: &str| newest_time(&shelf.snapshot(), &tree(), "s", path).unwrap();
    assert_eq!(newest("a.b"), Some(30));
    assert_eq!(newest("a.b.c.d"), Some(30));
    assert_eq!(newest("a.y"), Some(10));
    assert_eq!(newest("a"), Some(90));
    assert_eq!(newest("c"), None);
}

#[test]
fn history_is_oldest_first_with_deletions() {
    let mut shelf = Shelf::default();
    for (time, value) in [(5, Some(2)), (1, Some(1)), (9, None), (3, Some(7)), (7, Some(4))] {
        shelf.put("s", "p", stamp(time, 0), value.map(|value: i64| Value::Int(value).encode().unwrap()));
    }
    let edits = open(&shelf).history("p").unwrap();
    let shown: Vec<_> = edits.into_iter().map(|edit| (edit.stamp.time, edit.value)).collect();
    let int = |n| Some(Value::Int(n));
    assert_eq!(shown, [(1, int(1)), (3, int(7)), (5, int(2)), (7, int(4)), (9, None)]);
}
