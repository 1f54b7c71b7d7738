//! Inputs that reach deep, from which the corpus is made.

use alloc::{format, string::ToString, vec, vec::Vec};

use super::{line, samples::Samples, wire};
use crate::{
    canonical,
    entry::Entry,
    wire::{EntriesWriter, Kind, TreesReply, write},
};

/// A name, the body's name, the bytes.
pub type Seed = (&'static str, &'static str, Vec<u8>);

/// Inputs that reach deep.
pub fn seeds() -> Vec<Seed> {
    let samples = Samples::new();
    let frames = frames();
    let mut seeds = sessions(&frames);
    seeds.extend(frames.into_iter().map(|(name, bytes)| (name, "frame", bytes)));
    seeds.extend(wire::seeds(&samples).into_iter().map(|(name, bytes)| (name, "wire", bytes)));
    seeds.extend(line::seeds());
    let (database, key) = (samples.root.id(), samples.key.public());
    let invitation = samples.invitation().to_text();
    seeds.extend([
        ("root", "entry", samples.root.bytes().into()),
        ("child", "entry", samples.child.bytes().into()),
        ("merge", "entry", samples.merge.bytes().into()),
        ("settings", "store_data", samples.settings.clone()),
        ("writes", "store_data", samples.writes.clone()),
        ("log", "store_data", samples.log.clone()),
        ("nested", "value", samples.nested.clone()),
        // 4.444444444444445e63, of which a hasty reader makes the number below.
        ("float", "value", vec![4, 219, 136, 227, 178, 145, 155, 37, 77]),
        ("key_of_bytes", "value", vec![8, 1, 6, b'$', b'b', b'y', b't', b'e', b's', 5, 1, b'x']),
        ("id", "text", database.to_string().into_bytes()),
        ("signature", "text", samples.root.view().signature().to_string().into_bytes()),
        ("everybody", "text", b"*".to_vec()),
        ("permission", "text", b"write:100".to_vec()),
        ("path", "text", br"a\.b.c\\".to_vec()),
        ("address", "text", format!("http:{key}@[::1]:8080").into_bytes()),
        ("ticket", "text", format!("pleach:?db={database}&pr=quic:{key}@h:1&x=%20").into_bytes()),
        ("invite", "text", format!("pleach:?db={database}&in={invitation}").into_bytes()),
        ("invitation", "signed", invitation.into_bytes()),
        ("header", "signed", samples.request_head().to_string().into_bytes()),
        ("node", "signed", serde_json::to_vec(&samples.node_answer()).expect("JSON")),
        ("redemption", "signed", canonical::to_vec(&samples.invitation().redeem(key))),
        ("trees", "json", br#"{"trees":{"versions":{"oldest":1,"newest":1},"after":null}}"#.to_vec()),
        (
            "end",
            "json",
            br#"[{"wants": []}, {"end": {"until": null, "tips": null, "count": 0}}, "Bw=="]"#.to_vec(),
        ),
    ]);
    seeds
}

/// Every kind of frame.
pub fn kinds() -> impl Iterator<Item = Kind> {
    (0..=u8::MAX).filter_map(Kind::from_number)
}

/// At least one frame of each kind, by name.
pub fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let samples = Samples::new();
    let mut frames: Vec<_> = kinds().map(|kind| frame(kind, &samples)).collect();
    let redeemed = crate::wire::Ask { invite: Some(samples.redemption()), ..samples.ask() };
    let redeem = written(|room| write(Kind::Ask, &redeemed, *b"please", room));
    frames.push(("redeem", redeem));
    frames
}

/// A frame of a kind: a new one does not compile without.
fn frame(kind: Kind, samples: &Samples) -> (&'static str, Vec<u8>) {
    const NOTHING: [(); 0] = [];
    let ids = || [samples.root.id(), samples.child.id()];
    let head = |head: &dyn Fn(&mut [u8]) -> Option<usize>| written(head);
    match kind {
        Kind::Sync => ("sync", head(&|room| write(kind, &samples.hello(), samples.ranges(), room))),
        Kind::Reply => ("reply", head(&|room| write(kind, &Samples::reply(), samples.ranges(), room))),
        Kind::Entries => ("entries", entries([samples.root.entry(), samples.child.entry()])),
        Kind::End => ("end", head(&|room| write(kind, &samples.end(), NOTHING, room))),
        Kind::Wants => ("wants", head(&|room| write(kind, &(), ids(), room))),
        Kind::Missing => ("missing", head(&|room| write(kind, &(), ids(), room))),
        Kind::Refusal => ("refusal", head(&|room| write(kind, &samples.refusal(), NOTHING, room))),
        Kind::Trees => ("trees", head(&|room| write(kind, &samples.trees(), NOTHING, room))),
        Kind::TreeList => {
            let reply = TreesReply { version: 1, more: true };
            ("tree_list", head(&|room| write(kind, &reply, [samples.tree_line()], room)))
        }
        // Bytes of metadata stand behind one another without a length, as items of one byte do.
        Kind::Ask => ("ask", head(&|room| write(kind, &samples.ask(), *b"please", room))),
        Kind::Have => ("have", head(&|room| write(kind, &samples.have(), ids(), room))),
        Kind::Advance => ("advance", [&[kind as u8], samples.child.bytes()].concat()),
        Kind::Gone => ("gone", head(&|room| write(kind, &(), ids(), room))),
        Kind::Asked => ("asked", head(&|room| write(kind, &Samples::asked(), NOTHING, room))),
        Kind::Keys => ("keys", head(&|room| write(kind, &(), [samples.proof()], room))),
    }
}

fn written(write: impl Fn(&mut [u8]) -> Option<usize>) -> Vec<u8> {
    let mut room = vec![0; 4_096];
    let used = write(&mut room).expect("a small frame fits");
    room.truncate(used);
    room
}

fn entries(entries: [&Entry; 2]) -> Vec<u8> {
    let mut room = vec![0; 4_096];
    let mut writer = EntriesWriter::new(&mut room);
    assert!(entries.iter().all(|entry| writer.push(entry.bytes())), "two small entries fit");
    writer.finish().to_vec()
}

fn sessions(frames: &[(&'static str, Vec<u8>)]) -> Vec<Seed> {
    let of = |name: &str| frames.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, bytes)| bytes);
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
    vec![
        ("broken_off", "session", broken_off),
        ("to_responder", "session", to_responder),
        ("to_initiator", "session", to_initiator),
    ]
}
