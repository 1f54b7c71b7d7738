//! What the fuzzers run, and the ordinary tests over a small corpus: one body for each reader of outside bytes.
//!
//! A body takes any bytes, and panics if a promise does not hold. What is refused is refused; what is accepted must
//! read the same every time, and be exactly what the encoder would write. Private: for the tests of this project.
//!
//! | file | holds |
//! |---|---|
//! | `wire` | every type that goes over the wire, by itself |
//! | `line` | two sides of a serial line, and whoever else writes to it |
//! | `samples`, `seeds` | a value of each, and the inputs that they make |

#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a body reports by panicking, and only tests and fuzzers run it"
)]

mod line;
mod samples;
mod seeds;
mod wire;

use alloc::{format, vec, vec::Vec};
use core::{fmt::Display, str::FromStr};

pub use line::line;
pub use seeds::{Seed, frames, kinds, seeds};
pub use wire::{WIRE_TYPES, wire};

use crate::{
    Id, Position, PublicKey, SecretKey, Signature,
    entry::{
        Entry, EntryBuilder, EntryView, Origin, Permission, StoreData, Value, ValueView, VerifiedEntry, Who,
    },
    path,
    wire::{
        Address, DatabaseTicket, EntriesWriter, FRESHNESS, Frame, Invitation, Kind, NodeAnswer, RequestHead,
        RequestTarget, ResponseHead, SignedError, json,
        serial::{Decoder, Heard, ON_LINE, Tag, encode},
        write,
    },
};
use wire::OnWire;

/// A body: takes any bytes.
pub type Body = fn(&[u8]);

/// Every body by the name of its target and of the folder that holds its corpus.
pub const BODIES: &[(&str, Body)] = &[
    ("entry", entry),
    ("store_data", store_data),
    ("value", value),
    ("frame", frame),
    ("wire", wire),
    ("session", session),
    ("text", text),
    ("json", json),
    ("signed", signed),
    ("serial", serial),
    ("line", line),
];

/// Whether an input is one of those that get what costs a signature: one of eight, by its hash. The others are so many
/// more.
fn is_drawn(bytes: &[u8]) -> bool {
    Id::of(bytes).as_bytes()[0] < 32
}

/// An entry that says the same as this one, signed by a key that is known here: what lies behind a signature must be
/// reached by bytes that nobody could sign.
pub fn signed_by(key: &SecretKey, entry: &EntryView<'_>) -> VerifiedEntry {
    let mut builder = EntryBuilder::new(entry.origin(), entry.time());
    for id in entry.parents().iter() {
        let height = entry.height().checked_sub(1).expect("only a root has no parents");
        builder.parent(Position { height, id }).expect("as many as it had");
    }
    let stores: Vec<_> = entry.stores().iter().map(|store| (store.name, store.data)).collect();
    VerifiedEntry::sign(&builder, key, &stores).expect("what was read can be signed")
}

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
    if !is_drawn(bytes) {
        return;
    }
    // Either outcome is right; it must only come.
    let _ = view.verify();
    let signed = signed_by(&SecretKey::from_bytes([1; 32]), &view);
    assert_eq!(signed.view().verify(), Ok(()), "what was signed here checks");
    assert_eq!((signed.view().origin(), signed.view().time()), (view.origin(), view.time()));
    assert_eq!((signed.view().height(), signed.bytes().len()), (view.height(), bytes.len()));
    if signed.view().author() == view.author() {
        let said = bytes.len() - 64;
        assert_eq!(signed.bytes()[..said], bytes[..said], "one entry, one encoding");
    }
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
    if !is_drawn(bytes) {
        return;
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
    let json = value.to_json();
    assert_eq!(Value::from_json(&json).as_ref(), Ok(&value), "JSON stands for the same value");
    let text = serde_json::to_string(&json).expect("JSON has a text");
    let read = serde_json::from_str(&text).map(|json| Value::from_json(&json));
    assert_eq!(read.ok(), Some(Ok(value)), "and so does its text: {text}");
}

/// The bytes as a frame between peers. What is accepted is what the encoder writes, item by item.
pub fn frame(bytes: &[u8]) {
    let Ok(read) = Frame::read(bytes) else { return };
    let size = bytes.len();
    let written = match &read {
        Frame::Sync(head, items) => said(size, Kind::Sync, head, items),
        Frame::Reply(head, items) => said(size, Kind::Reply, head, items),
        Frame::End(head) => said(size, Kind::End, head, NOTHING),
        Frame::Wants(items) => said(size, Kind::Wants, &(), items),
        Frame::Missing(items) => said(size, Kind::Missing, &(), items),
        Frame::Refusal(head) => said(size, Kind::Refusal, head, NOTHING),
        Frame::Trees(head) => said(size, Kind::Trees, head, NOTHING),
        Frame::TreeList(head, items) => said(size, Kind::TreeList, head, items),
        Frame::Have(head, items) => said(size, Kind::Have, head, items),
        Frame::Ask(head, metadata) => said(size, Kind::Ask, head, metadata.iter().copied()),
        Frame::Asked(head) => said(size, Kind::Asked, head, NOTHING),
        Frame::Keys(proofs) => said(size, Kind::Keys, &(), proofs),
        Frame::Gone(items) => said(size, Kind::Gone, &(), items),
        Frame::Advance(bytes) => {
            entry(bytes);
            [&[Kind::Advance as u8], *bytes].concat()
        }
        Frame::Entries(entries) => {
            entries.for_each(entry);
            let mut room = vec![0; size];
            let mut writer = EntriesWriter::new(&mut room);
            assert!(
                entries.into_iter().all(|bytes| writer.push(bytes)),
                "what came in fits into as many bytes"
            );
            writer.finish().to_vec()
        }
    };
    assert_eq!(written, bytes, "one frame, one encoding");
}

