//! What must not be in the tree of dependencies.

use std::process::Command;

fn tree(features: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--edges", "normal", "--prefix", "none"])
        .args(["--package", "pleach-blocking", "--no-default-features", "--features", features])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("names are text")
}

fn has_executor(tree: &str) -> bool {
    let executors = ["async-executor ", "async-io ", "smol ", "async-std ", "async-global-executor "];
    tree.lines().any(|line| executors.iter().any(|executor| line.starts_with(executor)))
}

#[test]
fn without_quic_there_is_no_executor() {
    let plain = tree("http,redb");
    assert!(plain.contains("\nureq "), "the tree is read");
    assert!(!has_executor(&plain), "{plain}");
    assert!(has_executor(&tree("http,redb,quic")), "an executor would be seen");
}
