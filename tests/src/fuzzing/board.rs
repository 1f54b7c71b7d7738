//! A device that cannot hold the history, and a full node that says anything to it.

use pleach_core::{
    Id, SecretKey,
    entry::{EntryBuilder, Origin, VerifiedEntry},
    wire::{CAPABILITIES, End, Kind, PeerLimits, Reply, VERSION, Versions},
};

use super::{
    STEPS,
    script::{Script, said},
    signing::Signer,
};
use crate::{
    board::{Board, RING},
    frames::{control, end, entries},
};

fn peer() -> SecretKey {
    SecretKey::from_bytes([9; 32])
}

fn tree() -> Id {
    Id::of(b"greenhouse")
}

/// The bytes as what a full node answers a board, while the board writes, is cut off and started anew.
///
/// Whatever is said, what the board holds fits, and is the same behind a restart.
pub fn board(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut board = Board::new(tree(), &[peer().public()]);
    let mut signer = Signer::new(vec![peer(), board.key.clone()], Vec::new());
    for step in 0..STEPS {
        if script.is_over() {
            break;
        }
        let choice = script.next();
        match choice & 3 {
            0 => {
                // Either outcome is right: the ring may be full, or nothing be known of the tree.
                let _ = board.write("t", u32::try_from(step).unwrap_or(0));
            }
            1 => board.restart(),
            _ => {
                let messages = usize::from(choice >> 2 & 3) + 1;
                let mut left = messages;
                let ended = board.talk(peer().public(), |_| {
                    left = left.checked_sub(1)?;
                    let frames = (0..=choice >> 4 & 3).map(|_| script.frame()).collect::<Vec<_>>();
                    let frames = frames.into_iter().filter(|frame| !frame.is_empty());
                    Some((frames.map(|frame| signer.frame(frame)).collect(), choice & 0x80 == 0))
                });
                drop(ended);
            }
        }
        let holding = &board.holding;
        assert!(holding.ring().len() <= RING && holding.used() <= holding.charter().room);
        let tips: Vec<_> = holding.tips().collect();
        let mut again = board.clone();
        again.restart();
        assert_eq!(again.holding.tips().collect::<Vec<_>>(), tips, "what is held is durable");
    }
}

/// Inputs that reach deep, by name.
pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let limits = PeerLimits::HOST;
    let reply = Reply { version: VERSION, capabilities: CAPABILITIES, limits, same: false, count: 2 };
    let reply = control(Kind::Reply, &reply);
    let write = |parent, data: &[u8]| {
        let mut builder = EntryBuilder::new(Origin::Tree(tree()), 1_700_000_000_000);
        builder.parent(parent).expect("one parent");
        VerifiedEntry::sign(&builder, &peer(), &[("main", data)]).expect("an entry")
    };
    let root = pleach_core::Position { height: 0, id: tree() };
    let first = write(root, &[0, 1, 1, b'k', 1, 3, 5, 1, b'y']);
    let second = write(first.position(), &[0, 1, 1, b'k', 0]);
    let advance = [&[Kind::Advance as u8], first.bytes()].concat();
    let brought = entries(&[second.bytes().to_vec()]);
    let same = control(Kind::End, &End { count: 2, ..End::default() });
    let refused = control(
        Kind::Refusal,
        &pleach_core::wire::Refusal::Incompatible { versions: Versions::OURS, limits },
    );
    // A contact of one message of up to four frames.
    let contact = |frames: &[&[u8]]| {
        let mut frames = frames.to_vec();
        frames.resize(4, &[]);
        [&[0x32][..], &said(&frames)].concat()
    };
    let grows = [
        contact(&[&reply, &advance, &end()]),
        vec![0, 0, 1],
        contact(&[&reply, &brought, &same]),
        vec![0, 1],
        contact(&[&refused]),
    ];
    vec![("grows", grows.concat())]
}
