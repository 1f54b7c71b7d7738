//! Callers that wait until all pending work was attempted.

use alloc::{collections::BTreeSet, vec::Vec};

use crate::{
    Id, PublicKey,
    node::{CommandId, NodeError, SyncReport},
};

/// What became of a pair of tree and peer that had something pending.
///
/// ```
/// # use pleach_blocking::{Attempt, Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork, Permission, Sync, SyncPeerInfo, Who};
/// # let network = MemoryNetwork::new();
/// # let (alice, bob) = (Instance::open(Memory::new())?, Instance::open(Memory::new())?);
/// # let (serving, sync) = (Sync::new(&alice)?, Sync::new(&bob)?);
/// # serving.register_transport("memory", network.builder().bind("alice"))?;
/// # sync.register_transport("memory", network.builder().bind("bob"))?;
/// # let place = serving.accept_connections()?.remove(0);
/// # let grants = vec![(Who::Key(bob.device_key()), Permission::Write(100))];
/// # let db = Database::create_with(&alice, DatabaseKey::Device, Doc::new(), grants)?;
/// # let tree = db.root_id();
/// sync.register_sync_peer(SyncPeerInfo::new(alice.device_key(), tree, vec![place]))?;
/// let attempts: Vec<Attempt> = sync.flush()?;
/// assert!(attempts.iter().all(|attempt| attempt.tree == tree && attempt.outcome.is_ok()));
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The tree.
    pub tree: Id,
    /// The peer.
    pub peer: PublicKey,
    /// How it went. After a failure the background tries again in time.
    pub outcome: Result<SyncReport, NodeError>,
}

#[derive(Clone, Debug)]
struct Flush {
    command: CommandId,
    waiting: BTreeSet<(Id, PublicKey)>,
    done: Vec<Attempt>,
}

/// All callers that wait. There are as many as callers of this program.
#[derive(Clone, Debug, Default)]
pub(super) struct Flushes(Vec<Flush>);

impl Flushes {
    /// A caller waits for these pairs.
    pub(super) fn begin(&mut self, command: CommandId, pairs: Vec<(Id, PublicKey)>) {
        self.0.push(Flush { command, waiting: pairs.into_iter().collect(), done: Vec::new() });
    }

    /// The background has attempted a pair.
    pub(super) fn attempted(&mut self, tree: Id, peer: PublicKey, outcome: &Result<SyncReport, NodeError>) {
        for flush in &mut self.0 {
            if flush.waiting.remove(&(tree, peer)) {
                flush.done.push(Attempt { tree, peer, outcome: outcome.clone() });
            }
        }
    }

    /// Those that need wait no longer, with what became of their pairs; pairs about which this does not hold are not waited
    /// for any more.
    pub(super) fn take(
        &mut self,
        is_pending: impl Fn(&Id, &PublicKey) -> bool,
    ) -> Vec<(CommandId, Vec<Attempt>)> {
        for flush in &mut self.0 {
            flush.waiting.retain(|(tree, peer)| is_pending(tree, peer));
        }
        let over = |flush: &Flush| flush.waiting.is_empty();
        let (over, waiting) = core::mem::take(&mut self.0).into_iter().partition(over);
        self.0 = waiting;
        over.into_iter().map(|flush: Flush| (flush.command, flush.done)).collect()
    }
}
