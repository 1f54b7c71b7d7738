//! Faults of processes, clocks, disks and of the network as a whole: when they strike, and how they end.

use pleach_core::{
    Entropy,
    node::Event,
    storage::{StorageError, Write, Written},
};
use pleach_storage::conformance::{Cut, Trouble};

use super::{Due, Sim, kinds::Fault};

/// Milliseconds between two looks at what else could go wrong.
const LOOK: u64 = 500;

/// How much more often a kind strikes that has not been hit when half of the phase is over.
const EAGER: u64 = 20;

impl Sim {
    /// Whether a kind strikes now, which does so many times in a million. Counts it: for what always changes something.
    pub(super) fn strikes(&mut self, fault: Fault, parts: u64) -> bool {
        let strikes = self.would_strike(fault, parts);
        if strikes {
            self.hit(fault);
        }
        strikes
    }

    /// The same of what may yet change nothing: whoever sees its effect calls [`Sim::hit`].
    pub(super) fn would_strike(&mut self, fault: Fault, parts: u64) -> bool {
        if !self.faulty || !self.drawn[fault as usize] {
            return false;
        }
        let parts = if self.eager && self.tally.faults[fault as usize] == 0 { parts * EAGER } else { parts };
        self.chance.happens(parts)
    }

    /// A kind has had an effect.
    pub(super) fn hit(&mut self, fault: Fault) {
        self.tally.fault(fault);
        self.trace.number(fault as u64);
    }

    /// Looks at each kind that comes by itself.
    pub(super) fn chaos(&mut self) {
        self.queue.put(self.now + LOOK, Due::Chaos);
        self.cut_idle();
        if !self.faulty {
            return;
        }
        let index = self.chance.place(self.hosts.len());
        self.part(index);
        let after = self.chance.between(200, 60_000);
        if self.hosts[index].is_up() {
            self.process(index, after);
        }
        if self.hosts[index].is_up() {
            self.clock(index);
            self.disk(index, after);
        }
    }

    fn part(&mut self, index: usize) {
        let until = self.now + self.chance.between(1_000, 240_000);
        let places = self.hosts.len();
        let mut blocked = Vec::new();
        if places < 2 {
            return;
        }
        if self.strikes(Fault::PartitionOneWay, 3_000) {
            blocked.push((index, (index + 1 + self.chance.place(places - 1)) % places));
        }
        if self.strikes(Fault::PartitionBothWays, 2_000) {
            let mut here: Vec<bool> = (0..places).map(|_| self.chance.below(2) == 0).collect();
            // Nobody is cut off where all are in one group.
            here[index] = !here[(index + 1) % places];
            for one in 0..places {
                blocked.extend((0..places).filter(|two| here[one] != here[*two]).map(|two| (one, two)));
            }
        }
        for (one, two) in blocked {
            let now = self.blocked.entry((one, two)).or_insert(0);
            *now = (*now).max(until);
            self.trace.mark(self.now, one, 'P');
        }
    }

    fn process(&mut self, index: usize, after: u64) {
        if self.strikes(Fault::Pause, 4_000) {
            self.hosts[index].paused = true;
            self.trace.mark(self.now, index, 'P');
            let life = self.hosts[index].life;
            self.queue.put(self.now + after, Due::Wake { host: index, life });
        }
        if self.strikes(Fault::Crash, 4_000) {
            self.crash(index, Fault::Crash, after);
        } else if self.strikes(Fault::Restart, 4_000) {
            self.crash(index, Fault::Restart, 1);
        }
    }

    fn clock(&mut self, index: usize) {
        let change = if self.strikes(Fault::ClockForward, 3_000) {
            Some(i64::try_from(self.chance.between(1_000, 86_400_000)).expect("a day"))
        } else if self.strikes(Fault::ClockBackward, 3_000) {
            Some(-i64::try_from(self.chance.between(1_000, 86_400_000)).expect("a day"))
        } else if self.strikes(Fault::ClockSkew, 2_000) {
            let wrong = i64::try_from(self.chance.below(20 * 365 * 86_400_000)).expect("twenty years");
            Some(wrong - 10 * 365 * 86_400_000)
        } else {
            None
        };
        if let Some(change) = change {
            self.hosts[index].skew = self.hosts[index].skew.saturating_add(change);
            self.trace.mark(self.now, index, 'C');
            self.trace.say(self.now, index, format_args!("its clock changes by {change} ms"));
        }
        if self.strikes(Fault::MonotonicBack, 3_000) {
            self.hosts[index].behind = self.chance.between(1, 5_000);
            self.handle(index, Event::Tick);
            self.hosts[index].behind = 0;
            self.trace.mark(self.now, index, 'C');
        }
    }

