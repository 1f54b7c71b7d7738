//! What `serve` does when it is told to end, and what `history` tells afterwards.

use std::process::Command;

use crate::node::Node;

#[test]
fn a_signal_ends_serve_in_order_and_its_ports_are_free_at_once() {
    let (a, b) = (Node::new(), Node::new());
    a.run(&["create", "notes", "--public", "write"]).good();
    // An address that no other test uses, where loopback has many: nobody takes the ports meanwhile.
    let free = if cfg!(target_os = "linux") { "127.0.5.1:0" } else { "127.0.0.1:0" };
    let mut places = [free.to_owned(), free.to_owned()];
    for signal in ["-INT", "-TERM"] {
        let serving = a.serve(&["--http", &places[0], "--quic", &places[1]]);
        // Bound again, where they were before.
        let bound = serving.addresses.iter().map(|address| address.split_once('@').unwrap().1.to_owned());
        let bound: Vec<_> = bound.collect();
        assert!(bound == places || places[0].ends_with(":0"), "{bound:?}");
        places = bound.try_into().unwrap();
        for address in &serving.addresses {
            b.run(&["sync", "--peer", address]).good();
        }
        b.run(&["put", "notes", "main", &signal[1..], "1"]).good();
        b.run(&["sync", "--peer", &serving.addresses[1]]).good();
        let sent = Command::new("kill").args([signal, &serving.process().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(serving.wait(), Some(0), "{signal}");
        assert_eq!(a.text(&["get", "notes", "main", &signal[1..]], "value"), "1");
        assert!(!a.data().join("socket").exists());
    }
}

#[test]
fn history_tells_what_syncs_there_were() {
    let (a, b) = (Node::new(), Node::new());
    let id = a.text(&["create", "notes", "--public", "read"], "id");
    a.run(&["create", "other"]).good();
    let serving = a.serve(&["--http", "127.0.0.1:0"]);
    let address = serving.addresses[0].clone();
    b.run(&["sync", "notes", "--peer", &address]).error(1);
    b.run(&["sync", "--peer", &address]).good();
    let served = a.run(&["history", "notes"]);
    let line = served.good();
    assert_eq!(
        (&line["role"], &line["id"], &line["entries_sent"]),
        (&"served".into(), &id.into(), &1.into())
    );
    assert_eq!(line["peer"], *b.key());
    assert!(a.run(&["history", "other"]).lines.is_empty());
    serving.stop();
    b.run(&["sync", "notes", "--peer", &address]).error(1);
    let ran = b.run(&["history"]);
    ran.good();
    let [good, failed] = &ran.lines[..] else { panic!("{:?}", ran.lines) };
    assert_eq!((&good["role"], &good["entries_received"]), (&"opened".into(), &1.into()));
    assert_eq!((&good["peer"], &good["error"].is_null()), (&(*a.key()).into(), &true));
    assert!(failed["error"].is_string() && failed["at"].as_u64() >= good["at"].as_u64(), "{failed}");
    assert_eq!(b.run(&["history", "-n", "1"]).lines, ran.lines[1..]);
    let mut shown = crate::node::program();
    let shown = shown.arg("--data").arg(b.data()).arg("history").output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("received 1 entry") && shown.contains("failed: "), "{shown}");
}
