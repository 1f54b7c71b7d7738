//! How often the board was started: one word of a page for each time, two pages in turn.

use super::{ERASED, Flash, FlashError, HEAD, PAGE, WORD, begin_page, read_head, start};

const KIND: [u8; 4] = *b"run1";

/// The pages; while one is erased the other still counts.
const PLACES: [usize; 2] = [1, 2];

/// Starts that a page counts beside the one that its head stands for.
const MARKS: usize = (PAGE - HEAD) / WORD;

/// Counts a start durably, and tells its number: none comes twice.
pub(crate) fn count_boot(flash: &mut impl Flash) -> Result<u64, FlashError> {
    let numbers = [read_head(flash, PLACES[0], KIND)?, read_head(flash, PLACES[1], KIND)?];
    let newer = usize::from(numbers[1] > numbers[0]);
    let Some(first) = numbers[newer] else {
        begin_page(flash, PLACES[0], KIND, 1)?;
        return Ok(1);
    };
    let page = start(PLACES[newer]);
    for mark in 0..MARKS {
        let at = page + HEAD + mark * WORD;
        let mut word = [0; WORD];
        flash.read(at, &mut word)?;
        // A word of which power was lost in the middle counts as well.
        if word == [ERASED; WORD] {
            flash.program(at, &[0; WORD])?;
            return Ok(first + 1 + mark as u64);
        }
    }
    let next = first + 1 + MARKS as u64;
    begin_page(flash, PLACES[1 - newer], KIND, next)?;
    Ok(next)
}
