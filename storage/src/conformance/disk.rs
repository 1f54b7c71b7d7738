//! A disk that remembers all that was done to it, so that a power cut at any moment can be looked at.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pleach_core::{Entropy, storage::StorageError};
use redb::StorageBackend;

use crate::{Redb, store::Kept, tables::RedbTables};

/// What a disk writes at once, in bytes: of a longer write any of these may be missing after a cut.
const SECTOR: usize = 512;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What whoever reads sees.
    bytes: Vec<u8>,
    /// What was there before the first operation.
    before: Vec<u8>,
    operations: Vec<Operation>,
    /// It answers a sync without having done it.
    lies: bool,
    trouble: Option<Trouble>,
    /// The operation that fails next, and how many of its kind come before it.
    slip: Option<(Slip, u32)>,
}

/// What fails once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slip {
    /// A read.
    Read,
    /// A write, of which nothing is done.
    Write,
    /// A write, of which half is done.
    HalfWrite,
    /// A change of the length.
    Resize,
    /// A sync.
    Sync,
}

/// What a disk answers instead of doing as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// No byte more than it has; what it has may be written again.
    Full,
    /// No write and no sync.
    NoWrites,
    /// No read.
    NoReads,
}

#[derive(Clone, Debug)]
enum Operation {
    Write { offset: usize, data: Arc<[u8]> },
    Resize(usize),
    Sync,
}

/// What a cut leaves of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cut {
    /// Nothing of it.
    Nothing,
    /// All of it.
    All,
    /// Any of the operations.
    Some,
    /// Any of the operations, and of each write any sectors.
    Torn,
}

