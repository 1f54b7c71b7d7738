//! Packets on a line of bytes: found again after any garbage, checked, numbered. No heap.
//!
//! A packet is a kind, a number and at most [`PACKET`] bytes, and a CRC-32 (ISO-HDLC) over the session's tag and all
//! of these. It is written in consistent overhead byte stuffing (Cheshire, Baker: "COBS", 1999), so that it holds no
//! zero, between zeros: whoever has lost the thread waits for the next zero.

/// Bytes of payload in a packet: few enough for a small board's buffers, enough that the rest is 2 %.
pub const PACKET: usize = 512;

/// Bytes of a packet before it is stuffed: kind, number, payload, checksum.
const RAW: usize = PACKET + 6;

/// Bytes of a packet on the line: one more for each 254, and the zeros around it.
pub const ON_LINE: usize = RAW + RAW.div_ceil(254) + 2;

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PacketKind {
    /// The initiator's first word.
    Hello = 1,
    /// The responder's answer, with its proof.
    Answer = 2,
    /// The initiator's proof.
    Proof = 3,
    /// A piece of a frame that goes on.
    Part = 4,
    /// The last piece of a frame.
    Last = 5,
    /// The end of a message.
    End = 6,
    /// The sender lets go of the session.
    Close = 7,
}

impl PacketKind {
    /// The kind with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Hello,
            2 => Self::Answer,
            3 => Self::Proof,
            4 => Self::Part,
            5 => Self::Last,
            6 => Self::End,
            7 => Self::Close,
            _ => return None,
        })
    }
}

/// What sets the packets of one session apart from those of another that still are on the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tag(pub [u8; 4]);

/// A packet that arrived whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub kind: PacketKind,
    /// Its number in its direction, from 0, modulo 256.
    pub number: u8,
    /// What it carries, at most [`PACKET`] bytes.
    pub payload: &'a [u8],
}

/// The table of the checksum for four bits at a time.
const TABLE: [u32; 16] = [
    0x0000_0000,
    0x1db7_1064,
    0x3b6e_20c8,
    0x26d9_30ac,
    0x76dc_4190,
    0x6b6b_51f4,
    0x4db2_6158,
    0x5005_713c,
    0xedb8_8320,
    0xf00f_9344,
    0xd6d6_a3e8,
    0xcb61_b38c,
    0x9b64_c2b0,
    0x86d3_d2d4,
    0xa00a_e278,
    0xbdbd_f21c,
];

fn checksum(tag: Tag, body: &[u8]) -> u32 {
    let step = |sum: u32, bits: u32| {
        let at = usize::try_from((sum ^ bits) & 15).unwrap_or(0);
        TABLE.get(at).copied().unwrap_or(0) ^ (sum >> 4)
    };
    let bytes = tag.0.iter().chain(body);
    !bytes.fold(!0, |sum, byte| step(step(sum, u32::from(*byte)), u32::from(*byte >> 4)))
}

/// A greeting is read before there is a tag.
const fn tag_of(kind: PacketKind, tag: Tag) -> Tag {
    match kind {
        PacketKind::Hello | PacketKind::Answer => Tag([0; 4]),
        _ => tag,
    }
}

/// Writes a packet as it goes over the line into the front of `room`; [`ON_LINE`] bytes always suffice. Returns the
/// bytes used, or nothing if the payload or the room does not fit.
pub fn encode(packet: &Packet<'_>, tag: Tag, room: &mut [u8]) -> Option<usize> {
    if packet.payload.len() > PACKET {
        return None;
    }
    let mut body = heapless::Vec::<u8, RAW>::new();
    body.extend_from_slice(&[packet.kind as u8, packet.number]).ok()?;
    body.extend_from_slice(packet.payload).ok()?;
    let sum = checksum(tag_of(packet.kind, tag), &body);
    body.extend_from_slice(&sum.to_le_bytes()).ok()?;
    *room.first_mut()? = 0;
    // Where the count of the current block stands, and where the next byte goes.
    let (mut count_at, mut at) = (1_usize, 2_usize);
    let mut count = 1_u8;
    for byte in &body {
        if *byte != 0 {
            *room.get_mut(at)? = *byte;
            at = at.saturating_add(1);
            count = count.saturating_add(1);
        }
        if *byte == 0 || count == 0xff {
            *room.get_mut(count_at)? = count;
            (count_at, count) = (at, 1);
            at = at.saturating_add(1);
        }
    }
    *room.get_mut(count_at)? = count;
    *room.get_mut(at)? = 0;
    at.checked_add(1)
}

/// Finds packets in a stream of bytes.
///
/// ```
/// # use pleach_core::wire::serial::{Decoder, ON_LINE, Packet, PacketKind, Tag, encode};
/// let packet = Packet { kind: PacketKind::Last, number: 7, payload: b"a \0 frame" };
/// let mut line = [0xaa; ON_LINE];
/// let used = encode(&packet, Tag([1; 4]), &mut line).unwrap();
/// let mut decoder = Decoder::default();
/// let found = b"garbage".iter().chain(&line[..used]).find_map(|byte| {
///     decoder.push(*byte, Tag([1; 4])).map(|packet| packet.payload.to_vec())
/// });
/// assert_eq!(found.as_deref(), Some(&b"a \0 frame"[..]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decoder {
    body: heapless::Vec<u8, RAW>,
    /// Bytes that are left of the current block; nothing while the packet is lost.
    left: Option<u8>,
    /// Whether a zero belongs between this block and the next.
    zero: bool,
    fresh: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        // What comes before the first zero is no packet.
        Self { body: heapless::Vec::new(), left: None, zero: false, fresh: false }
    }
}

impl Decoder {
    /// Takes the next byte; gives a packet when one is complete and good. What is not good is passed over.
    pub fn push(&mut self, byte: u8, tag: Tag) -> Option<Packet<'_>> {
        if self.fresh {
            self.body.clear();
            self.fresh = false;
        }
        if byte == 0 {
            let whole = self.left == Some(0);
            (self.left, self.zero, self.fresh) = (Some(0), false, true);
            return if whole { self.packet(tag) } else { None };
        }
        match self.left? {
            0 => {
                // A count: the blocks before and after have a zero between them, but for the first and the longest.
                let zero = core::mem::replace(&mut self.zero, byte != 0xff);
                self.left = Some(byte.saturating_sub(1));
                if zero {
                    self.store(0);
                }
            }
            left => {
                self.left = Some(left.saturating_sub(1));
                self.store(byte);
            }
        }
        None
    }

    fn store(&mut self, byte: u8) {
        if self.body.push(byte).is_err() {
            // Longer than any packet: wait for the next zero.
            self.left = None;
        }
    }

    fn packet(&self, tag: Tag) -> Option<Packet<'_>> {
        let (body, sum) = self.body.split_last_chunk::<4>()?;
        let (kind, rest) = body.split_first()?;
        let (number, payload) = rest.split_first()?;
        let kind = PacketKind::from_number(*kind)?;
        let good = checksum(tag_of(kind, tag), body) == u32::from_le_bytes(*sum);
        good.then_some(Packet { kind, number: *number, payload })
    }
}
