//! What the owner of a node bounds on it, and within which range.

use crate::{
    limits::{MAX_BATCH_BYTES, MAX_FRAME},
    node::{
        MAX_ACCEPTED, MAX_ACQUAINTANCES, MAX_HELD, MAX_HISTORY, MAX_REQUESTS,
        budgets::MAX_OF_SOURCE,
        exchanges::{MAX_OPENED, MAX_STAYS},
        races::MAX_AT_ONCE,
    },
};

/// Connections at each place where a node listens, at least: some for the proven and some for strangers.
pub const MIN_CONNECTIONS: usize = 16;

/// The same at most. Who may come in is looked up among all of them.
pub const MOST_CONNECTIONS: usize = 4_096;

/// Exchanges that peers may have open at least: a quarter of them is what one source of strangers may have.
pub const MIN_ACCEPTED: usize = 4 * MAX_OF_SOURCE;

/// The same at most, as many as there are connections: 512 MiB of buffers.
pub const MOST_ACCEPTED: usize = 4_096;

/// Exchanges that a node may have open itself at least: one purpose tries this many addresses side by side.
pub const MIN_OPENED: usize = MAX_AT_ONCE;

/// The same at most, those aside that wait for news, and those too: 1 GiB of buffers.
pub const MOST_OPENED: usize = 4_096;

/// Bytes of entries between arrival and disk at least: a batch, of which a quarter is a frame for strangers.
pub const MIN_HELD: usize = MAX_BATCH_BYTES;

const _: () = assert!(MIN_HELD / 4 >= MAX_FRAME, "strangers come in frames");

/// The same at most: what the disks of a large server write in a second.
pub const MOST_HELD: usize = 1024 * 1024 * 1024;

/// Records of syncs that are kept at least: what somebody looks at who wonders why the last sync failed.
pub const MIN_HISTORY: usize = 16;

/// The same at most: 13 MiB, all of which is read to show it.
pub const MOST_HISTORY: usize = 65_536;

/// Open access requests at least: those of one key.
pub const MIN_REQUESTS: usize = super::MAX_REQUESTS_OF_KEY;

/// The same at most: 64 MiB with metadata at their longest. Each that comes is looked up among all of them.
pub const MOST_REQUESTS: usize = 16_384;

/// Peers that are remembered because they came, at least: the devices of a person.
pub const MIN_ACQUAINTANCES: usize = 16;

/// The same at most: as many as are remembered to be proven, four times.
pub const MOST_ACQUAINTANCES: usize = 16_384;

/// What a node takes on at most, where its owner says more than nothing: a board computer less than the defaults, which are for a
/// small server, and a large server more. Limits of the protocol are not among it: a node that keeps to others would not
/// be understood.
///
/// ```
/// # use pleach_core::node::Limits;
/// let large = Limits::new().connections(2_000).exchanges(2_000).held_bytes(256 << 20);
/// assert!(large.check().is_ok());
/// let error = Limits::new().exchanges(1).check().unwrap_err();
/// assert_eq!(error.to_string(), "exchanges can be limited to between 64 and 4096, not 1: choose one of these");
///
/// let board = Limits::new().connections_of_source(8).dialled(8).waits(4);
/// let board = board.history(64).requests(16).acquaintances(32);
/// assert_eq!((board.check(), board.given_connections()), (Ok(()), (None, Some(8))));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    connections: Option<usize>,
    connections_of_source: Option<usize>,
    exchanges: usize,
    dialled: usize,
    waits: usize,
    held_bytes: usize,
    history: usize,
    requests: usize,
    acquaintances: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: None,
            connections_of_source: None,
            exchanges: MAX_ACCEPTED,
            dialled: MAX_OPENED,
            waits: MAX_STAYS,
            held_bytes: MAX_HELD,
            history: MAX_HISTORY,
            requests: MAX_REQUESTS,
            acquaintances: MAX_ACQUAINTANCES,
        }
    }
}

/// A limit that no node can keep to.
///
/// ```
/// # use pleach_core::node::Limits;
/// let error = Limits::new().history(0).check().unwrap_err();
/// assert_eq!((error.name, error.least, error.given), ("history", 16, 0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{name} can be limited to between {least} and {most}, not {given}: choose one of these")]
#[non_exhaustive]
pub struct LimitError {
    /// The call of [`Limits`] by which it was set.
    pub name: &'static str,
    /// What it can be at least.
    pub least: usize,
    /// What it can be at most.
    pub most: usize,
    /// What it was set to.
    pub given: usize,
}

