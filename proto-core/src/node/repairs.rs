//! When a tree is made whole again without being asked: as soon as its store is found damaged, but not all the time.

use alloc::collections::BTreeMap;

use crate::Id;

/// Milliseconds between two repairs of a tree for the same reason. Each reads the whole tree, a peer that lies about
/// its counts can cause one, and damage that a repair leaves behind would cause one after the other.
const REST: u64 = 60 * 60 * 1_000;

/// What was repaired lately.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Repairs {
    /// When one began, monotonic milliseconds, by tree and by whether damage was read or only suspected.
    begun: BTreeMap<(Id, bool), u64>,
}

impl Repairs {
    /// Whether to repair a tree now.
    pub(super) fn begin(&mut self, tree: Id, thorough: bool, now: u64) -> bool {
        self.begun.retain(|_, begun| now.saturating_sub(*begun) < REST);
        self.begun.insert((tree, thorough), now).is_none_or(|begun| {
            // It rests on: the first one counts.
            self.begun.insert((tree, thorough), begun);
            false
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_repaired_once_in_a_while_for_each_reason() {
        let mut repairs = Repairs::default();
        let tree = Id::of(b"tree");
        assert!(repairs.begin(tree, false, 0));
        assert!(!repairs.begin(tree, false, REST - 1));
        assert!(repairs.begin(tree, true, REST - 1), "damage that was read does not wait for a suspicion");
        assert!(repairs.begin(tree, false, REST));
    }
}
