//! Both runtimes offer the same: names, arguments and results, `async` aside. What they offer is read from what rustdoc
//! knows of them. The page that lists it is held against that.

mod documented;
mod examples;
mod exports;

use std::{collections::BTreeSet, path::PathBuf};

use documented::{Crate, documented, list, text};
use pleach_tests::pages::root;
use serde_json::Value;

/// What one runtime has and the other cannot: none of it is a name that programs use in both.
const DIFFERENT: [&str; 1] = [
    // A stream to await in one, an iterator that blocks in the other: each with the words of its kind.
    "Watch",
];

impl Crate {
    /// Every public call of every type in it, as `Type::call`.
    fn calls(&self) -> BTreeSet<String> {
        let mut calls = BTreeSet::new();
        for item in self.0["index"].as_object().expect("an index").values() {
            let inner = &item["inner"];
            let Some(holder) = ["struct", "enum"].iter().find_map(|kind| inner.get(kind)) else { continue };
            let found = list(&holder["impls"]).iter().filter_map(|id| self.item(id));
            let own = found.map(|found| &found["inner"]["impl"]).filter(|found| found["trait"].is_null());
            let members = own.flat_map(|found| list(&found["items"])).filter_map(|id| self.item(id));
            let public = members.filter(|member| member["visibility"] == "public");
            calls.extend(public.map(|member| format!("{}::{}", text(&item["name"]), text(&member["name"]))));
        }
        calls
    }

    /// Everything that a program can name, one line each.
    fn surface(&self) -> BTreeSet<String> {
        let root = self.item(&self.0["root"]).expect("a crate has a root");
        let mut lines = BTreeSet::new();
        for id in list(&root["inner"]["module"]["items"]) {
            let Some(item) = self.item(id) else { continue };
            let (name, found) = match item["inner"].get("use") {
                Some(import) => (text(&import["name"]), self.item(&import["id"])),
                None => (text(&item["name"]), Some(item)),
            };
            if DIFFERENT.contains(&name) {
                lines.insert(name.to_owned());
                continue;
            }
            // What comes from a crate below is the same one.
            let Some(found) = found else {
                lines.insert(format!("{name} = {}", text(&item["inner"]["use"]["source"])));
                continue;
            };
            self.describe(name, found, &mut lines);
        }
        lines
    }

    fn describe(&self, name: &str, item: &Value, lines: &mut BTreeSet<String>) {
        let inner = &item["inner"];
        lines.insert(format!("{} {name}", inner.as_object().and_then(|inner| inner.keys().next()).unwrap()));
        if let Some(alias) = inner.get("type_alias") {
            lines.insert(format!("{name} = {}", self.kind(&alias["type"])));
        }
        let holder = ["struct", "enum", "union"].iter().find_map(|kind| inner.get(kind));
        for id in holder.map_or(&[][..], |holder| list(&holder["impls"])) {
            let Some(found) = self.item(id) else { continue };
            let found = &found["inner"]["impl"];
            if !found["blanket_impl"].is_null() || found["is_synthetic"] == true {
                continue;
            }
            if !found["trait"].is_null() {
                lines.insert(format!("{name}: {}", self.path(&found["trait"])));
                continue;
            }
            for member in list(&found["items"]).iter().filter_map(|id| self.item(id)) {
                if member["visibility"] == "public" {
                    let signature = &member["inner"]["function"];
                    lines.insert(format!("{name}::{}{}", text(&member["name"]), self.signature(signature)));
                }
            }
        }
    }

    fn signature(&self, function: &Value) -> String {
        let inputs: Vec<String> = list(&function["sig"]["inputs"])
            .iter()
            .map(|input| format!("{}: {}", text(&input[0]), self.kind(&input[1])))
            .collect();
        let generics: Vec<String> = list(&function["generics"]["params"])
            .iter()
            .filter(|parameter| !parameter["kind"]["lifetime"].is_object())
            .map(|parameter| {
                let bounds = &parameter["kind"]["type"]["bounds"];
                format!("{}: {}", text(&parameter["name"]), self.bounds(bounds))
            })
            .collect();
        let output = match &function["sig"]["output"] {
            Value::Null => String::new(),
            output => format!(" -> {}", self.kind(output)),
        };
        format!("<{}>({}){output}", generics.join(", "), inputs.join(", "))
    }

    /// A type as it is written, by the names that both runtimes know.
    fn kind(&self, kind: &Value) -> String {
        let Some((form, inner)) = kind.as_object().and_then(|kind| kind.iter().next()) else {
            return kind.to_string();
        };
        match form.as_str() {
            "generic" | "primitive" => text(inner).to_owned(),
            "resolved_path" => self.path(inner),
            "borrowed_ref" if inner["is_mutable"] == true => format!("&mut {}", self.kind(&inner["type"])),
            "borrowed_ref" => format!("&{}", self.kind(&inner["type"])),
            "slice" => format!("[{}]", self.kind(inner)),
            "array" => format!("[{}; {}]", self.kind(&inner["type"]), text(&inner["len"])),
            "tuple" => format!("({})", self.kinds(inner)),
            "impl_trait" => format!("impl {}", self.bounds(inner)),
            "dyn_trait" => {
                let traits: Vec<_> = list(&inner["traits"]).iter().map(|t| self.path(&t["trait"])).collect();
                format!("dyn {}", traits.join(" + "))
            }
            _ => panic!("a signature has a type of a form that is not read here: {kind}"),
        }
    }

    fn kinds(&self, kinds: &Value) -> String {
        list(kinds).iter().map(|kind| self.kind(kind)).collect::<Vec<_>>().join(", ")
    }

