//! One frame: its kind and its body.

use serde::Serialize;

use crate::{
    Id,
    canonical::{self, DecodeError},
    limits::{MAX_ENTRY, MAX_FRAME},
    wire::{
        Ask, Asked, End, Entries, Have, Hello, Items, KeyProof, MAX_PROOFS, MAX_REQUEST_METADATA, MAX_RING,
        MAX_WANTS, RangeItem, Refusal, Reply, TREES_PAGE, TreeLine, TreesReply, TreesRequest, proof::PROOF,
    },
};

/// The first byte of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The head of a sync request.
    Sync = 0,
    /// The head of a sync response.
    Reply = 1,
    /// Entries, ascending by position.
    Entries = 2,
    /// The last frame of a sync request or response.
    End = 3,
    /// Ids that the initiator asks for.
    Wants = 4,
    /// Parents that the responder lacks for what the request brought.
    Missing = 5,
    /// A response that refuses.
    Refusal = 6,
    /// A request for the trees that the asker may read.
    Trees = 7,
    /// Its response.
    TreeList = 8,
    /// A request for access to a tree.
    Ask = 9,
    /// The head of a partial holder's request.
    Have = 10,
    /// An entry that shall be a partial holder's base.
    Advance = 11,
    /// Ids that a partial holder was asked for and does not hold any more.
    Gone = 12,
    /// The response to [`Kind::Ask`].
    Asked = 13,
    /// Proofs of further keys, in front of a request or of a sync response.
    Keys = 14,
}

impl Kind {
    /// The kind with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Sync,
            1 => Self::Reply,
            2 => Self::Entries,
            3 => Self::End,
            4 => Self::Wants,
            5 => Self::Missing,
            6 => Self::Refusal,
            7 => Self::Trees,
            8 => Self::TreeList,
            9 => Self::Ask,
            10 => Self::Have,
            11 => Self::Advance,
            12 => Self::Gone,
            13 => Self::Asked,
            14 => Self::Keys,
            _ => return None,
        })
    }

    /// The kind of a frame, from its first byte.
    pub fn of(frame: &[u8]) -> Result<Self, FrameError> {
        let number = *frame.first().ok_or(FrameError::Empty)?;
        Self::from_number(number).ok_or(FrameError::UnknownKind(number))
    }
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// No byte at all.
    #[error("a frame has at least the byte of its kind")]
    Empty,
    /// More than [`MAX_FRAME`] bytes.
    #[error("a frame has at most {MAX_FRAME} bytes, this one {0}: split the message over several")]
    TooLarge(usize),
    /// A kind that this program does not know.
    #[error("frame kind {0} is unknown here (known: 0 to 14): update this program")]
    UnknownKind(u8),
    /// The body is not the canonical encoding of its kind.
    #[error("the frame's body is cut short, malformed or not canonical")]
    Body,
    /// More items than the kind allows.
    #[error("too many items in the frame")]
    TooMany,
}

impl From<DecodeError> for FrameError {
    fn from(_: DecodeError) -> Self {
        Self::Body
    }
}

