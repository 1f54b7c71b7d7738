//! Getting in by asking.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use crate::node::Node;

#[test]
fn who_asks_is_listed_approved_and_joins() {
    let (a, b) = (Node::new(), Node::new());
    a.run(&["create", "notes"]).good();
    a.run(&["put", "notes", "main", "title", "Pleaching"]).good();
    let _serving = a.serve(&["--http", "127.0.0.1:0"]);
    let ticket = a.text(&["ticket", "notes"], "ticket");
    let ask = ["join", &ticket, "--request", "write", "--name", "Bob", "--message", "\u{1b}[2Jhello"];
    let pending = b.run(&ask);
    assert_eq!(pending.good()["outcome"], "pending");
    assert!(pending.good()["reason"].as_str().unwrap().contains(&b.key()));
    assert!(b.run(&["list"]).lines.is_empty());
    b.run(&ask).good();

    let listed = a.run(&["requests"]);
    let [asked] = &listed.lines[..] else { panic!("one request was expected: {:?}", listed.lines) };
    assert_eq!((asked["key"].as_str(), asked["name"].as_str()), (Some(&b.key()[..]), Some("Bob")));
    assert_eq!((&asked["permission"], &asked["db_name"]), (&"write:100".into(), &"notes".into()));
    assert_eq!((&asked["status"], &asked["message"]), (&"pending".into(), &"\u{1b}[2Jhello".into()));
    let mut shown = crate::node::program();
    let shown = shown.arg("--data").arg(a.data()).arg("requests").output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains(r"\u{1b}[2Jhello") && !shown.contains('\u{1b}'), "{shown:?}");

    let id = asked["id"].as_str().unwrap();
    assert_eq!(a.text(&["requests", "approve", id], "permission"), "write:100");
    assert!(a.run(&["requests"]).lines.is_empty());
    assert_eq!(a.run(&["requests", "--all"]).good()["granted"], "write:100");
    assert!(a.run(&["requests", "approve", id]).error(1).contains("no access request"));

    let joined = b.run(&ask);
    assert_eq!(joined.good()["outcome"], "joined");
    assert_eq!(b.text(&["get", "notes", "main", "title"], "value"), "Pleaching");
    b.run(&["put", "notes", "main", "title", "by B"]).good();
    b.run(&["sync", "notes"]).good();
    assert_eq!(a.text(&["get", "notes", "main", "title"], "value"), "by B");
}

#[test]
fn who_is_rejected_is_told_and_what_is_granted_may_be_less() {
    let (a, b) = (Node::new(), Node::new());
    a.run(&["create", "news", "--public", "read"]).good();
    let _serving = a.serve(&["--http", "127.0.0.1:0"]);
    let ticket = a.text(&["ticket", "news"], "ticket");
    // Whoever may read already has it, whatever becomes of the rest.
    let pending = b.run(&["join", &ticket, "--request", "admin"]);
    assert_eq!(pending.good()["outcome"], "pending");
    assert!(pending.good()["entries_received"].as_u64() >= Some(1));
    let id = a.text(&["requests"], "id");
    assert_eq!(a.text(&["requests", "reject", &id], "status"), "rejected");
    let rejected = b.run(&["join", &ticket, "--request", "admin"]);
    assert_eq!((rejected.code, &rejected.lines[0]["outcome"]), (Some(1), &"rejected".into()));

    b.run(&["join", &ticket, "--request", "write:5"]).good();
    let id = a.text(&["requests"], "id");
    assert_eq!(a.text(&["requests", "approve", &id, "--permission", "write:9"], "permission"), "write:9");
    assert_eq!(b.text(&["join", &ticket, "--request", "write:5"], "outcome"), "joined");
    b.run(&["put", "news", "main", "k", "1"]).good();
    // Once it may do all that is asked for, nothing is asked any more.
    assert_eq!(b.text(&["join", &ticket, "--request", "read"], "outcome"), "joined");
    assert!(a.run(&["requests"]).lines.is_empty());
}

#[test]
fn whoever_waits_joins_as_soon_as_they_are_let_in() {
    let (a, b) = (Node::new(), Node::new());
    a.run(&["create", "notes"]).good();
    let _serving = a.serve(&["--http", "127.0.0.1:0"]);
    let ticket = a.text(&["ticket", "notes"], "ticket");
    // Without --json, so that it says when it has asked.
    let mut waiting = crate::node::program()
        .arg("--data")
        .arg(b.data())
        .args(["join", &ticket, "--request", "read", "--wait"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = String::new();
    BufReader::new(waiting.stderr.take().unwrap()).read_line(&mut told).unwrap();
    assert!(told.contains("waiting"), "{told}");
    let id = a.text(&["requests"], "id");
    a.run(&["requests", "approve", &id]).good();
    let output = waiting.wait_with_output().unwrap();
    assert!(output.status.success() && String::from_utf8(output.stdout).unwrap().contains("joined"));
}
