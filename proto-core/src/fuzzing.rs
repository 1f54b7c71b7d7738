//! What the fuzzers run, and the ordinary tests over a small corpus: one body for each reader of outside bytes.
//!
//! A body takes any bytes, and panics if a promise does not hold. What is refused is refused; what is accepted must
//! read the same every time, and be exactly what the encoder would write. Private: for the tests of this project.

#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a body reports by panicking, and only tests and fuzzers run it"
)]

use alloc::{vec, vec::Vec};
use core::{fmt::Display, str::FromStr};

use crate::{
    Id, Position, PublicKey, Range, SecretKey, canonical,
    entry::{
        Entry, EntryBuilder, EntryView, Origin, Permission, StoreData, Value, ValueView, VerifiedEntry, Who,
    },
    path,
    storage::{Epoch, Measure, Token},
    wire::{
        Address, Ask, AskOutcome, Asked, Binding, Bound, CAPABILITIES, DatabaseTicket, End, EntriesWriter,
        Floor, Frame, Hello, Invitation, Invite, Kind, Mode, NodeAnswer, PeerLimits, Prefix, ProofTarget,
        RangeItem, Redemption, Refusal, Reply, RequestHead, RequestTarget, ResponseHead, Rule, Salt, Side,
        Tips, TreesRequest, VERSION, Versions, json,
        serial::{Decoder, Heard, Link, ON_LINE, Tag, encode},
        write,
    },
};

/// A body: takes any bytes.
pub type Body = fn(&[u8]);

/// Every body by the name of its target and of the folder that holds its corpus.
pub const BODIES: &[(&str, Body)] = &[
    ("entry", entry),
    ("store_data", store_data),
    ("value", value),
    ("frame", frame),
    ("session", session),
    ("text", text),
    ("json", json),
    ("signed", signed),
    ("serial", serial),
];

/// The bytes as an entry.
pub fn entry(bytes: &[u8]) {
    let Ok(view) = EntryView::read(bytes) else { return };
    let entry = Entry::read(bytes).expect("the same bytes read the same");
    assert_eq!(view.bytes(), bytes);
    assert_eq!(entry.view(), view);
    assert_eq!(entry.position(), view.position());
    assert_eq!(view.parents().iter().count(), view.parents().len());
    for store in &view.stores() {
        store_data(store.data);
        assert!(store.read().is_ok(), "what was checked once can be read again");
    }
    if let Some(last) = bytes.len().checked_sub(1) {
        assert!(EntryView::read(&bytes[..last]).is_err(), "an entry cut short is none");
    }
    assert!(EntryView::read(&[bytes, &[0]].concat()).is_err(), "nothing follows an entry");
    // Either outcome is right; it must only come.
    let _ = view.verify();
}

/// The bytes as what an entry writes into one store, by itself and inside a signed entry.
pub fn store_data(bytes: &[u8]) {
    let Ok(data) = StoreData::read(bytes) else { return };
    match data {
        StoreData::Map(writes) => {
            assert_eq!(writes.iter().count(), writes.len());
            for write in &writes {
                assert_eq!(path::check(write.path), Ok(()));
                assert!(path::ancestors(write.path).all(|above| path::is_below(write.path, above)));
                value(write.value.map_or(&[0], |value| value.encoded()));
            }
        }
        StoreData::Log(appends) => assert_eq!(appends.iter().count(), appends.len()),
        StoreData::Settings(settings) => {
            assert_eq!(settings.writes.iter().count(), settings.writes.len());
            assert_eq!(settings.grants.iter().count(), settings.grants.len());
            assert_eq!(settings.revocations.iter().count(), settings.revocations.len());
        }
    }
    let name = if matches!(data, StoreData::Settings(_)) { "_settings" } else { "main" };
    let above = Position { height: 7, id: Id::MIN };
    let mut builder = EntryBuilder::new(Origin::Tree(Id::MIN), 1);
    builder.parent(above).expect("one parent is not too many");
    let signed = VerifiedEntry::sign(&builder, &SecretKey::from_bytes([1; 32]), &[(name, bytes)]);
    let signed = signed.expect("data that reads can be signed");
    assert!(signed.view().verify().is_ok(), "what was signed here checks");
    assert!(signed.view().check_height(Some(above.height)).is_ok());
}

