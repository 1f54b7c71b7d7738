//! Each planted defect is found by the simulator within some seeds: `cargo test -p pleach-tests --features planted-faults
//! --test sim_planted`. `PLEACH_PLANTED` names one to look for alone.
#![cfg(feature = "planted-faults")]

use pleach_core::planted::{Planted, wake};
use pleach_tests::sim::{Plan, run};

/// Seeds within which each must be found: a fraction of two minutes in a release build.
const SEEDS: u64 = 40;

/// The seed that finds a defect, and what broke.
fn found(planted: Planted) -> Option<(u64, String)> {
    wake(Some(planted));
    let found = (1..=SEEDS).find_map(|seed| Some((seed, run(&Plan::of(seed)).broken?)));
    wake(None);
    found
}

#[test]
fn each_planted_defect_is_found() {
    // The embedded store panics over bytes that rotted, and is caught: nobody wants to read that.
    std::panic::set_hook(Box::new(|info| {
        if !info.location().is_some_and(|place| place.file().contains("redb")) {
            eprintln!("{info}");
        }
    }));
    let alone = std::env::var("PLEACH_PLANTED").ok();
    let mut hidden = Vec::new();
    let wanted = |planted: &Planted| alone.as_ref().is_none_or(|name| *name == format!("{planted:?}"));
    for planted in Planted::IN_NETWORKS.into_iter().filter(wanted) {
        match found(planted) {
            Some((seed, broken)) => {
                println!("{planted:?}: seed {seed}: {broken}");
                // The seed is no evidence if it fails without the defect.
                let sound = run(&Plan::of(seed)).broken;
                assert_eq!(sound, None, "{planted:?}: seed {seed} fails without the defect");
            }
            None => hidden.push(planted),
        }
    }
    assert_eq!(hidden, [], "not found within {SEEDS} seeds");
}
