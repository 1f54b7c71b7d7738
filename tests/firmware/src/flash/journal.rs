//! Base and ring as a log of records over a circle of pages.
//!
//! A record is a base, or an entry that was taken into the ring; the newest base makes all before it void. So an advance
//! is one record, and dropping what lies below costs nothing: its pages are erased when the log comes round to them.

use pleach_core::{Id, Position};

use super::{
    ERASED, Flash, FlashError, HEAD, PAGE, PAGES, WORD, begin_page, check, padded, read_head, start,
};

const KIND: [u8; 4] = *b"log1";

/// Pages before the first.
const BEFORE: usize = 3;

/// Pages of the circle.
const CIRCLE: usize = PAGES - BEFORE;

/// Pages that entries may use: with them all in use there is still one for a base.
const FOR_ENTRIES: usize = CIRCLE - 1;

/// Pages in use from which on an advance is asked for, since more was lost at their ends than is usual.
const CROWDED: usize = FOR_ENTRIES - 3;

/// Bytes before a record's own: length, kind, a mark, and a check of all.
const RECORD: usize = 8;

/// Bytes of the largest entry that is kept.
pub(crate) const MAX_ENTRY: usize = 1_024;

/// Entries in a ring at most.
pub(crate) const RING: usize = 64;

/// Bytes of entries that always fit, whatever is lost at the ends of pages.
pub(crate) const ROOM: usize = 10 * 1_024;

/// Bytes of a base: time, height, id.
const BASE: usize = 8 + 8 + 32;

const _: () = {
    // Two pages in a row hold more than one page's worth: else the first record of the second would be in the first.
    let held = FOR_ENTRIES / 2 * (PAGE - HEAD);
    assert!(RECORD + padded(BASE) + ROOM + RING * (RECORD + WORD) <= held, "a full ring fits");
    assert!(HEAD + RECORD + padded(BASE) + RECORD + MAX_ENTRY <= PAGE, "a record fits into a page");
};

/// What the log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// All before it is void.
    Base {
        /// Nothing before the first advance.
        base: Option<Position>,
        /// The newest time up to there.
        time: u64,
    },
    /// An entry in the ring.
    Entry {
        /// Where its bytes lie in flash.
        place: u32,
        /// These bytes.
        bytes: &'a [u8],
    },
}

const KIND_BASE: u8 = 1;
const KIND_ENTRY: u8 = 2;

/// Where the log ends, and since which page it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Journal {
    /// The number of the page written last: numbers go on, and places are numbers modulo [`CIRCLE`].
    page: u64,
    /// Where the next record goes in it; its end if nothing goes there any more.
    at: usize,
    /// The number of the page that holds the newest base.
    base_page: u64,
}

const fn place(page: u64) -> usize {
    BEFORE + (page % CIRCLE as u64) as usize
}

/// What is found in a page.
struct Walked {
    /// Where the next record goes; [`PAGE`] if the page cannot be written any more.
    end: usize,
    records: usize,
    /// Where the last base begins.
    base: Option<usize>,
}

impl Journal {
    /// Finds the log, or begins one, and hands out what counts: the newest base, then each entry. `scratch` takes an
    /// entry.
    pub(crate) fn open<F: Flash, E: From<FlashError>>(
        flash: &mut F,
        scratch: &mut [u8],
        mut take: impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut journal = match Self::find(flash, scratch)? {
            Some(journal) => journal,
            None => Self::begin(flash)?,
        };
        let mut counts = false;
        for page in journal.base_page..=journal.page {
            let base = walk(flash, page, scratch, |_, _| Ok(()))?.base;
            let from = if page == journal.base_page { base } else { None };
            let walked = walk(flash, page, scratch, |at, record| {
                counts |= Some(at) == from;
                if counts { take(record) } else { Ok(()) }
            })?;
            journal.at = walked.end;
        }
        Ok(journal)
    }

    fn begin(flash: &mut impl Flash) -> Result<Self, FlashError> {
        // Nothing is there: the first page is opened by the first record.
        let mut journal = Self { page: 0, at: PAGE, base_page: 0 };
        journal.advance(flash, None, 0)?;
        Ok(journal)
    }

    /// The end of the log and its newest base; nothing if there is no log yet.
    fn find(flash: &mut impl Flash, scratch: &mut [u8]) -> Result<Option<Self>, FlashError> {
        let mut newest = None;
        for page in 0..CIRCLE as u64 {
            newest = newest.max(number(flash, page)?);
        }
        let Some(mut newest) = newest else { return Ok(None) };
        let none = |_: usize, _: Record<'_>| Ok::<(), FlashError>(());
        if walk(flash, newest, scratch, none)?.records == 0 {
            // Power was lost before its first record was there. It is opened anew.
            newest -= 1;
            if newest == 0 {
                return Ok(None);
            }
        }
        let oldest = newest.saturating_sub(CIRCLE as u64 - 1).max(1);
        for page in (oldest..=newest).rev() {
            if number(flash, page)? != Some(page) {
                break;
            }
            if walk(flash, page, scratch, none)?.base.is_some() {
                return Ok(Some(Self { page: newest, at: PAGE, base_page: page }));
            }
        }
        Err(FlashError::Damaged("the log has lost its base: set the board up anew"))
    }

    /// Makes an entry durable. Returns where its bytes lie.
    pub(crate) fn append(&mut self, flash: &mut impl Flash, entry: &[u8]) -> Result<u32, FlashError> {
        let at = self.write(flash, KIND_ENTRY, entry, FOR_ENTRIES as u64)?;
        Ok((start(place(self.page)) + at + RECORD) as u32)
    }

