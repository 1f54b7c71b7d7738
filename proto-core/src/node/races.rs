//! One purpose at several addresses, of one peer or of several: the next one gets its turn when the one before is slow,
//! and the first that answers goes on. If that one is lost on the way, the others have their turn again at once, and what
//! it has brought is there already.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

use crate::{
    node::{
        Counts, ExchangeId, LostSource, NodeError,
        ended::Ended,
        initiator::{Purpose, Since},
        lost,
    },
    wire::Address,
};

/// Milliseconds that an address has before the next one is tried beside it: the delay between connection attempts that
/// RFC 8305, section 5, recommends.
const HEAD_START: u64 = 250;

/// Exchanges of one race at once. A peer whose addresses are all silent costs no more than these.
pub(super) const MAX_AT_ONCE: usize = 8;

/// Ties what is under way to whoever waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RaceId(u64);

#[cfg(test)]
impl RaceId {
    pub(super) const fn numbered(n: u64) -> Self {
        Self(n)
    }
}

#[derive(Clone, Debug)]
struct Race {
    purpose: Purpose,
    /// Addresses that were not tried, best first, and behind them those that were slower than the winner.
    waiting: VecDeque<Address>,
    running: Vec<(ExchangeId, Address)>,
    /// When the next address is tried, monotonic milliseconds.
    due: u64,
    began: u64,
    /// One has answered: the others are let go, and come back only if it fails.
    won: bool,
    /// Those that came to nothing, each once.
    lost: Vec<LostSource>,
    /// What is told if nobody answers what helps more.
    answer: Option<Ended>,
}

/// All races of a node.
#[derive(Clone, Debug, Default)]
pub(super) struct Races {
    all: BTreeMap<RaceId, Race>,
    last: u64,
}

/// An exchange that is to be opened for a race.
pub(super) struct Start {
    pub(super) race: RaceId,
    pub(super) purpose: Purpose,
    pub(super) address: Address,
    /// What was before it.
    pub(super) since: Since,
}

impl Races {
    /// Begins with the first of the addresses; a place that is named twice is tried once.
    pub(super) fn begin(&mut self, purpose: Purpose, addresses: Vec<Address>, now: u64) -> RaceId {
        let mut waiting = VecDeque::<Address>::new();
        for address in addresses {
            if !waiting.contains(&address) {
                waiting.push_back(address);
            }
        }
        self.last = self.last.wrapping_add(1);
        let id = RaceId(self.last);
        let race = Race {
            purpose,
            waiting,
            running: Vec::new(),
            due: now,
            began: now,
            won: false,
            lost: Vec::new(),
            answer: None,
        };
        self.all.insert(id, race);
        id
    }

    /// The exchange of a race that has come furthest: the winner, or the one tried last.
    pub(super) fn leader(&self, id: RaceId) -> Option<ExchangeId> {
        self.all.get(&id)?.running.last().map(|(exchange, _)| *exchange)
    }

    /// The next address that is due.
    pub(super) fn start(&mut self, now: u64) -> Option<Start> {
        let (id, race) = self.all.iter_mut().find(|(_, race)| race.due().is_some_and(|due| due <= now))?;
        let address = race.waiting.pop_front()?;
        race.due = now.saturating_add(HEAD_START);
        let since = Since { began: race.began, moved: lost::moved(&race.lost) };
        Some(Start { race: *id, purpose: race.purpose.clone(), address, since })
    }

    pub(super) fn started(&mut self, id: RaceId, exchange: ExchangeId, address: Address) {
        if let Some(race) = self.all.get_mut(&id) {
            race.running.push((exchange, address));
        }
    }

    /// An address could not even be tried. The end of the race, if that was the last one.
    pub(super) fn not_started(
        &mut self,
        id: RaceId,
        address: Address,
        error: NodeError,
        now: u64,
    ) -> Option<Ended> {
        let race = self.all.get_mut(&id)?;
        race.lose(LostSource { address, peer: None, error, moved: Counts::default() }, now);
        self.over(id)
    }

    /// Exchanges that have lost since the last call: somebody else has answered.
    pub(super) fn losers(&mut self, answered: impl Fn(ExchangeId) -> bool) -> Vec<ExchangeId> {
        let mut losers = Vec::new();
        for race in self.all.values_mut().filter(|race| !race.won) {
            let Some(at) = race.running.iter().position(|(id, _)| answered(*id)) else { continue };
            race.won = true;
            let winner = race.running.swap_remove(at);
            for (id, address) in race.running.drain(..) {
                losers.push(id);
                race.waiting.push_back(address);
            }
            race.running.push(winner);
        }
        losers
    }

