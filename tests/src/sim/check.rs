//! What must always hold, and what must hold at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
    sync::Arc,
};

use pleach_core::{
    Id, Position, Range,
    document::content_hash,
    entry::{Entry, Permission, Who},
    limits::MAX_BATCH_ENTRIES,
    node::{RequestStatus, decided_requests, pending_requests},
    storage::{OfPath, Paths, Put, Row, RowKind, RowQuery, Snapshot, StorageError, Write},
};

use super::{
    Sim,
    work::{STORE, TWIN},
};

/// Snapshots that a node may have open at once: some five times what an honest run comes to, where a node that stood still
/// goes on with all that came meanwhile.
const MAX_SNAPSHOTS: usize = 256;

/// Writes that a node may have under way at once: one for each tree, and some of metadata. Three times what an honest run
/// comes to.
const MAX_WRITES: usize = 16;

/// Characters in which the state of a node may be written out that has nothing to do: it waits for news on an exchange with
/// each peer, and each has a buffer of a frame. Some five times what an honest run comes to.
const MAX_RESTING: usize = 16 * 1024 * 1024;

impl Sim {
    /// Notes what breaks an invariant; the first is what a run fails with.
    pub(super) fn break_off(&mut self, why: String) {
        if self.broken.is_none() {
            self.trace.say(self.now, 99, format_args!("BROKEN {why}"));
            self.broken = Some(why);
        }
    }

    /// What a node asks its store to take: what it composed itself, and what came.
    pub(super) fn ledger_hears(&mut self, index: usize, write: &Write) {
        let (Write::Put { entries, .. } | Write::PutWithMeta { entries, .. }) = write else { return };
        for entry in entries {
            if self.ledger.known.contains_key(&entry.id()) && self.ledger.made.contains(&entry.id()) {
                continue;
            }
            let author = entry.view().author();
            let came = self.ledger.known.get(&entry.id()).is_some_and(|known| known.checked);
            if !came && (author == self.hosts[index].public || !self.is_honest(&author)) {
                // Composed here: by its own key, or by a root key that it made.
                self.ledger.made.insert(entry.id());
            }
            // What one signs oneself needs no check.
            self.ledger.note_checked(entry);
        }
    }

    fn is_honest(&self, key: &pleach_core::PublicKey) -> bool {
        self.hosts.iter().any(|host| host.public == *key)
    }

    /// Authenticity: what comes in an honest node's name was made by that node.
    pub(super) fn authentic(&mut self, index: usize, entry: &Entry) {
        let author = entry.view().author();
        if self.is_honest(&author) && !self.ledger.made.contains(&entry.id()) {
            self.break_off(format!(
                "authenticity: node {index} takes {} for an entry of {author}, which never made it",
                entry.id()
            ));
        }
    }

    /// What a write stored: its ancestors are there, and it may be stored.
    pub(super) fn put(&mut self, index: usize, write: &Write, put: &Put) {
        let (Write::Put { tree, .. } | Write::PutWithMeta { tree, .. }) = write else { return };
        for position in &put.stored {
            self.trace.bytes(position.id.as_bytes());
        }
        // What a store judges by may have rotted too: once it is repaired, all that it holds is looked at.
        if self.hosts[index].rotten {
            return;
        }
        let Ok(snapshot) = self.hosts[index].shelf.snapshot() else { return };
        for position in &put.stored {
            let Some(known) = self.ledger.known.get(&position.id) else {
                return self.break_off(format!(
                    "causal consistency: node {index} stored {} whose ancestors nobody has",
                    position.id
                ));
            };
            let (parents, valid) = (known.parents.clone(), known.valid);
            if !valid {
                return self.break_off(format!(
                    "no entry without authority: node {index} stored {}, which the rule refuses",
                    position.id
                ));
            }
            let there = snapshot.headers(tree, &parents);
            if there.is_ok_and(|there| there.iter().any(Option::is_none)) {
                return self.break_off(format!(
                    "no entry without its ancestors: node {index} stored {} without a parent",
                    position.id
                ));
            }
        }
        if !put.stored.is_empty() && self.chance.below(8) == 0 {
            self.check_shown(index, tree, &snapshot);
        }
    }

    /// Self-update: what is acknowledged is in the node's own store.
    pub(super) fn acknowledged(&mut self, index: usize, tree: Id, position: Position) {
        self.trace.bytes(position.id.as_bytes());
        self.commits += 1;
        let held =
            self.hosts[index].shelf.snapshot().and_then(|snapshot| snapshot.headers(&tree, &[position.id]));
        match held.as_deref() {
            Ok([Some(_)]) => {
                self.ledger.acknowledged.entry(index).or_default().insert((tree, position.id));
            }
            Err(_) => {}
            _ => self.break_off(format!(
                "self-update: node {index} acknowledged {} and does not hold it",
                position.id
            )),
        }
    }

