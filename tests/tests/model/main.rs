//! Every schedule of small worlds: two shipped sessions and their stores, a line that loses, doubles and reorders, and
//! processes that die.
//!
//! A world begins with each history of up to so many entries and each pair of sets that hold all ancestors of what they
//! hold, one at the initiator and one at the responder. From there everything happens that can: each part of a message
//! arrives or is lost with its connection, each write returns before or after each other step, either process dies, and
//! a request goes on without its sender or arrives twice and is answered beside the next. The model runs to its end:
//! what it says holds in every state that these worlds can reach.
//!
//! | file | holds |
//! |---|---|
//! | `dag` | the histories, and a set of entries as a store shows it |
//! | `process` | one session at work, and the promises that it makes to its peer |
//! | `state` | what there is at a moment, and what can happen in it |
//! | `world` | what follows from what happens, and what must hold |

mod dag;
mod process;
mod state;
mod world;

use std::{collections::BTreeSet, sync::Mutex};

use pleach_core::session::Bits;
use stateright::{Checker, Expectation, HasDiscoveries, Model};

use dag::Dag;
use world::{Size, World};

/// A world in which a connection can break and a process can die.
fn world(dag: Dag) -> World {
    World {
        dag,
        size: Size::Roomy,
        bits: Bits::ALL,
        mischief: 0,
        news: false,
        strays: false,
        remembers: false,
        fair: Mutex::default(),
    }
}

/// Explores the worlds over every history of at most so many entries to their end.
fn explore(entries: usize, of: impl Fn(Dag) -> World) {
    let (mut begins, mut states, mut transitions) = (0, 0, 0);
    let (mut hoped, mut met) = (BTreeSet::new(), BTreeSet::new());
    for dag in (0..=entries).flat_map(Dag::all) {
        let world = of(dag);
        begins += world.init_states().len();
        hoped.extend(world.hopes());
        let checker = world.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        for property in checker.model().properties() {
            let Some(path) = checker.discovery(property.name) else { continue };
            if property.expectation == Expectation::Sometimes {
                met.insert(property.name);
                continue;
            }
            let (last, dag) = (path.last_state().clone(), &checker.model().dag);
            let steps: Vec<_> = path.into_vec().into_iter().filter_map(|(_, action)| action).collect();
            panic!("not so: {}\n{dag:?}\n{steps:?}\n{last:?}", property.name);
        }
        assert!(checker.is_done());
        states += checker.unique_state_count();
        transitions += checker.state_count() - checker.model().init_states().len();
    }
    assert_eq!(met, hoped, "what the model is for has happened somewhere");
    println!("{begins} beginnings, {states} states, {transitions} transitions");
}

#[test]
fn cuts_deaths_and_requests_that_come_late_or_twice_lose_nothing() {
    explore(3, |dag| World { strays: true, ..world(dag) });
}

#[test]
fn messages_of_one_entry_and_no_spool_lose_nothing() {
    explore(3, |dag| World { size: Size::Tight, ..world(dag) });
    explore(2, |dag| World { size: Size::Tight, strays: true, ..world(dag) });
}

#[test]
fn a_frame_lost_doubled_or_moved_behind_the_peers_backs_loses_nothing() {
    explore(3, |dag| World { mischief: 1, ..world(dag) });
    explore(2, |dag| World { mischief: 2, size: Size::Tight, ..world(dag) });
}

#[test]
fn entries_that_come_from_elsewhere_meanwhile_are_no_fault_and_are_not_forgotten() {
    explore(2, |dag| World { news: true, remembers: true, ..world(dag) });
    explore(2, |dag| World { news: true, size: Size::Tight, ..world(dag) });
}

#[test]
fn fingerprints_that_say_no_more_than_a_count_lead_to_the_full_ids() {
    let nothing = Bits { fingerprint: 0, short: 0 };
    let one = Bits { fingerprint: 1, short: 1 };
    explore(3, |dag| World { bits: nothing, ..world(dag) });
    explore(2, |dag| World { bits: nothing, news: true, ..world(dag) });
    explore(2, |dag| World { bits: one, strays: true, ..world(dag) });
}
