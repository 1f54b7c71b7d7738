//! Hostile peers: six kinds, over HTTP and QUIC, from many addresses. Who is cut off comes again at once.

mod http;
mod quic;

use std::{
    cell::Cell,
    error::Error,
    fmt,
    future::Future,
    net::Ipv4Addr,
    rc::Rc,
    str::FromStr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use pleach_core::{
    Id, Position, SecretKey,
    wire::{EntriesWriter, Kind as FrameKind},
};
use pleach_smol::Address;
use smol::{LocalExecutor, Timer};

use super::{Outcome, honest::entry};
use crate::{
    frames::{self, control, end},
    parts::{system, tell},
};

/// Addresses that they come from, apart from that of the honest peers.
const SOURCES: usize = 40;

/// How long somebody waits who was cut off.
const AGAIN: Duration = Duration::from_millis(100);

/// How long a slow one takes for each byte.
const SLOW: Duration = Duration::from_millis(500);

/// After so long whoever waits to be let in is taken to besiege.
const GATHERING: Duration = Duration::from_secs(5);

/// Entries in a frame of what is to be refused.
const ENTRIES: usize = 64;

/// What a hostile peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Idle,
    Slow,
    Requests,
    UnknownParents,
    BadSignatures,
    Oversized,
}

const KINDS: [Kind; 6] =
    [Kind::Idle, Kind::Slow, Kind::Requests, Kind::UnknownParents, Kind::BadSignatures, Kind::Oversized];

/// What they have done, all together.
#[derive(Default)]
struct Tally {
    /// Connections made, by kind.
    connections: [Cell<u64>; KINDS.len()],
    requests: Cell<u64>,
    ends: Cell<u64>,
    open: Cell<u64>,
}

/// The same in numbers, as whoever besieges tells it.
#[derive(Clone, Debug, Default)]
pub struct Hostilities {
    /// Connections made by each of the six kinds.
    pub connections: [u64; KINDS.len()],
    /// Requests sent.
    pub requests: u64,
    /// Connections that ended, or did not come about.
    pub ends: u64,
    /// Connections that are open.
    pub open: u64,
}

fn count(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

impl Tally {
    fn told(&self) -> String {
        let others = [&self.requests, &self.ends, &self.open];
        let numbers = self.connections.iter().chain(others).map(|number| number.get().to_string());
        numbers.collect::<Vec<_>>().join(" ")
    }
}

impl FromStr for Hostilities {
    type Err = Box<dyn Error>;

    fn from_str(told: &str) -> Outcome<Self> {
        let numbers = told.split(' ').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        let (connections, rest) = numbers.split_first_chunk().ok_or("too few numbers")?;
        let &[requests, ends, open] = rest else { return Err("another count of numbers".into()) };
        Ok(Self { connections: *connections, requests, ends, open })
    }
}

impl fmt::Display for Hostilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, requests, ends, open } = self;
        write!(f, "{} connections made (", connections.iter().sum::<u64>())?;
        for (at, (kind, count)) in KINDS.iter().zip(connections).enumerate() {
            write!(f, "{}{kind:?} {count}", if at == 0 { "" } else { ", " })?;
        }
        write!(f, "), {ends} ended, {open} open now, {requests} requests")
    }
}

/// What they say.
struct Messages {
    /// About a tree that there is not.
    unknown: Vec<u8>,
    /// The head of a request about the tree in which everybody may write.
    head: Vec<u8>,
    orphans: Vec<u8>,
    forged: Vec<u8>,
    end: Vec<u8>,
}

