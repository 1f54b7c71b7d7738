//! Databases go from one node to another over iroh, without relays.

use crate::node::Node;

#[test]
fn two_nodes_share_over_iroh_and_an_endpoint_stays_the_same() {
    let (a, b) = (Node::new(), Node::new());
    a.run(&["create", "notes", "--public", "write"]).good();
    a.run(&["put", "notes", "main", "title", "Pleaching"]).good();
    let direct = ["--iroh", "127.0.0.1:0", "--iroh-no-relays"];
    let (serving, fetching) = (a.serve(&direct), b.serve(&direct));
    let id = |address: &str| address.split_once(',').unwrap().0.to_owned();
    let before = id(&serving.addresses[0]);
    assert!(before.starts_with(&format!("iroh:{}@", a.key())), "{before}");
    let ticket = a.text(&["ticket", "notes"], "ticket");
    assert!(ticket.contains("pr=iroh:"), "{ticket}");
    assert_eq!(b.run(&["join", &ticket]).good()["outcome"], "joined");
    assert_eq!(b.text(&["get", "notes", "main", "title"], "value"), "Pleaching");

    serving.stop();
    let serving = a.serve(&direct);
    assert_eq!(id(&serving.addresses[0]), before);
    b.run(&["put", "notes", "main", "title", "by B"]).good();
    b.run(&["sync", "notes", "--peer", &serving.addresses[0]]).good();
    assert_eq!(a.text(&["get", "notes", "main", "title"], "value"), "by B");
    drop(fetching);
}

#[test]
fn a_relay_that_is_none_is_refused() {
    let refused = Node::new().run(&["serve", "--iroh", "--iroh-relay", "relay.example"]);
    assert!(refused.error(1).contains("no relay"), "{}", refused.stderr);
}
