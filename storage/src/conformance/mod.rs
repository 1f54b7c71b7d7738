//! The suite that every store passes, and a maker of entries for tests.
//!
//! Each function of [`writing`], [`reading`], [`masks`] and [`rows`] takes a fresh store and panics where the store fails;
//! [`conformance!`](crate::conformance!) makes a test of each of them.

mod damage;
#[cfg(feature = "redb")]
mod disk;
mod maker;
pub mod masks;
pub mod reading;
pub mod rows;
pub mod writing;

pub use damage::{Damage, Rot};
#[cfg(feature = "redb")]
pub use disk::{Cut, Disk, Slip, Trouble};
pub use maker::Maker;
use pleach_core::{
    Id, Position,
    storage::{Put, Store, Write, Written},
};

/// Makes a test of every function of the suite. The argument gives a fresh store, and what must live as long as it.
///
/// ```ignore
/// pleach_storage::conformance!(|| (pleach_storage::Memory::new(), ()));
/// ```
#[macro_export]
macro_rules! conformance {
    ($make:expr) => {
        $crate::conformance!($make; writing:
            an_entry_waits_for_its_parents
            what_is_there_already_is_known
            a_refused_entry_keeps_what_came_before_it
            an_entry_of_another_tree_is_refused
            a_height_that_does_not_fit_is_refused
            a_write_of_too_many_entries_stores_nothing
            a_dropped_tree_leaves_nothing_and_no_other_tree_suffers
            the_nodes_metadata_changes_and_is_listed
            metadata_come_with_entries_that_all_count_or_not_at_all
            grants_and_revocations_decide_who_may_write
            settings_made_apart_come_together
        );
        $crate::conformance!($make; reading:
            measures_and_places_are_those_of_the_sorted_set
            ten_thousand_entries_at_one_height_are_measured
            a_tree_grown_in_any_order_measures_the_same
            tips_are_the_entries_without_children
            a_snapshot_never_changes
            entries_come_within_their_limits
            headers_are_given_in_the_order_asked
            arrivals_are_in_order_of_arrival
            of_a_tree_that_is_not_held_all_is_empty
            an_audit_of_an_intact_tree_finds_nothing
        );
        $crate::conformance!($make; masks:
            a_revocation_hides_what_was_written_apart
            what_counts_brings_its_ancestors_into_the_shared_set
            a_mask_lifts_when_the_revoker_falls
            a_tree_is_tidied_of_what_was_never_shared
            a_revocation_that_changes_much_goes_in_steps
            a_revocation_on_a_long_history_is_carried_through_at_once
            settings_hold_for_what_builds_on_them_in_one_write
            a_revocation_hides_what_joins_the_branches_beside_it
            some_megabytes_that_do_not_count_are_kept
            what_a_revocation_builds_on_stays_whatever_falls_beside_it
            what_a_revocation_of_everybody_builds_on_stays
            a_revocation_holds_for_what_comes_behind_it_in_one_write
        );
        $crate::conformance!($make; rows:
            the_value_of_a_path_is_its_last_row
            the_history_of_a_path_is_in_order_of_stamp
            the_last_of_a_long_history_is_found
            rows_below_a_path_are_read_page_by_page
            a_log_is_in_order_of_position_then_number
            stores_are_listed_with_their_kinds
        );
    };
    ($make:expr; $part:ident: $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                let (store, _lives_as_long) = $make();
                $crate::conformance::$part::$name(&store);
            }
        )*
    };
}

/// Puts entries, and goes on as long as the store asks for it; tells what became of them.
pub fn put<'a>(
    store: &dyn Store,
    maker: &Maker,
    entries: impl IntoIterator<Item = &'a pleach_core::entry::VerifiedEntry>,
) -> Put {
    let entries: Vec<_> = entries.into_iter().cloned().collect();
    let (mut put, mut from) = (Put::default(), Some(0));
    while let Some(at) = from {
        let next = written(store, &Write::Put { tree: maker.tree(), entries: entries[at..].to_vec() });
        put = put.joined(next, &entries, at);
        from = put.unfinished;
    }
    put
}

fn written(store: &dyn Store, write: &Write) -> Put {
    match store.write(write) {
        Ok(Written::Put(put)) => put,
        other => panic!("a put gives {other:?}"),
    }
}

/// Reads a whole tree again from its bytes, and finds no fault; how many entries it has.
pub fn audited(store: &dyn Store, tree: &Id) -> usize {
    let snapshot = store.snapshot().unwrap();
    let (mut after, mut count) = (None, 0);
    loop {
        let page = snapshot.audit(tree, after, 1_000).unwrap();
        assert_eq!(page.faults, []);
        count += page.entries.len();
        after = page.next;
        if after.is_none() {
            return count;
        }
    }
}

/// Puts entries of which all must be stored, in as many writes as it takes.
pub fn store_all<'a>(
    store: &dyn Store,
    maker: &Maker,
    entries: impl IntoIterator<Item = &'a pleach_core::entry::VerifiedEntry>,
) -> Vec<Position> {
    let entries: Vec<_> = entries.into_iter().collect();
    let mut stored = Vec::new();
    for batch in entries.chunks(1_000) {
        let put = put(store, maker, batch.iter().copied());
        assert_eq!(put.stored.len(), batch.len(), "all are stored, got {put:?}");
        stored.extend(put.stored);
    }
    stored
}
