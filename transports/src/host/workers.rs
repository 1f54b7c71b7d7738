//! The threads that work for a node: as many that check signatures as there are cores, and one that writes. While one
//! batch is written, the next is checked and another is received by whoever polls the exchange.

use std::{
    num::NonZero,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use async_channel::{Receiver, Sender};
use pleach_core::{
    entry::Entry,
    instance::{Checked, Error, check, join_checked},
    node::{Event, Number},
    storage::{Store, Write},
};

use crate::host::{Report, Threads};

/// Fewer signatures than this are checked in one part: handing over costs about as much as two checks.
const MIN_PART: usize = 16;

/// A part has at most this many signatures, some milliseconds' worth: a batch that comes behind a large one gets its
/// turn on every core, and no core waits long for the slowest to end a batch.
const MAX_PART: usize = 128;

/// Checks signatures on all cores. Its threads end when this is dropped.
///
/// ```
/// # use std::sync::{Arc, mpsc};
/// # use pleach_core::node::{Event, Number};
/// # use pleach_transports::host::{Threads, Verifier};
/// let (told, heard) = mpsc::channel();
/// let threads = Threads::default();
/// let report = Arc::new(move |event: Event| told.send(format!("{event:?}")).unwrap());
/// let verifier = Verifier::start(&threads, report)?;
/// verifier.verify(Number(7), Vec::new());
/// assert!(heard.recv().unwrap().starts_with("Verified(Number(7), Ok"));
/// drop(verifier);
/// threads.join();
/// # Ok::<(), pleach_core::instance::Error>(())
/// ```
#[derive(Debug)]
pub struct Verifier {
    cores: usize,
    parts: Sender<Part>,
}

/// A part of a batch whose signatures are to be checked.
#[derive(Debug)]
struct Part {
    batch: Arc<Batch>,
    index: usize,
    entries: Vec<Entry>,
}

/// A batch whose parts several threads check.
#[derive(Debug)]
struct Batch {
    number: Number,
    left: AtomicUsize,
    checked: Mutex<Vec<Option<Checked>>>,
}

impl Verifier {
    /// Starts the threads. Outcomes are reported from them.
    #[expect(clippy::needless_pass_by_value, reason = "each thread keeps a clone of the report")]
    pub fn start(threads: &Threads, report: Report) -> Result<Self, Error> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let (sender, parts) = async_channel::unbounded();
        for _ in 0..cores {
            let (parts, report) = (parts.clone(), Arc::clone(&report));
            threads.start("pleach-verify", move || work(&parts, &report))?;
        }
        Ok(Self { cores, parts: sender })
    }

    /// Checks a batch; [`Event::Verified`] follows.
    pub fn verify(&self, number: Number, mut entries: Vec<Entry>) {
        let size = entries.len().div_ceil(self.cores).clamp(MIN_PART, MAX_PART);
        let count = entries.len().div_ceil(size).max(1);
        let batch = Arc::new(Batch {
            number,
            left: AtomicUsize::new(count),
            checked: Mutex::new((0..count).map(|_| None).collect()),
        });
        for index in 0..count {
            let rest = entries.split_off(size.min(entries.len()));
            let part = Part { batch: Arc::clone(&batch), index, entries };
            entries = rest;
            // After the end nobody waits for the outcome.
            let _ = self.parts.try_send(part);
        }
    }

    /// Lets the threads end once they have done what was asked before.
    pub fn close(&self) {
        self.parts.close();
    }
}

fn work(parts: &Receiver<Part>, report: &Report) {
    while let Ok(Part { batch, index, entries }) = parts.recv_blocking() {
        let checked = check(entries);
        let mut all = batch.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = all.get_mut(index) {
            *place = Some(checked);
        }
        if batch.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let all = std::mem::take(&mut *all);
            report(Event::Verified(batch.number, join_checked(all.into_iter().flatten())));
        }
    }
}

/// Writes on a thread of its own, which ends when this is dropped.
///
/// ```
/// # use std::sync::{Arc, mpsc};
/// # use pleach_core::{node::{Event, Number}, storage::{Snapshot, StorageError, Store, Write, Written}};
/// # use pleach_transports::host::{Threads, Writer};
/// struct Full;
/// impl Store for Full {
///     fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
///         Err(StorageError::Failed("no".into()))
///     }
///     fn write(&self, _: &Write) -> Result<Written, StorageError> {
///         Err(StorageError::Failed("the disk is full".into()))
///     }
/// }
/// let (told, heard) = mpsc::channel();
/// let threads = Threads::default();
/// let report = Arc::new(move |event: Event| told.send(format!("{event:?}")).unwrap());
/// let writer = Writer::start(&threads, Arc::new(Full), report)?;
/// writer.write(Number(7), Write::Meta([].into()));
/// assert!(heard.recv().unwrap().starts_with("Written(Number(7), Err"));
/// drop(writer);
/// threads.join();
/// # Ok::<(), pleach_core::instance::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer(Sender<(Number, Write)>);

impl Writer {
    /// Starts the thread. Outcomes are reported from it.
    pub fn start(threads: &Threads, store: Arc<dyn Store>, report: Report) -> Result<Self, Error> {
        // A node has one write in flight for each tree.
        let (sender, jobs) = async_channel::unbounded::<(Number, Write)>();
        threads.start("pleach-store", move || {
            while let Ok((number, write)) = jobs.recv_blocking() {
                report(Event::Written(number, store.write(&write)));
            }
        })?;
        Ok(Self(sender))
    }

    /// Carries out a write; [`Event::Written`] follows.
    pub fn write(&self, number: Number, write: Write) {
        // After the end nobody waits for the outcome.
        let _ = self.0.try_send((number, write));
    }

    /// Lets the thread end once it has written what was asked before.
    pub fn close(&self) {
        self.0.close();
    }
}
