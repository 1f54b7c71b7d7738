//! The text by which a database is shared: what to open, and where to find it.

use alloc::{string::String, vec::Vec};
use core::{fmt, str::FromStr};

use super::{
    address::{Address, MAX_ADDRESS},
    invitation::{Invitation, InvitationTextError, MAX_INVITATION_TEXT},
};
use crate::Id;

/// Bytes in a ticket's text: all its hints at their longest, each byte escaped, and an invite fit.
pub const MAX_TICKET: usize = 3 * MAX_HINTS * MAX_ADDRESS + MAX_INVITATION_TEXT;

/// Addresses that a ticket names. More of them would be raced for nothing.
pub const MAX_HINTS: usize = 16;

/// A database and the places where it can be had: `pleach:?db=ID&pr=http:KEY@host:port&pr=…`.
///
/// It carries no secret, unless an invite was put into it (`&in=…`): then whoever reads it gets in. `Debug` never shows
/// that secret, `Display` writes it. Unknown parameters are ignored and malformed hints are skipped, so that tickets of
/// later versions work; a ticket without hints is good where a peer is known already.
///
/// ```
/// # use pleach_core::{Id, SecretKey, wire::{Address, DatabaseTicket}};
/// let key = SecretKey::from_bytes([7; 32]).public();
/// let place = Address::http("192.0.2.7:8080").with_key(key);
/// let ticket = DatabaseTicket::new(Id::of(b"root"), [place])?;
/// assert_eq!((ticket.database(), ticket.addresses().len()), (Id::of(b"root"), 1));
/// assert_eq!(ticket.to_string().parse(), Ok(ticket.clone()));
///
/// # use pleach_core::{entry::Permission, wire::Invitation};
/// # let (admin, secret) = (SecretKey::from_bytes([1; 32]), SecretKey::from_bytes([2; 32]));
/// # let invitation = Invitation::sign(&admin, Id::of(b"root"), secret, Permission::Read, 1, 86_400_000).unwrap();
/// let secret = ticket.with_invite(invitation)?;
/// assert!(secret.invite().is_some() && secret.to_string().contains("&in="));
/// assert!(secret.without_invite().invite().is_none());
/// # Ok::<(), pleach_core::wire::TicketError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DatabaseTicket {
    database: Id,
    addresses: Vec<Address>,
    invite: Option<Invitation>,
}

/// Why a text is not a ticket, or a ticket cannot be made.
///
/// ```
/// # use pleach_core::wire::{DatabaseTicket, TicketError};
/// assert_eq!("https://example.com".parse::<DatabaseTicket>(), Err(TicketError::NotATicket));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// Another scheme, or none.
    #[error("expected a ticket that begins with pleach:? and got something else: copy the whole text")]
    NotATicket,
    /// No `db` parameter.
    #[error("the ticket names no database (db=…): ask for the whole ticket again")]
    NoDatabase,
    /// `db` stands there twice.
    #[error("the ticket names two databases: ask for one ticket for each")]
    TwoDatabases,
    /// `db` is no id.
    #[error("the ticket's database is not an id: {0}")]
    Database(crate::TextError),
    /// More bytes than [`MAX_TICKET`].
    #[error("a ticket has at most {MAX_TICKET} bytes, got {0}")]
    Long(usize),
    /// An address to be put into a ticket names no key.
    #[error("a ticket names the key of each address, and {0} names none: add it with Address::with_key")]
    NoKey(Address),
    /// `in` is no invite to the database, or one was to be added that is for another.
    #[error("{0}")]
    Invite(#[from] InvitationTextError),
    /// `in` stands there twice.
    #[error("the ticket holds two invites: ask for one ticket for each")]
    TwoInvites,
}

impl DatabaseTicket {
    /// A ticket with these addresses, each of which names its node's key; the first [`MAX_HINTS`] are taken.
    pub fn new(database: Id, addresses: impl IntoIterator<Item = Address>) -> Result<Self, TicketError> {
        let addresses: Vec<_> = addresses.into_iter().take(MAX_HINTS).collect();
        match addresses.iter().find(|address| address.key.is_none()) {
            Some(nameless) => Err(TicketError::NoKey(nameless.clone())),
            None => Ok(Self { database, addresses, invite: None }),
        }
    }

    /// The database: the id of its root.
    pub fn database(&self) -> Id {
        self.database
    }

    /// Where it can be had, in the order of the text. Each address names its key.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The invite that it holds, if any.
    pub const fn invite(&self) -> Option<&Invitation> {
        self.invite.as_ref()
    }

    /// The same ticket with an invite to its database, in place of one that it held. It is a secret from here on.
    pub fn with_invite(self, invite: Invitation) -> Result<Self, TicketError> {
        if invite.invite().tree != self.database {
            return Err(InvitationTextError.into());
        }
        Ok(Self { invite: Some(invite), ..self })
    }

    /// The same ticket without its invite: it carries no secret.
    #[must_use]
    pub fn without_invite(self) -> Self {
        Self { invite: None, ..self }
    }
}

impl fmt::Display for DatabaseTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pleach:?db={}", self.database)?;
        for address in &self.addresses {
            f.write_str("&pr=")?;
            fmt::Write::write_fmt(&mut Escaped(f), format_args!("{address}"))?;
        }
        self.invite.as_ref().map_or(Ok(()), |invite| write!(f, "&in={}", invite.to_text()))
    }
}

