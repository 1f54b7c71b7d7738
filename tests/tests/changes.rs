//! Sets that change while they are compared: commits on either side, and a third node that syncs with both.

use std::{cell::Cell, collections::BTreeSet};

use pleach_core::{
    Id,
    entry::{Permission, Who},
    node::{Command, CommandId, NodeError, Notification, Origin},
};
use pleach_tests::world::{HostId, World};
use proptest::{prelude::*, test_runner::TestRunner};

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

/// What happens in the middle.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// A node writes a text of so many bytes.
    Commit(usize, usize),
    /// One node syncs with another.
    Sync(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (0..3_usize, 1..30_000_usize).prop_map(|(host, bytes)| Change::Commit(host, bytes)),
        2 => prop::sample::select(vec![(CAROL, ALICE), (CAROL, BOB), (ALICE, CAROL), (ALICE, BOB), (BOB, CAROL)])
            .prop_map(|(from, to)| Change::Sync(from, to)),
    ]
}

/// How a world of three nodes runs.
#[derive(Clone, Debug)]
struct Script {
    seed: u64,
    shared: usize,
    /// What each node has written apart.
    apart: [usize; 3],
    /// Steps of the world, then a change.
    changes: Vec<(usize, Change)>,
}

fn script() -> impl Strategy<Value = Script> {
    let apart = prop::array::uniform3(0..20_usize);
    let changes = prop::collection::vec((0..25_usize, change()), 1..40);
    (any::<u64>(), 0..20_usize, apart, changes).prop_map(|(seed, shared, apart, changes)| Script {
        seed,
        shared,
        apart,
        changes,
    })
}

/// Alice, Bob and Carol, and the exchange between Bob and Alice that is always under way.
struct Three {
    world: World,
    hosts: [HostId; 3],
    tree: Id,
    under_way: CommandId,
    /// Commands that are not answered yet.
    open: BTreeSet<(usize, CommandId)>,
    written: usize,
    /// Exchanges between Bob and Alice that ended well.
    exchanges: usize,
    /// Writes at Alice or Bob by anything but their exchange, while it was under way.
    changes: usize,
}

impl Three {
    fn new(script: &Script) -> Self {
        let mut world = World::new(script.seed);
        let hosts = [world.host(), world.host(), world.host()];
        let grants = hosts.map(|host| (Who::Key(world.key(host)), Permission::Write(9)));
        let tree = world.create_with(hosts[ALICE], "notes", grants[1..].to_vec());
        let mut three = Self {
            world,
            hosts,
            tree,
            under_way: CommandId(0),
            open: BTreeSet::new(),
            written: 0,
            exchanges: 0,
            changes: 0,
        };
        (0..script.shared).for_each(|_| three.commit(ALICE, 9_000));
        three.world.settle();
        for other in [BOB, CAROL] {
            three.world.sync(hosts[other], hosts[ALICE], tree).expect("a sync");
        }
        for (host, count) in script.apart.into_iter().enumerate() {
            (0..count).for_each(|_| three.commit(host, 9_000));
        }
        three.world.settle();
        three
    }

    fn commit(&mut self, host: usize, bytes: usize) {
        self.written += 1;
        let text = "x".repeat(bytes);
        let command = self.world.commit(self.hosts[host], self.tree, &format!("key{}", self.written), text);
        let id = self.world.command(self.hosts[host], command);
        self.open.insert((host, id));
    }

    fn sync(&mut self, from: usize, to: usize) -> CommandId {
        let address = self.world.address(self.hosts[to]);
        self.world.command(self.hosts[from], Command::Sync { address, tree: self.tree })
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Commit(host, bytes) => self.commit(host, bytes),
            Change::Sync(from, to) => {
                let id = self.sync(from, to);
                self.open.insert((from, id));
            }
        }
    }

    /// Lets one thing happen. Says whether there was one.
    fn step(&mut self) -> Result<bool, NodeError> {
        let stepped = self.world.step();
        for host in [ALICE, BOB] {
            let other = self.world.key(self.hosts[ALICE + BOB - host]);
            let elsewhere = |note: &Notification| match note {
                Notification::Wrote { origin, .. } => *origin != Origin::Remote(Some(other)),
                _ => false,
            };
            self.changes += self.world.notes(self.hosts[host]).iter().filter(|note| elsewhere(note)).count();
        }
        if let Some(outcome) = self.world.outcome(self.hosts[BOB], self.under_way) {
            outcome?;
            self.exchanges += 1;
            self.under_way = self.sync(BOB, ALICE);
        }
        for (host, id) in self.open.clone() {
            if let Some(outcome) = self.world.outcome(self.hosts[host], id) {
                outcome?;
                self.open.remove(&(host, id));
            }
        }
        Ok(stepped)
    }

    fn run(&mut self, script: &Script) -> Result<(), NodeError> {
        self.under_way = self.sync(BOB, ALICE);
        // What was written before is no change in the middle.
        self.changes = 0;
        for host in self.hosts {
            self.world.notes(host);
        }
        for (steps, change) in &script.changes {
            for _ in 0..*steps {
                self.step()?;
            }
            self.change(*change);
        }
        let clock = self.world.clock();
        while !self.open.is_empty() {
            assert!(self.step()?, "nothing is left to do, and not all is answered");
        }
        let last = self.under_way;
        while self.under_way == last {
            assert!(self.step()?, "nothing is left to do, and the exchange is under way");
        }
        assert_eq!(self.world.clock(), clock, "nobody waits for a timer");
        Ok(())
    }

    fn is_equal(&mut self) -> bool {
        self.world.settle();
        for (from, to) in [(BOB, ALICE), (CAROL, ALICE), (BOB, ALICE)] {
            let report = self.world.sync(self.hosts[from], self.hosts[to], self.tree);
            assert!(report.is_ok(), "{report:?}");
        }
        let [alice, bob, carol] = self.hosts.map(|host| {
            let (world, tree) = (&self.world, self.tree);
            (world.tips(host, tree), world.content(host, tree), world.count(host, tree))
        });
        alice == bob && bob == carol
    }
}

#[test]
fn sets_that_change_in_the_middle_of_an_exchange_neither_stall_it_nor_count_as_a_fault() {
    let config =
        ProptestConfig { cases: 48, max_shrink_iters: 64, failure_persistence: None, ..Default::default() };
    let (changes, exchanges) = (Cell::new(0), Cell::new(0));
    let result = TestRunner::new(config).run(&script(), |script| {
        let mut three = Three::new(&script);
        let outcome = three.run(&script);
        prop_assert!(outcome.is_ok(), "{outcome:?}");
        changes.set(changes.get() + three.changes);
        exchanges.set(exchanges.get() + three.exchanges);
        prop_assert!(three.is_equal());
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    println!("{} writes in the middle of {} exchanges", changes.get(), exchanges.get());
    assert!(changes.get() > 100 && exchanges.get() > 48, "{} in {}", changes.get(), exchanges.get());
}
