//! Who may connect, ask and be held in memory, before and after it is known who they are.
//!
//! A connection is a *stranger's* until the node vouches for a key on it. That a key or an address was vouched for lately is
//! remembered: the key's next connection is proven as soon as it shows the key; a further one from the address is a
//! *neighbour's*, which may use what strangers cannot have, but gives way to the proven.

mod books;
#[cfg(all(feature = "http", any(feature = "smol", feature = "threads")))]
mod room;

use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use books::Books;
use pleach_core::{PublicKey, budget::Source, node};
#[cfg(all(feature = "http", any(feature = "smol", feature = "threads")))]
pub(crate) use room::Held;

/// How many connections a door lets in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// In all.
    pub(crate) all: usize,
    /// Of strangers.
    pub(crate) strangers: usize,
    /// From one source, of those that are not proven.
    pub(crate) of_source: usize,
}

impl Limits {
    /// These, or what the owner of the node wants in their place: strangers have the same part of it.
    pub(crate) fn wanted(self, limits: &node::Limits) -> Self {
        let (all, of_source) = limits.given_connections();
        let all = all.unwrap_or(self.all);
        let part = |of: usize| (of.saturating_mul(all) / self.all).max(1);
        Self {
            all,
            strangers: part(self.strangers),
            of_source: of_source.unwrap_or_else(|| part(self.of_source)).min(all),
        }
    }
}

/// What a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Stranger,
    Neighbour,
    Proven,
}

/// Ends a connection that gives way.
type Ending = Box<dyn FnOnce() + Send>;

struct Place {
    source: Source,
    standing: Standing,
    /// Requests that are being answered.
    answering: Arc<AtomicUsize>,
    end: Option<Ending>,
}

struct State {
    next: u64,
    /// By order of arrival.
    places: BTreeMap<u64, Place>,
    books: Books,
}

/// The door of one listener.
pub(crate) struct Gate {
    limits: Limits,
    begun: Instant,
    state: Mutex<State>,
    #[cfg(all(feature = "http", any(feature = "smol", feature = "threads")))]
    room: room::Room,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Where an address is charged: itself, or of the newer kind the network of which one customer has 2^64 addresses.
pub(crate) fn source_of(address: IpAddr) -> Source {
    match address.to_canonical() {
        IpAddr::V4(address) => Source::of(&address.octets()),
        IpAddr::V6(address) => Source::of(&address.octets()[..8]),
    }
}

impl Gate {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        let state = State { next: 0, places: BTreeMap::new(), books: Books::new() };
        Arc::new(Self {
            limits,
            begun: Instant::now(),
            state: Mutex::new(state),
            #[cfg(all(feature = "http", any(feature = "smol", feature = "threads")))]
            room: room::Room::default(),
        })
    }

    /// How many it lets in.
    #[cfg(all(feature = "http", feature = "threads"))]
    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Lets a connection in, if its source may come so often. Somebody less deserving may have to go for it.
    pub(crate) fn enter(self: &Arc<Self>, source: Source, end: Ending) -> Option<Visitor> {
        self.enter_at(source, end, self.now())
    }

    fn enter_at(self: &Arc<Self>, source: Source, end: Ending, now: u64) -> Option<Visitor> {
        let (visitor, ending) = {
            let mut state = self.lock();
            let is_neighbour = state.books.is_lately_proven(source, now);
            if !state.books.visit(source, is_neighbour, now) {
                return None;
            }
            let standing = if is_neighbour { Standing::Neighbour } else { Standing::Stranger };
            let ending = match state.giving_way(self.limits, source, standing) {
                Way::Free => None,
                Way::Shut => return None,
                Way::For(number) => state.places.remove(&number).and_then(|place| place.end),
            };
            let number = state.next;
            state.next = state.next.wrapping_add(1);
            let answering = Arc::default();
            let place = Place { source, standing, answering: Arc::clone(&answering), end: Some(end) };
            state.places.insert(number, place);
            (Visitor { gate: Arc::clone(self), number, source, answering }, ending)
        };
        if let Some(end) = ending {
            end();
        }
        Some(visitor)
    }

    /// Whether somebody whose address is not known to be theirs may begin to connect. Who may not has to show first that
    /// it is, so that nobody uses up the budget of others.
    #[cfg(any(feature = "quic", feature = "iroh"))]
    pub(crate) fn begin(&self) -> bool {
        let now = self.now();
        let mut state = self.lock();
        let strangers = state.places.values().filter(|place| place.standing != Standing::Proven).count();
        strangers < self.limits.of_source && state.books.begin(now)
    }
}

enum Way {
    Free,
    For(u64),
    Shut,
}

