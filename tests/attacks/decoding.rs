//! Bytes that are no entry, no frame, or both in a second spelling; and entries that their author may not make.

use pleach_core::{
    Id,
    entry::Origin,
    limits::{MAX_ENTRY, MAX_PARENTS, MAX_VALUE_DEPTH},
    wire::{Kind, Refusal, Versions},
};

use crate::{
    peer::{Peer, Raw, end, entries, hello, map, push, signed, sync},
    stage::{BEGIN, Carrier, Grove, Hands, MEMBER, READER, SERVER, STRANGER, Shelf, Stage, public, secret},
};

/// The order of Ed25519's group, low byte first.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The same signature with its second half larger by the order: another spelling of the same number.
fn malleated(mut entry: Vec<u8>) -> Vec<u8> {
    let at = entry.len() - 32;
    let mut carry = 0;
    for (byte, order) in entry[at..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0, "it fits");
    entry
}

/// Lists in lists.
fn nested(depth: usize) -> Vec<u8> {
    let mut value = [7, 1].repeat(depth);
    value.push(0);
    value
}

/// An attack on the bytes of an entry: what it is, the rows of the list that it belongs to, the frame that carries it,
/// and what the refusal says.
type Attack = (&'static str, Vec<u8>, &'static str);

/// Attacks on an entry of a member.
fn attacks(grove: &Grove) -> Vec<Attack> {
    let good = Raw::good(grove, MEMBER);
    let with = |change: &dyn Fn(&mut Raw)| {
        let mut raw = good.clone();
        change(&mut raw);
        raw.bytes()
    };
    let of = |bytes: Vec<u8>| entries(&[bytes]);
    let many: Vec<Id> = {
        let mut ids: Vec<_> = (0..=MAX_PARENTS).map(|n| Id::of(&n.to_le_bytes())).collect();
        ids.sort();
        ids
    };
    let [a, b] = [many[0], many[1]];
    // The height is the varint behind the version and the origin of a tree.
    let padded = {
        let mut bytes = good.unsigned();
        assert_eq!(bytes[34], 2);
        bytes.splice(34..35, [0x82, 0]);
        signed(bytes, &good.author)
    };
    let weak = {
        let mut bytes = good.unsigned();
        let key = *good.author.public().as_bytes();
        let at = bytes.windows(32).position(|window| window == key).expect("the author");
        bytes[at..at + 32].copy_from_slice(&[&[1][..], &[0; 31]].concat());
        // For a key of small order, this is a signature of anything where the check has a cofactor.
        [bytes, vec![1], vec![0; 63]].concat()
    };
    let other_key = {
        let mut bytes = good.unsigned();
        let (from, to) = (public(MEMBER), public(SERVER));
        let at = bytes.windows(32).position(|window| window == from.as_bytes()).expect("the author");
        bytes[at..at + 32].copy_from_slice(to.as_bytes());
        signed(bytes, &secret(MEMBER))
    };
    let mut flipped = good.bytes();
    *flipped.last_mut().unwrap() ^= 1;
    let mut announced = entries(&[good.bytes()]);
    announced[1] = 0xff;
    announced[2] = 0x7f;
    vec![
        ("1: a length beyond the bytes", announced, "no valid frame"),
        (
            "1: a length beyond any entry",
            [vec![Kind::Entries as u8, 0x81, 0x80, 0x10], vec![0; MAX_ENTRY + 1]].concat(),
            "no valid frame",
        ),
        ("1: an entry that is cut short", of(good.bytes()[..90].to_vec()), "cut short"),
        (
            "2: a value nested too deep",
            of(with(&|raw| raw.stores[0].1 = map(&[("raw", &nested(MAX_VALUE_DEPTH + 1))]))),
            "nests at most 8 deep",
        ),
        (
            "2: a value nested without end",
            of(with(&|raw| raw.stores[0].1 = map(&[("raw", &nested(50_000))]))),
            "nests at most 8 deep",
        ),
        ("3: a padded number", of(padded), "not the canonical encoding"),
        ("3: a byte behind the end", of([good.bytes(), vec![0]].concat()), "too many"),
        (
            "3: a path twice",
            of(with(&|raw| raw.stores[0].1 = map(&[("raw", &[0]), ("raw", &[1])]))),
            "each once",
        ),
        (
            "3: a store twice",
            of(with(&|raw| raw.stores = [raw.stores.clone(), raw.stores.clone()].concat())),
            "each once",
        ),
        ("4: a signature in a second spelling", of(malleated(good.bytes())), "signature"),
        ("4: a key of small order", of(weak), "signature"),
        ("5: another key than the signature's", of(other_key), "signature"),
        ("11: a height that is no sum", of(with(&|raw| raw.height = 9)), "height"),
        ("11: a height without end", of(with(&|raw| raw.height = u64::MAX)), "heights lie below"),
        ("12: one parent too many", of(with(&|raw| raw.parents.clone_from(&many))), "at most 32 parents"),
        ("12: a parent twice", of(with(&|raw| raw.parents = vec![raw.parents[0]; 2])), "sorted and unique"),
        ("12: parents out of order", of(with(&|raw| raw.parents = vec![b, a])), "sorted and unique"),
        ("15: an author whom nobody let in", of(with(&|raw| raw.author = secret(STRANGER))), "no grant"),
        ("15: a reader who writes", of(with(&|raw| raw.author = secret(READER))), "may only read"),
        (
            "16: a writer who writes settings",
            of(with(&|raw| raw.stores = vec![("_settings".into(), vec![2, 0, 0, 0])])),
            "written by administrators",
        ),
        (
            "18: an entry of another tree",
            of(with(&|raw| raw.origin = Origin::Tree(a))),
            "belongs to the tree",
        ),
        ("26: a signature with a bit flipped", of(flipped), "signature"),
        ("28: a time beyond all times", of(with(&|raw| raw.time = 1 << 48)), "times lie below"),
        ("29: an unknown version", of(with(&|raw| raw.version = 2)), "version 2 is unknown"),
        ("29: an unknown kind of frame", vec![200, 1, 2, 3], "kind 200 is unknown"),
    ]
}

