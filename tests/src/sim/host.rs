//! One honest process: its node, its store, and what it has under way.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use pleach_core::{
    Id, Now, PublicKey, SecretKey,
    entry::Entry,
    node::{
        Action, Command, CommandId, Event, ExchangeId, Limits, Node, NodeError, Notification, Number, Origin,
        Reply, SnapshotId, Tracking, perform,
    },
    storage::{Snapshot, StorageError, Write, Written},
};

use super::{Due, Sim, kinds::Fault, shelf::Shelf, wire::End};

/// When every world begins, in wall milliseconds.
pub(super) const BEGIN: u64 = 1_700_000_000_000;

/// What a caller waits for.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    Create,
    Commit(Id),
    Repair,
    Other,
}

pub(super) struct Host {
    /// Nothing while the process is dead.
    pub(super) node: Option<Node>,
    pub(super) key: SecretKey,
    pub(super) public: PublicKey,
    pub(super) shelf: Shelf,
    pub(super) snapshots: BTreeMap<SnapshotId, Result<Arc<dyn Snapshot>, StorageError>>,
    pub(super) ends: BTreeMap<ExchangeId, End>,
    pub(super) asked: BTreeMap<CommandId, Asked>,
    pub(super) commands: u64,
    pub(super) accepted: u64,
    /// Which process this is: what was under way in an earlier one is gone.
    pub(super) life: u64,
    pub(super) tick_at: u64,
    /// Its process stands still: what happens to it waits.
    pub(super) paused: bool,
    pub(super) backlog: VecDeque<Event>,
    /// Its wall clock is wrong by this.
    pub(super) skew: i64,
    /// Its monotonic clock is behind by this.
    pub(super) behind: u64,
    /// What is to be kept the same with whom: what a runtime has in `_sync`.
    pub(super) tracks: BTreeMap<(Id, usize), u64>,
    /// Its store may hold what nobody wrote, since a bit flipped.
    pub(super) rotten: bool,
    /// Its store takes no more.
    pub(super) stuck: bool,
    /// What it asked to be checked: that came from outside.
    pub(super) under_way: usize,
}

impl Host {
    pub(super) fn new(key: SecretKey, shelf: Shelf) -> Self {
        Self {
            node: None,
            public: key.public(),
            key,
            shelf,
            snapshots: BTreeMap::new(),
            ends: BTreeMap::new(),
            asked: BTreeMap::new(),
            commands: 0,
            accepted: 0,
            life: 0,
            tick_at: u64::MAX,
            paused: false,
            backlog: VecDeque::new(),
            skew: 0,
            behind: 0,
            tracks: BTreeMap::new(),
            rotten: false,
            stuck: false,
            under_way: 0,
        }
    }

    pub(super) const fn is_up(&self) -> bool {
        self.node.is_some()
    }
}

impl Sim {
    /// The process begins. If its store cannot be opened, somebody puts in another disk.
    pub(super) fn start(&mut self, index: usize) {
        let seed = self.chance.bytes();
        let salt = self.chance.bytes();
        let host = &mut self.hosts[index];
        if host.node.is_some() {
            return;
        }
        if let Err(error) = host.shelf.open() {
            let rotten = host.rotten;
            self.trace.say(self.now, index, format_args!("the store does not open: {error}"));
            if !rotten {
                self.break_off(format!(
                    "nothing acknowledged is lost: the store of node {index} does not open after a power cut: {error}"
                ));
            }
            self.hosts[index].shelf.replace(salt);
            self.hosts[index].rotten = false;
            self.lost(index);
        }
        let host = &mut self.hosts[index];
        host.node = Some(Node::new(host.key.clone(), seed, Limits::new()));
        host.life += 1;
        host.stuck = false;
        host.paused = false;
        host.tick_at = u64::MAX;
        self.trace.mark(self.now, index, 'R');
        self.trace.say(self.now, index, format_args!("begins"));
        let tracks: Vec<_> = self.hosts[index].tracks.iter().map(|(pair, every)| (*pair, *every)).collect();
        for ((tree, peer), every) in tracks {
            self.track(index, tree, peer, every);
        }
    }

    /// A disk that cannot be made whole again is thrown away.
    pub(super) fn give_up_disk(&mut self, index: usize) {
        self.trace.say(self.now, index, format_args!("its disk is given up"));
        self.kill(index);
        let salt = self.chance.bytes();
        self.hosts[index].shelf.replace(salt);
        self.hosts[index].rotten = false;
        self.lost(index);
        self.start(index);
    }

