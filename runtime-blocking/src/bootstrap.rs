//! Access requests: getting into a database by asking, and deciding about those who ask here.

use pleach_core::{
    Id,
    entry::Permission,
    instance::{AccessRequest, Approval, Bootstrap, DatabaseKey, Error},
    node::{self, BootstrapRequest, Command, NodeError, Reply, SyncReport},
    wire::{Address, AskOutcome, DatabaseTicket},
};

use crate::{Database, Sync};

/// Asking for access. The key that asks is the node's own, which every exchange proves. What another key may do that is
/// proven with it ([`Sync::proving`]) is not asked for.
impl Sync {
    /// Fetches a database from a peer, or brings it up to date; asks for access if the peer does not offer it, or if this
    /// node may do less there than the request says. To call it again is to ask whether somebody has decided. An invite
    /// in the request is redeemed first.
    pub fn sync_with_peer_for_bootstrap_with_key(
        &self,
        address: &Address,
        database: &Id,
        request: &AccessRequest,
    ) -> Result<Bootstrap, Error> {
        let first = request.invite.is_some() && !self.is_met(request, database)?;
        let asked = if first { Some(self.ask_for(address, database, request)?) } else { None };
        let synced = match self.sync_one(address, *database) {
            Ok(report) => Some(report),
            Err(Error::Node(NodeError::NotOffered(_))) => None,
            Err(error) => return Err(error),
        };
        if let Some(report) = self.if_met(synced.clone(), database, request)? {
            return Ok(Bootstrap::Joined(report));
        }
        if let Some(outcome) = asked {
            return Bootstrap::after(outcome, synced, database);
        }
        match self.ask_for(address, database, request)? {
            AskOutcome::Approved(_) => self.sync_one(address, *database).map(Bootstrap::Joined),
            outcome => Ok(Bootstrap::without(outcome, synced)),
        }
    }

    /// The same with the first address of a ticket at which a peer answers, or that of a peer that is known for its
    /// database; with an invite in the ticket, the first at which it is taken.
    pub fn bootstrap_with_ticket(
        &self,
        ticket: &DatabaseTicket,
        request: &AccessRequest,
    ) -> Result<Bootstrap, Error> {
        let database = ticket.database();
        let request = request.clone().with_invite_of(ticket);
        let (mut failed, mut pending) = (Error::NoAddress(database), None);
        for address in self.addresses_of(ticket)? {
            match self.sync_with_peer_for_bootstrap_with_key(&address, &database, &request) {
                Err(error) if !error.is_closed() => failed = error,
                // What is no administrator's node cannot take an invite; the next may be one.
                Ok(Bootstrap::Pending(report)) if request.invite.is_some() => {
                    pending = pending.or(Some(report));
                }
                outcome => return outcome,
            }
        }
        pending.map_or(Err(failed), |report| Ok(Bootstrap::Pending(report)))
    }

    fn ask_for(
        &self,
        address: &Address,
        database: &Id,
        request: &AccessRequest,
    ) -> Result<AskOutcome, Error> {
        match self.ask(request.command(address, database))? {
            Reply::Asked(outcome) => Ok(outcome),
            reply => Err(Error::unexpected(&reply)),
        }
    }

    /// The report of a sync after which this node may do all that a request asks for.
    fn if_met(
        &self,
        report: Option<SyncReport>,
        database: &Id,
        request: &AccessRequest,
    ) -> Result<Option<SyncReport>, Error> {
        let met = self.is_met(request, database)?;
        Ok(report.filter(|_| met))
    }

    /// Whether this node, or a key that is proven with it, may do all that a request asks for.
    fn is_met(&self, request: &AccessRequest, database: &Id) -> Result<bool, Error> {
        let instance = self.instance()?;
        let keys: Vec<_> = [instance.device_key()].into_iter().chain(self.public_keys()).collect();
        Ok(request.is_met(&*instance.snapshot()?, database, &keys)?)
    }
}

/// Deciding about those who ask here.
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
    pub fn approve_bootstrap_request_with_key(
        &self,
        id: &Id,
        key: impl Into<DatabaseKey>,
        at_most: Option<Permission>,
    ) -> Result<Permission, Error> {
        let (instance, key) = (self.instance()?, key.into());
        let by = key.public(instance.secret_key());
        let approval =
            Approval::of(&*instance.snapshot()?, id, by, at_most, self.instance()?.live()?.context.wall())?;
        let txn = Database::open(&instance, &approval.request.tree, key)?.new_transaction()?;
        approval.grant(txn.draft())?;
        txn.commit()?;
        // Stopped in between, the request stays open: to approve it again grants the same again.
        self.ask(approval.command())?;
        Ok(approval.permission)
    }

    /// Rejects a request. Whoever made it hears so when they ask the same again.
    pub fn reject_bootstrap_request_with_key(
        &self,
        id: &Id,
        key: impl Into<DatabaseKey>,
    ) -> Result<(), Error> {
        let by = key.into().public(self.instance()?.secret_key());
        self.ask(Command::Decide { request: *id, by, granted: None }).map(drop)
    }
}
