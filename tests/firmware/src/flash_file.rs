//! Flash played by a file of the emulator's host, with the rules of flash, and a loss of power on order.

use crate::{
    flash::{ERASED, Flash, FlashError, PAGE, PAGES, WORD},
    host::{self, File},
};

/// Bytes of the file that are erased at once.
const PART: usize = 128;

/// The file. Whoever sets a board up makes it, as long as the flash is and erased but for the setup.
pub(crate) struct FlashFile {
    file: File,
    /// Operations until the power is lost.
    power: Option<u32>,
}

impl FlashFile {
    pub(crate) fn open(path: &str) -> Option<Self> {
        let file = File::open(path)?;
        (file.len() == PAGE * PAGES).then_some(Self { file, power: None })
    }

    /// Loses power after so many more operations, before the next one.
    pub(crate) const fn lose_power_after(&mut self, operations: u32) {
        self.power = Some(operations);
    }

    fn operation(&mut self) {
        match &mut self.power {
            None => {}
            Some(0) => {
                host::say(format_args!("{{\"step\":\"power lost\"}}"));
                host::end();
            }
            Some(left) => *left -= 1,
        }
    }
}

impl Flash for FlashFile {
    fn read(&mut self, at: usize, room: &mut [u8]) -> Result<(), FlashError> {
        if self.file.read(at, room) { Ok(()) } else { Err(FlashError::Device) }
    }

    fn erase(&mut self, page: usize) -> Result<(), FlashError> {
        if page >= PAGES {
            return Err(FlashError::Misuse);
        }
        self.operation();
        for at in (page * PAGE..(page + 1) * PAGE).step_by(PART) {
            if !self.file.write(at, &[ERASED; PART]) {
                return Err(FlashError::Device);
            }
        }
        Ok(())
    }

    fn program(&mut self, at: usize, bytes: &[u8]) -> Result<(), FlashError> {
        let whole = at.is_multiple_of(WORD) && bytes.len().is_multiple_of(WORD);
        if !whole || at % PAGE + bytes.len() > PAGE || at + bytes.len() > PAGE * PAGES {
            return Err(FlashError::Misuse);
        }
        self.operation();
        for (at, word) in (at..).step_by(WORD).zip(bytes.chunks(WORD)) {
            let mut before = [0; WORD];
            self.read(at, &mut before)?;
            if before != [ERASED; WORD] {
                return Err(FlashError::Misuse);
            }
            if !self.file.write(at, word) {
                return Err(FlashError::Device);
            }
        }
        Ok(())
    }
}