/// The bytes as a value.
pub fn value(bytes: &[u8]) {
    let Ok(value) = Value::decode(bytes) else {
        assert!(ValueView::from_encoded(bytes).check().is_err(), "what passes the check can be decoded");
        return;
    };
    assert_eq!(value.encode().as_deref(), Ok(bytes), "one value, one encoding");
    assert_eq!(Value::from_json(&value.to_json()), Ok(value), "JSON stands for the same value");
}

/// The bytes as a frame between peers. What is accepted is what the encoder writes, item by item.
pub fn frame(bytes: &[u8]) {
    let Ok(read) = Frame::read(bytes) else { return };
    let mut room = vec![0; bytes.len()];
    let written = match &read {
        Frame::Sync(head, items) => write(Kind::Sync, head, items.iter(), &mut room),
        Frame::Reply(head, items) => write(Kind::Reply, head, items.iter(), &mut room),
        Frame::End(head) => write(Kind::End, head, NOTHING, &mut room),
        Frame::Wants(items) => write(Kind::Wants, &(), items.iter(), &mut room),
        Frame::Missing(items) => write(Kind::Missing, &(), items.iter(), &mut room),
        Frame::Refusal(head) => write(Kind::Refusal, head, NOTHING, &mut room),
        Frame::Trees(head) => write(Kind::Trees, head, NOTHING, &mut room),
        Frame::TreeList(head, items) => write(Kind::TreeList, head, items.iter(), &mut room),
        Frame::Have(head, items) => write(Kind::Have, head, items.iter(), &mut room),
        Frame::Ask(head, metadata) => {
            let used = write(Kind::Ask, head, NOTHING, &mut room);
            used.map(|used| room[used..].copy_from_slice(metadata)).map(|()| room.len())
        }
        Frame::Asked(head) => write(Kind::Asked, head, NOTHING, &mut room),
        Frame::Keys(proofs) => write(Kind::Keys, &(), proofs.iter(), &mut room),
        Frame::Gone(items) => write(Kind::Gone, &(), items.iter(), &mut room),
        Frame::Advance(bytes) => {
            entry(bytes);
            room.copy_from_slice(&[&[Kind::Advance as u8], *bytes].concat());
            Some(room.len())
        }
        Frame::Entries(entries) => {
            entries.for_each(entry);
            let mut writer = EntriesWriter::new(&mut room);
            assert!(
                entries.into_iter().all(|bytes| writer.push(bytes)),
                "what came in fits into as many bytes"
            );
            Some(writer.finish().len())
        }
    };
    assert_eq!(written.and_then(|used| room.get(..used)), Some(bytes), "one frame, one encoding");
}

/// A frame without items.
const NOTHING: [(); 0] = [];

/// The bytes as what a peer sends in an exchange.
pub fn session(bytes: &[u8]) {
    crate::session::fuzzing::session(bytes);
}

/// The bytes as everything that people type or paste.
pub fn text(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    reads_back::<Id>(&text.to_ascii_lowercase());
    reads_back::<PublicKey>(&text.to_ascii_lowercase());
    reads_back::<Who>(&text.to_ascii_lowercase());
    if let Ok(address) = text.parse::<Address>() {
        assert_eq!(
            alloc::format!("{address}").parse(),
            Ok(address),
            "an address that was read prints as one"
        );
    }
    if let Ok(ticket) = text.parse::<DatabaseTicket>() {
        assert_eq!(alloc::format!("{ticket}").parse(), Ok(ticket), "a ticket that was read prints as one");
    }
    if let Ok(permission) = text.parse::<Permission>() {
        assert_eq!(alloc::format!("{permission}").parse(), Ok(permission));
    }
    if path::check(text).is_ok() {
        assert!(path::ancestors(text).all(|above| path::check(above).is_ok()), "above a path are paths");
    }
}

/// The bytes as a message in JSON, and as a frame to be shown in it.
pub fn json(bytes: &[u8]) {
    if let Ok(frames) = json::message(bytes) {
        for frame in frames {
            shown(&frame);
        }
    }
    shown(bytes);
}

