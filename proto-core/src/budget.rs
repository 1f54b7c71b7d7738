//! What somebody who has proven nothing may use: buckets that refill, one for each place that exchanges come from.
//!
//! A node charges its [`Ledger`]s for requests, bytes and signatures; a transport charges its own for connections. Neither
//! holds a clock: `now` is monotonic milliseconds, the caller's.

use alloc::collections::BTreeMap;
use core::fmt;

/// Where an exchange comes from, as far as its transport can tell: the address of the other machine, say. Whoever holds it
/// learns nothing but whether two exchanges come from one place; what has no place is all in one.
///
/// ```
/// use pleach_core::budget::Source;
///
/// assert_eq!(Source::of(b"192.0.2.1"), Source::of(b"192.0.2.1"));
/// assert_ne!(Source::of(b"192.0.2.1"), Source::default());
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(u64);

impl Source {
    /// The place with this name, in whatever form the transport names places.
    pub fn of(name: &[u8]) -> Self {
        let hash = blake3::derive_key("pleach 2026 source of an exchange", name);
        Self(hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({:016x})", self.0)
    }
}

/// How much there is at once, and how fast it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// What a full bucket holds.
    pub burst: u32,
    /// What flows back in a second.
    pub per_second: u32,
}

impl Rate {
    /// What a full bucket holds, in thousandths: what flows back in a millisecond is a whole number of them.
    const fn thousandths(self) -> u64 {
        (self.burst as u64).saturating_mul(1_000)
    }
}

/// What is left of a budget.
///
/// ```
/// use pleach_core::budget::{Bucket, Rate};
///
/// let rate = Rate { burst: 10, per_second: 5 };
/// let mut bucket = Bucket::default();
/// assert!(bucket.take(rate, 10, 0), "it begins full");
/// assert!(!bucket.take(rate, 1, 199));
/// assert!(bucket.take(rate, 1, 200), "a fifth of a second brings one");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bucket {
    /// Thousandths that were taken and have not come back.
    spent: u64,
    /// When `spent` was true.
    at: u64,
}

impl Bucket {
    fn refill(&mut self, rate: Rate, now: u64) {
        let passed = now.saturating_sub(self.at);
        self.spent = self.spent.saturating_sub(passed.saturating_mul(u64::from(rate.per_second)));
        self.at = self.at.max(now);
    }

    /// Takes an amount, and says whether it may be had: whether anything was left. What is charged after the fact may
    /// be more than was left; then the bucket owes the rest, at most as much as it holds.
    pub fn take(&mut self, rate: Rate, amount: u64, now: u64) -> bool {
        self.refill(rate, now);
        let full = rate.thousandths();
        if self.spent.saturating_add(1_000) > full {
            return false;
        }
        self.spent = self.spent.saturating_add(amount.saturating_mul(1_000)).min(full.saturating_mul(2));
        true
    }

    /// Puts an amount back that turned out not to be owed.
    pub fn put_back(&mut self, amount: u64) {
        self.spent = self.spent.saturating_sub(amount.saturating_mul(1_000));
    }

    /// Takes all that is left.
    pub fn drain(&mut self, rate: Rate, now: u64) {
        self.refill(rate, now);
        self.spent = self.spent.max(rate.thousandths());
    }

    /// Whether it holds all that it can, so that nothing is lost by forgetting it.
    fn is_full(&mut self, rate: Rate, now: u64) -> bool {
        self.refill(rate, now);
        self.spent == 0
    }

    fn is_calm(&mut self, rate: Rate, now: u64) -> bool {
        self.refill(rate, now);
        self.spent.saturating_mul(2) <= rate.thousandths()
    }

    /// Milliseconds until something can be had.
    fn wait(&self, rate: Rate) -> u64 {
        let owed = self.spent.saturating_add(1_000).saturating_sub(rate.thousandths());
        owed.div_ceil(u64::from(rate.per_second.max(1)))
    }
}

