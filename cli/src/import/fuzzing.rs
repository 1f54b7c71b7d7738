//! Files of anything at all, as histories: read by themselves, and into a database.

use std::collections::BTreeSet;

use pleach_core::{
    Id, Position, SecretKey,
    entry::{EntryBuilder, Origin, VerifiedEntry},
    storage::{Store, Write, Written},
};
use pleach_smol::Memory;

use super::{
    Batch, Lines, Plan, Weaver,
    content::Filler,
    export,
    line::{Line, Written as WrittenLine},
};

/// The bytes as lines, each by itself. What is read is written, and reads as the same.
pub(crate) fn lines(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for (number, text) in (1..).zip(text.split('\n')) {
        let Ok(line) = Line::read(number, text) else { continue };
        let said = Filler::default().fill(line);
        let written = WrittenLine::new(said.0.clone()).expect("what was read can be written");
        let written = serde_json::to_string(&written).expect("a line is JSON");
        let line = Line::read(number, &written).expect("what was written can be read");
        assert_eq!(Filler::default().fill(line), said, "{written}");
    }
}

/// A database of one node, and who it is.
struct Place {
    store: Memory,
    tree: Id,
    root: Position,
    node: SecretKey,
}

impl Place {
    fn new() -> Self {
        let node = SecretKey::from_bytes([1; 32]);
        let root = EntryBuilder::new(Origin::Root { nonce: [7; 16] }, 1_700_000_000_000);
        let settings = pleach_core::document::root_settings(&pleach_core::document::Doc::new(), []);
        let settings = settings.expect("settings");
        let root = VerifiedEntry::sign(&root, &node, &[("_settings", &settings)]).expect("a root");
        let (store, tree, position) = (Memory::new(), root.id(), root.position());
        store.write(&Write::Put { tree, entries: vec![root] }).expect("memory does not fail");
        Self { store, tree, root: position, node }
    }

    fn fork(&self) -> Self {
        let (store, node) = (self.store.fork().expect("memory does not fail"), self.node.clone());
        Self { store, node, ..*self }
    }

    fn plan(&self, lines: &mut Lines) -> anyhow::Result<Plan> {
        let snapshot = self.store.snapshot()?;
        Plan::make(lines, &*snapshot, self.tree, self.root, self.node.clone())
    }

    /// Takes in what was planned: all of it, since it was checked before.
    fn take(&self, plan: Plan, lines: &mut Lines) {
        let missing = plan.missing;
        let snapshot = self.store.snapshot().expect("memory does not fail");
        let put = |batch: Batch| {
            let count = batch.entries.len();
            match self.store.write(&Write::Put { tree: self.tree, entries: batch.entries })? {
                Written::Put(put) if put.counts() && put.stored.len() == count => Ok(()),
                other => panic!("what was planned is not taken: {other:?}"),
            }
        };
        let woven = Weaver::new(plan, &*snapshot, put).and_then(|weaver| weaver.weave(lines));
        assert_eq!(woven.expect("what was planned is woven").lines, missing);
    }

    fn export(&self) -> Vec<String> {
        let mut all = Vec::new();
        let snapshot = self.store.snapshot().expect("memory does not fail");
        let count = export(&*snapshot, &self.tree, |line| {
            all.push(line.to_owned());
            Ok(())
        });
        assert_eq!(count.expect("memory does not fail"), all.len() as u64);
        all
    }
}

thread_local! {
    static EMPTY: Place = Place::new();
}

