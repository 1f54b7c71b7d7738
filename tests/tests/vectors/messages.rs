//! Frames of every kind, as bytes and as JSON, and what is none.

use pleach_core::{
    Id, SecretKey,
    entry::Permission,
    wire::{Binding, Frame, FrameError, Invite, ProofTarget, Redemption, Side, json as text},
};
use pleach_storage::conformance::Maker;
use serde_json::{Value, json};

use super::{hex, kind};

fn id(n: u8) -> String {
    Id::of(&[n]).to_string()
}

fn position(height: u64, n: u8) -> Value {
    json!({ "height": height, "id": id(n) })
}

fn range(rise: u64, prefix: &str, mode: impl Into<Value>) -> Value {
    json!({ "bound": { "rise": rise, "id": prefix }, "mode": mode.into() })
}

fn hello() -> Value {
    json!({
        "versions": { "oldest": 1, "newest": 1 }, "capabilities": 13, "limits": { "frame": 1_048_576, "message":
        8_388_608 }, "tree": id(0), "salt": "0011223344556677", "tips": { "Named": [id(1), id(2)] }, "count": 300,
        "token": null, "start": { "height": 0, "id": "" }, "hold": 0,
    })
}

fn with(mut value: Value, changes: &[(&str, Value)]) -> Value {
    for (name, change) in changes {
        value[*name] = change.clone();
    }
    value
}

fn ask(permission: &Value, name: &str, invite: &Value) -> Value {
    json!({
        "versions": { "oldest": 1, "newest": 1 }, "tree": id(0), "permission": permission, "name": name, "invite":
        invite, "hold": 0,
    })
}

