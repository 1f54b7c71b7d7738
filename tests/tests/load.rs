//! A node between hostile connections and honest peers, each kind in a process of its own: the small form of the load test
//! in `benches`.
#![cfg(target_os = "linux")]

use pleach_tests::siege::{self, Again, Siege};

/// Bytes of memory that the node may have at most.
const MEMORY: u64 = 192 << 20;

/// The other processes are this program again, which then runs this test alone.
#[test]
#[ignore = "it is what the processes of the siege run"]
fn part_of_the_siege() {
    siege::play().expect("a role").expect("it is played");
}

#[test]
fn no_honest_peer_fails_under_siege_and_memory_keeps_its_bound() {
    let arguments = ["--exact", "part_of_the_siege", "--ignored", "--nocapture", "--test-threads=1"];
    let again = Again { arguments: arguments.map(Into::into).to_vec() };
    let siege = Siege { hostile: 120, near: 0, honest: 4, pushes: 4, entries: 50, cores: None };
    let report = siege::run(&siege, &again).expect("the siege takes place");
    println!("{report}");
    assert_eq!(report.failures, [Vec::<String>::new(), Vec::new()]);
    assert_eq!(report.pushed, [800, 800]);
    // They came, of each kind as many as half of its 20 at least, and did not rest.
    assert!(report.hostile.connections.iter().all(|made| *made >= 10), "{}", report.hostile);
    assert!(report.hostile.requests > 120 && report.hostile.ends > 120, "{}", report.hostile);
    assert!(report.memory[2] < MEMORY, "{} bytes", report.memory[2]);
}
