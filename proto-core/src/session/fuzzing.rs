//! A session whose peer says anything at all.

#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a body reports by panicking, and only tests and fuzzers run it"
)]

use alloc::{collections::VecDeque, vec, vec::Vec};
use core::convert::Infallible;

use crate::{
    Id, Position, Range,
    limits::MAX_FRAME,
    storage::{Epoch, Measure, Token},
    wire::{NAMED_TIPS, Salt},
};

use super::{
    Config, Ingested, Input, Loaded, Output, Session, Summary,
    read::{OwnedAnswer, Source, answer_from},
};

/// A set of a few entries, of which the last is the only tip.
struct Few(Vec<Position>);

impl Few {
    fn new(count: u64) -> Self {
        let mut all: Vec<_> =
            (0..count).map(|n| Position { height: n / 3, id: Id::of(&n.to_le_bytes()) }).collect();
        all.sort_unstable();
        Self(all)
    }

    fn inside(&self, range: &Range) -> impl Iterator<Item = Position> {
        self.0.iter().copied().filter(|position| range.contains(position))
    }
}

impl Source for Few {
    type Error = Infallible;

    fn summary(&self) -> Result<Summary, Infallible> {
        let mut first_tips = [None; NAMED_TIPS];
        first_tips[0] = self.0.last().copied();
        let tips = self.0.last().map_or_else(Measure::default, |tip| Measure::of(tip.id));
        let arrival = Token { epoch: Epoch([1; 8]), number: self.0.len() as u64 };
        Ok(Summary { measure: self.measure(&Range::ALL)?, tips, first_tips, arrival })
    }

    fn measure(&self, range: &Range) -> Result<Measure, Infallible> {
        Ok(self.inside(range).fold(Measure::default(), |sum, position| sum.plus(Measure::of(position.id))))
    }

    fn nth(&self, range: &Range, n: u64) -> Result<Option<Position>, Infallible> {
        Ok(usize::try_from(n).ok().and_then(|n| self.inside(range).nth(n)))
    }

    fn positions(&self, range: &Range, limit: usize) -> Result<Vec<Position>, Infallible> {
        Ok(self.inside(range).take(limit).collect())
    }

    fn held(&self, ids: &[Id]) -> Result<Vec<Position>, Infallible> {
        Ok(self.0.iter().copied().filter(|position| ids.contains(&position.id)).collect())
    }

    fn tips(&self, limit: usize) -> Result<Vec<Position>, Infallible> {
        Ok(self.0.last().copied().into_iter().take(limit).collect())
    }

    fn parents(&self, id: &Id) -> Result<(Vec<Position>, usize), Infallible> {
        let below = self.0.windows(2).find(|pair| pair[1].id == *id).map(|pair| pair[0]);
        Ok((below.into_iter().collect(), 300))
    }
}

/// What is to be handed to the session, in order.
enum Next {
    Frame,
    End,
    Answer(OwnedAnswer),
    Sent,
    Loaded(Loaded),
    Ingested,
}

/// The bytes as what a peer sends. The first says which side it talks to and how many entries that side holds; each
/// two after it are a frame's length, its bytes follow. A length of 0 ends a message; behind the last all end at once.
pub(crate) fn session(bytes: &[u8]) {
    let Some((first, mut rest)) = bytes.split_first() else { return };
    let few = Few::new(u64::from(first >> 1));
    let config = Config { rounds: 6, ..Config::host(Id::MIN, Salt([3; 8])) };
    let mut session: Session<64, 64> =
        if first & 1 == 0 { Session::initiator(config) } else { Session::responder(config) };
    let mut outgoing = vec![0; 64 * 1024];
    let mut incoming: &[u8] = &[];
    let mut waiting = VecDeque::new();
    // Each frame may be walked item by item, with a few questions about each: far less than this.
    for _ in 0..20_000 + 200 * bytes.len() {
        while let Some(output) = session.poll() {
            match output {
                Output::Query(query) => match answer_from(&few, &query) {
                    Ok(answer) => waiting.push_back(Next::Answer(answer)),
                },
                Output::Send(length) => {
                    assert!(length <= outgoing.len().min(MAX_FRAME), "a frame fits its buffer");
                    waiting.push_back(Next::Sent);
                }
                Output::Load(load) => {
                    let entries = load.ranges.iter().map(|range| few.inside(range).count() as u64).sum();
                    waiting.push_back(Next::Loaded(Loaded { entries, bytes: entries * 300, next: None }));
                }
                Output::Receive => {
                    let length = rest.split_first_chunk::<2>().map(|(length, after)| {
                        rest = after;
                        usize::from(u16::from_le_bytes(*length)).min(rest.len())
                    });
                    (incoming, rest) = rest.split_at(length.unwrap_or(0));
                    waiting.push_back(if incoming.is_empty() { Next::End } else { Next::Frame });
                }
                Output::Ingest => waiting.push_back(Next::Ingested),
                Output::Done(_) => return,
                Output::Renew | Output::Finish => {}
            }
        }
        let next = waiting.pop_front().expect("a session that is not done waits for something");
        let given = match &next {
            Next::Frame => Input::Frame,
            Next::End => Input::End,
            Next::Answer(answer) => Input::Answer(answer.lend()),
            Next::Sent => Input::Sent,
            Next::Loaded(loaded) => Input::Loaded(*loaded),
            Next::Ingested => Input::Ingested(Ingested { stored: 1, ..Ingested::default() }),
        };
        // A fault ends the exchange: that is what a peer of this kind is worth.
        if session.handle(given, incoming, &mut outgoing).is_err() {
            return;
        }
    }
    panic!("the session goes on for ever");
}