impl Limits {
    /// What holds if nobody says anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Connections at each place where the node listens over HTTP, QUIC or iroh. As large a part of them as otherwise is for
    /// strangers.
    #[must_use]
    pub const fn connections(self, most: usize) -> Self {
        Self { connections: Some(most), ..self }
    }

    /// Those of them from one source, an address or the network of one customer, that have not shown a key that is known.
    #[must_use]
    pub const fn connections_of_source(self, most: usize) -> Self {
        Self { connections_of_source: Some(most), ..self }
    }

    /// Exchanges that peers may have open at once, 128 KiB for each. Half of them may wait for news: so many
    /// pairs of database and peer hear of a commit at once, further ones at their next periodic sync. A quarter is what strangers
    /// may have, and what one key may have.
    #[must_use]
    pub const fn exchanges(self, most: usize) -> Self {
        Self { exchanges: most, ..self }
    }

    /// Exchanges that the node itself has open at once, besides those that wait for news.
    #[must_use]
    pub const fn dialled(self, most: usize) -> Self {
        Self { dialled: most, ..self }
    }

    /// Pairs of database and peer of which the node waits for news, about 256 KiB for each. Of further ones it hears at
    /// the next periodic sync.
    #[must_use]
    pub const fn waits(self, most: usize) -> Self {
        Self { waits: most, ..self }
    }

    /// Bytes of entries between arrival and disk, over all exchanges. A quarter of them is what strangers may have.
    #[must_use]
    pub const fn held_bytes(self, most: usize) -> Self {
        Self { held_bytes: most, ..self }
    }

    /// Records of syncs that are kept: so many that the node began, and as many that peers began.
    #[must_use]
    pub const fn history(self, most: usize) -> Self {
        Self { history: most, ..self }
    }

    /// Access requests that wait for a decision. Those that wait already stay.
    #[must_use]
    pub const fn requests(self, most: usize) -> Self {
        Self { requests: most, ..self }
    }

    /// Peers that are remembered because they came, though nobody has registered them.
    #[must_use]
    pub const fn acquaintances(self, most: usize) -> Self {
        Self { acquaintances: most, ..self }
    }

    /// Whether a node can keep to them: if not, which one is too small or too large.
    pub fn check(&self) -> Result<(), LimitError> {
        let all = [
            ("connections", self.connections, MIN_CONNECTIONS, MOST_CONNECTIONS),
            ("connections_of_source", self.connections_of_source, 1, MOST_CONNECTIONS),
            ("exchanges", Some(self.exchanges), MIN_ACCEPTED, MOST_ACCEPTED),
            ("dialled", Some(self.dialled), MIN_OPENED, MOST_OPENED),
            ("waits", Some(self.waits), 1, MOST_OPENED),
            ("held_bytes", Some(self.held_bytes), MIN_HELD, MOST_HELD),
            ("history", Some(self.history), MIN_HISTORY, MOST_HISTORY),
            ("requests", Some(self.requests), MIN_REQUESTS, MOST_REQUESTS),
            ("acquaintances", Some(self.acquaintances), MIN_ACQUAINTANCES, MOST_ACQUAINTANCES),
        ];
        all.into_iter().try_for_each(|(name, given, least, most)| match given {
            Some(given) if given < least || given > most => Err(LimitError { name, least, most, given }),
            _ => Ok(()),
        })
    }

    /// Connections in all, if it was said, and those from one source.
    pub const fn given_connections(&self) -> (Option<usize>, Option<usize>) {
        (self.connections, self.connections_of_source)
    }

    pub(super) const fn accepted(&self) -> usize {
        self.exchanges
    }

    /// Exchanges of strangers.
    pub(super) const fn strangers(&self) -> usize {
        self.exchanges / 4
    }

    /// Exchanges of one proven key.
    pub(super) const fn of_key(&self) -> usize {
        self.exchanges / 4
    }

    /// Answers kept back until there is news. Each costs the head of a request, and a place among the exchanges that peers
    /// may have open: half of them, so that whoever waits for news keeps nobody from asking.
    pub(super) const fn holds(&self) -> usize {
        self.exchanges / 2
    }

    pub(super) const fn opened(&self) -> usize {
        self.dialled
    }

    pub(super) const fn stays(&self) -> usize {
        self.waits
    }

    pub(super) const fn held(&self) -> usize {
        self.held_bytes
    }

    pub(super) const fn held_by_strangers(&self) -> usize {
        self.held_bytes / 4
    }

    pub(super) const fn kept_history(&self) -> u64 {
        self.history as u64
    }

    pub(super) const fn open_requests(&self) -> usize {
        self.requests
    }

    pub(super) const fn guests(&self) -> usize {
        self.acquaintances
    }
}
