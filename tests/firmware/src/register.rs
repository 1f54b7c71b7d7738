//! The board's registers: every address that this program touches by itself.

/// A register of 32 bits.
pub(crate) struct Register(usize);

impl Register {
    pub(crate) fn get(&self) -> u32 {
        // SAFETY: addresses are made in this file alone, each that of a register of this board.
        #[allow(unsafe_code, reason = "a register is read at its address")]
        unsafe {
            (self.0 as *const u32).read_volatile()
        }
    }

    pub(crate) fn set(&self, value: u32) {
        // SAFETY: as above; none of these registers changes memory that Rust knows of.
        #[allow(unsafe_code, reason = "a register is written at its address")]
        unsafe {
            (self.0 as *mut u32).write_volatile(value);
        }
    }
}

/// Which UARTs and ports have a clock.
pub(crate) const CLOCK_UARTS: Register = Register(0x400f_e104);
/// Which ports have a clock.
pub(crate) const CLOCK_PORTS: Register = Register(0x400f_e108);

/// Port A: which pins belong to a peripheral.
pub(crate) const PORT_A_ALTERNATE: Register = Register(0x4000_4420);
/// Port A: which pins are digital.
pub(crate) const PORT_A_DIGITAL: Register = Register(0x4000_451c);

/// UART 0: a byte in, a byte out.
pub(crate) const UART_DATA: Register = Register(0x4000_c000);
/// UART 0: what its queues hold.
pub(crate) const UART_FLAGS: Register = Register(0x4000_c018);
/// UART 0: the divisor of the clock, its whole part.
pub(crate) const UART_BAUD: Register = Register(0x4000_c024);
/// UART 0: the same in 64ths.
pub(crate) const UART_BAUD_PART: Register = Register(0x4000_c028);
/// UART 0: how a byte is framed.
pub(crate) const UART_LINE: Register = Register(0x4000_c02c);
/// UART 0: what is on.
pub(crate) const UART_CONTROL: Register = Register(0x4000_c030);
/// UART 0: which interrupts are let through.
pub(crate) const UART_INTERRUPTS: Register = Register(0x4000_c038);
/// UART 0: interrupts to forget.
pub(crate) const UART_CLEAR: Register = Register(0x4000_c044);
