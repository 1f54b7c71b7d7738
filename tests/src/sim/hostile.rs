//! Hostile peers: each holds a key that was granted something, and says what it likes.

mod answers;
mod entries;

use std::sync::Arc;

use pleach_core::{
    Id, Position, PublicKey, SecretKey,
    entry::{Permission, VerifiedEntry, Who},
    node::Command,
    storage::Fingerprint,
    wire::{Ask, Bound, EntriesWriter, Hello, IdPrefix, Kind, Mode, RangeItem, Salt, Tips, Versions},
};

use crate::frames::{end, frame, hello};

use super::{Due, Sim, host::Asked, kinds::Strategy, ledger::MAX_SETTINGS};

/// Entries that all the hostile write at most in one run: a longer history says no more, and costs time.
const MAX_WRITTEN: usize = 600;

/// A hostile peer.
pub(super) struct Peer {
    pub(super) key: SecretKey,
    pub(super) public: PublicKey,
    pub(super) does: Vec<Strategy>,
}

impl Peer {
    pub(super) fn new(key: SecretKey, does: Vec<Strategy>) -> Self {
        Self { public: key.public(), key, does }
    }
}

/// Parts of a message; nothing is its end.
pub(super) type Said = Vec<Option<Vec<u8>>>;

/// A frame that carries these bytes as entries, as far as they fit.
pub(super) fn entries(all: &[Vec<u8>]) -> Vec<u8> {
    let mut room = vec![0; 1024 * 1024];
    let mut writer = EntriesWriter::new(&mut room);
    for entry in all {
        writer.push(entry);
    }
    writer.finish().to_vec()
}

/// A request that pushes and wants nothing.
fn push(tree: Id, all: &[Vec<u8>]) -> Said {
    let skip = RangeItem { bound: Bound::default(), mode: Mode::Skip };
    let head = frame(Kind::Sync, &hello(tree), [skip]);
    vec![Some(head), Some(entries(all)), Some(end()), None]
}

/// The same of entries, in lawful order.
fn push_entries(tree: Id, mut all: Vec<VerifiedEntry>) -> Said {
    all.sort_by_key(|entry| entry.position());
    push(tree, &all.iter().map(|entry| entry.bytes().to_vec()).collect::<Vec<_>>())
}

impl Sim {
    /// One of them does something.
    pub(super) fn mischief(&mut self) {
        let pace = self.chance.between(200, 8_000);
        self.queue.put(self.now + pace, Due::Mischief);
        if !self.working || self.peers.is_empty() {
            return;
        }
        let peer = self.chance.place(self.peers.len());
        let target = self.chance.place(self.hosts.len());
        let tree = self.chance.pick(&self.trees).copied();
        let does = self.chance.pick(&self.peers[peer].does).copied();
        if let (Some(tree), Some(strategy)) = (tree, does)
            && self.hosts[target].is_up()
        {
            self.act(peer, target, tree, strategy);
        }
    }

