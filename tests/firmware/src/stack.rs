//! How much of the stack was ever used: the run-time paints it before the program starts.

use core::ptr::addr_of;

use cortex_m_rt::STACK_PAINT_VALUE;

/// Bytes of the stack that were used so far.
#[allow(unsafe_code, reason = "the painted memory is read, and the linker's symbols are named")]
pub(crate) fn peak() -> usize {
    unsafe extern "C" {
        static _stack_start: u32;
        static _stack_end: u32;
    }
    let (top, bottom) = (addr_of!(_stack_start), addr_of!(_stack_end));
    let mut at = bottom;
    // SAFETY: all between the two symbols is memory of this board that holds the stack and nothing else, and every
    // value of a word is a number.
    unsafe {
        while at < top && at.read_volatile() == STACK_PAINT_VALUE {
            at = at.add(1);
        }
    }
    top as usize - at as usize
}
