//! Whatever a page shows is run: each block of code on each page has something that compiles and runs it, or says why not
//! in a word that stands here.

use std::{collections::BTreeSet, fs, process::Command};

use pleach_tests::pages::{Block, blocks, commands, pages, read, root};
use serde_json::Value;

/// Types all that pages show for a shell, but for those below.
const READER: &str = "cli/tests/program/pages.rs";

/// Pages whose blocks for a shell need more around them than the program: the tests that run them, all of them.
const RUNNERS: [(&str, &str); 2] = [
    ("docs/greenhouse.md", "tests/tests/greenhouse.rs"),
    ("docs/http.md", "runtime-smol/tests/http_from_outside.rs"),
];

/// Pages whose Rust stands, block by block, in a test: it is no program by itself.
const SHOWN: [(&str, &str); 2] =
    [("README.md", "tests/tests/readme.rs"), ("docs/writing-a-store.md", "storage/tests/counting.rs")];

/// Languages that nothing runs: pictures, bytes, and what other programs are told.
const DATA: [&str; 3] = ["text", "ini", "toml"];

/// What is wrong with a block.
type Check = fn(&Block) -> Vec<String>;

/// Why no test runs a block for a shell, and what is checked instead.
const REASONS: [(&str, Check); 4] = [
    // What must pass before a change lands does it itself.
    ("ci", not_in_ci),
    // A build of its own, or minutes to hours: what it names exists.
    ("cargo", not_in_the_workspace),
    // A fuzzer, which needs a tool of its own and does not end.
    ("fuzz", no_fuzz_target),
    // An emulated board and what builds for it: `cli/tests/firmware` does the same.
    ("board", not_of_the_board),
];

