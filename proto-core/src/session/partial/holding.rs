//! What a partial holder has: a base, and a ring of entries above it.

use heapless::Vec;

use crate::{
    Id, Position, PublicKey,
    entry::{EntryBuilder, EntryError, EntryView, Origin},
    limits::MAX_PARENTS,
    wire::{MAX_BASE, MAX_RING},
};

/// Keys on an allow-list.
pub const MAX_ALLOWED: usize = 8;

/// Tips that a holding may have: an advance names all of them, and one more that stands for the rest of the tree.
pub const MAX_TIPS: usize = MAX_PARENTS - 1;

/// What a partial holder is given when it is set up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Charter {
    /// The tree, named by its root.
    pub tree: Id,
    /// The keys of full nodes that it talks to and whose entries may become its base.
    pub allowed: Vec<PublicKey, MAX_ALLOWED>,
    /// Bytes of entries that fit into the ring.
    pub room: u32,
    /// Bytes of the largest entry that it takes.
    pub entry: u32,
}

/// An entry in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Where it stands in the tree.
    pub position: Position,
    /// Bytes of its encoding.
    pub bytes: u32,
    /// Where the caller keeps it: its own number, which nothing here looks at.
    pub place: u32,
    /// Whether nothing in the ring builds on it.
    tip: bool,
}

/// Why an entry is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotTaken {
    /// It breaks a rule that its bytes alone, or its parents, show.
    #[error("{0}")]
    Rule(#[from] EntryError),
    /// It belongs to another tree.
    #[error("the entry belongs to another tree than this device's")]
    OtherTree,
    /// It is the base or in the ring already.
    #[error("the entry is held already")]
    Known,
    /// A parent is neither the base nor in the ring.
    #[error("a parent of the entry is not held here: an advance would stand for it")]
    Parent(Id),
    /// No room.
    #[error("the ring is full: sync with a full node, which lets the base advance")]
    Full,
    /// More bytes than the device takes.
    #[error("the entry has {0} bytes, more than this device takes")]
    TooLarge(usize),
    /// More than [`MAX_TIPS`] tips.
    #[error("the ring would have more than {MAX_TIPS} tips: sync with a full node")]
    Tips,
    /// Nothing is held on which an entry could build.
    #[error("nothing of the tree is held yet: sync with a full node first")]
    Nothing,
    /// The author of an advance is not on the allow-list.
    #[error("the author of the new base is not on the allow-list of this device")]
    NotAllowed,
    /// An advance does not name all tips.
    #[error("the new base does not name every tip of this device as a parent")]
    NotOnTop,
    /// More than [`MAX_BASE`] positions.
    #[error("a base has at most {MAX_BASE} positions")]
    Base,
}

/// Base and ring of one tree, with room for `N` entries (at most [`MAX_RING`]). It holds no entry's bytes: the caller
/// keeps these, and changes the holding only after they are durable.
///
/// ```
/// use pleach_core::{Id, session::partial::{Charter, Holding, NotTaken}};
/// let charter = Charter { tree: Id::of(b"root"), allowed: [].into_iter().collect(), room: 4_096, entry: 1_024 };
/// let holding = Holding::<16>::new(charter);
/// assert_eq!(holding.builder(0).unwrap_err(), NotTaken::Nothing);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holding<const N: usize> {
    charter: Charter,
    base: Vec<Position, MAX_BASE>,
    /// Whether nothing in the ring builds on the base's positions, by their order.
    base_tips: [bool; MAX_BASE],
    /// In order of arrival: parents before children.
    ring: Vec<Slot, N>,
    used: u32,
    /// The newest time claimed by what it holds.
    newest: u64,
    /// Whether an advance is asked for, whatever the ring holds.
    relief: bool,
}

impl<const N: usize> Holding<N> {
    const LISTED: () = assert!(N <= MAX_RING, "a ring is listed in one frame");

    /// Holds nothing yet.
    pub const fn new(charter: Charter) -> Self {
        let () = Self::LISTED;
        Self {
            charter,
            base: Vec::new(),
            base_tips: [true; MAX_BASE],
            ring: Vec::new(),
            used: 0,
            newest: 0,
            relief: false,
        }
    }

    /// Holds a base that was durable before, with the newest time that it claims.
    pub fn with_base(charter: Charter, base: &[Position], time: u64) -> Result<Self, NotTaken> {
        let base = Vec::from_slice(base).map_err(|_| NotTaken::Base)?;
        Ok(Self { base, newest: time, ..Self::new(charter) })
    }

    /// What it was given when it was set up.
    pub const fn charter(&self) -> &Charter {
        &self.charter
    }

    /// The base, ascending as it was given.
    pub fn base(&self) -> &[Position] {
        &self.base
    }

    /// The ring, in order of arrival.
    pub fn ring(&self) -> &[Slot] {
        &self.ring
    }

    /// Bytes of entries in the ring.
    pub const fn used(&self) -> u32 {
        self.used
    }

    /// The newest time that base and ring claim: a device without a clock knows that it is not earlier.
    pub const fn newest(&self) -> u64 {
        self.newest
    }

    /// Asks for an advance with the next contact, whatever the ring holds: where the caller keeps the entries, less fits
    /// than it should. No others' entries are taken before.
    pub const fn ask_relief(&mut self) {
        self.relief = true;
    }

    /// Whether a contact shall empty the ring: more than half of it is taken, or the caller asked.
    pub fn wants_relief(&self) -> bool {
        self.relief || self.ring.len() > N / 2 || self.used > self.charter.room / 2
    }

