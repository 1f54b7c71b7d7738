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
/// # smol::block_on(async {
/// use pleach_smol::{Database, DatabaseKey, Doc, Instance, InviteOptions, Memory, MemoryNetwork, Permission, Sync};
/// # let network = MemoryNetwork::new();
/// # let (alice, bob) = (Instance::open(Memory::new()).await?, Instance::open(Memory::new()).await?);
/// # let (serving, sync) = (Sync::new(&alice).await?, Sync::new(&bob).await?);
/// # serving.register_transport("memory", network.builder().bind("alice")).await?;
/// # sync.register_transport("memory", network.builder().bind("bob")).await?;
/// # let place = serving.accept_connections().await?.remove(0);
/// # let db = Database::create(&alice, DatabaseKey::Device, Doc::new()).await?;
/// # let tree = db.root_id();
/// let options = InviteOptions::new(Permission::Read).uses(10).valid_for(std::time::Duration::from_secs(3_600));
/// serving.create_invite_with_key(&tree, DatabaseKey::Device, &options).await?;
/// let id = serving.invites(&tree)?[0].invite.id();
/// assert!(serving.revoke_invite(&tree, &id).await?);
/// assert!(!serving.revoke_invite_with_key(&tree, &id, DatabaseKey::Device).await?, "it was closed already");
/// # Ok::<(), pleach_smol::Error>(())
/// # }).unwrap();
/// ```
impl Sync {
    /// A ticket that lets its bearer in: whoever joins with it is granted what the options say, at a node of an
    /// administrator, without anybody deciding again. The ticket is a secret. The invite's public half stands in the
    /// database's settings, for all administrators to list and to revoke it. Made for the node's own key, which has to
    /// rank above what is granted.
    ///
    /// ```
    /// # smol::block_on(async {
    /// use pleach_smol::{Database, DatabaseKey, Doc, Instance, InviteOptions, Memory, MemoryNetwork, Permission};
    /// let network = MemoryNetwork::new();
    /// let alice = Instance::open(Memory::new()).await?;
    /// alice.enable_sync().await?;
    /// let serving = alice.sync().expect("just enabled");
    /// serving.register_transport("memory", network.builder().bind("alice")).await?;
    /// serving.accept_connections().await?;
    /// let db = Database::create(&alice, DatabaseKey::Device, Doc::new()).await?;
    /// let ticket = serving.create_invite(&db.root_id(), &InviteOptions::new(Permission::Write(100))).await?;
    ///
    /// let bob = Instance::open(Memory::new()).await?;
    /// bob.enable_sync().await?;
    /// let sync = bob.sync().expect("just enabled");
    /// sync.register_transport("memory", network.builder()).await?;
    /// sync.sync_with_ticket(&ticket.to_string().parse()?).await?;
    /// let [invite] = &serving.invites(&db.root_id())?[..] else { panic!("one was made") };
    /// assert_eq!(invite.used[0].key, bob.device_key());
    /// # Ok::<(), pleach_smol::Error>(())
    /// # }).unwrap();
    /// ```
    pub async fn create_invite(
        &self,
        database: &Id,
        options: &InviteOptions,
    ) -> Result<DatabaseTicket, Error> {
        self.create_invite_with_key(database, DatabaseKey::Device, options).await
    }

    /// The same for another key: that of an administrator, or the root key.
    pub async fn create_invite_with_key(
        &self,
        database: &Id,
        key: impl Into<DatabaseKey>,
        options: &InviteOptions,
    ) -> Result<DatabaseTicket, Error> {
        let instance = self.instance()?;
        let ticket = self.create_ticket(database)?;
        let database = Database::open(&instance, database, key)?;
        let txn = database.new_transaction()?;
        let context = instance.context()?;
        let invitation = options.invite(txn.draft(), database.key(), context.random(), context.wall())?;
        txn.commit().await?;
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
    pub async fn revoke_invite(&self, database: &Id, invite: &Id) -> Result<bool, Error> {
        self.revoke_invite_with_key(database, invite, DatabaseKey::Device).await
    }

    /// The same with another key.
    pub async fn revoke_invite_with_key(
        &self,
        database: &Id,
        invite: &Id,
        key: impl Into<DatabaseKey>,
    ) -> Result<bool, Error> {
        let txn = Database::open(&self.instance()?, database, key)?.new_transaction()?;
        let revoked = revoke_invite(txn.draft(), invite)?;
        if revoked {
            txn.commit().await?;
        }
        Ok(revoked)
    }
}
