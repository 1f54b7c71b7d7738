//! What syncs there were: two rings of records in the metadata, one of syncs that this node began, one of those that peers
//! did, so that no guest pushes out what the node itself has done.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    Id, Now, PublicKey, canonical,
    node::{CommandId, Counts, Limits, LostSource, NodeError, SyncReport, record::reason},
    storage::{MetaChange, Snapshot, StorageError},
    wire::Address,
};

/// Records that are kept of syncs that this node began, and as many of those that peers began: some days of a household.
/// The oldest goes first. One takes about 200 bytes.
pub const MAX_HISTORY: usize = 512;

/// Milliseconds for which what a peer does is one record, and after which it is written.
const WRITE_EVERY: u64 = 10_000;

/// Records that wait to be written at most.
const MAX_UNWRITTEN: usize = 64;

/// Where the metadata keeps syncs that this node began: this prefix and a number that ascends.
const OPENED: &[u8] = b"history/opened/";

/// The same for those that peers began.
const SERVED: &[u8] = b"history/served/";

/// Old records that go with each new one at most, where more are kept than are to be.
const GONE_AT_ONCE: u64 = 2 * MAX_UNWRITTEN as u64;

/// Records read at once.
const PAGE: usize = 256;

/// Which side began a sync.
///
/// ```
/// # use pleach_core::node::SyncRole;
/// assert_ne!(SyncRole::Opened, SyncRole::Served);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncRole {
    /// This node.
    Opened,
    /// The peer.
    Served,
}

/// A sync that there was. Of those that this node began all are recorded, failures too, but for waits that brought no news;
/// of those that peers began, each that moved entries.
///
/// ```
/// # use pleach_blocking::{Database, DatabaseKey, Doc, HistoryFilter, Instance, Memory, MemoryNetwork, Permission, Sync, SyncHistoryEntry, SyncRole, Who};
/// # let network = MemoryNetwork::new();
/// # let (alice, bob) = (Instance::open(Memory::new())?, Instance::open(Memory::new())?);
/// # let (serving, sync) = (Sync::new(&alice)?, Sync::new(&bob)?);
/// # serving.register_transport("memory", network.builder().bind("alice"))?;
/// # sync.register_transport("memory", network.builder().bind("bob"))?;
/// # let place = serving.accept_connections()?.remove(0);
/// # let grants = vec![(Who::Key(bob.device_key()), Permission::Write(100))];
/// # let db = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants)?;
/// # let tree = db.root_id();
/// sync.sync_with_peer(&place, Some(&tree))?;
/// let history: Vec<SyncHistoryEntry> = sync.get_sync_history(&HistoryFilter::new().limit(1))?;
/// assert_eq!((history[0].role, history[0].entries_received), (SyncRole::Opened, 1));
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SyncHistoryEntry {
    /// When it ended, in wall milliseconds of this node.
    pub at: u64,
    /// Who began.
    pub role: SyncRole,
    /// The database.
    pub tree_id: Id,
    /// Whom with; nothing if no key was proven.
    pub peer_pubkey: Option<PublicKey>,
    /// Where the peer was found.
    pub address: Option<Address>,
    /// Entries that were new here.
    pub entries_received: u64,
    /// Entries sent.
    pub entries_sent: u64,
    /// Bytes of frames received.
    pub bytes_received: u64,
    /// Bytes of frames sent.
    pub bytes_sent: u64,
    /// Requests that were answered.
    pub round_trips: u32,
    /// Milliseconds that it took; of one that a peer began, those between its first request and its last.
    pub millis: u64,
    /// Why nothing came of it; nothing if it went well.
    pub error: Option<String>,
}

impl SyncHistoryEntry {
    fn nothing(at: u64, role: SyncRole, tree_id: Id, peer_pubkey: Option<PublicKey>) -> Self {
        Self {
            at,
            role,
            tree_id,
            peer_pubkey,
            address: None,
            entries_received: 0,
            entries_sent: 0,
            bytes_received: 0,
            bytes_sent: 0,
            round_trips: 0,
            millis: 0,
            error: None,
        }
    }

    /// One that this node began and that went well.
    pub(super) fn of_report(report: &SyncReport, wall: u64) -> Self {
        Self {
            address: report.address.clone(),
            entries_received: report.entries_received,
            entries_sent: report.entries_sent,
            bytes_received: report.bytes_received,
            bytes_sent: report.bytes_sent,
            round_trips: report.round_trips,
            millis: report.millis,
            ..Self::nothing(wall, SyncRole::Opened, report.tree, report.peer)
        }
    }