    /// Entries and bytes of others that fit: half of the ring is always left to the device itself.
    pub fn room_for_others(&self) -> (u32, u32) {
        if self.relief {
            return (0, 0);
        }
        let entries = (N / 2).saturating_sub(self.ring.len());
        let bytes = (self.charter.room / 2).saturating_sub(self.used);
        (u32::try_from(entries).unwrap_or(u32::MAX), bytes)
    }

    /// Everything that nothing held builds on, at most [`MAX_TIPS`] and what a base has.
    pub fn tips(&self) -> impl Iterator<Item = Position> + '_ {
        let base = self.base.iter().zip(self.base_tips).filter(|(_, tip)| *tip).map(|(base, _)| *base);
        base.chain(self.ring.iter().filter(|slot| slot.tip).map(|slot| slot.position))
    }

    /// Whether an entry is the base, or in the ring.
    pub fn holds(&self, id: &Id) -> bool {
        self.position(id).is_some()
    }

    /// The number in the ring of an entry.
    pub fn slot(&self, id: &Id) -> Option<usize> {
        self.ring.iter().position(|slot| slot.position.id == *id)
    }

    fn position(&self, id: &Id) -> Option<Position> {
        let base = self.base.iter().find(|base| base.id == *id).copied();
        base.or_else(|| self.ring.iter().map(|slot| slot.position).find(|position| position.id == *id))
    }

    /// An entry of this device's own on top of all tips, ready to be signed. Its size is checked when it is taken.
    ///
    /// It claims the time `now`, in wall milliseconds, or the newest time held if that is later, since the newest write
    /// at a place is the one that counts: 0 is for a device that has no clock.
    pub fn builder(&self, now: u64) -> Result<EntryBuilder, NotTaken> {
        let mut builder = EntryBuilder::new(Origin::Tree(self.charter.tree), self.newest.max(now));
        let mut tips = self.tips().peekable();
        tips.peek().ok_or(NotTaken::Nothing)?;
        for tip in tips {
            builder.parent(tip).map_err(|_| NotTaken::Tips)?;
        }
        Ok(builder)
    }

    /// Whether an entry may join the ring, all but its signature checked, and where it stands.
    pub fn check(&self, entry: &EntryView<'_>) -> Result<Position, NotTaken> {
        let position = entry.position();
        if entry.tree() != self.charter.tree {
            return Err(NotTaken::OtherTree);
        }
        // A root lies below everything.
        let below = entry.parents().is_empty() && !(self.base.is_empty() && self.ring.is_empty());
        if below || self.holds(&position.id) {
            return Err(NotTaken::Known);
        }
        let mut highest = None;
        for id in entry.parents().iter() {
            let parent = self.position(&id).ok_or(NotTaken::Parent(id))?;
            highest = highest.max(Some(parent.height));
        }
        entry.check_height(highest)?;
        let bytes = entry.bytes().len();
        let size = u32::try_from(bytes).unwrap_or(u32::MAX);
        if size > self.charter.entry {
            return Err(NotTaken::TooLarge(bytes));
        }
        if self.ring.is_full() || self.used.saturating_add(size) > self.charter.room {
            return Err(NotTaken::Full);
        }
        let kept = self.tips().filter(|tip| !entry.parents().iter().any(|parent| parent == tip.id));
        if kept.count() >= MAX_TIPS {
            return Err(NotTaken::Tips);
        }
        Ok(position)
    }

    /// Takes an entry whose bytes are durable at `place` into the ring. After a restart the same call rebuilds it.
    pub fn insert(&mut self, entry: &EntryView<'_>, place: u32) -> Result<Position, NotTaken> {
        let position = self.check(entry)?;
        let bytes = u32::try_from(entry.bytes().len()).unwrap_or(u32::MAX);
        for parent in entry.parents().iter() {
            for (base, tip) in self.base.iter().zip(&mut self.base_tips) {
                *tip &= base.id != parent;
            }
            for slot in &mut self.ring {
                slot.tip &= slot.position.id != parent;
            }
        }
        self.ring.push(Slot { position, bytes, place, tip: true }).map_err(|_| NotTaken::Full)?;
        self.used = self.used.saturating_add(bytes);
        self.newest = self.newest.max(entry.time());
        Ok(position)
    }

    /// Whether an entry may become the base, all but its signature checked: it is by an allowed key and names all
    /// tips, so that all that is held lies below it.
    pub fn check_advance(&self, entry: &EntryView<'_>) -> Result<Position, NotTaken> {
        if entry.tree() != self.charter.tree {
            return Err(NotTaken::OtherTree);
        }
        if !self.charter.allowed.contains(&entry.author()) {
            return Err(NotTaken::NotAllowed);
        }
        let names = |tip: &Position| {
            tip.height < entry.height() && entry.parents().iter().any(|parent| parent == tip.id)
        };
        if !self.tips().all(|tip| names(&tip)) {
            return Err(NotTaken::NotOnTop);
        }
        Ok(entry.position())
    }

    /// The entry that passed [`Holding::check_advance`] is durable as the base, with the time up to which it knows: the
    /// ring is empty.
    pub fn advance(&mut self, base: Position, time: u64) {
        self.base.clear();
        // The list was just emptied.
        let _ = self.base.push(base);
        self.base_tips = [true; MAX_BASE];
        self.ring.clear();
        self.used = 0;
        self.newest = self.newest.max(time);
        self.relief = false;
    }
}
