//! The first program, as the guide shows it, runs to its end.
#![cfg(all(feature = "http", feature = "quic", feature = "redb"))]

#[path = "../examples/first.rs"]
mod first;

#[test]
fn the_first_program_fetches_what_its_peer_holds() {
    first::main().unwrap();
}
