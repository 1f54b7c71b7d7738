//! Sets a board up: writes the flash that its firmware starts from, and prints the board's public key.
//!
//! ```sh
//! cargo run -p pleach-tests --example board -- FILE TREE KEY…
//! ```
//!
//! `TREE` is the id of the database, each `KEY` that of a node which the board may talk to.

use std::{env, error::Error, fs};

use pleach_core::{Id, PublicKey, session::partial::MAX_ALLOWED};

#[allow(dead_code, unused_imports, reason = "the board itself and the tests use the rest")]
#[allow(clippy::cast_possible_truncation, reason = "a board's sizes fit into 32 bits")]
#[path = "../firmware/src/flash/mod.rs"]
mod flash;

use flash::{ERASED, Flash, FlashError, PAGE, PAGES, Setup};

/// Flash that was never used.
struct Blank(Vec<u8>);

impl Flash for Blank {
    fn read(&mut self, at: usize, room: &mut [u8]) -> Result<(), FlashError> {
        room.copy_from_slice(&self.0[at..at + room.len()]);
        Ok(())
    }

    fn erase(&mut self, page: usize) -> Result<(), FlashError> {
        self.0[page * PAGE..(page + 1) * PAGE].fill(ERASED);
        Ok(())
    }

    fn program(&mut self, at: usize, bytes: &[u8]) -> Result<(), FlashError> {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = env::args().skip(1);
    let (Some(file), Some(tree)) = (words.next(), words.next()) else {
        return Err("expected FILE TREE KEY…".into());
    };
    let tree: Id = tree.parse()?;
    let keys = words.map(|key| key.parse()).collect::<Result<Vec<PublicKey>, _>>()?;
    if !(1..=MAX_ALLOWED).contains(&keys.len()) {
        return Err(format!("expected 1 to {MAX_ALLOWED} keys of nodes, got {}", keys.len()).into());
    }
    let (mut secret, mut entropy) = ([0; 32], [0; 32]);
    getrandom::fill(&mut secret)?;
    getrandom::fill(&mut entropy)?;
    let setup = Setup::new(secret, entropy, tree, &keys);
    let mut blank = Blank(vec![ERASED; PAGE * PAGES]);
    setup.write(&mut blank).map_err(|error| error.to_string())?;
    fs::write(file, blank.0)?;
    println!("{}", setup.key().public());
    Ok(())
}
