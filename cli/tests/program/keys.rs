//! Keys: who outranks whom, the root key's way out and back, and what is done when a device is lost.

use std::fs;

use serde_json::Value;

use crate::node::Node;

/// The secret in a file that `root export` wrote.
fn secret(node: &Node, file: &str) -> String {
    let text = fs::read_to_string(node.path(file)).unwrap();
    text.trim().rsplit(':').next().unwrap().to_owned()
}

#[test]
fn the_root_key_moves_out_of_the_node_and_comes_back() {
    let node = Node::new();
    let id = node.text(&["create", "notes"], "id");
    let file = node.path("notes.key").display().to_string();
    let export = ["keys", "notes", "root", "export", &file];
    assert_eq!(node.text(&[&export[..], &["--keep"]].concat(), "kept"), "true");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with(&format!("pleach-root-key:{id}:")), "the database is named");
    let error = node.run(&export).error(1);
    assert!(error.contains("still in this node"), "a file is never overwritten: {error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    fs::remove_file(&file).unwrap();
    assert_eq!(node.text(&export, "kept"), "false");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(node.run(&["keys", "notes", "root", "export", "-"]).error(1).contains("not in this node"));
    let as_root = node.run(&["keys", "notes", "grant", "*", "read", "--as-root"]).error(1);
    assert!(as_root.contains("root import"), "{as_root}");

    node.run(&["keys", "notes", "root", "import", &file]).good();
    let shown = node.text(&["keys", "notes", "root", "export", "-"], "root_key");
    assert_eq!(shown, text.trim());
    assert!(node.run(&["keys", "notes", "root", "export", "-"]).error(1).contains("not in this node"));
    node.run_with(&["keys", "notes", "root", "import", "-"], &shown).good();
    node.run(&["keys", "notes", "grant", "*", "read", "--as-root"]).good();
}

#[test]
fn a_served_folder_exports_to_where_the_command_was_given() {
    let node = Node::new();
    node.run(&["create", "notes"]).good();
    let serving = node.serve(&[]);
    let mut command = node.command(&["keys", "notes", "root", "export", "notes.key"]);
    assert!(
        command.current_dir(node.path("")).stdout(std::process::Stdio::null()).status().unwrap().success()
    );
    let text = fs::read_to_string(node.path("notes.key")).unwrap();
    node.run_with(&["keys", "notes", "root", "import", "-"], &text).good();
    serving.stop();
    assert_eq!(node.text(&["keys", "notes", "root", "export", "-"], "root_key"), text.trim());
}

#[test]
fn only_the_key_that_made_the_database_is_imported() {
    let node = Node::new();
    let id = node.text(&["create", "notes"], "id");
    node.run(&["create", "other"]).good();
    let [notes, other] =
        ["notes", "other"].map(|name| node.text(&["keys", name, "root", "export", "-"], "root_key"));
    let secret = |text: &str| text.rsplit(':').next().unwrap().to_owned();
    let import = |text: &str| node.run_with(&["keys", "notes", "root", "import", "-"], text).error(1);
    assert!(import(&other).contains("name the file that belongs to it"));
    let forged = format!("pleach-root-key:{id}:{}", secret(&other));
    assert!(import(&forged).contains("not the root key"));
    for broken in [&notes[..notes.len() - 1], "", "hello"] {
        let error = import(broken);
        assert!(error.contains("holds no root key") && !error.contains(&secret(&notes)[..20]), "{error}");
    }
    let error = node.run(&["keys", "notes", "root", "import", "nowhere.key"]).error(1);
    assert!(error.contains("nowhere.key"), "{error}");
    assert!(node.run(&["keys", "notes", "root", "export", "-"]).error(1).contains("not in this node"));
}

