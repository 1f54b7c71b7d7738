//! Access requests as the store's metadata keeps them: who asked for what, and what was decided.
//!
//! A key has at most one open request about a tree, and one that was decided last: to ask again writes over the same
//! row. So a request that arrives twice, also because somebody between two nodes sends it again, changes nothing; and
//! the row says when it was signed, so that whoever recorded an older one cannot put it back.

use alloc::{string::String, sync::Arc, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    Id, PublicKey, canonical,
    entry::{Permission, Who},
    node::{
        MOST_REQUESTS,
        create::root_key_place,
        places::{Place, gives_way},
    },
    storage::{MetaChange, Snapshot, StorageError},
    wire::AskOutcome,
};

/// Open requests of one key: a person plausibly asks about this many databases of one node before anybody decides. One
/// key's flood leaves the rest of the table to others.
pub const MAX_REQUESTS_OF_KEY: usize = 8;

/// Open requests in all: about 4 MiB with metadata at their longest, and more than anybody reads through.
pub const MAX_REQUESTS: usize = 1_024;

/// Decided requests that are kept for audit, the newest about each key and tree. The one decided first goes first.
pub const MAX_DECIDED: usize = 1_024;

/// Milliseconds after which an open request has expired: thirty days, a long holiday of whoever decides.
pub const REQUEST_EXPIRY: u64 = 30 * 24 * 60 * 60 * 1_000;

/// A request for access to a tree.
///
/// ```
/// # use pleach_core::{Id, SecretKey, entry::Permission, node::{BootstrapRequest, RequestStatus}};
/// let key = SecretKey::from_bytes([1; 32]).public();
/// let asked = BootstrapRequest::new(Id::of(b"root"), key, Permission::Read, "Bob", b"let me in", 7);
/// let more = BootstrapRequest::new(Id::of(b"root"), key, Permission::Admin(0), "Bob", b"let me in", 7);
/// assert_ne!(asked.id, more.id, "the id says what was asked for");
/// assert_eq!(asked.status, RequestStatus::Pending);
/// assert!(!asked.is_expired(7));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct BootstrapRequest {
    /// The hash of all that was asked: tree, key, permission, name and metadata. Whoever decides names by it exactly
    /// what they were shown.
    pub id: Id,
    /// The tree.
    pub tree: Id,
    /// Who asks, as proven.
    pub key: PublicKey,
    /// What they ask for.
    pub permission: Permission,
    /// What they call themselves: anybody may say any name.
    pub name: String,
    /// What they say besides, at most [`crate::wire::MAX_REQUEST_METADATA`] bytes.
    pub metadata: Vec<u8>,
    /// When it came last, in wall milliseconds of this node.
    pub received: u64,
    /// When its maker signed it, in wall milliseconds of its own; 0 over a wire that needs no signature.
    pub signed: u64,
    /// What was decided.
    pub status: RequestStatus,
}

/// What was decided about a request. Times are wall milliseconds of this node.
///
/// ```
/// # use pleach_core::{Id, SecretKey, entry::Permission, node::{BootstrapRequest, REQUEST_EXPIRY, RequestStatus}};
/// let key = SecretKey::from_bytes([1; 32]).public();
/// let mut request = BootstrapRequest::new(Id::of(b"root"), key, Permission::Read, "Bob", b"", 7);
/// assert!(!request.is_expired(7) && request.is_expired(8 + REQUEST_EXPIRY));
/// request.status = RequestStatus::Rejected { by: key, at: 9 };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RequestStatus {
    /// Nothing yet.
    Pending,
    /// It was approved.
    Approved {
        /// By whom.
        by: PublicKey,
        /// When.
        at: u64,
        /// What was granted: at most what was asked for.
        permission: Permission,
    },
    /// It was rejected.
    Rejected {
        /// By whom.
        by: PublicKey,
        /// When.
        at: u64,
    },
}

impl BootstrapRequest {
    /// A request that nobody has decided about yet.
    pub fn new(
        tree: Id,
        key: PublicKey,
        permission: Permission,
        name: &str,
        metadata: &[u8],
        received: u64,
    ) -> Self {
        let said = canonical::to_vec(&(tree, key, permission, name, metadata));
        Self {
            id: Id::from_bytes(blake3::derive_key("pleach 2026 access request v1", &said)),
            tree,
            key,
            permission,
            name: name.into(),
            metadata: metadata.into(),
            received,
            signed: 0,
            status: RequestStatus::Pending,
        }
    }

    /// Whether nobody has decided for so long that it gives way to others, and cannot be approved any more. A clock that
    /// was wrong when the request came, or is now, by more than [`REQUEST_EXPIRY`] in either direction makes it
    /// expire: asking again is what helps, and no jump of a clock makes a request count for more.
    pub fn is_expired(&self, wall: u64) -> bool {
        self.status == RequestStatus::Pending && is_expired(self.received, wall)
    }
}

