//! One purpose at several addresses, of one peer or of several: the next one gets its turn when the one before is slow,
//! and the first that answers goes on. If that one is lost on the way, the others have their turn again at once, and what
//! it has brought is there already. If it brings next to nothing, they have their turn beside it.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

use crate::{
    Id,
    node::{
        CommandId, Counts, ExchangeId, LostSource, NodeError,
        ended::Ended,
        fetches::{LULL, Standing, earned},
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
    /// One has answered: the others are let go, and come back only if it fails or is slow.
    lead: Option<Lead>,
    /// Those that had the lead and were too slow for it. They go on beside the others.
    slow: Vec<(ExchangeId, Standing)>,
    /// Those that came to nothing, each once.
    lost: Vec<LostSource>,
    /// What is told if nobody answers what helps more.
    answer: Option<Ended>,
}

/// The exchange of a race that has answered and keeps the others waiting.
#[derive(Clone, Copy, Debug)]
struct Lead {
    exchange: ExchangeId,
    /// Until when they wait, monotonic milliseconds.
    until: u64,
    standing: Standing,
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
            lead: None,
            slow: Vec::new(),
            lost: Vec::new(),
            answer: None,
        };
        self.all.insert(id, race);
        id
    }

    /// The exchange of a race that has come furthest: the one that has answered, or the one tried last.
    pub(super) fn leader(&self, id: RaceId) -> Option<ExchangeId> {
        let race = self.all.get(&id)?;
        let lead = race.lead.map(|lead| lead.exchange);
        let slow = race.slow.last().map(|(exchange, _)| *exchange);
        lead.or(slow).or(race.running.last().map(|(exchange, _)| *exchange))
    }

    /// The next address that is due.
    pub(super) fn start(&mut self, now: u64) -> Option<Start> {
        let (id, race) = self.all.iter_mut().find(|(_, race)| race.due().is_some_and(|due| due <= now))?;
        let address = race.waiting.pop_front()?;
        race.due = now.saturating_add(HEAD_START);
        let beside = race.slow.iter().map(|(_, standing)| standing.moved);
        let moved = beside.fold(lost::moved(&race.lost), |sum, moved| sum.plus(&moved));
        let since = Since { began: race.began, moved };
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

    /// Looks how those under way stand. Which have lost since the last call: somebody else has answered.
    pub(super) fn watch(&mut self, standing: impl Fn(ExchangeId) -> Standing, now: u64) -> Vec<ExchangeId> {
        self.all.values_mut().flat_map(|race| race.watch(&standing, now)).collect()
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
            race.slow.retain(|(slow, _)| *slow != exchange);
            race.lead = race.lead.filter(|lead| lead.exchange != exchange);
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
                let (lost, running) = self.all.remove(&id).map(Race::overtaken).unwrap_or_default();
                (Some(ended.after(lost)), running)
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

    /// Ends the races of callers about a tree: who is to be told, and exchanges to let go of.
    pub(super) fn forsake(&mut self, tree: &Id) -> Vec<(CommandId, Vec<ExchangeId>)> {
        let about = |race: &Race| match race.purpose {
            Purpose::Sync { command, tree: of, .. } if of == *tree => Some(command),
            _ => None,
        };
        let found: Vec<_> = self.all.iter().filter_map(|(id, race)| Some((*id, about(race)?))).collect();
        found.into_iter().map(|(id, command)| (command, self.cancel(id))).collect()
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
        let open = self.running.len() < MAX_AT_ONCE && !self.waiting.is_empty();
        open.then_some(match self.lead {
            Some(lead) => lead.until,
            None if self.running.is_empty() => self.began.min(self.due),
            None => self.due,
        })
    }

    /// Takes the lead from one that is slow, if others wait, and gives it to the first that has answered and was not.
    /// Those that have not are let go of.
    fn watch(&mut self, standing: impl Fn(ExchangeId) -> Standing, now: u64) -> Vec<ExchangeId> {
        for (exchange, last) in &mut self.slow {
            *last = standing(*exchange);
        }
        if let Some(lead) = &mut self.lead {
            let stands = standing(lead.exchange);
            let more = stands.bytes.saturating_sub(lead.standing.bytes);
            (lead.until, lead.standing) = (earned(lead.until, more, now), stands);
            if lead.until > now || self.waiting.is_empty() {
                return Vec::new();
            }
            self.slow.push((lead.exchange, lead.standing));
            self.go_on(now);
        }
        let fresh = |id: &ExchangeId| !self.slow.iter().any(|(slow, _)| slow == id);
        let first = self.running.iter().map(|(id, _)| *id).filter(fresh).find(|id| standing(*id).answered);
        let Some(exchange) = first else { return Vec::new() };
        let until = now.saturating_add(LULL);
        self.lead = Some(Lead { exchange, until, standing: standing(exchange) });
        let goes_on = |id: &ExchangeId| *id == exchange || self.slow.iter().any(|(slow, _)| slow == id);
        let (stay, gone): (Vec<_>, Vec<_>) = self.running.drain(..).partition(|(id, _)| goes_on(id));
        self.running = stay;
        self.waiting.extend(gone.iter().map(|(_, address)| address.clone()));
        gone.into_iter().map(|(id, _)| id).collect()
    }

    /// Another has come to the end: those that failed or were slow, and all that are to be let go of.
    fn overtaken(self) -> (Vec<LostSource>, Vec<ExchangeId>) {
        let Self { mut lost, slow, running, .. } = self;
        for (exchange, Standing { peer, moved, .. }) in slow {
            let address = running.iter().find(|(id, _)| *id == exchange).map(|(_, address)| address.clone());
            let error = NodeError::TimedOut(LULL / 1_000);
            lost.extend(address.map(|address| LostSource { address, peer, error, moved }));
        }
        (lost, running.into_iter().map(|(id, _)| id).collect())
    }

    /// Whether nothing is left to try.
    fn is_exhausted(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// One address came to nothing. One that was named again since it did so before is told of once.
    fn lose(&mut self, source: LostSource, now: u64) {
        // Nobody is hurried who keeps the others waiting for good reason.
        if self.lead.is_none() {
            self.go_on(now);
        }
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
        self.lead = None;
        self.due = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        PublicKey,
        node::{Action, Reply, exchanges::SLOWEST_LINE, outbox::Outbox},
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

    /// This one has said something.
    fn answered(by: ExchangeId) -> impl Fn(ExchangeId) -> Standing {
        move |id| Standing { answered: id == by, ..Standing::default() }
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
        assert_eq!(races.watch(answered(second), HEAD_START), [first]);
        assert_eq!(races.leader(race), Some(second));
        let waits = HEAD_START + LULL;
        assert!(races.start(waits - 1).is_none(), "nobody else is tried while the winner is at it");
        assert_eq!(races.deadline(), Some(waits));

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
    fn who_brings_next_to_nothing_lets_the_others_try_beside_it_and_does_not_get_the_lead_again() {
        let mut races = Races::default();
        let mut places = addresses();
        places.push(Address::http("c:1"));
        let race = races.begin(purpose(), places, 0);
        let slow = started(&mut races, 0, 1).unwrap().1;
        assert_eq!(races.watch(answered(slow), 10), []);
        // What it brings at the pace of the slowest line keeps the others waiting, and no more than that.
        let moved = Counts { entries_received: 5, ..Counts::default() };
        let brought = |id| Standing { bytes: 3 * SLOWEST_LINE, moved, ..answered(slow)(id) };
        assert_eq!((races.watch(brought, 9_010), races.deadline()), (Vec::new(), Some(23_010)));
        assert_eq!(races.watch(brought, 23_010), []);
        let (_, second, address) = started(&mut races, 23_010, 2).unwrap();
        assert_eq!((address, races.leader(race)), (Address::http("b:1"), Some(slow)));
        let both = |id| Standing { answered: true, ..brought(id) };
        assert_eq!(races.watch(both, 23_020), [], "the slow one goes on beside it");
        assert_eq!((races.leader(race), races.deadline()), (Some(second), Some(23_020 + LULL)));
        assert_eq!(races.watch(both, 23_020 + LULL), []);
        let start = races.start(23_020 + LULL).expect("the third");
        assert_eq!(start.since.moved, moved.plus(&moved));
        races.started(start.race, ExchangeId::opened(3), start.address);
        assert_eq!(races.watch(both, 23_020 + LULL), [], "two have had it before");
        assert_eq!(races.leader(race), Some(ExchangeId::opened(3)));
        let with = (None, Address::http("c:1"));
        let synced = Ended::synced(purpose(), Id::of(b"t"), with, Counts::default(), 7);
        let (over, losers) = races.ended(ExchangeId::opened(3), synced, 50_000);
        assert_eq!(losers, [slow, second]);
        let mut out = Outbox::default();
        over.unwrap().report(&mut out);
        let Some(Action::Reply(_, Ok(Reply::Synced(report)))) = out.pop() else { panic!() };
        let lost: Vec<_> = report.lost.iter().map(|lost| (lost.error.clone(), lost.moved)).collect();
        assert_eq!(lost, [(NodeError::TimedOut(20), moved), (NodeError::TimedOut(20), moved)]);
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
