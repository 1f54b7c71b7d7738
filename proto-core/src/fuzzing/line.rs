//! Two sides of a serial line, and whoever else writes to it.

use alloc::{vec, vec::Vec};

use super::Seed;
use crate::{
    SecretKey,
    wire::serial::{Heard, Link, ON_LINE, Packet, PacketKind, Tag, encode},
};

/// Steps of one input at most: so many reach everything.
const STEPS: usize = 64;

/// Two sides as they begin. They are made once: a key is dearer than most inputs.
pub(super) fn links() -> [Link; 2] {
    static BEGIN: spin::Mutex<Option<[Link; 2]>> = spin::Mutex::new(None);
    let make = || {
        let [one, two] = KEYS.map(SecretKey::from_bytes);
        [Link::initiator(one, None, [5; 16], 4_096), Link::responder(two, [6; 16], 4_096)]
    };
    BEGIN.lock().get_or_insert_with(make).clone()
}

/// The secret keys of both.
const KEYS: [[u8; 32]; 2] = [[1; 32], [2; 32]];

/// One side, and what is on its way to it.
struct Side {
    link: Link,
    waiting: Vec<u8>,
    /// What it wrote since it began to greet: of what one session hears, all was written in this order.
    wrote: Vec<Vec<u8>>,
    /// How much of what the other side wrote this session is past.
    heard: usize,
}

/// The bytes as what happens on a line: each step is a byte, of which the highest bit names a side. What comes is the
/// other side's, or is refused: whatever is lost, repeated or written by a third who has no key.
pub fn line(bytes: &[u8]) {
    let mut sides = links().map(|link| Side { link, waiting: Vec::new(), wrote: Vec::new(), heard: 0 });
    let mut left = bytes.iter().copied();
    let mut flipped = false;
    let mut room = [0; ON_LINE];
    for _ in 0..STEPS {
        let Some(step) = left.next() else { return };
        let (here, there) = if step & 0x80 == 0 { (0, 1) } else { (1, 0) };
        let number = usize::from(step >> 3 & 15);
        match step & 7 {
            0 => {
                let used = sides[0].link.hello(&mut room).expect("a hello fits");
                sides[1].waiting.extend(&room[..used]);
            }
            1 => hear(&mut sides, here, usize::MAX, flipped),
            2 => hear(&mut sides, here, number * 8 + 1, flipped),
            3 => sides[here].waiting.clear(),
            4 => {
                let place = usize::from(left.next().unwrap_or_default());
                if let Some(byte) = sides[here].waiting.get_mut(place) {
                    *byte ^= 1 << (number & 7);
                    flipped = true;
                }
            }
            5 => {
                let again = sides[here].waiting.clone();
                sides[here].waiting.extend(again.iter().take(4 * ON_LINE));
            }
            6 => {
                let kind =
                    [PacketKind::Part, PacketKind::Last, PacketKind::End, PacketKind::Close][number & 3];
                let length = usize::from(left.next().unwrap_or_default());
                let payload: Vec<_> = left.by_ref().take(length).collect();
                let used = sides[here].link.write(kind, &payload, &mut room).expect("few bytes fit");
                sides[there].waiting.extend(&room[..used]);
                sides[here].wrote.push(payload);
            }
            _ => {
                // A third on the line: with a checksum that is right for what comes before a session.
                let kind = left.next().and_then(PacketKind::from_number).unwrap_or(PacketKind::Hello);
                let length = usize::from(left.next().unwrap_or_default());
                let payload: Vec<_> = left.by_ref().take(length).collect();
                let packet = Packet { kind, number: step >> 3 & 15, payload: &payload };
                let used = encode(&packet, Tag::default(), &mut room).expect("few bytes fit");
                sides[here].waiting.extend(&room[..used]);
            }
        }
    }
}

