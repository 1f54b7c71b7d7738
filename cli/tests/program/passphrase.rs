//! A node whose keys are under a passphrase.

use std::{fs, process::Stdio};

use pleach_core::Id;

use crate::node::{Node, Ran};

/// Runs a command of somebody who knows these passphrases.
fn run(node: &Node, args: &[&str], current: Option<&str>, next: Option<&str>) -> Ran {
    let mut command = node.command(args);
    for (name, value) in [("PLEACH_PASSPHRASE", current), ("PLEACH_NEW_PASSPHRASE", next)] {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Ran::new(&command.output().unwrap())
}

/// Whether the node's file holds a root key in the clear.
fn in_the_clear(node: &Node, root_key: &str) -> bool {
    // A secret is written as an id is.
    let secret: Id = root_key.rsplit(':').next().unwrap().parse().unwrap();
    let file = fs::read(node.data().join("node.redb")).unwrap();
    file.windows(32).any(|part| part == secret.as_bytes())
}

#[test]
fn a_node_made_with_a_passphrase_opens_with_no_other_and_keeps_no_key_in_the_clear() {
    let node = Node::empty();
    let wanted = run(&node, &["init", "--passphrase"], None, None).error(1);
    assert!(wanted.contains("PLEACH_PASSPHRASE"), "{wanted}");
    assert!(run(&node, &["init", "--passphrase"], Some(""), None).error(1).contains("empty"));
    assert!(!node.data().join("node.redb").exists(), "nothing is left of it");
    let key = run(&node, &["init", "--passphrase"], Some("correct horse"), None).good()["public_key"].clone();
    assert!(run(&node, &["status"], None, None).error(1).contains("a passphrase is needed"));
    let error = run(&node, &["status"], Some("wrong"), None).error(1);
    assert!(error.contains("not the passphrase") && !error.contains("wrong"), "{error}");
    assert_eq!(run(&node, &["status"], Some("correct horse"), None).good()["public_key"], key);
    let again = run(&node, &["init", "--passphrase"], Some("correct horse"), None).error(1);
    assert!(again.contains("already"), "{again}");

    run(&node, &["create", "notes"], Some("correct horse"), None).good();
    let export = ["keys", "notes", "root", "export", "-", "--keep"];
    let root_key = run(&node, &export, Some("correct horse"), None).good()["root_key"].clone();
    let root_key = root_key.as_str().unwrap();
    assert!(!in_the_clear(&node, root_key));

    let plain = Node::new();
    plain.run(&["create", "notes"]).good();
    assert!(in_the_clear(&plain, &plain.text(&export, "root_key")), "this test would see it");
}

#[test]
fn a_passphrase_is_put_on_changed_and_removed() {
    let node = Node::new();
    let key = node.key();
    let change = ["passphrase"];
    assert!(run(&node, &change, None, None).error(1).contains("PLEACH_NEW_PASSPHRASE"));
    assert_eq!(run(&node, &change, None, Some("first")).good()["sealed"], true);
    assert_eq!(run(&node, &["status"], None, None).code, Some(1));
    assert_eq!(run(&node, &change, Some("wrong"), Some("second")).code, Some(1));
    run(&node, &change, Some("first"), Some("second")).good();
    assert_eq!(run(&node, &["status"], Some("first"), None).code, Some(1));
    assert_eq!(run(&node, &["status"], Some("second"), None).good()["public_key"], key.as_str());
    assert_eq!(run(&node, &["passphrase", "--remove"], Some("second"), None).good()["sealed"], false);
    assert_eq!(node.key(), key);
}

#[cfg(unix)]
#[test]
fn passphrases_are_read_from_an_open_file_one_a_line() {
    let node = Node::empty();
    let program = env!("CARGO_BIN_EXE_pleach");
    fs::write(node.path("words"), "correct horse\nbattery staple\n").unwrap();
    let with_words = |args: &str| {
        let line = format!("exec '{program}' --data node --json --passphrase-fd 3 {args} 3<words");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &line]).current_dir(node.path("")).stdin(Stdio::null());
        Ran::new(&shell.output().unwrap())
    };
    with_words("init --passphrase").good();
    with_words("passphrase").good();
    run(&node, &["status"], Some("battery staple"), None).good();
    assert!(with_words("status").error(1).contains("not the passphrase"));
    fs::write(node.path("words"), "").unwrap();
    assert!(with_words("status").error(1).contains("ends before"));
}

#[test]
fn a_served_node_was_opened_already_and_its_passphrase_stays_as_it_is() {
    let node = Node::new();
    run(&node, &["passphrase"], None, Some("correct horse")).good();
    let refused = run(&node, &["serve", "--until-eof"], None, None).error(1);
    assert!(refused.contains("a passphrase is needed"), "{refused}");
    let serving = node.serve_with(&[], &[("PLEACH_PASSPHRASE", "correct horse")]);
    run(&node, &["create", "notes"], None, None).good();
    assert!(run(&node, &["passphrase"], None, Some("x")).error(1).contains("is served"));
    assert!(run(&node, &["init", "--passphrase"], Some("x"), None).error(1).contains("served"));
    serving.stop();
    assert_eq!(run(&node, &["list"], Some("correct horse"), None).good()["name"], "notes");
}
