//! Making a damaged tree whole again, from the bytes of its entries alone.
//!
//! Entries are taken once more, in order of position, under another number, by the code that took them the first
//! time: so everything derived is derived again. What does not read, hash or verify as it should is left behind, and what stands
//! on it waits in a table of its own, since it cannot be judged without its ancestors and may be nowhere else. The last
//! step exchanges the old number for the new one: until then readers see the tree as it was. The new number also makes
//! another epoch of arrivals, so that no peer takes the order of arrival for the old one.

use pleach_core::{
    Id, Position, Range,
    entry::VerifiedEntry,
    limits::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES},
    storage::{Repaired, StorageError},
};
use serde::{Deserialize, Serialize};

use crate::{
    audit,
    changes::Changes,
    layout::{Table, TreeNumber, split_position},
    put::Putting,
    record::{HeaderRecord, TreeRecord, decode, encode},
    snapshot::Reading,
    store::next_tree_number,
    tables::{Flow, Order, Overlay, View},
    tree::{read_entry, tree_record},
};

/// Where a repair under way is kept, by the tree's id.
const UNDER_WAY: &[u8] = b"repair";

/// A repair under way.
#[derive(Serialize, Deserialize)]
struct Progress {
    /// The tree's new number.
    number: u32,
    /// What has been taken so far; nothing before the root.
    record: Option<TreeRecord>,
    /// Where to continue.
    after: Position,
    /// The newest arrival when the repair began: if another came, it begins again.
    arrival: u64,
}

/// What a page of stored entries holds.
struct Page {
    /// Each if its bytes, its hash and its signature fit.
    entries: Vec<(Position, Option<VerifiedEntry>)>,
    next: Option<Position>,
}

/// One step.
pub(crate) fn step<V: View>(
    reading: Reading<V>,
    tree: Id,
    after: Option<Position>,
    thorough: bool,
) -> Result<(Repaired, Changes), StorageError> {
    let marker = [UNDER_WAY, tree.as_bytes()].concat();
    let Some(old) = tree_record(&reading.view, &tree)? else {
        return Ok((Repaired::default(), Changes::default()));
    };
    let progress = reading.view.get(Table::Store, &marker)?;
    // What cannot be read was left by another version: begin again.
    let progress: Option<Progress> = progress.and_then(|bytes| decode("a repair", &bytes).ok());
    if after.is_none() && !thorough && audit::is_sound(&reading, &old) == Ok(true) {
        return Ok((Repaired::default(), Changes::default()));
    }
    let Reading { view, salt } = reading;
    let page = page(&view, old.tree(), after)?;
    let mut overlay = Overlay::new(view);
    let resumes = |progress: &Progress| Some(progress.after) == after && progress.arrival == old.arrival;
    let (number, record, page, mut last) = match progress {
        Some(progress) if resumes(&progress) => (progress.number, progress.record, page, after),
        left => {
            if let Some(left) = left {
                clear(&mut overlay.changes, TreeNumber(left.number));
            }
            let number = next_tree_number(&mut overlay)?;
            (number, None, self::page(&overlay.below, old.tree(), None)?, None)
        }
    };
    let mut repaired = Repaired { rebuilt: true, next: page.next, ..Repaired::default() };
    let mut putting = Putting::anew(overlay, tree, record, number);
    putting.carry_on_before()?;
    for (place, entry) in page.entries {
        if putting.flips() {
            break;
        }
        last = Some(place);
        let Some(entry) = entry else {
            repaired.damaged.push(place.id);
            continue;
        };
        let held = putting.put.held.len();
        putting.take(0, entry.entry())?;
        if putting.put.refused.take().is_some() {
            repaired.damaged.push(place.id);
        } else if putting.put.held.len() > held {
            let key = TreeNumber::waiting(&tree, &place);
            putting.overlay.changes.put(Table::Waiting, &key, entry.bytes().to_vec());
            repaired.waiting += 1;
        }
    }
    if putting.flips() {
        // It goes on there, before any other entry is taken.
        repaired.next = last;
    }
    let (record, mut changes) = putting.finish(&salt)?;
    if let Some(after) = repaired.next {
        let progress = Progress { number, record, after, arrival: old.arrival };
        changes.put(Table::Store, &marker, encode(&progress));
        return Ok((repaired, changes));
    }
    changes.remove(Table::Store, &marker);
    clear(&mut changes, old.tree());
    match record {
        Some(record) => changes.put(Table::Trees, tree.as_bytes(), encode(&record)),
        // The root is damaged: without it there is no tree.
        None => changes.remove(Table::Trees, tree.as_bytes()),
    }
    Ok((repaired, changes))
}

