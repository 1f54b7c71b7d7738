//! Defects that tests plant, to see that they are found. They exist in builds with the private feature `planted-faults`
//! and debug assertions alone, and sleep until one is woken.

use core::sync::atomic::{AtomicU8, Ordering};

#[cfg(not(debug_assertions))]
compile_error!("planted faults are for tests: no build without debug assertions has them");

/// A defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Planted {
    /// A file is not synced before a write is called durable.
    WritesUnsynced = 1,
    /// A commit is acknowledged although the store failed.
    FailuresAcknowledged,
    /// An entry is taken whose parents are missing.
    ParentsUnchecked,
    /// Nobody looks at what an author may do.
    AuthorsUnjudged,
    /// A revocation masks nothing.
    MasksIgnored,
    /// What is masked stays visible.
    MaskedShown,
    /// Signatures are not checked.
    SignaturesUnchecked,
    /// The height that an entry claims is believed.
    HeightsUnchecked,
    /// Everybody may read.
    StrangersRead,
    /// A parent is a tip for ever.
    TipsKept,
    /// It is forgotten when a request for access was signed.
    RequestTimesForgotten,
    /// An exchange that is over keeps its snapshot.
    SnapshotsKept,
    /// Of what an entry writes to several stores the first alone is shown.
    RowsDropped,
    /// A peer that failed once is never tried again.
    FailuresNotRetried,
    /// What has a shorter encoding is read all the same.
    EncodingsLoose,
    /// The parents of an entry stand in any order.
    ParentsUnordered,
}

impl Planted {
    /// What the simulator must find.
    pub const IN_NETWORKS: [Self; 14] = [
        Self::WritesUnsynced,
        Self::FailuresAcknowledged,
        Self::ParentsUnchecked,
        Self::AuthorsUnjudged,
        Self::MasksIgnored,
        Self::MaskedShown,
        Self::SignaturesUnchecked,
        Self::HeightsUnchecked,
        Self::StrangersRead,
        Self::TipsKept,
        Self::RequestTimesForgotten,
        Self::SnapshotsKept,
        Self::RowsDropped,
        Self::FailuresNotRetried,
    ];

    /// What the fuzzers of decoders must find.
    pub const IN_DECODERS: [Self; 2] = [Self::EncodingsLoose, Self::ParentsUnordered];
}

static AWAKE: AtomicU8 = AtomicU8::new(0);

/// Wakes one, for the whole process, or none.
pub fn wake(planted: Option<Planted>) {
    AWAKE.store(planted.map_or(0, |planted| planted as u8), Ordering::SeqCst);
}

/// Whether this one is awake.
pub fn is_awake(planted: Planted) -> bool {
    AWAKE.load(Ordering::Relaxed) == planted as u8
}