/// One side takes the next bytes that wait for it.
fn hear(sides: &mut [Side; 2], at: usize, count: usize, flipped: bool) {
    let [one, two] = sides;
    let (here, there) = if at == 0 { (one, two) } else { (two, one) };
    let count = here.waiting.len().min(count);
    for byte in here.waiting.drain(..count) {
        let mut reply = [0; ON_LINE];
        let used = match here.link.push(byte, &mut reply) {
            Ok(Heard::Reply(used) | Heard::Restarted(used)) => used,
            Ok(Heard::Opened { peer, reply }) => {
                let there = SecretKey::from_bytes(KEYS[1 - at]).public();
                assert_eq!(peer, there, "only who has the key opens a session");
                reply
            }
            Ok(Heard::Part(piece) | Heard::Last(piece)) => {
                // A few flips together can fit a checksum of 32 bits.
                let later = there.wrote.iter().skip(here.heard).position(|wrote| wrote == piece);
                assert!(flipped || later.is_some(), "a piece that was not written, or was heard before");
                here.heard += later.map_or(0, |later| later + 1);
                0
            }
            Ok(Heard::Nothing | Heard::End | Heard::Closed) | Err(_) => 0,
        };
        assert!(used <= reply.len(), "a reply fits its buffer");
        there.waiting.extend(&reply[..used]);
    }
}

pub(super) fn seeds() -> Vec<Seed> {
    let greet = [0, 0x81, 0x01, 0x81];
    let talk = [0x06, 3, b'a', b'b', b'c', 0x0e, 1, b'd', 0x16, 0, 0x81];
    let answer = [0x8e, 2, b'e', b'f', 0x96, 0, 0x01, 0x1e, 0, 0x81];
    let honest = [&greet[..], &talk, &answer].concat();
    let troubled = [
        &greet[..],
        &[0x06, 1, b'a', 0x85, 0x81],
        &[0, 0x8a, 0x92, 0x81],
        &[0x0c, 9, 0x01, 0x83],
        &greet,
        &talk,
    ]
    .concat();
    let third =
        [&[0, 0x87, 1, 2, 1, 1][..], &greet, &[0x8f, 5, 1, b'x', 0x81, 0x07, 2, 3, 1, 2, 3, 0x01]].concat();
    // What an initiator says of itself and then writes, as one stream to the responder of the body `serial`.
    let mut initiator = Link::initiator(SecretKey::from_bytes([3; 32]), None, [7; 16], 4_096);
    let mut responder = Link::responder(SecretKey::from_bytes([2; 32]), [6; 16], 4_096);
    let (mut room, mut stream) = ([0; ON_LINE], Vec::new());
    let mut say = |bytes: &[u8]| stream.extend_from_slice(bytes);
    let used = initiator.hello(&mut room).expect("a hello fits");
    say(&room[..used]);
    let answer = replied(&mut responder, &room[..used]);
    say(&replied(&mut initiator, &answer));
    for (kind, payload) in [
        (PacketKind::Part, &b"one "[..]),
        (PacketKind::Last, b"frame"),
        (PacketKind::End, b""),
        (PacketKind::Close, b""),
    ] {
        let used = initiator.write(kind, payload, &mut room).expect("a small packet fits");
        say(&room[..used]);
    }
    vec![
        ("honest", "line", honest),
        ("troubled", "line", troubled),
        ("third", "line", third),
        ("opened", "serial", stream),
        ("hello", "serial", {
            let link = Link::initiator(SecretKey::from_bytes([1; 32]), None, [7; 16], 4_096);
            let used = link.hello(&mut room).expect("a hello fits");
            room[..used].to_vec()
        }),
    ]
}

fn replied(link: &mut Link, bytes: &[u8]) -> Vec<u8> {
    let mut replies = Vec::new();
    for byte in bytes {
        let mut reply = [0; ON_LINE];
        if let Ok(Heard::Reply(used) | Heard::Opened { reply: used, .. }) = link.push(*byte, &mut reply) {
            replies.extend(&reply[..used]);
        }
    }
    replies
}