/// Every kind, every variant of what is in them, and the edges of numbers.
#[expect(clippy::too_many_lines, reason = "a list")]
fn good() -> Vec<(&'static str, Value)> {
    let fingerprint: Vec<u8> = (240..=255).collect();
    let modes = vec![
        range(0, "01", "Skip"),
        range(0, "0102", "Open"),
        range(1, "", "Empty"),
        range(
            1,
            &"ff".repeat(32),
            json!({ "Fingerprint": { "fingerprint": fingerprint, "count": 1_000_000 } }),
        ),
        range(2, "", json!({ "List": ["0000000000000001", "ffffffffffffffff"] })),
        range(3, "", json!({ "Ids": [id(3)] })),
        range(4, "", "Ask"),
        range(127, "", json!({ "Answer": { "check": u32::MAX, "wanted": u64::MAX } })),
        range(128, "", "Sending"),
        range(0, "", "Empty"),
    ];
    let token = json!({ "epoch": [0, 1, 2, 3, 4, 5, 127, 255], "number": u64::MAX });
    let limits = json!({ "frame": 2_048, "message": 65_536 });
    let reply = json!({ "version": 1, "capabilities": 0, "limits": limits, "same": false, "count": 0 });
    let end = json!({ "until": null, "tips": null, "count": 0, "token": null });
    let maker = Maker::new(1);
    let child = maker.entry(&[maker.root().position()], "a", "b");
    let base64 = |bytes: &[u8]| json!(data_encoding::BASE64.encode(bytes));
    let (admin, secret, redeemer) =
        (SecretKey::from_bytes([1; 32]), SecretKey::from_bytes([2; 32]), SecretKey::from_bytes([3; 32]));
    let invite = Invite::sign(&admin, maker.tree(), secret.public(), Permission::Write(100), 1_024, 1 << 40);
    let invite = serde_json::to_value(Redemption::sign(invite, &secret, redeemer.public())).expect("JSON");
    let proof = |seed: u8| {
        let (by, to) = (admin.public(), secret.public());
        let target = ProofTarget { side: Side::Initiator, by, to, tree: Some(maker.tree()) };
        let proof = target.prove(&SecretKey::from_bytes([seed; 32]), &Binding::from_bytes([9; 32]));
        serde_json::to_value(proof).expect("JSON")
    };
    let line = |n: u8, name: &str| json!({ "tree": id(n), "name": name, "count": n, "changed": 1_700_000_000_000_u64 });
    let have = json!({
        "versions": { "oldest": 1, "newest": 1 }, "capabilities": 2, "limits": limits, "tree": id(0), "entry": 1_024,
        "entries": 40, "bytes": 20_000, "relieve": true, "base": [position(7, 1), position(7, 2)],
    });
    let refusals = [
        json!("Unknown"),
        json!({ "Busy": { "delay": 250 } }),
        json!({ "Incompatible": { "versions": { "oldest": 1, "newest": 255 }, "limits": limits } }),
        json!({ "Refused": { "id": id(4), "rule": "ä".repeat(36) } }),
        json!({ "Malformed": { "rule": "" } }),
        json!("Failed"),
        json!("Partial"),
        json!("NoAdvance"),
    ];
    let names = ["Unknown", "Busy", "Incompatible", "Refused", "Malformed", "Failed", "Partial", "NoAdvance"];
    let mut list = vec![
        ("sync: an empty set", {
            let head = with(hello(), &[("tips", json!({ "Named": [] })), ("count", json!(0))]);
            json!({ "sync": { "head": head, "ranges": [range(0, "", "Empty")] } })
        }),
        ("sync: every mode that a request has, and a floor", {
            let head = with(
                hello(),
                &[
                    ("start", json!({ "height": 300, "id": "00ff" })),
                    (
                        "tips",
                        json!({ "Digest":
                fingerprint }),
                    ),
                ],
            );
            let modes: Vec<_> = modes.iter().filter(|mode| mode["mode"] != "Sending").cloned().collect();
            json!({ "sync": { "head": head, "ranges": modes } })
        }),
        ("sync: a token in place of ranges", {
            json!({ "sync": { "head": with(hello(), &[("token", token.clone())]), "ranges": [] } })
        }),
        ("sync: an answer that may be kept back", {
            json!({ "sync": { "head": with(hello(), &[("hold", json!(20_000))]), "ranges": [] } })
        }),
        (
            "reply: the same",
            json!({ "reply": { "head": with(reply.clone(), &[("same", json!(true))]), "ranges": [] } }),
        ),
        ("reply: every mode", json!({ "reply": { "head": reply, "ranges": modes } })),
        ("entries: none", json!({ "entries": [] })),
        ("entries: two", json!({ "entries": [base64(maker.root().bytes()), base64(child.bytes())] })),
        ("end: of a request", json!({ "end": end })),
        ("end: of a response that stopped", {
            let changes = [
                ("until", position((1 << 48) - 1, 9)),
                ("tips", json!({ "Named": [id(1)] })),
                ("count", json!(u64::MAX)),
                ("token", token),
            ];
            json!({ "end": with(end.clone(), &changes) })
        }),
        ("wants: none", json!({ "wants": [] })),
        ("wants: two", json!({ "wants": [id(1), id(2)] })),
        ("missing: one", json!({ "missing": [id(1)] })),
        ("gone: one", json!({ "gone": [id(1)] })),
        (
            "trees: from the first",
            json!({ "trees": { "versions": { "oldest": 0, "newest": 9 }, "after": null } }),
        ),
        (
            "trees: behind another",
            json!({ "trees": { "versions": { "oldest": 1, "newest": 1 }, "after": id(1) } }),
        ),
        ("tree list: none", json!({ "tree_list": { "head": { "version": 1, "more": false }, "trees": [] } })),
        ("tree list: two and more", {
            json!({ "tree_list": { "head": { "version": 1, "more": true }, "trees": [line(1, ""), line(2, &"n".repeat(128))] } })
        }),
        ("ask: to read", json!({ "ask": { "head": ask(&json!("Read"), "", &Value::Null), "metadata": "" } })),
        ("ask: to write, with a letter", {
            json!({ "ask": { "head": ask(&json!({ "Write": 65_535 }), "Bob", &Value::Null), "metadata": base64(b"please") } })
        }),
        ("ask: with an invite", {
            json!({ "ask": { "head": ask(&json!({ "Admin": 0 }), "Bob", &invite), "metadata": base64(&[0]) } })
        }),
        ("asked: received", json!({ "asked": { "version": 1, "outcome": "Received" } })),
        (
            "asked: approved",
            json!({ "asked": { "version": 1, "outcome": { "Approved": { "Write": 128 } } } }),
        ),
        ("asked: rejected", json!({ "asked": { "version": 1, "outcome": "Rejected" } })),
        ("keys: one", json!({ "keys": [proof(3)] })),
        ("keys: two", json!({ "keys": [proof(3), proof(4)] })),
        ("have: nothing", {
            let nothing = with(have.clone(), &[("base", json!([])), ("relieve", json!(false))]);
            json!({ "have": { "head": nothing, "ids": [] } })
        }),
        ("have: a base and a ring", json!({ "have": { "head": have, "ids": [id(3), id(4)] } })),
        ("advance", json!({ "advance": base64(child.bytes()) })),
    ];
    list.extend(names.into_iter().zip(refusals).map(|(name, refusal)| {
        (&*Box::leak(format!("refusal: {name}").into_boxed_str()), json!({ "refusal": refusal }))
    }));
    list
}

