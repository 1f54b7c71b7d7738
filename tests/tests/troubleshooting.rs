//! The page about errors: everything that can be said to a person has its row there, and every row is still said.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Where errors say what they say, each in `#[error("…")]` above its variant.
const ENUMS: [&str; 17] = [
    "proto-core/src/access/refusal.rs",
    "proto-core/src/document/error.rs",
    "proto-core/src/entry/build.rs",
    "proto-core/src/entry/rules.rs",
    "proto-core/src/entry/store_data.rs",
    "proto-core/src/instance/error.rs",
    "proto-core/src/instance/root_key.rs",
    "proto-core/src/instance/sync_status.rs",
    "proto-core/src/key.rs",
    "proto-core/src/node/error.rs",
    "proto-core/src/node/limits.rs",
    "proto-core/src/storage/store.rs",
    "proto-core/src/text.rs",
    "proto-core/src/wire/address.rs",
    "proto-core/src/wire/invitation.rs",
    "proto-core/src/wire/ticket.rs",
    "transports/src/error.rs",
];

/// What stands before a message in the sources of the program.
const PROGRAM: [&str; 11] = [
    "bail!(",
    "ensure!(",
    "anyhow!(",
    " context(",
    ".context(",
    "(Misuse(",
    "with_context(|| ",
    " = || ",
    "map_err(|",
    "ok_or(",
    "Err(",
];

/// And in the one error of a library that is shown by hand.
const BY_HAND: [&str; 2] = ["f.write_str(", "write!(f, "];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The first text in quotes, without escapes; what differs each time becomes `…`.
fn message(source: &str) -> Option<String> {
    let mut chars = source.split_once('"')?.1.chars().peekable();
    let mut text = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(text),
            '\\' => match chars.next()? {
                '\n' => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                escaped => text.push(escaped),
            },
            // Doubled, a brace stands for itself.
            brace @ ('{' | '}') if chars.next_if_eq(&brace).is_some() => text.push(brace),
            '{' => {
                text.push('…');
                while chars.next()? != '}' {}
            }
            other => text.push(other),
        }
    }
}

/// Whether there is anything in it that a person could look up.
fn says_something(message: &str) -> bool {
    message.chars().any(char::is_alphabetic)
}

/// What the errors of the libraries say.
fn said_by_enums() -> BTreeSet<String> {
    let mut said = BTreeSet::new();
    for file in ENUMS {
        let source = fs::read_to_string(root().join(file)).expect("the source can be read");
        let before = said.len();
        for attribute in source.split("#[error(").skip(1) {
            let attribute = attribute.split(")]").next().unwrap_or_default();
            said.extend(message(&format!("{attribute}\"")).filter(|text| says_something(text)));
        }
        assert!(said.len() > before, "{file} says nothing: was it moved?");
    }
    said
}

/// What is said in this source by hand.
fn said_in(source: &str, makers: &[&str]) -> BTreeSet<String> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut said = BTreeSet::new();
    for maker in makers {
        for call in source.split(maker).skip(1) {
            let statement = call.find('"').is_some_and(|quote| call.find(';').is_none_or(|end| quote < end));
            said.extend(message(call).filter(|text| statement && says_something(text)));
        }
    }
    said
}

/// What the program says, the tour aside.
fn said_by_the_program() -> BTreeSet<String> {
    let (mut folders, mut said) = (vec![root().join("cli/src")], BTreeSet::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder can be listed") {
            let path = entry.expect("the folder can be listed").path();
            if path.is_dir() && !path.ends_with("demo") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                said.extend(said_in(&fs::read_to_string(path).expect("the source can be read"), &PROGRAM));
            }
        }
    }
    said
}

/// The messages that the page has rows for: `| `message` | why | what to do |`.
fn rows() -> BTreeSet<String> {
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).expect("the page can be read");
    let mut rows = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cell = line.trim_start_matches("| ");
        let ticks = if cell.starts_with("``") { "``" } else { "`" };
        let (text, rest) =
            cell[ticks.len()..].split_once(&format!("{ticks} | ")).expect("a message, and why");
        let text = if ticks.len() == 2 { text.trim() } else { text };
        let told = rest.split(" | ").filter(|cell| !cell.trim_matches([' ', '|']).is_empty()).count();
        assert_eq!(told, 2, "why, and what to do: {line}");
        assert!(rows.insert(text.to_owned()), "there twice: {line}");
    }
    rows
}

/// What all errors say.
fn said() -> BTreeSet<String> {
    let mut said = said_by_enums();
    let sealed =
        fs::read_to_string(root().join("storage/src/sealed/mod.rs")).expect("the source can be read");
    said.extend(said_in(&sealed, &BY_HAND));
    let program = said_by_the_program();
    assert!(program.len() > 90, "the program's messages are found");
    said.extend(program);
    said
}

#[test]
fn every_error_that_a_person_can_see_has_its_row() {
    let rows = rows();
    let missing: Vec<_> = said().into_iter().filter(|said| !rows.contains(said)).collect();
    assert!(missing.is_empty(), "without a row in docs/troubleshooting.md:\n{}", missing.join("\n"));
}

#[test]
fn no_row_is_about_an_error_that_nobody_sees_any_more() {
    let said = said();
    let gone: Vec<_> = rows().into_iter().filter(|row| !said.contains(row)).collect();
    assert!(gone.is_empty(), "in docs/troubleshooting.md, and said by nothing:\n{}", gone.join("\n"));
}

#[test]
fn a_message_is_read_as_it_is_shown() {
    let source = "bail!(\n \"at {{\\\"a\\\"}}: {0}, \\\n    then {name:?}\"\n);";
    assert_eq!(message(source).as_deref(), Some("at {\"a\"}: …, then …"));
}
