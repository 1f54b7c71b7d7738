//! The writes of one tree: one in flight, the others in line. Commits that wait together become one write.

use alloc::{boxed::Box, collections::VecDeque, vec::Vec};

use crate::{
    Id, Position, SecretKey,
    entry::{Permission, VerifiedEntry},
    limits::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES},
    node::{
        BootstrapRequest, CommandId, Commit, CommitContext, Damage, ExchangeId, NodeError, Read,
        compose::{Composer, newest_of},
        outbox::{Outbox, Waiting},
        outcome::{Outcome, appended, created, merged, redeemed},
        redeeming::Redeeming,
    },
    storage::{MetaChanges, Put, Repaired, StorageError, Write, Written},
    wire::Redemption,
};

/// Something that changes a tree.
#[derive(Clone, Debug)]
pub(super) enum Job {
    Commit(CommandId, Commit),
    /// A commit that stands beside an entry and what builds on it.
    Undo(CommandId, Id, Box<Commit>),
    /// A new tree's first entry, and the key that signed it.
    Create(CommandId, VerifiedEntry, MetaChanges),
    Append(CommandId, Vec<VerifiedEntry>),
    /// Entries from a peer, as they came in one frame.
    Ingest(ExchangeId, Vec<VerifiedEntry>),
    /// A merge for a partial holder, over these tips and all others, signed with this key.
    Merge(ExchangeId, Box<SecretKey>, Vec<Position>),
    /// A grant for the bearer of an invite, signed with this key unless only the root key may.
    Redeem(Box<BootstrapRequest>, Box<Redemption>, Box<SecretKey>),
    Drop(CommandId),
    /// What was masked when it came may go.
    Tidy,
    Repair(Repair),
}

/// Damaged entries that a report names: of more it gives the number.
const NAMED: usize = 256;

/// Making the tree whole again, step by step.
#[derive(Clone, Debug, Default)]
pub(super) struct Repair {
    /// Who asked for it, unless the node did.
    pub(super) command: Option<CommandId>,
    /// Although counts, sums and indexes fit.
    pub(super) thorough: bool,
    after: Option<Position>,
    rebuilt: bool,
    damage: Damage,
}

impl Repair {
    pub(super) fn new(command: Option<CommandId>, thorough: bool) -> Self {
        Self { command, thorough, ..Self::default() }
    }

    fn write(&self, tree: Id) -> Write {
        Write::Repair { tree, after: self.after, thorough: self.thorough }
    }

    /// Adds what a step found; says whether there is another.
    fn stepped(&mut self, step: Repaired) -> bool {
        self.rebuilt |= step.rebuilt;
        self.damage.waiting = self.damage.waiting.saturating_add(step.waiting);
        self.damage.count = self.damage.count.saturating_add(step.damaged.len() as u64);
        let room = NAMED.saturating_sub(self.damage.entries.len());
        self.damage.entries.extend(step.damaged.into_iter().take(room));
        self.after = step.next;
        step.next.is_some()
    }
}

/// Milliseconds after which to ask again about a tree that a revocation is on its way through: a few steps of it.
pub(super) const FLIP_DELAY: u32 = 1_000;

/// Entries of which a store takes some in one write, since a revocation among them changes much, and the others after it.
#[derive(Clone, Debug)]
struct Putting {
    entries: Vec<VerifiedEntry>,
    /// Those before this one have been taken.
    from: usize,
    put: Put,
}

/// What the write in flight is for.
#[derive(Clone, Debug)]
enum Flight {
    Nothing,
    /// These commits wait for their context.
    Reading(Vec<(CommandId, Commit)>),
    /// These commits, each with the number of entries in the write up to and with its own.
    Commits(Vec<Composed>),
    Create(CommandId),
    Append(CommandId),
    /// This many frames of an exchange.
    Ingest(ExchangeId, usize),
    /// A merge waits for the tips.
    ReadingTips(ExchangeId, Box<SecretKey>, Vec<Position>),
    Merge(ExchangeId, Box<VerifiedEntry>),
    /// A grant for the bearer of an invite waits for what it needs to know.
    ReadingInvite(Permission),
    Redeem(Permission),
    Drop(CommandId),
    Tidy,
    Repair(Repair),
}

/// A commit whose entry is in the write in flight.
#[derive(Clone, Debug)]
struct Composed {
    command: CommandId,
    commit: Commit,
    position: Position,
    entries: usize,
}

/// The writes of one tree.
#[derive(Clone, Debug)]
pub(super) struct Writes {
    tree: Id,
    line: VecDeque<Job>,
    flight: Flight,
    /// The entries of the write in flight, if it puts some.
    putting: Option<Putting>,
}

impl Writes {
    pub(super) const fn new(tree: Id) -> Self {
        Self { tree, line: VecDeque::new(), flight: Flight::Nothing, putting: None }
    }