#[test]
fn no_other_command_shows_a_root_key() {
    let node = Node::new();
    node.run(&["create", "notes"]).good();
    let file = node.path("notes.key").display().to_string();
    let mut printed = String::new();
    let mut run = |args: &[&str]| {
        let ran = node.run(args);
        ran.good();
        printed.push_str(&Value::from(ran.lines).to_string());
        printed.push_str(&ran.stderr);
    };
    run(&["keys", "notes", "root", "export", &file, "--keep"]);
    run(&["keys", "notes", "root", "export", &node.path("again.key").display().to_string()]);
    run(&["keys", "notes", "root", "import", &file]);
    run(&["keys", "notes", "grant", "*", "read", "--as-root"]);
    run(&["keys", "notes", "revoke", "*", "--as-root"]);
    for args in [
        &["keys", "notes"][..],
        &["status"],
        &["list"],
        &["log", "notes"],
        &["export", "notes"],
        &["stats", "notes"],
        &["ticket", "notes"],
        &["verify", "notes"],
        &["peers"],
    ] {
        run(args);
    }
    let secret = secret(&node, "notes.key");
    assert_eq!(secret.len(), 52);
    assert!(!printed.contains(&secret[..12]), "{printed}");
}

#[test]
fn revoking_who_does_not_rank_below_is_an_error_before_anything_is_written() {
    let (a, b) = (Node::new(), Node::new());
    let (ann, bob) = (a.key(), b.key());
    a.run(&["create", "notes", "--public", "read"]).good();
    a.run(&["keys", "notes", "grant", &bob, "admin:0", "--as-root"]).good();
    let entries = a.text(&["stats", "notes"], "entries");
    for key in [&bob, &ann] {
        let error = a.run(&["keys", "notes", "revoke", key]).error(1);
        assert!(error.contains("would have no effect") && error.contains("--as-root"), "{error}");
    }
    assert_eq!(a.text(&["stats", "notes"], "entries"), entries);
    a.run(&["keys", "notes", "revoke", &bob, "--as-root"]).good();
    a.run(&["keys", "notes", "revoke", "*"]).good();
    assert_eq!(a.run(&["keys", "notes"]).lines.len(), 1, "the creator alone is left");
}

#[test]
fn what_a_key_wrote_from_an_entry_on_is_undone_and_the_work_of_others_stays() {
    let (a, b) = (Node::new(), Node::new());
    let bob = b.key();
    a.run(&["create", "notes"]).good();
    a.run(&["keys", "notes", "grant", &bob, "write"]).good();
    let serving = a.serve(&["--http", "127.0.0.1:0"]);
    b.run(&["join", &a.text(&["ticket", "notes"], "ticket")]).good();
    for (key, value) in [("before", "good"), ("first", "bad"), ("second", "bad")] {
        b.run(&["put", "notes", "main", key, value]).good();
    }
    b.run(&["sync", "notes"]).good();
    a.run(&["put", "notes", "main", "anns", "good"]).good();

    let log = a.run(&["log", "notes"]).lines;
    let id = |key: &str| {
        let wrote = |line: &&Value| line["writes"][0]["key"] == key;
        log.iter().find(wrote).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let undo = |entry: &str| a.run(&["keys", "notes", "revoke", &bob, "--undo", entry]);
    let root = log.last().unwrap()["id"].as_str().unwrap();
    assert!(undo(root).error(1).contains("cannot be undone"));
    assert!(undo("").error(1).contains("several entries"));
    assert!(undo("0000").error(1).contains("no entry"));
    assert!(undo(&"a".repeat(52)).error(1).contains("no entry"));
    assert!(undo(&id("anns")).error(1).contains("not by"), "somebody else wrote it");
    let entries = a.text(&["stats", "notes"], "entries");
    assert_eq!(entries, log.len().to_string(), "nothing was written so far");

    undo(&id("first")[..8]).good();
    let value =
        |key: &str| a.run(&["get", "notes", "main", key]).lines.first().map(|line| line["value"].clone());
    assert_eq!(value("before"), Some("good".into()));
    assert_eq!(value("anns"), Some("good".into()));
    assert_eq!((value("first"), value("second")), (None, None));
    assert_eq!(a.run(&["stats", "notes"]).good()["tips"].as_array().unwrap().len(), 2);
    assert_eq!(a.text(&["verify", "notes"], "ok"), "true");
    serving.stop();
}
