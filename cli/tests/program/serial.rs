//! Two nodes at the ends of a serial line.

#[path = "../firmware/cable.rs"]
#[allow(dead_code, reason = "the tests of the firmware use the rest")]
mod cable;

use crate::node::Node;
use cable::Cable;

#[test]
fn two_nodes_sync_over_a_serial_line_and_nobody_else_hears_of_it() {
    let (a, b) = (Node::new(), Node::new());
    a.run(&["create", "notes"]).good();
    a.run(&["put", "notes", "main", "title", "by A"]).good();
    a.run(&["keys", "notes", "grant", &b.key(), "write"]).good();
    let (one, other) = (a.path("line"), b.path("line"));
    let _cable = Cable::new(&one, &other);
    let serving = a.serve(&["--http", "127.0.0.1:0", "--serial", one.to_str().unwrap()]);
    let ticket = a.text(&["ticket", "notes"], "ticket");
    assert!(!ticket.contains("serial"), "what a line is called here means nothing elsewhere: {ticket}");
    b.run(&["join", "--once", &ticket]).good();
    b.run(&["put", "notes", "main", "title", "by B"]).good();
    let address = format!("serial:{}@{}", a.key(), other.display());
    let synced = b.run(&["sync", "notes", "--peer", &address]);
    assert_eq!(synced.good()["entries_sent"], 1);
    assert_eq!(a.text(&["get", "notes", "main", "title"], "value"), "by B");
    serving.stop();
}
