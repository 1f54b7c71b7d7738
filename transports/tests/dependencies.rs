//! What must not be in the tree of dependencies.

use std::process::Command;

fn tree(features: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "--no-default-features",
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .args(["--format", "{p} {f}", "--package", "pleach-transports", "--features", features])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("names are text").lines().map(String::from).collect()
}

/// Crates that run futures, or that bring one that does.
fn executors(tree: &[String]) -> Vec<&String> {
    let is_executor = |line: &&String| {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let features = words.next_back().unwrap_or_default();
        match name {
            "async-executor"
            | "async-global-executor"
            | "async-std"
            | "async-io"
            | "smol"
            | "futures-executor" => true,
            // As a library of channels it is harmless.
            "tokio" => features.split(',').any(|feature| feature.starts_with("rt")),
            _ => false,
        }
    };
    tree.iter().filter(is_executor).collect()
}

#[test]
fn http_on_threads_brings_no_executor() {
    let plain = tree("http,threads");
    assert!(plain.iter().any(|line| line.starts_with("hyper ")), "the tree is read");
    assert_eq!(executors(&plain), Vec::<&String>::new());
    assert!(!executors(&tree("http,smol")).is_empty(), "an executor would be seen");
}
