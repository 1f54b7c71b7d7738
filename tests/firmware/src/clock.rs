//! Time since the start, in ticks of the processor's clock.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::exception;

/// Ticks in a second: the internal oscillator, as it is after a reset.
pub(crate) const SECOND: u64 = 12_500_000;

/// Instructions in a tick, where the emulator lets one take a nanosecond (`-icount shift=0`).
pub(crate) const INSTRUCTIONS: u64 = 1_000_000_000 / SECOND;

/// Ticks from one interrupt to the next: a twentieth of a second, so that whoever sleeps sees the time.
const ROUND: u32 = SECOND as u32 / 20;

static ROUNDS: AtomicU32 = AtomicU32::new(0);

/// Starts the clock.
pub(crate) fn start(timer: &mut SYST) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(ROUND - 1);
    timer.clear_current();
    timer.enable_interrupt();
    timer.enable_counter();
}

/// Ticks since the start.
pub(crate) fn ticks() -> u64 {
    loop {
        let rounds = ROUNDS.load(Ordering::Acquire);
        let left = SYST::get_current();
        // An interrupt in between would put one round's rest to another round.
        if ROUNDS.load(Ordering::Acquire) == rounds {
            return u64::from(rounds) * u64::from(ROUND) + u64::from(ROUND - 1 - left.min(ROUND - 1));
        }
    }
}

#[exception]
fn SysTick() {
    ROUNDS.fetch_add(1, Ordering::AcqRel);
}
