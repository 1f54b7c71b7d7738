//! A line between two programs on one machine: slow, long, lossy, or cut, as a test or a benchmark asks.
//!
//! | file | holds |
//! |---|---|
//! | `queue` | [`Queue`]: one way of a line, without sockets or a clock |
//! | `tcp` | [`TcpLink`]: carries connections over two such ways |
//! | `udp` | [`UdpLink`]: carries datagrams |
//!
//! Both sides of a [`TcpLink`] are connections of this machine, so that TCP's own slow start and retransmission are not
//! part of what is emulated: rate, delay and the room of the queue are. Datagrams are lost as on a real line, and the
//! protocol above them sees to it.

mod queue;
mod tcp;
mod udp;

use std::time::{Duration, Instant};

pub use queue::{Fate, Queue, Shape};
pub use tcp::TcpLink;
pub use udp::UdpLink;

/// One of the two ways of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the side that dials.
    Up,
    /// To it.
    Down,
}

/// Waits until a moment of a line whose time began at `began`.
fn wait_until(began: Instant, at: Duration) {
    let left = at.saturating_sub(began.elapsed());
    if !left.is_zero() {
        std::thread::sleep(left);
    }
}
