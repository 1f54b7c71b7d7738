//! What honest people do.

use pleach_core::{
    Id,
    document::{Doc, DocStore, Draft, Log, SettingsStore},
    entry::{Permission, Who},
    node::{Command, Commit, Petition, pending_requests},
};

use super::{Due, Sim, host::Asked, ledger::MAX_SETTINGS};

/// The store that honest nodes write to.
pub(super) const STORE: &str = "main";

/// The store that they write the same to in the same commit.
pub(super) const TWIN: &str = "twin";

/// Paths that they write at: few, so that they meet.
const PATHS: u64 = 12;

/// Settings that honest nodes write at most in one tree, so that the hostile have room for theirs.
const SETTINGS: usize = MAX_SETTINGS / 2;

/// Entries after which honest nodes write less.
const MANY: usize = 1_500;

impl Sim {
    /// Makes a tree that the first node administers.
    pub(super) fn create(&mut self) {
        let mut grants: Vec<(Who, Permission)> = Vec::new();
        for index in 1..self.hosts.len() {
            let permission = match self.chance.below(10) {
                0 => Permission::Read,
                1 | 2 => Permission::Admin(u16::try_from(1 + self.chance.below(3)).expect("small")),
                _ => Permission::Write(u16::try_from(1 + self.chance.below(50)).expect("small")),
            };
            grants.push((Who::Key(self.hosts[index].public), permission));
        }
        for peer in 0..self.peers.len() {
            let permission = match self.chance.below(4) {
                0 => Permission::Admin(2),
                1 => Permission::Admin(4),
                _ => Permission::Write(60),
            };
            grants.push((Who::Key(self.peers[peer].public), permission));
        }
        grants.sort_by_key(|(who, _)| *who);
        let mut settings = Doc::new();
        settings.set("name", "simulated").expect("a name");
        let creator = self.hosts[0].public;
        self.command(0, Command::Create { creator, settings, grants }, Asked::Create);
    }

    /// The tree is there: everybody keeps it the same with somebody.
    pub(super) fn created(&mut self, index: usize, tree: Id) {
        self.trees.push(tree);
        self.trace.say(self.now, index, format_args!("created {tree}"));
        let hosts = self.hosts.len();
        for host in 1..hosts {
            let with = if self.chance.below(3) == 0 { 0 } else { self.chance.place(host) };
            let every = self.chance.between(5_000, 300_000);
            self.track(host, tree, with, every);
            if self.chance.below(3) == 0 {
                let other = self.chance.place(hosts + self.peers.len());
                if other != host {
                    self.track(host, tree, other, every);
                }
            }
        }
        if !self.peers.is_empty() {
            let peer = hosts + self.chance.place(self.peers.len());
            self.track(0, tree, peer, 120_000);
        }
    }

    /// Somebody does something.
    pub(super) fn work(&mut self) {
        let pace = self.chance.between(self.plan.pace / 2, self.plan.pace * 2);
        self.queue.put(self.now + pace, Due::Work);
        let index = self.chance.place(self.hosts.len());
        let Some(tree) = self.chance.pick(&self.trees).copied() else { return };
        if !self.hosts[index].is_up() || !self.working {
            return;
        }
        match self.chance.below(100) {
            0..66 => self.write_values(index, tree),
            66..72 => self.write_settings(index, tree),
            72..84 => {
                let with = self.chance.place(self.hosts.len() + self.peers.len());
                if with != index {
                    let address = self.address(with);
                    self.command(index, Command::Sync { address, tree }, Asked::Other);
                }
            }
            84..87 => {
                let with = self.chance.place(self.hosts.len());
                if with != index {
                    let every = self.chance.between(5_000, 300_000);
                    self.track(index, tree, with, every);
                }
            }
            87..89 => self.undo(index, tree),
            89..91 => self.command(index, Command::Peers, Asked::Other),
            91..93 => {
                let address = self.address(self.chance_host());
                self.command(index, Command::Discover(address), Asked::Other);
            }
            93 => {
                let peer = self.key_of(self.chance_host());
                self.command(index, Command::Status { tree, peer }, Asked::Other);
            }
            94..98 => self.ask(index, tree),
            _ => self.decide(tree),
        }
    }