impl Disk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty disk that answers every sync at once, and does not do it.
    pub fn lying() -> Self {
        let disk = Self::default();
        disk.state().lies = true;
        disk
    }

    /// A store on this disk.
    pub fn open(&self) -> Result<Redb, StorageError> {
        let tables = RedbTables::over(Arc::new(self.clone()), 1 << 20, "disk".into())?;
        Ok(Redb(Kept::open(tables)?))
    }

    /// The same; a new store has this salt, so that its shape depends on that and on what is written alone.
    pub fn open_salted(&self, salt: [u8; 32]) -> Result<Redb, StorageError> {
        let tables = RedbTables::over(Arc::new(self.clone()), 1 << 20, "disk".into())?;
        Ok(Redb(Kept::open_salted(tables, || salt)?))
    }

    /// What it answers from now on; nothing to do as it is told again.
    pub fn trouble(&self, trouble: Option<Trouble>) {
        self.state().trouble = trouble;
    }

    /// Which operation fails once, behind so many of its kind; nothing to fail no more.
    pub fn slip(&self, slip: Option<(Slip, u32)>) {
        self.state().slip = slip;
    }

    /// Flips one bit of what it holds, at a place by chance. Says whether it holds anything.
    pub fn rot(&self, chance: &mut Entropy) -> bool {
        let mut state = self.state();
        let bits = state.bytes.len() * 8;
        let Ok(at) = usize::try_from(u64::from_le_bytes(chance.draw()) >> 1) else { return false };
        let Some(bit) = at.checked_rem(bits) else { return false };
        let State { bytes, before, .. } = &mut *state;
        for bytes in [bytes, before] {
            if let Some(byte) = bytes.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
        true
    }

    /// Forgets how it came to hold what is safe from a power cut: all before the last sync.
    pub fn forget(&self) {
        let mut state = self.state();
        let synced = state.operations.iter().rposition(|operation| matches!(operation, Operation::Sync));
        let Some(synced) = synced else { return };
        let done: Vec<_> = state.operations.drain(..=synced).collect();
        for operation in done {
            match operation {
                Operation::Write { offset, data } => write(&mut state.before, offset, &data),
                Operation::Resize(len) => state.before.resize(len, 0),
                Operation::Sync => {}
            }
        }
    }

    /// Bytes that it holds.
    pub fn len(&self) -> usize {
        self.state().bytes.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many operations there were.
    pub fn operations(&self) -> usize {
        self.state().operations.len()
    }

    /// The disk as a power cut behind so many operations may leave it, by chance.
    #[must_use]
    pub fn cut(&self, after: usize, chance: &mut Entropy) -> Self {
        let [mode, _] = chance.draw::<2>();
        let cut = [Cut::Nothing, Cut::All, Cut::Some, Cut::Torn][usize::from(mode % 4)];
        self.cut_leaving(after, cut, chance)
    }

    /// The disk as such a power cut leaves it that leaves this much.
    #[must_use]
    pub fn cut_leaving(&self, after: usize, cut: Cut, chance: &mut Entropy) -> Self {
        let state = self.state();
        let done = state.operations.get(..after).unwrap_or(&state.operations);
        let synced = done.iter().rposition(|operation| matches!(operation, Operation::Sync)).unwrap_or(0);
        let mut bytes = state.before.clone();
        for (number, operation) in done.iter().enumerate() {
            let kept = number < synced
                || match cut {
                    Cut::Nothing => false,
                    Cut::All => true,
                    Cut::Some | Cut::Torn => heads(chance),
                };
            match operation {
                Operation::Write { offset, data } if kept => {
                    let torn = number >= synced && matches!(cut, Cut::Torn);
                    for (index, sector) in data.chunks(SECTOR).enumerate() {
                        if !torn || heads(chance) {
                            write(&mut bytes, offset + index * SECTOR, sector);
                        }
                    }
                }
                Operation::Resize(len) if kept => bytes.resize(*len, 0),
                _ => {}
            }
        }
        let before = bytes.clone();
        Self(Arc::new(Mutex::new(State {
            bytes,
            before,
            operations: Vec::new(),
            lies: state.lies,
            trouble: None,
            slip: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether an operation of this kind fails now.
    fn slips(&mut self, kinds: &[Slip]) -> Option<Slip> {
        let (slip, before) = self.slip.filter(|(slip, _)| kinds.contains(slip))?;
        self.slip = before.checked_sub(1).map(|before| (slip, before));
        self.slip.is_none().then_some(slip)
    }

    /// The trouble with a write that ends there.
    fn refuses_to_write(&self, end: usize) -> Result<(), io::Error> {
        match self.trouble {
            Some(Trouble::Full) if end > self.bytes.len() => Err(io::ErrorKind::StorageFull.into()),
            Some(Trouble::NoWrites) => Err(io::Error::other("the disk does not write")),
            _ => Ok(()),
        }
    }
}

fn slipped() -> io::Error {
    io::Error::other("the disk failed once")
}

fn heads(chance: &mut Entropy) -> bool {
    let [byte] = chance.draw::<1>();
    byte & 1 == 1
}

/// Writing behind the end makes a file longer.
fn write(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

fn place(offset: u64) -> Result<usize, io::Error> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let offset = place(offset)?;
        let mut state = self.state();
        if state.trouble == Some(Trouble::NoReads) || state.slips(&[Slip::Read]).is_some() {
            return Err(io::Error::other("the disk does not read"));
        }
        let found = offset.checked_add(out.len()).and_then(|end| state.bytes.get(offset..end));
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let len = place(len)?;
        let mut state = self.state();
        state.refuses_to_write(len)?;
        if state.slips(&[Slip::Resize]).is_some() {
            return Err(slipped());
        }
        state.bytes.resize(len, 0);
        state.operations.push(Operation::Resize(len));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut state = self.state();
        state.refuses_to_write(0)?;
        if state.slips(&[Slip::Sync]).is_some() {
            return Err(slipped());
        }
        if !state.lies {
            state.operations.push(Operation::Sync);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let offset = place(offset)?;
        let mut state = self.state();
        state.refuses_to_write(offset + data.len())?;
        let slip = state.slips(&[Slip::Write, Slip::HalfWrite]);
        let done = match slip {
            None => data,
            Some(Slip::HalfWrite) => &data[..data.len() / 2],
            Some(_) => return Err(slipped()),
        };
        write(&mut state.bytes, offset, done);
        state.operations.push(Operation::Write { offset, data: done.into() });
        if slip.is_some() { Err(slipped()) } else { Ok(()) }
    }
}