fn clear(changes: &mut Changes, number: TreeNumber) {
    for table in Table::of_trees() {
        changes.clear(table, number.all());
    }
}

/// The stored entries behind a position, as many as one write takes: the shared set, and what once was in it. What never was
/// is left behind; it would be dropped anyway.
fn page(view: &impl View, number: TreeNumber, after: Option<Position>) -> Result<Page, StorageError> {
    let start = after.map_or(Position::MIN, |after| after.next());
    let span = number.range(&Range { start, end: Position::END });
    let mut found = Vec::new();
    let mut more = false;
    for table in [Table::Entries, Table::Outside] {
        let (mut count, mut bytes) = (0, 0);
        view.scan(table, &span, Order::Ascending, &mut |key, value| {
            if count >= MAX_BATCH_ENTRIES || bytes >= MAX_BATCH_BYTES {
                more = true;
                return Ok(Flow::Break(()));
            }
            // A key without a position names no entry.
            let Some((_, place)) = split_position(key) else { return Ok(Flow::Continue(())) };
            if table == Table::Outside && is_stranger(view, key)? {
                return Ok(Flow::Continue(()));
            }
            (count, bytes) = (count + 1, bytes + value.len());
            let entry = read_entry(&place, value).ok().and_then(|entry| entry.verify().ok());
            found.push((place, value.len(), entry));
            Ok(Flow::Continue(()))
        })?;
    }
    found.sort_by_key(|(place, ..)| *place);
    let mut page = Page { entries: Vec::new(), next: None };
    let mut bytes = 0;
    for (place, length, entry) in found {
        if page.entries.len() >= MAX_BATCH_ENTRIES || bytes >= MAX_BATCH_BYTES {
            more = true;
            break;
        }
        bytes += length;
        page.entries.push((place, entry));
    }
    page.next = page.entries.last().map(|(place, _)| *place).filter(|_| more);
    Ok(page)
}

/// Whether an entry outside the shared set has never been in it.
fn is_stranger(view: &impl View, key: &[u8]) -> Result<bool, StorageError> {
    let header = view.get(Table::OutsideHeaders, key)?;
    // One whose header is damaged is kept.
    Ok(header
        .and_then(|header| decode::<HeaderRecord>("a header", &header).ok())
        .is_some_and(|header| header.stranger))
}

#[cfg(all(test, feature = "conformance"))]
mod tests {
    use pleach_core::{
        document::content_hash,
        entry::{Grant, Permission, Who},
        storage::{Store, Write, Written},
    };

    use super::*;
    use crate::{
        Memory,
        conformance::{Damage, Maker, Rot, store_all},
    };

    /// What a repair came to, with the number of its steps.
    fn repair(store: &Memory, tree: Id, thorough: bool) -> (Repaired, usize) {
        let (mut all, mut steps) = (Repaired::default(), 0);
        loop {
            let write = Write::Repair { tree, after: all.next, thorough };
            let Ok(Written::Repaired(step)) = store.write(&write) else { panic!("a repair is made") };
            all.rebuilt |= step.rebuilt;
            all.damaged.extend(step.damaged);
            all.waiting += step.waiting;
            all.next = step.next;
            steps += 1;
            if all.next.is_none() {
                return (all, steps);
            }
        }
    }

    fn content(store: &Memory, tree: &Id) -> [u8; 32] {
        content_hash(&store.snapshot().unwrap(), tree).unwrap()
    }

    fn is_sound(store: &Memory, tree: &Id) -> bool {
        let (snapshot, mut after) = (store.snapshot().unwrap(), None);
        loop {
            let audit = snapshot.audit(tree, after, 1_000).unwrap();
            if !audit.faults.is_empty() {
                return false;
            }
            after = audit.next;
            if after.is_none() {
                return true;
            }
        }
    }