    /// One that this node began and that came to nothing.
    pub(super) fn of_failure(tree: Id, peer: Option<PublicKey>, error: &NodeError, wall: u64) -> Self {
        Self { error: Some(reason(error)), ..Self::nothing(wall, SyncRole::Opened, tree, peer) }
    }

    /// One that this node began and that came to nothing after entries had moved.
    pub(super) fn of_lost(tree: Id, source: &LostSource, wall: u64) -> Self {
        let LostSource { address, peer, error, moved } = source;
        Self {
            address: Some(address.clone()),
            entries_received: moved.entries_received,
            entries_sent: moved.entries_sent,
            bytes_received: moved.bytes_received,
            bytes_sent: moved.bytes_sent,
            round_trips: moved.round_trips,
            ..Self::of_failure(tree, *peer, error, wall)
        }
    }

    fn add(&mut self, counts: &Counts, began: u64, wall: u64) {
        self.at = wall;
        self.entries_received = self.entries_received.saturating_add(counts.entries_received);
        self.entries_sent = self.entries_sent.saturating_add(counts.entries_sent);
        self.bytes_received = self.bytes_received.saturating_add(counts.bytes_received);
        self.bytes_sent = self.bytes_sent.saturating_add(counts.bytes_sent);
        self.round_trips = self.round_trips.saturating_add(1);
        self.millis = wall.saturating_sub(began);
    }
}

/// Where the two rings of records begin and end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HistoryMarks {
    opened: Ring,
    served: Ring,
}

/// The numbers of the oldest record and of the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Ring {
    oldest: u64,
    next: u64,
}

impl Ring {
    /// What the metadata say, once at the start.
    fn recall(&mut self, kept: Self) {
        if self.next == 0 {
            self.oldest = kept.oldest;
        }
        self.next = self.next.max(kept.next);
    }

    /// The number of a new record.
    const fn take(&mut self) -> u64 {
        let number = self.next;
        self.next = number.saturating_add(1);
        number
    }

    /// The numbers of records that make room, after some were taken.
    fn gone(&mut self, kept: u64) -> core::ops::Range<u64> {
        let begin = self.oldest;
        let most = self.next.saturating_sub(begin).saturating_sub(kept);
        self.oldest = begin.saturating_add(most.min(GONE_AT_ONCE));
        begin..self.oldest
    }
}

/// The history of a node: what is not in the metadata yet, and what comes next.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    limits: Limits,
    marks: HistoryMarks,
    /// What peers did and is not written, with when it began, in wall milliseconds.
    unwritten: BTreeMap<u64, (u64, SyncHistoryEntry)>,
    /// When it is, in monotonic milliseconds.
    write_at: u64,
    /// What is being written, each record with its place, by the number of the write among those of the history.
    flying: BTreeMap<u64, Vec<(Vec<u8>, SyncHistoryEntry)>>,
    writes: u64,
    /// What was being written when it was to be forgotten, by the command that said so.
    forgetting: BTreeMap<CommandId, Vec<MetaChange>>,
}

impl History {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// What the metadata say, once at the start.
    pub(super) fn recall(&mut self, marks: HistoryMarks) {
        self.marks.opened.recall(marks.opened);
        self.marks.served.recall(marks.served);
    }

    /// Syncs that this node began have ended: what is to be written, and the number of that write.
    pub(super) fn opened(&mut self, entries: Vec<SyncHistoryEntry>) -> (u64, Vec<MetaChange>) {
        let numbered = entries.into_iter().map(|entry| (place(OPENED, self.marks.opened.take()), entry));
        let records = numbered.collect();
        let (write, mut changes) = self.fly(records);
        changes.extend(goes(OPENED, self.marks.opened.gone(self.limits.kept_history())));
        (write, changes)
    }

    /// A peer has moved entries with a request.
    pub(super) fn served(&mut self, tree: Id, peer: Option<PublicKey>, counts: &Counts, now: Now) {
        let same = |entry: &SyncHistoryEntry| entry.tree_id == tree && entry.peer_pubkey == peer;
        if let Some((began, entry)) = self.unwritten.values_mut().find(|(_, entry)| same(entry)) {
            entry.add(counts, *began, now.wall);
            return;
        }
        if self.unwritten.is_empty() {
            self.write_at = now.monotonic.saturating_add(WRITE_EVERY);
        }
        let number = self.marks.served.take();
        let mut entry = SyncHistoryEntry::nothing(now.wall, SyncRole::Served, tree, peer);
        entry.add(counts, now.wall, now.wall);
        self.unwritten.insert(number, (now.wall, entry));
        if self.unwritten.len() >= MAX_UNWRITTEN {
            self.write_at = now.monotonic;
        }
    }

    /// When something is to be written.
    pub(super) fn deadline(&self) -> Option<u64> {
        (!self.unwritten.is_empty()).then_some(self.write_at)
    }

