//! The reader in Python over all files, and over vectors with something wrong in them.

use std::{
    fs,
    process::{Command, Output},
};

use data_encoding::HEXLOWER;
use pleach_core::SecretKey;
use serde_json::{Value, json};

use super::{FILES, folder, hex, path, text};

/// What must be wrong for the reader to find it: the file, the vector's name, and the change.
type Change = (&'static str, &'static str, &'static str, fn(&mut Value));

/// Runs the reader; nothing where there is no Python. `PLEACH_PYTHON` forbids that.
fn read(paths: &[&std::path::Path]) -> Option<Output> {
    let script = folder().join("read.py");
    match Command::new("python3").arg("-B").arg(script).args(paths).output() {
        Ok(output) => Some(output),
        Err(why) if std::env::var_os("PLEACH_PYTHON").is_some() => panic!("python3 does not run: {why}"),
        Err(why) => {
            println!("left out, since python3 does not run: {why}");
            None
        }
    }
}

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].iter().map(|part| String::from_utf8_lossy(part)).collect()
}

#[test]
fn a_reader_of_its_own_agrees_with_every_vector() {
    let Some(output) = read(&[]) else { return };
    let count: usize = FILES.iter().map(|(_, vectors)| vectors().len()).sum();
    let said = said(&output);
    assert!(
        output.status.success() && said.ends_with(&format!("{count} vectors checked, 0 wrong\n")),
        "{said}"
    );
}

/// Flips the lowest bit of a byte in hexadecimal text.
fn flip(value: &mut Value, at: usize) {
    let mut bytes = HEXLOWER.decode(value.as_str().expect("text").as_bytes()).expect("hexadecimal");
    bytes[at] ^= 1;
    *value = json!(hex(&bytes));
}

fn swap(value: &mut Value, one: usize, two: usize) {
    value.as_array_mut().expect("a list").swap(one, two);
}

fn remove(value: &mut Value, at: usize) {
    value.as_array_mut().expect("a list").remove(at);
}

fn add(value: &mut Value, by: u64) {
    *value = json!(value.as_u64().expect("a number") + by);
}

/// Replaces a letter by the one after it.
fn letter(value: &mut Value, at: usize) {
    let mut text = value.as_str().expect("text").to_owned();
    let other = if text.as_bytes()[at] == b'b' { "c" } else { "b" };
    text.replace_range(at..=at, other);
    *value = json!(text);
}

fn in_base64(value: &mut Value) {
    let mut bytes = data_encoding::BASE64.decode(value.as_str().expect("text").as_bytes()).expect("base64");
    bytes[5] ^= 1;
    *value = json!(data_encoding::BASE64.encode(&bytes));
}

fn in_entries() -> Vec<Change> {
    const CHILD: &str = "a child with one write";
    vec![
        ("entries", "a bit of an entry", CHILD, |it| flip(&mut it["hex"], 40)),
        ("entries", "a bit of a signature", CHILD, |it| {
            let last = it["hex"].as_str().map_or(0, str::len) / 2 - 1;
            flip(&mut it["hex"], last);
        }),
        ("entries", "another reason", "a parent twice", |it| it["fault"] = json!("StoreOrder")),
        ("entries", "a good entry called bad", CHILD, |it| it["fault"] = json!("Signature")),
        ("entries", "a bad entry called good", "a value that is not a number", |it| {
            it.as_object_mut().map(|it| it.remove("fault"));
        }),
        ("entries", "another id", CHILD, |it| letter(&mut it["id"], 3)),
        ("entries", "another time than the bytes say", CHILD, |it| add(&mut it["entry"]["time"], 1)),
        ("entries", "another value than the bytes say", "every kind of value", |it| {
            it["entry"]["stores"][0]["data"]["map"][0][1]["map"][0] = json!(["x", null]);
        }),
        ("entries", "fewer bytes than are too many", "more bytes than an entry has", |it| {
            it["zeros"] = json!(it["zeros"].as_u64().expect("a number") - 1);
        }),
        ("messages", "a bit of a frame", "end: of a response that stopped", |it| flip(&mut it["hex"], 20)),
        ("messages", "a padded number", "end: of a request", |it| it["hex"] = json!("030000800000")),
        ("messages", "another field than the bytes say", "sync: an answer that may be kept back", |it| {
            add(&mut it["json"]["sync"]["head"]["hold"], 1);
        }),
        ("messages", "another kind", "wants: none", |it| it["kind"] = json!("gone")),
        ("messages", "another reason", "257 ids that are gone", |it| it["fault"] = json!("Body")),
        ("messages", "JSON that is a frame after all", "JSON: a negative number", |it| {
            it["text"] = json!(it["text"].as_str().expect("text").replace(":-1,", ":1,"));
        }),
    ]
}

