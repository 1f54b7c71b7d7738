//! Questions that the node asks of a snapshot.

use alloc::{
    boxed::Box,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use crate::{
    Id, Position, PublicKey, Range, SecretKey,
    document::{DocumentError, newest_time},
    entry::{Entry, Permission, Who},
    limits::MAX_BATCH_ENTRIES,
    node::{
        BootstrapRequest, Difference, FurtherKeys, NodeError, RequestStatus,
        difference::difference,
        history::forget_history,
        known,
        redeeming::{self, Redeeming, Worth},
        requests::{self, Receipt},
        undo::tips_without,
    },
    session::{ARRIVALS, Known, OwnedAnswer, Query, answer},
    storage::{MetaChange, MetaChanges, Snapshot, StorageError},
    wire::{AskOutcome, Have, MAX_TREE_NAME, NAMED_TIPS, Redemption, TREES_PAGE, Tips, TreeLine},
};

/// Tips read at a time.
const TIPS_PAGE: usize = 4_096;

/// Arrivals read at a time.
const ARRIVALS_PAGE: usize = 4_096;

/// Bytes that the length of an entry takes in a frame at most: entries are shorter than 2^21 bytes.
pub(super) const LENGTH: usize = 3;

/// A question, answered by [`perform`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Read {
    /// What a commit needs to know.
    Commit {
        /// The tree.
        tree: Id,
        /// Who will sign: tips among whose ancestors a grant lets this key write come first.
        author: PublicKey,
        /// Store and path of everything written.
        paths: Vec<(String, String)>,
        /// Leave this entry and its descendants out of the tips.
        without: Option<Id>,
    },
    /// Whether a tree is held, and whether a peer may read it.
    Admit {
        /// The tree.
        tree: Id,
        /// The node key that the peer has proven, if any.
        proven: Option<PublicKey>,
        /// Its further keys.
        shown: FurtherKeys,
        /// The tips that it named, if it wants to hear of others only.
        tips: Option<Box<Tips>>,
    },
    /// A session's question.
    Session {
        /// The tree.
        tree: Id,
        /// The question.
        query: Box<Query>,
    },
    /// Entries of ranges, for a frame.
    Load {
        /// The tree.
        tree: Id,
        /// The ranges, ascending.
        ranges: Vec<Range>,
        /// Bytes of the entries and their lengths at most.
        bytes: usize,
        /// Only what has arrived behind this number, if there is one.
        since: Option<u64>,
    },
    /// What a partial holder lacks.
    Difference {
        /// What it has said of itself.
        have: Box<Have>,
        /// The ids of its ring.
        ids: Vec<Id>,
        /// This node's key: an advance is signed with it.
        own: PublicKey,
        /// What its keys may do.
        rights: Rights,
    },
    /// What a merge for a partial holder needs to know, while no other write of the tree is under way.
    Merge {
        /// The tree.
        tree: Id,
        /// Who will sign.
        author: PublicKey,
        /// What it is to name beside all tips: nothing that is not shared any more.
        named: Vec<Id>,
    },
    /// What becomes of an access request.
    Ask {
        /// The request, received now.
        request: Box<BootstrapRequest>,
        /// The invite that came with it.
        invite: Option<Box<Redemption>>,
        /// This node's key.
        own: PublicKey,
        /// How many requests may be open.
        most: usize,
    },
    /// What is to be written for the bearer of an invite, while no other write of the tree is under way.
    Redeem {
        /// The request.
        request: Box<BootstrapRequest>,
        /// The invite that came with it.
        invite: Box<Redemption>,
        /// This node's key, which signs the grant unless only the root key may.
        own: Box<SecretKey>,
    },
    /// How an access request is decided.
    Decide {
        /// The request, by its id.
        request: Id,
        /// What was decided.
        status: RequestStatus,
    },
    /// What the metadata keep of syncs that ended before this, in wall milliseconds, and are to forget.
    Forget {
        /// Wall milliseconds.
        before: u64,
    },
    /// The trees that a peer may read.
    Trees {
        /// The node key that the peer has proven, if any.
        proven: Option<PublicKey>,
        /// Its further keys.
        shown: FurtherKeys,
        /// Continue behind this tree.
        after: Option<Id>,
    },
}