impl Messages {
    fn new(tree: Id) -> Outcome<Self> {
        let key = SecretKey::from_bytes([9; 32]);
        let nowhere = |number: usize| {
            let name = SecretKey::from_bytes([u8::try_from(number % 256).unwrap_or(0); 32]).public();
            Position { height: 7, id: Id::from_bytes(*name.as_bytes()) }
        };
        let mut orphans = Vec::new();
        for number in 0..ENTRIES {
            orphans.push(entry(&key, tree, &[nowhere(number)], "orphan")?);
        }
        // As a lawful frame: ascending.
        orphans.sort_by_key(|entry| entry.position());
        let frame = |forge: bool| {
            let mut room = vec![0; 256 * 1024];
            let mut writer = EntriesWriter::new(&mut room);
            for entry in &orphans {
                let mut bytes = entry.bytes().to_vec();
                if let (true, Some(last)) = (forge, bytes.last_mut()) {
                    // The high half of the signature's number: still below the order of the group.
                    *last ^= 1;
                }
                writer.push(&bytes);
            }
            writer.finish().to_vec()
        };
        let hello = |tree| control(FrameKind::Sync, &frames::hello(tree));
        Ok(Self {
            unknown: hello(Id::from_bytes([7; 32])),
            head: hello(tree),
            orphans: frame(false),
            forged: frame(true),
            end: end(),
        })
    }

    /// The frames of a request.
    fn of(&self, kind: Kind) -> Vec<&[u8]> {
        match kind {
            Kind::UnknownParents => vec![&self.head, &self.orphans, &self.end],
            Kind::BadSignatures => vec![&self.head, &self.forged, &self.end],
            _ => vec![&self.unknown, &self.end],
        }
    }
}

/// One hostile peer.
struct Hostile {
    number: usize,
    kind: Kind,
    source: Ipv4Addr,
    key: SecretKey,
    node: Address,
    messages: Rc<Messages>,
    tally: Rc<Tally>,
}

impl Hostile {
    /// Says that it is connected, for as long as what this returns lives.
    fn connected(&self) -> Open<'_> {
        for (kind, made) in KINDS.iter().zip(&self.tally.connections) {
            if *kind == self.kind {
                count(made);
            }
        }
        count(&self.tally.open);
        Open(&self.tally)
    }

    /// Does what its kind does, again and again.
    async fn besiege<F: Future<Output = Outcome<()>>>(&self, once: impl Fn() -> F) {
        loop {
            // How it ends is up to the node.
            let _ = once().await;
            count(&self.tally.ends);
            Timer::after(AGAIN).await;
        }
    }
}

/// A connection that is open.
struct Open<'a>(&'a Tally);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

fn wall() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Besieges until the process is killed. Says when all have come, and when asked what they did.
pub(super) fn play(core: &str, count: &str, near: &str, node: &str, tree: &str) -> Outcome<()> {
    system::keep_to(core)?;
    let (count, near): (usize, usize) = (count.parse()?, near.parse()?);
    let addresses = node.split(',').map(str::parse).collect::<Result<Vec<Address>, _>>()?;
    let of = |kind: &str| {
        addresses.iter().find(|address| address.transport_type == kind).cloned().ok_or("no such address")
    };
    let (http, quic) = (of("http")?, of("quic")?);
    let (messages, tally) = (Rc::new(Messages::new(tree.parse()?)?), Rc::new(Tally::default()));
    let local = LocalExecutor::new();
    let lent = Arc::new(smol::Executor::new());
    for number in 0..count {
        // Three of five over HTTP.
        let over_http = number % 5 < 3;
        let last = u8::try_from(1 + number % SOURCES)?;
        let mut key = [3; 32];
        key[..8].copy_from_slice(&(number as u64).to_le_bytes());
        let hostile = Hostile {
            number,
            kind: KINDS[number / 5 % KINDS.len()],
            source: if number < near { Ipv4Addr::LOCALHOST } else { Ipv4Addr::new(127, 0, 1, last) },
            key: SecretKey::from_bytes(key),
            node: if over_http { http.clone() } else { quic.clone() },
            messages: Rc::clone(&messages),
            tally: Rc::clone(&tally),
        };
        if over_http {
            local.spawn(async move { hostile.besiege(|| http::once(&hostile)).await }).detach();
        } else {
            let transport = quic::transport(&hostile, &lent)?;
            local.spawn(async move { hostile.besiege(|| quic::once(&hostile, &transport)).await }).detach();
        }
    }
    smol::block_on(lent.run(local.run(async {
        Timer::after(GATHERING).await;
        tell("gathered");
        let mut line = String::new();
        loop {
            let (read, said) = smol::unblock(move || {
                line.clear();
                (std::io::stdin().read_line(&mut line), line)
            })
            .await;
            line = said;
            if read? == 0 {
                return Ok(());
            }
            tell(&tally.told());
        }
    })))
}
