//! Who may do what, when somebody lies about when, on whose word, or who came first.

use std::sync::Arc;

use pleach_core::{
    Id, Position,
    entry::{Permission, VerifiedEntry, Who},
    storage::Write,
    wire::{Bound, End, Frame, Kind, MAX_WANTS, Mode, RangeItem, Refusal, Reply, Tips},
};
use pleach_storage::{
    Memory,
    conformance::{Maker, store_all},
};

use crate::{
    peer::{Peer, answers, bytes_of, end, entries, fetch, frame, push},
    stage::{
        BEGIN, Carrier, Grove, Hands, MEMBER, Node, OTHER, READER, SERVER, STRANGER, Shelf, Stage, grants,
        public,
    },
};

/// A second member, whom somebody lets in later.
const LATE: u8 = 31;

fn revokes(by: &Maker, parents: &[Position], whom: u8) -> VerifiedEntry {
    by.settings(parents, &[], &[Who::Key(public(whom))])
}

fn lets_in(by: &Maker, parents: &[Position], whom: u8, permission: Permission) -> VerifiedEntry {
    by.settings(parents, &grants(&[(Who::Key(public(whom)), permission)]), &[])
}

fn has(node: &Node, grove: &Grove, entry: &VerifiedEntry) -> bool {
    node.snapshot().entry(&grove.tree(), &entry.id()).expect("a store").is_some()
}

/// Every carrier with every store.
fn everywhere() -> impl Iterator<Item = (Stage, Shelf)> {
    Carrier::ALL.into_iter().flat_map(|carrier| Shelf::both().map(|shelf| (Stage::new(carrier), shelf)))
}

/// Row 14.
#[test]
fn what_a_revoked_key_backdates_counts_nowhere_is_offered_to_nobody_and_fills_no_disk() {
    for (stage, shelf) in everywhere() {
        let (grove, clock) = (Grove::new(1), Hands::at(BEGIN));
        let (tree, start) = (grove.tree(), [grove.start.position()]);
        let revocation = revokes(&grove.root.signed_by(SERVER), &start, MEMBER);
        let member = grove.root.signed_by(MEMBER);
        // Backdated as far as can be, and standing on what came before the revocation.
        let backdated: Vec<_> =
            (0..50).map(|n| member.at_time(n, &start, &format!("old{n}"), Some("x"))).collect();
        let all = bytes_of(&backdated.iter().collect::<Vec<_>>());
        grove.plant(&*shelf.open(), &[]);
        let server = stage.node(shelf.open(), SERVER, &clock);
        let unaware = stage.holder(&grove, OTHER, &clock, &[]);
        let peer = Peer::new(&stage, MEMBER, &clock);
        // Without the revocation the very same bytes count.
        peer.accepted(&unaware.address, &push(tree, &all));
        assert_eq!(unaware.state(&tree).rows.len(), 50);
        // The revocation, from an administrator; then its victim has no business here.
        Peer::new(&stage, OTHER, &clock).accepted(&server.address, &push(tree, &bytes_of(&[&revocation])));
        let before = server.state(&tree);
        assert_eq!(before.tips, [revocation.position()]);
        assert_eq!(peer.refused(&server.address, &push(tree, &all)), Refusal::Unknown);
        assert_eq!(server.state(&tree), before);
        // Whoever has not heard of it brings them; in this order of arrival or the other, the two agree.
        unaware.sync(&server.address, &tree).expect("a sync");
        let (here, there) = (server.state(&tree), unaware.state(&tree));
        assert_eq!((&here.tips, &here.shared, &here.rows), (&before.tips, &before.shared, &before.rows));
        assert_eq!((&there.tips, &there.shared, &there.rows), (&here.tips, &here.shared, &here.rows));
        let reader = stage.newcomer(READER, &clock);
        for node in [&server, &unaware] {
            reader.sync(&node.address, &tree).expect("a sync");
            assert!(backdated.iter().all(|entry| !has(&reader, &grove, entry)), "offered to nobody");
            assert!(node.is_whole(&tree));
        }
        for node in [server, unaware, reader] {
            node.close();
        }
        // Before anybody built on them, they are gone from where they were never shared.
        let store = shelf.open();
        store.write(&Write::Tidy { tree }).expect("a write");
        let bytes =
            store.snapshot().expect("a snapshot").summary(&tree).expect("a summary").expect("held").bytes;
        assert_eq!(bytes, before.bytes);
    }
}