    /// What is to be written now, if it is time, and the number of that write.
    pub(super) fn changes(&mut self, now: u64) -> Option<(u64, Vec<MetaChange>)> {
        if self.deadline().is_none_or(|at| at > now) {
            return None;
        }
        let unwritten = core::mem::take(&mut self.unwritten).into_iter();
        let (write, mut changes) =
            self.fly(unwritten.map(|(number, (_, entry))| (place(SERVED, number), entry)).collect());
        changes.extend(goes(SERVED, self.marks.served.gone(self.limits.kept_history())));
        Some((write, changes))
    }

    /// Records are being written: the number of that write, and what it changes.
    fn fly(&mut self, records: Vec<(Vec<u8>, SyncHistoryEntry)>) -> (u64, Vec<MetaChange>) {
        self.writes = self.writes.wrapping_add(1);
        let row = |(place, entry): &(Vec<u8>, _)| (place.clone(), Some(canonical::to_vec(entry)));
        let changes = records.iter().map(row).collect();
        self.flying.insert(self.writes, records);
        (self.writes, changes)
    }

    /// A write of the history is over.
    pub(super) fn written(&mut self, write: u64) {
        self.flying.remove(&write);
    }

    /// What no snapshot may hold yet. What a later snapshot holds may be among it.
    pub(super) fn pending(&self) -> Vec<SyncHistoryEntry> {
        let unwritten = self.unwritten.values().map(|(_, entry)| entry);
        let flying = self.flying.values().flatten().map(|(_, entry)| entry);
        flying.chain(unwritten).cloned().collect()
    }

    /// What is older than this wall time and not written is not to be. What is being written at this moment is kept in mind
    /// for the command alone: a snapshot taken from now on may have it or not, and that it was written may be heard of after
    /// that it is gone.
    pub(super) fn forget(&mut self, command: CommandId, before: u64) {
        self.unwritten.retain(|_, (_, entry)| entry.at >= before);
        let mut old = Vec::new();
        for records in self.flying.values_mut() {
            let gone = records.extract_if(.., |(_, entry)| entry.at < before);
            old.extend(gone.map(|(place, _)| (place, None)));
        }
        self.forgetting.insert(command, old);
    }

    /// What was being written when the command came, and has to go as well.
    pub(super) fn flew(&mut self, command: CommandId) -> Vec<MetaChange> {
        self.forgetting.remove(&command).unwrap_or_default()
    }
}

fn place(ring: &[u8], number: u64) -> Vec<u8> {
    [ring, &number.to_be_bytes()].concat()
}

/// The end of records.
fn goes(ring: &[u8], numbers: core::ops::Range<u64>) -> impl Iterator<Item = MetaChange> {
    numbers.map(move |number| (place(ring, number), None))
}

/// The rows of a ring, ascending by number.
fn rows(snapshot: &dyn Snapshot, ring: &[u8]) -> Result<Vec<(u64, SyncHistoryEntry)>, StorageError> {
    let mut all = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = snapshot.metas(ring, after.as_deref(), PAGE)?;
        all.extend(page.iter().filter_map(|(place, value)| {
            let number = <[u8; 8]>::try_from(place.strip_prefix(ring)?).ok()?;
            Some((u64::from_be_bytes(number), canonical::from_bytes(value).ok()?))
        }));
        match page.last() {
            Some((last, _)) if page.len() == PAGE => after = Some(last.clone()),
            _ => return Ok(all),
        }
    }
}

/// What the metadata keep of syncs, oldest first.
pub fn history(snapshot: &dyn Snapshot) -> Result<Vec<SyncHistoryEntry>, StorageError> {
    let mut all = rows(snapshot, OPENED)?;
    all.extend(rows(snapshot, SERVED)?);
    let mut all: Vec<_> = all.into_iter().map(|(_, entry)| entry).collect();
    all.sort_by_key(|entry| entry.at);
    Ok(all)
}

/// Where the records begin and end, as the metadata have it.
pub fn history_marks(snapshot: &dyn Snapshot) -> Result<HistoryMarks, StorageError> {
    let marks = |ring| {
        let rows = rows(snapshot, ring)?;
        let ends = rows.first().zip(rows.last());
        Ok(ends.map_or(Ring::default(), |((oldest, _), (last, _))| Ring {
            oldest: *oldest,
            next: last.saturating_add(1),
        }))
    };
    Ok(HistoryMarks { opened: marks(OPENED)?, served: marks(SERVED)? })
}

