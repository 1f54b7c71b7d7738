//! Every structural rule, by name.

use std::{string::String, vec, vec::Vec};

use super::raw::{Raw, grant, list, map, settings, sized, varint, who, write};
use crate::{
    Id,
    canonical::DecodeError,
    entry::{EntryBuilder, EntryError, EntryView, Origin, StoreData},
    limits::{
        HEIGHT_END, MAX_ENTRY, MAX_GRANT_NAME, MAX_PARENTS, MAX_PATH, MAX_SETTINGS_RECORDS, MAX_STORE_NAME,
        MAX_STORES, MAX_VALUE_DEPTH, TIME_END,
    },
};

#[track_caller]
fn accepted(raw: &Raw) {
    let bytes = raw.bytes();
    let view = EntryView::read(&bytes).unwrap();
    assert_eq!(view.verify(), Ok(()));
    assert_eq!(Raw::of(&view).bytes(), bytes, "the view shows all of it");
    let parents = view.parents();
    assert_eq!((parents.len(), parents.is_empty()), (raw.parents.len(), raw.parents.is_empty()));
    assert_eq!(view.stores().iter().len(), raw.stores.len());
}

#[track_caller]
fn refused(raw: &Raw, error: EntryError) {
    assert_eq!(EntryView::read(&raw.bytes()), Err(error));
}

fn with(mut raw: Raw, change: impl FnOnce(&mut Raw)) -> Raw {
    change(&mut raw);
    raw
}

fn ids(count: usize) -> Vec<Id> {
    let mut ids: Vec<_> = (0..count).map(|n| Id::of(&n.to_le_bytes())).collect();
    ids.sort();
    ids
}

/// An entry that writes this data into one store.
fn holding(name: &str, data: Vec<u8>) -> Raw {
    with(Raw::child(), |raw| raw.stores = vec![(name.as_bytes().to_vec(), data)])
}

fn granting(grants: &[Vec<u8>]) -> Raw {
    holding("_settings", settings(&[], grants, &[]))
}

#[test]
fn an_unknown_version_is_refused_by_its_number() {
    accepted(&Raw::child());
    refused(&with(Raw::child(), |raw| raw.version = 2), EntryError::Version(2));
    refused(&with(Raw::child(), |raw| raw.version = 0x81), EntryError::Version(0x81));
    assert_eq!(EntryView::read(&[]), Err(DecodeError::Malformed.into()));
}

#[test]
fn a_root_has_no_past_and_every_other_entry_has_one() {
    accepted(&Raw::root());
    refused(&with(Raw::root(), |raw| raw.height = 1), EntryError::RootWithPast);
    refused(&with(Raw::root(), |raw| raw.parents = ids(1)), EntryError::RootWithPast);
    accepted(&with(Raw::child(), |raw| raw.parents = ids(1)));
    refused(&with(Raw::child(), |raw| raw.parents = vec![]), EntryError::NoParents);
    refused(&with(Raw::child(), |raw| raw.height = 0), EntryError::NoParents);
}

#[test]
fn a_root_writes_settings() {
    refused(&with(Raw::root(), |raw| raw.stores.clear()), EntryError::RootWithoutSettings);
    let data = map(&[]);
    let raw = with(Raw::root(), |raw| raw.stores = vec![(b"notes".to_vec(), data)]);
    refused(&raw, EntryError::RootWithoutSettings);
}

#[test]
fn parents_are_few_sorted_and_unique() {
    accepted(&with(Raw::child(), |raw| raw.parents = ids(MAX_PARENTS)));
    let count = MAX_PARENTS + 1;
    refused(&with(Raw::child(), |raw| raw.parents = ids(count)), EntryError::TooManyParents(count));
    refused(&with(Raw::child(), |raw| raw.parents.reverse()), EntryError::ParentOrder);
    let twice = with(Raw::child(), |raw| raw.parents = [ids(1), ids(1)].concat());
    refused(&twice, EntryError::ParentOrder);
}

#[test]
fn heights_and_times_lie_below_their_bounds() {
    accepted(&with(Raw::child(), |raw| raw.height = HEIGHT_END - 1));
    refused(&with(Raw::child(), |raw| raw.height = HEIGHT_END), EntryError::Height(HEIGHT_END));
    accepted(&with(Raw::child(), |raw| raw.time = TIME_END - 1));
    refused(&with(Raw::child(), |raw| raw.time = TIME_END), EntryError::Time(TIME_END));
}

