//! How much of one message there is so far, against the limits of frames and messages.

use pleach_core::limits::{MAX_FRAME, MAX_MESSAGE};

use crate::TransportError;

/// Counts the bytes of a message, frame by frame, on either side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Budget {
    used: usize,
}

impl Budget {
    /// Takes a frame of so many bytes into the count, unless it or the message would be too large.
    pub(crate) fn charge(&mut self, frame: usize) -> Result<(), TransportError> {
        if frame == 0 {
            return Err(TransportError::Misuse("a frame has at least one byte"));
        }
        let message = self.used.saturating_add(frame);
        let (what, limit, found) = if frame > MAX_FRAME {
            ("a frame", MAX_FRAME, frame)
        } else {
            ("a message", MAX_MESSAGE, message)
        };
        if found > limit {
            return Err(TransportError::TooLarge { what, limit, found });
        }
        self.used = message;
        Ok(())
    }

    /// Whether no frame was counted.
    #[cfg(any(all(feature = "http", any(feature = "smol", feature = "threads")), feature = "quic"))]
    pub(crate) const fn is_untouched(self) -> bool {
        self.used == 0
    }
}
