//! Databases go from one node to another.

use crate::node::Node;

#[test]
fn nodes_share_over_tls_by_the_key_of_the_node_or_by_a_certificate() {
    let (a, b) = (Node::new(), Node::new());
    a.run(&["create", "notes", "--public", "write"]).good();
    let id = a.text(&["stats", "notes"], "id");
    let file = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../transports/tests/data/tls/");
        format!("{folder}{name}")
    };
    let serving = a.serve(&["--https", "127.0.0.1:0"]);
    assert!(serving.addresses[0].starts_with(&format!("https:{}@", a.key())), "{:?}", serving.addresses);
    let ticket = a.text(&["ticket", "notes"], "ticket");
    assert_eq!(b.run(&["join", &ticket]).good()["outcome"], "joined");
    // Without the key in the address there is nothing to take it by.
    let (_, place) = serving.addresses[0].split_once('@').unwrap();
    let nameless = format!("https:{place}");
    assert!(b.run(&["sync", &id, "--peer", &nameless]).error(1).contains("certificate"));
    serving.stop();

    let (certificate, key) = (file("node.pem"), file("node.key"));
    let serving = a.serve(&["--https", "127.0.0.1:0", "--tls-certificate", &certificate, "--tls-key", &key]);
    assert!(b.run(&["sync", &id, "--peer", &serving.addresses[0]]).error(1).contains("certificate"));
    let mut trusting = b.command(&["sync", &id, "--peer", &serving.addresses[0]]);
    let output = trusting.env("SSL_CERT_FILE", file("authority.pem")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serving.stop();
    let missing = a.run(&["serve", "--https", "127.0.0.1:0", "--tls-certificate", &certificate]);
    assert_eq!(missing.code, Some(2), "a certificate without a key");
}

#[test]
fn two_nodes_share_edit_apart_and_come_together() {
    let (a, b) = (Node::new(), Node::new());
    a.run(&["create", "notes"]).good();
    a.run(&["put", "notes", "main", "title", "Pleaching"]).good();
    let serving = a.serve(&["--http", "127.0.0.1:0"]);
    let ticket = a.text(&["ticket", "notes"], "ticket");
    assert!(ticket.starts_with("pleach:?db="));

    let refused = b.run(&["join", &ticket]);
    assert_eq!((refused.code, refused.lines[0]["outcome"].as_str()), (Some(1), Some("refused")));
    assert!(b.run(&["list"]).lines.is_empty());

    assert_eq!(a.text(&["keys", "notes", "grant", &b.key(), "write"], "permission"), "write:100");
    let joined = b.run(&["join", &ticket]);
    assert_eq!(joined.good()["outcome"], "joined");
    assert!(joined.good()["entries_received"].as_u64() >= Some(3));
    for field in ["id", "peer", "entries_sent", "bytes_received", "bytes_sent", "round_trips", "seconds"] {
        assert!(!joined.good()[field].is_null(), "{field}");
    }
    assert_eq!(b.text(&["get", "notes", "main", "title"], "value"), "Pleaching");
    serving.stop();

    a.run(&["put", "notes", "main", "title", "by A"]).good();
    b.run(&["put", "notes", "main", "title", "by B"]).good();
    b.run(&["put", "notes", "main", "count", "5"]).good();
    let serving = a.serve(&["--http", "127.0.0.1:0"]);
    let synced = b.run(&["sync", "notes", "--peer", &serving.addresses[0]]);
    assert_eq!((&synced.good()["entries_received"], &synced.good()["entries_sent"]), (&1.into(), &2.into()));
    assert_eq!(a.text(&["get", "notes", "main", "title"], "value"), "by B", "the later edit");
    assert_eq!(a.text(&["get", "notes", "main", "count"], "value"), "5");
    for field in ["tips", "content_hash", "entries", "height"] {
        assert_eq!(a.text(&["stats", "notes"], field), b.text(&["stats", "notes"], field), "{field}");
    }
    let offered = b.run(&["trees", &serving.addresses[0]]);
    assert_eq!(offered.good()["name"], "notes");
    assert_eq!(b.run(&["peers"]).good()["peer"], a.key());
}

