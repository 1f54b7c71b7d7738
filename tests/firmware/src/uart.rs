//! The serial line: bytes out at once, bytes in through a queue that an interrupt fills.
//!
//! The queue takes what a full node sends in one message, so that nothing is lost while a signature is checked, on a board
//! without flow control too. See `LIMITS` in `contact.rs`.

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use cortex_m::peripheral::NVIC;
use cortex_m_rt::exception;

use crate::{clock, register};

/// Bytes that wait: a message, and what its packets add.
const QUEUE: usize = 4 * 1_024;

static BYTES: [AtomicU8; QUEUE] = [const { AtomicU8::new(0) }; QUEUE];
/// Bytes ever put in, and ever taken out; their difference waits.
static PUT: AtomicUsize = AtomicUsize::new(0);
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// The number of the UART's interrupt.
#[derive(Clone, Copy)]
struct Interrupt;

const NUMBER: u16 = 5;

// SAFETY: the number is that of UART 0 in the manual, and never changes.
#[allow(unsafe_code, reason = "says that the number is right")]
unsafe impl cortex_m::interrupt::InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        NUMBER
    }
}

/// Interrupts for bytes that came: enough of them, or some and a pause.
const CAME: u32 = 1 << 4 | 1 << 6;

const NOTHING_CAME: u32 = 1 << 4;
const NO_ROOM: u32 = 1 << 5;

/// UART 0 at 115,200 bits a second.
pub(crate) struct Uart {
    /// Ticks in which nothing was to be done but to wait.
    pub(crate) waited: u64,
}

impl Uart {
    /// Turns it on. There is one, and it is asked for once.
    pub(crate) fn start() -> Self {
        register::CLOCK_UARTS.set(register::CLOCK_UARTS.get() | 1);
        register::CLOCK_PORTS.set(register::CLOCK_PORTS.get() | 1);
        register::PORT_A_ALTERNATE.set(register::PORT_A_ALTERNATE.get() | 3);
        register::PORT_A_DIGITAL.set(register::PORT_A_DIGITAL.get() | 3);
        register::UART_CONTROL.set(0);
        // 12.5 MHz / (16 * 115,200) = 6 + 50/64.
        register::UART_BAUD.set(6);
        register::UART_BAUD_PART.set(50);
        // Eight bits, queues on.
        register::UART_LINE.set(3 << 5 | 1 << 4);
        register::UART_INTERRUPTS.set(CAME);
        register::UART_CONTROL.set(1 << 9 | 1 << 8 | 1);
        // SAFETY: the handler below shares nothing with this code but the atomics of the queue.
        #[allow(unsafe_code, reason = "an interrupt is let through")]
        unsafe {
            NVIC::unmask(Interrupt);
        }
        Self { waited: 0 }
    }

    /// Sends bytes.
    #[expect(clippy::unused_self, reason = "whoever sends has the line to himself")]
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            while register::UART_FLAGS.get() & NO_ROOM != 0 {}
            register::UART_DATA.set(u32::from(*byte));
        }
    }

    /// The next byte; nothing if none comes before this tick.
    pub(crate) fn read(&mut self, until: u64) -> Option<u8> {
        loop {
            if let Some(byte) = take() {
                return Some(byte);
            }
            let begun = clock::ticks();
            if begun >= until {
                return None;
            }
            // A byte that comes after the look into the queue is an interrupt that ends the sleep.
            cortex_m::interrupt::free(|_| {
                if is_empty() {
                    cortex_m::asm::wfi();
                }
            });
            self.waited += clock::ticks() - begun;
        }
    }
}

fn is_empty() -> bool {
    PUT.load(Ordering::Acquire) == TAKEN.load(Ordering::Relaxed)
}

fn take() -> Option<u8> {
    let taken = TAKEN.load(Ordering::Relaxed);
    if is_empty() {
        return None;
    }
    let byte = BYTES.get(taken % QUEUE)?.load(Ordering::Relaxed);
    TAKEN.store(taken.wrapping_add(1), Ordering::Release);
    // The handler stops listening when the queue is full.
    if is_empty() {
        register::UART_INTERRUPTS.set(CAME);
    }
    Some(byte)
}

fn came() {
    register::UART_CLEAR.set(CAME);
    while register::UART_FLAGS.get() & NOTHING_CAME == 0 {
        let put = PUT.load(Ordering::Relaxed);
        if put.wrapping_sub(TAKEN.load(Ordering::Acquire)) >= QUEUE {
            register::UART_INTERRUPTS.set(0);
            return;
        }
        let byte = register::UART_DATA.get().to_le_bytes()[0];
        if let Some(place) = BYTES.get(put % QUEUE) {
            place.store(byte, Ordering::Relaxed);
        }
        PUT.store(put.wrapping_add(1), Ordering::Release);
    }
}

// SAFETY: it is called by the processor alone, and touches the queue and the UART's registers alone.
#[exception]
#[allow(unsafe_code, reason = "the run-time wants its handler of interrupts so")]
unsafe fn DefaultHandler(number: i16) {
    if number == NUMBER.cast_signed() {
        came();
    } else {
        crate::host::fail(format_args!("interrupt {number} was not asked for"));
    }
}