/// The frame of so many bytes that says this.
fn said<H: OnWire, I: OnWire>(
    size: usize,
    kind: Kind,
    head: &H,
    items: impl IntoIterator<Item = I>,
) -> Vec<u8> {
    let mut room = vec![0; size];
    let used = write(kind, head, items, &mut room).expect("what came in fits into as many bytes");
    room.truncate(used);
    room
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
    reads_back::<Signature>(text);
    if let Ok(address) = text.parse::<Address>() {
        assert_eq!(format!("{address}").parse(), Ok(address), "an address that was read prints as one");
    }
    if let Ok(ticket) = text.parse::<DatabaseTicket>() {
        assert_eq!(format!("{ticket}").parse(), Ok(ticket), "a ticket that was read prints as one");
    }
    if let Ok(permission) = text.parse::<Permission>() {
        assert_eq!(format!("{permission}").parse(), Ok(permission));
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

/// The bytes as what proves a key over HTTP, and as an invite in a ticket. What was read is signed again by a key that is
/// known here, so that what lies behind a signature is reached.
pub fn signed(bytes: &[u8]) {
    let text = core::str::from_utf8(bytes).unwrap_or_default();
    if let Ok(Some(invitation)) = Invitation::from_text(text, Id::MIN) {
        assert_eq!(invitation.to_text(), text.to_ascii_lowercase(), "one invite, one text");
    }
    if let Ok(head) = text.parse::<RequestHead>() {
        assert_eq!(format!("{head}").parse(), Ok(head), "a header that was read prints as one");
    }
    if is_drawn(bytes) {
        behind_signatures(bytes, text);
    }
}

fn behind_signatures(bytes: &[u8], text: &str) {
    let [here, there] = [1, 2].map(|seed| SecretKey::from_bytes([seed; 32]));
    let target = RequestTarget { audience: there.public(), method: "POST", path: "/", body: [0; 32] };
    // Either outcome is right; it must only come.
    if let Ok(head) = serde_json::from_slice::<ResponseHead>(bytes) {
        let request = target.digest(None, head.time, &[3; 16]);
        let _ = head.check(head.key, request);
        let signed = ResponseHead::sign(&here, request, head.time);
        assert_eq!(signed.check(here.public(), request), Ok(()));
    }
    if let Ok(answer) = serde_json::from_slice::<NodeAnswer>(bytes) {
        let _ = answer.check(there.public(), Some(answer.key), &[3; 16]);
        let signed = NodeAnswer::sign(&here, answer.time, &[3; 16]);
        assert_eq!(signed.check(there.public(), Some(here.public()), &[3; 16]), Ok(()));
        assert!(signed.check(there.public(), None, &[4; 16]).is_err(), "an answer is good for one asker");
    }
    if let Ok(head) = text.parse::<RequestHead>() {
        let own = RequestTarget { audience: head.key, ..target };
        assert_eq!(
            head.check(&own, head.time),
            Err(SignedError::OwnKey),
            "nobody proves a key to themselves"
        );
        let _ = head.check(&target, head.time);
        let signed = RequestHead::sign(&here, &target, head.time, head.nonce);
        assert_eq!(format!("{signed}").parse(), Ok(signed));
        assert_eq!(signed.check(&target, head.time), Ok(signed.digest(&target)));
        for stated in
            [head.time.checked_add(FRESHNESS), head.time.checked_sub(FRESHNESS)].into_iter().flatten()
        {
            assert!(signed.check(&target, stated).is_ok(), "fresh enough");
        }
        let late = head.time.checked_add(FRESHNESS + 1).map(|stated| signed.check(&target, stated));
        assert!(late.is_none_or(|late| matches!(late, Err(SignedError::Stale { .. }))));
    }
    if let Ok(Some(invitation)) = Invitation::from_text(text, Id::MIN) {
        assert_eq!(invitation.invite().check(), Ok(()), "only what is signed is read");
        assert_eq!(invitation.redeem(here.public()).check(&here.public()), Ok(()));
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
    let mut room = [0; ON_LINE];
    for mut link in line::links() {
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
        assert_eq!(format!("{read}"), text);
    }
}
