//! What a first request says of the initiator's whole set, kept until the response is due.

use heapless::Vec;

use crate::{
    Position,
    wire::{Items, Mode, RangeItem},
};

use super::{CLAIMS, Claim, Holds};

/// The claims of a request about the whole set; none if it says more than that of any range.
pub(super) fn read(items: &Items<'_, RangeItem>) -> Vec<Claim, CLAIMS> {
    let mut claims = Vec::new();
    let mut at = Position::MIN;
    for item in items {
        let claim = item.bound.end(&at).and_then(|end| claim(end, &item.mode));
        let Some(claim) = claim else { return Vec::new() };
        at = claim.end;
        if claims.push(claim).is_err() {
            return Vec::new();
        }
    }
    if at == Position::END { claims } else { Vec::new() }
}

fn claim(end: Position, mode: &Mode) -> Option<Claim> {
    let (count, holds) = match mode {
        Mode::Fingerprint { fingerprint, count } => (*count, Holds::Fingerprint(*fingerprint)),
        Mode::List(list) => (list.len() as u64, Holds::Listed(Vec::from_slice(list).ok()?)),
        Mode::Empty => (0, Holds::Listed(Vec::new())),
        _ => return None,
    };
    Some(Claim { end, count, holds })
}
