//! Invites as a tree's settings hold them: which were made, who redeemed them, which are revoked.
//!
//! Each fact is a write of its own at a path below `invites.ID`. What counts is that there is one, whatever its value and
//! whatever was written there later: so nobody can take back a use or a revocation by writing over it, and no claimed time
//! weighs anything. Only administrators write settings, and what a revocation masks has no rows.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use crate::{
    Id, PublicKey, canonical,
    document::{DocumentError, Draft, SettingsStore},
    entry::{SETTINGS, Value},
    storage::{OfPath, Paths, Row, RowKind, RowQuery, Snapshot, StorageError},
    wire::Invite,
};

/// The path below which the settings hold invites.
const ALL: &str = "invites";

/// Rows read at a time.
const PAGE: usize = 256;

/// An invite as a tree's settings know it.
///
/// ```
/// # use pleach_core::{Id, SecretKey, entry::Permission, node::{InviteInfo, InviteUse}, wire::Invite};
/// let (admin, key) = (SecretKey::from_bytes([1; 32]), SecretKey::from_bytes([2; 32]).public());
/// let invite = Invite::sign(&admin, Id::of(b"root"), key, Permission::Read, 1, 86_400_000);
/// let used = |n| InviteUse { key: SecretKey::from_bytes([n; 32]).public(), by: admin.public(), at: 5 };
/// let info = InviteInfo { invite, revoked: None, used: vec![used(3), used(4)] };
/// assert!(info.is_overused() && !info.is_open(6), "2 of 1: two administrators let somebody in while apart");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InviteInfo {
    /// What was promised, and by whom.
    pub invite: Invite,
    /// Who revoked it.
    pub revoked: Option<PublicKey>,
    /// Who redeemed it, ascending by key.
    pub used: Vec<InviteUse>,
}

/// A use of an invite.
///
/// ```
/// # use pleach_core::{SecretKey, node::InviteUse};
/// # let (bob, ann) = (SecretKey::from_bytes([1; 32]).public(), SecretKey::from_bytes([2; 32]).public());
/// let used = InviteUse { key: bob, by: ann, at: 1_760_000_000_000 };
/// assert_ne!(used.key, used.by);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InviteUse {
    /// Who was let in.
    pub key: PublicKey,
    /// The administrator whose node let them in.
    pub by: PublicKey,
    /// When, as that node claims: wall milliseconds.
    pub at: u64,
}

impl InviteInfo {
    /// Whether it let in more keys than was promised: administrators who are apart cannot count each other's.
    pub fn is_overused(&self) -> bool {
        self.used.len() > usize::from(self.invite.uses)
    }

    /// Whether it lets somebody in by this wall clock, as far as is known here and as long as its maker may promise it.
    pub fn is_open(&self, wall: u64) -> bool {
        let left = self.used.len() < usize::from(self.invite.uses);
        left && self.revoked.is_none() && !self.invite.is_expired(wall)
    }
}

fn place(id: &Id, what: &str) -> String {
    format!("{ALL}.{id}.{what}")
}

fn used(id: &Id, key: &PublicKey) -> String {
    place(id, &format!("used.{key}"))
}

/// Writes down that an invite was made, for all administrators to list and to revoke it.
pub fn record_invite(draft: &Draft, invite: &Invite) -> Result<(), DocumentError> {
    let settings = draft.store::<SettingsStore>(SETTINGS)?;
    settings.set(&place(&invite.id(), "made"), Value::Bytes(canonical::to_vec(invite)))
}

/// Writes down that an invite lets nobody in any more.
pub fn record_revocation(draft: &Draft, id: &Id) -> Result<(), DocumentError> {
    draft.store::<SettingsStore>(SETTINGS)?.set(&place(id, "revoked"), true)
}

/// Writes down that a key was let in.
pub(super) fn record_use(draft: &Draft, id: &Id, key: &PublicKey) -> Result<(), DocumentError> {
    draft.store::<SettingsStore>(SETTINGS)?.set(&used(id, key), true)
}