    /// Asks the first node for access: as often as not for more than it has, and then for something else.
    fn ask(&mut self, index: usize, tree: Id) {
        if index == 0 {
            return;
        }
        let mut wishes =
            vec![Permission::Admin(1), Permission::Admin(2), Permission::Write(1), Permission::Write(30)];
        for _ in 0..=self.chance.below(2) {
            let permission = wishes.swap_remove(self.chance.place(wishes.len()));
            let name = format!("node {index}");
            let petition = Petition { permission, name, metadata: Vec::new(), invite: None, hold: 0 };
            let addresses = vec![self.address(0)];
            self.command(index, Command::Ask { addresses, tree, petition }, Asked::Other);
        }
    }

    /// The first node rejects a request for access, or grants at most what lets its maker write.
    fn decide(&mut self, tree: Id) {
        let Ok(snapshot) = self.hosts[0].shelf.snapshot() else { return };
        let Ok(open) = pending_requests(&*snapshot) else { return };
        let Some(request) = self.chance.pick(&open).filter(|request| request.tree == tree).cloned() else {
            return;
        };
        let settings = self.ledger.trees.get(&tree).map_or(0, |grown| grown.history.len());
        let granted = Permission::Write(40).min(request.permission);
        let granted = (self.chance.below(4) == 0 && settings < SETTINGS).then_some(granted);
        if let Some(granted) = granted
            && let Some(draft) = self.draft(0, tree)
            && let Ok(store) = draft.store::<SettingsStore>(pleach_core::entry::SETTINGS)
            && store.grant(Who::Key(request.key), granted, None).is_ok()
            && let Some(commit) = self.commit(0, tree, &draft)
        {
            self.command(0, Command::Commit(commit), Asked::Commit(tree));
        }
        self.trace.mark(self.now, 0, 'd');
        let by = self.hosts[0].public;
        self.command(0, Command::Decide { request: request.id, by, granted }, Asked::Other);
    }

    fn chance_host(&self) -> usize {
        usize::try_from(self.now).unwrap_or(0) % self.hosts.len()
    }

    fn draft(&mut self, index: usize, tree: Id) -> Option<Draft> {
        let seed = self.chance.bytes();
        let host = &self.hosts[index];
        let snapshot = host.shelf.snapshot().ok()?;
        snapshot.summary(&tree).ok()??;
        Some(Draft::new(snapshot, tree, host.public, seed))
    }

    fn commit(&self, index: usize, tree: Id, draft: &Draft) -> Option<Commit> {
        let changes = draft.finish().ok()?;
        let key = self.hosts[index].key.clone();
        Some(Commit { tree, key, stores: changes.stores, paths: changes.touched })
    }

    /// The same value in two stores, sometimes a line in a log.
    fn write_values(&mut self, index: usize, tree: Id) {
        let many = self.ledger.trees.get(&tree).map_or(0, |grown| grown.entries.len()) > MANY;
        if many && self.chance.below(20) > 0 {
            return;
        }
        for _ in 0..=self.chance.below(3).min(self.chance.below(3)) {
            let Some(draft) = self.draft(index, tree) else { return };
            let path = match self.chance.below(4) {
                0 => format!("deep.p{}", self.chance.below(PATHS)),
                _ => format!("p{}", self.chance.below(PATHS)),
            };
            let value = format!("{index} at {} says {}", self.now, self.chance.number());
            let deletes = self.chance.below(12) == 0;
            for name in [STORE, TWIN] {
                let Ok(store) = draft.store::<DocStore>(name) else { return };
                let written = store
                    .set(&path, value.as_str())
                    .and_then(|()| if deletes { store.delete(&path).map(|_| ()) } else { Ok(()) });
                if written.is_err() {
                    return;
                }
            }
            if self.chance.below(8) == 0
                && let Ok(log) = draft.store::<Log>("log")
            {
                let _ = log.append(value.into_bytes());
            }
            if let Some(commit) = self.commit(index, tree, &draft) {
                self.command(index, Command::Commit(commit), Asked::Commit(tree));
            }
        }
    }

