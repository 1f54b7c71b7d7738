//! The peer book.

use crate::node::Node;

/// Whoever is listed under a key.
#[track_caller]
fn listed(node: &Node, key: &str) -> serde_json::Value {
    let ran = node.run(&["peers"]);
    ran.good();
    let found = ran.lines.iter().find(|line| line["peer"] == key).cloned();
    found.unwrap_or_else(|| panic!("{key} is not among {:?}", ran.lines))
}

#[test]
fn the_book_is_changed_and_listed_through_a_server_and_without() {
    let (a, b) = (Node::new(), Node::new());
    let key = b.key();
    for serves in [false, true] {
        let serving = serves.then(|| a.serve(&["--http", "127.0.0.1:0"]));
        let place = ["--address", "http:192.0.2.7:1", "--address", "quic:192.0.2.7:2"];
        let added = a.run(&[&["peers", "add", &key, "--name", "desk\u{1b}[2J"][..], &place].concat());
        assert!(added.error(2).contains("control"), "a name is for people to read");
        let added = a.run(&[&["peers", "add", &key, "--name", "desk"][..], &place].concat());
        assert_eq!((&added.good()["name"], &added.good()["status"]), (&"desk".into(), &"active".into()));
        let (http, quic) = (format!("http:{key}@192.0.2.7:1"), format!("quic:{key}@192.0.2.7:2"));
        assert_eq!(listed(&a, &key)["addresses"], serde_json::json!([http, quic]));
        assert_eq!(listed(&a, &key)["connection"], "disconnected");
        a.run(&["peers", "address", "remove", &key, &http]).good();
        a.run(&["peers", "address", "add", &key, "http:192.0.2.9:3"]).good();
        let third = format!("http:{key}@192.0.2.9:3");
        assert_eq!(listed(&a, &key)["addresses"], serde_json::json!([quic, third]));
        let other = format!("http:{}@192.0.2.9:3", a.key());
        assert!(a.run(&["peers", "address", "add", &key, &other]).error(1).contains("names the key"));
        assert!(a.run(&["peers", "add", &a.key()]).error(1).contains("itself"));

        assert_eq!(a.run(&["peers", "block", &key]).good()["status"], "blocked");
        assert_eq!(listed(&a, &key)["status"], "blocked");
        assert!(a.run(&["peers", "remove", &key]).error(1).contains("unblock"));
        let mut shown = crate::node::program();
        let shown = shown.arg("--data").arg(a.data()).arg("peers").output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains("desk  blocked") && shown.contains(&format!("at {quic}")), "{shown}");
        assert_eq!(a.run(&["peers", "unblock", &key]).good()["status"], "active");
        assert_eq!(a.run(&["peers", "remove", &key]).good()["peer"], *key);
        assert!(a.run(&["peers"]).lines.is_empty());
        drop(serving);
    }
    a.run(&["peers", "add", "no key"]).error(2);
}

#[test]
fn who_is_blocked_gets_nothing_until_unblocked() {
    let (a, b) = (Node::new(), Node::new());
    a.run(&["create", "notes", "--public", "write"]).good();
    let serving = a.serve(&["--http", "127.0.0.1:0", "--quic", "127.0.0.1:0"]);
    let ticket = a.text(&["ticket", "notes"], "ticket");
    b.run(&["join", &ticket]).good();
    let peer = listed(&b, &a.key());
    assert_eq!((&peer["databases"][0]["name"], &peer["registered"]), (&"notes".into(), &true.into()));
    assert!(peer["last_sync"].is_u64() && peer["databases"][0]["stuck"].is_null(), "{peer}");
    let guest = listed(&a, &b.key());
    assert_eq!((&guest["registered"], guest["last_seen"].is_u64()), (&false.into(), true));

    a.run(&["peers", "block", &b.key()]).good();
    for place in &serving.addresses {
        assert!(b.run(&["sync", "notes", "--peer", place]).error(1).contains("does not offer"));
        assert!(b.run(&["trees", place]).lines.is_empty());
    }
    serving.stop();
    let serving = a.serve(&["--http", "127.0.0.1:0"]);
    b.run(&["sync", "notes", "--peer", &serving.addresses[0]]).error(1);
    a.run(&["peers", "unblock", &b.key()]).good();
    b.run(&["sync", "notes", "--peer", &serving.addresses[0]]).good();

    b.run(&["peers", "block", &a.key()]).good();
    for command in [&["sync", "notes"][..], &["sync", "notes", "--peer", &serving.addresses[0]]] {
        assert!(b.run(command).error(1).contains("unblock"));
    }
}