/// Whatever is sent as JSON arrives as it was, be it a frame or not.
fn shown(bytes: &[u8]) {
    if !bytes.is_empty() && bytes.len() <= crate::limits::MAX_FRAME {
        let text = json::element(bytes);
        assert_eq!(json::from_element(text.as_bytes()).as_deref().ok(), Some(bytes), "{text}");
    }
    if Frame::read(bytes).is_ok() {
        frame(bytes);
        let text = json::to_text(bytes).expect("every frame can be shown");
        assert_eq!(json::from_text(&text).as_deref().ok(), Some(bytes), "{text}");
    }
}

/// The bytes as what proves a key over HTTP, and as an invite in a ticket: the header as text, and heads as JSON and as
/// bytes.
pub fn signed(bytes: &[u8]) {
    fn head<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + core::fmt::Debug>(bytes: &[u8]) {
        if let Ok(head) = canonical::from_bytes::<T>(bytes) {
            assert_eq!(canonical::to_vec(&head), bytes, "one head, one encoding");
        }
        if let Ok(head) = serde_json::from_slice::<T>(bytes) {
            let text = serde_json::to_vec(&head).expect("a head is JSON");
            assert_eq!(serde_json::from_slice::<T>(&text).ok(), Some(head));
        }
    }
    head::<ResponseHead>(bytes);
    head::<NodeAnswer>(bytes);
    head::<Redemption>(bytes);
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    if let Ok(head) = text.parse::<RequestHead>() {
        assert_eq!(alloc::format!("{head}").parse(), Ok(head), "a header that was read prints as one");
        let target = RequestTarget { audience: head.key, method: "POST", path: "/", body: [0; 32] };
        assert!(head.check(&target, head.time).is_err(), "nobody proves a key to themselves");
        // Either outcome is right; it must only come.
        let other = RequestTarget { audience: SecretKey::from_bytes([1; 32]).public(), ..target };
        let _ = head.check(&other, head.time);
    }
    if let Ok(Some(invitation)) = Invitation::from_text(text, Id::MIN) {
        assert_eq!(invitation.to_text(), text.to_ascii_lowercase(), "one invite, one text");
        assert_eq!(invitation.invite().check(), Ok(()), "only what is signed is read");
    }
}

/// The bytes as what comes on a serial line, to both sides and to the decoder below them.
pub fn serial(bytes: &[u8]) {
    let mut decoder = Decoder::default();
    for byte in bytes {
        let Some(packet) = decoder.push(*byte, Tag::default()) else { continue };
        let mut room = [0; ON_LINE];
        let used = encode(&packet, Tag::default(), &mut room).expect("what was read fits");
        let (kind, number, payload) = (packet.kind, packet.number, packet.payload.to_vec());
        let mut again = Decoder::default();
        let found = room[..used].iter().find_map(|byte| {
            again
                .push(*byte, Tag::default())
                .map(|packet| (packet.kind, packet.number, packet.payload.to_vec()))
        });
        assert_eq!(found, Some((kind, number, payload)), "a packet survives the line");
    }
    let key = |seed| SecretKey::from_bytes([seed; 32]);
    let mut room = [0; ON_LINE];
    let mut initiator = Link::initiator(key(1), None, [5; 16], 4_096);
    let mut responder = Link::responder(key(2), [6; 16], 4_096);
    for link in [&mut initiator, &mut responder] {
        for byte in bytes {
            if let Ok(Heard::Reply(used) | Heard::Restarted(used) | Heard::Opened { reply: used, .. }) =
                link.push(*byte, &mut room)
            {
                assert!(used <= room.len(), "a reply fits its buffer");
            }
        }
    }
}

/// What is read prints as it was read.
fn reads_back<T: FromStr + Display>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        assert_eq!(alloc::format!("{read}"), text);
    }
}

