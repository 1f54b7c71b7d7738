//! How much of one message there is so far, against the limits of frames and messages.

use pleach_core::limits::{MAX_FRAME, MAX_MESSAGE};

use crate::TransportError;

/// Bytes that a frame of a message costs at least, however short it is: about what it takes to keep one.
pub(crate) const LEAST: usize = 64;

/// Counts the bytes of a message, frame by frame, on either side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Budget {
    used: usize,
    frames: usize,
}

impl Budget {
    /// Takes a frame of so many bytes into the count, unless it or the message would be too large. Very many frames make
    /// a message as large as [`LEAST`] bytes for each of them.
    pub(crate) fn charge(&mut self, frame: usize) -> Result<(), TransportError> {
        if frame == 0 {
            return Err(TransportError::Misuse("a frame has at least one byte"));
        }
        let message = self.used.saturating_add(frame);
        let frames = self.frames.saturating_add(1);
        let (what, limit, found) = if frame > MAX_FRAME {
            ("a frame", MAX_FRAME, frame)
        } else {
            ("a message", MAX_MESSAGE, message.max(frames.saturating_mul(LEAST)))
        };
        if found > limit {
            return Err(TransportError::TooLarge { what, limit, found });
        }
        (self.used, self.frames) = (message, frames);
        Ok(())
    }

    /// Whether no frame was counted.
    #[cfg(any(
        all(feature = "http", any(feature = "smol", feature = "threads")),
        feature = "quic",
        feature = "iroh"
    ))]
    pub(crate) const fn is_untouched(self) -> bool {
        self.used == 0
    }
}
