//! Who is told of what happens, and how.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use async_channel::{Receiver, Sender};
use pleach_core::{
    Id, PublicKey,
    instance::{Change, Error},
    node::{Notification, Origin, Progress},
};

/// What waits for a watcher at most; of what comes beyond, the oldest is dropped and counted.
pub const MAX_WAITING: usize = 1_024;

/// A stream of what happens. Dropping it ends it.
///
/// ```
/// # use pleach_core::{Id, node::{Notification, Origin}};
/// # use pleach_transports::{host::{Wanted, Watchers}, park_on};
/// let watchers = Watchers::default();
/// let (tree, origin) = (Id::of(b"root"), Origin::Local);
/// let changes = watchers.changes(tree, Wanted::Local);
/// watchers.tell(&Notification::Wrote { tree, entries: vec![], origin });
/// assert_eq!(park_on(changes.next()).map(|change| change.origin), Some(origin));
/// assert_eq!(changes.try_next(), None, "nothing more so far");
/// watchers.close();
/// assert_eq!(park_on(changes.next()), None);
/// ```
#[derive(Debug)]
pub struct Watch<T> {
    items: Receiver<T>,
}

impl<T> Watch<T> {
    /// The next item; nothing once the instance is gone.
    pub async fn next(&self) -> Option<T> {
        self.items.recv().await.ok()
    }

    /// The next item, if it is there already.
    pub fn try_next(&self) -> Option<T> {
        self.items.try_recv().ok()
    }
}

/// A callback that was registered. It is called until [`Callback::cancel`] or the end of the instance; dropping this
/// does not end it.
///
/// ```
/// # use pleach_core::Id;
/// # use pleach_transports::host::{Callback, Wanted, Watchers};
/// # let (watchers, tree) = (Watchers::default(), Id::of(b"root"));
/// let callback: Callback = watchers.call(tree, Wanted::Remote, |change| println!("{} entries", change.entries.len()))?;
/// callback.cancel();
/// # watchers.close();
/// # Ok::<(), pleach_core::instance::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Callback(Receiver<Change>);

impl Callback {
    /// Ends the calls; one that is under way goes on.
    pub fn cancel(&self) {
        self.0.close();
    }
}

/// All watchers of an instance; see [`Watch`].
#[derive(Default)]
pub struct Watchers(Mutex<Kinds>);

/// A tree, and a peer with which it is kept the same.
pub(super) type Pair = (Id, PublicKey);

#[derive(Default)]
struct Kinds {
    changes: Vec<(Id, Wanted, Channel<Change>)>,
    /// Of one pair of tree and peer, or of all.
    progress: Vec<(Option<Pair>, Channel<Progress>)>,
    all: Vec<Channel<Notification>>,
    callbacks: Vec<thread::JoinHandle<()>>,
    /// After the end, a new stream is over at once.
    closed: bool,
}

/// Which changes a watcher wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Whatever is new.
    All,
    /// What this node wrote.
    Local,
    /// What came from peers.
    Remote,
}

struct Channel<T> {
    sender: Sender<T>,
    missed: u64,
}

impl<T> Channel<T> {
    fn new() -> (Self, Receiver<T>) {
        let (sender, receiver) = async_channel::bounded(MAX_WAITING);
        (Self { sender, missed: 0 }, receiver)
    }

    /// Hands an item over; false once nobody takes them any more.
    fn send(&mut self, item: impl FnOnce(u64) -> T) -> bool {
        match self.sender.force_send(item(self.missed)) {
            Ok(displaced) => {
                self.missed = self.missed.saturating_add(displaced.is_some().into());
                true
            }
            Err(_) => false,
        }
    }
}

impl std::fmt::Debug for Watchers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watchers").finish_non_exhaustive()
    }
}

impl Watchers {
    fn lock(&self) -> MutexGuard<'_, Kinds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches the changes of a database.
    pub fn changes(&self, tree: Id, wanted: Wanted) -> Watch<Change> {
        let (channel, items) = Channel::new();
        let mut kinds = self.lock();
        if !kinds.closed {
            kinds.changes.push((tree, wanted, channel));
        }
        Watch { items }
    }

    /// Watches exchanges move on: those of one pair of tree and peer, or all.
    pub fn progress(&self, pair: Option<Pair>) -> Watch<Progress> {
        let (channel, items) = Channel::new();
        let mut kinds = self.lock();
        if !kinds.closed {
            kinds.progress.push((pair, channel));
        }
        Watch { items }
    }

    /// Watches everything.
    pub fn all(&self) -> Watch<Notification> {
        let (channel, items) = Channel::new();
        let mut kinds = self.lock();
        if !kinds.closed {
            kinds.all.push(channel);
        }
        Watch { items }
    }

    /// Calls `f` for each change, on a thread of its own, so that it may take its time.
    pub fn call(
        &self,
        tree: Id,
        wanted: Wanted,
        mut f: impl FnMut(&Change) + Send + 'static,
    ) -> Result<Callback, Error> {
        let Watch { items } = self.changes(tree, wanted);
        let changes = items.clone();
        let body = move || {
            while let Ok(change) = changes.recv_blocking() {
                f(&change);
            }
        };
        let spawned = thread::Builder::new().name("pleach-watch".to_owned()).spawn(body);
        self.lock().callbacks.push(spawned.map_err(|error| Error::Start(error.to_string()))?);
        Ok(Callback(items))
    }

    /// Tells whoever wants to know.
    pub fn tell(&self, notification: &Notification) {
        let mut kinds = self.lock();
        match notification {
            Notification::Wrote { tree, entries, origin } => {
                kinds.changes.retain_mut(|(watched, wanted, to)| {
                    let local = matches!(origin, Origin::Local);
                    let wants = match wanted {
                        Wanted::All => true,
                        Wanted::Local => local,
                        Wanted::Remote => !local,
                    };
                    if watched != tree || !wants {
                        return !to.sender.is_closed();
                    }
                    to.send(|missed| Change {
                        tree: *tree,
                        entries: entries.clone(),
                        origin: *origin,
                        missed,
                    })
                });
            }
            Notification::Progress(progress) => kinds.progress.retain_mut(|(pair, to)| match pair {
                Some((tree, peer)) if (*tree, Some(*peer)) != (progress.tree, progress.peer) => {
                    !to.sender.is_closed()
                }
                _ => to.send(|_| *progress),
            }),
            _ => {}
        }
        kinds.all.retain_mut(|to| to.send(|_| notification.clone()));
        kinds.callbacks.retain(|thread| !thread.is_finished());
    }

    /// Ends all streams, and with them the callbacks' threads, which are returned.
    pub fn close(&self) -> Vec<thread::JoinHandle<()>> {
        let kinds = std::mem::replace(&mut *self.lock(), Kinds { closed: true, ..Kinds::default() });
        kinds.callbacks
    }
}
