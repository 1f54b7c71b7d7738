//! A board that cannot hold a history: it keeps a base and a ring in its flash, writes readings of a sensor as entries of
//! its own, and exchanges with a full node over a serial line what either lacks. No heap.
//!
//! | file | holds |
//! |---|---|
//! | `board` | what it holds, writes, and exchanges |
//! | `line` | a session over the serial line |
//! | `flash` | what lies in which page, and how it survives a loss of power |
//! | `script` | what it is told to do: here by the emulator's command line |
//! | `uart`, `clock`, `register` | the board LM3S6965 |
//! | `host`, `flash_file`, `stack` | the emulator: output, flash in a file, the peak of the stack |

#![no_std]
#![no_main]

mod board;
mod clock;
#[allow(dead_code, reason = "whoever sets a board up, and the tests, use the rest")]
mod flash;
mod flash_file;
mod host;
mod line;
mod register;
mod script;
mod stack;
mod uart;

use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, entry, exception};

#[entry]
fn main() -> ! {
    match script::run() {
        Ok(()) => host::end(),
        Err(why) => host::fail(format_args!("{why}")),
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let (file, line) = info.location().map_or(("", 0), |at| (at.file(), at.line()));
    host::fail(format_args!("panic at {file}:{line}"))
}

// SAFETY: it is called by the processor alone, and only reports.
#[exception]
#[allow(unsafe_code, reason = "the run-time wants its handler of faults so")]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    host::fail(format_args!("a fault of the processor at {:#x}", frame.pc()))
}
