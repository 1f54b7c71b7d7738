//! The node itself: where events go, and what follows from them.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

use crate::{
    Entropy, Id, Now, Position, PublicKey, SecretKey,
    node::{
        Action, Command, CommandId, Damage, Event, ExchangeId, Limits, NodeError, Notification, Number,
        Origin, Read, ReadReply, Reply,
        create::create_root,
        deciding::{Decision, Requests, Settled},
        exchanges::{Caller, Exchanges},
        flush::Flushes,
        history::History,
        initiator::Purpose,
        outbox::{Outbox, Waiting},
        outcome::Outcome,
        peers::Peers,
        races::Races,
        relations::Relations,
        repairs::Repairs,
        waits::{Wait, Waits},
        writes::{Job, Repair, Writes},
    },
    storage::{StorageError, Write, Written},
};

/// Milliseconds after which masked entries go on which nothing that counts was built: what builds on them may come with
/// the peer's next request, which is an exchange of its own over some transports.
const TIDY_AFTER: u64 = 60_000;

/// The engine of a Pleach node, without IO.
///
/// Methods come in four kinds. *Commands* enter as [`Event::Command`]. [`Node::handle`] takes one event and the
/// time; [`Node::poll_action`] gives what is to be done, and must be called until it returns nothing;
/// [`Node::deadline`] says when to call [`Node::handle`] with [`Event::Tick`] if nothing else happens. Time must not
/// run backwards; if it does, deadlines are late and nothing else breaks.
///
/// ```
/// use pleach_core::{Now, SecretKey, node::{Action, Command, CommandId, Event, Limits, Node}};
///
/// let mut node = Node::new(SecretKey::from_bytes([1; 32]), [2; 32], Limits::new());
/// let creator = node.public_key();
/// let create = Command::Create { creator, settings: Default::default(), grants: vec![] };
/// node.handle(Now { monotonic: 0, wall: 1_700_000_000_000 }, Event::Command(CommandId(1), create));
/// // The root key goes to the store with the root, or not at all.
/// assert!(matches!(node.poll_action(), Some(Action::Write { .. })));
/// ```
#[derive(Clone, Debug)]
pub struct Node {
    key: SecretKey,
    pub(super) entropy: Entropy,
    pub(super) now: Now,
    pub(super) out: Outbox,
    writes: BTreeMap<Id, Writes>,
    pub(super) exchanges: Exchanges,
    pub(super) races: Races,
    pub(super) relations: Relations,
    pub(super) peers: Peers,
    pub(super) waits: Waits,
    pub(super) flushes: Flushes,
    pub(super) history: History,
    requests: Requests,
    /// Trees into which masked entries have come, and when they are tidied.
    untidy: BTreeMap<Id, u64>,
    repairs: Repairs,
    /// Trees in the making: their id, until the root is durable.
    creating: BTreeMap<CommandId, Id>,
}

impl Node {
    /// A node with a key of its own and 32 random bytes, from which it draws salts, nonces and root keys. Whether it can keep
    /// to the limits was checked.
    pub fn new(key: SecretKey, seed: [u8; 32], limits: Limits) -> Self {
        Self {
            exchanges: Exchanges::new(key.public(), limits),
            key,
            entropy: Entropy::new(seed),
            now: Now::default(),
            out: Outbox::default(),
            writes: BTreeMap::new(),
            races: Races::default(),
            relations: Relations::default(),
            peers: Peers::new(limits),
            waits: Waits::default(),
            flushes: Flushes::default(),
            history: History::new(limits),
            requests: Requests::new(limits),
            untidy: BTreeMap::new(),
            repairs: Repairs::default(),
            creating: BTreeMap::new(),
        }
    }

