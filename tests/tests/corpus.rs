//! The fuzzers' bodies as ordinary tests: over the committed corpus, over small damage to it, and over random bytes.

use std::{fs, path::PathBuf};

use pleach_core::fuzzing::{BODIES, Body, seeds};
use proptest::{collection::vec, prelude::*};

fn folder(body: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(body)
}

/// Every file of a body's corpus, by name.
fn corpus(body: &str) -> Vec<(String, Vec<u8>)> {
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

#[test]
fn the_corpus_holds_the_seeds_as_the_code_makes_them() {
    let bless = std::env::var_os("PLEACH_BLESS").is_some();
    for (name, body, bytes) in seeds() {
        assert!(BODIES.iter().any(|(known, _)| *known == body), "{name} is a seed of no body");
        let path = folder(body).join(name);
        if bless {
            fs::create_dir_all(folder(body)).expect("the folder can be made");
            fs::write(&path, &bytes).expect("a seed can be written");
        }
        let stored = fs::read(&path).unwrap_or_default();
        assert!(
            stored == bytes,
            "{} is stale: run PLEACH_BLESS=1 cargo test -p pleach-tests --test corpus",
            path.display()
        );
    }
}

#[test]
fn every_body_has_a_corpus_and_a_target() {
    for (body, _) in BODIES {
        assert!(!corpus(body).is_empty(), "no seeds for {body}");
        let target =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../fuzz/fuzz_targets/{body}.rs"));
        let text = fs::read_to_string(&target).unwrap_or_default();
        assert!(text.contains(&format!("fuzzing::{body}")), "{} does not run it", target.display());
    }
}

#[test]
fn every_body_takes_its_corpus_and_whatever_is_left_of_it() {
    for (body, run) in BODIES {
        for (name, bytes) in corpus(body) {
            println!("{name}");
            run(&bytes);
            for cut in 0..bytes.len() {
                run(&bytes[..cut]);
            }
        }
    }
}

/// One of the bodies, with a file of its corpus.
fn seeded() -> impl Strategy<Value = (&'static str, Body, Vec<u8>)> {
    let all: Vec<_> = BODIES
        .iter()
        .flat_map(|(body, run)| corpus(body).into_iter().map(|(_, bytes)| (*body, *run, bytes)))
        .collect();
    prop::sample::select(all)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_body_takes_random_bytes(bytes in vec(any::<u8>(), 0..300)) {
        for (_, run) in BODIES {
            run(&bytes);
        }
    }

    #[test]
    fn every_body_takes_its_corpus_with_bytes_changed(
        (_, run, bytes) in seeded(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = bytes;
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        run(&bytes);
    }

    #[test]
    fn every_body_takes_its_corpus_with_parts_moved(
        (_, run, bytes) in seeded(),
        (from, to, len) in (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..40_usize),
    ) {
        let from = from.index(bytes.len() + 1);
        let part = &bytes[from..bytes.len().min(from + len)];
        let (head, tail) = bytes.split_at(to.index(bytes.len() + 1));
        run(&[head, part, tail].concat());
    }
}
