//! The fuzzers' bodies for whole nodes as ordinary tests: over the committed corpus, over small damage to it, and over random
//! bytes.
//!
//! `PLEACH_INPUTS` says how many random inputs; the one that fails is printed, for the corpus.

use pleach_core::Entropy;
use pleach_tests::{
    corpus,
    fuzzing::{BODIES, starts},
};

/// Random inputs for each body in an ordinary run.
const INPUTS: u64 = 150;

#[test]
fn the_corpus_holds_the_seeds_as_the_code_makes_them() {
    corpus::check_seeds(&starts(), "fuzzed");
}

#[test]
fn every_body_has_a_target() {
    for (body, _) in BODIES {
        corpus::check_target(body);
    }
}

/// Prints the input if the body does not come to its end.
struct Shown<'a>(&'a str, &'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}: {:?}", self.0, self.1);
        }
    }
}

/// Runs a body over its corpus with parts of it changed, and over random bytes.
fn run(body: &str) {
    let (name, run) = BODIES.iter().find(|(known, _)| *known == body).expect("a body");
    let seeds: Vec<_> = corpus::files(name).into_iter().map(|(_, bytes)| bytes).collect();
    let inputs = std::env::var("PLEACH_INPUTS").ok();
    let inputs = inputs.map_or(INPUTS, |text| text.parse().expect("a number"));
    for bytes in &seeds {
        let _shown = Shown(name, bytes);
        run(bytes);
    }
    for seed in 0..inputs {
        let mut start = [0; 32];
        start[..8].copy_from_slice(&seed.to_le_bytes());
        let mut chance = Entropy::new(start);
        let mut below = |end: usize| usize::from(u16::from_le_bytes(chance.draw())) % end.max(1);
        let mut bytes = if below(2) == 0 {
            seeds[below(seeds.len())].clone()
        } else {
            (0..below(160)).map(|_| u8::try_from(below(256)).unwrap_or(0)).collect()
        };
        for _ in 0..below(6) {
            let at = below(bytes.len() + 1);
            match below(3) {
                0 => bytes.insert(at, u8::try_from(below(256)).unwrap_or(0)),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (at % 8)),
            }
        }
        let _shown = Shown(name, &bytes);
        run(&bytes);
    }
}

#[test]
fn a_node_comes_to_no_harm_by_strangers() {
    run("node");
}

#[test]
fn two_nodes_come_together_whatever_becomes_of_their_frames() {
    run("peers");
}

#[test]
fn a_board_holds_what_fits_whatever_it_is_answered() {
    run("board");
}

#[test]
fn a_store_shows_what_it_acknowledged_whatever_the_disk_does() {
    run("disk");
}