impl State {
    /// Who gives way to a connection from this source, if the places are full.
    fn giving_way(&self, limits: Limits, source: Source, standing: Standing) -> Way {
        let unproven = |place: &&Place| place.standing != Standing::Proven;
        let of_source = |place: &&Place| unproven(place) && place.source == source;
        if self.places.values().filter(of_source).count() >= limits.of_source {
            return self.least_deserving(|place| of_source(&place));
        }
        let strangers = |place: &&Place| place.standing == Standing::Stranger;
        if standing == Standing::Stranger
            && self.places.values().filter(strangers).count() >= limits.strangers
        {
            return self.least_deserving(|place| strangers(&place));
        }
        if self.places.len() >= limits.all {
            return match self.least_deserving(|place| strangers(&place)) {
                Way::Shut if standing != Standing::Stranger => self.least_deserving(|place| unproven(&place)),
                way => way,
            };
        }
        Way::Free
    }

    /// One that asks for nothing before one that is answered, of the source that has most, and the one that came first.
    fn least_deserving(&self, may: impl Fn(&Place) -> bool) -> Way {
        let mut sources = BTreeMap::<Source, usize>::new();
        let among = || self.places.iter().filter(|(_, place)| may(place));
        for (_, place) in among() {
            *sources.entry(place.source).or_default() += 1;
        }
        let deserves = |(number, place): &(&u64, &Place)| {
            let crowd = sources.get(&place.source).copied().unwrap_or(0);
            (place.answering.load(Ordering::Relaxed) > 0, std::cmp::Reverse(crowd), **number)
        };
        among().min_by_key(deserves).map_or(Way::Shut, |(number, _)| Way::For(*number))
    }
}

/// A connection that was let in. Its place is free when this is dropped.
pub(crate) struct Visitor {
    gate: Arc<Gate>,
    number: u64,
    source: Source,
    answering: Arc<AtomicUsize>,
}

impl Drop for Visitor {
    fn drop(&mut self) {
        let place = self.gate.lock().places.remove(&self.number);
        drop(place);
    }
}

impl Visitor {
    pub(crate) const fn source(&self) -> Source {
        self.source
    }

    fn standing(&self, state: &State) -> Standing {
        state.places.get(&self.number).map_or(Standing::Stranger, |place| place.standing)
    }

    /// Whether a request may be looked at. A connection that is proven is not charged.
    pub(crate) fn request(&self) -> bool {
        let now = self.gate.now();
        let mut state = self.gate.lock();
        match self.standing(&state) {
            Standing::Proven => true,
            standing => state.books.request(self.source, standing == Standing::Neighbour, now),
        }
    }

    /// The peer has shown a key. One that the node has vouched for lately need not wait for that.
    pub(crate) fn shows(&self, key: &PublicKey) {
        let now = self.gate.now();
        let mut state = self.gate.lock();
        if state.books.is_proven(key, now) {
            state.prove(self, now);
        }
    }

    /// The node vouches for the peer with this key.
    pub(crate) fn vouch(&self, key: PublicKey) {
        let now = self.gate.now();
        let mut state = self.gate.lock();
        state.books.vouch(key, self.source, now);
        state.prove(self, now);
    }

    /// What came was no message, or falsely signed: more of it is charged dearly.
    #[cfg(all(feature = "http", any(feature = "smol", feature = "threads")))]
    pub(crate) fn misbehaved(&self) {
        let now = self.gate.now();
        self.gate.lock().books.misbehaved(self.source, now);
    }

    /// A request begins to be answered; it is over when what is returned is dropped.
    pub(crate) fn answering(&self) -> Answering {
        self.answering.fetch_add(1, Ordering::Relaxed);
        Answering(Arc::clone(&self.answering))
    }

    /// Room for the bytes of a body, none yet.
    #[cfg(all(feature = "http", any(feature = "smol", feature = "threads")))]
    pub(crate) fn room(&self) -> Held {
        let standing = self.standing(&self.gate.lock());
        Held::new(&self.gate, standing, self.source)
    }
}

impl State {
    /// This visitor is proven, and owes nothing for having come and asked.
    fn prove(&mut self, visitor: &Visitor, now: u64) {
        let Some(place) = self.places.get_mut(&visitor.number) else { return };
        if place.standing != Standing::Proven {
            place.standing = Standing::Proven;
            self.books.forgive(visitor.source, now);
        }
    }
}

