//! `kill -9` at random moments, of the process that serves or of the one that syncs: nothing acknowledged is missing
//! afterwards, and the next try moves little again.
//!
//! The seed is printed and taken from `PLEACH_SEED`; the moments are numbers of bytes on the line between the two, so
//! that a failure can be repeated as far as timing allows. `PLEACH_KILLS` asks for more than a test should take:
//!
//! ```sh
//! PLEACH_KILLS=1000 cargo test --release -p pleach --test program kills -- --nocapture
//! ```

use std::{
    collections::BTreeMap,
    env, fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use pleach_core::{
    Entropy, Id,
    limits::MAX_BATCH_BYTES,
    wire::{Address, DatabaseTicket},
};
use pleach_tests::link::{Shape, TcpLink, Way};
use serde_json::{Value, json};

use crate::node::{Node, Serving};

/// Bytes of text in each entry.
const TEXT: usize = 4_096;

/// Entries that a bootstrap moves at least, and that each side writes while apart.
const HISTORY: usize = 1_600;
const NEWS: usize = 1_100;

/// Bytes after which a try is killed at most: more than a batch, so that one lost twice over would show.
const REACH: u64 = 5 * 1024 * 1024;

/// Bytes of a try that are no entries at most: heads, ranges, and what HTTP puts around them.
const BESIDE: u64 = 64 * 1024;

/// Bytes after which entries are on their way.
const BEGUN: u64 = 4 * 1024;

/// Microseconds between those bytes and the kill, at most.
const PAUSE: u64 = 20_000;

/// Of this many kills one is followed by a check of the whole history.
const VERIFIED: u64 = 8;

/// After so many rounds two new nodes begin, or the history would grow without end.
const ROUNDS: u32 = 3;

const DB: &str = "notes";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Serving,
    Syncing,
}

/// What came of all kills.
#[derive(Debug, Default)]
struct Figures {
    kills: u64,
    of_the_server: u64,
    mid_transfer: u64,
    ended_before: u64,
    /// Bytes that had reached a process and were not durable when it ended, at most.
    most_again: u64,
    tries: u64,
    acknowledged: u64,
    verified: u64,
}