    pub(super) fn push(&mut self, job: Job, out: &mut Outbox) {
        self.line.push_back(job);
        self.start(out);
    }

    /// The tree goes: what peers have brought of it is not written behind that, or it would come back.
    pub(super) fn forsake(&mut self) -> Vec<Outcome> {
        let (gone, line) = core::mem::take(&mut self.line)
            .into_iter()
            .partition(|job| matches!(job, Job::Ingest(..) | Job::Merge(..)));
        self.line = line;
        let gone: VecDeque<Job> = gone;
        let told = gone.into_iter().filter_map(|job| match job {
            Job::Ingest(exchange, _) => {
                Some(Outcome::Ingested { exchange, frames: 1, result: Ok(Put::default()) })
            }
            Job::Merge(exchange, ..) => Some(Outcome::Merged { exchange, merge: None }),
            _ => None,
        });
        told.collect()
    }

    /// Whether nothing is in flight or in line.
    pub(super) fn is_idle(&self) -> bool {
        self.line.is_empty() && matches!(self.flight, Flight::Nothing)
    }

    fn start(&mut self, out: &mut Outbox) {
        if !matches!(self.flight, Flight::Nothing) {
            return;
        }
        let Some(job) = self.line.pop_front() else { return };
        let tree = self.tree;
        self.flight = match job {
            Job::Commit(command, commit) => self.start_commits(command, commit, out),
            Job::Undo(command, entry, commit) => {
                let (author, paths) = (commit.key.public(), commit.paths.clone());
                let read = Read::Commit { tree, author, paths, without: Some(entry) };
                out.read_once(Waiting::Commit(tree), read);
                Flight::Reading(alloc::vec![(command, *commit)])
            }
            Job::Create(command, root, meta) => {
                let entries = alloc::vec![root];
                out.write(Waiting::Write(tree), Write::PutWithMeta { tree, entries, meta });
                Flight::Create(command)
            }
            Job::Append(command, entries) => {
                self.put(entries, out);
                Flight::Append(command)
            }
            Job::Ingest(exchange, entries) => self.start_ingest(exchange, entries, out),
            Job::Merge(exchange, key, tips) => {
                let (author, named) = (key.public(), tips.iter().map(|tip| tip.id).collect());
                out.read_once(Waiting::Commit(tree), Read::Merge { tree, author, named });
                Flight::ReadingTips(exchange, key, tips)
            }
            Job::Redeem(request, invite, own) => {
                let permission = invite.invite.permission;
                out.read_once(Waiting::Commit(tree), Read::Redeem { request, invite, own });
                Flight::ReadingInvite(permission)
            }
            Job::Drop(command) => {
                out.write(Waiting::Write(tree), Write::Drop { tree });
                Flight::Drop(command)
            }
            Job::Tidy => {
                out.write(Waiting::Write(tree), Write::Tidy { tree });
                Flight::Tidy
            }
            Job::Repair(repair) => {
                out.write(Waiting::Write(tree), repair.write(tree));
                Flight::Repair(repair)
            }
        };
    }

    fn start_commits(&mut self, command: CommandId, commit: Commit, out: &mut Outbox) -> Flight {
        let mut bytes = size(&commit);
        let author = commit.key.public();
        let mut commits = alloc::vec![(command, commit)];
        while let Some(Job::Commit(_, next)) = self.line.front() {
            bytes = bytes.saturating_add(size(next));
            if commits.len() >= MAX_BATCH_ENTRIES / 2 || bytes > MAX_BATCH_BYTES {
                break;
            }
            if let Some(Job::Commit(command, commit)) = self.line.pop_front() {
                commits.push((command, commit));
            }
        }
        let paths = commits.iter().flat_map(|(_, commit)| commit.paths.iter().cloned()).collect();
        let read = Read::Commit { tree: self.tree, author, paths, without: None };
        out.read_once(Waiting::Commit(self.tree), read);
        Flight::Reading(commits)
    }

    /// Frames of one exchange that wait in line are written together.
    fn start_ingest(
        &mut self,
        exchange: ExchangeId,
        entries: Vec<VerifiedEntry>,
        out: &mut Outbox,
    ) -> Flight {
        let mut all = entries;
        let mut bytes: usize = all.iter().map(|entry| entry.bytes().len()).sum();
        let mut frames = 1_usize;
        while let Some(Job::Ingest(other, next)) = self.line.front() {
            bytes = bytes.saturating_add(next.iter().map(|entry| entry.bytes().len()).sum());
            let count = all.len().saturating_add(next.len());
            if *other != exchange || count > MAX_BATCH_ENTRIES || bytes > MAX_BATCH_BYTES {
                break;
            }
            if let Some(Job::Ingest(_, mut next)) = self.line.pop_front() {
                all.append(&mut next);
                frames = frames.saturating_add(1);
            }
        }
        self.put(all, out);
        Flight::Ingest(exchange, frames)
    }