/// The answer to a [`Read`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadReply {
    /// To [`Read::Commit`] and [`Read::Merge`], or what is wrong with the question.
    Commit(Result<CommitContext, NodeError>),
    /// To [`Read::Admit`].
    Admit {
        /// Whether the peer may read the tree.
        admission: Admission,
        /// The key whose grant says so, if one does: the node key, or else a further one.
        by: Option<PublicKey>,
        /// Whether the peer may write to it.
        may_write: bool,
        /// What was last known of the peer.
        known: Option<Known>,
        /// Whether the tips of the tree are those that the peer named.
        same: bool,
    },
    /// To [`Read::Admit`] and [`Read::Trees`], whatever is held: a further key is shown with a false proof.
    Forged,
    /// To [`Read::Session`].
    Session(OwnedAnswer),
    /// To [`Read::Load`].
    Load {
        /// The entries, ascending.
        entries: Vec<Entry>,
        /// The first entry of the ranges that is not among them.
        next: Option<Position>,
    },
    /// To [`Read::Difference`].
    Difference(Difference),
    /// To [`Read::Ask`]: the answer, and the change of metadata that comes before it.
    Ask {
        /// The answer.
        outcome: AskOutcome,
        /// The change of metadata that comes before it.
        change: MetaChanges,
        /// Whether the request waits for a decision now, and did not before.
        is_new: bool,
    },
    /// To [`Read::Ask`]: the invite that came with it lets its bearer in.
    Invited,
    /// To [`Read::Redeem`]; nothing if the invite lets nobody in any more.
    Redeem(Option<Box<Redeeming>>),
    /// To [`Read::Decide`]: the change of metadata; nothing if no such request is open.
    Decide(Option<MetaChanges>),
    /// To [`Read::Forget`]: the change by which they do.
    Forget(Vec<MetaChange>),
    /// To [`Read::Trees`].
    Trees {
        /// At most [`TREES_PAGE`].
        lines: Vec<TreeLine>,
        /// Whether there are more.
        more: bool,
    },
}

/// Whether a peer may read a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Admission {
    /// The tree is not held.
    Unknown,
    /// It is held, and the peer may not read it.
    Denied,
    /// It is held, and everybody may read it, this peer too.
    Public,
    /// It is held, and the peer may read it by a grant that names a key of its: it may more than everybody.
    Granted,
}

impl Admission {
    /// Whether the peer may read the tree.
    pub const fn may_read(self) -> bool {
        matches!(self, Self::Public | Self::Granted)
    }
}

/// What the keys of a peer may do in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rights {
    /// Whether they may read it.
    pub admission: Admission,
    /// Whether they may write to it.
    pub may_write: bool,
    /// The key whose grant lets them read, if one does.
    pub by: Option<PublicKey>,
}

/// What a commit needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitContext {
    /// What the entry stands on: all tips, or those without what is undone.
    pub tips: Vec<Position>,
    /// The time of the newest write at, above or below each path asked about; 0 if there is none.
    pub newest: Vec<u64>,
}

/// Answers a question from a snapshot. Blocks for as long as the store takes.
pub fn perform(snapshot: &Arc<dyn Snapshot>, read: &Read) -> Result<ReadReply, StorageError> {
    match read {
        Read::Commit { tree, author, paths, without } => {
            told(commit_context(snapshot, tree, author, paths, without.as_ref()))
        }
        Read::Admit { tree, proven, shown, tips } => {
            let Some(keys) = keys_of(*proven, shown) else { return Ok(ReadReply::Forged) };
            let (Rights { admission, may_write, by }, known) =
                (admit(snapshot, tree, &keys)?, known(snapshot, tree, proven.as_ref())?);
            let same = tips.as_ref().map_or(Ok(false), |tips| has_tips(snapshot, tree, tips))?;
            Ok(ReadReply::Admit { admission, by, may_write, known, same })
        }
        Read::Session { tree, query } => answer(&**snapshot, tree, query).map(ReadReply::Session),
        Read::Load { tree, ranges, bytes, since: None } => load(snapshot, tree, ranges, *bytes),
        Read::Load { tree, ranges, bytes, since: Some(since) } => {
            load_arrivals(snapshot, tree, ranges, *bytes, *since)
        }
        Read::Difference { have, ids, own, rights } => {
            difference(snapshot, have, ids, own, *rights).map(ReadReply::Difference)
        }
        Read::Merge { tree, author, named } => merge_context(snapshot, tree, author, named),
        Read::Ask { request, invite, own, most } => {
            let worth = invite.as_ref().map(|invite| redeeming::weigh(&**snapshot, request, invite, own));
            let Receipt { outcome, change, is_new } = match worth.transpose()? {
                Some(Worth::Grant(_)) => return Ok(ReadReply::Invited),
                Some(Worth::Held(held)) => Receipt {
                    outcome: AskOutcome::Approved(held),
                    change: requests::unseen(request),
                    is_new: false,
                },
                Some(Worth::Nothing) | None => requests::receive(snapshot, request, own, *most)?,
            };
            Ok(ReadReply::Ask { outcome, change: change.into(), is_new })
        }
        Read::Redeem { request, invite, own } => {
            redeeming::redeem(snapshot, request, invite, own).map(ReadReply::Redeem)
        }
        Read::Decide { request, status } => {
            let change = requests::decide(snapshot, request, *status)?;
            Ok(ReadReply::Decide(change.map(Into::into)))
        }
        Read::Forget { before } => forget_history(&**snapshot, *before).map(ReadReply::Forget),
        Read::Trees { proven, shown, after } => match keys_of(*proven, shown) {
            Some(keys) => trees(snapshot, &keys, *after),
            None => Ok(ReadReply::Forged),
        },
    }
}

