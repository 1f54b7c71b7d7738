//! Every schedule of small worlds: shipped sessions and their stores, lines that lose, double and reorder, processes
//! that die, and a peer that lies.
//!
//! A world begins with each history of up to so many entries and each choice of sets that hold all ancestors of what
//! they hold, one at each node. From there everything happens that can: each part of a message arrives or is lost with
//! its connection, each write returns before or after each other step, processes die, and a request goes on without its
//! sender or arrives twice and is answered beside the next. The model runs to its end: what it says holds in every state
//! that these worlds can reach.
//!
//! | file | holds |
//! |---|---|
//! | `dag` | the histories, and a set of entries as a store shows it |
//! | `store` | what all nodes of a world share: the history, what a store does, how much fits into a message |
//! | `shelf` | the shipped store, where entries are judged |
//! | `process` | one session at work, and the promises that it makes to its peer |
//! | `line` | an initiator, a responder, and the wire between them: what can happen there, and what follows |
//! | `two`, `three` | worlds of two nodes on one line, and of three on two or three |
//! | `hostile`, `lies` | worlds of two honest nodes around a revocation and a peer that lies; what it says |
//! | `fair` | whether all ends well when nothing fails any more |
//! | `explore` | exploring worlds, and how much of them an ordinary run looks at |
//!
//! # What the worlds leave out
//!
//! - A frame of entries holds one entry, and a message is written at once: what a node would send later, from the same
//!   snapshot, is on its way already. A part that is still on its way can be lost all the same.
//! - There are no clocks. Whoever waits can lose patience at any moment, and does so in the end.
//! - Of two lines one may rest while the other works; exchanges in both directions of one line are not opened at once,
//!   since a responder keeps nothing: an entry that came so is one that came from elsewhere.
//! - Of three nodes, two talk at once over two entries, and one request at a time is on its own, over two: over three
//!   entries exchanges follow one another, with cuts, deaths and one frame lost, doubled or swapped; with one lost, one
//!   doubled and two swapped in one history where who has all and who has nothing are apart.
//! - Where entries are judged, a revocation is carried through in one write. Lines neither lie nor keep strays there.
//! - The liar knows all entries of its world, and hears nothing: what it could learn would tell it nothing.
//!
//! The worlds of three and of the liar are large. An ordinary run begins with a share of their beginnings, and goes to
//! the end from there; `PLEACH_EVERY=1` takes all.

mod dag;
mod explore;
mod fair;
mod hostile;
mod lies;
mod line;
mod process;
mod shelf;
mod store;
mod three;
mod two;

use pleach_core::session::Bits;

use dag::{Dag, Set};
use explore::{Share, explore};
use hostile::{Cast, Hostile};
use line::Mischief;
use shelf::Kind::{Hostile as Wrote, Lifts, Revokes, Usurps, Value};
use store::{Size, Terms};
use three::{ASKED, ASKS, Asks, CHAIN, Fits, RING, Three};
use two::Two;

/// Every history of at most so many entries.
fn histories(entries: usize) -> impl Iterator<Item = Dag> {
    (0..=entries).flat_map(Dag::all)
}

/// Explores the worlds of two over every history of at most so many entries.
fn two(name: &str, entries: usize, of: impl Fn(Dag) -> Two) {
    explore(name, histories(entries).map(of));
}

fn tight(dag: Dag) -> Two {
    let two = Two::of(dag);
    Two { terms: Terms { size: Size::Tight, ..two.terms }, ..two }
}

fn seeing(bits: Bits, dag: Dag) -> Two {
    let two = Two::of(dag);
    Two { terms: Terms { bits, ..two.terms }, ..two }
}

#[test]
fn cuts_deaths_and_requests_that_come_late_or_twice_lose_nothing() {
    two("strays", 3, |dag| Two { strays: true, ..Two::of(dag) });
}

#[test]
fn messages_of_one_entry_and_no_spool_lose_nothing() {
    two("tight", 3, tight);
    two("tight, strays", 2, |dag| Two { strays: true, ..tight(dag) });
}

#[test]
fn a_frame_lost_doubled_or_moved_behind_the_peers_backs_loses_nothing() {
    two("mischief", 3, |dag| Two { mischief: Mischief::any(1), ..Two::of(dag) });
    two("all mischief", 2, |dag| Two { mischief: Mischief::each(1), ..Two::of(dag) });
    two("tight, more mischief", 2, |dag| Two { mischief: Mischief::any(2), ..tight(dag) });
}