    /// A node's store is not what it was: what it alone held is nobody's promise any more.
    pub(super) fn lost(&mut self, index: usize) {
        let promised = self.ledger.acknowledged.remove(&index).unwrap_or_default();
        self.ledger.newest.retain(|(host, ..), _| *host != index);
        self.trace.say(self.now, index, format_args!("{} promises are void", promised.len()));
    }

    /// What was asked last stands: a request for access that was recorded earlier does not take its place.
    pub(super) fn check_requests(&mut self, index: usize) {
        if self.hosts[index].rotten {
            return;
        }
        let Ok(snapshot) = self.hosts[index].shelf.snapshot() else { return };
        let (Ok(open), Ok(decided)) = (pending_requests(&*snapshot), decided_requests(&*snapshot)) else {
            return;
        };
        for request in open.iter().chain(&decided) {
            let newest = self.ledger.newest.entry((index, request.key, request.tree)).or_default();
            let asked = self.ledger.asked.get(&request.id).copied().flatten();
            let is_open = request.status == RequestStatus::Pending;
            let before = *newest;
            *newest = before.max(request.signed);
            if let Some(asked) = asked.filter(|asked| is_open && *asked < before) {
                return self.break_off(format!(
                    "no replay has an effect: node {index} keeps a request signed at {asked} behind one signed at {before}"
                ));
            }
        }
    }

    /// Convergence: equal tips mean equal content.
    fn check_shown(&mut self, index: usize, tree: &Id, snapshot: &Arc<dyn Snapshot>) {
        let Ok(Some(summary)) = snapshot.summary(tree) else { return };
        if summary.flips || self.hosts[index].rotten {
            return;
        }
        let Ok(content) = content_hash(snapshot, tree) else { return };
        let now = (content, summary.measure.count);
        let before = *self.ledger.shown.entry((*tree, summary.tips.fingerprint().0)).or_insert(now);
        if before != now {
            self.break_off(format!(
                "convergence: node {index} shows other content than somebody who had the same tips ({} entries, {} there)",
                now.1, before.1
            ));
        }
    }

    /// Everything about one node.
    pub(super) fn check_host(&mut self, index: usize) {
        let host = &self.hosts[index];
        if host.rotten || !host.is_up() {
            return;
        }
        let Ok(snapshot) = host.shelf.snapshot() else { return };
        for tree in self.trees.clone() {
            if let Err(why) = self.check_tree(&tree, &snapshot) {
                self.break_off(format!("{why} (node {index})"));
            }
            self.check_shown(index, &tree, &snapshot);
        }
        let Some(promised) = self.ledger.acknowledged.get(&index) else { return };
        for (tree, id) in promised.clone() {
            if matches!(snapshot.headers(&tree, &[id]).as_deref(), Ok([None])) {
                return self.break_off(format!(
                    "nothing acknowledged is lost: node {index} acknowledged {id} and lost it"
                ));
            }
        }
    }

    /// Bounded memory: what a node has under way.
    pub(super) fn check_memory(&mut self, index: usize) {
        let host = &self.hosts[index];
        let (snapshots, writes) = (host.snapshots.len(), host.under_way);
        self.most.snapshots = self.most.snapshots.max(snapshots);
        self.most.writes = self.most.writes.max(writes);
        for (what, count, limit) in [("snapshots", snapshots, MAX_SNAPSHOTS), ("writes", writes, MAX_WRITES)]
        {
            if count > limit {
                return self
                    .break_off(format!("bounded memory: node {index} has {count} {what}, at most {limit}"));
            }
        }
    }

    /// Whether a node has no write under way, and no snapshot open but for its exchanges: one that waits for news keeps what
    /// it asked from.
    pub(super) fn is_idle(&self, index: usize) -> bool {
        let host = &self.hosts[index];
        host.snapshots.len() <= host.ends.len() && host.under_way == 0
    }

    /// Bounded memory: a node that never came to rest keeps what nobody needs.
    pub(super) fn never_idle(&mut self, index: usize) {
        let host = &self.hosts[index];
        self.break_off(format!(
            "bounded memory: node {index} never rests: {} snapshots, {} writes, {} exchanges",
            host.snapshots.len(),
            host.under_way,
            host.ends.len()
        ));
    }