/// The changes by which the metadata forget syncs that ended before a wall time.
pub(super) fn forget_history(snapshot: &dyn Snapshot, before: u64) -> Result<Vec<MetaChange>, StorageError> {
    let mut changes = Vec::new();
    for ring in [OPENED, SERVED] {
        let old = rows(snapshot, ring)?.into_iter().filter(|(_, entry)| entry.at < before);
        changes.extend(old.map(|(number, _)| (place(ring, number), None)));
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> Counts {
        Counts { entries_received: 2, bytes_received: 300, ..Counts::default() }
    }

    fn now(monotonic: u64) -> Now {
        Now { monotonic, wall: 1_700_000_000_000 + monotonic }
    }

    #[test]
    fn what_a_peer_does_at_once_is_one_record_and_one_write() {
        let (tree, peer) = (Id::of(b"t"), Some(PublicKey::from_bytes([1; 32])));
        let mut history = History::default();
        for at in [5, 6, 900] {
            history.served(tree, peer, &counts(), now(at));
        }
        history.served(tree, None, &counts(), now(901));
        assert_eq!(history.deadline(), Some(5 + WRITE_EVERY));
        assert!(history.changes(5 + WRITE_EVERY - 1).is_none());
        let pending = history.pending();
        assert_eq!(pending.len(), 2);
        assert_eq!((pending[0].entries_received, pending[0].round_trips, pending[0].millis), (6, 3, 895));
        let (write, changes) = history.changes(5 + WRITE_EVERY).unwrap();
        assert_eq!(changes.len(), 2);
        assert_eq!(history.pending().len(), 2, "a snapshot may not have it yet");
        history.written(write);
        assert!(history.pending().is_empty() && history.deadline().is_none());
    }

    #[test]
    fn what_is_being_written_is_forgotten_with_the_rest() {
        let mut history = History::default();
        let [early, late] = [4, 9].map(|at| now(at).wall);
        let [old, young] =
            [early, late].map(|at| SyncHistoryEntry::nothing(at, SyncRole::Opened, Id::of(b"t"), None));
        let (write, written) = history.opened(alloc::vec![old, young]);
        history.served(Id::of(b"t"), None, &counts(), now(4));
        history.forget(CommandId(1), late);
        assert_eq!(history.pending().iter().map(|entry| entry.at).collect::<Vec<_>>(), [late]);
        history.written(write);
        assert_eq!(
            history.flew(CommandId(1)),
            [(written[0].0.clone(), None)],
            "though it has landed meanwhile"
        );
        assert_eq!(history.flew(CommandId(1)), []);
        assert_eq!(history.deadline(), None, "what was not written never is");
    }

    #[test]
    fn a_crowd_is_written_early_so_that_what_waits_is_bounded() {
        let mut history = History::default();
        for n in 0..MAX_UNWRITTEN {
            assert!(history.changes(7).is_none());
            history.served(Id::of(&[u8::try_from(n).unwrap()]), None, &counts(), now(7));
        }
        assert!(history.changes(7).is_some());
    }

    #[test]
    fn a_new_record_makes_the_oldest_go() {
        let mut history = History::default();
        let kept = Ring { oldest: 0, next: MAX_HISTORY as u64 };
        history.recall(HistoryMarks { opened: kept, served: Ring::default() });
        let failure = NodeError::Transport("gone".into());
        let entry = SyncHistoryEntry::of_failure(Id::of(b"t"), None, &failure, 9);
        let (_, changes) = history.opened(alloc::vec![entry.clone()]);
        assert_eq!(changes[1], (place(OPENED, 0), None));
        let value = changes[0].1.as_ref().unwrap();
        assert_eq!(canonical::from_bytes::<SyncHistoryEntry>(value).unwrap(), entry);
    }

    #[test]
    fn fewer_records_are_kept_where_that_is_wanted_and_older_ones_go_step_by_step() {
        let mut history = History::new(Limits::new().history(20));
        let kept = Ring { oldest: 7, next: 207 };
        history.recall(HistoryMarks { opened: kept, served: kept });
        let failure = NodeError::Transport("gone".into());
        let entry = SyncHistoryEntry::of_failure(Id::of(b"t"), None, &failure, 9);
        let mut gone = Vec::new();
        for _ in 0..4 {
            let (_, changes) = history.opened(alloc::vec![entry.clone()]);
            gone.extend(changes.into_iter().skip(1).map(|(place, _)| place));
        }
        let expected: Vec<_> = (7..191).map(|number| place(OPENED, number)).collect();
        assert_eq!(gone, expected, "20 of 211 are left");
        history.served(Id::of(b"t"), None, &counts(), now(0));
        let (_, changes) = history.changes(WRITE_EVERY).unwrap();
        assert_eq!(changes.len(), 1 + usize::try_from(GONE_AT_ONCE).unwrap());
    }
}