fn in_sessions() -> Vec<Change> {
    vec![
        ("sessions", "two frames of a message swapped", "both", |it| {
            swap(&mut it["messages"][1]["frames"], 0, 1);
        }),
        ("sessions", "two messages swapped", "both", |it| swap(&mut it["messages"], 0, 1)),
        ("sessions", "a frame lost", "behind", |it| remove(&mut it["messages"][1]["frames"], 1)),
        ("sessions", "a bit of a frame's fingerprints or short forms", "both", |it| {
            // The first range's fingerprint lies behind the head, of which the tree and one tip take most.
            flip(&mut it["messages"][0]["frames"][0], 100);
        }),
        ("sessions", "a bit of the salt", "both", |it| flip(&mut it["messages"][0]["frames"][0], 45)),
        ("sessions", "a bit of an entry on its way", "behind", |it| {
            flip(&mut it["messages"][1]["frames"][1], 60);
        }),
        ("sessions", "another version", "behind", |it| flip(&mut it["messages"][1]["frames"][0], 1)),
        ("sessions", "another set before", "ahead", |it| remove(&mut it["initiator"]["before"], 3)),
        ("sessions", "another set after", "behind", |it| remove(&mut it["initiator"]["after"], 2)),
        ("sessions", "another count at the end", "bootstrap", |it| {
            let frames = it["messages"][1]["frames"].as_array_mut().expect("frames");
            let end = frames.last_mut().expect("an end");
            // Behind the digest of the tips: kind, no place to go on, some tips, by digest, 16 bytes.
            flip(end, 4 + 16);
        }),
        ("sessions", "a parent that nobody misses", "missing", |it| {
            remove(&mut it["messages"][1]["frames"], 1);
        }),
        ("sessions", "another refusal", "refused: Unknown", |it| it["refused"] = json!("Partial")),
        ("sessions", "a device that is asked as any other", "refused: Partial", |it| {
            it["refused"] = json!("Unknown");
            it["messages"][1]["frames"] = json!(["0600"]);
        }),
        ("sessions", "malformed ranges that are answered", "refused: sending in a request", |it| {
            it["refused"] = json!(null);
        }),
    ]
}

/// Where a device that has no room says whether it wants relief: behind its versions, what it can do, its limits, the
/// tree and its room.
const RELIEVE: usize = 1 + 2 + 1 + (2 + 3) + 32 + (2 + 1 + 1);

fn in_contacts() -> Vec<Change> {
    vec![
        ("partial", "two ids of the ring swapped", "readings", |it| {
            let frame = &mut it["messages"][0]["frames"][0];
            let mut bytes = HEXLOWER.decode(frame.as_str().expect("text").as_bytes()).expect("hexadecimal");
            let ids = bytes.len() - 3 * 32;
            bytes[ids..].rotate_left(32);
            *frame = json!(hex(&bytes));
        }),
        ("partial", "a bit of the base", "news", |it| {
            let last = it["messages"][0]["frames"][0].as_str().map_or(0, str::len) / 2 - 1;
            flip(&mut it["messages"][0]["frames"][0], last);
        }),
        ("partial", "less room than it says", "news", |it| it["device"]["room"]["entries"] = json!(31)),
        ("partial", "relief that is not asked for", "relief without news", |it| {
            flip(&mut it["messages"][0]["frames"][0], RELIEVE);
        }),
        ("partial", "the same that is not", "news", |it| {
            remove(&mut it["messages"][1]["frames"], 1);
            let last = it["messages"][1]["frames"][0].as_str().map_or(0, str::len) / 2 - 2;
            flip(&mut it["messages"][1]["frames"][0], last);
        }),
        ("partial", "nothing sent of what is lacking", "news", |it| {
            remove(&mut it["messages"][1]["frames"], 1);
        }),
        ("partial", "a bit of what is missing", "readings", |it| {
            flip(&mut it["messages"][1]["frames"][1], 40);
        }),
        ("partial", "readings that are not sent", "readings", |it| {
            remove(&mut it["messages"][2]["frames"], 1);
        }),
        ("partial", "a node that is not on the list", "readings", |it| {
            it["device"]["allowed"] = json!([it["device"]["key"]]);
        }),
        ("partial", "what is gone left out", "a node that is behind", |it| {
            remove(&mut it["messages"][2]["frames"], 1);
        }),
        ("partial", "a base by a key that is not allowed", "a merge over a reading", |it| {
            it["device"]["allowed"] = json!([it["device"]["key"]]);
        }),
        ("partial", "a base that is called bad", "a merge over a reading", |it| {
            it["fault"] = json!("NotOnTop");
        }),
        ("partial", "a base that is called good", "a base beside a reading", |it| {
            it.as_object_mut().map(|it| it.remove("fault"));
        }),
        ("partial", "a merge by another key than the node's", "a merge over a reading", |it| {
            it["node"]["key"] = it["device"]["key"].clone();
        }),
        ("partial", "a merge that was there before", "a merge over a reading", |it| {
            it["node"]["before"] = it["node"]["after"].clone();
        }),
        ("partial", "a ring that outlives its base", "a merge over a reading", |it| {
            it["device"]["after"]["ring"] = it["device"]["before"]["ring"].clone();
        }),
        ("partial", "a reading that is not stored", "readings", |it| remove(&mut it["node"]["after"], 4)),
        ("partial", "another refusal", "refused: NoAdvance", |it| it["refused"] = json!("Partial")),
        ("partial", "a further key in another exchange", "a further key", |it| {
            flip(&mut it["messages"][0]["binding"], 3);
        }),
        ("partial", "a further key left out", "a further key", |it| {
            remove(&mut it["messages"][0]["frames"], 0);
        }),
    ]
}

