//! Two nodes, and what becomes of what they say to each other.

use pleach_core::storage::StorageError;

use super::{STEPS, script::Script, two::Two};
use crate::world::Fate;

/// The bytes as what two nodes are told to do, and what becomes of each frame between them.
pub fn peers(bytes: &[u8]) {
    let (plan, fates) = bytes.split_at(bytes.len() / 2);
    let (mut script, fates) = (Script::new(plan), Vec::from(fates));
    let mut fates = fates.into_iter();
    let mut two = Two::new();
    two.world.fate(move |_| match fates.next().unwrap_or_default() & 15 {
        14 => Fate::Cut,
        15 => Fate::Flip,
        _ => Fate::Arrive,
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
    vec![("apart", apart.concat())]
}
