//! A greenhouse: a node that serves a database, a board that holds a part of it, and the cable between them.

use std::cell::RefCell;

use pleach_core::{
    Id, PublicKey, SecretKey,
    entry::{Entry, EntryBuilder, Origin},
};
use pleach_smol::{Database, DatabaseKey, Instance, Redb};

use crate::{
    board::Board,
    cable::Cable,
    image::Image,
    node::{Node, Serving},
};

/// The seed of the board's key.
const BOARD: [u8; 32] = [0xb0; 32];

pub(crate) struct Place {
    pub(crate) board: Board,
    pub(crate) cable: Cable,
    pub(crate) node: Node,
    tree: Id,
    serving: RefCell<Option<Serving>>,
}

impl Place {
    /// Sets all of it up; nothing was exchanged yet.
    pub(crate) fn new(image: Image) -> Self {
        let node = Node::new();
        let tree: Id = node.text(&["create", "greenhouse"], "id").parse().unwrap();
        let key = SecretKey::from_bytes(BOARD).public();
        node.run(&["keys", "greenhouse", "grant", &key.to_string(), "write", "--name", "board"]).good();
        let cable = Cable::new(&node.path("host"), &node.path("board"));
        let host: PublicKey = node.key().parse().unwrap();
        let setup = crate::flash::Setup::new(BOARD, [0xe5; 32], tree, &[host]);
        let board = Board::new(image, &setup, node.path("flash"), node.path("board"));
        let place = Self { board, cable, node, tree, serving: RefCell::default() };
        place.serve();
        place
    }

    fn serve(&self) {
        let line = self.node.path("host");
        let serving = self.node.serve(&["--serial", line.to_str().unwrap()]);
        self.serving.replace(Some(serving));
    }

    /// Writes an entry of exactly so many bytes on the node, while it does not serve.
    pub(crate) fn append(&self, bytes: usize) {
        self.serving.take().unwrap().stop();
        async_io::block_on(async {
            let store = Redb::open(self.node.data().join("node.redb")).unwrap();
            let instance = Instance::open(store).await.unwrap();
            let db = Database::open(&instance, &self.tree, DatabaseKey::Device).unwrap();
            let mut builder = EntryBuilder::new(Origin::Tree(self.tree), 1_700_000_000_000);
            for tip in db.tips().unwrap() {
                builder.parent(tip).unwrap();
            }
            let sized = |opaque: usize| {
                // A log with one append: its kind, their number, a length of three bytes.
                let [low, middle, high] =
                    [opaque, opaque >> 7, opaque >> 14].map(|n| n.to_le_bytes()[0] & 0x7f);
                let data = [&[1, 1, low | 0x80, middle | 0x80, high], vec![0; opaque].as_slice()].concat();
                let mut room = vec![0; 512 * 1024];
                builder.sign(db.key(), &[("archive", &data)], &mut room).map(<[u8]>::to_vec)
            };
            let around = sized(200_000).unwrap().len() - 200_000;
            let entry = Entry::read(&sized(bytes - around).unwrap()).unwrap();
            assert_eq!(entry.bytes().len(), bytes);
            db.append(vec![entry.verify().unwrap()]).await.unwrap();
            instance.close().await;
        });
        self.serve();
    }

    /// Writes a value on the node.
    pub(crate) fn put(&self, key: &str, value: &str) {
        self.node.run(&["put", "greenhouse", "main", key, value]).good();
    }

    /// Entries that the node holds.
    pub(crate) fn count(&self) -> u64 {
        self.node.run(&["stats", "greenhouse"]).good()["entries"].as_u64().unwrap()
    }

    /// What the node shows as the board's reading.
    pub(crate) fn reading(&self) -> String {
        self.node.text(&["get", "greenhouse", "sensors", "celsius"], "value")
    }
}