/// Writes text as the value of a parameter (RFC 3986 section 3.4).
struct Escaped<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'@' | b'/' => {
                    fmt::Write::write_char(self.0, char::from(byte))?;
                }
                _ => write!(self.0, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

/// The text of a parameter's value, or nothing if an escape is broken.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?].map(|digit| char::from(digit).to_digit(16));
                let [Some(high), Some(low)] = digits else { return None };
                u8::try_from(high << 4 | low).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

impl FromStr for DatabaseTicket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        if text.len() > MAX_TICKET {
            return Err(TicketError::Long(text.len()));
        }
        let (scheme, query) = text.trim().split_once(":?").ok_or(TicketError::NotATicket)?;
        if !scheme.eq_ignore_ascii_case("pleach") {
            return Err(TicketError::NotATicket);
        }
        let mut database = None;
        let mut addresses = Vec::new();
        let mut invite = None;
        for parameter in query.split('&') {
            match parameter.split_once('=') {
                Some(("db", id)) => {
                    let id = id.parse().map_err(TicketError::Database)?;
                    if database.replace(id).is_some() {
                        return Err(TicketError::TwoDatabases);
                    }
                }
                Some(("pr", hint)) if addresses.len() < MAX_HINTS => {
                    let address = unescape(hint).and_then(|hint| hint.parse::<Address>().ok());
                    addresses.extend(address.filter(|address| address.key.is_some()));
                }
                Some(("in", text)) if invite.replace(text).is_some() => return Err(TicketError::TwoInvites),
                _ => {}
            }
        }
        let database = database.ok_or(TicketError::NoDatabase)?;
        let invite = invite.map(|text| Invitation::from_text(text, database)).transpose()?.flatten();
        Ok(Self { database, addresses, invite })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SecretKey, entry::Permission};
    use std::{format, string::ToString};

    fn place() -> Address {
        Address::http("[2001:db8::1]:8080").with_key(SecretKey::from_bytes([7; 32]).public())
    }

    #[test]
    fn a_ticket_survives_its_text() {
        let odd = Address::new("serial", "/dev/tty ä&x=%").with_key(place().key.unwrap());
        let ticket = DatabaseTicket::new(Id::of(b"r"), [place(), odd.clone()]).unwrap();
        assert!(!ticket.to_string().contains(['ä', ' ', '[']));
        // A space stands in no address, so the odd one is a malformed hint to whoever reads it.
        let read: DatabaseTicket = ticket.to_string().parse().unwrap();
        assert_eq!(read.addresses(), [place()]);
        assert_eq!(read.database(), Id::of(b"r"));
    }

    #[test]
    fn unknown_parameters_are_ignored_and_malformed_hints_skipped() {
        let text = format!(
            "PLEACH:?new=1&db={}&pr=nonsense&pr=%zz&pr=http:h:1&flag&pr={}&pr=quic:",
            Id::of(b"r"),
            place()
        );
        let ticket: DatabaseTicket = text.parse().unwrap();
        assert_eq!(ticket.addresses(), [place()], "a hint without a key is malformed too");
    }

    fn invited() -> DatabaseTicket {
        let (admin, secret) = (SecretKey::from_bytes([1; 32]), SecretKey::from_bytes([2; 32]));
        let invite = Invitation::sign(&admin, Id::of(b"r"), secret, Permission::Write(100), 1, 7).unwrap();
        DatabaseTicket::new(Id::of(b"r"), [place()]).unwrap().with_invite(invite).unwrap()
    }

    #[test]
    fn an_invite_survives_the_tickets_text_and_can_be_taken_out() {
        let ticket = invited();
        assert_eq!(ticket.to_string().parse(), Ok(ticket.clone()));
        let invite = ticket.invite().unwrap().to_text();
        assert!(ticket.to_string().contains(&invite) && !format!("{ticket:?}").contains(&invite[180..]));
        let bare = ticket.without_invite();
        assert!(bare.invite().is_none() && !bare.to_string().contains("in="));
    }

    #[test]
    fn a_broken_invite_is_an_error_that_does_not_repeat_it_and_one_of_a_later_version_is_ignored() {
        let text = invited().to_string();
        let parse = |text: &str| text.parse::<DatabaseTicket>();
        let (_, invite) = text.split_once("&in=").unwrap();
        for end in text.len() - invite.len()..text.len() {
            assert_eq!(parse(&text[..end]), Err(TicketError::Invite(InvitationTextError)), "{end}");
        }
        let other = text.replace(&Id::of(b"r").to_string(), &Id::of(b"s").to_string());
        assert_eq!(parse(&other), Err(TicketError::Invite(InvitationTextError)));
        assert_eq!(parse(&format!("{text}&in={invite}")), Err(TicketError::TwoInvites));
        assert!(parse(&text.replace(invite, "aiaa")).unwrap().invite().is_none(), "version 2");
        let (elsewhere, invite) = (DatabaseTicket::new(Id::of(b"s"), []).unwrap(), invited());
        assert!(elsewhere.with_invite(invite.invite().unwrap().clone()).is_err());
    }

    #[test]
    fn a_ticket_needs_exactly_one_database() {
        let parse = |text: &str| text.parse::<DatabaseTicket>();
        let id = Id::of(b"r");
        assert_eq!(parse("http://example.org"), Err(TicketError::NotATicket));
        assert_eq!(parse("magnet:?db=x"), Err(TicketError::NotATicket));
        assert_eq!(parse("pleach:?pr=http:h:1"), Err(TicketError::NoDatabase));
        assert!(matches!(parse("pleach:?db=abc"), Err(TicketError::Database(_))));
        assert_eq!(parse(&format!("pleach:?db={id}&db={id}")), Err(TicketError::TwoDatabases));
        assert_eq!(parse(&"x".repeat(MAX_TICKET + 1)), Err(TicketError::Long(MAX_TICKET + 1)));
        assert!(matches!(DatabaseTicket::new(id, [Address::http("h:1")]), Err(TicketError::NoKey(_))));
    }
}