    /// Grants and revocations. The first node stays as it is: it is never named.
    fn write_settings(&mut self, index: usize, tree: Id) {
        let settings = self.ledger.trees.get(&tree).map_or(0, |grown| grown.history.len());
        if settings >= SETTINGS {
            return;
        }
        let Some(draft) = self.draft(index, tree) else { return };
        let places = self.hosts.len() + self.peers.len();
        if places < 2 {
            return;
        }
        let whom = match self.chance.below(8) {
            0 => Who::Everyone,
            // The hostile are found out more often than others fall from grace.
            1..5 if !self.peers.is_empty() => {
                let place = self.hosts.len() + self.chance.place(self.peers.len());
                Who::Key(self.key_of(place))
            }
            _ => {
                let place = 1 + self.chance.place(places - 1);
                Who::Key(self.key_of(place))
            }
        };
        let Ok(store) = draft.store::<SettingsStore>(pleach_core::entry::SETTINGS) else { return };
        let done = if self.chance.below(2) == 0 {
            store.revoke(whom)
        } else {
            let permission = match self.chance.below(4) {
                0 => Permission::Read,
                1 if whom != Who::Everyone => Permission::Admin(5),
                _ => Permission::Write(20),
            };
            store.grant(whom, permission, None)
        };
        if done.is_ok()
            && let Some(commit) = self.commit(index, tree, &draft)
        {
            self.trace.mark(self.now, index, 's');
            self.command(index, Command::Commit(commit), Asked::Commit(tree));
        }
    }

    /// The first node lets all honest nodes read again that were thrown out: whoever may not is told nothing, and there would
    /// be nothing to compare. A revocation that it hears of later takes another grant.
    pub(super) fn let_in(&mut self) {
        for tree in self.trees.clone() {
            let out = self.shut_out(&tree).unwrap_or_default();
            if out.is_empty() {
                continue;
            }
            let Some(draft) = self.draft(0, tree) else { continue };
            let Ok(store) = draft.store::<SettingsStore>(pleach_core::entry::SETTINGS) else { continue };
            let mut grants = out.iter().map(|index| Who::Key(self.hosts[*index].public));
            if grants.all(|whom| store.grant(whom, Permission::Read, None).is_ok())
                && let Some(commit) = self.commit(0, tree, &draft)
            {
                self.trace.mark(self.now, 0, 's');
                self.trace.say(self.now, 0, format_args!("lets {out:?} read again"));
                self.command(0, Command::Commit(commit), Asked::Commit(tree));
            }
        }
    }

    /// The first node undoes what somebody wrote from some entry on.
    fn undo(&mut self, index: usize, tree: Id) {
        let settings = self.ledger.trees.get(&tree).map_or(0, |grown| grown.history.len());
        if settings >= SETTINGS || index != 0 || self.peers.is_empty() {
            return;
        }
        let peer = self.hosts.len() + self.chance.place(self.peers.len());
        let key = self.key_of(peer);
        let by = self.ledger.known.values().filter(|known| known.tree == tree && known.author == key);
        let entries: Vec<Id> = by.map(|known| known.entry.id()).collect();
        let Some(entry) = self.chance.pick(&entries).copied() else { return };
        let Some(draft) = self.draft(index, tree) else { return };
        let Ok(store) = draft.store::<SettingsStore>(pleach_core::entry::SETTINGS) else { return };
        if store.revoke(Who::Key(key)).is_ok()
            && let Some(commit) = self.commit(index, tree, &draft)
        {
            self.trace.mark(self.now, index, 's');
            self.command(index, Command::Undo { entry, commit }, Asked::Commit(tree));
        }
    }
}