/// What is to be known of an invite before somebody is let in by it.
pub(super) struct Uses {
    pub(super) made: bool,
    pub(super) revoked: bool,
    /// Whether this very key has redeemed it.
    pub(super) by_key: bool,
    /// How many keys have, counted up to `most`.
    pub(super) count: usize,
}

impl Uses {
    /// The same is looked up for each invite, whether or not there is anything.
    pub(super) fn of(
        snapshot: &dyn Snapshot,
        tree: &Id,
        (id, most): (&Id, u16),
        key: &PublicKey,
    ) -> Result<Self, StorageError> {
        let count = |paths, limit| {
            let query = query(paths, OfPath::Last, limit);
            snapshot.rows(tree, &query).map(|rows| rows.len())
        };
        let is_there = |path| count(Paths::One(path), 1).map(|count| count > 0);
        Ok(Self {
            made: is_there(place(id, "made"))?,
            revoked: is_there(place(id, "revoked"))?,
            by_key: is_there(used(id, key))?,
            count: count(Paths::Below(place(id, "used")), usize::from(most))?,
        })
    }
}

fn query(paths: Paths, of_path: OfPath, limit: usize) -> RowQuery {
    RowQuery { store: SETTINGS.into(), kind: RowKind::Map, paths, after: None, of_path, limit }
}

/// The invites that a tree's settings hold, ascending by when they expire. What does not read as one is passed over: an
/// administrator may write anything there.
pub fn invites(snapshot: &dyn Snapshot, tree: &Id) -> Result<Vec<InviteInfo>, StorageError> {
    let mut found = BTreeMap::<Id, Found>::new();
    let mut query = query(Paths::Below(ALL.into()), OfPath::All, PAGE);
    loop {
        let page = snapshot.rows(tree, &query)?;
        for row in &page {
            take(&mut found, tree, row);
        }
        match page.last() {
            Some(last) if page.len() == PAGE => query.after = Some((last.path.clone(), last.stamp)),
            _ => break,
        }
    }
    let mut all: Vec<_> = found.into_values().filter_map(Found::info).collect();
    all.sort_by_key(|info| info.invite.expires);
    Ok(all)
}

#[derive(Default)]
struct Found {
    invite: Option<Invite>,
    revoked: Option<PublicKey>,
    used: BTreeMap<PublicKey, InviteUse>,
}

impl Found {
    fn info(self) -> Option<InviteInfo> {
        let used = self.used.into_values().collect();
        Some(InviteInfo { invite: self.invite?, revoked: self.revoked, used })
    }
}

/// Adds what one row says. Rows of a path come oldest first, and the first to say something is who is named.
fn take(found: &mut BTreeMap<Id, Found>, tree: &Id, row: &Row) {
    let Ok(path) = core::str::from_utf8(&row.path) else { return };
    let mut parts = path.split('.').skip(1);
    let Some(Ok(id)) = parts.next().map(str::parse::<Id>) else { return };
    match (parts.next(), parts.next(), parts.next()) {
        (Some("made"), None, None) => {
            let invite = row.value.as_deref().and_then(|value| made(value, tree, &id));
            if let Some(invite) = invite {
                found.entry(id).or_default().invite = Some(invite);
            }
        }
        (Some("revoked"), None, None) => {
            found.entry(id).or_default().revoked.get_or_insert(row.author);
        }
        (Some("used"), Some(key), None) => {
            let Ok(key) = key.parse() else { return };
            let used = InviteUse { key, by: row.author, at: row.stamp.time };
            found.entry(id).or_default().used.entry(key).or_insert(used);
        }
        _ => {}
    }
}

/// The invite that a value holds, if it is the one with this id, signed by its maker for this tree.
fn made(value: &[u8], tree: &Id, id: &Id) -> Option<Invite> {
    let Ok(Value::Bytes(bytes)) = Value::decode(value) else { return None };
    let invite = canonical::from_bytes::<Invite>(&bytes).ok()?;
    (invite.tree == *tree && invite.id() == *id && invite.check().is_ok()).then_some(invite)
}
