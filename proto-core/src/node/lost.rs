//! Sources that came to nothing on the way: somebody else finished what they began, or nobody was left.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use crate::{
    PublicKey, Shown,
    node::{NodeError, talk::Counts},
    wire::Address,
};

/// A place that was tried and came to nothing. What came from there before stays.
///
/// ```
/// # use pleach_blocking::{DatabaseTicket, Id, Instance, Memory, MemoryNetwork, SecretKey, Sync};
/// # let instance = Instance::open(Memory::new())?;
/// # let sync = Sync::new(&instance)?;
/// # sync.register_transport("memory", MemoryNetwork::new().builder())?;
/// # let tree = Id::of(b"a database that nobody has");
/// # let peer = SecretKey::from_bytes([1; 32]).public();
/// let text = format!("pleach:?db={tree}&pr=memory:{peer}@one&pr=memory:{peer}@other");
/// let ticket: DatabaseTicket = text.parse()?;
/// for lost in sync.sync_with_ticket(&ticket).unwrap_err().sources() {
///     println!("{}: {}", lost.address, lost.error);
///     assert_eq!((lost.peer, lost.moved.moved()), (None, false));
/// }
/// # Ok::<(), pleach_blocking::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostSource {
    /// The place.
    pub address: Address,
    /// Who was there; nothing if nobody proved a key.
    pub peer: Option<PublicKey>,
    /// Why it came to nothing.
    pub error: NodeError,
    /// What was moved until then.
    pub moved: Counts,
}

impl LostSource {
    /// How much this one's error says to whoever asks why nothing came of it.
    fn tells(&self) -> u8 {
        match &self.error {
            // Whoever was reached and refused can be asked for access.
            error if error.is_refusal() => 2,
            // Whoever was reached says more than somebody who could not be.
            error if !error.is_of_the_line() => 1,
            _ => 0,
        }
    }
}

/// What was moved with all of them.
pub(super) fn moved(lost: &[LostSource]) -> Counts {
    lost.iter().fold(Counts::default(), |sum, source| sum.plus(&source.moved))
}

/// Why nothing came of it where all of these were tried.
pub(super) fn all_failed(mut lost: Vec<LostSource>) -> NodeError {
    match lost.pop() {
        None => NodeError::NoAddress,
        Some(only) if lost.is_empty() => only.error,
        Some(last) => {
            lost.push(last);
            NodeError::AllFailed(lost.into())
        }
    }
}

/// The one whose error says most, the last of them.
pub(super) fn telling(lost: &[LostSource]) -> Option<&NodeError> {
    lost.iter().max_by_key(|source| source.tells()).map(|source| &source.error)
}

/// Each place and why, for people.
pub(super) fn shown(lost: &[LostSource]) -> String {
    let each = lost.iter().map(|source| {
        // It may have come with somebody's ticket.
        let address = format!("{}", source.address);
        format!("{}: {}", Shown(&address), source.error)
    });
    each.collect::<Vec<String>>().join("; ")
}

/// Those of a failure.
pub(super) type AllLost = Box<[LostSource]>;