fn where_keys_count() -> Vec<Change> {
    const USERS: &str = "a user's key";
    const THEIRS: &str = "a user's key of the responder";
    const INVITED: &str = "approved: an invite";
    vec![
        ("keys", "another exchange", USERS, |it| flip(&mut it["messages"][0]["binding"], 0)),
        ("keys", "a bit of a proof", USERS, |it| flip(&mut it["messages"][0]["frames"][0], 60)),
        ("keys", "another node", USERS, |it| it["keys"]["initiator"] = it["keys"]["responder"].clone()),
        ("keys", "proofs left out", USERS, |it| remove(&mut it["messages"][0]["frames"], 0)),
        ("keys", "proofs behind the head", USERS, |it| swap(&mut it["messages"][0]["frames"], 0, 1)),
        ("keys", "a good proof that is refused", "refused: a proof to another node", |it| {
            it["keys"]["responder"] = json!(SecretKey::from_bytes([201; 32]).public().to_string());
        }),
        ("keys", "a key that was not revoked", "a user's key that was revoked", |it| {
            remove(&mut it["responder"]["before"], 2);
            remove(&mut it["responder"]["after"], 2);
        }),
        ("keys", "proofs of the responder left out", THEIRS, |it| {
            remove(&mut it["messages"][1]["frames"], 0);
        }),
        ("keys", "proofs of the responder in another exchange", THEIRS, |it| {
            flip(&mut it["messages"][1]["binding"], 31);
        }),
        ("lists", "trees that are not there", "a list", |it| {
            it["trees"].as_array_mut().expect("a list").truncate(1);
        }),
        ("lists", "a further key left out", "a list with a further key", |it| {
            remove(&mut it["messages"][0]["frames"], 0);
        }),
        ("lists", "another node", "a list", |it| {
            it["keys"]["initiator"] = json!(SecretKey::from_bytes([9; 32]).public().to_string());
        }),
        ("lists", "a bit of a count", "a list for nobody", |it| {
            // Behind it stands the time of the last change, a number of six bytes.
            let last = it["messages"][1]["frames"][0].as_str().map_or(0, str::len) / 2 - 7;
            flip(&mut it["messages"][1]["frames"][0], last);
        }),
        ("lists", "lines from the first on", "a list from behind a tree", |it| {
            it["messages"][0]["frames"][1] = json!("07010100");
        }),
        ("lists", "no more", "more than a list holds", |it| flip(&mut it["messages"][1]["frames"][0], 2)),
        ("asks", "a decision about another request", "approved", |it| letter(&mut it["decided"][0]["id"], 5)),
        ("asks", "another decision", "rejected", |it| {
            it["decided"][0]["outcome"] = json!({ "Approved": "Read" });
        }),
        ("asks", "a bit of the metadata", "approved", |it| {
            let last = it["messages"][0]["frames"][0].as_str().map_or(0, str::len) / 2 - 1;
            flip(&mut it["messages"][0]["frames"][0], last);
        }),
        ("asks", "an invite that has expired", INVITED, |it| add(&mut it["now"], 7 * 86_400_000)),
        ("asks", "a grant that is not written", INVITED, |it| {
            let last = it["after"].as_array().map_or(0, Vec::len) - 1;
            remove(&mut it["after"], last);
        }),
        ("asks", "an invite to another key", INVITED, |it| {
            it["keys"]["initiator"] = it["keys"]["responder"].clone();
        }),
        ("asks", "an invite that is good after all", "received: an invite that has expired", |it| {
            *it.get_mut("now").expect("a time") = json!(1_699_999_999_999_u64);
        }),
        ("asks", "a request by somebody", "refused: a request by nobody", |it| {
            it["keys"]["initiator"] = it["keys"]["responder"].clone();
        }),
    ]
}

