//! Frames over a plain line of bytes: a UART, a pseudo terminal, a pair of pipes. No heap.
//!
//! | file | holds |
//! |---|---|
//! | `packet` | [`encode`], [`Decoder`]: packets that are found again after any garbage |
//! | `link` | [`Link`]: two sides that greet each other, prove their keys, and send frames in turn |
//!
//! A line carries one session at a time. Its initiator says hello; whatever was under way is over.

mod link;
mod packet;

pub use link::{Heard, Link, LinkError};
pub use packet::{Decoder, ON_LINE, PACKET, Packet, PacketKind, Tag, encode};

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use super::*;
    use crate::{PublicKey, SecretKey};

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_bytes([seed; 32])
    }

    /// What a link hears of some bytes, and what it replies.
    fn hear(link: &mut Link, bytes: &[u8]) -> Result<(Vec<Said>, Vec<u8>), LinkError> {
        let (mut said, mut replies) = (Vec::new(), Vec::new());
        let mut room = [0; ON_LINE];
        for byte in bytes {
            match link.push(*byte, &mut room)? {
                Heard::Nothing => {}
                Heard::Reply(length) => replies.extend(&room[..length]),
                Heard::Restarted(length) => {
                    said.push(Said::Restarted);
                    replies.extend(&room[..length]);
                }
                Heard::Opened { peer, reply } => {
                    said.push(Said::Opened(peer));
                    replies.extend(&room[..reply]);
                }
                Heard::Part(bytes) => said.push(Said::Part(bytes.to_vec())),
                Heard::Last(bytes) => said.push(Said::Last(bytes.to_vec())),
                Heard::End => said.push(Said::End),
                Heard::Closed => said.push(Said::Closed),
            }
        }
        Ok((said, replies))
    }

    #[derive(Debug, PartialEq, Eq)]
    enum Said {
        Opened(PublicKey),
        Restarted,
        Part(Vec<u8>),
        Last(Vec<u8>),
        End,
        Closed,
    }

    fn written(link: &mut Link, kind: PacketKind, payload: &[u8]) -> Vec<u8> {
        let mut room = [0; ON_LINE];
        let used = link.write(kind, payload, &mut room).unwrap();
        room[..used].to_vec()
    }

    /// Two links that have greeted each other.
    fn open(nonce: u8) -> (Link, Link) {
        let mut initiator = Link::initiator(key(1), Some(key(2).public()), [nonce; 16], 4_096);
        let mut responder = Link::responder(key(2), [nonce; 16], 1 << 20);
        greet(&mut initiator, &mut responder);
        (initiator, responder)
    }

    fn greet(initiator: &mut Link, responder: &mut Link) {
        let mut room = [0; ON_LINE];
        let hello = initiator.hello(&mut room).unwrap();
        let (_, answer) = hear(responder, &room[..hello]).unwrap();
        let (said, proof) = hear(initiator, &answer).unwrap();
        assert_eq!(said, [Said::Opened(key(2).public())]);
        let (said, _) = hear(responder, &proof).unwrap();
        assert_eq!(said, [Said::Opened(key(1).public())]);
        assert_eq!((initiator.peer_frame(), responder.peer_frame()), (1 << 20, 4_096));
    }

    #[test]
    fn packets_of_any_bytes_arrive_as_they_were() {
        for length in (0..20).chain(240..270).chain(500..=PACKET) {
            for fill in [0, 1, 0xff] {
                let mut payload = vec![fill; length];
                payload.iter_mut().step_by(97).for_each(|byte| *byte = 0);
                for payload in [payload, vec![fill; length]] {
                    let packet = Packet { kind: PacketKind::Part, number: 3, payload: &payload };
                    let mut room = [0xee; ON_LINE];
                    let used = encode(&packet, Tag([9; 4]), &mut room).unwrap();
                    assert!(!room[1..used - 1].contains(&0));
                    let mut decoder = Decoder::default();
                    let mut found = Vec::new();
                    for byte in &room[..used] {
                        found.extend(decoder.push(*byte, Tag([9; 4])).map(|found| found.payload.to_vec()));
                    }
                    assert_eq!(found, [payload]);
                }
            }
        }
    }

    #[test]
    fn a_flipped_bit_costs_one_packet_and_garbage_none_after_it() {
        let packet = Packet { kind: PacketKind::Last, number: 0, payload: b"some bytes \0 and more" };
        let mut room = [0; ON_LINE];
        let used = encode(&packet, Tag([1; 4]), &mut room).unwrap();
        for bit in 8..(used - 1) * 8 {
            let mut line = room[..used].to_vec();
            line[bit / 8] ^= 1 << (bit % 8);
            line.extend(&room[..used]);
            let mut decoder = Decoder::default();
            let found = line.iter().filter(|byte| decoder.push(**byte, Tag([1; 4])).is_some()).count();
            assert_eq!(found, 1, "bit {bit}");
        }
        let mut line: Vec<u8> = (0..2_000_u32).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect();
        line.extend(&room[..used]);
        let mut decoder = Decoder::default();
        assert_eq!(line.iter().filter(|byte| decoder.push(**byte, Tag([1; 4])).is_some()).count(), 1);
    }

    #[test]
    fn both_prove_their_keys_and_frames_go_in_turn() {
        let (mut initiator, mut responder) = open(7);
        let mut line = written(&mut initiator, PacketKind::Part, b"one ");
        line.extend(written(&mut initiator, PacketKind::Last, b"frame"));
        line.extend(written(&mut initiator, PacketKind::End, b""));
        let (said, _) = hear(&mut responder, &line).unwrap();
        assert_eq!(said, [Said::Part(b"one ".to_vec()), Said::Last(b"frame".to_vec()), Said::End]);
        let line = written(&mut responder, PacketKind::Close, b"");
        assert_eq!(hear(&mut initiator, &line).unwrap().0, [Said::Closed]);
    }

    #[test]
    fn a_packet_that_is_lost_is_noticed() {
        let (mut initiator, mut responder) = open(7);
        written(&mut initiator, PacketKind::Part, b"lost");
        let line = written(&mut initiator, PacketKind::Last, b"frame");
        assert_eq!(hear(&mut responder, &line).unwrap_err(), LinkError::Lost { expected: 0, found: 1 });
    }

    #[test]
    fn packets_of_an_older_session_are_passed_over() {
        let (mut old, mut responder) = open(7);
        let late = written(&mut old, PacketKind::Last, b"late");
        let mut new = Link::initiator(key(1), None, [8; 16], 4_096);
        let mut room = [0; ON_LINE];
        let hello = new.hello(&mut room).unwrap();
        let (said, answer) = hear(&mut responder, &room[..hello]).unwrap();
        assert_eq!(said, [Said::Restarted], "what was under way is over");
        let (_, proof) = hear(&mut new, &answer).unwrap();
        assert_eq!(hear(&mut responder, &late).unwrap().0, []);
        assert_eq!(hear(&mut responder, &proof).unwrap().0, [Said::Opened(key(1).public())]);
    }

    #[test]
    fn a_recorded_greeting_proves_nothing_to_another_session() {
        let mut initiator = Link::initiator(key(1), None, [7; 16], 4_096);
        let mut responder = Link::responder(key(2), [7; 16], 1 << 20);
        let mut room = [0; ON_LINE];
        let hello = initiator.hello(&mut room).unwrap();
        let hello = room[..hello].to_vec();
        let (_, answer) = hear(&mut responder, &hello).unwrap();
        let (_, proof) = hear(&mut initiator, &answer).unwrap();
        assert_eq!(hear(&mut responder, &proof).unwrap().0, [Said::Opened(key(1).public())]);
        // The same hello again: the answer has another nonce, and the old proof does not fit it.
        let (_, other) = hear(&mut responder, &hello).unwrap();
        assert_ne!(other, answer);
        assert_eq!(hear(&mut responder, &proof).unwrap().0, []);
        let mut later = Link::initiator(key(1), None, [8; 16], 4_096);
        let hello = later.hello(&mut room).unwrap();
        assert_eq!(
            hear(&mut later, &answer).unwrap(),
            (vec![], vec![]),
            "an old answer on the line does no harm"
        );
        let (_, answer) = hear(&mut responder, &room[..hello]).unwrap();
        assert_eq!(hear(&mut later, &answer).unwrap().0, [Said::Opened(key(2).public())]);
    }

    #[test]
    fn a_hello_that_is_said_again_before_the_answer_comes_leads_to_the_same_session() {
        let mut initiator = Link::initiator(key(1), None, [7; 16], 4_096);
        let mut responder = Link::responder(key(2), [7; 16], 1 << 20);
        let mut room = [0; ON_LINE];
        let hello = initiator.hello(&mut room).unwrap();
        let twice = room[..hello].repeat(2);
        let (said, answers) = hear(&mut responder, &twice).unwrap();
        assert_eq!(said, []);
        let (said, mut line) = hear(&mut initiator, &answers).unwrap();
        assert_eq!(said, [Said::Opened(key(2).public())], "the second answer is the first");
        line.extend(written(&mut initiator, PacketKind::Last, b"frame"));
        let (said, _) = hear(&mut responder, &line).unwrap();
        assert_eq!(said, [Said::Opened(key(1).public()), Said::Last(b"frame".to_vec())]);
    }

    #[test]
    fn another_key_than_expected_and_the_own_are_refused() {
        for (expected, own, error) in [
            (Some(3), 1, LinkError::WrongKey { expected: key(3).public(), found: key(2).public() }),
            (None, 2, LinkError::OwnKey),
        ] {
            let expected = expected.map(|seed| key(seed).public());
            let mut initiator = Link::initiator(key(own), expected, [7; 16], 4_096);
            let mut responder = Link::responder(key(2), [7; 16], 1 << 20);
            let mut room = [0; ON_LINE];
            let hello = initiator.hello(&mut room).unwrap();
            let (_, answer) = hear(&mut responder, &room[..hello]).unwrap();
            assert_eq!(hear(&mut initiator, &answer).unwrap_err(), error);
        }
    }
}