/// Lines that are JSON, at least: each byte chooses among a few words, so that lines refer to each other.
fn composed(mut bytes: &[u8]) -> String {
    const IDS: [&str; 6] = ["a", "b", "c.d", "\\e", "é f", "~0"];
    const STORES: [&str; 4] = ["main", "log", "s", "_s"];
    let mut next = || bytes.split_off_first().copied().map(usize::from);
    let node = SecretKey::from_bytes([1; 32]).public().to_string();
    let authors = ["ann", "bob", &node, "x\ny"];
    let mut text = String::new();
    while let Some(fields) = next() {
        let mut line = serde_json::Map::new();
        if fields & 1 != 0 {
            line.insert("id".into(), IDS[next().unwrap_or(0) % IDS.len()].into());
        }
        if fields & 2 != 0 {
            let some = next().unwrap_or(0);
            let parents = IDS.iter().enumerate().filter(|(place, _)| some >> place & 1 != 0);
            line.insert("parents".into(), parents.map(|(_, id)| *id).collect());
        }
        if fields & 4 != 0 {
            line.insert("author".into(), authors[next().unwrap_or(0) % authors.len()].into());
        }
        let mut part = |fields: usize| {
            let mut part = serde_json::Map::new();
            let choice = next().unwrap_or(0);
            if fields & 8 != 0 {
                part.insert("store".into(), STORES[choice % STORES.len()].into());
            }
            match choice >> 2 & 3 {
                1 => drop(part.insert("key".into(), IDS[choice >> 4 & 3].into())),
                2 => drop(part.insert("path".into(), serde_json::json!([IDS[choice >> 4 & 3], "n"]))),
                _ => {}
            }
            match choice >> 6 {
                0 => drop(part.insert("value".into(), choice.into())),
                1 => drop(part.insert("value".into(), serde_json::json!({"x": [null, 0.5], "$y": "z"}))),
                2 => drop(part.insert("deleted".into(), true.into())),
                _ => {
                    part.insert("append".into(), true.into());
                    part.insert("value".into(), serde_json::json!({"$bytes": "AAE="}));
                    part.remove("key");
                    part.remove("path");
                }
            }
            part
        };
        let first = part(fields);
        let also: Vec<_> =
            (0..fields >> 4 & 3).map(|_| part(fields | 8)).map(serde_json::Value::from).collect();
        line.extend(first);
        if !also.is_empty() {
            line.insert("also".into(), also.into());
        }
        text += &serde_json::Value::from(line).to_string();
        text.push('\n');
    }
    text
}

/// The bytes as a file to take in, or from 0x80 on as choices of which one is made. Whatever passes the first look is taken
/// in whole, a second time brings nothing, and what is given out brings the same elsewhere.
pub(crate) fn import(bytes: &[u8]) {
    let composed = bytes.first().filter(|first| **first >= 0x80).map(|_| composed(&bytes[1..]));
    let bytes = composed.as_ref().map_or(bytes, String::as_bytes);
    let mut lines = Lines::spool(bytes).expect("a temporary file");
    let place = EMPTY.with(Place::fork);
    let Ok(plan) = place.plan(&mut lines) else { return };
    place.take(plan, &mut lines);
    let again = place.plan(&mut lines).expect("what was taken in once is taken in again");
    assert_eq!(again.missing, 0, "nothing is new");
    let snapshot = place.store.snapshot().expect("memory does not fail");
    let audit = snapshot.audit(&place.tree, None, usize::MAX).expect("memory does not fail");
    assert_eq!(audit.faults, [], "what is stored is whole");
    let given = place.export();
    let mut lines = Lines::spool(given.join("\n").as_bytes()).expect("a temporary file");
    let elsewhere = EMPTY.with(Place::fork);
    let plan = elsewhere.plan(&mut lines).expect("what was given out is taken in");
    assert_eq!(plan.missing, given.len() as u64);
    elsewhere.take(plan, &mut lines);
    // What has no order among itself stands in another one.
    let sorted = |lines: Vec<String>| lines.into_iter().collect::<BTreeSet<_>>();
    assert_eq!(sorted(elsewhere.export()), sorted(given));
}

#[cfg(test)]
mod tests {
    use pleach_core::Entropy;
    use pleach_tests::corpus;

    use super::*;

    type Body = fn(&[u8]);

    const BODIES: [(&str, Body); 2] = [("lines", lines), ("import", import)];

    #[test]
    fn every_file_of_the_corpus_is_read_and_taken_in_or_refused() {
        for (name, run) in BODIES {
            let files = corpus::files(name);
            assert!(files.len() > 3, "no seeds for {name}");
            for (file, bytes) in files {
                println!("{file}");
                run(&bytes);
            }
        }
    }

    #[test]
    fn whatever_passes_the_first_look_is_taken_in_whole_and_given_out() {
        let mut chance = Entropy::new([3; 32]);
        for _ in 0..300 {
            let [length] = chance.draw::<1>();
            let bytes: [u8; 24] = chance.draw();
            import(&[&[0x80], &bytes[..usize::from(length) % 24]].concat());
        }
    }

    #[test]
    fn every_body_has_a_target() {
        for (name, _) in BODIES {
            corpus::check_target(name);
        }
    }
}