    /// What a node that has nothing to do keeps in memory.
    pub(super) fn check_resting(&mut self, index: usize) {
        let Some(node) = &self.hosts[index].node else { return };
        let mut bytes = Length(0);
        // Counting does not fail.
        let _ = write!(bytes, "{node:?}");
        let Length(bytes) = bytes;
        self.most.resting = self.most.resting.max(bytes);
        if bytes > MAX_RESTING {
            self.break_off(format!(
                "bounded memory: node {index} at rest is {bytes} bytes of text, at most {MAX_RESTING}"
            ));
        }
    }

    fn check_tree(&mut self, tree: &Id, snapshot: &Arc<dyn Snapshot>) -> Result<(), String> {
        let failed = |error: StorageError| error.to_string();
        let Some(summary) = snapshot.summary(tree).map_err(failed)? else { return Ok(()) };
        if summary.flips {
            return Ok(());
        }
        let rows = [STORE, TWIN].map(|store| rows(snapshot, tree, store));
        let [one, two] = rows;
        let (one, two) = (one.map_err(failed)?, two.map_err(failed)?);
        // An audit would find it too, in other words.
        self.check_atomic(&one, &two)?;
        let audit = snapshot.audit(tree, None, MAX_BATCH_ENTRIES).map_err(failed)?;
        if let Some((id, fault)) = audit.faults.first() {
            return Err(format!("audit: {fault} of {id}"));
        }
        let entries = self.ledger.trees.get(tree).map(|grown| grown.entries.clone()).unwrap_or_default();
        let headers = snapshot.headers(tree, &entries).map_err(failed)?;
        let stored: Vec<Id> =
            entries.iter().zip(&headers).filter(|(_, header)| header.is_some()).map(|(id, _)| *id).collect();
        let held: BTreeSet<Id> = stored.iter().copied().collect();
        for id in &stored {
            let known = &self.ledger.known[id];
            if !known.valid {
                return Err(format!("no entry without authority: {id} is stored, and the rule refuses it"));
            }
            if known.parents.iter().any(|parent| !held.contains(parent)) {
                return Err(format!("no entry without its ancestors: {id} is stored without a parent"));
            }
        }
        let arrivals = snapshot.arrivals(tree, 0, usize::MAX >> 1).map_err(failed)?;
        // What was masked and counts again has arrived once more, in no order.
        let revokes = self.ledger.trees.get(tree).is_some_and(|grown| grown.revokes);
        let came: BTreeMap<Id, u64> =
            arrivals.iter().map(|(number, position)| (position.id, *number)).collect();
        let listed = snapshot.positions(tree, &Range::ALL, usize::MAX >> 1).map_err(failed)?;
        let listed: BTreeSet<Id> = listed.into_iter().map(|position| position.id).collect();
        for id in &listed {
            let number =
                came.get(id).ok_or(format!("causal consistency: {id} is shared and never arrived"))?;
            if revokes {
                continue;
            }
            let parents = self.ledger.known.get(id).map(|known| &known.parents[..]).unwrap_or_default();
            if let Some(parent) =
                parents.iter().find(|parent| came.get(parent).is_none_or(|before| before > number))
            {
                return Err(format!("causal consistency: {id} arrived before its parent {parent}"));
            }
        }
        if let Some(unknown) = listed.iter().find(|id| !held.contains(id)) {
            return Err(format!(
                "no entry without its ancestors: {unknown} is shared, and nobody has all below it"
            ));
        }
        if self.ledger.rules(tree) {
            let (counts, shared) = self.ledger.counts(tree, &stored);
            if shared != listed {
                let more = listed.difference(&shared).count();
                let less = shared.difference(&listed).count();
                return Err(format!(
                    "invariant preservation: {more} are shared that should not be, {less} are not that should be"
                ));
            }
            let unlawful = one.iter().chain(&two).find(|row| !counts.contains(&row.stamp.position.id));
            if let Some(row) = unlawful {
                let id = row.stamp.position.id;
                let known = &self.ledger.known[&id];
                let author = self.ledger.trees[tree].names[&known.author];
                return Err(format!(
                    "invariant preservation: {id} does not count and is shown (author {author}, stored {}, made here {}, settings above {:?}, of {} stored)",
                    held.contains(&id),
                    self.ledger.made.contains(&id),
                    known.above,
                    stored.iter().filter(|id| self.ledger.known[*id].place.is_some()).count(),
                ));
            }
            let shown: BTreeSet<Id> = one.iter().map(|row| row.stamp.position.id).collect();
            let hidden = counts.iter().find(|id| self.ledger.made_value(id) && !shown.contains(id));
            if let Some(hidden) = hidden {
                return Err(format!("invariant preservation: {hidden} counts and is not shown"));
            }
        }
        Ok(())
    }

