//! Two nodes, and what becomes of what they say to each other.

use pleach_core::{Range, storage::StorageError};

use super::{STEPS, script::Script, signing::Signer, two::Two};
use crate::world::Fate;

/// The bytes as what two nodes are told to do, and what becomes of each frame between them: it arrives, is cut or damaged, or
/// each says something else than it would, in its own name.
pub fn peers(bytes: &[u8]) {
    let (plan, fates) = bytes.split_at(bytes.len() / 2);
    let mut script = Script::new(plan);
    let mut two = Two::new();
    let known = two.world.snapshot(two.hosts[0]).positions(&two.tree, &Range::ALL, 99);
    let keys = two.hosts.map(|host| two.world.secret(host)).into();
    let mut signer = Signer::new(keys, known.expect("memory does not fail"));
    let (mut fates, mut before) = (Vec::from(fates).into_iter(), Vec::new());
    two.world.meddle(move |frame| {
        let mut next = || fates.next().unwrap_or_default();
        let choice = next();
        match choice & 15 {
            11 | 12 => {
                let place = usize::from(u16::from_le_bytes([next(), next()])) % frame.len();
                frame[place] = if choice & 0x10 == 0 { next() } else { frame[place] ^ 1 << (choice >> 5) };
                *frame = signer.frame(frame);
            }
            13 if !before.is_empty() => std::mem::swap(frame, &mut before),
            14 => return Fate::Cut,
            15 => return Fate::Flip,
            _ => before.clone_from(frame),
        }
        Fate::Arrive
    });
    for _ in 0..STEPS {
        if script.is_over() {
            break;
        }
        let choice = script.next();
        let host = two.hosts[usize::from(choice >> 7)];
        match choice & 7 {
            0..=3 => two.command(choice >> 3),
            4 | 5 => two.steps(choice >> 3),
            6 => match choice >> 3 & 3 {
                0 => two.world.disk(host, Some(StorageError::Full)),
                1 => two.world.disk(host, None),
                2 => two.world.pause(host, choice & 0x40 == 0),
                _ => {
                    two.given.retain(|(of, _)| *of != host);
                    two.world.restart(host);
                }
            },
            _ => two.world.pass(),
        }
    }
    two.end();
}

/// Inputs that reach deep, by name.
pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let apart = [
        vec![0x00, 0x08, 0x10, 0x18, 0xfc, 0x20, 0xfc, 0x07, 0x40, 0xfc, 0x2f, 0x30],
        vec![0; 4],
        vec![14, 0, 15],
    ];
    // As long a plan, and then what becomes of the frames.
    let plan = [0x00, 0x08, 0x10, 0xfc, 0x20, 0xfc, 0x07, 0x40, 0xfc, 0x07];
    let meddled = [&plan[..], &[0, 0, 12, 40, 0, 7, 0, 0, 0x1c, 90]].concat();
    let replayed = [&plan[..], &[0, 0, 0, 13, 0, 0, 13, 0, 13, 0]].concat();
    vec![("apart", apart.concat()), ("meddled", meddled), ("replayed", replayed)]
}
