//! The store in memory passes the suite.

use pleach_core::{
    Range,
    storage::{Measure, Store},
};
use pleach_storage::{Memory, conformance::Maker};

#[test]
fn measures_equal_naive_sums() {
    let maker = Maker::new(1);
    let store = Memory::new();
    let root = maker.root();
    store.write(&maker.put([&root])).unwrap();
    let chain = maker.chain(root.position(), 300);
    let fan = maker.fan(chain[20].position(), 2000);
    store.write(&maker.put(&chain)).unwrap();
    for part in fan.chunks(900) {
        store.write(&maker.put(part)).unwrap();
    }
    let mut all: Vec<_> = [root].iter().chain(&chain).chain(&fan).map(|e| e.position()).collect();
    all.sort();
    let s = store.snapshot().unwrap();
    for i in (0..all.len()).step_by(37) {
        for j in (i..all.len()).step_by(301) {
            let range = Range { start: all[i], end: all[j] };
            let naive = all[i..j].iter().fold(Measure::default(), |m, p| m.plus(Measure::of(p.id)));
            assert_eq!(s.measure(&maker.tree(), &range).unwrap(), naive);
            assert_eq!(
                s.nth(&maker.tree(), &range, (j - i) as u64 / 2).unwrap(),
                (i < j).then(|| all[i + (j - i) / 2])
            );
            assert_eq!(s.nth(&maker.tree(), &range, (j - i) as u64).unwrap(), None);
        }
    }
    let audit = s.audit(&maker.tree(), None, 10_000).unwrap();
    assert_eq!(audit.faults, []);
    assert_eq!(audit.entries.len(), all.len());
    println!("{:?}", s.summary(&maker.tree()));
}
