//! Bytes of requests that a server holds, over all connections.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context as Task, Poll, Waker},
};

use pleach_core::{budget::Source, limits::MAX_MESSAGE};

use super::{Gate, Standing};

/// Bytes of bodies over all connections: five messages.
const MAX_HELD: usize = 5 * MAX_MESSAGE;

/// The part of it that strangers may take, and as much again neighbours: so that one of them can send the largest message.
const MAX_OF_UNPROVEN: usize = MAX_MESSAGE + MAX_MESSAGE / 8;

/// The part of that which one source may take, where several want some.
const MAX_OF_SOURCE: usize = MAX_MESSAGE + MAX_MESSAGE / 16;

/// Bytes of a body that count for nothing: what every connection may hold, so that who asks little is heard while others
/// fill the room.
const FREE: usize = 16 * 1024;

const _: () = assert!(MAX_OF_SOURCE <= MAX_OF_UNPROVEN && 2 * MAX_OF_UNPROVEN < MAX_HELD / 2);

#[derive(Default)]
struct Sums {
    all: usize,
    strangers: usize,
    neighbours: usize,
    sources: BTreeMap<Source, usize>,
    waiting: Vec<Waker>,
}

impl Sums {
    /// What those hold who are of this kind, if it has a limit of its own.
    const fn unproven(&mut self, standing: Standing) -> Option<&mut usize> {
        match standing {
            Standing::Stranger => Some(&mut self.strangers),
            Standing::Neighbour => Some(&mut self.neighbours),
            Standing::Proven => None,
        }
    }
}

/// What is held of bodies.
#[derive(Default)]
pub(crate) struct Room(Mutex<Sums>);

impl Room {
    fn lock(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of one body, until this is dropped.
pub(crate) struct Held {
    gate: Arc<Gate>,
    standing: Standing,
    source: Source,
    /// Bytes that have come, those that count for nothing included.
    came: usize,
    /// Bytes that count.
    counted: usize,
}

impl Held {
    pub(super) fn new(gate: &Arc<Gate>, standing: Standing, source: Source) -> Self {
        Self { gate: Arc::clone(gate), standing, source, came: 0, counted: 0 }
    }

    /// Waits until there is room for a whole body of somebody who is proven, and takes it; others take their room as
    /// their bytes come. Bodies that wait for each other in the middle would wait for ever.
    pub(crate) fn poll_reserve(&mut self, task: &mut Task<'_>, bytes: usize) -> Poll<()> {
        if self.standing != Standing::Proven {
            return Poll::Ready(());
        }
        let bytes = bytes.saturating_sub(FREE);
        let mut sums = self.gate.room.lock();
        if sums.all > 0 && sums.all + bytes > MAX_HELD {
            sums.waiting.push(task.waker().clone());
            return Poll::Pending;
        }
        sums.all += bytes;
        self.counted = bytes;
        Poll::Ready(())
    }

    /// Takes bytes that have come into the count, and says whether there is room for them.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        self.came += bytes;
        let more = self.came.saturating_sub(FREE).saturating_sub(self.counted);
        if more == 0 {
            return true;
        }
        let mut sums = self.gate.room.lock();
        if sums.all + more > MAX_HELD {
            return false;
        }
        if let Some(unproven) = sums.unproven(self.standing) {
            let all = *unproven + more;
            let of_source = sums.sources.get(&self.source).copied().unwrap_or(0) + more;
            if all > MAX_OF_UNPROVEN || of_source > MAX_OF_SOURCE {
                return false;
            }
            sums.unproven(self.standing).into_iter().for_each(|unproven| *unproven = all);
            sums.sources.insert(self.source, of_source);
        }
        sums.all += more;
        self.counted += more;
        true
    }

    /// Bytes that have come.
    pub(crate) const fn came(&self) -> usize {
        self.came
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let waiting = {
            let mut sums = self.gate.room.lock();
            sums.all -= self.counted;
            if let Some(unproven) = sums.unproven(self.standing) {
                *unproven -= self.counted;
                let of_source = sums.sources.entry(self.source).or_default();
                *of_source -= self.counted;
                if *of_source == 0 {
                    sums.sources.remove(&self.source);
                }
            }
            std::mem::take(&mut sums.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Limits;

    fn gate() -> Arc<Gate> {
        Gate::new(Limits { all: 9, strangers: 9, of_source: 9 })
    }

    fn reserves(held: &mut Held, bytes: usize) -> bool {
        held.poll_reserve(&mut Task::from_waker(Waker::noop()), bytes).is_ready()
    }

    #[test]
    fn strangers_and_neighbours_leave_room_for_the_proven_and_one_another_a_little() {
        let gate = gate();
        for (standing, expected) in [(Standing::Stranger, 3), (Standing::Neighbour, 2)] {
            let mut bodies: Vec<Held> =
                (0..200_u8).map(|number| Held::new(&gate, standing, Source::of(&[number]))).collect();
            let mut take = |held: &mut Held| (0..64).take_while(|_| held.take(1 << 20)).count();
            let taken = bodies.iter_mut().map(&mut take).sum::<usize>();
            assert!((8..=9).contains(&taken), "{taken} MiB");
            let mut late = Held::new(&gate, standing, Source::of(b"late"));
            assert!(late.take(FREE), "who asks little is heard");
            assert!(!late.take(4 * FREE), "and nobody who asks much");
            if standing == Standing::Stranger {
                // They stay while the neighbours come.
                std::mem::forget(bodies);
            }
            let proven = |_| Held::new(&gate, Standing::Proven, Source::default());
            let mut proven: Vec<Held> = (0..9).map(proven).collect();
            let got = proven.iter_mut().filter_map(|held| reserves(held, MAX_MESSAGE).then_some(())).count();
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn who_waits_gets_the_room_that_is_given_back() {
        let gate = gate();
        let proven = |_| Held::new(&gate, Standing::Proven, Source::default());
        let mut proven: Vec<Held> = (0..9).map(proven).collect();
        let got = proven.iter_mut().filter_map(|held| reserves(held, MAX_MESSAGE).then_some(())).count();
        assert_eq!(got, 5);
        assert!(!reserves(&mut proven[8], MAX_MESSAGE));
        drop(proven.remove(0));
        assert!(reserves(&mut proven[7], MAX_MESSAGE), "room is given back");
        assert!(proven[7].take(MAX_MESSAGE), "what is reserved is there");
        drop(proven);
        assert_eq!(gate.room.lock().all, 0);
    }

    #[test]
    fn the_largest_body_fits_for_a_stranger_and_for_nobody_beside_it() {
        let gate = gate();
        let mut held = Held::new(&gate, Standing::Stranger, Source::of(b"one"));
        assert!((0..8).all(|_| held.take(MAX_MESSAGE / 8)));
        let mut second = Held::new(&gate, Standing::Stranger, Source::of(b"one"));
        assert!(!second.take(MAX_MESSAGE));
        drop((held, second));
        let mut third = Held::new(&gate, Standing::Stranger, Source::of(b"one"));
        assert!(third.take(MAX_MESSAGE));
        drop(third);
        assert!(gate.room.lock().sources.is_empty());
    }
}
