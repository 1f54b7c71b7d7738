//! A sequence that stays in its encoding and is decoded element by element, so that it needs no heap.

use core::marker::PhantomData;

use serde::{Deserialize, Serialize, Serializer};

use crate::canonical::{self, DecodeError};

/// A checked sequence of `T` in the bytes it came in: a varint count, then the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seq<'a, T> {
    len: usize,
    elements: &'a [u8],
    of: PhantomData<T>,
}

impl<T> Default for Seq<'_, T> {
    fn default() -> Self {
        Self { len: 0, elements: &[], of: PhantomData }
    }
}

impl<'a, T: Deserialize<'a> + Serialize> Seq<'a, T> {
    /// Takes a sequence of at most `max` elements from the front, checking every element; returns what follows.
    /// `check` sees each element with the one before it, and may refuse.
    pub fn take<E: From<DecodeError>>(
        bytes: &'a [u8],
        max: usize,
        mut check: impl FnMut(Option<&T>, &T) -> Result<(), E>,
    ) -> Result<(Self, &'a [u8]), SeqError<E>> {
        let (len, elements) = canonical::take_from_bytes::<usize>(bytes).map_err(E::from)?;
        if len > max {
            return Err(SeqError::TooMany(len));
        }
        let mut rest = elements;
        let mut before = None;
        for _ in 0..len {
            let (element, after) = canonical::take_from_bytes::<T>(rest).map_err(E::from)?;
            check(before.as_ref(), &element)?;
            before = Some(element);
            rest = after;
        }
        let used = elements.len().saturating_sub(rest.len());
        let elements = elements.get(..used).unwrap_or_default();
        Ok((Self { len, elements, of: PhantomData }, rest))
    }

    /// A sequence that was taken before, from the bytes of its elements.
    pub(crate) const fn of_checked(len: usize, elements: &'a [u8]) -> Self {
        Self { len, elements, of: PhantomData }
    }

    /// The bytes of the elements, without the count.
    pub(crate) const fn elements(&self) -> &'a [u8] {
        self.elements
    }

    /// The elements in order.
    pub fn iter(&self) -> Iter<'a, T> {
        Iter { left: self.len, rest: self.elements, of: PhantomData }
    }
}

impl<T> Seq<'_, T> {
    /// Elements in the sequence.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Why a sequence was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeqError<E> {
    /// It claims this many elements, more than allowed.
    TooMany(usize),
    /// An element was refused.
    Element(E),
}

impl<E> From<E> for SeqError<E> {
    fn from(error: E) -> Self {
        Self::Element(error)
    }
}

impl<'a, T: Deserialize<'a> + Serialize> Serialize for Seq<'a, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'a, T: Deserialize<'a> + Serialize> IntoIterator for &Seq<'a, T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// The elements of a [`Seq`].
#[derive(Clone, Debug)]
pub struct Iter<'a, T> {
    left: usize,
    rest: &'a [u8],
    of: PhantomData<T>,
}

impl<'a, T: Deserialize<'a>> Iterator for Iter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        let (element, rest) = postcard::take_from_bytes(self.rest).ok()?;
        self.rest = rest;
        Some(element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a, T: Deserialize<'a>> ExactSizeIterator for Iter<'a, T> {}
