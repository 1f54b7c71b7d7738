//! Strangers and peers who say anything to a node that works.

use pleach_core::{
    Id, Range, SecretKey,
    budget::Source,
    entry::{EntryBuilder, Origin, Permission, VerifiedEntry},
    node::Arrival,
    storage::StorageError,
    wire::{Ask, Frame, Have, Hello, Invite, Kind, PeerLimits, Redemption, TreesRequest, Versions},
};

use super::{
    STEPS,
    script::{Script, said},
    signing::Signer,
    two::Two,
};
use crate::frames::{control, end, entries, frame, hello};

/// The bytes as what strangers say to a node that works: frames in any order, in several exchanges at once, while it
/// writes, syncs, loses its disk and is started anew.
pub fn node(bytes: &[u8]) {
    visited(bytes).end();
}

/// The two when all has been said.
fn visited(bytes: &[u8]) -> Two {
    let mut script = Script::new(bytes);
    let mut two = Two::new();
    let [host, other] = two.hosts;
    let stranger = SecretKey::from_bytes([9; 32]);
    let key = two.world.key(host);
    let keys = vec![two.world.secret(other), two.world.secret(host), stranger.clone()];
    let known = two.world.snapshot(host).positions(&two.tree, &Range::ALL, 99).expect("memory does not fail");
    let mut signer = Signer::new(keys, known);
    for _ in 0..STEPS {
        if script.is_over() {
            break;
        }
        let choice = script.next();
        match choice & 7 {
            0..=2 => {
                let proven =
                    [None, Some(stranger.public()), Some(two.world.key(other))][usize::from(choice >> 3) % 3];
                two.world.arrival = if choice & 0x40 == 0 { Arrival::Streamed } else { Arrival::Whole };
                let said: Vec<_> = (0..=choice >> 6 << 1 | 1).map(|_| script.frame()).collect();
                if let Some(by) = proven {
                    let about = said.iter().find_map(|frame| about(frame));
                    signer.says(by, key, about, two.world.next_binding());
                }
                let said = said.into_iter().map(|frame| (!frame.is_empty()).then(|| signer.frame(frame)));
                let said: Vec<_> = said.collect();
                two.world.knock(host, proven, Source::of(&[choice & 0x18]), said);
            }
            3 | 4 => two.command(choice >> 3),
            5 => two.steps(choice >> 3),
            6 => match choice >> 3 & 3 {
                0 => two.world.disk(host, Some(StorageError::Full)),
                1 => two.world.disk(host, None),
                2 => {
                    // Who was waiting is gone with the process.
                    two.given.retain(|(of, _)| *of != host);
                    two.world.restart(host);
                }
                _ => two.world.settle(),
            },
            _ => two.world.pass(),
        }
    }
    two
}

/// The tree that a request is about, if this frame begins one about a tree.
fn about(frame: &[u8]) -> Option<Id> {
    match Frame::read(frame).ok()? {
        Frame::Sync(Hello { tree, .. }, _) | Frame::Have(Have { tree, .. }, _) => Some(tree),
        _ => None,
    }
}