    /// The node key.
    pub fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    /// What to do next, until it returns nothing.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.out.pop()
    }

    /// When to call [`Node::handle`] at the latest, in monotonic milliseconds.
    pub fn deadline(&self) -> Option<u64> {
        // While an exchange is about such a tree, its own deadline comes again.
        let quiet = self.untidy.iter().filter(|(tree, _)| !self.exchanges.are_about(tree));
        let tidy = quiet.map(|(_, due)| *due).min();
        let all = [
            self.relations.deadline(),
            self.races.deadline(),
            self.exchanges.deadline(),
            self.waits.deadline(),
            self.peers.deadline(),
            self.history.deadline(),
            tidy,
        ];
        all.into_iter().flatten().min()
    }

    /// Takes one event.
    pub fn handle(&mut self, now: Now, event: Event) {
        self.now = now;
        match event {
            Event::Command(id, command) => self.handle_command(id, command),
            Event::Accepted { exchange, proven, source, arrival, signed } => {
                let caller = Caller { proven, source, arrival, signed };
                self.exchanges.accept(exchange, caller, now, &mut self.out);
            }
            Event::Exchange(id, event) => self.exchanges.event(id, event, now, &mut self.out),
            Event::Read(number, reply) => self.handle_read(number, reply),
            Event::Written(number, result) => self.handle_written(number, result),
            Event::Verified(number, result) => {
                if let Some(Waiting::Verify(id, frame)) = self.out.take(number) {
                    self.exchanges.verified(id, frame, result, now, &mut self.out);
                }
            }
            Event::Tick => self.exchanges.tick(now, &mut self.out),
        }
        self.settle();
    }

    /// Carries what one part has produced to the others, until nothing is left.
    fn settle(&mut self) {
        self.exchanges.resume(self.now, &mut self.out);
        while let Some((exchange, tree, entries)) = self.exchanges.take_ingest() {
            self.push(tree, Job::Ingest(exchange, entries));
        }
        while let Some((exchange, tree, tips)) = self.exchanges.take_merge(self.now, &mut self.out) {
            self.push(tree, Job::Merge(exchange, Box::new(self.key.clone()), tips));
        }
        if self.requests.is_free(self.now.wall, &mut self.out)
            && let Some((exchange, request)) = self.exchanges.take_request(self.now)
        {
            self.requests.ask(exchange, request, self.key.public(), &mut self.out);
        }
        let now = self.now.monotonic;
        let tidy = self.untidy.iter().filter(|(tree, due)| **due <= now && !self.exchanges.are_about(tree));
        for tree in tidy.map(|(tree, _)| *tree).collect::<Vec<Id>>() {
            self.untidy.remove(&tree);
            self.push(tree, Job::Tidy);
        }
        while let Some((tree, thorough)) = self.out.take_suspect() {
            if self.repairs.begin(tree, thorough, self.now.monotonic) {
                self.push(tree, Job::Repair(Repair::new(None, thorough)));
            }
        }
        self.settle_exchanges();
    }

    fn handle_command(&mut self, id: CommandId, command: Command) {
        match command {
            Command::Create { creator, settings, grants } => {
                match create_root(&mut self.entropy, self.now.wall, creator, &settings, &grants) {
                    Ok((tree, meta, root)) => {
                        self.creating.insert(id, tree);
                        self.push(tree, Job::Create(id, root, meta));
                    }
                    Err(error) => self.out.reply(id, Err(error)),
                }
            }
            Command::Commit(commit) => self.push(commit.tree, Job::Commit(id, commit)),
            Command::Undo { entry, commit } => self.push(commit.tree, Job::Undo(id, entry, Box::new(commit))),
            Command::Append { tree, entries } => self.push(tree, Job::Append(id, entries)),
            Command::Drop(tree) => {
                self.untrack_all(&tree);
                self.forsake(tree);
                let waiting = self.writes.get_mut(&tree).map(Writes::forsake).unwrap_or_default();
                self.conclude(tree, waiting);
                self.push(tree, Job::Drop(id));
            }
            Command::Repair(tree) => self.push(tree, Job::Repair(Repair::new(Some(id), true))),
            Command::Sync { address, tree } => self.sync_any(id, tree, Vec::from([address])),
            Command::SyncAny { addresses, tree } => self.sync_any(id, tree, addresses),
            Command::Connect(address) => self.open(Purpose::Connect { command: id }, address),
            Command::Discover(address) => self.open(Purpose::Discover { command: id }, address),
            Command::Ask { addresses, tree, petition } => self.ask_any(id, tree, petition, addresses),
            Command::Decide { request, by, granted } => {
                self.requests.decide(Decision { command: id, request, by, granted });
            }
            Command::Track(tracking) => self.track(id, *tracking),
            Command::Status { tree, peer } => {
                let status = self.pair(tree, peer).map(Box::new);
                self.out.reply(id, Ok(Reply::Pair(status)));
            }
            Command::Peers => {
                let peers = self.peer_states();
                self.out.reply(id, Ok(Reply::Peers(peers)));
            }
            Command::AwaitSync { tree, peer, within } => {
                self.await_sync(Wait { command: id, tree, peer, within, began: self.now.monotonic });
            }
            Command::Untrack { tree, peer } => {
                self.untrack(tree, peer);
                self.out.reply(id, Ok(Reply::Done));
            }
            Command::Nudge { tree, peer } => {
                let followed = self.relations.nudge(tree, peer, self.now.monotonic);
                let reply = if followed { Ok(Reply::Done) } else { Err(NodeError::NotTracked(tree, peer)) };
                self.out.reply(id, reply);
            }
            Command::Flush => {
                let pending = self.relations.flush(self.now.monotonic);
                self.flushes.begin(id, pending);
            }
            Command::History => self.out.reply(id, Ok(Reply::History(self.history.pending()))),
            Command::RecallHistory(marks) => {
                self.history.recall(marks);
                self.out.reply(id, Ok(Reply::Done));
            }
            Command::ForgetHistory { before } => {
                self.history.forget(id, before);
                self.out.read_once(Waiting::Forget(id), Read::Forget { before });
            }
            Command::Recall(seen) => {
                self.peers.recall(seen);
                self.out.reply(id, Ok(Reply::Done));
            }
            Command::SetPeer { peer, status } => {
                self.set_peer(peer, status);
                self.out.reply(id, Ok(Reply::Done));
            }
            Command::ForgetPeer(peer) => {
                self.forget_peer(peer);
                self.out.reply(id, Ok(Reply::Done));
            }
            Command::Meta(changes) => self.out.write(Waiting::Meta(id), Write::Meta(changes)),
        }
    }

    fn push(&mut self, tree: Id, job: Job) {
        self.writes.entry(tree).or_insert_with(|| Writes::new(tree)).push(job, &mut self.out);
    }

    /// What is read damaged is made whole again, whoever read it.
    fn notice_damage<T>(&mut self, waiting: Option<Waiting>, result: &Result<T, StorageError>) {
        let (Some(waiting), Err(StorageError::Damaged(_))) = (waiting, result) else { return };
        let tree = match waiting {
            Waiting::Commit(tree) | Waiting::Write(tree) => Some(tree),
            Waiting::Exchange(id) => self.exchanges.tree(id),
            _ => None,
        };
        if let Some(tree) = tree {
            self.out.suspect(tree, true);
        }
    }

    fn handle_read(&mut self, number: Number, reply: Result<ReadReply, StorageError>) {
        let waiting = self.out.take(number);
        self.notice_damage(waiting, &reply);
        match waiting {
            Some(Waiting::Commit(tree)) => {
                let Some(writes) = self.writes.get_mut(&tree) else { return };
                let (wall, out) = (self.now.wall, &mut self.out);
                let outcomes = match reply.map_err(NodeError::from) {
                    Ok(ReadReply::Commit(context)) => writes.context(context, wall, out),
                    Ok(ReadReply::Redeem(redeeming)) => writes.redeem(redeeming, wall, out),
                    Ok(other) => {
                        let bug = NodeError::Bug(alloc::format!("a commit was told {other:?}"));
                        writes.context(Err(bug), wall, out)
                    }
                    Err(error) => writes.context(Err(error), wall, out),
                };
                self.conclude(tree, outcomes);
            }
            Some(Waiting::Exchange(id)) => self.exchanges.read(id, reply, self.now, &mut self.out),
            Some(Waiting::Requests) => {
                let settled = self.requests.found(reply, &mut self.out);
                self.settled(settled);
            }
            Some(Waiting::Forget(id)) => {
                let flying = self.history.flew(id);
                match reply {
                    Ok(ReadReply::Forget(kept)) => {
                        let changes = kept.into_iter().chain(flying).collect();
                        self.out.write(Waiting::Meta(id), Write::Meta(changes));
                    }
                    Ok(other) => {
                        let bug = alloc::format!("the history was told {other:?}");
                        self.out.reply(id, Err(NodeError::Bug(bug)));
                    }
                    Err(error) => self.out.reply(id, Err(error.into())),
                }
            }
            _ => {}
        }
    }

    fn handle_written(&mut self, number: Number, result: Result<Written, StorageError>) {
        let waiting = self.out.take(number);
        self.notice_damage(waiting, &result);
        match waiting {
            Some(Waiting::Write(tree)) => {
                let Some(writes) = self.writes.get_mut(&tree) else { return };
                let outcomes = writes.written(result, &mut self.out);
                self.conclude(tree, outcomes);
            }
            Some(Waiting::Requests) => {
                let settled = self.requests.written(result.map(|_| ()));
                self.settled(settled);
            }
            Some(Waiting::History(write)) => self.history.written(write),
            Some(Waiting::Meta(id)) => {
                self.out.reply(id, result.map(|_| Reply::Done).map_err(NodeError::from));
            }
            _ => {}
        }
    }

    fn conclude(&mut self, tree: Id, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            match outcome {
                Outcome::Committed { command, result } => {
                    if matches!(result, Err(NodeError::Masked(_))) {
                        self.tidy_later(tree);
                    }
                    self.out.reply(command, result.map(Reply::Committed));
                }
                Outcome::Created { command, result } => {
                    let id = self.creating.remove(&command).unwrap_or(tree);
                    self.out.reply(command, result.map(|()| Reply::Created(id)));
                }
                Outcome::Appended { command, result } => {
                    self.out.reply(command, result.map(Reply::Appended));
                }
                Outcome::Dropped { command, result } => {
                    if result.is_ok() {
                        // What has begun since it was to go has seen it.
                        self.forsake(tree);
                    }
                    self.out.reply(command, result.map(|()| Reply::Done));
                }
                Outcome::Repaired { command, result } => self.repaired(tree, command, result),
                Outcome::Merged { exchange, merge } => {
                    self.exchanges.merged(exchange, merge.as_ref(), self.now, &mut self.out);
                }
                Outcome::Redeemed(result) => {
                    let settled = self.requests.redeemed(result, self.key.public(), &mut self.out);
                    self.settled(settled);
                }
                Outcome::Wrote(entries) => self.wrote(tree, entries, Origin::Local),
                Outcome::Ingested { exchange, frames, result } => {
                    let peer = self.exchanges.peer(exchange);
                    if let Ok(put) = &result {
                        if put.masked > 0 {
                            self.tidy_later(tree);
                        }
                        self.wrote(tree, put.stored.clone(), Origin::Remote(peer));
                    }
                    self.exchanges.ingested(exchange, frames, result, self.now, &mut self.out);
                }
            }
        }
        if self.writes.get(&tree).is_some_and(Writes::is_idle) {
            self.writes.remove(&tree);
        }
    }

    /// Tells who asked, and watchers if there was damage; peers may have what is missing.
    fn repaired(&mut self, tree: Id, command: Option<CommandId>, result: Result<Option<Damage>, NodeError>) {
        if let Ok(Some(damage)) = &result {
            self.relations.news(tree, None, self.now.monotonic);
            self.out.notify(Notification::Repaired { tree, damage: damage.clone() });
        }
        if let Some(command) = command {
            self.out.reply(command, result.map(|damage| Reply::Repaired(damage.unwrap_or_default())));
        }
    }

    /// Tells who asked, or who decided.
    fn settled(&mut self, settled: Option<Settled>) {
        match settled {
            Some(Settled::Asked(exchange, outcome)) => {
                self.exchanges.asked(exchange, &outcome, self.now, &mut self.out);
            }
            Some(Settled::Requested(exchange, outcome, request)) => {
                self.exchanges.asked(exchange, &Ok(outcome), self.now, &mut self.out);
                self.out.notify(Notification::Requested(request));
            }
            Some(Settled::Invited(request, invite)) => {
                let own = Box::new(self.key.clone());
                self.push(request.tree, Job::Redeem(request, invite, own));
            }
            Some(Settled::Decided(command, result)) => {
                if result.is_ok() {
                    self.exchanges.decided();
                }
                self.out.reply(command, result.map(|()| Reply::Done));
            }
            None => {}
        }
    }

    /// A masked entry has come into a tree.
    fn tidy_later(&mut self, tree: Id) {
        self.untidy.insert(tree, self.now.monotonic.saturating_add(TIDY_AFTER));
    }

    /// Tells watchers and peers of entries that are durable now.
    fn wrote(&mut self, tree: Id, entries: Vec<Position>, origin: Origin) {
        if entries.is_empty() {
            return;
        }
        let from = match origin {
            Origin::Local => None,
            Origin::Remote(peer) => peer,
        };
        self.relations.news(tree, from, self.now.monotonic);
        self.exchanges.news(tree, from, self.now, &mut self.out);
        self.out.notify(Notification::Wrote { tree, entries, origin });
    }

    /// Ids of exchanges under way, for a runtime that shuts down.
    pub fn exchanges(&self) -> impl Iterator<Item = ExchangeId> {
        self.exchanges.ids()
    }
}