#[test]
fn the_height_is_one_above_the_highest_parent() {
    let bytes = Raw::child().bytes();
    let view = EntryView::read(&bytes).unwrap();
    assert_eq!(view.check_height(Some(2)), Ok(()));
    let wrong = |expected| Err(EntryError::WrongHeight { expected, claimed: 3 });
    assert_eq!(view.check_height(Some(3)), wrong(4));
    assert_eq!(view.check_height(None), wrong(0));
}

#[test]
fn an_entry_has_at_most_its_limit_of_bytes() {
    let of_size = |size: usize| {
        let log = |bytes: usize| [vec![1], list(&[sized(&vec![0; bytes])])].concat();
        let overhead = holding("log", log(200_000)).bytes().len() - 200_000;
        holding("log", log(size - overhead))
    };
    assert_eq!(of_size(MAX_ENTRY).bytes().len(), MAX_ENTRY);
    accepted(&of_size(MAX_ENTRY));
    refused(&of_size(MAX_ENTRY + 1), EntryError::TooLarge(MAX_ENTRY + 1));
}

#[test]
fn stores_are_few_sorted_and_well_named() {
    let names = |count: usize| -> Vec<_> {
        (0..count).map(|n| (std::format!("s{n:03}").into_bytes(), map(&[]))).collect()
    };
    accepted(&with(Raw::child(), |raw| raw.stores = names(MAX_STORES)));
    let count = MAX_STORES + 1;
    refused(&with(Raw::child(), |raw| raw.stores = names(count)), EntryError::TooManyStores(count));
    refused(&with(Raw::child(), |raw| raw.stores.reverse()), EntryError::StoreOrder);
    let twice = with(Raw::child(), |raw| raw.stores = [names(1), names(1)].concat());
    refused(&twice, EntryError::StoreOrder);
    accepted(&holding(&"n".repeat(MAX_STORE_NAME), map(&[])));
    for name in ["", "a\nb", "a\u{7f}", &"n".repeat(MAX_STORE_NAME + 1)] {
        refused(&holding(name, map(&[])), EntryError::StoreName);
    }
}

#[test]
fn settings_live_in_their_store_and_nothing_else_does() {
    accepted(&holding("_settings", settings(&[], &[], &[])));
    refused(&holding("settings", settings(&[], &[], &[])), EntryError::SettingsPlace);
    refused(&holding("_settings", map(&[])), EntryError::SettingsPlace);
}

#[test]
fn the_data_of_a_store_is_of_a_known_kind_and_whole() {
    refused(&holding("s", vec![]), DecodeError::Malformed.into());
    refused(&holding("s", vec![3, 0]), DecodeError::Malformed.into());
    refused(&holding("s", vec![0, 0, 9]), DecodeError::Trailing(1).into());
    refused(&holding("s", vec![0, 0x80, 0]), DecodeError::NotCanonical.into());
}

#[test]
fn records_are_few() {
    let key = |n: usize| [vec![1], Id::of(&n.to_le_bytes()).as_bytes().to_vec()].concat();
    let mut keys: Vec<_> = (0..=MAX_SETTINGS_RECORDS).map(key).collect();
    keys.sort();
    let grants: Vec<_> = keys.iter().map(|key| [key.clone(), vec![0, 0]].concat()).collect();
    let half = MAX_SETTINGS_RECORDS / 2;
    let holds =
        |grants: &[Vec<u8>], revoked: &[Vec<u8>]| holding("_settings", settings(&[], grants, revoked));
    accepted(&holds(&grants[..half], &keys[..half]));
    let too_many = EntryError::TooManyRecords(MAX_SETTINGS_RECORDS + 1);
    refused(&holds(&grants[..half], &keys[..=half]), too_many);
    refused(&holds(&grants, &[]), too_many);
    refused(&holds(&[], &keys), too_many);
}

#[test]
fn records_ascend_and_none_comes_twice() {
    let (a, b) = (write("a", None), write("b", None));
    accepted(&holding("s", map(&[a.clone(), b.clone()])));
    refused(&holding("s", map(&[b, a.clone()])), EntryError::RecordOrder);
    refused(&holding("s", map(&[a.clone(), a])), EntryError::RecordOrder);
    let (one, two) = (grant(Some(1), &[0], None), grant(Some(2), &[0], None));
    accepted(&granting(&[one.clone(), two.clone()]));
    refused(&granting(&[two, one.clone()]), EntryError::RecordOrder);
    refused(&granting(&[one.clone(), one]), EntryError::RecordOrder);
    let revoking = |keys: &[Vec<u8>]| holding("_settings", settings(&[], &[], keys));
    accepted(&revoking(&[who(None), who(Some(1))]));
    refused(&revoking(&[who(Some(1)), who(None)]), EntryError::RecordOrder);
    refused(&revoking(&[who(Some(1)), who(Some(1))]), EntryError::RecordOrder);
}

