//! A session over the serial line: frames out and in, with a limit on every wait.

use pleach_core::{
    PublicKey, SecretKey,
    wire::serial::{Heard, Link, LinkError, ON_LINE, PACKET, PacketKind},
};

use crate::{
    clock::{self, SECOND},
    uart::Uart,
};

/// Ticks from one hello to the next while no answer comes.
const AGAIN: u64 = SECOND;

/// Hellos without an answer after which nobody is there.
const HELLOS: u32 = 10;

/// Why a session is over.
#[derive(Clone, Debug)]
pub(crate) enum LineError {
    /// Nothing comes any more.
    Silent,
    /// The peer let go.
    Closed,
    /// A frame is longer than the room for it.
    TooLong,
    /// A packet was lost, or a proof is wrong.
    Link(LinkError),
}

impl core::fmt::Display for LineError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Silent => f.write_str("the line is silent"),
            Self::Closed => f.write_str("the peer let go"),
            Self::TooLong => f.write_str("the peer sent a frame that is too long"),
            Self::Link(error) => error.fmt(f),
        }
    }
}

impl From<LinkError> for LineError {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

/// An open session.
pub(crate) struct Line<'a> {
    uart: &'a mut Uart,
    link: Link,
    patience: u64,
    /// The key that the peer has proven.
    pub(crate) peer: PublicKey,
}

impl<'a> Line<'a> {
    /// Greets whoever is at the other end until an answer comes. After `patience` ticks without a byte the line is taken
    /// to be cut.
    pub(crate) fn open(
        uart: &'a mut Uart,
        key: SecretKey,
        nonce: [u8; 16],
        frame: u32,
        patience: u64,
    ) -> Result<Self, LineError> {
        let mut link = Link::initiator(key, None, nonce, frame);
        let mut room = [0; ON_LINE];
        for _ in 0..HELLOS {
            let used = link.hello(&mut room).unwrap_or(0);
            uart.write(room.get(..used).unwrap_or_default());
            let until = clock::ticks() + AGAIN;
            while let Some(byte) = uart.read(until) {
                if let Heard::Opened { peer, reply } = link.push(byte, &mut room)? {
                    uart.write(room.get(..reply).unwrap_or_default());
                    return Ok(Self { uart, link, patience, peer });
                }
            }
        }
        Err(LineError::Silent)
    }

    /// Sends a frame.
    pub(crate) fn send(&mut self, frame: &[u8]) {
        let mut pieces = frame.chunks(PACKET).peekable();
        while let Some(piece) = pieces.next() {
            let kind = if pieces.peek().is_some() { PacketKind::Part } else { PacketKind::Last };
            self.put(kind, piece);
        }
    }

    /// Ends this side's message.
    pub(crate) fn finish(&mut self) {
        self.put(PacketKind::End, &[]);
    }

    /// Lets go.
    pub(crate) fn close(mut self) {
        self.put(PacketKind::Close, &[]);
    }

    fn put(&mut self, kind: PacketKind, payload: &[u8]) {
        let mut room = [0; ON_LINE];
        let used = self.link.write(kind, payload, &mut room).unwrap_or(0);
        self.uart.write(room.get(..used).unwrap_or_default());
    }

    /// Waits for the next frame and puts it into the front of `room`; nothing at the end of the message.
    pub(crate) fn receive(&mut self, room: &mut [u8]) -> Result<Option<usize>, LineError> {
        let mut reply = [0; ON_LINE];
        let mut used = 0_usize;
        loop {
            let byte = self.uart.read(clock::ticks() + self.patience).ok_or(LineError::Silent)?;
            let (piece, last) = match self.link.push(byte, &mut reply)? {
                Heard::Part(piece) => (piece, false),
                Heard::Last(piece) => (piece, true),
                Heard::End => return Ok(None),
                Heard::Closed => return Err(LineError::Closed),
                _ => continue,
            };
            let end = used + piece.len();
            room.get_mut(used..end).ok_or(LineError::TooLong)?.copy_from_slice(piece);
            used = end;
            if last {
                return Ok(Some(used));
            }
        }
    }
}
