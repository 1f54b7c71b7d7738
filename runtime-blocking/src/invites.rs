//! Invites: made, listed, revoked. Whoever joins with a ticket that holds one redeems it.

use pleach_core::{
    Id,
    instance::{DatabaseKey, Error, InviteOptions, revoke_invite},
    node::{InviteInfo, invites},
    wire::DatabaseTicket,
};

use crate::{Database, Sync};

/// Invites.
///
/// ```
/// use pleach_blocking::{Database, DatabaseKey, Doc, Instance, InviteOptions, Memory, MemoryNetwork, Permission, Sync};
/// # let network = MemoryNetwork::new();
/// # let (alice, bob) = (Instance::open(Memory::new())?, Instance::open(Memory::new())?);
/// # let (serving, sync) = (Sync::new(&alice)?, Sync::new(&bob)?);
/// # serving.register_transport("memory", network.builder().bind("alice"))?;
/// # sync.register_transport("memory", network.builder().bind("bob"))?;
/// # let place = serving.accept_connections()?.remove(0);
/// # let db = Database::create(&alice, DatabaseKey::Device, Doc::new())?;
/// # let tree = db.root_id();
/// let options = InviteOptions::new(Permission::Read).uses(10).valid_for(std::time::Duration::from_secs(3_600));
/// serving.create_invite_with_key(&tree, DatabaseKey::Device, &options)?;
/// let id = serving.invites(&tree)?[0].invite.id();
/// assert!(serving.revoke_invite(&tree, &id)?);
/// assert!(!serving.revoke_invite_with_key(&tree, &id, DatabaseKey::Device)?, "it was closed already");
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
impl Sync {
    /// A ticket that lets its bearer in: whoever joins with it is granted what the options say, at a node of an
    /// administrator, without anybody deciding again. The ticket is a secret. The invite's public half stands in the
    /// database's settings, for all administrators to list and to revoke it. Made for the node's own key, which has to
    /// rank above what is granted.
    ///
    /// ```
    /// use pleach_blocking::{Database, DatabaseKey, Doc, Instance, InviteOptions, Memory, MemoryNetwork, Permission};
    /// let network = MemoryNetwork::new();
    /// let alice = Instance::open(Memory::new())?;
    /// alice.enable_sync()?;
    /// let serving = alice.sync().expect("just enabled");
    /// serving.register_transport("memory", network.builder().bind("alice"))?;
    /// serving.accept_connections()?;
    /// let db = Database::create(&alice, DatabaseKey::Device, Doc::new())?;
    /// let ticket = serving.create_invite(&db.root_id(), &InviteOptions::new(Permission::Write(100)))?;
    ///
    /// let bob = Instance::open(Memory::new())?;
    /// bob.enable_sync()?;
    /// let sync = bob.sync().expect("just enabled");
    /// sync.register_transport("memory", network.builder())?;
    /// sync.sync_with_ticket(&ticket.to_string().parse()?)?;
    /// let [invite] = &serving.invites(&db.root_id())?[..] else { panic!("one was made") };
    /// assert_eq!(invite.used[0].key, bob.device_key());
    /// # Ok::<(), pleach_blocking::Error>(())
    /// ```
    pub fn create_invite(&self, database: &Id, options: &InviteOptions) -> Result<DatabaseTicket, Error> {
        self.create_invite_with_key(database, DatabaseKey::Device, options)
    }

    /// The same for another key: that of an administrator, or the root key.
    pub fn create_invite_with_key(
        &self,
        database: &Id,
        key: impl Into<DatabaseKey>,
        options: &InviteOptions,
    ) -> Result<DatabaseTicket, Error> {
        let instance = self.instance()?;
        let ticket = self.create_ticket(database)?;
        let database = Database::open(&instance, database, key)?;
        let txn = database.new_transaction()?;
        let context = instance.live()?.context.clone();
        let invitation = options.invite(txn.draft(), database.key(), context.random(), context.wall())?;
        txn.commit()?;
        Ok(ticket.with_invite(invitation)?)
    }

    /// The invites to a database that its settings hold, ascending by when they expire: those of all administrators, as
    /// far as is known here, with who redeemed them.
    pub fn invites(&self, database: &Id) -> Result<Vec<InviteInfo>, Error> {
        let instance = self.instance()?;
        Database::open(&instance, database, DatabaseKey::Device)?;
        Ok(invites(&*instance.snapshot()?, database)?)
    }

    /// Revokes an invite, whoever made it: it lets nobody in any more at nodes that have heard of it. Whom it has let in
    /// stays. Says whether it was open until now.
    pub fn revoke_invite(&self, database: &Id, invite: &Id) -> Result<bool, Error> {
        self.revoke_invite_with_key(database, invite, DatabaseKey::Device)
    }

    /// The same with another key.
    pub fn revoke_invite_with_key(
        &self,
        database: &Id,
        invite: &Id,
        key: impl Into<DatabaseKey>,
    ) -> Result<bool, Error> {
        let txn = Database::open(&self.instance()?, database, key)?.new_transaction()?;
        let revoked = revoke_invite(txn.draft(), invite)?;
        if revoked {
            txn.commit()?;
        }
        Ok(revoked)
    }
}
