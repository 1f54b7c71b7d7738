//! The emulated board: a flash file that stays, and one process of the emulator for each time that it is on.

use std::{
    cell::Cell,
    fs,
    io::Read,
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{
    flash::{ERASED, Flash, FlashError, PAGE, PAGES, Setup},
    image::Image,
};

/// How long a run may take at most: it turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) struct Board {
    pub(crate) image: Image,
    flash: PathBuf,
    line: PathBuf,
    peak: Cell<usize>,
}

/// Flash as whoever sets a board up writes it.
struct Blank(Vec<u8>);

impl Flash for Blank {
    fn read(&mut self, at: usize, room: &mut [u8]) -> Result<(), FlashError> {
        room.copy_from_slice(&self.0[at..at + room.len()]);
        Ok(())
    }

    fn erase(&mut self, page: usize) -> Result<(), FlashError> {
        self.0[page * PAGE..(page + 1) * PAGE].fill(ERASED);
        Ok(())
    }

    fn program(&mut self, at: usize, bytes: &[u8]) -> Result<(), FlashError> {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

impl Board {
    /// A board that is set up and was never on.
    pub(crate) fn new(image: Image, setup: &Setup, flash: PathBuf, line: PathBuf) -> Self {
        let mut blank = Blank(vec![ERASED; PAGE * PAGES]);
        setup.write(&mut blank).unwrap();
        fs::write(&flash, blank.0).unwrap();
        Self { image, flash, line, peak: Cell::new(0) }
    }

    /// Bytes of stack that any run used at most.
    pub(crate) fn peak(&self) -> usize {
        self.peak.get()
    }

    /// Turns it on, lets it take these steps, and turns it off.
    #[track_caller]
    pub(crate) fn run(&self, steps: &[&str]) -> Run {
        let (good, run) = self.turn_on(steps);
        assert!(good, "{steps:?}: {:?}", run.0);
        run
    }

    /// Turns it on, and lets it take these steps until it ends with an error.
    #[track_caller]
    pub(crate) fn fail(&self, steps: &[&str]) -> Run {
        let (good, run) = self.turn_on(steps);
        assert!(!good, "{steps:?}: {:?}", run.0);
        run
    }

    /// Whether it ended well, and what it said.
    fn turn_on(&self, steps: &[&str]) -> (bool, Run) {
        let mut config = String::from("enable=on,target=native,arg=pleach");
        let flash = format!("flash={}", self.flash.display());
        for word in [flash.as_str()].iter().chain(steps) {
            config.push_str(",arg=");
            config.push_str(&word.replace(',', ",,"));
        }
        let mut command = Command::new("qemu-system-arm");
        command.args(["-machine", "lm3s6965evb", "-cpu", "cortex-m3", "-nographic", "-monitor", "none"]);
        // One instruction takes one nanosecond of the board's time, so that counts are the same each time.
        command.args(["-icount", "shift=0", "-semihosting-config", &config]);
        command.arg("-serial").arg(format!("unix:{}", self.line.display()));
        command.arg("-kernel").arg(&self.image.path);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let (send, ended) = mpsc::channel();
        thread::spawn(move || {
            let mut text = String::new();
            let _ = stdout.read_to_string(&mut text);
            let _ = send.send(text);
        });
        let Ok(text) = ended.recv_timeout(PATIENCE) else {
            child.kill().unwrap();
            panic!("the board did not end: {steps:?}, {:?}", ended.recv());
        };
        let good = child.wait().unwrap().success();
        // The emulator says what it thinks of the clock among the lines.
        let lines = text.lines().filter(|line| line.starts_with('{'));
        let lines: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        let peaks = lines.iter().filter_map(|line| line["peak"].as_u64());
        let peak = peaks.filter_map(|peak| usize::try_from(peak).ok()).max().unwrap_or(0);
        self.peak.set(self.peak.get().max(peak));
        (good, Run(lines))
    }
}

/// What a board said while it was on.
pub(crate) struct Run(Vec<Value>);

impl Run {
    /// The lines of a step, in order.
    pub(crate) fn steps(&self, step: &str) -> Vec<&Value> {
        self.0.iter().filter(|line| line["step"] == step).collect()
    }

    /// The first line of a step.
    #[track_caller]
    pub(crate) fn step(&self, step: &str) -> &Value {
        self.steps(step).first().unwrap_or_else(|| panic!("no {step} in {:?}", self.0))
    }

    /// How it started.
    #[track_caller]
    pub(crate) fn boot(&self) -> &Value {
        self.step("boot")
    }

    /// The first contact, which ended with nothing lacking on either side.
    #[track_caller]
    pub(crate) fn equal(&self) -> &Value {
        let sync = self.step("sync");
        assert_eq!(sync["ended"], "equal", "{:?}", self.0);
        sync
    }

    /// Whether its power was lost as it was told.
    pub(crate) fn lost_power(&self) -> bool {
        !self.steps("power lost").is_empty()
    }
}