#[test]
fn entries_that_come_from_elsewhere_meanwhile_are_no_fault_and_are_not_forgotten() {
    two("news, tokens", 2, |dag| Two { news: true, remembers: true, ..Two::of(dag) });
    two("tight, news", 2, |dag| Two { news: true, ..tight(dag) });
}

#[test]
fn fingerprints_that_say_no_more_than_a_count_lead_to_the_full_ids() {
    let nothing = Bits { fingerprint: 0, short: 0 };
    let one = Bits { fingerprint: 1, short: 1 };
    two("no bits", 3, |dag| seeing(nothing, dag));
    two("no bits, news", 2, |dag| Two { news: true, ..seeing(nothing, dag) });
    two("one bit, strays", 2, |dag| Two { strays: true, ..seeing(one, dag) });
}

/// Explores the worlds of three over every history of at most so many entries, from one beginning in so many.
fn three(name: &str, entries: usize, every: usize, asks: &[Asks], of: impl Fn(Three) -> Three) {
    three_from(name, |_, _| true, entries, every, asks, of);
}

/// The same, from those that fit.
fn three_from(
    name: &str,
    fits: Fits,
    entries: usize,
    every: usize,
    asks: &[Asks],
    of: impl Fn(Three) -> Three,
) {
    let mut share = Share::of(every);
    let worlds = asks.iter().flat_map(|asks| histories(entries).map(move |dag| (*asks, dag)));
    let worlds: Vec<Three> = worlds.map(|(asks, dag)| of(Three::of(dag, asks, fits, &mut share))).collect();
    explore(name, worlds.into_iter().filter(|world| !world.begins.is_empty()));
}

#[test]
fn three_nodes_that_die_and_whose_lines_break_come_to_hold_the_same() {
    three("three, one after another", 3, 150, &[CHAIN, ASKED, ASKS, RING], |world| world);
}

#[test]
fn three_nodes_come_to_hold_the_same_though_requests_come_late_or_twice() {
    three("three, strays", 2, 60, &[CHAIN], |world| Three { strays: true, ..world });
}

#[test]
fn three_nodes_come_to_hold_the_same_over_lines_that_lose_double_and_swap() {
    let any = |world| Three { mischief: Mischief::any(1), ..world };
    three("three, mischief", 3, 400, &[CHAIN, ASKED, ASKS], any);
}

#[test]
fn three_nodes_come_to_hold_the_same_over_lines_that_do_all_that_in_one_history() {
    let each = |world| Three { mischief: Mischief::each(1), ..world };
    // From who has all to who has nothing, or the other way.
    let apart: Fits = |dag, [first, _, third]| {
        let (all, nothing) = (dag.whole(), Set::default());
        (*first, *third) == (all, nothing) || (*first, *third) == (nothing, all)
    };
    three_from("three, all mischief", apart, 3, 150, &[CHAIN, ASKED, ASKS], each);
}

#[test]
fn three_nodes_come_to_hold_the_same_though_two_exchanges_go_on_at_once() {
    three("three, two at once", 2, 60, &[CHAIN, ASKED, ASKS], |world| Three { at_once: 2, ..world });
}

#[test]
fn a_liar_around_a_revocation_gets_nothing_stored_that_nobody_may_write() {
    let kinds =
        [&[Revokes, Wrote][..], &[Revokes, Usurps], &[Revokes, Wrote, Wrote], &[Revokes, Wrote, Value]];
    let mut share = Share::of(60);
    explore("one and a liar", Hostile::all(&kinds, (Cast::OneBesieged, 4), &mut share));
}

#[test]
fn what_a_liar_brings_around_a_revocation_parts_no_honest_nodes() {
    let kinds = [&[Revokes, Wrote, Wrote][..], &[Revokes, Wrote, Value], &[Revokes, Wrote, Lifts]];
    let mut share = Share::of(30);
    explore("two, and what a liar brings", Hostile::all(&kinds, (Cast::TwoBrought, 0), &mut share));
}

#[test]
fn a_liar_in_the_middle_of_an_honest_exchange_parts_nobody() {
    let mut share = Share::of(12);
    explore("two and a liar", Hostile::all(&[&[Revokes, Wrote]], (Cast::TwoBesieged, 2), &mut share));
}
