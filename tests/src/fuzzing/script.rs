//! Choices read from an input.

/// Choices read from an input; zeros behind its end.
pub(super) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn next(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or_default()
    }

    /// So many bytes, or what is left.
    pub(super) fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// So many bytes as a number of two says; of a number that is too large, so many as it leaves when it is divided by what is
    /// there, so that something is left behind most frames.
    pub(super) fn frame(&mut self) -> &'a [u8] {
        let length = usize::from(u16::from_le_bytes([self.next(), self.next()]));
        let left = self.0.len();
        self.take(if length > left { length % (left + 1) } else { length })
    }

    pub(super) const fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

/// Frames, each behind its length, as [`Script::frame`] reads them.
pub(super) fn said(frames: &[&[u8]]) -> Vec<u8> {
    let length = |frame: &[u8]| u16::try_from(frame.len()).expect("a short frame").to_le_bytes();
    frames.iter().flat_map(|frame| [&length(frame)[..], frame].concat()).collect()
}