    /// What the peer says unasked; the others wait until they are asked.
    fn act(&mut self, peer: usize, target: usize, tree: Id, strategy: Strategy) {
        let said = match strategy {
            Strategy::LyingTips
            | Strategy::FalseSame
            | Strategy::Withholding
            | Strategy::EndlessAnswer
            | Strategy::MuteAnswer => {
                // It has to be asked for that.
                let address = self.address(self.hosts.len() + peer);
                return self.command(target, Command::Sync { address, tree }, Asked::Other);
            }
            Strategy::Equivocation => return self.equivocate(peer, tree),
            Strategy::FalseFingerprints | Strategy::CountLie | Strategy::TokenLie => {
                let Some(said) = self.false_request(tree, strategy) else { return };
                vec![said]
            }
            Strategy::RequestFlood => (0..40)
                .map(|_| vec![Some(frame(Kind::Sync, &hello(tree), [(); 0])), Some(end()), None])
                .collect(),
            Strategy::IdleExchanges => (0..20).map(|_| Vec::new()).collect(),
            Strategy::Replay => {
                let Some(heard) = self.chance.pick(&self.heard).cloned() else { return };
                let heard = heard.iter().map(|frame| Some(frame.to_vec())).chain([None]);
                vec![heard.collect()]
            }
            Strategy::Oversized => {
                let mut large = vec![0; pleach_core::limits::MAX_FRAME];
                large[0] = Kind::Entries as u8;
                vec![vec![
                    Some(frame(Kind::Sync, &hello(tree), [(); 0])),
                    Some(large.clone()),
                    Some(large),
                    None,
                ]]
            }
            Strategy::Garbage => {
                let junk = self.chance.bytes::<100>().to_vec();
                let mut almost = frame(Kind::Sync, &hello(tree), [(); 0]);
                let at = self.chance.place(almost.len());
                almost[at] ^= 0x55;
                vec![
                    vec![Some(junk), None],
                    vec![Some(almost), Some(end()), None],
                    vec![Some(Vec::new()), None],
                ]
            }
            Strategy::UnknownTree => {
                let unknown = Id::from_bytes(self.chance.bytes());
                vec![vec![Some(frame(Kind::Sync, &hello(unknown), [(); 0])), Some(end()), None]]
            }
            Strategy::Eavesdrop => {
                let all = RangeItem { bound: Bound::default(), mode: Mode::Empty };
                let said = vec![Some(frame(Kind::Sync, &hello(tree), [all])), Some(end()), None];
                let unknown = SecretKey::from_bytes(self.chance.bytes()).public();
                if self.knock(self.hosts.len() + peer, target, Some(unknown), said) {
                    self.note(peer, target, strategy);
                }
                return;
            }
            Strategy::AskFlood => {
                let name = "give me".try_into().unwrap_or_default();
                let ask = Ask {
                    versions: Versions::OURS,
                    tree,
                    permission: Permission::Admin(0),
                    name,
                    invite: None,
                    hold: 0,
                };
                (0..10).map(|_| vec![Some(frame(Kind::Ask, &ask, *b"please")), None]).collect()
            }
            Strategy::StolenAuthor | Strategy::WrongHeight | Strategy::BadSignature | Strategy::WrongTree => {
                match self.forged(peer, tree, strategy) {
                    Some(forged) => vec![push(tree, &[forged])],
                    None => return,
                }
            }
            _ => match self.written(peer, tree, strategy) {
                Some(written) => vec![push_entries(tree, written)],
                None => return,
            },
        };
        let mut heard = false;
        for said in said {
            heard |= self.knocks(peer, target, said);
        }
        if heard {
            self.note(peer, target, strategy);
        }
    }

    pub(super) fn note(&mut self, peer: usize, target: usize, strategy: Strategy) {
        self.tally.strategy(strategy);
        self.trace.number(1_000 + strategy as u64);
        self.trace.mark(self.now, target, 'h');
        self.trace.say(self.now, target, format_args!("hostile {peer}: {strategy:?}"));
    }

    fn knocks(&mut self, peer: usize, target: usize, said: Said) -> bool {
        let proven = self.peers[peer].public;
        self.knock(self.hosts.len() + peer, target, Some(proven), said)
    }

    fn false_request(&mut self, tree: Id, strategy: Strategy) -> Option<Said> {
        let mut hello = Hello { salt: Salt(self.chance.bytes()), ..hello(tree) };
        let mut items = Vec::new();
        match strategy {
            Strategy::FalseFingerprints => {
                for rise in 1..6 {
                    let fingerprint = Fingerprint(self.chance.bytes());
                    let mode = Mode::Fingerprint { fingerprint, count: self.chance.below(1_000) };
                    items.push(RangeItem { bound: Bound { rise, id: IdPrefix::default() }, mode });
                }
                hello.count = self.chance.below(5_000);
                hello.tips = Tips::Digest(Fingerprint(self.chance.bytes()));
                let mode = Mode::Fingerprint { fingerprint: Fingerprint(self.chance.bytes()), count: 7 };
                items.push(RangeItem { bound: Bound::default(), mode });
            }
            Strategy::CountLie => {
                hello.count = self.chance.number();
                items.push(RangeItem { bound: Bound::default(), mode: Mode::Empty });
            }
            _ => {
                let epoch = self.hosts[self.chance.place(self.hosts.len())].shelf.snapshot();
                let summary = epoch.and_then(|snapshot| snapshot.summary(&tree)).ok().flatten()?;
                let number = self.chance.below(2) * summary.arrival + self.chance.below(50);
                hello.token = Some(pleach_core::storage::Token { epoch: summary.epoch, number });
            }
        }
        Some(vec![Some(frame(Kind::Sync, &hello, items)), Some(end()), None])
    }

    /// Two nodes are told two histories.
    fn equivocate(&mut self, peer: usize, tree: Id) {
        if self.hosts.len() < 2 {
            return;
        }
        let one = self.chance.place(self.hosts.len());
        let two = (one + 1 + self.chance.place(self.hosts.len() - 1)) % self.hosts.len();
        let Some(base) = self.base(tree) else { return };
        let mut told = 0;
        for target in [one, two] {
            let path = format!("p{}", self.chance.below(12));
            let Some(first) = self.value(peer, tree, &[base], self.time(), &path) else { return };
            let Some(next) = self.value(peer, tree, &[first.position()], self.time() + 1, &path) else {
                return;
            };
            told += usize::from(self.knocks(peer, target, push_entries(tree, vec![first, next])));
        }
        if told == 2 {
            self.note(peer, one, Strategy::Equivocation);
        }
    }

