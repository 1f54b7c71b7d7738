//! A cable between two Unix sockets: what comes out at one end is what went in at the other, unless it is damaged.
//!
//! The node's end stays plugged in. The board's end is plugged in each time the board is on; what comes for it while it is
//! off is lost, as on any line.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the board to the node.
    Up,
    /// From the node to the board.
    Down,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    /// Nothing passes in either direction any more.
    Cut,
    /// These bytes come in between.
    Garbage(Vec<u8>),
}

#[derive(Default)]
struct State {
    /// The ends that are plugged in, by the way that leads there.
    ends: [Option<UnixStream>; 2],
    /// Damage to come, after so many more bytes that way.
    planned: Option<(Way, usize, Damage)>,
    cut: bool,
    /// Damages that came, cuts aside.
    came: u32,
}

#[derive(Clone)]
pub(crate) struct Cable(Arc<Mutex<State>>);

impl Cable {
    /// A cable whose ends are plugged in at these paths.
    pub(crate) fn new(host: &Path, board: &Path) -> Self {
        let cable = Self(Arc::default());
        for (path, way) in [(host, Way::Up), (board, Way::Down)] {
            let listener = UnixListener::bind(path).unwrap();
            let cable = cable.clone();
            // They end with the process.
            thread::spawn(move || {
                for end in listener.incoming() {
                    cable.plug(way, &end.unwrap());
                }
            });
        }
        cable
    }

    /// Breaks the cable after so many more bytes that way.
    pub(crate) fn damage(&self, way: Way, after: usize, damage: Damage) {
        self.lock().planned = Some((way, after, damage));
    }

    /// Mends a cut.
    pub(crate) fn mend(&self) {
        let mut state = self.lock();
        assert!(state.cut && state.planned.is_none(), "the line was cut");
        state.cut = false;
    }

    /// How often garbage came.
    pub(crate) fn mended(&self) -> u32 {
        self.lock().came
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries what comes from an end, to which bytes go that way, until it is unplugged.
    fn plug(&self, way: Way, end: &UnixStream) {
        self.lock().ends[way as usize] = Some(end.try_clone().unwrap());
        let back = if way == Way::Up { Way::Down } else { Way::Up };
        let mut bytes = [0; 4_096];
        let mut end = end;
        while let Ok(read @ 1..) = end.read(&mut bytes) {
            for byte in &bytes[..read] {
                self.carry(back, *byte);
            }
        }
        self.lock().ends[way as usize] = None;
    }

    fn carry(&self, way: Way, byte: u8) {
        let mut state = self.lock();
        let due = match &mut state.planned {
            Some((planned, 0, _)) if *planned == way => true,
            Some((planned, after, _)) if *planned == way => {
                *after -= 1;
                false
            }
            _ => false,
        };
        if due && let Some((_, _, damage)) = state.planned.take() {
            match damage {
                Damage::Cut => state.cut = true,
                Damage::Garbage(garbage) => {
                    state.came += 1;
                    state.put(way, &garbage);
                }
            }
        }
        if !state.cut {
            state.put(way, &[byte]);
        }
    }
}

impl State {
    fn put(&mut self, way: Way, bytes: &[u8]) {
        if let Some(end) = &mut self.ends[way as usize] {
            // Whoever was unplugged just now hears nothing.
            let _ = end.write_all(bytes);
        }
    }
}