    /// Makes a base durable: what was before it is void.
    pub(crate) fn advance(
        &mut self,
        flash: &mut impl Flash,
        base: Option<Position>,
        time: u64,
    ) -> Result<(), FlashError> {
        let mut bytes = [0; BASE];
        bytes[..8].copy_from_slice(&time.to_le_bytes());
        let used = if let Some(base) = base {
            bytes[8..16].copy_from_slice(&base.height.to_le_bytes());
            bytes[16..].copy_from_slice(base.id.as_bytes());
            BASE
        } else {
            8
        };
        self.write(flash, KIND_BASE, &bytes[..used], CIRCLE as u64)?;
        self.base_page = self.page;
        Ok(())
    }

    /// Whether little is left before entries are refused: the base should advance.
    pub(crate) const fn is_crowded(&self) -> bool {
        self.page - self.base_page >= CROWDED as u64
    }

    /// Writes a record behind the last, with at most so many pages in use. Returns where it begins in its page.
    fn write(
        &mut self,
        flash: &mut impl Flash,
        kind: u8,
        bytes: &[u8],
        pages: u64,
    ) -> Result<usize, FlashError> {
        let size = RECORD + padded(bytes.len());
        if HEAD + size > PAGE {
            return Err(FlashError::Misuse);
        }
        if self.at + size > PAGE {
            if self.page - self.base_page + 2 > pages {
                return Err(FlashError::Full);
            }
            let page = self.page + 1;
            begin_page(flash, place(page), KIND, page)?;
            (self.page, self.at) = (page, HEAD);
        }
        let at = self.at;
        // Whatever becomes of it, these words are not erased any more.
        self.at = PAGE;
        let begin = start(place(self.page)) + at;
        flash.program(begin, &record_head(kind, bytes))?;
        let (words, rest) = bytes.as_chunks::<WORD>();
        flash.program(begin + RECORD, words.as_flattened())?;
        if !rest.is_empty() {
            let mut last = [ERASED; WORD];
            last[..rest.len()].copy_from_slice(rest);
            flash.program(begin + RECORD + words.len() * WORD, &last)?;
        }
        self.at = at + size;
        Ok(at)
    }
}

/// The number in the head of the page in whose place this one is.
fn number(flash: &mut impl Flash, page: u64) -> Result<Option<u64>, FlashError> {
    let found = read_head(flash, place(page), KIND)?;
    Ok(found.filter(|found| place(*found) == place(page)))
}

fn record_head(kind: u8, bytes: &[u8]) -> [u8; RECORD] {
    let [low, high, ..] = (bytes.len() as u32).to_le_bytes();
    let what = [low, high, kind, b'P'];
    let check = check(bytes) ^ u32::from_le_bytes(what).rotate_left(16);
    let [a, b, c, d] = check.to_le_bytes();
    [low, high, kind, b'P', a, b, c, d]
}

/// Looks at each good record of a page, up to the first that is none.
fn walk<F: Flash, E: From<FlashError>>(
    flash: &mut F,
    page: u64,
    scratch: &mut [u8],
    mut seen: impl FnMut(usize, Record<'_>) -> Result<(), E>,
) -> Result<Walked, E> {
    let begin = start(place(page));
    let mut walked = Walked { end: HEAD, records: 0, base: None };
    while walked.end + RECORD <= PAGE {
        let mut head = [0; RECORD];
        flash.read(begin + walked.end, &mut head)?;
        let [low, high, kind, ..] = head;
        let length = usize::from(u16::from_le_bytes([low, high]));
        let next = walked.end + RECORD + padded(length);
        let bytes = match scratch.get_mut(..length) {
            Some(bytes) if next <= PAGE => bytes,
            _ => break,
        };
        flash.read(begin + walked.end + RECORD, bytes)?;
        if record_head(kind, bytes) != head {
            break;
        }
        let place = (begin + walked.end + RECORD) as u32;
        let record = match kind {
            KIND_ENTRY => Record::Entry { place, bytes },
            KIND_BASE => {
                walked.base = Some(walked.end);
                base(bytes).ok_or(FlashError::Damaged("the log holds a base of another form"))?
            }
            _ => return Err(FlashError::Damaged("the log holds a record of another kind").into()),
        };
        walked.records += 1;
        seen(walked.end, record)?;
        walked.end = next;
    }
    if !is_erased(flash, begin + walked.end, PAGE - walked.end)? {
        walked.end = PAGE;
    }
    Ok(walked)
}

fn base(bytes: &[u8]) -> Option<Record<'static>> {
    let (time, rest) = bytes.split_first_chunk::<8>()?;
    let base = match rest.split_first_chunk::<8>() {
        None if rest.is_empty() => None,
        None => return None,
        Some((height, id)) => {
            let id = Id::from_bytes(*id.first_chunk::<32>()?);
            Some(Position { height: u64::from_le_bytes(*height), id })
        }
    };
    Some(Record::Base { base, time: u64::from_le_bytes(*time) })
}

fn is_erased(flash: &mut impl Flash, mut at: usize, bytes: usize) -> Result<bool, FlashError> {
    let end = at + bytes;
    let mut part = [0; 16 * WORD];
    while at < end {
        let part = part.get_mut(..(end - at).min(16 * WORD)).unwrap_or_default();
        flash.read(at, part)?;
        if part.iter().any(|byte| *byte != ERASED) {
            return Ok(false);
        }
        at += part.len();
    }
    Ok(true)
}