fn in_the_rest() -> Vec<Change> {
    const MASKED: &str = "a revocation masks what was written apart and nothing before it";
    const INVITED: &str = "two addresses and an invite";
    vec![
        ("permissions", "another tip", MASKED, |it| it["orders"][0][4]["tips"] = json!([3])),
        ("permissions", "a masked entry that counts", MASKED, |it| {
            it["orders"][0][4]["counts"] = json!([0, 1, 2, 3, 4]);
        }),
        ("permissions", "a shared set without an ancestor", MASKED, |it| {
            remove(&mut it["orders"][0][4]["shared"], 0);
        }),
        ("permissions", "an entry that is not valid called so", "who may read does not write", |it| {
            it["valid"] = json!([0, 1, 2]);
        }),
        ("permissions", "a valid entry called not so", "who has no grant does not write", |it| {
            remove(&mut it["valid"], 0);
        }),
        ("permissions", "an order with a child before its parent", MASKED, |it| {
            swap(&mut it["orders"][0], 2, 3);
        }),
        ("permissions", "a bit of an entry", "by chance, seed 3", |it| flip(&mut it["entries"][4], 90)),
        ("tickets", "a letter of an invite", INVITED, |it| {
            let last = it["text"].as_str().map_or(0, str::len) - 90;
            letter(&mut it["text"], last);
        }),
        ("tickets", "another way to write it", INVITED, |it| letter(&mut it["written"], 70)),
        ("tickets", "another reason", "two databases", |it| it["fault"] = json!("Database")),
        ("tickets", "an address that is none", "unknown parameters and malformed hints", |it| {
            it["ticket"]["addresses"] = json!([]);
        }),
        ("tickets", "a proof for another key", "redeemed", |it| letter(&mut it["redeemer"], 4)),
        ("tickets", "a bit of a proof", "redeemed", |it| in_base64(&mut it["proof"])),
        ("tickets", "a worthless invite that is worth something", "redeemed with more uses", |it| {
            it.as_object_mut().map(|it| it.remove("fault"));
        }),
        ("signed", "a request at another time", "a signed request", |it| add(&mut it["sender"]["time"], 1)),
        ("signed", "another name of a request", "an unsigned request", |it| flip(&mut it["digest"], 0)),
        ("signed", "a bit of a response's body", "a response", |it| flip(&mut it["body"], 3)),
        ("signed", "a further key for another node", "a further key", |it| {
            it["to"] = it["by"].clone();
        }),
        ("signed", "another version", "who a node is", |it| it["versions"] = json!([1, 2])),
        ("signed", "a byte of a packet", "a session on a line", |it| flip(&mut it["packets"][3]["bytes"], 9)),
        ("signed", "a proof on a line", "a session on a line", |it| in_base64(&mut it["proved"])),
    ]
}

#[test]
fn the_reader_finds_each_of_these_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let changes = [in_entries(), in_sessions(), in_contacts(), where_keys_count(), in_the_rest()].concat();
    assert!(changes.len() >= 20);
    let mut places = Vec::new();
    for (number, (file, what, name, change)) in changes.iter().enumerate() {
        let whole = fs::read_to_string(path(file)).expect("a file of vectors");
        let whole: Value = serde_json::from_str(&whole).expect("JSON");
        let list = whole["list"].as_array().expect("a list");
        let vector = list.iter().find(|vector| vector["name"] == *name);
        let vector = vector.unwrap_or_else(|| panic!("{file} has no {name}"));
        let mut changed = vector.clone();
        change(&mut changed);
        assert_ne!(changed, *vector, "{file}: {what}: nothing was changed");
        places.push(folder.path().join(format!("{number}.json")));
        fs::write(&places[number], text(file, &[changed])).expect("a file");
    }
    let places: Vec<_> = places.iter().map(std::path::PathBuf::as_path).collect();
    let Some(output) = read(&places) else { return };
    let said = said(&output);
    for (number, (file, what, name, _)) in changes.iter().enumerate() {
        // It says which vector is wrong and why.
        let start = format!("{number}.json: {name}: ");
        let judged = said.lines().find_map(|line| line.strip_prefix(&start));
        let judged = judged.unwrap_or_else(|| panic!("{file}: {what}: {name} is found good: {said}"));
        // A reader that falls over has judged nothing.
        assert!(!judged.starts_with("Traceback"), "{file}: {what}: {said}");
        println!("{file}: {what}: {name}: {judged}");
    }
    assert_eq!(output.status.code(), Some(1));
}
