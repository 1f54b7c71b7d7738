//! Getting into a database by asking, and letting somebody in who asks.

use alloc::{
    boxed::Box,
    string::{String, ToString},
    vec::Vec,
};

use serde::{Deserialize, Serialize};

use crate::{
    Id, PublicKey,
    document::{Draft, SettingsStore},
    entry::{Permission, SETTINGS, Who},
    instance::Error,
    node::{self, BootstrapRequest, Command, NodeError, Petition, RequestStatus, SyncReport},
    storage::Snapshot,
    wire::{Address, AskOutcome, DatabaseTicket, Invitation},
};

/// What to ask a peer for.
///
/// ```
/// # use pleach_core::{entry::Permission, instance::AccessRequest};
/// let request = AccessRequest::new(Permission::Write(100)).name("Bob").metadata("we met on Monday");
/// assert_eq!(request.permission, Permission::Write(100));
///
/// // The answer may wait for whoever decides; a name that was given stays.
/// let request = request.hold(25_000).name_or("laptop");
/// assert_eq!((request.hold, &*request.name), (25_000, "Bob"));
/// ```
///
/// With the invite of a ticket, what it promises is asked for:
///
/// ```
/// # use pleach_core::{Id, SecretKey, entry::Permission, instance::AccessRequest, wire::{DatabaseTicket, Invitation}};
/// # let (admin, secret) = (SecretKey::from_bytes([1; 32]), SecretKey::from_bytes([2; 32]));
/// # let tree = Id::of(b"root");
/// # let invitation = Invitation::sign(&admin, tree, secret, Permission::Read, 1, 86_400_000).unwrap();
/// let ticket = DatabaseTicket::new(tree, [])?.with_invite(invitation)?;
/// let request = AccessRequest::of_ticket(&ticket).expect("it holds an invite");
/// assert_eq!(request.permission, Permission::Read);
/// assert!(AccessRequest::new(Permission::Write(100)).with_invite_of(&ticket).invite.is_some());
/// # Ok::<(), pleach_core::wire::TicketError>(())
/// ```
///
/// What runtimes make of it:
///
/// ```
/// # use pleach_blocking::{AccessRequest, Database, DatabaseKey, Doc, Error, Instance, Memory, Permission};
/// # use pleach_core::{node::Command, wire::Address};
/// # let instance = Instance::open(Memory::new())?;
/// # let db = Database::create(&instance, DatabaseKey::Device, Doc::new())?;
/// let (tree, key) = (db.root_id(), instance.device_key());
/// let request = AccessRequest::new(Permission::Write(100));
/// assert!(request.is_met(&*db.snapshot()?, &tree, &[key])?, "its creator may do more");
/// assert_eq!(request.petition().permission, Permission::Write(100));
/// assert!(matches!(request.command(vec![Address::http("192.0.2.7:8080")], &tree), Command::Ask { .. }));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AccessRequest {
    /// The permission. What is granted may be less.
    pub permission: Permission,
    /// A name by which people there may recognise this node: at most 64 bytes, empty if none.
    pub name: String,
    /// What else whoever decides is to know: at most 4,096 bytes.
    pub metadata: Vec<u8>,
    /// An invite to redeem: it grants what it promises, whatever is asked for, and the rest of the request is for whoever
    /// decides if it lets nobody in. It is a secret, and not kept for after a restart.
    #[serde(skip)]
    pub invite: Option<Invitation>,
    /// Milliseconds for which the peer may keep its answer back while nobody has decided; 0 to be answered at once.
    #[serde(skip)]
    pub hold: u32,
}

impl AccessRequest {
    /// Asks for a permission, and says nothing besides.
    pub fn new(permission: Permission) -> Self {
        Self { permission, name: String::new(), metadata: Vec::new(), invite: None, hold: 0 }
    }

    /// A name by which people there may recognise this node.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        Self { name: name.to_string(), ..self }
    }

    /// The same request with this name, unless it has one already.
    #[must_use]
    pub fn name_or(self, name: &str) -> Self {
        if self.name.is_empty() { self.name(name) } else { self }
    }

    /// What else whoever decides is to know.
    #[must_use]
    pub fn metadata(self, metadata: impl Into<Vec<u8>>) -> Self {
        Self { metadata: metadata.into(), ..self }
    }

    /// Asks for what the invite of a ticket promises; nothing if it holds none.
    pub fn of_ticket(ticket: &DatabaseTicket) -> Option<Self> {
        let invite = ticket.invite()?;
        Some(Self::new(invite.invite().permission).with_invite_of(ticket))
    }

    /// The same request with the invite that a ticket holds, unless it has one already.
    #[must_use]
    pub fn with_invite_of(self, ticket: &DatabaseTicket) -> Self {
        Self { invite: self.invite.or_else(|| ticket.invite().cloned()), ..self }
    }

    /// Lets the peer keep its answer back for so many milliseconds while nobody has decided, so that the outcome is known
    /// as soon as somebody has. A peer holds it for 25 seconds at most, and may answer at once.
    #[must_use]
    pub fn hold(self, millis: u32) -> Self {
        Self { hold: millis, ..self }
    }

    /// What a node asks.
    pub fn petition(&self) -> Petition {
        Petition {
            permission: self.permission,
            name: self.name.clone(),
            metadata: self.metadata.clone(),
            invite: self.invite.clone().map(Box::new),
            hold: self.hold,
        }
    }

    /// The command that asks, at whichever of these addresses answers.
    pub fn command(&self, addresses: Vec<Address>, tree: &Id) -> Command {
        Command::Ask { addresses, tree: *tree, petition: self.petition() }
    }

    /// Whether one of these keys may do all that is asked for already, as far as is known here.
    pub fn is_met(&self, snapshot: &dyn Snapshot, tree: &Id, keys: &[PublicKey]) -> Result<bool, Error> {
        let mut held = snapshot.permission(tree, &Who::Everyone)?;
        for key in keys {
            held = held.max(snapshot.permission(tree, &Who::Key(*key))?);
        }
        Ok(held >= Some(self.permission))
    }
}

