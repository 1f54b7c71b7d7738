//! What is signed where a transport proves no keys: HTTP requests and responses, and the greeting on a serial line.

use pleach_core::{
    Id, SecretKey,
    wire::{
        Binding, KeyProof, NodeAnswer, ProofTarget, RequestHead, RequestTarget, ResponseHead, Side,
        Transcript, body_hash,
        serial::{Decoder, Heard, Link, ON_LINE, PacketKind, Tag},
    },
};
use serde_json::{Value, json};

use super::hex;

const BODY: &[u8] = br#"{"trees":{"versions":{"oldest":1,"newest":1},"after":null}}"#;
const TIME: u64 = 1_760_000_000_000;
const NONCE: [u8; 16] = [0xab; 16];

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes([seed; 32])
}

fn target(body: &[u8]) -> RequestTarget<'_> {
    let body = body_hash(body);
    RequestTarget { audience: key(2).public(), method: "POST", path: "/api/v0/sync", body }
}

/// The name of a request, from the lines that `docs/http.md` gives; that it is the one is shown by its signature.
fn digest(body: &[u8], sender: &str, time: u64, nonce: &[u8; 16]) -> [u8; 32] {
    let (node, body, nonce) = (key(2).public(), hex(&body_hash(body)), hex(nonce));
    let lines =
        format!("pleach/1/http/request\n{sender}\n{node}\nPOST\n/api/v0/sync\n{body}\n{time}\n{nonce}\n");
    *blake3::hash(lines.as_bytes()).as_bytes()
}

fn request(name: &str, body: &[u8], head: Option<&RequestHead>) -> Value {
    let digest = match head {
        Some(head) => digest(body, &head.key.to_string(), head.time, &head.nonce),
        None => digest(body, "-", 0, &[0; 16]),
    };
    let sender = head.map(|head| {
        json!({
            "key": head.key.to_string(), "time": head.time, "nonce": hex(&head.nonce),
            "signature": head.signature.to_string(),
        })
    });
    let mut vector = json!({
        "name": name, "what": "request", "node": key(2).public().to_string(), "method": "POST",
        "path": "/api/v0/sync", "body": hex(body), "digest": hex(&digest), "sender": sender,
        "header": head.map(ToString::to_string),
    });
    if head.is_some_and(|head| head.check(&target(body), TIME).is_err()) {
        vector["fault"] = json!("Signature");
    }
    vector
}

fn requests() -> Vec<Value> {
    let good = RequestHead::sign(&key(1), &target(BODY), TIME, NONCE);
    assert!(good.key.verify(&digest(BODY, &good.key.to_string(), TIME, &NONCE), &good.signature).is_ok());
    vec![
        request("a signed request", BODY, Some(&good)),
        request(
            "a signed request without a body",
            b"",
            Some(&RequestHead::sign(&key(1), &target(b""), TIME, NONCE)),
        ),
        request("an unsigned request", BODY, None),
        request("a request with another body than was signed", b"{}", Some(&good)),
        request(
            "a request with another time than was signed",
            BODY,
            Some(&RequestHead { time: TIME + 1, ..good }),
        ),
        request(
            "a request with another key than signed",
            BODY,
            Some(&RequestHead { key: key(3).public(), ..good }),
        ),
    ]
}

fn responses() -> Vec<Value> {
    let request = target(BODY).digest(None, 0, &[0; 16]);
    let body = b"[{\"head\":1},\n{\"end\":2},\n";
    let head = ResponseHead::sign(&key(2), request, TIME);
    let mut transcript = Transcript::new(request);
    transcript.add(body);
    let end = transcript.sign(&key(2));
    let vector = |name: &str, body: &[u8], head: &ResponseHead| {
        json!({
            "name": name, "what": "response", "node": key(2).public().to_string(), "digest":
            hex(&digest(BODY, "-", 0, &[0; 16])), "head": { "time": head.time, "signature":
            head.signature.to_string() }, "body": hex(body), "end": end.to_string(),
        })
    };
    let bad = |mut vector: Value| {
        vector["fault"] = json!("Signature");
        vector
    };
    let later = ResponseHead { time: TIME + 1, ..head };
    assert!(later.check(key(2).public(), request).is_err());
    let mut changed = Transcript::new(request);
    changed.add(&body[1..]);
    assert!(changed.check(key(2).public(), &end).is_err());
    vec![
        vector("a response", body, &head),
        bad(vector("a response whose head has another time", body, &later)),
        bad(vector("a response that lost its first byte", &body[1..], &head)),
    ]
}

fn nodes() -> Vec<Value> {
    let answer = NodeAnswer::sign(&key(2), TIME, &NONCE);
    let vector = |name: &str, nonce: [u8; 16]| {
        let good = answer.check(key(1).public(), Some(key(2).public()), &nonce).is_ok();
        let mut vector = json!({
            "name": name, "what": "node", "key": answer.key.to_string(), "versions": answer.versions,
            "time": answer.time, "nonce": hex(&nonce), "signature": answer.signature.to_string(),
        });
        if !good {
            vector["fault"] = json!("Signature");
        }
        vector
    };
    vec![vector("who a node is", NONCE), vector("who a node is, to another nonce", [0; 16])]
}

