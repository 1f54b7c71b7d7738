//! Access requests: getting into a database by asking, and deciding about those who ask here.

use pleach_core::{
    Id,
    entry::Permission,
    instance::{AccessRequest, Approval, Bootstrap, DatabaseKey, Error, JoinStep, Joining},
    node::{self, BootstrapRequest, Command, Reply},
    wire::{Address, DatabaseTicket},
};
use pleach_transports::host::Purpose;

use crate::{Database, Sync};

/// Asking for access. The key that asks is the node's own, which every exchange proves. What another key may do that is
/// proven with it ([`Sync::proving`]) is not asked for.
///
/// ```
/// # smol::block_on(async {
/// use pleach_smol::{AccessRequest, Bootstrap, Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork, Permission, Sync};
/// # let network = MemoryNetwork::new();
/// # let (alice, bob) = (Instance::open(Memory::new()).await?, Instance::open(Memory::new()).await?);
/// # let (serving, sync) = (Sync::new(&alice).await?, Sync::new(&bob).await?);
/// # serving.register_transport("memory", network.builder().bind("alice")).await?;
/// # sync.register_transport("memory", network.builder().bind("bob")).await?;
/// # let place = serving.accept_connections().await?.remove(0);
/// # let db = Database::create(&alice, DatabaseKey::Device, Doc::new()).await?;
/// # let tree = db.root_id();
/// let request = AccessRequest::new(Permission::Write(100)).name("Bob");
/// let asked = sync.sync_with_peer_for_bootstrap_with_key(&place, &tree, &request).await?;
/// assert!(matches!(asked, Bootstrap::Pending(_)));
///
/// // There, somebody decides.
/// let pending = serving.pending_bootstrap_requests()?;
/// serving.approve_bootstrap_request_with_key(&pending[0].id, DatabaseKey::Device, None).await?;
///
/// let ticket = serving.create_ticket(&tree)?;
/// let joined = sync.bootstrap_with_ticket(&ticket, &request).await?;
/// assert!(matches!(joined, Bootstrap::Joined(_)));
/// # Ok::<(), pleach_smol::Error>(())
/// # }).unwrap();
/// ```
impl Sync {
    /// Fetches a database from a peer, or brings it up to date; asks for access if the peer does not offer it, or if this
    /// node may do less there than the request says. To call it again is to ask whether somebody has decided. An invite
    /// in the request is redeemed first.
    pub async fn sync_with_peer_for_bootstrap_with_key(
        &self,
        address: &Address,
        database: &Id,
        request: &AccessRequest,
    ) -> Result<Bootstrap, Error> {
        self.join(vec![address.clone()], database, request.clone()).await
    }

    /// The same at the addresses of a ticket and at those of peers that are known for its database, side by side as in
    /// [`Sync::sync_with_ticket`]: the first that answers a request decides about it, or, with an invite, the first that takes
    /// it; what is fetched goes on from another source when one is lost.
    pub async fn bootstrap_with_ticket(
        &self,
        ticket: &DatabaseTicket,
        request: &AccessRequest,
    ) -> Result<Bootstrap, Error> {
        let request = request.clone().with_invite_of(ticket);
        self.join(self.addresses_of(ticket)?, &ticket.database(), request).await
    }

    async fn join(
        &self,
        places: Vec<Address>,
        database: &Id,
        request: AccessRequest,
    ) -> Result<Bootstrap, Error> {
        let _lent = self.lend(Purpose::Database(*database))?;
        let keys = [self.get_device_pubkey()?].into_iter().chain(self.public_keys()).collect();
        let mut joining = Joining::new(*database, keys, request, places)?;
        let mut step = joining.begin(&*self.instance()?.snapshot()?)?;
        loop {
            let command = match step {
                JoinStep::Do(command) => command,
                JoinStep::Over(outcome) => return Ok(outcome),
            };
            let reply = self.ask(command).await;
            if let Ok(Reply::Synced(report)) = &reply {
                self.remember(report).await?;
            }
            step = joining.next(reply, &*self.instance()?.snapshot()?)?;
        }
    }
}