    /// An exchange has ended. What is to be told, and exchanges to let go of; nothing if it was one of a race that goes
    /// on.
    pub(super) fn ended(
        &mut self,
        exchange: ExchangeId,
        ended: Ended,
        now: u64,
    ) -> (Option<Ended>, Vec<ExchangeId>) {
        let found = self.all.iter_mut().find_map(|(id, race)| {
            let at = race.running.iter().position(|(running, _)| *running == exchange)?;
            let (_, address) = race.running.swap_remove(at);
            Some((*id, address, race))
        });
        let Some((id, address, race)) = found else { return (Some(ended), Vec::new()) };
        match ended.error().cloned() {
            None if ended.may_be_bettered() && !race.is_exhausted() => {
                race.answer.get_or_insert(ended);
                race.go_on(now);
                (None, Vec::new())
            }
            Some(error) if !error.is_of_this_node() => {
                race.lose(ended.lost(address, error), now);
                (self.over(id), Vec::new())
            }
            _ => {
                let (lost, running) =
                    self.all.remove(&id).map(|race| (race.lost, race.running)).unwrap_or_default();
                (Some(ended.after(lost)), running.into_iter().map(|(id, _)| id).collect())
            }
        }
    }

    /// The end of a race in which nothing is left to try: a failure, unless there is an answer that somebody else might have
    /// bettered.
    fn over(&mut self, id: RaceId) -> Option<Ended> {
        self.all.get(&id).filter(|race| race.is_exhausted())?;
        let Race { purpose, lost, answer, .. } = self.all.remove(&id)?;
        Some(answer.unwrap_or_else(|| Ended::all_failed(purpose, lost)))
    }

    /// More places for a race, behind those that it has; where it is under way it is not begun again.
    pub(super) fn join(&mut self, id: RaceId, addresses: impl Iterator<Item = Address>) {
        let Some(race) = self.all.get_mut(&id) else { return };
        for address in addresses {
            let runs = race.running.iter().any(|(_, running)| *running == address);
            if !runs && !race.waiting.contains(&address) {
                race.waiting.push_back(address);
            }
        }
    }

    /// Ends a race without a word. Its exchanges are to be let go of.
    pub(super) fn cancel(&mut self, id: RaceId) -> Vec<ExchangeId> {
        let running = self.all.remove(&id).map(|race| race.running).unwrap_or_default();
        running.into_iter().map(|(exchange, _)| exchange).collect()
    }

    /// Races without an address end before they begin.
    pub(super) fn empty(&mut self) -> Option<Ended> {
        let (id, _) = self.all.iter().find(|(_, race)| race.is_exhausted())?;
        self.over(*id)
    }

    /// When the next address is due.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.all.values().filter_map(Race::due).min()
    }
}

impl Race {
    fn due(&self) -> Option<u64> {
        let open = !self.won && self.running.len() < MAX_AT_ONCE && !self.waiting.is_empty();
        open.then_some(if self.running.is_empty() { self.began.min(self.due) } else { self.due })
    }

