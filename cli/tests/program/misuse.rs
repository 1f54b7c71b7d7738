//! Bad input of any kind: a clear error, exit code 2 for misuse, nothing half written.

use std::{fs, net::TcpListener, process::Stdio};

use crate::node::{Node, program};

#[test]
fn a_command_line_without_meaning_ends_with_two_and_says_why() {
    let node = Node::new();
    let key = node.key();
    for args in [
        &["frobnicate"][..],
        &["create"],
        &["create", ""],
        &["create", "x", "--public", "admin"],
        &["put", "db", "store", "key"],
        &["keys", "db", "grant", "nobody", "write"],
        &["keys", "db", "grant", &key, "owner"],
        &["keys", "db", "grant", &key, "write:70000"],
        &["join", "http://example.org"],
        &["join", "pleach:?pr=http:x"],
        &["join", "pleach:?db=short"],
        &["sync", "--peer", "localhost"],
        &["trees", "http:short@host:1"],
        &["log", "db", "store"],
        &["log", "db", "-n", "many"],
        &["serve", "--max-history", "many"],
        &["serve", "--max-exchanges", "3"],
        &["completions", "cobol"],
    ] {
        assert!(!node.run(args).error(2).is_empty(), "{args:?}");
    }
    assert_eq!(program().stderr(Stdio::null()).status().unwrap().code(), Some(2));
    for asked in ["--help", "--version"] {
        assert_eq!(program().arg(asked).stdout(Stdio::null()).status().unwrap().code(), Some(0));
    }
}

#[test]
fn a_folder_without_a_node_is_left_alone() {
    let node = Node::empty();
    let error = node.run(&["list"]).error(1);
    assert!(error.contains("pleach init"), "{error}");
    assert!(!node.data().exists());
    assert!(node.run(&["serve"]).error(1).contains("pleach init"));
}

#[test]
fn a_name_is_taken_where_only_one_database_has_it() {
    let node = Node::new();
    let first = node.text(&["create", "twin"], "id");
    let second = node.text(&["create", "twin"], "id");
    let error = node.run(&["stats", "twin"]).error(1);
    assert!(error.contains(&first) && error.contains(&second), "{error}");
    assert_eq!(node.text(&["stats", &second], "id"), second);
    assert!(node.run(&["stats", "other"]).error(1).contains("no database"));
    node.run(&["drop", &first]).good();
    assert_eq!(node.text(&["stats", "twin"], "id"), second);
}

#[test]
fn a_port_in_use_is_an_error_that_names_it() {
    let node = Node::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = node.run(&["serve", "--http", &address]).error(1);
    assert!(error.contains(&address), "{error}");
    node.run(&["list"]).good();
}

#[cfg(unix)]
#[test]
fn a_store_that_another_process_holds_without_answering_is_a_lock_error() {
    let node = Node::new();
    let serving = node.serve(&[]);
    fs::remove_file(node.data().join("socket")).unwrap();
    let error = node.run(&["list"]).error(1);
    assert!(error.contains("open in another process"), "{error}");
    serving.kill();
    node.run(&["list"]).good();
}

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let node = Node::new();
    let serving = node.serve(&[]);
    assert!(node.run(&["serve"]).error(1).contains("served already"));
    serving.stop();
}

#[test]
fn a_store_that_is_none_or_damaged_is_an_error_and_stays_as_it_is() {
    let node = Node::new();
    let store = node.data().join("node.redb");
    for bytes in [b"this is no store".repeat(1_000), vec![0; 8192]] {
        fs::write(&store, &bytes).unwrap();
        let ran = node.run(&["list"]);
        assert!(!ran.error(1).is_empty());
        assert_eq!(fs::read(&store).unwrap(), bytes);
    }
}

#[test]
fn text_of_others_cannot_move_the_cursor() {
    let node = Node::new();
    node.run(&["create", "t"]).good();
    node.run(&["put", "t", "main", "k", "\"a\\u001b[2Jb\\u009bc\""]).good();
    let mut command = program();
    let shown = command.arg("--data").arg(node.data()).args(["get", "t", "main", "k"]).output().unwrap();
    assert_eq!(String::from_utf8(shown.stdout).unwrap(), "a\\u{1b}[2Jb\\u{9b}c\n");
    let mut command = node.command(&["get", "t", "main", "k"]);
    let json = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(json.contains("a\\u001b[2Jb\\u009bc"), "{json}");
}
