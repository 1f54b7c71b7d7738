//! The tour ends well, and finds a fault.

use std::process::Stdio;

use serde_json::Value;

use crate::node::program;

fn tour(args: &[&str]) -> (Option<i32>, Vec<Value>) {
    let output = program().args(args).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code(), lines)
}

#[test]
fn both_nodes_of_the_tour_hold_the_same_at_the_end() {
    let (code, lines) = tour(&["demo", "--json"]);
    let last = lines.last().unwrap();
    assert_eq!((code, &last["same"]), (Some(0), &Value::Bool(true)));
    let steps = last["steps"].as_array().unwrap();
    for step in steps {
        for field in ["entries", "bytes", "round_trips", "seconds"] {
            assert!(step[field].is_number(), "{step}");
        }
    }
    let entries: Vec<_> = steps.iter().map(|step| step["entries"].as_u64().unwrap()).collect();
    assert_eq!(entries[0], 2086);
    assert!(entries[1] > 2086, "the bootstrap brings the history and its settings: {entries:?}");
    assert_eq!(entries[2..], [40, 40, 0]);
    assert!(lines.iter().any(|line| line["result"].as_str().is_some_and(|text| text.starts_with("refused"))));
}

#[test]
fn one_changed_row_is_found() {
    let (code, lines) = tour(&["demo", "--json", "--plant"]);
    assert_eq!((code, &lines.last().unwrap()["same"]), (Some(1), &Value::Bool(false)));
}
