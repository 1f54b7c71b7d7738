//! The test vectors: fresh, and read by a reader that shares no code with what made them.
//!
//! The files are `tests/vectors/*.json`, their form is in the README beside them.

mod asks;
mod entries;
mod keys;
mod lists;
mod messages;
mod partial;
mod permissions;
mod reader;
mod sessions;
mod signed;
mod tape;
mod tickets;

use std::{fmt::Write as _, fs, path::PathBuf};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

/// A file of vectors: its name, and what makes them.
type Maker = fn() -> Vec<Value>;

const FILES: &[(&str, Maker)] = &[
    ("asks", asks::vectors),
    ("entries", entries::vectors),
    ("keys", keys::vectors),
    ("lists", lists::vectors),
    ("messages", messages::vectors),
    ("partial", partial::vectors),
    ("permissions", permissions::vectors),
    ("sessions", sessions::vectors),
    ("signed", signed::vectors),
    ("tickets", tickets::vectors),
];

/// The folder that holds the files and the reader.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn path(name: &str) -> PathBuf {
    folder().join(name).with_extension("json")
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// The name of an error's kind: that of its variant.
fn kind(error: &impl std::fmt::Debug) -> String {
    format!("{error:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// A file's text: one vector on each line, so that a change shows what it changes.
fn text(name: &str, list: &[Value]) -> String {
    let mut text = format!("{{\"vectors\":\"{name}\",\"list\":[\n");
    for (at, vector) in list.iter().enumerate() {
        let comma = if at + 1 < list.len() { "," } else { "" };
        writeln!(text, "{vector}{comma}").expect("memory");
    }
    text + "]}\n"
}

#[test]
fn the_vectors_are_as_the_code_makes_them() {
    for (name, vectors) in FILES {
        let (path, made) = (path(name), text(name, &vectors()));
        if std::env::var_os("PLEACH_BLESS").is_some() {
            fs::write(&path, &made).expect("a file can be written");
        }
        let stored = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            stored == made,
            "{} is stale: run PLEACH_BLESS=1 cargo test -p pleach-tests --test vectors",
            path.display()
        );
    }
}

#[test]
fn every_vector_has_a_name_of_its_own() {
    for (name, vectors) in FILES {
        let mut names: Vec<_> = vectors().iter().map(|vector| vector["name"].clone()).collect();
        assert!(names.iter().all(Value::is_string), "{name}: a vector without a name");
        names.sort_by_key(ToString::to_string);
        names.dedup();
        assert_eq!(json!(names.len()), json!(vectors().len()), "{name}: two vectors have one name");
    }
}