pub(super) fn commit_context(
    snapshot: &Arc<dyn Snapshot>,
    tree: &Id,
    author: &PublicKey,
    paths: &[(String, String)],
    without: Option<&Id>,
) -> Result<CommitContext, NodeError> {
    if snapshot.summary(tree)?.is_none() {
        return Err(NodeError::UnknownTree(*tree));
    }
    let mut tips = Vec::new();
    loop {
        let page = snapshot.tips(tree, tips.last().copied(), TIPS_PAGE)?;
        let last = page.len() < TIPS_PAGE;
        tips.extend(page);
        if last {
            break;
        }
    }
    if let Some(entry) = without {
        tips = tips_without(&**snapshot, tree, entry, &tips)?;
    }
    if tips.len() > crate::limits::MAX_PARENTS {
        tips = writable_first(snapshot, tree, author, tips)?;
    }
    let newest = paths
        .iter()
        .map(|(store, path)| Ok(newest_time(snapshot, tree, store, path)?.unwrap_or(0)))
        .collect::<Result<_, DocumentError>>()
        .map_err(|error| match error {
            DocumentError::Storage(error) => error,
            other => StorageError::Damaged(other.to_string()),
        })?;
    Ok(CommitContext { tips, newest })
}

fn told(context: Result<CommitContext, NodeError>) -> Result<ReadReply, StorageError> {
    match context {
        Err(NodeError::Storage(error)) => Err(error),
        context => Ok(ReadReply::Commit(context)),
    }
}

/// What counted when the difference was looked for may be masked by now.
fn merge_context(
    snapshot: &Arc<dyn Snapshot>,
    tree: &Id,
    author: &PublicKey,
    named: &[Id],
) -> Result<ReadReply, StorageError> {
    for (id, header) in named.iter().zip(snapshot.headers(tree, named)?) {
        if !header.is_some_and(|header| header.shared) {
            return Ok(ReadReply::Commit(Err(NodeError::Masked(*id))));
        }
    }
    told(commit_context(snapshot, tree, author, &[], None))
}

/// Merges are written over the first tips first: those whose ancestors let the author write.
fn writable_first(
    snapshot: &Arc<dyn Snapshot>,
    tree: &Id,
    author: &PublicKey,
    tips: Vec<Position>,
) -> Result<Vec<Position>, StorageError> {
    let ids: Vec<Id> = tips.iter().map(|tip| tip.id).collect();
    let (mut first, mut then) = (Vec::new(), Vec::new());
    let mut known = alloc::collections::BTreeMap::new();
    for (tip, header) in tips.into_iter().zip(snapshot.headers(tree, &ids)?) {
        let Some(header) = header else { continue };
        let writes = if let Some(writes) = known.get(&header.view) {
            *writes
        } else {
            let permission = snapshot.permission_in(tree, header.view, &Who::Key(*author))?;
            let writes = permission.is_some_and(Permission::writes);
            known.insert(header.view, writes);
            writes
        };
        if writes { first.push(tip) } else { then.push(tip) }
    }
    first.append(&mut then);
    Ok(first)
}

/// All keys of a peer, the node key first; nothing if one is shown with a false proof.
fn keys_of(node: Option<PublicKey>, shown: &FurtherKeys) -> Option<Vec<PublicKey>> {
    Some(node.into_iter().chain(shown.keys()?.iter().copied()).collect())
}

/// What the best of these keys may do, and which that is. As much is looked up whatever is found.
fn admit(snapshot: &Arc<dyn Snapshot>, tree: &Id, keys: &[PublicKey]) -> Result<Rights, StorageError> {
    let held = snapshot.summary(tree)?.is_some();
    let everyone = snapshot.permission(tree, &Who::Everyone)?;
    let mut by = None;
    let mut may_write = everyone.is_some_and(Permission::writes);
    for key in keys {
        let own = snapshot.permission(tree, &Who::Key(*key))?;
        may_write |= own.is_some_and(Permission::writes);
        // A key that everybody may be has no more than everybody has.
        by = by.or(own.filter(|own| Some(*own) != everyone).map(|_| *key));
    }
    let (admission, by) = match (held, everyone, by) {
        (false, ..) => (Admission::Unknown, None),
        #[cfg(feature = "planted-faults")]
        (true, None, None) if crate::planted::is_awake(crate::planted::Planted::StrangersRead) => {
            (Admission::Granted, None)
        }
        (true, None, None) => (Admission::Denied, None),
        (true, Some(_), None) => (Admission::Public, None),
        (true, _, by) => (Admission::Granted, by),
    };
    Ok(Rights { admission, may_write, by })
}

