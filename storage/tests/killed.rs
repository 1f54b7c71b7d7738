//! A process that is killed while it writes. It stands alone: whoever starts a process lends it, for a moment, the locks of all
//! files that are open, and a store that another test closes and opens again would be locked.

#![cfg(feature = "redb")]

use std::{
    io::{BufRead, BufReader, Write as _},
    process::{Command, Stdio},
};

use pleach_core::storage::Store;
use pleach_storage::{
    Redb,
    conformance::{Maker, audited, store_all},
};

/// Where the child of the next test writes; set, it makes the test the child.
const CHILD: &str = "PLEACH_STORAGE_TEST_CHILD";

#[test]
fn a_process_killed_in_the_middle_of_a_write_loses_nothing_that_it_was_told() {
    let maker = Maker::new(1);
    if let Ok(path) = std::env::var(CHILD) {
        return write_until_killed(&path, &maker);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    for kill_after in [1, 4, 9] {
        let name = "a_process_killed_in_the_middle_of_a_write_loses_nothing_that_it_was_told";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let acknowledged = lines.filter_map(|line| line.strip_prefix("held ")?.parse::<usize>().ok());
        let told = acknowledged.take(kill_after).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Redb::open(&path).unwrap();
        let held = audited(&store, &maker.tree());
        assert!(held >= told, "{told} were acknowledged, {held} are there");
    }
}

/// Grows the chain from where it stands, and says after every write how long it is.
fn write_until_killed(path: &str, maker: &Maker) {
    let store = Redb::open(path).unwrap();
    let tips = store.snapshot().unwrap().tips(&maker.tree(), None, 1).unwrap();
    let mut last = tips.first().copied().unwrap_or_else(|| store_all(&store, maker, [&maker.root()])[0]);
    loop {
        let chain = maker.chain(last, 300);
        last = *store_all(&store, maker, &chain).last().unwrap();
        println!("held {}", last.height + 1);
        std::io::stdout().flush().unwrap();
    }
}