fn bytes_of(value: &Value) -> Vec<u8> {
    text::from_text(&value.to_string()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

/// Bytes that are no frame: a name, bytes, and how many zeros follow.
fn bad() -> Vec<(String, Vec<u8>, usize)> {
    let good = good();
    let of = |name: &str| bytes_of(&good.iter().find(|(known, _)| *known == name).expect("a good one").1);
    let end = of("end: of a request");
    let with = |bytes: &[u8], more: &[u8]| [bytes, more].concat();
    let (token, proofs) = (of("sync: a token in place of ranges"), of("keys: two"));
    let list: Vec<(&str, Vec<u8>, usize)> = vec![
        ("no byte", vec![], 0),
        ("a kind that there is not", vec![15], 0),
        ("proofs of no key", vec![14], 0),
        ("a proof cut short", proofs[..proofs.len() - 1].to_vec(), 0),
        ("17 proofs", vec![14], 17 * 96),
        ("a kind of 255", vec![255], 0),
        ("more bytes than a frame has", vec![2], 1 << 20),
        ("a byte behind an end", with(&end, &[0]), 0),
        ("an end cut short", end[..end.len() - 1].to_vec(), 0),
        ("a count in two bytes that fits into one", vec![3, 0, 0, 0x80, 0, 0], 0),
        ("an option that is 2", vec![3, 2, 0, 0, 0], 0),
        ("a third kind of tips", vec![3, 0, 1, 2, 0, 0], 0),
        ("three tips by name", with(&[3, 0, 1, 0, 3], &[7; 96]), 2),
        ("a refusal of a ninth kind", vec![6, 8], 0),
        ("a refusal's kind in two bytes", vec![6, 0x80, 0], 0),
        ("a delay beyond 32 bits", vec![6, 1, 0x80, 0x80, 0x80, 0x80, 0x10], 0),
        ("a rule that is not UTF-8", vec![6, 4, 1, 0xff], 0),
        ("a rule of 73 bytes", with(&[6, 4, 73], &[b'r'; 73]), 0),
        ("an id of 31 bytes", with(&[4], &[9; 31]), 0),
        ("257 ids that are wanted", vec![4], 257 * 32),
        ("257 ids that are missing", vec![5], 257 * 32),
        ("257 ids that are gone", vec![12], 257 * 32),
        ("an entry of no bytes", vec![2, 0], 0),
        ("an entry shorter than its length", vec![2, 5, 1, 1], 0),
        ("an advance to nothing", vec![11], 0),
        ("an answer that is the same and 2", vec![1, 1, 0, 0, 0, 2, 0], 0),
        ("a range up to an id of 33 bytes", [&[1, 1, 0, 0, 0, 0, 0, 0, 33][..], &[1; 33], &[0]].concat(), 0),
        ("a ninth mode", vec![1, 1, 0, 0, 0, 0, 0, 1, 0, 9], 0),
        ("a list of 65", vec![1, 1, 0, 0, 0, 0, 0, 1, 0, 4, 65], 65 * 8),
        ("a token cut short", token[..token.len() - 8].to_vec(), 0),
        ("an answer to a request of a fourth kind", vec![13, 1, 3], 0),
        ("metadata of 4,097 bytes", of("ask: to read"), 4_097),
        ("a ring of 1,025", of("have: nothing"), 1_025 * 32),
        ("257 trees", vec![8, 1, 0], 257 * 35),
        ("4,097 entries", [&[2][..], &[1, 9].repeat(4_097)].concat(), 0),
    ];
    list.into_iter().map(|(name, bytes, zeros)| (name.to_owned(), bytes, zeros)).collect()
}

/// Text that is no frame.
fn no_json() -> Vec<(&'static str, String)> {
    let trees = r#"{"trees":{"versions":{"oldest":1,"newest":1},"after":null}}"#;
    let change = |from: &str, to: &str| trees.replace(from, to);
    vec![
        ("JSON: two kinds", change("}}", r#"},"wants":[]}"#)),
        ("JSON: a kind that there is not", change("trees", "forest")),
        ("JSON: a number where text belongs", change("null", "5")),
        ("JSON: an id of another length", change("null", "\"abc\"")),
        ("JSON: an id with a 1 in it", change("null", &format!("\"1{}\"", &id(1)[1..]))),
        ("JSON: a number beyond its bits", change(":1,", ":256,")),
        ("JSON: a negative number", change(":1,", ":-1,")),
        ("JSON: a field is missing", change(r#""oldest":1,"#, "")),
        ("JSON: base64 without padding", r#"{"advance":"AA"}"#.into()),
        ("JSON: 257 ids", json!({ "wants": vec![id(1); 257] }).to_string()),
        ("JSON: cut short", trees[..trees.len() - 1].into()),
    ]
}

pub(super) fn vectors() -> Vec<Value> {
    let mut list = Vec::new();
    for (name, value) in good() {
        let frame = bytes_of(&value);
        let shown: Value = serde_json::from_str(&text::to_text(&frame).expect("text")).expect("JSON");
        assert_eq!(shown, value, "{name}: JSON is what it was made from");
        let kind = value.as_object().and_then(|value| value.keys().next()).expect("one kind");
        list.push(json!({ "name": name, "kind": kind, "hex": hex(&frame), "json": value }));
    }
    for (name, bytes, zeros) in bad() {
        let padded = [&bytes[..], &vec![0; zeros]].concat();
        let Err(error) = Frame::read(&padded) else { panic!("{name}: accepted") };
        let _: FrameError = error;
        list.push(json!({
            "name": name, "hex": hex(&bytes), "zeros": zeros, "fault": kind(&error), "error": error.to_string(),
        }));
    }
    for (name, refused) in no_json() {
        assert!(text::from_text(&refused).is_err(), "{name}: accepted");
        list.push(json!({ "name": name, "text": refused }));
    }
    list
}
