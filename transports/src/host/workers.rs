//! The threads that check signatures, as many as there are cores. While one batch is written, the next is checked and
//! another is received by whoever polls the exchange.

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