    fn disk(&mut self, index: usize, after: u64) {
        if self.chance.below(40) == 0 && !self.hosts[index].rotten {
            self.hosts[index].shelf.back_up();
        }
        // The creator alone has the root key, and somebody must know what there is: its disk is spared.
        if index == 0 {
            return;
        }
        if self.hosts[index].shelf.is_disk() && self.strikes(Fault::Rot, 2_000) {
            self.kill(index);
            let mut chance = Entropy::new(self.chance.bytes());
            for _ in 0..self.chance.between(1, 4) {
                if let Some(disk) = self.hosts[index].shelf.inner() {
                    disk.rot(&mut chance);
                }
            }
            self.hosts[index].rotten = true;
            self.void(index, Fault::Rot, after);
        } else if self.strikes(Fault::DiskReplaced, 1_000) {
            self.kill(index);
            let salt = self.chance.bytes();
            self.hosts[index].shelf.replace(salt);
            self.hosts[index].rotten = false;
            self.void(index, Fault::DiskReplaced, after);
        } else if self.hosts[index].shelf.has_backup() && self.strikes(Fault::BackupRestored, 3_000) {
            self.kill(index);
            self.hosts[index].shelf.restore();
            self.void(index, Fault::BackupRestored, after);
        }
    }

    /// A disk is not what it was: the node comes back, and nobody relies on what it promised.
    fn void(&mut self, index: usize, fault: Fault, after: u64) {
        self.trace.mark(self.now, index, 'D');
        self.trace.say(self.now, index, format_args!("its disk: {fault:?}"));
        self.lost(index);
        self.queue.put(self.now + after, Due::Up { host: index });
    }

    /// The disk does what was asked of it, or fails; nothing if the process died meanwhile.
    pub(super) fn write_for_real(
        &mut self,
        index: usize,
        write: &Write,
    ) -> Option<Result<Written, StorageError>> {
        if self.hosts[index].stuck {
            return Some(Err(StorageError::Failed("an earlier write failed".into())));
        }
        let after = self.chance.between(500, 20_000);
        if self.hosts[index].shelf.is_disk() {
            let cut = if self.strikes(Fault::LostUnsynced, 400) {
                Some((Fault::LostUnsynced, Cut::Nothing))
            } else if self.strikes(Fault::TornWrite, 400) {
                Some((Fault::TornWrite, Cut::Torn))
            } else {
                None
            };
            if let Some((fault, cut)) = cut {
                self.power_cut(index, write, cut);
                self.crash(index, fault, after);
                return None;
            }
        }
        let trouble = if self.would_strike(Fault::DiskFull, 1_000) {
            Some((Fault::DiskFull, Trouble::Full, StorageError::Full))
        } else if self.would_strike(Fault::DiskError, 600) {
            let error = StorageError::Failed("the disk does not write".into());
            Some((Fault::DiskError, Trouble::NoWrites, error))
        } else {
            None
        };
        let Some((fault, trouble, error)) = trouble else {
            return Some(self.hosts[index].shelf.write(write));
        };
        self.trace.mark(self.now, index, 'D');
        let Some(disk) = self.hosts[index].shelf.inner() else {
            self.hit(fault);
            // A full memory has room again later; a failed store has to be opened again.
            if trouble == Trouble::NoWrites {
                self.reopen(index, after);
            }
            return Some(Err(error));
        };
        disk.trouble(Some(trouble));
        let result = self.hosts[index].shelf.write(write);
        if let Some(disk) = self.hosts[index].shelf.inner() {
            disk.trouble(None);
        }
        // A write of what is there already needs no room.
        if result.is_err() {
            self.hit(fault);
            self.reopen(index, after);
        }
        Some(result)
    }

    /// A store takes no more, until somebody ends the process and begins it again.
    fn reopen(&mut self, index: usize, after: u64) {
        self.hosts[index].stuck = true;
        let life = self.hosts[index].life;
        self.queue.put(self.now + after, Due::Reopen { host: index, life });
    }

    /// The power goes in the middle of a write.
    fn power_cut(&mut self, index: usize, write: &Write, cut: Cut) {
        let mut chance = Entropy::new(self.chance.bytes());
        let shelf = &mut self.hosts[index].shelf;
        let before = shelf.inner().map_or(0, |disk| {
            disk.forget();
            disk.operations()
        });
        let _ = shelf.write(write);
        let behind = shelf.inner().map_or(0, pleach_storage::conformance::Disk::operations);
        let at = self.chance.between(before as u64, behind as u64);
        let at = usize::try_from(at).expect("a number of operations");
        self.hosts[index].shelf.cut(at, cut, &mut chance);
        self.trace.say(self.now, index, format_args!("the power goes: {cut:?}"));
    }

    pub(super) fn wake(&mut self, index: usize) {
        if !self.hosts[index].paused {
            return;
        }
        self.hosts[index].paused = false;
        let backlog = std::mem::take(&mut self.hosts[index].backlog);
        for event in backlog {
            self.handle(index, event);
        }
    }

    /// All is well from now on: whoever is dead comes back, whoever stands still goes on.
    pub(super) fn heal(&mut self) {
        self.faulty = false;
        self.blocked.clear();
        for index in 0..self.hosts.len() {
            self.wake(index);
            let host = &self.hosts[index];
            if host.stuck || host.rotten {
                self.kill(index);
            }
            self.start(index);
            self.hosts[index].skew /= 2;
        }
    }
}
