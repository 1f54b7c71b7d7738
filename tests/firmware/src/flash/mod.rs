//! What a board keeps: pages of flash, and what lies in them. Nothing here knows the board; the host's tests compile
//! the same files over a flash in memory.
//!
//! | file | pages | holds |
//! |---|---|---|
//! | `setup` | 0 | [`Setup`]: keys and tree, written where the board is set up and never after |
//! | `boots` | 1, 2 | [`count_boot`]: how often the board was started, so that no nonce is used twice |
//! | `journal` | 3 to 15 | [`Journal`]: base and ring, as a log of records |
//!
//! A word that was programmed stays as it is until its page is erased. A loss of power between two operations, or in the
//! middle of one, leaves what can be read again: a record counts only if its check is good, and what a later record
//! replaces is erased only once that record is there.

mod boots;
mod journal;
mod setup;

pub(crate) use boots::count_boot;
pub(crate) use journal::{Journal, MAX_ENTRY, RING, ROOM, Record};
pub(crate) use setup::Setup;

/// Bytes of a page: what is erased at once.
pub(crate) const PAGE: usize = 2_048;

/// Pages in all: 32 KiB.
pub(crate) const PAGES: usize = 16;

/// Bytes that are programmed at once, at a multiple of as many: enough for the usual boards.
pub(crate) const WORD: usize = 8;

/// A byte that was erased.
pub(crate) const ERASED: u8 = 0xff;

/// Flash as boards have it.
pub(crate) trait Flash {
    /// Copies bytes out.
    fn read(&mut self, at: usize, room: &mut [u8]) -> Result<(), FlashError>;

    /// Makes every byte of a page [`ERASED`].
    fn erase(&mut self, page: usize) -> Result<(), FlashError>;

    /// Programs whole words of one page, which were erased before.
    fn program(&mut self, at: usize, bytes: &[u8]) -> Result<(), FlashError>;
}

/// Why flash does not do what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlashError {
    /// Reading or writing failed.
    Device,
    /// A word was to be programmed that is not erased, or lies elsewhere than in one page.
    Misuse,
    /// What is kept cannot be read: the board is to be set up anew.
    Damaged(&'static str),
    /// No room for another entry before the base advances.
    Full,
}

impl core::fmt::Display for FlashError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Device => "the flash cannot be read or written",
            Self::Misuse => "a word of flash was to be programmed that is not erased",
            Self::Damaged(what) => what,
            Self::Full => "the flash has no room for another entry: sync with a full node",
        })
    }
}

/// Bytes at the front of a page that say what it is.
const HEAD: usize = 16;

/// Where a page begins.
const fn start(page: usize) -> usize {
    page * PAGE
}

/// The least multiple of a word that holds so many bytes.
const fn padded(bytes: usize) -> usize {
    bytes.div_ceil(WORD) * WORD
}

/// Erases a page and writes its head: a number and a check of it.
fn begin_page(flash: &mut impl Flash, page: usize, kind: [u8; 4], number: u64) -> Result<(), FlashError> {
    flash.erase(page)?;
    flash.program(start(page), &head(kind, number))
}

/// The number in a page's head, if there is a good one.
fn read_head(flash: &mut impl Flash, page: usize, kind: [u8; 4]) -> Result<Option<u64>, FlashError> {
    let mut found = [0; HEAD];
    flash.read(start(page), &mut found)?;
    let [_, _, _, _, number @ .., _, _, _, _] = found;
    let number = u64::from_le_bytes(number);
    Ok((found == head(kind, number)).then_some(number))
}

fn head(kind: [u8; 4], number: u64) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&kind);
    head[4..12].copy_from_slice(&number.to_le_bytes());
    let check = check(&head[..12]);
    head[12..].copy_from_slice(&check.to_le_bytes());
    head
}

/// A check of bytes: the first of their hash.
fn check(bytes: &[u8]) -> u32 {
    let id = pleach_core::Id::of(bytes);
    let [a, b, c, d, ..] = *id.as_bytes();
    u32::from_le_bytes([a, b, c, d])
}
