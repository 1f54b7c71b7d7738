//! Every limit of the protocol, with its unit and its reason. Limits of one room stand in that room.

/// Bytes in a canonical entry. Large enough for a document's chapter or a thumbnail, small enough that four fit
/// in a frame and that a peer cannot make us hold much before the signature is checked.
pub const MAX_ENTRY: usize = 256 * 1024;

/// Parents of an entry. A commit over more tips writes merges first; a bound keeps judging one entry cheap.
pub const MAX_PARENTS: usize = 32;

/// Stores that one entry writes: as many as an application plausibly changes in one transaction.
pub const MAX_STORES: usize = 32;

/// Bytes in the name of a store.
pub const MAX_STORE_NAME: usize = 64;

/// Bytes in the name that a grant may carry for people.
pub const MAX_GRANT_NAME: usize = 64;

/// Bytes in an encoded path, separators and escapes included: it is a key of the store's rows.
pub const MAX_PATH: usize = 1024;

/// Levels of lists and maps inside a value. Walking one needs a stack of this many counters.
pub const MAX_VALUE_DEPTH: usize = 8;

/// Claimed wall times lie below this many milliseconds (the year 10889), so that the greatest time has a successor.
pub const TIME_END: u64 = 1 << 48;

/// Heights lie below this bound: no history is longer, and sums of heights do not overflow.
pub const HEIGHT_END: u64 = 1 << 48;

/// Grants and revocations in one entry: what one settings change of an administrator plausibly holds, and what an
/// import of a history writes at once.
pub const MAX_SETTINGS_RECORDS: usize = 1_000;

/// Bytes in a frame, its length prefix aside: one read buffer for each connection.
pub const MAX_FRAME: usize = 1024 * 1024;

/// Bytes in all frames of one request, and of one response: what a cut costs at most, and what a server that
/// checks a signature over a whole body holds for each request.
pub const MAX_MESSAGE: usize = 8 * 1024 * 1024;

/// Entries in one storage transaction: one disk sync is shared by this many.
pub const MAX_BATCH_ENTRIES: usize = 4_096;

/// Bytes of entries in one storage transaction.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

const _: () = {
    assert!(4 * MAX_ENTRY <= MAX_FRAME, "a frame holds several entries (one less for its head)");
    assert!(MAX_FRAME <= MAX_BATCH_BYTES, "a batch takes whole frames");
    assert!(MAX_BATCH_BYTES <= MAX_MESSAGE, "a message fills at least a batch");
    assert!(MAX_PARENTS < 128 && MAX_STORES < 128, "their counts are one byte in every encoding");
};