const fn is_expired(received: u64, wall: u64) -> bool {
    wall.abs_diff(received) >= REQUEST_EXPIRY
}

/// Where open requests are: this prefix, key and tree.
const OPEN: Table = Table { lines: b"request/open/", metadata: b"request/open-metadata/" };

/// Where decided ones are.
const DECIDED: Table = Table { lines: b"request/decided/", metadata: b"request/decided-metadata/" };

/// Where the last request is written that is not kept: to write it takes as long as if it were.
const NOWHERE: Table = Table { lines: b"request/nowhere/", metadata: b"request/nowhere-metadata/" };

/// Two prefixes. The metadata of requests are apart, so that counting reads little.
struct Table {
    lines: &'static [u8],
    metadata: &'static [u8],
}

/// A request in a table, but for its metadata.
#[derive(Serialize, Deserialize)]
struct Line {
    id: Id,
    tree: Id,
    key: PublicKey,
    permission: Permission,
    name: String,
    received: u64,
    signed: u64,
    status: RequestStatus,
}

impl Line {
    fn of(request: &BootstrapRequest) -> Self {
        let BootstrapRequest { id, tree, key, permission, ref name, metadata: _, received, signed, status } =
            *request;
        Self { id, tree, key, permission, name: name.clone(), received, signed, status }
    }

    fn place(&self, prefix: &[u8]) -> Vec<u8> {
        place(prefix, &self.key, &self.tree)
    }

    /// When it was decided; 0 if it was not.
    const fn decided(&self) -> u64 {
        match self.status {
            RequestStatus::Pending => 0,
            RequestStatus::Approved { at, .. } | RequestStatus::Rejected { at, .. } => at,
        }
    }
}

fn place(prefix: &[u8], key: &PublicKey, tree: &Id) -> Vec<u8> {
    [prefix, key.as_bytes(), tree.as_bytes()].concat()
}

impl Table {
    fn put(&self, request: &BootstrapRequest) -> Vec<MetaChange> {
        self.put_at((&request.key, &request.tree), request)
    }

    fn put_at(&self, (key, tree): (&PublicKey, &Id), request: &BootstrapRequest) -> Vec<MetaChange> {
        Vec::from([
            (place(self.lines, key, tree), Some(canonical::to_vec(&Line::of(request)))),
            (place(self.metadata, key, tree), Some(request.metadata.clone())),
        ])
    }

    fn remove(&self, line: &Line) -> Vec<MetaChange> {
        Vec::from([(line.place(self.lines), None), (line.place(self.metadata), None)])
    }

    /// The request of a key about a tree.
    fn one(&self, snapshot: &dyn Snapshot, key: &PublicKey, tree: &Id) -> Result<Option<Line>, StorageError> {
        snapshot.meta(&place(self.lines, key, tree))?.map(|value| line(&value)).transpose()
    }

    /// All requests, ascending by key, then tree.
    fn all(&self, snapshot: &dyn Snapshot) -> Result<Vec<Line>, StorageError> {
        let rows = snapshot.metas(self.lines, None, MOST_REQUESTS.max(MAX_DECIDED))?;
        rows.iter().map(|(_, value)| line(value)).collect()
    }

    /// A request with its metadata.
    fn whole(&self, snapshot: &dyn Snapshot, line: Line) -> Result<BootstrapRequest, StorageError> {
        let metadata = snapshot.meta(&line.place(self.metadata))?.unwrap_or_default();
        let Line { id, tree, key, permission, name, received, signed, status } = line;
        Ok(BootstrapRequest { id, tree, key, permission, name, metadata, received, signed, status })
    }
}

fn line(value: &[u8]) -> Result<Line, StorageError> {
    canonical::from_bytes(value)
        .map_err(|error| StorageError::Damaged(alloc::format!("an access request is {error}")))
}

/// Requests that nobody has decided about, expired ones among them, oldest first.
pub fn pending_requests(snapshot: &dyn Snapshot) -> Result<Vec<BootstrapRequest>, StorageError> {
    let mut lines = OPEN.all(snapshot)?;
    lines.sort_by_key(|line| line.received);
    lines.into_iter().map(|line| OPEN.whole(snapshot, line)).collect()
}

/// Requests that somebody has decided about, oldest decision first.
pub fn decided_requests(snapshot: &dyn Snapshot) -> Result<Vec<BootstrapRequest>, StorageError> {
    let mut lines = DECIDED.all(snapshot)?;
    lines.sort_by_key(Line::decided);
    lines.into_iter().map(|line| DECIDED.whole(snapshot, line)).collect()
}

/// Those of them that were approved.
pub fn approved_requests(snapshot: &dyn Snapshot) -> Result<Vec<BootstrapRequest>, StorageError> {
    let mut requests = decided_requests(snapshot)?;
    requests.retain(|request| matches!(request.status, RequestStatus::Approved { .. }));
    Ok(requests)
}

