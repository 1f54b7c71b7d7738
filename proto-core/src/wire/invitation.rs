//! The half of an invite that is handed over: the invite with its secret, as it stands in a ticket.

use alloc::string::String;

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};

use crate::{
    Id, PublicKey, SecretKey, Signature, canonical,
    entry::Permission,
    wire::{INVITE_VERSION, Invite, InviteError, Redemption},
};

/// Characters of an invite in a ticket at most.
pub const MAX_INVITATION_TEXT: usize = 240;

/// An invite with its secret: whoever holds it gets in, until it has expired, is used up or revoked.
///
/// It has no `Display`; `Debug` shows the public half. The invite is one that its maker signed.
///
/// ```
/// # use pleach_core::{Id, SecretKey, entry::Permission, wire::Invitation};
/// let (admin, secret) = (SecretKey::from_bytes([1; 32]), SecretKey::from_bytes([2; 32]));
/// let invitation = Invitation::sign(&admin, Id::of(b"root"), secret, Permission::Read, 1, 86_400_000)?;
/// assert_eq!(invitation.invite().permission, Permission::Read);
/// let bob = SecretKey::from_bytes([3; 32]).public();
/// assert!(invitation.redeem(bob).check(&bob).is_ok());
///
/// let text = invitation.to_text();
/// assert_eq!(Invitation::from_text(&text, Id::of(b"root")), Ok(Some(invitation)));
/// assert!(Invitation::from_text(&text, Id::of(b"another root")).is_err());
/// # Ok::<(), pleach_core::wire::InviteError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Invitation {
    invite: Invite,
    secret: SecretKey,
}

/// A text is not that of an invite in a ticket for this database. It is not repeated here, since it may be a secret.
///
/// ```
/// # use pleach_core::{Id, wire::{Invitation, InvitationTextError}};
/// assert_eq!(Invitation::from_text("cut short", Id::of(b"root")), Err(InvitationTextError));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the ticket's invite is cut short, mistyped or made for another database: ask for the whole ticket again"
)]
pub struct InvitationTextError;

/// What a ticket says of an invite beside the database: the rest follows from it.
#[derive(Serialize, Deserialize)]
struct Said {
    version: u8,
    permission: Permission,
    uses: u16,
    expires: u64,
    by: PublicKey,
    signature: Signature,
    secret: [u8; 32],
}

impl Invitation {
    /// Promises a permission in a tree to up to `uses` keys whose holders have `secret`, which is fresh and random.
    pub fn sign(
        admin: &SecretKey,
        tree: Id,
        secret: SecretKey,
        permission: Permission,
        uses: u16,
        expires: u64,
    ) -> Result<Self, InviteError> {
        let invite = Invite::sign(admin, tree, secret.public(), permission, uses, expires);
        invite.check()?;
        Ok(Self { invite, secret })
    }

    /// The public half.
    pub const fn invite(&self) -> &Invite {
        &self.invite
    }

    /// Redeems it for a key, as it goes over the wire.
    pub fn redeem(&self, key: PublicKey) -> Redemption {
        Redemption::sign(self.invite, &self.secret, key)
    }

    /// The value of a ticket's parameter `in`. Handle with care.
    pub fn to_text(&self) -> String {
        let Invite { version, tree: _, key: _, permission, uses, expires, by, signature } = self.invite;
        let secret = self.secret.to_bytes();
        let said = Said { version, permission, uses, expires, by, signature, secret };
        let mut text = BASE32_NOPAD.encode(&canonical::to_vec(&said));
        text.make_ascii_lowercase();
        text
    }

    /// Reads what [`Invitation::to_text`] wrote, in either case, for the database that the ticket names. Nothing if it is
    /// of a version that is unknown here.
    pub fn from_text(text: &str, tree: Id) -> Result<Option<Self>, InvitationTextError> {
        if text.len() > MAX_INVITATION_TEXT {
            return Err(InvitationTextError);
        }
        let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes());
        let bytes = bytes.map_err(|_| InvitationTextError)?;
        match bytes.first() {
            None => return Err(InvitationTextError),
            Some(version) if *version != INVITE_VERSION => return Ok(None),
            Some(_) => {}
        }
        let said = canonical::from_bytes::<Said>(&bytes).map_err(|_| InvitationTextError)?;
        let Said { version, permission, uses, expires, by, signature, secret } = said;
        let secret = SecretKey::from_bytes(secret);
        let invite = Invite { version, tree, key: secret.public(), permission, uses, expires, by, signature };
        invite.check().map_err(|_| InvitationTextError)?;
        Ok(Some(Self { invite, secret }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    fn invitation(permission: Permission, uses: u16, expires: u64) -> Invitation {
        let (admin, secret) = (SecretKey::from_bytes([1; 32]), SecretKey::from_bytes([217; 32]));
        Invitation::sign(&admin, Id::of(b"r"), secret, permission, uses, expires).unwrap()
    }

    #[test]
    fn the_longest_text_is_within_its_limit_and_reads_back() {
        let longest = invitation(Permission::Admin(u16::MAX), 1_024, u64::MAX);
        let text = longest.to_text();
        assert!(text.len() <= MAX_INVITATION_TEXT, "{}", text.len());
        assert_eq!(Invitation::from_text(&text, Id::of(b"r")), Ok(Some(longest.clone())));
        assert_eq!(Invitation::from_text(&text.to_uppercase(), Id::of(b"r")), Ok(Some(longest)));
    }

    #[test]
    fn a_text_that_is_cut_or_changed_is_no_invite() {
        let text = invitation(Permission::Read, 1, 5).to_text();
        for end in 0..text.len() {
            let cut = Invitation::from_text(&text[..end], Id::of(b"r"));
            assert_eq!(cut, Err(InvitationTextError), "{end}");
        }
        // The first two characters hold the version.
        for at in 2..text.len() {
            let other = if text.as_bytes()[at] == b'q' { "r" } else { "q" };
            let changed = [&text[..at], other, &text[at + 1..]].concat();
            assert_eq!(Invitation::from_text(&changed, Id::of(b"r")), Err(InvitationTextError), "{at}");
        }
        assert_eq!(Invitation::from_text(&format!("{text}a"), Id::of(b"r")), Err(InvitationTextError));
        assert_eq!(Invitation::from_text(&text, Id::of(b"s")), Err(InvitationTextError));
        // Another version may be anything.
        assert_eq!(Invitation::from_text(&BASE32_NOPAD.encode(&[2, 7, 7]), Id::of(b"r")), Ok(None));
    }

    #[test]
    fn debug_shows_no_secret() {
        let invitation = invitation(Permission::Read, 1, 5);
        let shown = format!("{invitation:?}");
        let text = invitation.to_text();
        assert!(!shown.contains("217") && !shown.contains(&text[text.len() - 40..]), "{shown}");
    }
}
