//! Lines of bytes in memory, for tests of what goes over them.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::LIMIT;
use crate::serial::{End, Line, Lines};

/// Bytes on their way in one direction of a cable.
const ON_THE_WAY: usize = 4_096;

/// Cables by the name of their place. A listener that opens one makes it; it stays when one of its ends is let go, and
/// keeps a record of what came to the listener. Whoever dials waits until nobody else does.
#[derive(Clone, Debug, Default)]
pub struct Cables(Arc<Mutex<BTreeMap<String, Arc<Cable>>>>);

#[derive(Debug, Default)]
struct Cable {
    state: Mutex<Ends>,
    changed: Condvar,
}

/// By end, the listener's first: what comes to it, and who holds it (0: nobody), counted from 1.
#[derive(Debug, Default)]
struct Ends {
    coming: [VecDeque<u8>; 2],
    held: [u64; 2],
    holders: u64,
    recorded: Vec<u8>,
}

impl Cable {
    fn lock(&self) -> MutexGuard<'_, Ends> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, Ends>) -> MutexGuard<'a, Ends> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cables {
    fn cables(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Cable>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cable(&self, place: &str) -> Arc<Cable> {
        Arc::clone(self.cables().get(place).expect("a listener has opened this cable"))
    }

    /// Puts bytes on a cable on their way to one of its ends, whoever holds the other.
    pub fn inject(&self, place: &str, to: End, bytes: &[u8]) {
        let cable = self.cable(place);
        cable.lock().coming[usize::from(to == End::Dialler)].extend(bytes);
        cable.changed.notify_all();
    }

    /// All that diallers have written so far.
    pub fn recorded(&self, place: &str) -> Vec<u8> {
        self.cable(place).lock().recorded.clone()
    }

    /// Takes a cable out of both sides: its ends are nobody's. Waits until a listener has opened it again.
    pub fn unplug(&self, place: &str) {
        let cable = self.cable(place);
        let mut state = cable.lock();
        let unplugged = state.holders;
        state.held = [0; 2];
        state.coming = Default::default();
        cable.changed.notify_all();
        let waited = cable.changed.wait_timeout_while(state, LIMIT, |state| state.held[0] <= unplugged);
        assert!(!waited.unwrap_or_else(PoisonError::into_inner).1.timed_out(), "nobody opens the line again");
    }
}

impl Lines for Cables {
    fn open(&self, place: &str, end: End) -> io::Result<Arc<dyn Line>> {
        let cable = {
            let mut cables = self.cables();
            match end {
                End::Listener => Arc::clone(cables.entry(place.into()).or_default()),
                End::Dialler => Arc::clone(cables.get(place).ok_or(io::ErrorKind::NotFound)?),
            }
        };
        let end = usize::from(end == End::Dialler);
        let holder = {
            let mut state = cable.lock();
            if end == 1 {
                // Somebody else who dialled may still be letting go.
                let waited = cable.changed.wait_timeout_while(state, LIMIT, |state| state.held[1] != 0);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            if state.held[end] != 0 {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            if end == 1 && state.held[0] == 0 {
                return Err(io::ErrorKind::NotConnected.into());
            }
            state.holders += 1;
            state.held[end] = state.holders;
            state.holders
        };
        cable.changed.notify_all();
        Ok(Arc::new(Held { cable, end, holder }))
    }
}

/// One end of a cable, while it is somebody's.
struct Held {
    cable: Arc<Cable>,
    end: usize,
    holder: u64,
}

impl Line for Held {
    fn read(&self, room: &mut [u8]) -> io::Result<usize> {
        let mut state = self.cable.lock();
        while state.held[self.end] == self.holder && state.coming[self.end].is_empty() {
            state = self.cable.wait(state);
        }
        if state.held[self.end] != self.holder {
            return Ok(0);
        }
        let read = room.len().min(state.coming[self.end].len());
        for (byte, came) in room.iter_mut().zip(state.coming[self.end].drain(..read)) {
            *byte = came;
        }
        self.cable.changed.notify_all();
        Ok(read)
    }

    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.cable.lock();
        for piece in bytes.chunks(ON_THE_WAY) {
            while state.held[self.end] == self.holder && state.coming[1 - self.end].len() >= ON_THE_WAY {
                state = self.cable.wait(state);
            }
            if state.held[self.end] != self.holder {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            if self.end == 1 {
                state.recorded.extend(piece);
            }
            state.coming[1 - self.end].extend(piece);
            self.cable.changed.notify_all();
        }
        Ok(())
    }

    fn close(&self) {
        let mut state = self.cable.lock();
        if state.held[self.end] == self.holder {
            state.held[self.end] = 0;
        }
        drop(state);
        self.cable.changed.notify_all();
    }
}
