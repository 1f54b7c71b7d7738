//! The emulator's host, reached by semihosting: arguments, lines of output, the end, and files.

use core::{cell::Cell, fmt};

use cortex_m_semihosting::{debug, nr};
use heapless::String;

/// Bytes of the arguments.
pub(crate) const ARGUMENTS: usize = 512;

/// Bytes of a line of output.
pub(crate) const LINE: usize = 320;

fn call<const N: usize>(number: usize, arguments: [usize; N]) -> usize {
    // SAFETY: each caller below gives the arguments that the call of this number takes, and pointers into slices that
    // outlive it.
    #[allow(unsafe_code, reason = "a call of the host")]
    unsafe {
        cortex_m_semihosting::syscall(number, &arguments)
    }
}

/// The command line.
pub(crate) fn arguments(room: &mut [u8; ARGUMENTS]) -> &str {
    let block = [Cell::new(room.as_mut_ptr() as usize), Cell::new(room.len())];
    // SAFETY: the host writes at most as many bytes as the block says, and their count back into the block.
    #[allow(unsafe_code, reason = "a call of the host that answers in place")]
    let failed = unsafe { cortex_m_semihosting::syscall(nr::GET_CMDLINE, &block) };
    let length = if failed == 0 { block[1].get() } else { 0 };
    let text = room.get(..length).unwrap_or_default();
    core::str::from_utf8(text).unwrap_or_default().trim_end_matches('\0')
}

/// Prints a line.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    let mut text = String::<LINE>::new();
    // What does not fit is cut off.
    let _ = fmt::write(&mut text, line);
    if let Ok(mut out) = cortex_m_semihosting::hio::hstdout() {
        let _ = out.write_all(text.as_bytes());
        let _ = out.write_all(b"\n");
    }
}

/// Ends the program, well.
pub(crate) fn end() -> ! {
    loop {
        debug::exit(debug::EXIT_SUCCESS);
    }
}

/// Ends the program with an error.
pub(crate) fn fail(why: fmt::Arguments<'_>) -> ! {
    say(format_args!("{{\"step\":\"failed\",\"why\":\"{why}\"}}"));
    loop {
        debug::exit(debug::EXIT_FAILURE);
    }
}

/// A file of the host.
pub(crate) struct File(usize);

impl File {
    /// Opens a file that is there, to read and write.
    pub(crate) fn open(path: &str) -> Option<Self> {
        let mut name = String::<ARGUMENTS>::new();
        name.push_str(path).ok()?;
        name.push('\0').ok()?;
        let file = call(nr::OPEN, [name.as_ptr() as usize, nr::open::RW_BINARY, path.len()]);
        (file != usize::MAX).then_some(Self(file))
    }

    /// Bytes in it.
    pub(crate) fn len(&self) -> usize {
        call(nr::FLEN, [self.0])
    }

    /// Fills the room from a place on; says whether that went well.
    pub(crate) fn read(&self, at: usize, room: &mut [u8]) -> bool {
        call(nr::SEEK, [self.0, at]) == 0
            && call(nr::READ, [self.0, room.as_mut_ptr() as usize, room.len()]) == 0
    }

    /// Writes at a place; says whether that went well.
    pub(crate) fn write(&self, at: usize, bytes: &[u8]) -> bool {
        call(nr::SEEK, [self.0, at]) == 0
            && call(nr::WRITE, [self.0, bytes.as_ptr() as usize, bytes.len()]) == 0
    }
}
