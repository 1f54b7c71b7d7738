//! Invites: a permission that an administrator grants to whoever redeems it first.
//!
//! An invite is a key pair of its own. Its public half is certified by an administrator and may be seen by everybody;
//! its secret half stands in a ticket. Whoever redeems it signs their own key with the secret, so that what goes over the
//! wire is good for that key alone.

use serde::{Deserialize, Serialize};

use crate::{Id, KeyError, PublicKey, SecretKey, Signature, canonical, entry::Permission};

/// The version of invites that this program makes and takes.
pub const INVITE_VERSION: u8 = 1;

/// Keys that one invite lets in at most: a school or a festival. Counting its uses reads as many rows.
pub const MAX_INVITE_USES: u16 = 1_024;

/// Milliseconds for which an invite is good at most: a year of 365 days. Whoever is forgotten for longer is invited again.
pub const MAX_INVITE_VALIDITY: u64 = 365 * 24 * 60 * 60 * 1_000;

/// Milliseconds by which the clock of whoever takes an invite may lie behind that of its maker: a day. By a clock that
/// lies further behind, the longest invites are good for too long, and are refused.
pub const INVITE_SLACK: u64 = 24 * 60 * 60 * 1_000;

/// Bytes of an invite's encoding at most, without its signature.
const SAID: usize = 128;

/// What is hashed into the id, which its maker signs.
const INVITE: &str = "pleach 2026 invite v1";

/// What is hashed into what a redeemer signs.
const REDEMPTION: &str = "pleach 2026 invite redemption v1";

/// The public half of an invite: what an administrator promises to whoever holds the other half. It lets nobody in by
/// itself.
///
/// ```
/// # use pleach_core::{Id, SecretKey, entry::Permission, wire::{Invite, Redemption}};
/// let (admin, secret) = (SecretKey::from_bytes([1; 32]), SecretKey::from_bytes([2; 32]));
/// let invite = Invite::sign(&admin, Id::of(b"root"), secret.public(), Permission::Write(100), 1, 86_400_000);
/// let bob = SecretKey::from_bytes([3; 32]).public();
/// let redemption = Redemption::sign(invite, &secret, bob);
/// assert_eq!(redemption.check(&bob), Ok(()));
/// let eve = SecretKey::from_bytes([4; 32]).public();
/// assert!(redemption.check(&eve).is_err(), "it is good for one key");
/// assert!(!invite.is_expired(86_399_999) && invite.is_expired(86_400_000));
/// assert_ne!(invite.id(), Invite { uses: 2, ..invite }.id(), "the id names all that is promised");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Invite {
    /// [`INVITE_VERSION`].
    pub version: u8,
    /// The tree.
    pub tree: Id,
    /// Checks what redeemers sign; its secret half stands in the ticket.
    pub key: PublicKey,
    /// What is granted.
    pub permission: Permission,
    /// How many keys it lets in, at most [`MAX_INVITE_USES`].
    pub uses: u16,
    /// From when on it is worth nothing, in wall milliseconds of whoever takes it.
    pub expires: u64,
    /// The administrator who made it.
    pub by: PublicKey,
    /// Of `by`, over the [id](Invite::id).
    pub signature: Signature,
}

/// Why an invite or a redemption is worth nothing, whatever the tree says.
///
/// ```
/// # use pleach_core::{Id, SecretKey, entry::Permission, wire::{Invitation, InviteError}};
/// let (admin, secret) = (SecretKey::from_bytes([1; 32]), SecretKey::from_bytes([2; 32]));
/// let for_nobody = Invitation::sign(&admin, Id::of(b"root"), secret, Permission::Read, 0, 86_400_000);
/// assert_eq!(for_nobody, Err(InviteError::Uses(0)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// A version that this program does not know.
    #[error("invite version {0} is unknown here (known: {INVITE_VERSION}): update this program")]
    Version(u8),
    /// No use, or more than [`MAX_INVITE_USES`].
    #[error("an invite is for 1 to {MAX_INVITE_USES} keys, this one for {0}: ask for another")]
    Uses(u16),
    /// A signature fits neither the invite nor the redeemer's key.
    #[error("the invite was changed, or belongs to another database or key: ask for it again")]
    Signature(#[from] KeyError),
}

impl Invite {
    /// Promises a permission in a tree to up to `uses` keys that sign with the secret half of `key`.
    pub fn sign(
        admin: &SecretKey,
        tree: Id,
        key: PublicKey,
        permission: Permission,
        uses: u16,
        expires: u64,
    ) -> Self {
        let by = admin.public();
        let signature = Signature::from_bytes([0; 64]);
        let mut invite =
            Self { version: INVITE_VERSION, tree, key, permission, uses, expires, by, signature };
        invite.signature = admin.sign(invite.id().as_bytes());
        invite
    }

    /// The hash of all that is promised, and what its maker signs: people revoke by it.
    pub fn id(&self) -> Id {
        let Self { version, tree, key, permission, uses, expires, by, signature: _ } = self;
        let mut room = [0; SAID];
        // It always fits: the longest has 114 bytes.
        let said = canonical::to_slice(&(version, tree, key, permission, uses, expires, by), &mut room);
        Id::from_bytes(blake3::derive_key(INVITE, said.unwrap_or_default()))
    }

