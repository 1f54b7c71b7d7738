//! Collisions that an exchange meets: what looks the same to its reader and is not.

use super::world::Snapshot;
use crate::{
    Position, Range,
    session::{Bits, read::Source},
    wire::{Frame, Items, Mode, Prefix, RangeItem, Salt},
};

/// What the ranges of a message are read by.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub(super) salt: Salt,
    pub(super) start: Position,
}

impl Reading {
    /// Of a request, and of the response to it.
    pub(super) fn of(request: &[u8]) -> Self {
        let Ok(Frame::Sync(hello, _)) = Frame::read(request) else {
            panic!("a request begins with its head")
        };
        Self { salt: hello.salt, start: hello.start.position().unwrap() }
    }

    /// How many ranges and entries of the reader's look like some of the writer's and are others.
    pub(super) fn collisions(self, head: &[u8], bits: Bits, writer: &Snapshot, reader: &Snapshot) -> usize {
        let items: Items<'_, RangeItem> = match Frame::read(head) {
            Ok(Frame::Sync(_, items) | Frame::Reply(_, items)) => items,
            _ => return 0,
        };
        let mut at = self.start;
        let mut met = 0;
        for item in &items {
            let range = Range { start: at, end: item.bound.end(&at).unwrap() };
            at = range.end;
            met += match item.mode {
                Mode::Fingerprint { fingerprint, count } => {
                    let (Ok(theirs), Ok(mine)) = (writer.measure(&range), reader.measure(&range));
                    let looks = bits.fingerprint(self.salt.fingerprint(&mine)) == fingerprint;
                    usize::from(looks && count == mine.count && mine != theirs)
                }
                Mode::List(list) => {
                    let (Ok(theirs), Ok(mine)) =
                        (writer.positions(&range, usize::MAX), reader.positions(&range, usize::MAX));
                    let looks =
                        |mine: &&Position| list.contains(&bits.short(Prefix::new(&self.salt, &mine.id)));
                    mine.iter().filter(looks).filter(|mine| !theirs.contains(mine)).count()
                }
                _ => 0,
            };
        }
        met
    }
}
