//! Messages that were made for another moment, another node or another direction.

use pleach_core::{
    canonical,
    entry::Permission,
    instance::Bootstrap,
    wire::{FRESHNESS, NodeAnswer, RequestHead},
};

use crate::{
    stage::{
        BEGIN, Carrier, Grove, Hands, MEMBER, Node, OTHER, READER, SERVER, STRANGER, Shelf, Stage, State,
        TEN_YEARS, public,
    },
    wiretap::{Tap, is_signed, send},
};

/// A node over a shelf, and what a member and a stranger said to it over a line on which somebody listened: an entry,
/// and a request for access. Both had their effect.
fn recorded(stage: &Stage, shelf: &Shelf, grove: &Grove, clock: &Hands) -> (Node, Tap, State) {
    let tree = grove.tree();
    grove.plant(&*shelf.open(), &[]);
    let server = stage.node(shelf.open(), SERVER, clock);
    let tap = Tap::new(stage, &server);
    let before = server.state(&tree);
    let entry = grove.entry(MEMBER, "greeting");
    let member = stage.holder(grove, MEMBER, clock, &[&entry]);
    member.sync(&tap.address, &tree).expect("a member may push");
    member.close();
    let stranger = stage.newcomer(STRANGER, clock);
    let asked = stranger.ask(&tap.address, &tree, Permission::Write(7));
    assert_eq!(asked, Ok(Bootstrap::Pending(None)));
    stranger.close();
    let after = server.state(&tree);
    assert_ne!(before, after);
    assert_eq!((after.tips.as_slice(), after.rows.len()), (&[entry.position()][..], 1));
    assert_eq!(server.pending().len(), 1);
    (server, tap, after)
}

/// An exchange of somebody else, after which all that was sent before has been looked at; and nothing came of it.
fn is_as_before(stage: &Stage, server: &Node, grove: &Grove, clock: &Hands, expected: &State, what: &str) {
    let reader = stage.newcomer(READER, clock);
    reader.sync(&server.address, &grove.tree()).expect("the node serves as before");
    let state = server.state(&grove.tree());
    assert_eq!(state, *expected, "{what}");
    assert_eq!(reader.state(&grove.tree()).tips, expected.tips, "{what}");
    reader.close();
}

/// Row 6.
#[test]
fn what_was_recorded_has_no_second_effect_wherever_and_however_often_it_is_sent_again() {
    for (carrier, json) in
        Carrier::RECORDED.into_iter().zip([false; 4]).chain([(Carrier::HttpOnThreads, true)])
    {
        for shelf in Shelf::both() {
            let mut stage = Stage::new(carrier);
            stage.json = json;
            let (grove, clock) = (Grove::new(1), Hands::at(BEGIN));
            let what = format!("{carrier:?} over {}", shelf.name());
            let (mut server, tap, after) = recorded(&stage, &shelf, &grove, &clock);
            let good = |statuses: Vec<u16>| {
                assert_eq!(statuses.is_empty(), !carrier.is_http(), "{what}");
                assert!(statuses.iter().all(|status| *status == 200), "{what}: {statuses:?}");
            };
            for _ in 0..2 {
                good(tap.replay(&server.address));
            }
            is_as_before(&stage, &server, &grove, &clock, &after, &what);
            // A second process over the same storage knows of it, and so does one that begins afterwards.
            if carrier != Carrier::Serial && matches!(shelf, Shelf::Memory(_)) {
                let second = stage.node(shelf.open(), SERVER, &clock);
                good(tap.replay(&second.address));
                is_as_before(&stage, &second, &grove, &clock, &after, &what);
                second.close();
            }
            server.close();
            server = stage.node(shelf.open(), SERVER, &clock);
            good(tap.replay(&server.address));
            is_as_before(&stage, &server, &grove, &clock, &after, &what);
            // Nor is a decision undone by the request that it was about.
            let id = server.pending()[0].id;
            assert_eq!(server.approve(&id), Ok(Permission::Write(7)));
            let decided = server.state(&grove.tree());
            good(tap.replay(&server.address));
            is_as_before(&stage, &server, &grove, &clock, &decided, &what);
            assert_eq!(server.pending(), []);
            server.close();
        }
    }
}