#[test]
fn what_a_revoked_key_wrote_apart_is_shown_nowhere() {
    let (a, b, c) = (Node::new(), Node::new(), Node::new());
    a.run(&["create", "notes"]).good();
    for node in [&b, &c] {
        a.run(&["keys", "notes", "grant", &node.key(), "write"]).good();
    }
    let serving = a.serve(&["--http", "127.0.0.1:0"]);
    let ticket = a.text(&["ticket", "notes"], "ticket");
    for node in [&b, &c] {
        node.run(&["join", &ticket]).good();
    }
    // A node that serves also dials those it knows: the first is away while nobody else should hear of the revocation.
    serving.stop();
    a.run(&["keys", "notes", "revoke", &b.key()]).good();
    b.run(&["put", "notes", "main", "b", "hidden"]).good();
    // The third builds on what it gets.
    let other = b.serve(&["--http", "127.0.0.1:0"]);
    c.run(&["sync", "notes", "--peer", &other.addresses[0]]).good();
    other.stop();
    c.run(&["put", "notes", "main", "c", "shown"]).good();
    assert_eq!(c.text(&["get", "notes", "main", "b"], "value"), "hidden");
    let serving = a.serve(&["--http", "127.0.0.1:0"]);
    c.run(&["sync", "notes", "--peer", &serving.addresses[0]]).good();
    for node in [&a, &c] {
        node.run(&["get", "notes", "main", "b"]).error(1);
        assert_eq!(node.text(&["get", "notes", "main", "c"], "value"), "shown");
        let log = node.run(&["log", "notes"]);
        let masked: Vec<_> = log.lines.iter().filter(|line| line["masked"] == true).collect();
        assert_eq!(masked.len(), 1, "{:?}", log.lines);
        assert_eq!(masked[0]["author"], b.key());
        let exported = node.run(&["export", "notes"]);
        assert_eq!(exported.lines.len(), 1);
        assert_eq!(exported.lines[0]["value"], "shown");
        assert_eq!(node.run(&["verify", "notes"]).good()["ok"], true);
    }
    assert_eq!(a.text(&["stats", "notes"], "content_hash"), c.text(&["stats", "notes"], "content_hash"));
}

#[test]
fn everybody_may_join_what_is_public_and_only_a_writer_writes() {
    let (a, b) = (Node::new(), Node::new());
    a.run(&["create", "news", "--public", "read"]).good();
    let serving = a.serve(&["--http", "127.0.0.1:0"]);
    let ticket = a.text(&["ticket", "news"], "ticket");
    b.run(&["join", &ticket]).good();
    let error = b.run(&["put", "news", "main", "k", "1"]).error(1);
    assert!(error.contains("refused"), "{error}");
    assert_eq!(a.text(&["keys", "news", "grant", &b.key(), "admin"], "permission"), "admin:1");
    b.run(&["sync", "news", "--peer", &serving.addresses[0]]).good();
    b.run(&["put", "news", "main", "k", "1"]).good();
    assert_eq!(b.text(&["keys", "news", "grant", "*", "write:2000"], "permission"), "write:2000");
}

/// The code that a terminal shows, read as a camera does.
fn read_code(shown: &str) -> String {
    let half = |symbol: char| match symbol {
        ' ' => [false, false],
        '\u{2580}' => [true, false],
        '\u{2584}' => [false, true],
        '\u{2588}' => [true, true],
        other => panic!("no part of a code: {other:?}"),
    };
    let lines: Vec<Vec<[bool; 2]>> = shown.lines().map(|line| line.chars().map(half).collect()).collect();
    // What is written is light. The edge of four modules is no part of the grid.
    let size = lines[0].len() - 8;
    let dark = |x: usize, y: usize| !lines[y / 2 + 2][x + 4][y % 2];
    let grid = rqrr::SimpleGrid::from_func(size, dark);
    rqrr::Grid::new(grid).decode().unwrap().1
}

#[test]
fn a_ticket_is_drawn_as_a_code_that_says_the_same() {
    let node = Node::new();
    node.run(&["create", "notes"]).good();
    let serving = node.serve(&["--http", "127.0.0.1:0"]);
    let ticket = node.text(&["ticket", "notes"], "ticket");
    assert_eq!(node.text(&["ticket", "notes", "--qr"], "ticket"), ticket);
    let mut command = crate::node::program();
    command.arg("--data").arg(node.data()).args(["ticket", "notes", "--qr"]);
    let shown = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let (code, line) = shown.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(line, ticket);
    let read = read_code(code);
    let parse = |text: &str| text.parse::<pleach_core::wire::DatabaseTicket>().unwrap();
    assert_eq!(parse(&read), parse(&ticket));
    assert!(code.lines().next().unwrap().chars().count() <= 57 + 8, "version 10 at most");
    serving.stop();
}

#[test]
fn a_peer_that_is_not_there_is_an_error_that_says_so() {
    let (a, b) = (Node::new(), Node::new());
    a.run(&["create", "notes", "--public", "read"]).good();
    let serving = a.serve(&["--http", "127.0.0.1:0"]);
    let ticket = a.text(&["ticket", "notes"], "ticket");
    serving.kill();
    let error = b.run(&["join", &ticket]).error(1);
    assert!(error.contains("not joined"), "{error}");
    assert!(b.run(&["list"]).lines.is_empty());
    assert!(b.run(&["sync"]).error(1).contains("no peer is known"));
}
