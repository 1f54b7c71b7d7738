//! What the fuzzers run that needs stores: bodies for whole nodes. Each takes any bytes and reads from them, in a
//! [`World`], what happens and when.
//!
//! Whatever happened, at the end the nodes have told every caller what became of its command, their stores are whole,
//! and two that may talk to each other hold the same.

use pleach_core::{
    Id, SecretKey,
    budget::Source,
    entry::{Permission, Who},
    fuzzing::{Body, seeds},
    node::{Arrival, Command, CommandId, Petition, Tracking},
    storage::StorageError,
};

use crate::world::{Fate, HostId, World};

/// Every body by the name of its target and of the folder that holds its corpus.
pub const BODIES: &[(&str, Body)] = &[("node", node), ("peers", peers)];

/// Steps of one input at most: so many reach everything, and a run stays short.
const STEPS: usize = 48;

/// Milliseconds between periodic syncs of what is tracked.
const INTERVAL: u64 = 60_000;

/// Times that the clock goes on to the next deadline, after which all has come to an end.
const PATIENCE: usize = 400;

/// Choices read from an input; zeros behind its end.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn next(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or_default()
    }

    /// So many bytes as a number of two says, or what is left.
    fn frame(&mut self) -> &'a [u8] {
        let length = usize::from(u16::from_le_bytes([self.next(), self.next()]));
        let (frame, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        frame
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

/// Two hosts that both may write a tree.
struct Two {
    world: World,
    hosts: [HostId; 2],
    tree: Id,
    /// Commands that wait for their outcome.
    given: Vec<(HostId, CommandId)>,
    writes: usize,
}

impl Two {
    fn new() -> Self {
        let mut world = World::new(7);
        let hosts = [world.host(), world.host()];
        let grants =
            vec![(Who::Key(world.key(hosts[1])), Permission::Write(100)), (Who::Everyone, Permission::Read)];
        let tree = world.create_with(hosts[0], "notes", grants);
        for n in 0..3 {
            world.write(hosts[0], tree, &format!("first{n}"), "x").expect("a write");
        }
        Self { world, hosts, tree, given: Vec::new(), writes: 0 }
    }

    fn give(&mut self, host: HostId, command: Command) {
        let id = self.world.command(host, command);
        self.given.push((host, id));
    }

    /// One of the commands that a caller gives.
    fn command(&mut self, choice: u8) {
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
    fn steps(&mut self, count: u8) {
        for _ in 0..=count {
            self.world.step();
        }
    }

    /// Nothing goes wrong any more: everything comes to its end, and both are brought together.
    fn end(mut self) {
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

/// The bytes as what strangers say to a node that works: frames in any order, in several exchanges at once, while it
/// writes, syncs, loses its disk and is started anew.
pub fn node(bytes: &[u8]) {
    let mut script = Script(bytes);
    let mut two = Two::new();
    let [host, other] = two.hosts;
    let stranger = SecretKey::from_bytes([9; 32]).public();
    for _ in 0..STEPS {
        if script.is_over() {
            break;
        }
        let choice = script.next();
        match choice & 7 {
            0..=2 => {
                let proven = [None, Some(stranger), Some(two.world.key(other))][usize::from(choice >> 3) % 3];
                two.world.arrival = if choice & 0x40 == 0 { Arrival::Streamed } else { Arrival::Whole };
                let said: Vec<_> = (0..=choice >> 6 << 1 | 1)
                    .map(|_| script.frame())
                    .map(|frame| (!frame.is_empty()).then(|| frame.to_vec()))
                    .collect();
                two.world.knock(host, proven, Source::of(&[choice & 0x18]), said);
            }
            3 | 4 => two.command(choice >> 3),
            5 => two.steps(choice >> 3),
            6 => match choice >> 3 & 3 {
                0 => two.world.disk(host, Some(StorageError::Full)),
                1 => two.world.disk(host, None),
                2 => {
                    // Who was waiting is gone with the process.
                    two.given.retain(|(of, _)| *of != host);
                    two.world.restart(host);
                }
                _ => two.world.settle(),
            },
            _ => two.world.pass(),
        }
    }
    two.end();
}

/// The bytes as what two nodes are told to do, and what becomes of each frame between them.
pub fn peers(bytes: &[u8]) {
    let (plan, fates) = bytes.split_at(bytes.len() / 2);
    let (mut script, fates) = (Script(plan), Vec::from(fates));
    let mut fates = fates.into_iter();
    let mut two = Two::new();
    two.world.fate(move |_| match fates.next().unwrap_or_default() & 15 {
        14 => Fate::Cut,
        15 => Fate::Flip,
        _ => Fate::Arrive,
    });
    for _ in 0..STEPS {
        if script.is_over() {
            break;
        }
        let choice = script.next();
        let host = two.hosts[usize::from(choice >> 7)];
        match choice & 7 {
            0..=3 => two.command(choice >> 3),
            4 | 5 => two.steps(choice >> 3),
            6 => match choice >> 3 & 3 {
                0 => two.world.disk(host, Some(StorageError::Full)),
                1 => two.world.disk(host, None),
                2 => two.world.pause(host, choice & 0x40 == 0),
                _ => {
                    two.given.retain(|(of, _)| *of != host);
                    two.world.restart(host);
                }
            },
            _ => two.world.pass(),
        }
    }
    two.end();
}

/// Inputs that reach deep: a name, the body's name, the bytes.
pub fn starts() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let frames = seeds().into_iter().filter(|(_, body, _)| *body == "frame");
    let said = |frames: &[&[u8]]| -> Vec<u8> {
        let length = |frame: &[u8]| u16::try_from(frame.len()).expect("a short frame").to_le_bytes();
        frames.iter().flat_map(|frame| [&length(frame)[..], frame].concat()).collect()
    };
    let frames: Vec<_> = frames.collect();
    let of = |name: &str| &frames.iter().find(|(known, ..)| *known == name).expect("a frame").2[..];
    let sync = said(&[of("sync"), of("end"), &[]]);
    let ask = said(&[of("ask"), &[]]);
    let trees = said(&[of("trees"), &[]]);
    // Four parts each: a stranger, a proven one, and the peer; commands, time, a failing disk between them.
    let visits = [
        &[0x40][..],
        &sync,
        &[0, 0, 0x19, 0x48],
        &ask,
        &said(&[&[], &[]]),
        &[0x50],
        &trees,
        &said(&[&[], &[]]),
    ]
    .concat();
    let work =
        vec![0x03, 0x13, 0x23, 0x0b, 0xfd, 0x1b, 0x06, 0x03, 0xfd, 0x0e, 0x07, 0x16, 0x33, 0xfd, 0x3b, 0x07];
    let apart = [
        vec![0x00, 0x08, 0x10, 0x18, 0xfc, 0x20, 0xfc, 0x07, 0x40, 0xfc, 0x2f, 0x30],
        vec![0; 4],
        vec![14, 0, 15],
    ]
    .concat();
    vec![("visits", "node", visits), ("work", "node", work), ("apart", "peers", apart)]
}