#[test]
fn every_block_on_every_page_is_run_by_something() {
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    let mut count = 0;
    for page in pages() {
        for block in blocks(&read(&page)) {
            count += 1;
            let faults = match (block.language.as_str(), block.word.as_str()) {
                ("sh", "") => run_by(&page, runner(&page)),
                ("sh", word) => match REASONS.iter().find(|(reason, _)| *reason == word) {
                    Some((reason, check)) => {
                        used.insert(*reason);
                        check(&block)
                    }
                    None => vec![format!("{word} is no reason why it is not run")],
                },
                ("rust", "") => compiled(&page, &block),
                ("json", "") => not_json(&block),
                (data, "") if DATA.contains(&data) => Vec::new(),
                (language, word) => vec![format!("nothing runs what is marked as {language} {word}")],
            };
            wrong.extend(faults.into_iter().map(|fault| format!("{page}:{}: {fault}", block.line)));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(count > 90, "only {count} blocks were found");
    assert_eq!(used.len(), REASONS.len(), "a reason is there for nothing: {used:?}");
}

/// The test that types what a page shows for a shell.
fn runner(page: &str) -> &'static str {
    RUNNERS.iter().find(|(of, _)| *of == page).map_or(READER, |(_, runner)| runner)
}

/// Complains unless a test asks for what this page shows; it then gets all of it.
fn run_by(page: &str, test: &str) -> Vec<String> {
    let test_text = read(test);
    let asks = [format!("session(\"{page}\")"), format!("/../{page}\")")]
        .iter()
        .any(|asks| test_text.contains(asks));
    if asks { Vec::new() } else { vec![format!("{test} does not run it: follow the page there")] }
}

/// Complains unless a block is a documentation test, or stands in a test.
fn compiled(page: &str, block: &Block) -> Vec<String> {
    if let Some((_, test)) = SHOWN.iter().find(|(shown, _)| *shown == page) {
        let stands = dense(&read(test)).contains(&dense(&block.text));
        return if stands { Vec::new() } else { vec![format!("{test} does not say it like this")] };
    }
    let included = format!("#[doc = include_str!(\"../../{page}\")]");
    if read("tests/src/lib.rs").contains(&included) {
        return Vec::new();
    }
    vec![format!("nothing compiles it: include {page} in tests/src/lib.rs")]
}

/// Lines without what they are indented by. Port 0 stands for any that is free, where a page names one.
fn dense(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n").replace(":8080", ":0")
}

fn not_json(block: &Block) -> Vec<String> {
    let values = serde_json::Deserializer::from_str(&block.text).into_iter::<Value>();
    values.filter_map(|value| value.err().map(|error| error.to_string())).collect()
}

/// The commands of a block without what stands behind `#`.
fn bare(block: &Block) -> Vec<String> {
    let bare = |line: &String| line.split(" #").next().unwrap_or_default().trim_end().to_owned();
    commands(&block.text).iter().map(bare).collect()
}

/// Complains of commands of which `.ci/run` has none that says all that they say.
fn not_in_ci(block: &Block) -> Vec<String> {
    let words = |command: &str| command.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>();
    let done: Vec<_> = commands(&read(".ci/run")).iter().map(|command| words(command)).collect();
    let missing = bare(block).into_iter().filter(|command| {
        command != "bash .ci/run" && !done.iter().any(|done| done.is_superset(&words(command)))
    });
    missing.map(|command| format!(".ci/run does not do `{command}`")).collect()
}

/// Complains of what is no command of cargo, or names what the workspace has not.
fn not_in_the_workspace(block: &Block) -> Vec<String> {
    let workspace = Workspace::read();
    bare(block).iter().flat_map(|command| workspace.misses(command)).collect()
}

/// What there is for cargo to build.
struct Workspace(Value);

impl Workspace {
    fn read() -> Self {
        let mut command = Command::new(env!("CARGO"));
        command.args(["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]);
        let output = command.current_dir(root()).output().expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self(serde_json::from_slice(&output.stdout).expect("cargo writes JSON"))
    }

    fn package(&self, name: &str) -> Option<&Value> {
        self.0["packages"].as_array()?.iter().find(|package| package["name"] == name)
    }

    /// What a command names that is not there.
    fn misses(&self, command: &str) -> Vec<String> {
        let mut words = command.split_whitespace().take_while(|word| *word != "--").peekable();
        let mut missing = Vec::new();
        while let Some((name, _)) =
            words.next_if(|word| word.contains('=')).and_then(|word| word.split_once('='))
        {
            if name.starts_with("PLEACH_") && !is_read(name) {
                missing.push(format!("nothing reads {name}"));
            }
        }
        match words.next() {
            Some("cargo") => {}
            None => return missing,
            Some(other) => return vec![format!("{other} is no command of cargo")],
        }
        let words: Vec<_> = words.collect();
        let after = |option: &str| {
            let found = words.windows(2).filter(move |pair| pair[0] == option);
            found.map(|pair| pair[1]).collect::<Vec<_>>()
        };
        let package = after("-p").first().and_then(|name| self.package(name));
        let Some(package) = package else {
            return vec![format!("`{command}` names no package of this workspace")];
        };
        for (option, kind) in [("--test", "test"), ("--bin", "bin"), ("--example", "example")] {
            let has = |name: &str| {
                let targets = package["targets"].as_array().into_iter().flatten();
                targets.into_iter().any(|target| target["name"] == name && target["kind"][0] == kind)
            };
            let gone = after(option).into_iter().filter(|name| !has(name));
            missing.extend(gone.map(|name| format!("there is no {kind} {name} in {}", package["name"])));
        }
        let features = after("--features").into_iter().filter(|name| package["features"][*name].is_null());
        missing.extend(features.map(|name| format!("{} has no feature {name}", package["name"])));
        missing
    }
}

/// Whether a test reads this variable.
fn is_read(name: &str) -> bool {
    let folders = ["tests/tests", "tests/tests/vectors", "storage/tests", "cli/tests/program", "tests/src"];
    let files =
        folders.iter().flat_map(|folder| fs::read_dir(root().join(folder)).expect("a folder of tests"));
    let mut texts = files.filter_map(|file| fs::read_to_string(file.ok()?.path()).ok());
    texts.any(|text| text.contains(&format!("\"{name}\"")))
}

fn no_fuzz_target(block: &Block) -> Vec<String> {
    let targets = bare(block).into_iter().filter_map(|command| {
        let (_, rest) = command.split_once("cargo fuzz run ")?;
        rest.split_whitespace().next().map(str::to_owned)
    });
    let gone = targets.filter(|target| !root().join(format!("fuzz/fuzz_targets/{target}.rs")).exists());
    gone.map(|target| format!("there is no fuzz target {target}")).collect()
}

/// Complains of options for the emulator that the tests of the firmware do not use.
fn not_of_the_board(block: &Block) -> Vec<String> {
    let done = read("cli/tests/firmware/board.rs");
    let emulated =
        bare(block).into_iter().filter(|command| command.starts_with("qemu-system-arm")).collect::<String>();
    let options = emulated.split_whitespace().filter(|word| word.starts_with('-'));
    let unknown = options.filter(|option| !done.contains(&format!("\"{option}\"")));
    unknown.map(|option| format!("cli/tests/firmware does not use {option}")).collect()
}
