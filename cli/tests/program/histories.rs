//! Histories go in and come out as they were.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    process::Stdio,
};

use serde_json::{Value, json};

use crate::node::{Node, history};

type Lines = BTreeMap<String, (BTreeSet<String>, Option<String>, Value, String, String)>;

/// Lines by id: parents, author, value, store, key.
fn lines<'a>(text: impl Iterator<Item = &'a Value>) -> Lines {
    text.map(|line| {
        let text = |field: &str| line[field].as_str().map(str::to_owned);
        let id = text("id").unwrap();
        let parents =
            line["parents"].as_array().unwrap().iter().map(|p| p.as_str().unwrap().to_owned()).collect();
        let (store, key) = (text("store").unwrap_or("main".into()), text("key").unwrap_or(id.clone()));
        (id, (parents, text("author"), line["value"].clone(), store, key))
    })
    .collect()
}

fn parse(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn real_histories_come_out_of_another_node_as_they_went_in() {
    let (a, b) = (Node::new(), Node::new());
    for name in ["dag-smoltcp.jsonl", "dag-raft-rs.jsonl"] {
        let file = history(name);
        let given = parse(&fs::read_to_string(&file).unwrap());
        a.run(&["create", name, "--public", "read"]).good();
        let imported = a.run(&["import", name, file.to_str().unwrap()]);
        assert_eq!(imported.good()["entries"], given.len());
        assert!(imported.good()["seconds"].is_number());
        assert_eq!(lines(a.run(&["export", name]).lines.iter()), lines(given.iter()), "{name}");

        let serving = a.serve(&["--http", "127.0.0.1:0"]);
        let ticket = a.text(&["ticket", name], "ticket");
        assert_eq!(b.text(&["join", &ticket], "outcome"), "joined");
        serving.stop();
        let verified = b.run(&["verify", name]);
        assert_eq!(verified.good()["ok"], true);
        assert_eq!(verified.good()["entries"], a.run(&["stats", name]).good()["entries"]);
        assert_eq!(a.text(&["stats", name], "content_hash"), b.text(&["stats", name], "content_hash"));
        let out = b.path("out.jsonl");
        b.run(&["export", name, out.to_str().unwrap()]).good();
        let exported = parse(&fs::read_to_string(out).unwrap());
        assert_eq!(lines(exported.iter()), lines(given.iter()), "{name}");
    }
}

#[test]
fn an_import_killed_in_the_middle_continues_where_it_stopped() {
    let node = Node::new();
    node.run(&["create", "long"]).good();
    let mut text = String::new();
    for n in 0..12_000 {
        text += &json!({"id": n.to_string(), "author": format!("a{}", n % 50), "value": "x".repeat(200)})
            .to_string();
        text.push('\n');
    }
    let file = node.path("long.jsonl");
    fs::write(&file, &text).unwrap();

    let mut child =
        node.command(&["import", "long", file.to_str().unwrap()]).stdout(Stdio::null()).spawn().unwrap();
    // The store grows with the first batches, well before the last.
    let store = node.data().join("node.redb");
    let small = fs::metadata(&store).unwrap().len();
    while fs::metadata(&store).unwrap().len() < small + 4_000_000 && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let again = node.run(&["import", "long", file.to_str().unwrap()]);
    let (new, held) = (again.good()["entries"].as_u64().unwrap(), again.good()["held"].as_u64().unwrap());
    assert_eq!(new + held, 12_000);
    assert!(new > 0, "it was killed too late to show anything");
    assert_eq!(node.run(&["verify", "long"]).good()["ok"], true);
    let exported = node.run(&["export", "long"]);
    let exported = lines(exported.lines.iter());
    assert_eq!(exported.len(), 12_000);
    assert!((1..12_000).all(|n| exported[&n.to_string()].0 == BTreeSet::from([(n - 1).to_string()])));
    // A third time there is nothing left to do, and no second chain of grants.
    let third = node.run(&["import", "long", file.to_str().unwrap()]);
    assert_eq!((&third.good()["entries"], &third.good()["grants"]), (&json!(0), &json!(0)));
}

#[test]
fn roots_merges_of_many_and_ancestors_as_parents_survive() {
    let node = Node::new();
    let mut given = Vec::new();
    for n in 0..100 {
        given.push(json!({"id": format!("root {n}"), "parents": [], "author": "r", "value": n}));
    }
    let all: Vec<_> = (0..100).map(|n| format!("root {n}")).collect();
    given.push(json!({"id": "wide", "parents": all, "author": "w", "value": {"a": [1.5, null]}}));
    given.push(json!({"id": "own", "parents": ["wide", "root 7"], "value": "no author"}));
    given.push(json!({"id": "odd.key", "parents": ["own"], "author": "späť", "store": "s", "key": "a.b\\c", "value": true}));
    let text = given.iter().map(|line| line.to_string() + "\n").collect::<Vec<_>>().concat();
    node.run(&["create", "odd"]).good();
    let imported = node.run_with(&["import", "odd", "-"], &text);
    assert_eq!(imported.good()["entries"], given.len());
    assert!(imported.good()["merges"].as_u64().unwrap() >= 4);
    assert_eq!(lines(node.run(&["export", "odd"]).lines.iter()), lines(given.iter()));
    assert_eq!(node.run(&["verify", "odd"]).good()["ok"], true);
    assert_eq!(node.text(&["get", "odd", "s", r"a.b\c"], "value"), "true");
}

#[test]
fn a_database_that_was_not_imported_is_exported_and_taken_in_elsewhere() {
    let (a, b) = (Node::new(), Node::new());
    a.run(&["create", "notes"]).good();
    a.run(&["put", "notes", "main", "title", "first"]).good();
    a.run(&["put", "notes", "main", "title", "second"]).good();
    a.run(&["put", "notes", "deep", "object", r#"{"a": 1, "b": {"c": 2}}"#]).good();
    a.run(&["del", "notes", "main", "title"]).good();
    let file = a.path("notes.jsonl");
    a.run(&["export", "notes", file.to_str().unwrap()]).good();
    b.run(&["create", "notes"]).good();
    b.run(&["import", "notes", file.to_str().unwrap()]).good();
    assert_eq!(a.text(&["stats", "notes"], "content_hash"), b.text(&["stats", "notes"], "content_hash"));
    assert_eq!(
        b.text(&["get", "notes", "deep", "object"], "value"),
        a.text(&["get", "notes", "deep", "object"], "value")
    );
    assert_eq!(b.run(&["log", "notes", "main", "title"]).lines.len(), 3);
    // What a database holds already is not taken in again.
    assert_eq!(a.run(&["import", "notes", file.to_str().unwrap()]).good()["entries"], 0);
}

#[test]
fn a_bad_line_is_named_and_nothing_of_the_file_is_written() {
    let node = Node::new();
    node.run(&["create", "bad"]).good();
    let before = node.run(&["stats", "bad"]).good().clone();
    for (text, line, says) in [
        ("{\"value\":1}\nnonsense\n", 2, "expected"),
        ("{\"value\":1}\n\n{\"parents\":[\"x\"],\"value\":2}\n", 3, "not known"),
        ("{\"id\":\"a\",\"value\":1}\n{\"id\":\"a\",\"value\":2}\n", 2, "again with other content"),
        ("{\"id\":\"a\",\"value\":1}\n{\"store\":\"_settings\",\"value\":2}\n", 2, "belongs to the database"),
    ] {
        let error = node.run_with(&["import", "bad", "-"], text).error(1);
        assert!(error.contains(&format!("line {line}")) && error.contains(says), "{error}");
    }
    assert_eq!(*node.run(&["stats", "bad"]).good(), before);
    node.run_with(&["import", "bad", "-"], "{\"id\":\"a\",\"value\":1}\n").good();
    let error = node.run_with(&["import", "bad", "-"], "{\"id\":\"a\",\"value\":2}\n").error(1);
    assert!(error.contains("line 1") && error.contains("before with other content"), "{error}");
}

#[test]
fn standard_input_that_never_ends_is_no_reason_to_write_half() {
    let node = Node::new();
    node.run(&["create", "half"]).good();
    let before = node.run(&["stats", "half"]).good().clone();
    let serving = node.serve(&[]);
    let mut child = node.command(&["import", "half", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    // More than a pipe holds: some of it has been read.
    let lines = "{\"value\":1}\n".repeat(1 << 16);
    child.stdin.as_mut().unwrap().write_all(lines.as_bytes()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    serving.stop();
    assert_eq!(*node.run(&["stats", "half"]).good(), before);
}
