//! The corpora of the fuzzers, and what the ordinary tests of each crate want of them.

use std::{fs, path::PathBuf};

use pleach_core::fuzzing::Seed;

use crate::pages::root;

fn folder(body: &str) -> PathBuf {
    root().join("fuzz/corpus").join(body)
}

/// Every file of a body's corpus with its name, in order.
pub fn files(body: &str) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder(body)).unwrap_or_else(|error| panic!("the corpus of {body}: {error}"));
    let mut files: Vec<_> = files
        .map(|file| {
            let path = file.expect("the folder can be listed").path();
            (path.display().to_string(), fs::read(&path).expect("a seed can be read"))
        })
        .collect();
    files.sort();
    files
}

/// The corpus holds the seeds as the code makes them; with `PLEACH_BLESS` it does from now on. `test` makes them.
pub fn check_seeds(seeds: &[Seed], test: &str) {
    for (name, body, bytes) in seeds {
        let path = folder(body).join(name);
        if std::env::var_os("PLEACH_BLESS").is_some() {
            fs::create_dir_all(folder(body)).expect("the folder can be made");
            fs::write(&path, bytes).expect("a seed can be written");
        }
        let stale = format!("is stale: run PLEACH_BLESS=1 cargo test -p pleach-tests --test {test}");
        assert!(fs::read(&path).unwrap_or_default() == *bytes, "{} {stale}", path.display());
    }
}

/// A fuzz target runs the body of its name.
pub fn check_target(body: &str) {
    let target = root().join(format!("fuzz/fuzz_targets/{body}.rs"));
    let text = fs::read_to_string(&target).unwrap_or_default();
    assert!(text.contains(&format!("fuzzing::{body}(")), "{} does not run it", target.display());
}
