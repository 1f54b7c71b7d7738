//! What hosts say to each other, as it goes over the wire.

use std::{cell::RefCell, rc::Rc};

use pleach_core::wire::Frame;
use pleach_tests::world::{Fate, World};
use serde_json::{Value, json};

use super::hex;

/// Frames in the order in which they arrived; those of one message belong together.
pub(super) type Tape = Rc<RefCell<Vec<Vec<Vec<u8>>>>>;

/// Whether a frame is the first of a message that follows these frames of another.
fn begins_a_message(frame: &[u8], before: &[Vec<u8>]) -> bool {
    let read = |frame| Frame::read(frame).expect("hosts send frames");
    let last = before.last().map(|frame| read(frame));
    match read(frame) {
        Frame::Keys(_) => true,
        // Proofs stand in front of a head.
        Frame::Sync(..)
        | Frame::Reply(..)
        | Frame::Have(..)
        | Frame::Trees(..)
        | Frame::TreeList(..)
        | Frame::Ask(..)
        | Frame::Asked(..) => !matches!(last, Some(Frame::Keys(_))),
        Frame::Refusal(_) => matches!(last, Some(Frame::End(_) | Frame::Trees(..) | Frame::Ask(..))),
        _ => false,
    }
}

/// Records what is said in a world from now on.
pub(super) fn listen(world: &mut World) -> Tape {
    let tape = Tape::default();
    let heard = Rc::clone(&tape);
    world.fate(move |frame| {
        let mut tape = heard.borrow_mut();
        if begins_a_message(frame, tape.last().map_or(&[], Vec::as_slice)) {
            tape.push(Vec::new());
        }
        tape.last_mut().expect("a message begins with its head").push(frame.to_vec());
        Fate::Arrive
    });
    tape
}

/// What was said, each in turn, the initiator first.
pub(super) fn messages(tape: &Tape) -> Vec<Value> {
    let from = ["initiator", "responder"].into_iter().cycle();
    let said = |frames: &Vec<Vec<u8>>| frames.iter().map(|frame| hex(frame)).collect::<Vec<_>>();
    let all = tape.borrow();
    from.zip(all.iter()).map(|(from, frames)| json!({ "from": from, "frames": said(frames) })).collect()
}