    /// The process dies; what it had under way is gone.
    pub(super) fn kill(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        host.node = None;
        host.life += 1;
        host.snapshots.clear();
        host.asked.clear();
        host.backlog.clear();
        host.under_way = 0;
        host.shelf.close();
        let ends: Vec<u64> = std::mem::take(&mut host.ends).into_values().map(|end| end.wire).collect();
        for wire in ends {
            self.cut(wire);
        }
        self.trace.mark(self.now, index, 'X');
    }

    /// Dies, and begins again after a while.
    pub(super) fn crash(&mut self, index: usize, fault: Fault, after: u64) {
        if self.hosts[index].is_up() {
            self.trace.say(self.now, index, format_args!("dies: {fault:?}"));
            self.kill(index);
            self.queue.put(self.now + after, Due::Up { host: index });
        }
    }

    pub(super) fn track(&mut self, index: usize, tree: Id, peer: usize, every: u64) {
        let mut tracking = Tracking::new(tree, self.key_of(peer), vec![self.address(peer)], every);
        let host = &mut self.hosts[index];
        host.tracks.insert((tree, peer), every);
        if let Ok(snapshot) = host.shelf.snapshot()
            && let Ok(record) = pleach_core::node::PairRecord::read(&*snapshot, &tree, &tracking.peer)
        {
            tracking.record = record;
        }
        self.command(index, Command::Track(Box::new(tracking)), Asked::Other);
    }

    pub(super) fn command(&mut self, index: usize, command: Command, asked: Asked) {
        let host = &mut self.hosts[index];
        host.commands += 1;
        // Over all lives: never used twice.
        let id = CommandId(host.commands);
        host.asked.insert(id, asked);
        self.later(index, 0, Event::Command(id, command));
    }

    /// An event for the process that there is now, after so many milliseconds.
    pub(super) fn later(&mut self, index: usize, after: u64, event: Event) {
        let life = self.hosts[index].life;
        self.queue.put(self.now + after, Due::Event { host: index, life, event });
    }

    /// What its clock says, in wall milliseconds.
    pub(super) fn wall(&self, index: usize) -> u64 {
        (BEGIN + self.now).saturating_add_signed(self.hosts[index].skew)
    }

    /// Lets the node take an event, and does what it then wants.
    pub(super) fn handle(&mut self, index: usize, event: Event) {
        let wall = self.wall(index);
        let host = &mut self.hosts[index];
        if host.paused {
            host.backlog.push_back(event);
            return;
        }
        let monotonic = (self.now + 1_000_000).saturating_sub(host.behind);
        let Some(node) = &mut host.node else { return };
        self.handled += 1;
        node.handle(Now { monotonic, wall }, event);
        let life = host.life;
        while let Some(action) = self.hosts[index].node.as_mut().and_then(Node::poll_action) {
            self.carry_out(index, action);
            if self.strikes(Fault::CrashAtAction, 60) {
                let after = self.chance.between(100, 20_000);
                self.crash(index, Fault::CrashAtAction, after);
            }
            if self.hosts[index].life != life {
                return;
            }
        }
        self.set_timer(index);
    }

    fn set_timer(&mut self, index: usize) {
        let host = &self.hosts[index];
        let Some(due) = host.node.as_ref().and_then(Node::deadline) else { return };
        let at = (due + host.behind).saturating_sub(1_000_000).max(self.now + 1);
        if at < host.tick_at || host.tick_at <= self.now {
            let (life, mut at) = (host.life, at);
            if self.strikes(Fault::LateTimer, 2_000) {
                at += self.chance.between(100, 30_000);
            }
            if self.strikes(Fault::EarlyTimer, 2_000) {
                for _ in 0..5 {
                    let early = self.chance.between(self.now, at);
                    self.queue.put(early, Due::Tick { host: index, life });
                }
            }
            self.hosts[index].tick_at = at;
            self.queue.put(at, Due::Tick { host: index, life });
        }
    }