/// How far an attempt to get in has come.
///
/// ```
/// # use pleach_core::instance::Bootstrap;
/// assert!(Bootstrap::Pending(None).report().is_none(), "nothing may be read yet");
///
/// # use pleach_core::Id;
/// assert!(Bootstrap::Rejected(None).into_report(&Id::of(b"root")).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Bootstrap {
    /// The database is here, with the permission asked for or the one that was granted instead.
    Joined(SyncReport),
    /// The request has come; nobody has decided, as far as is told. With a report if this node may read meanwhile.
    Pending(Option<SyncReport>),
    /// An administrator has rejected this very request. With a report if this node may read all the same.
    Rejected(Option<SyncReport>),
}

impl Bootstrap {
    /// What is to be made of an answer that lets nobody in.
    pub(super) fn without(outcome: AskOutcome, report: Option<SyncReport>) -> Self {
        match outcome {
            AskOutcome::Rejected => Self::Rejected(report),
            AskOutcome::Received | AskOutcome::Approved(_) => Self::Pending(report),
        }
    }

    /// What was moved, or an error if nothing may be read.
    pub fn into_report(self, tree: &Id) -> Result<SyncReport, Error> {
        match self {
            Self::Joined(report) | Self::Pending(Some(report)) | Self::Rejected(Some(report)) => Ok(report),
            Self::Pending(None) | Self::Rejected(None) => Err(NodeError::NotOffered(*tree).into()),
        }
    }

    /// What was moved, if anything may be read.
    pub const fn report(&self) -> Option<&SyncReport> {
        match self {
            Self::Joined(report) | Self::Pending(Some(report)) | Self::Rejected(Some(report)) => Some(report),
            Self::Pending(None) | Self::Rejected(None) => None,
        }
    }
}

/// What an administrator grants to somebody who asked.
///
/// ```
/// # use pleach_core::{Id, SecretKey, entry::Permission::{self, Admin, Read, Write}, instance::Approval};
/// // The least of what was asked for, what the caller allows, and one below the approver.
/// let granted = |asked, most| Approval::least(asked, most, Admin(0));
/// assert_eq!(granted(Write(5), None), Some(Write(5)));
/// assert_eq!(granted(Write(5), Some(Read)), Some(Read));
/// assert_eq!(granted(Admin(0), None), Some(Admin(1)));
/// assert_eq!(Approval::least(Read, None, Write(0)), None, "only an administrator grants");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Approval {
    /// The request, as it was shown.
    pub request: BootstrapRequest,
    /// Who approves.
    pub by: PublicKey,
    /// What is granted.
    pub permission: Permission,
}

impl Approval {
    /// What `by` grants when it approves an open request: never more than was asked for, than `at_most`, or than one
    /// below its own permission.
    pub fn of(
        snapshot: &dyn Snapshot,
        id: &Id,
        by: PublicKey,
        at_most: Option<Permission>,
        wall: u64,
    ) -> Result<Self, Error> {
        let request = node::request(snapshot, id)?;
        let open = |request: &BootstrapRequest| request.status == RequestStatus::Pending;
        let request = request.filter(open).ok_or(NodeError::NoRequest(*id))?;
        if request.is_expired(wall) {
            return Err(Error::RequestExpired(*id));
        }
        let own = snapshot.permission(&request.tree, &Who::Key(by))?;
        let granted = own.and_then(|own| Self::least(request.permission, at_most, own));
        let permission = granted.ok_or(Error::NotAdministrator { tree: request.tree, key: by })?;
        Ok(Self { request, by, permission })
    }

    /// The least of a permission asked for, the most that a caller allows, and one below the approver's own; nothing if
    /// that is no administrator's.
    pub fn least(asked: Permission, at_most: Option<Permission>, approver: Permission) -> Option<Permission> {
        let Permission::Admin(n) = approver else { return None };
        let below = n.checked_add(1).map_or(Permission::Write(0), Permission::Admin);
        Some(asked.min(at_most.unwrap_or(asked)).min(below))
    }

    /// Writes the grant.
    pub fn grant(&self, draft: &Draft) -> Result<(), Error> {
        let name = Some(self.request.name.as_str()).filter(|name| !name.is_empty());
        let settings = draft.store::<SettingsStore>(SETTINGS)?;
        Ok(settings.grant(Who::Key(self.request.key), self.permission, name)?)
    }

    /// The command that notes the approval, once the grant is durable.
    pub const fn command(&self) -> Command {
        Command::Decide { request: self.request.id, by: self.by, granted: Some(self.permission) }
    }
}
