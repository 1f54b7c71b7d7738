//! Frames that carry entries: their canonical bytes, one after the other, each behind its length.

use crate::{
    canonical::{self, DecodeError},
    limits::{MAX_BATCH_ENTRIES, MAX_ENTRY},
    wire::Kind,
};

/// The entries of a frame, in place: lengths are checked, entries are not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Entries<'a> {
    /// Checks the lengths: none is 0 or above [`MAX_ENTRY`], and the last entry ends with the body; and that there are
    /// no more than one storage transaction takes.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut rest = body;
        let mut count = 0_usize;
        while !rest.is_empty() {
            rest = take(rest)?.1;
            count = count.saturating_add(1);
            if count > MAX_BATCH_ENTRIES {
                return Err(DecodeError::Malformed);
            }
        }
        Ok(Self { rest: body })
    }

    /// Entries whose lengths were checked before, or the rest of them.
    pub(crate) const fn trusted(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// Bytes of the entries that are left, with their lengths.
    pub(crate) const fn byte_len(&self) -> usize {
        self.rest.len()
    }
}

#[expect(clippy::copy_iterator, reason = "a view: a copy begins where the walk stands")]
impl<'a> Iterator for Entries<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (entry, rest) = take(self.rest).ok()?;
        self.rest = rest;
        Some(entry)
    }
}

fn take(bytes: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let (length, rest) = canonical::take_from_bytes::<usize>(bytes)?;
    if length == 0 || length > MAX_ENTRY {
        return Err(DecodeError::Malformed);
    }
    rest.split_at_checked(length).ok_or(DecodeError::Malformed)
}

/// Fills a buffer with a frame of entries.
///
/// ```
/// # use pleach_core::wire::{EntriesWriter, Frame};
/// let mut room = [0; 64];
/// let mut writer = EntriesWriter::new(&mut room);
/// assert!(writer.push(b"an entry's bytes"));
/// assert!(!writer.push(&[0; 64]), "no room is left for this one: send the frame, begin another");
/// let frame = writer.finish();
/// let Ok(Frame::Entries(mut entries)) = Frame::read(frame) else { panic!() };
/// assert_eq!(entries.next(), Some(&b"an entry's bytes"[..]));
/// ```
#[derive(Debug)]
pub struct EntriesWriter<'a> {
    room: &'a mut [u8],
    used: usize,
    count: usize,
}

impl<'a> EntriesWriter<'a> {
    /// Begins a frame in the front of `room`, which is as large as a frame may be.
    pub fn new(room: &'a mut [u8]) -> Self {
        let used = room.first_mut().map_or(0, |first| {
            *first = Kind::Entries as u8;
            1
        });
        Self { room, used, count: 0 }
    }

    /// Adds an entry's canonical bytes, or says that they do not fit.
    pub fn push(&mut self, entry: &[u8]) -> bool {
        if self.count >= MAX_BATCH_ENTRIES {
            return false;
        }
        let Some(room) = self.room.get_mut(self.used..) else { return false };
        let Some(length) = canonical::to_slice(&entry.len(), room).map(|length| length.len()) else {
            return false;
        };
        let end = length.saturating_add(entry.len());
        let Some(place) = room.get_mut(length..end) else { return false };
        place.copy_from_slice(entry);
        self.used = self.used.saturating_add(end);
        self.count = self.count.saturating_add(1);
        true
    }

    /// Whether no entry was added.
    pub const fn is_empty(&self) -> bool {
        self.used <= 1
    }

    /// The frame.
    pub fn finish(self) -> &'a [u8] {
        self.room.get(..self.used).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        limits::MAX_FRAME,
        wire::{Frame, FrameError},
    };

    /// Bytes of the length before a large entry.
    const LENGTH: usize = 3;

    #[test]
    fn a_frame_holds_no_more_entries_than_a_transaction_takes() {
        let mut room = [0; 2 * MAX_BATCH_ENTRIES + 3];
        let mut writer = EntriesWriter::new(&mut room);
        assert!((0..MAX_BATCH_ENTRIES).all(|_| writer.push(b"x")));
        assert!(!writer.push(b"x"), "there is room for its bytes");
        let length = writer.finish().len();
        assert!(matches!(Frame::read(&room[..length]), Ok(Frame::Entries(_))));
        room[length..].copy_from_slice(&[1, b'x']);
        assert!(Frame::read(&room).is_err(), "one too many");
    }

    #[test]
    fn an_entry_and_a_frame_may_be_as_large_as_the_limit_and_no_larger() {
        let largest = std::vec![1; MAX_ENTRY];
        let mut room = std::vec![0; MAX_FRAME];
        let mut writer = EntriesWriter::new(&mut room);
        let mut left = MAX_FRAME - 1;
        while left > LENGTH + MAX_ENTRY {
            assert!(writer.push(&largest));
            left -= LENGTH + MAX_ENTRY;
        }
        assert!(writer.push(&largest[..left - LENGTH]), "there is room for just this one");
        let mut frame = writer.finish().to_vec();
        assert_eq!(frame.len(), MAX_FRAME);
        let Ok(Frame::Entries(mut entries)) = Frame::read(&frame) else { panic!("it is not too large") };
        assert_eq!(entries.next(), Some(&largest[..]));
        frame.push(0);
        assert_eq!(Frame::read(&frame).unwrap_err(), FrameError::TooLarge(MAX_FRAME + 1));

        let mut frame = [&[Kind::Advance as u8][..], &largest].concat();
        assert!(matches!(Frame::read(&frame), Ok(Frame::Advance(entry)) if entry == largest));
        frame.push(0);
        assert!(Frame::read(&frame).is_err());
    }
}
