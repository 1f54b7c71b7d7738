//! Proofs of further keys that were made for another node, by another, about another tree, or for another moment.

use std::sync::{Arc, Mutex};

use pleach_core::{
    Id,
    entry::{Permission, Who},
    wire::{Binding, Frame, KeyProof, Kind, MAX_PROOFS, ProofTarget, Refusal, Side},
};
use pleach_transports::Prover;

use crate::{
    peer::{Peer, fetch, frame, push, trees},
    stage::{BEGIN, Carrier, Grove, Hands, OTHER, SERVER, STRANGER, Stage, public, secret},
};

/// A user's key, which may write. No node has it.
const ALICE: u8 = 31;

fn grove() -> Grove {
    let given =
        [(SERVER, Permission::Admin(1)), (OTHER, Permission::Admin(1)), (ALICE, Permission::Write(9))];
    Grove::with(1, &given.map(|(seed, permission)| (Who::Key(public(seed)), permission)))
}

fn target(by: u8, to: u8, tree: Option<Id>) -> ProofTarget {
    ProofTarget { side: Side::Initiator, by: public(by), to: public(to), tree }
}

fn keys(proofs: impl IntoIterator<Item = KeyProof>) -> Vec<u8> {
    frame(Kind::Keys, &(), proofs)
}

/// Alice's key, proven as it should be.
fn alice(target: ProofTarget) -> Prover {
    Prover::new(move |binding| Some(keys([target.prove(&secret(ALICE), binding)])))
}

/// The same, and the frame is kept.
fn recorded(target: ProofTarget) -> (Prover, Arc<Mutex<Vec<u8>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let tape = Arc::clone(&kept);
    let prover = Prover::new(move |binding| {
        let frame = keys([target.prove(&secret(ALICE), binding)]);
        tape.lock().expect("a tape").clone_from(&frame);
        Some(frame)
    });
    (prover, kept)
}

/// What a peer of the stage hears from a server over which nothing has come yet.
fn heard(
    carrier: Carrier,
    json: bool,
    grove: &Grove,
    by: u8,
    prover: &Prover,
    request: &[Vec<u8>],
) -> Vec<Vec<u8>> {
    let (mut stage, clock) = (Stage::new(carrier), Hands::at(BEGIN));
    stage.json = json;
    let server = stage.holder(grove, SERVER, &clock, &[]);
    let before = server.state(&grove.tree());
    let answer =
        Peer::new(&stage, by, &clock).say_proving(&server.address, prover, request).expect("an answer");
    assert_eq!(server.state(&grove.tree()), before, "{carrier:?}");
    server.close();
    answer
}

fn is_served(answer: &[Vec<u8>]) -> bool {
    matches!(Frame::read(&answer[0]), Ok(Frame::Reply(..)))
}

fn refusal(answer: &[Vec<u8>]) -> Refusal {
    match Frame::read(&answer[0]) {
        Ok(Frame::Refusal(refusal)) => refusal,
        other => panic!("no refusal: {other:?}"),
    }
}

/// Rows 6, 7, 19 and 26.
#[test]
fn a_proof_of_a_further_key_is_worth_nothing_elsewhere_later_or_from_another_node_over_any_transport() {
    for (carrier, json) in
        Carrier::ALL.map(|carrier| (carrier, false)).into_iter().chain([(Carrier::HttpOnThreads, true)])
    {
        let grove = grove();
        let tree = Some(grove.tree());
        let ask = |by, prover: &Prover| heard(carrier, json, &grove, by, prover, &fetch(grove.tree()));
        let nothing = Prover::new(|_| None);
        let forbidden = ask(STRANGER, &nothing);
        assert_eq!(refusal(&forbidden), Refusal::Unknown);
        let (honest, tape) = recorded(target(STRANGER, SERVER, tree));
        assert!(is_served(&ask(STRANGER, &honest)), "{carrier:?}: Alice may read");
        let tape = tape.lock().expect("a tape").clone();
        assert!(!tape.is_empty(), "{carrier:?}: her key was proven");

        let other = Id::of(b"another tree");
        let to_other = target(STRANGER, OTHER, tree);
        let forged: [(&str, u8, Prover); 6] = [
            ("said once more", STRANGER, Prover::new(move |_| Some(tape.clone()))),
            ("said to another node", STRANGER, alice(to_other)),
            ("said by another node", OTHER + 1, alice(target(STRANGER, SERVER, tree))),
            ("about another tree", STRANGER, alice(target(STRANGER, SERVER, Some(other)))),
            (
                "an answer",
                STRANGER,
                alice(ProofTarget { side: Side::Responder, ..target(STRANGER, SERVER, tree) }),
            ),
            ("signed by another key", STRANGER, {
                let target = target(STRANGER, SERVER, tree);
                let forge = move |binding: &Binding| KeyProof {
                    key: public(ALICE),
                    ..target.prove(&secret(STRANGER), binding)
                };
                Prover::new(move |binding| Some(keys([forge(binding)])))
            }),
        ];
        for (what, by, prover) in forged {
            assert_eq!(ask(by, &prover), forbidden, "{carrier:?}: {what}");
        }
        let many = target(STRANGER, SERVER, tree);
        let many = Prover::new(move |binding| {
            Some(keys((0..=MAX_PROOFS).map(|_| many.prove(&secret(ALICE), binding))))
        });
        assert!(matches!(refusal(&ask(STRANGER, &many)), Refusal::Malformed { .. }), "{carrier:?}: too many");
    }
}

/// Row 19.
#[test]
fn a_further_key_that_was_revoked_opens_nothing_over_any_transport() {
    for carrier in Carrier::ALL {
        let grove = grove();
        let (stage, clock) = (Stage::new(carrier), Hands::at(BEGIN));
        let gone = grove.root.settings(&[grove.start.position()], &[], &[Who::Key(public(ALICE))]);
        let entry = grove.entry(ALICE, "late");
        let server = stage.holder(&grove, SERVER, &clock, &[&gone]);
        let before = server.state(&grove.tree());
        let peer = Peer::new(&stage, STRANGER, &clock);
        let shown = alice(target(STRANGER, SERVER, Some(grove.tree())));
        for request in [fetch(grove.tree()), push(grove.tree(), &[entry.bytes().to_vec()])] {
            let answer = peer.say_proving(&server.address, &shown, &request).expect("an answer");
            assert_eq!(refusal(&answer), Refusal::Unknown, "{carrier:?}");
        }
        let lists = alice(target(STRANGER, SERVER, None));
        let answer = peer.say_proving(&server.address, &lists, &trees()).expect("an answer");
        let Ok(Frame::TreeList(_, lines)) = Frame::read(&answer[0]) else { panic!("{carrier:?}: no list") };
        assert!(lines.is_empty(), "{carrier:?}");
        assert_eq!(server.state(&grove.tree()), before);
        server.close();
    }
}
