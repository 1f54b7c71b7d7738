//! What rows must show.

use pleach_core::{
    entry::Value,
    storage::{OfPath, Paths, Row, RowKind, RowQuery, Store},
};

use super::{Maker, store_all};

fn query(paths: Paths, of_path: OfPath) -> RowQuery {
    RowQuery { store: "doc".into(), kind: RowKind::Map, paths, after: None, of_path, limit: 999 }
}

fn one(path: &str) -> Paths {
    Paths::One(path.to_owned())
}

fn rows(store: &dyn Store, maker: &Maker, query: &RowQuery) -> Vec<Row> {
    store.snapshot().unwrap().rows(&maker.tree(), query).unwrap()
}

/// A row as `path=text`, a tombstone as `path`.
fn shown(rows: &[Row]) -> Vec<String> {
    let show = |row: &Row| {
        let path = String::from_utf8(row.path.clone()).unwrap();
        match row.value.as_ref().map(|value| Value::decode(value).unwrap()) {
            Some(Value::Text(text)) => format!("{path}={text}"),
            Some(other) => panic!("a text was written, not {other:?}"),
            None => path,
        }
    };
    rows.iter().map(show).collect()
}

/// The greatest stamp wins, whatever came last; a tombstone is a row as any other.
pub fn the_value_of_a_path_is_its_last_row(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    let at = [root.position()];
    let newest = maker.at_time(30, &at, "a", Some("newest"));
    let oldest = maker.at_time(10, &at, "a", Some("oldest"));
    let middle = maker.at_time(20, &at, "a", None);
    let gone = maker.at_time(20, &at, "b", None);
    store_all(store, &maker, [&root, &newest, &oldest, &middle, &gone]);
    let last = rows(store, &maker, &query(one("a"), OfPath::Last));
    assert_eq!(shown(&last), ["a=newest"]);
    assert_eq!(last[0].stamp.time, 30);
    assert_eq!(last[0].stamp.position, newest.position());
    assert_eq!(last[0].author, maker.key().public());
    assert_eq!(shown(&rows(store, &maker, &query(one("b"), OfPath::Last))), ["b"]);
    assert_eq!(shown(&rows(store, &maker, &query(Paths::All, OfPath::Last))), ["a=newest", "b"]);
    assert_eq!(shown(&rows(store, &maker, &query(one("none"), OfPath::Last))), [""; 0]);
    let other = RowQuery { store: "do".into(), ..query(Paths::All, OfPath::All) };
    assert_eq!(rows(store, &maker, &other), []);
}

/// All writes of a path, by time, then height, then id, read in pages.
pub fn the_history_of_a_path_is_in_order_of_stamp(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    let texts = ["5", "3", "9", "3", "7"];
    let mut entries = vec![root.clone()];
    for text in texts {
        let parent = entries.last().map_or(root.position(), |entry| entry.position());
        entries.push(maker.at_time(text.parse().unwrap(), &[parent], "a", Some(text)));
    }
    store_all(store, &maker, &entries);
    let mut all = query(one("a"), OfPath::All);
    let history = rows(store, &maker, &all);
    assert_eq!(shown(&history), ["a=3", "a=3", "a=5", "a=7", "a=9"]);
    assert!(history.is_sorted_by_key(|row| row.stamp));
    all.limit = 2;
    let mut paged = Vec::new();
    loop {
        let page = rows(store, &maker, &all);
        let Some(last) = page.last() else { break };
        all.after = Some((last.path.clone(), last.stamp));
        paged.extend(page);
    }
    assert_eq!(paged, history);
}

/// A path that was written often does not hide the paths behind it.
pub fn the_last_of_a_long_history_is_found(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    let mut entries = vec![root.clone()];
    for time in 0..100 {
        let parent = entries.last().map_or(root.position(), |entry| entry.position());
        let path = ["a", "b", "b.c", "d"][[0, 1, 1, 1, 1, 2, 3][time % 7]];
        entries.push(maker.at_time(time as u64, &[parent], path, Some(&time.to_string())));
    }
    store_all(store, &maker, &entries);
    let mut last = query(Paths::All, OfPath::Last);
    assert_eq!(shown(&rows(store, &maker, &last)), ["a=98", "b=99", "b.c=96", "d=97"]);
    last.limit = 2;
    let first = rows(store, &maker, &last);
    assert_eq!(shown(&first), ["a=98", "b=99"]);
    last.after = first.last().map(|row| (row.path.clone(), row.stamp));
    assert_eq!(shown(&rows(store, &maker, &last)), ["b.c=96", "d=97"]);
}

/// `Below` means strictly below, and escaped dots are part of a key.
pub fn rows_below_a_path_are_read_page_by_page(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    let paths = ["a", "a.b", "a.b.c", r"a.b\.x", "a.c", "ab", r"a\.b", "b"];
    let entries: Vec<_> = paths.iter().map(|path| maker.entry(&[root.position()], path, "x")).collect();
    store_all(store, &maker, [&root].into_iter().chain(&entries));
    for of_path in [OfPath::Last, OfPath::All] {
        let mut below = RowQuery { limit: 2, ..query(Paths::Below("a".into()), of_path) };
        let mut read = Vec::new();
        loop {
            let page = rows(store, &maker, &below);
            let Some(last) = page.last() else { break };
            below.after = Some((last.path.clone(), last.stamp));
            read.extend(shown(&page));
        }
        assert_eq!(read, ["a.b=x", "a.b.c=x", r"a.b\.x=x", "a.c=x"]);
    }
}

/// A log is one sequence, the same on every node; its pages join.
pub fn a_log_is_in_order_of_position_then_number(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    let low = maker.log(&[root.position()], &[b"b", b"a"]);
    let high = maker.log(&[low.position()], &[b"d", b"c", b""]);
    store_all(store, &maker, [&root, &low, &high]);
    let mut log = RowQuery { store: "log".into(), kind: RowKind::Log, ..query(Paths::All, OfPath::All) };
    let appended: Vec<_> = rows(store, &maker, &log).into_iter().map(|row| row.value.unwrap()).collect();
    assert_eq!(appended, [&b"b"[..], b"a", b"d", b"c", b""]);
    log.limit = 3;
    let page = rows(store, &maker, &log);
    assert_eq!(page[2].path, 0_u32.to_be_bytes());
    assert_eq!(page[2].stamp.position, high.position());
    assert_eq!(page[1].stamp.time, low.view().time());
    log.after = page.last().map(|row| (row.path.clone(), row.stamp));
    assert_eq!(rows(store, &maker, &log).len(), 2);
}

/// One name can hold a map and a log.
pub fn stores_are_listed_with_their_kinds(store: &dyn Store) {
    let maker = Maker::new(1);
    let root = maker.root();
    let doc = maker.entry(&[root.position()], "a", "b");
    let log = maker.log(&[root.position()], &[b"x"]);
    let odd = maker.sign(0, &[root.position()], &[("doc", &[1, 1, 1, b'x'])]);
    store_all(store, &maker, [&root, &doc, &log, &odd]);
    let stores = store.snapshot().unwrap().stores(&maker.tree()).unwrap();
    let stores: Vec<_> = stores.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
    let expected =
        [("_settings", RowKind::Map), ("doc", RowKind::Map), ("doc", RowKind::Log), ("log", RowKind::Log)];
    assert_eq!(stores, expected);
}
