//! Commands reach the process that serves their folder.

use std::{fs, process::Stdio};

use crate::node::Node;

#[test]
fn commands_on_a_served_folder_are_carried_out_by_the_server() {
    let node = Node::new();
    let serving = node.serve(&[]);
    node.run(&["create", "notes"]).good();
    node.run(&["put", "notes", "main", "a", r#"{"b": [1, 2]}"#]).good();
    assert_eq!(node.text(&["get", "notes", "main", "a"], "value"), r#"{"b":[1,2]}"#);
    assert_eq!(node.text(&["status"], "serves"), "true");
    node.run_with(&["import", "notes", "-"], "{\"id\":\"x\",\"value\":1}\n{\"id\":\"y\",\"value\":2}\n")
        .good();
    assert_eq!(node.run(&["export", "notes"]).lines.len(), 3);
    // A file is found from where the command was given, not from where the server runs.
    fs::write(node.path("in.jsonl"), "{\"id\":\"z\",\"value\":3}\n").unwrap();
    let mut command = node.command(&["import", "notes", "in.jsonl"]);
    assert!(command.current_dir(node.path("")).stdout(Stdio::null()).status().unwrap().success());
    assert_eq!(node.run(&["get", "notes", "nowhere", "k"]).code, Some(1));
    assert!(node.run(&["import", "notes", "gone.jsonl"]).error(1).contains("gone.jsonl"));
    serving.stop();
    assert_eq!(node.text(&["get", "notes", "main", "z"], "value"), "3");
    assert_eq!(node.text(&["status"], "serves"), "false");
}

#[cfg(unix)]
#[test]
fn the_socket_is_the_owners_alone_and_a_stale_one_is_replaced() {
    use std::os::unix::fs::PermissionsExt;
    let node = Node::new();
    let mode = |path: &str| fs::metadata(node.data().join(path)).unwrap().permissions().mode() & 0o777;
    let serving = node.serve(&[]);
    assert_eq!((mode("socket"), mode(""), mode("node.redb")), (0o600, 0o700, 0o600));
    serving.kill();
    assert!(node.data().join("socket").exists(), "what a killed server leaves");
    node.run(&["create", "notes"]).good();
    let serving = node.serve(&[]);
    assert_eq!(node.text(&["status"], "serves"), "true");
    serving.stop();
    assert!(!node.data().join("socket").exists());
}

#[cfg(unix)]
#[test]
fn a_folder_too_deep_for_a_socket_is_reached_by_a_port_and_a_token() {
    use std::os::unix::fs::PermissionsExt;
    let node = Node::empty();
    let deep = node.path(&"deep".repeat(30));
    let run = |args: &[&str]| {
        let mut command = crate::node::program();
        command.arg("--data").arg(&deep).arg("--json").args(args).stdin(Stdio::null());
        command
    };
    assert!(run(&["init"]).stdout(Stdio::null()).status().unwrap().success());
    let mut child =
        run(&["serve", "--until-eof"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
        .unwrap();
    assert!(line.contains("ready"), "{line}");
    let port = deep.join("port");
    assert_eq!(fs::metadata(&port).unwrap().permissions().mode() & 0o777, 0o600);
    let status = run(&["status"]).output().unwrap();
    assert!(String::from_utf8(status.stdout).unwrap().contains(r#""serves":true"#));
    // Another token does not open.
    let text = fs::read_to_string(&port).unwrap();
    let (number, token) = text.trim().split_once(' ').unwrap();
    let other: String = token.chars().rev().collect();
    fs::write(&port, format!("{number} {other}")).unwrap();
    let refused = run(&["status"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("token"));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[cfg(unix)]
#[test]
fn serve_ends_cleanly_when_interrupted() {
    let node = Node::new();
    for signal in ["INT", "TERM"] {
        let serving = node.serve(&["--http", "127.0.0.1:0"]);
        let process = serving.process().to_string();
        assert!(
            std::process::Command::new("kill").args(["-s", signal, &process]).status().unwrap().success()
        );
        assert_eq!(serving.wait(), Some(0));
    }
}

#[cfg(feature = "http")]
#[test]
fn no_more_connections_come_in_than_the_owner_wants() {
    use std::{
        io::{Read, Write},
        net::TcpStream,
    };
    let node = Node::new();
    let error = node.run(&["serve", "--max-connections", "3"]).error(2);
    assert!(error.contains("between 16 and 4096, not 3"), "{error}");
    let few = ["--http", "127.0.0.1:0", "--max-connections", "16", "--max-connections-of-source", "2"];
    let serving = node.serve(&few);
    let (_, place) = serving.addresses[0].split_once('@').unwrap();
    let mut all: Vec<_> = (0..3).map(|_| TcpStream::connect(place).unwrap()).collect();
    assert_eq!(all[0].read(&mut [0]).unwrap_or(0), 0, "the third of one source makes the first go");
    for stays in &mut all[1..] {
        stays.write_all(b"GET /api/v0/none HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        assert_eq!(stays.read(&mut [0]).unwrap(), 1);
    }
    serving.stop();
}