/// The buckets of all sources, at most so many.
///
/// A bucket is forgotten only when it is full, so that nobody gets rid of what they owe by making others come. While
/// there are as many that are not full, further sources share one bucket: they are slowed down together, not shut out.
///
/// ```
/// use pleach_core::budget::{Ledger, Rate, Source};
///
/// let mut ledger = Ledger::new(Rate { burst: 1, per_second: 1 }, 100);
/// let (one, other) = (Source::of(b"one"), Source::of(b"other"));
/// assert!(ledger.take(one, 1, 0) && !ledger.take(one, 1, 0));
/// assert!(ledger.take(other, 1, 0), "what one uses is taken from nobody else");
/// ```
#[derive(Clone, Debug)]
pub struct Ledger {
    rate: Rate,
    capacity: usize,
    buckets: BTreeMap<Source, Bucket>,
    shared: Bucket,
    /// When nothing was forgotten: the same moment need not be searched again.
    crowded: Option<u64>,
}

impl Ledger {
    /// A ledger for so many sources, each with a full bucket.
    pub const fn new(rate: Rate, capacity: usize) -> Self {
        Self { rate, capacity, buckets: BTreeMap::new(), shared: Bucket { spent: 0, at: 0 }, crowded: None }
    }

    fn bucket(&mut self, source: Source, now: u64) -> &mut Bucket {
        if self.buckets.len() >= self.capacity
            && !self.buckets.contains_key(&source)
            && self.crowded != Some(now)
        {
            let rate = self.rate;
            self.buckets.retain(|_, bucket| !bucket.is_full(rate, now));
            self.crowded = (self.buckets.len() >= self.capacity).then_some(now);
        }
        if self.buckets.len() >= self.capacity && !self.buckets.contains_key(&source) {
            return &mut self.shared;
        }
        self.buckets.entry(source).or_default()
    }

    /// Charges a source, and says whether it may go on: see [`Bucket::take`].
    pub fn take(&mut self, source: Source, amount: u64, now: u64) -> bool {
        let rate = self.rate;
        self.bucket(source, now).take(rate, amount, now)
    }

    /// Puts an amount back that turned out not to be owed.
    pub fn put_back(&mut self, source: Source, amount: u64, now: u64) {
        self.bucket(source, now).put_back(amount);
    }

    /// Whether a source has used less than half of its budget.
    pub fn is_calm(&mut self, source: Source, now: u64) -> bool {
        let rate = self.rate;
        self.bucket(source, now).is_calm(rate, now)
    }

    /// Takes from a source all that it has left. While its bucket is one that many share, those keep theirs.
    pub fn drain(&mut self, source: Source, now: u64) {
        let rate = self.rate;
        self.bucket(source, now);
        if let Some(bucket) = self.buckets.get_mut(&source) {
            bucket.drain(rate, now);
        }
    }

    /// Milliseconds until a source that was refused may come again.
    pub fn wait(&self, source: Source) -> u64 {
        self.buckets.get(&source).unwrap_or(&self.shared).wait(self.rate)
    }

    /// How many sources it remembers.
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Whether it remembers nobody.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}

/// A ledger, and what all of its sources may use together. Of that, half is kept for the calm, who have used less than half
/// of their own: a newcomer is served while others ask without end.
///
/// ```
/// use pleach_core::budget::{Fund, Rate, Source};
///
/// let mut fund = Fund::new(Rate { burst: 8, per_second: 1 }, Rate { burst: 8, per_second: 1 }, 100);
/// let (one, other) = (Source::of(b"one"), Source::of(b"other"));
/// let taken = (0..10).take_while(|_| fund.take(one, 1, 0)).count();
/// assert!(taken < 10);
/// assert!(fund.take(other, 1, 0), "some of it is kept for who has used little");
/// ```
#[derive(Clone, Debug)]
pub struct Fund {
    each: Ledger,
    /// The rate of either half.
    half: Rate,
    all: Bucket,
    calm: Bucket,
}

impl Fund {
    /// What each source may use, and all together, with so many sources told apart.
    pub const fn new(each: Rate, all: Rate, sources: usize) -> Self {
        let half = Rate { burst: all.burst.div_ceil(2), per_second: all.per_second.div_ceil(2) };
        let full = Bucket { spent: 0, at: 0 };
        Self { each: Ledger::new(each, sources), half, all: full, calm: full }
    }

    /// Charges a source, and says whether it may go on: see [`Bucket::take`].
    pub fn take(&mut self, source: Source, amount: u64, now: u64) -> bool {
        let is_calm = self.each.is_calm(source, now);
        self.each.take(source, amount, now)
            && (self.all.take(self.half, amount, now) || is_calm && self.calm.take(self.half, amount, now))
    }