/// Row 15.
#[test]
fn an_entry_has_the_authority_that_its_ancestors_give_it_and_no_other() {
    for (stage, shelf) in everywhere() {
        let (grove, clock) = (Grove::new(1), Hands::at(BEGIN));
        let (tree, start) = (grove.tree(), [grove.start.position()]);
        let granted = lets_in(&grove.root, &start, LATE, Permission::Write(20));
        let closed = revokes(&grove.root, &[granted.position()], LATE);
        grove.plant(&*shelf.open(), &[&granted]);
        let server = stage.node(shelf.open(), SERVER, &clock);
        let peer = Peer::new(&stage, MEMBER, &clock);
        let late = grove.root.signed_by(LATE);
        // It stands on the settings that let it in, then on those from before, then on those that threw it out.
        let good = late.entry(&[granted.position()], "late", "in");
        peer.accepted(&server.address, &push(tree, &bytes_of(&[&good])));
        let early = late.entry(&start, "late", "too early");
        let before = server.state(&tree);
        let refused = peer.refused(&server.address, &push(tree, &bytes_of(&[&early])));
        assert!(
            matches!(&refused, Refusal::Refused { id, rule } if *id == early.id() && rule.contains("no grant"))
        );
        assert_eq!(server.state(&tree), before);
        Peer::new(&stage, OTHER, &clock).accepted(&server.address, &push(tree, &bytes_of(&[&closed])));
        let before = server.state(&tree);
        for parents in [vec![closed.position()], vec![good.position(), closed.position()]] {
            let after = late.entry(&parents, "late", "after");
            let refused = peer.refused(&server.address, &push(tree, &bytes_of(&[&after])));
            assert!(matches!(refused, Refusal::Refused { .. }), "{refused:?}");
            assert_eq!(server.state(&tree), before);
        }
        server.close();
    }
}

/// Row 16.
#[test]
fn administrators_of_one_rank_remove_nobody_whoever_is_heard_first() {
    for (stage, shelf) in everywhere() {
        let (grove, clock) = (Grove::new(1), Hands::at(BEGIN));
        let (tree, start) = (grove.tree(), [grove.start.position()]);
        let (here, there) = (grove.root.signed_by(SERVER), grove.root.signed_by(OTHER));
        let (first, second) = (revokes(&here, &start, OTHER), revokes(&there, &start, SERVER));
        grove.plant(&*shelf.open(), &[&first]);
        let server = stage.node(shelf.open(), SERVER, &clock);
        let other = stage.holder(&grove, OTHER, &clock, &[&second]);
        other.sync(&server.address, &tree).expect("neither is thrown out");
        let (mine, theirs) = (server.state(&tree), other.state(&tree));
        assert_eq!((&mine.tips, &mine.shared, mine.bytes), (&theirs.tips, &theirs.shared, theirs.bytes));
        for seed in [SERVER, OTHER] {
            let held = server.snapshot().permission(&tree, &Who::Key(public(seed))).expect("a store");
            assert_eq!(held, Some(Permission::Admin(1)));
        }
        // Both go on to write, on top of both.
        let tips = server.state(&tree).tips;
        assert_eq!(tips.len(), 2);
        let peer = Peer::new(&stage, MEMBER, &clock);
        for by in [&here, &there] {
            let entry = by.entry(&tips, "both", "x");
            peer.accepted(&server.address, &push(tree, &bytes_of(&[&entry])));
        }
        // From above it does what it says.
        let done = revokes(&grove.root, &tips, OTHER);
        peer.accepted(&server.address, &push(tree, &bytes_of(&[&done])));
        let before = server.state(&tree);
        let after = there.entry(&[done.position()], "gone", "x");
        let refused = peer.refused(&server.address, &push(tree, &bytes_of(&[&after])));
        assert!(matches!(refused, Refusal::Refused { .. }), "{refused:?}");
        assert_eq!(server.state(&tree), before);
        server.close();
        other.close();
    }
}

/// Row 16.
#[test]
fn nobody_grants_their_own_rank_and_nobody_revokes_a_higher_one() {
    for (stage, shelf) in everywhere() {
        let (grove, clock) = (Grove::new(1), Hands::at(BEGIN));
        let (tree, start) = (grove.tree(), [grove.start.position()]);
        grove.plant(&*shelf.open(), &[]);
        let server = stage.node(shelf.open(), SERVER, &clock);
        let peer = Peer::new(&stage, MEMBER, &clock);
        let admin = grove.root.signed_by(OTHER);
        for granted in [Permission::Admin(1), Permission::Admin(0)] {
            let before = server.state(&tree);
            let entry = lets_in(&admin, &start, LATE, granted);
            let refused = peer.refused(&server.address, &push(tree, &bytes_of(&[&entry])));
            assert!(matches!(refused, Refusal::Refused { .. }), "{refused:?}");
            assert_eq!(server.state(&tree), before);
        }
        let below = lets_in(&admin, &start, LATE, Permission::Admin(2));
        peer.accepted(&server.address, &push(tree, &bytes_of(&[&below])));
        // The one below says that the one above is out: it is stored, and means nothing.
        let up = revokes(&grove.root.signed_by(LATE), &[below.position()], OTHER);
        peer.accepted(&server.address, &push(tree, &bytes_of(&[&up])));
        let held = |seed| server.snapshot().permission(&tree, &Who::Key(public(seed))).expect("a store");
        assert_eq!((held(OTHER), held(LATE)), (Some(Permission::Admin(1)), Some(Permission::Admin(2))));
        server.close();
    }
}

