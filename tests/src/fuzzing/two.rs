//! Two nodes that both may write a tree, and how it ends with them.

use std::sync::Arc;

use pleach_core::{
    Id,
    entry::{Permission, Who},
    node::{Command, CommandId, Petition, Tracking},
};
use pleach_storage::Memory;

use super::signing::checked;
use crate::world::{Fate, HostId, World};

/// The world in which they live.
const SEED: u64 = 7;

/// Milliseconds between periodic syncs of what is tracked.
const INTERVAL: u64 = 60_000;

/// Times that the clock goes on to the next deadline, after which all has come to an end.
const PATIENCE: usize = 400;

thread_local! {
    /// What the two hold at the beginning, made once: to make it takes longer than most inputs.
    static START: ([Memory; 2], Id) = start();
}

fn start() -> ([Memory; 2], Id) {
    let mut world = World::new(SEED);
    let stores = [1, 2].map(|salt| Arc::new(Memory::salted([salt; 32])));
    let hosts = stores.each_ref().map(|store| world.host_over(Arc::clone(store) as _));
    let grants =
        vec![(Who::Key(world.key(hosts[1])), Permission::Write(100)), (Who::Everyone, Permission::Read)];
    let tree = world.create_with(hosts[0], "notes", grants);
    for n in 0..3 {
        world.write(hosts[0], tree, &format!("first{n}"), "x").expect("a write");
    }
    (stores.map(|store| store.fork().expect("memory does not fail")), tree)
}

/// Two hosts that both may write a tree.
pub(super) struct Two {
    pub(super) world: World,
    pub(super) hosts: [HostId; 2],
    pub(super) tree: Id,
    /// Commands that wait for their outcome.
    pub(super) given: Vec<(HostId, CommandId)>,
    writes: usize,
}

impl Two {
    /// The first of them has made the tree, and written to it.
    pub(super) fn new() -> Self {
        let (stores, tree) = START.with(|(stores, tree)| (stores.each_ref().map(Memory::fork), *tree));
        let mut world = World::new(SEED);
        world.check_with(checked);
        let hosts = stores.map(|store| world.host_over(Arc::new(store.expect("memory does not fail"))));
        Self { world, hosts, tree, given: Vec::new(), writes: 0 }
    }

    fn give(&mut self, host: HostId, command: Command) {
        let id = self.world.command(host, command);
        self.given.push((host, id));
    }

    /// One of the commands that a caller gives.
    pub(super) fn command(&mut self, choice: u8) {
        let [one, two] = if choice & 1 == 0 { self.hosts } else { [self.hosts[1], self.hosts[0]] };
        let (tree, address) = (self.tree, self.world.address(two));
        let peer = self.world.key(two);
        let command = match choice >> 1 & 7 {
            0 | 1 => {
                let holds = self.world.snapshot(one).summary(&tree).expect("a summary").is_some();
                if !holds {
                    return;
                }
                self.writes += 1;
                let path = format!("k{}", self.writes % 5);
                self.world.commit(one, tree, &path, self.writes.to_string())
            }
            2 => Command::Sync { address, tree },
            3 => Command::Discover(address),
            4 => Command::Track(Box::new(Tracking::new(tree, peer, vec![address], INTERVAL))),
            5 => Command::Untrack { tree, peer },
            6 => Command::Repair(tree),
            _ => Command::Ask {
                addresses: vec![address],
                tree,
                petition: Petition {
                    permission: Permission::Write(7),
                    name: "Bob".into(),
                    metadata: vec![choice],
                    invite: None,
                    hold: u32::from(choice),
                },
            },
        };
        self.give(one, command);
    }

    /// Lets a few things happen, in an order that the world draws.
    pub(super) fn steps(&mut self, count: u8) {
        for _ in 0..=count {
            self.world.step();
        }
    }

    /// Nothing goes wrong any more: everything comes to its end, and both are brought together.
    pub(super) fn end(mut self) {
        self.world.fate(|_| Fate::Arrive);
        let (tree, [one, two]) = (self.tree, self.hosts);
        for host in self.hosts {
            self.world.disk(host, None);
            self.world.pause(host, false);
            let peer = self.world.key(if host == one { two } else { one });
            self.give(host, Command::Untrack { tree, peer });
        }
        let mut left = std::mem::take(&mut self.given);
        for _ in 0..PATIENCE {
            self.world.settle();
            left.retain(|(host, id)| self.world.outcome(*host, *id).is_none());
            if left.is_empty() {
                break;
            }
            self.world.pass();
        }
        assert!(left.is_empty(), "commands that nobody answers: {left:?}");
        self.together();
        for host in self.hosts {
            let audit = self.world.snapshot(host).audit(&tree, None, usize::MAX).expect("an audit");
            assert_eq!(audit.faults, [], "what is stored is whole");
        }
        assert_eq!(self.world.tips(one, tree), self.world.tips(two, tree));
        assert_eq!(self.world.content(one, tree), self.world.content(two, tree));
    }

    /// A busy node asks for patience, and gets some.
    fn together(&mut self) {
        let (tree, [one, two]) = (self.tree, self.hosts);
        let mut last = None;
        for _ in 0..PATIENCE {
            match self.world.sync(two, one, tree) {
                Ok(_) => return,
                Err(error) => last = Some(error),
            }
            self.world.pass();
            self.world.settle();
        }
        panic!("two honest nodes do not come together: {last:?}");
    }
}
