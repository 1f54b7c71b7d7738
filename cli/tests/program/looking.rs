//! Commands that only look: what happens, what happened, what there is to type.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Stdio},
    sync::mpsc::{self, Receiver},
    time::Duration,
};

use serde_json::Value;

use crate::node::{Node, program};

/// How long something may take that has to happen, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A `watch` that was started, and its lines.
struct Watching {
    child: Child,
    lines: Receiver<Value>,
}

impl Watching {
    fn new(node: &Node, args: &[&str]) -> Self {
        let mut child = node.command(args).stdout(Stdio::piped()).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let parse = |line: std::io::Result<String>| serde_json::from_str(&line.unwrap()).unwrap();
            for line in BufReader::<ChildStdout>::new(output).lines().map(parse) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line with this event.
    fn next(&self, event: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line says {event}"));
            if line["event"] == event {
                return line;
            }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_happens_is_printed_as_it_happens() {
    let (a, b) = (Node::new(), Node::new());
    let id = a.text(&["create", "notes"], "id");
    a.run(&["create", "other"]).good();
    a.run(&["keys", "notes", "grant", &b.key(), "write"]).good();
    let serving = a.serve(&["--http", "127.0.0.1:0"]);
    let watching = Watching::new(&a, &["watch", "notes"]);
    // It says nothing before something happens, so that until it listens there is more to hear.
    let wrote = loop {
        a.run(&["put", "other", "main", "k", "0"]).good();
        a.run(&["put", "notes", "main", "k", "1"]).good();
        if let Ok(line) = watching.lines.recv_timeout(Duration::from_millis(200)) {
            break line;
        }
    };
    assert_eq!((&wrote["event"], &wrote["id"], &wrote["local"]), (&"wrote".into(), &id.into(), &true.into()));

    b.run(&["join", &a.text(&["ticket", "notes"], "ticket")]).good();
    b.run(&["put", "notes", "main", "k", "2"]).good();
    b.run(&["sync", "notes", "--peer", &serving.addresses[0]]).good();
    let from_b = std::iter::repeat_with(|| watching.next("wrote")).find(|line| line["local"] == false);
    assert_eq!(from_b.unwrap()["peer"], b.key());
    assert!(watching.lines.try_iter().all(|line| line["id"] == wrote["id"]), "only what was asked for");
}

#[test]
fn the_history_of_a_database_and_of_one_value_is_shown_newest_first() {
    let node = Node::new();
    node.run(&["create", "notes"]).good();
    for args in [
        &["put", "notes", "main", "title", "one"][..],
        &["put", "notes", "main", "title", "two"],
        &["del", "notes", "main", "title"],
        &["put", "notes", "main", "body", "text"],
    ] {
        node.run(args).good();
    }
    let log = node.run(&["log", "notes"]).lines;
    let heights: Vec<_> = log.iter().map(|line| line["height"].as_u64().unwrap()).collect();
    assert_eq!(heights, (0..heights.len() as u64).rev().collect::<Vec<_>>());
    assert_eq!(log[0]["writes"][0]["key"], "body");
    assert_eq!(log[1]["writes"][0]["deleted"], true);
    assert_eq!(log[0]["parents"][0], log[1]["id"]);
    assert_eq!(node.run(&["log", "notes", "-n", "2"]).lines[..], log[..2]);

    let title = node.run(&["log", "notes", "main", "title"]).lines;
    let values: Vec<_> = title.iter().map(|line| &line["value"]).collect();
    assert_eq!(values, [&Value::Null, &"two".into(), &"one".into()]);
    assert_eq!(title[0]["deleted"], true);
    assert_eq!(title[1]["id"], log[2]["id"]);

    let mut drawn = program();
    drawn.arg("--data").arg(node.data()).args(["log", "notes", "--graph"]);
    let drawn = String::from_utf8(drawn.output().unwrap().stdout).unwrap();
    assert_eq!(drawn.lines().count(), log.len());
    for (line, entry) in drawn.lines().zip(&log) {
        assert!(line.contains(&entry["id"].as_str().unwrap()[..8]), "{line}");
        assert!(line.starts_with(['*', 'o', '●', '│', '|']), "a line of the graph begins with it: {line}");
    }
}

/// The names of all commands, as the program says them.
fn commands() -> Vec<String> {
    let help = String::from_utf8(program().arg("--help").output().unwrap().stdout).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    // What does not fit into a line goes on further to the right.
    let named = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    named.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[test]
fn every_shell_completes_every_command() {
    let commands = commands();
    assert!(commands.len() > 20, "{commands:?}");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = program().args(["completions", shell]).output().unwrap();
        assert!(output.status.success());
        let script = String::from_utf8(output.stdout).unwrap();
        for command in &commands {
            assert!(script.contains(command.as_str()), "{shell} does not know {command}");
        }
    }
}

#[test]
fn every_command_stands_on_the_page_of_the_surface() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md")).unwrap();
    let (_, program) = page.split_once("\n## The program\n").unwrap();
    let missing: Vec<_> = commands()
        .into_iter()
        .filter(|command| command != "help" && !program.contains(&format!("`{command}`")))
        .collect();
    assert!(missing.is_empty(), "docs/api.md has no row for {missing:?}");
}