/// Those of them that were rejected.
pub fn rejected_requests(snapshot: &dyn Snapshot) -> Result<Vec<BootstrapRequest>, StorageError> {
    let mut requests = decided_requests(snapshot)?;
    requests.retain(|request| matches!(request.status, RequestStatus::Rejected { .. }));
    Ok(requests)
}

/// The request with this id, decided or not.
pub fn request(snapshot: &dyn Snapshot, id: &Id) -> Result<Option<BootstrapRequest>, StorageError> {
    for table in [OPEN, DECIDED] {
        if let Some(line) = table.all(snapshot)?.into_iter().find(|line| line.id == *id) {
            return table.whole(snapshot, line).map(Some);
        }
    }
    Ok(None)
}

/// What becomes of a request.
pub(super) struct Receipt {
    pub(super) outcome: AskOutcome,
    pub(super) change: Vec<MetaChange>,
    /// Whether it waits for a decision now, and did not before.
    pub(super) is_new: bool,
}

/// What becomes of a request that has come: the answer, and the change of metadata that must be durable before it is
/// given. For each request the same is looked up and as much is written, so that the answer tells nothing by the time
/// that it takes.
pub(super) fn receive(
    snapshot: &Arc<dyn Snapshot>,
    request: &BootstrapRequest,
    own: &PublicKey,
    most: usize,
) -> Result<Receipt, StorageError> {
    let snapshot = &**snapshot;
    let (tree, key, wall) = (&request.tree, &request.key, request.received);
    let (last, open) = (DECIDED.one(snapshot, key, tree)?, OPEN.one(snapshot, key, tree)?);
    let signed = [&last, &open].into_iter().flatten().map(|line| line.signed).max().unwrap_or_default();
    let is_late = request.signed != 0 && request.signed < signed;
    #[cfg(feature = "planted-faults")]
    let is_late = is_late && !crate::planted::is_awake(crate::planted::Planted::RequestTimesForgotten);
    let decided = last.filter(|line| line.id == request.id);
    let is_new = open.as_ref().is_none_or(|line| line.id != request.id);
    let room = room(snapshot, (key, tree), wall, most)?;
    let administers = administers(snapshot, tree, own)?;
    let personal = snapshot.permission(tree, &Who::Key(*key))?;
    let held = personal.max(snapshot.permission(tree, &Who::Everyone)?);
    // As much goes as would have to for a place, though it is nothing.
    let nothing = (place(b"request/none/", &PublicKey::from_bytes([0; 32]), &Id::MIN), None);
    let idle: Vec<MetaChange> = room.iter().flatten().map(|_| nothing.clone()).collect();
    let beside = |put: Vec<MetaChange>| [&idle[..], &put[..]].concat();
    let unseen = beside(unseen(request));
    // What was granted may have been revoked since: then the key asks afresh.
    match decided.map(|line| line.status) {
        Some(RequestStatus::Approved { permission, .. }) if personal.is_some() => {
            return Ok(Receipt { outcome: AskOutcome::Approved(permission), change: unseen, is_new: false });
        }
        Some(RequestStatus::Rejected { .. }) => {
            return Ok(Receipt { outcome: AskOutcome::Rejected, change: unseen, is_new: false });
        }
        _ => {}
    }
    let needed = administers && held < Some(request.permission) && !(is_late && is_new);
    let request = &BootstrapRequest { signed: request.signed.max(signed), ..request.clone() };
    let (change, kept) = match (needed, open, room) {
        (false, ..) | (true, None, None) => (unseen, false),
        (true, Some(_), _) => (beside(OPEN.put(request)), true),
        (true, None, Some(mut room)) => {
            room.extend(OPEN.put(request));
            (room, true)
        }
    };
    Ok(Receipt { outcome: AskOutcome::Received, change, is_new: kept && is_new })
}

/// What is written of a request that is not kept.
pub(super) fn unseen(request: &BootstrapRequest) -> Vec<MetaChange> {
    NOWHERE.put_at((&PublicKey::from_bytes([0; 32]), &Id::MIN), request)
}

/// Whether this node can let somebody into a tree: its own key may, or it made the tree and keeps its root key.
fn administers(snapshot: &dyn Snapshot, tree: &Id, own: &PublicKey) -> Result<bool, StorageError> {
    let root = snapshot.meta(&root_key_place(tree))?;
    let permission = snapshot.permission(tree, &Who::Key(*own))?;
    let held = snapshot.summary(tree)?.is_some();
    Ok(held && (root.is_some() || permission.is_some_and(Permission::administers)))
}

