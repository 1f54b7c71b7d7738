//! The example of `docs/greenhouse.md`: a gateway, a board at the other end of a cable, and terminals that share a list.
#![cfg(unix)]

#[path = "../../cli/tests/firmware/cable.rs"]
#[allow(dead_code, reason = "the tests of the firmware use the rest")]
mod cable;
#[path = "../../runtime-smol/examples/gateway.rs"]
mod gateway;
#[path = "../../runtime-blocking/examples/todo.rs"]
mod todo;

use std::{path::Path, sync::mpsc, thread, time::Duration};

use cable::Cable;
use gateway::{Gateway, Reading};
use pleach_blocking::{
    Address, Database, DatabaseKey, DocStore, Id, Instance, Memory, PublicKey, SerialTransport,
};
use pleach_smol::Table;
use pleach_tests::pages::session;
use todo::Terminal;

/// What stands for the board: a node that holds the whole of its small database.
struct Board {
    instance: Instance,
    gateway: Address,
    tree: Id,
}

impl Board {
    fn node() -> Instance {
        let instance = Instance::open(Memory::new()).unwrap();
        instance.enable_sync().unwrap();
        instance.sync().unwrap().register_transport("serial", SerialTransport::builder()).unwrap();
        instance
    }

    fn contact(&self) {
        self.instance.sync().unwrap().sync_with_peer(&self.gateway, Some(&self.tree)).unwrap();
    }

    fn measures(&self, celsius: i64) {
        let db = Database::open(&self.instance, &self.tree, DatabaseKey::Device).unwrap();
        let txn = db.new_transaction().unwrap();
        txn.get_store::<DocStore>("sensors").unwrap().set("celsius", celsius).unwrap();
        txn.commit().unwrap();
    }
}

/// What the page types, by the word that it begins with: of one program, without that word.
fn commands<'a>(typed: &'a [String], program: &str) -> Vec<Vec<&'a str>> {
    let lines = typed.iter().map(|line| line.split(' ').collect::<Vec<_>>());
    lines.filter(|words| words[0] == program).map(|words| words[1..].to_vec()).collect()
}

/// What a terminal shows.
fn shown(folder: &Path, words: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    let terminal = Terminal::open(folder).unwrap();
    terminal
        .run(words, &mut |line| {
            lines.push(line.to_owned());
            true
        })
        .unwrap_or_else(|error| panic!("{words:?}: {error}"));
    terminal.instance.close();
    lines
}

#[test]
fn whoever_follows_the_page_about_the_greenhouse_gets_where_it_says() {
    let typed = session("docs/greenhouse.md");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let [made, admitted, served] = &commands(&typed, "gateway")[..] else { panic!("three lines start it") };

    let gateway = smol::block_on(Gateway::open(&at(made[0]))).unwrap();
    let board = Board::node();
    assert_eq!(admitted[1..], ["admit", "$BOARD"]);
    smol::block_on(gateway.admit(board.device_key())).unwrap();
    let key: PublicKey = gateway.instance.device_key();
    let (tree, house) = (gateway.greenhouse.root_id(), gateway.house.clone());
    let _cable = Cable::new(&at(served[1]), &at("board"));
    let ticket = smol::block_on(gateway.serve(at(served[1]).to_str().unwrap(), "127.0.0.1:0")).unwrap();
    let instance = gateway.instance.clone();
    let running = thread::spawn(move || smol::block_on(gateway.run()).map_err(|error| error.to_string()));
    let place = Address {
        transport_type: "serial".into(),
        address: at("board").display().to_string(),
        key: Some(key),
    };
    let board = Board { instance: board, gateway: place, tree };
    board.contact();

    let all = commands(&typed, "gateway").len() + commands(&typed, "todo").len();
    assert_eq!(all, typed.len(), "what else does the page type? {typed:?}");

    let mut last = Vec::new();
    for words in commands(&typed, "todo") {
        let words: Vec<_> =
            words.into_iter().map(|word| if word == "$TICKET" { &*ticket } else { word }).collect();
        if words[1..] == ["done", "window"] {
            // Somebody looks on while the board reports.
            let watching = Terminal::open(&at("bob")).unwrap();
            let (tell, told) = mpsc::channel();
            thread::spawn(move || {
                let watched = watching.run(&["watch"], &mut |line| !line.contains("open a window: 31 °C"));
                watching.instance.close();
                tell.send(watched.map_err(|error| error.to_string())).unwrap();
            });
            for celsius in [29, 31, 32] {
                board.measures(celsius);
            }
            board.contact();
            told.recv_timeout(Duration::from_secs(60)).expect("the task comes").unwrap();
        }
        last = shown(&at(words[0]), &words[1..]);
    }
    assert_eq!(last.len(), 3, "{last:?}");
    assert!(last.iter().any(|line| line == "[x] window  open a window: 31 °C"), "{last:?}");
    assert_eq!(last.iter().filter(|line| line.starts_with("[ ] ")).count(), 2, "{last:?}");

    let readings = house.get_store_viewer::<Table<Reading>>("readings").unwrap().rows(None, 99).unwrap();
    let mut celsius: Vec<_> = readings.iter().map(|(_, reading)| reading.celsius).collect();
    celsius.sort_unstable();
    assert_eq!(celsius, [29, 31, 32], "each once");
    assert!(readings.iter().all(|(_, reading)| reading.board == board.instance.device_id()));
    drop(house);
    smol::block_on(instance.close());
    running.join().unwrap().unwrap();

    // Without the gateway, a change waits where it was made.
    shown(&at("ann"), &["add", "mend", "the", "line"]);
    assert_eq!(shown(&at("ann"), &["list"]).len(), 4);
    assert_eq!(shown(&at("bob"), &["list"]).len(), 3);
}

#[test]
fn a_gateway_that_starts_again_takes_no_reading_twice() {
    let folder = tempfile::tempdir().unwrap();
    smol::block_on(async {
        for run in 1..=2_usize {
            let gateway = Gateway::open(folder.path()).await.unwrap();
            let txn = gateway.greenhouse.new_transaction().unwrap();
            txn.get_store::<DocStore>("sensors").unwrap().set("celsius", 20).unwrap();
            txn.commit().await.unwrap();
            let changes = gateway.house.watch();
            let house = gateway.house.clone();
            let instance = gateway.instance.clone();
            let running = smol::spawn(async move { gateway.run().await.map_err(|error| error.to_string()) });
            changes.next().await.unwrap();
            let readings =
                house.get_store_viewer::<Table<Reading>>("readings").unwrap().rows(None, 99).unwrap();
            assert_eq!(readings.len(), run);
            let written = house.get_store_viewer::<DocStore>("readings").unwrap();
            for (key, _) in readings {
                assert_eq!(written.history(&key).unwrap().len(), 1, "it was written once");
            }
            instance.close().await;
            running.await.unwrap();
        }
    });
}
