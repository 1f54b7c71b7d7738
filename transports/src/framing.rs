//! How frames follow one another in a stream of bytes: each after its length, four bytes with the low one first; a
//! length of zero ends the message.

use pleach_core::limits::MAX_FRAME;

use crate::{TransportError, budget::Budget};

/// Bytes of a length.
pub(crate) const PREFIX: usize = 4;

/// The end of a message.
pub(crate) const END: [u8; PREFIX] = [0; PREFIX];

/// The length in front of a frame that a budget has let through.
pub(crate) fn prefix(frame: &[u8]) -> [u8; PREFIX] {
    u32::try_from(frame.len()).unwrap_or(u32::MAX).to_le_bytes()
}

/// What a decoder finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Frame(Vec<u8>),
    End,
}

/// Finds frames in bytes that come in pieces of any size. Room is reserved for what has come, not for what a length
/// announces.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// Bytes in a frame at most.
    most: usize,
    prefix: [u8; PREFIX],
    /// Bytes of the prefix that are there.
    have: usize,
    frame: Vec<u8>,
    budget: Budget,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::with_frames_up_to(MAX_FRAME)
    }
}

impl Decoder {
    /// A decoder that refuses longer frames.
    pub(crate) fn with_frames_up_to(most: usize) -> Self {
        Self { most, prefix: [0; PREFIX], have: 0, frame: Vec::new(), budget: Budget::default() }
    }

    /// Takes frames of any lawful length from here on.
    #[cfg(any(feature = "quic", feature = "iroh"))]
    pub(crate) const fn trust(&mut self) {
        self.most = MAX_FRAME;
    }

    /// Takes bytes off the front until a part is complete; nothing, if it takes all of them.
    pub(crate) fn feed(&mut self, bytes: &mut &[u8]) -> Result<Option<Part>, TransportError> {
        while self.have < PREFIX {
            let Some((&byte, rest)) = bytes.split_first() else { return Ok(None) };
            *bytes = rest;
            self.prefix[self.have] = byte;
            self.have += 1;
            if self.have == PREFIX {
                self.announced()?;
            }
        }
        let length = self.length();
        if length == 0 {
            *self = Self::with_frames_up_to(self.most);
            return Ok(Some(Part::End));
        }
        let (now, rest) = bytes.split_at(bytes.len().min(length - self.frame.len()));
        *bytes = rest;
        self.frame.extend_from_slice(now);
        if self.frame.len() < length {
            return Ok(None);
        }
        self.have = 0;
        Ok(Some(Part::Frame(std::mem::take(&mut self.frame))))
    }

    /// Leaves the frames so far out of the message's count.
    #[cfg(all(feature = "http", any(feature = "smol", feature = "threads")))]
    pub(crate) fn discount(&mut self) {
        self.budget = Budget::default();
    }

    /// Whether the bytes so far end between two messages.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.have == 0 && self.budget.is_untouched()
    }

    fn length(&self) -> usize {
        usize::try_from(u32::from_le_bytes(self.prefix)).unwrap_or(usize::MAX)
    }

    fn announced(&mut self) -> Result<(), TransportError> {
        match self.length() {
            0 => Ok(()),
            length if length > self.most => {
                Err(TransportError::TooLarge { what: "a frame", limit: self.most, found: length })
            }
            length => self.budget.charge(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use pleach_core::limits::MAX_MESSAGE;

    use super::*;

    fn all(bytes: &[u8], piece: usize) -> Result<Vec<Part>, TransportError> {
        let mut decoder = Decoder::default();
        let mut parts = Vec::new();
        for mut piece in bytes.chunks(piece) {
            while let Some(part) = decoder.feed(&mut piece)? {
                parts.push(part);
            }
        }
        Ok(parts)
    }

    #[test]
    fn frames_are_found_in_pieces_of_any_size() {
        let mut bytes = Vec::new();
        for frame in [&b"one"[..], b"2", b"three"] {
            bytes.extend(prefix(frame));
            bytes.extend(frame);
        }
        bytes.extend(END);
        for piece in 1..=bytes.len() {
            let parts = all(&bytes, piece).unwrap();
            let frames = [&b"one"[..], b"2", b"three"].map(|frame| Part::Frame(frame.to_vec()));
            assert_eq!(parts[..3], frames);
            assert_eq!(parts[3..], [Part::End]);
        }
    }

    #[test]
    fn a_length_far_beyond_the_bytes_reserves_nothing() {
        let mut decoder = Decoder::default();
        let announced = u32::try_from(MAX_FRAME).unwrap().to_le_bytes();
        let mut bytes = &[&announced[..], b"few"].concat()[..];
        assert_eq!(decoder.feed(&mut bytes), Ok(None));
        assert!(decoder.frame.capacity() < 64);
        let too_many = u32::try_from(MAX_FRAME + 1).unwrap().to_le_bytes();
        assert!(matches!(all(&too_many, 4), Err(TransportError::TooLarge { what: "a frame", .. })));
        assert!(matches!(all(&[0xff; 4], 4), Err(TransportError::TooLarge { .. })));
    }

    #[test]
    fn a_message_beyond_its_limit_is_refused_at_the_length_that_crosses_it() {
        let frame = vec![7; MAX_FRAME];
        let mut bytes = Vec::new();
        for _ in 0..MAX_MESSAGE / MAX_FRAME {
            bytes.extend(prefix(&frame));
            bytes.extend(&frame);
        }
        assert!(all(&bytes, 1 << 16).is_ok());
        bytes.extend([1, 0, 0, 0]);
        assert!(matches!(all(&bytes, 1 << 16), Err(TransportError::TooLarge { what: "a message", .. })));
    }
}