/// Inputs that reach deep, by name.
pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let two = Two::new();
    let (tree, [host, other]) = (two.tree, two.hosts);
    let tips = two.world.tips(host, tree);
    let writer = two.world.secret(other);
    let write = |parent, data: &[u8]| {
        let mut builder = EntryBuilder::new(Origin::Tree(tree), two.world.wall(host));
        builder.parent(parent).expect("one parent");
        VerifiedEntry::sign(&builder, &writer, &[("main", data)]).expect("an entry")
    };
    // A text, one character, at the path `k`.
    let first = write(tips[0], &[0, 1, 1, b'k', 1, 3, 5, 1, b'y']);
    let second = write(first.position(), &[0, 1, 1, b'k', 0]);
    let brought = entries(&[first.bytes().to_vec(), second.bytes().to_vec()]);
    let sync = control(Kind::Sync, &hello(tree));
    let trees = control(Kind::Trees, &TreesRequest { versions: Versions::OURS, after: None });
    let ask = Ask {
        versions: Versions::OURS,
        tree,
        permission: Permission::Write(9),
        name: "Eve".try_into().expect("a short name"),
        invite: None,
        hold: 0,
    };
    let stranger = SecretKey::from_bytes([9; 32]);
    let expires = two.world.wall(host) + 86_400_000;
    let admin = two.world.secret(host);
    let invite = Invite::sign(&admin, tree, stranger.public(), Permission::Write(50), 2, expires);
    let redeem = Ask { invite: Some(Redemption::sign(invite, &stranger, stranger.public())), ..ask.clone() };
    let have = Have {
        versions: Versions::OURS,
        capabilities: pleach_core::wire::CAPABILITIES,
        limits: PeerLimits::HOST,
        tree,
        entry: 4_096,
        entries: 40,
        bytes: 12_000,
        relieve: true,
        base: tips.iter().copied().collect(),
    };
    let proof = signed_proof(&stranger);
    let (ask, redeem) = (frame(Kind::Ask, &ask, *b"please"), frame(Kind::Ask, &redeem, *b"please"));
    let have = frame(Kind::Have, &have, [first.id()]);
    // One who comes: nobody in particular, a stranger or the peer (0x00, 0x08, 0x10 with two frames at most; 0x90, 0x80,
    // 0x88 with six). Where there are none, the message ends.
    let comes = |who: u8, frames: &[&[u8]]| {
        let mut frames = frames.to_vec();
        frames.resize(usize::from(who >> 6 << 1) + 2, &[]);
        [&[who][..], &said(&frames)].concat()
    };
    let visits = [
        comes(0x00, &[&sync, &end()]),
        comes(0x08, &[&ask]),
        comes(0x08, &[&trees]),
        comes(0x10, &[&trees]),
        vec![0xfd],
    ];
    let brings = [comes(0x88, &[&sync, &brought, &end()]), vec![0xfd, 0x07]];
    let redeems = [comes(0x08, &[&redeem]), vec![0xfd], comes(0x08, &[&redeem]), vec![0xfd]];
    let holds = [comes(0x88, &[&have, &brought, &end()]), vec![0xfd]];
    let proves = [comes(0x80, &[&proof, &sync, &end()]), vec![0xfd]];
    let work =
        vec![0x03, 0x13, 0x23, 0x0b, 0xfd, 0x1b, 0x06, 0x03, 0xfd, 0x0e, 0x07, 0x16, 0x33, 0xfd, 0x3b, 0x07];
    vec![
        ("visits", visits.concat()),
        ("brings", brings.concat()),
        ("redeems", redeems.concat()),
        ("holds", holds.concat()),
        ("proves", proves.concat()),
        ("work", work),
    ]
}

/// A proof of a key, which the body signs anew for whoever brings it.
fn signed_proof(key: &SecretKey) -> Vec<u8> {
    let signature = key.sign(&[0; 32]);
    frame(Kind::Keys, &(), [pleach_core::wire::KeyProof { key: key.public(), signature }])
}

#[cfg(test)]
mod tests {
    use pleach_core::entry::Who;

    use super::*;

    fn seed(name: &str) -> Vec<u8> {
        seeds().into_iter().find(|(known, _)| *known == name).expect("a seed").1
    }

    #[test]
    fn what_nobody_could_sign_gets_to_what_lies_behind_signatures() {
        let before = Two::new();
        let count = before.world.count(before.hosts[0], before.tree);
        for (name, more) in [("brings", 2), ("holds", 2)] {
            let mut bytes = seed(name);
            // Another text than the one that was signed.
            let text = bytes.windows(3).position(|bytes| bytes == [5, 1, b'y']).expect("a text");
            bytes[text + 2] = b'z';
            let mut two = visited(&bytes);
            two.world.settle();
            assert_eq!(two.world.count(two.hosts[0], two.tree), count + more, "{name}");
            assert_eq!(two.world.value(two.hosts[0], two.tree, "k"), None, "{name}: deleted by the second");
        }
    }

    #[test]
    fn an_invite_that_nobody_could_sign_is_redeemed() {
        let two = visited(&seed("redeems"));
        let stranger = Who::Key(SecretKey::from_bytes([9; 32]).public());
        let held = two.world.snapshot(two.hosts[0]).permission(&two.tree, &stranger).expect("a store");
        assert_eq!(held, Some(Permission::Write(50)));
    }
}
