//! Which tables there are, and how their keys sort.
//!
//! A tree has a number of 4 bytes in this store, given in order of arrival, so that keys stay short and all that
//! belongs to a tree lies together. Numbers are big endian, so that bytes sort as they do. `height` and `time` have 6
//! bytes (both lie below 2^48).
//!
//! | table | key | value |
//! |---|---|---|
//! | `Store` | a name | the format, the salt of the aggregates, the next tree's number |
//! | `Meta` | the node's | the node's |
//! | `Trees` | tree's id | [`crate::record::TreeRecord`] |
//! | `Entries` | tree, height, id | the canonical bytes |
//! | `Headers` | tree, height, id | [`crate::record::HeaderRecord`]: view, length, standing, children |
//! | `Outside` | tree, height, id | the canonical bytes of an entry outside the shared set |
//! | `OutsideHeaders` | tree, height, id | its header |
//! | `Index` | tree, id | height |
//! | `Aggregates` | tree, level, height, id | [`pleach_core::storage::Measure`] from here to the next of the level |
//! | `Tips` | tree, height, id | nothing |
//! | `Rows` | tree, store, 0, kind, then in a map path, 0, time, height, id; in a log height, id, number | author, then time (of a log) or tag (of a map), then the value |
//! | `Arrivals` | tree, number (8 bytes) | height, id |
//! | `Settings` | tree, ordinal (4 bytes) | [`pleach_core::access::SettingsRecord`] |
//! | `Views` | tree, number (4 bytes) | the encoded view |
//! | `ViewNumbers` | tree, hash of the encoded view | its number |
//! | `Grants` | tree, whom, ordinal (4 bytes) | the permission |
//! | `Revocations` | tree, whom, ordinal (4 bytes) | nothing |
//! | `Front` | tree, height, id | ordinals of the revocations that descend from an entry that a flip has yet to look at |
//! | `Waiting` | tree's id, height, id | the canonical bytes of an entry whose ancestors were lost by damage |
//!
//! Entries, headers, tips, aggregates, arrivals and the tree's measure cover the shared set; what is stored beside it
//! has tables of its own, so that no scan has to pass over it. The index covers both. Rows are those of entries that
//! count: when one is masked its rows go, and come back from its bytes when the mask lifts.

use pleach_core::{Id, Position, entry::Who, limits::HEIGHT_END, storage::Stamp};

use crate::tables::Span;

/// A table; see the list above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Store,
    Meta,
    Trees,
    Entries,
    Headers,
    Outside,
    OutsideHeaders,
    Index,
    Aggregates,
    Tips,
    Rows,
    Arrivals,
    Settings,
    Views,
    ViewNumbers,
    Grants,
    Revocations,
    Front,
    Waiting,
}

impl Table {
    /// Every table, in the order of their numbers.
    pub(crate) const ALL: [Self; 19] = [
        Self::Store,
        Self::Meta,
        Self::Trees,
        Self::Entries,
        Self::Headers,
        Self::Outside,
        Self::OutsideHeaders,
        Self::Index,
        Self::Aggregates,
        Self::Tips,
        Self::Rows,
        Self::Arrivals,
        Self::Settings,
        Self::Views,
        Self::ViewNumbers,
        Self::Grants,
        Self::Revocations,
        Self::Front,
        Self::Waiting,
    ];

    /// The tables whose keys begin with a tree's number.
    pub(crate) fn of_trees() -> impl Iterator<Item = Self> {
        let others = |table: &Self| matches!(table, Self::Store | Self::Meta | Self::Trees | Self::Waiting);
        Self::ALL.into_iter().filter(move |table| !others(table))
    }

    /// The name under which a file keeps it.
    #[cfg(any(feature = "redb", feature = "conformance"))]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Meta => "meta",
            Self::Trees => "trees",
            Self::Entries => "entries",
            Self::Headers => "headers",
            Self::Outside => "outside",
            Self::OutsideHeaders => "outside-headers",
            Self::Index => "index",
            Self::Aggregates => "aggregates",
            Self::Tips => "tips",
            Self::Rows => "rows",
            Self::Arrivals => "arrivals",
            Self::Settings => "settings",
            Self::Views => "views",
            Self::ViewNumbers => "view-numbers",
            Self::Grants => "grants",
            Self::Revocations => "revocations",
            Self::Front => "front",
            Self::Waiting => "waiting",
        }
    }
}

