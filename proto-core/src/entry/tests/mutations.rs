//! Bytes that are almost an entry.

use std::vec::Vec;

use proptest::prelude::*;

use super::raw::Raw;
use crate::entry::{EntryError, EntryView};

/// Encodes again what a view shows, with the view's own author and signature.
fn again(view: &EntryView<'_>) -> Vec<u8> {
    [Raw::of(view).unsigned(&view.author()), view.signature().as_bytes().to_vec()].concat()
}

#[test]
fn every_change_of_one_byte_is_refused_or_gives_another_entry() {
    for raw in [Raw::root(), Raw::child()] {
        let bytes = raw.bytes();
        let original = EntryView::read(&bytes).unwrap().id();
        for at in 0..bytes.len() {
            for change in 1..=u8::MAX {
                let mut other = bytes.clone();
                other[at] ^= change;
                let Ok(view) = EntryView::read(&other) else { continue };
                assert_ne!(view.id(), original);
                assert_eq!(again(&view), other, "byte {at} xor {change}: a second encoding was accepted");
                if change == 1 {
                    assert!(matches!(view.verify(), Err(EntryError::Signature(_))), "byte {at} xor {change}");
                }
            }
        }
    }
}

#[test]
fn every_entry_cut_short_and_every_entry_with_more_behind_it_is_refused() {
    for raw in [Raw::root(), Raw::child()] {
        let mut bytes = raw.bytes();
        for end in 0..bytes.len() {
            assert!(EntryView::read(&bytes[..end]).is_err(), "cut at {end}");
        }
        bytes.push(0);
        assert!(matches!(EntryView::read(&bytes), Err(EntryError::Encoding(_))));
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_or_have_one_encoding(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        root in any::<bool>(),
    ) {
        let _ = EntryView::read(&bytes);
        let mut near = if root { Raw::root() } else { Raw::child() }.bytes();
        for (at, byte) in changes {
            let at = at.index(near.len());
            near[at] = byte;
        }
        if let Ok(view) = EntryView::read(&near) {
            prop_assert_eq!(again(&view), near);
        }
    }
}