/// Row 18.
#[test]
fn what_nobody_asked_for_is_not_taken() {
    for (stage, shelf) in everywhere() {
        let (grove, clock) = (Grove::new(1), Hands::at(BEGIN));
        let tree = grove.tree();
        grove.plant(&*shelf.open(), &[]);
        let server = stage.node(shelf.open(), SERVER, &clock);
        let peer = Peer::new(&stage, MEMBER, &clock);
        peer.accepted(&server.address, &push(tree, &bytes_of(&[&grove.entry(MEMBER, "asked")])));
        let before = server.state(&tree);
        // A whole tree that is not held here; entries without a request about a tree; an entry of another tree in a
        // request about this one; and entries from a reader, and from nobody who may do anything.
        let foreign = Grove::new(2);
        let whole = bytes_of(&[&foreign.root.root(), &foreign.start]);
        assert_eq!(peer.refused(&server.address, &push(foreign.tree(), &whole)), Refusal::Unknown);
        let unasked = bytes_of(&[&grove.entry(MEMBER, "unasked")]);
        let refused = peer.refused(&server.address, &[entries(&unasked), end()]);
        assert!(
            matches!(&refused, Refusal::Malformed { rule } if rule.contains("out of place")),
            "{refused:?}"
        );
        let refused = peer.refused(&server.address, &push(tree, &whole));
        assert!(matches!(refused, Refusal::Malformed { .. } | Refusal::Refused { .. }), "{refused:?}");
        let stranger = Peer::new(&stage, STRANGER, &clock);
        assert_eq!(stranger.refused(&server.address, &push(tree, &unasked)), Refusal::Unknown);
        assert_eq!(server.state(&tree), before);
        server.close();
    }
}

/// Row 18.
#[test]
fn a_node_that_asked_for_one_tree_is_given_no_other() {
    for carrier in Carrier::ALL {
        let (stage, grove, clock) = (Stage::new(carrier), Grove::new(1), Hands::at(BEGIN));
        let foreign = Grove::new(2);
        let (tree, forged) = (grove.tree(), bytes_of(&[&foreign.root.root(), &foreign.start]));
        // Its answers are those of an honest node, but for the entries.
        let honest = stage.holder(&grove, SERVER, &clock, &[]);
        let answer = Peer::new(&stage, READER, &clock).accepted(&honest.address, &fetch(tree));
        let kinds = |answer: &[Vec<u8>]| {
            let read = |frame: &Vec<u8>| Frame::read(frame).map(|frame| matches!(frame, Frame::Entries(_)));
            answer.iter().map(read).collect::<Vec<_>>()
        };
        assert_eq!(kinds(&answer), [Ok(false), Ok(true), Ok(false)]);
        for lies in [false, true] {
            let mut said = answer.clone();
            if lies {
                said[1] = entries(&forged);
            }
            let liar = answers(&stage, OTHER, &clock, move |_| said.clone());
            let victim = stage.newcomer(READER, &clock);
            let before = victim.state(&tree);
            let outcome = victim.sync(&liar.address, &tree);
            let after = victim.state(&tree);
            if lies {
                let error = outcome.expect_err("another tree's entries");
                assert!(error.is_peer_fault(), "{carrier:?}: {error:?}");
                assert_eq!(after, before, "{carrier:?}");
            } else {
                outcome.expect("the same answer without the lie");
                assert_eq!(after.shared.len(), 2, "{carrier:?}");
            }
            victim.close();
            drop(liar);
        }
        honest.close();
    }
}

/// Row 13.
#[test]
fn two_histories_of_one_author_are_both_kept_and_everybody_agrees() {
    for (stage, shelf) in everywhere() {
        let (grove, clock) = (Grove::new(1), Hands::at(BEGIN));
        let tree = grove.tree();
        let member = grove.root.signed_by(MEMBER);
        let start = grove.start.position();
        let (one, two) = (member.chain(start, 20), member.fan(start, 20));
        grove.plant(&*shelf.open(), &one.iter().collect::<Vec<_>>());
        let server = stage.node(shelf.open(), SERVER, &clock);
        let other = stage.holder(&grove, OTHER, &clock, &two.iter().collect::<Vec<_>>());
        other.sync(&server.address, &tree).expect("a sync");
        let (here, there) = (server.state(&tree), other.state(&tree));
        assert_eq!((here.tips.len(), here.shared.len(), here.rows.len()), (21, 42, 40));
        assert_eq!((here.tips, here.shared, here.rows), (there.tips, there.shared, there.rows));
        server.close();
        other.close();
    }
}