/// Proofs of a further key, bound to an HTTP request.
fn proofs() -> Vec<Value> {
    let binding = RequestHead::binds(TIME, &NONCE);
    let tree = Some(Id::from_bytes([4; 32]));
    let target = ProofTarget { side: Side::Initiator, by: key(1).public(), to: key(2).public(), tree };
    let vector = |name: &str, target: ProofTarget, binding: Binding, proof: &KeyProof| {
        let mut vector = json!({
            "name": name, "what": "proof",
            "side": if target.side == Side::Initiator { "initiator" } else { "responder" },
            "key": proof.key.to_string(), "by": target.by.to_string(), "to": target.to.to_string(),
            "tree": target.tree.map(|tree| tree.to_string()), "time": TIME, "nonce": hex(&NONCE),
            "binding": hex(binding.as_bytes()), "signature": proof.signature.to_string(),
        });
        if target.check(proof, &binding).is_err() {
            vector["fault"] = json!("Signature");
        }
        vector
    };
    let proof = target.prove(&key(3), &binding);
    let (lists, answer) = (
        ProofTarget { tree: None, ..target },
        ProofTarget { side: Side::Responder, by: target.to, to: target.by, ..target },
    );
    let elsewhere = ProofTarget { to: key(5).public(), ..target };
    vec![
        vector("a further key", target, binding, &proof),
        vector("a further key, asking for lists", lists, binding, &lists.prove(&key(3), &binding)),
        vector("a further key of a responder", answer, binding, &answer.prove(&key(3), &binding)),
        vector("a further key that was proven to another node", elsewhere, binding, &proof),
        vector("a further key that was proven for a tree, asking for lists", lists, binding, &proof),
        vector(
            "a further key that another signed for",
            target,
            binding,
            &KeyProof { key: key(6).public(), ..proof },
        ),
    ]
}

/// The packet that these bytes of a line are.
fn packet(bytes: &[u8], tag: Tag) -> Value {
    let mut decoder = Decoder::default();
    for byte in bytes {
        if let Some(packet) = decoder.push(*byte, tag) {
            return json!({
                "kind": packet.kind as u8, "number": packet.number, "payload": hex(packet.payload),
                "bytes": hex(bytes),
            });
        }
    }
    panic!("no packet");
}

/// A greeting, and what is said behind it.
fn serial() -> Vec<Value> {
    let mut room = [0; ON_LINE];
    let mut initiator = Link::initiator(key(1), None, [5; 16], 4_096);
    let mut responder = Link::responder(key(2), [6; 16], 1 << 20);
    let used = initiator.hello(&mut room).expect("room");
    let hello = room[..used].to_vec();
    let mut hear = |link: &mut Link, bytes: &[u8]| {
        let mut said = Vec::new();
        for byte in bytes {
            match link.push(*byte, &mut room).expect("a good line") {
                Heard::Reply(used) | Heard::Opened { reply: used, .. } => said = room[..used].to_vec(),
                _ => {}
            }
        }
        said
    };
    let answer = hear(&mut responder, &hello);
    let proof = hear(&mut initiator, &answer);
    assert!(hear(&mut responder, &proof).is_empty());
    let open = packet(&hello, Tag::default());
    let answered = packet(&answer, Tag::default());
    let bytes = |value: &Value| {
        data_encoding::HEXLOWER
            .decode(value["payload"].as_str().expect("text").as_bytes())
            .expect("hexadecimal")
    };
    let (greeting, answering) = (bytes(&open), bytes(&answered));
    let (own, signature) = answering.split_at(answering.len() - 64);
    let digest = blake3::derive_key("pleach 2026 serial v1 session", &[&greeting[..], own].concat());
    let tag = Tag([digest[0], digest[1], digest[2], digest[3]]);
    let proved = packet(&proof, tag);
    let mut packets = vec![open, answered, proved.clone()];
    // The second has more than 254 bytes without a zero, the third nothing but zeros.
    for (kind, payload) in [
        (PacketKind::Part, &[0x11; 512][..]),
        (PacketKind::Part, &[1, 0, 2]),
        (PacketKind::Last, &[0; 3]),
        (PacketKind::End, &[]),
        (PacketKind::Close, &[]),
    ] {
        let used = initiator.write(kind, payload, &mut room).expect("room");
        packets.push(packet(&room[..used], tag));
    }
    let side = |frame: u32, nonce: &[u8], seed: u8| json!({ "version": 1, "frame": frame, "nonce": hex(nonce), "key": key(seed).public().to_string() });
    let nonce = &own[own.len() - 48..own.len() - 32];
    let signed = |bytes: &[u8]| data_encoding::BASE64.encode(bytes);
    vec![json!({
        "name": "a session on a line", "what": "serial", "hello": hex(&greeting), "answer": hex(own),
        "initiator": side(4_096, &[5; 16], 1), "responder": side(1 << 20, nonce, 2),
        "digest": hex(&digest), "binding": hex(initiator.binding().expect("an open session").as_bytes()), "answered": signed(signature), "proved": signed(&bytes(&proved)),
        "packets": packets,
    })]
}

pub(super) fn vectors() -> Vec<Value> {
    [requests(), responses(), nodes(), proofs(), serial()].concat()
}
