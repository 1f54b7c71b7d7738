//! Items that fill a frame to its end, read in place.

use core::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::canonical::{self, DecodeError};

/// Checked items, one after the other up to the end of their frame. There is no count before them, so that a
/// writer can add items until its buffer is full.
#[derive(Debug, PartialEq, Eq)]
pub struct Items<'a, T> {
    bytes: &'a [u8],
    of: PhantomData<T>,
}

impl<T> Clone for Items<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Items<'_, T> {}

impl<'a, T: Deserialize<'a> + Serialize> Items<'a, T> {
    /// Checks that the bytes are canonical items and nothing else.
    pub fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = canonical::take_from_bytes::<T>(rest)?.1;
        }
        Ok(Self { bytes, of: PhantomData })
    }

    /// Items that were checked before, when the frame was read.
    pub(crate) const fn trusted(bytes: &'a [u8]) -> Self {
        Self { bytes, of: PhantomData }
    }

    /// Bytes of all items.
    pub const fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The items in order.
    pub fn iter(&self) -> ItemsIter<'a, T> {
        self.iter_from(0)
    }

    /// The items from a byte offset that [`ItemsIter::offset`] gave, so that a walk can be left and taken up again
    /// without holding the frame.
    pub fn iter_from(&self, offset: usize) -> ItemsIter<'a, T> {
        ItemsIter { bytes: self.bytes, offset, of: PhantomData }
    }

    /// Whether there is no item.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl<'a, T: Deserialize<'a> + Serialize> IntoIterator for &Items<'a, T> {
    type Item = T;
    type IntoIter = ItemsIter<'a, T>;

    fn into_iter(self) -> ItemsIter<'a, T> {
        self.iter()
    }
}

/// The items of a frame, in order.
#[derive(Clone, Debug)]
pub struct ItemsIter<'a, T> {
    bytes: &'a [u8],
    offset: usize,
    of: PhantomData<T>,
}

impl<T> ItemsIter<'_, T> {
    /// Bytes of the items that came before.
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

impl<'a, T: Deserialize<'a>> Iterator for ItemsIter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let left = self.bytes.get(self.offset..)?;
        if left.is_empty() {
            return None;
        }
        let (item, rest) = postcard::take_from_bytes(left).ok()?;
        self.offset = self.bytes.len().saturating_sub(rest.len());
        Some(item)
    }
}