/// Rows 6 and 28.
#[test]
fn a_recorded_request_is_refused_outside_its_minute_with_the_responders_time() {
    for carrier in [Carrier::HttpOnExecutor, Carrier::HttpOnThreads] {
        let (stage, grove, clock) = (Stage::new(carrier), Grove::new(1), Hands::at(BEGIN));
        let [shelf, _] = Shelf::both();
        let (server, tap, after) = recorded(&stage, &shelf, &grove, &clock);
        let signed: Vec<_> = tap.requests().into_iter().filter(|request| is_signed(request)).collect();
        assert!(signed.len() >= 2, "a push and a request");
        for (wall, status) in [
            (BEGIN + FRESHNESS, 200),
            (BEGIN + FRESHNESS + 1, 401),
            (BEGIN - FRESHNESS - 1, 401),
            (BEGIN + TEN_YEARS, 401),
            (BEGIN - TEN_YEARS, 401),
            (0, 401),
            (u64::MAX, 401),
            (BEGIN, 200),
        ] {
            clock.set(wall);
            for request in &signed {
                let (found, body) = send(&server.address.address, request);
                assert_eq!(found, status, "{carrier:?} at {wall}");
                if found == 401 {
                    let answer: NodeAnswer = canonical::from_bytes(&body).expect("an answer");
                    assert_eq!(answer.time, wall);
                    let text = String::from_utf8_lossy(request).to_string();
                    let head = text.lines().find_map(|line| {
                        let (name, value) = line.split_once(": ")?;
                        name.eq_ignore_ascii_case("pleach-signature").then(|| value.to_owned())
                    });
                    let head: RequestHead = head.expect("a signature").parse().expect("a head");
                    let checked = answer.check(head.key, Some(public(SERVER)), &head.nonce);
                    assert_eq!(checked, Ok(()), "the time is signed for this very request");
                }
            }
        }
        is_as_before(&stage, &server, &grove, &clock, &after, &format!("{carrier:?}"));
        server.close();
    }
}

/// Row 7.
#[test]
fn what_was_said_to_one_node_is_nothing_to_another() {
    for carrier in Carrier::RECORDED {
        for [shelf, elsewhere] in [Shelf::both(), {
            let [memory, file] = Shelf::both();
            [file, memory]
        }] {
            let (stage, grove, clock) = (Stage::new(carrier), Grove::new(1), Hands::at(BEGIN));
            let (server, tap, _) = recorded(&stage, &shelf, &grove, &clock);
            // The same members may do the same there.
            grove.plant(&*elsewhere.open(), &[]);
            let other = stage.node(elsewhere.open(), OTHER, &clock);
            let before = other.state(&grove.tree());
            let statuses = tap.replay(&other.address);
            assert!(statuses.iter().all(|status| *status == 403), "{carrier:?}: {statuses:?}");
            assert_eq!(statuses.is_empty(), !carrier.is_http());
            is_as_before(&stage, &other, &grove, &clock, &before, &format!("{carrier:?}"));
            // Nor does anybody speak to it who is led there by an address that names the first.
            let led = Tap::new(&stage, &other).address.with_key(public(SERVER));
            let member = stage.holder(&grove, MEMBER, &clock, &[&grove.entry(MEMBER, "secret")]);
            let refused = member.sync(&led, &grove.tree()).expect_err("another key").to_string();
            assert!(refused.contains("expected the node"), "{carrier:?}: {refused}");
            is_as_before(&stage, &other, &grove, &clock, &before, &format!("{carrier:?}"));
            for node in [server, other, member] {
                node.close();
            }
        }
    }
}

/// Row 8.
#[test]
fn a_node_neither_takes_its_own_word_nor_answers_it() {
    for carrier in Carrier::RECORDED {
        let (stage, grove, clock) = (Stage::new(carrier), Grove::new(1), Hands::at(BEGIN));
        let [shelf, elsewhere] = Shelf::both();
        grove.plant(&*shelf.open(), &[&grove.entry(SERVER, "own")]);
        let server = stage.node(shelf.open(), SERVER, &clock);
        grove.plant(&*elsewhere.open(), &[]);
        let other = stage.node(elsewhere.open(), OTHER, &clock);
        // What it says to another is good there.
        let tap = Tap::new(&stage, &other);
        server.sync(&tap.address, &grove.tree()).expect("an administrator may push");
        let before = server.state(&grove.tree());
        assert_eq!(other.state(&grove.tree()).tips, before.tips);
        let statuses = tap.replay(&server.address);
        assert!(statuses.iter().all(|status| *status == 403), "{carrier:?}: {statuses:?}");
        is_as_before(&stage, &server, &grove, &clock, &before, &format!("{carrier:?}"));
        // And a line that leads back to itself is noticed.
        let mut back = Tap::new(&stage, &server).address;
        back.key = None;
        let refused = server.sync(&back, &grove.tree()).expect_err("its own key").to_string();
        assert!(
            refused.contains("own key") || refused.contains("this node itself"),
            "{carrier:?}: {refused}"
        );
        is_as_before(&stage, &server, &grove, &clock, &before, &format!("{carrier:?}"));
        server.close();
        other.close();
    }
}
