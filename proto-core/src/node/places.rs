//! Which request gives way where the table of open access requests is full.
//!
//! Anybody can make keys, so that no limit for each key keeps a flood out of a table. What nobody can make up is the id
//! of a database: only requests about those that this node administers have a place. So a full table is shared out
//! between databases first, and a flood about one that everybody knows takes nothing from those who were told of
//! another. Within a database keys that ask for much give way first. Where each asks for one thing, those who came first
//! keep one half of the places, and the other half goes round: whoever asks has a place at once, and keeps it until as
//! many others have come.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{Id, PublicKey};

/// A request in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// When it came.
    pub(super) received: u64,
    pub(super) key: PublicKey,
    pub(super) tree: Id,
}

/// The one that gives way to a request of `key` about `tree`; nothing if that is the new one itself.
pub(super) fn gives_way(open: &[Place], key: &PublicKey, tree: &Id) -> Option<Place> {
    let (mut of_tree, mut of_key) = (BTreeMap::new(), BTreeMap::from([(*key, 1_usize)]));
    for place in open {
        of_tree.entry(place.tree).and_modify(one_more).or_insert(1);
        of_key.entry(place.key).and_modify(one_more).or_insert(1);
    }
    // The new one counts where others stand already.
    of_tree.entry(*tree).and_modify(one_more);
    let (crowded, _) = of_tree.into_iter().max_by_key(|(id, count)| (*count, id == tree))?;
    let asks = |key: &PublicKey| of_key.get(key).copied().unwrap_or(0);
    let mut crowd: Vec<Place> = open.iter().filter(|place| place.tree == crowded).copied().collect();
    crowd.sort_unstable();
    let most = crowd.iter().map(|place| asks(&place.key)).max()?;
    if crowded == *tree && most > 1 && asks(key) >= most {
        return None;
    }
    if most > 1 {
        return crowd.into_iter().rfind(|place| asks(&place.key) == most);
    }
    crowd.get(crowd.len() / 2).copied()
}

fn one_more(count: &mut usize) {
    *count = count.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;

    fn key(n: u16) -> PublicKey {
        let [low, high] = n.to_le_bytes();
        let mut seed = [7; 32];
        (seed[0], seed[1]) = (low, high);
        SecretKey::from_bytes(seed).public()
    }

    fn tree(n: u8) -> Id {
        Id::of(&[n])
    }

    fn place(received: u64, of: u16, about: u8) -> Place {
        Place { received, key: key(of), tree: tree(about) }
    }

    /// As many requests about one tree, each by a key of its own.
    fn flood(first: u16, count: u16, about: u8) -> Vec<Place> {
        (first..first + count).map(|n| place(u64::from(n), n, about)).collect()
    }

    #[test]
    fn a_flood_about_one_tree_gives_way_to_whoever_asks_about_another() {
        let mut open = flood(100, 20, 1);
        open.push(place(0, 1, 2));
        for (asked, of) in [(2, 2), (3, 3), (1, 4)] {
            let gone = gives_way(&open, &key(of), &tree(asked)).unwrap();
            assert_eq!(gone.tree, tree(1), "asked about {asked}");
        }
    }

    #[test]
    fn a_key_that_asks_for_much_gives_way_with_its_newest_and_is_refused_more() {
        let mut open = flood(100, 5, 1);
        open.extend([place(1, 9, 1), place(200, 9, 1), place(50, 9, 1)]);
        assert_eq!(gives_way(&open, &key(1), &tree(1)), Some(place(200, 9, 1)));
        assert_eq!(gives_way(&open, &key(9), &tree(1)), None);
        // About another tree it is its own crowd that gives way.
        assert_eq!(gives_way(&open, &key(9), &tree(2)), Some(place(200, 9, 1)));
    }

    #[test]
    fn the_first_half_stays_and_the_other_half_goes_round() {
        let mut open = flood(0, 10, 1);
        let first: Vec<_> = open[..5].to_vec();
        for n in 10..100 {
            let gone = gives_way(&open, &key(n), &tree(1)).unwrap();
            open.retain(|place| *place != gone);
            open.push(place(u64::from(n), n, 1));
            assert_eq!(open.len(), 10);
            assert!(first.iter().all(|place| open.contains(place)), "they came first");
            assert!(
                (n - 4..=n).all(|late| late < 10 || open.contains(&place(u64::from(late), late, 1))),
                "{n}"
            );
        }
    }

    #[test]
    fn where_every_tree_is_asked_about_once_somebody_gives_way_all_the_same() {
        let open: Vec<_> = (0..9).map(|n| place(u64::from(n), u16::from(n), n)).collect();
        assert!(gives_way(&open, &key(77), &tree(200)).is_some());
        assert_eq!(gives_way(&open, &key(77), &tree(3)), Some(place(3, 3, 3)));
        assert_eq!(gives_way(&[], &key(1), &tree(1)), None);
    }
}