    /// The commits that waited have what they need: compose them and write.
    pub(super) fn context(
        &mut self,
        reply: Result<CommitContext, NodeError>,
        wall: u64,
        out: &mut Outbox,
    ) -> Vec<Outcome> {
        let flight = core::mem::replace(&mut self.flight, Flight::Nothing);
        let commits = match flight {
            Flight::Reading(commits) => commits,
            Flight::ReadingTips(exchange, key, tips) => {
                return self.merge(exchange, &key, &tips, (reply, wall), out);
            }
            Flight::ReadingInvite(_) => {
                self.start(out);
                let failed = match reply {
                    Err(NodeError::Storage(error)) => Err(error),
                    _ => Ok(None),
                };
                return alloc::vec![Outcome::Redeemed(failed)];
            }
            flight => {
                self.flight = flight;
                return Vec::new();
            }
        };
        let context = match reply {
            Ok(context) => context,
            Err(error) => return self.fail_all(commits, &error, out),
        };
        let mut outcomes = Vec::new();
        let mut flight = Vec::new();
        let mut composer = Composer::new(self.tree, wall, context.tips.clone());
        let newest: Vec<&[u64]> = newest_of(&context, commits.iter().map(|(_, commit)| commit)).collect();
        for ((command, commit), newest) in commits.iter().zip(newest) {
            let command = *command;
            match composer.add(commit, newest) {
                Ok(position) => flight.push(Composed {
                    command,
                    commit: commit.clone(),
                    position,
                    entries: composer.entries(),
                }),
                Err(error) => outcomes.push(Outcome::Committed { command, result: Err(error.into()) }),
            }
        }
        if flight.is_empty() {
            self.start(out);
        } else {
            self.put(composer.into_entries(), out);
            self.flight = Flight::Commits(flight);
        }
        outcomes
    }

    /// The tips are known: write the merge.
    fn merge(
        &mut self,
        exchange: ExchangeId,
        key: &SecretKey,
        tips: &[Position],
        (reply, wall): (Result<CommitContext, NodeError>, u64),
        out: &mut Outbox,
    ) -> Vec<Outcome> {
        if let Ok(context) = reply {
            let mut composer = Composer::new(self.tree, wall, context.tips);
            if let Ok(merge) = composer.merge_naming(key, tips) {
                self.put(composer.into_entries(), out);
                self.flight = Flight::Merge(exchange, Box::new(merge));
                return Vec::new();
            }
        }
        self.start(out);
        alloc::vec![Outcome::Merged { exchange, merge: None }]
    }

    /// What is to be granted to the bearer of an invite is known: write it, with the note that belongs to it.
    pub(super) fn redeem(
        &mut self,
        redeeming: Option<Box<Redeeming>>,
        wall: u64,
        out: &mut Outbox,
    ) -> Vec<Outcome> {
        let Flight::ReadingInvite(permission) = self.flight else { return Vec::new() };
        if let Some(redeeming) = redeeming {
            let Redeeming { commit, context, meta } = *redeeming;
            let mut composer = Composer::new(self.tree, wall, context.tips);
            if composer.add(&commit, &context.newest).is_ok() {
                let (tree, entries) = (self.tree, composer.into_entries());
                out.write(Waiting::Write(tree), Write::PutWithMeta { tree, entries, meta });
                self.flight = Flight::Redeem(permission);
                return Vec::new();
            }
        }
        self.flight = Flight::Nothing;
        self.start(out);
        alloc::vec![Outcome::Redeemed(Ok(None))]
    }

    fn fail_all(
        &mut self,
        commits: Vec<(CommandId, Commit)>,
        error: &NodeError,
        out: &mut Outbox,
    ) -> Vec<Outcome> {
        self.start(out);
        let fail = |(command, _)| Outcome::Committed { command, result: Err(error.clone()) };
        commits.into_iter().map(fail).collect()
    }

