//! Making an entry: fill in what the author knows, sign, and get the canonical bytes.

use serde::{Deserialize, Serialize};

use crate::{
    Id, Position, SecretKey,
    canonical::to_slice,
    entry::{EntryError, EntryView, view},
    limits::MAX_PARENTS,
};

/// Where an entry belongs.
///
/// ```
/// # use pleach_core::entry::Origin;
/// let (one, other) = (Origin::Root { nonce: [1; 16] }, Origin::Root { nonce: [2; 16] });
/// assert_ne!(one, other, "two trees, whatever their settings");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// It starts a tree. The nonce makes two roots with the same settings two trees.
    Root {
        /// Random bytes.
        nonce: [u8; 16],
    },
    /// It belongs to the tree with this root.
    Tree(Id),
}

/// Why an entry could not be made.
///
/// ```
/// # use pleach_core::{Id, Position, entry::{BuildError, EntryBuilder, Origin}};
/// let mut builder = EntryBuilder::new(Origin::Tree(Id::of(b"root")), 0);
/// for n in 0..32 {
///     builder.parent(Position { height: 1, id: Id::from_bytes([n; 32]) })?;
/// }
/// let one_more = Position { height: 1, id: Id::from_bytes([32; 32]) };
/// assert_eq!(builder.parent(one_more).err(), Some(BuildError::TooManyParents));
/// # Ok::<(), BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// More than [`MAX_PARENTS`] parents.
    #[error("an entry has at most {MAX_PARENTS} parents: write merges first")]
    TooManyParents,
    /// The room given for the encoding is too small.
    #[error("the buffer of {0} bytes is too small for the entry")]
    Room(usize),
    /// The result breaks a rule.
    #[error("{0}")]
    Rule(#[from] EntryError),
}

/// An entry in the making. Parents may be added in any order; [`EntryBuilder::sign`] sorts them, sets the height,
/// and checks every structural rule on the result.
///
/// ```
/// # use pleach_core::{Id, Position, SecretKey, entry::{EntryBuilder, EntryView, Origin}};
/// let parent = Position { height: 4, id: Id::of(b"parent") };
/// let mut builder = EntryBuilder::new(Origin::Tree(Id::of(b"root")), 1_760_000_000_000);
/// builder.parent(parent)?;
/// let mut room = [0; 1_024];
/// let bytes = builder.sign(&SecretKey::from_bytes([1; 32]), &[], &mut room)?;
/// assert_eq!(EntryView::read(bytes)?.height(), 5);
/// # Ok::<(), pleach_core::entry::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct EntryBuilder {
    origin: Origin,
    time: u64,
    height: u64,
    parents: heapless::Vec<Id, MAX_PARENTS>,
}

/// The encoding before the signature; see the table in [`crate::entry`].
#[derive(Serialize)]
struct Signed<'a> {
    version: u8,
    origin: Origin,
    height: u64,
    time: u64,
    parents: &'a [Id],
    author: crate::PublicKey,
    stores: &'a [(&'a str, &'a [u8])],
}

impl EntryBuilder {
    /// Starts an entry with a claimed time in wall milliseconds.
    pub const fn new(origin: Origin, time: u64) -> Self {
        Self { origin, time, height: 0, parents: heapless::Vec::new() }
    }

    /// Adds a parent; one that is there already is left as it is.
    pub fn parent(&mut self, parent: Position) -> Result<&mut Self, BuildError> {
        if let Err(place) = self.parents.binary_search(&parent.id) {
            self.parents.insert(place, parent.id).map_err(|_| BuildError::TooManyParents)?;
        }
        self.height = self.height.max(parent.height.saturating_add(1));
        Ok(self)
    }

    /// Encodes and signs into the front of `room`. `stores` are names and encoded data, sorted by name.
    pub fn sign<'a>(
        &self,
        key: &SecretKey,
        stores: &[(&str, &[u8])],
        room: &'a mut [u8],
    ) -> Result<&'a [u8], BuildError> {
        let size = room.len();
        let signed = Signed {
            version: view::VERSION,
            origin: self.origin,
            height: self.height,
            time: self.time,
            parents: &self.parents,
            author: key.public(),
            stores,
        };
        let used = to_slice(&signed, room).ok_or(BuildError::Room(size))?.len();
        let (signed, rest) = room.split_at_checked(used).ok_or(BuildError::Room(size))?;
        let signature = key.sign(&view::signed_hash(signed));
        let place = rest.len();
        let end = used.saturating_add(signature.as_bytes().len());
        let tail = room.get_mut(used..end).ok_or(BuildError::Room(place.saturating_add(used)))?;
        tail.copy_from_slice(signature.as_bytes());
        let bytes: &'a [u8] = room.get(..end).ok_or(BuildError::Room(size))?;
        EntryView::read(bytes)?;
        Ok(bytes)
    }
}