    #[test]
    fn whatever_is_lost_a_repair_and_the_entries_once_more_bring_all_of_it_back() {
        let maker = Maker::new(1);
        let chain = maker.chain(maker.root().position(), 200);
        let aside = maker.fan(chain[50].position(), 30);
        let entries: Vec<_> = [maker.root()].into_iter().chain(chain).chain(aside).collect();
        let whole = Memory::new();
        store_all(&whole, &maker, &entries);
        for table in
            ["entries", "headers", "index", "aggregates", "tips", "rows", "arrivals", "settings", "views"]
        {
            for nth in [0, 1, 60, 120] {
                let store = whole.fork().unwrap();
                let mut seen = 0;
                let mut rot = |_: &[u8], value: &[u8]| {
                    seen += 1;
                    match (seen - 1 == nth, nth) {
                        (false, _) => Rot::Spare,
                        (true, 60) if !value.is_empty() => {
                            Rot::Value([&value[..value.len() - 1], &[value[value.len() - 1] ^ 1]].concat())
                        }
                        (true, _) => Rot::Gone,
                    }
                };
                if store.damage(table, &mut rot).unwrap() == 0 {
                    continue;
                }
                let (repaired, _) = repair(&store, maker.tree(), true);
                assert!(repaired.rebuilt);
                let held = store.snapshot().unwrap().summary(&maker.tree()).unwrap();
                assert!(held.is_none() || is_sound(&store, &maker.tree()), "{table} {nth}");
                if table != "entries" {
                    let held = held.expect("the tree is there");
                    assert_eq!(held.measure.count, entries.len() as u64, "{table} {nth}");
                }
                for batch in entries.chunks(50) {
                    store.write(&maker.put(batch)).unwrap();
                }
                assert!(is_sound(&store, &maker.tree()), "{table} {nth}");
                assert_eq!(content(&store, &maker.tree()), content(&whole, &maker.tree()), "{table} {nth}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_its_total_is_repaired_without_being_asked_to_be_thorough() {
        let maker = Maker::new(1);
        let store = Memory::new();
        store_all(&store, &maker, &[maker.root()]);
        store_all(&store, &maker, &maker.chain(maker.root().position(), 20));
        let whole = content(&store, &maker.tree());
        for table in ["tips", "index", "rows", "arrivals"] {
            let mut spared = false;
            let mut rot = |_: &[u8], _: &[u8]| {
                if std::mem::replace(&mut spared, true) { Rot::Spare } else { Rot::Gone }
            };
            assert_eq!(store.damage(table, &mut rot), Ok(1));
            assert!(repair(&store, maker.tree(), false).0.rebuilt, "{table}");
            assert!(is_sound(&store, &maker.tree()), "{table}");
            assert_eq!(content(&store, &maker.tree()), whole, "{table}");
        }
    }

    #[test]
    fn what_stands_on_a_damaged_entry_waits_for_it_and_is_lost_to_nobody() {
        let maker = Maker::new(1);
        let chain = maker.chain(maker.root().position(), 9);
        let store = Memory::new();
        store_all(&store, &maker, &[maker.root()]);
        store_all(&store, &maker, &chain);
        let lost = chain[3].id();
        let mut rot = |key: &[u8], _: &[u8]| {
            if key.ends_with(lost.as_bytes()) { Rot::Value(vec![1]) } else { Rot::Spare }
        };
        assert_eq!(store.damage("entries", &mut rot), Ok(1));
        let (repaired, _) = repair(&store, maker.tree(), true);
        assert_eq!((repaired.damaged, repaired.waiting), (vec![lost], 5));
        let tips = store.snapshot().unwrap().tips(&maker.tree(), None, 9).unwrap();
        assert_eq!(tips, [chain[2].position()], "what is there is whole");
        // The damaged one alone comes back.
        let Ok(Written::Put(put)) = store.write(&maker.put([&chain[3]])) else { panic!() };
        assert_eq!(put.stored.len(), 6, "with all that waited for it");
        assert_eq!(store.snapshot().unwrap().tips(&maker.tree(), None, 9).unwrap(), [chain[8].position()]);
        assert!(is_sound(&store, &maker.tree()));
        assert_eq!(store.damage("waiting", &mut |_, _| Rot::Gone), Ok(0), "nothing waits any more");
    }

    #[test]
    fn what_waits_comes_back_in_as_many_writes_as_it_takes() {
        let maker = Maker::new(1);
        let lost = maker.entry(&[maker.root().position()], "lost", "x");
        let text = "x".repeat(MAX_BATCH_BYTES / 100);
        let paths = (0..150).map(|number| format!("much.{number}"));
        let much: Vec<_> = paths.map(|path| maker.entry(&[lost.position()], &path, &text)).collect();
        let store = Memory::new();
        store_all(&store, &maker, [&maker.root(), &lost]);
        for batch in much.chunks(50) {
            store_all(&store, &maker, batch);
        }
        let mut rot = |key: &[u8], _: &[u8]| {
            if key.ends_with(lost.id().as_bytes()) { Rot::Gone } else { Rot::Spare }
        };
        assert_eq!(store.damage("entries", &mut rot), Ok(1));
        assert_eq!(repair(&store, maker.tree(), true).0.waiting, 150);
        let stored = |entry: &VerifiedEntry| match store.write(&maker.put([entry])) {
            Ok(Written::Put(put)) => put.stored.len(),
            other => panic!("{other:?}"),
        };
        let first = stored(&lost);
        assert!((90..=101).contains(&first), "as much as a batch, not {first}");
        let next = maker.entry(&[lost.position()], "next", "x");
        assert_eq!(first + stored(&next), 152, "the next write takes the rest");
        assert!(is_sound(&store, &maker.tree()));
    }

    #[test]
    fn a_repair_leaves_masked_what_is_masked_and_keeps_what_was_once_shared() {
        let root = Maker::new(1);
        let writer = root.signed_by(5);
        let who = Who::Key(writer.key().public());
        let grant = Grant { who, permission: Permission::Write(1), name: None };
        let granted = root.settings(&[root.root().position()], &[grant], &[]);
        let once_shared = writer.chain(granted.position(), 20);
        let built_on = root.entry(&[once_shared[9].position()], "honest", "x");
        let revoked = root.settings(&[granted.position()], &[], &[who]);
        let stranger = writer.entry(&[granted.position()], "late", "x");
        let store = Memory::new();
        store_all(&store, &root, [&root.root(), &granted]);
        store_all(&store, &root, &once_shared);
        store_all(&store, &root, [&built_on, &revoked]);
        assert!(matches!(store.write(&root.put([&stranger])), Ok(Written::Put(put)) if put.masked == 1));
        let state = |store: &Memory| {
            let snapshot = store.snapshot().unwrap();
            let tips = snapshot.tips(&root.tree(), None, 9).unwrap();
            (snapshot.positions(&root.tree(), &Range::ALL, 99).unwrap(), tips, content(store, &root.tree()))
        };
        let before = state(&store);
        assert_eq!(before.0.len(), 14, "the masked below the honest one are shared");
        let (repaired, _) = repair(&store, root.tree(), true);
        assert!(repaired.rebuilt && repaired.damaged.is_empty() && repaired.waiting == 0);
        assert_eq!(state(&store), before);
        assert!(is_sound(&store, &root.tree()));
        let snapshot = store.snapshot().unwrap();
        let kept = |id: &Id| snapshot.entry(&root.tree(), id).unwrap().is_some();
        assert!(kept(&once_shared[19].id()) && !kept(&stranger.id()));
    }

    #[test]
    fn a_large_tree_is_repaired_in_steps_and_begins_again_if_something_comes_between() {
        let maker = Maker::new(1);
        let fan = maker.fan(maker.root().position(), 9_000);
        let store = Memory::new();
        store_all(&store, &maker, &[maker.root()]);
        store_all(&store, &maker, &fan);
        let tree = maker.tree();
        let before = store.snapshot().unwrap().summary(&tree).unwrap().unwrap();
        let (first, steps) = repair(&store, tree, false);
        assert!(!first.rebuilt && steps == 1, "nothing is wrong with it");
        let begun = store.write(&Write::Repair { tree, after: None, thorough: true }).unwrap();
        let Written::Repaired(Repaired { next: Some(next), .. }) = begun else { panic!("{begun:?}") };
        let late = maker.entry(&[maker.root().position()], "late", "comer");
        store_all(&store, &maker, &[late]);
        let again = store.write(&Write::Repair { tree, after: Some(next), thorough: true }).unwrap();
        assert_eq!(again, begun, "it began again");
        let (repaired, steps) = repair(&store, tree, true);
        assert!(repaired.rebuilt && repaired.damaged.is_empty() && steps == 3, "{steps}");
        let after = store.snapshot().unwrap().summary(&tree).unwrap().unwrap();
        assert_eq!(
            (after.measure.count, after.tips.count),
            (before.measure.count + 1, before.tips.count + 1)
        );
        assert_ne!(after.epoch, before.epoch, "arrivals are numbered anew");
        let mut rows = 0;
        let mut count = |_: &[u8], _: &[u8]| {
            rows += 1;
            Rot::Spare
        };
        store.damage("entries", &mut count).unwrap();
        assert_eq!(rows, after.measure.count, "nothing is left of what was given up");
        assert!(is_sound(&store, &tree));
    }
}