/// Rows 1, 2, 3, 4, 5, 11, 12, 15, 16, 18, 26, 28 and 29.
#[test]
fn whatever_is_wrong_with_an_entry_it_is_refused_by_its_rule_and_nothing_is_stored() {
    for carrier in Carrier::ALL {
        for shelf in Shelf::both() {
            let (stage, grove, clock) = (Stage::new(carrier), Grove::new(1), Hands::at(BEGIN));
            let tree = grove.tree();
            grove.plant(&*shelf.open(), &[]);
            let mut server = stage.node(shelf.open(), SERVER, &clock);
            let peer = Peer::new(&stage, MEMBER, &clock);
            // The same bytes without the attack.
            peer.accepted(&server.address, &push(tree, &[Raw::good(&grove, MEMBER).bytes()]));
            let before = server.state(&tree);
            assert_eq!((before.shared.len(), before.rows.len()), (3, 1));
            for (what, frame, says) in attacks(&grove) {
                let what = format!("{what}, {carrier:?} over {}", shelf.name());
                let refusal = peer.refused(&server.address, &[sync(&hello(tree)), frame, end()]);
                let (Refusal::Malformed { rule } | Refusal::Refused { rule, .. }) = &refusal else {
                    panic!("{what}: {refusal:?}");
                };
                assert!(rule.contains(says), "{what}: {rule}");
                assert_eq!(server.state(&tree), before, "{what}");
                // Who signs wrongly is put off for a while by this node: the next one is asked of another process.
                server.close();
                server = stage.node(shelf.open(), SERVER, &clock);
            }
            assert!(server.is_whole(&tree));
            peer.accepted(&server.address, &push(tree, &[]));
            server.close();
        }
    }
}

/// Row 29.
#[test]
fn whoever_speaks_no_version_in_common_is_told_which_there_are() {
    for carrier in Carrier::ALL {
        let (stage, grove, clock) = (Stage::new(carrier), Grove::new(1), Hands::at(BEGIN));
        let server = stage.holder(&grove, SERVER, &clock, &[]);
        let peer = Peer::new(&stage, MEMBER, &clock);
        let ours = hello(grove.tree());
        peer.accepted(&server.address, &[sync(&ours), end()]);
        for (oldest, newest) in [(0, 0), (2, 9), (9, 2)] {
            let theirs = pleach_core::wire::Hello { versions: Versions { oldest, newest }, ..ours.clone() };
            let refusal = peer.refused(&server.address, &[sync(&theirs), end()]);
            assert!(matches!(refusal, Refusal::Incompatible { versions: Versions::OURS, .. }), "{refusal:?}");
        }
        server.close();
    }
}
