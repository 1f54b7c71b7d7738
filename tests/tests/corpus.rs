//! The fuzzers' bodies as ordinary tests: over the committed corpus, over small damage to it, and over random bytes.

use std::fs;

use pleach_core::fuzzing::{self, Body, Seed, WIRE_TYPES};
use pleach_tests::{corpus, pages::root};
use proptest::{collection::vec, prelude::*};

/// The bodies of all crates that read what comes from outside.
fn bodies() -> impl Iterator<Item = (&'static str, Body)> {
    fuzzing::BODIES.iter().chain(pleach_transports::fuzzing::BODIES).copied()
}

fn seeds() -> Vec<Seed> {
    [fuzzing::seeds(), pleach_transports::fuzzing::seeds()].concat()
}

#[test]
fn the_corpus_holds_the_seeds_as_the_code_makes_them() {
    for (name, body, _) in seeds() {
        assert!(bodies().any(|(known, _)| known == body), "{name} is a seed of no body");
    }
    corpus::check_seeds(&seeds(), "corpus");
}

#[test]
fn every_body_has_a_corpus_and_a_target() {
    for (body, _) in bodies() {
        assert!(!corpus::files(body).is_empty(), "no seeds for {body}");
        corpus::check_target(body);
    }
}

#[test]
fn the_long_runs_cut_no_seed() {
    let script = fs::read_to_string(root().join("fuzz/long")).expect("the script can be read");
    let length = script.lines().find_map(|line| line.trim().strip_prefix("length=")).expect("a length");
    let length: usize = length.parse().expect("a number");
    for folder in fs::read_dir(root().join("fuzz/corpus")).expect("the corpora can be listed") {
        let body = folder.expect("the folder can be listed").file_name();
        for (name, bytes) in corpus::files(&body.to_string_lossy()) {
            assert!(bytes.len() <= length, "{name} has {} bytes", bytes.len());
        }
    }
}

#[test]
fn every_body_takes_its_corpus_and_whatever_is_left_of_a_seed() {
    let seeds = seeds();
    for (body, run) in bodies() {
        for (name, bytes) in corpus::files(body) {
            println!("{name}");
            run(&bytes);
            // What a fuzzer has found was cut by it already.
            let made = seeds.iter().any(|(_, of, seed)| *of == body && *seed == bytes);
            for cut in 0..if made { bytes.len() } else { 0 } {
                run(&bytes[..cut]);
            }
        }
    }
}

/// The names behind a word in the sources of what peers say, each where nothing but a name can stand.
fn names_behind(word: &str, folder: &str) -> Vec<(String, String)> {
    let mut names = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(folder).expect("a folder of sources") {
            let path = file.expect("the folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source");
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            for (at, _) in text.match_indices(word) {
                let name = |c: char| c.is_alphanumeric() || c == '_';
                let declares = |line: &&str| line.contains("struct ") || line.contains("enum ");
                let behind = &text[at + word.len()..];
                let behind = if word.starts_with("Deserialize") {
                    let line = behind.lines().find(declares).unwrap_or_default();
                    line.split("struct ")
                        .last()
                        .and_then(|rest| rest.split("enum ").last())
                        .unwrap_or_default()
                } else {
                    behind
                };
                let end = behind.find(|c| !name(c)).unwrap_or(behind.len());
                names.push((behind[..end].to_owned(), path.display().to_string()));
            }
        }
    }
    names
}

#[test]
fn every_type_that_goes_over_the_wire_has_a_body() {
    // Private ones, which are read by a body for whatever holds them: an invite's text, JSON, a greeting.
    let inside = ["Said", "Shown", "Greeting"];
    let found = names_behind("Deserialize)]", "proto-core/src/wire");
    assert!(found.len() > 25, "{found:?}");
    for (name, file) in found {
        let read = WIRE_TYPES.contains(&&*name) || inside.contains(&&*name);
        assert!(read, "{file}: add {name} to the table in proto-core/src/fuzzing/wire.rs");
    }
    let bodies = fs::read_to_string(root().join("proto-core/src/fuzzing/mod.rs")).expect("the bodies");
    let found = names_behind("FromStr for ", "proto-core/src");
    assert!(found.len() > 7, "{found:?}");
    for (name, file) in found {
        let read = [format!("parse::<{name}>"), format!("reads_back::<{name}>")];
        let read = read.iter().any(|read| bodies.contains(read));
        assert!(read, "{file}: no body in proto-core/src/fuzzing/mod.rs reads {name} from text");
    }
}

/// One of the bodies, with a file of its corpus.
fn seeded() -> impl Strategy<Value = (&'static str, Body, Vec<u8>)> {
    let all: Vec<_> = bodies()
        .flat_map(|(body, run)| corpus::files(body).into_iter().map(move |(_, bytes)| (body, run, bytes)))
        .collect();
    prop::sample::select(all)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_body_takes_random_bytes(bytes in vec(any::<u8>(), 0..300)) {
        for (_, run) in bodies() {
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
