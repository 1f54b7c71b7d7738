//! Frames as a peer writes them that says what it likes.

use pleach_core::{
    Id,
    wire::{CAPABILITIES, End, EntriesWriter, Floor, Hello, Kind, PeerLimits, Salt, Tips, Versions, write},
};

/// A frame of a head and items.
pub fn frame<H: serde::Serialize, I: serde::Serialize>(
    kind: Kind,
    head: &H,
    items: impl IntoIterator<Item = I>,
) -> Vec<u8> {
    let mut room = vec![0; 64 * 1024];
    let length = write(kind, head, items, &mut room).expect("it fits");
    room.truncate(length);
    room
}

/// A frame of a head alone.
pub fn control<H: serde::Serialize>(kind: Kind, head: &H) -> Vec<u8> {
    frame(kind, head, [(); 0])
}

/// A frame that carries these bytes as entries.
pub fn entries(all: &[Vec<u8>]) -> Vec<u8> {
    let mut room = vec![0; 1024 * 1024];
    let mut writer = EntriesWriter::new(&mut room);
    assert!(all.iter().all(|entry| writer.push(entry)));
    writer.finish().to_vec()
}

/// The head of a request about a tree, from a peer that holds nothing of it.
pub fn hello(tree: Id) -> Hello {
    Hello {
        versions: Versions::OURS,
        capabilities: CAPABILITIES,
        limits: PeerLimits::HOST,
        tree,
        salt: Salt::default(),
        tips: Tips::Named(heapless::Vec::new()),
        count: 0,
        token: None,
        start: Floor::default(),
        hold: 0,
    }
}

/// The last frame of a message.
pub fn end() -> Vec<u8> {
    control(Kind::End, &End::default())
}