/// A request that is being answered.
pub(crate) struct Answering(Arc<AtomicUsize>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use pleach_core::SecretKey;

    use super::*;

    const LIMITS: Limits = Limits { all: 20, strangers: 10, of_source: 4 };

    fn source(number: u16) -> Source {
        Source::of(&number.to_le_bytes())
    }

    fn key(seed: u8) -> PublicKey {
        SecretKey::from_bytes([seed; 32]).public()
    }

    /// A visitor, and whether it was asked to go.
    fn enter(gate: &Arc<Gate>, from: u16) -> Option<(Visitor, Arc<AtomicUsize>)> {
        let gone = Arc::new(AtomicUsize::new(0));
        let told = Arc::clone(&gone);
        let visitor = gate.enter_at(source(from), Box::new(move || told.store(1, Ordering::Relaxed)), 0)?;
        Some((visitor, gone))
    }

    fn gone(visitors: &[(Visitor, Arc<AtomicUsize>)]) -> Vec<usize> {
        let went = |(_, (_, gone)): &(usize, &(Visitor, Arc<AtomicUsize>))| gone.load(Ordering::Relaxed) == 1;
        visitors.iter().enumerate().filter(went).map(|(at, _)| at).collect()
    }

    #[test]
    fn strangers_push_out_strangers_and_the_most_crowded_source_first() {
        let gate = Gate::new(LIMITS);
        let mut all: Vec<_> =
            [1, 2, 2, 2, 3, 4, 5, 6, 7, 8].iter().filter_map(|n| enter(&gate, *n)).collect();
        assert_eq!((all.len(), gone(&all)), (10, vec![]));
        all.extend(enter(&gate, 9));
        assert_eq!(gone(&all), [1], "the first of the source that has three");
        let busy = all[2].0.answering();
        all.extend(enter(&gate, 10));
        assert_eq!(gone(&all), [1, 3], "the second one is being answered");
        drop(busy);
    }

    #[test]
    fn as_many_come_in_as_the_owner_of_the_node_wants() {
        let wanted = |limits: node::Limits| {
            let Limits { all, strangers, of_source } = LIMITS.wanted(&limits);
            [all, strangers, of_source]
        };
        assert_eq!(wanted(node::Limits::new()), [20, 10, 4]);
        assert_eq!(wanted(node::Limits::new().connections(100)), [100, 50, 20]);
        assert_eq!(wanted(node::Limits::new().connections(100).connections_of_source(7)), [100, 50, 7]);
        let gate = Gate::new(LIMITS.wanted(&node::Limits::new().connections(16)));
        let all: Vec<_> = (0..16).filter_map(|from| enter(&gate, from)).collect();
        assert_eq!((all.len(), gone(&all).len()), (16, 8), "half of 16 are for strangers");
    }

    #[test]
    fn one_source_has_its_share_and_no_more() {
        let gate = Gate::new(LIMITS);
        let all: Vec<_> = (0..6).filter_map(|_| enter(&gate, 1)).collect();
        assert_eq!(gone(&all), [0, 1]);
        assert_eq!(gate.lock().places.len(), 4);
        drop(all);
        assert!(gate.lock().places.is_empty(), "places are given back");
    }

    #[test]
    fn nobody_takes_the_place_of_a_proven_one() {
        let gate = Gate::new(LIMITS);
        let vouched = |(visitor, gone): (Visitor, _)| {
            visitor.vouch(key(1));
            (visitor, gone)
        };
        let proven: Vec<_> = (0..20).filter_map(|n| enter(&gate, n / 2).map(vouched)).collect();
        assert_eq!((proven.len(), gone(&proven)), (20, vec![]));
        assert!(enter(&gate, 99).is_none(), "all places are those of proven ones");
        assert!(enter(&gate, 1).is_none());
    }

    #[test]
    fn ten_thousand_strangers_do_not_keep_a_proven_peer_out() {
        let gate = Gate::new(LIMITS);
        let (first, _) = enter(&gate, 1).unwrap();
        first.vouch(key(1));
        let mut strangers = Vec::new();
        for number in 0..10_000 {
            strangers.extend(enter(&gate, 100 + number));
        }
        assert!(strangers.len() < 1_000, "they may not come so often: {}", strangers.len());
        let inside = gate.lock().places.len();
        assert_eq!(inside, 11);
        let again: Vec<_> = (0..4).filter_map(|_| enter(&gate, 1)).collect();
        assert_eq!((again.len(), gone(&again)), (4, vec![]), "its address is known");
        for (visitor, _) in &again {
            assert!(visitor.request());
            visitor.shows(&key(1));
        }
        let more: Vec<_> = (0..4).filter_map(|_| enter(&gate, 1)).collect();
        assert_eq!((more.len(), gone(&again)), (4, vec![]));
    }

    #[test]
    fn what_a_source_asks_is_charged_until_it_is_proven() {
        let gate = Gate::new(LIMITS);
        let (one, _) = enter(&gate, 1).unwrap();
        let asked = (0..10_000).take_while(|_| one.request()).count();
        assert!((100..1_000).contains(&asked), "{asked}");
        let (other, _) = enter(&gate, 2).unwrap();
        assert!(other.request(), "another source has its own budget");
        one.vouch(key(1));
        assert!((0..10_000).all(|_| one.request()));
        let (neighbour, _) = enter(&gate, 1).unwrap();
        let asked = (0..10_000).take_while(|_| neighbour.request()).count();
        assert!((100..1_000).contains(&asked), "whoever else is there has a budget: {asked}");
    }

    #[test]
    fn addresses_of_one_network_are_one_source() {
        let of = |text: &str| source_of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