    /// The write in flight has returned.
    pub(super) fn written(
        &mut self,
        result: Result<Written, StorageError>,
        out: &mut Outbox,
    ) -> Vec<Outcome> {
        let put = match result {
            Ok(Written::Put(put)) => match self.joined(put, out) {
                Some(put) => Ok(put),
                None => return Vec::new(),
            },
            Ok(Written::Done) => Ok(Put::default()),
            Ok(Written::Repaired(step)) => return self.repaired(Ok(step), out),
            Err(error) if matches!(self.flight, Flight::Repair(_)) => return self.repaired(Err(error), out),
            #[cfg(feature = "planted-faults")]
            Err(_) if crate::planted::is_awake(crate::planted::Planted::FailuresAcknowledged) => {
                Ok(Put::default())
            }
            Err(error) => Err(error),
        };
        let outcomes = match core::mem::replace(&mut self.flight, Flight::Nothing) {
            Flight::Commits(commits) => self.committed(commits, put),
            Flight::Create(command) => created(command, put),
            Flight::Append(command) => appended(command, put),
            Flight::Ingest(exchange, frames) => {
                alloc::vec![Outcome::Ingested { exchange, frames, result: put }]
            }
            Flight::Merge(exchange, merge) => merged(exchange, &merge, put),
            Flight::Redeem(permission) => redeemed(permission, put),
            Flight::Drop(command) => {
                let behind = if put.is_ok() { self.forsake() } else { Vec::new() };
                let result = put.map(|_| ()).map_err(NodeError::from);
                [Outcome::Dropped { command, result }].into_iter().chain(behind).collect()
            }
            // What could not be dropped now is dropped the next time.
            Flight::Tidy => Vec::new(),
            flight @ (Flight::Nothing
            | Flight::Reading(_)
            | Flight::ReadingTips(..)
            | Flight::ReadingInvite(_)
            | Flight::Repair(_)) => {
                self.flight = flight;
                return Vec::new();
            }
        };
        self.start(out);
        outcomes
    }

    fn put(&mut self, entries: Vec<VerifiedEntry>, out: &mut Outbox) {
        let write = Write::Put { tree: self.tree, entries: entries.clone() };
        self.putting = Some(Putting { entries, from: 0, put: Put::default() });
        out.write(Waiting::Write(self.tree), write);
    }

    /// What has come of all the entries in flight; nothing if a revocation among them is on its way: then it goes on at
    /// once, so that nothing comes between.
    fn joined(&mut self, put: Put, out: &mut Outbox) -> Option<Put> {
        let Some(Putting { entries, from, put: before }) = self.putting.take() else { return Some(put) };
        let put = before.joined(put, &entries, from);
        let Some(from) = put.unfinished else { return Some(put) };
        let rest = entries.get(from..).unwrap_or_default().to_vec();
        self.putting = Some(Putting { entries, from, put });
        out.write(Waiting::Write(self.tree), Write::Put { tree: self.tree, entries: rest });
        None
    }

    /// A step of a repair is durable: the next one follows at once, so that no write comes between.
    fn repaired(&mut self, step: Result<Repaired, StorageError>, out: &mut Outbox) -> Vec<Outcome> {
        let Flight::Repair(mut repair) = core::mem::replace(&mut self.flight, Flight::Nothing) else {
            return Vec::new();
        };
        let result = match step {
            Ok(step) => {
                if repair.stepped(step) {
                    self.line.push_front(Job::Repair(repair));
                    self.start(out);
                    return Vec::new();
                }
                Ok(repair.rebuilt.then_some(repair.damage))
            }
            Err(error) => Err(error.into()),
        };
        self.start(out);
        alloc::vec![Outcome::Repaired { command: repair.command, result }]
    }

    /// Commits stand one on top of the other: all before a refused one are durable, those after it are composed
    /// again without it.
    fn committed(&mut self, commits: Vec<Composed>, put: Result<Put, StorageError>) -> Vec<Outcome> {
        let put = match put {
            Ok(put) => put,
            Err(error) => {
                let fail = |commit: Composed| Outcome::Committed {
                    command: commit.command,
                    result: Err(error.clone().into()),
                };
                return commits.into_iter().map(fail).collect();
            }
        };
        let durable = put.stored.len().saturating_add(put.known);
        let mut outcomes = alloc::vec![Outcome::Wrote(put.stored)];
        let Some((id, refusal)) = put.refused else {
            // On all tips, what is valid counts. What stands on some of them may not.
            let counts = put.masked == 0;
            let done = |Composed { command, position, .. }| Outcome::Committed {
                command,
                result: if counts { Ok(position) } else { Err(NodeError::Masked(position.id)) },
            };
            outcomes.extend(commits.into_iter().map(done));
            return outcomes;
        };
        let mut refused = Some(NodeError::Refused(id, refusal));
        let mut again = Vec::new();
        for commit in commits {
            let command = commit.command;
            if commit.entries <= durable {
                outcomes.push(Outcome::Committed { command, result: Ok(commit.position) });
            } else if let Some(error) = refused.take() {
                outcomes.push(Outcome::Committed { command, result: Err(error) });
            } else {
                again.push(Job::Commit(command, commit.commit));
            }
        }
        for job in again.into_iter().rev() {
            self.line.push_front(job);
        }
        outcomes
    }
}

fn size(commit: &Commit) -> usize {
    commit.stores.iter().map(|(name, data)| name.len().saturating_add(data.len())).sum()
}