/// What must go so that one more request of a key has a place; nothing if there is no place for it. What has expired
/// goes when it stands in the way; without such, one gives way where the table is full ([`super::places`]).
fn room(
    snapshot: &dyn Snapshot,
    (key, tree): (&PublicKey, &Id),
    wall: u64,
    most: usize,
) -> Result<Option<Vec<MetaChange>>, StorageError> {
    let all = snapshot.metas(OPEN.lines, None, MOST_REQUESTS)?;
    let own = [OPEN.lines, key.as_bytes()].concat();
    let is_own = |place: &[u8]| place.starts_with(&own);
    let of_key = all.iter().filter(|(place, _)| is_own(place)).count();
    let (full, full_of_key) = (all.len() >= most, of_key >= MAX_REQUESTS_OF_KEY);
    let in_the_way = all.iter().filter(|(place, _)| full || (full_of_key && is_own(place)));
    let lines: Vec<Line> = in_the_way.map(|(_, value)| line(value)).collect::<Result<_, _>>()?;
    let (mut gone, left): (Vec<_>, Vec<_>) =
        lines.into_iter().partition(|line| is_expired(line.received, wall));
    if full_of_key && !gone.iter().any(|line| line.key == *key) {
        return Ok(None);
    }
    if full && gone.is_empty() {
        let place = |line: &Line| Place { received: line.received, key: line.key, tree: line.tree };
        let last = gives_way(&left.iter().map(place).collect::<Vec<_>>(), key, tree);
        let Some(last) = last else { return Ok(None) };
        gone.extend(left.into_iter().find(|line| place(line) == last));
    }
    Ok(Some(gone.iter().flat_map(|line| OPEN.remove(line)).collect()))
}

/// The change of metadata by which an open request is decided; nothing if there is none with this id.
pub(super) fn decide(
    snapshot: &Arc<dyn Snapshot>,
    id: &Id,
    status: RequestStatus,
) -> Result<Option<Vec<MetaChange>>, StorageError> {
    let snapshot = &**snapshot;
    let Some(line) = OPEN.all(snapshot)?.into_iter().find(|line| line.id == *id) else {
        return Ok(None);
    };
    let request = OPEN.whole(snapshot, line)?;
    note(snapshot, &request, status).map(Some)
}

/// The change of metadata by which it is noted what was decided about a request; what its key had open about the tree
/// is over with it.
pub(super) fn note(
    snapshot: &dyn Snapshot,
    request: &BootstrapRequest,
    status: RequestStatus,
) -> Result<Vec<MetaChange>, StorageError> {
    let open = OPEN.one(snapshot, &request.key, &request.tree)?;
    let mut change: Vec<_> = open.iter().flat_map(|line| OPEN.remove(line)).collect();
    let known = DECIDED.one(snapshot, &request.key, &request.tree)?.is_some();
    if !known && snapshot.metas(DECIDED.lines, None, MAX_DECIDED)?.len() >= MAX_DECIDED {
        let oldest = DECIDED.all(snapshot)?.into_iter().min_by_key(Line::decided);
        change.extend(oldest.iter().flat_map(|line| DECIDED.remove(line)));
    }
    change.extend(DECIDED.put(&BootstrapRequest { status, ..request.clone() }));
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;

    #[test]
    fn a_request_expires_whichever_way_a_clock_is_wrong() {
        const YEARS: u64 = 10 * 365 * 24 * 60 * 60 * 1_000;
        let came = 1_700_000_000_000;
        let key = SecretKey::from_bytes([1; 32]).public();
        let request = BootstrapRequest::new(Id::MIN, key, Permission::Read, "", b"", came);
        for wall in [came, came + REQUEST_EXPIRY - 1, came - REQUEST_EXPIRY + 1] {
            assert!(!request.is_expired(wall), "{wall}");
        }
        for wall in [0, came - YEARS, came - REQUEST_EXPIRY, came + REQUEST_EXPIRY, came + YEARS, u64::MAX] {
            assert!(request.is_expired(wall), "{wall}");
        }
        let decided = BootstrapRequest { status: RequestStatus::Rejected { by: key, at: 0 }, ..request };
        assert!(!decided.is_expired(came + YEARS), "what was decided stays decided");
    }

    #[test]
    fn an_id_names_all_that_was_asked() {
        let key = |n| SecretKey::from_bytes([n; 32]).public();
        let id = |tree: &[u8], n, permission, name, metadata| {
            BootstrapRequest::new(Id::of(tree), key(n), permission, name, metadata, 0).id
        };
        let all = [
            id(b"a", 1, Permission::Read, "x", b"y"),
            id(b"b", 1, Permission::Read, "x", b"y"),
            id(b"a", 2, Permission::Read, "x", b"y"),
            id(b"a", 1, Permission::Write(0), "x", b"y"),
            id(b"a", 1, Permission::Read, "xy", b""),
            id(b"a", 1, Permission::Read, "", b"xy"),
        ];
        let different: alloc::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }
}
