//! Too much of something.

use std::sync::Arc;

use pleach_core::{
    Id,
    entry::Permission,
    node::MAX_REQUESTS_OF_KEY,
    storage::Store,
    wire::{AskOutcome, FRESHNESS, Frame, RequestHead, RequestTarget, body_hash},
};
use pleach_storage::Memory;

use crate::{
    peer::{Peer, Raw, ask, end, entries, hello, push, sync},
    stage::{BEGIN, Carrier, Grove, Hands, MEMBER, SERVER, STRANGER, Shelf, Stage, public, secret},
    wiretap::{UNHEARD, send},
};

/// Everything that a node has written down beside its trees.
fn metadata(store: &dyn Store) -> Vec<pleach_core::storage::Meta> {
    store.snapshot().expect("a snapshot").metas(b"", None, 100_000).expect("the metadata")
}

/// What carries a request over HTTP, with the signature of somebody, if of anybody.
fn posted(frames: &[Vec<u8>], signature: Option<&dyn Fn(&RequestTarget<'_>) -> RequestHead>) -> Vec<u8> {
    let mut body = Vec::new();
    for frame in frames {
        body.extend(u32::try_from(frame.len()).expect("a short frame").to_le_bytes());
        body.extend(frame);
    }
    body.extend([0; 4]);
    let target = RequestTarget {
        audience: public(SERVER),
        method: "POST",
        path: "/api/v0/sync",
        body: body_hash(&body),
    };
    let head = signature.map_or(String::new(), |sign| format!("pleach-signature: {}\r\n", sign(&target)));
    let head = format!(
        "POST /api/v0/sync HTTP/1.1\r\nhost: x\r\ncontent-type: application/postcard\r\n{head}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

/// Row 27.
#[test]
fn nothing_is_written_down_about_a_request_before_its_key_is_proven() {
    for carrier in [Carrier::HttpOnExecutor, Carrier::HttpOnThreads] {
        let (stage, grove, clock) = (Stage::new(carrier), Grove::new(1), Hands::at(BEGIN));
        let store = Arc::new(Memory::new());
        grove.plant(&*store, &[]);
        let server = stage.node(store.clone(), SERVER, &clock);
        let place = &server.address.address;
        let asked = ask(grove.tree(), Permission::Read, "Eve");
        let sign = |seed: u8, time: u64, n: u8| {
            move |target: &RequestTarget<'_>| RequestHead::sign(&secret(seed), target, time, [n; 16])
        };
        // The same request with a proof.
        assert_eq!(send(place, &posted(&asked, Some(&sign(STRANGER, BEGIN, 0)))).0, 200);
        assert_eq!(server.pending().len(), 1);
        let before = metadata(&*store);
        // Whoever signs wrongly is soon put off, before anything is looked at.
        let refused =
            |status: u16, by: u16, n: u8| status == by || (n > 0 && [503, UNHEARD].contains(&status));
        for n in 0..50 {
            // In the name of a key that does not sign, at another time, by nobody, with a word of another's.
            let forged = |target: &RequestTarget<'_>| RequestHead {
                key: public(100 + n),
                ..RequestHead::sign(&secret(STRANGER), target, BEGIN, [n; 16])
            };
            assert!(refused(send(place, &posted(&asked, Some(&forged))).0, 403, n));
            let stale = sign(100 + n, BEGIN + FRESHNESS + 1, n);
            assert!(refused(send(place, &posted(&asked, Some(&stale))).0, 401, n));
            let (status, answer) = send(place, &posted(&asked, None));
            assert!(refused(status, 200, n), "it is refused by the node");
            assert!(status != 200 || answer.windows(6).any(|window| window == b"proven"));
            let other = ask(grove.tree(), Permission::Admin(0), "Eve");
            let swapped = |_: &RequestTarget<'_>| {
                let bytes = posted(&asked, Some(&sign(100 + n, BEGIN, n)));
                let text = String::from_utf8_lossy(&bytes).to_string();
                let head = text.lines().find_map(|line| line.strip_prefix("pleach-signature: "));
                head.expect("signed").parse().expect("a head")
            };
            assert!(refused(send(place, &posted(&other, Some(&swapped))).0, 403, n));
        }
        assert_eq!(metadata(&*store), before);
        server.close();
    }
}

/// Row 27.
#[test]
fn the_requests_of_one_key_fill_its_own_places_and_nobody_elses() {
    for carrier in Carrier::ALL {
        for shelf in Shelf::both() {
            let (stage, clock) = (Stage::new(carrier), Hands::at(BEGIN));
            let groves: Vec<_> =
                (0..=MAX_REQUESTS_OF_KEY).map(|n| Grove::new(40 + u8::try_from(n).unwrap())).collect();
            for grove in &groves {
                grove.plant(&*shelf.open(), &[]);
            }
            let server = stage.node(shelf.open(), SERVER, &clock);
            let received = |seed: u8, tree: Id| {
                let peer = Peer::new(&stage, seed, &clock);
                let answer = peer.accepted(&server.address, &ask(tree, Permission::Write(3), "Eve"));
                let [Ok(Frame::Asked(asked))] = answer.iter().map(|f| Frame::read(f)).collect::<Vec<_>>()[..]
                else {
                    panic!("not the answer to a request");
                };
                assert_eq!(asked.outcome, AskOutcome::Received);
                answer
            };
            let answers: Vec<_> = groves.iter().map(|grove| received(STRANGER, grove.tree())).collect();
            assert!(answers.iter().all(|answer| *answer == answers[0]), "being refused shows nowhere");
            assert_eq!(server.pending().len(), MAX_REQUESTS_OF_KEY);
            let last = groves[MAX_REQUESTS_OF_KEY].tree();
            assert!(server.pending().iter().all(|request| request.tree != last));
            received(99, last);
            assert_eq!(server.pending().len(), MAX_REQUESTS_OF_KEY + 1);
            assert!(server.pending().iter().any(|request| request.key == public(99)));
            server.close();
        }
    }
}

/// Row 26.
#[test]
fn a_bad_signature_ends_the_exchange_and_what_follows_it_is_not_looked_at() {
    for carrier in Carrier::ALL {
        for shelf in Shelf::both() {
            let (stage, grove, clock) = (Stage::new(carrier), Grove::new(1), Hands::at(BEGIN));
            let tree = grove.tree();
            grove.plant(&*shelf.open(), &[]);
            let server = stage.node(shelf.open(), SERVER, &clock);
            let peer = Peer::new(&stage, MEMBER, &clock);
            let good: Vec<_> =
                (0..40_u64).map(|time| Raw { time, ..Raw::good(&grove, MEMBER) }.bytes()).collect();
            peer.accepted(&server.address, &push(tree, &good[..20]));
            let before = server.state(&tree);
            let mut bad = good[20].clone();
            *bad.last_mut().expect("bytes") ^= 1;
            // The bad one first, then many good ones, each in a frame of its own.
            let mut request = vec![sync(&hello(tree)), entries(&[bad])];
            request.extend(good[21..].iter().map(|entry| entries(std::slice::from_ref(entry))));
            request.push(end());
            let refusal = peer.refused(&server.address, &request);
            assert!(format!("{refusal:?}").contains("signature"), "{refusal:?}");
            assert_eq!(server.state(&tree), before, "{carrier:?} over {}", shelf.name());
            server.close();
        }
    }
}