    fn bounds(&self, bounds: &Value) -> String {
        let bounds = list(bounds).iter().map(|bound| match bound.get("trait_bound") {
            Some(bound) => self.path(&bound["trait"]),
            None => bound.to_string(),
        });
        bounds.collect::<Vec<_>>().join(" + ")
    }

    /// A name with its arguments: of what is in either runtime the last part, of all else the whole path.
    fn path(&self, path: &Value) -> String {
        let whole = &self.0["paths"][path["id"].to_string()]["path"];
        let parts: Vec<&str> = list(whole).iter().map(text).collect();
        let name = match parts[..] {
            ["pleach_smol" | "pleach_blocking", .., last] => last.to_owned(),
            _ if parts.last().is_some_and(|last| DIFFERENT.contains(last)) => {
                parts.last().unwrap().to_string()
            }
            _ => parts.join("::"),
        };
        let arguments = match path.get("args") {
            Some(args) if args["angle_bracketed"].is_object() => {
                let args = list(&args["angle_bracketed"]["args"]);
                args.iter().filter_map(|arg| arg.get("type")).map(|kind| self.kind(kind)).collect()
            }
            Some(args) if args["parenthesized"].is_object() => {
                let args = &args["parenthesized"];
                vec![self.kinds(&args["inputs"]), self.kind(&args["output"])]
            }
            _ => Vec::new(),
        };
        if arguments.is_empty() { name } else { format!("{name}<{}>", arguments.join(", ")) }
    }
}

#[test]
fn both_runtimes_offer_the_same() {
    let [smol, blocking, ..] = documented();
    let (smol, blocking) = (smol.surface(), blocking.surface());
    let calls = smol.iter().filter(|line| line.contains('(')).count();
    assert!(calls > 60, "only {calls} calls were read");
    let known = "Transaction::commit<>(self: Self) -> core::result::Result<pleach_core::position::Position, \
                 pleach_core::instance::error::Error>";
    assert!(smol.contains(known), "{smol:#?}");
    let only = |own: &BTreeSet<String>, other: &BTreeSet<String>| {
        own.difference(other).cloned().collect::<Vec<_>>().join("\n    ")
    };
    let (of_smol, of_blocking) = (only(&smol, &blocking), only(&blocking, &smol));
    assert!(
        of_smol.is_empty() && of_blocking.is_empty(),
        "\nonly in pleach_smol:\n    {of_smol}\nonly in pleach_blocking:\n    {of_blocking}"
    );
}

/// A row of the page: what it names, and the tests.
struct Row {
    names: Vec<String>,
    tests: Vec<String>,
}

/// The rows of the tables of the page, in order.
fn rows() -> Vec<Row> {
    let page = std::fs::read_to_string(root().join("docs/api.md")).unwrap();
    let spans = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [names, _, tests] = cells[..] else { panic!("a row has three cells: {row}") };
        Row { names: spans(names), tests: spans(tests) }
    })
    .collect()
}

/// The files that a test of the page stands in: one, or one of each runtime.
fn files(test: &str) -> Vec<(PathBuf, &str)> {
    let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("{test} names a file and a test"));
    let folders =
        if file.contains('/') { &[""][..] } else { &["runtime-smol/tests", "runtime-blocking/tests"] };
    folders.iter().map(|folder| (root().join(folder).join(file), name)).collect()
}

#[test]
fn the_page_of_the_surface_lists_what_there_is_and_nothing_else() {
    let [smol, _, core, ..] = documented();
    let own = ["Instance", "WeakInstance", "Database", "Transaction", "Sync", "SyncHandle", "User"];
    let offered: BTreeSet<String> = smol.calls();
    let of_runtimes = |call: &&String| own.iter().any(|name| call.split("::").next() == Some(name));
    let named: BTreeSet<String> = rows().into_iter().flat_map(|row| row.names).collect();
    let missing: Vec<_> = offered.iter().filter(of_runtimes).filter(|call| !named.contains(*call)).collect();
    assert!(missing.is_empty(), "docs/api.md has no row for {missing:#?}");
    let known: BTreeSet<String> = offered.union(&core.calls()).cloned().collect();
    let built = named.iter().filter(|name| name.contains("::") && !name.contains("iroh"));
    let gone: Vec<_> = built.filter(|name| !known.contains(*name)).collect();
    assert!(gone.is_empty(), "docs/api.md lists what does not exist: {gone:#?}");
    assert!(named.len() > 150, "only {} names were read", named.len());
}

#[test]
fn every_test_of_the_page_exists_and_makes_the_calls_of_its_row() {
    for Row { names, tests } in rows() {
        assert!(!tests.is_empty(), "no test shows {names:?}");
        let mut made = [String::new(), String::new()];
        for (path, name) in tests.iter().flat_map(|test| files(test)) {
            let text =
                std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(text.contains(&format!("fn {name}(")), "{} has no test {name}", path.display());
            let blocking = path.to_string_lossy().contains("runtime-blocking");
            made[usize::from(blocking)].push_str(&text);
        }
        for (text, runtime) in made.iter().zip(["smol", "blocking"]).filter(|(text, _)| !text.is_empty()) {
            for name in &names {
                // A command of the program is a word of its command line.
                let call = name.rsplit_once("::").map_or(format!("\"{name}\""), |(_, call)| call.to_owned());
                let called = if name.contains("::") {
                    ["(", "::<"].iter().any(|then| text.contains(&format!("{call}{then}")))
                } else {
                    text.contains(&call) || name == "init" || name == "serve" && text.contains(".serve(")
                };
                assert!(called, "no test named in the row of {name} calls it in {runtime}");
            }
        }
    }
}