/// Inputs that reach deep, from which the corpus is made: a name, the body's name, the bytes.
pub fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let key = SecretKey::from_bytes([1; 32]);
    let settings: &[u8] = &[2, 0, 0, 0];
    let root = EntryBuilder::new(Origin::Root { nonce: [7; 16] }, 1_700_000_000_000);
    let root = VerifiedEntry::sign(&root, &key, &[("_settings", settings)]).expect("a root");
    let json = serde_json::json!({"title": "first", "done": false, "n": [1, -2, 0.5, null], "b": {"$bytes": "AAE="}});
    let nested = Value::from_json(&json).and_then(|value| value.encode()).expect("a value");
    // One write: a count, a path with its length, `Some`, the value with its length.
    let writes = [&[0, 1, 3][..], b"a.b", &[1, u8::try_from(nested.len()).expect("short")], &nested].concat();
    let log: &[u8] = &[1, 2, 1, b'x', 0];
    let mut child = EntryBuilder::new(Origin::Tree(root.id()), 1_700_000_000_001);
    child.parent(root.position()).expect("one parent");
    let child = VerifiedEntry::sign(&child, &key, &[("log", log), ("main", &writes)]).expect("a child");
    let mut seeds = frame_seeds(&root, &child);
    let invite = Invitation::sign(&key, root.id(), key.clone(), Permission::Read, 1, 1 << 40);
    let invite = invite.expect("an invite for one use");
    seeds.extend([
        ("root", "entry", root.bytes().into()),
        ("child", "entry", child.bytes().into()),
        ("settings", "store_data", settings.into()),
        ("writes", "store_data", writes),
        ("log", "store_data", log.into()),
        ("nested", "value", nested),
        ("key_of_bytes", "value", vec![8, 1, 6, b'$', b'b', b'y', b't', b'e', b's', 5, 1, b'x']),
        ("id", "text", alloc::format!("{}", root.id()).into_bytes()),
        ("everybody", "text", b"*".to_vec()),
        ("permission", "text", b"write:100".to_vec()),
        ("path", "text", br"a\.b.c\\".to_vec()),
        ("address", "text", alloc::format!("http:{}@[::1]:8080", key.public()).into_bytes()),
        (
            "ticket",
            "text",
            alloc::format!("pleach:?db={}&pr=quic:{}@h:1&x=%20", root.id(), key.public()).into_bytes(),
        ),
        ("invitation", "signed", invite.to_text().into_bytes()),
        ("header", "signed", {
            let target = RequestTarget { audience: key.public(), method: "POST", path: "/", body: [0; 32] };
            let head = RequestHead::sign(&SecretKey::from_bytes([2; 32]), &target, 1_000, [3; 16]);
            alloc::format!("{head}").into_bytes()
        }),
        ("node", "signed", serde_json::to_vec(&NodeAnswer::sign(&key, 1_000, &[3; 16])).expect("JSON")),
        ("redemption", "signed", canonical::to_vec(&invite.redeem(key.public()))),
        ("trees", "json", br#"{"trees":{"versions":{"oldest":1,"newest":1},"after":null}}"#.to_vec()),
        (
            "end",
            "json",
            br#"[{"wants": []}, {"end": {"until": null, "tips": null, "count": 0}}, "Bw=="]"#.to_vec(),
        ),
        ("hello", "serial", {
            let mut room = [0; ON_LINE];
            let link = Link::initiator(key.clone(), None, [7; 16], 4_096);
            let used = link.hello(&mut room).expect("a hello fits");
            room[..used].to_vec()
        }),
        ("invite", "text", alloc::format!("pleach:?db={}&in={}", root.id(), invite.to_text()).into_bytes()),
    ]);
    seeds
}

