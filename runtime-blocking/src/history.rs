//! What syncs there were, how far pairs are, and what is pending.

use pleach_core::{
    Id, PublicKey,
    entry::Entry,
    instance::{Error, HistoryFilter, SyncCursor, SyncMetadata, check_by_tree},
    node::{self, Attempt, Command, Reply, SyncHistoryEntry, SyncReport},
    wire::Address,
};

use crate::{Database, DatabaseKey, Sync};

/// What is pending.
///
/// ```
/// use pleach_blocking::{Database, DatabaseKey, Doc, DocStore, Instance, Memory, MemoryNetwork, Permission, Sync, SyncPeerInfo, Who};
/// # let network = MemoryNetwork::new();
/// # let (alice, bob) = (Instance::open(Memory::new())?, Instance::open(Memory::new())?);
/// # let (serving, sync) = (Sync::new(&alice)?, Sync::new(&bob)?);
/// # serving.register_transport("memory", network.builder().bind("alice"))?;
/// # sync.register_transport("memory", network.builder().bind("bob"))?;
/// # let place = serving.accept_connections()?.remove(0);
/// # let grants = vec![(Who::Key(bob.device_key()), Permission::Write(100))];
/// # let db = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants)?;
/// # let tree = db.root_id();
/// let peer = alice.device_key();
/// sync.register_sync_peer(SyncPeerInfo::new(peer, tree, vec![place.clone()]))?.wait_for_initial_sync()?;
/// let txn = Database::open(&bob, &tree, DatabaseKey::Device)?.new_transaction()?;
/// txn.get_store::<DocStore>("notes")?.set("title", "Pleaching")?;
/// let written = txn.commit()?;
/// sync.queue_entry_for_sync(&peer, &written.id, &tree)?;
/// sync.flush()?;
/// assert_eq!(db.tips()?, [written]);
///
/// // Entries that somebody has brought, on a stick for example:
/// let entry = db.snapshot()?.entry(&tree, &written.id)?.expect("it arrived");
/// assert_eq!(sync.send_entries(&[entry], &place)?.len(), 1);
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
impl Sync {
    /// Attempts at once all that is pending with the peers that databases are kept the same with: what is new here, first
    /// syncs, what failed before and waits for its time. Returns when each was attempted, with how it went; what failed is
    /// tried again in time. A peer that is silent is given up after its time, as always.
    ///
    /// ```
    /// use pleach_blocking::{Instance, Memory};
    /// let instance = Instance::open(Memory::new())?;
    /// instance.enable_sync()?;
    /// assert_eq!(instance.sync().expect("just enabled").flush()?, [], "nobody is to hear of anything");
    /// # Ok::<(), pleach_blocking::Error>(())
    /// ```
    pub fn flush(&self) -> Result<Vec<Attempt>, Error> {
        match self.ask(Command::Flush)? {
            Reply::Flushed(attempts) => Ok(attempts),
            reply => Err(Error::unexpected(&reply)),
        }
    }

    /// Syncs a database with a peer at once, so that this entry of it gets there. There is no other queue than what the
    /// peer lacks: the entry has to be held, and the pair to be kept the same.
    pub fn queue_entry_for_sync(&self, peer: &PublicKey, entry: &Id, database: &Id) -> Result<(), Error> {
        let held = self.instance()?.snapshot()?.headers(database, &[*entry])?;
        if held.first().is_none_or(Option::is_none) {
            return Err(Error::NoEntry { tree: *database, entry: *entry });
        }
        self.ask(Command::Nudge { tree: *database, peer: *peer }).map(drop)
    }

    /// Sends entries to a peer: takes those in that are not held yet, and makes their databases, which have to be held, the
    /// same here and there. So what the peer has beside them comes back.
    pub fn send_entries(&self, entries: &[Entry], address: &Address) -> Result<Vec<SyncReport>, Error> {
        let instance = self.instance()?;
        let mut reports = Vec::new();
        for (tree, entries) in check_by_tree(entries)? {
            Database::open(&instance, &tree, DatabaseKey::Device)?.append(entries)?;
            reports.extend(self.sync_with_peer(address, Some(&tree))?);
        }
        Ok(reports)
    }
}

/// What there was.
///
/// ```
/// use pleach_blocking::{Database, DatabaseKey, Doc, HistoryFilter, Instance, Memory, MemoryNetwork, Permission, Sync, Who};
/// # let network = MemoryNetwork::new();
/// # let (alice, bob) = (Instance::open(Memory::new())?, Instance::open(Memory::new())?);
/// # let (serving, sync) = (Sync::new(&alice)?, Sync::new(&bob)?);
/// # serving.register_transport("memory", network.builder().bind("alice"))?;
/// # sync.register_transport("memory", network.builder().bind("bob"))?;
/// # let place = serving.accept_connections()?.remove(0);
/// # let grants = vec![(Who::Key(bob.device_key()), Permission::Write(100))];
/// # let db = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants)?;
/// # let tree = db.root_id();
/// let peer = alice.device_key();
/// sync.sync_with_peer(&place, Some(&tree))?;
/// let history = sync.get_sync_history(&HistoryFilter::new().tree(tree).peer(peer))?;
/// assert_eq!(history[0].entries_received, 1);
/// assert_eq!(sync.get_sync_metadata(&peer)?.map(|sums| sums.successful_syncs), Some(1));
/// assert!(sync.get_sync_cursor(&peer, &tree)?.is_some_and(|cursor| cursor.last_sync.is_some()));
/// sync.cleanup_sync_history(u64::MAX)?;
/// assert!(sync.get_sync_history(&HistoryFilter::new())?.is_empty());
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
impl Sync {
    /// The syncs that there were, oldest first: of those that this node began the last 512, of those that peers began and
    /// that moved entries as many. It survives restarts.
    pub fn get_sync_history(&self, filter: &HistoryFilter) -> Result<Vec<SyncHistoryEntry>, Error> {
        let Reply::History(pending) = self.ask(Command::History)? else {
            return Err(Error::Bug("the history of syncs was not told".to_owned()));
        };
        // Read afterwards, so that nothing falls in between.
        let kept = node::history(&*self.instance()?.snapshot()?)?;
        Ok(filter.select(kept, pending))
    }

    /// Forgets the syncs that ended before a wall time, in milliseconds.
    pub fn cleanup_sync_history(&self, before: u64) -> Result<(), Error> {
        self.ask(Command::ForgetHistory { before }).map(drop)
    }

    /// How far a pair of peer and database is; nothing if both never held the same.
    pub fn get_sync_cursor(&self, peer: &PublicKey, database: &Id) -> Result<Option<SyncCursor>, Error> {
        self.noted()?;
        Ok(SyncCursor::read(&*self.instance()?.snapshot()?, database, peer)?)
    }

    /// How syncs with a peer went, over all databases that it is known for; nothing if it is known for none.
    pub fn get_sync_metadata(&self, peer: &PublicKey) -> Result<Option<SyncMetadata>, Error> {
        self.noted()?;
        Ok(self.book()?.metadata(peer)?)
    }

    /// Waits until the store has what the node has noted so far: syncs are reported when they end, and noted meanwhile.
    fn noted(&self) -> Result<(), Error> {
        // Writes are carried out in order.
        self.ask(Command::Meta([].into())).map(drop)
    }
}