    /// Something valid to build upon.
    fn base(&mut self, tree: Id) -> Option<Position> {
        let tips = self.ledger.tips(&tree);
        self.chance.pick(&tips).copied()
    }

    fn time(&self) -> u64 {
        super::host::BEGIN + self.now
    }

    /// What a peer writes that is well made: whether it may is another question.
    fn written(&mut self, peer: usize, tree: Id, strategy: Strategy) -> Option<Vec<VerifiedEntry>> {
        let settings = self.ledger.trees.get(&tree).map_or(0, |grown| grown.history.len());
        let many = self.written_by_hostile > MAX_WRITTEN || settings > MAX_SETTINGS - 4;
        if many && self.tally.strategies[strategy as usize] > 0 {
            return None;
        }
        let base = self.base(tree)?;
        let time = self.time();
        let path = format!("p{}", self.chance.below(12));
        let made = match strategy {
            Strategy::Orphans => {
                let below = self.value(peer, tree, &[base], time, &path)?;
                let above = self.value(peer, tree, &[below.position()], time, &path)?;
                vec![self.value(peer, tree, &[above.position()], time, &path)?]
            }
            Strategy::BackdatedWrite => {
                let past = self.past(tree)?;
                vec![self.value(peer, tree, &[past], self.now % 3 * 1_000, &path)?]
            }
            Strategy::ClaimedFuture => {
                vec![self.value(peer, tree, &[base], pleach_core::limits::TIME_END - 1, &path)?]
            }
            Strategy::EntryFlood => {
                let mut last = base;
                let mut flood = Vec::new();
                for _ in 0..30 {
                    let entry = self.value(peer, tree, &[last], time, &path)?;
                    last = entry.position();
                    flood.push(entry);
                }
                flood
            }
            Strategy::TipFan => {
                let mut fan = Vec::new();
                for number in 0..20 {
                    fan.push(self.value(peer, tree, &[base], time + number, &path)?);
                }
                fan
            }
            Strategy::BackdatedRevocation => {
                let past = self.past(tree)?;
                let whom = Who::Key(self.key_of(self.chance_of(self.hosts.len())));
                vec![self.settings(peer, tree, &[past], 1, &[], &[whom])?]
            }
            Strategy::Escalation => {
                let own = Who::Key(self.peers[peer].public);
                vec![self.settings(peer, tree, &[base], time, &[(own, Permission::Admin(0))], &[])?]
            }
            Strategy::RevokeAbove => {
                vec![self.settings(peer, tree, &[base], time, &[], &[Who::Key(self.hosts[0].public)])?]
            }
            Strategy::RevokeEqual => {
                let places = self.hosts.len() + self.peers.len();
                let whom = Who::Key(self.key_of(self.chance_of(places)));
                vec![self.settings(peer, tree, &[base], time, &[], &[whom])?]
            }
            Strategy::GrantsAfterRevocation => {
                let past = self.past(tree)?;
                let friend = Who::Key(self.peers[self.chance_of(self.peers.len())].public);
                vec![self.settings(peer, tree, &[past], time, &[(friend, Permission::Write(70))], &[])?]
            }
            _ => return None,
        };
        self.written_by_hostile += made.len();
        Some(made)
    }

    /// A number that costs no draw, for places in lists.
    fn chance_of(&self, end: usize) -> usize {
        usize::try_from(self.now ^ self.dues).unwrap_or(0).checked_rem(end).unwrap_or(0)
    }

    /// Something old that lies behind what let the peer in.
    fn past(&mut self, tree: Id) -> Option<Position> {
        let grown = self.ledger.trees.get(&tree)?;
        let old: Vec<Position> = grown
            .entries
            .iter()
            .take(60)
            .map(|id| &self.ledger.known[id])
            .filter(|known| known.valid)
            .map(|known| known.entry.position())
            .collect();
        self.chance.pick(&old).copied()
    }

    /// What was said to a hostile peer is kept: some of it is said again.
    pub(super) fn hear(&mut self, said: &[Arc<[u8]>]) {
        if self.heard.len() < 50 && !said.is_empty() {
            self.heard.push(said.to_vec());
        }
    }
}