    /// Puts an amount back that turned out not to be owed.
    pub fn put_back(&mut self, source: Source, amount: u64, now: u64) {
        self.each.put_back(source, amount, now);
    }

    /// Takes from a source all that it has left.
    pub fn drain(&mut self, source: Source, now: u64) {
        self.each.drain(source, now);
    }

    /// Milliseconds until a source that was refused may come again.
    pub fn wait(&self, source: Source) -> u64 {
        self.each.wait(source).max(self.all.wait(self.half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_is_served_while_a_hundred_others_ask_without_end() {
        let mut fund =
            Fund::new(Rate { burst: 128, per_second: 16 }, Rate { burst: 512, per_second: 128 }, 1_000);
        for now in 0..5_000 {
            for number in 0..100 {
                fund.take(source(number), 1, now);
            }
            assert!(now % 500 > 0 || fund.take(source(1_000), 1, now), "at {now}");
        }
    }

    #[test]
    fn all_together_use_no_more_than_there_is_for_all() {
        let all = Rate { burst: 512, per_second: 128 };
        let mut fund = Fund::new(Rate { burst: 128, per_second: 16 }, all, 1_000);
        let mut used = 0_u32;
        for now in 0..10_000_u32 {
            for number in 0..50 {
                used += u32::from(fund.take(source(now * 50 + number), 1, now.into()));
            }
        }
        assert!(used <= all.burst + 10 * all.per_second, "{used}");
        assert!(used > all.burst, "{used}");
    }

    const RATE: Rate = Rate { burst: 10, per_second: 5 };

    fn source(number: u32) -> Source {
        Source::of(&number.to_le_bytes())
    }

    #[test]
    fn a_bucket_refills_to_what_it_holds_and_no_further() {
        let mut bucket = Bucket::default();
        assert!(bucket.take(RATE, 10, 1_000));
        assert!(!bucket.take(RATE, 1, 1_000));
        let taken = (0..1_000_000).take_while(|_| bucket.take(RATE, 1, 1_000_000)).count();
        assert_eq!(taken, 10);
    }

    #[test]
    fn what_was_charged_beyond_the_bucket_is_owed_and_bounded() {
        let mut bucket = Bucket::default();
        assert!(bucket.take(RATE, u64::MAX, 0), "there was something left");
        assert!(!bucket.take(RATE, 1, 2_000), "ten are owed");
        assert_eq!(bucket.wait(RATE), 200);
        assert!(bucket.take(RATE, 1, 2_200));
        bucket.drain(RATE, 2_200);
        assert!(!bucket.take(RATE, 1, 2_300));
        bucket.put_back(1);
        assert!(bucket.take(RATE, 1, 2_300));
    }

    #[test]
    fn a_clock_that_runs_backwards_gives_nothing_away() {
        let mut bucket = Bucket::default();
        assert!(bucket.take(RATE, 10, 5_000));
        assert!(!bucket.take(RATE, 1, 0));
        assert!(!bucket.take(RATE, 1, 5_000));
        assert!(bucket.take(RATE, 1, 5_200));
    }

    #[test]
    fn a_crowd_of_sources_takes_no_more_room_and_forgives_nobody() {
        let mut ledger = Ledger::new(RATE, 100);
        ledger.drain(source(0), 0);
        for number in 1..10_000 {
            ledger.take(source(number), 1, 0);
        }
        assert_eq!(ledger.len(), 100);
        assert!(!ledger.take(source(0), 1, 0), "the debtor is not forgotten");
        // Those who came when it was full share what is left to them all; with time there is room for each.
        assert!(!ledger.take(source(20_000), 1, 0));
        assert!(ledger.take(source(20_000), 1, 1_000));
        assert!(ledger.len() <= 2, "full buckets were forgotten: {}", ledger.len());
    }

    #[test]
    fn one_who_misbehaves_in_a_crowd_drains_nobody_elses_bucket() {
        let mut ledger = Ledger::new(RATE, 1);
        assert!(ledger.take(source(0), 1, 0));
        ledger.drain(source(1), 0);
        assert!(ledger.take(source(2), 1, 0));
    }
}