/// Two nodes, and the line between them.
struct Scene {
    here: Node,
    there: Node,
    serving: Option<Serving>,
    id: Id,
    /// A line on top of which both write next.
    top: String,
    /// Bytes of an entry, rounded down.
    entry: u64,
    /// Entries that either holds.
    held_here: u64,
    held_there: u64,
    random: Entropy,
    /// What `put` said was done at the serving node: keys and values.
    acknowledged: BTreeMap<String, String>,
    figures: Figures,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let there = Node::new();
        let id = there.text(&["create", DB, "--public", "write"], "id").parse().unwrap();
        let mut scene = Self {
            here: Node::new(),
            there,
            serving: None,
            id,
            top: format!("history-{:06}", HISTORY - 1),
            entry: 0,
            held_here: 0,
            held_there: 0,
            random: Entropy::new(bytes),
            acknowledged: BTreeMap::new(),
            figures: Figures::default(),
        };
        let lines = scene.lines("history", HISTORY, None);
        import(&scene.there, &lines);
        let stats = scene.there.run(&["stats", DB]).good().clone();
        scene.held_there = stats["entries"].as_u64().unwrap();
        scene.entry = stats["bytes"].as_u64().unwrap() / scene.held_there;
        scene
    }

    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        u64::from_le_bytes(self.random.draw()) % end.max(1)
    }

    /// A history of this name, one line after the other, on top of the last line of another.
    fn lines(&mut self, name: &str, count: usize, on: Option<&str>) -> Vec<String> {
        let text = Id::of(&self.random.draw::<32>()).to_string().repeat(TEXT / 50);
        let text = &text[..TEXT];
        let id = |n: usize| format!("{name}-{n:06}");
        let line = |n: usize| {
            let before = n.checked_sub(1).map(id).or(on.map(str::to_owned));
            let parents: Vec<_> = before.into_iter().collect();
            json!({"id": id(n), "parents": parents, "value": text}).to_string() + "\n"
        };
        (0..count).map(line).collect()
    }

    /// Both write while apart, on top of what both hold.
    fn part(&mut self, round: u32) {
        let on = self.top.clone();
        let name = |side: &str| format!("{side}-{round:04}");
        let (mine, theirs) =
            (self.lines(&name("here"), NEWS, Some(&on)), self.lines(&name("there"), NEWS, Some(&on)));
        import(&self.here, &mine);
        import(&self.there, &theirs);
        self.top = format!("{}-{:06}", name("there"), NEWS - 1);
        (self.held_here, self.held_there) = (self.count(&self.here), self.count(&self.there));
    }

    /// A node that holds nothing takes the place of the one that syncs.
    fn begin_anew(&mut self) {
        (self.here, self.held_here) = (Node::new(), 0);
    }

    /// Entries that a node holds.
    fn count(&self, node: &Node) -> u64 {
        let ran = node.run(&["list"]);
        ran.good();
        let line = ran.lines.iter().find(|line| line["id"] == self.id.to_string());
        line.map_or(0, |line| line["entries"].as_u64().unwrap())
    }

    /// The address of the server, which is started if it is not there.
    fn server(&mut self) -> Address {
        let serving = self.serving.get_or_insert_with(|| self.there.serve(&["--http", "127.0.0.1:0"]));
        serving.addresses[0].parse().unwrap()
    }

    fn ticket(&self, address: Address) -> String {
        DatabaseTicket::new(self.id, [address]).unwrap().to_string()
    }

    /// Begins to write a value through the server. It counts once `put` has said that it is done.
    fn put(&mut self) -> (Child, String, String) {
        let (key, value) = (format!("k{:06}", self.figures.tries), format!("v{}", self.below(1 << 40)));
        let mut command = self.there.command(&["put", DB, "acks", &key, &value]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        (child, key, value)
    }

    /// Whether everything is there that was said to be done.
    fn assert_acknowledged(&self, node: &Node) {
        let ran = node.run(&["get", DB, "acks"]);
        ran.good();
        let text = |line: &Value, field: &str| line[field].as_str().unwrap().to_owned();
        let found: BTreeMap<_, _> =
            ran.lines.iter().map(|line| (text(line, "key"), text(line, "value"))).collect();
        for (key, value) in &self.acknowledged {
            assert_eq!(found.get(key), Some(value), "{key} was acknowledged");
        }
    }

    fn assert_verified(&mut self, node: Victim) {
        let node = match node {
            Victim::Serving => &self.there,
            Victim::Syncing => &self.here,
        };
        assert_eq!(node.run(&["verify", DB]).good()["ok"], true);
        self.figures.verified += 1;
    }

    /// A bootstrap, and both ways after that, with kills until there were enough.
    fn round(&mut self, number: u32, kills: u64) {
        self.begin_anew();
        while self.figures.kills < kills && !self.attempt(Some(Way::Down)) {}
        assert!(self.attempt(None));
        self.part(number);
        while self.figures.kills < kills {
            let way = if self.below(4) > 0 { Way::Up } else { Way::Down };
            if self.attempt(Some(way)) {
                break;
            }
        }
        assert!(self.attempt(None));
        // The last `put` may have been too late for it.
        let server = self.server();
        let ticket = self.ticket(server);
        self.here.run(&["join", "--once", &ticket]).good();
        assert_eq!(self.count(&self.here), self.count(&self.there));
        self.assert_acknowledged(&self.here);
        self.assert_verified(Victim::Serving);
        self.assert_verified(Victim::Syncing);
    }

    /// One try to sync, with a kill after a random number of bytes one way unless it is to be left alone. Says whether
    /// it ended well.
    fn attempt(&mut self, kill: Option<Way>) -> bool {
        let server = self.server();
        let link = TcpLink::new(server.address.parse().unwrap(), Shape::PLAIN).unwrap();
        let address = Address::http(&link.address().to_string()).with_key(server.key.unwrap());
        let ticket = self.ticket(address);
        let mut command = self.here.command(&["join", "--once", &ticket]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.figures.tries += 1;
        let (mut put, key, value) = self.put();
        let killed = kill.map(|way| self.kill(way, &link, &server, &mut child));
        let well = child.wait().unwrap().success();
        let carried = [link.carried(Way::Down), link.carried(Way::Up)];
        drop(link);
        if put.wait().unwrap().success() {
            self.acknowledged.insert(key, value);
            self.figures.acknowledged += 1;
        }
        let before = [self.held_here, self.held_there];
        self.server();
        (self.held_here, self.held_there) = (self.count(&self.here), self.count(&self.there));
        let victim = killed.map(|(victim, _)| victim);
        let read_by =
            |side, carried| killed.filter(|(victim, _)| *victim == side).map_or(carried, |(_, read)| read);
        self.account(Way::Down, victim, read_by(Victim::Syncing, carried[0]), [before[0], self.held_here]);
        self.account(Way::Up, victim, read_by(Victim::Serving, carried[1]), [before[1], self.held_there]);
        if victim == Some(Victim::Serving) {
            self.assert_acknowledged(&self.there);
        }
        if let Some(victim) = victim.filter(|_| self.held_here > 0 && self.below(VERIFIED) == 0) {
            self.assert_verified(victim);
        }
        well
    }

    /// Kills one of the two. Says which, and how many bytes it had read.
    fn kill(&mut self, way: Way, link: &TcpLink, server: &Address, child: &mut Child) -> (Victim, u64) {
        let (bytes, pause) = (self.below(REACH), self.below(PAUSE));
        let carried = wait_for(link, way, bytes, child);
        // Nothing says when a moment comes that lies between two events.
        thread::park_timeout(Duration::from_micros(pause));
        let running = child.try_wait().unwrap().is_none();
        self.figures.kills += 1;
        self.figures.mid_transfer += u64::from(running && carried > BEGUN);
        self.figures.ended_before += u64::from(!running);
        if self.below(2) == 0 {
            let read = stop(child.id(), link, Way::Down, link.address());
            let _ = child.kill();
            return (Victim::Syncing, read);
        }
        self.figures.of_the_server += 1;
        let serving = self.serving.take().unwrap();
        let read = stop(serving.process(), link, Way::Up, server.address.parse().unwrap());
        serving.kill();
        (Victim::Serving, read)
    }

    /// What a process had read and was not durable when it ended, or its exchange did, moves again.
    fn account(&mut self, way: Way, victim: Option<Victim>, read: u64, [before, after]: [u64; 2]) {
        assert!(after >= before, "{before} entries were durable, {after} are left");
        let again = read.saturating_sub((after - before) * self.entry + BESIDE);
        let gained = after - before;
        println!("{way:?}, {victim:?} killed: {read} bytes read, {gained} entries durable, {again} again");
        assert!(again <= MAX_BATCH_BYTES as u64, "{again} bytes move again: more than a batch");
        self.figures.most_again = self.figures.most_again.max(again);
    }
}

fn import(node: &Node, lines: &[String]) {
    assert_eq!(node.run_with(&["import", DB, "-"], &lines.concat()).good()["entries"], lines.len());
}

/// Waits until so many bytes were carried, or the process has ended.
fn wait_for(link: &TcpLink, way: Way, bytes: u64, child: &mut Child) -> u64 {
    loop {
        let carried = link.wait_for(way, bytes, Duration::from_millis(20));
        if carried >= bytes || child.try_wait().unwrap().is_some() {
            return carried;
        }
    }
}

/// Stops a process, so that it reads no more, and says how many of the bytes that the line carried to it it has read.
/// The address is that of the server on this side of the line.
fn stop(process: u32, link: &TcpLink, way: Way, server: SocketAddr) -> u64 {
    let mut command = Command::new("kill");
    // One that has ended already holds still.
    let _ = command.args(["-s", "STOP", &process.to_string()]).stderr(Stdio::null()).status().unwrap();
    let runs = || {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // The state stands behind the name in brackets.
        let state = stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next());
        state.is_some_and(|state| "RSD".contains(state))
    };
    while runs() {
        thread::yield_now();
    }
    let mut before = None;
    loop {
        let now = (link.carried(way), unread(way, server.port()));
        // What moves while the table is read would be counted as read by the process.
        if before.replace(now) == Some(now) {
            return now.0.saturating_sub(now.1);
        }
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// Bytes that the system holds for whoever reads from connections to a server with this port, or from the server's.
fn unread(way: Way, port: u16) -> u64 {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let port_of = |place: &str| place.rsplit(':').next().map(number);
    let port = Some(u64::from(port));
    let queued = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        // Of a connection there are two lines: one for the end that sends, one for the end that receives.
        let (sends, receives) = match way {
            Way::Down => (port_of(fields[1]) == port, port_of(fields[2]) == port),
            Way::Up => (port_of(fields[2]) == port, port_of(fields[1]) == port),
        };
        let (sending, receiving) = fields[4].split_once(':').unwrap();
        u64::from(sends) * number(sending) + u64::from(receives) * number(receiving)
    };
    table.lines().skip(1).map(queued).sum()
}

#[test]
fn a_kill_at_any_moment_loses_nothing_and_costs_a_batch_at_most() {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    let seed = number("PLEACH_SEED").unwrap_or(u64::from(now));
    let kills = number("PLEACH_KILLS").unwrap_or(50);
    println!("PLEACH_SEED={seed} PLEACH_KILLS={kills}");
    let mut figures = Figures::default();
    for seed in seed.. {
        let mut scene = Scene::new(seed);
        scene.figures = figures;
        for round in 1..=ROUNDS {
            scene.round(round, kills);
        }
        println!("{:?}", scene.figures);
        figures = scene.figures;
        if figures.kills >= kills {
            break;
        }
    }
    assert!(figures.mid_transfer > kills / 2, "{figures:?}: it was seldom killed while it mattered");
}
