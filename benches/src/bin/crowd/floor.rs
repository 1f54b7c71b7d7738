//! What the machine takes for the least that a commit comes to.

use std::{net::UdpSocket, path::Path};

use pleach_core::{
    Id, Position, SecretKey,
    storage::{Store, Write},
};
use pleach_smol::Redb;
use pleach_tests::{
    parts::{Outcome, system, tell},
    siege::entry,
};

/// Commits over which it is measured: a second's worth of the clock's ticks.
const COMMITS: u32 = 500;

/// Says microseconds of processor time for each commit: one signature checked, one write of the entry that is synced,
/// and so many packets of its size.
pub(crate) fn play(folder: &str, sends: &str) -> Outcome<()> {
    system::keep_to("0")?;
    let sends: usize = sends.parse()?;
    let root = Position { height: 0, id: Id::of(b"tree") };
    let made = entry(&SecretKey::from_bytes([1; 32]), root.id, &[root], "text")?.entry().clone();
    let store = Redb::open(Path::new(folder))?;
    // Nobody listens: what does not fit is dropped.
    let sink = UdpSocket::bind("127.0.0.1:0")?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let to = sink.local_addr()?;
    let before = system::processor(std::process::id())?;
    for number in 0..COMMITS {
        made.clone().verify()?;
        let row = (number.to_be_bytes().to_vec(), Some(made.bytes().to_vec()));
        store.write(&Write::Meta(vec![row].into()))?;
        for _ in 0..sends {
            socket.send_to(made.bytes(), to)?;
        }
    }
    let took = system::processor(std::process::id())? - before;
    tell(&(took * 1_000 / u64::from(COMMITS)).to_string());
    Ok(())
}
