//! How long a peer may keep an exchange waiting in all, however often it gives a sign of life.

use super::SLOWEST_LINE;

/// Milliseconds for which a peer keeps an exchange waiting in all, beside what the bytes that move take on the slowest
/// line: ten times what it may be silent for once. Whoever sends next to nothing, just in time, over and over, would
/// otherwise have an exchange, and what it holds of the store, for days.
pub(super) const TOLERANCE: u64 = 300_000;

/// All of it.
const FULL: u64 = TOLERANCE.saturating_mul(SLOWEST_LINE);

/// What is left of it. Bytes earn it anew, at the pace of the slowest line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Credit {
    /// In thousandths of bytes, so that nothing is lost by rounding.
    left: u64,
    /// Up to when it is counted, monotonic milliseconds.
    at: u64,
}

impl Credit {
    /// All of it.
    pub(super) const fn new(now: u64) -> Self {
        Self { left: FULL, at: now }
    }

    /// So much time has passed, in which the peer was waited for or not.
    pub(super) fn pass(&mut self, waits: bool, now: u64) {
        let passed = now.saturating_sub(self.at);
        if waits {
            self.left = self.left.saturating_sub(passed.saturating_mul(SLOWEST_LINE));
        }
        self.at = self.at.max(now);
    }

    /// So many bytes have moved.
    pub(super) fn earn(&mut self, bytes: u64) {
        self.left = self.left.saturating_add(bytes.saturating_mul(1_000)).min(FULL);
    }

    /// What the peer does from now on is another matter.
    pub(super) const fn renew(&mut self) {
        self.left = FULL;
    }

    /// Until when it lasts if the peer is waited for and nothing moves.
    pub(super) const fn until(&self) -> u64 {
        self.at.saturating_add(self.left / SLOWEST_LINE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_life_alone_are_put_up_with_for_so_long_and_the_slowest_line_for_ever() {
        let mut credit = Credit::new(7);
        for n in 1..=10 {
            credit.pass(true, 7 + n * 29_000);
            credit.earn(1);
        }
        assert_eq!(credit.until(), 7 + TOLERANCE, "a byte is next to nothing");

        let mut credit = Credit::new(0);
        for second in 1..100_000 {
            credit.pass(true, second * 1_000);
            credit.earn(SLOWEST_LINE);
            assert_eq!(credit.until(), second * 1_000 + TOLERANCE);
        }
        // A burst earns nothing ahead.
        credit.earn(u64::MAX);
        assert_eq!(credit.until(), 99_999_000 + TOLERANCE);
    }

    #[test]
    fn what_this_side_takes_is_nobodys_fault() {
        let mut credit = Credit::new(0);
        credit.pass(true, 1_000);
        credit.pass(false, 900_000);
        assert_eq!(credit.until(), 899_000 + TOLERANCE);
        credit.renew();
        assert_eq!(credit.until(), 900_000 + TOLERANCE);
        // A clock that goes back takes nothing.
        credit.pass(true, 5);
        assert_eq!(credit.until(), 900_000 + TOLERANCE);
    }
}
