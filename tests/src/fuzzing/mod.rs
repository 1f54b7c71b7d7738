//! What the fuzzers run that needs stores: bodies for whole nodes, for a board, and for a store on a disk that fails. Each
//! takes any bytes and reads from them what happens and when.
//!
//! Whatever happened, at the end the nodes have told every caller what became of its command, their stores are whole,
//! and two that may talk to each other hold the same. A store shows what it acknowledged.
//!
//! | file | holds |
//! |---|---|
//! | `script` | choices read from an input |
//! | `signing` | signatures that no input could guess |
//! | `two` | two nodes that share a tree, and how it ends with them |
//! | `node`, `peers` | strangers at one of them; both, and what becomes of their frames |
//! | `board` | a device that cannot hold the history, and a node that says anything |
//! | `disk` | a store on a disk that fails |

mod board;
mod disk;
mod node;
mod peers;
mod script;
mod signing;
mod two;

pub use board::board;
pub use disk::disk;
pub use node::node;
pub use peers::peers;
use pleach_core::fuzzing::{Body, Seed};

/// Every body by the name of its target and of the folder that holds its corpus.
pub const BODIES: &[(&str, Body)] = &[("node", node), ("peers", peers), ("board", board), ("disk", disk)];

/// Steps of one input at most: so many reach everything, and a run stays short.
const STEPS: usize = 48;

/// Inputs that reach deep: a name, the body's name, the bytes.
pub fn starts() -> Vec<Seed> {
    let of = |body: &'static str, seeds: Vec<(&'static str, Vec<u8>)>| {
        seeds.into_iter().map(move |(name, bytes)| (name, body, bytes))
    };
    of("node", node::seeds())
        .chain(of("peers", peers::seeds()))
        .chain(of("board", board::seeds()))
        .chain(of("disk", disk::seeds()))
        .collect()
}
