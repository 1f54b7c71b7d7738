//! A bounded share of the simulator: every kind of fault and every strategy, in small networks. Many more seeds run with
//! `cargo run --release -p pleach-tests --bin sim`.

use std::process::Command;

use pleach_tests::sim::{Coverage, Fault, Outcome, Plan, Strategy, Tally, run};

/// Kinds of faults in one run here.
const FAULTS: usize = 11;

/// Strategies in one run here.
const STRATEGIES: usize = 8;

/// Small networks that have every kind between them.
fn plans() -> Vec<Plan> {
    let mut strategies = Strategy::ALL.chunks(STRATEGIES).cycle();
    let plan = |(number, faults): (usize, &[Fault])| Plan {
        hosts: 4,
        on_disk: vec![false, true, false, true],
        faults: faults.to_vec(),
        peers: vec![strategies.next().expect("a circle").to_vec()],
        millis: 300_000,
        events: 3_000,
        pace: 2_000,
        real_signatures: number == 0,
        ..Plan::of(100 + number as u64)
    };
    Fault::ALL.chunks(FAULTS).enumerate().map(plan).collect()
}

fn sound(plan: &Plan) -> Outcome {
    let outcome = run(plan);
    assert_eq!(outcome.broken, None, "as a file to replay:\n{}\n{}", outcome.file(), outcome.picture);
    assert_eq!(outcome.compared, plan.hosts - 1, "all are compared with the first");
    assert!(outcome.promised > 0, "nothing that was acknowledged was looked for");
    outcome
}

#[test]
fn whatever_goes_wrong_honest_nodes_stay_sound_and_come_together() {
    let (mut faults, mut strategies) = (vec![0; Fault::ALL.len()], vec![0; Strategy::ALL.len()]);
    for plan in plans() {
        let tally = sound(&plan).tally;
        faults.iter_mut().zip(&tally.faults).for_each(|(sum, hits)| *sum += hits);
        strategies.iter_mut().zip(&tally.strategies).for_each(|(sum, hits)| *sum += hits);
    }
    assert!(faults.iter().all(|hits| *hits > 0), "{faults:?}");
    assert!(strategies.iter().all(|hits| *hits > 0), "{strategies:?}");
}

#[test]
fn one_seed_has_one_history_and_another_has_another() {
    let small = |seed| Plan { events: 3_000, millis: 120_000, ..Plan::of(seed) };
    let seeds = [12, 17];
    let once = seeds.map(|seed| run(&small(seed)));
    let again = seeds.map(|seed| run(&small(seed)));
    assert_eq!(once.each_ref().map(|run| run.hash), again.each_ref().map(|run| run.hash));
    assert_eq!(once[0].picture, again[0].picture);
    assert_ne!(once[0].hash, once[1].hash);
}

#[test]
fn a_run_is_replayed_from_its_file() {
    // None of these is what its seed draws: all that was changed stands in the file.
    for plan in plans() {
        let (read, hash) =
            Plan::read(&format!("# a comment\n{}hash 00ff\n", plan.written())).expect("a file");
        assert_eq!((&read, hash), (&plan, Some(0xff)));
    }
    let outcome = run(&short());
    let (read, hash) = Plan::read(&outcome.file()).expect("a file");
    assert_eq!(Some(run(&read).hash), hash);
}

/// A run of a second.
fn short() -> Plan {
    Plan { events: 500, millis: 30_000, faults: Vec::new(), ..plans().swap_remove(1) }
}

#[test]
fn the_program_fails_when_a_file_tells_of_another_history() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.run");
    let replay = |text: &str| {
        std::fs::write(&file, text).expect("a file");
        let mut sim = Command::new(env!("CARGO_BIN_EXE_sim"));
        sim.arg("--replay").arg(&file).arg("--out").arg(folder.path());
        let output = sim.output().expect("the program runs");
        (output.status.success(), String::from_utf8(output.stdout).expect("text"))
    };
    let outcome = run(&short());
    let (fine, said) = replay(&outcome.file());
    assert!(fine && said.contains("the same history"), "{said}");
    let other = Plan { pace: outcome.plan.pace + 1, ..outcome.plan.clone() };
    let (fine, said) = replay(&Outcome { plan: other, ..outcome }.file());
    assert!(!fine && said.contains("another history"), "{said}");
}

#[test]
fn a_file_that_says_nonsense_is_refused_with_the_line() {
    let texts = [
        ("fault Crash", "seed"),
        ("seed 1\nfault Sunshine", "Sunshine"),
        ("seed 1\nhosts 17", "hosts 17"),
        ("seed 1\nhosts 2\ndisk 2", "disk 2"),
        ("seed 1\npeers 1\npeer 1 Replay", "peer 1 Replay"),
        ("seed 1\nreal_signatures perhaps", "perhaps"),
        ("", "seed"),
    ];
    for (text, word) in texts {
        let refused = Plan::read(text).expect_err("no run");
        assert!(refused.contains(word), "{refused}");
    }
}

#[test]
fn a_kind_that_three_seeds_drew_and_none_hit_is_named() {
    let faults = vec![Fault::Crash, Fault::Rot];
    let plan = Plan { faults, peers: vec![vec![Strategy::Replay]], ..Plan::of(1) };
    let (mut tally, mut coverage) = (Tally::new(), Coverage::new());
    tally.fault(Fault::Crash);
    assert_eq!(tally.unhit(&plan), ["Rot", "Replay"]);
    for _ in 1..Coverage::ENOUGH {
        coverage.add(&plan, &tally);
    }
    assert!(coverage.never().is_empty(), "two may have missed it");
    coverage.add(&plan, &tally);
    assert_eq!(coverage.never(), ["Rot", "Replay"]);
}

#[test]
fn there_are_thirty_kinds_of_faults_and_twenty_strategies() {
    assert!(Fault::ALL.len() >= 30 && Strategy::ALL.len() >= 20);
}
