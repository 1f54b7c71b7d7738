//! Which way the arrows of `docs/architecture.md` point: between crates, and between the rooms of the core.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests stand one folder below the root")
}

/// The packages that a package's own manifest names for what it ships, with all its features. Asks for no package that
/// only a feature brings: in a fresh clone nobody has fetched those.
fn dependencies_of(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata are JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let manifest =
        packages.iter().find(|known| known["name"] == package).expect("a package of the workspace");
    let named = manifest["dependencies"].as_array().expect("a list of dependencies").iter();
    let shipped = named.filter(|named| named["kind"].is_null());
    shipped.map(|named| named["name"].as_str().expect("a name").into()).collect()
}

#[test]
fn arrows_between_crates_point_down_only() {
    let runtimes = ["pleach-core", "pleach-storage", "pleach-transports"];
    let allowed: [(&str, &[&str]); 6] = [
        ("pleach-core", &[]),
        ("pleach-storage", &["pleach-core"]),
        ("pleach-transports", &["pleach-core"]),
        ("pleach-smol", &runtimes),
        ("pleach-blocking", &runtimes),
        ("pleach", &["pleach-core", "pleach-storage", "pleach-transports", "pleach-smol", "pleach-blocking"]),
    ];
    for (package, may_know) in allowed {
        let known = dependencies_of(package);
        assert!(package == "pleach-core" || known.contains("pleach-core"), "{package}: {known:?}");
        let wrong: Vec<_> = known
            .iter()
            .filter(|name| name.starts_with("pleach") && !may_know.contains(&name.as_str()))
            .collect();
        assert!(wrong.is_empty(), "{package} must not know {wrong:?}");
    }
}

#[test]
fn the_core_depends_on_nothing_that_draws_random_numbers_or_runs_tasks() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "-p", "pleach-core", "-e", "normal", "--all-features"])
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8(output.stdout).expect("names are text");
    let names: BTreeSet<_> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains("blake3"), "the tree was not read: {tree}");
    for name in ["getrandom", "rand", "rand_chacha", "chacha20", "tokio", "smol", "futures-executor", "libc"]
    {
        assert!(!names.contains(name), "the core's tree holds {name}");
    }
}

/// The rooms of the core from the ground up; what has no place here belongs to the ground.
const ROOMS: [&str; 9] =
    ["ground", "entry", "access", "storage", "document", "wire", "session", "node", "instance"];

/// Imports against the order, by file or folder and module, each with its reason in the line.
const EXCEPTIONS: [(&str, &str); 1] = [
    ("access", "storage"), // `StorageError` alone: what a question to a store can answer besides
];

/// The place of a module in [`ROOMS`].
fn room(module: &str) -> usize {
    // The rules of paths are among those of entries, and are told by the same error.
    let module = if module == "path" { "entry" } else { module };
    ROOMS.iter().position(|room| *room == module).unwrap_or(0)
}

/// The modules of this crate that a source names after `crate::`, in braces too.
fn modules_named(source: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for (at, _) in source.match_indices("crate::") {
        let rest = &source[at + "crate::".len()..];
        let group = rest.strip_prefix('{').map_or_else(|| vec![rest], |group| top_level(group));
        for item in group {
            let item = item.trim_start();
            let end = item.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(item.len());
            named.insert(item[..end].to_string());
        }
    }
    named
}

/// The parts of a group of imports between the commas that are not inside a group of their own.
fn top_level(group: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_i32, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&group[start..at]);
                return parts;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts
}

fn sources_below(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("the folder can be listed").path();
        if path.is_dir() {
            sources_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// A source without its unit tests, which stand at its end, and without comments.
fn without_tests(source: &str) -> String {
    let code = source.split("\nmod tests").next().unwrap_or_default();
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_room_of_the_core_imports_only_from_rooms_below_it() {
    let sources = root().join("proto-core/src");
    let mut files = Vec::new();
    sources_below(&sources, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let place = file.strip_prefix(&sources).expect("sources are in their folder");
        let first = place.iter().next().and_then(|part| part.to_str()).unwrap_or_default();
        let own = first.trim_end_matches(".rs");
        let is_test = place.iter().any(|part| part == "tests" || part == "tests.rs");
        if is_test || ["lib", "fuzzing"].contains(&own) {
            continue;
        }
        let source = fs::read_to_string(&file).expect("a source can be read");
        for named in modules_named(&without_tests(&source)) {
            if room(&named) > room(own) && !EXCEPTIONS.contains(&(own, &named)) {
                wrong.push(format!("{} imports {named}", place.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "rooms in order: {ROOMS:?}\n{}", wrong.join("\n"));
}

#[test]
fn imports_are_read_through_their_braces() {
    let named =
        modules_named("use crate::{Id, entry::{A, B}, node::x};\nlet a = crate::wire::Y; use crate::Z;");
    assert!(named.iter().eq(["Id", "Z", "entry", "node", "wire"]), "{named:?}");
}

#[test]
fn the_core_names_no_clock_no_entropy_and_no_map_in_random_order() {
    let mut files = Vec::new();
    sources_below(&root().join("proto-core/src"), &mut files);
    let forbidden = [
        "std::",
        "SystemTime",
        "Instant",
        "HashMap",
        "HashSet",
        "RandomState",
        "getrandom",
        "OsRng",
        "thread_rng",
        "static mut",
        "thread_local",
        "unsafe ",
    ];
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| !file.iter().any(|part| part == "tests" || part == "tests.rs")) {
        let source = fs::read_to_string(file).expect("a source can be read");
        let code = without_tests(&source);
        let found = forbidden.iter().filter(|word| code.contains(**word));
        wrong.extend(found.map(|word| format!("{}: {word}", file.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