    /// Atomicity: of what an honest node wrote to two stores in one commit both are there, or neither.
    fn check_atomic(&self, one: &[Row], two: &[Row]) -> Result<(), String> {
        let of = |rows: &[Row]| -> BTreeSet<Id> {
            let made = rows.iter().filter(|row| self.ledger.made.contains(&row.stamp.position.id));
            made.map(|row| row.stamp.position.id).collect()
        };
        match of(one).symmetric_difference(&of(two)).next() {
            Some(id) => Err(format!("atomicity: {id} wrote to two stores, and one shows it")),
            None => Ok(()),
        }
    }

    /// Everything.
    pub(super) fn check_all(&mut self) {
        for index in 0..self.hosts.len() {
            self.check_host(index);
        }
    }

    /// Honest nodes that may not read a tree, as the first node knows it.
    pub(super) fn shut_out(&self, tree: &Id) -> Result<Vec<usize>, StorageError> {
        let first = self.hosts[0].shelf.snapshot()?;
        let everybody = first.permission(tree, &Who::Everyone)?;
        let mut out = Vec::new();
        for (index, host) in self.hosts.iter().enumerate() {
            let own = first.permission(tree, &Who::Key(host.public))?;
            if own.max(everybody) < Some(Permission::Read) {
                out.push(index);
            }
        }
        Ok(out)
    }

    /// Whether all honest nodes hold the same of every tree: how many were compared with the first; else who does not.
    pub(super) fn converged(&self) -> Result<usize, String> {
        if let Some(index) = self.hosts.iter().position(|host| host.rotten) {
            return Err(format!("node {index} is not whole again"));
        }
        let mut compared = 0;
        for tree in &self.trees {
            if let Some(index) = self.shut_out(tree).map_err(|error| error.to_string())?.first() {
                return Err(format!("node {index} may not read"));
            }
            let first = self.hosts[0].shelf.snapshot().map_err(|error| error.to_string())?;
            let Ok(Some(summary)) = first.summary(tree) else { return Err("node 0 lost the tree".into()) };
            for (index, host) in self.hosts.iter().enumerate().skip(1) {
                let there = host.shelf.snapshot().and_then(|snapshot| snapshot.summary(tree));
                let there = there.map_err(|error| format!("node {index}: {error}"))?;
                let Some(there) = there else {
                    return Err(format!("node {index} holds nothing of the tree"));
                };
                if there.tips != summary.tips || there.measure != summary.measure || there.flips {
                    return Err(format!(
                        "node {index} has {} entries and {} tips, node 0 {} and {}",
                        there.measure.count, there.tips.count, summary.measure.count, summary.tips.count
                    ));
                }
                compared += 1;
            }
        }
        Ok(compared)
    }

    /// Eventual update: what was acknowledged and still counts is at every honest node at the end. The first stands for all:
    /// they hold the same.
    pub(super) fn check_updates(&mut self) {
        let Ok(first) = self.hosts[0].shelf.snapshot() else { return };
        let promised: Vec<(usize, (Id, Id))> = self
            .ledger
            .acknowledged
            .iter()
            .flat_map(|(index, ids)| ids.iter().map(|id| (*index, *id)))
            .collect();
        for (index, (tree, id)) in promised {
            let own = self.hosts[index].shelf.snapshot().and_then(|snapshot| snapshot.headers(&tree, &[id]));
            if !matches!(own.as_deref(), Ok([Some(header)]) if header.shared) {
                continue;
            }
            self.promised += 1;
            if matches!(first.headers(&tree, &[id]).as_deref(), Ok([None])) {
                self.break_off(format!(
                    "eventual update: node {index} acknowledged {id}, and node 0 never heard of it"
                ));
            }
        }
    }
}

impl super::ledger::Ledger {
    /// Whether an honest node made it, and it writes values.
    fn made_value(&self, id: &Id) -> bool {
        self.made.contains(id)
            && self.known.get(id).is_some_and(|known| {
                known.entry.view().stores().iter().any(|store| store.name == STORE) && !known.settings
            })
    }
}

fn rows(snapshot: &Arc<dyn Snapshot>, tree: &Id, store: &str) -> Result<Vec<Row>, StorageError> {
    snapshot.rows(
        tree,
        &RowQuery {
            store: store.into(),
            kind: RowKind::Map,
            paths: Paths::All,
            after: None,
            of_path: OfPath::All,
            limit: usize::MAX >> 1,
        },
    )
}

/// Counts what is written.
struct Length(usize);

impl fmt::Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}
