//! What all nodes of a world share: the history, what a store does with entries, how much fits into a message.

use pleach_core::{
    Id,
    session::{Bits, Config, Known},
    wire::{PeerLimits, Salt},
};

use super::{
    dag::{Dag, Set},
    shelf::Shelf,
};

/// How much fits into a message, and whether an initiator keeps what came too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// Everything, and it does.
    Roomy,
    /// One entry, and it does not.
    Tight,
}

/// What lasts at a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Disk {
    /// The shared set.
    pub(crate) held: Set,
    /// What is kept beside it: it does not count, and nothing that does is built on it.
    pub(crate) aside: Set,
    /// What of that was never shared here.
    pub(crate) strangers: Set,
    /// The order of arrival, for a side that is asked what came since.
    pub(crate) order: Option<Vec<usize>>,
}

impl Disk {
    /// A disk that holds no more than this, in order.
    pub(crate) fn of(held: Set) -> Self {
        Self { held, ..Self::default() }
    }

    /// Everything on it.
    pub(crate) fn stored(&self) -> Set {
        self.held.with(self.aside)
    }

    /// What it may never lose.
    pub(crate) fn promised(&self) -> Set {
        self.stored().without(self.strangers)
    }
}

/// What became of entries that were put into a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Put {
    /// New, durable, and counting.
    pub(crate) stored: Set,
    /// How many were there already.
    pub(crate) known: u64,
    /// How many are new, durable, and do not count.
    pub(crate) masked: u64,
    /// Those that lack a parent.
    pub(crate) waits: Set,
    /// Those parents.
    pub(crate) missing: Set,
    /// One that nobody may write.
    pub(crate) refused: Option<usize>,
}

/// What all nodes of a world share.
pub(crate) struct Terms {
    pub(crate) dag: Dag,
    /// The shipped store, where entries are judged; without one all of them count.
    pub(crate) shelf: Option<Shelf>,
    pub(crate) size: Size,
    pub(crate) bits: Bits,
}

impl Terms {
    /// Everything fits, everything counts, and nothing looks like something else.
    pub(crate) fn roomy(dag: Dag) -> Self {
        Self { dag, shelf: None, size: Size::Roomy, bits: Bits::ALL }
    }

    /// What a session is made with.
    pub(crate) fn config(&self, known: Option<Known>) -> Config {
        let message = if self.size == Size::Roomy { 65_536 } else { 5_100 };
        Config {
            limits: PeerLimits { frame: 2_048, message },
            pipeline: 2,
            rounds: 24,
            bits: self.bits,
            known,
            ..Config::host(Id::of(b"tree"), Salt([7; 8]))
        }
    }

    /// Puts entries into a store, ascending.
    pub(crate) fn put(&self, disk: &mut Disk, entries: Set) -> Put {
        match &self.shelf {
            Some(shelf) => shelf.put(disk, entries),
            None => self.put_unjudged(disk, entries),
        }
    }

    /// What the contract of stores says: parents first, and what lacks them is not stored.
    fn put_unjudged(&self, disk: &mut Disk, entries: Set) -> Put {
        let mut put = Put::default();
        for entry in entries.iter() {
            let one = Set::of(entry);
            if disk.held.holds(one) {
                put.known += 1;
            } else if disk.held.holds(self.dag.parents(entry)) {
                disk.held = disk.held.with(one);
                disk.order.iter_mut().for_each(|order| order.push(entry));
                put.stored = put.stored.with(one);
            } else {
                put.missing = put.missing.with(self.dag.parents(entry).without(disk.held));
                put.waits = put.waits.with(one);
            }
        }
        put.missing = put.missing.without(put.waits);
        put
    }
}