    /// Whether nothing is left to try.
    fn is_exhausted(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// One address came to nothing. One that was named again since it did so before is told of once.
    fn lose(&mut self, source: LostSource, now: u64) {
        self.go_on(now);
        match self.lost.iter_mut().find(|lost| lost.address == source.address) {
            Some(before) => {
                let moved = before.moved.plus(&source.moved);
                *before = LostSource { moved, ..source };
            }
            None => self.lost.push(source),
        }
    }

    /// The next address is tried at once.
    const fn go_on(&mut self, now: u64) {
        self.won = false;
        self.due = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Id, PublicKey,
        node::{Action, CommandId, Reply, outbox::Outbox},
        storage::StorageError,
        wire::Salt,
    };

    fn purpose() -> Purpose {
        Purpose::Sync { command: CommandId(1), tree: Id::of(b"t"), salt: Salt::default() }
    }

    fn cut() -> Ended {
        Ended::failed(purpose(), NodeError::Transport("cut".into()))
    }

    fn late() -> Ended {
        Ended::failed(purpose(), NodeError::TimedOut(30))
    }

    fn why(ended: &Ended) -> NodeError {
        ended.error().unwrap().clone()
    }

    fn addresses() -> Vec<Address> {
        alloc::vec![Address::http("a:1"), Address::http("b:1"), Address::http("a:1")]
    }

    fn started(races: &mut Races, now: u64, n: u64) -> Option<(RaceId, ExchangeId, Address)> {
        let start = races.start(now)?;
        races.started(start.race, ExchangeId::opened(n), start.address.clone());
        Some((start.race, ExchangeId::opened(n), start.address))
    }

    #[test]
    fn the_second_address_waits_for_the_head_start_of_the_first() {
        let mut races = Races::default();
        races.begin(purpose(), addresses(), 5);
        assert_eq!(started(&mut races, 5, 1).unwrap().2, Address::http("a:1"));
        assert!(races.start(5 + HEAD_START - 1).is_none());
        assert_eq!(races.deadline(), Some(5 + HEAD_START));
        assert_eq!(started(&mut races, 5 + HEAD_START, 2).unwrap().2, Address::http("b:1"));
        assert_eq!(races.deadline(), None, "a place that is named twice is tried once");
    }

    #[test]
    fn the_first_that_answers_goes_on_and_the_others_come_back_if_it_fails() {
        let mut races = Races::default();
        let race = races.begin(purpose(), addresses(), 0);
        let first = started(&mut races, 0, 1).unwrap().1;
        let second = started(&mut races, HEAD_START, 2).unwrap().1;
        assert_eq!(races.losers(|id| id == second), [first]);
        assert_eq!(races.leader(race), Some(second));
        assert!(races.start(u64::MAX).is_none(), "nobody else is tried while the winner is at it");

        assert!(races.ended(second, cut(), 900).0.is_none());
        let again = started(&mut races, 900, 3).unwrap();
        assert_eq!(again.2, Address::http("a:1"));
        let (over, losers) = races.ended(again.1, late(), 901);
        let over = over.unwrap();
        let sources = over.error().unwrap().sources();
        let told: Vec<_> =
            sources.iter().map(|source| (source.address.clone(), source.error.clone())).collect();
        let both = [(Address::http("b:1"), cut()), (Address::http("a:1"), late())];
        assert_eq!(
            (told.as_slice(), losers),
            (both.map(|(at, ended)| (at, why(&ended))).as_slice(), alloc::vec![])
        );
        assert!(races.all.is_empty());
    }

    #[test]
    fn a_failure_gives_the_next_its_turn_at_once_and_a_refusal_says_most() {
        let mut races = Races::default();
        races.begin(purpose(), addresses(), 0);
        let first = started(&mut races, 0, 1).unwrap().1;
        let refused = NodeError::NotOffered(Id::of(b"t"));
        assert!(races.ended(first, Ended::failed(purpose(), refused.clone()), 3).0.is_none());
        let second = started(&mut races, 3, 2).unwrap().1;
        let over = races.ended(second, cut(), 4).0.unwrap();
        assert_eq!(over.error().unwrap().telling(), &refused);
        assert_eq!(over.error().unwrap().sources().len(), 2);
    }

    #[test]
    fn what_a_lost_source_has_brought_is_told_to_the_next_and_at_the_end() {
        let mut races = Races::default();
        races.begin(purpose(), addresses(), 7);
        let first = started(&mut races, 7, 1).unwrap().1;
        let moved =
            Counts { entries_received: 40, bytes_received: 9_000, round_trips: 2, ..Counts::default() };
        let peer = Some(PublicKey::from_bytes([3; 32]));
        assert!(races.ended(first, cut().with(peer, moved), 30_007).0.is_none());
        let next = races.start(30_007).expect("at once");
        assert_eq!((next.since.began, next.since.moved), (7, moved));
        races.started(next.race, ExchangeId::opened(2), next.address);
        let own = Counts { entries_received: 2, ..Counts::default() };
        let with = (None, Address::http("b:1"));
        let synced = Ended::synced(purpose(), Id::of(b"t"), with, own, 7);
        let (over, _) = races.ended(ExchangeId::opened(2), synced, 30_100);
        let mut out = Outbox::default();
        over.unwrap().report(&mut out);
        let Some(Action::Reply(_, Ok(Reply::Synced(report)))) = out.pop() else { panic!() };
        assert_eq!((report.entries_received, report.bytes_received, report.round_trips), (42, 9_000, 2));
        assert_eq!((report.lost[0].peer, report.lost[0].moved), (peer, moved));
        assert_eq!(report.with_peer_alone().entries_received, 2);
    }

    #[test]
    fn what_this_node_cannot_do_is_not_tried_elsewhere() {
        let mut races = Races::default();
        races.begin(purpose(), addresses(), 0);
        let first = started(&mut races, 0, 1).unwrap().1;
        let second = started(&mut races, HEAD_START, 2).unwrap().1;
        let full = NodeError::Storage(StorageError::Full);
        let (over, losers) = races.ended(first, Ended::failed(purpose(), full.clone()), 251);
        assert_eq!((over.unwrap().error(), losers), (Some(&full), alloc::vec![second]));
    }
}
