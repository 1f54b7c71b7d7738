//! The list of attacks against what is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// How many rows the list has.
const ROWS: usize = 37;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests stand one folder below the root").into()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("the folder can be listed").path();
        if path.is_dir() {
            if !["target", ".git"].iter().any(|name| path.ends_with(name)) {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The name in a line that begins a function.
fn function(line: &str) -> Option<&str> {
    let rest = line.trim().strip_prefix("pub ").unwrap_or(line.trim());
    let rest = rest.strip_prefix("async ").unwrap_or(rest).strip_prefix("fn ")?;
    rest.split(['(', '<']).next()
}

/// All tests, also those of suites that several stores run; and of those of this folder the rows that they say they
/// belong to.
fn tests() -> (BTreeSet<String>, BTreeMap<String, Vec<usize>>) {
    let (mut files, mut all, mut rows) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    sources(&root(), &mut files);
    assert!(files.len() > 100, "the sources are not where they should be");
    for path in files {
        let text = fs::read_to_string(&path).expect("a source can be read");
        let is_suite = path.parent().is_some_and(|folder| folder.ends_with("storage/src/conformance"));
        let is_attack = path.parent().is_some_and(|folder| folder.ends_with("tests/attacks"))
            && !path.ends_with("list.rs");
        let (mut is_test, mut said) = (false, None);
        for line in text.lines() {
            if let Some(about) = line.strip_prefix("/// Row") {
                let numbers =
                    about.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok());
                said = Some(numbers.collect::<Vec<usize>>());
            }
            is_test |= line.trim() == "#[test]";
            let Some(name) = function(line) else { continue };
            if is_test || (is_suite && line.starts_with("pub fn")) {
                all.insert(name.to_owned());
                if is_attack {
                    rows.insert(name.to_owned(), said.take().unwrap_or_default());
                }
            }
            is_test = false;
        }
    }
    (all, rows)
}

/// The names of tests in a text: words in backquotes with several underscores.
fn named(text: &str) -> Vec<&str> {
    let words = text.split('`').skip(1).step_by(2);
    let is_name = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    words.filter(|word| is_name(word) && word.matches('_').count() >= 3).collect()
}

/// The rows of the list by number.
fn list() -> BTreeMap<usize, String> {
    let text = fs::read_to_string(root().join("docs/attacks.md")).expect("the list");
    let rows = text.lines().filter_map(|line| {
        let number = line.strip_prefix("| ")?.split(' ').next()?.parse().ok()?;
        Some((number, line.to_owned()))
    });
    rows.collect()
}

#[test]
fn every_row_of_the_list_names_tests_that_exist_or_says_why_there_is_none() {
    let (all, _) = tests();
    let list = list();
    assert_eq!(list.keys().copied().collect::<Vec<_>>(), (1..=ROWS).collect::<Vec<_>>());
    for (number, row) in &list {
        let names = named(row);
        let missing: Vec<_> = names.iter().filter(|name| !all.contains(**name)).collect();
        assert!(missing.is_empty(), "row {number} names no tests: {missing:?}");
        let open = row.split("open: ").nth(1).is_some_and(|reason| reason.trim().len() > 10);
        assert!(open || !names.is_empty(), "row {number} is neither shown by a test nor open");
    }
}

#[test]
fn every_test_of_this_folder_stands_in_the_rows_that_it_says() {
    let (_, rows) = tests();
    let list = list();
    assert!(rows.len() > 30, "{}", rows.len());
    for (name, said) in &rows {
        assert!(!said.is_empty(), "{name} says no row");
        for number in 1..=ROWS {
            let listed = named(&list[&number]).contains(&name.as_str());
            assert_eq!(listed, said.contains(&number), "{name} and row {number}");
        }
    }
}

#[test]
fn every_promise_names_tests_that_exist() {
    let (all, _) = tests();
    let text = fs::read_to_string(root().join("SECURITY.md")).expect("the page");
    let promised =
        text.split("## What is promised").nth(1).expect("promises").split("\n## ").next().expect("text");
    let mut promises = Vec::new();
    for line in promised.lines() {
        if line.split(". **").next().is_some_and(|number| number.parse::<u8>().is_ok()) {
            promises.push(String::new());
        }
        if let Some(promise) = promises.last_mut() {
            promise.push_str(line);
            promise.push(' ');
        }
    }
    assert_eq!(promises.len(), 11, "{promises:#?}");
    for promise in promises {
        let names = named(&promise);
        assert!(!names.is_empty(), "nothing shows this: {promise}");
        let missing: Vec<_> = names.iter().filter(|name| !all.contains(**name)).collect();
        assert!(missing.is_empty(), "there are no tests {missing:?}");
    }
}
