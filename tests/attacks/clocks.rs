//! Wrong clocks, and times that are claimed.

use pleach_core::{
    entry::{Permission, Value, VerifiedEntry, Who},
    instance::{Bootstrap, Error},
    limits::TIME_END,
    storage::Snapshot,
    wire::RequestHead,
};

use crate::{
    peer::{Peer, bytes_of, push},
    stage::{
        BEGIN, Carrier, Grove, Hands, MEMBER, READER, SERVER, STRANGER, Shelf, Stage, TEN_YEARS, public,
    },
    wiretap::{Tap, is_signed},
};

const DAY: u64 = 24 * 60 * 60 * 1_000;

/// Row 28.
#[test]
fn nodes_whose_clocks_are_a_day_or_ten_years_apart_sync_and_ask_all_the_same() {
    for carrier in Carrier::ALL {
        let (stage, grove, clock) = (Stage::new(carrier), Grove::new(1), Hands::at(BEGIN));
        let [shelf, _] = Shelf::both();
        grove.plant(&*shelf.open(), &[]);
        let server = stage.node(shelf.open(), SERVER, &clock);
        for (n, wall) in
            [BEGIN, BEGIN + DAY, BEGIN - DAY, BEGIN + TEN_YEARS, BEGIN - TEN_YEARS, 0].into_iter().enumerate()
        {
            let wrong = Hands::at(wall);
            let entry = grove.entry(MEMBER, &format!("path{n}"));
            let member = stage.holder(&grove, MEMBER, &wrong, &[&entry]);
            member.sync(&server.address, &grove.tree()).expect("clocks are no reason to refuse");
            assert!(server.state(&grove.tree()).tips.contains(&entry.position()), "{carrier:?} at {wall}");
            assert_eq!(member.state(&grove.tree()).tips, server.state(&grove.tree()).tips);
            let stranger = stage.newcomer(STRANGER, &wrong);
            let asked = stranger.ask(&server.address, &grove.tree(), Permission::Read);
            assert_eq!(asked, Ok(Bootstrap::Pending(None)), "{carrier:?} at {wall}");
            let [request] = &server.pending()[..] else { panic!("one request") };
            assert_eq!(request.received, BEGIN, "it came when this node's clock said so");
            member.close();
            stranger.close();
        }
        server.close();
    }
}

/// The times in the signed requests of a tap.
fn times(tap: &Tap) -> Vec<u64> {
    let signed = tap.requests().into_iter().filter(|request| is_signed(request));
    signed
        .map(|request| {
            let text = String::from_utf8_lossy(&request).to_string();
            let mut heads = text.lines().filter_map(|line| line.split_once(": "));
            let head = heads.find(|(name, _)| name.eq_ignore_ascii_case("pleach-signature"));
            head.expect("it is signed").1.parse::<RequestHead>().expect("a head").time
        })
        .collect()
}

/// Row 28.
#[test]
fn a_node_whose_time_is_refused_signs_once_more_against_the_time_that_it_is_told() {
    for carrier in [Carrier::HttpOnExecutor, Carrier::HttpOnThreads] {
        for (jump, own) in [(BEGIN + DAY, BEGIN), (BEGIN - DAY, BEGIN + 7 * DAY), (BEGIN + TEN_YEARS, BEGIN)]
        {
            let (stage, grove, clock) = (Stage::new(carrier), Grove::new(1), Hands::at(BEGIN));
            let server = stage.holder(&grove, SERVER, &clock, &[]);
            let tap = Tap::new(&stage, &server);
            let member = stage.holder(&grove, MEMBER, &Hands::at(own), &[&grove.entry(MEMBER, "early")]);
            member.sync(&tap.address, &grove.tree()).expect("a sync");
            let before = times(&tap);
            assert!(before.iter().all(|time| *time == BEGIN), "against the responder's time: {before:?}");
            // The responder's clock is set; the initiator takes it to be as it was.
            clock.set(jump);
            member.sync(&tap.address, &grove.tree()).expect("a sync");
            assert_eq!(times(&tap)[before.len()..], [BEGIN, jump], "refused, and signed again");
            member.close();
            server.close();
        }
    }
}

