//! One way of a line as a queue: what is put in leaves at the line's rate, and arrives a delay later.

use std::time::Duration;

use pleach_core::Entropy;

/// What a line is like, one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Bytes a second.
    pub rate: u64,
    /// From the moment at which the last byte has left until it arrives.
    pub delay: Duration,
    /// Bytes that may wait to leave.
    pub queue: usize,
    /// Of a million datagrams, how many are lost.
    pub loss: u32,
}

impl Shape {
    /// No limits: everything arrives at once.
    pub const PLAIN: Self = Self { rate: u64::MAX, delay: Duration::ZERO, queue: usize::MAX, loss: 0 };

    /// How long so many bytes take to leave.
    pub fn time(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Bytes that leave within a time.
    fn bytes(&self, time: Duration) -> u128 {
        time.as_nanos() * u128::from(self.rate) / 1_000_000_000
    }
}

/// What becomes of something put into a [`Queue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives at this time.
    Arrives(Duration),
    /// There is no room for it.
    Full,
    /// It leaves, takes its time on the line, and is lost.
    Lost,
}

/// One way of a line. Times are counted from when the line came into being; whoever calls keeps the clock.
///
/// ```
/// use std::time::Duration;
/// use pleach_tests::link::{Fate, Queue, Shape};
///
/// let shape = Shape { rate: 1_000, delay: Duration::from_millis(50), queue: 2_000, loss: 0 };
/// let mut queue = Queue::new(shape, 1);
/// assert_eq!(queue.put(Duration::ZERO, 1_000), Fate::Arrives(Duration::from_millis(1_050)));
/// assert_eq!(queue.put(Duration::ZERO, 1_000), Fate::Arrives(Duration::from_millis(2_050)));
/// assert_eq!(queue.put(Duration::ZERO, 1), Fate::Full);
/// ```
#[derive(Clone, Debug)]
pub struct Queue {
    shape: Shape,
    /// When the last byte that was put in has left.
    empty_at: Duration,
    entropy: Entropy,
}

impl Queue {
    /// An empty one. One seed loses the same datagrams each time.
    pub fn new(shape: Shape, seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self { shape, empty_at: Duration::ZERO, entropy: Entropy::new(bytes) }
    }

    /// Puts in so many bytes, which leave and arrive together.
    pub fn put(&mut self, now: Duration, bytes: usize) -> Fate {
        if self.room(now) < bytes {
            return Fate::Full;
        }
        self.empty_at = self.empty_at.max(now) + self.shape.time(bytes as u64);
        if self.shape.loss > 0 && u32::from_le_bytes(self.entropy.draw()) % 1_000_000 < self.shape.loss {
            return Fate::Lost;
        }
        Fate::Arrives(self.empty_at + self.shape.delay)
    }

    /// Bytes for which there is room now.
    pub fn room(&self, now: Duration) -> usize {
        let waiting = self.shape.bytes(self.empty_at.saturating_sub(now));
        self.shape.queue.saturating_sub(usize::try_from(waiting).unwrap_or(usize::MAX))
    }

    /// The first moment from now on at which there is room for so many bytes, if there ever is.
    pub fn room_at(&self, now: Duration, bytes: usize) -> Option<Duration> {
        let may_wait = self.shape.queue.checked_sub(bytes)?;
        Some(now.max(self.empty_at.saturating_sub(self.shape.time(may_wait as u64))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// 1,000 bytes a second, 20 ms away, room for a second's worth.
    const SLOW: Shape = Shape { rate: 1_000, delay: Duration::from_millis(20), queue: 1_000, loss: 0 };

    #[test]
    fn bytes_leave_at_the_lines_rate_and_arrive_a_delay_later() {
        let mut queue = Queue::new(SLOW, 1);
        assert_eq!(queue.put(MILLI * 100, 10), Fate::Arrives(MILLI * 130), "the line was idle");
        assert_eq!(queue.put(MILLI * 100, 10), Fate::Arrives(MILLI * 140), "it waits for those before it");
        assert_eq!(queue.put(MILLI * 500, 10), Fate::Arrives(MILLI * 530), "idle time is not saved up");
    }

    #[test]
    fn what_keeps_the_queue_full_goes_through_at_the_rate_exactly() {
        let shape = Shape { rate: 12_500_000, delay: MILLI * 25, queue: 625_000, loss: 0 };
        let mut queue = Queue::new(shape, 1);
        let (mut now, mut last) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..10_000 {
            now = queue.room_at(now, 1_250).unwrap();
            let Fate::Arrives(at) = queue.put(now, 1_250) else { panic!("there is room") };
            last = at;
        }
        assert_eq!(last, Duration::from_secs(1) + MILLI * 25);
    }

    #[test]
    fn a_full_queue_takes_nothing_until_enough_has_left() {
        let mut queue = Queue::new(SLOW, 1);
        assert!(matches!(queue.put(Duration::ZERO, 1_000), Fate::Arrives(_)));
        assert_eq!(queue.put(MILLI * 9, 10), Fate::Full);
        assert_eq!(queue.room(MILLI * 9), 9);
        assert_eq!(queue.room_at(MILLI * 9, 10), Some(MILLI * 10));
        assert_eq!(queue.put(MILLI * 10, 10), Fate::Arrives(MILLI * 1_030));
        assert_eq!(queue.room_at(MILLI * 10, 1_001), None, "there is never room for that");
    }

    #[test]
    fn one_seed_loses_the_same_datagrams_each_time_and_about_as_many_as_asked() {
        let shape = Shape { loss: 20_000, ..Shape::PLAIN };
        let run = |seed| {
            let mut queue = Queue::new(shape, seed);
            (0..10_000).map(|n| queue.put(MILLI * n, 1) == Fate::Lost).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let lost = run(1).into_iter().filter(|lost| *lost).count();
        assert!((150..250).contains(&lost), "{lost} of 10,000 at 2 %");
    }

    #[test]
    fn what_is_lost_takes_its_time_on_the_line() {
        let mut queue = Queue::new(Shape { loss: 1_000_000, ..SLOW }, 1);
        assert_eq!(queue.put(Duration::ZERO, 500), Fate::Lost);
        assert_eq!(queue.room(Duration::ZERO), 500);
    }
}
