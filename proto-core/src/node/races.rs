//! One purpose at several addresses: the next one gets its turn when the one before is slow, and the first that answers
//! goes on.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

use crate::{
    node::{ExchangeId, NodeError, ended::Ended, initiator::Purpose},
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
    /// What says most about why nothing came of it so far.
    failure: Option<NodeError>,
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
    /// When the race began, monotonic milliseconds.
    pub(super) began: u64,
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
        let race =
            Race { purpose, waiting, running: Vec::new(), due: now, began: now, won: false, failure: None };
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
        Some(Start { race: *id, purpose: race.purpose.clone(), address, began: race.began })
    }

    pub(super) fn started(&mut self, id: RaceId, exchange: ExchangeId, address: Address) {
        if let Some(race) = self.all.get_mut(&id) {
            race.running.push((exchange, address));
        }
    }

    /// An address could not even be tried. The end of the race, if that was the last one.
    pub(super) fn not_started(&mut self, id: RaceId, error: NodeError, now: u64) -> Option<Ended> {
        let race = self.all.get_mut(&id)?;
        race.fail(error, now);
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
            race.running.swap_remove(at);
            Some((*id, race))
        });
        let Some((id, race)) = found else { return (Some(ended), Vec::new()) };
        match ended.error() {
            None => {
                let race = self.all.remove(&id);
                let losers = race.map(|race| race.running).unwrap_or_default();
                (Some(ended), losers.into_iter().map(|(id, _)| id).collect())
            }
            Some(error) => {
                race.fail(error.clone(), now);
                (self.over(id), Vec::new())
            }
        }
    }

    /// The failure of a race in which nothing is left to try.
    fn over(&mut self, id: RaceId) -> Option<Ended> {
        let race = self.all.get(&id)?;
        if !race.running.is_empty() || !race.waiting.is_empty() {
            return None;
        }
        let Race { purpose, failure, .. } = self.all.remove(&id)?;
        Some(Ended::failed(purpose, failure.unwrap_or(NodeError::NoAddress)))
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
        let (id, _) = self.all.iter().find(|(_, race)| race.running.is_empty() && race.waiting.is_empty())?;
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

    /// One address came to nothing: the next is tried at once.
    fn fail(&mut self, error: NodeError, now: u64) {
        self.won = false;
        self.due = now;
        // Whoever was reached and refused says more than somebody who could not be reached.
        if self.failure.as_ref().is_none_or(|before| before.is_of_the_line() || !error.is_of_the_line()) {
            self.failure = Some(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Id, node::CommandId, wire::Salt};

    fn purpose() -> Purpose {
        Purpose::Sync { command: CommandId(1), tree: Id::of(b"t"), salt: Salt::default() }
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

        let cut = Ended::failed(purpose(), NodeError::Transport("cut".into()));
        assert!(races.ended(second, cut, 900).0.is_none());
        let again = started(&mut races, 900, 3).unwrap();
        assert_eq!(again.2, Address::http("a:1"));
        let cut = Ended::failed(purpose(), NodeError::TimedOut(30));
        let (over, losers) = races.ended(again.1, cut, 901);
        assert_eq!((over.unwrap().error(), losers), (Some(&NodeError::TimedOut(30)), alloc::vec![]));
        assert!(races.all.is_empty());
    }

    #[test]
    fn a_failure_gives_the_next_its_turn_at_once_and_a_refusal_is_what_is_told() {
        let mut races = Races::default();
        races.begin(purpose(), addresses(), 0);
        let first = started(&mut races, 0, 1).unwrap().1;
        let refused = NodeError::NotOffered(Id::of(b"t"));
        assert!(races.ended(first, Ended::failed(purpose(), refused.clone()), 3).0.is_none());
        let second = started(&mut races, 3, 2).unwrap().1;
        let cut = Ended::failed(purpose(), NodeError::Transport("cut".into()));
        assert_eq!(races.ended(second, cut, 4).0.unwrap().error(), Some(&refused));
    }
}