/// One frame of each kind about a tree of two entries.
fn frame_seeds(root: &Entry, child: &Entry) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let key = SecretKey::from_bytes([1; 32]);
    let salt = Salt([3; 8]);
    let measure = Measure::of(root.id()).plus(Measure::of(child.id()));
    let item = |end: &Position, mode| RangeItem { bound: Bound::new(&Position::MIN, end), mode };
    let items = [
        item(&child.position(), Mode::Fingerprint { fingerprint: salt.fingerprint(&measure), count: 2 }),
        item(&child.position(), Mode::List([Prefix::new(&salt, &root.id())].into_iter().collect())),
        item(&child.position(), Mode::Ids([root.id()].into_iter().collect())),
        item(&child.position(), Mode::Answer { check: 5, wanted: 1 << 40 }),
        item(&Range::ALL.end, Mode::Ask),
    ];
    let tips = Tips::of(&Measure::of(child.id()), &[child.position()]);
    let hello = Hello {
        versions: Versions::OURS,
        capabilities: CAPABILITIES,
        limits: PeerLimits::HOST,
        tree: root.id(),
        salt,
        tips: tips.clone(),
        count: 2,
        token: None,
        start: Floor::new(&child.position()),
        hold: 0,
    };
    let reply = Reply {
        version: VERSION,
        capabilities: CAPABILITIES,
        limits: PeerLimits::HOST,
        same: false,
        count: 2,
    };
    let token = Token { epoch: Epoch([5; 8]), number: 2 };
    let end = End { until: Some(child.position()), tips: Some(tips), count: 2, token: Some(token) };
    let refusal = Refusal::Refused { id: child.id(), rule: Rule::new() };
    let trees = TreesRequest { versions: Versions::OURS, after: Some(root.id()) };
    let ask = Ask {
        versions: Versions::OURS,
        tree: root.id(),
        permission: Permission::Admin(0),
        name: "Bob".try_into().expect("a short name"),
        invite: None,
        hold: 0,
    };
    let invite = Invite::sign(&key, root.id(), key.public(), Permission::Write(100), 1, 1 << 40);
    let redeemed = Ask { invite: Some(Redemption::sign(invite, &key, key.public())), ..ask.clone() };
    let asked = Asked { version: VERSION, outcome: AskOutcome::Approved(Permission::Write(300)) };
    let target =
        ProofTarget { side: Side::Initiator, by: key.public(), to: key.public(), tree: Some(root.id()) };
    let proof = target.prove(&key, &Binding::from_bytes([4; 32]));
    let ids = [root.id(), child.id()];
    let mut buffer = vec![0; 4_096];
    let mut writer = EntriesWriter::new(&mut buffer);
    assert!(writer.push(root.bytes()) && writer.push(child.bytes()), "two small entries fit");
    let entries = writer.finish().to_vec();
    let mut frame = |name, write: &dyn Fn(&mut [u8]) -> Option<usize>| {
        let used = write(&mut buffer).expect("a small frame fits");
        (name, "frame", buffer[..used].to_vec())
    };
    let mut frames = vec![
        frame("sync", &|room| write(Kind::Sync, &hello, &items, room)),
        frame("reply", &|room| write(Kind::Reply, &reply, &items, room)),
        frame("end", &|room| write(Kind::End, &end, NOTHING, room)),
        frame("wants", &|room| write(Kind::Wants, &(), ids, room)),
        frame("missing", &|room| write(Kind::Missing, &(), ids, room)),
        frame("refusal", &|room| write(Kind::Refusal, &refusal, NOTHING, room)),
        frame("trees", &|room| write(Kind::Trees, &trees, NOTHING, room)),
        // Bytes of metadata stand behind one another without a length, as items of one byte do.
        frame("ask", &|room| write(Kind::Ask, &ask, *b"please", room)),
        frame("redeem", &|room| write(Kind::Ask, &redeemed, *b"please", room)),
        frame("asked", &|room| write(Kind::Asked, &asked, NOTHING, room)),
        frame("keys", &|room| write(Kind::Keys, &(), [proof], room)),
    ];
    frames.push(("entries", "frame", entries));
    let of =
        |name: &str| frames.iter().find(|(known, ..)| *known == name).map_or(&[][..], |(.., bytes)| bytes);
    // Each frame behind its length; the first byte says to whom, and how many entries that side holds.
    let said = |first: u8, frames: &[&[u8]]| {
        let lengths = frames.iter().map(|frame| u16::try_from(frame.len()).unwrap_or(0).to_le_bytes());
        let parts = lengths.zip(frames).flat_map(|(length, frame)| [&length[..], frame].concat());
        core::iter::once(first).chain(parts).collect::<Vec<u8>>()
    };
    let to_responder = said(20 << 1 | 1, &[of("sync"), of("wants"), of("entries"), of("end"), &[]]);
    let to_initiator = said(20 << 1, &[of("reply"), of("entries"), of("missing"), of("end"), &[]]);
    // A responder that cannot go on says so behind the head of its answer.
    let broken_off = said(20 << 1, &[of("reply"), of("refusal"), &[]]);
    frames.push(("broken_off", "session", broken_off));
    frames.push(("to_responder", "session", to_responder));
    frames.push(("to_initiator", "session", to_initiator));
    frames
}