    /// Whether its maker signed it, in a version and for a number of uses that exist. Whether the maker may grant that is
    /// for the tree's settings to say.
    pub fn check(&self) -> Result<(), InviteError> {
        if self.version != INVITE_VERSION {
            return Err(InviteError::Version(self.version));
        }
        if self.uses == 0 || self.uses > MAX_INVITE_USES {
            return Err(InviteError::Uses(self.uses));
        }
        Ok(self.by.verify(self.id().as_bytes(), &self.signature)?)
    }

    /// Whether it is too late for it by this wall clock, or so early that the clock must be wrong.
    pub const fn is_expired(&self, wall: u64) -> bool {
        match self.expires.checked_sub(wall) {
            None | Some(0) => true,
            Some(left) => left > MAX_INVITE_VALIDITY.saturating_add(INVITE_SLACK),
        }
    }
}

/// An invite as it is redeemed: for one key, and for no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Redemption {
    /// The public half.
    pub invite: Invite,
    /// Of the invite's key, over the invite's id and the redeemer's key.
    pub proof: Signature,
}

impl Redemption {
    /// Redeems an invite for a key.
    pub fn sign(invite: Invite, secret: &SecretKey, key: PublicKey) -> Self {
        Self { invite, proof: secret.sign(&message(&invite.id(), &key)) }
    }

    /// Whether the invite is one, and was redeemed for this key by somebody who holds its secret.
    pub fn check(&self, key: &PublicKey) -> Result<(), InviteError> {
        self.invite.check()?;
        Ok(self.invite.key.verify(&message(&self.invite.id(), key), &self.proof)?)
    }
}

fn message(invite: &Id, key: &PublicKey) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(REDEMPTION);
    *hasher.update(invite.as_bytes()).update(key.as_bytes()).finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60 * 1_000;

    fn secret(n: u8) -> SecretKey {
        SecretKey::from_bytes([n; 32])
    }

    fn invite() -> Invite {
        Invite::sign(&secret(1), Id::of(b"tree"), secret(2).public(), Permission::Write(7), 3, 9 * DAY)
    }

    #[test]
    fn whatever_is_changed_in_an_invite_breaks_it() {
        let good = invite();
        assert_eq!(good.check(), Ok(()));
        let changed = [
            Invite { tree: Id::of(b"other"), ..good },
            Invite { key: secret(3).public(), ..good },
            Invite { permission: Permission::Admin(0), ..good },
            Invite { uses: 4, ..good },
            Invite { expires: 10 * DAY, ..good },
            Invite { by: secret(3).public(), ..good },
            Invite { signature: secret(1).sign(b"else"), ..good },
        ];
        for invite in changed {
            assert!(matches!(invite.check(), Err(InviteError::Signature(_))), "{invite:?}");
        }
        assert_eq!(Invite { version: 2, ..good }.check(), Err(InviteError::Version(2)));
    }

    #[test]
    fn an_invite_signed_for_no_use_or_too_many_is_none() {
        for uses in [0, MAX_INVITE_USES + 1, u16::MAX] {
            let key = secret(2).public();
            let invite = Invite::sign(&secret(1), Id::of(b"tree"), key, Permission::Read, uses, DAY);
            assert_eq!(invite.check(), Err(InviteError::Uses(uses)));
        }
    }

    #[test]
    fn a_redemption_is_good_for_one_key_and_one_invite() {
        let key = secret(5).public();
        let good = Redemption::sign(invite(), &secret(2), key);
        assert_eq!(good.check(&key), Ok(()));
        assert!(good.check(&secret(6).public()).is_err(), "stolen on the way");
        assert!(Redemption::sign(invite(), &secret(6), key).check(&key).is_err(), "without the secret");
        let other =
            Invite::sign(&secret(1), Id::of(b"tree"), secret(2).public(), Permission::Admin(1), 3, 9 * DAY);
        assert!(Redemption { invite: other, ..good }.check(&key).is_err(), "for another promise");
    }

    #[test]
    fn an_invite_is_worth_nothing_after_its_time_or_long_before_it() {
        const YEARS: u64 = 10 * 365 * DAY;
        let made = 4 * YEARS;
        let longest = Invite { expires: made + MAX_INVITE_VALIDITY, ..invite() };
        for wall in [made, made - INVITE_SLACK, longest.expires - 1] {
            assert!(!longest.is_expired(wall), "{wall}");
        }
        for wall in [0, made - YEARS, made - INVITE_SLACK - 1, longest.expires, made + YEARS, u64::MAX] {
            assert!(longest.is_expired(wall), "{wall}");
        }
        assert!(Invite { expires: u64::MAX, ..invite() }.is_expired(0));
    }

    #[test]
    fn the_longest_invite_fits_into_what_is_hashed() {
        let most = Invite {
            version: u8::MAX,
            permission: Permission::Admin(u16::MAX),
            uses: u16::MAX,
            expires: u64::MAX,
            ..invite()
        };
        assert_ne!(most.id(), Id::from_bytes(blake3::derive_key(INVITE, &[])));
        assert_ne!(most.id(), Invite { by: secret(9).public(), ..most }.id());
    }
}
