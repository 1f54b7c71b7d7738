//! From what is due to what was reached: relations, races and exchanges carried to each other.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use crate::{
    Id, PublicKey,
    node::{
        CommandId, ConnectionState, ExchangeId, Node, NodeError, PairStatus, PeerState, PeerStatus, Petition,
        Reply, Tracking,
        ended::{Ended, Outcome},
        initiator::Purpose,
        outbox::Waiting,
        races::Start,
        record,
        relations::Due,
        waits::Wait,
    },
    storage::{MetaChange, Write},
    wire::{Address, AskOutcome, Salt},
};

impl Node {
    /// Makes a tree the same here and at the first of these addresses that answers.
    pub(super) fn sync_any(&mut self, command: CommandId, tree: Id, addresses: Vec<Address>) {
        let purpose = Purpose::Sync { command, tree, salt: Salt(self.entropy.draw()) };
        self.races.begin(purpose, addresses, self.now.monotonic);
    }

    /// Asks for access at the first of these addresses that answers.
    pub(super) fn ask_any(
        &mut self,
        command: CommandId,
        tree: Id,
        petition: Petition,
        addresses: Vec<Address>,
    ) {
        match petition.ask(tree, self.public_key()) {
            Ok(ask) => {
                self.races.begin(Purpose::Ask { command, ask }, addresses, self.now.monotonic);
            }
            Err(error) => self.out.reply(command, Err(error)),
        }
    }

    /// Opens an exchange that no other address can stand in for.
    pub(super) fn open(&mut self, purpose: Purpose, address: Address) {
        self.races.begin(purpose, Vec::from([address]), self.now.monotonic);
    }

    pub(super) fn track(&mut self, command: CommandId, mut tracking: Tracking) {
        let own = self.public_key();
        let auth = tracking.auth.take().map(|petition| petition.ask(tracking.tree, own)).transpose();
        let reply = auth.map(|auth| {
            self.exchanges.expect(tracking.peer, tracking.tree, self.now);
            let (peer, addresses) = (tracking.peer, tracking.addresses.clone());
            if let Some(race) = self.relations.set(tracking, auth, self.now) {
                let addresses = addresses.into_iter().map(|address| address.with_key(peer));
                self.races.join(race, addresses);
            }
            Reply::Done
        });
        self.out.reply(command, reply);
    }

    pub(super) fn untrack(&mut self, tree: Id, peer: PublicKey) {
        for race in self.relations.end(&tree, &peer) {
            let running = self.races.cancel(race);
            self.let_go(running);
        }
        self.keep(record::forget(&tree, &peer));
    }

    /// Ends all that is tracked of a tree.
    pub(super) fn untrack_all(&mut self, tree: &Id) {
        for peer in self.relations.peers_of(tree) {
            self.untrack(*tree, peer);
        }
    }

    /// A tree goes, or has gone: what is under way about it ends, so that nothing of it comes back by what has seen it.
    pub(super) fn forsake(&mut self, tree: Id) {
        for (command, running) in self.races.forsake(&tree) {
            self.let_go(running);
            self.out.reply(command, Err(NodeError::UnknownTree(tree)));
        }
        self.exchanges.forsake(tree, self.now, &mut self.out);
    }

    /// What waits for news of a pair says what is not true any more, or waits for nobody.
    fn stay_no_more(&mut self, tree: Id, peer: PublicKey) {
        if let Some(race) = self.relations.take_stay(tree, peer) {
            let waiting = self.races.cancel(race);
            self.let_go(waiting);
        }
    }

    /// Changes metadata by which nothing is promised to anybody.
    fn keep(&mut self, change: MetaChange) {
        self.out.write(Waiting::Nobody, Write::Meta([change].into()));
    }

    pub(super) fn set_peer(&mut self, peer: PublicKey, status: PeerStatus) {
        self.peers.set(peer, Some(status));
        self.stand(peer, status);
    }

    pub(super) fn forget_peer(&mut self, peer: PublicKey) {
        self.peers.forget(&peer, self.now.monotonic);
        self.stand(peer, PeerStatus::Active);
    }

    fn stand(&mut self, peer: PublicKey, status: PeerStatus) {
        // Paused first: what a block ends is not begun again.
        self.relations.pause(peer, status != PeerStatus::Active, self.now.monotonic);
        self.exchanges.block(peer, status == PeerStatus::Blocked, self.now, &mut self.out);
    }