    fn carry_out(&mut self, index: usize, action: Action) {
        match action {
            Action::Exchange(id, op) => self.op(index, id, op),
            Action::Read { number, snapshot, read } => {
                let host = &mut self.hosts[index];
                let shelf = &host.shelf;
                let open = host.snapshots.entry(snapshot).or_insert_with(|| shelf.snapshot());
                let open = open.clone();
                self.check_memory(index);
                let mut reply = open.and_then(|snapshot| perform(&snapshot, &read));
                let mut after = self.chance.below(2);
                if self.strikes(Fault::SlowReads, 300) {
                    after += 1_000;
                }
                if self.strikes(Fault::DiskReadError, 150) {
                    reply = Err(StorageError::Failed("the disk does not read".into()));
                }
                self.later(index, after, Event::Read(number, reply));
            }
            Action::Release(snapshot) => {
                self.hosts[index].snapshots.remove(&snapshot);
            }
            Action::Write { number, write } => {
                self.ledger_hears(index, &write);
                let mut after = self.chance.between(0, 3);
                if self.strikes(Fault::DiskSlow, 2_000) {
                    after += self.chance.between(500, 8_000);
                }
                let life = self.hosts[index].life;
                self.hosts[index].under_way += 1;
                self.check_memory(index);
                self.queue.put(self.now + after, Due::Write { host: index, life, number, write });
            }
            Action::Verify { number, entries } => {
                let result = self.verify(index, entries);
                let mut after = self.chance.below(3);
                if self.strikes(Fault::SlowChecks, 2_000) {
                    after += self.chance.between(1_000, 5_000);
                }
                self.later(index, after, Event::Verified(number, result));
            }
            Action::Reply(id, result) => self.replied(index, id, result),
            Action::Notify(Notification::Wrote { origin, .. }) => {
                self.trace.mark(self.now, index, if origin == Origin::Local { 'w' } else { '+' });
            }
            Action::Notify(_) => {}
            other => self.break_off(format!("an action that is not known: {other:?}")),
        }
    }

    fn verify(
        &mut self,
        index: usize,
        entries: Vec<Entry>,
    ) -> Result<
        Vec<pleach_core::entry::VerifiedEntry>,
        (Vec<pleach_core::entry::VerifiedEntry>, pleach_core::entry::EntryError),
    > {
        let mut good = Vec::with_capacity(entries.len());
        for entry in entries {
            let id = entry.id();
            // The id covers the signature: what was checked once, or signed here, needs no second look.
            if !self.plan.real_signatures
                && let Some(known) = self.ledger.checked(&id)
            {
                good.push(known);
                continue;
            }
            match entry.verify() {
                Ok(entry) => {
                    self.authentic(index, &entry);
                    self.ledger.note_checked(&entry);
                    good.push(entry);
                }
                Err(error) => return Err((good, error)),
            }
        }
        Ok(good)
    }

    /// The disk does what was asked of it, unless something happens.
    pub(super) fn write(&mut self, index: usize, number: Number, write: &Write) {
        let after = self.chance.between(100, 20_000);
        if self.strikes(Fault::CrashBeforeWrite, 500) {
            return self.crash(index, Fault::CrashBeforeWrite, after);
        }
        self.hosts[index].under_way -= 1;
        let Some(result) = self.write_for_real(index, write) else { return };
        if self.strikes(Fault::CrashAfterWrite, 500) {
            return self.crash(index, Fault::CrashAfterWrite, after);
        }
        if let Err(error) = &result {
            self.trace.say(self.now, index, format_args!("a write fails: {error}"));
        }
        match &result {
            Ok(Written::Put(put)) => self.put(index, write, put),
            Ok(_) if matches!(write, Write::Meta(_)) => self.check_requests(index),
            _ => {}
        }
        let soon = self.chance.below(2);
        self.later(index, soon, Event::Written(number, result));
    }

    pub(super) fn replied(&mut self, index: usize, id: CommandId, result: Result<Reply, NodeError>) {
        let Some(asked) = self.hosts[index].asked.remove(&id) else {
            return self
                .break_off(format!("node {index}: a command is answered twice, or was never given: {id:?}"));
        };
        if let Err(error) = &result {
            self.trace.say(self.now, index, format_args!("{asked:?} failed: {error}"));
        }
        if let Err(NodeError::Bug(bug)) = &result {
            return self.break_off(format!("node {index}: {bug}"));
        }
        match (asked, result) {
            (Asked::Commit(tree), Ok(Reply::Committed(position))) => self.acknowledged(index, tree, position),
            (Asked::Repair, Ok(_)) => {
                self.hosts[index].rotten = false;
                // What it promised while it was rotten may have stood on sand.
                self.lost(index);
            }
            (Asked::Repair, Err(_)) if self.hosts[index].rotten => self.give_up_disk(index),
            (Asked::Create, Ok(Reply::Created(tree))) => self.created(index, tree),
            _ => {}
        }
    }
}
