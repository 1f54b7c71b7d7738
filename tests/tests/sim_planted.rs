//! Each planted defect is found by the simulator within some seeds: `cargo test -p pleach-tests --features planted-faults
//! --test sim_planted`. `PLEACH_PLANTED` names one to look for alone.
#![cfg(feature = "planted-faults")]

use std::time::{Duration, Instant};

use pleach_core::planted::{Planted, wake};
use pleach_tests::sim::{Plan, run};

/// How long each may hide.
const HIDES: Duration = Duration::from_secs(120);

/// The seed that finds a defect, how long that took, and what broke.
fn found(planted: Planted) -> Option<(u64, Duration, String)> {
    let began = Instant::now();
    wake(Some(planted));
    let mut found = None;
    for seed in 1.. {
        if began.elapsed() > HIDES {
            break;
        }
        let plan = Plan::of(seed);
        let broken = run(&plan).broken;
        if let Some(broken) = broken.filter(|broken| !broken.starts_with("never hit")) {
            found = Some((seed, began.elapsed(), broken));
            break;
        }
    }
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
    for planted in Planted::ALL.into_iter().filter(wanted) {
        match found(planted) {
            Some((seed, after, broken)) => {
                println!("{planted:?}: seed {seed} after {:.1} s: {broken}", after.as_secs_f64());
                // The seed is no evidence if it fails without the defect.
                let sound = run(&Plan::of(seed)).broken;
                assert_eq!(sound, None, "{planted:?}: seed {seed} fails without the defect");
            }
            None => hidden.push(planted),
        }
    }
    assert_eq!(hidden, [], "not found within {HIDES:?}");
}
