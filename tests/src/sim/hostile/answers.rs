//! What hostile peers answer to those who ask them.

use std::sync::Arc;

use pleach_core::{
    Id,
    storage::Fingerprint,
    wire::{Bound, End, Frame, Kind, Mode, RangeItem, Refusal, Reply, Tips},
};

use super::{Said, end, entries, frame};
use crate::sim::{Sim, kinds::Strategy};

/// Frames of an answer without end: more than anybody waits for.
const ENDLESS: usize = 200;

impl Sim {
    /// Somebody honest asks a hostile peer.
    pub(in crate::sim) fn peer_hears(&mut self, peer: usize, wire: u64, said: &[Arc<[u8]>]) {
        self.hear(said);
        let Some(Ok(Frame::Sync(hello, _))) = said.first().map(|frame| Frame::read(frame)) else {
            return self.answer(wire, vec![Some(frame(Kind::Refusal, &Refusal::Unknown, [(); 0])), None]);
        };
        let answers = |strategy: &Strategy| {
            matches!(
                strategy,
                Strategy::LyingTips
                    | Strategy::FalseSame
                    | Strategy::Withholding
                    | Strategy::CountLie
                    | Strategy::EndlessAnswer
                    | Strategy::MuteAnswer
                    | Strategy::Garbage
            )
        };
        let able: Vec<Strategy> = self.peers[peer].does.iter().copied().filter(answers).collect();
        let Some(strategy) = self.chance.pick(&able).copied().filter(|_| self.working) else {
            return self.answer(wire, vec![Some(frame(Kind::Refusal, &Refusal::Unknown, [(); 0])), None]);
        };
        self.note(peer, 0, strategy);
        let mut reply = Reply {
            version: 1,
            capabilities: hello.capabilities,
            limits: hello.limits,
            same: false,
            count: 1_000_000,
        };
        let all = RangeItem { bound: Bound::default(), mode: Mode::Sending };
        let answer: Said = match strategy {
            Strategy::LyingTips => {
                let tip = Id::from_bytes(self.chance.bytes());
                let tips = heapless::Vec::from_slice(&[tip]).map(Tips::Named).ok();
                let end = End { tips, count: 1_000_000, ..End::default() };
                vec![Some(frame(Kind::Reply, &reply, [all])), Some(frame(Kind::End, &end, [(); 0])), None]
            }
            Strategy::FalseSame => {
                reply.same = true;
                reply.count = hello.count;
                vec![Some(frame(Kind::Reply, &reply, [(); 0])), Some(end()), None]
            }
            Strategy::CountLie => {
                reply.count = self.chance.number();
                let tips = Some(Tips::Digest(Fingerprint(self.chance.bytes())));
                let end = End { tips, count: reply.count, ..End::default() };
                vec![Some(frame(Kind::Reply, &reply, [all])), Some(frame(Kind::End, &end, [(); 0])), None]
            }
            Strategy::Withholding => {
                let known = self.ledger.trees.get(&hello.tree);
                let known = known.map(|grown| grown.entries.clone()).unwrap_or_default();
                let mut some: Vec<_> =
                    known.iter().step_by(2).map(|id| self.ledger.known[id].entry.clone()).collect();
                some.sort_by_key(|entry| entry.position());
                reply.count = known.len() as u64;
                let some: Vec<_> = some.iter().map(|entry| entry.bytes().to_vec()).collect();
                let end = End { count: reply.count, ..End::default() };
                vec![
                    Some(frame(Kind::Reply, &reply, [all])),
                    Some(entries(&some)),
                    Some(frame(Kind::End, &end, [(); 0])),
                    None,
                ]
            }
            Strategy::EndlessAnswer => {
                let first = self.ledger.known.values().find(|known| known.tree == hello.tree);
                let one =
                    entries(&first.map(|known| known.entry.bytes().to_vec()).into_iter().collect::<Vec<_>>());
                let head = frame(Kind::Reply, &reply, [all]);
                [head].into_iter().chain((0..ENDLESS).map(|_| one.clone())).map(Some).collect()
            }
            Strategy::MuteAnswer => return,
            _ => vec![Some(self.chance.bytes::<64>().to_vec()), None],
        };
        self.answer(wire, answer);
    }
}