/// A frame, read in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The head of a sync request.
    Sync(Hello, Items<'a, RangeItem>),
    /// The head of a sync response.
    Reply(Reply, Items<'a, RangeItem>),
    /// Entries, ascending by position.
    Entries(Entries<'a>),
    /// The last frame of a sync request or response.
    End(End),
    /// Ids that the initiator asks for, at most [`MAX_WANTS`].
    Wants(Items<'a, Id>),
    /// Parents that the responder lacks, at most [`MAX_WANTS`].
    Missing(Items<'a, Id>),
    /// A response that refuses.
    Refusal(Refusal),
    /// A request for the trees that the asker may read.
    Trees(TreesRequest),
    /// Its response, at most [`TREES_PAGE`] lines.
    TreeList(TreesReply, Items<'a, TreeLine>),
    /// A request for access to a tree, and its metadata, at most [`MAX_REQUEST_METADATA`] bytes.
    Ask(Ask, &'a [u8]),
    /// The head of a partial holder's request, and the ids of its ring, at most [`MAX_RING`].
    Have(Have, Items<'a, Id>),
    /// The canonical bytes of the entry that shall be the base.
    Advance(&'a [u8]),
    /// Ids that a partial holder does not hold any more, at most [`MAX_WANTS`].
    Gone(Items<'a, Id>),
    /// What became of a request for access.
    Asked(Asked),
    /// Proofs of further keys: at least one, at most [`MAX_PROOFS`].
    Keys(Items<'a, KeyProof>),
}

impl<'a> Frame<'a> {
    /// Reads a frame and checks all of it but the entries' own bytes.
    pub fn read(frame: &'a [u8]) -> Result<Self, FrameError> {
        if frame.len() > MAX_FRAME {
            return Err(FrameError::TooLarge(frame.len()));
        }
        let kind = Kind::of(frame)?;
        let body = frame.get(1..).unwrap_or_default();
        Ok(match kind {
            Kind::Sync => {
                let (head, rest) = canonical::take_from_bytes(body)?;
                Self::Sync(head, Items::read(rest)?)
            }
            Kind::Reply => {
                let (head, rest) = canonical::take_from_bytes(body)?;
                Self::Reply(head, Items::read(rest)?)
            }
            Kind::Entries => Self::Entries(Entries::read(body)?),
            Kind::End => Self::End(canonical::from_bytes(body)?),
            Kind::Wants => Self::Wants(at_most(MAX_WANTS, Items::read(body)?)?),
            Kind::Missing => Self::Missing(at_most(MAX_WANTS, Items::read(body)?)?),
            Kind::Refusal => Self::Refusal(canonical::from_bytes(body)?),
            Kind::Trees => Self::Trees(canonical::from_bytes(body)?),
            Kind::TreeList => {
                let (head, rest) = canonical::take_from_bytes(body)?;
                Self::TreeList(head, at_most(TREES_PAGE, Items::read(rest)?)?)
            }
            Kind::Ask => match canonical::take_from_bytes(body)? {
                (_, metadata) if metadata.len() > MAX_REQUEST_METADATA => return Err(FrameError::TooMany),
                (head, metadata) => Self::Ask(head, metadata),
            },
            Kind::Have => {
                let (head, rest) = canonical::take_from_bytes(body)?;
                Self::Have(head, at_most(MAX_RING, Items::read(rest)?)?)
            }
            Kind::Advance if body.is_empty() || body.len() > MAX_ENTRY => return Err(FrameError::Body),
            Kind::Advance => Self::Advance(body),
            Kind::Gone => Self::Gone(at_most(MAX_WANTS, Items::read(body)?)?),
            Kind::Asked => Self::Asked(canonical::from_bytes(body)?),
            // Each proof has the same length and no second encoding.
            Kind::Keys if body.is_empty() || !body.len().is_multiple_of(PROOF) => {
                return Err(FrameError::Body);
            }
            Kind::Keys if body.len() > MAX_PROOFS * PROOF => return Err(FrameError::TooMany),
            Kind::Keys => Self::Keys(Items::trusted(body)),
        })
    }
}

fn at_most<'a, T: serde::Deserialize<'a> + Serialize>(
    max: usize,
    items: Items<'a, T>,
) -> Result<Items<'a, T>, FrameError> {
    if items.iter().nth(max).is_some() { Err(FrameError::TooMany) } else { Ok(items) }
}

/// Writes a frame into the front of `room`: its kind, a head (or `()`), and items. Returns its length, or nothing if
/// the room is too small.
pub fn write<H: Serialize, I: Serialize>(
    kind: Kind,
    head: &H,
    items: impl IntoIterator<Item = I>,
    room: &mut [u8],
) -> Option<usize> {
    *room.first_mut()? = kind as u8;
    let mut used = append(head, room, 1)?;
    for item in items {
        used = append(&item, room, used)?;
    }
    Some(used)
}

/// Encodes behind the bytes used; returns the bytes then used.
pub(crate) fn append<T: Serialize>(value: &T, room: &mut [u8], used: usize) -> Option<usize> {
    let length = canonical::to_slice(value, room.get_mut(used..)?)?.len();
    used.checked_add(length)
}