    /// Carries what is due, has answered and has ended on, until nothing is left.
    pub(super) fn settle_exchanges(&mut self) {
        loop {
            let now = self.now.monotonic;
            let losers = self.races.watch(|id| self.exchanges.standing(id), now);
            self.let_go(losers);
            self.take_turns();
            if let Some((id, ended)) = self.exchanges.take_ended() {
                let (ended, losers) = self.races.ended(id, ended, now);
                self.let_go(losers);
                if let Some(ended) = ended {
                    self.ended(ended);
                }
            } else if let Some(Start { race, purpose, address, since }) = self.races.start(now) {
                match self.exchanges.open(purpose, address.clone(), since, self.now, &mut self.out) {
                    Ok(id) => self.races.started(race, id, address),
                    Err(error) => {
                        let ended = self.races.not_started(race, address, error, now);
                        if let Some(ended) = ended {
                            self.ended(ended);
                        }
                    }
                }
            } else if let Some(ended) = self.races.empty() {
                self.ended(ended);
            } else if let Some(due) = self.relations.due(now) {
                let (tree, peer) = (due.tree, due.peer);
                let purpose = Purpose::Track { tree, peer, salt: Salt(self.entropy.draw()) };
                let addresses = due.addresses.into_iter().map(|address| address.with_key(peer)).collect();
                let race = self.races.begin(purpose, addresses, now);
                self.relations.synchronizes(tree, peer, race);
            } else if let Some(Due { tree, peer, addresses }) = self.relations.to_stay(now) {
                let purpose = Purpose::Stay { tree, peer, salt: Salt(self.entropy.draw()) };
                let addresses = addresses.into_iter().map(|address| address.with_key(peer)).collect();
                let race = self.races.begin(purpose, addresses, now);
                self.relations.stays(tree, peer, race);
            } else {
                break;
            }
        }
        self.settle_waits();
        while let Some(peer) = self.out.take_met() {
            self.peers.met(peer, self.now.wall, self.now.monotonic);
        }
        while let Some((tree, peer, counts)) = self.out.take_served() {
            self.history.served(tree, peer, &counts, self.now);
        }
        if let Some((write, changes)) = self.history.changes(self.now.monotonic) {
            self.out.write(Waiting::History(write), Write::Meta(changes.into()));
        }
        let changes = self.peers.changes(self.now.monotonic);
        if !changes.is_empty() {
            self.out.write(Waiting::Nobody, Write::Meta(changes.into()));
        }
    }

    /// Where one of several peers brings a tree, the others do later.
    fn take_turns(&mut self) {
        let (races, exchanges) = (&self.races, &self.exchanges);
        let standing = |race| races.leader(race).map(|id| exchanges.standing(id)).unwrap_or_default();
        for race in self.relations.watch(standing, self.now.monotonic) {
            let running = self.races.cancel(race);
            self.let_go(running);
        }
    }

    fn let_go(&mut self, exchanges: Vec<ExchangeId>) {
        for id in exchanges {
            self.exchanges.close(id, &mut self.out);
        }
    }

    /// Something that this node began has come to its end, at whichever address.
    fn ended(&mut self, ended: Ended) {
        let entries = ended.for_history(self.now.wall);
        let mut change = None;
        match ended.about_pair() {
            Some((tree, peer, Outcome::Synced(report))) => {
                let tracked = ended.is_tracked();
                if report.moved() {
                    self.stay_no_more(tree, peer);
                }
                let record = self.relations.synced(report, peer, tracked, self.now);
                change = record.map(|record| record.change(&tree, &peer));
                // What came up meanwhile is attempted before whoever waits hears of it.
                if tracked && !self.relations.is_pending(&tree, &peer, self.now.monotonic) {
                    self.flushes.attempted(tree, peer, &Ok(report.clone()));
                }
                self.out.met(peer);
            }
            Some((tree, peer, Outcome::Failed(error))) => {
                self.stay_no_more(tree, peer);
                self.flushes.attempted(tree, peer, &Err(error.clone()));
                let record = self.relations.failed(tree, peer, error, self.now, &mut self.entropy);
                change = record.map(|record| record.change(&tree, &peer));
                if change.is_some()
                    && let Some((ask, addresses)) = self.relations.application(tree, peer)
                {
                    let addresses = addresses.into_iter().map(|address| address.with_key(peer)).collect();
                    let race = self.races.begin(Purpose::Apply { peer, ask }, addresses, self.now.monotonic);
                    self.relations.started(tree, peer, race);
                }
            }
            Some((_, peer, Outcome::Stayed(report))) => {
                let tree = report.tree;
                let record = self.relations.stayed(report, peer, self.now);
                change = record.map(|record| record.change(&tree, &peer));
            }
            Some((tree, peer, Outcome::Left(error))) => {
                self.relations.left(tree, peer, error, self.now.monotonic);
            }
            Some((tree, peer, Outcome::Asked(outcome))) => {
                self.relations.applied(tree, peer, Some(outcome), self.now.monotonic);
            }
            Some((tree, peer, Outcome::NotAsked)) => {
                self.relations.applied(tree, peer, None, self.now.monotonic);
            }
            None => {}
        }
        if !entries.is_empty() {
            let (write, mut changes) = self.history.opened(entries);
            changes.extend(change);
            self.out.write(Waiting::History(write), Write::Meta(changes.into()));
        } else if let Some(change) = change {
            self.keep(change);
        }
        ended.report(&mut self.out);
    }

