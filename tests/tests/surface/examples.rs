//! Whatever a program calls is shown in an example that is compiled and run.

use std::collections::BTreeSet;

use pleach_tests::pages::blocks;

use crate::documented::{Call, Exported, documented, text};

/// The code in a documentation comment that rustdoc compiles and runs.
fn code(docs: &str) -> String {
    let run = blocks(docs).into_iter().filter(|block| block.language.is_empty() && block.word.is_empty());
    run.map(|block| block.text).collect()
}

/// Everything that either runtime offers, once.
fn offered() -> Vec<Exported<'static>> {
    let [smol, blocking, ..] = documented();
    let mut seen = BTreeSet::new();
    let all = [smol, blocking].into_iter().flat_map(super::documented::Crate::exported);
    all.filter(|one| seen.insert((one.home.name(), text(&one.item["name"]), one.item["id"].to_string())))
        .collect()
}

/// Whether code makes a call: by its type's name, or on a value.
fn makes(code: &str, of: &str, call: &Call<'_>) -> bool {
    let by_name = format!("{of}::{}", call.name);
    let on_value = call.is_method().then(|| format!(".{}", call.name));
    [Some(by_name), on_value].into_iter().flatten().any(|call| {
        let mut rests = code.match_indices(&call).map(|(at, call)| &code[at + call.len()..]);
        rests.any(|rest| rest.starts_with('(') || rest.starts_with("::<"))
    })
}

#[test]
fn every_call_that_a_runtime_offers_is_made_in_an_example() {
    let (mut missing, mut calls) = (Vec::new(), 0);
    for Exported { home, item, .. } in offered() {
        let name = text(&item["name"]);
        let made = home.calls_of(item);
        let docs = made.iter().flat_map(|call| [call.around, text(&call.item["docs"])]);
        let shown = docs.chain([text(&item["docs"])]).map(code).collect::<String>();
        for call in made {
            calls += 1;
            if !makes(&shown, name, &call) {
                missing.push(format!("{}::{name}::{}", home.name(), call.name));
            }
        }
    }
    assert!(missing.is_empty(), "no example on the page of its type makes:\n{}", missing.join("\n"));
    assert!(calls > 300, "only {calls} calls were read");
}

#[test]
fn every_type_that_a_runtime_offers_has_an_example() {
    let mut missing = Vec::new();
    for Exported { home, item, .. } in offered() {
        let kinds = ["struct", "enum", "trait", "function"];
        if kinds.iter().any(|kind| item["inner"].get(kind).is_some()) && code(text(&item["docs"])).is_empty()
        {
            missing.push(format!("{}::{}", home.name(), text(&item["name"])));
        }
    }
    assert!(missing.is_empty(), "without an example:\n{}", missing.join("\n"));
}
