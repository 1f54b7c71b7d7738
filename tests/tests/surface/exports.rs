//! Who uses a runtime needs no other crate: whatever a signature names can be named.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::documented::{Crate, Exported, documented, list, text};

/// What programs neither name nor make, though a public signature does: what runtimes say to the engine below them, views
/// that are read where they stand, closures, and what other things are made of.
const BELOW: [&str; 14] = [
    "pleach_core::canonical::DecodeError",
    "pleach_core::document::draft::Draft",
    "pleach_core::entry::view::EntryView",
    "pleach_core::node::command::Command",
    "pleach_core::node::command::CommandId",
    "pleach_core::node::command::Petition",
    "pleach_core::node::command::Reply",
    "pleach_core::node::status::PairStatus",
    "pleach_core::wire::invite::Redemption",
    "pleach_transports::context::Clock",
    "pleach_transports::context::Executor",
    "pleach_transports::context::Random",
    "pleach_transports::memory::MemoryTransport",
    "pleach_transports::serial::line::Lines",
];

/// Every type and trait that is named somewhere within.
fn named<'a>(home: &'a Crate, within: &'a Value, found: &mut BTreeSet<String>) {
    match within {
        Value::Object(fields) => {
            // A type by its path, or a trait in a bound.
            if let (Some(id), Some(_)) = (fields.get("id"), fields.get("path")) {
                found.insert(home.path_of(id).join("::"));
            }
            fields.values().for_each(|value| named(home, value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| named(home, value, found)),
        _ => {}
    }
}

/// What the public parts of an item name: signatures, fields, variants.
fn names_of(Exported { home, item, .. }: &Exported<'_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for call in home.calls_of(item) {
        named(home, &call.item["inner"]["function"], &mut found);
    }
    let inner = &item["inner"];
    named(home, &inner["function"], &mut found);
    named(home, &inner["type_alias"], &mut found);
    let fields = |kind: &Value| {
        list(&kind["plain"]["fields"]).iter().chain(list(&kind["tuple"])).cloned().collect::<Vec<_>>()
    };
    let mut ids = fields(&inner["struct"]["kind"]);
    for variant in list(&inner["enum"]["variants"]).iter().filter_map(|id| home.item(id)) {
        let kind = &variant["inner"]["variant"]["kind"];
        ids.extend(list(&kind["struct"]["fields"]).iter().chain(list(&kind["tuple"])).cloned());
    }
    for field in ids.iter().filter_map(|id| home.item(id)) {
        named(home, &field["inner"]["struct_field"], &mut found);
    }
    found
}

#[test]
fn a_program_can_name_by_its_runtime_whatever_that_gives_or_takes() {
    let [smol, blocking, ..] = documented();
    for runtime in [smol, blocking] {
        let exported = runtime.exported();
        let paths = |one: &Exported<'_>| one.home.path_of(&one.item["id"]).join("::");
        let known: BTreeSet<String> = exported.iter().map(paths).collect();
        assert!(known.len() > 90, "only {} names were read", known.len());
        let (mut missing, mut unused) = (Vec::new(), BELOW.to_vec());
        for one in &exported {
            let named = names_of(one);
            unused.retain(|name| !named.contains(*name));
            let foreign = named.into_iter().filter(|name| {
                name.starts_with("pleach_") && !known.contains(name) && !BELOW.contains(&name.as_str())
            });
            missing.extend(foreign.map(|name| format!("{name}, which {} names", text(&one.item["name"]))));
        }
        assert!(missing.is_empty(), "{} does not export\n{}", runtime.name(), missing.join("\n"));
        assert!(unused.is_empty(), "nothing names {unused:?}");
    }
}