    /// What is known of a pair at this moment.
    pub(super) fn pair(&self, tree: Id, peer: PublicKey) -> Option<PairStatus> {
        let (mut status, race) = self.relations.status(tree, peer, self.now.monotonic)?;
        status.peer = self.peers.status(&peer);
        if let Some(exchange) = race.and_then(|race| self.races.leader(race)) {
            status.activity = self.exchanges.activity(exchange, self.now);
        }
        Some(status)
    }

    /// What is known of peers at this moment.
    pub(super) fn peer_states(&self) -> Vec<PeerState> {
        let mut all = BTreeMap::<PublicKey, ConnectionState>::new();
        let met = self.peers.seen().keys().map(|key| (*key, ConnectionState::Disconnected));
        let failing = self.relations.failing().map(|key| (key, ConnectionState::Failed));
        // A blocked peer that calls is heard out as a stranger is; that is no connection.
        let blocked = |peer: &PublicKey| self.peers.status(peer) == PeerStatus::Blocked;
        let live = self.exchanges.connections().filter(|(peer, _)| !blocked(peer));
        for (peer, state) in met.chain(failing).chain(live) {
            let furthest = all.entry(peer).or_default();
            *furthest = state.max(*furthest);
        }
        let seen = self.peers.seen();
        let states = all.into_iter();
        states
            .map(|(peer, connection)| PeerState { peer, connection, seen: seen.get(&peer).copied() })
            .collect()
    }

    pub(super) fn await_sync(&mut self, wait: Wait) {
        self.waits.push(wait);
    }

    fn settle_waits(&mut self) {
        let (relations, now) = (&self.relations, self.now.monotonic);
        for (command, attempts) in self.flushes.take(|tree, peer| relations.is_pending(tree, peer, now)) {
            self.out.reply(command, Ok(Reply::Flushed(attempts)));
        }
        let relations = &self.relations;
        let over = |tree: &Id, peer: &PublicKey| {
            relations.have_synced(tree, peer) || !relations.are_about(tree, peer)
        };
        for wait in self.waits.take(self.now.monotonic, over) {
            let Wait { command, tree, peer, within, .. } = wait;
            let reply = if self.relations.have_synced(&tree, &peer) {
                Ok(Reply::Done)
            } else if self.relations.are_about(&tree, &peer) {
                let why = self.pair(tree, peer).map(|status| what_hinders(&status)).unwrap_or_default();
                Err(NodeError::NotSynced { tree, millis: within.unwrap_or_default(), why })
            } else {
                Err(NodeError::NotTracked(tree, peer))
            };
            self.out.reply(command, reply);
        }
    }
}

/// Why a pair is not the same yet.
fn what_hinders(status: &PairStatus) -> String {
    match (&status.record.last_error, status.asked) {
        _ if status.peer == PeerStatus::Blocked => "the peer is blocked here: unblock it".into(),
        (_, Some(AskOutcome::Rejected)) => "an administrator rejected the access request".into(),
        (_, Some(AskOutcome::Received)) => "nobody has decided about the access request".into(),
        (Some(error), _) => format!("the last attempt failed: {}", error.reason),
        (None, _) if status.followed => "it is still under way: give it more time".into(),
        (None, _) => "the background has no address of the peer: add one".into(),
    }
}
