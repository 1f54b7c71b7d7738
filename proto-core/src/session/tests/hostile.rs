//! What a peer can send and what comes of it: a fault that names it, never a panic.

use std::{rc::Rc, vec, vec::Vec};

use proptest::prelude::*;

use super::world::{Host, Leaf, Store, config};
use crate::{
    Id,
    session::{Fault, Outcome, Session},
    wire::{FrameError, Kind},
};

fn some_store() -> Store {
    let mut tips = Vec::new();
    let leaves: Vec<_> = (0..50)
        .map(|name| {
            let leaf = Rc::new(Leaf::new(&tips, name, 8));
            tips = vec![leaf.position];
            leaf
        })
        .collect();
    Store::from(&leaves)
}

fn answer(message: Vec<Vec<u8>>) -> Result<(), Fault> {
    let mut store = some_store();
    let mut host = Host::<8, 8>::new(Session::responder(config()), &mut store, false);
    host.deliver(message);
    host.run()
}

fn request() -> Vec<Vec<u8>> {
    let mut store = some_store();
    store.put(&Rc::new(Leaf::new(&[store.positions()[3]], 99, 8))).unwrap();
    let mut host = Host::<8, 8>::new(Session::initiator(config()), &mut store, true);
    host.run().unwrap();
    core::mem::take(&mut host.outbound)
}

#[test]
fn a_request_that_ends_early_is_cut_short() {
    let mut message = request();
    assert_eq!(answer(message.clone()), Ok(()));
    message.pop();
    assert_eq!(answer(message), Err(Fault::CutShort));
}

#[test]
fn a_message_may_be_as_long_as_was_agreed_and_no_longer() {
    let message = request();
    let length: usize = message.iter().map(Vec::len).sum();
    let answered = |allowed: usize| {
        let mut config = config();
        config.limits.message = u32::try_from(allowed).unwrap();
        let mut store = some_store();
        let mut host = Host::<8, 8>::new(Session::responder(config), &mut store, false);
        host.deliver(message.clone());
        host.run()
    };
    assert_eq!(answered(length), Ok(()));
    for allowed in [length - 1, length / 2, 1] {
        assert_eq!(answered(allowed), Err(Fault::TooLong), "{allowed} of {length}");
    }
}

#[test]
fn an_unknown_kind_is_refused_with_its_number() {
    let mut message = request();
    message.insert(1, vec![200]);
    assert_eq!(answer(message), Err(Fault::Frame(FrameError::UnknownKind(200))));
}

#[test]
fn frames_out_of_place_are_refused() {
    let mut message = request();
    message.insert(1, message[0].clone());
    assert_eq!(answer(message), Err(Fault::OutOfPlace));
    let mut message = request();
    message.push(vec![Kind::Wants as u8]);
    assert_eq!(answer(message), Err(Fault::OutOfPlace));
}

#[test]
fn a_responder_that_breaks_off_is_heard_out_wherever_it_does() {
    let refusal = crate::wire::Refusal::Failed;
    let mut room = [0; 64];
    let used = crate::wire::write(Kind::Refusal, &refusal, core::iter::empty::<()>(), &mut room).unwrap();
    for whole in 0..3 {
        let (mut a, mut b) = (some_store(), some_store());
        for name in 0..3 {
            b.put(&Rc::new(Leaf::new(&[b.positions()[9]], 999 + name, 8))).unwrap();
        }
        let mut initiator = Host::<8, 8>::new(Session::initiator(config()), &mut a, true);
        initiator.run().unwrap();
        let mut responder = Host::<8, 8>::new(Session::responder(config()), &mut b, false);
        responder.deliver(core::mem::take(&mut initiator.outbound));
        responder.run().unwrap();
        let mut response = core::mem::take(&mut responder.outbound);
        assert!(response.len() >= 3, "a head, entries, an end");
        response.truncate(whole);
        response.push(room[..used].to_vec());
        initiator.deliver(response);
        initiator.run().unwrap();
        assert_eq!(initiator.done, Some(Outcome::Refused(refusal.clone())), "after {whole} frames");
    }
}

#[test]
fn a_request_about_another_tree_is_not_answered() {
    let mut message = request();
    let tree = *Id::of(b"tree").as_bytes();
    let at = message[0].windows(32).position(|bytes| bytes == tree).unwrap();
    message[0][at] ^= 1;
    assert_eq!(answer(message), Err(Fault::OtherTree));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbage_never_panics(frame in prop::collection::vec(any::<u8>(), 0..200), kind in 0_u8..10) {
        let mut framed = vec![kind];
        framed.extend_from_slice(&frame);
        let mut message = request();
        prop_assert!(kind == Kind::Entries as u8 || answer(vec![framed.clone()]).is_err());
        message.insert(1, framed);
        if kind != Kind::Entries as u8 {
            let _ = answer(message);
        }
    }

    #[test]
    fn a_changed_byte_in_a_head_never_panics(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut message = request();
        let at = at.index(message[0].len());
        message[0][at] = to;
        let _ = answer(message);
    }

    #[test]
    fn a_changed_byte_in_a_response_never_panics(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let (mut a, mut b) = (some_store(), some_store());
        for name in 0..40 {
            a.put(&Rc::new(Leaf::new(&[a.positions()[3]], 99 + name, 8))).unwrap();
            b.put(&Rc::new(Leaf::new(&[b.positions()[9]], 999 + name, 8))).unwrap();
        }
        let mut initiator = Host::<8, 8>::new(Session::initiator(config()), &mut a, true);
        initiator.run().unwrap();
        let mut responder = Host::<8, 8>::new(Session::responder(config()), &mut b, false);
        responder.deliver(core::mem::take(&mut initiator.outbound));
        responder.run().unwrap();
        let mut response = core::mem::take(&mut responder.outbound);
        let at = at.index(response[0].len());
        response[0][at] = to;
        initiator.deliver(response);
        let _ = initiator.run();
    }
}
