//! Where a node's store is: in memory, or in a file on a simulated disk.

use std::sync::Arc;

use pleach_core::{
    Entropy,
    storage::{Snapshot, StorageError, Store, Write, Written},
};
use pleach_storage::{
    Memory, Redb,
    conformance::{Cut, Disk},
};

/// Operations after which a disk forgets how it came to be what it is.
const REMEMBERED: usize = 2_000;

/// A store that outlives its process.
#[expect(clippy::large_enum_variant, reason = "there are sixteen at most")]
pub(super) enum Shelf {
    Memory { store: Memory, backup: Option<Memory> },
    Disk { disk: Disk, store: Option<Redb>, backup: Option<Disk>, salt: [u8; 32] },
}

impl Shelf {
    pub(super) fn memory(salt: [u8; 32]) -> Self {
        Self::Memory { store: Memory::salted(salt), backup: None }
    }

    pub(super) fn disk(salt: [u8; 32]) -> Self {
        let disk = Disk::new();
        let store = disk.open_salted(salt).ok();
        Self::Disk { disk, store, backup: None, salt }
    }

    pub(super) const fn is_disk(&self) -> bool {
        matches!(self, Self::Disk { .. })
    }

    pub(super) fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
        match self {
            Self::Memory { store, .. } => store.snapshot(),
            Self::Disk { store: Some(store), .. } => store.snapshot(),
            Self::Disk { store: None, .. } => Err(StorageError::Failed("the disk is not open".into())),
        }
    }

    pub(super) fn write(&self, write: &Write) -> Result<Written, StorageError> {
        match self {
            Self::Memory { store, .. } => store.write(write),
            Self::Disk { store: Some(store), disk, .. } => {
                if disk.operations() > REMEMBERED {
                    disk.forget();
                }
                store.write(write)
            }
            Self::Disk { store: None, .. } => Err(StorageError::Failed("the disk is not open".into())),
        }
    }

    /// The power goes: behind so many of the operations on the disk, which leaves this of what was not synced.
    pub(super) fn cut(&mut self, after: usize, cut: Cut, chance: &mut Entropy) {
        if let Self::Disk { disk, store, .. } = self {
            let left = disk.cut_leaving(after, cut, chance);
            *store = None;
            *disk = left;
        }
    }

    pub(super) const fn inner(&self) -> Option<&Disk> {
        match self {
            Self::Disk { disk, .. } => Some(disk),
            Self::Memory { .. } => None,
        }
    }

    /// The process ends: a file is closed.
    pub(super) fn close(&mut self) {
        if let Self::Disk { store, .. } = self {
            *store = None;
        }
    }

    /// The process begins: a file is opened.
    pub(super) fn open(&mut self) -> Result<(), StorageError> {
        if let Self::Disk { disk, store, salt, .. } = self
            && store.is_none()
        {
            disk.trouble(None);
            *store = Some(disk.open_salted(*salt)?);
            disk.forget();
        }
        Ok(())
    }

    /// Another, empty one takes its place. (With another salt: a store's arrivals are its own.)
    pub(super) fn replace(&mut self, salt: [u8; 32]) {
        *self = if self.is_disk() { Self::disk(salt) } else { Self::memory(salt) };
    }

    /// Keeps what it holds now.
    pub(super) fn back_up(&mut self) {
        match self {
            Self::Memory { store, backup, .. } => *backup = store.fork().ok(),
            Self::Disk { disk, backup, .. } => {
                *backup = Some(disk.cut_leaving(disk.operations(), Cut::All, &mut Entropy::new([0; 32])));
            }
        }
    }

    pub(super) const fn has_backup(&self) -> bool {
        matches!(self, Self::Memory { backup: Some(_), .. } | Self::Disk { backup: Some(_), .. })
    }

    /// Goes back to what was kept. Says whether something was.
    pub(super) fn restore(&mut self) -> bool {
        match self {
            Self::Memory { store, backup, .. } => {
                let Some(kept) = backup.take() else { return false };
                *store = kept;
            }
            Self::Disk { disk, store, backup, .. } => {
                let Some(kept) = backup.take() else { return false };
                *store = None;
                *disk = kept;
            }
        }
        true
    }
}