/// Rows 9, 10 and 30.
#[test]
fn an_entry_whose_ancestors_are_missing_is_asked_for_by_name_and_not_kept() {
    for (stage, shelf) in everywhere() {
        let (grove, clock) = (Grove::new(1), Hands::at(BEGIN));
        let tree = grove.tree();
        grove.plant(&*shelf.open(), &[]);
        let server = stage.node(shelf.open(), SERVER, &clock);
        let peer = Peer::new(&stage, MEMBER, &clock);
        let chain = grove.root.signed_by(MEMBER).chain(grove.start.position(), 300);
        let before = server.state(&tree);
        // Orphans, each on something that never comes.
        let orphans: Vec<_> = chain.iter().skip(1).step_by(2).collect();
        let answer = peer.accepted(&server.address, &push(tree, &bytes_of(&orphans)));
        let missing: Vec<_> = answer
            .iter()
            .filter_map(|frame| match Frame::read(frame) {
                Ok(Frame::Missing(ids)) => Some(ids.iter().collect::<Vec<_>>()),
                _ => None,
            })
            .flatten()
            .collect();
        let parents: Vec<_> = chain.iter().step_by(2).map(|entry| entry.id()).collect();
        assert!(
            !missing.is_empty() && missing.len() <= MAX_WANTS,
            "what is missing is named, as far as it fits"
        );
        assert!(missing.iter().all(|id| parents.contains(id)));
        assert_eq!(server.state(&tree), before, "nothing is kept, nothing is shown");
        assert!(orphans.iter().all(|orphan| !has(&server, &grove, orphan)));
        // With their ancestors the same bytes are taken.
        peer.accepted(&server.address, &push(tree, &bytes_of(&chain.iter().collect::<Vec<_>>())));
        assert_eq!(server.state(&tree).tips, [chain[299].position()]);
        server.close();
    }
}

/// Row 24.
#[test]
fn a_peer_that_lies_about_its_tips_and_holds_back_what_it_claims_ends_its_own_exchange_alone() {
    for carrier in Carrier::ALL {
        let (stage, grove, clock) = (Stage::new(carrier), Grove::new(1), Hands::at(BEGIN));
        let tree = grove.tree();
        let liar = answers(&stage, OTHER, &clock, move |request| {
            let Some(Ok(Frame::Sync(hello, _))) = request.first().map(|frame| Frame::read(frame)) else {
                return Vec::new();
            };
            let reply = Reply {
                version: 1,
                capabilities: hello.capabilities,
                limits: hello.limits,
                same: false,
                count: 1_000_000,
            };
            let claimed = heapless::Vec::from_slice(&[Id::of(b"never seen")]).expect("one");
            let end = End { tips: Some(Tips::Named(claimed)), count: 1_000_000, ..End::default() };
            let all = RangeItem { bound: Bound::default(), mode: Mode::Sending };
            vec![frame(Kind::Reply, &reply, [all]), frame(Kind::End, &end, [(); 0])]
        });
        let honest = stage.holder(&grove, SERVER, &clock, &[&grove.entry(MEMBER, "news")]);
        let victim = stage.holder(&grove, READER, &clock, &[]);
        let before = victim.state(&tree);
        let refused = victim.sync(&liar.address, &tree).expect_err("it never brings what it claims");
        assert_eq!(victim.state(&tree), before, "{carrier:?}: {refused:?}");
        victim.sync(&honest.address, &tree).expect("nobody else suffers");
        assert_eq!(victim.state(&tree).tips, honest.state(&tree).tips);
        victim.close();
        honest.close();
    }
}

/// Row 12.
#[test]
fn ten_thousand_tips_make_nobody_merge_and_the_next_entry_cost_no_more() {
    let grove = Grove::new(1);
    let tree = grove.tree();
    let fan = grove.root.signed_by(MEMBER).fan(grove.start.position(), 10_000);
    let store = Arc::new(Memory::new());
    grove.plant(&*store, &[]);
    store_all(&*store, &grove.root, &fan);
    let (stage, clock) = (Stage::new(Carrier::Memory), Hands::at(BEGIN));
    let server = stage.node(store, SERVER, &clock);
    let one_more = grove.entry(MEMBER, "one more");
    let peer = Peer::new(&stage, MEMBER, &clock);
    peer.accepted(&server.address, &push(tree, &bytes_of(&[&one_more])));
    let summary = server.snapshot().summary(&tree).expect("a summary").expect("held");
    assert_eq!((summary.tips.count, summary.measure.count), (10_001, 10_003), "receiving merges nothing");
    server.close();
}