#[test]
fn everybody_is_at_most_a_writer() {
    accepted(&granting(&[grant(None, &[1, 0], None)]));
    refused(&granting(&[grant(None, &[2, 5], None)]), EntryError::AdminForAll);
}

#[test]
fn the_name_in_a_grant_is_short_and_printable() {
    let named = |name: &str| granting(&[grant(Some(1), &[0], Some(name))]);
    accepted(&named(""));
    accepted(&named(&"n".repeat(MAX_GRANT_NAME)));
    refused(&named(&"n".repeat(MAX_GRANT_NAME + 1)), EntryError::GrantName);
    refused(&named("\u{1b}[31m"), EntryError::GrantName);
}

#[test]
fn paths_are_well_formed() {
    accepted(&holding("s", map(&[write(&"p".repeat(MAX_PATH), None)])));
    for path in ["", ".", "a..b", "a\\b", &"p".repeat(MAX_PATH + 1)] {
        refused(&holding("s", map(&[write(path, None)])), EntryError::Path);
    }
}

#[test]
fn values_have_one_encoding() {
    let holds = |value: &[u8]| holding("s", map(&[write("p", Some(value))]));
    let nested = |depth: usize| [[7, 1].repeat(depth), vec![0]].concat();
    let float = |number: f64| [vec![4], number.to_le_bytes().to_vec()].concat();
    let pair =
        |a: &str, b: &str| [vec![8, 2], sized(a.as_bytes()), vec![0], sized(b.as_bytes()), vec![1]].concat();
    for good in [vec![0], vec![3, 0x80, 1], float(0.5), nested(MAX_VALUE_DEPTH), pair("a", "b"), vec![7, 0]] {
        accepted(&holds(&good));
    }
    let padded = vec![3, 0x80, 0];
    let endless = [vec![7], varint(u64::MAX)].concat();
    let bad = [vec![], vec![9], vec![0, 0], padded, endless, float(f64::NAN), float(f64::INFINITY)];
    let unsorted =
        [pair("b", "a"), pair("a", "a"), nested(MAX_VALUE_DEPTH + 1), vec![5, 1, 0xff], vec![7, 1]];
    for bad in bad.iter().chain(&unsorted) {
        refused(&holds(bad), EntryError::Value);
    }
}

#[test]
fn another_key_or_another_byte_does_not_fit_the_signature() {
    let bytes = Raw::child().bytes();
    for at in [1, 40, 90, 130, bytes.len() - 64, bytes.len() - 1] {
        let mut other = bytes.clone();
        other[at] ^= 1;
        if let Ok(view) = EntryView::read(&other) {
            assert!(matches!(view.verify(), Err(EntryError::Signature(_))), "byte {at}");
        }
    }
}

#[test]
fn what_is_built_reads_back_as_it_was_given() {
    let mut room = [0; 1024];
    let mut builder = EntryBuilder::new(Origin::Tree(Id::of(b"tree")), 77);
    let parents = ids(3);
    for (height, id) in [4, 9, 2].into_iter().zip(parents.iter().rev()) {
        builder.parent(crate::Position { height, id: *id }).unwrap();
    }
    let data = map(&[write("k", Some(&[2]))]);
    let bytes = builder.sign(&super::raw::key(), &[("notes", &data)], &mut room).unwrap();
    let view = EntryView::read(bytes).unwrap();
    assert_eq!((view.height(), view.time(), view.origin()), (10, 77, Origin::Tree(Id::of(b"tree"))));
    assert!(view.parents().iter().eq(parents));
    assert_eq!(view.author(), super::raw::key().public());
    assert_eq!(view.verify(), Ok(()));
    let store = view.stores().iter().next().unwrap();
    let Ok(StoreData::Map(writes)) = store.read() else { panic!("not a map: {store:?}") };
    let shown: Vec<_> =
        writes.iter().map(|write| (String::from(write.path), write.value.is_some())).collect();
    assert_eq!(shown, [(String::from("k"), true)]);
}