fn has_tips(snapshot: &Arc<dyn Snapshot>, tree: &Id, tips: &Tips) -> Result<bool, StorageError> {
    let Some(summary) = snapshot.summary(tree)? else { return Ok(false) };
    let first = snapshot.tips(tree, None, NAMED_TIPS)?;
    Ok(!summary.flips && Tips::of(&summary.tips, &first) == *tips)
}

fn known(
    snapshot: &Arc<dyn Snapshot>,
    tree: &Id,
    peer: Option<&PublicKey>,
) -> Result<Option<Known>, StorageError> {
    let Some(peer) = peer else { return Ok(None) };
    Ok(snapshot.meta(&known::place(tree, peer))?.and_then(|value| known::read(&value)))
}

fn load(
    snapshot: &Arc<dyn Snapshot>,
    tree: &Id,
    ranges: &[Range],
    bytes: usize,
) -> Result<ReadReply, StorageError> {
    let mut all: Vec<Entry> = Vec::new();
    let mut room = bytes;
    for range in ranges {
        let mut range = *range;
        while !range.is_empty() {
            let entries = snapshot.entries(tree, &range, MAX_BATCH_ENTRIES, room)?;
            let Some(last) = entries.last() else { break };
            range.start = last.position().next();
            for entry in entries {
                let size = entry.bytes().len().saturating_add(LENGTH);
                if size > room || all.len() >= MAX_BATCH_ENTRIES {
                    return Ok(ReadReply::Load { next: Some(entry.position()), entries: all });
                }
                room = room.saturating_sub(size);
                all.push(entry);
            }
        }
    }
    Ok(ReadReply::Load { entries: all, next: None })
}

/// What arrived behind a number, by position.
fn load_arrivals(
    snapshot: &Arc<dyn Snapshot>,
    tree: &Id,
    ranges: &[Range],
    bytes: usize,
    since: u64,
) -> Result<ReadReply, StorageError> {
    let mut positions = Vec::new();
    let mut after = since;
    while after.saturating_sub(since) < ARRIVALS {
        let page = snapshot.arrivals(tree, after, ARRIVALS_PAGE)?;
        let inside = |position: &Position| ranges.iter().any(|range| range.contains(position));
        positions.extend(page.iter().map(|(_, position)| *position).filter(inside));
        match page.last() {
            Some((last, _)) if page.len() == ARRIVALS_PAGE => after = *last,
            _ => break,
        }
    }
    positions.sort_unstable();
    // What came back into the shared set has arrived twice.
    positions.dedup();
    let mut entries = Vec::new();
    let mut room = bytes;
    for position in positions {
        let [Some(header)] = snapshot.headers(tree, &[position.id])?[..] else { continue };
        // What arrived and was masked since is offered no more.
        let entry = if header.shared { snapshot.entry(tree, &position.id)? } else { None };
        let Some(entry) = entry else { continue };
        let size = entry.bytes().len().saturating_add(LENGTH);
        if size > room {
            return Ok(ReadReply::Load { entries, next: Some(position) });
        }
        room = room.saturating_sub(size);
        entries.push(entry);
    }
    Ok(ReadReply::Load { entries, next: None })
}

fn trees(
    snapshot: &Arc<dyn Snapshot>,
    keys: &[PublicKey],
    after: Option<Id>,
) -> Result<ReadReply, StorageError> {
    let mut lines = Vec::new();
    let mut after = after;
    loop {
        let page = snapshot.trees(after, TREES_PAGE)?;
        let last = page.len() < TREES_PAGE;
        for tree in page {
            after = Some(tree);
            if !admit(snapshot, &tree, keys)?.admission.may_read() {
                continue;
            }
            if lines.len() == TREES_PAGE {
                return Ok(ReadReply::Trees { lines, more: true });
            }
            lines.extend(tree_line(snapshot, tree)?);
        }
        if last {
            return Ok(ReadReply::Trees { lines, more: false });
        }
    }
}

fn tree_line(snapshot: &Arc<dyn Snapshot>, tree: Id) -> Result<Option<TreeLine>, StorageError> {
    let Some(summary) = snapshot.summary(&tree)? else { return Ok(None) };
    let mut name = heapless::String::new();
    for character in summary.name.chars() {
        if name.push(character).is_err() {
            break;
        }
    }
    let _: &heapless::String<MAX_TREE_NAME> = &name;
    let mut changed = 0;
    for tip in snapshot.tips(&tree, None, NAMED_TIPS)? {
        if let Some(entry) = snapshot.entry(&tree, &tip.id)? {
            changed = changed.max(entry.view().time());
        }
    }
    Ok(Some(TreeLine { tree, name, count: summary.measure.count, changed }))
}