/// Row 28.
#[test]
fn no_jump_of_a_clock_makes_a_request_count_for_more_or_lets_nobody_decide_for_ever() {
    for carrier in Carrier::ALL {
        for shelf in Shelf::both() {
            let (stage, grove, clock) = (Stage::new(carrier), Grove::new(1), Hands::at(BEGIN));
            grove.plant(&*shelf.open(), &[]);
            let server = stage.node(shelf.open(), SERVER, &clock);
            let stranger = stage.newcomer(STRANGER, &clock);
            let asked = stranger.ask(&server.address, &grove.tree(), Permission::Read);
            assert_eq!(asked, Ok(Bootstrap::Pending(None)));
            let id = server.pending()[0].id;
            let before = server.state(&grove.tree());
            for wall in [BEGIN + TEN_YEARS, BEGIN - TEN_YEARS, 0, u64::MAX] {
                clock.set(wall);
                assert_eq!(server.approve(&id), Err(Error::RequestExpired(id)), "at {wall}");
                assert_eq!(server.state(&grove.tree()), before);
            }
            clock.set(BEGIN);
            assert_eq!(server.approve(&id), Ok(Permission::Read));
            stranger.sync(&server.address, &grove.tree()).expect("let in");
            server.close();
            stranger.close();
        }
    }
}

/// The text at a path, if there is one.
fn text(snapshot: std::sync::Arc<dyn Snapshot>, grove: &Grove, path: &str) -> Option<Value> {
    use pleach_core::document::{DocStore, Scope, StoreType};
    let scope = Scope::of_snapshot(snapshot, grove.tree(), "doc").expect("a scope");
    DocStore::open(scope).expect("a store").get(path).expect("a value")
}

/// Row 28.
#[test]
fn a_claimed_time_weighs_on_the_paths_that_its_entry_writes_and_on_no_permission() {
    for carrier in Carrier::ALL {
        for shelf in Shelf::both() {
            let (stage, grove, clock) = (Stage::new(carrier), Grove::new(1), Hands::at(BEGIN));
            grove.plant(&*shelf.open(), &[]);
            let server = stage.node(shelf.open(), SERVER, &clock);
            let peer = Peer::new(&stage, MEMBER, &clock);
            let start = [grove.start.position()];
            let say = |entries: &[&VerifiedEntry]| {
                peer.accepted(&server.address, &push(grove.tree(), &bytes_of(entries)));
            };
            let member = grove.root.signed_by(MEMBER);
            say(&[&member.entry(&start, "lied", "honest"), &member.entry(&start, "other", "honest")]);
            // From the end of all times, and from their beginning.
            let future = member.at_time(TIME_END - 1, &start, "lied", Some("from the future"));
            let past = member.at_time(0, &start, "other", Some("from the past"));
            say(&[&future, &past]);
            let shown = |path: &str| text(server.snapshot(), &grove, path);
            assert_eq!(shown("lied"), Some(Value::Text("from the future".into())));
            assert_eq!(shown("other"), Some(Value::Text("honest".into())), "an old write hides no newer one");
            // A clock that says so lets nobody in or out.
            let held =
                |seed| server.snapshot().permission(&grove.tree(), &Who::Key(public(seed))).expect("a store");
            for wall in [BEGIN - TEN_YEARS, BEGIN + TEN_YEARS] {
                clock.set(wall);
                assert_eq!(
                    (held(MEMBER), held(READER)),
                    (Some(Permission::Write(9)), Some(Permission::Read))
                );
                let late = member.at_time(0, &[future.position()], &format!("late{wall}"), Some("x"));
                say(&[&late]);
                assert!(shown(&format!("late{wall}")).is_some());
            }
            server.close();
        }
    }
}
