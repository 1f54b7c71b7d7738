//! Making invites, and revoking them.

use core::time::Duration;

use crate::{
    Id, PublicKey, SecretKey,
    document::Draft,
    entry::{Permission, Who},
    instance::{Approval, Error, root_key::root_author},
    node::{invites, record_invite, record_revocation},
    storage::Snapshot,
    wire::{Invitation, MAX_INVITE_VALIDITY},
};

/// Milliseconds for which an invite is good unless told otherwise: a week, in which somebody plausibly comes to it.
pub const DEFAULT_INVITE_VALIDITY: u64 = 7 * 24 * 60 * 60 * 1_000;

/// What an invite is to promise.
///
/// ```
/// # use core::time::Duration;
/// # use pleach_core::{entry::Permission, instance::InviteOptions};
/// let options = InviteOptions::new(Permission::Write(100)).uses(3).valid_for(Duration::from_secs(86_400));
/// assert_eq!((options.uses, options.validity), (3, 86_400_000));
/// ```
///
/// What runtimes make of it:
///
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, Error, Instance, InviteOptions, Memory, Permission};
/// # use pleach_core::document::Draft;
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// # let (fresh, wall) = ([7; 32], 1_760_000_000_000);
/// let draft = Draft::new(db.snapshot()?, db.root_id(), db.key().public(), [1; 32]);
/// let invitation = InviteOptions::new(Permission::Read).invite(&draft, db.key(), fresh, wall)?;
/// assert_eq!(invitation.invite().tree, db.root_id());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct InviteOptions {
    /// What is granted: less than its maker holds.
    pub permission: Permission,
    /// How many keys it lets in, 1 to [`MAX_INVITE_USES`](crate::wire::MAX_INVITE_USES).
    pub uses: u16,
    /// For how many milliseconds it is good, at most [`MAX_INVITE_VALIDITY`].
    pub validity: u64,
}

impl InviteOptions {
    /// For one key, within [`DEFAULT_INVITE_VALIDITY`].
    pub const fn new(permission: Permission) -> Self {
        Self { permission, uses: 1, validity: DEFAULT_INVITE_VALIDITY }
    }

    /// For as many keys, 1 to [`MAX_INVITE_USES`](crate::wire::MAX_INVITE_USES).
    #[must_use]
    pub const fn uses(self, uses: u16) -> Self {
        Self { uses, ..self }
    }

    /// For as long, at most [`MAX_INVITE_VALIDITY`] milliseconds.
    #[must_use]
    pub fn valid_for(self, validity: Duration) -> Self {
        Self { validity: u64::try_from(validity.as_millis()).unwrap_or(u64::MAX), ..self }
    }

    /// Makes the invite in a transaction of `admin`'s: its public half is written into the settings, for all
    /// administrators to list and to revoke. `fresh` is random, and the secret of this invite alone; `wall` is now.
    pub fn invite(
        &self,
        draft: &Draft,
        admin: &SecretKey,
        fresh: [u8; 32],
        wall: u64,
    ) -> Result<Invitation, Error> {
        let (tree, key, permission) = (draft.tree(), admin.public(), self.permission);
        let most = most(&**draft.snapshot(), &tree, key)?;
        if permission > most {
            return Err(Error::InviteRank { key, most, permission });
        }
        if self.validity == 0 || self.validity > MAX_INVITE_VALIDITY {
            return Err(Error::InviteValidity(self.validity));
        }
        let expires = wall.saturating_add(self.validity);
        let secret = SecretKey::from_bytes(fresh);
        let invitation = Invitation::sign(admin, tree, secret, permission, self.uses, expires);
        let invitation = invitation.map_err(|_| Error::InviteUses(self.uses))?;
        record_invite(draft, invitation.invite())?;
        Ok(invitation)
    }
}

/// Revokes an invite in a transaction of an administrator's, whoever made it: from then on it lets nobody in. Whom it has
/// let in stays. Says whether anything was written: not if it is revoked already.
pub fn revoke_invite(draft: &Draft, id: &Id) -> Result<bool, Error> {
    let (tree, key) = (draft.tree(), draft.author());
    let known = invites(&**draft.snapshot(), &tree)?.into_iter().find(|known| known.invite.id() == *id);
    if known.ok_or(Error::NoInvite(*id))?.revoked.is_some() {
        return Ok(false);
    }
    most(&**draft.snapshot(), &tree, key)?;
    record_revocation(draft, id)?;
    Ok(true)
}

/// The most that an administrator may grant.
fn most(snapshot: &dyn Snapshot, tree: &Id, key: PublicKey) -> Result<Permission, Error> {
    if root_author(snapshot, tree)? == key {
        return Ok(Permission::Admin(0));
    }
    let held = snapshot.permission(tree, &Who::Key(key))?;
    let most = held.and_then(|held| Approval::least(Permission::Admin(0), None, held));
    most.ok_or(Error::NotAdministrator { tree: *tree, key })
}