/// The number of a tree in this store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TreeNumber(pub(crate) u32);

/// Bytes of a position in a key.
const POSITION: usize = 6 + 32;

impl TreeNumber {
    /// All keys of the tree, in any table of trees.
    pub(crate) fn all(self) -> Span {
        Span::prefix(&self.0.to_be_bytes())
    }

    /// The tree, then these parts.
    pub(crate) fn key(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut key = Vec::with_capacity(4 + parts.iter().map(|part| part.len()).sum::<usize>());
        key.extend_from_slice(&self.0.to_be_bytes());
        for part in parts {
            key.extend_from_slice(part);
        }
        key
    }

    /// The key of an entry by position.
    pub(crate) fn at(self, position: &Position) -> Vec<u8> {
        self.key(&[&six(position.height), position.id.as_bytes()])
    }

    /// The key of an entry that waits for its ancestors: by the tree's id, since the tree may be gone.
    pub(crate) fn waiting(tree: &Id, position: &Position) -> Vec<u8> {
        [&tree.as_bytes()[..], &six(position.height), position.id.as_bytes()].concat()
    }

    /// The keys of a range of positions.
    pub(crate) fn range(self, range: &pleach_core::Range) -> Span {
        Span::new(self.bound(&[], &range.start), self.bound(&[], &range.end))
    }

    /// Where a position cuts the keys that start with the tree and `prefix`; beyond every valid height, the end.
    pub(crate) fn bound(self, prefix: &[u8], position: &Position) -> Vec<u8> {
        if position.height >= HEIGHT_END {
            self.key(&[prefix, &[u8::MAX; POSITION + 1]])
        } else {
            self.key(&[prefix, &six(position.height), position.id.as_bytes()])
        }
    }

    /// The key of a number of 4 bytes: an ordinal, a view.
    pub(crate) fn number(self, number: u32) -> Vec<u8> {
        self.key(&[&number.to_be_bytes()])
    }

    /// What comes before the ordinal in the index of grants and of revocations.
    pub(crate) fn whom(self, who: &Who) -> Vec<u8> {
        match who {
            Who::Everyone => self.key(&[&[0]]),
            Who::Key(key) => self.key(&[&[1], key.as_bytes()]),
        }
    }
}

/// A number below 2^48 in 6 bytes.
pub(crate) fn six(number: u64) -> [u8; 6] {
    let [_, _, bytes @ ..] = number.to_be_bytes();
    bytes
}

/// The number that [`six`] wrote.
pub(crate) fn from_six(bytes: [u8; 6]) -> u64 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// The position that ends a key, and what comes before it.
pub(crate) fn split_position(key: &[u8]) -> Option<(&[u8], Position)> {
    let (rest, id) = key.split_last_chunk::<32>()?;
    let (rest, height) = rest.split_last_chunk::<6>()?;
    Some((rest, Position { height: from_six(*height), id: Id::from_bytes(*id) }))
}

/// Time, height and id, as they end the key of a map's row.
pub(crate) fn stamp_bytes(stamp: &Stamp) -> [u8; 6 + POSITION] {
    let mut bytes = [0; 6 + POSITION];
    let parts = [&six(stamp.time)[..], &six(stamp.position.height), stamp.position.id.as_bytes()];
    for (place, byte) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
        *place = *byte;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_positions_do() {
        let tree = TreeNumber(7);
        let position = |height, byte| Position { height, id: Id::from_bytes([byte; 32]) };
        let ascending = [
            Position::MIN,
            position(0, 1),
            position(255, 9),
            position(256, 0),
            position(HEIGHT_END - 1, 255),
            Position::END,
        ];
        assert!(ascending.map(|position| tree.bound(&[], &position)).is_sorted());
        assert!(tree.bound(&[], &Position::END) < TreeNumber(8).bound(&[], &Position::MIN));
        assert_eq!(split_position(&tree.at(&ascending[3])).map(|(_, position)| position), Some(ascending[3]));
    }

    #[test]
    fn every_table_stands_at_its_number() {
        for (number, table) in Table::ALL.into_iter().enumerate() {
            assert_eq!(table as usize, number);
        }
    }
}