/// Deciding about those who ask here.
///
/// ```
/// # smol::block_on(async {
/// use pleach_smol::{AccessRequest, Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork, Permission, Sync};
/// # let network = MemoryNetwork::new();
/// # let (alice, bob) = (Instance::open(Memory::new()).await?, Instance::open(Memory::new()).await?);
/// # let (serving, sync) = (Sync::new(&alice).await?, Sync::new(&bob).await?);
/// # serving.register_transport("memory", network.builder().bind("alice")).await?;
/// # sync.register_transport("memory", network.builder().bind("bob")).await?;
/// # let place = serving.accept_connections().await?.remove(0);
/// # let db = Database::create(&alice, DatabaseKey::Device, Doc::new()).await?;
/// # let tree = db.root_id();
/// # let request = AccessRequest::new(Permission::Write(100)).name("Bob");
/// # let _ = sync.sync_with_peer_for_bootstrap_with_key(&place, &tree, &request).await?;
/// let pending = serving.pending_bootstrap_requests()?;
/// assert_eq!((pending[0].key, &*pending[0].name), (bob.device_key(), "Bob"));
/// serving.reject_bootstrap_request_with_key(&pending[0].id, DatabaseKey::Device).await?;
/// assert!(serving.pending_bootstrap_requests()?.is_empty());
/// assert_eq!(serving.rejected_bootstrap_requests()?[0].id, pending[0].id);
/// assert!(serving.get_bootstrap_request(&pending[0].id)?.is_some());
/// assert!(serving.approved_bootstrap_requests()?.is_empty());
/// # Ok::<(), pleach_smol::Error>(())
/// # }).unwrap();
/// ```
impl Sync {
    /// Requests that nobody has decided about, oldest first; expired ones are among them.
    pub fn pending_bootstrap_requests(&self) -> Result<Vec<BootstrapRequest>, Error> {
        Ok(node::pending_requests(&*self.instance()?.snapshot()?)?)
    }

    /// Requests that were approved, the last about each key and database, oldest decision first.
    pub fn approved_bootstrap_requests(&self) -> Result<Vec<BootstrapRequest>, Error> {
        Ok(node::approved_requests(&*self.instance()?.snapshot()?)?)
    }

    /// Requests that were rejected, the last about each key and database, oldest decision first.
    pub fn rejected_bootstrap_requests(&self) -> Result<Vec<BootstrapRequest>, Error> {
        Ok(node::rejected_requests(&*self.instance()?.snapshot()?)?)
    }

    /// The request with this id, decided or not.
    pub fn get_bootstrap_request(&self, id: &Id) -> Result<Option<BootstrapRequest>, Error> {
        Ok(node::request(&*self.instance()?.snapshot()?, id)?)
    }

    /// Lets in whoever made this request: with what it asks for, or with `at_most`, or with what is one below the
    /// approver, whichever is least. Says what was granted. The id names all that was asked, so that nothing is
    /// approved that was not shown.
    pub async fn approve_bootstrap_request_with_key(
        &self,
        id: &Id,
        key: impl Into<DatabaseKey>,
        at_most: Option<Permission>,
    ) -> Result<Permission, Error> {
        let (instance, key) = (self.instance()?, key.into());
        let by = key.public(instance.secret_key());
        let approval =
            Approval::of(&*instance.snapshot()?, id, by, at_most, self.instance()?.context()?.wall())?;
        let txn = Database::open(&instance, &approval.request.tree, key)?.new_transaction()?;
        approval.grant(txn.draft())?;
        txn.commit().await?;
        // Stopped in between, the request stays open: to approve it again grants the same again.
        self.ask(approval.command()).await?;
        Ok(approval.permission)
    }

    /// Rejects a request. Whoever made it hears so when they ask the same again.
    pub async fn reject_bootstrap_request_with_key(
        &self,
        id: &Id,
        key: impl Into<DatabaseKey>,
    ) -> Result<(), Error> {
        let by = key.into().public(self.instance()?.secret_key());
        self.ask(Command::Decide { request: *id, by, granted: None }).await.map(drop)
    }
}
